//! Whether the user may do what a restore does, as the server says before anything is changed.

use std::collections::BTreeMap;

use mongodb::Database;
use mongodb::bson::{Document, doc};

use crate::dump::catalog::BUCKETS;
use crate::error::Error;

/// How many collections a message names for each action.
const NAMED: usize = 5;

/// Actions on a collection that are needed: all of one of these lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Need {
    pub(super) collection: String,
    pub(super) ways: Vec<Vec<&'static str>>,
}

impl Need {
    pub(super) fn all(collection: &str, actions: &[&'static str]) -> Self {
        Self { collection: collection.to_owned(), ways: vec![actions.to_vec()] }
    }

    /// Returns the actions that the user lacks.
    fn missing(&self, privileges: &[Document], database: &str) -> Vec<&'static str> {
        let lacks = |way: &Vec<&'static str>| -> Vec<&'static str> {
            let is_granted =
                |action: &str| privileges.iter().any(|privilege| grants(privilege, database, &self.collection, action));
            way.iter().copied().filter(|action| !is_granted(action)).collect()
        };
        self.ways.iter().map(lacks).min_by_key(Vec::len).unwrap_or_default()
    }
}

/// An error that names what the user may not do. Where the server does not check rights, or does not say them, there is none.
pub(super) async fn check(database: &Database, needs: &[Need]) -> Result<(), Error> {
    let Ok(status) = database.run_command(doc! { "connectionStatus": 1, "showPrivileges": true }).await else {
        return Ok(());
    };
    let Ok(info) = status.get_document("authInfo") else { return Ok(()) };
    let documents = |key: &str| -> Option<Vec<Document>> {
        let array = info.get_array(key).ok()?;
        Some(array.iter().filter_map(|value| value.as_document().cloned()).collect())
    };
    match (documents("authenticatedUsers"), documents("authenticatedUserPrivileges")) {
        (Some(users), Some(privileges)) if !users.is_empty() => refuse_missing(needs, &privileges, database.name()),
        _ => Ok(()),
    }
}

fn refuse_missing(needs: &[Need], privileges: &[Document], database: &str) -> Result<(), Error> {
    let mut missing: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for need in needs {
        for action in need.missing(privileges, database) {
            let collections = missing.entry(action).or_default();
            if !collections.contains(&need.collection.as_str()) {
                collections.push(&need.collection);
            }
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let needs_buckets = missing.values().flatten().any(|collection| collection.starts_with(BUCKETS));
    let lines = missing.into_iter().map(|(action, collections)| {
        let named: Vec<String> = collections.iter().take(NAMED).map(|name| format!("{database}.{name}")).collect();
        let more =
            if collections.len() > NAMED { format!(" and {} more", collections.len() - NAMED) } else { String::new() };
        format!("`{action}` on {}{more}", named.join(", "))
    });
    let lines: Vec<String> = lines.collect();
    let role = if needs_buckets {
        "the role `restore` of the database admin (it has the right to write the data of time-series collections)".to_owned()
    } else {
        format!("the role `dbOwner` of {database}, or `restore` of the database admin")
    };
    Err(Error::failed(format!("the user may not do what the restore needs: {}. Nothing was changed", lines.join("; ")))
        .with_hint(format!("grant the user {role}")))
}

/// Whether a privilege allows an action on a collection.
fn grants(privilege: &Document, database: &str, collection: &str, action: &str) -> bool {
    let actions = privilege.get_array("actions").into_iter().flatten().filter_map(|action| action.as_str());
    let Ok(resource) = privilege.get_document("resource") else { return false };
    is_meant(resource, database, collection)
        && actions.into_iter().any(|granted| granted == action || granted == "anyAction")
}

/// Whether a resource of a privilege includes a collection. An empty name stands for all, but not for the server's own collections.
fn is_meant(resource: &Document, database: &str, collection: &str) -> bool {
    if resource.get_bool("anyResource").unwrap_or(false) {
        return true;
    }
    let is_database = resource.get_str("db").map_or(true, |db| db.is_empty() || db == database);
    if let Ok(buckets) = resource.get_str("system_buckets") {
        let of = collection.strip_prefix(BUCKETS);
        return is_database && of.is_some_and(|of| buckets.is_empty() || buckets == of);
    }
    match resource.get_str("collection") {
        Ok("") => resource.contains_key("db") && is_database && !collection.starts_with("system."),
        Ok(name) => resource.contains_key("db") && is_database && name == collection,
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn privilege(resource: Document, actions: &[&str]) -> Document {
        doc! { "resource": resource, "actions": actions }
    }

    #[test]
    fn resources_include_what_the_server_says() {
        let all = ["notes", "system.js", "system.buckets.weather", "system.buckets.other"];
        let cases: [(Document, &[&str]); 10] = [
            (doc! { "anyResource": true }, &all),
            (doc! { "cluster": true }, &[]),
            (doc! { "db": "", "collection": "" }, &["notes"]),
            (doc! { "db": "blog", "collection": "" }, &["notes"]),
            (doc! { "db": "other", "collection": "" }, &[]),
            (doc! { "db": "blog", "collection": "system.js" }, &["system.js"]),
            (doc! { "db": "", "collection": "notes" }, &["notes"]),
            (doc! { "system_buckets": "" }, &all[2..]),
            (doc! { "db": "blog", "system_buckets": "weather" }, &all[2..3]),
            (doc! { "db": "other", "system_buckets": "" }, &[]),
        ];
        for (resource, expected) in cases {
            let meant: Vec<_> = all.into_iter().filter(|name| is_meant(&resource, "blog", name)).collect();
            assert_eq!(meant, expected, "{resource}");
        }
    }

    #[test]
    fn what_is_missing_is_named_with_its_collection() {
        let read_write = privilege(doc! { "db": "blog", "collection": "" }, &["insert", "dropCollection"]);
        let needs = [
            Need::all("notes", &["insert", "bypassDocumentValidation"]),
            Need::all("strict", &["bypassDocumentValidation"]),
            Need { collection: "posts".into(), ways: vec![vec!["find", "update"], vec!["insert"]] },
        ];
        let refused =
            |needs: &[Need], privileges: &[Document]| refuse_missing(needs, privileges, "blog").map_err(|e| e.to_string());
        assert_eq!(
            refused(&needs, std::slice::from_ref(&read_write)),
            Err("the user may not do what the restore needs: `bypassDocumentValidation` on blog.notes, blog.strict. Nothing was \
                 changed"
                .into())
        );
        let any = privilege(doc! { "anyResource": true }, &["anyAction"]);
        assert_eq!(refused(&needs, &[any]), Ok(()));
        let many: Vec<Need> = (0..8).map(|number| Need::all(&format!("c{number}"), &["find"])).collect();
        let error = refused(&many, &[read_write]).unwrap_err();
        assert!(error.contains("`find` on blog.c0, blog.c1, blog.c2, blog.c3, blog.c4 and 3 more."), "{error}");
    }
}
