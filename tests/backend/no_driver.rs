//! A machine without an NVIDIA driver.

use gst::prelude::*;
use gstupscale::cuda::{Device, Error};

#[test]
fn without_a_driver_opening_a_gpu_is_an_error() {
    // A machine with a driver has no device of this number.
    match Device::open(u32::MAX) {
        Err(Error::NoDriver) => {}
        Err(Error::NoDevice | Error::NoSuchDevice { .. } | Error::DriverTooOld { .. }) => {}
        other => panic!("{other:?}"),
    }
}

/// Plays two frames through `upscale`. Returns the errors, the warnings and the statistics.
fn play(properties: &str) -> (Vec<String>, Vec<String>, gst::Structure) {
    gst::init().unwrap();
    let _ = gstupscale::plugin_register_static();
    let description = format!(
        "videotestsrc num-buffers=2 ! video/x-raw,format=I420,width=32,height=32 \
         ! upscale name=upscale cache-dir={}/no-driver precision=fp32 {properties} ! fakesink",
        env!("CARGO_TARGET_TMPDIR")
    );
    let pipeline = gst::parse::launch(&description).unwrap();
    let element = pipeline.downcast_ref::<gst::Bin>().unwrap().by_name("upscale").unwrap();
    let bus = pipeline.bus().unwrap();
    let _ = pipeline.set_state(gst::State::Playing);
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    let kinds = [gst::MessageType::Eos, gst::MessageType::Error, gst::MessageType::Warning];
    loop {
        let limit = gst::ClockTime::from_seconds(120);
        let message = bus.timed_pop_filtered(limit, &kinds).expect("an end");
        match message.view() {
            gst::MessageView::Warning(it) => warnings.push(it.error().message().to_owned()),
            gst::MessageView::Error(it) => {
                errors.push(it.error().message().to_owned());
                break;
            }
            _ => break,
        }
    }
    let stats = element.property::<gst::Structure>("stats");
    pipeline.set_state(gst::State::Null).unwrap();
    (errors, warnings, stats)
}

fn has_no_driver() -> bool {
    let none = matches!(Device::open(u32::MAX), Err(Error::NoDriver));
    if !none {
        eprintln!("skipped: there is an NVIDIA driver");
    }
    none
}

#[test]
fn without_a_driver_the_cpu_is_used_without_a_warning() {
    if !has_no_driver() {
        return;
    }
    let (errors, warnings, stats) = play("");
    if errors.first().is_some_and(|error| error.contains("ORT_DYLIB_PATH")) {
        eprintln!("skipped: {errors:?}");
        return;
    }
    assert!(errors.is_empty() && warnings.is_empty(), "{errors:?}, {warnings:?}");
    assert_eq!(stats.get("frames-out"), Ok(2u64));
    let fallbacks = stats.get::<gst::Array>("fallbacks").unwrap();
    let fallbacks: Vec<&str> = fallbacks.iter().map(|value| value.get().unwrap()).collect();
    let expected = ["tensorrt", "cuda"].map(|backend| format!("{backend}: {}", Error::NoDriver));
    assert_eq!(fallbacks, expected);
}

#[test]
fn a_requested_gpu_without_a_driver_is_an_error_that_names_the_driver() {
    if !has_no_driver() {
        return;
    }
    for backend in ["tensorrt", "cuda"] {
        let (errors, warnings, _) = play(&format!("backend={backend}"));
        let [error] = &errors[..] else { panic!("{errors:?}") };
        if error.contains("ORT_DYLIB_PATH") {
            eprintln!("skipped: {error}");
            return;
        }
        assert!(error.contains(&format!("backend {backend} is not available")), "{error}");
        assert!(error.contains("libcuda.so.1") && error.contains("use backend=auto"), "{error}");
        assert!(warnings.is_empty(), "{warnings:?}");
    }
}
