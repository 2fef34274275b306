//! What a restore does with each collection of the dump and of the database. Pure.

use super::choice::Choice;
use super::definition;
use super::functions::Functions;
use super::rights::Need;
use super::views;
use crate::dump::catalog::{BUCKETS, Collection, FUNCTIONS, Kind};
use crate::dump::temporary;
use crate::dump::verify::{Part, Verified};
use crate::error::Error;
use crate::store::{LOCK, LOG};

/// The longest name of a collection with that of its database, in bytes.
const LONGEST: usize = 255;

/// Which of the tool's own collections a restore leaves unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// None of them: the server is a throwaway.
    Nothing,
    /// The lock, which the restore holds, and the log, which records what was really run.
    LockAndLog,
}

impl Keep {
    fn keeps(self, collection: &str) -> bool {
        self == Self::LockAndLog && (collection == LOCK || collection == LOG)
    }
}

/// How the collections of the dump get into the place of the present ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They are loaded under temporary names and then renamed.
    Renamed,
    /// The present ones are dropped first, so that there need not be room for both.
    InPlace,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) choice: Choice,
    pub(crate) mode: Mode,
    pub(crate) keep: Keep,
}

impl Wanted {
    /// The task as on the command line.
    pub(crate) fn task(&self, dump: &str) -> String {
        let only = self.choice.names().map(|names| format!(",only={}", names.join("+"))).unwrap_or_default();
        let in_place = if self.mode == Mode::InPlace { ",inplace=yes" } else { "" };
        format!("restore:{dump}{only}{in_place}")
    }
}

/// What is done.
#[derive(Debug)]
pub(super) struct Plan<'d> {
    /// What is concerned: nothing else of the database is touched.
    pub(super) choice: Choice,
    /// Everything that is restored, in order of the names.
    pub(super) parts: Vec<&'d Part>,
    /// Collections that are loaded under a temporary name and then renamed.
    pub(super) renamed: Vec<&'d Part>,
    /// Collections that are created under their own name, last.
    pub(super) in_place: Vec<&'d Part>,
    /// Views to create, each after the one that it is defined on.
    pub(super) views: Vec<&'d Part>,
    pub(super) functions: Functions<'d>,
    /// What is dropped before anything is renamed or created: what the dump does not have, and what a server does not replace when
    /// it renames a collection.
    pub(super) dropped: Vec<Collection>,
}

impl<'d> Plan<'d> {
    pub(super) fn new(dump: &'d Verified, existing: &[Collection], wanted: &Wanted, database: &str) -> Result<Self, Error> {
        let Wanted { choice, mode, keep } = wanted;
        choice.check(&dump.parts)?;
        let choice = choice.within(dump);
        let is_concerned = |name: &str| {
            !keep.keeps(name) && choice.includes(name) && !dump.vanished.contains(name) && !temporary::is_temporary(name)
        };
        let parts: Vec<&Part> = dump.parts.iter().filter(|part| is_concerned(&part.collection.name)).collect();
        let existing: Vec<&Collection> = existing.iter().filter(|existing| is_concerned(&existing.name)).collect();
        check_lengths(&parts, database)?;
        let part_of = |existing: &Collection| parts.iter().find(|part| part.collection.name == existing.name);
        let is_there = |part: &&Part| {
            let same = |existing: &&Collection| {
                existing.name == part.collection.name && existing.options == part.collection.options
            };
            existing.iter().filter(|existing| existing.kind == Kind::View).any(same)
        };
        let is_view = |part: &Part| part.collection.kind == Kind::View;
        let is_renamed = |part: &Part| *mode == Mode::Renamed && definition::can_be_renamed(&part.collection);

        let functions = match parts.iter().find(|part| part.collection.name == FUNCTIONS) {
            Some(part) => Functions::Replaced(part),
            None if existing.iter().any(|existing| existing.name == FUNCTIONS) => Functions::Removed,
            None => Functions::Kept,
        };
        let mut dropped: Vec<Collection> = existing
            .iter()
            .filter(|existing| existing.name != FUNCTIONS)
            .filter(|existing| match part_of(existing) {
                Some(part) if is_view(part) => !is_there(part),
                Some(part) => existing.kind != Kind::Collection || !is_renamed(part),
                None => true,
            })
            .map(|existing| (*existing).clone())
            .collect();
        dropped.sort_by_key(|existing| existing.kind != Kind::View);
        let data = parts.iter().copied().filter(|part| !is_view(part) && part.collection.name != FUNCTIONS);
        let (renamed, in_place) = data.partition(|part| is_renamed(part));
        // All views are looked at, so that a circle is found even if some of it is there already.
        let mut views = views::ordered(parts.iter().copied().filter(|part| is_view(part)).collect())?;
        views.retain(|view| !is_there(view));
        Ok(Self { choice, parts, renamed, in_place, views, functions, dropped })
    }

