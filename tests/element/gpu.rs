//! The element on an emulated GPU.

use std::sync::{Arc, Mutex};

use gst::prelude::*;
use gstupscale::{
    backend::Loaded,
    cuda::Device,
    element::EngineLoader,
    engine::{
        self, AnyEngine, Backend, DeviceBatch, EngineOptions, EngineTraits, InferOnDevice, Monitor,
        Precision, Samples,
    },
    model::{self, Model, ModelInfo, OpenOptions},
};

use crate::common::emulator::{Count, Emulator};
use crate::{
    bench::{Bench, caps, check_error, i420, rgb, upscale_with},
    fake::Fake,
};

/// Opens the models of [`Fake`] and loads them onto the GPU, unless the CPU is requested.
#[derive(Default)]
struct Gpu {
    fake: Fake,
    /// Runs with more pixels fail because of missing memory.
    memory: Option<u64>,
    loads: Mutex<Vec<Backend>>,
}

impl EngineLoader for Gpu {
    fn open(&self, name: &str, options: &OpenOptions) -> Result<Model, model::Error> {
        self.fake.open(name, options)
    }

    fn load(
        &self,
        model: &Model,
        options: &EngineOptions,
        monitor: &dyn Monitor,
    ) -> Result<Loaded, engine::Error> {
        self.loads.lock().unwrap().push(options.backend);
        if options.backend == Backend::Cpu {
            return self.fake.load(model, options, monitor);
        }
        let device = Device::open(options.device_id)?;
        let memory = self.memory.unwrap_or(u64::MAX);
        let engine = Nearest { info: model.info.clone(), memory, device: device.clone() };
        Ok(Loaded {
            infer: AnyEngine::Device(Box::new(engine), device),
            backend: Backend::Cuda,
            precision: Precision::Fp32,
            traits: EngineTraits { exact_regions: true, tolerant_halo: None },
            device: None,
            note: None,
            fallbacks: Vec::new(),
        })
    }
}

/// Repeats each pixel, in the memory of the emulated GPU.
struct Nearest {
    info: ModelInfo,
    memory: u64,
    device: Arc<Device>,
}

impl InferOnDevice for Nearest {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn samples(&self) -> Samples {
        Samples::F32
    }

    fn max_batch(&self, _size: (u32, u32)) -> u32 {
        2
    }

    fn shape_grid(&self) -> u32 {
        8
    }

    fn identity(&self) -> &str {
        ""
    }

    fn run(&mut self, batch: &DeviceBatch) -> Result<(), engine::Error> {
        let DeviceBatch { input, output, count, width, height } = *batch;
        if u64::from(count) * u64::from(width) * u64::from(height) > self.memory {
            return Err(engine::Error::OutOfMemory);
        }
        let factor = self.info.factor as usize;
        let (width, height) = (width as usize, height as usize);
        let rows = count as usize * self.info.channels.count() * height * factor;
        self.device.make_current()?;
        // SAFETY: the pipeline keeps the batch until the stream has processed it, and the memory
        // of the emulator is host memory.
        unsafe {
            crate::common::emulator::enqueue(self.device.compute().raw(), move || {
                let (from, to) = (input as *const f32, output as *mut f32);
                for y in 0..rows {
                    for x in 0..width * factor {
                        *to.add(y * width * factor + x) =
                            *from.add(y / factor * width + x / factor);
                    }
                }
            });
        }
        Ok(())
    }
}

/// A bench whose element loads its engines from `gpu`.
fn bench(gpu: &Arc<Gpu>, properties: &str, input: &str) -> Bench {
    let element = upscale_with(gpu.clone(), properties);
    let mut bench = Bench::with_element(element, Arc::default());
    bench.harness.set_src_caps(caps(input));
    bench
}

/// A frame of noise in which the first quarter is `value`.
fn frame(bench: &Bench, number: u64, value: u8) -> gst::Buffer {
    let mut frame = bench.frame(number, 0);
    let mut map = frame.get_mut().unwrap().map_writable().unwrap();
    let length = map.len();
    for (at, sample) in map.iter_mut().enumerate() {
        *sample = if at * 4 < length { value } else { (at * 37 % 251) as u8 };
    }
    drop(map);
    frame
}

/// The output for frames with these values.
fn outputs(bench: &mut Bench, values: &[u8]) -> Vec<Vec<u8>> {
    for (number, value) in (0..).zip(values) {
        let frame = frame(bench, number, *value);
        bench.harness.push(frame).unwrap();
    }
    bench.harness.push_event(gst::event::Eos::new());
    let mut outputs = vec![];
    for number in 0..values.len() as u64 {
        let frame = bench.harness.try_pull().expect("an output frame");
        assert_eq!(frame.pts(), Some(gst::ClockTime::from_mseconds(number * 100)));
        outputs.push(frame.map_readable().unwrap().to_vec());
    }
    outputs
}

/// Stops the element and checks that everything on the GPU has been freed.
#[track_caller]
fn assert_all_is_freed(emulator: &Emulator, bench: Bench) {
    bench.element.set_state(gst::State::Null).unwrap();
    drop(bench);
    emulator.assert_clean();
}

const VALUES: [u8; 7] = [5, 5, 90, 91, 91, 5, 200];

