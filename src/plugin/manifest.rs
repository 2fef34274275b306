//! Reads manifests, and adds to a root manifest without changing its comments, order or layout.

use std::path::Path;

use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike, Value};

use crate::error::Error;

/// Returns a setting of `[workspace.metadata.migrations]`.
pub(super) fn setting<'a>(manifest: &'a DocumentMut, key: &str) -> Option<&'a str> {
    manifest.get("workspace")?.get("metadata")?.get("migrations")?.get(key)?.as_str()
}

/// Returns the manifest, or `None` if it does not exist or cannot be read.
pub(super) fn read(path: &Path) -> Option<DocumentMut> {
    std::fs::read_to_string(path).ok()?.parse().ok()
}

/// Returns the nearest folder, from this one upwards, whose manifest has a workspace.
pub(super) fn workspace_root(folder: &Path) -> Option<(&Path, DocumentMut)> {
    for folder in folder.ancestors() {
        let path = folder.join("Cargo.toml");
        if path.exists() {
            // A manifest that cannot be read is not skipped: the guess ends here, and cargo reports the error.
            let manifest = read(&path)?;
            if manifest.contains_key("workspace") {
                return Some((folder, manifest));
            }
        }
    }
    None
}

/// Returns the manifest's text, and the manifest.
pub(super) fn open(path: &Path) -> Result<(String, DocumentMut), Error> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::usage(format!("{} cannot be read", path.display())).caused_by(error))?;
    let manifest = text.parse().map_err(|error: toml_edit::TomlError| {
        Error::usage(format!("{} is not valid TOML", path.display())).with_hint("fix the manifest first").caused_by(error)
    })?;
    Ok((text, manifest))
}

/// Whether the package of this manifest depends on this crate, also under another name.
pub(super) fn depends_on_us(manifest: &DocumentMut) -> bool {
    manifest
        .get("dependencies")
        .and_then(Item::as_table_like)
        .is_some_and(|dependencies| dependencies.iter().any(|(key, item)| is_us(key, item)))
}

/// Whether a dependency is this crate, also under another name.
fn is_us(key: &str, item: &Item) -> bool {
    item.get("package").and_then(Item::as_str).unwrap_or(key) == "cargo-migrations"
}

/// Where a package has its dependencies. Its program and its build script must have the same version of this crate.
pub(super) const OF_PACKAGE: &[&[&str]] = &[&["dependencies"], &["build-dependencies"]];

/// Where a workspace has the dependencies that its packages inherit.
pub(super) const OF_WORKSPACE: &[&[&str]] = &[&["workspace", "dependencies"]];

/// Lets the dependencies on this crate in these sections come from a path instead of from wherever they come from now. One that
/// comes from there already is not changed. Returns whether one is inherited from the workspace, which is not changed either.
pub(super) fn depend_on_path(
    manifest: &mut DocumentMut,
    sections: &[&[&str]],
    path: &str,
    is_there: impl Fn(&str) -> bool,
) -> bool {
    let mut is_inherited = false;
    for section in sections {
        let mut found: Option<&mut dyn TableLike> = Some(manifest.as_table_mut());
        for key in *section {
            found = found.and_then(|table| table.get_mut(key)).and_then(Item::as_table_like_mut);
        }
        let Some(dependencies) = found else { continue };
        for (key, item) in dependencies.iter_mut() {
            if !is_us(key.get(), item) || item.get("path").and_then(Item::as_str).is_some_and(&is_there) {
                continue;
            }
            if item.get("workspace").is_some() {
                is_inherited = true;
                continue;
            }
            if item.is_str() {
                // Only a version.
                let decor = item.as_value().map(|value| value.decor().clone()).unwrap_or_default();
                let mut value = Value::from(InlineTable::from_iter([("path", path)]));
                *value.decor_mut() = decor;
                *item = Item::Value(value);
                continue;
            }
            let Some(table) = item.as_table_like_mut() else { continue };
            for source in ["version", "registry", "git", "branch", "tag", "rev"] {
                table.remove(source);
            }
            table.insert("path", path.into());
            if let Some(inline) = item.as_inline_table_mut() {
                inline.fmt();
            }
        }
    }
    is_inherited
}

