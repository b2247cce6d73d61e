//! `gst-upscale remaster`: segments, interruptions, several workers.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::Duration,
};

use crate::{
    ffmpeg::make,
    media::{clip, pictures, streams},
    program::{program, text},
};

/// `gst-upscale remaster` with these arguments.
fn remaster(arguments: &[&str]) -> Command {
    let mut command = program();
    command.arg("remaster").args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(arguments: &[&str]) -> Output {
    remaster(arguments).output().unwrap()
}

/// Runs a command that must succeed.
fn succeed(arguments: &[&str]) -> String {
    let done = run(arguments);
    assert!(done.status.success(), "{arguments:?}: {}", text(&done));
    text(&done)
}

/// Fast, but every frame depends on its number in the film.
const LANCZOS_AND_GRAIN: &[&str] = &["--blend", "0", "--grain", "0.5", "--width", "160"];

/// Plans `output` in segments of `seconds`. Returns the work folder.
fn plan(input: &Path, output: &Path, seconds: &str, more: &[&str]) -> PathBuf {
    let [input, output] = [input, output].map(|path| path.to_str().unwrap());
    let arguments = [&["plan", input, output, "--segment", seconds], LANCZOS_AND_GRAIN, more];
    succeed(&arguments.concat());
    format!("{output}.remaster").into()
}

/// Digests of all payloads and the segments' packets, in order.
fn segments(folder: &Path) -> Vec<(Vec<u8>, serde_json::Value)> {
    let mut records: Vec<_> = folder.join("segments").read_dir().unwrap().flatten().collect();
    records.retain(|file| file.path().extension().is_some_and(|it| it == "json"));
    records.sort_by_key(|file| file.path());
    let read = |path: &Path| {
        let record: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        (fs::read(path.with_extension("payload")).unwrap(), record["packets"].clone())
    };
    records.iter().map(|file| read(&file.path())).collect()
}

#[test]
fn segments_of_workers_that_are_killed_equal_those_of_an_undisturbed_run() {
    let Some(input) = clip() else { return };
    let parent = tempfile::tempdir().unwrap();
    let [calm, stormy] = ["calm.mkv", "stormy.mkv"].map(|name| {
        let folder = plan(&input, &parent.path().join(name), "1", &[]);
        folder.to_str().unwrap().to_owned()
    });
    succeed(&["work", &calm]);
    let expected = segments(Path::new(&calm));
    assert!(expected.len() >= 4, "{}", expected.len());
    // Each run is killed a little later than the one before.
    for tenths in 1..=5 {
        let mut worker = remaster(&["work", &stormy, "--stale", "1"]).spawn().unwrap();
        thread::sleep(Duration::from_millis(200 * tenths));
        worker.kill().unwrap();
        worker.wait().unwrap();
    }
    succeed(&["work", &stormy, "--stale", "1"]);
    assert!(segments(Path::new(&stormy)) == expected, "the segments differ");
}

#[test]
fn a_film_in_one_and_in_many_segments_has_the_same_pictures_times_and_streams() {
    let Some(input) = clip() else { return };
    let parent = tempfile::tempdir().unwrap();
    let films = ["1", "3600"].map(|seconds| {
        let output = parent.path().join(format!("{seconds}.mkv"));
        let folder = plan(&input, &output, seconds, &["--codec", "ffv1"]);
        succeed(&["work", folder.to_str().unwrap()]);
        succeed(&["finish", folder.to_str().unwrap()]);
        assert!(!folder.exists());
        assert_eq!(streams(&output).0.len(), 3);
        pictures(&output)
    });
    assert_eq!(films[0].len(), 341);
    assert!(films[0] == films[1], "the films differ");
}

#[test]
fn segments_can_be_computed_in_any_order_and_by_index() {
    let Some(input) = clip() else { return };
    let parent = tempfile::tempdir().unwrap();
    let folder = plan(&input, &parent.path().join("film.mp4"), "1", &[]);
    let folder = folder.to_str().unwrap();
    let unfinished = run(&["finish", folder]);
    assert_eq!(unfinished.status.code(), Some(65));
    assert!(text(&unfinished).contains("segments [0, 1, 2"), "{}", text(&unfinished));
    succeed(&["segment", folder, "1", "--of", "2"]);
    let by_scheduler = remaster(&["segment", folder, "--of", "2"])
        .env("SLURM_ARRAY_TASK_ID", "0")
        .output()
        .unwrap();
    assert!(by_scheduler.status.success(), "{}", text(&by_scheduler));
    assert!(succeed(&["segment", folder, "0"]).contains("done before"));
    assert_eq!(run(&["segment", folder, "99"]).status.code(), Some(65));
    assert!(succeed(&["status", folder, "--json"]).contains(r#""missing":[]"#));
    succeed(&["finish", folder]);
    assert_eq!(pictures(&parent.path().join("film.mp4")).len(), 341);
}

#[test]
fn a_plan_for_another_job_is_refused_with_the_difference() {
    let Some(input) = clip() else { return };
    let parent = tempfile::tempdir().unwrap();
    let output = parent.path().join("film.mkv");
    plan(&input, &output, "4", &[]);
    // The same request again is not an error.
    plan(&input, &output, "4", &[]);
    let [input, output] = [&input, &output].map(|path| path.to_str().unwrap());
    let other = ["plan", input, output, "--segment", "4", "--grain", "0.25"];
    let refused = run(&[&other[..], &["--blend", "0", "--width", "160"]].concat());
    assert_eq!(refused.status.code(), Some(65));
    assert!(text(&refused).contains("properties.grain was 0.5, now 0.25"), "{}", text(&refused));
    succeed(&[&other[..], &["--restart"]].concat());
}

#[test]
fn a_damaged_segment_is_computed_again_and_a_changed_input_is_refused() {
    let Some(input) = clip() else { return };
    let parent = tempfile::tempdir().unwrap();
    let copy = parent.path().join("input.mp4");
    fs::copy(&input, &copy).unwrap();
    let folder = plan(&copy, &parent.path().join("film.mkv"), "1", &[]);
    let name = folder.to_str().unwrap();
    succeed(&["work", name]);
    let expected = segments(&folder);
    let payload = folder.join("segments/00001.payload");
    let mut damaged = fs::read(&payload).unwrap();
    damaged[100] ^= 1;
    fs::write(&payload, &damaged).unwrap();
    assert!(succeed(&["status", name]).contains("damaged"));
    assert_eq!(run(&["finish", name]).status.code(), Some(65));
    assert!(succeed(&["work", name]).contains("segment 1 is damaged"));
    assert!(segments(&folder) == expected);
    fs::write(&copy, "another film").unwrap();
    let changed = run(&["finish", name]);
    assert_eq!(changed.status.code(), Some(65));
    assert!(text(&changed).contains("has changed"), "{}", text(&changed));
    assert!(!parent.path().join("film.mkv").exists());
}

#[test]
fn a_segment_is_found_among_equal_pictures() {
    let folder = tempfile::tempdir().unwrap();
    // Nine seconds of one picture, then another one; a key frame every second.
    let film = "-f lavfi -i color=red:s=64x48:r=25:d=9 -f lavfi -i color=green:s=64x48:r=25:d=3 \
                -filter_complex [0][1]concat=n=2 -c:v libx264 -g 25 -pix_fmt yuv420p";
    let Some(input) = make(folder.path(), "in.mp4", film) else { return };
    let output = folder.path().join("film.mkv");
    let folder = plan(&input, &output, "3", &["--codec", "ffv1"]);
    let folder = folder.to_str().unwrap();
    succeed(&["work", folder]);
    succeed(&["finish", folder]);
    assert_eq!(pictures(&output).len(), 300);
}

#[test]
fn segments_of_a_film_with_open_groups_of_pictures_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let film = "-f lavfi -i testsrc2=s=64x48:r=25:d=8 -c:v libx264 -pix_fmt yuv420p \
                -x264-params open-gop=1:keyint=40:bframes=3";
    let Some(input) = make(folder.path(), "in.mkv", film) else { return };
    let output = folder.path().join("film.mkv");
    let folder = plan(&input, &output, "1", &["--codec", "ffv1"]);
    let folder = folder.to_str().unwrap();
    succeed(&["work", folder]);
    succeed(&["finish", "--wait", folder]);
    assert_eq!(pictures(&output).len(), 200);
}

#[test]
fn frames_that_no_model_enlarges_can_be_planned() {
    let Some(input) = clip() else { return };
    let folder = tempfile::tempdir().unwrap();
    let [input, output] = [input, folder.path().join("film.mkv")];
    let same = ["--blend", "0", "--scale", "1"];
    let arguments = ["plan", input.to_str().unwrap(), output.to_str().unwrap()];
    assert!(succeed(&[&arguments[..], &same].concat()).contains("341 frames"));
}
