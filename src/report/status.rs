//! Where migrations stand, for people.

use anstyle::{AnsiColor, Style};

use super::{columns, human_duration, migrations};
use crate::model::file_name::stem;
use crate::model::state::{Row, State};

/// `2 unregistered, 1 failed on DATABASE; …`
pub(super) fn summary(database: &str, rows: &[Row<'_>]) -> String {
    let count = |state| rows.iter().filter(|row| row.state == state).count();
    let open = rows.iter().filter(|row| row.state.is_open()).count();
    let (unregistered, failed, interrupted) = (count(State::Unregistered), count(State::Failed), count(State::Interrupted));
    if open == 0 && rows.is_empty() {
        return format!("no migrations yet on {database}; `cargo migrations new:NAME` writes the first");
    }
    if open == 0 {
        return format!("all migrations are registered on {database}: nothing to execute");
    }
    if open == unregistered {
        let them = if open == 1 { "it" } else { "them" };
        return format!("{} unregistered on {database}; `cargo migrations execute` runs {them}", migrations(open));
    }
    let parts: Vec<String> = [(unregistered, "unregistered"), (failed, "failed"), (interrupted, "interrupted")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, state)| format!("{count} {state}"))
        .collect();
    format!("{} on {database}", parts.join(", "))
}

pub(super) fn table(rows: &[Row<'_>], width: Option<usize>) -> String {
    let bold = Style::new().bold();
    let header = ["NUMBER", "NAME", "STATE", "WHEN", "TOOK", "DESCRIPTION"];
    let mut lines = vec![header.map(|title| format!("{bold}{title}{bold:#}")).to_vec()];
    for row in rows {
        let color = match row.state {
            State::Registered => AnsiColor::Green.on_default(),
            State::Ignored => AnsiColor::Cyan.on_default(),
            State::Unregistered | State::Failed | State::Interrupted => AnsiColor::Red.on_default(),
            State::Missing => AnsiColor::Yellow.on_default(),
        };
        lines.push(vec![
            row.number.to_owned(),
            stem(row.name).to_owned(),
            format!("{color}{}{color:#}{}", row.state.as_str(), remark(row)),
            row.registered_at.and_then(|at| at.try_to_rfc3339_string().ok()).map(|at| short_time(&at)).unwrap_or_default(),
            row.duration.map(human_duration).unwrap_or_default(),
            row.description.unwrap_or_default().to_owned(),
        ]);
    }
    columns(&lines, width)
}

/// What stands beside the state.
fn remark(row: &Row<'_>) -> &'static str {
    match row {
        Row { is_under_way: true, .. } => " (running)",
        Row { is_changed: true, .. } => " (changed)",
        Row { is_out_of_order: true, .. } => " (out of order)",
        _ => "",
    }
}

/// `2026-02-03T04:05:06.789Z` as `2026-02-03 04:05:06Z`: servers and people are in different time zones.
pub(super) fn short_time(rfc3339: &str) -> String {
    let seconds = rfc3339.split(['.', 'Z']).next().unwrap_or(rfc3339);
    format!("{}Z", seconds.replacen('T', " ", 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short_and_say_their_zone() {
        assert_eq!(short_time("2026-02-03T04:05:06.789Z"), "2026-02-03 04:05:06Z");
        assert_eq!(short_time("2026-02-03T04:05:06Z"), "2026-02-03 04:05:06Z");
    }
}
