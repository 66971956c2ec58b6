//! The writer: the one task that owns all durable writes of a process.
//!
//! It takes what waits, decides command after command over the facts of the batch, writes all of it in one
//! transaction, announces the events in order, and only then answers each caller. See `docs/architecture.md`, Writing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::Batch;
use crate::bus::{Announcement, Bus};
use crate::error::Error;
use crate::model::{Epoch, Event, ReadAdvanced, Seq, Timestamp, UserId};
use crate::store::{Changes, Needs, Store, StoreError};

/// Something to be done durably.
pub trait Command: Send + 'static {
    /// What the caller gets once it is done.
    type Answer: Send + 'static;

    /// Names everything the decision will look at.
    fn needs(&self, needs: &mut Needs);

    /// Decides and records the outcome in the batch. Pure but for the batch.
    ///
    /// # Errors
    /// The refusal, with the batch untouched.
    fn decide(self, batch: &mut Batch) -> Result<Self::Answer, Error>;
}

/// Hands commands to the writer. Cheap to clone.
pub struct Writer<C: Command> {
    queue: mpsc::Sender<Job<C>>,
}

impl<C: Command> Clone for Writer<C> {
    fn clone(&self) -> Self {
        Self {
            queue: self.queue.clone(),
        }
    }
}

enum Job<C: Command> {
    Command {
        command: C,
        answer: Answer<C>,
    },
    Prune {
        to: Seq,
        answer: Told,
    },
    Seen {
        seen: Vec<(UserId, Timestamp)>,
        answer: Told,
    },
}

type Told = oneshot::Sender<Result<(), Error>>;
type Outcome<C> = Result<<C as Command>::Answer, Error>;
type Answer<C> = oneshot::Sender<Outcome<C>>;

impl<C: Command> Writer<C> {
    /// Commands that may wait. More is told to the caller at once: a queue that takes seconds to clear helps no one.
    pub const QUEUE_COMMANDS: usize = 4096;
    /// Commands in one transaction: beyond this the gain of a larger batch is lost in the wait for it.
    const BATCH_COMMANDS: usize = 256;

    /// Begins a new epoch and starts the task, which ends once `stop` is cancelled and everything queued is answered.
    ///
    /// # Errors
    /// The store would not record the epoch.
    pub async fn start(
        store: Arc<dyn Store>,
        bus: Arc<dyn Bus>,
        stop: CancellationToken,
    ) -> Result<(Self, impl Future<Output = ()> + Send + 'static), StoreError> {
        let bounds = store.lead().await?;
        let epoch = store.epochs().cursor(bounds.head.next()).epoch;
        let (queue, jobs) = mpsc::channel(Self::QUEUE_COMMANDS);
        let task = Task {
            store,
            bus,
            epoch,
            jobs,
        };
        Ok((Self { queue }, task.run(stop)))
    }

    /// Hands a command over on first poll, before anything is awaited, and waits for the outcome.
    ///
    /// Dropping the future does not take the command back.
    ///
    /// # Errors
    /// The refusal; or `UNAVAILABLE` when the queue is full, the server is stopping, or the store failed (then nothing
    /// of it was kept).
    pub async fn submit(&self, command: C) -> Result<C::Answer, Error> {
        let (answer, outcome) = oneshot::channel();
        self.enqueue(Job::Command { command, answer })?;
        outcome.await.unwrap_or(Err(Error::Stopping))
    }

    /// Forgets the log up to and including a place.
    ///
    /// # Errors
    /// As [`Writer::submit`].
    pub async fn prune(&self, to: Seq) -> Result<(), Error> {
        let (answer, outcome) = oneshot::channel();
        self.enqueue(Job::Prune { to, answer })?;
        outcome.await.unwrap_or(Err(Error::Stopping))
    }

    /// Notes when users were last seen. It is no event.
    ///
    /// # Errors
    /// As [`Writer::submit`].
    pub async fn see(&self, seen: Vec<(UserId, Timestamp)>) -> Result<(), Error> {
        let (answer, outcome) = oneshot::channel();
        self.enqueue(Job::Seen { seen, answer })?;
        outcome.await.unwrap_or(Err(Error::Stopping))
    }

    fn enqueue(&self, job: Job<C>) -> Result<(), Error> {
        self.queue.try_send(job).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => Error::Busy,
            mpsc::error::TrySendError::Closed(_) => Error::Stopping,
        })
    }
}

struct Task<C: Command> {
    store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
    epoch: Epoch,
    jobs: mpsc::Receiver<Job<C>>,
}

/// What a batch decided, with the callers who wait for it to be durable.
struct Decided<C: Command> {
    changes: Changes,
    outcomes: Vec<(Answer<C>, Outcome<C>)>,
}

