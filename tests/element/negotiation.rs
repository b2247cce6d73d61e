//! Caps negotiation: the output caps for given input caps and downstream caps.

use gst::prelude::*;

use crate::bench::{Bench, caps, check_error, i420, init, rgb};

/// Checks the size and pixel aspect ratio of the output.
#[track_caller]
fn check(input: &str, downstream: &str, properties: &str, expected: &str) {
    let mut bench = Bench::new(properties);
    if !downstream.is_empty() {
        bench.harness.set_sink_caps(caps(&format!("video/x-raw,{downstream}")));
    }
    bench.harness.set_src_caps(caps(&format!("video/x-raw,format=I420,framerate=25/1,{input}")));
    let info = bench.output_info();
    let found =
        format!("{}x{} {}:{}", info.width(), info.height(), info.par().numer(), info.par().denom());
    assert_eq!(found, expected, "{input} -> {downstream} with {properties}");
}

#[test]
fn without_downstream_caps_the_output_is_the_input_times_scale() {
    check("width=640,height=360", "", "", "1280x720 1:1");
    check("width=640,height=360", "", "model=x4", "2560x1440 1:1");
    check("width=640,height=360", "", "model=x4 scale=1.5", "960x540 1:1");
    check("width=640,height=360", "", "scale=0.5", "320x180 1:1");
    check("width=1,height=1", "", "scale=0.1", "1x1 1:1");
}

#[test]
fn odd_sizes_are_supported() {
    check("width=101,height=57", "", "", "202x114 1:1");
    check("width=101,height=57", "", "scale=1.5", "152x86 1:1");
    check("width=7,height=3", "width=13,height=5", "", "13x5 35:39");
}

#[test]
fn a_downstream_size_takes_precedence_over_scale() {
    check("width=640,height=360", "width=1920,height=1080", "model=x4", "1920x1080 1:1");
    check("width=640,height=360", "width=1920,height=1080", "scale=2", "1920x1080 1:1");
    check("width=640,height=360", "width=320,height=180", "", "320x180 1:1");
}

#[test]
fn the_display_aspect_ratio_is_kept() {
    check("width=640,height=360", "width=500,height=500", "", "500x500 16:9");
    check("width=720,height=478,pixel-aspect-ratio=8/9", "", "", "1440x956 8:9");
    check(
        "width=720,height=576,pixel-aspect-ratio=16/15",
        "pixel-aspect-ratio=1/1",
        "",
        "1536x1152 1:1",
    );
    check("width=640,height=360", "width=1920", "model=x4", "1920x1080 1:1");
    check("width=640,height=360", "height=1080", "model=x4", "1920x1080 1:1");
    check(
        "width=720,height=480,pixel-aspect-ratio=8/9",
        "width=1280,height=960",
        "",
        "1280x960 1:1",
    );
}

#[test]
fn ranges_and_lists_are_fixated_near_the_preferred_size() {
    check("width=640,height=360", "width=[16,1280],height=[16,1280]", "model=x4", "1280x720 1:1");
    check("width=640,height=360", "width=[1,4096],height=[1,4096]", "", "1280x720 1:1");
    check(
        "width=640,height=360",
        "width={640,1280,1920},height={360,720,1080}",
        "",
        "1280x720 1:1",
    );
    check("width=640,height=360", "width=[16,4096,16],height=[16,4096,16]", "", "1280x720 1:1");
}

#[test]
fn the_output_follows_ranges_that_change_while_playing() {
    let mut bench = Bench::with_caps("model=x4", &rgb(64, 36));
    for (range, expected) in [
        ("width=[1,192],height=[1,192]", (192, 108)),
        ("width=[1,100],height=[1,36]", (64, 36)),
        ("width=[1,4096],height=[1,4096]", (256, 144)),
    ] {
        bench.harness.set_sink_caps(caps(&format!("video/x-raw,{range}")));
        bench.harness.push_upstream_event(gst::event::Reconfigure::new());
        let frame = bench.frame(0, 0);
        bench.push_and_pull(frame);
        let info = bench.output_info();
        assert_eq!((info.width(), info.height()), expected, "{range}");
    }
}

#[test]
fn all_other_fields_of_the_caps_are_kept() {
    let kept = "framerate=(fraction)0/1,colorimetry=(string)bt2100-pq,\
                chroma-site=(string)v-cosited,\
                mastering-display-info=(string)35400:14600:8500:39850:6550:2300:15635:16450:10000000:1,\
                content-light-level=(string)1000:400,multiview-mode=(string)mono,\
                something=(string)else";
    let bench = Bench::with_caps(
        "",
        &format!("video/x-raw,format=I420,width=64,height=36,interlace-mode=progressive,{kept}"),
    );
    let output = bench.output_caps();
    let expected = caps(&format!(
        "video/x-raw,format=I420,width=128,height=72,interlace-mode=progressive,{kept}"
    ));
    assert!(output.is_strictly_equal(&expected), "{output}");
}

#[test]
fn colorimetry_that_depends_on_the_size_is_kept() {
    let mut bench = Bench::with_caps("", &i420(640, 360));
    let structure = bench.output_caps().structure(0).unwrap().to_owned();
    // Without a label, 720 lines mean BT.709 and 360 lines mean BT.601.
    assert_eq!(structure.get::<&str>("colorimetry").unwrap(), "bt601");
    assert!(bench.send_caps(&i420(160, 90)));
    assert!(!bench.output_caps().structure(0).unwrap().has_field("colorimetry"));
    let bench = Bench::with_caps("", &rgb(640, 360));
    assert!(!bench.output_caps().structure(0).unwrap().has_field("colorimetry"));
}

