//! The limits of how far an engine may differ from fp32 on the CPU, and the check.

use serde::{Deserialize, Serialize};

use crate::{
    engine::{
        Error, Infer, Precision, distance,
        test_picture::{probe_size, scene},
    },
    frame::Image,
};

/// Who chose a precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// The program, so that the difference must be invisible.
    Automatic,
    /// The user.
    Explicit,
}

/// How much an engine may differ from fp32 on the CPU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Limits {
    /// Sides of the test picture, about, in pixels.
    pub side: u32,
    pub min_psnr_db: f64,
    /// Largest difference of a sample of 0..1.
    pub max_difference: f32,
}

/// One step of 8-bit samples.
const STEP: f32 = 1.0 / 255.0;
/// Largest difference that two samples of 0..1 can have.
const ANY: f32 = 1.0;

/// The limits for `precision`.
pub(super) fn limits(precision: Precision, choice: Choice) -> Limits {
    let (side, min_psnr_db, max_difference) = match (precision, choice) {
        (Precision::Auto | Precision::Fp32, _) => (96, 50.0, STEP),
        (Precision::Fp16 | Precision::Bf16, Choice::Automatic) => (96, 50.0, 4.0 * STEP),
        // Enough to distinguish a picture from the output of a broken driver.
        (Precision::Fp16 | Precision::Bf16, Choice::Explicit) => (96, 30.0, ANY),
        (Precision::Int16, _) => (96, 55.0, 3.0 * STEP),
    };
    Limits { side, min_psnr_db, max_difference }
}

impl Limits {
    pub(crate) fn allow(&self, difference: Difference) -> bool {
        difference.psnr_db >= self.min_psnr_db && difference.largest <= self.max_difference
    }
}

/// How far two pictures are apart, both clamped to 0..1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Difference {
    /// Between 0 and [`Difference::MAX_PSNR_DB`]; 0 when a sample is not a number.
    pub psnr_db: f64,
    /// Of a sample.
    pub largest: f32,
}

impl Difference {
    /// In place of infinity, which JSON cannot store.
    const MAX_PSNR_DB: f64 = 200.0;

    /// Whether two pictures can be this far apart.
    pub(crate) fn is_possible(&self) -> bool {
        (0.0..=Self::MAX_PSNR_DB).contains(&self.psnr_db) && (0.0..=ANY).contains(&self.largest)
    }

    fn between(a: &Image, b: &Image) -> Self {
        let (psnr_db, largest) = distance(a, b);
        let psnr_db = if psnr_db.is_nan() { 0.0 } else { psnr_db.min(Self::MAX_PSNR_DB) };
        Self { psnr_db, largest }
    }
}

/// A test picture, and its output in fp32 on the CPU.
pub(super) struct Reference {
    picture: Image,
    expected: Image,
}

impl Reference {
    /// Runs `engine` over a picture with sides of about `side` pixels.
    ///
    /// # Errors
    /// The errors of the run.
    pub(crate) fn run(engine: &mut dyn Infer, side: u32) -> Result<Self, Error> {
        let info = engine.info();
        let (width, height) = probe_size(info, side);
        let picture = scene(info.channels.count(), width, height, 1);
        let mut expected = Image::default();
        engine.run(&picture, &mut expected)?;
        Ok(Self { picture, expected })
    }

    /// How far the output of `engine` is from the expected one.
    ///
    /// # Errors
    /// The errors of the run.
    pub(crate) fn difference(&self, engine: &mut dyn Infer) -> Result<Difference, Error> {
        let mut output = Image::default();
        engine.run(&self.picture, &mut output)?;
        Ok(Difference::between(&output, &self.expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_precision_has_its_limits_and_an_explicit_choice_loosens_half_precision_only() {
        use Choice::{Automatic, Explicit};
        use Precision::{Bf16, Fp16, Fp32, Int16};
        let table = [
            (Fp32, [Automatic, Explicit].as_slice(), 50.0, 1.0),
            (Fp16, &[Automatic], 50.0, 4.0),
            (Bf16, &[Automatic], 50.0, 4.0),
            (Fp16, &[Explicit], 30.0, 255.0),
            (Bf16, &[Explicit], 30.0, 255.0),
            (Int16, &[Automatic, Explicit], 55.0, 3.0),
        ];
        for (precision, choices, psnr_db, steps) in table {
            for choice in choices {
                let limits = limits(precision, *choice);
                let allow = |psnr_db, steps: f32| {
                    limits.allow(Difference { psnr_db, largest: steps / 255.0 })
                };
                assert!(allow(psnr_db, steps) && allow(200.0, 0.0), "{precision} {choice:?}");
                assert!(!allow(psnr_db - 0.01, steps), "{precision} {choice:?}");
                assert!(steps >= 255.0 || !allow(psnr_db, steps + 0.01), "{precision} {choice:?}");
            }
        }
    }

    #[test]
    fn an_output_with_nan_is_never_close_enough() {
        let expected = Image::new(1, 4, 4);
        let mut output = expected.clone();
        output.row_mut(0, 1)[2] = f32::NAN;
        let difference = Difference::between(&output, &expected);
        for precision in Precision::ALL {
            for choice in [Choice::Automatic, Choice::Explicit] {
                assert!(!limits(precision, choice).allow(difference), "{precision} {choice:?}");
            }
        }
    }

    #[test]
    fn equal_pictures_have_a_finite_psnr_that_json_can_store() {
        let picture = Image::new(1, 4, 4);
        let difference = Difference::between(&picture, &picture);
        assert_eq!(difference, Difference { psnr_db: 200.0, largest: 0.0 });
        let text = serde_json::to_string(&difference).unwrap();
        assert_eq!(serde_json::from_str::<Difference>(&text).unwrap(), difference);
    }
}
