//! Who runs this, and where, as entries and events record it.

use std::sync::LazyLock;

use mongodb::bson::{Document, doc};

use crate::model::variables;

/// This crate's version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

static ORIGIN: LazyLock<(String, String)> = LazyLock::new(|| {
    let user = named(|name| std::env::var(name).ok()).or_else(user_of_process);
    (user.unwrap_or_else(|| "unknown".into()), host().unwrap_or_else(|| "unknown".into()))
});

/// The user and the host.
pub(crate) fn who_and_where() -> (&'static str, &'static str) {
    let (who, place) = &*ORIGIN;
    (who, place)
}

/// The fields `who`, `where` and `tool_version`.
pub(crate) fn document() -> Document {
    let (who, place) = who_and_where();
    doc! { "who": who, "where": place, "tool_version": VERSION }
}

/// The user's name from the environment. A variable that is set, but empty, names no one.
fn named(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    variables::USER_NAMES.into_iter().filter_map(variable).find(|name| !name.trim().is_empty())
}

/// Containers and services often set no USER. The user's number is better than nothing where it has no name either.
#[cfg(unix)]
fn user_of_process() -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let uid = std::fs::metadata("/proc/self").ok()?.uid();
    let users = std::fs::read("/etc/passwd").unwrap_or_default();
    Some(name_in(&String::from_utf8_lossy(&users), uid).unwrap_or_else(|| format!("uid {uid}")))
}

#[cfg(not(unix))]
fn user_of_process() -> Option<String> {
    None
}

/// The name of that user in the text of /etc/passwd, which has a line `NAME:PASSWORD:UID:…` for each.
#[cfg(unix)]
fn name_in(users: &str, uid: u32) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let number: u32 = fields.nth(1)?.parse().ok()?;
        (number == uid).then(|| name.to_owned())
    })
}

fn host() -> Option<String> {
    let from_kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let from_environment = || variables::HOST_NAMES.into_iter().find_map(|name| std::env::var(name).ok());
    let host = from_kernel.or_else(from_environment)?;
    Some(host.trim().to_owned()).filter(|host| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_is_set_and_not_empty_names_the_user() {
        let [first, second, _] = variables::USER_NAMES;
        let user = |set: &[(&str, &str)]| {
            named(|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(user(&[(second, "ann"), (first, "bob")]).as_deref(), Some("bob"));
        assert_eq!(user(&[(first, ""), (second, "ann")]).as_deref(), Some("ann"));
        assert_eq!(user(&[(first, " ")]), None);
        assert_eq!(user(&[]), None);
    }

    #[test]
    #[cfg(unix)]
    fn else_the_list_of_users_has_the_name() {
        let users = "root:x:0:0:root:/root:/bin/bash\n# a comment\n\n+::::::\ndeploy:x:1000:1000::/home/deploy:/bin/sh\n";
        assert_eq!(name_in(users, 0).as_deref(), Some("root"));
        assert_eq!(name_in(users, 1000).as_deref(), Some("deploy"));
        assert_eq!(name_in(users, 33), None);
        assert_eq!(name_in("", 0), None);
    }
}
