//! Frames with a deadline: what their output shows if the model is late.

use std::{
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use gstupscale::{
    engine::{self, Infer, Interrupt},
    frame::{Channels, FrameInfo, Image, PixelFormat, Rect},
    model::ModelInfo,
    upscaler::{
        CpuPipeline, Deadline, EngineTraits, FrameParams, FrameReport, Late, Next, Pipeline, Reuse,
        StreamSettings,
    },
};

use crate::common::{
    blur::Blur,
    frame::{self, Frame},
};

const SETTINGS: StreamSettings =
    StreamSettings { threads: 2, tile_size: 0, halo: None, memory_limit: None, fidelity: 0.0 };
const EXACT_REGIONS: EngineTraits = EngineTraits { exact_regions: true, tolerant_halo: None };
const PARAMS: FrameParams = FrameParams { blend: 1.0, grain: 0.0, number: 0, reuse: Reuse::Exact };
const FACTOR: u32 = 2;

/// Whether a model may run.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn set(&self, open: bool) {
        *self.0.0.lock().unwrap() = open;
        self.0.1.notify_all();
    }
}

/// A model that runs only while its gate is open.
struct Gated(Blur, Gate);

impl Infer for Gated {
    fn info(&self) -> &ModelInfo {
        self.0.info()
    }

    fn run(&mut self, input: &Image, output: &mut Image) -> Result<(), engine::Error> {
        let (open, changed) = &*self.1.0;
        let mut is_open = open.lock().unwrap();
        while !*is_open {
            Interrupt::current().check()?;
            is_open = changed.wait_timeout(is_open, Duration::from_millis(2)).unwrap().0;
        }
        drop(is_open);
        self.0.run(input, output)
    }
}

/// A stream that keeps its last output, as the element does.
struct Stream {
    pipeline: CpuPipeline,
    gate: Gate,
    last: Option<Frame>,
    /// Input pixels that the last output shows resampled.
    resampled: u64,
    large: FrameInfo,
}

/// A deadline that cannot be missed.
fn never() -> Instant {
    Instant::now() + Duration::from_secs(1000)
}

/// A deadline that is missed.
fn passed() -> Instant {
    Instant::now()
}

impl Stream {
    fn new(info: FrameInfo, channels: Channels) -> Self {
        Self::faithful(info, channels, 0.0)
    }

    /// A stream with this fidelity.
    fn faithful(info: FrameInfo, channels: Channels, fidelity: f32) -> Self {
        let large = FrameInfo { width: info.width * FACTOR, height: info.height * FACTOR, ..info };
        let gate = Gate::default();
        gate.set(true);
        let model = Box::new(Gated(Blur::new(channels, FACTOR, 1), gate.clone()));
        let settings = StreamSettings { fidelity, ..SETTINGS };
        let pipeline = CpuPipeline::new(model, EXACT_REGIONS, info, large, settings).unwrap();
        Self { pipeline, gate, last: None, resampled: 0, large }
    }

    #[track_caller]
    fn finish(&mut self) -> (Frame, Option<FrameReport>) {
        if self.pipeline.next().unwrap() == Some(Next::Same) {
            return (self.last.clone().unwrap(), None);
        }
        let mut output = Frame::new(self.large, 0);
        let last = self.last.as_ref().map(Frame::read);
        let report = self.pipeline.finish(last.as_ref(), &mut output.write()).unwrap();
        self.last = Some(output.clone());
        self.resampled = report.resampled_pixels;
        (output, Some(report))
    }

    /// The output of a frame with a deadline, and its report if it differs from the last output.
    #[track_caller]
    fn push_by(&mut self, input: &Frame, at: Instant, late: Late) -> (Frame, Option<FrameReport>) {
        let deadline = Deadline { at, late, tolerance: 2 };
        self.pipeline.submit_by(&input.read(), &PARAMS, deadline).unwrap();
        self.finish()
    }

    #[track_caller]
    fn push(&mut self, input: &Frame, params: FrameParams) -> Frame {
        self.pipeline.submit(&input.read(), &params).unwrap();
        self.finish().0
    }

    /// The output of a frame after the model has computed everything and all of it has come into
    /// view.
    #[track_caller]
    fn settle(&mut self, input: &Frame) -> Frame {
        for _ in 0..100_000 {
            let (output, _) = self.push_by(input, never(), Late::Adapt);
            if self.resampled == 0 {
                return output;
            }
            thread::sleep(Duration::from_millis(1));
        }
        panic!("the output still changes");
    }
}

fn info(format: &str) -> FrameInfo {
    frame::info(PixelFormat::from_name(format).unwrap(), 160, 96)
}

