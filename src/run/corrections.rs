//! Steps that correct the registry and run no code: accepting a new name or new code of a file, and forgetting a migration whose file
//! is gone. Pure.

use std::collections::BTreeMap;

use super::advice;
use super::standing::{Known, Standing};
use super::step::{Gone, Look, Of, Step};
use crate::error::{Error, ErrorKind};
use crate::line::program::program;
use crate::line::words::{listed, shortened};
use crate::migration::names;
use crate::model::{Direction, State, file_name};
use crate::store::{Attempt, Entry, View};

/// The step that stores the name and the checksum that a file has now. `None` if the registry has them already.
pub(super) fn accept<'m>(standing: &Standing<'m, '_>, known: &Known<'_, '_>) -> Result<Option<Step<'m>>, Error> {
    let (migration, program) = (standing.migration, program());
    let (name, before) = (migration.stem(), standing.effective());
    let step = |entry: &Entry, registered_as| Step {
        migration: Of::File(migration),
        direction: Direction::Accept,
        before,
        was_in_up: standing.was_in_up,
        runs_again: None,
        may_have_marks: false,
        registered: entry.as_read().into_iter().collect(),
        registered_as,
        again: None,
        adopted: None,
        look: Look { is_changed: standing.is_changed(), ..Look::of(standing.state) },
    };
    if let (State::Registered | State::Ignored, Some(entry)) = (before, standing.entry()) {
        return Ok(standing.is_changed().then(|| step(entry, None)));
    }
    if standing.is_half_done {
        return Err(Error::of_remarks(ErrorKind::Undecided, advice::decision_needed(standing)));
    }
    if before == State::Failed {
        return Err(Error::usage(format!("{name} failed and is not registered: there is nothing to accept"))
            .with_hint(format!("fix it and run `{program} execute:{name}`, or use `{program} ignore:{name}`")));
    }
    let same: Vec<&Entry> = known.missing.iter().copied().filter(|entry| advice::is_code_of(entry, migration)).collect();
    match same[..] {
        [] => Err(Error::usage(format!(
            "{name} is not registered, and no registered migration without a file has the same code: there is nothing to accept"
        ))
        .with_hint(format!("`{program}` shows what is registered"))),
        [entry] => {
            let is_it = |attempt: &&&Attempt| file_name::stem(&attempt.name) == file_name::stem(&entry.name);
            if let Some(attempt) = known.interrupted_without_file.iter().find(is_it) {
                return Err(Error::of_remarks(ErrorKind::Undecided, [advice::file_gone(attempt)]));
            }
            Ok(Some(step(entry, Some(entry.name.clone()))))
        }
        _ => {
            let stems: Vec<&str> = same.iter().map(|entry| file_name::stem(&entry.name)).collect();
            let (list, first) = (listed(stems.iter().copied()), stems[0]);
            Err(Error::usage(format!(
                "{list} are registered, have no file, and have the same code as {name}: it is not known which of them it was"
            ))
            .with_hint(format!("use `{program} ignore:{name}`, and then `{program} forget:{first}` for each of them")))
        }
    }
}

/// The step that takes the migration that `word` names out of the registry. Its file must be gone.
pub(super) fn forget(word: &str, known: &Known<'_, '_>, view: &View) -> Result<Step<'static>, Error> {
    // What is registered or interrupted, and has no file, by stem.
    let mut without_file: BTreeMap<&str, (Gone, State)> = BTreeMap::new();
    for entry in &known.missing {
        let (number, checksum) = (entry.number().to_owned(), entry.checksum.clone().unwrap_or_default());
        let gone = Gone { name: entry.name.clone(), number, checksum };
        without_file.insert(file_name::stem(&entry.name), (gone, State::Missing));
    }
    for attempt in &known.interrupted_without_file {
        let number = file_name::leading_number(&attempt.name).to_owned();
        let gone = || Gone { name: attempt.name.clone(), number, checksum: String::new() };
        let (_, state) = without_file.entry(file_name::stem(&attempt.name)).or_insert_with(|| (gone(), State::Missing));
        *state = State::Interrupted;
    }
    let of_gone: Vec<_> =
        without_file.values().filter(|(gone, _)| names::is_named(&gone.name, &gone.number, word)).collect();
    let of_files: Vec<&Standing<'_, '_>> = known
        .files
        .iter()
        .filter(|standing| names::is_named(standing.migration.name(), standing.migration.number(), word))
        .collect();
    match (&of_gone[..], &of_files[..]) {
        (&[(gone, before)], []) => {
            let of_stem = view.entries.iter().filter(|entry| file_name::stem(&entry.name) == file_name::stem(&gone.name));
            Ok(Step {
                migration: Of::Gone(gone.clone()),
                direction: Direction::Forget,
                before: *before,
                was_in_up: false,
                runs_again: None,
                may_have_marks: view
                    .attempts
                    .iter()
                    .any(|attempt| file_name::stem(&attempt.name) == file_name::stem(&gone.name)),
                registered: of_stem.filter_map(Entry::as_read).collect(),
                registered_as: None,
                again: None,
                adopted: None,
                look: Look::of(*before),
            })
        }
        ([], []) => Err(not_gone(word, without_file.keys().copied().collect())),
        ([], [standing, ..]) => Err(has_file(standing)),
        _ => {
            let files = of_files.iter().map(|standing| standing.migration.stem());
            let stems = of_gone.iter().map(|(gone, _)| file_name::stem(&gone.name)).chain(files);
            Err(Error::usage(format!("`{word}` names {}", listed(stems))).with_hint("give the complete name"))
        }
    }
}

