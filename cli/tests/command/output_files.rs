//! When output files are created, kept and overwritten.

use std::fs;

use crate::{
    media::{clip, streams},
    program::{program, text, upscale},
};

#[test]
fn failure_leaves_no_file_and_says_what_to_do() {
    let Some(input) = clip() else { return };
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("large.mp4");
    for (more, expected) in [
        (&["--model", "no/such/model.onnx"][..], "check the path"),
        (&["--scale", "99"], "from 0 to 16"),
        (&["--width", "401"], "even"),
        (&["--codec", "vp9"], "h264"),
    ] {
        let done = upscale(&input, &output, more).output().unwrap();
        assert_eq!(done.status.code(), Some(1), "{}", text(&done));
        assert!(text(&done).contains(expected), "{}", text(&done));
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }
}

#[test]
fn an_input_named_like_an_unfinished_file_is_not_changed() {
    let Some(clip) = clip() else { return };
    let content = fs::read(&clip).unwrap();
    for linked in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let [input, part, output] =
            ["in.mp4", "large.part.mp4", "large.mp4"].map(|name| folder.path().join(name));
        if linked {
            fs::copy(&clip, &input).unwrap();
            std::os::unix::fs::symlink(&input, &part).unwrap();
        } else {
            fs::copy(&clip, &part).unwrap();
        }
        let input = if linked { &input } else { &part };
        let done = upscale(input, &output, &["--width", "160"]).output().unwrap();
        assert!(done.status.success(), "{}", text(&done));
        assert!(fs::read(&part).unwrap() == content, "linked: {linked}");
        assert_eq!(streams(&output).1, 160);
    }
}

#[test]
fn the_unfinished_file_of_an_earlier_run_is_not_changed() {
    let Some(input) = clip() else { return };
    let folder = tempfile::tempdir().unwrap();
    let [part, output] = ["large.part.mkv", "large.mkv"].map(|name| folder.path().join(name));
    fs::write(&part, "earlier").unwrap();
    for (more, code) in [(["--model", "no/such.onnx"], 1), (["--width", "160"], 0)] {
        let done = upscale(&input, &output, &more).arg("--force").output().unwrap();
        assert_eq!(done.status.code(), Some(code), "{}", text(&done));
        assert_eq!(fs::read_to_string(&part).unwrap(), "earlier");
    }
}

#[test]
fn two_runs_with_the_same_output_do_not_disturb_each_other() {
    let Some(input) = clip() else { return };
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("large.mkv");
    let start = || upscale(&input, &output, &["--width", "322", "--force"]).spawn().unwrap();
    for job in [start(), start()] {
        let done = job.wait_with_output().unwrap();
        assert!(done.status.success(), "{}", text(&done));
        assert_eq!(streams(&output).1, 322);
    }
    assert_eq!(folder.path().read_dir().unwrap().count(), 1);
}

#[test]
fn an_output_that_cannot_be_written_is_an_error_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    // Empty, so that reading it would give another error.
    let input = folder.path().join("in.mp4");
    fs::write(&input, "").unwrap();
    let [directory, nowhere] = ["out.mkv", "no/out.mkv"].map(|name| folder.path().join(name));
    fs::create_dir(&directory).unwrap();
    for (output, expected) in [(&directory, "name a file"), (&nowhere, "create it first")] {
        let enlarged = upscale(&input, output, &["--force"]).output().unwrap();
        let mut models = program();
        let converted = models.args(["models", "convert", "builtin"]).arg(output).output().unwrap();
        for done in [enlarged, converted] {
            assert_eq!(done.status.code(), Some(1), "{}", text(&done));
            let said = text(&done);
            assert!(said.contains(expected) && said.contains(output.to_str().unwrap()), "{said}");
        }
    }
    assert_eq!(directory.read_dir().unwrap().count(), 0);
}