impl<C: Command> Task<C> {
    async fn run(mut self, stop: CancellationToken) {
        let mut jobs = Vec::with_capacity(Writer::<C>::BATCH_COMMANDS);
        loop {
            let received = tokio::select! {
                biased;
                () = stop.cancelled(), if !self.jobs.is_closed() => {
                    self.jobs.close();
                    continue;
                }
                received = self.jobs.recv_many(&mut jobs, Writer::<C>::BATCH_COMMANDS) => received,
            };
            if received == 0 {
                return;
            }
            self.work(&mut jobs).await;
        }
    }

    async fn work(&self, jobs: &mut Vec<Job<C>>) {
        let mut batch = Vec::with_capacity(jobs.len());
        let mut after = Vec::new();
        for job in jobs.drain(..) {
            match job {
                Job::Command { command, answer } => batch.push((command, answer)),
                Job::Prune { to, answer } => {
                    let prune_to = Some(to);
                    let changes = Changes {
                        prune_to,
                        ..Changes::default()
                    };
                    after.push((changes, answer));
                }
                Job::Seen { seen, answer } => {
                    let changes = Changes {
                        seen,
                        ..Changes::default()
                    };
                    after.push((changes, answer));
                }
            }
        }
        if !batch.is_empty() {
            self.write(batch).await;
        }
        for (changes, answer) in after {
            let _ = answer.send(self.note(&changes).await);
        }
    }

    async fn write(&self, batch: Vec<(C, Answer<C>)>) {
        let mut needs = Needs::default();
        for (command, _) in &batch {
            command.needs(&mut needs);
        }
        let facts = match self.store.begin(&needs).await {
            Ok(facts) => facts,
            Err(error) => {
                return self
                    .fail(batch.into_iter().map(|(_, answer)| answer), error.into())
                    .await;
            }
        };
        let (commands, answers): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let overlay = Batch::new(facts, Timestamp::now(), self.epoch);
        // A rule that panics is a defect. It may have left the batch half changed, so none of it is written.
        match catch_unwind(AssertUnwindSafe(|| decide_all(commands, overlay))) {
            Ok((changes, outcomes)) => {
                let outcomes = answers.into_iter().zip(outcomes).collect();
                self.finish(Decided { changes, outcomes }).await;
            }
            Err(_) => self.fail(answers.into_iter(), Error::Internal).await,
        }
    }

    async fn finish(&self, decided: Decided<C>) {
        let Decided { changes, outcomes } = decided;
        if changes.is_empty() {
            self.rollback().await;
        } else if let Err(error) = self.store.commit(&changes).await {
            return self
                .fail(outcomes.into_iter().map(|(answer, _)| answer), error.into())
                .await;
        }
        self.announce(changes.events);
        self.announce_reads(changes.reads);
        for (answer, outcome) in outcomes {
            // The caller may be gone; what it asked for is done all the same.
            let _ = answer.send(outcome);
        }
    }

    fn announce(&self, events: Vec<Arc<Event>>) {
        if !events.is_empty() {
            self.bus.announce(Announcement::Events(events.into()));
        }
    }

    /// Not of rooms that the batch deleted, nor of members who left in it: they are no one's to be told of any more.
    fn announce_reads(&self, reads: Vec<ReadAdvanced>) {
        let shown = |it: &ReadAdvanced| it.member.is_active() && !it.room.deleted;
        let reads: Vec<_> = reads.into_iter().filter(shown).collect();
        if !reads.is_empty() {
            self.bus.announce_reads(reads.into());
        }
    }

    /// Writes what is no event: that the log is pruned, or when users were last seen.
    async fn note(&self, changes: &Changes) -> Result<(), Error> {
        let noted = async {
            self.store.begin(&Needs::default()).await?;
            self.store.commit(changes).await
        };
        match noted.await {
            Ok(()) => Ok(()),
            Err(error) => {
                tracing::error!(%error, prune_to = ?changes.prune_to, seen = changes.seen.len(), "what is no event could not be written");
                self.rollback().await;
                Err(error.into())
            }
        }
    }

    async fn fail(&self, answers: impl Iterator<Item = Answer<C>>, error: Error) {
        tracing::error!(error = ?error, "a batch was given up; nothing of it is kept");
        self.rollback().await;
        for answer in answers {
            let _ = answer.send(Err(error.clone()));
        }
    }

    async fn rollback(&self) {
        if let Err(error) = self.store.rollback().await {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
    }
}

/// Decides command after command, so that later ones see earlier ones.
fn decide_all<C: Command>(
    commands: Vec<C>,
    mut batch: Batch,
) -> (Changes, Vec<Result<C::Answer, Error>>) {
    let outcomes = commands
        .into_iter()
        .map(|command| {
            let before = batch.extent();
            let outcome = command.decide(&mut batch);
            debug_assert!(
                outcome.is_ok() || before == batch.extent(),
                "a refused command changed the batch"
            );
            outcome
        })
        .collect();
    (batch.into_changes(), outcomes)
}
