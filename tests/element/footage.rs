//! Video files with decoders.

use std::{path::Path, sync::Arc};

use gst::prelude::*;
use gst_video::VideoInfo;

use crate::{
    bench::{LONG, check_error, init},
    common::test_data,
    fake::Fake,
};

/// Runs the first frame of a file through `elements`, which must contain `upscale name=u`.
/// Returns the frame sizes on its sink and source pads, or the first error.
#[track_caller]
fn run(file: &Path, elements: &str) -> Result<Vec<VideoInfo>, gst::Message> {
    init();
    let description = format!(
        "filesrc location={} ! decodebin ! video/x-raw ! {elements} \
         ! fakesink",
        file.display()
    );
    let pipeline = gst::parse::launch(&description).unwrap().downcast::<gst::Pipeline>().unwrap();
    let element = pipeline.by_name("u").unwrap();
    let upscale = element.downcast_ref::<gstupscale::element::Upscale>().unwrap();
    upscale.set_engine_loader(Arc::new(Fake::default()));
    element.set_property("model", "x2");

    let _ = pipeline.set_state(gst::State::Paused);
    let kinds = [gst::MessageType::AsyncDone, gst::MessageType::Error];
    let end = pipeline.bus().unwrap().timed_pop_filtered(LONG, &kinds).expect("an end");
    let infos = ["sink", "src"].map(|pad| {
        let caps = element.static_pad(pad).unwrap().current_caps();
        caps.and_then(|caps| VideoInfo::from_caps(&caps).ok())
    });
    pipeline.set_state(gst::State::Null).unwrap();
    match end.type_() {
        gst::MessageType::AsyncDone => Ok(infos.into_iter().flatten().collect()),
        _ => Err(end),
    }
}

fn display_aspect(info: &VideoInfo) -> f64 {
    let pixel = f64::from(info.par().numer()) / f64::from(info.par().denom());
    f64::from(info.width()) * pixel / f64::from(info.height())
}

#[test]
fn interlaced_video_is_refused_without_deinterlace_and_accepted_with_it() {
    let Some(data) = test_data() else { return };
    let file = data.join("video/pattern_480i_tff_ac3.mkv");
    let error = run(&file, "upscale name=u").unwrap_err();
    check_error(&error, gst::StreamError::Format, "deinterlace");
    let infos = run(&file, "deinterlace ! upscale name=u").unwrap();
    assert_eq!((infos[1].width(), infos[1].height()), (1440, 960));
}

#[test]
fn the_display_aspect_ratio_of_a_video_is_unchanged() {
    let Some(data) = test_data() else { return };
    for (file, elements) in [
        ("popeye_480p_subtitles.mkv", "upscale name=u"),
        ("popeye_480p_subtitles.mkv", "upscale name=u ! video/x-raw,width=1000,height=1000"),
        ("bbb_720p.mp4", "upscale name=u scale=0.5"),
        ("bbb_720p.mp4", "upscale name=u ! video/x-raw,height=360"),
    ] {
        let infos = run(&data.join("video").join(file), elements).unwrap();
        let change = display_aspect(&infos[1]) / display_aspect(&infos[0]);
        assert!((change - 1.0).abs() < 1e-3, "{file} {elements}: {change}");
    }
}
