//! `init` and `new`.

use std::path::Path;

use snapbox::{assert_data_eq, str};

use super::support::{CRATE, Line, Outcome, TestDatabase, Workspace, assert_has, clean, plugin};

/// A folder outside any workspace.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        clean(self.path());
    }
}

fn plugin_in(folder: &Path, args: &[&str]) -> Outcome {
    Line::new(plugin(), folder).args(args).run()
}

/// The versions that this checkout was built with.
fn lock(folder: &Path) {
    std::fs::copy(Path::new(CRATE).join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
}

fn files(folder: &Path) -> Vec<String> {
    fn walk(root: &Path, folder: &Path, out: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, out);
            } else {
                let text = std::fs::read_to_string(&path).unwrap();
                out.push(format!("== {}\n{text}", path.strip_prefix(root).unwrap().display()));
            }
        }
    }
    let mut out = Vec::new();
    walk(folder, folder, &mut out);
    out.sort();
    out
}

#[test]
fn init_looks_at_the_address_that_is_set() {
    for (uri, features) in [
        ("mongodb+srv://u:p@cluster0.example.invalid/blog", "features = [\"manager\", \"srv\"]"),
        ("mongodb://localhost/blog", "features = [\"manager\"]"),
    ] {
        let folder = Place::new();
        Line::new(plugin(), folder.path()).args(["init"]).env("MONGO_URI", uri).run().exits(0);
        let manifest = std::fs::read_to_string(folder.path().join("xtask/Cargo.toml")).unwrap();
        assert_has(&manifest, &[features]);
    }
}