/// The whole frame as the model enlarges it, and as Lanczos enlarges its planes.
fn both(input: &Frame, channels: Channels) -> (Frame, Frame) {
    let mut stream = Stream::new(input.info, channels);
    let model = stream.push(input, FrameParams { reuse: Reuse::Off, ..PARAMS });
    let mut stream = Stream::new(input.info, Channels::Luma);
    let lanczos = stream.push(input, FrameParams { blend: 0.0, reuse: Reuse::Off, ..PARAMS });
    (model, lanczos)
}

/// Inverts a square of 8×8 pixels of the first component.
fn change(frame: &mut Frame, x: usize, y: usize) {
    for y in y..y + 8 {
        for x in x..x + 8 {
            frame.set(0, x, y, 255 - frame.get(0, x, y));
        }
    }
}

/// Whether two frames have the same samples of the first component in `rect`.
fn equal_in(a: &Frame, b: &Frame, rect: Rect) -> bool {
    (rect.y..rect.bottom()).all(|y| {
        (rect.x..rect.right())
            .all(|x| a.get(0, x as usize, y as usize) == b.get(0, x as usize, y as usize))
    })
}

#[test]
fn with_enough_time_a_frame_with_a_deadline_equals_one_without() {
    for (format, channels) in [("I420", Channels::Luma), ("NV12", Channels::Rgb)] {
        for fidelity in [0.0, 1.0] {
            let mut input = Frame::new(info(format), 8).noisy(2);
            let mut stream = Stream::faithful(input.info, channels, fidelity);
            for step in 0..5 {
                let (output, report) = stream.push_by(&input, never(), Late::Adapt);
                let mut other = Stream::faithful(input.info, channels, fidelity);
                let expected = other.push(&input, FrameParams { reuse: Reuse::Off, ..PARAMS });
                assert!(output == expected, "{format}, fidelity {fidelity}, step {step}");
                assert_eq!(report.unwrap().resampled_pixels, 0);
                change(&mut input, 8 + 24 * step, 40);
            }
        }
    }
}

#[test]
fn chroma_that_changes_alone_is_shown_and_stays_right_when_the_model_runs_again() {
    // Without overshoot, which the model's frame does not keep.
    let code = |component, x, y| (100 + (x * 3 + y * 5 + component * 7) % 40) as u32;
    let mut input = Frame::new(info("I420"), 8).filled(code);
    let mut stream = Stream::new(input.info, Channels::Luma);
    stream.push_by(&input, never(), Late::Adapt);
    for (x, y) in [(10, 10), (11, 10), (40, 20)] {
        input.set(1, x, y, input.get(1, x, y) + 40);
    }
    // Made of the difference from the frame before, with its rounding.
    let (output, _) = stream.push_by(&input, never(), Late::Adapt);
    let expected = both(&input, Channels::Luma).0;
    let pairs = output.samples().into_iter().zip(expected.samples());
    assert!(pairs.map(|(a, b)| a.abs_diff(b)).max() <= Some(1));
    change(&mut input, 104, 64);
    let (output, _) = stream.push_by(&input, never(), Late::Adapt);
    assert!(output == both(&input, Channels::Luma).0);
}

#[test]
fn a_frame_for_which_the_model_is_late_is_resampled_and_the_model_comes_into_view_later() {
    for late in [Late::Adapt, Late::Resample] {
        let input = Frame::new(info("I420"), 8).noisy(3);
        let (model, lanczos) = both(&input, Channels::Rgb);
        let mut stream = Stream::new(input.info, Channels::Rgb);
        stream.gate.set(false);
        let (output, report) = stream.push_by(&input, passed(), late);
        assert!(output == lanczos);
        assert_eq!(report.unwrap().resampled_pixels, 160 * 96);
        // Nothing changes until the model is ready.
        assert_eq!(stream.push_by(&input, passed(), late).1, None);
        stream.gate.set(true);
        let mut shares = vec![160 * 96];
        while shares.last() != Some(&0) {
            if let (_, Some(report)) = stream.push_by(&input, never(), late) {
                shares.push(report.resampled_pixels);
            }
        }
        assert!(shares.len() > 4 && shares.is_sorted_by(|a, b| a > b), "{shares:?}");
        assert!(stream.last == Some(model));
    }
}

#[test]
fn a_change_without_time_is_resampled_and_the_rest_keeps_the_models_picture() {
    let mut input = Frame::new(info("I420"), 8).noisy(4);
    let mut stream = Stream::new(input.info, Channels::Rgb);
    let (model, _) = both(&input, Channels::Rgb);
    assert!(stream.settle(&input) == model);
    stream.gate.set(false);
    change(&mut input, 72, 40);
    let (output, report) = stream.push_by(&input, passed(), Late::Adapt);
    let resampled = report.unwrap().resampled_pixels;
    assert!((64..160 * 96 / 4).contains(&resampled), "{resampled}");
    let (_, lanczos) = both(&input, Channels::Rgb);
    assert!(equal_in(&output, &lanczos, Rect::new(144, 80, 16, 16)));
    for far in [Rect::new(0, 0, 320, 40), Rect::new(0, 0, 80, 192), Rect::new(240, 0, 80, 192)] {
        assert!(equal_in(&output, &model, far), "{far:?}");
    }
    stream.gate.set(true);
}

