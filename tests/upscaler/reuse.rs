//! Reuse between frames: the same output, bit for bit, with less work.

use crate::common::blur::Blur;
use crate::common::frame;
use crate::common::frame::Frame;
use gstupscale::{
    frame::{Channels, FrameInfo, PixelFormat, Rect},
    model::Model,
    native::{Engine, Options},
    reuse::CostModel,
    upscaler::{
        CpuPipeline, EngineTraits, FrameParams, FrameReport, Next, Pipeline, Reuse, StreamSettings,
    },
};
use proptest::prelude::*;

const TOLERANT: Reuse = Reuse::Tolerant { tolerance: 2, refresh: 250 };

const SETTINGS: StreamSettings =
    StreamSettings { threads: 2, tile_size: 0, halo: None, memory_limit: None, fidelity: 0.0 };

/// A model whose regions equal the whole frame.
const EXACT_REGIONS: EngineTraits = EngineTraits { exact_regions: true, tolerant_halo: None };

/// What runs of the model cost: a run as much as a hundred pixels.
const COST: CostModel = CostModel { per_call: 100e-6, per_pixel: 1e-6, whole: 1.0 };

/// A stream that keeps its last output, as the element does.
struct Stream {
    upscaler: CpuPipeline,
    output: FrameInfo,
    last: Option<Frame>,
    frames: u64,
}

impl Stream {
    /// Plans regions with the cost that the pipeline measures.
    fn new(model: Blur, input: FrameInfo, (width, height): (u32, u32)) -> Self {
        Self::of(model, EXACT_REGIONS, input, FrameInfo { width, height, ..input })
    }

    /// Plans regions with [`COST`], so that the plans are the same on every machine.
    fn planned(
        model: Blur,
        input: FrameInfo,
        (width, height): (u32, u32),
        traits: EngineTraits,
    ) -> Self {
        let stream = Self::of(model, traits, input, FrameInfo { width, height, ..input });
        Self { upscaler: stream.upscaler.with_cost(COST), ..stream }
    }

    fn of(model: Blur, traits: EngineTraits, input: FrameInfo, output: FrameInfo) -> Self {
        Self::faithful(model, traits, input, output, 0.0)
    }

    /// A stream with this fidelity.
    fn faithful(
        model: Blur,
        traits: EngineTraits,
        input: FrameInfo,
        output: FrameInfo,
        fidelity: f32,
    ) -> Self {
        let settings = StreamSettings { fidelity, ..SETTINGS };
        let upscaler = CpuPipeline::new(Box::new(model), traits, input, output, settings).unwrap();
        Self { upscaler, output, last: None, frames: 0 }
    }

    /// The output for `input`, and its report; `None` if the last output was used again.
    #[track_caller]
    fn push(&mut self, input: &Frame, reuse: Reuse, blend: f32) -> (Frame, Option<FrameReport>) {
        let params = FrameParams { blend, grain: 0.0, number: self.frames, reuse };
        self.frames += 1;
        self.upscaler.submit(&input.read(), &params).unwrap();
        if self.upscaler.next().unwrap() == Some(Next::Same) {
            return (self.last.clone().unwrap(), None);
        }
        let mut output = Frame::new(self.output, 8);
        let last = self.last.as_ref().map(Frame::read);
        let report = self.upscaler.finish(last.as_ref(), &mut output.write()).unwrap();
        self.last = Some(output.clone());
        (output, Some(report))
    }
}

fn format(name: &str) -> PixelFormat {
    PixelFormat::from_name(name).unwrap()
}

/// Sets `component` of the pixels of `rect`.
fn paint(frame: &mut Frame, component: usize, rect: Rect, code: u32) {
    let [shift_x, shift_y] = frame.info.format.layout().subsampling_of(component);
    let (width, height) = frame.size(component);
    for y in (rect.y as usize >> shift_y)..(rect.bottom() as usize >> shift_y).min(height) {
        for x in (rect.x as usize >> shift_x)..(rect.right() as usize >> shift_x).min(width) {
            frame.set(component, x, y, code);
        }
    }
}

