//! Tolerant reuse with real models: every frame is close to the output without reuse.

use crate::common;
use crate::common::footage::{CLIPS, Footage, Pair, SMALL, wanted_clips, wanted_frames};
use gst_video::VideoInfo;

const OFF_AND_TOLERANT: [&str; 2] = ["reuse=off", "reuse=tolerant"];
const CPU: &str = "backend=cpu precision=fp32";

/// The sum of the squared differences of luma, and the number of samples.
fn squares(info: &VideoInfo, [computed, reused]: [&[u8]; 2]) -> (f64, f64) {
    let (width, height) = (info.width() as usize, info.height() as usize);
    let stride = info.stride()[0] as usize;
    let rows = computed.chunks(stride).zip(reused.chunks(stride)).take(height);
    let sum: u64 = rows
        .flat_map(|(a, b)| a[..width].iter().zip(&b[..width]))
        .map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2))
        .sum();
    (sum as f64, (width * height) as f64)
}

fn decibels((sum, count): (f64, f64)) -> f64 {
    10.0 * (255.0f64.powi(2) * count / sum).log10()
}

/// Compares the output of tolerant reuse with the output without reuse.
#[track_caller]
fn stays_close(clip: &str, elements: &str, count: usize, properties: &str) {
    stays_within(46.0, clip, elements, count, properties);
}

#[track_caller]
fn stays_within(least: f64, clip: &str, elements: &str, count: usize, properties: &str) {
    let Some(data) = common::test_data() else { return };
    let properties = properties.replace("DATA", &data.display().to_string());
    let mut pair = Pair::new(OFF_AND_TOLERANT, &properties);
    let (mut all, mut worst, mut frames) = ((0.0, 0.0), f64::INFINITY, 0);
    let mut check = |info: &VideoInfo, outputs: [&[u8]; 2]| {
        let frame = squares(info, outputs);
        all = (all.0 + frame.0, all.1 + frame.1);
        worst = worst.min(decibels(frame));
        frames += 1;
    };
    let footage = Footage::open(&data.join("video").join(clip), elements).take(count);
    if !pair.push(footage, &mut check) {
        return;
    }
    pair.finish(&mut check);
    let psnr = decibels(all);
    eprintln!(
        "{clip}: {psnr:.1} dB, {worst:.1} dB in the worst of {frames} frames, {:.3} of the pixels \
         computed ({properties})",
        pair.0[1].pixels_share(),
    );
    assert!(frames > 0 && psnr >= least, "{clip}: {psnr:.1} dB ({properties})");
}

#[test]
fn tolerant_reuse_stays_close_with_the_built_in_model_on_small_footage() {
    for (clip, elements) in &CLIPS[..3] {
        stays_close(clip, elements, 12, CPU);
    }
}

#[test]
#[ignore = "takes minutes"]
fn tolerant_reuse_stays_close_with_the_built_in_model_on_every_clip() {
    for (clip, elements) in wanted_clips() {
        stays_close(clip, elements, wanted_frames(), CPU);
    }
}

#[test]
#[ignore = "takes minutes"]
fn tolerant_reuse_stays_close_with_an_rgb_model_on_every_clip() {
    for (clip, elements) in wanted_clips() {
        let model = "model=DATA/weights/realesr-animevideov3.onnx";
        stays_close(clip, &format!("{elements} {SMALL}"), 40, &format!("{CPU} {model}"));
    }
}

#[test]
#[ignore = "takes hours"]
fn tolerant_reuse_by_layers_stays_close_on_every_small_clip() {
    for (clip, elements) in wanted_clips() {
        for precision in ["fp32", "int16"] {
            let model = "model=DATA/weights/realesr-animevideov3.onnx";
            let properties = format!("backend=native precision={precision} {model}");
            let elements = format!("{elements} {SMALL}");
            stays_within(50.0, clip, &elements, wanted_frames(), &properties);
        }
    }
}

#[test]
#[ignore = "takes minutes"]
fn tolerant_reuse_by_layers_stays_close_with_the_built_in_model_on_every_clip() {
    for (clip, elements) in wanted_clips() {
        let properties = "backend=native precision=fp32 model=builtin";
        stays_within(50.0, clip, elements, wanted_frames(), properties);
    }
}

#[test]
#[ignore = "takes minutes"]
fn tolerant_reuse_by_layers_does_not_drift_over_a_thousand_frames() {
    let Some(data) = common::test_data() else { return };
    let clip = data.join("video/near_static_180p.mp4");
    let frames: Vec<gst::Sample> = Footage::open(&clip, SMALL).take(250).collect();
    let model = data.join("weights/realesr-animevideov3.onnx");
    let properties = format!("backend=native precision=fp32 model={}", model.display());
    let mut pair = Pair::new(OFF_AND_TOLERANT, &properties);
    let mut each = Vec::new();
    let mut check = |info: &VideoInfo, outputs: [&[u8]; 2]| each.push(squares(info, outputs));
    // Forwards and backwards, so that no cut renews everything.
    let there_and_back = frames.iter().chain(frames.iter().rev()).cloned();
    if !pair.push(there_and_back.clone().chain(there_and_back), &mut check) {
        return;
    }
    pair.finish(&mut check);
    assert_eq!(each.len(), 1000);
    let sum = |frames: &[(f64, f64)]| {
        decibels(frames.iter().fold((0.0, 0.0), |all, one| (all.0 + one.0, all.1 + one.1)))
    };
    let turns: Vec<f64> = each.chunks(500).map(sum).collect();
    let worst = each.iter().copied().map(decibels).fold(f64::INFINITY, f64::min);
    eprintln!("{turns:.1?} dB in the two turns, {worst:.1} dB in the worst frame");
    assert!(turns[1] >= turns[0] - 1.0 && turns[1] >= 50.0, "{turns:?}");
}

/// Grey frames, each one level lighter than the one before.
fn fade() -> impl Iterator<Item = gst::Sample> {
    gst::init().unwrap();
    let caps: gst::Caps =
        "video/x-raw,format=RGB,width=64,height=48,framerate=25/1".parse().unwrap();
    (0..96u8).map(move |level| {
        let mut buffer = gst::Buffer::from_mut_slice(vec![60 + level; 64 * 48 * 3]);
        let time = gst::ClockTime::from_mseconds(40) * u64::from(level);
        buffer.get_mut().unwrap().set_pts(time);
        gst::Sample::builder().caps(&caps).buffer(&buffer).build()
    })
}

#[test]
fn tolerant_reuse_follows_a_slow_fade() {
    let mut pair = Pair::new(OFF_AND_TOLERANT, CPU);
    let mean_of = |a: &[u8], b: &[u8]| {
        let errors = a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b)));
        errors.sum::<f64>() / a.len() as f64
    };
    let mut before: Vec<Vec<u8>> = Vec::new();
    let mut check = |_: &VideoInfo, [computed, reused]: [&[u8]; 2]| {
        // Two levels of the input are two frames, and nearly two levels of the output, except for a
        // few samples at the border that are rounded the other way.
        let two = before.iter().nth_back(1).map_or(0.0, |before| mean_of(computed, before));
        let mean = mean_of(computed, reused);
        assert!(mean <= two.max(2.0), "frame {} is off by {mean} on average", before.len());
        before.push(computed.to_vec());
    };
    if !pair.push(fade(), &mut check) {
        return;
    }
    pair.finish(&mut check);
    assert_eq!(before.len(), 96);
    assert!(pair.0[1].pixels_share() < 0.9, "no frame was within the tolerance");
}
