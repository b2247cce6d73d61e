//! Other runtimes, in processes of their own: see `peers.py`.

use std::{
    env,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use crate::{
    clip::Clip,
    contender::{Contender, threads},
};

pub struct Peer {
    process: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    /// `runtime` is `ncnn`, `openvino` or `pytorch`, `precision` `fp32` or `bf16`.
    ///
    /// # Errors
    /// A sentence, where this runtime cannot take part.
    pub fn new(runtime: &str, precision: &str, model: &str, clip: &Clip) -> Result<Self, String> {
        let python = python(runtime).ok_or("it is not installed")?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/throughput/peers.py");
        let mut process = Command::new(python)
            .arg(script)
            .args([runtime, precision, model])
            .args([threads(), clip.width as usize, clip.height as usize].map(|n| n.to_string()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let orders = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().ok_or("it has no output")?);
        let mut peer = Self { process, orders, answers };
        peer.send_frames(clip).map_err(|error| error.to_string())?;
        match peer.answer().map_err(|error| error.to_string())?.as_str() {
            "ready" => Ok(peer),
            why => Err(why.to_owned()),
        }
    }

    fn send_frames(&mut self, clip: &Clip) -> io::Result<()> {
        let orders = self.orders.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(orders, "{}", clip.frames.len())?;
        for picture in clip.pictures() {
            orders.write_all(&picture)?;
        }
        orders.flush()
    }

    fn answer(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}

impl Contender for Peer {
    fn turn(&mut self, count: usize) -> Duration {
        let orders = self.orders.as_mut().expect("it is running");
        writeln!(orders, "{count}").and_then(|()| orders.flush()).expect("it is running");
        let answer = self.answer().expect("it is running");
        Duration::from_nanos(answer.parse().expect("nanoseconds"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It ends where its orders do.
        self.orders = None;
        let _ = self.process.wait();
    }
}

/// The Python that has this runtime. PyTorch is large and nothing installs it for this alone:
/// `UPSCALE_BENCH_PYTORCH` may name a Python that has it, and that of `make quality` does.
fn python(runtime: &str) -> Option<PathBuf> {
    let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("build");
    let python = match (runtime, env::var_os("UPSCALE_BENCH_PYTORCH")) {
        ("pytorch", Some(path)) => path.into(),
        ("pytorch", None) => build.join("python/bin/python"),
        _ => build.join("peers/bin/python"),
    };
    python.exists().then_some(python)
}