fn change() -> impl Strategy<Value = (usize, Rect, u32)> {
    let side = prop_oneof![Just(1u32), 2u32..40, Just(500)];
    (0usize..3, 0u32..130, 0u32..100, side.clone(), side, 0u32..255).prop_map(
        |(component, x, y, width, height, code)| (component, Rect::new(x, y, width, height), code),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn exact_reuse_equals_no_reuse_to_the_bit(
        name in prop::sample::select(vec!["I420", "NV12", "Y42B", "Y444", "RGB", "GRAY8", "P010_10LE", "RGBA"]),
        luma in any::<bool>(),
        size in prop::sample::select(vec![(130u32, 98u32), (131, 97), (64, 64), (33, 101)]),
        // Thousandths of the input's size: the model's factor, other factors, smaller.
        scale in prop::sample::select(vec![2000u32, 3000, 1500, 700]),
        align in prop::sample::select(vec![1u32, 2]),
        fidelity in prop::sample::select(vec![0.0f32, 0.5, 1.0]),
        frames in prop::collection::vec(prop::collection::vec(change(), 0..3), 1..7),
    ) {
        let info = frame::info(format(name), size.0, size.1);
        let channels = if luma { Channels::Luma } else { Channels::Rgb };
        let large = (size.0 * scale / 1000, size.1 * scale / 1000);
        let output = FrameInfo { width: large.0, height: large.1, ..info };
        let stream = || Stream::faithful(Blur::new(channels, 2, align), EXACT_REGIONS, info, output, fidelity);
        let (mut with, mut without) = (stream(), stream());
        let mut input = Frame::new(info, 3).noisy(9);
        let components = info.format.layout().components.len();
        for changes in std::iter::once(&Vec::new()).chain(&frames) {
            for &(component, rect, code) in changes {
                paint(&mut input, component % components, rect, code);
            }
            let (reused, _) = with.push(&input, Reuse::Exact, 1.0);
            let (computed, _) = without.push(&input, Reuse::Off, 1.0);
            prop_assert!(reused.samples() == computed.samples());
        }
    }

    #[test]
    fn whatever_changes_between_frames_exact_reuse_is_exact(
        steps in prop::collection::vec((change(), 0usize..4, 0usize..3, any::<bool>()), 2..9),
        fidelity in prop::sample::select(vec![0.0f32, 0.5, 1.0]),
    ) {
        let info = frame::info(format("NV12"), 100, 80);
        let output = FrameInfo { width: 200, height: 160, ..info };
        let stream = || Stream::faithful(Blur::new(Channels::Rgb, 2, 1), EXACT_REGIONS, info, output, fidelity);
        let (mut with, mut without) = (stream(), stream());
        let mut input = Frame::new(info, 0).noisy(4);
        for ((component, rect, code), blend, reuse, seek) in steps {
            paint(&mut input, component, rect, code);
            if seek {
                with.upscaler.abort();
            }
            // A tolerant frame may differ; an exact one after it must not.
            let reuse = [Reuse::Exact, Reuse::Off, TOLERANT][reuse];
            let blend = [1.0, 0.5, 0.0, 1.0][blend];
            let (reused, _) = with.push(&input, reuse, blend);
            let (computed, _) = without.push(&input, Reuse::Off, blend);
            if reuse != TOLERANT {
                prop_assert!(reused.samples() == computed.samples());
            }
        }
    }
}

/// A stream whose first frame has been computed, and that frame.
fn settled(reuse: Reuse, exact_regions: bool) -> (Stream, Frame) {
    let info = frame::info(format("NV12"), 640, 360);
    let traits = EngineTraits { exact_regions, tolerant_halo: None };
    let mut stream = Stream::planned(Blur::new(Channels::Rgb, 2, 1), info, (1280, 720), traits);
    let input = Frame::new(info, 0).filled(|_, x, y| (x / 7 + y / 5) as u32 % 200);
    let (_, report) = stream.push(&input, reuse, 1.0);
    assert_eq!(report.unwrap().pixels, 640 * 360);
    (stream, input)
}

#[test]
fn a_duplicate_frame_is_reported_and_needs_no_inference() {
    let (mut stream, input) = settled(Reuse::Exact, true);
    assert_eq!(stream.push(&input, Reuse::Exact, 1.0).1, None);
}

#[test]
fn only_the_surroundings_of_a_small_change_are_computed() {
    let (mut stream, mut input) = settled(Reuse::Exact, true);
    paint(&mut input, 0, Rect::new(300, 200, 1, 1), 255);
    let report = stream.push(&input, Reuse::Exact, 1.0).1.unwrap();
    assert!(report.pixels > 0 && report.pixels < 640 * 360 / 50, "{report:?}");
}

#[test]
fn without_memory_for_features_only_what_a_change_reaches_is_computed() {
    let engine = Engine::open(&Model::open("builtin").unwrap(), &Options::default()).unwrap();
    let info = frame::info(format("NV12"), 640, 360);
    // For a run, but not for features.
    let memory = engine.run_bytes(info.width, info.height);
    assert!(memory < engine.feature_bytes(info.width, info.height));
    let output = FrameInfo { width: 2 * info.width, height: 2 * info.height, ..info };
    let settings = StreamSettings { memory_limit: Some(memory), ..SETTINGS };
    let engine = Box::new(engine);
    let upscaler = CpuPipeline::incremental(engine, EXACT_REGIONS, info, output, settings).unwrap();
    let mut stream = Stream { upscaler, output, last: None, frames: 0 };
    let mut input = Frame::new(info, 0).filled(|_, x, y| (x / 7 + y / 5) as u32 % 200);
    stream.push(&input, Reuse::Exact, 1.0);
    paint(&mut input, 0, Rect::new(300, 200, 1, 1), 255);
    let (found, report) = stream.push(&input, Reuse::Exact, 1.0);
    let report = report.unwrap();
    assert!(report.without_features, "{report:?}");
    assert!(report.pixels > 0 && report.pixels < 640 * 360 / 10, "{report:?}");
    stream.upscaler.abort();
    assert!(found.samples() == stream.push(&input, Reuse::Exact, 1.0).0.samples());
}

#[test]
fn without_exact_regions_the_whole_frame_is_computed_or_nothing() {
    let (mut stream, mut input) = settled(Reuse::Exact, false);
    paint(&mut input, 0, Rect::new(300, 200, 1, 1), 255);
    let report = stream.push(&input, Reuse::Exact, 1.0).1.unwrap();
    assert_eq!((report.regions, report.pixels), (1, 640 * 360));
    assert_eq!(stream.push(&input, Reuse::Exact, 1.0).1, None);
}

#[test]
fn after_a_seek_nothing_is_reused() {
    let (mut stream, input) = settled(Reuse::Exact, true);
    stream.upscaler.abort();
    let report = stream.push(&input, Reuse::Exact, 1.0).1.unwrap();
    assert_eq!(report.pixels, 640 * 360);
}

#[test]
fn without_reuse_a_duplicate_is_computed_again() {
    let (mut stream, input) = settled(Reuse::Off, true);
    let report = stream.push(&input, Reuse::Off, 1.0).1.unwrap();
    assert_eq!(report.pixels, 640 * 360);
}

#[test]
fn grain_changes_in_every_frame_over_reused_pixels() {
    let (mut stream, input) = settled(Reuse::Exact, true);
    let mut grained = |number| {
        let params = FrameParams { blend: 1.0, grain: 0.5, number, reuse: Reuse::Exact };
        let mut output = Frame::new(stream.output, 0);
        let last = stream.last.as_ref().map(Frame::read);
        let report = stream
            .upscaler
            .process(&input.read(), last.as_ref(), &mut output.write(), &params)
            .unwrap();
        assert_eq!(report.pixels, 0, "the model does not run");
        output.samples()
    };
    assert!(grained(1) != grained(2));
    assert!(grained(3) == grained(3));
}

#[test]
fn a_slow_fade_does_not_stall_in_tolerant_mode() {
    let info = frame::info(format("GRAY8"), 64, 48);
    let mut stream = Stream::new(Blur::new(Channels::Luma, 2, 1), info, (128, 96));
    let mut exact = Stream::new(Blur::new(Channels::Luma, 2, 1), info, (128, 96));
    for level in 60..156 {
        let input = Frame::new(info, 0).filled(|_, _, _| level);
        let (tolerant, _) = stream.push(&input, TOLERANT, 1.0);
        let (computed, _) = exact.push(&input, Reuse::Off, 1.0);
        let error = |(a, b): (u32, u32)| f64::from(a.abs_diff(b));
        let errors = tolerant.samples().into_iter().zip(computed.samples()).map(error);
        let mean = errors.sum::<f64>() / (128.0 * 96.0);
        assert!(mean <= 2.0, "off by {mean} at level {level}");
    }
}

#[test]
fn a_difference_within_the_tolerance_is_computed_once_the_refresh_is_due() {
    let (mut stream, mut input) = settled(Reuse::Tolerant { tolerance: 2, refresh: 10 }, true);
    let nudged = input.get(0, 99, 99) + 1;
    paint(&mut input, 0, Rect::new(99, 99, 1, 1), nudged);
    let computed = (0..10)
        .filter_map(|_| stream.push(&input, Reuse::Tolerant { tolerance: 2, refresh: 10 }, 1.0).1)
        .filter(|report| report.pixels > 0)
        .count();
    assert_eq!(computed, 1, "once, and not at once for the whole frame");
}

/// The report on a small change of `component`, the second of two.
fn change_of(name: &str, channels: Channels, component: usize, reuse: Reuse) -> FrameReport {
    let info = frame::info(format(name), 320, 240);
    let mut stream = Stream::new(Blur::new(channels, 2, 1), info, (640, 480));
    let mut off = Stream::new(Blur::new(channels, 2, 1), info, (640, 480));
    let mut input = Frame::new(info, 0).noisy(3);
    stream.push(&input, reuse, 1.0);
    let mut last = None;
    for x in [100, 200] {
        paint(&mut input, component, Rect::new(x, 90, 20, 13), 200);
        let (reused, report) = stream.push(&input, reuse, 1.0);
        let (computed, _) = off.push(&input, Reuse::Off, 1.0);
        assert!(reused.samples() == computed.samples(), "{name} {channels:?} {component}");
        last = report;
    }
    last.unwrap()
}

#[test]
fn planes_that_bypass_the_model_are_enlarged_without_it() {
    let cases = [
        ("I420", Channels::Luma, 1),
        ("NV12", Channels::Luma, 2),
        ("Y42B", Channels::Luma, 1),
        ("P010_10LE", Channels::Luma, 2),
        ("RGBA", Channels::Rgb, 3),
        ("RGBA", Channels::Luma, 3),
    ];
    for (name, channels, component) in cases {
        let report = change_of(name, channels, component, Reuse::Exact);
        assert_eq!((report.pixels, report.regions), (0, 0), "{name} {channels:?} {component}");
    }
    for (name, channels, component) in [
        ("I420", Channels::Luma, 0),
        ("I420", Channels::Rgb, 1),
        ("RGBA", Channels::Luma, 2),
        ("RGBA", Channels::Rgb, 2),
    ] {
        let report = change_of(name, channels, component, Reuse::Exact);
        assert!(report.pixels > 0, "{name} {channels:?} {component}");
    }
    // With a tolerance, too; but interleaved alpha belongs to a plane that the model reads.
    let exactly = Reuse::Tolerant { tolerance: 0, refresh: 250 };
    assert_eq!(change_of("NV12", Channels::Luma, 1, exactly).pixels, 0);
    assert!(change_of("RGBA", Channels::Rgb, 3, exactly).pixels > 0);
}

#[test]
fn the_shorter_halo_of_tolerant_mode_does_not_affect_exact_frames() {
    let info = frame::info(format("GRAY8"), 320, 240);
    let traits = EngineTraits { tolerant_halo: Some(1), ..EXACT_REGIONS };
    let model = || Blur::new(Channels::Luma, 2, 1);
    let mut stream = Stream::planned(model(), info, (640, 480), traits);
    let mut full = Stream::planned(model(), info, (640, 480), EXACT_REGIONS);
    let mut off = Stream::new(model(), info, (640, 480));
    let mut input = Frame::new(info, 0).noisy(3);
    let mut pixels = vec![];
    let modes = [Reuse::Exact, Reuse::Exact, TOLERANT, TOLERANT, Reuse::Exact, Reuse::Exact];
    for (number, reuse) in modes.into_iter().enumerate() {
        paint(&mut input, 0, Rect::new(100 + 3 * number as u32, 100, 20, 20), 40 * number as u32);
        let (reused, report) = stream.push(&input, reuse, 1.0);
        let (_, longer) = full.push(&input, reuse, 1.0);
        let (computed, _) = off.push(&input, Reuse::Off, 1.0);
        if reuse == Reuse::Exact {
            assert!(reused.samples() == computed.samples(), "frame {number}");
        }
        pixels.push((report.unwrap().pixels, longer.unwrap().pixels));
    }
    let whole = 320 * 240;
    assert_eq!(pixels[0], (whole, whole));
    assert_eq!(pixels[1].0, pixels[1].1, "the exact halo");
    assert!(pixels[2].0 < pixels[2].1 && pixels[3].0 < pixels[3].1, "{pixels:?}");
    assert_eq!(pixels[4].0, whole, "results with the shorter halo are not reused");
    assert_eq!(pixels[5].0, pixels[5].1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn frames_in_flight_together_equal_those_computed_one_by_one(
        name in prop::sample::select(vec!["I420", "NV12", "RGBA", "GRAY8"]),
        luma in any::<bool>(),
        depth in 0usize..4,
        steps in prop::collection::vec(
            (prop::collection::vec(change(), 0..2), 0usize..6, 0usize..5, 0usize..12), 2..14,
        ),
    ) {
        let info = frame::info(format(name), 100, 80);
        let channels = if luma { Channels::Luma } else { Channels::Rgb };
        let mut with = Stream::new(Blur::new(channels, 2, 1), info, (200, 160));
        let mut without = Stream::new(Blur::new(channels, 2, 1), info, (200, 160));
        let mut input = Frame::new(info, 0).noisy(4);
        let components = info.format.layout().components.len();
        let mut expected = std::collections::VecDeque::new();
        let take = |stream: &mut Stream, expected: Frame| {
            let next = stream.upscaler.next().unwrap().unwrap();
            if next == Next::Changed || stream.last.is_none() {
                let mut output = Frame::new(stream.output, 8);
                let last = stream.last.as_ref().map(Frame::read);
                stream.upscaler.finish(last.as_ref(), &mut output.write()).unwrap();
                stream.last = Some(output);
            }
            assert!(stream.last.as_ref().unwrap().samples() == expected.samples());
        };
        for (number, (changes, blend, reuse, seam)) in steps.into_iter().enumerate() {
            for (component, rect, code) in changes {
                paint(&mut input, component % components, rect, code);
            }
            match seam {
                0 => with.upscaler.reset(),
                1 => {
                    with.upscaler.abort();
                    expected.clear();
                    with.last = None;
                }
                _ => {}
            }
            let reuse = if reuse == 0 { Reuse::Off } else { Reuse::Exact };
            let blend = [1.0, 1.0, 1.0, 1.0, 0.5, 0.0][blend];
            let params = FrameParams { blend, grain: 0.0, number: number as u64, reuse };
            with.upscaler.submit(&input.read(), &params).unwrap();
            expected.push_back(without.push(&input, Reuse::Off, blend).0);
            if expected.len() > depth {
                take(&mut with, expected.pop_front().unwrap());
            }
        }
        while let Some(frame) = expected.pop_front() {
            take(&mut with, frame);
        }
        prop_assert_eq!(with.upscaler.next().unwrap(), None);
    }
}
