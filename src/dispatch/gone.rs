//! A migration that the line names and that has no file: whether it is registered, and its file is gone.

use std::rc::Rc;
use std::time::Duration;

use super::check::{Checked, Segment, Unknown};
use crate::context::{Context, Line, Site};
use crate::environment::Route;
use crate::error::{Error, ErrorKind, Remark};
use crate::line::program::program;
use crate::model::file_name;
use crate::mongod::local;
use crate::run::{self, advice, standing};

/// How long the database may take to answer: the error is certain, and this only makes it say more.
const PATIENCE: Duration = Duration::from_secs(5);

/// Fails if a task names a migration that has no file.
pub(super) async fn check<M>(line: &Rc<Line>, segments: &[Segment<'_, M>], sites: &[Rc<Site>]) -> Result<(), Error> {
    for (segment, site) in segments.iter().zip(sites) {
        for checked in &segment.tasks {
            let Some(unknown) = &checked.unknown_migration else { continue };
            let asked = tokio::time::timeout(PATIENCE, registered(line, segment, site, checked, unknown)).await;
            return Err(match asked.ok().flatten() {
                Some(registered) => error(registered.unwrap_or_else(|| unknown.remark.clone())),
                None => without_answer(unknown),
            });
        }
    }
    Ok(())
}

/// The error if a task names a migration that has no file, without asking the database.
pub(super) fn in_line<M>(segments: &[Segment<'_, M>]) -> Option<Error> {
    let mut tasks = segments.iter().flat_map(|segment| &segment.tasks);
    tasks.find_map(|checked| checked.unknown_migration.as_ref().map(without_answer))
}

fn without_answer(unknown: &Unknown) -> Error {
    error(with_missing(unknown.remark.clone(), &unknown.word))
}

fn error(remark: Remark) -> Error {
    Error::of_remarks(ErrorKind::Usage, [remark])
}

/// What to say if the migration is registered. `None` if the database could not be asked.
async fn registered<M>(
    line: &Rc<Line>,
    segment: &Segment<'_, M>,
    site: &Rc<Site>,
    checked: &Checked<'_, M>,
    unknown: &Unknown,
) -> Option<Option<Remark>> {
    // One of several databases says nothing about the others, and another machine is not asked for a name that may be mistyped.
    if segment.environment.is_some_and(|environment| environment.is_many() || matches!(environment.route(), Route::Host(_)))
    {
        return None;
    }
    let cx = Context::new(line, site, &checked.options);
    // No server is started for it.
    if cx.config().local_server && !cx.config().names_a_server() {
        let directory = cx.local_server_directory().ok()?;
        local::running(&directory).await.ok()??;
    }
    let store = cx.store().await.ok()?;
    let view = run::read(&store).await.ok()?;
    let known = standing::all(cx.migrations(), &view);
    Some(advice::gone(&unknown.word, store.database().name(), &known))
}

/// Adds to the hint that the word may name a registered migration whose file is gone.
fn with_missing(remark: Remark, word: &str) -> Remark {
    if !word.split_once('_').is_some_and(|(digits, _)| file_name::is_number(digits)) {
        return remark;
    }
    let hint = remark.hint.unwrap_or_default();
    let stop = if hint.ends_with('?') { "" } else { "." };
    Remark::new(remark.message).with_hint(format!(
        "{hint}{stop} If `{word}` is registered and its file is gone, `{} show_status` lists it as missing",
        program()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_may_have_been_a_files_leads_to_status() {
        let hint = |hint: &str, word| with_missing(Remark::new("no").with_hint(hint), word).hint.unwrap();
        let missing = "is registered and its file is gone, `cargo migrations show_status` lists it as missing";
        assert_eq!(hint("did you mean x?", "0002_slug"), format!("did you mean x? If `0002_slug` {missing}"));
        assert_eq!(hint("write it", "0099_z.rs"), format!("write it. If `0099_z.rs` {missing}"));
        for word in ["77", "_x", "create_users", "a1_b"] {
            assert_eq!(hint("write it", word), "write it");
        }
    }
}
