//! Standard output that cannot be written.

use std::fs;

use crate::{
    media::{clip, streams},
    program::{closed_pipe, program, text, upscale},
};

#[test]
fn a_closed_pipe_ends_the_program_without_a_message() {
    for more in [&["models", "list"][..], &["models", "show", "builtin"]] {
        let mut job = program();
        let done = job.args(more).stdout(closed_pipe()).output().unwrap();
        assert_eq!(done.status.code(), Some(141), "{}", text(&done));
        assert_eq!(text(&done), "");
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    let mut job = program();
    let done = job.args(["models", "list"]).stdout(full()).output().unwrap();
    assert_eq!(done.status.code(), Some(1), "{}", text(&done));
    assert!(text(&done).contains("standard output could not be written"), "{}", text(&done));

    let Some(input) = clip() else { return };
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("large.mkv");
    let mut job = upscale(&input, &output, &["--width", "160"]);
    let done = job.stdout(full()).output().unwrap();
    assert_eq!(done.status.code(), Some(1), "{}", text(&done));
    assert!(!text(&done).contains("panicked"), "{}", text(&done));
    // The video was written before the message about it.
    assert_eq!(streams(&output).1, 160);
    let done =
        upscale(&input, &output, &["--width", "160", "--force"]).stdout(closed_pipe()).output();
    assert!(done.unwrap().status.success());
}
