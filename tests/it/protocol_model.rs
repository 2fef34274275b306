//! A model of the protocol of lease, fence, log and registry: two runners and a person with `unlock`, over every order of
//! their steps, with crashes at each, answers that are lost, writes that arrive late, and leases that run out at any time.
//!
//! Steps have the names of the code's: `take_lease`, `raise_fence`, `view`, `begin`, `register`, `note_end`, `release_lease`,
//! `renew_lease`, `break_lease`.

use std::collections::BTreeSet;

use stateright::{Checker, Model, Property};

/// A run is one process's; after a crash its runner starts another.
type Id = u8;
type Number = u8;

/// A command on its way to the server. What a runner sent before it crashed may still arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Message {
    run: Id,
    command: Command,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Command {
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

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    TakeLease,
    RaiseFence {
        term: Number,
    },
    View {
        fence: Number,
    },
    Begin {
        fence: Number,
    },
    /// In the migration's own code.
    Up {
        fence: Number,
    },
    Register {
        fence: Number,
    },
    NoteEnd {
        fence: Number,
    },
    ReleaseLease,
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
    /// The runner reads, or sends what is next, or its migration's code ends well.
    Step(usize),
    /// Its migration's code ends with an error.
    Fail(usize),
    /// `renew_lease`, of a lease that expired and that no other run took.
    Renew(usize),
    Crash(usize),
    /// A command arrives, and its answer is lost or not.
    Deliver(Message, bool),
    LeaseRunsOut,
    /// A person frees the lock that a run holds.
    Unlock,
}

struct Protocol {
    /// Without it, the model must find what goes wrong.
    has_fence: bool,
    runs: Id,
}

const PERSON: Id = 100;

impl Protocol {
    fn fenced(&self, state: &State, fence: Number) -> bool {
        !self.has_fence || state.fence == fence
    }

