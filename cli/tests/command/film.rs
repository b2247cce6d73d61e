//! `gst-upscale upscale` on a film of several segments.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread,
    time::Duration,
};

use crate::{
    ffmpeg::{PICTURE, TONE, make, stream},
    media::{clip, pictures, streams},
    program::{text, upscale},
};

/// Enlarges by Lanczos, with grain that depends on the number of each frame, in segments of a
/// second.
const FILM: &[&str] = &["--segment", "1", "--grain", "0.5", "--width", "160"];

/// A command that takes a few seconds.
fn slow(input: &Path, output: &Path) -> Command {
    upscale(input, output, &["--segment", "1", "--scale", "4", "--threads", "1"])
}

/// Waits until `number` segments are done. Returns whether that came before the end of the run.
fn wait_for_segments(folder: &Path, number: usize, run: &mut Child) -> bool {
    let done = || {
        let files = folder.join("segments").read_dir().into_iter().flatten().flatten();
        files.filter(|file| file.path().extension().is_some_and(|it| it == "json")).count()
    };
    while done() < number {
        if run.try_wait().unwrap().is_some() {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
    true
}

fn send(signal: &str, run: &Child) {
    let id = run.id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
}

fn stop(run: Child) -> Output {
    send("-INT", &run);
    run.wait_with_output().unwrap()
}

#[test]
fn a_film_whose_run_was_killed_continues_and_equals_that_of_an_undisturbed_run() {
    let Some(input) = clip() else { return };
    let folder = tempfile::tempdir().unwrap();
    let [calm, stormy] = ["calm.mkv", "stormy.mkv"].map(|name| folder.path().join(name));
    let done = upscale(&input, &calm, FILM).output().unwrap();
    assert!(done.status.success(), "{}", text(&done));
    let work = folder.path().join("stormy.mkv.remaster");
    for segments in [0, 1, 3, 6] {
        let mut run = upscale(&input, &stormy, FILM).spawn().unwrap();
        wait_for_segments(&work, segments, &mut run);
        let _ = run.kill();
        run.wait_with_output().unwrap();
    }
    let done = upscale(&input, &stormy, FILM).arg("--force").output().unwrap();
    assert!(done.status.success(), "{}", text(&done));
    assert!(pictures(&calm) == pictures(&stormy), "the films differ");
    assert_eq!(pictures(&calm).len(), 341);
    assert_eq!(streams(&calm), streams(&stormy));
    assert_eq!(folder.path().read_dir().unwrap().count(), 2);
}

#[test]
fn a_film_that_was_stopped_says_how_to_go_on_and_goes_on_with_the_same_command_only() {
    let Some(input) = clip() else { return };
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("large.mkv");
    let work = folder.path().join("large.mkv.remaster");
    let mut run = slow(&input, &output).spawn().unwrap();
    assert!(wait_for_segments(&work, 2, &mut run));
    let done = stop(run);
    assert_eq!(done.status.code(), Some(130), "{}", text(&done));
    assert!(text(&done).contains("run the same command again"), "{}", text(&done));
    assert!(!output.exists() && work.exists());

    let done = slow(&input, &output).args(["--quality", "40"]).output().unwrap();
    assert_eq!(done.status.code(), Some(1));
    let said = text(&done);
    assert!(said.contains("quality was nothing, now 40") && said.contains("--restart"), "{said}");

    let done = slow(&input, &output).output().unwrap();
    assert!(done.status.success(), "{}", text(&done));
    assert!(text(&done).contains("continues at "), "{}", text(&done));
    assert_eq!(streams(&output).1, 1280);
    assert!(!work.exists());
}

#[test]
fn a_film_can_be_started_again_with_other_options() {
    let Some(input) = clip() else { return };
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("large.mkv");
    let mut run = slow(&input, &output).spawn().unwrap();
    wait_for_segments(&folder.path().join("large.mkv.remaster"), 1, &mut run);
    stop(run);
    let done = upscale(&input, &output, FILM).arg("--restart").output().unwrap();
    assert!(done.status.success(), "{}", text(&done));
    assert_eq!(streams(&output).1, 160);
    assert_eq!(folder.path().read_dir().unwrap().count(), 1);
}

#[test]
fn two_runs_on_one_film_do_not_disturb_each_other() {
    let Some(input) = clip() else { return };
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("large.mkv");
    let mut first = slow(&input, &output).spawn().unwrap();
    wait_for_segments(&folder.path().join("large.mkv.remaster"), 1, &mut first);
    // Not faster than the second run looks.
    send("-STOP", &first);
    let second = slow(&input, &output).output().unwrap();
    send("-CONT", &first);
    assert_eq!(second.status.code(), Some(1), "{}", text(&second));
    assert!(text(&second).contains("another run"), "{}", text(&second));
    let first = first.wait_with_output().unwrap();
    assert!(first.status.success(), "{}", text(&first));
}

#[test]
fn a_film_that_cannot_be_enlarged_leaves_no_folder() {
    let Some(input) = clip() else { return };
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("large.mkv");
    let more = ["--segment", "1", "--model", "no/such/model.onnx"];
    let done = upscale(&input, &output, &more).output().unwrap();
    assert_eq!(done.status.code(), Some(1), "{}", text(&done));
    assert!(text(&done).contains("check the path"), "{}", text(&done));
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[test]
fn the_progress_of_a_film_is_written_as_json() {
    let Some(input) = clip() else { return };
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("large.mkv");
    let mut run = upscale(&input, &output, FILM);
    let done = run.args(["--progress", "json"]).stderr(Stdio::piped()).output().unwrap();
    assert!(done.status.success(), "{}", text(&done));
    let lines = String::from_utf8(done.stdout).unwrap();
    let events: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    for step in ["planning", "enlarging"] {
        let count = events.iter().find(|event| event["event"] == "count" && event["step"] == step);
        assert!(count.is_some_and(|count| count["total"].as_u64() >= Some(341)), "{step}: {lines}");
    }
    assert_eq!(events.last().unwrap()["frames"], 341);
    assert!(fs::metadata(&output).unwrap().len() > 0);
}

#[test]
fn a_part_that_begins_late_is_that_part_of_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let lossless = ["--codec", "ffv1", "--scale", "1"];
    let x264 = "-c:v libx264 -pix_fmt yuv420p -x264-params";
    for (name, encoder) in [
        ("closed.mkv", format!("{x264} keyint=50")),
        ("open.mkv", format!("{x264} keyint=60:open-gop=1:bframes=3")),
        ("edits.mp4", format!("{x264} keyint=50:bframes=3")),
        ("broadcast.ts", "-c:v mpeg2video -q:v 4 -g 12 -bf 2".into()),
    ] {
        let film = format!("-f lavfi -i testsrc2=s=64x48:r=25:d=16 {encoder}");
        let Some(input) = make(folder.path(), name, &film) else { return };
        let whole = folder.path().join("whole.mkv");
        let done = upscale(&input, &whole, &lossless).arg("--force").output().unwrap();
        assert!(done.status.success(), "{}", text(&done));
        let second = |time: &Option<gst::ClockTime>| time.unwrap().nseconds() as f64 / 1e9;
        let mut expected = pictures(&whole);
        expected.retain(|(time, _)| (9.999..11.999).contains(&second(time)));
        let part = folder.path().join("part.mkv");
        let range = ["--start", "10", "--end", "12", "--segment", "1", "--force"];
        let done = upscale(&input, &part, &lossless).args(range).output().unwrap();
        let said = text(&done);
        assert!(done.status.success() && !said.contains("CRITICAL"), "{name}: {said}");
        let hashes = |film: &[(_, u64)]| film.iter().map(|it| it.1).collect::<Vec<_>>();
        let found = pictures(&part);
        assert_eq!(hashes(&found), hashes(&expected), "{name}");
        assert_eq!(found.first().map(|it| it.0), Some(Some(gst::ClockTime::ZERO)), "{name}");
    }
}

#[test]
fn a_part_of_a_film_is_that_part_of_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let film = format!("{PICTURE} {TONE} -t 8 -c:v libx264 -g 50 -pix_fmt yuv420p -c:a flac");
    let Some(input) = make(folder.path(), "in.mkv", &film) else { return };
    let lossless = ["--codec", "ffv1", "--scale", "1"];
    let whole = folder.path().join("whole.mkv");
    assert!(upscale(&input, &whole, &lossless).output().unwrap().status.success());
    let expected: Vec<_> = pictures(&whole)[50..125].iter().map(|it| it.1).collect();
    // In one piece, and in segments.
    for segment in ["12", "1"] {
        let output = folder.path().join("part.mkv");
        let range = ["--start", "2", "--end", "0:05", "--segment", segment, "--force"];
        let done = upscale(&input, &output, &lossless).args(range).output().unwrap();
        let said = text(&done);
        assert!(done.status.success() && !said.contains("CRITICAL"), "{said}");
        let found: Vec<_> = pictures(&output).iter().map(|it| it.1).collect();
        assert!(found == expected, "{segment}: {} frames", found.len());
        let sound = stream(&output, "audio").duration();
        assert!((sound - 3.0).abs() < 0.1, "{segment}: {sound} s");
    }
}
