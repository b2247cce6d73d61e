//! The GPU's stages around inference, compared with the CPU's, in every pixel format.

use std::{iter, sync::Arc};

use bytemuck::cast_slice;
use gstupscale::{
    cuda::{self, Device, Pinned},
    engine::{self, DeviceBatch, Infer as _, InferOnDevice, Samples},
    frame::{Channels, Image, OwnedFrame, PixelFormat},
    model::ModelInfo,
    upscaler::{self, FrameParams, Pipeline as _},
};

use super::{
    Outcome, Report, Selection,
    cpu_stages::{self, SIZE},
    test_model::{Filter, TestModel},
};
use crate::{frame, print};

/// Output size, blend and grain: the model's output size, and one that needs resampling.
const CASES: [((u32, u32), f32, f32); 3] =
    [((202, 134), 1.0, 0.0), ((151, 100), 0.6, 0.0), ((202, 134), 0.0, 0.5)];
/// The largest difference of a sample, in code values: a GPU may round differently.
const MAX_DIFFERENCE: u32 = 1;

/// Adds the row of the GPU of this number.
///
/// # Errors
/// See [`print::Error`].
pub fn check(report: &mut Report, id: u32, selection: Selection) -> Result<(), print::Error> {
    let outcome = match Device::open(id) {
        Ok(device) => compare(&device),
        Err(error) => selection.not_available(error.to_string()),
    };
    report.add("stages: GPU equals CPU", "GPU", outcome)
}

fn compare(device: &Arc<Device>) -> Outcome {
    let (mut largest, mut failed) = (0, Vec::new());
    for &format in PixelFormat::ALL {
        for channels in [Channels::Luma, Channels::Rgb] {
            for (size, blend, grain) in CASES {
                let params = FrameParams { blend, grain, ..cpu_stages::PARAMS };
                match difference(device, format, channels, size, &params) {
                    Ok(difference) if difference <= MAX_DIFFERENCE => {
                        largest = largest.max(difference)
                    }
                    Ok(difference) => {
                        failed.push(format!("{format} {channels:?} differs by {difference}"));
                    }
                    Err(error) => failed.push(format!("{format} {channels:?}: {error}")),
                }
            }
        }
    }
    failed.dedup();
    let cases = PixelFormat::ALL.len() * 2 * CASES.len();
    if failed.is_empty() {
        Outcome::Passed(format!("{cases} cases, largest difference {largest}"))
    } else {
        Outcome::Failed(failed.join(", "))
    }
}

/// The largest difference of a sample between the CPU and the GPU, in code values.
fn difference(
    device: &Arc<Device>,
    format: PixelFormat,
    channels: Channels,
    size: (u32, u32),
    params: &FrameParams,
) -> Result<u32, upscaler::Error> {
    let frame = cpu_stages::noise(format)?;
    let settings = cpu_stages::settings(0);
    let large = frame::info(format, size.0, size.1);
    let (mut by_cpu, mut by_gpu) = (OwnedFrame::new(large, 0)?, OwnedFrame::new(large, 0)?);
    let info = frame.info();

    let model = Box::new(TestModel::new(channels, 2, Filter::Soft));
    let mut upscaler = upscaler::CpuPipeline::new(
        model,
        cpu_stages::EXACT_REGIONS,
        info,
        large,
        settings.clone(),
    )?;
    upscaler.process(&frame.read(), None, &mut by_cpu.write(), params)?;

    let model = Box::new(TestModelOnDevice::new(device, channels)?);
    let mut upscaler = upscaler::CudaPipeline::new(
        model,
        cpu_stages::EXACT_REGIONS,
        device.clone(),
        info,
        large,
        settings,
    )?;
    upscaler.process(&frame.read(), None, &mut by_gpu.write(), params)?;
    let pairs = iter::zip(frame::codes(&by_cpu), frame::codes(&by_gpu));
    Ok(pairs.map(|(a, b)| a.abs_diff(b)).max().unwrap_or(0))
}

/// [`TestModel`] for pictures in device memory. It computes on the CPU, so that only the stages
/// around it can differ.
struct TestModelOnDevice {
    model: TestModel,
    staging: Pinned,
    device: Arc<Device>,
}

impl TestModelOnDevice {
    fn new(device: &Arc<Device>, channels: Channels) -> Result<Self, cuda::Error> {
        let model = TestModel::new(channels, 2, Filter::Soft);
        let pixels = SIZE.0 as usize * SIZE.1 as usize * 4;
        let staging = Pinned::new(device, pixels * channels.count() * size_of::<f32>())?;
        Ok(Self { model, staging, device: device.clone() })
    }
}

impl InferOnDevice for TestModelOnDevice {
    fn info(&self) -> &ModelInfo {
        self.model.info()
    }

    fn samples(&self) -> Samples {
        Samples::F32
    }

    fn max_batch(&self, _size: (u32, u32)) -> u32 {
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
        let channels = self.model.info().channels.count();
        let mut input = Image::new(channels, batch.width as usize, batch.height as usize);
        let mut output = Image::default();
        let bytes = size_of_val(input.data());
        compute.download_from(batch.input, &mut self.staging, bytes)?;
        for (to, word) in input.data_mut().iter_mut().zip(self.staging.bytes()?.as_chunks().0) {
            *to = f32::from_ne_bytes(*word);
        }
        self.model.run(&input, &mut output)?;
        let made: &[u8] = cast_slice(output.data());
        if let Some(to) = self.staging.bytes_mut()?.get_mut(..made.len()) {
            to.copy_from_slice(made);
        }
        compute.upload_to(&self.staging, batch.output, made.len())?;
        Ok(compute.synchronize()?)
    }
}
