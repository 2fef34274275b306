//! The names under which a restore loads collections before it renames them.

/// The beginning of the names. The number of the restore's run and the number of the collection follow.
const PREFIX: &str = "migrations_restore.";

/// How long the name may be, with its database: a server limits it to 255 bytes, or to 235 in a sharded cluster, and a time-series
/// collection has a longer name for its data.
const LONGEST: usize = 220;

/// Returns the name under which a collection is loaded. A long name is cut: it is only there for people to read.
pub(super) fn name(database: &str, restore: i64, number: usize, collection: &str) -> String {
    let mut name = format!("{PREFIX}{restore}.{number}.{collection}");
    name.truncate(name.floor_char_boundary(LONGEST.saturating_sub(database.len() + 1)));
    name
}

/// Whether a restore has given that name to a collection. It is there during a restore, or left by one that was killed.
pub(super) fn is_temporary(name: &str) -> bool {
    restore_of(name).is_some()
}

/// Returns the number of the restore that has given that name to a collection.
pub(super) fn restore_of(name: &str) -> Option<i64> {
    let mut rest = name.strip_prefix(PREFIX)?.splitn(3, '.');
    let mut number = || rest.next().filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()))?.parse::<i64>().ok();
    let (restore, _) = (number()?, number()?);
    rest.next().map(|_| restore)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_recognized_and_fit() {
        assert_eq!(name("blog", 7, 12, "posts"), "migrations_restore.7.12.posts");
        for collection in ["posts", "a.b", "", &"é".repeat(120)] {
            let name = name(&"d".repeat(63), i64::MAX, 100_000, collection);
            assert_eq!(restore_of(&name), Some(i64::MAX), "{name}");
            assert!(name.len() + 64 <= LONGEST, "{name}");
        }
        let others =
            ["posts", "migrations_restore", "migrations_restore.", "migrations_restore.1", "migrations_restore.1.x.y"];
        for other in
            others.into_iter().chain(["migrations_restore.1.2", "migrations_restore..2.x", "x.migrations_restore.1.2.y"])
        {
            assert!(!is_temporary(other), "{other}");
        }
    }
}