#[test]
fn init_into_an_empty_folder_makes_a_project_that_works() {
    let database = TestDatabase::new();
    let temporary = Place::new();
    let folder = temporary.path().join("my-blog");
    std::fs::create_dir(&folder).unwrap();
    let outcome = plugin_in(&folder, &["init", "--path", CRATE]).exits(0);
    assert_data_eq!(
        outcome.stderr,
        str![[r#"
     Created Cargo.toml
     Created .gitignore
     Created xtask/Cargo.toml
     Created xtask/build.rs
     Created xtask/src/main.rs
     Created mongomigrations/.gitkeep

"#]]
    );
    let before = files(&folder);
    // `cargo fmt` does not find the migrations.
    assert!(before.iter().any(|file| file.contains("`rustfmt --edition 2024 mongomigrations/*.rs`")), "{before:?}");
    assert_data_eq!(
        before.iter().map(|file| file.lines().next().unwrap().to_owned() + "\n").collect::<String>(),
        str![[r#"
== .gitignore
== Cargo.toml
== mongomigrations/.gitkeep
== xtask/Cargo.toml
== xtask/build.rs
== xtask/src/main.rs

"#]]
    );

    // Twice: nothing changes.
    let outcome = plugin_in(&folder, &["init", "--path", CRATE]).exits(0);
    assert_has(&outcome.stderr, &["is already set up, so nothing was changed"]);
    assert_eq!(files(&folder), before);

    lock(&folder);
    plugin_in(&folder, &["new:add_users"]).exits(0);
    plugin_in(&folder, &["new:more"]).exits(0);
    let status = Line::new(plugin(), &folder).args(["execute", "--locked"]).on(&database).run();
    // The lock file is this checkout's, which has other members: cargo must be allowed to drop them.
    assert_has(&status.exits(101).stderr, &["--locked"]);
    Line::new(plugin(), &folder).args(["execute"]).on(&database).run().exits(0);
    assert_eq!(database.registered(), ["0001_add_users.rs", "0002_more.rs"]);
    Line::new(plugin(), &folder).args(["execute", "--locked"]).on(&database).run().exits(0);
    let checked = Line::new("rustfmt", &folder)
        .args(["--check", "--edition", "2024", "xtask/src/main.rs", "xtask/build.rs", "mongomigrations/0001_add_users.rs"])
        .run();
    checked.exits(0);
}

#[test]
fn init_adds_to_a_workspace_and_keeps_its_comments_and_order() {
    let temporary = Place::new();
    let folder = temporary.path();
    let manifest = "# Our workspace.\n[workspace]\nresolver = \"3\"\nmembers = [\n    \"app\", # the app\n]\n\n[workspace.package]\nedition = \"2024\" # of all\n\n[profile.dev]\ndebug = \"line-tables-only\"\n\n[profile.dev.package.sha2]\nopt-level = 3\n";
    std::fs::create_dir_all(folder.join("app/src")).unwrap();
    std::fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    std::fs::write(
        folder.join("app/Cargo.toml"),
        "[package]\nname = \"app\"\nversion = \"0.0.0\"\nedition.workspace = true\n",
    )
    .unwrap();
    std::fs::write(folder.join("app/src/main.rs"), "fn main() {}\n").unwrap();
    // From a folder below.
    plugin_in(&folder.join("app/src"), &["init", "--path", CRATE]).exits(0);
    let after = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    assert_eq!(after, manifest.replace("    \"app\", # the app\n", "    \"app\", # the app\n    \"xtask\",\n"));
    assert!(folder.join("xtask/src/main.rs").is_file() && folder.join("mongomigrations").is_dir());
    lock(folder);
    plugin_in(folder, &["help"]).exits(0);
    plugin_in(folder, &["init", "--path", CRATE]).exits(0);
    assert_eq!(std::fs::read_to_string(folder.join("Cargo.toml")).unwrap(), after);
}

#[test]
fn init_makes_a_lone_package_a_root() {
    let temporary = Place::new();
    let folder = temporary.path();
    let manifest = "[package]\nname = \"app\" # mine\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[profile.dev]\ndebug = \"line-tables-only\"\n\n[profile.dev.package.sha2]\nopt-level = 3\n";
    std::fs::create_dir_all(folder.join("src")).unwrap();
    std::fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    std::fs::write(folder.join("src/main.rs"), "fn main() {}\n").unwrap();
    plugin_in(folder, &["init", "--path", CRATE]).exits(0);
    let after = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    assert_eq!(after, format!("{manifest}\n[workspace]\nmembers = [\"xtask\"]\n"));
    lock(folder);
    plugin_in(folder, &["help"]).exits(0);
}

#[test]
fn init_leaves_a_teams_own_xtask_alone() {
    let temporary = Place::new();
    let folder = temporary.path();
    std::fs::create_dir_all(folder.join("xtask/src")).unwrap();
    std::fs::write(
        folder.join("Cargo.toml"),
        "[workspace]\nmembers = [\"xtask\"]\nresolver = \"3\"\n\n[profile.dev]\ndebug = \"line-tables-only\"\n\n[profile.dev.package.sha2]\nopt-level = 3\n",
    )
    .unwrap();
    let theirs = "[package]\nname = \"xtask\"\nversion = \"0.0.0\"\nedition = \"2024\"\n";
    std::fs::write(folder.join("xtask/Cargo.toml"), theirs).unwrap();
    std::fs::write(folder.join("xtask/src/main.rs"), "fn main() {}\n").unwrap();
    plugin_in(folder, &["init", "--path", CRATE]).exits(0);
    assert_eq!(std::fs::read_to_string(folder.join("xtask/Cargo.toml")).unwrap(), theirs);
    let after = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    assert_has(
        &after,
        &["members = [\"xtask\", \"xtask-migrations\"]", "[workspace.metadata.migrations]\nmanager = \"xtask-migrations\""],
    );
    lock(folder);
    plugin_in(folder, &["help"]).exits(0);
    let outcome = plugin_in(folder, &["init", "--path", CRATE]).exits(0);
    assert_has(&outcome.stderr, &["is already set up"]);
}

#[test]
fn init_finds_a_manager_wherever_it_lies() {
    let workspace = Workspace::new();
    std::fs::create_dir(workspace.path("tools")).unwrap();
    std::fs::rename(workspace.path("xtask"), workspace.path("tools/admin")).unwrap();
    workspace.write("Cargo.toml", &workspace.read("Cargo.toml").replace("[\"xtask\"]", "[\"tools/*\"]"));
    let before = workspace.read("Cargo.toml");
    let outcome = workspace.line(["init", "--path", CRATE]).run().exits(0);
    assert_has(&outcome.stderr, &["is already set up, so nothing was changed"]);
    assert_eq!(workspace.read("Cargo.toml"), before);
    assert!(!workspace.path("xtask").exists());
}

#[test]
fn init_overwrites_nothing_and_writes_nothing_when_it_cannot() {
    let temporary = Place::new();
    let folder = temporary.path();
    let outcome = plugin_in(folder, &["init", "--path", "/nowhere"]).exits(2);
    assert_has(&outcome.stderr, &["error: /nowhere is not a checkout of cargo-migrations"]);
    plugin_in(folder, &["init:x"]).exits(2);
    plugin_in(folder, &["init", "execute"]).exits(2);
    assert!(files(folder).is_empty());

    // A half of it lies there already.
    std::fs::write(folder.join("Cargo.toml"), "[workspace]\nresolver = \"3\"\nmembers = []\n").unwrap();
    std::fs::write(folder.join("mongomigrations"), "a file").unwrap();
    let before = files(folder);
    let outcome = plugin_in(folder, &["init"]).exits(2);
    assert_has(&outcome.stderr, &["mongomigrations is not a folder, but init needs one there\nhint: move it away"]);
    assert_eq!(files(folder), before);
    std::fs::remove_file(folder.join("mongomigrations")).unwrap();
    std::fs::create_dir(folder.join("mongomigrations")).unwrap();
    let outcome = plugin_in(folder, &["init"]).exits(0);
    assert_has(&outcome.stderr, &["Created xtask/Cargo.toml"]);
    let manifest = std::fs::read_to_string(folder.join("xtask/Cargo.toml")).unwrap();
    assert_has(&manifest, &[&format!("version = {:?}", env!("CARGO_PKG_VERSION"))]);

    std::fs::write(folder.join("Cargo.toml"), "[workspace]\nmembers = 7\n").unwrap();
    let outcome = plugin_in(folder, &["init"]).exits(2);
    assert_has(&outcome.stderr, &["error: "]);
}

#[test]
fn init_into_an_empty_folder_is_refused_before_anything_is_written() {
    for name in ["xtask", "mongomigrations"] {
        let temporary = Place::new();
        let folder = temporary.path();
        std::fs::write(folder.join(name), "a file").unwrap();
        let outcome = plugin_in(folder, &["init"]).exits(2);
        assert_has(&outcome.stderr, &[&format!("{name} is not a folder, but init needs one there\nhint: move it away")]);
        assert_eq!(files(folder), [format!("== {name}\na file")]);
    }
    let temporary = Place::new();
    std::fs::write(temporary.path().join("file"), "").unwrap();
    let outcome = plugin_in(temporary.path(), &["init", "--manifest-path", "file/Cargo.toml"]).exits(2);
    assert_has(&outcome.stderr, &["error: ", "file is not a folder"]);
    let outcome = plugin_in(temporary.path(), &["init", "--manifest-path", "file/x/Cargo.toml"]).exits(2);
    assert_has(&outcome.stderr, &["error: the folder file/x cannot be opened", "Not a directory"]);
}

#[test]
fn init_with_a_path_changes_the_dependency_of_a_manager_that_it_wrote_without_one() {
    let temporary = Place::new();
    let folder = temporary.path();
    plugin_in(folder, &["init"]).exits(0);
    let before = files(folder);
    let outcome = plugin_in(folder, &["init", "--path", "xtask"]).exits(2);
    assert_has(&outcome.stderr, &["error: xtask is not a checkout of cargo-migrations\nhint: pass the folder"]);
    let outcome = plugin_in(folder, &["init", "--path", "/nowhere"]).exits(2);
    assert_has(&outcome.stderr, &["error: /nowhere is not a checkout of cargo-migrations"]);
    assert_eq!(files(folder), before);

    let outcome = plugin_in(folder, &["init", "--path", CRATE]).exits(0);
    assert_has(&outcome.stderr, &["Changed xtask/Cargo.toml"]);
    assert!(!outcome.stderr.contains("Created"), "{}", outcome.stderr);
    let manifest = std::fs::read_to_string(folder.join("xtask/Cargo.toml")).unwrap();
    assert_eq!(manifest.matches("path = ").count(), 2, "{manifest}");
    assert_has(&manifest, &["features = [\"manager\"]", "# For build.rs, which compiles"]);
    lock(folder);
    plugin_in(folder, &["help"]).exits(0);
    let outcome = plugin_in(folder, &["init", "--path", CRATE]).exits(0);
    assert_has(&outcome.stderr, &["is already set up, so nothing was changed"]);
}

#[test]
fn new_writes_the_next_number_while_the_manager_does_not_compile() {
    let workspace = Workspace::new();
    workspace.manager_source("this is not Rust");
    workspace.migration("007_bond.rs", "");
    let outcome = workspace.line(["new:add_users"]).run().exits(0);
    assert_has(&outcome.stderr, &["Created ", "mongomigrations/008_add_users.rs"]);
    let text = workspace.read("mongomigrations/008_add_users.rs");
    assert_has(&text, &["//! Add users.", "pub async fn up(db: &Database)", "pub async fn down(db: &Database)"]);
    workspace.line(["new,add_users"]).run().exits(0);
    assert!(workspace.path("mongomigrations/009_add_users.rs").is_file(), "no file is overwritten");
}

#[test]
fn new_uses_the_directory_that_the_workspace_names() {
    let workspace = Workspace::new();
    let manifest = workspace.read("Cargo.toml").replace("manager = ", "directory = \"db/changes\"\nmanager = ");
    workspace.write("Cargo.toml", &manifest);
    let outcome = workspace.line(["new:first"]).run().exits(2);
    assert_has(&outcome.stderr, &["there is no migrations directory", "db/changes"]);
    std::fs::create_dir_all(workspace.path("db/changes")).unwrap();
    workspace.line(["new:first"]).run().exits(0);
    assert!(workspace.path("db/changes/0001_first.rs").is_file());
}

#[test]
fn new_writes_the_present_time_where_files_are_numbered_by_time() {
    let workspace = Workspace::new();
    workspace.migration("20200203040506_a.rs", "");
    let now = || {
        let output = std::process::Command::new("date").args(["-u", "+%Y%m%d%H%M%S"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let before = now();
    workspace.line(["new:add_users"]).run().exits(0);
    let entries = std::fs::read_dir(workspace.path("mongomigrations")).unwrap();
    let names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let name = names.iter().find(|name| name.ends_with("_add_users.rs")).expect("the new file");
    let number = name.trim_end_matches("_add_users.rs").to_owned();
    assert!(number.len() == 14 && before <= number && number <= now(), "{name}");
}

#[test]
fn new_writes_no_name_that_another_pattern_would_not_match() {
    let workspace = Workspace::new();
    let manifest = workspace.read("Cargo.toml");
    let set = |pattern: &str| {
        workspace.write("Cargo.toml", &manifest.replace("manager = ", &format!("pattern = {pattern}\nmanager = ")));
    };
    let refused = |expected: &[&str]| {
        let outcome = workspace.line(["new:add_users"]).run().exits(2);
        assert_has(&outcome.stderr, expected);
    };
    workspace.migration("m-7.rs", "");
    refused(&[", such as `m-7.rs`, do not match `(?P<migr_nr>[0-9]+)_", "\nhint: if build.rs sets another pattern"]);
    set(r"'m-(?P<migr_nr>[0-9]+)\.rs'");
    refused(&[r"error: `8_add_users.rs` does not match `m-(?P<migr_nr>[0-9]+)\.rs`", "\nhint: write the file by hand"]);
    set("'[0-9]+'");
    refused(&["error: `pattern` of [workspace.metadata.migrations] in Cargo.toml has no group named migr_nr\nhint: write"]);
    set("7");
    refused(&["error: `pattern` of [workspace.metadata.migrations] in Cargo.toml is not a string"]);
    assert_eq!(std::fs::read_dir(workspace.path("mongomigrations")).unwrap().count(), 1);
    set(r"'(?:m-)?(?P<migr_nr>[0-9]+)[a-z_]*\.rs'");
    workspace.line(["new:add_users"]).run().exits(0);
    assert!(workspace.path("mongomigrations/8_add_users.rs").is_file());
}

#[test]
fn new_refuses_names_that_the_pattern_would() {
    let workspace = Workspace::new();
    for (word, expected) in [
        ("new", "new needs a name"),
        ("new:a,b", "new takes exactly one name"),
        ("new:AddUsers", "hint: try `cargo migrations new:add_users`"),
        ("new:0003_x", "hint: try `cargo migrations new:x`"),
        ("new:../x", "`../x` is not a valid migration name"),
    ] {
        let outcome = workspace.line([word]).run().exits(2);
        assert!(outcome.stderr.contains(expected), "{word}: {}", outcome.stderr);
    }
    assert_eq!(std::fs::read_dir(workspace.path("mongomigrations")).unwrap().count(), 0);
}
