//! Sharing a layer's work among threads.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

use super::{Error, batch::Scratch};
use crate::engine::Interrupt;

/// Threads, and the scratch memory of each.
#[derive(Clone)]
pub(crate) struct Pool {
    threads: Option<Arc<rayon::ThreadPool>>,
    scratch: Arc<Mutex<Vec<Scratch>>>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("threads", &self.threads()).finish_non_exhaustive()
    }
}

impl Pool {
    /// A pool of `threads`; 1 is the caller's own.
    ///
    /// # Errors
    /// [`Error::Threads`].
    pub(crate) fn new(threads: usize) -> Result<Self, Error> {
        let pool = match threads {
            0 | 1 => None,
            threads => {
                let builder = rayon::ThreadPoolBuilder::new()
                    .num_threads(threads)
                    .thread_name(|index| format!("upscale-native-{index}"));
                Some(Arc::new(builder.build().map_err(Error::Threads)?))
            }
        };
        Ok(Self::with(pool))
    }

    /// The threads of a pool that exists; `None` is the caller's own.
    pub(crate) fn with(threads: Option<Arc<rayon::ThreadPool>>) -> Self {
        Self { threads, scratch: Arc::default() }
    }

    pub(crate) fn threads(&self) -> usize {
        self.threads.as_ref().map_or(1, |pool| pool.current_num_threads())
    }

    /// Does `work` on one of the threads, so that starting its jobs does not change threads.
    pub(crate) fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match &self.threads {
            Some(pool) => {
                let interrupt = Interrupt::current();
                pool.install(|| interrupt.enter(work))
            }
            None => work(),
        }
    }

    /// Does all jobs.
    pub(crate) fn each<J: Send>(&self, jobs: Vec<J>, work: impl Fn(J, &mut Scratch) + Sync) {
        let one = |job: J| {
            let lock = || self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
            let mut scratch = lock().pop().unwrap_or_default();
            work(job, &mut scratch);
            lock().push(scratch);
        };
        match &self.threads {
            Some(pool) if jobs.len() > 1 => {
                pool.install(|| jobs.into_par_iter().with_max_len(1).for_each(one));
            }
            _ => jobs.into_iter().for_each(one),
        }
    }
}
