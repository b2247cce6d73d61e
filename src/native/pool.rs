//! Sharing a layer's work among threads.

use std::{
    cell::Cell,
    fmt, hint,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

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

    /// Does `work` on one of the threads. Meanwhile the others are ready for its jobs.
    pub(crate) fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let Some(pool) = &self.threads else { return work() };
        let interrupt = Interrupt::current();
        pool.install(|| {
            let _occupied = Occupied::enter();
            let left = Arc::new(AtomicUsize::new(1));
            let _done = Done(&left);
            // The work does not wait for the end of the helpers.
            let helpers = Arc::clone(&left);
            pool.spawn_broadcast(move |_| {
                // A thread with other work must not wait for the end of this one.
                if !IS_OCCUPIED.get() {
                    let _occupied = Occupied::enter();
                    help_until_none(&helpers);
                }
            });
            interrupt.enter(work)
        })
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
            Some(pool) if jobs.len() > 1 => pool.install(|| {
                let _occupied = Occupied::enter();
                let left = AtomicUsize::new(jobs.len());
                rayon::scope(|scope| {
                    for job in jobs {
                        let (one, left) = (&one, &left);
                        scope.spawn(move |_| {
                            let _done = Done(left);
                            one(job);
                        });
                    }
                    help_until_none(&left);
                });
            }),
            _ => jobs.into_iter().for_each(one),
        }
    }
}

thread_local! {
    /// Whether a thread of a pool works or helps already.
    static IS_OCCUPIED: Cell<bool> = const { Cell::new(false) };
}

/// Marks the thread as occupied.
struct Occupied {
    before: bool,
}

impl Occupied {
    fn enter() -> Self {
        Self { before: IS_OCCUPIED.replace(true) }
    }
}

impl Drop for Occupied {
    fn drop(&mut self) {
        IS_OCCUPIED.set(self.before);
    }
}

/// Counts down when a job ends, also by a panic.
struct Done<'a>(&'a AtomicUsize);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

/// How long a thread without a job spins before it yields, and how long it yields before it sleeps between
/// attempts.
const SPIN: Duration = Duration::from_micros(100);
const YIELD: Duration = Duration::from_millis(1);
const SLEEP: Duration = Duration::from_micros(100);

/// Does jobs of the pool until none is left. Between two layers, a thread waits for microseconds only.
/// Rayon yields the CPU at once in its own waits; if another process is busy, each wait then costs a time
/// slice of milliseconds.
fn help_until_none(left: &AtomicUsize) {
    let mut idle: Option<Instant> = None;
    while left.load(Ordering::Acquire) > 0 {
        if rayon::yield_now() == Some(rayon::Yield::Executed) {
            idle = None;
            continue;
        }
        match idle.get_or_insert_with(Instant::now).elapsed() {
            time if time < SPIN => hint::spin_loop(),
            time if time < YIELD => thread::yield_now(),
            _ => thread::sleep(SLEEP),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn all_jobs_of_many_layers_are_done_inside_and_outside_of_the_pool() {
        for threads in [1, 2, 5] {
            let pool = Pool::new(threads).unwrap();
            let done = AtomicUsize::new(0);
            let layers = || {
                for jobs in 0..50 {
                    pool.each((0..jobs).collect(), |_, _| _ = done.fetch_add(1, Ordering::Relaxed));
                }
            };
            layers();
            pool.enter(layers);
            assert_eq!(done.into_inner(), 2 * (0..50).sum::<usize>());
        }
    }

    #[test]
    fn several_engines_share_one_pool_at_the_same_time() {
        let builder = rayon::ThreadPoolBuilder::new().num_threads(2);
        let pool = Pool::with(Some(Arc::new(builder.build().unwrap())));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        pool.enter(|| (0..4).for_each(|_| pool.each(vec![1; 8], |_, _| ())));
                    }
                });
            }
        });
    }

    #[test]
    fn a_panic_of_a_job_or_of_the_work_reaches_the_caller_and_the_pool_goes_on() {
        let pool = Pool::new(3).unwrap();
        let panics = |work: &dyn Fn()| catch_unwind(AssertUnwindSafe(work)).is_err();
        for _ in 0..20 {
            assert!(panics(&|| pool.enter(|| panic!("the test requires it"))));
            let job = |job: usize, _: &mut Scratch| assert_ne!(job, 5, "the test requires it");
            assert!(panics(&|| pool.enter(|| pool.each((0..9).collect(), job))));
        }
        pool.each(vec![1, 2], |_, _| ());
    }
}
