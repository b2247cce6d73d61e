//! Reuse and frames in flight on the GPU.

use std::sync::Arc;

use gstupscale::{
    cuda::Device,
    frame::{Channels, Rect},
    upscaler::{FrameParams, FrameReport, Next, Reuse},
};
use proptest::prelude::*;

use super::{
    blur::Blur,
    emulator::{Count, Emulator},
    frame::{self, Frame},
    model::DeviceBlur,
    stream::{MODEL_ONLY, Stream, format, paint, settings},
};

const EXACT: FrameParams = FrameParams { reuse: Reuse::Exact, ..MODEL_ONLY };
const TOLERANT: Reuse = Reuse::Tolerant { tolerance: 2, refresh: 250 };

fn change() -> impl Strategy<Value = (usize, Rect, u32)> {
    let side = prop_oneof![Just(1u32), 2u32..40, Just(500)];
    (0usize..3, 0u32..130, 0u32..100, side.clone(), side, 0u32..255).prop_map(
        |(component, x, y, width, height, code)| (component, Rect::new(x, y, width, height), code),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    // With any order of independent work, and several frames in flight.
    #[test]
    fn exact_reuse_with_frames_in_flight_equals_the_cpu_without_reuse(
        seed in any::<u64>(),
        depth in 1usize..4,
        name in prop::sample::select(vec!["I420", "NV12", "Y42B", "RGB", "GRAY8", "P010_10LE", "RGBA"]),
        luma in any::<bool>(),
        size in prop::sample::select(vec![(130u32, 98u32), (131, 97), (64, 64), (33, 101)]),
        // Per mille of the input's size: the model's factor, other factors, reduction.
        scale in prop::sample::select(vec![2000u32, 3000, 1500, 700]),
        align in prop::sample::select(vec![1u32, 2]),
        steps in prop::collection::vec(
            (prop::collection::vec(change(), 0..3), 0usize..5, 0usize..6, 0usize..12), 1..9,
        ),
    ) {
        let Some(emulator) = Emulator::get() else { return Ok(()) };
        emulator.set_seed(seed);
        let device = Device::open(0).unwrap();
        let info = frame::info(format(name), size.0, size.1);
        let channels = if luma { Channels::Luma } else { Channels::Rgb };
        let large = (size.0 * scale / 1000, size.1 * scale / 1000);
        let model = DeviceBlur::new(&device, channels, align);
        let gpu = Stream::try_on_gpu(&device, model, info, large, settings()).unwrap();
        let mut gpu = gpu.with_depth(depth);
        let mut cpu = Stream::on_cpu(Blur::new(channels, 2, align), info, large);
        let mut input = Frame::new(info, 3).noisy(9);
        let components = info.format.layout().components.len();
        let mut expected = vec![];
        for (number, (changes, how, reuse, seam)) in steps.iter().enumerate() {
            for &(component, rect, code) in changes {
                paint(&mut input, component % components, rect, code);
            }
            match seam {
                0 => gpu.upscaler().reset(),
                1 => {
                    gpu.drain().unwrap();
                    gpu.upscaler().abort();
                }
                _ => {}
            }
            let reuse = match reuse {
                0 => Reuse::Off,
                // May differ; an exact frame after it must not.
                1 => TOLERANT,
                _ => Reuse::Exact,
            };
            let blend = [1.0, 1.0, 1.0, 0.5, 0.0][*how];
            let params = FrameParams { blend, grain: 0.0, number: number as u64, reuse };
            gpu.submit(&input, &params).unwrap();
            expected.push((reuse, cpu.push(&input, FrameParams { reuse: Reuse::Off, ..params }).0));
        }
        gpu.drain().unwrap();
        prop_assert_eq!(gpu.done.len(), expected.len());
        for ((got, _), (reuse, expected)) in gpu.done.iter().zip(&expected) {
            prop_assert!(*reuse == TOLERANT || got.samples() == expected.samples());
        }
        drop((gpu, device));
        emulator.assert_clean();
    }
}

/// A stream of 640×360 frames both of whose slots are filled, and its last frame.
fn settled(device: &std::sync::Arc<Device>, params: FrameParams) -> (Stream, Frame) {
    let info = frame::info(format("NV12"), 640, 360);
    let model = DeviceBlur::new(device, Channels::Rgb, 1);
    let mut stream = Stream::on_gpu(device, model, info, (1280, 720));
    let mut input = Frame::new(info, 0).filled(|_, x, y| (x / 7 + y / 5) as u32 % 200);
    let (_, report) = stream.push(&input, params);
    assert_eq!(report.unwrap().pixels, 640 * 360);
    // Another change fills the second slot.
    paint(&mut input, 0, Rect::new(9, 9, 1, 1), 255);
    stream.push(&input, params);
    (stream, input)
}

#[test]
fn for_a_small_change_little_is_computed_and_downloaded() {
    let Some(emulator) = Emulator::get() else { return };
    let device = Device::open(0).unwrap();
    let (mut stream, mut input) = settled(&device, EXACT);
    let before = emulator.count(Count::Downloaded);
    paint(&mut input, 0, Rect::new(300, 200, 1, 1), 255);
    let (_, report) = stream.push(&input, EXACT);
    let report = report.unwrap();
    assert!(report.pixels > 0 && report.pixels < 640 * 360 / 50, "{report:?}");
    let bytes = emulator.count(Count::Downloaded) - before;
    assert!(bytes > 0 && bytes < 1280 * 720 / 10, "{bytes} bytes");
}

#[test]
fn exact_reuse_computes_no_regions_if_the_engine_rounds_large_pictures_differently() {
    let Some(_emulator) = Emulator::get() else { return };
    let device = Device::open(0).unwrap();
    let info = frame::info(format("GRAY8"), 640, 360);
    for (rounds_above, whole) in [(u32::MAX, false), (256, true)] {
        let model = DeviceBlur { rounds_above, ..DeviceBlur::new(&device, Channels::Luma, 1) };
        let mut stream = Stream::on_gpu(&device, model, info, (1280, 720));
        let mut input = Frame::new(info, 0).noisy(4);
        for (number, x) in [100, 200, 300].into_iter().enumerate() {
            paint(&mut input, 0, Rect::new(x, 90, 4, 4), 255);
            let pixels = stream.push(&input, EXACT).1.unwrap().pixels;
            assert!(number == 0 || (pixels == 640 * 360) == whole, "{rounds_above}: {pixels}");
        }
    }
}

#[test]
fn an_engine_with_one_size_of_regions_runs_that_size_and_whole_frames_only() {
    let Some(emulator) = Emulator::get() else { return };
    let device = Device::open(0).unwrap();
    for (name, channels, align) in
        [("NV12", Channels::Rgb, 1), ("GRAY8", Channels::Luma, 2), ("RGB", Channels::Rgb, 4)]
    {
        let info = frame::info(format(name), 400, 301);
        let model =
            DeviceBlur { tile: Some((64, 48)), ..DeviceBlur::new(&device, channels, align) };
        let runs = model.runs.clone();
        let mut gpu = Stream::on_gpu(&device, model, info, (800, 602));
        let mut cpu = Stream::on_cpu(Blur::new(channels, 2, align), info, (800, 602));
        let mut input = Frame::new(info, 0).noisy(6);
        let mut regions = 0;
        for (x, y) in [(0, 0), (0, 0), (399, 300), (200, 150), (61, 45), (390, 2), (5, 290)] {
            paint(&mut input, 0, Rect::new(x, y, 3, 3), 255);
            paint(&mut input, 0, Rect::new(x / 2, y / 2, 2, 2), x / 2);
            let (reused, report) = gpu.push(&input, EXACT);
            let (computed, _) = cpu.push(&input, MODEL_ONLY);
            assert!(reused.samples() == computed.samples(), "{name} at {x}, {y}");
            regions += u32::from(report.is_some_and(|report| report.pixels < 400 * 301));
        }
        assert!(regions >= 5, "{regions} frames by regions");
        let whole = (400u32.next_multiple_of(align), 301u32.next_multiple_of(align));
        for (count, width, height) in runs.lock().unwrap().iter() {
            let size = (*width, *height);
            assert!(size == (64, 48) || size == whole && *count == 1, "{count} of {size:?}");
        }
    }
    drop(device);
    emulator.assert_clean();
}

#[test]
fn a_duplicate_frame_costs_one_comparison_and_can_still_be_finished() {
    let Some(emulator) = Emulator::get() else { return };
    let device = Device::open(0).unwrap();
    let (mut stream, input) = settled(&device, EXACT);
    let (last, _) = stream.push(&input, EXACT);
    let before = emulator.count(Count::Launches);
    let upscaler = stream.upscaler();
    upscaler.submit(&input.read(), &EXACT).unwrap();
    assert_eq!(upscaler.next().unwrap(), Some(Next::Same));
    let mut output = Frame::new(last.info, 8);
    upscaler.finish(None, &mut output.write()).unwrap();
    assert!(output == last);
    assert_eq!(emulator.count(Count::Launches) - before, 1);
}

#[test]
fn distant_changes_are_processed_in_one_batch() {
    let Some(_emulator) = Emulator::get() else { return };
    let device = Device::open(0).unwrap();
    let info = frame::info(format("GRAY8"), 640, 360);
    let model = DeviceBlur::new(&device, Channels::Luma, 1);
    let runs = model.runs.clone();
    let mut stream = Stream::on_gpu(&device, model, info, (1280, 720));
    let mut input = Frame::new(info, 0).filled(|_, x, y| (x / 7 + y / 5) as u32 % 200);
    stream.push(&input, EXACT);
    for turn in 0..2 {
        for (x, y) in [(40, 40), (600, 40), (40, 320), (600, 320)] {
            paint(&mut input, 0, Rect::new(x, y, 1, 1), 250 + turn);
        }
        runs.lock().unwrap().clear();
        assert_eq!(stream.push(&input, EXACT).1.unwrap().regions, 4);
    }
    let runs = runs.lock().unwrap();
    assert_eq!(runs.len(), 1, "{runs:?}");
    assert_eq!(runs[0].0, 4);
}

/// The report on a small change of `component`, the second of two, whose outputs are compared with
/// those of the CPU without reuse.
fn report_of_change(
    device: &Arc<Device>,
    name: &str,
    channels: Channels,
    component: usize,
    reuse: Reuse,
) -> FrameReport {
    let info = frame::info(format(name), 320, 240);
    let model = DeviceBlur::new(device, channels, 1);
    let mut gpu = Stream::on_gpu(device, model, info, (640, 480));
    let mut cpu = Stream::on_cpu(Blur::new(channels, 2, 1), info, (640, 480));
    let mut input = Frame::new(info, 0).noisy(3);
    let params = FrameParams { reuse, ..MODEL_ONLY };
    gpu.push(&input, params);
    let mut last = None;
    for x in [100, 200] {
        paint(&mut input, component, Rect::new(x, 90, 20, 13), 200);
        let (reused, report) = gpu.push(&input, params);
        let (computed, _) = cpu.push(&input, MODEL_ONLY);
        assert!(reused.samples() == computed.samples(), "{name} {channels:?} {component}");
        last = report;
    }
    last.unwrap()
}

#[test]
fn changes_of_planes_that_bypass_the_model_compute_no_regions() {
    let Some(_emulator) = Emulator::get() else { return };
    let device = Device::open(0).unwrap();
    for (name, channels, component) in [
        ("I420", Channels::Luma, 1),
        ("NV12", Channels::Luma, 2),
        ("P010_10LE", Channels::Luma, 2),
        ("A420", Channels::Rgb, 3),
        ("RGBA", Channels::Rgb, 3),
        ("RGBA", Channels::Luma, 3),
    ] {
        let report = report_of_change(&device, name, channels, component, Reuse::Exact);
        assert_eq!((report.pixels, report.regions), (0, 0), "{name} {channels:?} {component}");
    }
    for (name, channels, component) in
        [("I420", Channels::Luma, 0), ("I420", Channels::Rgb, 1), ("RGBA", Channels::Luma, 2)]
    {
        let report = report_of_change(&device, name, channels, component, Reuse::Exact);
        assert!(report.pixels > 0, "{name} {channels:?} {component}");
    }
    // With a tolerance, a plane that the model reads in part is compared as a whole.
    let exactly = Reuse::Tolerant { tolerance: 0, refresh: 250 };
    assert_eq!(report_of_change(&device, "NV12", Channels::Luma, 1, exactly).pixels, 0);
    assert!(report_of_change(&device, "RGBA", Channels::Rgb, 3, exactly).pixels > 0);
}

#[test]
fn only_what_changed_is_unpacked() {
    let Some(emulator) = Emulator::get() else { return };
    let device = Device::open(0).unwrap();
    for (name, channels, blend) in
        [("NV12", Channels::Rgb, 1.0), ("NV12", Channels::Rgb, 0.5), ("I420", Channels::Luma, 1.0)]
    {
        let info = frame::info(format(name), 640, 360);
        let model = DeviceBlur::new(&device, channels, 1);
        let mut gpu = Stream::on_gpu(&device, model, info, (1280, 720));
        let mut cpu = Stream::on_cpu(Blur::new(channels, 2, 1), info, (1280, 720));
        let mut input = Frame::new(info, 0).noisy(5);
        let mut threads = vec![];
        for x in [0, 300, 310, 320] {
            paint(&mut input, 0, Rect::new(x, 200, 2, 2), 255);
            paint(&mut input, 1, Rect::new(x + 40, 200, 2, 2), 255);
            let before = emulator.count(Count::UnpackingThreads);
            let params = FrameParams { blend, ..EXACT };
            let (reused, _) = gpu.push(&input, params);
            threads.push(emulator.count(Count::UnpackingThreads) - before);
            let (computed, _) = cpu.push(&input, FrameParams { reuse: Reuse::Off, ..params });
            assert!(reused.samples() == computed.samples(), "{name} {channels:?} at {x}");
        }
        let [whole, parts @ ..] = &threads[..] else { panic!("no frames") };
        for part in parts {
            assert!(*part > 0 && part * 8 < *whole, "{name} {channels:?}: {threads:?}");
        }
    }
}

#[test]
fn a_slow_fade_does_not_stall_in_tolerant_mode() {
    let Some(_emulator) = Emulator::get() else { return };
    let device = Device::open(0).unwrap();
    let info = frame::info(format("GRAY8"), 64, 48);
    let model = DeviceBlur::new(&device, Channels::Luma, 1);
    let mut gpu = Stream::on_gpu(&device, model, info, (128, 96)).with_depth(2);
    let mut cpu = Stream::on_cpu(Blur::new(Channels::Luma, 2, 1), info, (128, 96));
    let mut expected = vec![];
    for level in 60..156 {
        let input = Frame::new(info, 0).filled(|_, _, _| level);
        gpu.submit(&input, &FrameParams { reuse: TOLERANT, ..MODEL_ONLY }).unwrap();
        expected.push(cpu.push(&input, MODEL_ONLY).0);
    }
    gpu.drain().unwrap();
    for (level, ((got, _), expected)) in gpu.done.iter().zip(&expected).enumerate() {
        let pairs = got.samples().into_iter().zip(expected.samples());
        let mean = pairs.map(|(a, b)| f64::from(a.abs_diff(b))).sum::<f64>() / (128.0 * 96.0);
        assert!(mean <= 2.0, "off by {mean} at frame {level}");
    }
}
