//! `gst-upscale selftest`: the checks on the CPU and on an emulated GPU, and missing backends.

use std::{fs, process::Output};

use crate::{cpp, program::program};

fn selftest(arguments: &[&str]) -> Output {
    let mut command = program();
    command.args(["selftest", "--frames", "20", "--cache-dir", env!("CARGO_TARGET_TMPDIR")]);
    command.args(arguments).output().unwrap()
}

/// The table and the summary.
fn table(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn every_check_passes_on_the_cpu() {
    let done = selftest(&["--backend", "cpu"]);
    let text = table(&done);
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
fn a_named_backend_that_is_not_available_is_a_failure() {
    let mut command = program();
    command.env("ORT_DYLIB_PATH", "/nowhere/libonnxruntime.so");
    let done = command.args(["selftest", "--backend", "cpu"]).output().unwrap();
    assert_eq!(done.status.code(), Some(1), "{}", table(&done));
    assert!(table(&done).contains("FAILED  ONNX Runtime was not found"), "{}", table(&done));
}

#[test]
fn a_missing_model_is_an_error() {
    let done = selftest(&["--model", "/nowhere/model.onnx"]);
    assert_eq!(done.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&done.stderr).contains("/nowhere/model.onnx"));
}

#[test]
fn the_stages_pass_on_an_emulated_gpu_whose_missing_provider_is_reported() {
    let flags = ["-Wl,-soname,libcuda.so", "-pthread"];
    let Some(driver) = cpp::build("tests/common/emulator.cpp", &flags) else { return };
    let folder = tempfile::tempdir().unwrap();
    fs::copy(driver, folder.path().join("libcuda.so")).unwrap();
    let mut command = program();
    command.args(["selftest", "--backend", "cuda", "--cache-dir", env!("CARGO_TARGET_TMPDIR")]);
    let done = command.env("LD_LIBRARY_PATH", folder.path()).output().unwrap();
    let text = table(&done);
    assert!(text.contains("Emulated GPU"), "{text}");
    let row = text.lines().find(|line| line.starts_with("stages: GPU")).expect(&text);
    // Six for each of 43 pixel formats.
    assert!(row.contains("passed  258 cases, largest difference 0"), "{row}");
    let row = text.lines().find(|line| line.contains("cuda fp16")).expect(&text);
    assert!(row.contains("FAILED") && row.contains("cuda"), "{row}");
    assert_eq!(done.status.code(), Some(1), "{text}");
}
