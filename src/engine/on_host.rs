//! Runs an engine of the GPU over pictures in system memory, for tests and measurements.

use std::sync::Arc;

use half::f16;

use super::{
    device::{DeviceBatch, InferOnDevice, Samples},
    error::Error,
    infer::Infer,
};
use crate::{
    cuda::{Buffer, Device, Pinned},
    frame::Image,
    model::ModelInfo,
};

/// Uploads a picture, runs the engine, waits, and downloads the result. Slow.
pub(crate) struct OnHost<'a> {
    engine: &'a mut dyn InferOnDevice,
    device: &'a Arc<Device>,
    runs: u32,
}

impl<'a> OnHost<'a> {
    pub(crate) fn new(engine: &'a mut dyn InferOnDevice, device: &'a Arc<Device>) -> Self {
        Self { engine, device, runs: 0 }
    }
}

impl Infer for OnHost<'_> {
    fn info(&self) -> &ModelInfo {
        self.engine.info()
    }

    /// Runs the picture as the last of a batch. Each run uses a batch of another size, because the
    /// GPU's libraries choose algorithms by shape, and regions run in batches.
    fn run(&mut self, input: &Image, output: &mut Image) -> Result<(), Error> {
        let factor = self.info().factor as usize;
        output.resize(input.channels(), input.width() * factor, input.height() * factor);
        let size = (input.width() as u32, input.height() as u32);
        let count = 1 + self.runs % self.engine.max_batch(size).max(1);
        self.runs = self.runs.wrapping_add(1);

        let (samples, copies) = (self.engine.samples(), count as usize);
        let [input_bytes, output_bytes] =
            [input.data(), output.data()].map(|samples_of| samples_of.len() * samples.size());
        let from = Buffer::new(self.device, input_bytes * copies)?;
        let to = Buffer::new(self.device, output_bytes * copies)?;
        let mut staging = Pinned::new(self.device, input_bytes.max(output_bytes) * copies)?;
        let stream = self.device.compute();

        let bytes: Vec<u8> = match samples {
            Samples::F32 => bytemuck::cast_slice(input.data()).to_vec(),
            Samples::F16 => {
                let halves = input.data().iter().map(|&sample| f16::from_f32(sample).to_ne_bytes());
                halves.collect::<Vec<_>>().into_flattened()
            }
        };
        let copied = staging.bytes_mut()?;
        for (to, from) in
            copied.chunks_mut(input_bytes.max(1)).zip(std::iter::repeat_n(&bytes, copies))
        {
            to.copy_from_slice(from.get(..to.len()).unwrap_or_default());
        }
        stream.upload(&staging, &from, input_bytes * copies)?;
        let batch = DeviceBatch {
            input: from.address(),
            output: to.address(),
            count,
            width: input.width() as u32,
            height: input.height() as u32,
        };
        self.engine.run(&batch)?;
        stream.download(&to, &mut staging, output_bytes * copies)?;
        let bytes = staging.bytes()?;
        let last =
            bytes.get(output_bytes * (copies - 1)..output_bytes * copies).unwrap_or_default();
        match samples {
            Samples::F32 => {
                for (to, word) in output.data_mut().iter_mut().zip(last.as_chunks().0) {
                    *to = f32::from_ne_bytes(*word);
                }
            }
            Samples::F16 => {
                for (to, word) in output.data_mut().iter_mut().zip(last.as_chunks().0) {
                    *to = f16::from_ne_bytes(*word).to_f32();
                }
            }
        }
        Ok(())
    }

    fn shape_grid(&self) -> u32 {
        self.engine.shape_grid()
    }

    fn identity(&self) -> &str {
        self.engine.identity()
    }
}
