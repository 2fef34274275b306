//! The right that a user lacks, read from the server's refusal:
//! `not authorized on blog to execute command { insert: "posts", ordered: true, … }`.

use std::collections::BTreeSet;

/// What a command needs.
#[derive(Debug, PartialEq)]
struct Lacking<'t> {
    database: &'t str,
    command: &'t str,
    /// The collections that the command is about. Empty if it is about the database, or the cluster.
    collections: BTreeSet<&'t str>,
    actions: Vec<&'t str>,
    role: Option<&'static str>,
}

/// The refusal in plain words: which action on which collection is refused, and what to grant. `None` if the text has another form.
pub(super) fn explained(message: &str) -> Option<String> {
    let Lacking { database, command, collections, actions, role } = read(message)?;
    let on: Vec<String> = collections.iter().map(|name| format!("{database}.{name}")).collect();
    let (on, is_cluster) = if on.is_empty() { (database.to_owned(), role == Some(CLUSTER)) } else { (on.join(", "), false) };
    let privileges: Vec<String> = if is_cluster {
        vec![on_resource("{ cluster: true }", &actions)]
    } else if collections.is_empty() {
        vec![privilege(database, None, &actions)]
    } else {
        collections.iter().map(|name| privilege(database, Some(name), &actions)).collect()
    };
    let where_role = if role == Some(CLUSTER) { "admin" } else { database };
    let role = role.map(|role| format!("the role {role} on {where_role}, or ")).unwrap_or_default();
    Some(format!(
        "not authorized on {database}: the command `{command}` needs {} on {on} (Unauthorized): grant the user {role}the privilege {}",
        actions.join(" and "),
        privileges.join(" and ")
    ))
}

/// What to grant, as the shell writes it. `None` stands for all of the database.
pub(crate) fn privilege(database: &str, collection: Option<&str>, actions: &[&str]) -> String {
    on_resource(&format!("{{ db: {database:?}, collection: {:?} }}", collection.unwrap_or_default()), actions)
}

fn on_resource(resource: &str, actions: &[&str]) -> String {
    let list = actions.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    format!("{{ resource: {resource}, actions: [{list}] }}")
}

const CLUSTER: &str = "clusterMonitor";

fn read(message: &str) -> Option<Lacking<'_>> {
    let (database, rest) = message.strip_prefix("not authorized on ")?.split_once(" to execute command ")?;
    let rest = rest.trim_start().strip_prefix('{')?.trim_start();
    let (command, rest) = rest.split_once(':')?;
    let collection = quoted(rest.trim_start());
    let mut collections: BTreeSet<&str> = collection.into_iter().collect();
    let has = |what: &str| rest.contains(what);
    let actions = match command {
        _ if has("bypassDocumentValidation: true") => vec!["bypassDocumentValidation"],
        "insert" => vec!["insert"],
        "update" if has("upsert: true") => vec!["insert", "update"],
        "update" => vec!["update"],
        "delete" => vec!["remove"],
        "findAndModify" if has("remove: true") => vec!["find", "remove"],
        "findAndModify" if has("upsert: true") => vec!["find", "insert", "update"],
        "findAndModify" => vec!["find", "update"],
        "aggregate" if has("$out: ") => vec!["find", "insert", "remove"],
        "aggregate" if has("$merge: ") => vec!["find", "insert", "update"],
        "find" | "aggregate" | "count" | "distinct" | "getMore" => vec!["find"],
        "createIndexes" => vec!["createIndex"],
        "dropIndexes" => vec!["dropIndex"],
        "create" => vec!["createCollection"],
        "drop" => vec!["dropCollection"],
        // The others are called as their action is.
        other => vec![other],
    };
    if command == "aggregate" {
        for key in ["from: ", "coll: ", "into: ", "$out: "] {
            collections.extend(rest.split(key).skip(1).filter_map(quoted));
        }
    }
    let role = role(&actions);
    Some(Lacking { database, command, collections, actions, role })
}