/// Adds a workspace member, unless a pattern already covers it.
pub(super) fn add_member(manifest: &mut DocumentMut, member: &str, path: &Path) -> Result<(), Error> {
    let invalid = || {
        Error::usage(format!("`workspace.members` in {} is not a list of paths", path.display()))
            .with_hint("fix the manifest first")
    };
    let workspace = manifest.entry("workspace").or_insert_with(|| Item::Table(Table::new()));
    let members = workspace
        .as_table_like_mut()
        .ok_or_else(invalid)?
        .entry("members")
        .or_insert_with(|| Item::Value(Array::new().into()))
        .as_array_mut()
        .ok_or_else(invalid)?;
    if has_member(members, member) {
        return Ok(());
    }
    push_in_same_style(members, member);
    Ok(())
}

/// Adds a value in the style of the others: on the same line, or on its own. A comment after the last value stays in its
/// place.
fn push_in_same_style(array: &mut Array, text: &str) {
    let mut value = Value::from(text);
    let Some(last) = array.len().checked_sub(1) else { return array.push_formatted(value) };
    let text_of =
        |raw: Option<&toml_edit::RawString>| raw.and_then(toml_edit::RawString::as_str).unwrap_or_default().to_owned();
    let last = array.get_mut(last).expect("the last of a list that is not empty").decor_mut();
    let prefix = text_of(last.prefix());
    let Some(indent) = prefix.rsplit_once('\n').map(|(_, indent)| indent.to_owned()) else {
        value.decor_mut().set_prefix(" ");
        return array.push_formatted(value);
    };
    // Without a trailing comma, the text after the last value belongs to that value, not to the array.
    let after_last = if array.trailing_comma() {
        text_of(Some(array.trailing()))
    } else {
        let last = array.get_mut(array.len() - 1).expect("as above").decor_mut();
        let suffix = text_of(last.suffix());
        last.set_suffix("");
        suffix
    };
    let comment = after_last.rsplit_once('\n').map_or("", |(comment, _)| comment);
    value.decor_mut().set_prefix(format!("{comment}\n{indent}"));
    array.push_formatted(value);
    array.set_trailing_comma(true);
    array.set_trailing("\n");
}

/// Sets the name of the manager's package in `[workspace.metadata.migrations]`.
pub(super) fn name_manager(manifest: &mut DocumentMut, manager: &str, path: &Path) -> Result<(), Error> {
    let invalid = || {
        Error::usage(format!("`workspace.metadata` in {} is not a table", path.display()))
            .with_hint("fix the manifest first")
    };
    let implicit = || {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    };
    let metadata = manifest["workspace"].as_table_like_mut().ok_or_else(invalid)?.entry("metadata").or_insert_with(implicit);
    let is_inline = metadata.is_inline_table();
    let empty = || if is_inline { Item::Value(InlineTable::new().into()) } else { Item::Table(Table::new()) };
    let settings = metadata.as_table_like_mut().ok_or_else(invalid)?.entry("migrations").or_insert_with(empty);
    settings.as_table_like_mut().ok_or_else(invalid)?.insert("manager", manager.into());
    Ok(())
}

/// Whether a list of members contains this folder, or a pattern that covers it.
pub(super) fn has_member(members: &Array, member: &str) -> bool {
    members.iter().filter_map(Value::as_str).any(|pattern| matches(pattern, member))
}

