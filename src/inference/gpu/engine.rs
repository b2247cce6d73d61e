//! An engine on the GPU, of one session or of one for each profile.

use super::{profile::Profile, session::DeviceSession};
use crate::{
    inference::{DeviceBatch, Error, InferOnDevice, Samples},
    model::ModelInfo,
};

/// Regions have sides that are multiples of this: each new shape makes the libraries choose
/// algorithms again.
const GRID: u32 = 32;

pub(super) struct GpuEngine {
    pub info: ModelInfo,
    pub samples: Samples,
    pub identity: String,
    /// Each with what it takes; the first that does is used.
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
    use super::*;

    #[test]
    fn a_batch_that_is_too_large_comes_in_parts() {
        assert_eq!(parts(5, 2).collect::<Vec<_>>(), [(0, 2), (2, 2), (4, 1)]);
        assert_eq!(parts(2, 8).collect::<Vec<_>>(), [(0, 2)]);
        assert_eq!(parts(2, 0).collect::<Vec<_>>(), [(0, 1), (1, 1)]);
    }
}
