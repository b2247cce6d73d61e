//! What the element does and reports when a GPU, or the libraries that run models on it, are missing
//! or broken.
//!
//! The driver is emulated. ONNX Runtime is the real one.

use crate::common::cpp;
use std::{
    env,
    mem::{offset_of, size_of},
    path::{Path, PathBuf},
    process::Command,
};

use gst::prelude::*;

use crate::common::emulator::Emulator;

/// The messages on the bus, and the element's statistics at the end.
#[derive(Debug, Default)]
struct Outcome {
    errors: Vec<(glib::Error, String)>,
    warnings: Vec<String>,
    fallbacks: Vec<String>,
    backend: String,
    frames: u64,
}

/// Plays two frames through `upscale` with these properties. `None`, with a message, without ONNX
/// Runtime.
fn play(properties: &str) -> Option<Outcome> {
    gst::init().unwrap();
    let _ = gstupscale::plugin_register_static();
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fallbacks");
    let description = format!(
        "videotestsrc num-buffers=2 ! video/x-raw,format=I420,width=32,height=32 \
         ! upscale name=upscale cache-dir={} precision=fp32 {properties} ! fakesink",
        cache.display()
    );
    let pipeline = gst::parse::launch(&description).unwrap();
    let element = pipeline.downcast_ref::<gst::Bin>().unwrap().by_name("upscale").unwrap();
    let bus = pipeline.bus().unwrap();
    let _ = pipeline.set_state(gst::State::Playing);
    let mut outcome = Outcome::default();
    let limit = gst::ClockTime::from_seconds(120);
    let kinds = [gst::MessageType::Eos, gst::MessageType::Error, gst::MessageType::Warning];
    loop {
        let message = bus.timed_pop_filtered(limit, &kinds).expect("an end");
        match message.view() {
            gst::MessageView::Warning(warning) => {
                outcome.warnings.push(warning.error().message().to_owned());
            }
            gst::MessageView::Error(error) if message.src() == Some(element.upcast_ref()) => {
                let text = error.error().message().to_owned();
                outcome.errors.push((error.error(), text));
                break;
            }
            _ => break,
        }
    }
    let stats = element.property::<gst::Structure>("stats");
    if let Ok(fallbacks) = stats.get::<gst::Array>("fallbacks") {
        outcome.fallbacks = fallbacks.iter().map(|value| value.get().unwrap()).collect();
    }
    outcome.backend = stats.get("backend").unwrap_or_default();
    outcome.frames = stats.get("frames-out").unwrap();
    pipeline.set_state(gst::State::Null).unwrap();
    if let Some((error, text)) = outcome.errors.first()
        && error.kind() == Some(gst::LibraryError::Init)
    {
        eprintln!("skipped: {text}");
        return None;
    }
    Some(outcome)
}

/// The frames were processed on the CPU.
#[track_caller]
fn check_cpu(outcome: &Outcome) {
    assert_eq!((outcome.errors.len(), outcome.frames), (0, 2), "{outcome:?}");
    assert!(["native", "cpu", "openvino"].contains(&outcome.backend.as_str()), "{outcome:?}");
    let [tensorrt, cuda] = &outcome.fallbacks[..] else { panic!("{outcome:?}") };
    assert!(tensorrt.starts_with("tensorrt: ") && cuda.starts_with("cuda: "), "{outcome:?}");
}

/// There is one error, which names the backend and contains `text`.
#[track_caller]
fn check_unavailable(outcome: &Outcome, backend: &str, text: &str) {
    let [(error, message)] = &outcome.errors[..] else { panic!("{outcome:?}") };
    assert_eq!(error.kind(), Some(gst::LibraryError::Settings), "{message}");
    assert!(message.contains(&format!("backend {backend} is not available")), "{message}");
    assert!(message.contains(text) && message.contains("use backend=auto"), "{message}");
    assert!(outcome.warnings.is_empty(), "{outcome:?}");
}

