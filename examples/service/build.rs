//! Compiles the migration files into the service. The manager of the workspace (`xtask`) embeds the same directory.

fn main() {
    cargo_migrations::build::embed("../../mongomigrations");
}
