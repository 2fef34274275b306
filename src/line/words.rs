//! Names in sentences: lists of them, and those that are most like a word that is unknown.

/// `` `a`, `b`, `c` ``
pub(crate) fn listed<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// `a, b or c`
#[cfg(feature = "manager")]
pub(crate) fn either(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [name] => (*name).to_owned(),
        [before @ .., last] => format!("{} or {last}", before.join(", ")),
    }
}

/// How many names a sentence lists.
#[cfg(feature = "manager")]
const SHOWN: usize = 12;

/// `` `a`, `b`, `c` and 7 more ``
#[cfg(feature = "manager")]
pub(crate) fn shortened<S: AsRef<str>>(names: &[S]) -> String {
    let shown = listed(names.iter().take(SHOWN).map(AsRef::as_ref));
    let more = if names.len() > SHOWN { format!(" and {} more", names.len() - SHOWN) } else { String::new() };
    format!("{shown}{more}")
}

/// The names that are most like `word`, best first, at most three.
#[cfg(feature = "manager")]
pub(crate) fn nearest<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Vec<&'n str> {
    let word = crate::model::file_name::stem(word);
    let mut near: Vec<_> = names
        .into_iter()
        .map(|name| {
            let likeness = strsim::jaro_winkler(word, name);
            (if name.contains(word) { likeness.max(0.9) } else { likeness }, name)
        })
        .filter(|(likeness, _)| *likeness > 0.87)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    near.into_iter().take(3).map(|(_, name)| name).collect()
}
