//! Other runtimes, each in a child process; see `peers.py`.

use std::{
    env,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use crate::{
    clip::Clip,
    workload::{Workload, threads},
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
    /// `runtime` is `ncnn`, `openvino` or `pytorch`, `precision` `fp32` or `bf16`.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn new(runtime: &str, precision: &str, model: &str, clip: &Clip) -> Result<Self, Error> {
        let python = python(runtime).ok_or(Error::NotInstalled)?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/throughput/peers.py");
        let mut process = Command::new(python)
            .arg(script)
            .args([runtime, precision, model])
            .args([threads(), clip.width as usize, clip.height as usize].map(|n| n.to_string()))
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

/// A Python interpreter that has this runtime. PyTorch is too large to install for this alone:
/// `UPSCALE_BENCH_PYTORCH` may name an interpreter, otherwise that of `make quality` is used.
fn python(runtime: &str) -> Option<PathBuf> {
    let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("build");
    let python = match (runtime, env::var_os("UPSCALE_BENCH_PYTORCH")) {
        ("pytorch", Some(path)) => path.into(),
        ("pytorch", None) => build.join("python/bin/python"),
        _ => build.join("peers/bin/python"),
    };
    python.exists().then_some(python)
}
