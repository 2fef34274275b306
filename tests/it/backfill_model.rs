//! A model of the ranges of a backfill: a run (A), processes that join in (J, K), and a later run that takes over (B), over every order
//! of their steps. Each may be killed or frozen between any two of its steps, leases run out at any time, and answers are lost. A process
//! learns that it has lost the backfill only where the server refuses something, which is later than its pulse reports it.
//!
//! Steps have the names of the code's: `begin_backfill`, `note_backfill`, `take_range`, `ranges_elsewhere`, `batch_done`, `range_done`,
//! `register`.
//!
//! Without exactly-once, a write is guarded by what was read, and may be repeated: there the model counts no document twice.

use stateright::{Checker, HasDiscoveries, Model, Path, Property};

/// A process, by its place in the arrays.
type Process = usize;
type Task = usize;

const A: Process = 0;
const J: Process = 1;
const B: Process = 2;
/// Joins in too.
const K: Process = 3;

const PROCESSES: usize = 4;

/// How many documents there are.
const DOCUMENTS: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Range {
    /// The run that has cut it.
    cut: u8,
    number: u8,
    fence: u8,
    /// The task that has taken it. Its process is the `worker`, and the task stands for the name of the `take`.
    taken_by: Option<Task>,
    /// How many of its documents are done, if each batch is marked.
    at: u8,
    is_done: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Backfill {
    /// Of the run that has it, and with it the owner.
    fence: u8,
    cut: u8,
}

/// Whether a process lives, by the server's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Lease {
    /// It has not been heard of.
    None,
    Live,
    Expired,
}

/// The ranges that a process may work on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Claim {
    fence: u8,
    cut: u8,
}

/// Some of the processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Processes([bool; PROCESSES]);

/// Which step of a task is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    /// A later run takes the lock, and raises the fence.
    TakesLock,
    /// `begin_backfill`: it makes the backfill its own, and then each range.
    Begins,
    Raises(u8),
    /// It has changed, and is removed: the backfill, and then its ranges.
    ForgetsBackfill,
    ForgetsRanges,
    /// `note_backfill`: the ranges, and then the backfill.
    InsertsRanges,
    NotesBackfill,
    /// It looks for a backfill that it may join.
    Joins,
    /// `take_range`. First only those that no process has; then those whose process was not `living` at a beat. `lived` is what was true
    /// then, without those that have not been heard of since.
    Takes(Option<Living>),
    /// `ranges_elsewhere`.
    Counts,
    /// It asks whether the backfill is its own still: what it has counted is all then.
    Confirms,
    /// Others have the ranges that are left. It waits for its next beat.
    Waits,
    /// It writes the document after `at`, or marks the range as done.
    Works {
        number: u8,
        at: u8,
    },
    /// With the mark in a step of its own.
    MarksBatch {
        number: u8,
        at: u8,
    },
    /// This task has found no more to do.
    Returned,
    /// The run registers the migration.
    Registers,
    /// The owner is dead, or so it seems.
    OwnerGone,
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Living {
    living: Processes,
    lived: Processes,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    // On the server.
    fence: u8,
    backfill: Option<Backfill>,
    leases: [Lease; PROCESSES],
    ranges: Vec<Range>,
    /// How often each document is written, by what is done with it.
    written: [[u8; DOCUMENTS]; 2],
    is_registered: bool,
    // In the processes.
    claims: [Option<Claim>; PROCESSES],
    tasks: Vec<At>,
    // What has happened.
    /// The last run for which all ranges are its own.
    begun_by: u8,
    has_written_late: bool,
    has_taken_over: bool,
    wrong: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Action {
    Step(Task),
    /// A range is taken, and the answer is lost. The command is sent again.
    TakeUnanswered(Task),
    Beat(Process),
    LeaseRunsOut(Process),
    Kill(Process),
}

/// A mistake in the protocol. The model must find what goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mistake {
    /// No filter has the fence.
    NoFence,
    /// No filter has the worker.
    NoWorker,
    /// Filters have the process that has taken a range, and not when it has: it may lose the range and take it again.
    NoTake,
    /// A range that was taken, and whose answer was lost, counts as one that the process works on.
    ForgetsTaken,
    /// A range is marked as done before it is.
    MarksFirst,
    /// A batch is written in one transaction, and marked in another.
    MarksApart,
    /// Whether a process lives is judged by another clock than the server's.
    OwnClock,
    /// Each range becomes the run's before the backfill does.
    RangesFirst,
    /// The backfill is noted before its ranges.
    BackfillFirst,
    /// A run says that it lives before all ranges are its own.
    BeatsFirst,
    /// The backfill is noted without a look at the fence of the lock.
    NotesUnfenced,
    /// That no range of its own fence is open is taken to say that all are done.
    BelievesItsCount,
    /// A process that has joined says that all is done if an owner lives.
    BelievesTheOwner,
}

