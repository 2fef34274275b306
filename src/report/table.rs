//! Tables on stdout.

use anstyle::Style;
use console::{measure_text_width, truncate_str};

/// The head of a table, in bold.
pub(super) fn head<const N: usize>(titles: [&str; N]) -> Vec<String> {
    let bold = Style::new().bold();
    titles.map(|title| format!("{bold}{title}{bold:#}")).to_vec()
}

/// Rows of cells as aligned lines. Only the last column is cut to the terminal's width, if there is a terminal.
pub(crate) fn columns(rows: &[Vec<String>], width: Option<usize>) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| width_of(cell)).max().unwrap_or(0))
        .collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        let mut used = 0;
        for (column, cell) in row.iter().enumerate() {
            let cell_width = width_of(cell);
            if column + 1 == count {
                match width {
                    Some(width) if used + cell_width > width => {
                        line.push_str(&truncate_str(cell, width.saturating_sub(used).max(12), "…"));
                    }
                    _ => line.push_str(cell),
                }
            } else {
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', widths[column] - cell_width + 2));
                used += widths[column] + 2;
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
        assert_eq!(columns(&rows, Some(5)), "0001_a_rather_long_name  a descripti…\n");
    }
}
