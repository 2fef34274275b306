//! Who runs this, and where, as entries and events record it.

use std::sync::{LazyLock, OnceLock};

use mongodb::bson::{Document, doc};

use crate::model::sources::Sources;
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

/// What the build script knows about the sources.
static BUILT_FROM: OnceLock<Sources> = OnceLock::new();

/// Notes what the build script knows about the sources.
pub(crate) fn set_sources(sources: Sources) {
    // A program has one set of sources, however often it asks for its migrations.
    let _ = BUILT_FROM.set(sources);
}

/// The fields `commit` and `dirty`, as far as they are known. The plugin, which has just had the program built, knows best.
pub(super) fn sources() -> Document {
    static OF_PLUGIN: LazyLock<Option<Sources>> =
        LazyLock::new(|| std::env::var(variables::SOURCES).ok().as_deref().and_then(Sources::read));
    fields(OF_PLUGIN.as_ref().or_else(|| BUILT_FROM.get()))
}

/// The commit, and `with changes` if the working tree had some.
pub(crate) fn commit() -> Option<String> {
    let sources = sources();
    let commit = sources.get_str("commit").ok()?;
    let changes = if sources.get_bool("dirty").unwrap_or(false) { " with changes" } else { "" };
    Some(format!("{commit}{changes}"))
}

fn fields(sources: Option<&Sources>) -> Document {
    let mut document = Document::new();
    if let Some(Sources { commit, is_dirty }) = sources {
        document.insert("commit", commit);
        if let Some(is_dirty) = is_dirty {
            document.insert("dirty", *is_dirty);
        }
    }
    document
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
    fn only_what_is_known_about_the_sources_is_stored() {
        let of = |is_dirty| fields(Some(&Sources { commit: "1a".into(), is_dirty }));
        assert_eq!(of(Some(true)), doc! { "commit": "1a", "dirty": true });
        assert_eq!(of(None), doc! { "commit": "1a" });
        assert_eq!(fields(None), doc! {});
    }

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