fn not_gone(word: &str, without_file: Vec<&str>) -> Error {
    let hint = match without_file[..] {
        [] => format!("`{} show_status` lists what is registered: every registered migration has its file", program()),
        _ => format!("the registered migrations without a file are {}", shortened(&without_file)),
    };
    Error::usage(format!("no migration `{word}` is registered: there is nothing to forget")).with_hint(hint)
}

fn has_file(standing: &Standing<'_, '_>) -> Error {
    let name = standing.migration.stem();
    let error = Error::usage(format!("{name} has a file, and only a migration whose file is gone can be forgotten"));
    error.with_hint(match standing.entry() {
        Some(_) => format!("`{} rollback:{name}` undoes it, and takes it out of the registry", program()),
        None => format!("{name} is not registered: remove its file if it is not to run"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migration::Migration;
    use crate::run::plan::tests::{entry, migration, view};
    use crate::run::standing;

    fn accepted(migrations: &[Migration], entries: &[Entry]) -> Result<Option<String>, Error> {
        let view = view(entries);
        let known = standing::all(migrations, &view);
        accept(known.files.last().unwrap(), &known).map(|step| step.map(|step| step.to_string()))
    }

    fn with_code(code: &str, entry: Entry) -> Entry {
        Entry { checksum: Some(code.into()), ..entry }
    }

    #[test]
    fn new_code_and_a_new_name_are_accepted() {
        let migrations = [migration("1_a"), migration("9_slugs")];
        let edited = [with_code("other", entry("9_slugs.rs"))];
        assert_eq!(accepted(&migrations, &edited).unwrap().as_deref(), Some("accept 9_slugs, edited after it ran  what"));
        let renamed = [with_code("sum", entry("7_slugs.rs")), with_code("sum", entry("1_a.rs"))];
        let plan = accepted(&migrations, &renamed).unwrap();
        assert_eq!(plan.as_deref(), Some("accept 9_slugs, registered as 7_slugs  what"));
        for same in [with_code("sum", entry("9_slugs.rs")), entry("9_slugs.py")] {
            assert_eq!(accepted(&migrations, &[same]).unwrap(), None);
        }
    }

    #[test]
    fn what_cannot_be_accepted_is_an_error_with_a_way_out() {
        let migrations = [migration("9_slugs")];
        let error = accepted(&migrations, &[with_code("other", entry("7_slugs.rs"))]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().starts_with("9_slugs is not registered, and no registered migration"), "{error}");
        let two = ["6_x.rs", "7_slugs.rs"].map(|name| with_code("sum", entry(name)));
        let error = accepted(&migrations, &two).unwrap_err();
        assert!(error.to_string().starts_with("`6_x`, `7_slugs` are registered, have no file"), "{error}");
        let hint = "use `cargo migrations ignore:9_slugs`, and then `cargo migrations forget:6_x` for each of them";
        assert_eq!(error.hint(), Some(hint));
    }

    #[test]
    fn only_what_has_no_file_is_forgotten_with_all_its_documents() {
        let migrations = [migration("1_a"), migration("2_b")];
        let view = view(&[entry("1_a.rs"), entry("7_gone.rs"), entry("7_gone.py"), entry("02_old.py")]);
        let known = standing::all(&migrations, &view);
        let forget = |word| {
            forget(word, &known, &view)
                .map(|step| (step.to_string(), step.registered.len()))
                .map_err(|error| format!("{error} ({})", error.hint().unwrap()))
        };
        for word in ["7", "007", "7_gone", "7_gone.rs"] {
            assert_eq!(forget(word), Ok(("forget 7_gone".into(), 2)), "{word}");
        }
        assert_eq!(forget("02_old"), Ok(("forget 02_old".into(), 1)));
        assert_eq!(forget("2"), Err("`2` names `02_old`, `2_b` (give the complete name)".into()));
        let has_file = "has a file, and only a migration whose file is gone can be forgotten";
        let undo = "`cargo migrations rollback:1_a` undoes it, and takes it out of the registry";
        assert_eq!(forget("1"), Err(format!("1_a {has_file} ({undo})")));
        let not_registered = "2_b is not registered: remove its file if it is not to run";
        assert_eq!(forget("2_b"), Err(format!("2_b {has_file} ({not_registered})")));
        let gone = "the registered migrations without a file are `02_old`, `7_gone`";
        assert_eq!(forget("8_x"), Err(format!("no migration `8_x` is registered: there is nothing to forget ({gone})")));
    }
}
