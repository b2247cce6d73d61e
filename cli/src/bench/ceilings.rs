//! What the machine gives at most: copying, and the arithmetic of large convolutions.

use std::{
    error::Error,
    hint,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use gstupscale::{
    backend,
    cuda::{self, Buffer, Device, Pinned, Stream},
    engine::EngineOptions,
    model::{Graph, Model, Window},
};

use super::{
    contender::Session,
    race::{self, Contender as _},
    report::Ceiling,
};
use crate::machine::Patient;

/// How long each is tried, in seconds.
const TIME: f64 = 1.0;
/// Far more than caches hold.
const COPIED: usize = 64 << 20;
/// Copies that a GPU's rate is taken over.
const GPU_COPIES: u32 = 32;

/// Bytes that all threads together copy within memory.
pub fn memory(threads: usize) -> Ceiling {
    let until = Instant::now() + Duration::from_secs_f64(TIME);
    let rates = thread::scope(|scope| {
        let copies: Vec<_> = (0..threads).map(|_| scope.spawn(|| copy_rate(until))).collect();
        let rates = copies.into_iter().filter_map(|copy| copy.join().ok());
        rates.sum::<f64>()
    });
    Ceiling { what: format!("copying memory, {threads} threads"), value: rates / 1e9, unit: "GB/s" }
}

fn copy_rate(until: Instant) -> f64 {
    let (from, mut to) = (vec![1u8; COPIED], vec![2u8; COPIED]);
    let (start, mut bytes) = (Instant::now(), 0);
    while bytes == 0 || Instant::now() < until {
        to.copy_from_slice(hint::black_box(&from));
        hint::black_box(&mut to);
        bytes += COPIED;
    }
    bytes as f64 / start.elapsed().as_secs_f64()
}

/// Bytes that go to the GPU and come from it, from memory that it reaches by itself, and bytes
/// that it writes into its own.
///
/// # Errors
/// The driver's.
pub fn gpu(device: &Arc<Device>) -> Result<[Ceiling; 3], cuda::Error> {
    let (mut host, buffer) = (Pinned::new(device, COPIED)?, Buffer::new(device, COPIED)?);
    let (begin, end) = (device.event()?, device.event()?);
    let rate = |what: &str, stream: &Stream, copy: &mut dyn FnMut() -> Result<(), cuda::Error>| {
        // The first one sets things up.
        copy()?;
        stream.record(&begin)?;
        (0..GPU_COPIES).try_for_each(|_| copy())?;
        stream.record(&end)?;
        end.synchronize()?;
        let bytes = f64::from(GPU_COPIES) * COPIED as f64;
        let value = bytes / end.since(&begin).as_secs_f64().max(f64::MIN_POSITIVE) / 1e9;
        Ok(Ceiling { what: format!("{what} {}", device.name()), value, unit: "GB/s" })
    };
    let (up, down, compute) = (device.upload(), device.download(), device.compute());
    Ok([
        rate("copying to", up, &mut || up.upload(&host, &buffer, COPIED))?,
        rate("copying from", down, &mut || down.download(&buffer, &mut host, COPIED))?,
        rate("writing within", compute, &mut || compute.fill(&buffer, 0))?,
    ])
}

/// The rates of a matrix product and of a convolution such as networks for video have, each
/// through a session of these options.
pub fn arithmetic(options: &EngineOptions) -> [Result<Ceiling, Box<dyn Error>>; 2] {
    [(512, 1, "1x1"), (64, 3, "3x3")].map(|(channels, kernel, name)| {
        let what = format!(
            "convolutions {name} of {channels} channels, {} {}",
            options.backend, options.precision
        );
        let value = rate(options, channels, kernel)?;
        Ok(Ceiling { what, value, unit: "GFLOP/s" })
    })
}

/// 10⁹ operations a second.
fn rate(options: &EngineOptions, channels: u64, kernel: u64) -> Result<f64, Box<dyn Error>> {
    const SIDE: u32 = 128;
    let model = Model::from_graph("ceiling", "ceiling".as_ref(), convolutions(channels, kernel))?;
    let flops = 2.0 * model.info.macs_per_pixel * f64::from(SIDE * SIDE);
    let engine = backend::load(&model, options, &Patient)?;
    let mut session = Session::new(engine.infer, SIDE, SIDE)?;
    session.step()?;
    let [rate] = race::race([&mut session], TIME)?;
    Ok(rate * flops / 1e9)
}

/// Four like layers between two thin ones.
fn convolutions(channels: u64, kernel: u64) -> Graph {
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
        // Of no mean, and as large as keeps samples their size.
        let scale = (12.0 / (inputs * kernel * kernel) as f32).sqrt() / 13.0;
        let weights: Vec<f32> = (0..count).map(|i| ((i * 7 % 13) as f32 - 6.0) * scale).collect();
        let dims = [outputs, inputs, kernel, kernel];
        let weight = graph.constant_f32("weight", &dims, &weights);
        value = graph.conv(&value, &weight, None, Window::padded((kernel / 2) as u32));
    }
    graph.output = value;
    graph
}
