//! Steps that register what another tool's records say is done. Pure.

use super::advice;
use super::plan::Plan;
use super::standing::{self, Standing};
use super::step::{Look, Of, Step};
use crate::error::{Error, ErrorKind};
use crate::line::words::listed;
use crate::migration::Migration;
use crate::model::{Direction, file_name};
use crate::report::{AdoptedRow, Match};
use crate::store::{Adopted, Outcome, Theirs, Tool, View};

/// What is to be registered, and how it was found.
pub(crate) struct Adoption<'m> {
    pub(crate) plan: Plan<'m>,
    /// Each of their records, and what it was matched with.
    pub(crate) rows: Vec<AdoptedRow>,
}

impl Adoption<'_> {
    /// What they call the migrations that match none of ours.
    pub(crate) fn unmatched(&self) -> Vec<&str> {
        let unmatched = self.rows.iter().filter(|row| row.how == Match::Nothing);
        unmatched.map(|row| row.theirs.as_str()).collect()
    }
}

/// Finds our migration for each record: by stem, else by number. What failed is refused.
pub(crate) fn make<'m>(
    (tool, collection): (Tool, &str),
    records: &[Theirs],
    migrations: &'m [Migration],
    view: &View,
) -> Result<Adoption<'m>, Error> {
    let bad: Vec<String> = records
        .iter()
        .filter_map(|theirs| match &theirs.outcome {
            Outcome::Bad(word) => Some(format!("{} ({word})", theirs.name)),
            Outcome::Done | Outcome::Undone => None,
        })
        .collect();
    if !bad.is_empty() {
        let names = listed(bad.iter().map(String::as_str));
        let message = format!("{} says that these are not done: {names}. Nothing was registered", tool.as_str());
        return Err(Error::new(ErrorKind::Refused, message)
            .with_hint(format!("repair them with {}, then run the same command again", tool.as_str())));
    }
    let known = standing::all(migrations, view);
    let (mut rows, mut steps, mut taken) = (Vec::new(), Vec::new(), Vec::new());
    for theirs in records {
        let row = |ours: Option<&Standing<'_, '_>>, how| AdoptedRow {
            theirs: theirs.name.clone(),
            at: theirs.at,
            ours: ours.map(|standing| standing.migration.stem().to_owned()),
            how,
            is_registered: ours.is_some_and(|standing| standing.entry().is_some()),
        };
        if theirs.outcome == Outcome::Undone {
            rows.push(row(None, Match::Undone));
            continue;
        }
        let matched: Vec<(&Standing<'m, '_>, Match)> = matched(theirs, &known.files)
            .into_iter()
            .filter(|(standing, _)| !taken.contains(&standing.migration.name()))
            .collect();
        let is_there = |(_, how): &(_, Match)| *how != Match::Lower;
        if !matched.iter().any(is_there) {
            rows.push(row(None, Match::Nothing));
        }
        for (standing, how) in matched {
            taken.push(standing.migration.name());
            rows.push(row(Some(standing), how));
            if standing.is_half_done {
                return Err(Error::of_remarks(ErrorKind::Undecided, advice::decision_needed(standing)));
            }
            if standing.entry().is_none() {
                steps.push(step(standing, theirs, tool, collection));
            }
        }
    }
    steps.sort_by(|a, b| {
        let key = |step: &Step<'m>| (step.migration.subject().number.to_owned(), step.migration.name().to_owned());
        let ((a, a_name), (b, b_name)) = (key(a), key(b));
        file_name::compare(&a, &b).then_with(|| a_name.cmp(&b_name))
    });
    Ok(Adoption { plan: Plan { steps, warnings: Vec::new() }, rows })
}

fn step<'m>(standing: &Standing<'m, '_>, theirs: &Theirs, tool: Tool, collection: &str) -> Step<'m> {
    Step {
        migration: Of::File(standing.migration),
        direction: Direction::Adopt,
        before: standing.effective(),
        was_in_up: standing.was_in_up,
        runs_again: None,
        may_have_marks: standing.attempt.is_some(),
        registered: Vec::new(),
        registered_as: None,
        adopted: Some(Adopted {
            tool: tool.as_str(),
            collection: collection.to_owned(),
            name: theirs.name.clone(),
            at: theirs.at,
            who: theirs.who.clone(),
            place: theirs.place.clone(),
            took: theirs.took,
        }),
        again: None,
        look: Look::of(standing.state),
    }
}