#[test]
fn the_overlay_feature_is_kept() {
    for features in
        ["meta:GstVideoOverlayComposition", "memory:SystemMemory, meta:GstVideoOverlayComposition"]
    {
        let input =
            format!("video/x-raw({features}),format=I420,width=64,height=36,framerate=10/1");
        let bench = Bench::with_caps("", &input);
        let output = bench.output_caps();
        assert!(output.features(0).unwrap().contains("meta:GstVideoOverlayComposition"));
        assert_eq!(bench.output_info().width(), 128);
    }
}

#[test]
fn every_pixel_format_is_kept() {
    for format in gstupscale::frame::PixelFormat::ALL {
        let input = format!("video/x-raw,format={format},width=16,height=16,framerate=0/1");
        let bench = Bench::with_caps("", &input);
        assert_eq!(bench.output_info().format().to_str(), format.name());
    }
}

#[test]
fn a_different_pixel_format_downstream_is_refused() {
    let mut bench = Bench::new("");
    bench.harness.set_sink_caps(caps("video/x-raw,format=RGB"));
    assert!(!bench.send_caps(&i420(64, 36)));
}

#[test]
fn upstream_may_send_any_size_whatever_downstream_accepts() {
    init();
    let mut bench = Bench::new("");
    bench.harness.set_sink_caps(caps("video/x-raw,format=I420,width=1920,height=1080"));
    let sink = bench.element.static_pad("sink").unwrap();
    assert!(sink.query_caps(None).can_intersect(&caps(&i420(123, 45))));
    assert!(sink.query_accept_caps(&caps(&i420(123, 45))));
    assert!(!sink.query_caps(None).can_intersect(&caps(&rgb(123, 45))));
}

#[test]
fn interlaced_video_is_refused_with_an_error_that_names_deinterlace() {
    for mode in ["interleaved", "mixed", "fields"] {
        for downstream in ["video/x-raw", "video/x-raw,interlace-mode=progressive"] {
            let mut bench = Bench::new("");
            bench.harness.set_sink_caps(caps(downstream));
            let input = format!("{},interlace-mode={mode}", i420(64, 36));
            // Upstream must be able to send these caps, so that the element can refuse them.
            let sink = bench.element.static_pad("sink").unwrap();
            assert!(sink.query_accept_caps(&caps(&input)), "{mode} to {downstream}");
            assert!(!bench.send_caps(&input));
            bench.expect_error(gst::MessageType::Error, gst::StreamError::Format, "deinterlace");
            // Upstream retries, but there is no second message.
            assert!(!bench.send_caps(&input));
            assert!(bench.bus.pop_filtered(&[gst::MessageType::Error]).is_none());
            assert!(bench.send_caps(&i420(64, 36)));
        }
    }
}

#[test]
fn the_first_error_of_an_interlaced_pipeline_names_deinterlace() {
    init();
    let pipeline = gst::parse::launch(
        "videotestsrc num-buffers=3 ! video/x-raw,width=64,height=36,interlace-mode=interleaved \
         ! upscale name=u ! video/x-raw,interlace-mode=progressive ! fakesink",
    )
    .unwrap()
    .downcast::<gst::Pipeline>()
    .unwrap();
    let upscale = pipeline.by_name("u").unwrap();
    let fake = std::sync::Arc::new(crate::fake::Fake::default());
    upscale.downcast_ref::<gstupscale::element::Upscale>().unwrap().set_engine_loader(fake);
    let _ = pipeline.set_state(gst::State::Playing);
    let message =
        pipeline.bus().unwrap().timed_pop_filtered(crate::bench::LONG, &[gst::MessageType::Error]);
    check_error(&message.unwrap(), gst::StreamError::Format, "deinterlace");
    pipeline.set_state(gst::State::Null).unwrap();
}

#[test]
fn a_size_that_is_too_large_is_an_error() {
    let mut bench = Bench::new("");
    assert!(!bench.send_caps(&rgb(20_000, 16)));
    bench.expect_error(gst::MessageType::Error, gst::StreamError::Format, "40000x32");
    // A limit in the downstream caps makes it possible.
    let mut bench = Bench::new("");
    bench.harness.set_sink_caps(caps("video/x-raw,width=[1,4000]"));
    assert!(bench.send_caps(&rgb(20_000, 16)));
    assert_eq!(bench.output_info().width(), 4000);
}

#[test]
fn a_new_scale_is_used_for_the_next_frame() {
    let mut bench = Bench::with_caps("", &rgb(16, 8));
    let frame = bench.frame(0, 0);
    assert_eq!(bench.push_and_pull(frame).size(), 32 * 16 * 3);
    bench.element.set_property("scale", 3.0);
    let frame = bench.frame(1, 0);
    assert_eq!(bench.push_and_pull(frame).size(), 48 * 24 * 3);
}

#[test]
fn new_caps_in_a_stream_are_used_for_the_next_frame() {
    let mut bench = Bench::with_caps("", &rgb(16, 8));
    for (number, (width, height)) in [(16, 8), (20, 6), (16, 8)].into_iter().enumerate() {
        assert!(bench.send_caps(&rgb(width, height)));
        let frame = bench.frame(number as u64, 0);
        assert_eq!(bench.push_and_pull(frame).size() as u32, width * height * 4 * 3);
    }
    assert_eq!(bench.fake.loads.load(std::sync::atomic::Ordering::SeqCst), 1);
}
