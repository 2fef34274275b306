//! Tables on stdout.

use std::collections::HashMap;

use anstyle::Style;
use console::{measure_text_width, strip_ansi_codes, truncate_str};

/// The head of a table, in bold.
pub(super) fn head<const N: usize>(titles: [&str; N]) -> Vec<String> {
    let bold = Style::new().bold();
    titles.map(|title| format!("{bold}{title}{bold:#}")).to_vec()
}

/// The least width of the last column. If a terminal has less room, the column is written below the others.
const LEAST: usize = 12;

/// The least width of any other column that is made narrower. Times fit in it.
const NARROW: usize = 20;

/// What a cell below its row begins with.
const INDENT: &str = "    ";

/// Rows of cells as aligned lines. If there is a terminal that has no room for them, the last column is cut to its width, or gets
/// lines of its own. If that is not enough, cells of the widest columns are cut in their middle, unless two different ones would
/// look the same then. Without a terminal, everything is complete.
pub(crate) fn columns(rows: &[Vec<String>], width: Option<usize>) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let cut = width.and_then(|width| without_middles(rows, count.saturating_sub(1), width));
    let rows = cut.as_deref().unwrap_or(rows);
    let widths = widths(rows, count);
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

fn widths(rows: &[Vec<String>], count: usize) -> Vec<usize> {
    let of_column = |column: usize| rows.iter().filter_map(move |row| row.get(column)).map(|cell| width_of(cell)).max();
    (0..count).map(|column| of_column(column).unwrap_or(0)).collect()
}

/// The rows with their first `count` columns in that width. `None` if they fit as they are, or cannot.
fn without_middles(rows: &[Vec<String>], count: usize, width: usize) -> Option<Vec<Vec<String>>> {
    let mut widths = widths(rows, count);
    let between = 2 * count.saturating_sub(1);
    let mut is_cut = vec![false; count];
    while widths.iter().sum::<usize>() + between > width {
        let widest = (0..count).filter(|column| widths[*column] > NARROW).max_by_key(|column| widths[*column])?;
        widths[widest] -= 1;
        is_cut[widest] = true;
    }
    if !is_cut.contains(&true) {
        return None;
    }
    let mut cut = rows.to_vec();
    for column in (0..count).filter(|column| is_cut[*column]) {
        let mut seen: HashMap<String, &String> = HashMap::new();
        for (row, complete) in cut.iter_mut().zip(rows) {
            let (Some(cell), Some(complete)) = (row.get_mut(column), complete.get(column)) else { continue };
            *cell = without_middle(complete, widths[column]);
            if seen.insert(cell.clone(), complete).is_some_and(|before| before != complete) {
                // Different names that look the same are of no use. The terminal wraps the lines.
                return None;
            }
        }
    }
    Some(cut)
}

/// A cell in that width. Its beginning and its end stay: both name it.
fn without_middle(cell: &str, width: usize) -> String {
    if width_of(cell) <= width {
        return cell.to_owned();
    }
    let tail = (width - 1) / 2;
    let plain = strip_ansi_codes(cell);
    let mut end = String::new();
    for c in plain.chars().rev() {
        if width_of(&end) + width_of(c.encode_utf8(&mut [0; 4])) > tail {
            break;
        }
        end.insert(0, c);
    }
    format!("{}…{end}", truncate_str(&plain, width - 1 - width_of(&end), ""))
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
    fn a_name_wider_than_the_terminal_loses_its_middle() {
        let time = "2026-02-03 04:05:06Z";
        let rows = [
            row(&["NAME", "WHEN", "TEXT"]),
            row(&["0001_a_name_that_is_far_too_long_for_it", time, "t"]),
            row(&["0002_ab", "", ""]),
        ];
        let text = columns(&rows, Some(50));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[2], format!("0001_a_name_th…o_long_for_it  {time}"));
        assert_eq!(lines[3..], ["    t", "0002_ab"]);
        assert!(lines.iter().all(|line| width_of(line) <= 50), "{text}");
        // Wide characters take two columns each.
        let rows = [row(&["0001_日本語日本語日本語日本語日本語日本語", time, "t"])];
        let text = columns(&rows, Some(49));
        assert!(text.contains("0001_日本語日…日本語日本語") && text.lines().all(|line| width_of(line) <= 49), "{text}");
    }

    #[test]
    fn names_that_would_look_the_same_stay_complete() {
        let long = |c| format!("0001_a_name_that_is_{c}_far_too_long_for_it");
        let (a, b) = (long('a'), long('b'));
        let text = columns(&[row(&[&a, "x"]), row(&[&b, "y"])], Some(30));
        assert_eq!(text, format!("{a}\n    x\n{b}\n    y\n"));
        // That does not count for one name in two rows.
        let text = columns(&[row(&[&a, "x"]), row(&[&a, "y"])], Some(30));
        assert!(text.starts_with("0001_a_name_tha…"), "{text}");
    }

    #[test]
    fn the_last_column_is_below_the_others_where_it_has_no_room() {
        let rows =
            [row(&["NAME", "TEXT"]), row(&["0001_a_rather_long_name", "a description that goes on"]), row(&["2_b", ""])];
        let text = "NAME\n    TEXT\n0001_a_rather_long_name\n    a description that goes on\n2_b\n";
        assert_eq!(columns(&rows, Some(36)), text);
        assert_eq!(columns(&rows[1..2], Some(20)), "0001_a_rat…long_name\n    a description t…\n");
        assert_eq!(columns(&rows[1..2], Some(5)), "0001_a_rather_long_name\n    a descripti…\n");
        // A short one needs less.
        let rows = [row(&["0001_a_rather_long_name", "yes"])];
        assert_eq!(columns(&rows, Some(28)), "0001_a_rather_long_name  yes\n");
        assert_eq!(columns(&rows, Some(27)), "0001_a_rather_long_name\n    yes\n");
    }
}
