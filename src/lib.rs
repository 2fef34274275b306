#![doc = include_str!("../docs/library.md")]

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
    config::{Config, FromEnv},
    context::{Context, Options},
    db::{Db, Transaction, TxCollection},
    dispatch::run,
    environment::Environment,
    manager::{Flow, MigrationsManager, Subtasks},
    migration::{Action, Embedded, IntoAction, Migration},
    mongodb,
    report::{Message, Progress, Reporter},
    runner::Runner,
};

/// The built-in subtasks. A manager that overrides one reaches it here: `builtin::execute(self, cx, migration).await`.
#[cfg(feature = "manager")]
pub mod builtin {
    pub use crate::manager::builtin::*;
}

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
    pub use crate::{Config, Context, Db, Flow, MigrationsManager, Result, Subtasks, Transaction, builtin};
}

/// The migrations that the build script found: `cargo_migrations::run(Migrations, cargo_migrations::embedded!())`.
///
/// The package's `build.rs` calls [`build::embed`].
///
/// With hundreds of files the manager builds faster where they are a module of their own, at the top of `main.rs`; what is
/// compiled for one is then left alone when another one changes:
///
/// ```text
/// cargo_migrations::embedded!(mod migrations);
///
/// fn main() -> ExitCode {
///     cargo_migrations::run(Migrations, migrations::embedded())
/// }
/// ```
#[cfg(feature = "manager")]
#[macro_export]
macro_rules! embedded {
    () => {
        ::core::include!(::core::concat!(::core::env!("OUT_DIR"), "/cargo_migrations.rs"))
    };
    (mod $name:ident) => {
        mod $name {
            ::core::include!(::core::concat!(::core::env!("OUT_DIR"), "/cargo_migrations_items.rs"));
        }
    };
}
