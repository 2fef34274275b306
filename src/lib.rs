#![cfg_attr(feature = "manager", doc = include_str!("../docs/library.md"))]
#![cfg_attr(
    not(feature = "manager"),
    doc = "The plugin `cargo migrations`, and what a manager's build script calls ([`build::embed`]).\n\nThe feature `manager` adds \
           the library for managers, migrations and services, and its documentation."
)]

#[cfg(feature = "_line")]
mod completion;
mod embed;
mod error;
#[cfg(feature = "_line")]
mod line;
mod model;
#[cfg(feature = "cli")]
pub mod plugin;
#[cfg(feature = "_line")]
mod terminal;

#[cfg(feature = "manager")]
mod backfill;
#[cfg(feature = "manager")]
mod config;
#[cfg(feature = "manager")]
mod connect;
#[cfg(feature = "manager")]
mod context;
#[cfg(feature = "manager")]
mod crash;
#[cfg(feature = "manager")]
mod db;
#[cfg(feature = "manager")]
mod dispatch;
#[cfg(feature = "manager")]
mod doctor;
#[cfg(feature = "manager")]
mod dump;
#[cfg(feature = "manager")]
mod durable;
#[cfg(feature = "manager")]
mod environment;
#[cfg(feature = "manager")]
mod manager;
#[cfg(feature = "manager")]
mod migration;
#[cfg(feature = "manager")]
pub mod mongod;
#[cfg(feature = "manager")]
mod process;
#[cfg(feature = "manager")]
mod report;
#[cfg(feature = "manager")]
mod run;
#[cfg(feature = "manager")]
mod runner;
#[cfg(feature = "manager")]
mod store;

pub use error::{Error, ErrorKind, Result};

#[cfg(feature = "manager")]
pub use {
    backfill::{Backfill, Backfilled, Undone, Write},
    config::{Config, FromEnv},
    context::{Context, Options},
    db::{Db, Transaction, TxCollection},
    dispatch::run,
    environment::Environment,
    manager::{Flow, MigrationsManager, Subtasks},
    migration::{Action, Embedded, IntoAction, Migration, Rerun, TakesDatabase, TakesDb, TakesTransaction},
    mongodb,
    report::{Message, Progress, Reporter},
    runner::Runner,
};

/// The built-in subtasks. A manager that overrides one reaches it here: `builtin::execute(self, cx, migration).await`.
#[cfg(feature = "manager")]
pub mod builtin {
    pub use crate::manager::builtin::*;
}

/// The examples of that page are tested.
#[cfg(all(doctest, feature = "manager"))]
#[doc = include_str!("../docs/backfills.md")]
mod backfills_page {}

/// What a manager's build script calls.
pub mod build {
    pub use crate::embed::{Embed, embed};
}

/// Everything that managers and migrations need: `use cargo_migrations::prelude::*;`
#[cfg(feature = "manager")]
pub mod prelude {
    pub use std::process::ExitCode;

    pub use mongodb::Database;
    pub use mongodb::bson::{Document, doc};

    pub use crate::config::FromEnv as _;
    pub use crate::{Config, Context, Db, Flow, MigrationsManager, Rerun, Result, Subtasks, Transaction, Write, builtin};
}

/// Declares the module of the migrations that the build script found, with a function `embedded` that returns them.
///
/// The package's `build.rs` calls [`build::embed`], and `main.rs` declares the module at its top:
///
/// ```text
/// use cargo_migrations::prelude::*;
///
/// cargo_migrations::embedded!(mod migrations);
///
/// struct Migrations;
///
/// impl MigrationsManager for Migrations {}
///
/// fn main() -> ExitCode {
///     cargo_migrations::run(Migrations, migrations::embedded())
/// }
/// ```
///
/// The module takes attributes and a visibility, as any other does:
///
/// ```text
/// cargo_migrations::embedded!(
///     /// The migrations of this service.
///     pub(crate) mod migrations
/// );
/// ```
///
/// Each migration file is a module of its own within it. What was compiled for one migration is reused when another one changes.
/// `super::*` in a migration file is everything that is in scope where the macro is called.
#[cfg(feature = "manager")]
#[macro_export]
macro_rules! embedded {
    // The module of a migration file: one of the two, in generated code. A function of a migration is public in a private module.
    (@file $path:tt $name:ident) => {
        #[allow(unreachable_pub, reason = "the migrations' functions are public, but their module need not be")]
        #[path = $path]
        mod $name;
    };
    (@module $path:tt $name:ident) => {
        #[path = $path]
        mod $name;
    };
    (@all [$($visibility:tt)*] [$($of_function:tt)*] $name:ident $(#[$attribute:meta])*) => {
        $(#[$attribute])*
        $($visibility)* mod $name {
            // `super::*` in a migration file is this module.
            use super::*;
            use $crate as __cargo_migrations;

            ::core::include!(::core::concat!(::core::env!("OUT_DIR"), "/cargo_migrations.rs"));

            /// Returns the migrations, in the order in which they run.
            #[must_use]
            $($of_function)* fn embedded() -> $crate::Embedded {
                found()
            }
        }
    };
    ($(#[$attribute:meta])* mod $name:ident) => {
        $crate::embedded! { @all [] [pub(super)] $name $(#[$attribute])* }
    };
    ($(#[$attribute:meta])* pub mod $name:ident) => {
        $crate::embedded! { @all [pub] [pub] $name $(#[$attribute])* }
    };
    ($(#[$attribute:meta])* $visibility:vis mod $name:ident) => {
        $crate::embedded! { @all [$visibility] [pub(crate)] $name $(#[$attribute])* }
    };
    ($($other:tt)*) => {
        ::core::compile_error! {
            "write `cargo_migrations::embedded!(mod migrations);` at the top of main.rs, and `migrations::embedded()` in main"
        }
    };
}
