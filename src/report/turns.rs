//! Results of several databases, which are worked on at the same time: they are written in the databases' order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Write = Box<dyn FnOnce() + Send>;

/// The order of the databases of a line. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// How many databases there are.
    count: usize,
    /// The database whose results are written at once. All before it have ended.
    current: usize,
    ended: BTreeSet<usize>,
    waiting: BTreeMap<usize, Vec<Write>>,
}

/// A database's place in the order.
#[derive(Clone)]
pub(super) struct Turn {
    turns: Turns,
    index: usize,
}

impl Turns {
    /// The turn of the next database.
    pub(super) fn next(&self) -> Turn {
        let mut state = self.lock();
        let index = state.count;
        state.count += 1;
        Turn { turns: self.clone(), index }
    }

    /// Writes everything that waits: the process ends.
    pub(super) fn write_all(&self) {
        let mut state = self.lock();
        std::mem::take(&mut state.waiting).into_values().flatten().for_each(|write| write());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Writes at once if all databases before this one have ended, otherwise when they have.
    pub(super) fn write(&self, write: Write) {
        let mut state = self.turns.lock();
        if self.index <= state.current {
            write();
        } else {
            state.waiting.entry(self.index).or_default().push(write);
        }
    }

    /// The database has no further results.
    pub(super) fn end(&self) {
        let mut state = self.turns.lock();
        state.ended.insert(self.index);
        loop {
            let current = state.current;
            if !state.ended.remove(&current) {
                return;
            }
            state.current += 1;
            let current = state.current;
            state.waiting.remove(&current).into_iter().flatten().for_each(|write| write());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_databases() {
        let written = Arc::new(Mutex::new(String::new()));
        let turns = Turns::default();
        let all: Vec<Turn> = (0..4).map(|_| turns.next()).collect();
        let write = |index: usize, text: &'static str| {
            let written = Arc::clone(&written);
            all[index].write(Box::new(move || written.lock().unwrap().push_str(text)));
        };
        write(1, "b1 ");
        write(0, "a1 ");
        write(2, "c1 ");
        all[2].end();
        write(0, "a2 ");
        assert_eq!(*written.lock().unwrap(), "a1 a2 ");
        all[0].end();
        write(1, "b2 ");
        assert_eq!(*written.lock().unwrap(), "a1 a2 b1 b2 ");
        write(3, "d1 ");
        all[1].end();
        assert_eq!(*written.lock().unwrap(), "a1 a2 b1 b2 c1 d1 ");
        let late = turns.next();
        let heard = Arc::clone(&written);
        late.write(Box::new(move || heard.lock().unwrap().push_str("e1")));
        turns.write_all();
        assert_eq!(*written.lock().unwrap(), "a1 a2 b1 b2 c1 d1 e1");
    }
}
