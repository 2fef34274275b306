//! The subtasks that the plugin carries out itself: they need the sources, and work while the manager does not compile.

/// A subtask of the plugin.
pub(crate) struct PluginSubtask {
    pub(crate) name: &'static str,
    /// The value that it needs, if it takes one.
    pub(crate) value: Option<&'static str>,
    pub(crate) help: &'static str,
    /// The flags that go with it alone.
    #[cfg(feature = "cli")]
    pub(crate) flags: &'static [&'static str],
}

impl PluginSubtask {
    /// `init`, `new:NAME`
    #[cfg(feature = "manager")]
    pub(crate) fn usage(&self) -> String {
        let value = self.value.map(|value| format!(":{value}")).unwrap_or_default();
        format!("{}{value}", self.name)
    }
}

/// Each has to be the only task on the line.
pub(crate) const PLUGIN_SUBTASKS: [PluginSubtask; 2] = [
    PluginSubtask {
        name: "init",
        value: None,
        help: "Set up a manager and a migrations directory in this workspace",
        #[cfg(feature = "cli")]
        flags: &["--path"],
    },
    PluginSubtask {
        name: "new",
        value: Some("NAME"),
        help: "Write the next migration file",
        #[cfg(feature = "cli")]
        flags: &[],
    },
];
