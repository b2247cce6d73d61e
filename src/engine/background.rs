//! Threads that are left to end by themselves.
//!
//! Some steps of a runtime cannot be interrupted: building a session, running a graph that was
//! compiled to one operator. Whoever stops such work leaves the thread here instead of waiting.

use std::{
    io,
    sync::{
        Mutex, Once, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::interrupt::Interrupt;

/// How long [`end`] waits. A thread that is idle or between two steps ends within it.
const PATIENCE: Duration = Duration::from_millis(50);

/// How long the process waits at its exit for all threads that are still running.
const EXIT_PATIENCE: Duration = Duration::from_secs(5);

static LEFT: Mutex<Vec<JoinHandle<()>>> = Mutex::new(Vec::new());

/// The result of `work`, which runs on another thread under an [`Interrupt`] that is raised after
/// `limit`. `None` if it was not done then; what cannot be ended is left to its thread.
///
/// # Panics
/// If `work` does.
///
/// # Errors
/// The operating system refused to start a thread.
pub fn within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<Option<T>> {
    let (sender, receiver) = mpsc::channel();
    let interrupt = Interrupt::default();
    let current = interrupt.clone();
    // The receiver is gone after the time limit.
    let run = move || drop(sender.send(current.enter(work)));
    let thread = thread::Builder::new().name("upscale-limited".into()).spawn(run)?;
    match receiver.recv_timeout(limit) {
        Err(RecvTimeoutError::Disconnected) => {
            thread.join().map_or_else(|panic| std::panic::resume_unwind(panic), |()| Ok(None))
        }
        result => {
            interrupt.raise();
            end(thread);
            Ok(result.ok())
        }
    }
}

/// Ends a thread that was asked to end: waits for a moment, then leaves it running. Leaves it at
/// once if it is the calling thread.
///
/// ONNX Runtime must not run while the process exits, because its global objects are destroyed
/// then. The exit therefore waits for the threads that were left, for a few seconds at most.
pub(crate) fn end(thread: JoinHandle<()>) {
    let is_own = thread.thread().id() == thread::current().id();
    if !is_own && is_over(&thread, PATIENCE) {
        // The panic of a thread was reported when it happened.
        let _ = thread.join();
        return;
    }
    leave(thread);
}

/// Leaves a thread running. The exit waits for it.
fn leave(thread: JoinHandle<()>) {
    static AT_EXIT: Once = Once::new();
    AT_EXIT.call_once(|| {
        // It fails only without memory, and then the exit does not wait.
        // SAFETY: `wait_at_exit` takes no arguments and does not unwind.
        let _ = unsafe { libc::atexit(wait_at_exit) };
    });
    let mut left = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
    left.retain(|thread| !thread.is_finished());
    left.push(thread);
}

/// Drops `value` on another thread: what takes long to drop would delay the caller's next frame.
pub(crate) fn discard<T: Send + 'static>(value: T) {
    let discard = thread::Builder::new().name("upscale-discard".into()).spawn(move || drop(value));
    // Without a thread it was dropped here.
    if let Ok(thread) = discard {
        leave(thread);
    }
}

/// Waits until `thread` has ended, for `patience` at most, and returns whether it has.
pub(crate) fn is_over(thread: &JoinHandle<()>, patience: Duration) -> bool {
    let begun = Instant::now();
    while !thread.is_finished() {
        if begun.elapsed() >= patience {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
}

extern "C" fn wait_at_exit() {
    let Ok(left) = LEFT.try_lock() else { return };
    let begun = Instant::now();
    for thread in left.iter() {
        is_over(thread, EXIT_PATIENCE.saturating_sub(begun.elapsed()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_takes_too_long_is_interrupted() {
        assert_eq!(within(Duration::from_secs(60), || 7).unwrap(), Some(7));
        let (sender, ended) = mpsc::channel();
        let endless = move || {
            while !Interrupt::current().is_raised() {
                thread::yield_now();
            }
            sender.send(()).unwrap();
        };
        assert_eq!(within(Duration::from_millis(10), endless).unwrap(), None);
        ended.recv().unwrap();
    }

    #[test]
    fn a_thread_that_does_not_end_is_left_and_forgotten_once_it_has_ended() {
        let (go, wait) = mpsc::channel::<()>();
        end(thread::spawn(move || wait.recv().unwrap_or_default()));
        let count = || LEFT.lock().unwrap().iter().filter(|thread| !thread.is_finished()).count();
        assert_eq!(count(), 1);
        drop(go);
        while count() > 0 {
            thread::yield_now();
        }
        let (go, wait) = mpsc::channel::<()>();
        end(thread::spawn(move || wait.recv().unwrap_or_default()));
        assert_eq!(LEFT.lock().unwrap().len(), 1);
        drop(go);
    }
}