    /// What the server does, and the run's next place, if it hears of it.
    fn serve(&self, state: &mut State, message: Message) -> At {
        let run = message.run;
        match message.command {
            Command::TakeLease => {
                if state.owner == Some(run) || state.owner.is_none() || !state.is_live {
                    if state.owner != Some(run) {
                        state.term += 1;
                    }
                    (state.owner, state.is_live) = (Some(run), true);
                    At::RaiseFence { term: state.term }
                } else {
                    At::TakeLease
                }
            }
            Command::RaiseFence { term } | Command::RaiseFenceOfBroken { term } => {
                state.fence = state.fence.max(term);
                // Above it: another one has the lease by now, and it is asked for again.
                if state.fence == term { At::View { fence: term } } else { At::TakeLease }
            }
            Command::Begin { fence } => {
                if !self.fenced(state, fence) {
                    return At::Over;
                }
                if !state.log.iter().any(|attempt| attempt.run == run) {
                    if state.registered_by.is_some() {
                        state.wrong = Some("a registered migration is run again");
                    }
                    if state.log.iter().any(|attempt| !attempt.has_ended) {
                        state.wrong = Some("a migration whose end is not known is run again");
                    }
                    state.log.push(Attempt { run, fence, has_ended: false });
                }
                At::Up { fence }
            }
            Command::Register { fence } => {
                if !self.fenced(state, fence) {
                    return At::Over;
                }
                if state.registered_by.is_some_and(|other| other != run) {
                    state.wrong = Some("a migration is registered twice");
                }
                if state.log.last().is_none_or(|attempt| attempt.run != run) {
                    state.wrong = Some("a run registers after another one has begun");
                }
                state.registered_by = Some(run);
                end(state, run);
                At::ReleaseLease
            }
            Command::NoteEnd { fence } => {
                if self.fenced(state, fence) {
                    end(state, run);
                }
                At::ReleaseLease
            }
            Command::ReleaseLease => {
                if state.owner == Some(run) {
                    state.owner = None;
                }
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

    fn deliver(&self, state: &mut State, message: Message, is_answered: bool) {
        state.network.remove(&message);
        let runner = state.runners.iter().position(|runner| runner.run == message.run);
        let next = self.serve(state, message);
        // A run that is elsewhere by now does not wait for this answer.
        if let (Some(runner), true) = (runner, is_answered)
            && command_of(state.runners[runner].at) == Some(message.command)
        {
            state.runners[runner].at = next;
        }
    }
}

fn end(state: &mut State, run: Id) {
    for attempt in state.log.iter_mut().filter(|attempt| attempt.run == run) {
        attempt.has_ended = true;
    }
}

fn command_of(at: At) -> Option<Command> {
    Some(match at {
        At::TakeLease => Command::TakeLease,
        At::RaiseFence { term } => Command::RaiseFence { term },
        At::Begin { fence } => Command::Begin { fence },
        At::Register { fence } => Command::Register { fence },
        At::NoteEnd { fence } => Command::NoteEnd { fence },
        At::ReleaseLease => Command::ReleaseLease,
        At::View { .. } | At::Up { .. } | At::Over => return None,
    })
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let runner = |run| Runner { run, at: At::TakeLease };
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
            let waits = state
                .network
                .iter()
                .any(|message| message.run == runner.run && Some(message.command) == command_of(runner.at));
            match runner.at {
                At::Over => {}
                At::Up { .. } => actions.extend([Action::Step(index), Action::Fail(index)]),
                _ if !waits => actions.push(Action::Step(index)),
                _ => {}
            }
            if state.owner == Some(runner.run) && !state.is_live && runner.at != At::Over {
                actions.push(Action::Renew(index));
            }
            if state.next_run < self.runs {
                actions.push(Action::Crash(index));
            }
        }
        actions.extend(
            state.network.iter().flat_map(|&message| [Action::Deliver(message, true), Action::Deliver(message, false)]),
        );
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
                match (at, command_of(at)) {
                    // What it sees decides; the read itself changes nothing, so it is one step.
                    (At::View { fence }, _) => {
                        let is_undecided = state.log.iter().any(|attempt| !attempt.has_ended);
                        let over = state.registered_by.is_some() || is_undecided;
                        state.runners[index].at = if over { At::ReleaseLease } else { At::Begin { fence } };
                    }
                    (At::Up { fence }, _) => state.runners[index].at = At::Register { fence },
                    (_, Some(command)) => {
                        state.network.insert(Message { run, command });
                    }
                    _ => return None,
                }
            }
            Action::Fail(index) => {
                let At::Up { fence } = state.runners[index].at else { return None };
                state.runners[index].at = At::NoteEnd { fence };
            }
            Action::Renew(_) => state.is_live = true,
            Action::Crash(index) => {
                state.runners[index] = Runner { run: state.next_run, at: At::TakeLease };
                state.next_run += 1;
            }
            Action::Deliver(message, is_answered) => self.deliver(&mut state, message, is_answered),
            Action::LeaseRunsOut => state.is_live = false,
            Action::Unlock => {
                state.broken = true;
                let command = Command::BreakLease { owner: state.owner? };
                state.network.insert(Message { run: PERSON, command });
            }
        }
        (state != *last).then_some(state)
    }

    /// Two that keep taking the lease from each other would go on for ever.
    fn within_boundary(&self, state: &State) -> bool {
        state.term <= 4
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("nothing happens that must not", |_: &Self, state: &State| state.wrong.is_none()),
            Property::always("the fence is never above the lease's term", |_: &Self, state: &State| {
                state.fence <= state.term
            }),
            Property::always("a number is one run's", |_: &Self, state: &State| {
                state.log.iter().all(|a| state.log.iter().all(|b| a.fence != b.fence || a.run == b.run))
            }),
            // The run that registers says that nothing is open, and the log is then read from its number on.
            Property::always("what is open is not behind a run that said nothing is", |_: &Self, state: &State| {
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

#[test]
fn the_guarantees_hold_over_the_whole_state_space() {
    let checker = Protocol { has_fence: true, runs: 3 }.checker().threads(2).spawn_bfs().join();
    // 1,390,036 when this was written; a model that became trivial would have few.
    assert!(checker.unique_state_count() > 100_000, "{} states", checker.unique_state_count());
    checker.assert_properties();
}

#[test]
fn without_the_fence_the_model_finds_what_goes_wrong() {
    let checker = Protocol { has_fence: false, runs: 3 }.checker().threads(2).spawn_bfs().join();
    let found = checker.discovery("nothing happens that must not").expect("a frozen run that registers");
    assert!(found.last_state().wrong.is_some());
}
