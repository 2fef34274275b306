//! The free space of a disk.

use std::path::Path;

/// Returns how many bytes can still be written to the disk of `path`, or `None` where that is not known.
#[cfg(unix)]
#[expect(unsafe_code, reason = "std has no function for the free space of a disk")]
#[expect(clippy::useless_conversion, reason = "the fields' types differ between systems")]
pub(super) fn available(path: &Path) -> Option<u64> {
    use std::os::unix::ffi::OsStrExt as _;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes()).ok()?;
    let mut stats = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: the path ends in NUL, and `stats` is read only if the call succeeded and so has filled it.
    let stats = unsafe {
        if libc::statvfs(path.as_ptr(), stats.as_mut_ptr()) != 0 {
            return None;
        }
        stats.assume_init()
    };
    Some(u64::from(stats.f_bavail).saturating_mul(u64::from(stats.f_frsize)))
}

#[cfg(not(unix))]
pub(super) fn available(_: &Path) -> Option<u64> {
    None
}
