//! The thread that the model runs on, so that other frames can be prepared and finished meanwhile.

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
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
use crate::{
    engine::{Interrupt, background},
    reuse::{CostModel, Region},
};

/// How often a thread that waits for the model looks whether it was interrupted.
const INTERRUPT_INTERVAL: Duration = Duration::from_millis(10);

type Job = Box<dyn FnOnce(&mut Model) + Send>;

/// The result of a task.
type Outcome = Result<(Vec<Patch>, Cost), Error>;

/// Does jobs in the order in which they are sent.
pub(super) struct Worker {
    /// `None` once the thread has been asked to end.
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<thread::JoinHandle<()>>,
    /// Gives the enlarger back when the thread ends.
    enlarger: mpsc::Receiver<Box<dyn Enlarger>>,
}

/// The result of a job. A job whose answer is dropped is ended early, or not begun.
pub(super) struct Answer<T> {
    receiver: mpsc::Receiver<Result<T, Error>>,
    interrupt: Interrupt,
}

impl<T> Answer<T> {
    /// Waits for the result.
    ///
    /// # Errors
    /// Errors of the job; [`engine::Error::Cancelled`](crate::engine::Error::Cancelled) when the
    /// current [`Interrupt`] is raised.
    pub(crate) fn wait(self) -> Result<T, Error> {
        loop {
            if let Some(result) = self.receive(INTERRUPT_INTERVAL)? {
                return Ok(result);
            }
        }
    }

    /// Waits for the result until `deadline`. `None` if it is not there yet.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub(crate) fn wait_until(&self, deadline: Instant) -> Result<Option<T>, Error> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let result = self.receive(left.min(INTERRUPT_INTERVAL))?;
            if result.is_some() || left.is_zero() {
                return Ok(result);
            }
        }
    }

    fn receive(&self, time: Duration) -> Result<Option<T>, Error> {
        Interrupt::current().check()?;
        match self.receiver.recv_timeout(time) {
            Ok(result) => result.map(Some),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                // The job was not begun, or its thread panicked.
                self.interrupt.check()?;
                Err(Error::Panicked)
            }
        }
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        self.interrupt.raise();
    }
}

/// What the thread works with.
struct Model {
    enlarger: Box<dyn Enlarger>,
    /// The source picture.
    source: Surface,
    pool: BufferPool,
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
        let (jobs, receiver) = mpsc::channel::<Job>();
        let (give_back, enlarger_back) = mpsc::channel();
        let mut model = Model { enlarger, source, pool };
        let run = move || {
            for job in receiver {
                job(&mut model);
            }
            // Without a receiver the enlarger is dropped here.
            let _ = give_back.send(model.enlarger);
        };
        let builder = thread::Builder::new().name("upscale-infer".into());
        let thread = builder.spawn(run).map_err(Error::Thread)?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), enlarger: enlarger_back })
    }

    /// Sends a task.
    ///
    /// # Errors
    /// [`Error::Panicked`].
    pub(crate) fn run(&self, task: Task) -> Result<Answer<(Vec<Patch>, Cost)>, Error> {
        self.send(move |model| -> Outcome {
            model.source.update(task.source);
            model.enlarger.update(model.source.picture(), &task.work, &model.pool)
        })
    }

    /// The cost of runs of the model, measured on `region` after the tasks that have been sent. See
    /// [`Enlarger::measure`].
    ///
    /// # Errors
    /// Errors of the run.
    pub(crate) fn measure(&self, region: Region) -> Result<Option<CostModel>, Error> {
        let measure = move |model: &mut Model| {
            model.enlarger.measure(model.source.picture(), &region, &model.pool)
        };
        self.send(measure)?.wait()
    }

    /// Waits until all jobs are done, or ended early.
    ///
    /// # Errors
    /// As [`Answer::wait`].
    pub(crate) fn settle(&self) -> Result<(), Error> {
        self.send(|_| Ok(()))?.wait()
    }

    /// Sends a job, which works under a child of the sender's current interrupt.
    fn send<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Model) -> Result<T, Error> + Send + 'static,
    ) -> Result<Answer<T>, Error> {
        let (sender, receiver) = mpsc::channel();
        let interrupt = Interrupt::current().child();
        let answer = Answer { receiver, interrupt: interrupt.clone() };
        let job = move |model: &mut Model| {
            if !interrupt.is_raised() {
                // Sending fails if nobody waits any more.
                let _ = sender.send(interrupt.enter(|| job(model)));
            }
        };
        let sent = self.jobs.as_ref().and_then(|jobs| jobs.send(Box::new(job)).ok());
        sent.map(|()| answer).ok_or(Error::Panicked)
    }

    /// Waits until the thread has ended. `None` after a panic.
    pub(crate) fn into_enlarger(mut self) -> Option<Box<dyn Enlarger>> {
        self.jobs = None;
        self.enlarger.recv().ok()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            background::end(thread);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine;

    #[test]
    fn a_job_that_was_not_begun_because_of_an_interrupt_is_no_panic() {
        for is_raised in [false, true] {
            let (_, receiver) = mpsc::channel::<Result<(), Error>>();
            let answer = Answer { receiver, interrupt: Interrupt::default() };
            if is_raised {
                // After the wait has looked for the interrupt, and before it looks for the result.
                answer.interrupt.raise();
            }
            let error = answer.wait().unwrap_err();
            let is_cancelled = matches!(error, Error::Inference(engine::Error::Cancelled));
            assert_eq!(is_cancelled, is_raised, "{error}");
        }
    }
}
