//! The plugin: finds the workspace, builds the manager, runs it.

use std::path::Path;
use std::process::Command;

use super::support::{CRATE, Line, TestDatabase, Workspace, assert_has, fixture, manager, plugin, simple};

#[test]
fn it_works_from_any_folder_of_the_workspace() {
    let database = TestDatabase::new();
    for folder in ["", "xtask/src", "mongomigrations"] {
        let line = Line::new(plugin(), &simple().path(folder)).args(["migrations", "--format", "json"]);
        line.on(&database).run().exits(0).json();
    }
    let manifest = simple().path("Cargo.toml");
    let line = Line::new(plugin(), Path::new("/")).args(["--manifest-path", manifest.to_str().unwrap(), "execute:1"]);
    line.on(&database).run().exits(0);
    assert_eq!(database.registered(), ["0001_a.rs"]);
}

#[test]
fn cargo_finds_it_on_path_and_as_an_alias() {
    // Outside this repository, whose own alias would win.
    let workspace = Workspace::new();
    for name in ["0001_a.rs", "0002_b.rs"] {
        workspace.tracing_migration(name);
    }
    let database = TestDatabase::new();
    let plugin = plugin();
    let path = format!("{}:{}", plugin.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let line = Line::new("cargo", workspace.root()).args(["migrations", "execute:1"]).env("PATH", path);
    line.on(&database).run().exits(0);
    assert_eq!(database.registered(), ["0001_a.rs"]);

    // An alias to the manager itself works without any plugin.
    let alias = format!("[alias]\nmigrations = \"run --quiet --package {} --\"\n", workspace.manager_name());
    workspace.write(".cargo/config.toml", &alias);
    let line = Line::new("cargo", &workspace.path("mongomigrations")).args(["migrations", "execute:2"]);
    line.on(&database).run().exits(0);
    // And this repository's own alias, from a folder below.
    let line = Line::new("cargo", &Path::new(CRATE).join("src")).args(["migrations", "--format", "json"]);
    let status = line.on(&database).run().exits(0).json();
    assert_eq!(status["unregistered"], 5);
    assert_eq!(database.registered(), ["0001_a.rs", "0002_b.rs"]);
}

#[test]
fn outside_a_workspace() {
    let folder = tempfile::tempdir().unwrap();
    let outcome = Line::new(plugin(), folder.path()).args(["execute"]).run().exits(2);
    assert_has(
        &outcome.stderr,
        &["error: there is no Cargo.toml in this folder or above it\nhint: ", "`cargo migrations init`"],
    );
    let outcome = Line::new(plugin(), folder.path()).args(["--manifest-path", "nowhere/Cargo.toml"]).run().exits(2);
    assert_has(&outcome.stderr, &["error: cargo cannot read the workspace", "Caused by:", "nowhere/Cargo.toml"]);
}

#[test]
fn without_a_manager() {
    let workspace = Workspace::new();
    let name = workspace.manager_name().to_owned();
    workspace.write("Cargo.toml", &workspace.read("Cargo.toml").replace(&name, "absent"));
    let outcome = workspace.line(["execute"]).run().exits(2);
    assert_has(
        &outcome.stderr,
        &["has no package `absent`, which would be its migrations manager", "hint: run `cargo migrations init`"],
    );

    workspace.write("Cargo.toml", &workspace.read("Cargo.toml").replace("\"absent\"", "7"));
    let outcome = workspace.line(["execute"]).run().exits(2);
    assert_has(&outcome.stderr, &["`manager` of [workspace.metadata.migrations] in Cargo.toml is not a string"]);

    workspace.write("Cargo.toml", "[workspace]\nmembers = [\"xtask\"\n");
    let outcome = workspace.line(["execute"]).run().exits(2);
    assert_has(&outcome.stderr, &["error: cargo cannot read the workspace\n", "Caused by:", "hint: fix the manifest first"]);
}

#[test]
fn what_cargo_cannot_read_is_told_once() {
    let workspace = Workspace::new();
    workspace.write("Cargo.toml", &workspace.read("Cargo.toml").replace("[\"xtask\"]", "[\"xtask\", \"app\"]"));
    workspace.write("app/Cargo.toml", "[package]\nname = 7\n");
    // The manager's build has begun by then, and says so as well.
    let outcome = workspace.line(["execute"]).run().exits(2);
    assert_has(&outcome.stderr, &["error: cargo cannot read the workspace\n", "hint: fix", "app/Cargo.toml"]);
    assert_eq!(outcome.stderr.matches("invalid type").count(), 1, "{}", outcome.stderr);
}

#[test]
fn cargo_has_the_last_word_on_which_workspace_it_is() {
    // By the manifests above it the package is of `outer`, by its own it is of `inner`.
    let (outer, inner) = (Workspace::new(), Workspace::new());
    outer.manager_source("fn main() { not_rust }\n");
    let root = inner.root().to_str().unwrap();
    outer.write("app/Cargo.toml", &format!("[package]\nname = \"app\"\nworkspace = {root:?}\n"));
    outer.write("app/src/lib.rs", "");
    let app = outer.path("app");
    inner.write("Cargo.toml", &inner.read("Cargo.toml").replace("[\"xtask\"]", &format!("[\"xtask\", {app:?}]")));
    inner.tracing_migration("0001_inner.rs");
    let database = TestDatabase::new();
    let outcome = Line::new(plugin(), &app).args(["execute"]).on(&database).run().exits(0);
    assert_eq!(database.registered(), ["0001_inner.rs"]);
    assert!(!outcome.stderr.contains("not_rust"), "{}", outcome.stderr);
}

#[test]
fn an_xtask_that_is_no_manager() {
    let workspace = Workspace::new();
    let name = workspace.manager_name();
    workspace.write("xtask/Cargo.toml", &format!("[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n"));
    let outcome = workspace.line(["execute"]).run().exits(2);
    assert_has(&outcome.stderr, &["is not a migrations manager, because it does not depend on cargo-migrations"]);
    // Its build script's dependency does not make it one.
    let build_only =
        format!("{}\n[build-dependencies]\ncargo-migrations = {{ path = {CRATE:?} }}\n", workspace.read("xtask/Cargo.toml"));
    workspace.write("xtask/Cargo.toml", &build_only);
    let outcome = workspace.line(["execute"]).run().exits(2);
    assert_has(&outcome.stderr, &["is not a migrations manager, because it does not depend on cargo-migrations"]);
}

#[test]
fn a_manager_that_does_not_compile_ends_with_cargos_own_code() {
    let workspace = Workspace::new();
    workspace.manager_source("fn main() { not_rust }\n");
    let outcome = workspace.line(["execute"]).run().exits(101);
    assert_has(&outcome.stderr, &["cannot find value `not_rust`", "xtask/src/main.rs:1:13", "could not compile"]);
    assert_eq!(outcome.stdout, "");
}

#[test]
fn a_manager_of_another_version_is_told() {
    let workspace = Workspace::new();
    // Another version of this crate: its manifest and sources, with the number changed.
    let other = workspace.path("other");
    std::fs::create_dir(&other).unwrap();
    let parts = ["src", "docs", "README.md"].map(|part| Path::new(CRATE).join(part));
    assert!(Command::new("cp").arg("-r").args(parts).arg(&other).status().unwrap().success());
    let manifest = std::fs::read_to_string(Path::new(CRATE).join("Cargo.toml")).unwrap();
    let manifest =
        manifest.replace(&format!("version = \"{}\"\nedition", env!("CARGO_PKG_VERSION")), "version = \"9.9.9\"\nedition");
    let manifest = manifest.replace("members = [\"xtask\"]", "members = []");
    workspace.write("other/Cargo.toml", &manifest);
    workspace.write("xtask/Cargo.toml", &workspace.read("xtask/Cargo.toml").replace(&format!("{CRATE:?}"), "\"../other\""));
    workspace
        .write("Cargo.toml", &workspace.read("Cargo.toml").replace("[workspace]\n", "[workspace]\nexclude = [\"other\"]\n"));
    let outcome = workspace.line(["help"]).run().exits(2);
    let ours = env!("CARGO_PKG_VERSION");
    assert_has(
        &outcome.stderr,
        &[
            "is built with cargo-migrations 9.9.9",
            &format!("but this is cargo-migrations {ours}\n"),
            "hint: run `cargo install cargo-migrations --version 9.9.9`",
        ],
    );
}

#[test]
fn the_plugin_links_no_driver() {
    let tree =
        Line::new("cargo", Path::new(CRATE)).args(["tree", "--package", "cargo-migrations", "--edges", "normal"]).run();
    let tree = tree.exits(0).stdout;
    assert!(tree.contains("cargo_metadata ") && !tree.contains("mongodb ") && !tree.contains("tokio "), "{tree}");
}

#[test]
fn help_and_version_need_no_workspace() {
    let folder = tempfile::tempdir().unwrap();
    let outcome = Line::new(plugin(), folder.path()).args(["migrations", "--version"]).run().exits(0);
    assert_eq!(outcome.stdout, format!("cargo-migrations {}\n", env!("CARGO_PKG_VERSION")));
    let outcome = Line::new(plugin(), folder.path()).args(["migrations", "--help"]).run().exits(0);
    assert_has(&outcome.stdout, &["Usage: cargo migrations [FLAGS] [TASK...]", "--manifest-path", "cargo migrations help"]);
    let outcome = Line::new(plugin(), folder.path()).args(["--nonsense"]).run().exits(2);
    assert_has(&outcome.stderr, &["error: unexpected argument '--nonsense'"]);
    let outcome = Line::new(plugin(), folder.path()).args(["execute", "--dry-run"]).run().exits(2);
    let hint = "hint: `cargo migrations plan` shows what `cargo migrations execute` would run\n";
    assert_eq!(outcome.stderr, format!("error: there is no `--dry-run`\n{hint}"));
}

#[test]
fn the_manager_alone_needs_neither_cargo_nor_sources() {
    let database = TestDatabase::new();
    let folder = tempfile::tempdir().unwrap();
    let binary = folder.path().join("migrate");
    std::fs::copy(simple().path("manager"), &binary).unwrap();
    for task in ["execute", "rollback:10", "ignore", "show_status", "help"] {
        let line = Line::new(&binary, folder.path()).args([task]).env("PATH", "/nonexistent").on(&database);
        line.run().exits(0);
    }
    assert_eq!(database.trace(), ["up 0001", "up 0002", "up 0010", "down 0010"]);
    let outcome = manager(&binary, folder.path(), &["new:x"], &database).exits(2);
    assert_has(&outcome.stderr, &["`new` needs the sources"]);
    let outcome = Line::new(&binary, folder.path()).args(["execute"]).run().exits(2);
    assert_has(&outcome.stderr, &["error: no MongoDB server is configured\nhint: set MONGO_URI"]);
}

#[test]
fn nothing_old_is_ever_run() {
    let workspace = Workspace::new();
    let database = TestDatabase::new();
    for text in ["one", "two"] {
        workspace.manager_source(&fixture("say/xtask/src/main.rs").replace("TEXT", text));
        assert_eq!(workspace.run("say", &database).exits(0).stdout, format!("{text}\n"));
    }
}

#[test]
fn two_workspaces_that_share_a_target_folder_never_run_each_others_migrations() {
    let workspaces = ["one", "two"].map(|text| {
        let workspace = Workspace::new();
        // With the same name and place: to cargo they are the same package.
        let name = workspace.manager_name().to_owned();
        for file in ["Cargo.toml", "xtask/Cargo.toml"] {
            workspace.write(file, &workspace.read(file).replace(&name, "xtask-shared"));
        }
        workspace.migration(&format!("0001_{text}.rs"), &fixture("templates/0000_nothing.rs"));
        (text, workspace)
    });
    for _ in 0..2 {
        for (text, workspace) in &workspaces {
            let database = TestDatabase::new();
            // The test run's build folder is shared already.
            workspace.run("execute", &database).exits(0);
            assert_eq!(database.registered(), [format!("0001_{text}.rs")]);
        }
    }
}

#[test]
fn cargo_run_never_runs_the_migrations_of_another_checkout() {
    let checkouts = ["one", "two"].map(|text| {
        let workspace = Workspace::new();
        let name = workspace.manager_name().to_owned();
        for file in ["Cargo.toml", "xtask/Cargo.toml"] {
            workspace.write(file, &workspace.read(file).replace(&name, "xtask-checkouts"));
        }
        workspace.migration(&format!("0001_{text}.rs"), &fixture("templates/0000_nothing.rs"));
        workspace
    });
    let [one, two] = &checkouts;
    // The test run's build folder is shared already.
    let run = |workspace: &Workspace, task: &str, database: &TestDatabase| {
        let line = Line::new("cargo", workspace.root()).args(["run", "--quiet", "--package", "xtask-checkouts", "--", task]);
        line.on(database).run()
    };
    let database = TestDatabase::new();
    run(one, "execute", &database).exits(0);
    assert_eq!(database.registered(), ["0001_one.rs"]);

    let database = TestDatabase::new();
    for task in ["execute", "show_status", "dumps", "help"] {
        let outcome = run(two, task, &database).exits(2);
        assert_has(&outcome.stderr, &["error: this program was started for ", "hint: run `cargo migrations`, or `touch "]);
    }
    assert!(database.registered().is_empty());
    // The advice works.
    let build_script = std::fs::File::options().write(true).open(two.path("xtask/build.rs")).unwrap();
    build_script.set_modified(std::time::SystemTime::now()).unwrap();
    run(two, "execute", &database).exits(0);
    assert_eq!(database.registered(), ["0001_two.rs"]);

    // The plugin builds what is needed, also if another package of this name has started it.
    let database = TestDatabase::new();
    let elsewhere = two.path("xtask");
    let line = one.line(["execute"]).env("CARGO_PKG_NAME", "xtask-checkouts").env("CARGO_MANIFEST_DIR", elsewhere);
    line.on(&database).run().exits(0);
    assert_eq!(database.registered(), ["0001_one.rs"]);
}

#[test]
fn a_run_from_within_cargo_run_rebuilds_nothing() {
    let database = TestDatabase::new();
    let fresh = |variables: &[(&str, &str)]| {
        let mut line = simple().line(["--verbose", "--verbose"]).on(&database);
        for (name, value) in variables {
            line = line.env(name, value);
        }
        let stderr = line.run().exits(0).stderr;
        assert!(stderr.contains("Fresh ring ") && !stderr.contains("Dirty "), "{stderr}");
    };
    // As an alias for `cargo run` sets them; ring's build script looks at these.
    fresh(&[]);
    fresh(&[("CARGO_MANIFEST_DIR", "/elsewhere"), ("CARGO_PKG_NAME", "cargo-migrations"), ("CARGO_PKG_VERSION_MAJOR", "7")]);
    fresh(&[]);
}
