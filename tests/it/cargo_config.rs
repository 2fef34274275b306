//! Cargo's own configuration: the plugin runs a manager as `cargo run` does.

use cargo_migrations::mongodb::bson::Document;

use super::support::{Line, Outcome, TestDatabase, Workspace, assert_has, plugin, server_uri};

const SEEN: &str = r#"//! Write down what the environment sets.
use cargo_migrations::prelude::*;

pub async fn up(db: &Database) -> Result<()> {
    let mut seen = doc! { "database": db.name() };
    for (name, value) in std::env::vars().filter(|(name, _)| name.starts_with("CM_")) {
        seen.insert(name, value);
    }
    db.collection::<Document>("seen").insert_one(seen).await?;
    Ok(())
}
"#;

/// Runs the migration in that folder with the plugin and with `cargo run`. Returns what each has seen.
fn seen(workspace: &Workspace, folder: &str, variables: &[(&str, &str)]) -> [Document; 2] {
    let folder = workspace.path(folder);
    let package = workspace.manager_name();
    let lines = [
        Line::new(plugin(), &folder).args(["execute"]),
        Line::new("cargo", &folder).args(["run", "--quiet", "--package", package, "--", "execute"]),
    ];
    lines.map(|line| {
        let database = TestDatabase::new();
        let line = variables.iter().fold(line, |line, (name, value)| line.env(name, value));
        line.env("MONGO_DATABASE", database.name()).run().exits(0);
        let mut seen = database.documents("seen");
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].remove("database").unwrap().as_str(), Some(database.name()));
        seen[0].remove("_id");
        seen.remove(0)
    })
}

#[test]
fn variables_of_the_configuration_are_set_as_cargo_run_sets_them() {
    let workspace = Workspace::new();
    workspace.migration("0001_seen.rs", SEEN);
    let uri = server_uri();
    workspace.write(
        ".cargo/config.toml",
        &format!(
            "[env]\nMONGO_URI = {uri:?}\nCM_FAR = \"far\"\nCM_BOTH = \"far\"\nCM_SET = \"file\"\n\
             CM_FORCED = {{ value = \"file\", force = true }}\n\
             CM_PATH = {{ value = \"certs/ca.pem\", relative = true }}\n"
        ),
    );
    workspace.write("mongomigrations/.cargo/config.toml", "[env]\nCM_BOTH = \"near\"\nCM_PATH.value = \"near.pem\"\n");
    for (folder, both) in [("", "far"), ("mongomigrations", "near"), ("xtask/src", "far")] {
        let [ours, cargos] = seen(&workspace, folder, &[("CM_SET", "shell"), ("CM_FORCED", "shell")]);
        assert_eq!(ours, cargos, "in `{folder}`");
        let text = |name: &str| ours.get_str(name).unwrap().to_owned();
        assert_eq!((text("CM_BOTH"), text("CM_FAR"), text("CM_SET"), text("CM_FORCED")), {
            (both.to_owned(), "far".to_owned(), "shell".to_owned(), "file".to_owned())
        });
        let is_near = folder == "mongomigrations";
        let path = workspace.root().canonicalize().unwrap().join(if is_near { folder } else { "" });
        let path = path.join(if is_near { "near.pem" } else { "certs/ca.pem" });
        assert_eq!(std::path::Path::new(&text("CM_PATH")), path);
    }
}

#[test]
fn what_is_wrong_in_the_configuration_is_reported_by_cargo() {
    let workspace = Workspace::new();
    let database = TestDatabase::new();
    for (text, expected) in [
        ("[env]\nMONGO_URI = ", "/.cargo/config.toml"),
        ("[env]\nMONGO_URI = 7\n", "MONGO_URI"),
        ("[env]\nMONGO_URI = { force = true }\n", "MONGO_URI"),
    ] {
        workspace.write(".cargo/config.toml", text);
        let outcome = workspace.run("execute", &database);
        assert_ne!(outcome.code, 0, "{text}");
        assert_has(&outcome.stderr, &["error: ", expected]);
        assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
    }
    assert!(database.collections().is_empty());
}

/// A manager that links no driver, and says for which machine it was built.
fn naming_its_machine() -> Workspace {
    let workspace = Workspace::new();
    workspace.manager_source("fn main() {\n    println!(\"built for {}\", std::env::consts::ARCH);\n}\n");
    workspace.write("xtask/Cargo.toml", &workspace.read("xtask/Cargo.toml").replace(", features = [\"manager\"]", ""));
    workspace
}

#[track_caller]
fn is_for_this_machine(outcome: Outcome) {
    assert_eq!(outcome.exits(0).stdout, format!("built for {}\n", std::env::consts::ARCH));
}

#[test]
fn the_manager_is_built_for_this_machine_whatever_the_target_is() {
    let workspace = naming_its_machine();
    is_for_this_machine(workspace.line([]).run());
    for target in ["\"wasm32-unknown-unknown\"", "[\"wasm32-unknown-unknown\", \"aarch64-apple-darwin\"]"] {
        workspace.write(".cargo/config.toml", &format!("[build]\ntarget = {target}\n"));
        is_for_this_machine(workspace.line([]).run());
    }
    std::fs::remove_file(workspace.path(".cargo/config.toml")).unwrap();
    is_for_this_machine(workspace.line([]).env("CARGO_BUILD_TARGET", "wasm32-unknown-unknown").run());
}

#[test]
fn the_runner_of_a_target_is_for_cargo_run_alone() {
    let workspace = naming_its_machine();
    workspace.write(".cargo/config.toml", "[target.'cfg(all())']\nrunner = \"false\"\n");
    is_for_this_machine(workspace.line([]).run());
    let line = Line::new("cargo", workspace.root()).args(["run", "--quiet", "--package", workspace.manager_name()]);
    assert_eq!(line.run().exits(1).stdout, "");
}
