//! Ctrl-C, and the other ways to ask a program to end.

use std::{
    fs, io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
};

/// What asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Press {
    /// Somebody, by Ctrl-C or `kill`.
    Key,
    /// The terminal, which has gone. Its shell often says so again.
    Hangup,
}

/// Signals that no longer end the program: it has to look for them.
#[derive(Debug)]
pub struct Signals {
    key: Arc<AtomicBool>,
    hangup: Arc<AtomicBool>,
}

impl Signals {
    /// Catches SIGINT, SIGTERM and, unless `nohup` has it ignored, SIGHUP.
    ///
    /// # Errors
    /// Where the system refuses that.
    pub fn catch() -> io::Result<Self> {
        let signals = Self { key: Arc::default(), hangup: Arc::default() };
        flag::register(SIGINT, signals.key.clone())?;
        flag::register(SIGTERM, signals.key.clone())?;
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        if !ignores(&status, SIGHUP) {
            flag::register(SIGHUP, signals.hangup.clone())?;
        }
        Ok(signals)
    }

    /// What has come since the last call.
    pub fn take(&self) -> Option<Press> {
        let came = |flag: &AtomicBool| flag.swap(false, Ordering::Relaxed);
        let (key, hangup) = (came(&self.key), came(&self.hangup));
        if key { Some(Press::Key) } else { hangup.then_some(Press::Hangup) }
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
    fn a_signal_is_taken_once_and_a_key_counts_for_more_than_a_hangup() {
        let signals = Signals::catch().unwrap();
        assert_eq!(signals.take(), None);
        signal_hook::low_level::raise(SIGTERM).unwrap();
        signals.hangup.store(true, Ordering::Relaxed);
        assert_eq!(signals.take(), Some(Press::Key));
        assert_eq!(signals.take(), None);
        signals.hangup.store(true, Ordering::Relaxed);
        assert_eq!(signals.take(), Some(Press::Hangup));
    }

    #[test]
    fn an_ignored_signal_is_known_by_its_bit() {
        let status = "Name:\tgst\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000002\n";
        assert!(ignores(status, SIGHUP) && ignores(status, 13));
        assert!(!ignores(status, SIGINT) && !ignores("", SIGHUP));
    }
}
