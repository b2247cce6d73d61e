//! Memory use of the element over many frames.

use std::fs;

use gstupscale::{
    cuda::{self, Device},
    engine::Backend,
    frame::{OwnedFrame, PixelFormat, PlaneMut},
    model::Model,
};

use super::{EngineSpec, Error, Outcome};
use crate::{
    frame,
    harness::{self, Harness},
    test_pictures,
};

/// The largest growth in the second half of the frames, as a share and in bytes. The latter covers
/// memory that the allocator keeps for threads that were scheduled in another order.
const MAX_GROWTH: (f64, f64) = (0.02, 8.0 * MIB);
/// With fewer frames than this, memory use may not have settled, and a leak may be too small to see.
const ENOUGH_FRAMES: u32 = 1000;
/// The largest number of multiply-adds for all frames together.
const MAX_MACS: f64 = 2e13;

const MIB: f64 = (1 << 20) as f64;

/// Sends `frames` frames in which rectangles of many sizes change.
pub fn check(spec: &EngineSpec, model: &Model, frames: u32) -> Outcome {
    Outcome::from_result(growth(spec, model, frames))
}

fn growth(spec: &EngineSpec, model: &Model, frames: u32) -> Result<Outcome, Error> {
    let Some((width, height)) = size(model, frames) else {
        let why = "the model is too slow for this many frames; use a smaller --frames";
        return Ok(Outcome::NotAvailable(why.into()));
    };
    let info = frame::info(PixelFormat::Gray8, width, height);
    let video = harness::video(&info)?;
    let harness = Harness::new(&spec.properties(), &video.to_caps()?)?;
    let background = test_pictures::pan(3, width as usize, height as usize, 0);
    let background = frame::from_picture(info, &background)?;
    let settles = frames / 2;
    let gpu = matches!(spec.options.backend, Backend::Cuda | Backend::TensorRt)
        .then(|| Device::open(spec.options.device_id))
        .transpose()?;
    let (mut settled, mut settled_on_gpu, mut received) = (0.0f64, 0.0f64, 0);
    for number in 0..frames {
        let mut frame = background.clone();
        draw_rectangle(&mut frame, number, width as usize, height as usize);
        harness.push(harness::buffer(&video, &frame, number)?)?;
        received += harness.take().count();
        if number == settles {
            settled = resident()?;
            settled_on_gpu = gpu.as_deref().map(used).transpose()?.unwrap_or(0.0);
        }
    }
    harness.finish();
    received += harness.take().count();
    let growth = resident()? - settled;
    let mut passed = is_flat(growth, settled);
    let mut detail = describe(growth, settled);
    if let Some(gpu) = &gpu {
        let on_gpu = used(gpu)? - settled_on_gpu;
        passed &= is_flat(on_gpu, settled_on_gpu);
        detail += &format!("; on the GPU {}", describe(on_gpu, settled_on_gpu));
    }
    if received != frames as usize {
        return Ok(Outcome::Failed(format!("{received} of {frames} frames were received")));
    }
    if frames < ENOUGH_FRAMES {
        detail += &format!("; use --frames {ENOUGH_FRAMES} or more to see slow growth");
    }
    Ok(Outcome::new(passed, detail))
}

/// Whether so many more bytes than once memory use had `settled` are no leak.
fn is_flat(growth: f64, settled: f64) -> bool {
    growth <= (settled * MAX_GROWTH.0).max(MAX_GROWTH.1)
}

fn describe(growth: f64, settled: f64) -> String {
    format!("{:+.1} MiB from {:.0} MiB", growth / MIB, settled / MIB)
}

/// Draws a rectangle whose size and position depend on the frame number.
fn draw_rectangle(frame: &mut OwnedFrame, number: u32, width: usize, height: usize) {
    let number = number as usize;
    let (max_width, max_height) = ((width / 8).max(1), (height / 5).max(1));
    let left = number * 7 % width.saturating_sub(max_width).max(1);
    let top = number * 5 % height.saturating_sub(max_height).max(1);
    let (width, height) = (1 + number * 13 % max_width, 1 + number * 11 % max_height);
    let Some(PlaneMut { data, stride }) = frame.plane_mut(0) else { return };
    for row in data.chunks_mut(stride).skip(top).take(height) {
        row.iter_mut().skip(left).take(width).for_each(|sample| *sample = (number % 200) as u8);
    }
}

/// 192×128 pixels, or less if the model is slow; `None` if it is too slow.
fn size(model: &Model, frames: u32) -> Option<(u32, u32)> {
    if let Some(size) = model.info.fixed_size {
        return Some(size);
    }
    let cost = |&(width, height): &(u32, u32)| {
        model.info.macs_per_pixel * f64::from(width * height * frames) <= MAX_MACS
    };
    let min = model.info.min_side.max(16);
    let size = [(192, 128), (96, 64), (48, 32)].into_iter().find(cost)?;
    Some((size.0.max(min), size.1.max(min)))
}

/// Used memory of the GPU in bytes, of all processes.
fn used(gpu: &Device) -> Result<f64, cuda::Error> {
    let (free, total) = gpu.memory()?;
    Ok(total.saturating_sub(free) as f64)
}

/// Resident memory of this process in bytes.
fn resident() -> Result<f64, Error> {
    let status = fs::read_to_string("/proc/self/status").map_err(Error::Status)?;
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
    kilobytes.map(|kilobytes: f64| kilobytes * 1024.0).ok_or(Error::NoVmRss)
}
