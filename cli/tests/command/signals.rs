//! `gst-upscale upscale`: Ctrl-C and other signals.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Output},
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

/// Sends a signal and waits for the end, which no further input may be needed for.
fn stop(mut job: Child, signal: &str) -> Output {
    assert!(Command::new("kill").args([signal, &job.id().to_string()]).status().unwrap().success());
    for _ in 0..600 {
        if job.try_wait().unwrap().is_some() {
            return job.wait_with_output().unwrap();
        }
        thread::sleep(Duration::from_millis(100));
    }
    job.kill().unwrap();
    panic!("does not stop: {}", text(&job.wait_with_output().unwrap()));
}

/// Whether a process has a handler for SIGINT (proc_pid_status(5)).
fn catches_interrupts(id: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() & 2 != 0
}

fn named_pipe(folder: &Path) -> PathBuf {
    let pipe = folder.join("pipe.y4m");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    pipe
}

#[test]
fn an_interrupt_ends_the_wait_for_a_pipes_writer() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = named_pipe(folder.path());
    let output = folder.path().join("large.mkv");
    let job = upscale(&pipe, &output, &[]).spawn().unwrap();
    // The program catches signals as soon as it has started.
    while !catches_interrupts(job.id()) {
        thread::sleep(Duration::from_millis(10));
    }
    let done = stop(job, "-INT");
    assert_eq!(done.status.code(), Some(130), "{}", text(&done));
    assert!(text(&done).contains("nothing was written"), "{}", text(&done));
    assert_eq!(folder.path().read_dir().unwrap().count(), 1);
}

#[test]
fn an_interrupt_keeps_what_is_finished_although_the_input_has_stalled() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = named_pipe(folder.path());
    let output = folder.path().join("large.mkv");
    let mut job = upscale(&pipe, &output, &["--progress", "json"]).spawn().unwrap();
    let mut writer = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
    writer.write_all(b"YUV4MPEG2 W64 H48 F25:1\n").unwrap();
    for _ in 0..10 {
        writer.write_all(b"FRAME\n").unwrap();
        writer.write_all(&[128; 64 * 48 * 3 / 2]).unwrap();
    }
    let mut lines = BufReader::new(job.stdout.take().unwrap()).lines();
    lines.find(|line| line.as_ref().unwrap().contains("\"progress\"")).unwrap().unwrap();
    let done = stop(job, "-TERM");
    assert_eq!(done.status.code(), Some(130), "{}", text(&done));
    assert_eq!(streams(&folder.path().join("large.part.mkv")).1, 128, "{}", text(&done));
    drop(writer);
}
