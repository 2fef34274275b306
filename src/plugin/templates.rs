//! The files that `init` and `new` write.

/// A migration file.
pub(super) fn migration(words: &str) -> String {
    format!(
        r#"//! {words}
use cargo_migrations::prelude::*;

pub async fn up(db: &Database) -> Result<()> {{
    // db.collection::<Document>("notes").update_many(doc! {{}}, doc! {{ "$set": {{ "archived": false }} }}).await?;
    let _ = db;
    Ok(())
}}

// Undoes `up`. Without it the migration cannot be rolled back.
pub async fn down(db: &Database) -> Result<()> {{
    let _ = db;
    Ok(())
}}
"#
    )
}

/// The manager's manifest; `dependency` is `version = "…"` or `path = "…"`, `srv` whether mongodb+srv:// addresses are known.
pub(super) fn manager_manifest(name: &str, dependency: &str, srv: bool) -> String {
    let features = if srv { r#""manager", "srv""# } else { r#""manager""# };
    format!(
        r#"[package]
name = "{name}"
version = "0.0.0"
edition = "2024"
publish = false

# The manager itself. mongodb+srv:// addresses need the feature "srv" beside "manager", which makes the first build longer.
[dependencies]
cargo-migrations = {{ {dependency}, default-features = false, features = [{features}] }}

# What build.rs needs to compile the migration files in.
[build-dependencies]
cargo-migrations = {{ {dependency}, default-features = false }}
"#
    )
}

/// The manager's build script.
pub(super) fn build_script(directory: &str) -> String {
    format!("fn main() {{\n    cargo_migrations::build::embed({directory:?});\n}}\n")
}

/// The manager.
pub(super) fn manager(database: &str) -> String {
    format!(
        r#"//! The migrations manager: `cargo migrations` builds and runs it.
use cargo_migrations::prelude::*;

// The migration files, compiled in by build.rs.
cargo_migrations::embedded!(mod migrations);

struct Migrations;

impl MigrationsManager for Migrations {{
    fn config(&self) -> Config {{
        // MONGO_URI and its like win over what stands here; with no server named, development builds start a local one.
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

/// A new workspace's manifest.
pub(super) fn workspace(member: &str) -> String {
    format!(
        r#"[workspace]
members = ["{member}"]
resolver = "3"

# Line numbers in backtraces of your own crates. Debug information of all the rest, and of what is generated for the migrations,
# makes each build with the driver slower; a panic tells its place without.
[profile.dev]
debug = "line-tables-only"

[profile.dev.package."*"]
debug = false

[profile.dev.package.{member}]
debug = false

# A login by name and password hashes 15,000 times.
[profile.dev.package.sha2]
opt-level = 3
"#
    )
}
