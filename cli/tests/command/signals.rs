//! `gst-upscale upscale`: Ctrl-C and other signals.

use std::{
    path::Path,
    process::{Command, Output},
    thread,
    time::Duration,
};

use crate::{
    media::{clip, streams},
    program::{closed_pipe, text, upscale},
};

/// Runs `job`, which writes to `folder`, and sends it a signal after the first frames.
fn interrupt(job: &mut Command, signal: &str, folder: &Path) -> Output {
    let mut job = job.spawn().unwrap();
    let has_frames = || {
        let files = folder.read_dir().unwrap().map(|file| file.unwrap());
        // The muxer writes once the encoder has put out frames.
        files.into_iter().any(|file| file.metadata().is_ok_and(|file| file.len() > 10_000))
    };
    while !has_frames() && job.try_wait().unwrap().is_none() {
        thread::sleep(Duration::from_millis(20));
    }
    let id = job.id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    job.wait_with_output().unwrap()
}

/// Slow enough to be interrupted before the end.
const SLOW: &[&str] = &["--scale", "4", "--threads", "1"];

#[test]
fn an_interrupt_keeps_the_finished_part_under_another_name() {
    let Some(input) = clip() else { return };
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("large.mkv");
    let done = interrupt(&mut upscale(&input, &output, SLOW), "-INT", folder.path());
    assert_eq!(done.status.code(), Some(130), "{}", text(&done));
    assert!(text(&done).contains("large.part.mkv"), "{}", text(&done));
    assert!(!output.exists());
    assert_eq!(streams(&folder.path().join("large.part.mkv")).1, 1280);
    assert_eq!(folder.path().read_dir().unwrap().count(), 1);
}

#[test]
fn an_interrupt_keeps_the_finished_part_if_no_message_can_be_written() {
    let Some(input) = clip() else { return };
    // Ctrl-C stops `| tee` as well; a closed terminal takes standard error away too.
    for (signal, no_stderr) in [("-INT", false), ("-HUP", true)] {
        let folder = tempfile::tempdir().unwrap();
        let mut job = upscale(&input, &folder.path().join("large.mkv"), SLOW);
        job.stdout(closed_pipe());
        if no_stderr {
            job.stderr(closed_pipe());
        }
        let done = interrupt(&mut job, signal, folder.path());
        assert_eq!(done.status.code(), Some(130), "{signal}: {}", text(&done));
        assert_eq!(streams(&folder.path().join("large.part.mkv")).1, 1280);
    }
}
