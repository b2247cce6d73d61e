//! Closed captions inside the pictures (ATSC A/53 Part 4).

use std::{path::Path, process::Command};

use gst::prelude::*;
use gst_video::{VideoCaptionMeta, VideoCaptionType};

use crate::{
    ffmpeg::{PICTURE, make},
    program::{text, upscale},
};

/// The number of frames of the film.
const FRAMES: usize = 75;

/// Makes a film with captions in every frame.
fn film(path: &Path) {
    gst::init().unwrap();
    let description = format!(
        "videotestsrc num-buffers={FRAMES} ! video/x-raw,format=I420,width=96,height=64,framerate=25/1 \
         ! identity name=captions ! x264enc ! h264parse ! matroskamux ! filesink location={}",
        path.display()
    );
    let pipeline = gst::parse::launch(&description).unwrap().downcast::<gst::Pipeline>().unwrap();
    let pad = pipeline.by_name("captions").unwrap().static_pad("src").unwrap();
    pad.add_probe(gst::PadProbeType::BUFFER, |_, info| {
        if let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data {
            let triplets = [0xfc, 0x94, 0x2c, 0xfd, 0x80, 0x80];
            VideoCaptionMeta::add(buffer.make_mut(), VideoCaptionType::Cea708Raw, &triplets);
        }
        gst::PadProbeReturn::Ok
    });
    pipeline.set_state(gst::State::Playing).unwrap();
    let kinds = [gst::MessageType::Eos, gst::MessageType::Error];
    let limit = gst::ClockTime::from_seconds(300);
    let end = pipeline.bus().unwrap().timed_pop_filtered(limit, &kinds).expect("an end");
    pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(end.type_(), gst::MessageType::Eos, "{end:?}");
}

/// The number of frames with captions, as FFmpeg reads them.
fn captioned(path: &Path) -> usize {
    let mut command = Command::new("ffprobe");
    command.args([
        "-v",
        "error",
        "-show_entries",
        "frame=pict_type:frame_side_data=side_data_type",
    ]);
    let done = command.args(["-select_streams", "v"]).arg(path).output().unwrap();
    String::from_utf8_lossy(&done.stdout).matches("ATSC A53 Part 4 Closed Captions").count()
}

#[test]
fn closed_captions_stay_in_h264_and_h265_and_their_loss_elsewhere_is_said() {
    let folder = tempfile::tempdir().unwrap();
    if make(folder.path(), "has-ffmpeg.png", &format!("{PICTURE} -frames:v 1")).is_none() {
        return;
    }
    let input = folder.path().join("in.mkv");
    film(&input);
    assert_eq!(captioned(&input), FRAMES);
    for (name, codec, kept) in [
        ("out.mkv", "h264", FRAMES),
        ("out.mp4", "h265", FRAMES),
        ("out.mkv", "h265", FRAMES),
        ("out.webm", "vp9", 0),
    ] {
        for segments in [&[][..], &["--segment", "1"]] {
            let output = folder.path().join(name);
            let more = ["--codec", codec, "--force"];
            let done = upscale(&input, &output, &more).args(segments).output().unwrap();
            assert!(done.status.success(), "{}", text(&done));
            assert_eq!(captioned(&output), kept, "{name}, {codec}, {segments:?}");
            let is_said = text(&done).contains("captions are not in the output");
            assert_eq!(is_said, kept == 0, "{name}, {codec}, {segments:?}: {}", text(&done));
        }
    }
}
