//! The programs in `examples/` do what they promise.

use std::{error::Error, path::Path};

use gst::prelude::*;
use gstupscale::engine;

use crate::common;

#[path = "../../examples/appsrc.rs"]
#[allow(dead_code)]
mod appsrc;
#[path = "../../examples/enlarge_picture.rs"]
#[allow(dead_code)]
mod enlarge_picture;
#[path = "../../examples/live_camera.rs"]
#[allow(dead_code)]
mod live_camera;
#[path = "../../examples/player.rs"]
#[allow(dead_code)]
mod player;

/// The result of an example; `None`, with a message, if ONNX Runtime is not installed.
#[track_caller]
fn unless_skipped<T>(result: Result<T, Box<dyn Error>>) -> Option<T> {
    let error = match result {
        Ok(value) => return Some(value),
        Err(error) => error,
    };
    let kind = error.downcast_ref::<glib::Error>().and_then(glib::Error::kind);
    let library_error = error.downcast_ref::<engine::Error>();
    let is_missing = kind == Some(gst::LibraryError::Init)
        || matches!(library_error, Some(engine::Error::NoLibrary { .. }));
    assert!(is_missing, "{error}");
    eprintln!("skipped: {error}");
    None
}

#[test]
fn the_appsrc_example_enlarges_every_frame() {
    // The rows of neither size are multiples of four bytes, which GStreamer pads them to.
    let input: Vec<u8> = (0..3 * 13 * 7 * 3).map(|at| (at * 37 % 251) as u8).collect();
    let mut output = Vec::new();
    let size = appsrc::enlarge(13, 7, &input[..], &mut output);
    let Some((width, height)) = unless_skipped(size) else { return };
    assert_eq!((width, height), (26, 14), "the built-in model enlarges by 2");
    assert_eq!(output.len(), 3 * 26 * 14 * 3);
}

#[test]
fn the_enlarge_picture_example_enlarges_a_picture() {
    let small = image::RgbImage::from_fn(32, 16, |x, _| image::Rgb([x as u8 * 8; 3]));
    let Some(large) = unless_skipped(enlarge_picture::enlarge("builtin", &small)) else { return };
    assert_eq!(large.dimensions(), (64, 32));
    let brightness = [8, 32, 56].map(|x| large.get_pixel(x, 16).0[1]);
    assert!(brightness.is_sorted() && brightness[0] + 100 < brightness[2], "{brightness:?}");
}

#[test]
fn the_live_camera_example_shows_frames() {
    let source = "videotestsrc is-live=true num-buffers=5 ! video/x-raw,width=32,height=16";
    let Some(frames) = unless_skipped(live_camera::show(source, "fakesink")) else { return };
    assert!((1..=5).contains(&frames), "{frames} frames");
}

#[test]
fn the_player_example_plays_a_file() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("player.mkv");
    let written = common::run(&format!(
        "videotestsrc num-buffers=10 ! video/x-raw,format=I420,width=32,height=16,framerate=25/1 \
         ! matroskamux ! filesink location={}",
        file.display()
    ));
    assert!(written);
    let playbin = gst::ElementFactory::make("playbin").build().unwrap();
    playbin.set_property("uri", glib::filename_to_uri(file, None).unwrap());
    playbin.set_property("video-sink", gst::ElementFactory::make("fakesink").build().unwrap());
    unless_skipped(player::play(&playbin, vec!["builtin".into()]));
}

#[test]
fn the_keys_of_the_player_example_change_the_picture_and_the_model() {
    crate::bench::init();
    let make = |name: &str| gst::ElementFactory::make(name).build().unwrap();
    let (playbin, upscale) = (make("playbin"), make("upscalebin"));
    playbin.set_property("video-filter", &upscale);
    let models = ["builtin".to_owned(), "other".to_owned()];
    let press = |key| player::press(&playbin, &models, key).unwrap_or_default();
    assert_eq!(["b", "b", "o"].map(press), ["bypass: on", "bypass: off", "overlay: on"]);
    assert!(!upscale.property::<bool>("bypass") && upscale.property::<bool>("overlay"));
    assert_eq!(["s", "s"].map(press), ["split: 0.5", "split: 0"]);
    assert_eq!(["m", "m"].map(press), ["model: other", "model: builtin"]);
    assert_eq!(upscale.property::<String>("model"), "builtin");
    assert_eq!(press("x"), "", "no key of the player");
}
