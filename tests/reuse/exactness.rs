//! Exact reuse on real footage with real models: the output equals the output without reuse, byte
//! for byte.

use crate::common;
use std::time::Instant;

use crate::common::footage::{
    CLIPS, Footage, Pair, SMALL, narrow_model, wanted_clips, wanted_frames,
};

const OFF_AND_EXACT: [&str; 2] = ["reuse=off", "reuse=exact"];

/// Compares the output with reuse and without reuse for the same frames.
#[track_caller]
fn reuse_is_exact(clip: &str, elements: &str, count: usize, properties: &str) {
    let Some(data) = common::test_data() else { return };
    let properties = properties.replace("DATA", &data.display().to_string());
    let start = Instant::now();
    let mut pair = Pair::new(OFF_AND_EXACT, &properties);
    let mut number = 0;
    let mut check = |_: &_, [computed, reused]: [&[u8]; 2]| {
        assert!(computed == reused, "{clip}: frame {number} differs ({properties})");
        number += 1;
        if number % 100 == 0 {
            eprintln!("{clip}: {number} frames equal so far");
        }
    };
    let frames = Footage::open(&data.join("video").join(clip), elements).take(count);
    if !pair.push(frames, &mut check) {
        return;
    }
    pair.finish(&mut check);
    assert!(number > 0);
    eprintln!(
        "{clip}: {number} frames equal, {:.3} of the pixels computed, {:.0?} ({properties})",
        pair.0[1].pixels_share(),
        start.elapsed(),
    );
}

const CPU: &str = "backend=cpu precision=fp32";

#[test]
fn reuse_is_exact_with_the_built_in_model_on_every_clip() {
    for (clip, elements) in CLIPS {
        reuse_is_exact(clip, elements, 6, CPU);
    }
}

#[test]
fn reuse_is_exact_with_an_rgb_model_on_small_footage() {
    for clip in ["near_static_180p.mp4", "pattern_480p.mkv"] {
        let model = "model=DATA/weights/realesr-animevideov3.onnx";
        reuse_is_exact(clip, SMALL, 12, &format!("{CPU} {model}"));
    }
}

#[test]
fn reuse_is_exact_with_a_narrow_rgb_model_at_full_size() {
    for (clip, elements) in &CLIPS[..3] {
        let model = narrow_model();
        reuse_is_exact(clip, elements, 8, &format!("{CPU} model={}", model.display()));
    }
}

#[test]
fn reuse_by_layers_is_exact_with_the_native_engine_on_real_footage() {
    for (clip, elements) in &CLIPS[..4] {
        let model = narrow_model();
        let model = model.display();
        let properties = format!("backend=native precision=fp32 model={model}");
        reuse_is_exact(clip, elements, 6, &properties);
        reuse_is_exact(clip, elements, 6, "backend=native precision=int16 model=builtin");
    }
}

#[test]
fn reuse_is_exact_across_seeks_and_changes_of_caps_and_model() {
    for engine in [CPU, "backend=native precision=fp32"] {
        reuse_is_exact_across_changes(engine);
    }
}

#[track_caller]
fn reuse_is_exact_across_changes(engine: &str) {
    let Some(data) = common::test_data() else { return };
    let frames = |clip: &str, from, count| -> Vec<_> {
        Footage::open(&data.join("video").join(clip), "").skip(from).take(count).collect()
    };
    let (still, later) = (frames(CLIPS[0].0, 0, 4), frames(CLIPS[0].0, 40, 4));
    let small = frames(CLIPS[1].0, 0, 4);
    let narrow = narrow_model().display().to_string();
    let mut compared = 0;
    let mut check = |_: &_, [computed, reused]: [&[u8]; 2]| {
        assert!(computed == reused, "frame {compared} differs");
        compared += 1;
    };
    let mut pair = Pair::new(OFF_AND_EXACT, &format!("{engine} model={narrow}"));
    if !pair.push(still.clone(), &mut check) {
        return;
    }
    pair.0.iter_mut().for_each(|element| element.seek());
    pair.push(later.clone(), &mut check);
    pair.push(small.clone(), &mut check);
    pair.push(still.clone(), &mut check);
    for (model, frames) in [("builtin", &still), (narrow.as_str(), &later), ("builtin", &small)] {
        pair.0.iter_mut().for_each(|element| element.set_model(model));
        pair.push(frames.clone(), &mut check);
        pair.0.iter_mut().for_each(|element| element.seek());
        pair.push(frames.clone(), &mut check);
    }
    pair.finish(&mut check);
    assert!(compared >= 30, "{compared}");
    assert!(pair.0[1].pixels_share() < 1.0, "nothing was reused");
}

#[test]
#[ignore = "takes hours"]
fn reuse_is_exact_with_a_narrow_rgb_model_on_every_frame_of_every_clip() {
    for (clip, elements) in wanted_clips() {
        let model = narrow_model();
        reuse_is_exact(
            clip,
            elements,
            wanted_frames(),
            &format!("{CPU} model={}", model.display()),
        );
    }
}

#[test]
#[ignore = "takes minutes"]
fn reuse_by_layers_is_exact_with_the_built_in_model_on_every_clip() {
    for (clip, elements) in wanted_clips() {
        for precision in ["fp32", "int16"] {
            let properties = format!("backend=native precision={precision} model=builtin");
            reuse_is_exact(clip, elements, wanted_frames(), &properties);
        }
    }
}

#[test]
#[ignore = "takes hours"]
fn reuse_by_layers_is_exact_with_an_rgb_model_on_every_small_clip() {
    for (clip, elements) in wanted_clips() {
        for precision in ["fp32", "int16"] {
            let model = "model=DATA/weights/realesr-animevideov3.onnx";
            let properties = format!("backend=native precision={precision} {model}");
            let elements = format!("{elements} {SMALL}");
            reuse_is_exact(clip, &elements, wanted_frames(), &properties);
        }
    }
}

#[test]
#[ignore = "takes minutes"]
fn reuse_is_exact_with_an_rgb_model_on_forty_small_frames_of_every_clip() {
    for (clip, elements) in wanted_clips() {
        for engine in [
            CPU,
            "backend=native precision=fp32",
            "backend=openvino precision=fp32",
            "backend=openvino precision=bf16",
        ] {
            let model = "model=DATA/weights/realesr-animevideov3.onnx";
            let elements = format!("{elements} {SMALL}");
            reuse_is_exact(clip, &elements, 40, &format!("{engine} {model}"));
        }
    }
}

#[test]
fn tile_size_and_memory_limit_change_no_byte_on_the_native_engine() {
    let Some(data) = common::test_data() else { return };
    // The model needs even sides: the second size is padded. Its rows have no bytes of padding.
    let odd = "! videoconvert ! videoscale ! video/x-raw,format=GRAY8,width=162,height=91";
    for size in ["", odd] {
        for limit in ["tile-size=64", "memory-limit=3000000", "tile-size=48 halo=4"] {
            for reuse in ["off", "exact"] {
                let properties =
                    format!("backend=native precision=fp32 model=builtin reuse={reuse}");
                let mut pair = Pair::new(["tile-size=0", limit], &properties);
                let mut frames = 0;
                let mut check = |_: &_, [whole, limited]: [&[u8]; 2]| {
                    assert!(whole == limited, "frame {frames} differs ({limit}, {reuse}, {size})");
                    frames += 1;
                };
                let clip = data.join("video/near_static_180p.mp4");
                assert!(pair.push(Footage::open(&clip, size).take(3), &mut check));
                pair.finish(&mut check);
                assert_eq!(frames, 3);
            }
        }
    }
}
