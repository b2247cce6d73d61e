//! Running an engine of the GPU over a picture in system memory: what proofs are made by.

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

/// Uploads, runs, waits, downloads: slow, and the same picture.
pub(crate) struct OnHost<'a> {
    engine: &'a mut dyn InferOnDevice,
    device: &'a Arc<Device>,
    runs: u32,
}

impl<'a> OnHost<'a> {
    pub fn new(engine: &'a mut dyn InferOnDevice, device: &'a Arc<Device>) -> Self {
        Self { engine, device, runs: 0 }
    }

    /// Runs over pictures of this size with nothing in them, as many at once as there may be.
    ///
    /// # Errors
    /// As [`Infer::run`].
    pub fn warm_up(&mut self, count: u32, width: u32, height: u32) -> Result<(), Error> {
        let factor = self.info().factor;
        let samples = |width: u32, height: u32| {
            count as usize * self.info().channels.count() * width as usize * height as usize
        };
        let bytes = |width, height| samples(width, height) * self.engine.samples().size();
        let from = Buffer::new(self.device, bytes(width, height))?;
        let to = Buffer::new(self.device, bytes(width * factor, height * factor))?;
        let stream = self.device.compute();
        stream.fill(&from, 0)?;
        let (input, output) = (from.address(), to.address());
        self.engine.run(&DeviceBatch { input, output, count, width, height })?;
        Ok(stream.synchronize()?)
    }
}

impl Infer for OnHost<'_> {
    fn info(&self) -> &ModelInfo {
        self.engine.info()
    }

    /// As the last picture of a batch, of one more each time: a GPU's libraries choose
    /// algorithms by shape, and batches are what regions come in.
    fn run(&mut self, input: &Image, output: &mut Image) -> Result<(), Error> {
        let factor = self.info().factor as usize;
        output.resize(input.channels(), input.width() * factor, input.height() * factor);
        let count = 1 + self.runs % self.engine.max_batch().max(1);
        self.runs = self.runs.wrapping_add(1);

        let (samples, copies) = (self.engine.samples(), count as usize);
        let [of_input, of_output] =
            [input.data(), output.data()].map(|samples_of| samples_of.len() * samples.size());
        let from = Buffer::new(self.device, of_input * copies)?;
        let to = Buffer::new(self.device, of_output * copies)?;
        let mut staging = Pinned::new(self.device, of_input.max(of_output) * copies)?;
        let stream = self.device.compute();

        let bytes: Vec<u8> = match samples {
            Samples::F32 => bytemuck::cast_slice(input.data()).to_vec(),
            Samples::F16 => {
                let halves = input.data().iter().map(|&sample| f16::from_f32(sample).to_ne_bytes());
                halves.collect::<Vec<_>>().into_flattened()
            }
        };
        let room = staging.bytes_mut()?;
        for (to, from) in room.chunks_mut(of_input.max(1)).zip(std::iter::repeat_n(&bytes, copies))
        {
            to.copy_from_slice(from.get(..to.len()).unwrap_or_default());
        }
        stream.upload(&staging, &from, of_input * copies)?;
        let batch = DeviceBatch {
            input: from.address(),
            output: to.address(),
            count,
            width: input.width() as u32,
            height: input.height() as u32,
        };
        self.engine.run(&batch)?;
        stream.download(&to, &mut staging, of_output * copies)?;
        let bytes = staging.bytes()?;
        let last = bytes.get(of_output * (copies - 1)..of_output * copies).unwrap_or_default();
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
