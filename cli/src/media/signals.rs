//! Ctrl-C and other signals that ask the program to stop.

use std::{
    fs, io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
};

/// What asked the program to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopRequest {
    /// Ctrl-C or `kill`.
    Interrupt,
    /// The terminal was closed. Its shell often sends the signal a second time.
    Hangup,
}

/// Whether [`Signals::take`] has returned a request. Signals concern the whole process.
static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Whether the process was asked to stop.
pub fn was_requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}

/// What [`Signals::catch`] has installed. One that arrives between two inputs is not lost.
static CAUGHT: OnceLock<Signals> = OnceLock::new();

/// Catches signals, which then set a flag instead of ending the program.
#[derive(Clone, Debug)]
pub struct Signals {
    interrupt: Arc<AtomicBool>,
    hangup: Arc<AtomicBool>,
}

impl Signals {
    /// Catches SIGINT, SIGTERM and, unless it is ignored (`nohup`), SIGHUP.
    ///
    /// # Errors
    /// A handler cannot be installed.
    pub fn catch() -> io::Result<Self> {
        if let Some(signals) = CAUGHT.get() {
            return Ok(signals.clone());
        }
        let signals = Self { interrupt: Arc::default(), hangup: Arc::default() };
        flag::register(SIGINT, signals.interrupt.clone())?;
        flag::register(SIGTERM, signals.interrupt.clone())?;
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        if !ignores(&status, SIGHUP) {
            flag::register(SIGHUP, signals.hangup.clone())?;
        }
        Ok(CAUGHT.get_or_init(|| signals).clone())
    }

    /// The request that has arrived since the last call.
    pub fn take(&self) -> Option<StopRequest> {
        let received = |flag: &AtomicBool| flag.swap(false, Ordering::Relaxed);
        let (interrupt, hangup) = (received(&self.interrupt), received(&self.hangup));
        REQUESTED.fetch_or(interrupt || hangup, Ordering::Relaxed);
        if interrupt { Some(StopRequest::Interrupt) } else { hangup.then_some(StopRequest::Hangup) }
    }
}

/// Whether the process of this `/proc/PID/status` (proc_pid_status(5)) ignores `signal`.
fn ignores(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_reported_once_and_an_interrupt_before_a_hangup() {
        let signals = Signals::catch().unwrap();
        assert_eq!(signals.take(), None);
        signal_hook::low_level::raise(SIGTERM).unwrap();
        signals.hangup.store(true, Ordering::Relaxed);
        assert_eq!(signals.take(), Some(StopRequest::Interrupt));
        assert_eq!(signals.take(), None);
        signals.hangup.store(true, Ordering::Relaxed);
        assert_eq!(signals.take(), Some(StopRequest::Hangup));
    }

    #[test]
    fn an_ignored_signal_is_recognised_by_its_bit() {
        let status = "Name:\tgst\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000002\n";
        assert!(ignores(status, SIGHUP) && ignores(status, 13));
        assert!(!ignores(status, SIGINT) && !ignores("", SIGHUP));
    }
}
