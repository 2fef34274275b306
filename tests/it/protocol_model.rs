//! A model of the protocol of lease, fence, log and registry: two runners and a person with `unlock`, over every order of
//! their steps, with crashes at each, answers that are lost, writes that arrive late, and leases that run out at any time.
//!
//! Steps have the names of the code's: `view`, `open`, `withdraw`, `take_lease`, `raise_fence`, `begin`, `register`, `note_end`,
//! `release_lease`, `renew_lease`, `break_lease`.
//!
//! So that there are few enough states, those count as one that behave alike from then on: a command has left as soon as it is next (it
//! may arrive at any time later), one that can no longer have an effect is forgotten, and a run that saw the lock as it was knows only
//! whether that still holds.

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model, Property};

/// A run is one process's; after a crash its runner starts another.
type Id = u8;
type Number = u8;

/// A command whose run no longer waits for it, and that may still arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Message {
    run: Id,
    command: Command,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Command {
    /// Takes the lease, raises the fence and begins, unless anything was written since the lock was seen like this.
    Open {
        seen: Seen,
    },
    /// Ends a run that gave up before it knew whether it has begun.
    Withdraw {
        fence: Number,
    },
    TakeLease,
    RaiseFence {
        term: Number,
    },
    Begin {
        fence: Number,
    },
    Register {
        fence: Number,
    },
    NoteEnd {
        fence: Number,
    },
    ReleaseLease,
    BreakLease {
        owner: Id,
    },
    /// The second command of `break_lease`.
    RaiseFenceOfBroken {
        term: Number,
    },
}

/// The lock as a run saw it before it read the log and the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Seen {
    term: Number,
    /// Whether the fence still has the number that it had, and its count of writes. Both only grow.
    has_number: bool,
    has_writes: bool,
}

/// A lock that is no longer as it was seen.
const CHANGED: Seen = Seen { term: 0, has_number: false, has_writes: false };

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    /// It reads the lock, without having it.
    Preview,
    /// It reads the log and the registry next, in the same query.
    Look {
        seen: Seen,
    },
    View {
        fence: Number,
    },
    /// In the migration's own code.
    Up {
        fence: Number,
    },
    /// It has sent a command, again and again until there is an answer.
    Waits(Command),
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Runner {
    run: Id,
    at: At,
}

/// What the log has of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Attempt {
    run: Id,
    fence: Number,
    has_ended: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    // On the server.
    owner: Option<Id>,
    term: Number,
    is_live: bool,
    fence: Number,
    log: Vec<Attempt>,
    registered_by: Option<Id>,
    // On their way, and elsewhere.
    network: BTreeSet<Message>,
    runners: [Runner; 2],
    next_run: Id,
    broken: bool,
    // Set when something happens that must not.
    wrong: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Action {
    /// The runner reads, or its migration's code ends well.
    Step(usize),
    /// Its migration's code ends with an error.
    Fail(usize),
    /// Its command arrives, and its answer is lost or not.
    Serve(usize, bool),
    /// It gives up before it knows whether it has begun.
    GiveUp(usize),
    /// `renew_lease`, of a lease that expired and that no other run took.
    Renew(usize),
    Crash(usize),
    /// A command arrives whose run no longer waits for it.
    Deliver(Message),
    LeaseRunsOut,
    /// A person frees the lock that a run holds.
    Unlock,
}

/// A mistake in the protocol. The model must find what goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mistake {
    NoFence,
    /// `open` does not check all of what was seen.
    OpenWithoutTerm,
    OpenWithoutWrites,
    /// `open` leaves the fence as it is.
    OpenBelowFence,
    /// The view reads the lock after the log and the registry.
    LockReadLast,
    /// `withdraw` only checks the fence's number.
    WithdrawsAnother,
}

struct Protocol {
    mistake: Option<Mistake>,
    /// The runs from this one on begin in the transaction that takes the lock, and release it in that which registers.
    opening: Id,
}

/// How many runs there are: two at first, and one in place of the first that crashes.
const RUNS: Id = 3;

const PERSON: Id = 100;

