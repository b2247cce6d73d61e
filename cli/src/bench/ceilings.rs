//! The highest rates that the machine reaches: copying memory and large convolutions.

use std::{
    hint,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use gstupscale::{
    backend,
    cuda::{self, Buffer, Device, Pinned, Stream},
    engine::{EngineOptions, Silent},
    model::{Graph, Model, Window},
};

use super::{
    report::Ceiling,
    rounds::{self, Workload as _},
    workload::Session,
};
use crate::error::Error;

/// The time to measure each.
const TIME: Duration = Duration::from_secs(1);
/// Bytes per copy, far more than caches hold.
const COPY_BYTES: usize = 64 << 20;
/// The number of copies that a GPU's rate is averaged over.
const GPU_COPIES: u32 = 32;

/// The rate at which all threads together copy memory.
pub fn memory(threads: usize) -> Ceiling {
    let until = Instant::now() + TIME;
    let rates = thread::scope(|scope| {
        let copies: Vec<_> = (0..threads).map(|_| scope.spawn(|| copy_rate(until))).collect();
        let rates = copies.into_iter().filter_map(|copy| copy.join().ok());
        rates.sum::<f64>()
    });
    Ceiling { what: format!("memory copy, {threads} threads"), value: rates / 1e9, unit: "GB/s" }
}

/// The rate of one thread in bytes per second.
fn copy_rate(until: Instant) -> f64 {
    let (from, mut to) = (vec![1u8; COPY_BYTES], vec![2u8; COPY_BYTES]);
    let (start, mut bytes) = (Instant::now(), 0);
    while bytes == 0 || Instant::now() < until {
        to.copy_from_slice(hint::black_box(&from));
        hint::black_box(&mut to);
        bytes += COPY_BYTES;
    }
    bytes as f64 / start.elapsed().as_secs_f64()
}

/// The rates at which the GPU copies from and to pinned host memory and writes its own memory.
///
/// # Errors
/// See [`cuda::Error`].
pub fn gpu(device: &Arc<Device>) -> Result<[Ceiling; 3], cuda::Error> {
    let (mut host, buffer) = (Pinned::new(device, COPY_BYTES)?, Buffer::new(device, COPY_BYTES)?);
    let (begin, end) = (device.event()?, device.event()?);
    let rate = |what: &str, stream: &Stream, copy: &mut dyn FnMut() -> Result<(), cuda::Error>| {
        // The first copy is slower.
        copy()?;
        stream.record(&begin)?;
        (0..GPU_COPIES).try_for_each(|_| copy())?;
        stream.record(&end)?;
        end.synchronize()?;
        let bytes = f64::from(GPU_COPIES) * COPY_BYTES as f64;
        let value = bytes / end.since(&begin).as_secs_f64().max(f64::MIN_POSITIVE) / 1e9;
        Ok(Ceiling { what: format!("{what} {}", device.name()), value, unit: "GB/s" })
    };
    let (up, down, compute) = (device.upload(), device.download(), device.compute());
    Ok([
        rate("copy to", up, &mut || up.upload(&host, &buffer, COPY_BYTES))?,
        rate("copy from", down, &mut || down.download(&buffer, &mut host, COPY_BYTES))?,
        rate("fill memory of", compute, &mut || compute.fill(&buffer, 0))?,
    ])
}

/// The rates of a matrix product (1x1 convolution) and of a 3x3 convolution of the size that
/// networks for video have, each in a session with these options.
pub fn convolutions(options: &EngineOptions) -> [Result<Ceiling, Error>; 2] {
    [(512, 1, "1x1"), (64, 3, "3x3")].map(|(channels, kernel, name)| {
        let what = format!(
            "{name} convolutions, {channels} channels, {} {}",
            options.backend, options.precision
        );
        let value = rate(options, channels, kernel)?;
        Ok(Ceiling { what, value, unit: "GFLOP/s" })
    })
}

/// Multiplications and additions in 10⁹ per second.
fn rate(options: &EngineOptions, channels: u64, kernel: u64) -> Result<f64, Error> {
    /// Width and height of the picture.
    const SIDE: u32 = 128;
    let model = Model::from_graph("ceiling", "ceiling".as_ref(), graph(channels, kernel))?;
    let flops = 2.0 * model.info.macs_per_pixel * f64::from(SIDE * SIDE);
    let engine = backend::load(&model, options, &Silent)?;
    let mut session = Session::new(engine.infer, SIDE, SIDE)?;
    session.step()?;
    let [rate] = rounds::measure([&mut session], TIME)?;
    Ok(rate * flops / 1e9)
}

/// Four equal layers between one that widens and one that narrows, with a picture of one channel
/// as input and output.
fn graph(channels: u64, kernel: u64) -> Graph {
    let mut graph = Graph::new(1);
    let mut value = graph.input.clone();
    for (inputs, outputs) in [
        (1, channels),
        (channels, channels),
        (channels, channels),
        (channels, channels),
        (channels, channels),
        (channels, 1),
    ] {
        let count = inputs * outputs * kernel * kernel;
        // Zero mean, and scaled so that the samples keep their variance.
        let scale = (12.0 / (inputs * kernel * kernel) as f32).sqrt() / 13.0;
        let weights: Vec<f32> = (0..count).map(|i| ((i * 7 % 13) as f32 - 6.0) * scale).collect();
        let dims = [outputs, inputs, kernel, kernel];
        let weight = graph.constant_f32("weight", &dims, &weights);
        value = graph.conv(&value, &weight, None, Window::padded((kernel / 2) as u32));
    }
    graph.output = value;
    graph
}