    /// How many bytes of documents it loads.
    pub(super) fn bytes(&self) -> u64 {
        self.renamed.iter().chain(&self.in_place).map(|part| part.bytes).sum()
    }

    pub(super) fn documents(&self) -> u64 {
        self.parts.iter().map(|part| part.documents).sum()
    }

    /// The temporary name of one of its collections.
    pub(super) fn temporary_name(&self, database: &str, restore: i64, name: &str) -> String {
        let number = self.parts.iter().position(|part| part.collection.name == name).unwrap_or(self.parts.len());
        temporary::name(database, restore, number, name)
    }

    /// The rights that it needs.
    pub(super) fn needs(&self, database: &str) -> Vec<Need> {
        let mut needs = Vec::new();
        for part in self.renamed.iter().chain(&self.in_place).chain(&self.views) {
            let collection = &part.collection;
            let is_renamed = self.renamed.iter().any(|renamed| std::ptr::eq(*renamed, *part));
            let mut actions = vec![if collection.kind == Kind::View { "createCollection" } else { "insert" }];
            if !definition::indexes(collection).is_empty() {
                actions.push("createIndex");
            }
            let mut temporary = actions.clone();
            temporary.push("dropCollection");
            if is_renamed {
                temporary.push("find");
            }
            if definition::has_validator(collection) && part.documents > 0 {
                if is_renamed { &mut temporary } else { &mut actions }.push("bypassDocumentValidation");
            }
            needs.push(Need::all(&self.temporary_name(database, 0, &collection.name), &temporary));
            if is_renamed {
                // A server allows a rename to users of either kind.
                let ways =
                    vec![vec!["insert", "createIndex", "dropCollection"], vec!["renameCollectionSameDB", "dropCollection"]];
                needs.push(Need { collection: collection.name.clone(), ways });
            } else {
                needs.push(Need::all(&collection.name, &actions));
            }
            if collection.kind == Kind::TimeSeries && part.documents > 0 {
                needs.push(Need::all(&format!("{BUCKETS}{}", collection.name), &["insert"]));
            }
        }
        needs.extend(self.dropped.iter().map(|existing| Need::all(&existing.name, &["dropCollection"])));
        needs.extend(match self.functions {
            Functions::Kept => None,
            Functions::Removed => Some(Need::all(FUNCTIONS, &["remove"])),
            Functions::Replaced(_) => Some(Need::all(FUNCTIONS, &["insert", "update", "remove"])),
        });
        needs
    }
}

fn check_lengths(parts: &[&Part], database: &str) -> Result<(), Error> {
    let length = |part: &&&Part| database.len() + 1 + part.collection.data().unwrap_or_default().len();
    match parts.iter().find(|part| length(part) > LONGEST) {
        Some(part) => Err(Error::failed(format!(
            "the name of the collection {} is too long for the database {database}: a server allows {LONGEST} bytes for both",
            part.collection.name
        ))
        .with_hint("restore into a database with a shorter name (`to=`)")),
        None => Ok(()),
    }
}

#[cfg(test)]
pub(in crate::dump::load) mod tests {
    use mongodb::bson::{Document, doc};

    use super::*;

    pub(in crate::dump::load) fn part(name: &str) -> Part {
        let collection =
            Collection { name: name.into(), kind: Kind::Collection, options: doc! {}, uuid: None, indexes: Vec::new() };
        Part { collection, data: None, documents: 1, bytes: 10 }
    }

    fn of_kind(name: &str, kind: Kind, options: Document) -> Part {
        let mut part = part(name);
        (part.collection.kind, part.collection.options) = (kind, options);
        part
    }

    fn existing(name: &str, kind: Kind, options: Document) -> Collection {
        Collection { name: name.into(), kind, options, uuid: None, indexes: Vec::new() }
    }

    fn dump(parts: Vec<Part>, is_partial: bool) -> Verified {
        Verified::of_parts(parts, is_partial)
    }

    fn wanted(only: Option<&str>, mode: Mode) -> Wanted {
        Wanted { choice: Choice::read(only).unwrap(), mode, keep: Keep::LockAndLog }
    }

    fn names(parts: &[&Part]) -> Vec<String> {
        parts.iter().map(|part| part.collection.name.clone()).collect()
    }

    fn dropped(plan: &Plan<'_>) -> Vec<String> {
        plan.dropped.iter().map(|existing| existing.name.clone()).collect()
    }