impl Protocol {
    fn is(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    fn fenced(&self, state: &State, fence: Number) -> bool {
        self.is(Mistake::NoFence) || state.fence == fence
    }

    /// Whether the lock is as a run saw it, as far as the server is asked.
    fn is_as_seen(&self, state: &State, seen: Seen) -> bool {
        (seen.term == state.term || self.is(Mistake::OpenWithoutTerm))
            && (seen.has_number || self.is(Mistake::NoFence))
            && (seen.has_writes || self.is(Mistake::OpenWithoutWrites) || self.is(Mistake::NoFence))
    }

    /// What the server does, and the run's next place, if it hears of it.
    fn serve(&self, state: &mut State, run: Id, command: Command) -> At {
        let opens = run >= self.opening;
        match command {
            Command::Open { seen } => {
                // The commit is repeated if its answer was lost, and is then known to have taken effect.
                if let Some(own) = state.log.iter().find(|attempt| attempt.run == run) {
                    return At::Up { fence: own.fence };
                }
                let is_free = state.owner.is_none() || !state.is_live;
                if !is_free || !self.is_as_seen(state, seen) {
                    return At::Waits(Command::TakeLease);
                }
                state.term += 1;
                (state.owner, state.is_live) = (Some(run), true);
                if !self.is(Mistake::OpenBelowFence) {
                    state.fence = seen.term + 1;
                }
                state.begin(run, state.fence)
            }
            Command::Withdraw { fence } => {
                let has_begun = state.log.iter().any(|attempt| attempt.run == run);
                let is_own = state.owner == Some(run) && has_begun || self.is(Mistake::WithdrawsAnother);
                if is_own && self.fenced(state, fence) {
                    state.end(run);
                    state.release(run);
                }
                At::Over
            }
            Command::TakeLease => {
                if state.owner == Some(run) || state.owner.is_none() || !state.is_live {
                    if state.owner != Some(run) {
                        state.term += 1;
                    }
                    (state.owner, state.is_live) = (Some(run), true);
                    At::Waits(Command::RaiseFence { term: state.term })
                } else {
                    At::Waits(Command::TakeLease)
                }
            }
            Command::RaiseFence { term } | Command::RaiseFenceOfBroken { term } => {
                state.fence = state.fence.max(term);
                // Above it: another one has the lease by now, and it is asked for again.
                if state.fence == term { At::View { fence: term } } else { At::Waits(Command::TakeLease) }
            }
            Command::Begin { fence } => {
                if !self.fenced(state, fence) {
                    return At::Over;
                }
                if state.log.iter().any(|attempt| attempt.run == run) { At::Up { fence } } else { state.begin(run, fence) }
            }
            Command::Register { fence } => {
                let next = if opens { At::Over } else { At::Waits(Command::ReleaseLease) };
                if state.registered_by == Some(run) {
                    return next;
                }
                if !self.fenced(state, fence) {
                    return At::Over;
                }
                if state.registered_by.is_some() {
                    state.wrong = Some("a migration is registered twice");
                }
                if state.log.last().is_none_or(|attempt| attempt.run != run) {
                    state.wrong = Some("a run registers after another one has begun");
                }
                state.registered_by = Some(run);
                state.end(run);
                if opens {
                    state.release(run);
                }
                next
            }
            Command::NoteEnd { fence } => {
                if self.fenced(state, fence) {
                    state.end(run);
                }
                At::Waits(Command::ReleaseLease)
            }
            Command::ReleaseLease => {
                state.release(run);
                At::Over
            }
            Command::BreakLease { owner } => {
                if state.owner == Some(owner) {
                    state.owner = None;
                    state.term += 1;
                    let command = Command::RaiseFenceOfBroken { term: state.term };
                    state.network.insert(Message { run: PERSON, command });
                }
                At::Over
            }
        }
    }

    /// Whether a command whose run no longer waits for it can still change anything. Numbers only grow, and a run begins at most once.
    fn matters(&self, state: &State, Message { run, command }: Message) -> bool {
        let has_fence = !self.is(Mistake::NoFence);
        let own = state.log.iter().find(|attempt| attempt.run == run);
        let may_have_lease = |run: Id| {
            let is_taking = |command: Command| matches!(command, Command::TakeLease | Command::Open { .. });
            let is_waiting = |runner: &Runner| match runner.at {
                At::Waits(command) => is_taking(command),
                At::Preview | At::Look { .. } => true,
                _ => false,
            };
            state.owner == Some(run)
                || state.network.iter().any(|other| other.run == run && is_taking(other.command))
                || state.runners.iter().any(|runner| runner.run == run && is_waiting(runner))
        };
        match command {
            Command::Open { seen } => own.is_none() && self.is_as_seen(state, seen),
            Command::RaiseFence { term } | Command::RaiseFenceOfBroken { term } => term > state.fence,
            Command::Begin { fence } => own.is_none() && !(has_fence && fence < state.fence),
            Command::Register { fence } => state.registered_by != Some(run) && !(has_fence && fence < state.fence),
            Command::NoteEnd { fence } => own.is_some_and(|own| !own.has_ended) && !(has_fence && fence < state.fence),
            Command::Withdraw { fence } => !(has_fence && fence < state.fence),
            Command::ReleaseLease => may_have_lease(run),
            Command::BreakLease { owner } => may_have_lease(owner),
            Command::TakeLease => true,
        }
    }

    /// Forgets what no longer makes a difference.
    fn forget(&self, state: &mut State) {
        let known = |seen: Seen, state: &State| if self.is_as_seen(state, seen) { seen } else { CHANGED };
        for index in 0..state.runners.len() {
            state.runners[index].at = match state.runners[index].at {
                At::Look { seen } => At::Look { seen: known(seen, state) },
                At::Waits(Command::Open { seen }) => At::Waits(Command::Open { seen: known(seen, state) }),
                at => at,
            };
        }
        let network = state.network.clone();
        state.network = network.into_iter().filter(|&message| self.matters(state, message)).collect();
    }
}

impl State {
    /// Records the start of the migration, and goes on to its code.
    fn begin(&mut self, run: Id, fence: Number) -> At {
        if self.registered_by.is_some() {
            self.wrong = Some("a registered migration is run again");
        }
        if self.log.iter().any(|attempt| !attempt.has_ended) {
            self.wrong = Some("a migration whose end is not known is run again");
        }
        self.log.push(Attempt { run, fence, has_ended: false });
        At::Up { fence }
    }