/// Our migrations that a record is about.
fn matched<'k, 'm, 'v>(theirs: &Theirs, files: &'k [Standing<'m, 'v>]) -> Vec<(&'k Standing<'m, 'v>, Match)> {
    let names: Vec<String> = std::iter::once(&theirs.name)
        .chain(&theirs.other_names)
        .flat_map(|name| [plain(file_name::stem(name)), plain(name)])
        .collect();
    if let Some(standing) = files.iter().find(|standing| names.contains(&plain(standing.migration.stem()))) {
        return vec![(standing, Match::Name)];
    }
    // Some tools name migrations by a hash or a word, and the file here has a number before that.
    let slug = |standing: &Standing<'_, '_>| {
        let stem = standing.migration.stem();
        plain(stem.strip_prefix(standing.migration.number()).unwrap_or(stem).trim_start_matches('_'))
    };
    let of_slug: Vec<_> = files.iter().filter(|standing| names.contains(&slug(standing))).collect();
    if let [standing] = of_slug[..] {
        return vec![(standing, Match::Name)];
    }
    let Some(number) = number(&theirs.name) else { return Vec::new() };
    let compared = |standing: &Standing<'_, '_>| file_name::compare(standing.migration.number(), number);
    let same: Vec<_> = files.iter().filter(|standing| compared(standing).is_eq()).collect();
    let lower = files.iter().filter(|standing| theirs.covers_lower && compared(standing).is_lt());
    let lower = lower.map(|standing| (standing, Match::Lower));
    match same[..] {
        [standing] => lower.chain([(standing, Match::Number)]).collect(),
        // With several, it is not known which one is meant.
        _ if !theirs.covers_lower => Vec::new(),
        _ => lower.chain(same.into_iter().map(|standing| (standing, Match::Number))).collect(),
    }
}

/// A name with what file names here may have: tools differ in `-` and `_`, and in capital letters.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
}

/// The digits that a name begins with, unless they are the beginning of a word such as a hash.
fn number(name: &str) -> Option<&str> {
    let digits = &name[..name.bytes().take_while(u8::is_ascii_digit).count()];
    let is_word = name[digits.len()..].starts_with(|c: char| c.is_alphanumeric());
    (!digits.is_empty() && !is_word).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::plan::tests::{entry, migration, view};

    fn adopt(tool: Tool, records: &[Theirs]) -> Result<(Vec<String>, Vec<String>), Error> {
        let migrations = [migration("0001_add_users"), migration("0002_slugs"), migration("0010_last")];
        let view = view(&[entry("0002_slugs.rs")]);
        let adoption = make((tool, "theirs"), records, &migrations, &view)?;
        let steps = adoption.plan.steps.iter().map(|step| step.migration.stem().to_owned()).collect();
        Ok((steps, adoption.unmatched().into_iter().map(str::to_owned).collect()))
    }

    fn done(name: &str) -> Theirs {
        Theirs { name: name.into(), ..Theirs::default() }
    }

    #[test]
    fn by_stem_else_by_number_and_what_is_registered_stays() {
        let records =
            [done("0010-Last.js"), done("1-something-else.js"), done("0002-slugs.js"), done("77-x.js"), done("10ab")];
        let (steps, unmatched) = adopt(Tool::MigrateMongo, &records).unwrap();
        assert_eq!(steps, ["0001_add_users", "0010_last"]);
        assert_eq!(unmatched, ["77-x.js", "10ab"]);
        let named = Theirs { other_names: vec!["add users".into()], ..done("6aa16d4bf1fb") };
        assert_eq!(adopt(Tool::Mongomig, &[named]).unwrap().0, ["0001_add_users"]);
        // Only one of theirs is one of ours.
        assert_eq!(adopt(Tool::MigrateMongo, &[done("1"), done("01")]).unwrap().1, ["01"]);
    }

    #[test]
    fn a_version_stands_for_all_up_to_it() {
        let version = |name: &str| Theirs { covers_lower: true, ..done(name) };
        assert_eq!(adopt(Tool::GolangMigrate, &[version("10")]).unwrap().0, ["0001_add_users", "0010_last"]);
        assert_eq!(adopt(Tool::GolangMigrate, &[version("7")]).unwrap(), (vec!["0001_add_users".into()], vec!["7".into()]));
    }

    #[test]
    fn what_failed_is_refused_by_name_and_what_was_undone_is_left_out() {
        let bad = Theirs { outcome: Outcome::Bad("dirty".into()), ..done("10") };
        let error = adopt(Tool::GolangMigrate, &[bad]).unwrap_err();
        assert_eq!(error.exit_code(), 3);
        assert!(error.to_string().contains("`10 (dirty)`"), "{error}");
        let undone = Theirs { outcome: Outcome::Undone, ..done("0001_add_users") };
        assert_eq!(adopt(Tool::PymongoMigrate, &[undone]).unwrap(), (vec![], vec![]));
    }
}
