//! The flags of the line, which the plugin and the manager read alike.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, CommandFactory as _, FromArgMatches as _, Parser, ValueEnum};

#[cfg(feature = "manager")]
use super::Task;
use super::program::{is_deployed, program};
use crate::error::Error;

/// MongoDB migrations written in Rust.
#[derive(Clone, Debug, Default, Parser)]
#[command(name = "cargo-migrations", version, disable_help_subcommand = true)]
pub(crate) struct Args {
    /// Subtasks (`execute`, `execute:0002_x`, `rollback:2`) and environments, run from left to right
    #[arg(value_name = "TASK")]
    pub(crate) tasks: Vec<String>,

    #[command(flatten)]
    pub(crate) cargo: CargoFlags,

    /// Coloring: auto, always or never
    #[arg(long, value_name = "WHEN")]
    pub(crate) color: Option<Color>,

    /// Print only results, warnings and errors
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Print more; given twice, cargo does too, and every command that is sent to the server is shown
    #[arg(short, long, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    /// How results are written to stdout
    #[arg(long, value_name = "FORMAT", default_value_t, value_enum)]
    pub(crate) format: Format,

    /// The environment that the tasks run in, like its name before them
    #[arg(long, value_name = "NAME")]
    pub(crate) env: Option<String>,

    /// In an environment of several databases: start no further one once one has failed
    #[arg(long)]
    pub(crate) fail_fast: bool,

    /// With show_status and plan: exit 4 if there is something to do (for show_status: a migration is unregistered, failed or
    /// interrupted, or has no file)
    #[arg(long)]
    pub(crate) check: bool,

    /// With execute, rollback, to, redo and plan: refuse what is otherwise a warning (migrations that were edited after they ran, that have no
    /// file, or that are out of order)
    #[arg(long)]
    pub(crate) strict: bool,

    /// Wait this long for the lock if another run has it, or if a majority of the replica set
    /// does not confirm it (`60s`, `5m`)
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) wait: Option<Duration>,

    /// Answer every question with yes
    #[arg(short, long)]
    pub(crate) yes: bool,

    /// With init: a checkout of cargo-migrations to depend on, as with `cargo add`
    #[arg(long, value_name = "DIR")]
    pub(crate) path: Option<PathBuf>,
}

/// The flags that are cargo's own.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct CargoFlags {
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
}

impl CargoFlags {
    /// The flags that say how a manager is built. The manifest's path is not one of them: it is this machine's.
    pub(crate) fn for_build(&self) -> Vec<String> {
        let Self { manifest_path: _, release, profile, locked: _, offline: _, frozen: _ } = self;
        let mut words = self.for_metadata();
        words.extend(release.then(|| "--release".to_owned()));
        words.extend(profile.iter().map(|profile| format!("--profile={profile}")));
        words
    }

    /// The flags that `cargo metadata` takes as well.
    pub(crate) fn for_metadata(&self) -> Vec<String> {
        let Self { manifest_path: _, release: _, profile: _, locked, offline, frozen } = self;
        let flags = [("--locked", *locked), ("--offline", *offline), ("--frozen", *frozen)];
        flags.into_iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| flag.to_owned()).collect()
    }
}

/// The subtask that prints what a shell needs to complete the line.
pub(crate) const COMPLETIONS: &str = "completions";

/// A flag that goes with some subtasks only. A built-in declares which. (The trait lists them all.)
#[cfg(feature = "manager")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TaskFlag {
    Check,
    Strict,
}

#[cfg(feature = "manager")]
impl TaskFlag {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Self::value_variants().iter().copied()
    }

    fn is_set(self, args: &Args) -> bool {
        match self {
            Self::Check => args.check,
            Self::Strict => args.strict,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Check => "--check",
            Self::Strict => "--strict",
        }
    }
}

/// What a flag does, as `--help` says it, without the subtasks that it goes with: `With execute: …`. Empty if there is no such flag.
#[cfg(feature = "manager")]
pub(crate) fn help_of(flag: &str) -> String {
    let definition = Args::command();
    let flag = definition.get_arguments().find(|known| known.get_long() == flag.strip_prefix("--"));
    let help = flag.and_then(clap::Arg::get_help).map(ToString::to_string).unwrap_or_default();
    let what = match help.strip_prefix("With ").and_then(|rest| rest.split_once(": ")) {
        Some((_, what)) => what,
        None => &help,
    };
    let mut chars = what.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
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

/// The format that a line asks for, even if it cannot be read otherwise.
pub(crate) fn format_of(words: &[OsString]) -> Format {
    let words = || words.iter().map(|word| word.to_string_lossy());
    let is_json = words().any(|word| word == "--format=json")
        || words().zip(words().skip(1)).any(|(flag, value)| flag == "--format" && value == "json");
    if is_json { Format::Json } else { Format::Human }
}

impl Args {
    /// Reads a process's arguments.
    pub(crate) fn read(args: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut definition = definition();
        let matches = definition.try_get_matches_from_mut(args).map_err(|error| explained(error, &definition))?;
        let mut args = Self::from_arg_matches(&matches).map_err(|error| error.format(&mut definition))?;
        // Other programs write a space there.
        if let [name, shell] = &args.tasks[..]
            && name == COMPLETIONS
            && !shell.contains([':', ','])
        {
            args.tasks = vec![format!("{name}:{shell}")];
        }
        Ok(args)
    }

    /// Returns an error if the line has `--path`, which only `init` takes.
    pub(crate) fn refuse_path(&self) -> Result<(), Error> {
        match self.path {
            Some(_) => {
                let hint =
                    if is_deployed() { "leave it out".to_owned() } else { format!("write `{} init --path DIR`", program()) };
                Err(Error::usage("`--path` can only be used with init").with_hint(hint))
            }
            None => Ok(()),
        }
    }

    /// The flags that are set and go with some subtasks only.
    #[cfg(feature = "manager")]
    pub(crate) fn task_flags(&self) -> impl Iterator<Item = TaskFlag> {
        TaskFlag::all().filter(|flag| flag.is_set(self))
    }

    /// The line as words for another machine, which is to run `tasks` with the same flags. `is_taken` says whether one of them
    /// takes a flag.
    #[cfg(feature = "manager")]
    pub(crate) fn words_for(&self, tasks: &[Task], is_taken: impl Fn(TaskFlag) -> bool, is_colored: bool) -> Vec<String> {
        // Without `..`: a new flag is either sent, or named here as one that is not.
        let Self {
            tasks: _,
            cargo,
            color: _,
            quiet,
            verbose,
            format,
            env: _,
            fail_fast,
            check: _,
            strict: _,
            wait,
            yes,
            path: _,
        } = self;
        let mut words: Vec<String> = tasks.iter().map(ToString::to_string).collect();
        words.extend(cargo.for_build());
        words.extend(self.task_flags().filter(|flag| is_taken(*flag)).map(|flag| flag.as_str().to_owned()));
        let switches = [("--quiet", *quiet), ("--fail-fast", *fail_fast), ("--yes", *yes)];
        words.extend(switches.into_iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| flag.to_owned()));
        words.extend((0..*verbose).map(|_| "--verbose".to_owned()));
        words.extend(wait.iter().map(|wait| format!("--wait={}ms", wait.as_millis())));
        words.extend((*format == Format::Json).then(|| "--format=json".to_owned()));
        words.push(format!("--color={}", if is_colored { "always" } else { "never" }));
        words
    }
}

