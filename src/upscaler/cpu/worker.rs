//! The thread that the model runs on, so that other frames can be at work meanwhile.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

use super::{
    super::{Error, Region},
    infer::Inference,
    job::Job,
};
use crate::{frame::Image, reuse::CostModel};

enum Task {
    Frame(u64, Job),
    Time(Region, Image, mpsc::Sender<Result<Option<CostModel>, Error>>),
}

struct Outcome {
    epoch: u64,
    job: Job,
    result: Result<(), Error>,
}

/// Runs one job after the other.
pub(super) struct Worker {
    /// `None` once it is to end.
    tasks: Option<mpsc::Sender<Task>>,
    outcomes: mpsc::Receiver<Outcome>,
    thread: Option<thread::JoinHandle<Inference>>,
    /// Jobs of earlier epochs have been discarded.
    epoch: Arc<AtomicU64>,
}

impl Worker {
    /// # Errors
    /// [`Error::Impossible`] where no thread can be started.
    pub fn start(mut inference: Inference) -> Result<Self, Error> {
        let (tasks, receiver) = mpsc::channel();
        let (sender, outcomes) = mpsc::channel();
        let epoch = Arc::new(AtomicU64::new(0));
        let current = epoch.clone();
        let thread = thread::Builder::new().name("upscale-infer".into()).spawn(move || {
            for task in receiver {
                match task {
                    Task::Frame(epoch, _) if epoch != current.load(Ordering::SeqCst) => {}
                    Task::Frame(epoch, mut job) => {
                        let result = inference.run(&mut job);
                        // No one waits any longer where this fails.
                        let _ = sender.send(Outcome { epoch, job, result });
                    }
                    Task::Time(region, picture, reply) => {
                        let _ = reply.send(inference.costs(&region, &picture));
                    }
                }
            }
            inference
        });
        let thread = thread
            .map_err(|error| Error::Impossible(format!("threads could not be started: {error}")))?;
        Ok(Self { tasks: Some(tasks), outcomes, thread: Some(thread), epoch })
    }

    /// # Errors
    /// [`Error::Panicked`].
    pub fn send(&self, job: Job) -> Result<(), Error> {
        self.give(Task::Frame(self.epoch.load(Ordering::SeqCst), job))
    }

    /// Waits for the oldest job that was sent and neither received nor discarded.
    ///
    /// # Errors
    /// What its run gave.
    pub fn receive(&self) -> Result<Job, Error> {
        loop {
            let Outcome { epoch, job, result } =
                self.outcomes.recv().map_err(|_| Error::Panicked)?;
            if epoch == self.epoch.load(Ordering::SeqCst) {
                return result.map(|()| job);
            }
        }
    }

    /// What runs of the model cost, known after those that have been sent: of the largest yet,
    /// and of `region`, given as `picture`. `None` where none has been run yet.
    ///
    /// # Errors
    /// What running the region gave.
    pub fn costs(&self, region: Region, picture: Image) -> Result<Option<CostModel>, Error> {
        let (reply, answer) = mpsc::channel();
        self.give(Task::Time(region, picture, reply))?;
        answer.recv().map_err(|_| Error::Panicked)?
    }

    fn give(&self, task: Task) -> Result<(), Error> {
        self.tasks.as_ref().and_then(|tasks| tasks.send(task).ok()).ok_or(Error::Panicked)
    }

    /// Nothing of what was sent is to be received any more.
    pub fn abort(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// Waits for the frame at work; `None` after a panic.
    pub fn into_inference(mut self) -> Option<Inference> {
        self.end()
    }

    fn end(&mut self) -> Option<Inference> {
        self.abort();
        self.tasks = None;
        self.thread.take().and_then(|thread| thread.join().ok())
    }
}

impl Drop for Worker {
    /// ONNX Runtime must not be at work when the process ends.
    fn drop(&mut self) {
        self.end();
    }
}
