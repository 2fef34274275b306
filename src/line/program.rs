//! What this program is called on the command line. Help names it, and so does every hint with a command in it.

#[cfg(feature = "manager")]
use std::ffi::OsStr;
#[cfg(feature = "manager")]
use std::path::Path;
use std::sync::OnceLock;

/// The plugin, as cargo runs it.
const PLUGIN: &str = "cargo migrations";

/// The name of a deployed manager. It is not set in the plugin, in a manager that cargo or the plugin started, and in a service.
static DEPLOYED: OnceLock<String> = OnceLock::new();

/// The words that a command line starts with: `cargo migrations`, or the name of the deployed manager's file.
pub(crate) fn program() -> &'static str {
    DEPLOYED.get().map_or(PLUGIN, String::as_str)
}

/// Whether this is a deployed manager, which can use neither cargo nor the sources.
pub(crate) fn is_deployed() -> bool {
    DEPLOYED.get().is_some()
}

/// Says that this is a deployed manager, and that it was started by that path.
#[cfg(feature = "manager")]
pub(crate) fn set_deployed(path: &OsStr) {
    // Only the first call counts: the name does not change while the program runs.
    let _ = DEPLOYED.set(file_name(path));
}

#[cfg(feature = "manager")]
fn file_name(path: &OsStr) -> String {
    Path::new(path).file_name().unwrap_or(path).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_plugin_unless_a_deployed_manager_says_otherwise() {
        assert_eq!(program(), "cargo migrations");
        assert!(!is_deployed());
    }

    #[test]
    #[cfg(feature = "manager")]
    fn a_deployed_manager_is_called_by_the_name_of_its_file() {
        for (path, name) in [("/srv/blog/migrate", "migrate"), ("./migrate", "migrate"), ("migrate", "migrate"), ("/", "/")]
        {
            assert_eq!(file_name(OsStr::new(path)), name);
        }
    }
}
