//! Fixed point that falls back to fp32 when samples exceed the calibrated range.

use super::{Engine, Error, Options, Precision};
use crate::{
    engine::{self, Infer, InferChanges, Tolerance, Update},
    frame::{Image, Rect},
    model::{Model, ModelInfo},
};

/// A model in 16-bit fixed point. The first picture whose samples exceed the calibrated range, and
/// all pictures after it, are computed in fp32: limited samples would be visible.
pub struct FixedPoint {
    /// In fixed point at first.
    engine: Engine,
    /// What opens the fp32 engine. `None` once that is in use.
    fallback: Option<(Model, Options)>,
}

impl FixedPoint {
    /// Opens a model in fixed point; the precision of `options` is ignored.
    ///
    /// # Errors
    /// As [`Engine::open`]; [`Error::Precision`] if fixed point differs too much from fp32.
    pub fn open(model: &Model, options: &Options) -> Result<Self, Error> {
        let fixed = Options { precision: Precision::Int16, ..options.clone() };
        let engine = Engine::open(model, &fixed)?;
        let fallback = Options { precision: Precision::Fp32, ..options.clone() };
        Ok(Self { engine, fallback: Some((model.clone(), fallback)) })
    }

    /// Whether pictures are still computed in fixed point.
    pub fn is_fixed_point(&self) -> bool {
        self.fallback.is_some()
    }

    /// Changes to fp32 if the last run exceeded the range. Returns whether it did.
    fn fell_back(&mut self, limited_before: usize) -> Result<bool, Error> {
        if self.engine.limited_windows() == limited_before {
            return Ok(false);
        }
        let Some((model, options)) = self.fallback.take() else { return Ok(false) };
        let identity = self.engine.identity().to_owned();
        let memory = self.engine.memory;
        self.engine = Engine::open(&model, &options)?;
        self.engine.memory = memory;
        self.engine.identity = identity;
        Ok(true)
    }
}

impl Infer for FixedPoint {
    fn info(&self) -> &ModelInfo {
        self.engine.info()
    }

    fn run(&mut self, input: &Image, output: &mut Image) -> Result<(), engine::Error> {
        let limited = self.engine.limited_windows();
        self.engine.run(input, output)?;
        if self.fell_back(limited)? {
            self.engine.run(input, output)?;
        }
        Ok(())
    }

    fn changed_precision(&self) -> Option<engine::Precision> {
        (!self.is_fixed_point()).then_some(engine::Precision::Fp32)
    }

    fn identity(&self) -> &str {
        self.engine.identity()
    }
}

impl InferChanges for FixedPoint {
    fn update(
        &mut self,
        input: &Image,
        changed: &[Rect],
        tolerance: Tolerance,
        output: &mut Image,
    ) -> Result<Update, engine::Error> {
        let limited = self.engine.limited_windows();
        let update = InferChanges::update(&mut self.engine, input, changed, tolerance, output)?;
        if self.fell_back(limited)? {
            return InferChanges::update(&mut self.engine, input, changed, tolerance, output);
        }
        Ok(update)
    }

    fn forget(&mut self) {
        self.engine.forget();
    }

    fn limit_memory(&mut self, bytes: u64) {
        self.engine.limit_memory(Some(bytes));
    }

    fn feature_bytes(&self, width: u32, height: u32) -> u64 {
        self.engine.feature_bytes(width, height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::test_picture::noise;

    #[test]
    fn samples_beyond_the_calibrated_range_are_computed_in_fp32_from_then_on() {
        let model = Model::open("builtin").unwrap();
        let options = Options::default();
        let mut fixed = FixedPoint::open(&model, &options).unwrap();
        let mut fp32 = Engine::open(&model, &options).unwrap();
        let picture = noise(1, 40, 24, 1);
        let mut bright = picture.clone();
        bright.data_mut().iter_mut().for_each(|sample| *sample *= 1e4);
        let (mut output, mut expected) = (Image::default(), Image::default());

        Infer::run(&mut fixed, &picture, &mut output).unwrap();
        fp32.run(&picture, &mut expected).unwrap();
        assert!(fixed.is_fixed_point() && output != expected);
        assert_eq!(fixed.changed_precision(), None);
        for picture in [&bright, &picture] {
            fixed.update(picture, &[], Tolerance::Exact, &mut output).unwrap();
            fixed.forget();
            fp32.run(picture, &mut expected).unwrap();
            assert!(!fixed.is_fixed_point() && output == expected);
            assert_eq!(fixed.changed_precision(), Some(engine::Precision::Fp32));
        }
    }
}