#[test]
fn frames_are_the_same_as_on_the_cpu_and_all_gpu_memory_is_freed() {
    let Some(emulator) = Emulator::get() else { return };
    // Sizes without padded rows: this test does not compare padding.
    for input in [i420(64, 48), rgb(44, 21)] {
        for properties in ["reuse=off", "reuse=exact", "blend=0.5 scale=3", "grain=0.5"] {
            let gpu = Arc::new(Gpu::default());
            let mut on_gpu = bench(&gpu, properties, &input);
            let got = outputs(&mut on_gpu, &VALUES);
            let mut on_cpu = Bench::with_caps(properties, &input);
            assert!(got == outputs(&mut on_cpu, &VALUES), "{input}, {properties}");
            let stats: gst::Structure = on_gpu.element.property("stats");
            assert_eq!(stats.get::<&str>("backend"), Ok("cuda"));
            assert!(emulator.count(Count::Launches) > 0);
            assert_all_is_freed(&emulator, on_gpu);
        }
    }
}

#[test]
fn new_caps_and_a_flush_work_in_the_middle_of_a_stream() {
    let Some(emulator) = Emulator::get() else { return };
    let gpu = Arc::new(Gpu::default());
    let mut bench = bench(&gpu, "", &i420(64, 48));
    for (number, input) in (0..).zip([i420(32, 32), rgb(17, 9), i420(64, 48)]) {
        let last = frame(&bench, number, 3);
        bench.harness.push(last).unwrap();
        bench.harness.push_event(gst::event::FlushStart::new());
        bench.harness.push_event(gst::event::FlushStop::new(true));
        bench.harness.set_src_caps(caps(&input));
        let segment = gst::FormattedSegment::<gst::ClockTime>::new();
        bench.harness.push_event(gst::event::Segment::new(&segment));
        let frame = frame(&bench, number, 9);
        bench.harness.push(frame).unwrap();
    }
    assert_all_is_freed(&emulator, bench);
    assert_eq!(gpu.loads.lock().unwrap().len(), 1);
}

#[test]
fn when_gpu_memory_runs_out_the_cpu_continues_and_no_frame_is_missing() {
    let Some(emulator) = Emulator::get() else { return };
    // Memory runs out at the first frame, or at larger frames in the middle of a stream.
    for memory in [Some(0), None] {
        let gpu = Arc::new(Gpu { memory, ..Default::default() });
        let mut on_gpu = bench(&gpu, "reuse=off", &i420(40, 24));
        for number in 0..4 {
            if number == 2 && memory.is_none() {
                emulator.set_memory(emulator.used());
                on_gpu.harness.set_src_caps(caps(&i420(64, 48)));
            }
            let frame = frame(&on_gpu, number, number as u8);
            on_gpu.harness.push(frame).unwrap();
        }
        on_gpu.harness.push_event(gst::event::Eos::new());
        for number in 0..4 {
            let frame = on_gpu.harness.try_pull().expect("an output frame");
            assert_eq!(frame.pts(), Some(gst::ClockTime::from_mseconds(number * 100)));
        }
        on_gpu.expect_error(
            gst::MessageType::Warning,
            gst::ResourceError::NoSpaceLeft,
            "continuing on the CPU",
        );
        assert_eq!(*gpu.loads.lock().unwrap(), [Backend::Auto, Backend::Cpu]);
        let stats: gst::Structure = on_gpu.element.property("stats");
        assert_eq!(stats.get::<&str>("backend"), Ok("cpu"));
        let fallbacks = stats.get::<gst::Array>("fallbacks").unwrap();
        let fallback = fallbacks[0].get::<&str>().unwrap();
        assert!(fallback.starts_with("cuda: the GPU is out of memory"), "{fallback}");
        assert_all_is_freed(&emulator, on_gpu);
        emulator.set_memory(1 << 40);
    }
}

#[test]
fn a_requested_gpu_without_memory_is_an_error() {
    let Some(_emulator) = Emulator::get() else { return };
    let gpu = Arc::new(Gpu { memory: Some(0), ..Default::default() });
    let mut bench = bench(&gpu, "backend=cuda", &i420(40, 24));
    let frame = frame(&bench, 0, 1);
    assert_eq!(bench.harness.push(frame), Err(gst::FlowError::Error));
    bench.expect_error(
        gst::MessageType::Error,
        gst::ResourceError::NoSpaceLeft,
        "the GPU is out of memory",
    );
    bench.element.set_state(gst::State::Null).unwrap();
}

#[test]
fn smaller_regions_for_lack_of_memory_cause_one_warning_and_do_not_change_the_picture() {
    let Some(emulator) = Emulator::get() else { return };
    let gpu = Arc::new(Gpu { memory: Some(40 * 40), ..Default::default() });
    let mut on_gpu = bench(&gpu, "reuse=off", &i420(64, 48));
    let got = outputs(&mut on_gpu, &VALUES);
    let mut on_cpu = Bench::with_caps("reuse=off", &i420(64, 48));
    assert!(got == outputs(&mut on_cpu, &VALUES));
    let warnings = std::iter::from_fn(|| on_gpu.bus.pop_filtered(&[gst::MessageType::Warning]));
    let warnings: Vec<_> = warnings.collect();
    assert_eq!(warnings.len(), 1);
    check_error(&warnings[0], gst::ResourceError::NoSpaceLeft, "split into smaller regions");
    assert_all_is_freed(&emulator, on_gpu);
}

#[test]
fn a_lost_gpu_is_an_error() {
    let Some(emulator) = Emulator::get() else { return };
    let mut bench = bench(&Arc::new(Gpu::default()), "reuse=off", &i420(64, 48));
    let first = frame(&bench, 0, 1);
    bench.harness.push(first).unwrap();
    emulator.lose_after(2);
    let pushed = (1..9).try_for_each(|number| {
        let frame = frame(&bench, number, number as u8);
        bench.harness.push(frame).map(|_| ())
    });
    assert_eq!(pushed, Err(gst::FlowError::Error));
    let message = bench.next_message(gst::MessageType::Error).expect("an error");
    check_error(&message, gst::ResourceError::Failed, "the GPU stopped responding");
    bench.element.set_state(gst::State::Null).unwrap();
}