/// What is modelled.
#[derive(Clone, Debug)]
struct Setting {
    mistake: Option<Mistake>,
    /// Each batch and its mark are one transaction.
    exactly_once: bool,
    /// The process of each task.
    tasks: Vec<Process>,
    /// How many documents each range has.
    ranges: Vec<u8>,
    /// The later run does something else with the documents.
    has_changed: bool,
}

impl Setting {
    /// What must happen in some order of the steps.
    fn expected(&self) -> Vec<&'static str> {
        let mut expected = vec![TAKEN_OVER];
        if self.tasks.contains(&A) {
            expected.push(REGISTERED);
            if !self.exactly_once {
                expected.push(LATE);
            }
        }
        expected
    }

    fn is(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    /// The process and the number of a run. One that joins has that of its claim.
    fn fence(&self, process: Process) -> u8 {
        if process == B { 2 } else { 1 }
    }

    /// What a run does with the documents.
    fn what(&self, fence: u8) -> usize {
        usize::from(self.has_changed && fence == 2)
    }

    fn is_fenced(&self, range: &Range, claim: Claim) -> bool {
        range.fence == claim.fence || self.is(Mistake::NoFence)
    }

    /// The ranges as a run cuts them.
    fn cut(&self, run: u8) -> impl Iterator<Item = Range> {
        let range = move |number| Range { cut: run, number, fence: run, taken_by: None, at: 0, is_done: false };
        (0..self.count()).map(range)
    }

    fn count(&self) -> u8 {
        u8::try_from(self.ranges.len()).unwrap_or(u8::MAX)
    }

    /// Whether a task still has the range, as the filter of its writes says.
    fn has(&self, range: &Range, task: Task, claim: Claim) -> bool {
        let is_own = match range.taken_by {
            _ if self.is(Mistake::NoWorker) => true,
            Some(other) if self.is(Mistake::NoTake) => self.tasks[other] == self.tasks[task],
            other => other == Some(task),
        };
        range.cut == claim.cut && self.is_fenced(range, claim) && is_own
    }

    /// The first document of a range.
    fn first(&self, number: u8) -> u8 {
        self.ranges[..usize::from(number)].iter().sum()
    }

    fn all_written(&self, state: &State, fence: u8) -> bool {
        state.written[self.what(fence)].iter().all(|times| *times > 0)
    }

    /// `take_range`.
    fn take(&self, state: &mut State, task: Task, claim: Claim, living: Option<Living>) -> Option<(u8, u8)> {
        let process = self.tasks[task];
        let of_claim = |range: &Range| range.cut == claim.cut && self.is_fenced(range, claim) && !range.is_done;
        let taken = state.ranges.iter().position(|range| of_claim(range) && range.taken_by == Some(task));
        let is_free = |range: &Range| match (range.taken_by, living) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(other), Some(Living { living, .. })) => self.tasks[other] != process && !living.0[self.tasks[other]],
        };
        let free = || state.ranges.iter().position(|range| of_claim(range) && is_free(range));
        let index = taken.filter(|_| !self.is(Mistake::ForgetsTaken)).or_else(free)?;
        if let (Some(other), Some(living)) = (state.ranges[index].taken_by, living)
            && other != task
        {
            state.has_taken_over = true;
            if living.lived.0[self.tasks[other]] {
                state.wrong = Some("a range is taken from a process that lives");
            }
        }
        if state.is_registered {
            state.wrong = Some("a range is taken after the migration is registered");
        }
        let range = &mut state.ranges[index];
        range.taken_by = Some(task);
        range.is_done |= self.is(Mistake::MarksFirst);
        Some((range.number, range.at))
    }

    /// Writes one document.
    fn write(&self, state: &mut State, claim: Claim, number: u8, at: u8) {
        let most = if self.exactly_once { 2 } else { 1 };
        let times = &mut state.written[self.what(claim.fence)][usize::from(self.first(number) + at)];
        *times = (*times + 1).min(most);
        state.has_written_late |= state.is_registered;
        if self.exactly_once {
            if *times > 1 {
                state.wrong = Some("a document is written twice");
            }
            if state.begun_by > claim.fence {
                state.wrong = Some("a run writes after a later one has begun");
            }
        }
    }

    /// A batch, which is one document, or the mark that the range is done.
    fn work(&self, state: &mut State, task: Task, claim: Claim, (number, at): (u8, u8)) -> At {
        let own = state.ranges.iter().position(|range| range.number == number && self.has(range, task, claim));
        let is_end = at == self.ranges[usize::from(number)];
        match own {
            Some(index) if is_end => {
                state.ranges[index].is_done = true;
                At::Takes(None)
            }
            _ if !is_end && !self.exactly_once => {
                self.write(state, claim, number, at);
                At::Works { number, at: at + 1 }
            }
            Some(_) if self.is(Mistake::MarksApart) => {
                self.write(state, claim, number, at);
                At::MarksBatch { number, at: at + 1 }
            }
            Some(index) => {
                self.write(state, claim, number, at);
                state.ranges[index].at = at + 1;
                At::Works { number, at: at + 1 }
            }
            None if self.is(Mistake::MarksFirst) => At::Takes(None),
            // The range was taken over, by another process of the same run or by a later run.
            None if state.is_of(claim) => At::Takes(None),
            None => At::Over,
        }
    }

    /// What a task does next, and where it is then.
    fn step(&self, state: &mut State, task: Task) -> Option<At> {
        let process = self.tasks[task];
        let number = self.fence(process);
        let claim = state.claims[process].unwrap_or(Claim { fence: number, cut: number });
        Some(match state.tasks[task] {
            At::TakesLock => {
                state.fence = number;
                // It plans under the lock.
                if state.is_registered { At::Over } else { At::Begins }
            }
            At::Begins => match &mut state.backfill {
                Some(found) if found.fence > number => At::Over,
                Some(found) => {
                    let is_later = !self.is(Mistake::RangesFirst);
                    state.claims[process] = Some(Claim { fence: number, cut: found.cut });
                    if is_later {
                        found.fence = number;
                        state.leases = [Lease::None; PROCESSES];
                    }
                    if self.has_changed { At::ForgetsBackfill } else { At::Raises(0) }
                }
                None if self.is(Mistake::BackfillFirst) => At::NotesBackfill,
                None => At::InsertsRanges,
            },
            At::Raises(next) if next < self.count() => {
                let own = |range: &&mut Range| range.cut == claim.cut && range.number == next && range.fence <= number;
                if let Some(range) = state.ranges.iter_mut().find(own) {
                    (range.fence, range.taken_by) = (number, None);
                }
                At::Raises(next + 1)
            }
            At::Raises(_) => {
                if let Some(found) = state.backfill.as_mut().filter(|found| found.fence < number) {
                    found.fence = number;
                    state.leases = [Lease::None; PROCESSES];
                }
                state.begun_by = state.begun_by.max(number);
                At::Takes(None)
            }
            At::ForgetsBackfill => {
                state.backfill = state.backfill.filter(|found| found.fence > number);
                At::ForgetsRanges
            }
            At::ForgetsRanges => {
                state.ranges.retain(|range| range.fence > number);
                At::InsertsRanges
            }
            At::InsertsRanges => {
                state.ranges.extend(self.cut(number));
                if self.is(Mistake::BackfillFirst) { At::Takes(None) } else { At::NotesBackfill }
            }
            At::NotesBackfill => {
                let is_fenced = state.fence == number || self.is(Mistake::NotesUnfenced);
                if !is_fenced || state.backfill.is_some_and(|found| found.fence > number) {
                    return Some(At::Over);
                }
                state.backfill = Some(Backfill { fence: number, cut: number });
                state.leases = [Lease::None; PROCESSES];
                state.claims[process] = Some(Claim { fence: number, cut: number });
                state.begun_by = state.begun_by.max(number);
                if self.is(Mistake::BackfillFirst) { At::InsertsRanges } else { At::Takes(None) }
            }
            At::Joins => {
                let found = state.backfill.filter(|found| state.leases[owner(found.fence)] == Lease::Live)?;
                state.claims[process] = Some(Claim { fence: found.fence, cut: found.cut });
                At::Takes(None)
            }
            At::Takes(living) => match self.take(state, task, claim, living) {
                Some((number, at)) => At::Works { number, at },
                None => At::Counts,
            },
            At::Counts => {
                let is_elsewhere = |range: &&Range| {
                    let is_own = range.taken_by.is_some_and(|other| self.tasks[other] == process);
                    range.cut == claim.cut && self.is_fenced(range, claim) && !range.is_done && !is_own
                };
                match state.ranges.iter().find(is_elsewhere) {
                    Some(_) => At::Waits,
                    None if self.is(Mistake::BelievesItsCount) => At::Returned,
                    None => At::Confirms,
                }
            }
            At::Confirms if state.is_of(claim) => At::Returned,
            At::Confirms => At::Over,
            At::Waits => {
                if !state.beat(process) {
                    return Some(At::Over);
                }
                if state.leases[owner(claim.fence)] != Lease::Live {
                    return Some(At::OwnerGone);
                }
                let lived = Processes(state.leases.map(|lease| lease == Lease::Live));
                let living = if self.is(Mistake::OwnClock) { Processes([false; PROCESSES]) } else { lived };
                At::Takes(Some(Living { living, lived }))
            }
            At::Works { number, at } => self.work(state, task, claim, (number, at)),
            At::MarksBatch { number, at } => {
                let own = state.ranges.iter_mut().find(|range| range.number == number && self.has(range, task, claim));
                if let Some(range) = own {
                    range.at = at;
                }
                At::Works { number, at }
            }
            At::Returned => {
                let others = (0..self.tasks.len()).filter(|other| self.tasks[*other] == process && *other != task);
                let (rest, is_first) =
                    (others.clone().all(|other| state.tasks[other] == At::Returned), others.min() > Some(task));
                if !rest || !(is_first || self.tasks.iter().filter(|other| **other == process).count() == 1) {
                    return None;
                }
                if !self.all_written(state, claim.fence) {
                    state.wrong = Some("a process believes that all is done");
                }
                if process == J || process == K { At::Over } else { At::Registers }
            }
            At::Registers => {
                if state.fence == number {
                    if !self.all_written(state, number) {
                        state.wrong = Some("a migration is registered, and documents are left");
                    }
                    state.is_registered = true;
                    state.backfill = None;
                    state.leases = [Lease::None; PROCESSES];
                    state.ranges.clear();
                }
                At::Over
            }
            At::OwnerGone => {
                let lives = state.backfill.is_some_and(|found| state.leases[owner(found.fence)] == Lease::Live);
                if self.is(Mistake::BelievesTheOwner) && lives && !self.all_written(state, claim.fence) {
                    state.wrong = Some("a process believes that all is done");
                }
                At::Over
            }
            At::Over => return None,
        })
    }
}

