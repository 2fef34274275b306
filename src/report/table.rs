//! Tables on stdout.

use anstyle::Style;
use console::{measure_text_width, truncate_str};

/// The head of a table, in bold.
pub(super) fn head<const N: usize>(titles: [&str; N]) -> Vec<String> {
    let bold = Style::new().bold();
    titles.map(|title| format!("{bold}{title}{bold:#}")).to_vec()
}

/// The least width of the last column. If a terminal has less room, the column is written below the others.
const LEAST: usize = 12;

/// What a cell below its row begins with.
const INDENT: &str = "    ";

/// Rows of cells as aligned lines. Only the last column is cut to the terminal's width, if there is a terminal: the others have
/// names and numbers, which are of no use without their ends. Where there is no room for it, it gets lines of its own.
pub(crate) fn columns(rows: &[Vec<String>], width: Option<usize>) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| width_of(cell)).max().unwrap_or(0))
        .collect();
    let before: usize = widths.iter().take(count.saturating_sub(1)).map(|width| width + 2).sum();
    let last = widths.last().copied().unwrap_or(0);
    let is_below = width.is_some_and(|width| before + last.min(LEAST) > width);
    let room = width.map(|width| width.saturating_sub(if is_below { INDENT.len() } else { before }).max(LEAST));
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            if column + 1 < count {
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', widths[column] - width_of(cell) + 2));
                continue;
            }
            if is_below && count > 1 && !cell.is_empty() {
                line.truncate(line.trim_end().len());
                line.push('\n');
                line.push_str(INDENT);
            }
            match room {
                Some(room) if width_of(cell) > room => line.push_str(&truncate_str(cell, room, "…")),
                _ => line.push_str(cell),
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// How many columns a cell takes.
fn width_of(cell: &str) -> usize {
    // Nearly all cells are plain ASCII. Looking for escape codes in each of them takes most of the time of a long table.
    let is_plain = cell.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if is_plain { cell.len() } else { measure_text_width(cell) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|cell| (*cell).to_owned()).collect()
    }

    #[test]
    fn columns_align_by_what_is_seen() {
        let rows = [row(&["a", "état", "x"]), row(&["bbb", "\u{1b}[31mred\u{1b}[0m", ""]), row(&["c", "日本", "y"])];
        assert_eq!(columns(&rows, None), "a    état  x\nbbb  \u{1b}[31mred\u{1b}[0m\nc    日本  y\n");
    }

    #[test]
    fn only_the_last_column_is_cut() {
        let rows = [row(&["0001_a_rather_long_name", "a description that goes on and on"])];
        assert_eq!(columns(&rows, Some(40)), "0001_a_rather_long_name  a description …\n");
        assert_eq!(columns(&rows, Some(37)), "0001_a_rather_long_name  a descripti…\n");
        assert_eq!(columns(&rows, None), "0001_a_rather_long_name  a description that goes on and on\n");
    }

    #[test]
    fn the_last_column_is_below_the_others_where_it_has_no_room() {
        let rows =
            [row(&["NAME", "TEXT"]), row(&["0001_a_rather_long_name", "a description that goes on"]), row(&["2_b", ""])];
        let text = "NAME\n    TEXT\n0001_a_rather_long_name\n    a description that goes on\n2_b\n";
        assert_eq!(columns(&rows, Some(36)), text);
        assert_eq!(columns(&rows[1..2], Some(20)), "0001_a_rather_long_name\n    a description t…\n");
        assert_eq!(columns(&rows[1..2], Some(5)), "0001_a_rather_long_name\n    a descripti…\n");
        // A short one needs less.
        let rows = [row(&["0001_a_rather_long_name", "yes"])];
        assert_eq!(columns(&rows, Some(28)), "0001_a_rather_long_name  yes\n");
        assert_eq!(columns(&rows, Some(27)), "0001_a_rather_long_name\n    yes\n");
    }
}
