//! Compiles the migration files in; a manager (`xtask`) of the same workspace embeds the same directory.

fn main() {
    cargo_migrations::build::embed("../../mongomigrations");
}
