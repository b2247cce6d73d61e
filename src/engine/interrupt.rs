//! Ending work early from another thread.

use std::{
    cell::RefCell,
    fmt,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use super::error::Error;

/// A request to end work early. Once raised it stays raised.
///
/// A thread does its work inside [`enter`](Self::enter). Engines and everything that waits for
/// them look for the [`current`](Self::current) interrupt of their thread, and return
/// [`Error::Cancelled`] soon after another thread has raised it.
///
/// ```
/// use gstupscale::engine::{Error, Interrupt};
///
/// let interrupt = Interrupt::default();
/// interrupt.raise();
/// let work = || Interrupt::current().check();
/// assert!(matches!(interrupt.enter(work), Err(Error::Cancelled)));
/// assert!(work().is_ok());
/// ```
#[derive(Clone, Default)]
pub struct Interrupt(Arc<Inner>);

#[derive(Default)]
struct Inner {
    raised: AtomicBool,
    actions: Mutex<Vec<(u64, Action)>>,
    /// Raises a [child](Interrupt::child) with its parent.
    _parent: Option<OnRaise>,
}

type Action = Box<dyn FnOnce() + Send>;

thread_local! {
    static CURRENT: RefCell<Option<Interrupt>> = const { RefCell::new(None) };
}

impl Interrupt {
    /// Asks the threads inside of [`enter`](Self::enter) to end their work. Does not wait.
    pub fn raise(&self) {
        let actions = {
            let mut actions = self.actions();
            self.0.raised.store(true, Ordering::SeqCst);
            std::mem::take(&mut *actions)
        };
        for (_, action) in actions {
            action();
        }
    }

    /// Whether it was raised.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.0.raised.load(Ordering::SeqCst)
    }

    /// Fails once it was raised.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub fn check(&self) -> Result<(), Error> {
        if self.is_raised() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Another interrupt, which is raised with this one and can be raised on its own.
    #[must_use]
    pub fn child(&self) -> Self {
        let child = Self(Arc::new_cyclic(|child: &Weak<Inner>| {
            let child = child.clone();
            let raise = move || {
                if let Some(child) = child.upgrade() {
                    Self(child).raise();
                }
            };
            // The child cannot be raised before it exists; see below.
            Inner { _parent: Some(self.on_raise(raise)), ..Inner::default() }
        }));
        if self.is_raised() {
            child.raise();
        }
        child
    }

    /// Calls `action` when it is raised, at once if it was raised already, and never after the
    /// result is dropped unless the call has begun.
    pub fn on_raise(&self, action: impl FnOnce() + Send + 'static) -> OnRaise {
        let mut actions = self.actions();
        if self.is_raised() {
            drop(actions);
            action();
            return OnRaise { interrupt: Weak::new(), number: 0 };
        }
        let number = actions.last().map_or(0, |(last, _)| last + 1);
        actions.push((number, Box::new(action)));
        OnRaise { interrupt: Arc::downgrade(&self.0), number }
    }

    /// Makes it the current interrupt of this thread while `work` runs.
    pub fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        struct Leave(Option<Interrupt>);
        impl Drop for Leave {
            fn drop(&mut self) {
                CURRENT.set(self.0.take());
            }
        }
        let _leave = Leave(CURRENT.replace(Some(self.clone())));
        work()
    }

    /// The current interrupt of this thread; outside of [`enter`](Self::enter) one that is never
    /// raised.
    #[must_use]
    pub fn current() -> Self {
        CURRENT.with_borrow(Option::clone).unwrap_or_default()
    }

    /// Raises it after `time`, unless the result is dropped before.
    ///
    /// # Errors
    /// The operating system refused to start a thread.
    pub fn raise_after(&self, time: Duration) -> std::io::Result<Timer> {
        let (interrupt, stopped) = (self.clone(), Self::default());
        let wait = stopped.clone();
        let timer = thread::Builder::new().name("upscale-timer".into()).spawn(move || {
            let timer = thread::current();
            let _wake = wait.on_raise(move || timer.unpark());
            let begun = std::time::Instant::now();
            while !wait.is_raised() {
                match time.checked_sub(begun.elapsed()) {
                    Some(left) => thread::park_timeout(left),
                    None => return interrupt.raise(),
                }
            }
        });
        timer.map(|_| Timer(stopped))
    }

    fn actions(&self) -> std::sync::MutexGuard<'_, Vec<(u64, Action)>> {
        self.0.actions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Interrupt").field(&self.is_raised()).finish()
    }
}

