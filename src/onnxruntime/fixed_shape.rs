//! A session for the one shape that comes again and again.
//!
//! OpenVINO runs a model whose sides are fixed a few percent faster than one that takes any: it
//! lays out memory once, and writes the output where it is wanted instead of copying it there.

use super::session::Session;
use crate::{
    engine::{Candidate, EngineOptions},
    frame::Image,
    model::{Model, ModelInfo, onnx::Layout},
};

/// Time of a run as a share of what it takes in a session for any shape: realesr-animevideov3 in
/// bf16 at 320×180 (docs/BENCHMARKS.md).
pub(super) const SHARE: f64 = 0.96;
/// Runs of the largest shape, that of whole frames, after which it gets a session of its own: by
/// then a video plays.
const RUNS: u32 = 4;
/// Runs of other shapes in a row after which the next may have it. The change takes as long as a
/// run, and what it brings is a few percent of one.
const IDLE_RUNS: u32 = 64;
/// Bytes of a model beyond which none does. It holds the weights once more, and the more a pixel
/// takes, the less there is to gain.
const MOST_BYTES: usize = 16 << 20;

/// Width and height.
type Shape = (usize, usize);

/// Watches which shapes a model is run at, and serves the one that stays.
pub(super) struct FixedShapeSession {
    model: Model,
    candidate: Candidate,
    options: EngineOptions,
    /// What has or will have the session, and its runs up to then.
    largest: Shape,
    runs: u32,
    /// Runs since the last of that shape.
    idle: u32,
    fitted: Option<(Shape, Session)>,
    /// A fitted session could not be had, failed, or answered by other samples.
    given_up: bool,
}

impl FixedShapeSession {
    /// `None` where it would not pay.
    pub fn new(model: &Model, candidate: Candidate, options: &EngineOptions) -> Option<Self> {
        let pays = model.info.fixed_size.is_none()
            && model.external.is_none()
            && model.onnx.len() <= MOST_BYTES;
        pays.then(|| Self {
            model: model.clone(),
            candidate,
            options: options.clone(),
            largest: (0, 0),
            runs: 0,
            idle: 0,
            fitted: None,
            given_up: false,
        })
    }

    /// Enlarges `input` into `output` if it has the shape that is served; whether that was so.
    pub fn run(&mut self, input: &Image, output: &mut Image) -> bool {
        let Some((shape, session)) = &mut self.fitted else { return false };
        if *shape != shape_of(input) {
            return false;
        }
        self.idle = 0;
        let done = session.run(input, output).is_ok();
        if !done {
            (self.fitted, self.given_up) = (None, true);
        }
        done
    }

    /// Is told of what the session for any shape made of `input`.
    pub fn observe(&mut self, input: &Image, output: &Image) {
        let shape = shape_of(input);
        let area = |(width, height): Shape| width * height;
        if shape == self.largest {
            (self.runs, self.idle) = (self.runs.saturating_add(1), 0);
        } else if area(shape) > area(self.largest) || self.idle >= IDLE_RUNS {
            (self.largest, self.runs, self.idle) = (shape, 1, 0);
        } else {
            self.idle += 1;
        }
        if self.runs != RUNS || shape != self.largest || self.given_up {
            return;
        }
        // Not two at a time.
        self.fitted = None;
        self.fitted = self.session_for(shape, input, output).map(|session| (shape, session));
        self.given_up = self.fitted.is_none();
    }

    /// The session of `shape`, if it makes `output` of `input` to the bit: what is reused comes
    /// from either.
    fn session_for(&self, shape: Shape, input: &Image, output: &Image) -> Option<Session> {
        let size = u32::try_from(shape.0).ok().zip(u32::try_from(shape.1).ok());
        let onnx = self.model.onnx_at(Layout { batch: Some(1), size, ..Layout::default() }).ok()?;
        let info = ModelInfo { fixed_size: size, ..self.model.info.clone() };
        let model = Model { onnx, info, ..self.model.clone() };
        let mut session = Session::build(&model, self.candidate, &self.options).ok()?;
        let mut answer = Image::default();
        session.run(input, &mut answer).ok()?;
        bits(&answer).eq(bits(output)).then_some(session)
    }
}

