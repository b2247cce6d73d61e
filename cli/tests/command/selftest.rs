//! The command `gst-upscale selftest`.

use std::{
    fs,
    process::{Command, Output},
};

use crate::cpp;

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

#[test]
fn the_stages_of_an_emulated_gpu_pass_and_its_missing_provider_is_named() {
    let flags = ["-Wl,-soname,libcuda.so", "-pthread"];
    let Some(driver) = cpp::build("tests/common/emulator.cpp", &flags) else { return };
    let folder = tempfile::tempdir().unwrap();
    fs::copy(driver, folder.path().join("libcuda.so")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gst-upscale"));
    command.args(["selftest", "--backend", "cuda", "--cache-dir", env!("CARGO_TARGET_TMPDIR")]);
    let done = command.env("LD_LIBRARY_PATH", folder.path()).output().unwrap();
    let text = said(&done);
    assert!(text.contains("Emulated GPU"), "{text}");
    let row = text.lines().find(|line| line.starts_with("stages equal")).expect(&text);
    assert!(row.contains("passed  240 cases, at most 0 codes apart"), "{row}");
    let row = text.lines().find(|line| line.contains("cuda fp16")).expect(&text);
    assert!(row.contains("FAILED") && row.contains("cuda"), "{row}");
    assert_eq!(done.status.code(), Some(1), "{text}");
}