#[test]
fn with_resample_a_late_frame_is_resampled_completely() {
    let mut input = Frame::new(info("I420"), 8).noisy(5);
    let mut stream = Stream::new(input.info, Channels::Rgb);
    stream.settle(&input);
    change(&mut input, 72, 40);
    let (output, _) = stream.push_by(&input, passed(), Late::Resample);
    assert!(output == both(&input, Channels::Rgb).1);
}

#[test]
fn a_small_difference_without_time_keeps_the_models_picture() {
    let input = Frame::new(info("I420"), 8).filled(|_, x, _| 100 + x as u32 % 8);
    let noisy = Frame::new(info("I420"), 8).filled(|_, x, y| 100 + x as u32 % 8 + y as u32 % 3);
    let mut stream = Stream::new(input.info, Channels::Rgb);
    let model = stream.settle(&input);
    let (output, report) = stream.push_by(&noisy, passed(), Late::Adapt);
    assert!(output == model);
    assert!(report.is_none_or(|report| report.resampled_pixels == 0));
}

#[test]
fn a_slightly_brighter_frame_without_time_keeps_the_models_detail_and_shows_the_brightness() {
    let pattern = |light: u32| {
        let frame = Frame::new(info("I420"), 8);
        frame.filled(move |component, x, y| match component {
            0 => 60 + light + (x as u32 * 37 + y as u32 * 11) % 100,
            _ => 128,
        })
    };
    let (input, brighter) = (pattern(0), pattern(10));
    let mut stream = Stream::new(input.info, Channels::Rgb);
    stream.settle(&input);
    stream.gate.set(false);
    let (output, report) = stream.push_by(&brighter, passed(), Late::Adapt);
    stream.gate.set(true);
    assert_eq!(report.unwrap().resampled_pixels, 0);
    let (model, _) = both(&brighter, Channels::Rgb);
    // The model's zero padding darkens the border.
    for y in 8..184 {
        for x in 8..312 {
            let (shown, expected) = (output.get(0, x, y), model.get(0, x, y));
            assert!(shown.abs_diff(expected) <= 1, "{x}, {y}: {shown} instead of {expected}");
        }
    }
}

#[test]
fn still_changes_are_computed_in_the_background_part_by_part() {
    let mut input = Frame::new(info("I420"), 8).noisy(6);
    let mut stream = Stream::new(input.info, Channels::Rgb);
    stream.settle(&input);
    (0..3).for_each(|place| change(&mut input, 8 + 48 * place, 40));
    let model = both(&input, Channels::Rgb).0;
    // A little time, which the model cannot use.
    for _ in 0..100_000 {
        let soon = Instant::now() + Duration::from_millis(20);
        stream.push_by(&input, soon, Late::Adapt);
        if stream.last.as_ref() == Some(&model) {
            return;
        }
    }
    panic!("the changes never came into view");
}

#[test]
fn a_frame_without_a_deadline_after_a_late_one_is_complete() {
    for running in [true, false] {
        let mut input = Frame::new(info("NV12"), 8).noisy(7);
        let mut stream = Stream::new(input.info, Channels::Rgb);
        if !running {
            stream.settle(&input);
            change(&mut input, 72, 40);
        }
        stream.gate.set(!running);
        stream.push_by(&input, passed(), Late::Adapt);
        change(&mut input, 16, 16);
        stream.gate.set(true);
        assert!(stream.push(&input, PARAMS) == both(&input, Channels::Rgb).0);
    }
}

#[test]
fn a_whole_frame_that_delays_others_is_given_up_and_tried_again() {
    let input = Frame::new(info("I420"), 8).noisy(10);
    let mut stream = Stream::new(input.info, Channels::Luma);
    let (model, lanczos) = both(&input, Channels::Luma);
    stream.gate.set(false);
    for frame in 0..100 {
        let (output, _) = stream.push_by(&input, passed(), Late::Adapt);
        assert!(output == lanczos, "frame {frame}");
    }
    stream.gate.set(true);
    assert!(stream.settle(&input) == model);
}

#[test]
fn after_an_abort_nothing_of_earlier_frames_is_shown() {
    let first = Frame::new(info("NV12"), 8).noisy(8);
    let second = Frame::new(info("NV12"), 8).noisy(9);
    let mut stream = Stream::new(first.info, Channels::Rgb);
    stream.gate.set(false);
    stream.push_by(&first, passed(), Late::Adapt);
    stream.pipeline.abort();
    stream.last = None;
    let (output, _) = stream.push_by(&second, passed(), Late::Adapt);
    assert!(output == both(&second, Channels::Rgb).1);
    stream.gate.set(true);
    assert!(stream.settle(&second) == both(&second, Channels::Rgb).0);
}
