//! A session's picture against that of ONNX Runtime's CPU provider in fp32.

use std::error::Error;

use gstupscale::{
    engine::{self, AnyEngine, Backend, EngineOptions, Precision},
    frame::Image,
    model::{Model, ModelInfo},
};

use super::{Outcome, Subject};
use crate::pictures;

/// The largest difference that fp32 may show.
const FP32_STEP: f32 = 1.0 / 255.0;
/// What half precisions keep at least, in decibels.
const HALF_PSNR: f64 = 50.0;
/// What `precision=int8` promises, in decibels.
const INT8_PSNR: f64 = 42.0;

/// Runs both on one picture.
pub fn check(subject: &Subject, model: &Model, engine: &mut AnyEngine) -> Outcome {
    Outcome::from_result(compare(subject, model, engine))
}

fn compare(
    subject: &Subject,
    model: &Model,
    engine: &mut AnyEngine,
) -> Result<Outcome, Box<dyn Error>> {
    let options = EngineOptions {
        backend: Backend::Cpu,
        precision: Precision::Fp32,
        ..subject.options.clone()
    };
    let mut reference = Subject { options, ..subject.clone() }.load(model)?;
    let (width, height) = size(&model.info);
    let picture = pictures::scene(model.info.channels.count(), width, height, 3);
    let (mut output, mut expected) = (Image::default(), Image::default());
    engine.run(&picture, &mut output)?;
    reference.infer.run(&picture, &mut expected)?;
    let shapes = [&output, &expected].map(|image| (image.width(), image.height()));
    if shapes[0] != shapes[1] || output.data().iter().any(|sample| !sample.is_finite()) {
        return Ok(Outcome::Failed("its picture is none".into()));
    }
    let (psnr, largest) = engine::distance(&output, &expected);
    let detail = match psnr.is_infinite() {
        true => "equal to the bit".to_owned(),
        false => format!("{psnr:.1} dB, at most {:.3}/255", largest * 255.0),
    };
    Ok(Outcome::of(is_close(subject.options.precision, psnr, largest), detail))
}

fn is_close(precision: Precision, psnr: f64, largest: f32) -> bool {
    match precision {
        Precision::Fp16 | Precision::Bf16 => psnr >= HALF_PSNR,
        Precision::Int8 => psnr >= INT8_PSNR,
        _ => largest <= FP32_STEP,
    }
}

/// A picture that the model takes, near 160×96.
fn size(info: &ModelInfo) -> (usize, usize) {
    let side = |side: u32| side.max(info.min_side).next_multiple_of(info.align.max(1));
    let (width, height) = info.fixed_size.unwrap_or((side(160), side(96)));
    (width as usize, height as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_precision_has_its_own_limit_and_none_takes_nan() {
        let step = 1.0 / 255.0;
        assert!(
            is_close(Precision::Fp32, 60.0, step) && !is_close(Precision::Fp32, 60.0, 1.1 * step)
        );
        assert!(is_close(Precision::Fp16, 50.0, 1.0) && !is_close(Precision::Bf16, 49.9, 0.0));
        assert!(is_close(Precision::Int8, 42.0, 1.0) && !is_close(Precision::Int8, 41.9, 0.0));
        assert!(!is_close(Precision::Fp16, f64::NAN, 0.0));
    }
}
