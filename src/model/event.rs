//! The events of `--format json`: their names and fields. docs/json.md describes each of them.

/// Makes the enum, and for each event its name, and its fields.
macro_rules! events {
    ($($(#[$doc:meta])* $variant:ident $name:literal [$($field:literal)*])*) => {
        /// An event of `--format json`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[cfg_attr(not(feature = "manager"), expect(dead_code, reason = "most are the manager's"))]
        pub(crate) enum EventName {
            $($(#[$doc])* $variant,)*
        }

        impl EventName {
            /// All of them.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),*];

            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The fields in addition to `event`, and to `database` where a line works on several.
            pub(crate) fn fields(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &[$($field),*]),* }
            }
        }
    };
}

events! {
    RunStarted "run_started" ["subtask" "database" "migrations"]
    RunEnded "run_ended" ["subtask" "database" "outcome" "migrations" "duration_ms"]
    MigrationStarted "migration_started" ["subtask" "name" "number"]
    MigrationExecuted "migration_executed" ["subtask" "name" "number" "duration_ms" "effects" "further_commands" "notes"]
    MigrationRolledBack "migration_rolled_back" ["subtask" "name" "number" "duration_ms" "effects" "further_commands" "notes"]
    MigrationIgnored "migration_ignored" ["subtask" "name" "number" "duration_ms"]
    MigrationAccepted "migration_accepted" ["subtask" "name" "number" "duration_ms"]
    MigrationAdopted "migration_adopted" ["subtask" "name" "number" "duration_ms"]
    MigrationForgotten "migration_forgotten" ["subtask" "name" "number" "duration_ms"]
    MigrationFailed "migration_failed" ["subtask" "name" "number" "duration_ms" "error" "hint" "effects" "further_commands" "notes"]
    Progress "progress" ["position" "total" "message" "unit"]
    Text "text" ["text"]
    DumpTaken "dump_taken" ["name" "path" "database" "documents" "bytes" "consistent" "duration_ms"]
    DumpRemoved "dump_removed" ["name"]
    DumpVerified "dump_verified" ["name" "database" "documents" "bytes" "manifest"]
    DumpProved "dump_proved" ["name" "database" "documents" "bytes" "manifest"]
    Restored "restored" ["name" "database" "documents" "bytes" "duration_ms"]
    Unlocked "unlocked" ["database" "was"]
    BackfillSteered "backfill_steered" ["database" "migration" "direction" "label" "collection" "steered" "throttle" "answer"]
    BackfillJoined "backfill_joined" ["database" "migration" "direction" "label" "collection" "outcome" "read"]
    UndoDropped "undo_dropped" ["database" "migration" "collection" "documents" "bytes"]
    Checked "checked" ["migrations"]
    Databases "databases" ["databases"]
    Error "error" ["kind" "message" "causes" "hint" "exit_code"]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_and_its_fields_are_documented() {
        let text = include_str!("../../docs/json.md");
        let (_, events) = text.split_once("\n## Events\n").expect("the list of events");
        let mut documented: Vec<(&str, &str)> =
            events.split("\n### `").skip(1).map(|part| part.split_once('`').expect("a name")).collect();
        for event in EventName::ALL {
            let at = documented.iter().position(|(name, _)| *name == event.as_str());
            let (name, part) = documented.remove(at.unwrap_or_else(|| panic!("docs/json.md lacks {}", event.as_str())));
            let fields: Vec<&str> =
                part.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(field, _)| field).collect();
            assert_eq!(fields, event.fields(), "the fields of {name} in docs/json.md");
        }
        assert!(documented.is_empty(), "docs/json.md has events that do not exist: {documented:?}");
    }
}