/// Keeps the action of [`Interrupt::on_raise`].
#[must_use = "the action is removed when this is dropped"]
pub struct OnRaise {
    interrupt: Weak<Inner>,
    number: u64,
}

impl Drop for OnRaise {
    fn drop(&mut self) {
        if let Some(inner) = self.interrupt.upgrade() {
            Interrupt(inner).actions().retain(|(number, _)| *number != self.number);
        }
    }
}

/// Keeps the time limit of [`Interrupt::raise_after`].
#[must_use = "the time limit ends when this is dropped"]
pub struct Timer(Interrupt);

impl Drop for Timer {
    fn drop(&mut self) {
        self.0.raise();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn counter() -> (Arc<AtomicUsize>, impl FnOnce() + Send + 'static) {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = count.clone();
        let action = move || {
            counted.fetch_add(1, Ordering::SeqCst);
        };
        (count, action)
    }

    #[test]
    fn an_action_runs_once_when_the_interrupt_is_raised() {
        let interrupt = Interrupt::default();
        let (count, action) = counter();
        let _kept = interrupt.on_raise(action);
        assert_eq!(count.load(Ordering::SeqCst), 0);
        interrupt.raise();
        interrupt.raise();
        assert_eq!(count.load(Ordering::SeqCst), 1);
        let (count, action) = counter();
        let _late = interrupt.on_raise(action);
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_dropped_action_does_not_run() {
        let interrupt = Interrupt::default();
        let ((first, a), (second, b)) = (counter(), counter());
        let a = interrupt.on_raise(a);
        let _b = interrupt.on_raise(b);
        drop(a);
        interrupt.raise();
        assert_eq!((first.load(Ordering::SeqCst), second.load(Ordering::SeqCst)), (0, 1));
    }

    #[test]
    fn a_child_is_raised_with_its_parent_and_not_the_reverse() {
        let parent = Interrupt::default();
        let (a, b) = (parent.child(), parent.child());
        a.raise();
        assert!(a.is_raised() && !b.is_raised() && !parent.is_raised());
        parent.raise();
        assert!(b.is_raised() && parent.child().is_raised());
    }

    #[test]
    fn children_that_are_dropped_leave_nothing_behind() {
        let parent = Interrupt::default();
        for _ in 0..10 {
            drop(parent.child());
        }
        assert!(parent.actions().is_empty());
    }

    #[test]
    fn the_current_interrupt_is_that_of_the_innermost_work() {
        let (outer, inner) = (Interrupt::default(), Interrupt::default());
        inner.raise();
        outer.enter(|| {
            assert!(inner.enter(|| Interrupt::current().is_raised()));
            assert!(!Interrupt::current().is_raised());
            outer.raise();
            assert!(Interrupt::current().is_raised());
        });
        assert!(!Interrupt::current().is_raised());
    }

    #[test]
    fn a_time_limit_raises_the_interrupt_unless_it_is_dropped_before() {
        let (kept, dropped) = (Interrupt::default(), Interrupt::default());
        let _timer = kept.raise_after(Duration::from_millis(20)).unwrap();
        while !kept.is_raised() {
            thread::yield_now();
        }
        // The thread of a timer that was dropped ends without waiting for the hour to pass.
        drop(dropped.raise_after(Duration::from_secs(3600)).unwrap());
        while Arc::strong_count(&dropped.0) > 1 {
            thread::yield_now();
        }
        assert!(!dropped.is_raised());
    }
}
