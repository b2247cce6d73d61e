//! An engine on the GPU: one session, or one for each profile.

use super::{profile::Profile, session::DeviceSession};
use crate::{
    engine::{DeviceBatch, Error, InferOnDevice, Samples},
    model::ModelInfo,
};

/// Regions have sides that are multiples of this number of pixels, because NVIDIA's libraries
/// choose algorithms again for each new shape.
const GRID: u32 = 32;

pub(super) struct GpuEngine {
    pub info: ModelInfo,
    pub samples: Samples,
    pub identity: String,
    /// Each with the sizes it accepts. The first that accepts a size runs it.
    pub sessions: Vec<(Profile, DeviceSession)>,
}

impl InferOnDevice for GpuEngine {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn samples(&self) -> Samples {
        self.samples
    }

    fn max_batch(&self) -> u32 {
        self.sessions.iter().map(|(profile, _)| profile.max_batch).max().unwrap_or(1)
    }

    fn shape_grid(&self) -> u32 {
        if self.info.fixed_size.is_some() { 1 } else { GRID }
    }

    fn identity(&self) -> &str {
        &self.identity
    }

    fn run(&mut self, batch: &DeviceBatch) -> Result<(), Error> {
        let fitting =
            self.sessions.iter_mut().find(|(profile, _)| profile.admits(batch.width, batch.height));
        let (width, height) = (batch.width, batch.height);
        let (profile, session) = fitting.ok_or(Error::LargerThanProfile { width, height })?;
        let channels = self.info.channels.count() as u64;
        let input = channels * u64::from(batch.width) * u64::from(batch.height);
        let input = input * self.samples.size() as u64;
        let output = input * u64::from(self.info.factor).pow(2);
        for (first, count) in parts(batch.count, profile.max_batch) {
            let first = u64::from(first);
            session.run(&DeviceBatch {
                input: batch.input + first * input,
                output: batch.output + first * output,
                count,
                ..*batch
            })?;
        }
        Ok(())
    }
}

/// Divides `count` pictures into batches of at most `max`: the first picture and the number of
/// pictures of each.
fn parts(count: u32, max: u32) -> impl Iterator<Item = (u32, u32)> {
    let max = max.max(1);
    (0..count).step_by(max as usize).map(move |first| (first, max.min(count - first)))
}

#[cfg(test)]
mod tests {
    use ort::ep::CPU;

    use super::*;
    use crate::{
        engine::test_picture, frame::Image, model::Model, onnxruntime::gpu::session::Place,
    };

    /// The built-in model on the CPU: batches of two pictures up to 32 pixels, and single pictures
    /// up to 64 pixels.
    fn engine() -> Option<GpuEngine> {
        let model = Model::open("builtin").unwrap();
        let session = || {
            let cpu = vec![CPU::default().build().error_on_failure()];
            let (samples, place) = (Samples::F32, Place::Host);
            DeviceSession::build(&model.onnx, None, &model.info, samples, place, cpu)
        };
        let profile = |max_batch, side| Profile {
            max_batch,
            sides: [(8, 8), (8, 8), (side, side)],
            tuned_batch: 1,
        };
        let sessions = match session() {
            Ok(first) => vec![(profile(2, 32), first), (profile(1, 64), session().unwrap())],
            Err(Error::NoLibrary { searched }) => {
                eprintln!("skipped: no ONNX Runtime in {searched}");
                return None;
            }
            Err(error) => panic!("{error}"),
        };
        let (info, identity) = (model.info.clone(), String::new());
        Some(GpuEngine { info, samples: Samples::F32, identity, sessions })
    }

    fn run(engine: &mut GpuEngine, pictures: &[Image]) -> Result<Vec<f32>, Error> {
        let input: Vec<f32> = pictures.iter().flat_map(|it| it.data().to_vec()).collect();
        let factor = engine.info.factor as usize;
        let mut output = vec![0.0f32; input.len() * factor * factor];
        engine.run(&DeviceBatch {
            input: input.as_ptr().expose_provenance() as u64,
            output: output.as_mut_ptr().expose_provenance() as u64,
            count: pictures.len() as u32,
            width: pictures[0].width() as u32,
            height: pictures[0].height() as u32,
        })?;
        Ok(output)
    }

    #[test]
    fn a_batch_that_is_divided_gives_the_same_pictures_in_order() {
        let Some(mut engine) = engine() else { return };
        assert_eq!(engine.max_batch(), 2);
        let channels = engine.info.channels.count();
        for side in [24, 48] {
            let pictures: Vec<Image> =
                (0..5).map(|seed| test_picture::noise(channels, side, 16, seed)).collect();
            let batch = run(&mut engine, &pictures).unwrap();
            let single: Vec<f32> =
                pictures.chunks(1).flat_map(|picture| run(&mut engine, picture).unwrap()).collect();
            let largest = batch.iter().zip(&single).map(|(a, b)| (a - b).abs());
            assert!(largest.fold(0.0, f32::max) < 1e-5, "{side}");
        }
    }

    #[test]
    fn a_picture_larger_than_every_profile_is_an_error_that_smaller_ones_avoid() {
        let Some(mut engine) = engine() else { return };
        let large = [Image::new(engine.info.channels.count(), 80, 16)];
        let error = run(&mut engine, &large).unwrap_err();
        assert!(matches!(error, Error::LargerThanProfile { width: 80, height: 16 }), "{error}");
        assert!(error.smaller_may_succeed());
    }

    #[test]
    fn a_batch_that_is_too_large_is_divided() {
        assert_eq!(parts(5, 2).collect::<Vec<_>>(), [(0, 2), (2, 2), (4, 1)]);
        assert_eq!(parts(2, 8).collect::<Vec<_>>(), [(0, 2)]);
        assert_eq!(parts(2, 0).collect::<Vec<_>>(), [(0, 1), (1, 1)]);
    }
}
