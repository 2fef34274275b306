//! The flags of the line, which plugin and manager read alike.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Parser, ValueEnum};

#[cfg(feature = "manager")]
use crate::line::Task;

/// MongoDB migrations written in Rust.
#[derive(Clone, Debug, Default, Parser)]
#[command(
    name = "cargo-migrations",
    bin_name = "cargo migrations",
    version,
    disable_help_subcommand = true,
    override_usage = "cargo migrations [FLAGS] [TASK...]",
    after_help = "`cargo migrations help` lists the subtasks, those of your manager included.\n\
                  `cargo migrations init` sets up a project, `cargo migrations new:NAME` writes the next migration."
)]
pub(crate) struct Args {
    /// Subtasks (`execute`, `execute:0002_x`, `rollback:2`) and environments, run left to right
    #[arg(value_name = "TASK")]
    pub(crate) tasks: Vec<String>,

    /// Path to the workspace's Cargo.toml
    #[arg(long, value_name = "PATH")]
    pub(crate) manifest_path: Option<PathBuf>,

    /// Build the manager in release mode
    #[arg(short, long, conflicts_with = "profile")]
    pub(crate) release: bool,

    /// Build the manager with the given profile
    #[arg(long, value_name = "PROFILE-NAME")]
    pub(crate) profile: Option<String>,

    /// Assert that Cargo.lock will remain unchanged
    #[arg(long)]
    pub(crate) locked: bool,

    /// Run cargo without accessing the network
    #[arg(long)]
    pub(crate) offline: bool,

    /// Equivalent to both --locked and --offline
    #[arg(long)]
    pub(crate) frozen: bool,

    /// Coloring: auto, always or never
    #[arg(long, value_name = "WHEN")]
    pub(crate) color: Option<Color>,

    /// Say less: results, warnings and errors only
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Say more; twice, cargo does too, and every command that is sent to the server is told
    #[arg(short, long, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    /// How results are written to stdout
    #[arg(long, value_name = "FORMAT", default_value_t, value_enum)]
    pub(crate) format: Format,

    /// The environment that the tasks run in, as its name ahead of them does
    #[arg(long, value_name = "NAME")]
    pub(crate) env: Option<String>,

    /// In an environment of several databases: begin no further one once one has failed
    #[arg(long)]
    pub(crate) fail_fast: bool,

    /// With show_status: exit 4 when a migration is unregistered, failed or interrupted
    #[arg(long)]
    pub(crate) check: bool,

    /// With execute: refuse what is otherwise warned of (changed files, migrations out of order)
    #[arg(long)]
    pub(crate) strict: bool,

    /// Wait that long for the lock (`60s`, `5m`), where another run has it
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) wait: Option<Duration>,

    /// Answer every question with yes
    #[arg(short, long)]
    pub(crate) yes: bool,

    /// With init: a checkout of cargo-migrations to depend on, as with `cargo add`
    #[arg(long, value_name = "DIR")]
    pub(crate) path: Option<PathBuf>,
}

/// When output is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

impl Color {
    /// The word that cargo's `--color` takes.
    #[cfg(feature = "cli")]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        }
    }
}

/// What results on stdout look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Tables and sentences
    #[default]
    Human,
    /// One JSON document, or one JSON line per event
    Json,
}

impl Args {
    /// How long to wait for the lock.
    #[cfg(feature = "manager")]
    pub(crate) fn wait(&self) -> Option<Duration> {
        self.wait
    }

    /// The same flags as words, for another machine that runs `tasks`. What is of this machine alone is left out.
    #[cfg(feature = "manager")]
    pub(crate) fn words_for(&self, tasks: &[Task], is_colored: bool) -> Vec<String> {
        let has = |name: &str| tasks.iter().any(|task| task.name == name);
        let mut words: Vec<String> = tasks.iter().map(ToString::to_string).collect();
        let switches = [
            ("--release", self.release),
            ("--locked", self.locked),
            ("--offline", self.offline),
            ("--frozen", self.frozen),
            ("--quiet", self.quiet),
            ("--check", self.check && has("show_status")),
            ("--strict", self.strict && has("execute")),
            ("--fail-fast", self.fail_fast),
            ("--yes", self.yes),
        ];
        words.extend(switches.iter().filter(|(_, on)| *on).map(|(flag, _)| (*flag).to_owned()));
        words.extend((0..self.verbose).map(|_| "--verbose".to_owned()));
        if let Some(profile) = &self.profile {
            words.push(format!("--profile={profile}"));
        }
        if let Some(wait) = self.wait {
            words.push(format!("--wait={}ms", wait.as_millis()));
        }
        if self.format == Format::Json {
            words.push("--format=json".into());
        }
        words.push(format!("--color={}", if is_colored { "always" } else { "never" }));
        words
    }

    /// Reads a process's arguments.
    pub(crate) fn read(args: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        Self::try_parse_from(args)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn read(args: &[&str]) -> Result<Args, clap::Error> {
        Args::read(args.iter().map(OsString::from))
    }

    #[test]
    fn the_definition_holds() {
        Args::command().debug_assert();
    }

    #[test]
    fn flags_may_stand_anywhere() {
        let args = read(&["cargo-migrations", "staging", "--yes", "execute", "--format", "json"]).unwrap();
        assert_eq!(args.tasks, ["staging", "execute"]);
        assert!(args.yes);
        assert_eq!(args.format, Format::Json);
    }

    #[test]
    #[cfg(feature = "manager")]
    fn flags_read_back_on_another_machine() {
        let line = [
            "x",
            "mytask:a\\,b",
            "execute",
            "--release",
            "-vv",
            "--strict",
            "--yes",
            "--wait",
            "65s",
            "--format",
            "json",
            "--fail-fast",
            "--offline",
        ];
        let args = read(&line).unwrap();
        let tasks: Vec<Task> = args.tasks.iter().map(|word| word.parse().unwrap()).collect();
        let mut words = vec!["x".to_owned()];
        words.extend(args.words_for(&tasks, true));
        let again = Args::read(words.iter().map(OsString::from)).unwrap();
        let expected = Args { color: Some(Color::Always), ..args };
        assert_eq!(format!("{again:?}"), format!("{expected:?}"));
    }

    #[test]
    fn contradictions_are_refused() {
        assert!(read(&["x", "--release", "--profile", "dev"]).is_err());
        assert!(read(&["x", "-q", "-v"]).is_err());
        assert!(read(&["x", "--colour", "never"]).is_err());
    }

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(read(&["x", "--wait", "60s"]).unwrap().wait, Some(Duration::from_secs(60)));
        assert_eq!(read(&["x", "--wait=5m"]).unwrap().wait, Some(Duration::from_secs(300)));
        assert!(read(&["x", "--wait", "60"]).unwrap_err().to_string().contains("60"));
        assert!(read(&["x", "--wait", "soon"]).is_err());
    }
}
