//! Child processes of the server. Each job is decoded, enlarged and encoded in a process of its own, so
//! that a hostile file ends at most its own job.

use std::{
    env,
    ffi::OsString,
    fs::File,
    io,
    os::fd::OwnedFd,
    process::{Command as StdCommand, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::{
    io::{FdFlags, fcntl_setfd},
    process::{
        Pid, PidfdFlags, Signal, getpid, getppid, kill_process_group, pidfd_open,
        set_parent_process_death_signal,
    },
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    process::{Child, Command},
};

/// Demuxers that load what a file refers to. A playlist must not make the server fetch anything.
const FETCHING_DEMUXERS: [&str; 9] = [
    "hlsdemux",
    "hlsdemux2",
    "dashdemux",
    "dashdemux2",
    "mssdemux",
    "mssdemux2",
    "sdpdemux",
    "avdemux_hls",
    "avdemux_concat",
];

/// The variable of GStreamer that sets ranks. Elements without a rank are not chosen.
const RANKS: &str = "GST_PLUGIN_FEATURE_RANK";

/// This program with other arguments, as a child that ends when the server does, for whatever reason.
/// It must be started on the thread that lives as long as the server. It keeps `lock` open, so that the
/// next server waits for its end.
///
/// # Errors
/// The process has no more file descriptors.
pub fn command(lock: &File, arguments: impl IntoIterator<Item = OsString>) -> io::Result<Command> {
    let lock = lock.try_clone()?;
    // The same program, also if its file has been replaced since.
    let mut command = StdCommand::new("/proc/self/exe");
    command.args(arguments).env(RANKS, ranks());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut command = Command::from(command);
    // Ctrl-C in the terminal is for the server.
    command.process_group(0).kill_on_drop(true);
    let server = getpid();
    let prepare = move || {
        // Descriptors are closed otherwise.
        fcntl_setfd(&lock, FdFlags::empty())?;
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // The server may have ended before.
        match getppid() {
            Some(parent) if parent == server => Ok(()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    };
    // SAFETY: the closure only makes system calls, which are allowed between fork and exec (fork(2)).
    unsafe { command.pre_exec(prepare) };
    Ok(command)
}

fn ranks() -> OsString {
    let mut ranks = env::var_os(RANKS).unwrap_or_default();
    for name in FETCHING_DEMUXERS {
        if !ranks.is_empty() {
            ranks.push(",");
        }
        ranks.push(format!("{name}:NONE"));
    }
    ranks
}

/// Sends signals to a child and to the processes that it started. They never reach other processes, also
/// after its end.
#[derive(Clone, Debug)]
pub struct Handle {
    child: Arc<AsyncFd<OwnedFd>>,
    /// The number of the child, which leads its process group.
    id: Pid,
    /// The number may be that of another process.
    is_over: Arc<AtomicBool>,
}

impl Handle {
    /// A handle of a child that has not been waited for.
    ///
    /// # Errors
    /// The system has no more file descriptors.
    pub fn new(child: &Child) -> io::Result<Self> {
        let id = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let id = id.ok_or(io::ErrorKind::NotFound)?;
        let child = pidfd_open(id, PidfdFlags::empty())?;
        // SAFETY: an `OwnedFd` always gives the same descriptor, which is open as long as it lives.
        let child = unsafe { AsyncFd::register_with_interest(child, Interest::READABLE) }?;
        Ok(Self { child: Arc::new(child), id, is_over: Arc::default() })
    }

    /// Waits for the end of the child. Its number stays its own until its status is asked for.
    pub async fn ended(&self) {
        // It fails only at the end of the program.
        let _ = self.child.readable().await;
    }

    /// Ends what the child has left running. Its status can be asked for after that.
    pub fn finish(&self) {
        self.kill();
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Suspends the processes.
    pub fn suspend(&self) {
        self.send(Signal::STOP);
    }

    /// Lets suspended processes go on.
    pub fn go_on(&self) {
        self.send(Signal::CONT);
    }

    /// Asks the processes to stop, also if they are suspended.
    pub fn stop(&self) {
        self.send(Signal::TERM);
        self.send(Signal::CONT);
    }

    /// Ends the processes at once.
    pub fn kill(&self) {
        self.send(Signal::KILL);
    }

    fn send(&self, signal: Signal) {
        if !self.is_over.load(Ordering::Relaxed) {
            // It fails only if all have ended.
            let _ = kill_process_group(self.id, signal);
        }
    }
}
