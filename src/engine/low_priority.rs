//! Work that must not delay a stream that is playing.
//!
//! A thread cannot raise its priority again without privileges, and the threads that it starts
//! inherit it. So only stretches of the work run at low priority, each on a thread of its own, and no
//! thread that lives on is started there.

use std::{cell::Cell, thread};

use super::interrupt::Interrupt;

thread_local! {
    static IS_WANTED: Cell<bool> = const { Cell::new(false) };
}

/// The nice value of the work, relative to the process.
#[cfg(target_os = "linux")]
const NICE: libc::c_int = 10;

/// Does `work`, of which everything inside [`run`] gets low priority.
pub(crate) fn prefer<T>(work: impl FnOnce() -> T) -> T {
    struct Leave(bool);
    impl Drop for Leave {
        fn drop(&mut self) {
            IS_WANTED.set(self.0);
        }
    }
    let _leave = Leave(IS_WANTED.replace(true));
    work()
}

/// Whether the calling thread is inside of [`prefer`].
pub(crate) fn is_preferred() -> bool {
    IS_WANTED.get()
}

/// Does `work`, which must not start threads that live on: inside of [`prefer`] on a thread of low
/// priority, otherwise here. The current [`Interrupt`] applies to it.
///
/// # Panics
/// If `work` does.
pub(crate) fn run<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    if !is_preferred() {
        return work();
    }
    let interrupt = Interrupt::current();
    let result = thread::scope(|scope| {
        let work = move || {
            lower();
            interrupt.enter(work)
        };
        scope.spawn(work).join()
    });
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Lowers the priority of the calling thread, where the system has one for threads.
fn lower() {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: no pointers are passed; 0 is the calling thread.
        let _ = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice() + NICE) };
    }
}

/// The nice value of the calling thread.
#[cfg(target_os = "linux")]
fn nice() -> libc::c_int {
    // SAFETY: no pointers are passed; 0 is the calling thread.
    unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn only_work_that_prefers_it_gets_low_priority_and_its_caller_keeps_its_own() {
        let before = nice();
        assert_eq!(run(nice), before);
        assert_eq!(prefer(|| run(nice)), (before + NICE).min(19));
        assert_eq!((nice(), run(nice)), (before, before));
        assert_eq!(thread::spawn(nice).join().unwrap(), before);
    }

    #[test]
    fn an_interrupt_of_the_caller_reaches_the_work() {
        let interrupt = Interrupt::default();
        let is_raised = || Interrupt::current().is_raised();
        assert!(!prefer(|| interrupt.enter(|| run(is_raised))));
        interrupt.raise();
        assert!(prefer(|| interrupt.enter(|| run(is_raised))));
    }
}
