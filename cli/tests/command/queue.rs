//! `gst-upscale upscale` with several inputs.

use std::fs;

use crate::{
    ffmpeg::{PICTURE, make},
    media::streams,
    program::{text, upscale},
};

#[test]
fn a_folder_is_enlarged_without_what_is_done_and_with_what_fails_named() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    fs::create_dir_all(input.join("deep")).unwrap();
    for name in ["in/a.mkv", "in/b.avi", "in/deep/c.mp4"] {
        if make(folder.path(), name, &format!("{PICTURE} -t 0.5")).is_none() {
            return;
        }
    }
    fs::write(input.join("broken.mp4"), "broken").unwrap();
    fs::write(input.join("notes.txt"), "notes").unwrap();
    let run = || {
        let done = upscale(&input, &output, &["--recursive"]).output().unwrap();
        (done.status.code(), text(&done))
    };
    let (code, said) = run();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("3 enlarged, 0 existed, 1 failed"), "{said}");
    assert!(said.contains("failed: ") && said.contains("broken.mp4"), "{said}");
    for name in ["a.mkv", "b.mkv", "deep/c.mp4"] {
        assert_eq!(streams(&output.join(name)).1, 192, "{name}");
    }
    let (code, said) = run();
    assert_eq!(code, Some(1));
    assert!(said.contains("0 enlarged, 3 existed, 1 failed"), "{said}");
    fs::remove_file(input.join("broken.mp4")).unwrap();
    assert_eq!(run().0, Some(0));
}

#[test]
fn options_reach_the_encoder() {
    let folder = tempfile::tempdir().unwrap();
    let Some(input) = make(folder.path(), "in.mkv", &format!("{PICTURE} -t 3")) else { return };
    // Only key frames are larger.
    let size = |options: &[&str]| {
        let output = folder.path().join("out.mkv");
        let done = upscale(&input, &output, &["--force"]).args(options).output().unwrap();
        assert!(done.status.success(), "{}", text(&done));
        fs::metadata(output).unwrap().len()
    };
    let usual = size(&[]);
    let large = size(&["--encoder-options", "key-int-max=1"]);
    assert!(large > usual * 2, "{large}, {usual}");
    let done =
        upscale(&input, &folder.path().join("out.webm"), &["--encoder-options", "aq-mood=1"])
            .output()
            .unwrap();
    assert!(text(&done).contains("has no option aq-mood"), "{}", text(&done));
}
