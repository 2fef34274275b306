//! Running the built plugin, or a manager, as a user does.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{TestDatabase, server_uri, target};

/// The plugin that this test run built.
pub(crate) fn plugin() -> PathBuf {
    env!("CARGO_BIN_EXE_cargo-migrations").into()
}

/// A command line that is being put together. Of the tool's and cargo's variables, its environment has only those set here.
pub(crate) struct Line {
    command: Command,
}

impl Line {
    pub(crate) fn new(program: impl AsRef<OsStr>, folder: &Path) -> Self {
        let mut command = Command::new(program);
        command.current_dir(folder).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            let ours = text.starts_with("MONGO_") || text.starts_with("CARGO_MIGRATIONS_") || text.starts_with("DO_MONGO");
            let cargos = text.starts_with("CARGO_") && text != "CARGO_HOME" || text == "CARGO" || text == "OUT_DIR";
            if ours || cargos || text == "CI" || text == "NO_COLOR" || text.starts_with("CLICOLOR") {
                command.env_remove(&name);
            }
        }
        // The workspaces share what is compiled, but each has its own binaries and its own local server.
        command.env("CARGO_BUILD_BUILD_DIR", target()).env("CARGO_INCREMENTAL", "0").env("USER", "tester");
        // The workspaces below the target folder do not belong to the repository of this checkout.
        command.env("GIT_CEILING_DIRECTORIES", target());
        Self { command }
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Makes it work on that database.
    pub(crate) fn on(self, database: &TestDatabase) -> Self {
        self.env("MONGO_URI", server_uri()).env("MONGO_DATABASE", database.name())
    }

    pub(crate) fn run(mut self) -> Outcome {
        let shown = format!("{:?}", self.command.get_args().collect::<Vec<_>>());
        Outcome::new(shown, self.command.output().expect("the program starts"))
    }

    /// Starts it with pipes, in a process group of its own.
    pub(crate) fn spawn(mut self) -> Child {
        use std::os::unix::process::CommandExt as _;
        self.command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts")
    }
}

/// Sends a signal to one process.
pub(crate) fn signal(child: &Child, name: &str) {
    send(name, &child.id().to_string());
}

/// Sends a signal to the process's group, as a terminal does.
pub(crate) fn signal_group(child: &Child, name: &str) {
    send(name, &format!("-{}", child.id()));
}

pub(super) fn send(name: &str, to: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), "--", to]).status().expect("kill").success());
}

/// Waits until a migration has left that trace.
pub(crate) fn wait_for_trace(database: &TestDatabase, what: &str) {
    let since = Instant::now();
    while !database.trace().iter().any(|did| did == what) {
        assert!(since.elapsed() < Duration::from_secs(60), "{what} did not come");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// How wide the pseudo-terminals are, unless the variable `PTY_COLUMNS` says something else.
pub(crate) const COLUMNS: usize = 100;

/// Runs a program on a pseudo-terminal of 100 columns. Returns what it shows, including escape sequences, and its exit code.
///
/// Each of the `answers` is typed once the text before it is shown. An empty text waits for nothing.
pub(crate) fn pty(
    program: &Path,
    folder: &Path,
    args: &[&str],
    database: &TestDatabase,
    answers: &[(&str, &str)],
) -> (String, i32) {
    pty_with(program, folder, args, &[("MONGO_URI", server_uri()), ("MONGO_DATABASE", database.name())], answers)
}

/// Runs a program on a pseudo-terminal as [`pty`] does, with these variables.
pub(crate) fn pty_with(
    program: &Path,
    folder: &Path,
    args: &[&str],
    variables: &[(&str, &str)],
    answers: &[(&str, &str)],
) -> (String, i32) {
    // The tests need Python anyway, and its standard library provides pseudo-terminals.
    const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/pseudo_terminal.py");
    use std::io::Write as _;
    let line = Line::new("python3", folder).args([SCRIPT]).args([program]).args(args);
    let mut line = line.env("TERM", "xterm-256color");
    for (name, value) in variables {
        line = line.env(name, value);
    }
    let mut child =
        line.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("python3");
    let answers = serde_json::to_vec(answers).expect("JSON");
    child.stdin.take().expect("piped").write_all(&answers).expect("input");
    let output = child.wait_with_output().expect("python3");
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code().unwrap_or(-1))
}

/// The result of a command line.
#[derive(Debug)]
pub(crate) struct Outcome {
    line: String,
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    pub(crate) fn new(line: String, output: Output) -> Self {
        Self {
            line,
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: without_cargo(&String::from_utf8_lossy(&output.stderr)),
        }
    }

    /// Asserts that it ended with that exit code, and that its output shows no panic.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\nstdout:\n{}\nstderr:\n{}", self.line, self.stdout, self.stderr);
        for text in [&self.stdout, &self.stderr] {
            assert!(!text.contains("panicked at") && !text.contains("RUST_BACKTRACE"), "{text}");
        }
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {}", self.stdout))
    }

    /// The JSON values of stdout, one per line.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e} in {line}"))).collect()
    }

    /// stderr, with everything replaced that differs from run to run.
    pub(crate) fn stderr_of(&self, database: &TestDatabase) -> String {
        redact(&self.stderr.replace(database.name(), "DATABASE"))
    }

    pub(crate) fn stdout_of(&self, database: &TestDatabase) -> String {
        redact(&self.stdout.replace(database.name(), "DATABASE"))
    }
}

/// Replaces times, durations and ports.
fn redact(text: &str) -> String {
    let text = regex::Regex::new(r"\b\d+\.\d\ds\b").unwrap().replace_all(text, "0.00s");
    let text = regex::Regex::new(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ").unwrap().replace_all(&text, "2026-01-02 03:04:05Z");
    let text = regex::Regex::new(r"\d{4}-\d\d-\d\dT[0-9:.]+Z").unwrap().replace_all(&text, "2026-01-02T03:04:05Z");
    let text = regex::Regex::new(r"on 127\.0\.0\.1:\d+").unwrap().replace_all(&text, "on 127.0.0.1:PORT");
    text.into_owned()
}

/// Removes cargo's own lines about the build.
fn without_cargo(stderr: &str) -> String {
    const CARGOS: [&str; 8] =
        ["Compiling ", "Finished `", "Blocking ", "Locking ", "Adding ", "Downloading", "Downloaded ", "Updating "];
    let is_cargos = |line: &&str| CARGOS.iter().any(|start| line.trim_start().starts_with(start));
    stderr.lines().filter(|line| !is_cargos(line)).map(|line| format!("{line}\n")).collect()
}

/// Runs a manager's binary without the plugin.
pub(crate) fn manager(binary: &Path, folder: &Path, args: &[&str], database: &TestDatabase) -> Outcome {
    Line::new(binary, folder).args(args).on(database).run()
}
