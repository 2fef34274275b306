//! Which subtasks lack which rights.

use std::collections::BTreeMap;

use mongodb::bson::{Bson, Document, doc};

use super::answer::{NoAnswer, admin};
use crate::error::privilege;
use crate::line::words::listed;
use crate::model::right::{On, Right};
use crate::report::Finding;
use crate::store::{BACKFILLS, LOCK, LOG, Store};

const ABOUT: &str = "rights";

/// The subtask without which the others make little sense.
const NEEDED: &str = "execute";

pub(super) async fn examine(store: &Store, subtasks: &[(&'static str, &'static [Right])]) -> Vec<Finding> {
    match read(store).await {
        Ok(None) => vec![Finding::good(ABOUT, "the connection has no login, so the server checks no rights")],
        Ok(Some((user, privileges))) => findings(store, &user, &privileges, subtasks),
        Err(no_answer) => vec![no_answer.finding(ABOUT)],
    }
}

/// The user, and its privileges. `None` without a login.
async fn read(store: &Store) -> Result<Option<(String, Vec<Document>)>, NoAnswer> {
    let status = admin(store, doc! { "connectionStatus": 1, "showPrivileges": true }).await?;
    let info = status.get_document("authInfo").cloned().unwrap_or_default();
    let documents = |key: &str| -> Vec<Document> {
        info.get_array(key).into_iter().flatten().filter_map(Bson::as_document).cloned().collect()
    };
    let users = documents("authenticatedUsers");
    let Some(user) = users.first() else { return Ok(None) };
    Ok(Some((user.get_str("user").unwrap_or("the user").to_owned(), documents("authenticatedUserPrivileges"))))
}

fn findings(
    store: &Store,
    user: &str,
    privileges: &[Document],
    subtasks: &[(&'static str, &'static [Right])],
) -> Vec<Finding> {
    let names = Names { database: store.database().name(), registry: store.registry_name() };
    let mut by_lack: BTreeMap<String, (Vec<&str>, String)> = BTreeMap::new();
    for (subtask, rights) in subtasks {
        let (text, remedy) = names.lacking(privileges, rights, !store.has_transactions());
        if !text.is_empty() {
            by_lack.entry(text).or_insert_with(|| (Vec::new(), remedy)).0.push(subtask);
        }
    }
    if by_lack.is_empty() {
        return vec![Finding::good(ABOUT, format!("{user} has the rights that each subtask needs"))];
    }
    let finding = |(lack, (subtasks, remedy)): (String, (Vec<&str>, String))| {
        let lacks = if subtasks.len() == 1 { "lacks" } else { "lack" };
        let text = format!("{} {lacks} {lack}", listed(subtasks.iter().copied()));
        let finding = if subtasks.contains(&NEEDED) { Finding::wrong(ABOUT, text) } else { Finding::note(ABOUT, text) };
        finding.with_remedy(format!("grant {user} {remedy}"))
    };
    by_lack.into_iter().map(finding).collect()
}

/// What the rights are about on one database.
struct Names<'n> {
    database: &'n str,
    registry: &'n str,
}

impl Names<'_> {
    /// The collection that a right is about. `None` for all of the database.
    fn collection(&self, on: On) -> Option<&str> {
        match on {
            On::Registry => Some(self.registry),
            On::Log => Some(LOG),
            On::Lock => Some(LOCK),
            On::Backfills => Some(BACKFILLS),
            On::Database => None,
        }
    }

    /// What is lacking, and what to grant. Both are empty if nothing is.
    fn lacking(&self, privileges: &[Document], rights: &[Right], is_standalone: bool) -> (String, String) {
        let (mut texts, mut remedies) = (Vec::new(), Vec::new());
        for right in rights.iter().filter(|right| is_standalone || !right.is_for_standalone) {
            let collection = self.collection(right.on);
            let may = |action: &str| privileges.iter().any(|privilege| self.grants(privilege, collection, action));
            let missing: Vec<&str> = right.actions.iter().copied().filter(|action| !may(action)).collect();
            if missing.is_empty() {
                continue;
            }
            let on = collection.map(|collection| format!(".{collection}")).unwrap_or_default();
            texts.push(format!("{} on {}{on}", missing.join(", "), self.database));
            remedies.push(format!("the privilege {}", privilege(self.database, collection, &missing)));
        }
        (texts.join(" and "), remedies.join(" and "))
    }

    /// Whether a privilege, as the server lists it, allows that.
    fn grants(&self, privilege: &Document, collection: Option<&str>, action: &str) -> bool {
        let Ok(resource) = privilege.get_document("resource") else { return false };
        let is_ours = |name: &str| name.is_empty() || name == self.database;
        let is_resource = match (resource.get_str("db"), resource.get_str("collection")) {
            // An empty name stands for every one.
            (Ok(database), Ok(of)) => is_ours(database) && (of.is_empty() || Some(of) == collection),
            _ => resource.get_bool("anyResource").unwrap_or(false),
        };
        let mut actions = privilege.get_array("actions").into_iter().flatten();
        is_resource && actions.any(|granted| matches!(granted.as_str(), Some(name) if name == action || name == "anyAction"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::right;

    const NAMES: Names<'_> = Names { database: "blog", registry: "migrations" };

    fn privilege(database: &str, collection: &str, actions: &[&str]) -> Document {
        doc! { "resource": { "db": database, "collection": collection }, "actions": actions }
    }

    #[test]
    fn what_is_lacking_is_said_for_each_collection() {
        let all = ["find", "insert", "update", "createIndex"];
        let lacking = |privileges: &[Document]| NAMES.lacking(privileges, right::REGISTERS, false).0;
        assert_eq!(lacking(&[privilege("blog", "", &all)]), "");
        assert_eq!(lacking(&[privilege("", "", &all)]), "");
        let any = doc! { "resource": { "anyResource": true }, "actions": ["anyAction"] };
        assert_eq!(lacking(&[any]), "");
        let other = "find, insert, update, createIndex on blog.migrations and find, insert, createIndex on blog.migrations_log and \
                     find, insert, update on blog.migrations_lock";
        let cluster = doc! { "resource": { "cluster": true }, "actions": all.to_vec() };
        assert_eq!(lacking(&[privilege("other", "", &all), cluster]), other);
        let some = [
            privilege("blog", "", &["find"]),
            privilege("blog", "migrations", &all),
            privilege("blog", "migrations_log", &["insert", "createIndex"]),
            privilege("blog", "migrations_lock", &all),
        ];
        assert_eq!(lacking(&some), "");
        let standalone = NAMES.lacking(&some, right::REGISTERS, true);
        assert_eq!(standalone.0, "update on blog.migrations_log");
        assert_eq!(
            standalone.1,
            "the privilege { resource: { db: \"blog\", collection: \"migrations_log\" }, actions: [\"update\"] }"
        );
    }

    #[test]
    fn a_right_on_all_of_the_database_is_not_that_on_one_collection() {
        let lacking = |collection| {
            let privilege = privilege("blog", collection, &["find", "listCollections", "listIndexes"]);
            NAMES.lacking(&[privilege], right::DUMPS, false).0
        };
        assert_eq!((lacking(""), lacking("notes")), ("".into(), "find, listCollections, listIndexes on blog".into()));
    }
}
