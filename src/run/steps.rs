//! Carrying out one step of a run: the migration's `up` or `down`, and the change that registers its result.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mongodb::bson::{DateTime, Document};

use super::advice;
use super::lock::LockGuard;
use super::step::Step;
use crate::crash;
use crate::db::{Db, Migrating, Part, Transaction};
use crate::durable::attempt;
use crate::error::chain::error_text;
use crate::error::{Error, Result};
use crate::migration::{InTransaction, Kind, OnDatabase};
use crate::model::{Direction, Effects};
use crate::process::panics;
use crate::process::stop::Stop;
use crate::report::Reporter;
use crate::store::{About, Change, Ended, Record, Refusal, Registration, Store, acceptance, new_id, registration};

/// Carries out the steps of one run.
pub(super) struct Steps<'r> {
    pub(crate) store: &'r Store,
    pub(crate) db: &'r Db,
    pub(crate) lock: &'r LockGuard,
    pub(crate) stop: &'r Stop,
    pub(crate) reporter: &'r Reporter,
    pub(crate) record: Record,
    /// Whether no attempt is open once all steps are done.
    pub(crate) settles: bool,
    /// Whether the server keeps the registry's names unique.
    pub(crate) has_unique_names: bool,
    /// When the run began.
    pub(crate) started: Instant,
    /// What the last step did.
    pub(crate) effects: Effects,
    /// What its backfills have done.
    pub(crate) backfills: Vec<Document>,
    /// Whether anything may be stored about its backfills.
    pub(crate) has_marks: bool,
    /// Whether the log already has the start of the next step.
    pub(crate) has_begun_next: bool,
}

/// Whether the run goes on after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    GoOn,
    /// The step was done, and the run ends: it was the last one, or the run was asked to stop.
    End,
    /// The step was not done, because the run was asked to stop.
    Stop,
}

/// Why a migration's code was stopped before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Halt {
    /// Another run has the lock: nothing more may be written.
    Lost,
    /// The run was asked to stop, and the transaction can be aborted.
    Asked,
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "the lock was lost",
            Self::Asked => "stopped as asked",
        })
    }
}

impl std::error::Error for Halt {}

