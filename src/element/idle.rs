//! The deadline after which frames in flight are output although no further frame arrives: the
//! source may be a single picture, a slide show or a stalled network.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::lock;

/// A thread that waits for a deadline. It holds no reference to the element while it waits.
#[derive(Debug, Default)]
pub(super) struct IdleTimer(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    deadline: Option<Instant>,
    has_thread: bool,
    is_closed: bool,
    /// For tests: frames in flight stay there.
    is_off: bool,
}

impl IdleTimer {
    pub(crate) fn switch_off(&self) {
        lock(&self.0.waiting).is_off = true;
    }

    /// Sets the deadline. `due` is called after it, and again until [`Self::take_due`] was.
    pub(super) fn set(&self, deadline: Instant, due: impl Fn() -> Option<()> + Send + 'static) {
        let mut waiting = lock(&self.0.waiting);
        if waiting.is_off {
            return;
        }
        (waiting.deadline, waiting.is_closed) = (Some(deadline), false);
        self.0.changed.notify_one();
        if !waiting.has_thread {
            let shared = self.0.clone();
            let thread = thread::Builder::new().name("upscale-idle".into());
            // Without a thread, frames wait for the next frame or event.
            waiting.has_thread = thread.spawn(move || shared.run(due)).is_ok();
        }
    }

    /// Clears the deadline.
    pub(crate) fn clear(&self) {
        lock(&self.0.waiting).deadline = None;
    }

    /// Whether the deadline has passed. Clears it then.
    pub(super) fn take_due(&self) -> bool {
        let deadline = &mut lock(&self.0.waiting).deadline;
        let is_due = deadline.is_some_and(|deadline| deadline <= Instant::now());
        if is_due {
            *deadline = None;
        }
        is_due
    }

    /// Ends the thread.
    pub(crate) fn close(&self) {
        let mut waiting = lock(&self.0.waiting);
        (waiting.deadline, waiting.is_closed) = (None, true);
        self.0.changed.notify_one();
    }
}

impl Drop for IdleTimer {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn run(&self, due: impl Fn() -> Option<()>) {
        let mut waiting = lock(&self.waiting);
        while !waiting.is_closed {
            let left = waiting.deadline.map(|deadline| {
                let now = Instant::now();
                deadline.saturating_duration_since(now)
            });
            match left {
                None => {
                    waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                }
                Some(Duration::ZERO) => {
                    drop(waiting);
                    let element = due();
                    waiting = lock(&self.waiting);
                    if element.is_none() {
                        break;
                    }
                }
                Some(left) => {
                    let woken = self.changed.wait_timeout(waiting, left);
                    waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
        waiting.has_thread = false;
    }
}
