//! Named points after each write, at which a test can kill or freeze the process. Without the feature `_crash-points` they do
//! nothing.

#[cfg(feature = "_crash-points")]
use crate::model::variables;

/// Kills (SIGKILL) or freezes (SIGSTOP) the process here, if the test asks for it.
///
/// `CARGO_MIGRATIONS_CRASH_AT` is `KILL:n` or `STOP:n`, where n counts the points that the process reaches, from 0. With
/// `CARGO_MIGRATIONS_CRASH_TRACE` the name of each point is appended to that file.
#[cfg(feature = "_crash-points")]
#[expect(unsafe_code, reason = "a process kills itself through libc")]
pub(crate) fn point(name: &str) {
    use std::io::Write as _;
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    if let Some(file) = std::env::var_os(variables::CRASH_TRACE) {
        let file = std::fs::File::options().append(true).create(true).open(file);
        let _ = file.and_then(|mut file| writeln!(file, "{name}"));
    }
    let Ok(wanted) = std::env::var(variables::CRASH_AT) else { return };
    let signal = match wanted.split_once(':') {
        Some(("KILL", at)) if at == count.to_string() => libc::SIGKILL,
        Some(("STOP", at)) if at == count.to_string() => libc::SIGSTOP,
        _ => return,
    };
    // SAFETY: both calls take and return plain numbers.
    unsafe {
        libc::kill(libc::getpid(), signal);
    }
}

/// How long a lease is valid: `CARGO_MIGRATIONS_LEASE_MS`, so that tests need not wait for the real time.
#[cfg(feature = "_crash-points")]
pub(crate) fn lease_time() -> std::time::Duration {
    let ms = std::env::var(variables::LEASE_MS).ok().and_then(|ms| ms.parse().ok());
    std::time::Duration::from_millis(ms.unwrap_or(10_000))
}

/// How many documents a range of a backfill has: `CARGO_MIGRATIONS_RANGE`, so that tests have many ranges with few documents.
#[cfg(feature = "_crash-points")]
pub(crate) fn range_documents() -> u64 {
    std::env::var(variables::RANGE).ok().and_then(|count| count.parse().ok()).unwrap_or(20_000)
}

#[cfg(not(feature = "_crash-points"))]
#[inline(always)]
pub(crate) fn point(_: &str) {}