/// The process that runs a migration under that number.
fn owner(fence: u8) -> Process {
    if fence == 2 { B } else { A }
}

impl At {
    /// The run has not begun the backfill.
    fn is_beginning(self) -> bool {
        matches!(
            self,
            Self::Begins
                | Self::Raises(_)
                | Self::ForgetsBackfill
                | Self::ForgetsRanges
                | Self::InsertsRanges
                | Self::NotesBackfill
        )
    }
}

impl State {
    fn is_of(&self, claim: Claim) -> bool {
        self.backfill.is_some_and(|found| found.fence == claim.fence)
    }

    /// Says that a process lives. Returns `false` if a later run has the backfill.
    fn beat(&mut self, process: Process) -> bool {
        let is_ours = self.claims[process].is_some_and(|claim| self.is_of(claim));
        if is_ours {
            self.leases[process] = Lease::Live;
        }
        is_ours
    }
}

impl Model for Setting {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let first = |process: &Process| match *process {
            A => At::Begins,
            J | K => At::Joins,
            _ => At::TakesLock,
        };
        let mut tasks: Vec<At> = self.tasks.iter().map(first).collect();
        // The first task of a process begins. The others find what it has begun.
        for (task, at) in tasks.iter_mut().enumerate() {
            if self.tasks[..task].contains(&self.tasks[task]) {
                *at = At::Takes(None);
            }
        }
        let mut leases = [Lease::None; PROCESSES];
        // A run that only waits for the others has begun, and lives.
        let has_begun = !self.tasks.contains(&A);
        if has_begun {
            leases[A] = Lease::Live;
        }
        vec![State {
            fence: 1,
            backfill: has_begun.then_some(Backfill { fence: 1, cut: 1 }),
            leases,
            ranges: if has_begun { self.cut(1).collect() } else { Vec::new() },
            written: [[0; DOCUMENTS]; 2],
            is_registered: false,
            claims: [None; PROCESSES],
            tasks,
            begun_by: 0,
            has_written_late: false,
            has_taken_over: false,
            wrong: None,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (task, at) in state.tasks.iter().enumerate() {
            let has_claim = state.claims[self.tasks[task]].is_some();
            match at {
                At::Over => {}
                At::Takes(_) if has_claim => actions.extend([Action::Step(task), Action::TakeUnanswered(task)]),
                At::Takes(_) => {}
                _ => actions.push(Action::Step(task)),
            }
        }
        for process in 0..PROCESSES {
            let lives = (0..self.tasks.len()).any(|task| self.tasks[task] == process && state.tasks[task] != At::Over);
            let has_begun =
                !(0..self.tasks.len()).any(|task| self.tasks[task] == process && state.tasks[task].is_beginning());
            let beats = lives && state.claims[process].is_some() && (has_begun || self.is(Mistake::BeatsFirst));
            if beats && state.leases[process] != Lease::Live {
                actions.push(Action::Beat(process));
            }
            if state.leases[process] == Lease::Live && self.tasks.contains(&process) {
                actions.push(Action::LeaseRunsOut(process));
            }
            if lives && process != B {
                actions.push(Action::Kill(process));
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Step(task) => state.tasks[task] = self.step(&mut state, task)?,
            Action::TakeUnanswered(task) => {
                let At::Takes(living) = state.tasks[task] else { return None };
                let claim = state.claims[self.tasks[task]]?;
                self.take(&mut state, task, claim, living)?;
            }
            Action::Beat(process) => {
                state.beat(process);
            }
            Action::LeaseRunsOut(process) => {
                state.leases[process] = Lease::Expired;
                for at in &mut state.tasks {
                    if let At::Takes(Some(living)) = at {
                        living.lived.0[process] = false;
                    }
                }
            }
            Action::Kill(process) => {
                for (task, at) in state.tasks.iter_mut().enumerate() {
                    if self.tasks[task] == process {
                        *at = At::Over;
                    }
                }
            }
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ALWAYS, |_: &Self, state: &State| state.wrong.is_none()),
            Property::sometimes(REGISTERED, |_: &Self, state: &State| state.is_registered && state.has_taken_over),
            Property::sometimes(TAKEN_OVER, |_: &Self, state: &State| state.has_taken_over),
            Property::sometimes(LATE, |_: &Self, state: &State| state.has_written_late),
        ]
    }
}

const ALWAYS: &str = "nothing happens that must not";
const REGISTERED: &str = "a range is taken over, and the migration is registered";
const TAKEN_OVER: &str = "a range is taken over";
/// A process that was frozen in the middle of a range goes on to its end, as long as it has not learned that it has lost it. The model
/// lets it learn that from its mark alone.
const LATE: &str = "without exactly-once, a write arrives after the migration is registered";

fn setting(exactly_once: bool, tasks: &[Process], ranges: &[u8]) -> Setting {
    let (tasks, ranges) = (tasks.to_vec(), ranges.to_vec());
    Setting { mistake: None, exactly_once, tasks, ranges, has_changed: false }
}

/// Two runs and a process that joins in; processes with two tasks, which are taken for dead and come back; and a later run whose code
/// is another one.
fn settings(exactly_once: bool) -> Vec<Setting> {
    let setting = |tasks: &[Process], ranges: &[u8]| setting(exactly_once, tasks, ranges);
    vec![
        setting(&[A, J, B], &[2]),
        setting(&[A, J, B], &[1, 1]),
        setting(&[A, A, J], &[2]),
        setting(&[A, A, J], &[1, 1]),
        setting(&[J, J, K], &[2]),
        Setting { has_changed: true, ..setting(&[A, J, B], &[2]) },
    ]
}

/// As many processes as there may be where the machine has minutes.
fn large_settings(exactly_once: bool) -> Vec<Setting> {
    let setting = |tasks: &[Process], ranges: &[u8]| setting(exactly_once, tasks, ranges);
    vec![setting(&[A, J, J, K], &[2]), setting(&[A, J, K, B], &[2]), setting(&[A, A, J, B], &[1, 1])]
}

/// The steps that lead to a state that must not be, each with what is next then.
fn shown(path: Path<State, Action>) -> String {
    let step = |(state, action): (State, Option<Action>)| match (action, state.wrong) {
        (Some(Action::Step(task)), _) => format!("{task}: {:?}\n", state.tasks[task]),
        (Some(action), _) => format!("{action:?}\n"),
        (None, wrong) => format!("{wrong:?} in {state:?}"),
    };
    path.into_vec().into_iter().map(step).collect()
}

#[test]
fn every_document_is_done_and_with_exactly_once_no_more_than_once() {
    let all = std::env::var("CARGO_MIGRATIONS_MODEL").is_ok_and(|which| which == "all");
    for exactly_once in [false, true] {
        let large = if all { large_settings(exactly_once) } else { Vec::new() };
        for setting in settings(exactly_once).into_iter().chain(large) {
            let checker = setting.clone().checker().threads(2).spawn_bfs().join();
            // 9 to 107 thousand when this was written, and millions of the large ones. A model that became trivial would have few.
            assert!(checker.unique_state_count() > 5_000, "{} states: {setting:?}", checker.unique_state_count());
            if let Some(path) = checker.discovery(ALWAYS) {
                panic!("{setting:?}\n{}", shown(path));
            }
            // Where nothing goes wrong because nothing happens.
            for expected in setting.expected() {
                assert!(checker.discovery(expected).is_some(), "{expected}: {setting:?}");
            }
        }
    }
}

#[test]
fn each_mistake_in_the_protocol_is_found() {
    const BELIEVES: &str = "a process believes that all is done";
    const TWICE: &str = "a document is written twice";
    const AFTER_A_LATER_ONE: &str = "a run writes after a later one has begun";
    for (mistake, exactly_once, tasks, wrong) in [
        (Mistake::NoFence, true, [A, J, B], AFTER_A_LATER_ONE),
        (Mistake::NoWorker, true, [A, J, B], TWICE),
        (Mistake::NoTake, true, [J, J, K], TWICE),
        (Mistake::ForgetsTaken, false, [A, J, B], BELIEVES),
        (Mistake::ForgetsTaken, true, [A, J, B], BELIEVES),
        (Mistake::MarksFirst, false, [A, J, B], BELIEVES),
        (Mistake::MarksApart, true, [A, J, B], TWICE),
        (Mistake::OwnClock, false, [A, J, B], "a range is taken from a process that lives"),
        (Mistake::RangesFirst, false, [A, J, B], BELIEVES),
        (Mistake::BackfillFirst, false, [A, J, B], BELIEVES),
        (Mistake::BeatsFirst, false, [A, J, B], BELIEVES),
        (Mistake::NotesUnfenced, false, [A, J, B], "a range is taken after the migration is registered"),
        (Mistake::NotesUnfenced, true, [A, J, B], AFTER_A_LATER_ONE),
        (Mistake::BelievesItsCount, false, [A, J, B], BELIEVES),
        (Mistake::BelievesTheOwner, false, [A, J, B], BELIEVES),
    ] {
        let with_mistake = Setting { mistake: Some(mistake), ..setting(exactly_once, &tasks, &[2]) };
        let checker = with_mistake.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        let found = checker.discovery(ALWAYS).and_then(|path| path.last_state().wrong);
        assert_eq!(found, Some(wrong), "{mistake:?}, in {} states", checker.unique_state_count());
    }
}
