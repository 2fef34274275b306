//! Compiles the migration files into the manager.

fn main() {
    cargo_migrations::build::embed("../mongomigrations");
}
