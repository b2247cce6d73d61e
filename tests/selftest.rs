//! The command `gst-upscale selftest`.

use std::process::{Command, Output};

fn selftest(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gst-upscale"));
    command.args(["selftest", "--frames", "20", "--cache-dir", env!("CARGO_TARGET_TMPDIR")]);
    command.args(arguments).output().unwrap()
}

/// The rows and the summary.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn all_is_green_on_the_processor() {
    let done = selftest(&["--backend", "cpu"]);
    let text = said(&done);
    if text.contains("ONNX Runtime was not found") {
        eprintln!("skipped: {text}");
        return;
    }
    assert_eq!(done.status.code(), Some(0), "{text}");
    assert!(text.contains("0 failed"), "{text}");
    for check in ["stages", "inference", "reuse=exact equals off", "memory over 20 frames"] {
        let row = text.lines().find(|line| line.starts_with(check)).expect(check);
        assert!(row.contains("passed"), "{row}");
    }
}

#[test]
fn a_runtime_that_is_asked_for_by_name_and_is_not_there_is_no_success() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gst-upscale"));
    command.env("ORT_DYLIB_PATH", "/nowhere/libonnxruntime.so");
    let done = command.args(["selftest", "--backend", "cpu"]).output().unwrap();
    assert_eq!(done.status.code(), Some(1), "{}", said(&done));
    assert!(said(&done).contains("FAILED  ONNX Runtime was not found"), "{}", said(&done));
}

#[test]
fn a_model_that_is_not_there_is_told() {
    let done = selftest(&["--model", "/nowhere/model.onnx"]);
    assert_eq!(done.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&done.stderr).contains("/nowhere/model.onnx"));
}
