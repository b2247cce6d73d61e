//! The GPU's stages against the processor's, on every format.

use std::{iter, sync::Arc};

use bytemuck::cast_slice;
use gstupscale::{
    cuda::{self, Device, Pinned},
    engine::{self, DeviceBatch, Infer as _, InferOnDevice, Samples},
    frame::{Channels, Image, PixelFormat},
    model::ModelInfo,
    upscaler::{self, Error, FrameParams, Pipeline as _},
};

use super::{
    Outcome, Report,
    stages::{self, Plain, SIZE},
};
use crate::{
    pictures::{self, Frame},
    print,
};

/// Output sizes, blend and grain: the model's own size, and one that is resampled to.
const CASES: [((u32, u32), f32, f32); 3] =
    [((202, 134), 1.0, 0.0), ((151, 100), 0.6, 0.0), ((202, 134), 0.0, 0.5)];
/// Codes that samples may differ by: how a GPU rounds is not ours to say.
const MOST: u32 = 1;

/// Adds the row of the GPU of this number. Where it was `asked` for, it has to be there.
///
/// # Errors
/// See [`print::Error`].
pub fn check(report: &mut Report, id: u32, asked: bool) -> Result<(), print::Error> {
    let outcome = match Device::open(id) {
        Ok(device) => compare(&device),
        Err(why) if asked => Outcome::Failed(why.to_string()),
        Err(why) => Outcome::NotAvailable(why.to_string()),
    };
    report.add("stages equal the processor's", "GPU", outcome)
}

fn compare(device: &Arc<Device>) -> Outcome {
    let (mut largest, mut wrong) = (0, Vec::new());
    for &format in PixelFormat::ALL {
        for channels in [Channels::Luma, Channels::Rgb] {
            for (size, blend, grain) in CASES {
                let params = FrameParams { blend, grain, ..stages::PARAMS };
                match difference(device, format, channels, size, &params) {
                    Ok(difference) if difference <= MOST => largest = largest.max(difference),
                    Ok(difference) => {
                        wrong.push(format!("{format} {channels:?} by {difference} codes"));
                    }
                    Err(error) => wrong.push(format!("{format} {channels:?}: {error}")),
                }
            }
        }
    }
    wrong.dedup();
    let cases = PixelFormat::ALL.len() * 2 * CASES.len();
    match wrong.is_empty() {
        true => Outcome::Passed(format!("{cases} cases, at most {largest} codes apart")),
        false => Outcome::Failed(wrong.join(", ")),
    }
}

/// The largest difference, in codes, of one frame by both.
fn difference(
    device: &Arc<Device>,
    format: PixelFormat,
    channels: Channels,
    size: (u32, u32),
    params: &FrameParams,
) -> Result<u32, Error> {
    let frame = stages::noise(format)?;
    let settings = stages::settings(0);
    let large = pictures::info(format, size.0, size.1);
    let (mut by_cpu, mut by_gpu) = (Frame::new(large), Frame::new(large));
    let info = frame.read()?.info;

    let model = Box::new(Plain::new(channels, 2, true));
    let mut upscaler = upscaler::CpuPipeline::new(model, info, large, settings.clone())?;
    upscaler.process(&frame.read()?, None, &mut by_cpu.write()?, params)?;

    let model = Box::new(PlainOnDevice::new(device, channels)?);
    let mut upscaler = upscaler::CudaPipeline::new(model, device.clone(), info, large, settings)?;
    upscaler.process(&frame.read()?, None, &mut by_gpu.write()?, params)?;
    let pairs = iter::zip(by_cpu.codes(), by_gpu.codes());
    Ok(pairs.map(|(a, b)| a.abs_diff(b)).max().unwrap_or(0))
}

/// [`Plain`] on pictures in device memory: computed on the processor all the same, so that only
/// the stages around it can differ.
struct PlainOnDevice {
    plain: Plain,
    staging: Pinned,
    device: Arc<Device>,
}

impl PlainOnDevice {
    fn new(device: &Arc<Device>, channels: Channels) -> Result<Self, cuda::Error> {
        let plain = Plain::new(channels, 2, true);
        let pixels = SIZE.0 as usize * SIZE.1 as usize * 4;
        let staging = Pinned::new(device, pixels * channels.count() * size_of::<f32>())?;
        Ok(Self { plain, staging, device: device.clone() })
    }
}

impl InferOnDevice for PlainOnDevice {
    fn info(&self) -> &ModelInfo {
        self.plain.info()
    }

    fn samples(&self) -> Samples {
        Samples::F32
    }

    fn max_batch(&self) -> u32 {
        1
    }

    fn shape_grid(&self) -> u32 {
        1
    }

    fn identity(&self) -> &str {
        ""
    }

    fn run(&mut self, batch: &DeviceBatch) -> Result<(), engine::Error> {
        let compute = self.device.compute();
        let channels = self.plain.info().channels.count();
        let mut input = Image::new(channels, batch.width as usize, batch.height as usize);
        let mut output = Image::default();
        let bytes = size_of_val(input.data());
        compute.download_from(batch.input, &mut self.staging, bytes)?;
        for (to, word) in input.data_mut().iter_mut().zip(self.staging.bytes()?.as_chunks().0) {
            *to = f32::from_ne_bytes(*word);
        }
        self.plain.run(&input, &mut output)?;
        let made: &[u8] = cast_slice(output.data());
        if let Some(to) = self.staging.bytes_mut()?.get_mut(..made.len()) {
            to.copy_from_slice(made);
        }
        compute.upload_to(&self.staging, batch.output, made.len())?;
        Ok(compute.synchronize()?)
    }
}
