//! Resident memory over many frames through the element.

use std::{error::Error, fs};

use gstupscale::{
    cuda::{self, Device},
    engine::Backend,
    frame::PixelFormat,
    model::Model,
};

use super::{Outcome, Subject};
use crate::{
    harness::{self, Harness},
    pictures::{self, Frame},
};

/// What memory may grow by once it has settled.
const GROWTH: f64 = 0.02;
/// Multiply-adds that all frames together may take.
const BUDGET: f64 = 2e13;

const MEBI: f64 = (1 << 20) as f64;

/// Sends `frames` frames in which rectangles of many sizes change.
pub fn check(subject: &Subject, model: &Model, frames: u32) -> Outcome {
    Outcome::from_result(growth(subject, model, frames))
}

fn growth(subject: &Subject, model: &Model, frames: u32) -> Result<Outcome, Box<dyn Error>> {
    let Some((width, height)) = size(model, frames) else {
        let why = "the model is too slow for so many frames: give a smaller --frames";
        return Ok(Outcome::NotAvailable(why.into()));
    };
    let info = pictures::info(PixelFormat::Gray8, width, height);
    let video = harness::video(&info)?;
    let harness = Harness::new(&subject.properties(), &video.to_caps()?)?;
    let ground = pictures::pan(3, width as usize, height as usize, 0);
    let ground = Frame::of(info, &ground)?;
    let settles = (frames / 4).min(100);
    let gpu = matches!(subject.options.backend, Backend::Cuda | Backend::TensorRt)
        .then(|| Device::open(subject.options.device_id))
        .transpose()?;
    let (mut settled, mut settled_on_gpu, mut out) = (0.0, 0.0, 0);
    for number in 0..frames {
        let mut frame = ground.clone();
        mark(&mut frame, number, width as usize, height as usize);
        harness.push(harness::buffer(&video, &frame, number)?)?;
        out += harness.take().count();
        if number == settles {
            settled = resident()?;
            settled_on_gpu = gpu.as_deref().map(used).transpose()?.unwrap_or(0.0);
        }
    }
    harness.finish();
    out += harness.take().count();
    let mut growth = resident()? / settled - 1.0;
    let mut detail = format!("{:+.2} % from {:.0} MiB", growth * 100.0, settled / MEBI);
    if let Some(gpu) = &gpu {
        let on_gpu = used(gpu)? / settled_on_gpu - 1.0;
        growth = growth.max(on_gpu);
        let megabytes = settled_on_gpu / MEBI;
        detail += &format!("; on the GPU {:+.2} % from {megabytes:.0} MiB", on_gpu * 100.0);
    }
    if out != frames as usize {
        return Ok(Outcome::Failed(format!("{out} frames came out")));
    }
    Ok(Outcome::of(growth <= GROWTH, detail))
}

/// A rectangle of changing size that wanders.
fn mark(frame: &mut Frame, number: u32, width: usize, height: usize) {
    let number = number as usize;
    let (across, down) = ((width / 8).max(1), (height / 5).max(1));
    let (left, top) = (number * 7 % (width - across), number * 5 % (height - down));
    let (wide, high) = (1 + number * 13 % across, 1 + number * 11 % down);
    for row in frame.rows_mut(0).skip(top).take(high) {
        row.iter_mut().skip(left).take(wide).for_each(|sample| *sample = (number % 200) as u8);
    }
}

/// 192×128, or less where the model is slow.
fn size(model: &Model, frames: u32) -> Option<(u32, u32)> {
    if let Some(size) = model.info.fixed_size {
        return Some(size);
    }
    let cost = |&(width, height): &(u32, u32)| {
        model.info.macs_per_pixel * f64::from(width * height * frames) <= BUDGET
    };
    let least = model.info.min_side.max(16);
    let size = [(192, 128), (96, 64), (48, 32)].into_iter().find(cost)?;
    Some((size.0.max(least), size.1.max(least)))
}

/// Bytes of the GPU that are in use, by whomever.
fn used(gpu: &Device) -> Result<f64, cuda::Error> {
    let (free, total) = gpu.memory()?;
    Ok(total.saturating_sub(free) as f64)
}

/// Bytes of this process that are in memory.
fn resident() -> Result<f64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
    Ok(kilobytes.map(|kilobytes: f64| kilobytes * 1024.0).ok_or("VmRSS is not known here")?)
}
