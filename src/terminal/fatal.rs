//! Signals that end the process without its doing, such as that of `abort` in C code. Before it ends, what was printed is written.

use super::relay;

/// A signal of which the default, or the handler before ours, ends the process.
const SIGNALS: [libc::c_int; 7] =
    [libc::SIGABRT, libc::SIGQUIT, libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP];

/// The handlers before ours: std has some that report an overflow of the stack.
static BEFORE: [std::sync::OnceLock<libc::sigaction>; SIGNALS.len()] = [const { std::sync::OnceLock::new() }; SIGNALS.len()];

/// Has the signals watched from now on.
#[expect(unsafe_code, reason = "std has no handlers of signals, and tokio's do not run in time")]
pub(super) fn watch() {
    for (signal, before) in SIGNALS.iter().zip(&BEFORE) {
        // SAFETY: a structure of numbers and null pointers is a valid one, and both outlive the calls. The handler only calls
        // functions that are allowed in one.
        unsafe {
            let mut old: libc::sigaction = std::mem::zeroed();
            if libc::sigaction(*signal, std::ptr::null(), &raw mut old) != 0 || before.set(old).is_err() {
                continue;
            }
            let mut new: libc::sigaction = std::mem::zeroed();
            let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = handle;
            new.sa_sigaction = handler as usize;
            // An overflow of the stack leaves no room on it.
            new.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigaction(*signal, &raw const new, std::ptr::null_mut());
        }
    }
}

#[expect(unsafe_code, reason = "a handler of signals")]
extern "C" fn handle(signal: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    relay::end_at_once();
    let index = SIGNALS.iter().position(|one| *one == signal);
    let Some(before) = index.and_then(|index| BEFORE[index].get()) else { return };
    // SAFETY: the structure is what `sigaction` returned, and the system passes a valid `info`.
    unsafe {
        libc::sigaction(signal, std::ptr::from_ref(before), std::ptr::null_mut());
        // An instruction that failed is repeated, and fails again. Everything else has to be sent again.
        let is_repeated =
            matches!(signal, libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE) && (*info).si_code > 0;
        if !is_repeated {
            libc::raise(signal);
        }
    }
}
