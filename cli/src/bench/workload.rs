//! The workloads: a session alone, and the element around it.

use std::{sync::Arc, time::Duration};

use gstupscale::{
    cuda::{self, Buffer, Device, Event},
    engine::{AnyEngine, DeviceBatch, EngineOptions, Infer, InferOnDevice},
    frame::{Image, PixelFormat},
};

use super::{report::Stages, rounds::Workload};
use crate::{
    error::Error,
    frame,
    harness::{self, Harness},
    test_pictures,
};

/// The number of different frames, which are repeated.
const FRAMES: u32 = 8;

/// A session alone. Its picture is in its memory and format before the measurement starts.
pub enum Session {
    Host {
        engine: Box<dyn Infer>,
        picture: Image,
        output: Image,
    },
    Device {
        engine: Box<dyn InferOnDevice>,
        batch: DeviceBatch,
        /// The memory that `batch` points to.
        _buffers: [Buffer; 2],
        device: Arc<Device>,
        /// The ends of the last run and of the run before it.
        ends: [Event; 2],
    },
}

impl Session {
    /// A session for pictures of this size in pixels, or the next larger size that the model
    /// accepts.
    ///
    /// # Errors
    /// The GPU is out of memory.
    pub fn new(engine: AnyEngine, width: u32, height: u32) -> Result<Self, cuda::Error> {
        let info = engine.info();
        let side = |side: u32| side.max(info.min_side).next_multiple_of(info.align.max(1));
        let (width, height) = info.fixed_size.unwrap_or((side(width), side(height)));
        let (channels, factor) = (info.channels.count(), info.factor as usize);
        let host = |engine| {
            let picture = test_pictures::pan(channels, width as usize, height as usize, 0);
            Ok(Self::Host { engine, picture, output: Image::default() })
        };
        match engine {
            AnyEngine::Host(engine) => host(engine),
            AnyEngine::Incremental(engine) => host(engine),
            AnyEngine::Device(engine, device) => {
                let samples = channels * width as usize * height as usize;
                let bytes = samples * engine.samples().size();
                let from = Buffer::new(&device, bytes)?;
                let to = Buffer::new(&device, bytes * factor * factor)?;
                device.compute().fill(&from, 0)?;
                let (input, output) = (from.address(), to.address());
                let ends = [device.event()?, device.event()?];
                let batch = DeviceBatch { input, output, count: 1, width, height };
                Ok(Self::Device { engine, batch, _buffers: [from, to], device, ends })
            }
        }
    }
}

impl Workload for Session {
    fn step(&mut self) -> Result<(), Error> {
        match self {
            Self::Host { engine, picture, output } => Ok(engine.run(picture, output)?),
            Self::Device { engine, batch, device, ends, .. } => {
                engine.run(batch)?;
                let [last, previous] = &*ends;
                // Two runs in progress are enough that the GPU never waits for the host.
                device.compute().record(previous)?;
                last.synchronize()?;
                ends.swap(0, 1);
                Ok(())
            }
        }
    }

    fn drain(&mut self) {
        if let Self::Device { device, .. } = self {
            // The next step reports an error.
            let _ = device.compute().synchronize();
        }
    }
}

/// The element without reuse, from buffer to buffer.
pub struct Element {
    harness: Harness,
    frames: Vec<gst::Buffer>,
    next: usize,
}

impl Element {
    /// An element for frames of this format and size in pixels.
    ///
    /// # Errors
    /// The element does not start, or the frames cannot be made.
    pub fn new(
        model: &str,
        options: &EngineOptions,
        format: PixelFormat,
        width: u32,
        height: u32,
    ) -> Result<Self, Error> {
        let info = frame::info(format, width, height);
        let video = harness::video(&info)?;
        let frames = (0..FRAMES).map(|number| -> Result<_, Error> {
            let picture = test_pictures::pan(3, width as usize, height as usize, number);
            Ok(harness::buffer(&video, &frame::from_picture(info, &picture)?, number)?)
        });
        let frames = frames.collect::<Result<_, _>>()?;
        let mut properties = harness::properties(model, options);
        properties.push(("reuse", "off".into()));
        Ok(Self { harness: Harness::new(&properties, &video.to_caps()?)?, frames, next: 0 })
    }

    /// The time per stage, summed over all output frames.
    pub fn stages(&self) -> Stages {
        let stats = self.harness.stats();
        let time = |name: &str| {
            Duration::from_nanos(stats.get::<u64>(name).unwrap_or(0)).as_secs_f64() * 1e3
        };
        Stages {
            frames: stats.get("frames-out").unwrap_or(0),
            compare: time("compare-time"),
            unpack: time("unpack-time"),
            infer: time("infer-time"),
            finish: time("finish-time"),
        }
    }
}

impl Workload for Element {
    fn step(&mut self) -> Result<(), Error> {
        let frame = self.frames.get(self.next % self.frames.len().max(1)).cloned();
        self.next += 1;
        self.harness.push(frame.ok_or(Error::NoFrames)?)?;
        self.harness.take().for_each(drop);
        Ok(())
    }

    fn drain(&mut self) {
        self.harness.drain();
        self.harness.take().for_each(drop);
    }
}
