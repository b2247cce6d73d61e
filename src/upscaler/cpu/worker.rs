//! The thread that the model runs on, so that other frames can be prepared and finished meanwhile.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

use super::{
    super::{
        buffer_pool::BufferPool,
        enlarger::{Cost, Enlarger, Patch},
        error::Error,
    },
    frame_state::Task,
    surface::Surface,
};
use crate::reuse::{CostModel, Region};

enum Message {
    Run { epoch: u64, task: Task },
    Measure(Region, mpsc::Sender<Result<Option<CostModel>, Error>>),
}

/// The result of a task.
type Outcome = Result<(Vec<Patch>, Cost), Error>;

/// Runs tasks in the order in which they are sent.
pub(super) struct Worker {
    /// `None` once the thread has been asked to end.
    messages: Option<mpsc::Sender<Message>>,
    outcomes: mpsc::Receiver<(u64, Outcome)>,
    thread: Option<thread::JoinHandle<Box<dyn Enlarger>>>,
    /// Tasks of earlier epochs were aborted.
    epoch: Arc<AtomicU64>,
}

/// What the thread works with.
struct Model {
    enlarger: Box<dyn Enlarger>,
    /// The source picture.
    source: Surface,
    pool: BufferPool,
}

impl Model {
    fn run(&mut self, task: Task) -> Outcome {
        self.source.update(task.source);
        self.enlarger.update(self.source.picture(), &task.work, &self.pool)
    }

    fn measure(&mut self, region: &Region) -> Result<Option<CostModel>, Error> {
        self.enlarger.measure(self.source.picture(), region, &self.pool)
    }
}

impl Worker {
    /// Starts the thread. `source` is the source picture, which is still empty.
    ///
    /// # Errors
    /// [`Error::Thread`].
    pub(crate) fn start(
        enlarger: Box<dyn Enlarger>,
        source: Surface,
        pool: BufferPool,
    ) -> Result<Self, Error> {
        let (messages, receiver) = mpsc::channel();
        let (sender, outcomes) = mpsc::channel();
        let epoch = Arc::new(AtomicU64::new(0));
        let current = epoch.clone();
        let mut model = Model { enlarger, source, pool };
        let run = move || {
            for message in receiver {
                match message {
                    Message::Run { epoch, .. } if epoch != current.load(Ordering::SeqCst) => {}
                    Message::Run { epoch, task } => {
                        // Sending fails once the pipeline has been dropped, which needs no outcome.
                        let _ = sender.send((epoch, model.run(task)));
                    }
                    Message::Measure(region, reply) => {
                        let _ = reply.send(model.measure(&region));
                    }
                }
            }
            model.enlarger
        };
        let builder = thread::Builder::new().name("upscale-infer".into());
        let thread = builder.spawn(run).map_err(Error::Thread)?;
        Ok(Self { messages: Some(messages), outcomes, thread: Some(thread), epoch })
    }

    /// Sends a task.
    ///
    /// # Errors
    /// [`Error::Panicked`].
    pub(crate) fn send(&self, task: Task) -> Result<(), Error> {
        self.message(Message::Run { epoch: self.epoch.load(Ordering::SeqCst), task })
    }

    /// Waits for the oldest task that was sent and neither received nor aborted.
    ///
    /// # Errors
    /// Errors of the task.
    pub(crate) fn receive(&self) -> Outcome {
        loop {
            let (epoch, outcome) = self.outcomes.recv().map_err(|_| Error::Panicked)?;
            if epoch == self.epoch.load(Ordering::SeqCst) {
                return outcome;
            }
        }
    }

    /// The cost of runs of the model, measured on `region` after the tasks that have been sent. See
    /// [`Enlarger::measure`].
    ///
    /// # Errors
    /// Errors of the run.
    pub(crate) fn measure(&self, region: Region) -> Result<Option<CostModel>, Error> {
        let (reply, answer) = mpsc::channel();
        self.message(Message::Measure(region, reply))?;
        answer.recv().map_err(|_| Error::Panicked)?
    }

    fn message(&self, message: Message) -> Result<(), Error> {
        self.messages.as_ref().and_then(|it| it.send(message).ok()).ok_or(Error::Panicked)
    }

    /// Drops the tasks that were sent; the one that runs is completed, but not received.
    pub(crate) fn abort(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// Waits for the running task. `None` after a panic.
    pub(crate) fn into_enlarger(mut self) -> Option<Box<dyn Enlarger>> {
        self.end()
    }

    fn end(&mut self) -> Option<Box<dyn Enlarger>> {
        self.abort();
        self.messages = None;
        self.thread.take().and_then(|thread| thread.join().ok())
    }
}

impl Drop for Worker {
    /// ONNX Runtime must not run when the process ends.
    fn drop(&mut self) {
        self.end();
    }
}
