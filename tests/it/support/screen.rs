//! What a terminal shows after a program has written to it.

use super::run::COLUMNS;

/// A terminal that is as long as all that was written to it. It understands the codes that bars are drawn with.
#[derive(Default)]
struct Terminal {
    lines: Vec<Vec<char>>,
    row: usize,
    column: usize,
}

/// Fills the second column of a wide character.
const FILLER: char = '\u{0}';

/// The lines that the terminal shows in the end, and those that have scrolled away, without blanks at their ends.
pub(crate) fn screen(written: &str) -> Vec<String> {
    let mut terminal = Terminal::default();
    let mut chars = written.chars();
    while let Some(c) = chars.next() {
        match c {
            '\r' => terminal.column = 0,
            '\n' => terminal.row += 1,
            '\u{1b}' => {
                assert_eq!(chars.next(), Some('['), "only such codes are known");
                let code: String = chars.by_ref().take_while(|c| !c.is_ascii_alphabetic()).collect();
                // The letter was taken too.
                let letter = written[..written.len() - chars.as_str().len()].chars().last().unwrap();
                terminal.code(letter, code.parse().ok());
            }
            c if c.is_control() => {}
            c => terminal.put(c),
        }
    }
    let lines = terminal.lines.iter().map(|line| line.iter().filter(|c| **c != FILLER).collect::<String>());
    lines.map(|line| line.trim_end().to_owned()).filter(|line| !line.is_empty()).collect()
}

impl Terminal {
    fn code(&mut self, letter: char, number: Option<usize>) {
        let count = number.unwrap_or(1);
        match letter {
            'A' => self.row = self.row.saturating_sub(count),
            'B' => self.row += count,
            'C' => self.column += count,
            'D' => self.column = self.column.saturating_sub(count),
            'K' => self.line().clear(),
            'J' => {
                let (row, column) = (self.row, self.column);
                self.lines.truncate(row + 1);
                self.line().truncate(column);
            }
            'm' => {}
            other => panic!("an unknown code: {other}"),
        }
    }

    fn put(&mut self, c: char) {
        // East Asian characters are wide.
        let width = if ('\u{2e80}'..'\u{fb00}').contains(&c) { 2 } else { 1 };
        if self.column + width > COLUMNS {
            (self.row, self.column) = (self.row + 1, 0);
        }
        let column = self.column;
        let line = self.line();
        line.resize(line.len().max(column + width), ' ');
        line[column] = c;
        if width == 2 {
            line[column + 1] = FILLER;
        }
        self.column += width;
    }

    fn line(&mut self) -> &mut Vec<char> {
        let row = self.row;
        self.lines.resize(self.lines.len().max(row + 1), Vec::new());
        &mut self.lines[row]
    }
}
