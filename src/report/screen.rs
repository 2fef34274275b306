//! The terminal as bars are drawn on it: that of stderr, or that of the machine that sent the line here, which is at the other end
//! of stderr. What migrations print themselves is written above the bars.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

#[cfg(unix)]
use crate::terminal::relay::{self, Above, Relaying};
use crate::terminal::{self, Stream, canvas, hop};

/// How often a second the bars are drawn at most.
const RATE: u8 = 20;

/// The bars of a process, and what is written above them.
#[derive(Clone)]
pub(super) struct Screen {
    pub(super) bars: MultiProgress,
    #[cfg(unix)]
    above: Arc<dyn Above>,
}

/// What keeps the output of migrations above the bars, until it is dropped.
pub(super) struct Kept {
    #[cfg(unix)]
    _relaying: Relaying,
}

impl Screen {
    /// `None` if bars cannot be drawn, or are not wanted.
    pub(super) fn find() -> Option<Self> {
        if hop::columns().is_none() && !terminal::has_bars() {
            return None;
        }
        // The library takes another target than stderr for stdout.
        console::set_colors_enabled(terminal::stderr_has_color());
        let canvas = Box::new(Canvas::default());
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::term_like_with_hz(canvas, RATE));
        #[cfg(unix)]
        let above = Arc::new(AboveBars { bars: bars.clone(), line: Mutex::default() });
        Some(Self {
            bars,
            #[cfg(unix)]
            above,
        })
    }

    /// Keeps the output of migrations above the bars until the returned value is dropped.
    pub(super) fn keep(&self) -> Kept {
        Kept {
            #[cfg(unix)]
            _relaying: Relaying::begin(&self.above),
        }
    }

    /// Calls the function, which writes to the terminal, while the bars are hidden. It writes below what was printed before.
    pub(super) fn write(&self, write: impl FnOnce()) {
        #[cfg(unix)]
        relay::catch_up();
        self.bars.suspend(write);
    }

    /// Ends a line that a migration has begun.
    #[cfg_attr(not(unix), expect(clippy::unused_self, reason = "only Unix has the relay"))]
    pub(super) fn end_line(&self) {
        #[cfg(unix)]
        relay::end_line();
    }

    /// Removes the bars. None are drawn from now on.
    pub(super) fn close(&self) {
        self.end_line();
        let _ = self.bars.clear();
        self.bars.set_draw_target(ProgressDrawTarget::hidden());
    }
}

/// Lines above the bars, and below them one that has no end yet.
#[cfg(unix)]
struct AboveBars {
    bars: MultiProgress,
    line: Mutex<Option<ProgressBar>>,
}

#[cfg(unix)]
impl Above for AboveBars {
    fn write(&self, write: &mut dyn FnMut()) {
        self.bars.suspend(write);
    }

    fn unfinished(&self, line: &str) {
        let mut shown = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if line.is_empty() {
            if let Some(bar) = shown.take() {
                bar.finish_and_clear();
                self.bars.remove(&bar);
            }
            return;
        }
        let bar = shown.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{wide_msg}").expect("a constant template");
            self.bars.insert(0, ProgressBar::new_spinner().with_style(style))
        });
        bar.set_message(one_line(line));
    }
}

/// A text without what moves the cursor: a line break or a tab in it would upset the bars.
pub(super) fn one_line(text: &str) -> String {
    let text = if text.contains('\x1b') { anstream::adapter::strip_str(text).to_string() } else { text.to_owned() };
    text.replace(|c: char| c.is_control(), " ")
}

/// The library writes in small pieces. They are collected, and written in one.
#[derive(Debug, Default)]
struct Canvas {
    frame: Mutex<Frame>,
}

#[derive(Debug, Default)]
struct Frame {
    bytes: String,
    /// How many columns the text in it takes, which fills its lines to their ends.
    columns: usize,
}

impl Canvas {
    fn code(&self, count: usize, code: char) -> io::Result<()> {
        if count > 0 {
            self.frame().bytes.push_str(&format!("\x1b[{count}{code}"));
        }
        Ok(())
    }

    fn frame(&self) -> std::sync::MutexGuard<'_, Frame> {
        self.frame.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TermLike for Canvas {
    fn width(&self) -> u16 {
        terminal::columns().unwrap_or(80)
    }

    fn height(&self) -> u16 {
        let size = if hop::columns().is_none() { Stream::Stderr.size() } else { None };
        size.map_or(24, |(lines, _)| lines)
    }

    fn move_cursor_up(&self, lines: usize) -> io::Result<()> {
        self.code(lines, 'A')
    }

    fn move_cursor_down(&self, lines: usize) -> io::Result<()> {
        self.code(lines, 'B')
    }

    fn move_cursor_right(&self, columns: usize) -> io::Result<()> {
        self.code(columns, 'C')
    }

    fn move_cursor_left(&self, columns: usize) -> io::Result<()> {
        self.code(columns, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)?;
        self.frame().bytes.push('\n');
        Ok(())
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        let mut frame = self.frame();
        frame.bytes.push_str(text);
        frame.columns += console::measure_text_width(text);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.frame().bytes.push_str("\r\x1b[2K");
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let Frame { mut bytes, columns } = std::mem::take(&mut *self.frame());
        if !bytes.is_empty() {
            // What the terminal itself shows where the cursor is, such as `^C`, would begin another line behind a full one.
            bytes.push('\r');
            // Where it fails, the terminal is gone. The library would panic.
            let _ = canvas::draw(bytes.as_bytes(), columns.div_ceil(usize::from(self.width()).max(1)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line() {
        assert_eq!(one_line("a\nb\tc\r\n\x1b[31md\x1b[0m\x07"), "a b c  d");
        assert_eq!(one_line("日本"), "日本");
    }
}
