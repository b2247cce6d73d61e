//! An engine's output, compared with that of the CPU in fp32.

use gstupscale::{
    engine::{self, AnyEngine, Backend, EngineOptions, Precision},
    frame::Image,
    model::{Model, ModelInfo},
};

use super::{EngineSpec, Error, Outcome};
use crate::test_pictures;

/// The largest error of fp32, on a scale from 0 to 1.
const MAX_FP32_ERROR: f32 = 1.0 / 255.0;
/// The lowest PSNR of fp16 and bf16, in dB.
const MIN_HALF_PSNR: f64 = 50.0;
/// The lowest PSNR of int16, in dB.
const MIN_INT16_PSNR: f64 = 55.0;

/// Runs the engine and the reference on one picture.
pub fn check(spec: &EngineSpec, model: &Model, engine: &mut AnyEngine) -> Outcome {
    Outcome::from_result(compare(spec, model, engine))
}

fn compare(spec: &EngineSpec, model: &Model, engine: &mut AnyEngine) -> Result<Outcome, Error> {
    let options =
        EngineOptions { backend: Backend::Cpu, precision: Precision::Fp32, ..spec.options.clone() };
    let mut reference = match (EngineSpec { options, ..spec.clone() }).load(model) {
        Ok(reference) => reference,
        Err(error) => {
            let reason = format!("there is no reference to compare with: {error}");
            return Ok(Outcome::NotAvailable(reason));
        }
    };
    let (width, height) = size(&model.info);
    let picture = test_pictures::scene(model.info.channels.count(), width, height, 3);
    let (mut output, mut expected) = (Image::default(), Image::default());
    engine.run(&picture, &mut output)?;
    reference.infer.run(&picture, &mut expected)?;
    let size_of = |image: &Image| (image.width(), image.height());
    let finite = output.data().iter().all(|sample| sample.is_finite());
    if size_of(&output) != size_of(&expected) || !finite {
        return Ok(Outcome::Failed("the output is not a valid picture".into()));
    }
    let (psnr, largest) = engine::distance(&output, &expected);
    let detail = if psnr.is_infinite() {
        "bit-exact".to_owned()
    } else {
        format!("PSNR {psnr:.1} dB, largest error {:.3}/255", largest * 255.0)
    };
    Ok(Outcome::new(is_close(spec.options.precision, psnr, largest), detail))
}

fn is_close(precision: Precision, psnr: f64, largest: f32) -> bool {
    match precision {
        Precision::Fp16 | Precision::Bf16 => psnr >= MIN_HALF_PSNR,
        Precision::Int16 => psnr >= MIN_INT16_PSNR,
        _ => largest <= MAX_FP32_ERROR,
    }
}

/// The size nearest to 160×96 pixels that the model accepts.
fn size(info: &ModelInfo) -> (usize, usize) {
    let side = |side: u32| side.max(info.min_side).next_multiple_of(info.align.max(1));
    let (width, height) = info.fixed_size.unwrap_or((side(160), side(96)));
    (width as usize, height as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_precision_has_its_own_limit_and_nan_is_never_close() {
        let step = 1.0 / 255.0;
        assert!(
            is_close(Precision::Fp32, 60.0, step) && !is_close(Precision::Fp32, 60.0, 1.1 * step)
        );
        assert!(is_close(Precision::Fp16, 50.0, 1.0) && !is_close(Precision::Bf16, 49.9, 0.0));
        assert!(is_close(Precision::Int16, 55.0, 1.0) && !is_close(Precision::Int16, 54.9, 0.0));
        assert!(!is_close(Precision::Fp16, f64::NAN, 0.0));
    }
}