/// What other tools call a run that only shows what it would do.
const DRY_RUNS: [&str; 5] = ["--dry-run", "--dry_run", "--dry", "--plan", "-n"];

/// The error for people. Clap suggests to pass a flag that it does not know as a task, and no flag looks like these.
fn explained(error: clap::Error, definition: &clap::Command) -> clap::Error {
    let word = match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::UnknownArgument, Some(ContextValue::String(word))) => word,
        _ => return error,
    };
    match DRY_RUNS.iter().find(|flag| *flag == word) {
        Some(flag) => {
            let program = program();
            let hint = format!("`{program} plan` shows what `{program} execute` would run");
            let message = format!("there is no `{flag}`\nhint: {hint}\n");
            clap::Error::raw(ErrorKind::UnknownArgument, message).with_cmd(definition)
        }
        None => error,
    }
}

/// The definition of the line. Its help names the program as a person calls it.
fn definition() -> clap::Command {
    let program = program();
    let mut help = format!("`{program} help` lists the subtasks, including those of your manager.");
    // These two need the sources.
    if !is_deployed() {
        let more = format!("\n`{program} init` sets up a project, and `{program} new:NAME` writes the next migration.");
        help.push_str(&more);
    }
    Args::command().bin_name(program).override_usage(format!("{program} [FLAGS] [TASK...]")).after_help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &[&str]) -> Result<Args, clap::Error> {
        Args::read(args.iter().map(OsString::from))
    }

    #[test]
    fn the_definition_holds() {
        definition().debug_assert();
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
        words.extend(args.words_for(&tasks, |flag| flag == TaskFlag::Strict, true));
        let read_back = Args::read(words.iter().map(OsString::from)).unwrap();
        let expected = Args { color: Some(Color::Always), ..args };
        assert_eq!(format!("{read_back:?}"), format!("{expected:?}"));
    }

    #[test]
    #[cfg(feature = "manager")]
    fn a_flag_that_no_task_there_takes_is_not_sent() {
        let args = read(&["x", "--check", "--strict"]).unwrap();
        let words = args.words_for(&[], |flag| flag == TaskFlag::Check, false);
        assert_eq!(words, ["--check", "--color=never"]);
    }

    #[test]
    fn contradictions_are_refused() {
        assert!(read(&["x", "--release", "--profile", "dev"]).is_err());
        assert!(read(&["x", "-q", "-v"]).is_err());
        assert!(read(&["x", "--colour", "never"]).is_err());
    }

    #[test]
    fn a_dry_run_is_plan() {
        for flag in DRY_RUNS {
            let error = read(&["x", "execute", flag]).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            let hint = "`cargo migrations plan` shows what `cargo migrations execute` would run";
            assert_eq!(error.to_string(), format!("error: there is no `{flag}`\nhint: {hint}\n"));
        }
        assert!(read(&["x", "--dry-run=yes"]).unwrap_err().to_string().contains("there is no `--dry-run`"));
        // These are tasks, of which the manager knows more.
        assert!(read(&["x", "plan", "dry"]).is_ok());
        assert!(read(&["x", "--drought"]).unwrap_err().to_string().contains("unexpected argument '--drought'"));
    }

    #[test]
    #[cfg(feature = "manager")]
    fn every_flag_of_a_subtask_says_what_it_does() {
        assert!(help_of("--check").starts_with("exit 4 if there is something to do"), "{}", help_of("--check"));
        assert_eq!(help_of("--none"), "");
        for flag in TaskFlag::all() {
            let help = help_of(flag.as_str());
            assert!(!help.is_empty() && !help.contains('\n') && !help.starts_with("With "), "{help}");
        }
    }

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(read(&["x", "--wait", "60s"]).unwrap().wait, Some(Duration::from_secs(60)));
        assert_eq!(read(&["x", "--wait=5m"]).unwrap().wait, Some(Duration::from_secs(300)));
        assert!(read(&["x", "--wait", "60"]).unwrap_err().to_string().contains("60"));
        assert!(read(&["x", "--wait", "soon"]).is_err());
    }
}
