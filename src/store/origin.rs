//! Who runs this, and where, as entries and events record it.

use std::sync::LazyLock;

use mongodb::bson::{Document, doc};

use crate::model::variables;

/// This crate's version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

static ORIGIN: LazyLock<(String, String)> = LazyLock::new(|| {
    let user = variables::USER_NAMES.into_iter().find_map(|name| std::env::var(name).ok());
    (user.or_else(user_id).unwrap_or_else(|| "unknown".into()), host().unwrap_or_else(|| "unknown".into()))
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

/// Containers often set no USER. The user's number is better than nothing.
#[cfg(unix)]
fn user_id() -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").ok().map(|process| format!("uid {}", process.uid()))
}

#[cfg(not(unix))]
fn user_id() -> Option<String> {
    None
}

fn host() -> Option<String> {
    let from_kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let from_environment = || variables::HOST_NAMES.into_iter().find_map(|name| std::env::var(name).ok());
    let host = from_kernel.or_else(from_environment)?;
    Some(host.trim().to_owned()).filter(|host| !host.is_empty())
}
