//! Other runtimes, each in a child process; see `peers.py`.

use std::{
    env,
    io::{self, BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use crate::{
    clip::Clip,
    workload::{Conditions, Workload},
};

/// Why a runtime is not available.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("it is not installed")]
    NotInstalled,
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The runtime's own message.
    #[error("{0}")]
    Runtime(String),
}

/// A runtime in a child process.
pub struct Peer {
    process: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    /// `runtime` is one of `peers.py`, `precision` `fp32` or `bf16`; the model takes the first
    /// `channels` of each frame.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn new(
        [runtime, precision, model]: [&str; 3],
        channels: usize,
        conditions: Conditions,
        clip: &Clip,
    ) -> Result<Self, Error> {
        let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("build/peers/bin/python");
        if !python.exists() {
            return Err(Error::NotInstalled);
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/throughput/peers.py");
        let mut process = Command::new(python)
            .arg(script)
            .args([runtime, precision, model])
            .args([channels, conditions.threads].map(|number| number.to_string()))
            .arg(conditions.clock.name())
            .args([clip.width, clip.height].map(|number| number.to_string()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let requests = process.stdin.take();
        let answers = BufReader::new(
            process.stdout.take().ok_or_else(|| io::Error::from(io::ErrorKind::BrokenPipe))?,
        );
        let mut peer = Self { process, requests, answers };
        peer.send_frames(clip)?;
        match peer.answer()?.as_str() {
            "ready" => Ok(peer),
            message => Err(Error::Runtime(message.to_owned())),
        }
    }

    fn send_frames(&mut self, clip: &Clip) -> io::Result<()> {
        let requests = self.requests.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(requests, "{}", clip.frames.len())?;
        for picture in clip.pictures() {
            requests.write_all(&picture)?;
        }
        requests.flush()
    }

    fn answer(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}

impl Workload for Peer {
    fn turn(&mut self, count: usize) -> Duration {
        let requests = self.requests.as_mut().expect("the process runs");
        writeln!(requests, "{count}").and_then(|()| requests.flush()).expect("the process runs");
        let answer = self.answer().expect("the process runs");
        Duration::from_nanos(answer.parse().expect("nanoseconds"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It ends when its input is closed.
        self.requests = None;
        let _ = self.process.wait();
    }
}