impl Steps<'_> {
    /// Records the start of the run and of its first migration. The start of each further migration is recorded with the end of
    /// the one before. `dump` was taken before the run.
    pub(crate) async fn begin(&mut self, steps: &[Step<'_>], dump: Option<&str>) -> Result<(), Error> {
        let log = first_events(&mut self.record, steps, dump, self.lock.now());
        match self.lock.fence().write(&Change { log, ..Change::default() }).await {
            Ok(()) => crash::point("run begun"),
            Err(Refusal::Lost) => return Err(self.lock.lost_error().await),
            Err(Refusal::Server(error)) => return Err(not_written(error)),
        }
        Ok(())
    }

    /// Carries out one step. `next` follows it unless the run is asked to stop, and `done` steps were done before.
    pub(crate) async fn step(&mut self, step: &Step<'_>, next: Option<&Step<'_>>, done: usize) -> Result<Next, Error> {
        (self.effects, self.backfills, self.has_marks) = (Effects::default(), Vec::new(), false);
        if self.stop.is_asked() {
            self.note_end(step, Duration::ZERO, Ended::Aborted, None, done).await;
            return Ok(Next::Stop);
        }
        match self.lock.is_ours().await {
            Ok(true) => {}
            Ok(false) => return Err(self.lock.lost_error().await),
            Err(error) => {
                self.note_end(step, Duration::ZERO, Ended::Aborted, None, done).await;
                let name = step.migration.stem();
                let message = format!("the lock could not be renewed, so {name} was not begun");
                return Err(Error::failed(message).with_hint("run the same command again").caused_by(error));
            }
        }
        // A run that left none before costs no command here.
        self.has_marks = step.may_have_marks && self.store.may_have_backfills(step.migration.stem()).await;
        let since = Instant::now();
        let ran = match step.action().map(|action| action.kind()) {
            Some(Kind::Transaction(action)) => self.in_transaction(&**action, step, next, done).await,
            Some(Kind::Database(action)) => match self.on_database(&**action, step).await {
                Ok(()) => return self.register(step, next, since.elapsed(), done).await,
                Err(error) => Err(error),
            },
            None => return self.register(step, next, since.elapsed(), done).await,
        };
        let Err(error) = ran else { return Ok(self.next()) };
        match error.downcast_ref::<Halt>() {
            Some(Halt::Lost) => Err(self.lock.lost_error().await),
            Some(Halt::Asked) => {
                self.note_end(step, since.elapsed(), Ended::Aborted, None, done).await;
                Ok(Next::Stop)
            }
            None => {
                let text = error_text(&*error);
                self.note_end(step, since.elapsed(), Ended::Failed, Some(&text), done).await;
                Err(advice::failed(step, error))
            }
        }
    }

    fn next(&self) -> Next {
        if self.has_begun_next { Next::GoOn } else { Next::End }
    }

    /// Runs an action that takes the database. If the lock is lost, it ends at its next `await`.
    async fn on_database(&mut self, action: &dyn OnDatabase, step: &Step<'_>) -> Result<()> {
        let what = (step.migration.stem(), step.migration.subject().checksum);
        let part = Part::Runs { fence: self.lock.fence().number(), run: self.lock.run().id.clone() };
        let migrating = Arc::new(Migrating::new(self.store, what, step.direction.as_str(), part));
        let db = self.db.for_migration(&migrating);
        self.db.start_recording();
        let ran = tokio::select! {
            biased;
            () = self.lock.lost() => Err(Halt::Lost.into()),
            ran = guarded(action.run(&db)) => ran,
        };
        self.effects = self.db.end_recording();
        self.backfills = migrating.backfills();
        self.has_marks |= migrating.has_begun_backfills();
        ran
    }

    /// Runs an action that takes a transaction, and commits it together with its registration.
    async fn in_transaction(
        &mut self,
        action: &dyn InTransaction,
        step: &Step<'_>,
        next: Option<&Step<'_>>,
        done: usize,
    ) -> Result<()> {
        let (lock, stop) = (self.lock, self.stop);
        let halted = async || -> Box<dyn std::error::Error + Send + Sync> {
            tokio::select! {
                () = lock.lost() => Halt::Lost.into(),
                () = stop.asked() => Halt::Asked.into(),
            }
        };
        let mut transaction = self.db.begin().await?;
        attempt::run(&mut transaction, halted, async |tx: &mut Transaction| {
            let since = Instant::now();
            // Only what is committed counts, so each attempt begins with nothing.
            self.db.start_recording();
            let ran = guarded(action.run(tx)).await;
            self.effects = self.db.end_recording();
            ran?;
            crash::point("transaction's own part done");
            let change = self.change(step, next, since.elapsed(), done);
            match lock.fence().write_within(tx.session(), &change).await {
                Ok(()) => Ok(()),
                Err(Refusal::Lost) => Err(Halt::Lost.into()),
                Err(Refusal::Server(error)) => Err(error.into()),
            }
        })
        .await
    }

    /// Registers a step that ran to its end. This write makes it done.
    async fn register(
        &mut self,
        step: &Step<'_>,
        next: Option<&Step<'_>>,
        took: Duration,
        done: usize,
    ) -> Result<Next, Error> {
        crash::point("ended, not registered");
        // If the server does not answer, the fence decides.
        if !self.lock.is_ours().await.unwrap_or(true) {
            return Err(self.lock.lost_error().await);
        }
        let mut change = self.change(step, next, took, done);
        if !self.has_begun_next {
            change.release = Some(self.lock.run().id.clone());
        }
        match self.lock.fence().write(&change).await {
            Ok(()) => {
                crash::point("registered");
                if !self.has_begun_next {
                    self.lock.note_released();
                }
                Ok(self.next())
            }
            Err(Refusal::Lost) => Err(self.lock.lost_error().await),
            Err(Refusal::Server(error)) => Err(advice::not_registered(step, error)),
        }
    }

    /// The change that a step makes once it has run to its end.
    fn change(&mut self, step: &Step<'_>, next: Option<&Step<'_>>, took: Duration, done: usize) -> Change {
        let now = self.lock.now();
        let mut ended = self.record.migration_ended(&about(step), took, Ended::Done, None, &self.effects, now);
        if !self.backfills.is_empty() {
            ended.insert("backfills", self.backfills.clone());
        }
        let mut log = vec![ended];
        let next = next.filter(|_| !self.stop.is_asked());
        self.has_begun_next = next.is_some();
        log.push(match next {
            Some(next) => self.record.migration_started(&about(next), now),
            None if self.stop.is_asked() => self.record.run_ended(done + 1, self.started.elapsed(), Ended::Aborted, now),
            None if self.settles => self.record.run_settled(done + 1, self.started.elapsed(), self.has_unique_names, now),
            None => self.record.run_ended(done + 1, self.started.elapsed(), Ended::Done, now),
        });
        let register = match step.direction {
            Direction::Up => Some(Registration::Executed(took)),
            // It is registered already (its rollback was interrupted), and stays as it is.
            Direction::Ignore if step.registered.is_empty() => Some(Registration::Ignored),
            Direction::Adopt => step.adopted.as_ref().map(Registration::Adopted),
            Direction::Ignore | Direction::Down | Direction::Accept | Direction::Forget => None,
        };
        let id = || step.registered.first().and_then(|filter| filter.get("_id")).cloned().unwrap_or_else(new_id);
        let subject = step.migration.subject();
        let run = &self.lock.run().id;
        Change {
            log,
            backfill: None,
            register: register.map(|how| registration(id(), subject, how, run, now)),
            amend: (step.direction == Direction::Accept).then(|| acceptance(id(), subject, run, now)),
            clears: (self.has_marks && step.direction != Direction::Accept).then(|| step.migration.stem().to_owned()),
            unregister: if step.is_removal() { step.registered.clone() } else { Vec::new() },
            release: None,
        }
    }

    /// Records in the log that a step, and with it the run, ended without being done.
    async fn note_end(&mut self, step: &Step<'_>, took: Duration, outcome: Ended, error: Option<&str>, done: usize) {
        let now = self.lock.now();
        let log = vec![
            self.record.migration_ended(&about(step), took, outcome, error, &self.effects, now),
            self.record.run_ended(done, self.started.elapsed(), outcome, now),
        ];
        if let Err(Refusal::Server(error)) = self.lock.fence().write(&Change { log, ..Change::default() }).await {
            self.reporter.warning(format!(
                "the end of {} could not be written to the log ({}), so it will be shown as interrupted",
                step.migration.stem(),
                crate::error::describe::driver(&error)
            ));
        }
        crash::point("end noted");
    }
}

