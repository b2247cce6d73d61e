//! Lets a process open a file, build its session and run one small picture within a time limit. The
//! input is as for the target `graph`; files that the reader refuses are not run. A finding is a
//! process that a signal ends, or that is not ended by its own time limit.
#![no_main]

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use gstupscale::model::internals::open_onnx;
use libfuzzer_sys::fuzz_target;

/// Where the file for the process is written.
fn file() -> PathBuf {
    std::env::temp_dir().join(format!("upscale-fuzz-{}.onnx", std::process::id()))
}

fuzz_target!(|data: &[u8]| {
    let model = upscale_fuzz::model(data);
    if open_onnx("fuzz", Path::new("/missing/fuzz.onnx"), model.clone().into()).is_err() {
        return;
    }
    std::fs::write(file(), &model).expect("the temporary directory is writable");
    let mut process = Command::new(upscale_fuzz::command())
        .args(["models", "check", "--threads=1", "--tile=16", "--time-limit=20"])
        .arg(file())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("UPSCALE_COMMAND names the command gst-upscale");
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = process.try_wait().expect("the process can be waited for") {
            break status;
        }
        if begun.elapsed() > Duration::from_secs(60) {
            let _ = process.kill();
            panic!("the process did not keep to its time limit");
        }
        thread::sleep(Duration::from_millis(2));
    };
    assert!(status.code().is_some(), "the process ended with {status}");
});
