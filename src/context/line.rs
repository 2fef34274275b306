//! What the tasks of one line share.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use super::Site;
use crate::line::flags::Args;
use crate::migration::Embedded;
use crate::process::stop::Stop;
use crate::run::lock::Locks;

/// What the tasks of one line share.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) embedded: Arc<Embedded>,
    pub(crate) args: Args,
    pub(crate) stop: Stop,
    pub(crate) locks: Locks,
    /// Where its tasks work. They live as long as the line: a lock is given back through the tunnel that it was taken through.
    pub(crate) sites: RefCell<Vec<Rc<Site>>>,
    /// Whether it was said which migrations share a number.
    pub(crate) has_told_numbers: Cell<bool>,
}

impl Line {
    pub(crate) fn new(embedded: Embedded, args: Args) -> Self {
        Self {
            embedded: Arc::new(embedded),
            args,
            stop: Stop::default(),
            locks: Locks::default(),
            sites: RefCell::default(),
            has_told_numbers: Cell::default(),
        }
    }
}
