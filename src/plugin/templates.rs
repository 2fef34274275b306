//! The files that `init` and `new` write.

/// Returns a migration file with this description. `ours` is the name under which the manager depends on this crate.
pub(super) fn migration(description: &str, ours: &str) -> String {
    format!(
        r#"//! {description}
use {ours}::prelude::*;

// If running `up` again from its beginning does no harm, `execute` may do so after it was interrupted:
// pub const RERUN: Rerun = Rerun::Safe;

pub async fn up(db: &Database) -> Result<()> {{
    // db.collection::<Document>("notes").update_many(doc! {{}}, doc! {{ "$set": {{ "archived": false }} }}).await?;
    let _ = db;
    Ok(())
}}

// Undoes `up`. A migration without `down` cannot be rolled back.
pub async fn down(db: &Database) -> Result<()> {{
    let _ = db;
    Ok(())
}}
"#
    )
}

/// Returns the manager's manifest.
///
/// `dependency` is `version = "…"` or `path = "…"`, and `srv` says whether mongodb+srv:// connection strings are supported.
pub(super) fn manager_manifest(name: &str, dependency: &str, srv: bool) -> String {
    let features = if srv { r#""manager", "srv""# } else { r#""manager""# };
    format!(
        r#"[package]
name = "{name}"
version = "0.0.0"
edition = "2024"
publish = false

# For the manager itself. For mongodb+srv:// connection strings, add the feature "srv": it makes the
# first build slower.
[dependencies]
cargo-migrations = {{ {dependency}, default-features = false, features = [{features}] }}

# For build.rs, which compiles the migration files into the manager.
[build-dependencies]
cargo-migrations = {{ {dependency}, default-features = false }}
"#
    )
}

/// Returns the manager's build script.
pub(super) fn build_script(directory: &str) -> String {
    format!("fn main() {{\n    cargo_migrations::build::embed({directory:?});\n}}\n")
}

/// Returns the manager's `main.rs`.
pub(super) fn manager(database: &str, directory: &str) -> String {
    format!(
        r#"//! The migrations manager, which `cargo migrations` builds and runs.
use cargo_migrations::prelude::*;

// The migration files, which build.rs compiles into this program. `cargo fmt` does not find them:
// use `rustfmt --edition 2024 {directory}/*.rs` in the workspace's root.
cargo_migrations::embedded!(mod migrations);

struct Migrations;

impl MigrationsManager for Migrations {{
    fn config(&self) -> Config {{
        // Environment variables such as MONGO_URI win over these settings. Where no server is
        // configured, a development build starts a local one. `.dotenv()` in place of `.from_env()` reads
        // a file `.env` too.
        Config::new()
            .mongo_database({database:?})
            .from_env()
            .or_local_server()
    }}
}}

fn main() -> ExitCode {{
    cargo_migrations::run(Migrations, migrations::embedded())
}}
"#
    )
}

/// Returns the manifest of a new workspace.
pub(super) fn workspace(member: &str) -> String {
    format!(
        r#"[workspace]
members = ["{member}"]
resolver = "3"

# Backtraces show line numbers in your own crates. Dependencies and the manager have no debug
# information, because it makes each build with the driver slower; a panic message names its file and
# line without it.
[profile.dev]
debug = "line-tables-only"

[profile.dev.package."*"]
debug = false

[profile.dev.package.{member}]
debug = false

# A login with a user name and password computes 15,000 hashes, which is slow without optimization.
[profile.dev.package.sha2]
opt-level = 3
"#
    )
}