/// The text between the quotes that it begins with.
fn quoted(text: &str) -> Option<&str> {
    text.strip_prefix('"')?.split('"').next()
}

/// The built-in role that has all of these actions.
fn role(actions: &[&str]) -> Option<&'static str> {
    const READ: &[&str] = &["find", "listCollections", "listIndexes", "collStats", "dbStats", "dbHash"];
    const WRITE: &[&str] = &[
        "insert",
        "update",
        "remove",
        "createIndex",
        "dropIndex",
        "createCollection",
        "dropCollection",
        "convertToCapped",
        "renameCollectionSameDB",
    ];
    const ADMIN: &[&str] = &["collMod", "validate", "dropDatabase", "bypassDocumentValidation", "compact"];
    const OF_CLUSTER: &[&str] = &["replSetGetStatus", "replSetGetConfig", "serverStatus", "listDatabases", "getParameter"];
    let all_in = |set: &[&[&str]]| actions.iter().all(|action| set.iter().any(|part| part.contains(action)));
    if all_in(&[READ]) {
        Some("read")
    } else if all_in(&[READ, WRITE]) {
        Some("readWrite")
    } else if all_in(&[ADMIN]) {
        Some("dbAdmin")
    } else if all_in(&[OF_CLUSTER]) {
        Some(CLUSTER)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_action_the_collection_and_what_to_grant() {
        let text = r#"not authorized on blog to execute command { insert: "migrations", ordered: true, $db: "blog" }"#;
        assert_eq!(
            explained(text).unwrap(),
            "not authorized on blog: the command `insert` needs insert on blog.migrations (Unauthorized): grant the user the role \
             readWrite on blog, or the privilege { resource: { db: \"blog\", collection: \"migrations\" }, actions: [\"insert\"] }"
        );
        let text = r#"not authorized on admin to execute command { replSetGetStatus: 1, $db: "admin" }"#;
        assert_eq!(
            explained(text).unwrap(),
            "not authorized on admin: the command `replSetGetStatus` needs replSetGetStatus on admin (Unauthorized): grant the user \
             the role clusterMonitor on admin, or the privilege { resource: { cluster: true }, actions: [\"replSetGetStatus\"] }"
        );
        assert_eq!(explained("command aggregate requires authentication"), None);
    }

    #[test]
    fn each_command_needs_its_actions() {
        let read = |command: &str| {
            let text = format!("not authorized on b to execute command {{ {command} }}");
            let lacking = read(&text).unwrap();
            (lacking.collections.iter().copied().collect::<Vec<_>>().join(","), lacking.actions.join(","), lacking.role)
        };
        let cases = [
            (r#"update: "a", updates: [ { q: {}, u: {}, upsert: true } ]"#, "a", "insert,update", Some("readWrite")),
            (r#"delete: "a""#, "a", "remove", Some("readWrite")),
            (r#"find: "a""#, "a", "find", Some("read")),
            (r#"findAndModify: "a", update: {}"#, "a", "find,update", Some("readWrite")),
            (r#"aggregate: "a", pipeline: [ { $unionWith: { coll: "b" } } ]"#, "a,b", "find", Some("read")),
            (r#"aggregate: "a", pipeline: [ { $merge: { into: "c" } } ]"#, "a,c", "find,insert,update", Some("readWrite")),
            (r#"insert: "a", bypassDocumentValidation: true"#, "a", "bypassDocumentValidation", Some("dbAdmin")),
            (r#"createIndexes: "a""#, "a", "createIndex", Some("readWrite")),
            (r#"collMod: "a""#, "a", "collMod", Some("dbAdmin")),
            ("dropDatabase: 1", "", "dropDatabase", Some("dbAdmin")),
            ("shutdown: 1", "", "shutdown", None),
        ];
        for (command, collections, actions, role) in cases {
            assert_eq!(read(command), (collections.to_owned(), actions.to_owned(), role), "{command}");
        }
    }
}
