//! Metas of frames: which are copied, converted or dropped.

use gst_video::{
    VideoOverlayComposition, VideoOverlayCompositionMeta, VideoOverlayFormatFlags,
    VideoOverlayRectangle, VideoRegionOfInterestMeta,
};

use crate::bench::{Bench, caps, rgb};

/// The enlarged frame for a frame with the metas that `add` adds.
#[track_caller]
fn enlarged_with(add: impl FnOnce(&mut gst::BufferRef)) -> gst::Buffer {
    let mut bench = Bench::with_caps("", &rgb(160, 80));
    let mut frame = bench.frame(0, 0);
    add(frame.get_mut().unwrap());
    bench.push_and_pull(frame)
}

fn rectangle(x: i32, y: i32, width: u32, height: u32) -> VideoOverlayRectangle {
    let mut pixels = gst::Buffer::with_size(4 * 4 * 4).unwrap();
    gst_video::VideoMeta::add(
        pixels.get_mut().unwrap(),
        gst_video::VideoFrameFlags::empty(),
        gst_video::VideoFormat::Bgra,
        4,
        4,
    )
    .unwrap();
    let flags = VideoOverlayFormatFlags::empty();
    VideoOverlayRectangle::new_raw(&pixels, x, y, width, height, flags)
}

#[test]
fn overlay_compositions_are_scaled() {
    crate::bench::init();
    let composition =
        VideoOverlayComposition::new([&rectangle(8, 60, 100, 16), &rectangle(-3, 5, 7, 9)])
            .unwrap();
    let found = enlarged_with(|frame| {
        VideoOverlayCompositionMeta::add(frame, &composition);
    });
    let metas: Vec<_> = found.iter_meta::<VideoOverlayCompositionMeta>().collect();
    assert_eq!(metas.len(), 1);
    let places: Vec<_> = metas[0].overlay().iter().map(|r| r.render_rectangle()).collect();
    assert_eq!(places, [(16, 120, 200, 32), (-6, 10, 14, 18)]);
    // The composition of the input is unchanged.
    assert_eq!(composition.rectangle(0).unwrap().render_rectangle(), (8, 60, 100, 16));
}

#[test]
fn regions_of_interest_are_scaled_and_not_duplicated() {
    let found = enlarged_with(|frame| {
        VideoRegionOfInterestMeta::add(frame, "face", (10, 20, 30, 40));
    });
    let rects: Vec<_> = found.iter_meta::<VideoRegionOfInterestMeta>().map(|m| m.rect()).collect();
    assert_eq!(rects, [(20, 40, 60, 80)]);
}

#[test]
fn metas_that_do_not_depend_on_the_picture_are_copied_and_not_duplicated() {
    let reference = caps("timestamp/x-test");
    let found = enlarged_with(|frame| {
        let time = gst::ClockTime::from_seconds(5);
        gst::ReferenceTimestampMeta::add(frame, &reference, time, gst::ClockTime::NONE);
    });
    let metas: Vec<_> = found.iter_meta::<gst::ReferenceTimestampMeta>().collect();
    assert_eq!(metas.len(), 1);
    assert_eq!(metas[0].timestamp(), gst::ClockTime::from_seconds(5));
}

#[test]
fn custom_metas_are_copied_depending_on_their_tags() {
    crate::bench::init();
    gst::meta::CustomMeta::register_simple("UpscaleTestPlain");
    gst::meta::CustomMeta::register("UpscaleTestColour", &["video", "colorspace"]);
    gst::meta::CustomMeta::register("UpscaleTestAlien", &["audio"]);
    let found = enlarged_with(|frame| {
        for name in ["UpscaleTestPlain", "UpscaleTestColour", "UpscaleTestAlien"] {
            gst::meta::CustomMeta::add(frame, name).unwrap();
        }
    });
    let has = |name: &str| gst::meta::CustomMeta::from_buffer(&found, name).is_ok();
    assert!(has("UpscaleTestPlain"));
    // Enlarging does not change the colorspace.
    assert!(has("UpscaleTestColour"));
    assert!(!has("UpscaleTestAlien"));
}
