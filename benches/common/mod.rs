//! What the benchmarks share: measured processes, and the formatting of figures.

#![allow(dead_code, reason = "no benchmark uses everything")]

pub(crate) mod far;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use cargo_migrations::Result;

/// What a process used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ran {
    pub(crate) wall: Duration,
    /// User and system time of the process and of the child processes that it waited for.
    pub(crate) cpu: Duration,
    /// Peak resident memory, in KiB.
    pub(crate) memory: u64,
}

/// A process to measure.
pub(crate) struct Process {
    command: Command,
    line: OsString,
}

impl Process {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(&program);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        Self { command, line: program.as_ref().to_owned() }
    }

    /// The benchmark's own binary.
    pub(crate) fn me() -> Self {
        Self::new(std::env::current_exe().expect("a path"))
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    pub(crate) fn arguments<S: AsRef<OsStr>>(mut self, arguments: &[S]) -> Self {
        self.command.args(arguments);
        for argument in arguments {
            self.line.push(" ");
            self.line.push(argument);
        }
        self
    }

    /// Runs the process to its end. An exit code other than 0 is an error.
    #[expect(unsafe_code, reason = "the standard library has no function for what a process used")]
    pub(crate) fn run(mut self) -> Result<Ran> {
        let since = Instant::now();
        let mut child = self.command.spawn()?;
        let mut stderr = child.stderr.take().expect("piped above");
        let mut printed = Vec::new();
        std::io::Read::read_to_end(&mut stderr, &mut printed)?;
        let mut status = 0;
        // SAFETY: both pointers are to local variables that the call fills, and an all-zero `rusage` is valid.
        let (waited, usage) = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            (libc::wait4(i32::try_from(child.id())?, &mut status, 0, &mut usage), usage)
        };
        let wall = since.elapsed();
        if waited < 0 || !libc::WIFEXITED(status) || libc::WEXITSTATUS(status) != 0 {
            return Err(format!("{} failed: {}", self.line.display(), String::from_utf8_lossy(&printed)).into());
        }
        let time = |time: libc::timeval| {
            Duration::from_secs(time.tv_sec.unsigned_abs()) + Duration::from_micros(time.tv_usec.unsigned_abs())
        };
        let memory = usage.ru_maxrss.unsigned_abs();
        Ok(Ran { wall, cpu: time(usage.ru_utime) + time(usage.ru_stime), memory })
    }
}

/// Runs a benchmark, and prints its error if it fails.
pub(crate) fn main(bench: impl Future<Output = Result<()>>) -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match runtime.block_on(bench) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns the number in an environment variable, or the default.
pub(crate) fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Returns the median times, and the highest memory.
pub(crate) fn summary(runs: &[Ran]) -> Ran {
    Ran {
        wall: median(&runs.iter().map(|ran| ran.wall).collect::<Vec<_>>()),
        cpu: median(&runs.iter().map(|ran| ran.cpu).collect::<Vec<_>>()),
        memory: runs.iter().map(|ran| ran.memory).max().unwrap_or_default(),
    }
}

pub(crate) fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    times[times.len() / 2]
}

/// `12.3 ms`
pub(crate) fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// `1.07`
pub(crate) fn ratio(time: Duration, reference: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() / reference.as_secs_f64())
}