    fn end(&mut self, run: Id) {
        match self.log.iter_mut().find(|attempt| attempt.run == run) {
            Some(attempt) => attempt.has_ended = true,
            None => self.wrong = Some("the log has an end without a start"),
        }
    }

    fn release(&mut self, run: Id) {
        if self.owner == Some(run) {
            self.owner = None;
        }
    }

    /// Whether the plan is empty, or refused because an end is not known.
    fn has_no_plan(&self) -> bool {
        self.registered_by.is_some() || self.log.iter().any(|attempt| !attempt.has_ended)
    }

    /// What every run has seen of the lock is compared with what it has become.
    fn compare_seen(&mut self, last: &State) {
        let has_written = self.log != last.log || self.registered_by != last.registered_by;
        let has_number = self.fence == last.fence;
        let compared = |seen: Seen| Seen {
            has_number: seen.has_number && has_number,
            has_writes: seen.has_writes && !has_written,
            ..seen
        };
        for runner in &mut self.runners {
            runner.at = match runner.at {
                At::Look { seen } => At::Look { seen: compared(seen) },
                At::Waits(Command::Open { seen }) => At::Waits(Command::Open { seen: compared(seen) }),
                at => at,
            };
        }
        let network = std::mem::take(&mut self.network).into_iter().map(|message| match message.command {
            Command::Open { seen } => Message { command: Command::Open { seen: compared(seen) }, ..message },
            _ => message,
        });
        self.network = network.collect();
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let runner = |run| Runner { run, at: At::Preview };
        vec![State {
            owner: None,
            term: 0,
            is_live: false,
            fence: 0,
            log: Vec::new(),
            registered_by: None,
            network: BTreeSet::new(),
            runners: [runner(0), runner(1)],
            next_run: 2,
            broken: false,
            wrong: None,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (index, runner) in state.runners.iter().enumerate() {
            match runner.at {
                At::Over => {}
                At::Up { .. } => actions.extend([Action::Step(index), Action::Fail(index)]),
                At::Waits(command) => {
                    actions.extend([Action::Serve(index, true), Action::Serve(index, false)]);
                    if matches!(command, Command::Open { .. }) {
                        actions.push(Action::GiveUp(index));
                    }
                }
                At::Preview | At::Look { .. } | At::View { .. } => actions.push(Action::Step(index)),
            }
            if state.owner == Some(runner.run) && !state.is_live && runner.at != At::Over {
                actions.push(Action::Renew(index));
            }
            if state.next_run < RUNS {
                actions.push(Action::Crash(index));
            }
        }
        actions.extend(state.network.iter().copied().map(Action::Deliver));
        if state.is_live {
            actions.push(Action::LeaseRunsOut);
        }
        if state.owner.is_some() && !state.broken {
            actions.push(Action::Unlock);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Step(index) => {
                let Runner { run, at } = state.runners[index];
                let now = Seen { term: state.term, has_number: true, has_writes: true };
                let is_free = state.owner.is_none() || !state.is_live;
                state.runners[index].at = match at {
                    At::Preview if run >= self.opening && is_free => {
                        if self.is(Mistake::LockReadLast) && state.has_no_plan() { At::Over } else { At::Look { seen: now } }
                    }
                    At::Preview => At::Waits(Command::TakeLease),
                    At::Look { .. } if self.is(Mistake::LockReadLast) => At::Waits(Command::Open { seen: now }),
                    At::Look { .. } if state.has_no_plan() => At::Over,
                    At::Look { seen } => At::Waits(Command::Open { seen }),
                    // What it sees decides; the read itself changes nothing, so it is one step.
                    At::View { .. } if state.has_no_plan() => At::Waits(Command::ReleaseLease),
                    At::View { fence } => At::Waits(Command::Begin { fence }),
                    At::Up { fence } => At::Waits(Command::Register { fence }),
                    At::Waits(_) | At::Over => return None,
                };
            }
            Action::Fail(index) => {
                let At::Up { fence } = state.runners[index].at else { return None };
                state.runners[index].at = At::Waits(Command::NoteEnd { fence });
            }
            Action::Serve(index, is_answered) => {
                let Runner { run, at: At::Waits(command) } = state.runners[index] else { return None };
                let next = self.serve(&mut state, run, command);
                if is_answered {
                    state.runners[index].at = next;
                }
            }
            Action::GiveUp(index) => {
                let Runner { run, at: At::Waits(command) } = state.runners[index] else { return None };
                let Command::Open { seen } = command else { return None };
                state.network.insert(Message { run, command });
                state.runners[index].at = At::Waits(Command::Withdraw { fence: seen.term + 1 });
            }
            Action::Renew(_) => state.is_live = true,
            Action::Crash(index) => {
                let Runner { run, at } = state.runners[index];
                if let At::Waits(command) = at {
                    state.network.insert(Message { run, command });
                }
                state.runners[index] = Runner { run: state.next_run, at: At::Preview };
                state.next_run += 1;
            }
            Action::Deliver(message) => {
                state.network.remove(&message);
                self.serve(&mut state, message.run, message.command);
            }
            Action::LeaseRunsOut => state.is_live = false,
            Action::Unlock => {
                state.broken = true;
                let command = Command::BreakLease { owner: state.owner? };
                state.network.insert(Message { run: PERSON, command });
            }
        }
        state.compare_seen(last);
        self.forget(&mut state);
        (state != *last).then_some(state)
    }

    /// Two that keep taking the lease from each other would go on for ever.
    fn within_boundary(&self, state: &State) -> bool {
        state.term <= 4
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ALWAYS[0], |_: &Self, state: &State| state.wrong.is_none()),
            Property::always(ALWAYS[1], |_: &Self, state: &State| state.fence <= state.term),
            Property::always(ALWAYS[2], |_: &Self, state: &State| {
                state.log.iter().all(|a| state.log.iter().all(|b| a.fence != b.fence || a.run == b.run))
            }),
            // The run that registers says that nothing is open, and the log is then read from its number on.
            Property::always(ALWAYS[3], |_: &Self, state: &State| {
                let settled = state.log.iter().find(|attempt| Some(attempt.run) == state.registered_by);
                settled.is_none_or(|settled| state.log.iter().all(|a| a.has_ended || a.fence > settled.fence))
            }),
            Property::sometimes("a run takes over from a dead one and registers", |_: &Self, state: &State| {
                state.registered_by.is_some_and(|run| run >= 2)
            }),
            Property::sometimes("a run that lost its lock is kept out", |_: &Self, state: &State| {
                state.runners.iter().any(|runner| runner.at == At::Over)
                    && state.log.iter().any(|attempt| !attempt.has_ended)
            }),
        ]
    }
}

const ALWAYS: [&str; 4] = [
    "nothing happens that must not",
    "the fence is never above the lease's term",
    "a number is one run's",
    "what is open is not behind a run that said nothing is",
];

/// The runs that take the lock first: all, as on a standalone server; one, which takes a dump or creates indexes; none.
#[test]
fn the_guarantees_hold_over_the_whole_state_space() {
    for opening in [RUNS, 1, 0] {
        let checker = Protocol { mistake: None, opening }.checker().threads(2).spawn_bfs().join();
        // 168,076, 229,251 and 103,177 when this was written. A model that became trivial would have few.
        assert!(checker.unique_state_count() > 50_000, "{} states", checker.unique_state_count());
        checker.assert_properties();
    }
}

#[test]
fn each_mistake_in_the_protocol_is_found() {
    for mistake in [
        Mistake::NoFence,
        Mistake::OpenWithoutTerm,
        Mistake::OpenWithoutWrites,
        Mistake::OpenBelowFence,
        Mistake::LockReadLast,
        Mistake::WithdrawsAnother,
    ] {
        let protocol = Protocol { mistake: Some(mistake), opening: 0 };
        let checker = protocol.checker().finish_when(HasDiscoveries::AnyFailures).threads(2).spawn_bfs().join();
        let found = ALWAYS.iter().any(|property| checker.discovery(property).is_some());
        assert!(found, "{mistake:?}, in {} states", checker.unique_state_count());
    }
}
