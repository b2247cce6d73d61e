//! A fake model on the emulated GPU: the blur that the CPU tests use.

use std::{
    ffi::c_void,
    slice,
    sync::{Arc, Mutex},
};

use gstupscale::{
    cuda::Device,
    engine::{self, DeviceBatch, Infer, InferOnDevice, Samples},
    frame::{Channels, Image},
    model::ModelInfo,
};
use half::f16;

use super::{blur::Blur, emulator};

/// The runs of a model: pictures, width, height.
pub type Runs = Arc<Mutex<Vec<(u32, u32, u32)>>>;

pub struct DeviceBlur {
    pub blur: Blur,
    pub samples: Samples,
    pub max_batch: u32,
    /// The most pixels of a batch; a run with more fails with an out-of-memory error.
    pub memory: u64,
    /// Pictures with a longer side than this get other roundings.
    pub rounds_above: u32,
    /// The longest side of a picture.
    pub max_side: u32,
    /// The only size of regions.
    pub tile: Option<(u32, u32)>,
    pub runs: Runs,
    pub device: Arc<Device>,
}

impl DeviceBlur {
    pub fn new(device: &Arc<Device>, channels: Channels, align: u32) -> Self {
        Self {
            blur: Blur::new(channels, 2, align),
            samples: Samples::F32,
            max_batch: 4,
            memory: u64::MAX,
            rounds_above: u32::MAX,
            max_side: u32::MAX,
            tile: None,
            runs: Runs::default(),
            device: device.clone(),
        }
    }
}

/// A batch whose addresses can be sent to another thread.
struct Batch(DeviceBatch, usize, ModelInfo, Samples, bool);

impl InferOnDevice for DeviceBlur {
    fn info(&self) -> &ModelInfo {
        &self.blur.info
    }

    fn samples(&self) -> Samples {
        self.samples
    }

    fn max_batch(&self, _size: (u32, u32)) -> u32 {
        self.max_batch
    }

    fn shape_grid(&self) -> u32 {
        8
    }

    fn max_side(&self) -> u32 {
        self.max_side
    }

    fn tile(&self) -> Option<(u32, u32)> {
        self.tile
    }

    fn identity(&self) -> &str {
        ""
    }

    fn run(&mut self, batch: &DeviceBatch) -> Result<(), engine::Error> {
        let DeviceBatch { input, output, count, width, height } = *batch;
        assert!(count >= 1 && count <= self.max_batch, "{count} pictures");
        assert_eq!((input % 256, output % 256), (0, 0), "TensorRT needs such addresses");
        assert!(width.max(height) <= self.max_side, "{width}x{height}");
        if u64::from(count) * u64::from(width) * u64::from(height) > self.memory {
            return Err(engine::Error::OutOfMemory);
        }
        self.runs.lock().unwrap().push((count, width, height));
        let channels = self.blur.info.channels.count();
        let other = width.max(height) > self.rounds_above;
        let work = Batch(*batch, channels, self.blur.info.clone(), self.samples, other);
        let stream: *mut c_void = self.device.compute().raw();
        self.device.make_current().unwrap();
        // SAFETY: the pipeline keeps the batch until the stream has processed it.
        unsafe { emulator::enqueue(stream, move || enlarge(&work)) };
        Ok(())
    }
}

fn enlarge(Batch(batch, channels, info, samples, other): &Batch) {
    let (width, height) = (batch.width as usize, batch.height as usize);
    let (inside, outside) = (channels * width * height, channels * width * height * 4);
    let mut blur = Blur { info: info.clone(), memory: usize::MAX };
    for picture in 0..batch.count as usize {
        let mut input = Image::new(*channels, width, height);
        let mut output = Image::default();
        // SAFETY: the emulator's memory is host memory, and the batch has the size that it states.
        unsafe {
            match samples {
                Samples::F32 => {
                    let from = (batch.input as *const f32).add(picture * inside);
                    input.data_mut().copy_from_slice(slice::from_raw_parts(from, inside));
                    blur.run(&input, &mut output).unwrap();
                    if *other {
                        output.data_mut().iter_mut().for_each(|it| *it *= 1.0 - f32::EPSILON);
                    }
                    let to = (batch.output as *mut f32).add(picture * outside);
                    slice::from_raw_parts_mut(to, outside).copy_from_slice(output.data());
                }
                Samples::F16 => {
                    let from = (batch.input as *const f16).add(picture * inside);
                    let from = slice::from_raw_parts(from, inside);
                    input.data_mut().iter_mut().zip(from).for_each(|(to, it)| *to = it.to_f32());
                    blur.run(&input, &mut output).unwrap();
                    let to = (batch.output as *mut f16).add(picture * outside);
                    let to = slice::from_raw_parts_mut(to, outside);
                    to.iter_mut().zip(output.data()).for_each(|(to, it)| *to = f16::from_f32(*it));
                }
            }
        }
    }
}