/// Whether a pattern of the members, such as `crates/*` or `./xtask`, covers this path.
fn matches(pattern: &str, path: &str) -> bool {
    let pattern = pattern.trim_start_matches("./").trim_end_matches('/');
    let regex = regex::escape(pattern).replace(r"\*", "[^/]*").replace(r"\?", "[^/]");
    regex::Regex::new(&format!("^{regex}$")).is_ok_and(|regex| regex.is_match(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_member(text: &str) -> String {
        let mut manifest = text.parse().unwrap();
        add_member(&mut manifest, "xtask", Path::new("Cargo.toml")).unwrap();
        manifest.to_string()
    }

    #[test]
    fn members_keep_their_layout_and_comments() {
        assert_eq!(
            with_member("[workspace]\nmembers = [\"a\"] # ours\n"),
            "[workspace]\nmembers = [\"a\", \"xtask\"] # ours\n"
        );
        assert_eq!(
            with_member("[workspace]\nmembers = [\n    # the app\n    \"a\",\n    \"b\", # last\n]\n\n[profile.dev]\n"),
            "[workspace]\nmembers = [\n    # the app\n    \"a\",\n    \"b\", # last\n    \"xtask\",\n]\n\n[profile.dev]\n"
        );
        assert_eq!(
            with_member("[workspace]\nmembers = [\n  \"a\" # no comma\n]\n"),
            "[workspace]\nmembers = [\n  \"a\", # no comma\n  \"xtask\",\n]\n"
        );
        assert_eq!(with_member("[workspace]\nmembers = []\n"), "[workspace]\nmembers = [\"xtask\"]\n");
        assert_eq!(with_member("[workspace]\nresolver = \"2\"\n"), "[workspace]\nresolver = \"2\"\nmembers = [\"xtask\"]\n");
        assert_eq!(
            with_member("# mine\n[package]\nname = \"a\"\n\n[dependencies]\n"),
            "# mine\n[package]\nname = \"a\"\n\n[dependencies]\n\n[workspace]\nmembers = [\"xtask\"]\n"
        );
    }

    #[test]
    fn a_pattern_that_covers_the_manager_is_enough() {
        for text in [
            "[workspace]\nmembers = [\"*\"]\n",
            "[workspace]\nmembers = [\"./xtask/\"]\n",
            "[workspace]\nmembers = [\"x*\"]\n",
        ] {
            assert_eq!(with_member(text), text);
        }
        assert!(!matches("crates/*", "xtask") && !matches("*", "a/b"));
    }

    #[test]
    fn dependencies_on_this_crate_get_a_path_and_keep_the_rest() {
        let with_path = |text: &str| {
            let mut manifest = text.parse().unwrap();
            let is_inherited = depend_on_path(&mut manifest, OF_PACKAGE, "../ours", |path| path == "/src/ours");
            (manifest.to_string(), is_inherited)
        };
        for (before, after) in [
            ("cargo-migrations = \"0.1\" # ours", "cargo-migrations = { path = \"../ours\" } # ours"),
            (
                "cargo-migrations = { version = \"0.1\", features = [\"manager\"] } # ours",
                "cargo-migrations = { features = [\"manager\"], path = \"../ours\" } # ours",
            ),
            (
                "m = { package = \"cargo-migrations\", git = \"u\", rev = \"r\" }",
                "m = { package = \"cargo-migrations\", path = \"../ours\" }",
            ),
            ("cargo-migrations = { path = \"../old\" }", "cargo-migrations = { path = \"../ours\" }"),
            ("cargo-migrations.version = \"0.1\"", "cargo-migrations.path = \"../ours\""),
            ("cargo-migrations = {path=\"/src/ours\"}", "cargo-migrations = {path=\"/src/ours\"}"),
            (
                "cargo-migrations = { package = \"other\", version = \"1\" }",
                "cargo-migrations = { package = \"other\", version = \"1\" }",
            ),
            ("serde = \"1\"", "serde = \"1\""),
        ] {
            for section in ["dependencies", "build-dependencies"] {
                let of = |line: &str| format!("# mine\n[{section}]\nx = \"1\"\n{line}\n\n[features]\n");
                assert_eq!(with_path(&of(before)), (of(after), false));
            }
        }
        let table = with_path("[dependencies.cargo-migrations]\nversion = \"1\" # theirs\nfeatures = []\n");
        assert_eq!(table.0, "[dependencies.cargo-migrations]\nfeatures = []\npath = \"../ours\"\n");
        let inherited = "[dependencies]\ncargo-migrations = { workspace = true }\n";
        assert_eq!(with_path(inherited), (inherited.to_owned(), true));

        let mut root = "[workspace.dependencies]\ncargo-migrations = \"0.1\"\n".parse().unwrap();
        assert!(!depend_on_path(&mut root, OF_WORKSPACE, "../ours", |_| false));
        assert_eq!(root.to_string(), "[workspace.dependencies]\ncargo-migrations = { path = \"../ours\" }\n");
    }

    #[test]
    fn a_manager_of_another_name_is_set_in_the_metadata() {
        let mut manifest = "[workspace]\nmembers = [\"a\"]\n".parse().unwrap();
        name_manager(&mut manifest, "m", Path::new("Cargo.toml")).unwrap();
        assert_eq!(
            manifest.to_string(),
            "[workspace]\nmembers = [\"a\"]\n\n[workspace.metadata.migrations]\nmanager = \"m\"\n"
        );
    }
}
