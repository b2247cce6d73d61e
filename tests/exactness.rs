//! Real footage through real models: reused output equals computed output, byte for byte.

use std::{fs, path::Path};

mod common;

/// Compares what comes out with and without reuse, for the very same frames.
#[track_caller]
fn reuse_is_exact(clip: &str, before: &str, count: u32, properties: &str) {
    let Some(data) = common::test_data() else { return };
    let properties = properties.replace("DATA", &data.display().to_string());
    let files = ["off", "exact"].map(|reuse| {
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{clip}-{count}-{reuse}.raw"))
    });
    let branch = |reuse: &str, file: &Path| {
        format!(
            "t. ! queue ! upscale backend=cpu precision=fp32 reuse={reuse} {properties} \
             ! filesink location={}",
            file.display()
        )
    };
    let description = format!(
        "filesrc location={}/video/{clip} ! decodebin ! video/x-raw ! {before} \
         identity eos-after={count} ! tee name=t {} {}",
        data.display(),
        branch("off", &files[0]),
        branch("exact", &files[1]),
    );
    if !common::run(&description) {
        return;
    }
    let [computed, reused] = files.map(|file| {
        let bytes = fs::read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        bytes
    });
    assert!(!computed.is_empty());
    assert_eq!(computed.len(), reused.len(), "{clip}");
    let differs = computed.iter().zip(&reused).position(|(a, b)| a != b);
    assert_eq!(differs, None, "{clip}");
}

const CLIPS: [(&str, &str); 7] = [
    ("near_static_180p.mp4", ""),
    ("carphone_qcif.mp4", ""),
    ("pattern_480p.mkv", ""),
    ("pattern_480i_tff_ac3.mkv", "deinterlace !"),
    ("popeye_480p_subtitles.mkv", ""),
    ("bbb_720p.mp4", ""),
    ("popeye_1080p_subtitles.mkv", ""),
];

#[test]
fn the_built_in_model_over_every_clip() {
    for (clip, before) in CLIPS {
        reuse_is_exact(clip, before, 6, "");
    }
}

#[test]
fn an_rgb_model_over_small_footage() {
    for clip in ["near_static_180p.mp4", "pattern_480p.mkv"] {
        let small = "videoscale ! video/x-raw,width=160,height=120 !";
        let model = "model=DATA/weights/realesr-animevideov3.onnx";
        reuse_is_exact(clip, small, 12, model);
    }
}
