//! An engine on the GPU, of one session or of one for each profile.

use super::{profile::Profile, session::DeviceSession};
use crate::{
    engine::{DeviceBatch, Error, InferOnDevice, Samples},
    model::ModelInfo,
};

/// Regions have sides that are multiples of this: each new shape makes the libraries choose
/// algorithms again.
const GRID: u32 = 32;

pub(crate) struct GpuEngine {
    pub(super) info: ModelInfo,
    pub(super) samples: Samples,
    pub(super) identity: String,
    /// Each with what it takes; the first that does is used.
    pub(super) sessions: Vec<(Profile, DeviceSession)>,
}

impl InferOnDevice for GpuEngine {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn samples(&self) -> Samples {
        self.samples
    }

    fn max_batch(&self) -> u32 {
        self.sessions.iter().map(|(profile, _)| profile.most).max().unwrap_or(1)
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
        // Smaller ones go.
        let (profile, session) = fitting.ok_or(Error::OutOfMemory)?;
        let channels = self.info.channels.count() as u64;
        let input = channels * u64::from(batch.width) * u64::from(batch.height);
        let input = input * self.samples.size() as u64;
        let output = input * u64::from(self.info.factor).pow(2);
        for (first, count) in parts(batch.count, profile.most) {
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

/// `count` pictures in batches of at most `most`: the first of each, and how many.
fn parts(count: u32, most: u32) -> impl Iterator<Item = (u32, u32)> {
    let most = most.max(1);
    (0..count).step_by(most as usize).map(move |first| (first, most.min(count - first)))
}

#[cfg(test)]
mod tests {
    use ort::ep::CPU;

    use super::*;
    use crate::{
        engine::test_picture, frame::Image, model::Model, onnxruntime::gpu::session::Place,
    };

    /// On the processor, of the built-in model: two pictures at most, and one where it is larger
    /// than 32 pixels.
    fn engine() -> Option<GpuEngine> {
        let model = Model::open("builtin").unwrap();
        let session = || {
            let cpu = vec![CPU::default().build().error_on_failure()];
            let (samples, place) = (Samples::F32, Place::Host);
            DeviceSession::build(&model.onnx, None, &model.info, samples, place, cpu)
        };
        let profile =
            |most, side| Profile { most, sides: [(8, 8), (8, 8), (side, side)], tuned: 1 };
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
    fn each_picture_of_a_batch_in_parts_comes_out_in_its_place() {
        let Some(mut engine) = engine() else { return };
        assert_eq!(engine.max_batch(), 2);
        let channels = engine.info.channels.count();
        for side in [24, 48] {
            let pictures: Vec<Image> =
                (0..5).map(|seed| test_picture::noise(channels, side, 16, seed)).collect();
            let together = run(&mut engine, &pictures).unwrap();
            let alone: Vec<f32> =
                pictures.chunks(1).flat_map(|picture| run(&mut engine, picture).unwrap()).collect();
            let largest = together.iter().zip(&alone).map(|(a, b)| (a - b).abs());
            assert!(largest.fold(0.0, f32::max) < 1e-5, "{side}");
        }
    }

    #[test]
    fn a_picture_larger_than_any_profile_asks_for_smaller_ones() {
        let Some(mut engine) = engine() else { return };
        let large = [Image::new(engine.info.channels.count(), 80, 16)];
        assert!(matches!(run(&mut engine, &large), Err(Error::OutOfMemory)));
    }

    #[test]
    fn a_batch_that_is_too_large_comes_in_parts() {
        assert_eq!(parts(5, 2).collect::<Vec<_>>(), [(0, 2), (2, 2), (4, 1)]);
        assert_eq!(parts(2, 8).collect::<Vec<_>>(), [(0, 2)]);
        assert_eq!(parts(2, 0).collect::<Vec<_>>(), [(0, 1), (1, 1)]);
    }
}
