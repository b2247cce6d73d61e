//! A session for the shape of whole frames.
//!
//! OpenVINO runs a model with fixed sides a few percent faster than one with variable sides: it
//! plans memory once, and writes the output in place instead of copying it.

use super::session::Session;
use crate::{
    engine::{Candidate, EngineOptions, Interrupt},
    frame::Image,
    model::{Model, ModelInfo, onnx::Layout},
};

/// Time of a run relative to a session for any shape (docs/BENCHMARKS.md).
pub(super) const SHARE: f64 = 0.96;
/// Runs of the largest shape, which is that of whole frames, before its session is built.
const RUNS: u32 = 4;
/// Runs of other shapes in a row before another shape may replace it. Building a session takes as
/// long as a run, and saves a few percent of each later run.
const IDLE_RUNS: u32 = 64;
/// No session is built for a larger model, in bytes: it holds the weights once more, and the more
/// time a pixel takes, the smaller is the gain.
const MAX_BYTES: usize = 16 << 20;

/// Width and height.
type Shape = (usize, usize);

/// Observes the shapes that a model runs at, and runs the most frequent large one.
pub(super) struct FixedShapeSession {
    model: Model,
    candidate: Candidate,
    options: EngineOptions,
    /// The shape that has or will have the session.
    largest: Shape,
    /// Runs of that shape until the session is built.
    runs: u32,
    /// Runs since the last one of that shape.
    idle: u32,
    session: Option<(Shape, Session)>,
    /// A session could not be built, failed, or computed other samples.
    failed: bool,
}

impl FixedShapeSession {
    /// `None` for a model that does not become faster.
    pub(crate) fn new(
        model: &Model,
        candidate: Candidate,
        options: &EngineOptions,
    ) -> Option<Self> {
        let faster = model.info.fixed_size.is_none()
            && model.external.is_none()
            && model.onnx.len() <= MAX_BYTES;
        faster.then(|| Self {
            model: model.clone(),
            candidate,
            options: options.clone(),
            largest: (0, 0),
            runs: 0,
            idle: 0,
            session: None,
            failed: false,
        })
    }

    /// Enlarges `input` into `output` if there is a session for its shape. Returns whether it did.
    pub(crate) fn run(&mut self, input: &Image, output: &mut Image) -> bool {
        let Some((shape, session)) = &mut self.session else { return false };
        if *shape != shape_of(input) {
            return false;
        }
        self.idle = 0;
        let done = session.run(input, output).is_ok();
        if !done && !Interrupt::current().is_raised() {
            (self.session, self.failed) = (None, true);
        }
        done
    }

    /// Counts a run of the session for any shape, which enlarged `input` into `output`.
    pub(crate) fn observe(&mut self, input: &Image, output: &Image) {
        let shape = shape_of(input);
        let area = |(width, height): Shape| width * height;
        if shape == self.largest {
            (self.runs, self.idle) = (self.runs.saturating_add(1), 0);
        } else if area(shape) > area(self.largest) || self.idle >= IDLE_RUNS {
            (self.largest, self.runs, self.idle) = (shape, 1, 0);
        } else {
            self.idle += 1;
        }
        if self.runs != RUNS || shape != self.largest || self.failed {
            return;
        }
        // Frees the old session before the new one is built.
        self.session = None;
        self.session = self.session_for(shape, input, output).map(|session| (shape, session));
        if self.session.is_none() && Interrupt::current().is_raised() {
            // The next run of this shape tries again.
            self.runs -= 1;
        } else {
            self.failed = self.session.is_none();
        }
    }

    /// The session of `shape`, if its output for `input` equals `output` to the bit: frames that
    /// reuse earlier results mix the output of both sessions.
    fn session_for(&self, shape: Shape, input: &Image, output: &Image) -> Option<Session> {
        let size = u32::try_from(shape.0).ok().zip(u32::try_from(shape.1).ok());
        let onnx = self.model.onnx_at(Layout { batch: Some(1), size, ..Layout::default() }).ok()?;
        let info = ModelInfo { fixed_size: size, ..self.model.info.clone() };
        let model = Model { onnx, info, ..self.model.clone() };
        let mut session = Session::build(&model, self.candidate, &self.options).ok()?;
        let mut actual = Image::default();
        session.run(input, &mut actual).ok()?;
        bits(&actual).eq(bits(output)).then_some(session)
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

    /// The built-in model's session for any shape, and the one for a fixed shape.
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

    /// Runs like an engine. Returns whether the session for a fixed shape ran.
    fn run(free: &mut Session, fixed: &mut FixedShapeSession, input: &Image) -> (bool, Image) {
        let mut output = Image::default();
        let done = fixed.run(input, &mut output);
        if !done {
            free.run(input, &mut output).unwrap();
            fixed.observe(input, &output);
        }
        (done, output)
    }

    #[test]
    fn a_repeated_shape_gets_a_session_that_computes_the_same_samples() {
        let (mut free, mut fixed) = sessions();
        for number in 0..RUNS + 4 {
            let input = test_picture::noise(1, 50, 38, number.into());
            let (fixed_ran, output) = run(&mut free, &mut fixed, &input);
            let mut expected = Image::default();
            free.run(&input, &mut expected).unwrap();
            assert_eq!((fixed_ran, output), (number >= RUNS, expected), "run {number}");
        }
        let region = test_picture::noise(1, 32, 38, 1);
        assert!(!run(&mut free, &mut fixed, &region).0);
        assert!(run(&mut free, &mut fixed, &test_picture::noise(1, 50, 38, 2)).0);
        // The region is repeated, and the whole picture no longer runs.
        for _ in 0..IDLE_RUNS + RUNS {
            assert!(!run(&mut free, &mut fixed, &region).0);
        }
        assert!(run(&mut free, &mut fixed, &region).0);
        assert!(!run(&mut free, &mut fixed, &test_picture::noise(1, 50, 38, 2)).0);
    }

    #[test]
    fn regions_in_between_do_not_prevent_the_session_of_whole_pictures() {
        let (mut free, mut fixed) = sessions();
        let whole = test_picture::noise(1, 50, 38, 1);
        for number in 0..RUNS as usize {
            assert!(!run(&mut free, &mut fixed, &whole).0);
            for width in [16 + 2 * number, 24 + 2 * number] {
                assert!(!run(&mut free, &mut fixed, &test_picture::noise(1, width, 38, 1)).0);
            }
        }
        assert!(run(&mut free, &mut fixed, &whole).0);
    }

    #[test]
    fn a_session_that_computes_other_samples_is_never_used() {
        let (mut free, mut fixed) = sessions();
        let input = test_picture::noise(1, 50, 38, 1);
        let mut output = Image::default();
        for _ in 0..2 * RUNS {
            free.run(&input, &mut output).unwrap();
            output.data_mut()[7] += 1e-7;
            assert!(!fixed.run(&input, &mut Image::default()));
            fixed.observe(&input, &output);
        }
        assert!(fixed.failed);
    }
}
