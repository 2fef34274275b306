//! Cargo's own configuration files, as far as they decide how a program is built and run.
//!
//! `cargo run` sets the variables of `[env]` for the program that it runs, and for no external subcommand. The plugin starts the
//! manager itself, so it reads them too. Cargo has read the same files for the build by then, and refuses what is wrong in them.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, Item, TableLike, Value};

use super::manifest;
use crate::error::Error;
use crate::model::variables;

/// What the files set.
#[derive(Debug, Default)]
pub(super) struct CargoConfig {
    env: BTreeMap<String, Variable>,
    /// Whether programs are built for a machine that the configuration names.
    names_target: bool,
}

/// A variable of `[env]`. A field is `None` if no file sets it.
#[derive(Debug, Default)]
struct Variable {
    /// The value, and the folder that it starts in if it is a relative path.
    value: Option<(String, PathBuf)>,
    force: Option<bool>,
    relative: Option<bool>,
}

impl CargoConfig {
    /// Reads what applies in the current folder, as cargo does: nearer files win, and those in cargo's home come last.
    pub(super) fn here() -> Result<Self, Error> {
        let folder = std::env::current_dir()
            .map_err(|error| Error::failed("the working folder cannot be determined").caused_by(error))?;
        let home = std::env::var_os(variables::CARGO_HOME).filter(|home| !home.is_empty()).map(|home| folder.join(home));
        let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
        let mut config = Self::of(&folder, home.as_deref())?;
        config.names_target |= std::env::var_os(variables::CARGO_BUILD_TARGET).is_some_and(|target| !target.is_empty());
        Ok(config)
    }

    fn of(folder: &Path, home: Option<&Path>) -> Result<Self, Error> {
        let mut config = Self::default();
        let above = folder.ancestors().map(|folder| folder.join(".cargo"));
        let mut seen = HashSet::new();
        for folder in above.chain(home.map(Path::to_owned)).filter(|folder| seen.insert(folder.clone())) {
            // If there are both, cargo reads the first.
            if let Some(file) =
                ["config", "config.toml"].map(|name| folder.join(name)).into_iter().find(|file| file.is_file())
            {
                config.add(&file, &mut HashSet::new())?;
            }
        }
        Ok(config)
    }

    /// Adds what a file sets and nothing before it has set, then what it includes: the last of the included files first.
    fn add(&mut self, file: &Path, under_way: &mut HashSet<PathBuf>) -> Result<(), Error> {
        if !under_way.insert(file.to_owned()) {
            return Ok(());
        }
        let (_, config) = manifest::open(file).map_err(|error| error.with_hint("fix cargo's configuration first"))?;
        if let Some(variables) = config.get("env").and_then(Item::as_table_like) {
            // Cargo's rule for paths in its configuration: they start where the folder `.cargo` is.
            let root = file.ancestors().nth(2).unwrap_or(file);
            for (name, item) in variables.iter() {
                self.env.entry(name.to_owned()).or_default().add(item, root);
            }
        }
        let target = config.get("build").and_then(Item::as_table_like).and_then(|build| build.get("target"));
        self.names_target |= target.is_some_and(|target| target.as_array().is_none_or(|targets| !targets.is_empty()));
        for (path, is_optional) in included(&config).into_iter().rev() {
            let path = file.parent().unwrap_or(file).join(path);
            if !is_optional || path.exists() {
                self.add(&path, under_way)?;
            }
        }
        under_way.remove(file);
        Ok(())
    }

    /// The variables that cargo would set for a program. One that is set already is not changed, except by `force`.
    pub(super) fn variables(&self) -> impl Iterator<Item = (&str, OsString)> {
        self.env.iter().filter_map(|(name, Variable { value, force, relative })| {
            let (value, root) = value.as_ref()?;
            let is_set = std::env::var_os(name).is_some();
            let value = if *relative == Some(true) { root.join(value).into() } else { value.into() };
            (*force == Some(true) || !is_set).then_some((name.as_str(), value))
        })
    }

    /// The flags that let cargo build for the machine that the plugin runs on. Without a target in the configuration there are none:
    /// with `--target`, cargo uses another folder, and would build again what `cargo run` has built.
    pub(super) fn flags(&self) -> &[&str] {
        if self.names_target { &["--target", "host-tuple"] } else { &[] }
    }
}

impl Variable {
    /// Adds the fields that no nearer file sets.
    fn add(&mut self, item: &Item, root: &Path) {
        let fields = item.as_table_like();
        let flag = |name| fields.and_then(|fields| fields.get(name)).and_then(Item::as_bool);
        let value = fields.map_or(Some(item), |fields| fields.get("value")).and_then(Item::as_str);
        if self.value.is_none() {
            self.value = value.map(|value| (value.to_owned(), root.to_owned()));
        }
        self.force = self.force.or_else(|| flag("force"));
        self.relative = self.relative.or_else(|| flag("relative"));
    }
}