fn bits(image: &Image) -> impl Iterator<Item = u32> {
    image.data().iter().map(|sample| sample.to_bits())
}

fn shape_of(image: &Image) -> Shape {
    (image.width(), image.height())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::engine::{Backend, Precision, test_picture};

    const CANDIDATE: Candidate =
        Candidate { backend: Backend::OpenVino, precision: Precision::Fp32 };

    /// The built-in model with a session for any shape, and what watches it.
    fn sessions() -> (Session, FixedShapeSession) {
        let bytes = include_bytes!("../../models/builtin.onnx").as_slice();
        let model =
            crate::model::onnx::open("builtin", Path::new("builtin"), bytes.into()).unwrap();
        let Candidate { backend, precision } = CANDIDATE;
        let cache_dir = std::env::temp_dir();
        let options = EngineOptions { backend, precision, device_id: 0, threads: 2, cache_dir };
        let free = Session::build(&model, CANDIDATE, &options).unwrap();
        (free, FixedShapeSession::new(&model, CANDIDATE, &options).unwrap())
    }

    /// Runs like an engine; whether the fitted session served.
    fn run(free: &mut Session, fitted: &mut FixedShapeSession, input: &Image) -> (bool, Image) {
        let mut output = Image::default();
        let served = fitted.run(input, &mut output);
        if !served {
            free.run(input, &mut output).unwrap();
            fitted.observe(input, &output);
        }
        (served, output)
    }

    #[test]
    fn a_shape_that_stays_is_served_by_its_own_session_with_the_same_samples() {
        let (mut free, mut fitted) = sessions();
        for number in 0..RUNS + 4 {
            let input = test_picture::noise(1, 50, 38, number.into());
            let (served, output) = run(&mut free, &mut fitted, &input);
            let mut expected = Image::default();
            free.run(&input, &mut expected).unwrap();
            assert_eq!((served, output), (number >= RUNS, expected), "run {number}");
        }
        let region = test_picture::noise(1, 32, 38, 1);
        assert!(!run(&mut free, &mut fitted, &region).0);
        assert!(run(&mut free, &mut fitted, &test_picture::noise(1, 50, 38, 2)).0);
        // A region whose shape stays, while the whole is not wanted any more.
        for _ in 0..IDLE_RUNS + RUNS {
            assert!(!run(&mut free, &mut fitted, &region).0);
        }
        assert!(run(&mut free, &mut fitted, &region).0);
        assert!(!run(&mut free, &mut fitted, &test_picture::noise(1, 50, 38, 2)).0);
    }

    #[test]
    fn regions_in_between_do_not_keep_the_whole_from_its_session() {
        let (mut free, mut fitted) = sessions();
        let whole = test_picture::noise(1, 50, 38, 1);
        for number in 0..RUNS as usize {
            assert!(!run(&mut free, &mut fitted, &whole).0);
            for width in [16 + 2 * number, 24 + 2 * number] {
                assert!(!run(&mut free, &mut fitted, &test_picture::noise(1, width, 38, 1)).0);
            }
        }
        assert!(run(&mut free, &mut fitted, &whole).0);
    }

    #[test]
    fn a_session_that_answers_by_other_samples_is_never_used() {
        let (mut free, mut fitted) = sessions();
        let input = test_picture::noise(1, 50, 38, 1);
        let mut output = Image::default();
        for _ in 0..2 * RUNS {
            free.run(&input, &mut output).unwrap();
            output.data_mut()[7] += 1e-7;
            assert!(!fitted.run(&input, &mut Image::default()));
            fitted.observe(&input, &output);
        }
        assert!(fitted.given_up);
    }
}
