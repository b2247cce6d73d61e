//! The same video in several pixel formats must give the same picture.

use crate::common;
use std::path::{Path, PathBuf};

const WIDTH: usize = 320;
const HEIGHT: usize = 180;
const FRAMES: usize = 2;

/// The luma of some enlarged frames of a video in `format`; `None` if ONNX Runtime is not
/// available.
#[track_caller]
fn luma(data: &Path, format: &str, factor: usize, properties: &str) -> Option<Vec<u8>> {
    let model = properties.split('/').next_back().unwrap_or_default().replace(' ', "-");
    let found: PathBuf =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{format}-{model}.nv12"));
    // videoconvert of GStreamer 1.22 is 2 to 3 steps too dark when it converts 4:2:0 to 8-bit RGB
    // directly.
    let deep = match format {
        "RGB" | "RGBA" => "videoconvert dither=none ! video/x-raw,format=ARGB64_LE !",
        _ => "",
    };
    // The file does not specify the colorimetry, which means BT.601 at this size.
    let description = format!(
        "filesrc location={}/video/bbb_720p.mp4 ! decodebin ! video/x-raw \
         ! videocrop left=300 right=660 top=200 bottom=340 ! identity eos-after={} \
         ! {deep} videoconvert dither=none ! video/x-raw,format={format} ! upscale {properties} \
         ! {deep} videoconvert dither=none ! video/x-raw,format=NV12,colorimetry=bt601 \
         ! filesink location={}",
        data.display(),
        FRAMES,
        found.display()
    );
    if !common::run(&description) {
        return None;
    }
    let bytes = std::fs::read(&found).unwrap();
    let size = WIDTH * factor * HEIGHT * factor;
    // One or two more frames may be written before the pipeline stops.
    let frames = bytes.chunks_exact(size * 3 / 2).take(FRAMES);
    assert_eq!(frames.len(), FRAMES, "{format}");
    Some(frames.flat_map(|frame| frame[..size].to_vec()).collect())
}

fn psnr(a: &[u8], b: &[u8]) -> f64 {
    let square = |(a, b): (&u8, &u8)| f64::from(a.abs_diff(*b)).powi(2);
    let mean = a.iter().zip(b).map(square).sum::<f64>() / a.len() as f64;
    10.0 * (255.0f64.powi(2) / mean.max(1e-9)).log10()
}

#[track_caller]
fn formats_agree(factor: usize, properties: &str) {
    let Some(data) = common::test_data() else { return };
    let properties = properties.replace("DATA", &data.display().to_string());
    let Some(expected) = luma(&data, "RGB", factor, &properties) else { return };
    for format in ["NV12", "I420_10LE", "RGBA"] {
        let found = luma(&data, format, factor, &properties).unwrap();
        let psnr = psnr(&found, &expected);
        eprintln!("{format} against RGB: {psnr:.1} dB");
        assert!(psnr >= 48.0, "{format}: {psnr:.1} dB");
    }
}

#[test]
fn an_rgb_model_gives_the_same_luma_in_every_format() {
    formats_agree(4, "precision=fp32 model=DATA/weights/realesr-animevideov3.onnx");
}

#[test]
fn the_built_in_model_gives_the_same_luma_in_every_format() {
    formats_agree(2, "precision=fp32");
}