#[test]
fn with_a_driver_and_no_gpu_the_cpu_is_used_without_a_warning() {
    let Some(emulator) = Emulator::get() else { return };
    emulator.set_devices(0);
    let Some(outcome) = play("") else { return };
    check_cpu(&outcome);
    assert!(outcome.fallbacks[1].contains("found no GPU"), "{outcome:?}");
    assert!(outcome.warnings.is_empty(), "{outcome:?}");
    emulator.assert_clean();
}

#[test]
fn a_requested_gpu_that_does_not_exist_is_an_error_that_says_so() {
    let Some(emulator) = Emulator::get() else { return };
    emulator.set_devices(0);
    for backend in ["cuda", "tensorrt"] {
        let Some(outcome) = play(&format!("backend={backend}")) else { return };
        check_unavailable(&outcome, backend, "found no GPU");
    }
}

#[test]
fn a_gpu_that_the_library_does_not_support_is_one_warning() {
    let Some(emulator) = Emulator::get() else { return };
    let Some(outcome) = play("") else { return };
    if outcome.backend == "cuda" || outcome.backend == "tensorrt" {
        panic!("the emulator runs no model: {outcome:?}");
    }
    check_cpu(&outcome);
    let [warning] = &outcome.warnings[..] else { panic!("{outcome:?}") };
    assert!(warning.contains("the GPU is not used"), "{warning}");
    emulator.assert_clean();
}

#[test]
fn an_unknown_device_id_is_one_warning_with_the_number_of_gpus() {
    let Some(_emulator) = Emulator::get() else { return };
    let Some(outcome) = play("device-id=3") else { return };
    check_cpu(&outcome);
    let [warning] = &outcome.warnings[..] else { panic!("{outcome:?}") };
    assert!(warning.contains("GPU 3 does not exist") && warning.contains("device-id"), "{warning}");
}

/// ONNX Runtime behind a wrapper that claims to have the providers of the GPU.
fn broken_runtime() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("build/onnxruntime");
    let real = folder.join("libonnxruntime.so.1").canonicalize();
    let Ok(real) = real else {
        eprintln!("skipped: there is no ONNX Runtime in {}", folder.display());
        return None;
    };
    use ort::sys::OrtApi;
    let flags = [
        format!("-DRUNTIME=\"{}\"", real.display()),
        format!("-DAPI_SIZE={}", size_of::<OrtApi>()),
        format!("-DLIST_PROVIDERS={}", offset_of!(OrtApi, GetAvailableProviders)),
        format!("-DRELEASE_PROVIDERS={}", offset_of!(OrtApi, ReleaseAvailableProviders)),
        "-ldl".into(),
    ];
    cpp::build("tests/common/runtime.cpp", &flags.each_ref().map(String::as_str))
}

#[test]
fn providers_that_do_not_load_are_one_warning_or_an_error_when_requested() {
    let Some(runtime) = broken_runtime() else { return };
    // A process chooses its library once.
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "fallbacks::child_with_broken_providers", "--ignored", "--nocapture"])
        .env("ORT_DYLIB_PATH", runtime)
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    eprintln!("{message}");
    assert!(output.status.success());
}

#[test]
#[ignore = "run by providers_that_do_not_load_are_one_warning_or_an_error_when_requested"]
fn child_with_broken_providers() {
    let Some(emulator) = Emulator::get() else { return };
    let outcome = play("").unwrap();
    eprintln!("{outcome:#?}");
    check_cpu(&outcome);
    let [warning] = &outcome.warnings[..] else { panic!("{outcome:?}") };
    assert!(warning.contains("failed to load the model"), "{warning}");

    let outcome = play("backend=cuda").unwrap();
    eprintln!("{outcome:#?}");
    check_unavailable(&outcome, "cuda", "cuda: failed to load the model");

    let outcome = play("backend=tensorrt precision=auto").unwrap();
    eprintln!("{outcome:#?}");
    check_unavailable(&outcome, "tensorrt", "tensorrt: failed to load the model");
    emulator.assert_clean();
}
