//! `cargo migrations`: see the library's `plugin`.

use std::process::ExitCode;

fn main() -> ExitCode {
    cargo_migrations::plugin::main()
}
