//! What takes part: the bare session, and the element around it.

use std::{error::Error, sync::Arc, time::Duration};

use gstupscale::{
    cuda::{self, Buffer, Device, Event},
    engine::{AnyEngine, DeviceBatch, EngineOptions, Infer, InferOnDevice},
    frame::{Image, PixelFormat},
};

use super::{race::Contender, report::Stages};
use crate::{
    harness::{self, Harness},
    pictures::{self, Frame},
};

/// Frames that are sent round and round.
const FRAMES: u32 = 8;

/// A session alone: its pictures are where and as it wants them before the clock starts.
pub enum Session {
    Host {
        engine: Box<dyn Infer>,
        picture: Image,
        output: Image,
    },
    Device {
        engine: Box<dyn InferOnDevice>,
        batch: DeviceBatch,
        /// What `batch` points to.
        _buffers: [Buffer; 2],
        device: Arc<Device>,
        /// The ends of the last run and of the one before it.
        ends: [Event; 2],
    },
}

impl Session {
    /// For pictures of this size in pixels, or the next larger one that the model takes.
    ///
    /// # Errors
    /// Where the GPU has no memory for them.
    pub fn new(engine: AnyEngine, width: u32, height: u32) -> Result<Self, cuda::Error> {
        let info = engine.info();
        let side = |side: u32| side.max(info.min_side).next_multiple_of(info.align.max(1));
        let (width, height) = info.fixed_size.unwrap_or((side(width), side(height)));
        let (channels, factor) = (info.channels.count(), info.factor as usize);
        match engine {
            AnyEngine::Host(engine) => {
                let picture = pictures::pan(channels, width as usize, height as usize, 0);
                Ok(Self::Host { engine, picture, output: Image::default() })
            }
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

impl Contender for Session {
    fn step(&mut self) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Host { engine, picture, output } => Ok(engine.run(picture, output)?),
            Self::Device { engine, batch, device, ends, .. } => {
                engine.run(batch)?;
                let [last, before] = &*ends;
                // Two at work: enough that the GPU never waits for the host.
                device.compute().record(before)?;
                last.synchronize()?;
                ends.swap(0, 1);
                Ok(())
            }
        }
    }

    fn drain(&mut self) {
        if let Self::Device { device, .. } = self {
            // An error shows at the next step.
            let _ = device.compute().synchronize();
        }
    }
}

/// The element, from buffer to buffer, without reuse.
pub struct Element {
    harness: Harness,
    frames: Vec<gst::Buffer>,
    next: usize,
}

impl Element {
    /// # Errors
    /// What the element says.
    pub fn new(
        model: &str,
        options: &EngineOptions,
        format: PixelFormat,
        width: u32,
        height: u32,
    ) -> Result<Self, Box<dyn Error>> {
        let info = pictures::info(format, width, height);
        let video = harness::video(&info)?;
        let frames = (0..FRAMES).map(|number| -> Result<_, Box<dyn Error>> {
            let picture = pictures::pan(3, width as usize, height as usize, number);
            Ok(harness::buffer(&video, &Frame::of(info, &picture)?, number)?)
        });
        let frames = frames.collect::<Result<_, _>>()?;
        let mut properties = harness::properties(model, options);
        properties.push(("reuse", "off".into()));
        Ok(Self { harness: Harness::new(&properties, &video.to_caps()?)?, frames, next: 0 })
    }

    /// Sums over all frames that have come out.
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

impl Contender for Element {
    fn step(&mut self) -> Result<(), Box<dyn Error>> {
        let frame = self.frames.get(self.next % self.frames.len().max(1)).cloned();
        self.next += 1;
        self.harness.push(frame.ok_or("there are no frames")?)?;
        self.harness.take().for_each(drop);
        Ok(())
    }

    fn drain(&mut self) {
        self.harness.drain();
        self.harness.take().for_each(drop);
    }
}