    #[test]
    fn collections_are_renamed_and_only_what_is_in_their_way_is_dropped() {
        let on = |name: &str| doc! { "viewOn": name };
        let dump = dump(
            vec![
                part("migrations"),
                part("migrations_lock"),
                part("migrations_restore.1.2.posts"),
                of_kind("same", Kind::View, on("posts")),
                of_kind("other", Kind::View, on("posts")),
                part("posts"),
                part("was_a_view"),
                of_kind("weather", Kind::TimeSeries, doc! {}),
                of_kind("secret", Kind::Collection, doc! { "encryptedFields": {} }),
            ],
            false,
        );
        let there = [
            existing("gone", Kind::Collection, doc! {}),
            existing("migrations_log", Kind::Collection, doc! {}),
            existing("other", Kind::View, on("users")),
            existing("posts", Kind::Collection, doc! { "capped": true }),
            existing("same", Kind::View, on("posts")),
            existing("secret", Kind::Collection, doc! {}),
            existing("system.js", Kind::Collection, doc! {}),
            existing("was_a_view", Kind::View, on("posts")),
            existing("weather", Kind::Collection, doc! {}),
        ];
        let plan = Plan::new(&dump, &there, &wanted(None, Mode::Renamed), "blog").unwrap();
        assert_eq!(names(&plan.renamed), ["migrations", "posts", "was_a_view"]);
        assert_eq!(names(&plan.in_place), ["weather", "secret"]);
        assert_eq!(names(&plan.views), ["other"]);
        assert_eq!(dropped(&plan), ["other", "was_a_view", "gone", "secret", "weather"]);
        assert!(matches!(plan.functions, Functions::Removed));

        let plan = Plan::new(&dump, &there, &wanted(None, Mode::InPlace), "blog").unwrap();
        assert_eq!((names(&plan.renamed).len(), names(&plan.in_place).len()), (0, 5));
        assert_eq!(dropped(&plan), ["other", "was_a_view", "gone", "posts", "secret", "weather"]);

        let plan = Plan::new(&dump, &there, &wanted(Some("posts+other"), Mode::Renamed), "blog").unwrap();
        assert_eq!((names(&plan.renamed), names(&plan.views)), (vec!["posts".into()], vec!["other".to_owned()]));
        assert_eq!(dropped(&plan), ["other"]);
        assert!(matches!(plan.functions, Functions::Kept));
    }

    #[test]
    fn a_part_of_a_database_drops_nothing_else() {
        let there = [
            existing("posts", Kind::Collection, doc! { "capped": true }),
            existing("system.js", Kind::Collection, doc! {}),
            existing("users", Kind::Collection, doc! {}),
            existing("view", Kind::View, doc! { "viewOn": "users" }),
        ];
        for mode in [Mode::Renamed, Mode::InPlace] {
            let plan = |is_partial, only| {
                let dump = dump(vec![part("migrations_log"), part("posts"), part("tags")], is_partial);
                let plan = Plan::new(&dump, &there, &wanted(only, mode), "blog").unwrap();
                let is_kept = matches!(plan.functions, Functions::Kept);
                (dropped(&plan), is_kept, plan.choice.names().map(<[_]>::to_vec))
            };
            let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
            let in_place = if mode == Mode::InPlace { names(&["posts"]) } else { names(&[]) };
            assert_eq!(plan(true, None), (in_place.clone(), true, Some(names(&["posts", "tags"]))));
            assert_eq!(plan(true, Some("posts")), (in_place.clone(), true, Some(names(&["posts"]))));
            let all = [names(&["view"]), in_place, names(&["users"])].concat();
            assert_eq!(plan(false, None), (all, false, None));
        }
    }

    #[test]
    fn what_could_not_be_dumped_is_not_dropped() {
        let there = ["posts", "users", "vanished"].map(|name| existing(name, Kind::Collection, doc! {}));
        let mut dump = dump(vec![part("posts")], false);
        dump.vanished.insert("vanished".to_owned());
        let plan = Plan::new(&dump, &there, &wanted(None, Mode::Renamed), "blog").unwrap();
        assert_eq!(dropped(&plan), ["users"]);
    }

    #[test]
    fn rights_are_needed_only_for_what_is_done() {
        let needs = |part: Part| {
            let dump = dump(vec![part], false);
            Plan::new(&dump, &[], &wanted(None, Mode::Renamed), "blog").unwrap().needs("blog")
        };
        let plain = needs(part("posts"));
        assert_eq!(plain[0], Need::all("migrations_restore.0.0.posts", &["insert", "dropCollection", "find"]));
        assert_eq!((plain.len(), plain[1].collection.as_str()), (2, "posts"));
        let strict = needs(of_kind("strict", Kind::Collection, doc! { "validator": { "a": 1 } }));
        assert!(strict[0].ways[0].contains(&"bypassDocumentValidation"), "{strict:?}");
        let weather = needs(of_kind("weather", Kind::TimeSeries, doc! {}));
        assert_eq!(weather.last(), Some(&Need::all("system.buckets.weather", &["insert"])));
    }

    #[test]
    fn a_name_that_is_too_long_for_the_database_is_refused() {
        let dump = dump(vec![part(&"x".repeat(250))], false);
        assert!(Plan::new(&dump, &[], &wanted(None, Mode::Renamed), "blog").is_ok());
        assert!(Plan::new(&dump, &[], &wanted(None, Mode::Renamed), "blogs").is_err());
    }
}