/// The events that begin a run: its start, and that of its first migration. `dump` was taken before the run.
pub(super) fn first_events(record: &mut Record, steps: &[Step<'_>], dump: Option<&str>, now: DateTime) -> Vec<Document> {
    let mut log = vec![record.run_started(steps.len(), dump, now)];
    log.extend(steps.first().map(|step| record.migration_started(&about(step), now)));
    log
}

/// The events that end a run before its first migration began.
pub(super) fn withdrawn_events(record: &mut Record, first: &Step<'_>, now: DateTime) -> Vec<Document> {
    let ended = record.migration_ended(&about(first), Duration::ZERO, Ended::Aborted, None, &Effects::default(), now);
    vec![ended, record.run_ended(0, Duration::ZERO, Ended::Aborted, now)]
}

/// The error where it is not known whether the first events of a run were written.
pub(super) fn not_written(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::failed("the log could not be written, so no migration has begun").with_hint(advice::not_begun()).caused_by(error)
}

fn about<'s>(step: &'s Step<'_>) -> About<'s> {
    About {
        migration: step.migration.subject(),
        direction: step.direction,
        is_transactional: step.is_transactional(),
        was_registered: !step.registered.is_empty(),
        before: step.before,
        was_in_up: step.was_in_up,
        registered_as: step.registered_as.as_deref(),
    }
}

/// A panic becomes an error.
pub(super) async fn guarded(action: impl Future<Output = Result<()>>) -> Result<()> {
    panics::catch_async(action).await.unwrap_or_else(|panic| Err(format!("it panicked: {panic}").into()))
}
