//! Whole pipelines with ONNX Runtime. Tests are skipped if it or their data is not available.

use crate::common;
use std::path::{Path, PathBuf};

use gst::prelude::*;

use crate::{
    bench::{LONG, eventually},
    common::run,
};

fn output(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Compares two pictures: the largest difference of a sample, and the share of equal samples.
#[track_caller]
fn difference(found: &Path, expected: &Path) -> (u8, f64) {
    let [found, expected] = [found, expected].map(|path| image::open(path).unwrap().to_rgb8());
    assert_eq!(found.dimensions(), expected.dimensions());
    let differences = found.iter().zip(expected.iter()).map(|(a, b)| a.abs_diff(*b));
    let equal = differences.clone().filter(|difference| *difference == 0).count();
    (differences.max().unwrap(), equal as f64 / found.len() as f64)
}

/// Compares a picture enlarged with realesr-animevideov3 with the output of PyTorch.
#[track_caller]
fn check_golden(picture: &str, properties: &str) {
    let Some(data) = common::test_data() else { return };
    let found = output(&format!("{picture}-{}.png", properties.replace(['=', ' '], "-")));
    let description = format!(
        "filesrc location={}/images/{picture}.png ! pngdec ! videoconvert ! video/x-raw,format=RGB \
         ! upscale model={0}/weights/realesr-animevideov3.onnx {properties} ! pngenc \
         ! filesink location={}",
        data.display(),
        found.display()
    );
    if !run(&description) {
        return;
    }
    let expected = data.join(format!("expected/realesr-animevideov3__{picture}.png"));
    let (most, equal) = difference(&found, &expected);
    assert!(most <= 1 && equal >= 0.999, "{picture} {properties}: {most}, {equal}");
}

#[test]
fn a_picture_is_enlarged_as_by_pytorch() {
    check_golden("comic_lq", "precision=fp32");
    check_golden("baboon_lq", "precision=fp32");
}

#[test]
fn a_picture_split_into_regions_is_enlarged_as_by_pytorch() {
    check_golden("comic_lq", "precision=fp32 tile-size=48");
    check_golden("comic_lq", "backend=cpu precision=fp32 tile-size=48");
}

#[test]
fn the_built_in_model_enlarges_by_two_by_default() {
    let found = output("builtin.png");
    let description = format!(
        "videotestsrc num-buffers=1 pattern=smpte ! video/x-raw,width=64,height=36,format=I420 \
         ! upscale ! videoconvert ! pngenc ! filesink location={}",
        found.display()
    );
    if run(&description) {
        assert_eq!(image::image_dimensions(&found).unwrap(), (128, 72));
    }
}

#[test]
fn the_output_has_the_size_that_downstream_requires() {
    for (width, height) in [(1920, 1080), (500, 500), (33, 17)] {
        let found = output(&format!("{width}x{height}.png"));
        let description = format!(
            "videotestsrc num-buffers=1 ! video/x-raw,width=64,height=36,format=RGB ! upscale \
             ! video/x-raw,width={width},height={height} ! pngenc ! filesink location={}",
            found.display()
        );
        if run(&description) {
            assert_eq!(image::image_dimensions(&found).unwrap(), (width, height));
        }
    }
}

#[test]
fn an_invalid_model_file_and_a_missing_one_have_different_errors() {
    gst::init().unwrap();
    let _ = gstupscale::plugin_register_static();
    let text = output("no-model.onnx");
    std::fs::write(&text, "not a model").unwrap();
    for (model, absent) in [("/nowhere/at-all.onnx".into(), true), (text, false)] {
        let element = gst::ElementFactory::make("upscale").build().unwrap();
        let bus = gst::Bus::new();
        element.set_bus(Some(&bus));
        element.set_property("model", model.to_str());
        assert!(element.set_state(gst::State::Paused).is_err());
        let message = bus.pop_filtered(&[gst::MessageType::Error]).expect("an error");
        let gst::MessageView::Error(error) = message.view() else { unreachable!() };
        let kind = error.error().kind::<gst::ResourceError>().expect("a resource error");
        assert_eq!(kind == gst::ResourceError::NotFound, absent, "{}", error.error());
        assert!(error.error().message().contains(model.to_str().unwrap()));
        element.set_state(gst::State::Null).unwrap();
    }
}

#[test]
fn a_hundred_state_cycles_leak_no_thread() {
    if !run("videotestsrc num-buffers=1 ! video/x-raw,width=16,height=16 ! upscale ! fakesink") {
        return;
    }
    let threads = || std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    let pipeline = gst::parse::launch(
        "videotestsrc num-buffers=2 ! video/x-raw,width=16,height=16 ! upscale ! fakesink",
    )
    .unwrap();
    let bus = pipeline.bus().unwrap();
    let mut before = 0;
    for cycle in 0..100 {
        pipeline.set_state(gst::State::Playing).unwrap();
        let kinds = [gst::MessageType::Eos, gst::MessageType::Error];
        let end = bus.timed_pop_filtered(LONG, &kinds).unwrap();
        assert_eq!(end.type_(), gst::MessageType::Eos, "{cycle}: {end:?}");
        pipeline.set_state(gst::State::Null).unwrap();
        if cycle == 10 {
            before = threads();
        }
    }
    // Threads of the last cycles may still be ending; leaked threads stay.
    eventually("no more threads than after a few cycles", || threads() <= before + 2);
}
