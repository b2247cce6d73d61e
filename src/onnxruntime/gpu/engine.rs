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
    /// Each with the batches it accepts. The first that accepts a batch runs it.
    pub sessions: Vec<(Profile, DeviceSession)>,
    /// The only size of regions, if any.
    pub tile: Option<(u32, u32)>,
}

impl InferOnDevice for GpuEngine {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn samples(&self) -> Samples {
        self.samples
    }

    fn max_batch(&self, (width, height): (u32, u32)) -> u32 {
        let admitting = self.sessions.iter().filter(|(profile, _)| profile.admits(width, height));
        // Without `exact`, the first one runs all batches.
        admitting.map(|(profile, _)| profile.max_batch).next().unwrap_or(1)
    }

    fn tile(&self) -> Option<(u32, u32)> {
        self.tile
    }

    fn max_side(&self) -> u32 {
        let sides = self.sessions.iter().map(|(profile, _)| profile.sides[2]);
        sides.map(|(width, height)| width.min(height)).max().unwrap_or(u32::MAX)
    }

    fn shape_grid(&self) -> u32 {
        if self.info.fixed_size.is_some() { 1 } else { GRID }
    }

    fn identity(&self) -> &str {
        &self.identity
    }

    fn run(&mut self, batch: &DeviceBatch) -> Result<(), Error> {
        let (width, height) = (batch.width, batch.height);
        let channels = self.info.channels.count() as u64;
        let input = channels * u64::from(batch.width) * u64::from(batch.height);
        let input = input * self.samples.size() as u64;
        let output = input * u64::from(self.info.factor).pow(2);
        let mut first = 0;
        while first < batch.count {
            let rest = batch.count - first;
            let fits = |profile: &Profile| {
                profile.admits(width, height) && (!profile.exact || profile.max_batch <= rest)
            };
            let fitting = self.sessions.iter_mut().find(|(profile, _)| fits(profile));
            let (profile, session) = fitting.ok_or(Error::LargerThanProfile { width, height })?;
            let count = profile.max_batch.clamp(1, rest);
            session.run(&DeviceBatch {
                input: batch.input + u64::from(first) * input,
                output: batch.output + u64::from(first) * output,
                count,
                ..*batch
            })?;
            first += count;
        }
        Ok(())
    }
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
            exact: false,
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
        Some(GpuEngine { info, samples: Samples::F32, identity, sessions, tile: None })
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
        assert_eq!(engine.max_batch((24, 16)), 2);
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
    fn the_size_decides_how_many_pictures_a_batch_has_and_how_large_they_may_be() {
        let Some(engine) = engine() else { return };
        // Not divided further, so that every address of TensorRT is that of a buffer.
        assert_eq!((engine.max_batch((32, 32)), engine.max_batch((33, 32))), (2, 1));
        assert_eq!(engine.max_side(), 64);
    }

    #[test]
    fn sessions_of_one_shape_run_full_batches_and_then_single_pictures() {
        let Some(mut engine) = engine() else { return };
        for (profile, _) in &mut engine.sessions {
            profile.exact = true;
        }
        let channels = engine.info.channels.count();
        let pictures: Vec<Image> =
            (0..5).map(|seed| test_picture::noise(channels, 24, 16, seed)).collect();
        let batch = run(&mut engine, &pictures).unwrap();
        let single: Vec<f32> =
            pictures.chunks(1).flat_map(|picture| run(&mut engine, picture).unwrap()).collect();
        let largest = batch.iter().zip(&single).map(|(a, b)| (a - b).abs());
        assert!(largest.fold(0.0, f32::max) < 1e-5);
    }
}
