//! What works where there is no ONNX Runtime: everything, with models that the built-in engine runs.

use std::process::{Command, Output};

use crate::{
    data::test_data,
    media::{create, streams},
    program::{program, text},
};

/// The command on a machine without ONNX Runtime.
fn without_onnx_runtime() -> Command {
    let mut command = program();
    command.env("ORT_DYLIB_PATH", "/nowhere/libonnxruntime.so");
    command
}

#[track_caller]
fn succeeds(command: &mut Command) -> Output {
    let done = command.output().unwrap();
    assert!(done.status.success(), "{}", text(&done));
    done
}

#[test]
fn the_self_test_passes() {
    let done = succeeds(without_onnx_runtime().args(["selftest", "--frames", "20"]));
    assert!(text(&done).contains("native"), "{}", text(&done));
}

#[test]
fn the_built_in_models_enlarge_video() {
    let folder = tempfile::tempdir().unwrap();
    let test_video = "videotestsrc num-buffers=5 ! video/x-raw,width=64,height=48 ! x264enc \
                      ! matroskamux";
    let input = create(&folder.path().join("small.mkv"), test_video);
    for model in ["builtin", "builtin-quality"] {
        let output = folder.path().join(format!("{model}.mkv"));
        let mut command = without_onnx_runtime();
        succeeds(command.arg("upscale").args([&input, &output]).args(["--model", model]));
        assert_eq!(streams(&output).1, 128, "{model}");
    }
}

#[test]
fn the_benchmark_measures_the_built_in_model() {
    let arguments = ["bench", "--sizes", "64x48", "--seconds", "0.1", "--json"];
    let done = succeeds(without_onnx_runtime().args(arguments));
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(report["rows"][0]["backend"], "native", "{report}");
}

#[test]
fn published_models_of_every_supported_family_run() {
    let Some(data) = test_data() else { return };
    for file in [
        "realesr-animevideov3.pth",
        "realesr-general-x4v3.safetensors",
        "realesrgan-x4plus-anime.param",
        "spanx4_ch48.param",
        "waifu2x-photo-up2x.param",
        "FSRCNN_x2.pb",
    ] {
        let file = data.join("weights").join(file);
        let mut command = without_onnx_runtime();
        let done = succeeds(command.args(["models", "check", "--tile", "16"]).arg(file));
        assert!(text(&done).contains("native fp32"), "{}", text(&done));
    }
}

#[test]
fn a_model_that_the_built_in_engine_does_not_run_is_an_error_that_names_what_is_missing() {
    let Some(data) = test_data() else { return };
    let file = data.join("weights/waifu2x-cunet-up2x.param");
    let done = without_onnx_runtime().args(["models", "check"]).arg(file).output().unwrap();
    assert_eq!(done.status.code(), Some(1), "{}", text(&done));
    let reasons = ["ONNX Runtime was not found", "build with the feature onnxruntime"];
    assert!(reasons.iter().any(|reason| text(&done).contains(reason)), "{}", text(&done));
}
