//! `gst-upscale upscale`: codecs and encoders.

use std::path::{Path, PathBuf};

use crate::{
    ffmpeg::{PICTURE, TONE, make, stream},
    media::pictures,
    program::{text, upscale},
};

/// Three seconds with sound and the colour of HD.
fn film(folder: &Path) -> Option<PathBuf> {
    let film = format!(
        "{PICTURE} {TONE} -t 3 -c:v libx264 -g 25 -pix_fmt yuv420p -c:a flac -color_range tv \
         -colorspace bt709 -color_trc bt709 -color_primaries bt709"
    );
    make(folder, "in.mkv", &film)
}

/// In one pipeline, and in segments.
const METHODS: [&str; 2] = ["12", "1"];

#[test]
fn every_codec_is_written_with_all_frames_and_its_colour_in_one_piece_and_in_segments() {
    let folder = tempfile::tempdir().unwrap();
    let Some(input) = film(folder.path()) else { return };
    gst::init().unwrap();
    for (extension, codec, element) in [
        ("mp4", "av1", "av1enc"),
        ("mkv", "av1", "av1enc"),
        ("webm", "av1", "av1enc"),
        ("mov", "prores", "avenc_prores_ks"),
        ("mkv", "prores", "avenc_prores_ks"),
        ("mkv", "vp9", "vp9enc"),
    ] {
        if gst::ElementFactory::find(element).is_none() {
            eprintln!("skipped: there is no {element}");
            continue;
        }
        for segment in METHODS {
            let output = folder.path().join(format!("out.{extension}"));
            let options = ["--codec", codec, "--segment", segment, "--force"];
            let done = upscale(&input, &output, &options).output().unwrap();
            let case = format!("{codec} in {extension}, segments of {segment} s");
            assert!(done.status.success(), "{case}: {}", text(&done));
            let video = stream(&output, "video");
            assert_eq!((video.codec.as_str(), video.size), (codec, (192, 128)), "{case}");
            assert_eq!(video.colour, ["tv", "bt709", "bt709", "bt709"], "{case}");
            assert_eq!(video.times.len(), 75, "{case}");
            assert!(video.times[0] == 0.0 && video.times.is_sorted(), "{case}: {:?}", video.times);
            assert!((stream(&output, "audio").duration() - 3.0).abs() < 0.1, "{case}");
        }
    }
}

#[test]
fn an_encoder_can_be_named_and_must_fit() {
    let folder = tempfile::tempdir().unwrap();
    let Some(input) = film(folder.path()) else { return };
    let output = folder.path().join("out.mp4");
    gst::init().unwrap();
    if gst::ElementFactory::find("openh264enc").is_some() {
        for segment in METHODS {
            let options = ["--encoder", "openh264enc", "--segment", segment, "--force"];
            let done = upscale(&input, &output, &options).output().unwrap();
            assert!(done.status.success(), "{}", text(&done));
            assert_eq!(pictures(&output).len(), 75);
        }
    }
    for (options, part) in [
        (["--encoder", "nvh999enc"], "nvh999enc is not available"),
        (["--encoder", "theoraenc"], "is not an encoder of"),
        (["--encoder", "vp9enc"], "cannot hold vp9"),
        (["--encoder=x264enc", "--codec=h265"], "does not encode h265"),
    ] {
        let done = upscale(&input, &output, &options).output().unwrap();
        assert_eq!(done.status.code(), Some(1), "{options:?}: {}", text(&done));
        assert!(text(&done).contains(part), "{options:?}: {}", text(&done));
    }
}
