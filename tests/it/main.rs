//! Integration tests: the built plugin, in copies of small user workspaces, against real `mongod` processes.
//!
//! They share one server (a replica set of one, or the one that CARGO_MIGRATIONS_TEST_URI names), each with a database of its
//! own, and one target folder, so that the driver is compiled once.

#![expect(clippy::unwrap_used, reason = "a test that unwraps says enough")]

mod support;

mod adopt;
mod backfill;
mod backfill_answers;
mod backfill_failures;
mod backfill_live;
mod backfill_marks;
mod backfill_model;
mod backfill_processes;
mod backfill_steer;
mod backfill_undo;
mod backfill_verify;
mod builtins;
mod cargo_config;
mod checksums;
mod commands;
mod completion;
mod connections;
mod corrections;
mod crashes;
mod deployed;
mod doctor;
mod dotenv;
mod dump;
mod dump_bytes;
mod dump_changes;
mod dump_damage;
mod dump_part;
mod effects;
mod environments;
mod events;
mod failover;
mod faults;
mod files;
mod generated_code;
mod goals;
mod grammar;
mod house;
mod init;
mod local_server;
mod lock;
mod log;
mod majority;
mod manager;
mod migopy;
mod output;
mod passwords;
mod plan;
mod plugin;
mod prints;
mod protocol_model;
mod registry;
mod rerun;
mod restore;
mod restore_crashes;
mod restore_refused;
mod rights;
mod service;
mod snapshots;
mod sources;
mod ssh;
mod stopping;
mod tenants;
mod transactions;
mod words;