/// The paths that a file includes, and whether each may be missing.
fn included(config: &DocumentMut) -> Vec<(String, bool)> {
    let of_table = |table: &dyn TableLike| {
        let is_optional = table.get("optional").and_then(Item::as_bool).unwrap_or_default();
        Some((table.get("path")?.as_str()?.to_owned(), is_optional))
    };
    let of_value = |value: &Value| match value {
        Value::String(path) => Some((path.value().clone(), false)),
        Value::InlineTable(table) => of_table(table),
        _ => None,
    };
    match config.get("include") {
        Some(Item::Value(Value::Array(paths))) => paths.iter().filter_map(of_value).collect(),
        Some(Item::Value(value)) => of_value(value).into_iter().collect(),
        Some(Item::ArrayOfTables(tables)) => tables.iter().filter_map(|table| of_table(table)).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    struct Files(tempfile::TempDir);

    impl Files {
        fn new(files: &[(&str, &str)]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            for (name, text) in files {
                let path = folder.path().join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            fs::create_dir_all(folder.path().join("outer/inner")).unwrap();
            Self(folder)
        }

        fn config(&self) -> CargoConfig {
            CargoConfig::of(&self.0.path().join("outer/inner"), Some(&self.0.path().join("home"))).unwrap()
        }

        fn value(&self, name: &str) -> Option<String> {
            let config = self.config();
            let found = config.variables().find(|(found, _)| *found == name).map(|(_, value)| value);
            let text = found.map(|value| value.into_string().unwrap());
            text.map(|text| text.replace(self.0.path().to_str().unwrap(), "ROOT"))
        }
    }

    #[test]
    fn the_nearest_file_wins_and_cargos_home_comes_last() {
        let files = Files::new(&[
            ("outer/inner/.cargo/config.toml", "[env]\nCM_A = \"inner\"\nCM_REL = { value = \"x/y\", relative = true }\n"),
            ("outer/.cargo/config", "[env]\nCM_A = \"outer\"\nCM_B = \"outer\"\n"),
            ("outer/.cargo/config.toml", "[env]\nCM_B = \"not read\"\nCM_C = \"not read\"\n"),
            ("home/config.toml", "[env]\nCM_B = \"home\"\nCM_D = { value = \"home\", relative = true }\n"),
        ]);
        assert_eq!(files.value("CM_A").as_deref(), Some("inner"));
        assert_eq!(files.value("CM_B").as_deref(), Some("outer"));
        assert_eq!(files.value("CM_C"), None);
        assert_eq!(files.value("CM_D").as_deref(), Some("ROOT/home"));
        assert_eq!(files.value("CM_REL").as_deref(), Some("ROOT/outer/inner/x/y"));
    }

    #[test]
    fn a_variable_that_is_set_is_changed_only_by_force() {
        let files =
            Files::new(&[("outer/.cargo/config.toml", "[env]\nPATH = \"x\"\nHOME = { value = \"y\", force = true }\n")]);
        assert_eq!((files.value("PATH"), files.value("HOME").as_deref()), (None, Some("y")));
    }

    #[test]
    fn tables_are_merged_by_field() {
        let files = Files::new(&[
            ("outer/inner/.cargo/config.toml", "[env.PATH]\nvalue = \"near\"\n"),
            ("outer/.cargo/config.toml", "[env]\nPATH = { value = \"far\", force = true, relative = true }\n"),
        ]);
        assert_eq!(files.value("PATH").as_deref(), Some("ROOT/outer/inner/near"));
    }

    #[test]
    fn included_files_come_after_the_one_that_includes_them_and_the_last_of_them_wins() {
        let files = Files::new(&[
            (
                "outer/.cargo/config.toml",
                "include = [\"a.toml\", { path = \"b.toml\" }, { path = \"c.toml\", optional = true }]\n[env]\nCM_A = \"file\"\n",
            ),
            ("outer/.cargo/a.toml", "[env]\nCM_A = \"a\"\nCM_B = \"a\"\nCM_C = { value = \"a\", relative = true }\n"),
            ("outer/.cargo/b.toml", "include = \"b.toml\"\n[env]\nCM_B = \"b\"\n"),
        ]);
        assert_eq!(files.value("CM_A").as_deref(), Some("file"));
        assert_eq!(files.value("CM_B").as_deref(), Some("b"));
        assert_eq!(files.value("CM_C").as_deref(), Some("ROOT/outer/a"));
    }

    #[test]
    fn a_target_leads_to_a_flag_and_nothing_else_does() {
        for (text, flags) in [
            ("[build]\ntarget = \"wasm32-unknown-unknown\"\n", &["--target", "host-tuple"][..]),
            ("build.target = [\"wasm32-unknown-unknown\"]\n", &["--target", "host-tuple"]),
            ("[build]\ntarget = []\n", &[]),
            ("[target.wasm32-unknown-unknown]\nrunner = \"x\"\n", &[]),
        ] {
            assert_eq!(Files::new(&[("outer/.cargo/config.toml", text)]).config().flags(), flags, "{text}");
        }
        assert!(Files::new(&[]).config().flags().is_empty());
    }
}
