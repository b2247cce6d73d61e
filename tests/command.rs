//! The command `gst-upscale upscale`, from file to file.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use common::test_data;
use gst::prelude::*;

/// Short and small: 320×180 with MP3 sound and timed text.
fn clip() -> Option<PathBuf> {
    Some(test_data()?.join("video/near_static_180p.mp4"))
}

/// Lanczos only, so that the tests are quick.
fn command(input: &Path, output: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gst-upscale"));
    command.arg("upscale").args([input, output]).args(["--blend", "0"]).args(more);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat()
}

/// The media types of a file's streams, sorted, and the width of its video.
fn streams(path: &Path) -> (Vec<String>, i32) {
    gst::init().unwrap();
    let pipeline = gst::parse::launch("filesrc name=file ! parsebin name=parser").unwrap();
    let bin = pipeline.clone().downcast::<gst::Pipeline>().unwrap();
    bin.by_name("file").unwrap().set_property("location", path);
    let found = Arc::new(Mutex::new((Vec::new(), 0)));
    let (into, target) = (found.clone(), bin.downgrade());
    bin.by_name("parser").unwrap().connect_pad_added(move |_, pad| {
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let media = caps.structure(0).unwrap();
        let mut found = into.lock().unwrap();
        found.0.push(media.name().to_string());
        found.1 = found.1.max(media.get("width").unwrap_or(0));
        let bin = target.upgrade().unwrap();
        let sink = gst::ElementFactory::make("fakesink").property("async", false).build().unwrap();
        bin.add(&sink).unwrap();
        sink.sync_state_with_parent().unwrap();
        pad.link(&sink.static_pad("sink").unwrap()).unwrap();
    });
    bin.set_state(gst::State::Playing).unwrap();
    let wanted = [gst::MessageType::Eos, gst::MessageType::Error];
    let message = bin.bus().unwrap().timed_pop_filtered(gst::ClockTime::from_seconds(20), &wanted);
    assert!(matches!(message.unwrap().view(), gst::MessageView::Eos(_)), "{}", path.display());
    bin.set_state(gst::State::Null).unwrap();
    let mut found = found.lock().unwrap().clone();
    found.0.sort();
    found
}

#[test]
fn a_video_comes_out_larger_with_its_sound_and_subtitles() {
    let Some(input) = clip() else { return };
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("large.mkv");
    let done = command(&input, &output, &["--width", "480"]).output().unwrap();
    assert!(done.status.success(), "{}", said(&done));
    assert!(said(&done).contains("341 frames"), "{}", said(&done));
    let kept = ["audio/mpeg", "text/x-raw", "video/x-h264"].map(String::from).to_vec();
    assert_eq!(streams(&output), (kept, 480));
    assert_eq!(folder.path().read_dir().unwrap().count(), 1);

    let again = command(&input, &output, &["--width", "322"]).output().unwrap();
    assert!(!again.status.success() && said(&again).contains("--force"), "{}", said(&again));
    let forced = command(&input, &output, &["--width", "322", "--force"]).output().unwrap();
    assert!(forced.status.success(), "{}", said(&forced));
    assert_eq!(streams(&output).1, 322);
}

#[test]
fn sound_that_the_file_cannot_hold_is_encoded_anew() {
    let Some(input) = clip() else { return };
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("large.webm");
    let done = command(&input, &output, &["--scale", "0.25"]).output().unwrap();
    assert!(done.status.success(), "{}", said(&done));
    assert_eq!(streams(&output).0, ["audio/x-opus", "text/x-raw", "video/x-vp9"]);
}

#[test]
fn an_installed_plugin_does_not_get_in_the_way() {
    let built = Path::new(env!("CARGO_BIN_EXE_gst-upscale")).with_file_name("libgstupscale.so");
    let folder = tempfile::tempdir().unwrap();
    if fs::copy(&built, folder.path().join("libgstupscale.so")).is_err() {
        eprintln!("skipped: there is no {}", built.display());
        return;
    }
    // GStreamer looks at plugins from a process of its own, or from the one that asks.
    for (fork, registry) in [("yes", "1.bin"), ("no", "2.bin")] {
        let done = Command::new(env!("CARGO_BIN_EXE_gst-upscale"))
            .args(["upscale", "--help"])
            .env("GST_PLUGIN_PATH", folder.path())
            .env("GST_REGISTRY", folder.path().join(registry))
            .env("GST_REGISTRY_FORK", fork)
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", said(&done));
        assert!(said(&done).contains("--reuse-tolerance"), "{}", said(&done));
    }
}

#[test]
fn failure_leaves_no_file_and_says_what_to_do() {
    let Some(input) = clip() else { return };
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("large.mp4");
    for (more, wanted) in [
        (&["--model", "no/such/model.onnx"][..], "check the path"),
        (&["--scale", "99"], "from 0 to 16"),
        (&["--width", "401"], "even"),
        (&["--codec", "vp9"], "H264"),
    ] {
        let done = command(&input, &output, more).output().unwrap();
        assert_eq!(done.status.code(), Some(1), "{}", said(&done));
        assert!(said(&done).contains(wanted), "{}", said(&done));
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }
}

#[test]
fn a_file_without_video_is_told_and_not_waited_for() {
    gst::init().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("sound.ogg");
    let description = format!(
        "audiotestsrc num-buffers=20 ! vorbisenc ! oggmux ! filesink location={}",
        input.display()
    );
    assert!(common::run(&description));
    let mut job = command(&input, &folder.path().join("large.mkv"), &[]).spawn().unwrap();
    let ended = (0..200).find_map(|_| {
        thread::sleep(Duration::from_millis(100));
        job.try_wait().unwrap()
    });
    let _ = job.kill();
    let said = said(&job.wait_with_output().unwrap());
    assert_eq!(ended.and_then(|status| status.code()), Some(1), "{said}");
    assert!(said.contains("no video"), "{said}");
    assert_eq!(folder.path().read_dir().unwrap().count(), 1);
}

#[test]
fn an_interrupt_finishes_the_file_beside_the_final_name() {
    let Some(input) = clip() else { return };
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("large.mkv");
    // Slow enough to be caught at work.
    let job = command(&input, &output, &["--scale", "4", "--threads", "1"]).spawn().unwrap();
    let part = folder.path().join("large.part.mkv");
    // The muxer has written once frames have come through the encoder.
    for _ in 0..600 {
        if part.metadata().is_ok_and(|file| file.len() > 10_000) {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    let id = job.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let done = job.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(130), "{}", said(&done));
    assert!(!output.exists());
    assert_eq!(streams(&part).1, 1280);
}
