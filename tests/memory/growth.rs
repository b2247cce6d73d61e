//! Resident memory over many frames. Each test needs a process of its own, as `make test` gives it.

use gst::prelude::*;
use gst_check::Harness;
use gstupscale::{
    backend,
    element::Upscale,
    engine::{Backend, EngineOptions, Infer, Precision, Silent},
    frame::Image,
    model::Model,
    native,
};

const WIDTH: usize = 192;
const HEIGHT: usize = 128;

/// Resident memory of this process in bytes, without the free memory that the allocator keeps: how
/// much that is depends on how threads were scheduled.
fn resident() -> f64 {
    // SAFETY: it only releases free memory of the allocator.
    unsafe { libc::malloc_trim(0) };
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 4096.0
}

/// A still picture with a rectangle that moves and changes its size.
fn frame(number: usize) -> gst::Buffer {
    let mut bytes = vec![0u8; WIDTH * HEIGHT];
    let (x, y) = (number * 7 % 170, number * 5 % 100);
    let (width, height) = (1 + number * 13 % 22, 1 + number * 11 % 28);
    for (at, byte) in bytes.iter_mut().enumerate() {
        let (column, row) = (at % WIDTH, at / WIDTH);
        let inside = (x..x + width).contains(&column) && (y..y + height).contains(&row);
        *byte = if inside { (number % 200) as u8 } else { (column ^ row) as u8 };
    }
    let mut buffer = gst::Buffer::from_mut_slice(bytes);
    buffer.get_mut().unwrap().set_pts(gst::ClockTime::from_mseconds(40) * number as u64);
    buffer
}

/// Fails if memory grows by more than 2 % between frame 1,000 and frame 2,000; skipped if ONNX Runtime
/// does not have the backend. In the first thousand frames OpenVINO compiles kernels for the sizes of
/// regions that it has not seen.
fn stays_flat(properties: &str) {
    gst::init().unwrap();
    let _ = gstupscale::plugin_register_static();
    let element = gst::ElementFactory::make("upscale").build().unwrap();
    // On a busy machine the next frame may be late.
    element.downcast_ref::<Upscale>().unwrap().hold_frames();
    // The harness is a live source: frames must wait for the model.
    element.set_property_from_str("overload", "drop");
    element.set_property_from_str("startup", "wait");
    for property in properties.split_whitespace() {
        let (name, value) = property.split_once('=').unwrap();
        element.set_property_from_str(name, value);
    }
    let mut harness = Harness::with_element(&element, Some("sink"), Some("src"));
    harness.play();
    harness.set_src_caps(
        format!("video/x-raw,format=GRAY8,width={WIDTH},height={HEIGHT},framerate=25/1")
            .parse()
            .unwrap(),
    );
    let mut settled = 0.0;
    for number in 0..2000 {
        if harness.push(frame(number)).is_err() {
            eprintln!("skipped: {properties} does not run here");
            return;
        }
        let out = std::iter::from_fn(|| harness.try_pull()).count();
        assert!(out == 1 || number < 4, "one output frame for each input frame");
        if number == 1000 {
            settled = resident();
        }
    }
    let growth = resident() / settled - 1.0;
    eprintln!("{properties}: {:+.2} %", growth * 100.0);
    assert!(growth <= 0.02, "{properties}: {:+.2} %", growth * 100.0);
}

#[test]
fn memory_stays_flat_over_two_thousand_frames_on_onnx_runtime() {
    stays_flat("backend=cpu precision=fp32 reuse=off");
}

#[test]
fn memory_stays_flat_over_two_thousand_frames_with_reuse_on_onnx_runtime() {
    stays_flat("backend=cpu precision=fp32 reuse=exact");
}

#[test]
fn memory_stays_flat_over_two_thousand_frames_in_flight_on_onnx_runtime() {
    stays_flat("backend=cpu precision=fp32 reuse=exact pipeline-depth=2");
}

#[test]
fn memory_stays_flat_over_two_thousand_frames_on_openvino() {
    stays_flat("backend=openvino precision=fp32 reuse=off");
}

#[test]
fn memory_stays_flat_over_two_thousand_frames_with_reuse_on_openvino() {
    stays_flat("backend=openvino precision=fp32 reuse=exact");
}

#[test]
fn memory_stays_flat_over_two_thousand_frames_in_flight_on_openvino() {
    stays_flat("backend=openvino precision=fp32 reuse=exact pipeline-depth=2");
}

#[test]
fn memory_stays_flat_over_two_thousand_frames_on_the_native_engine() {
    stays_flat("backend=native precision=fp32 reuse=off");
}

#[test]
fn memory_stays_flat_over_two_thousand_frames_with_reuse_on_the_native_engine() {
    stays_flat("backend=native precision=fp32 reuse=exact");
}

#[test]
fn memory_stays_flat_over_two_thousand_frames_with_tolerant_reuse_on_the_native_engine() {
    stays_flat("backend=native precision=int16 reuse=tolerant pipeline-depth=2");
}

/// The most bytes of this process that have been in memory.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0
}

#[test]
#[ignore = "takes a minute"]
fn a_frame_of_1920_by_1080_is_enlarged_within_600_megabytes_beside_its_pictures() {
    let weights = "../shared/data/weights/realesr-animevideov3.onnx";
    let Ok(model) = Model::open(weights) else {
        eprintln!("skipped: {weights} does not exist");
        return;
    };
    let mut engine = native::Engine::open(&model, &native::Options::default()).unwrap();
    let before = resident();
    let limit = 600_000_000;
    engine.limit_memory(Some(limit));
    let promised = engine.working_bytes(1920, 1080);
    let mut output = Image::default();
    engine.run(&Image::new(3, 1920, 1080), &mut output).unwrap();
    let pictures = (3 * 1920 * 1080 * 17 * size_of::<f32>()) as f64;
    let used = peak() - before;
    eprintln!(
        "{:.0} MB, of them {:.0} for input and output; {:.0} MB promised for the rest",
        used / 1e6,
        pictures / 1e6,
        promised as f64 / 1e6
    );
    assert!(promised <= limit, "{promised}");
    assert!(used - pictures <= promised as f64 * 1.1 + 10e6, "{used} {pictures} {promised}");
}

#[test]
fn memory_stays_bounded_over_shapes_without_end() {
    for backend in [Backend::Cpu, Backend::OpenVino] {
        let cache_dir = std::env::temp_dir();
        let precision = Precision::Fp32;
        let options = EngineOptions { backend, precision, device_id: 0, threads: 2, cache_dir };
        let model = Model::open("builtin").unwrap();
        let Ok(mut engine) = backend::fastest_on_cpu(&model, &options, &Silent) else {
            eprintln!("skipped: {backend:?} does not run here");
            continue;
        };
        let mut memory = vec![];
        for side in 8..48 {
            for other in 8..28 {
                engine.run(&Image::new(1, 2 * side, 2 * other), &mut Image::default()).unwrap();
            }
            memory.push(resident() / 1e6);
        }
        let (middle, end) = (memory[memory.len() / 2], memory[memory.len() - 1]);
        eprintln!("{backend:?}: {:.1} MB, {middle:.1} MB, {end:.1} MB", memory[0]);
        assert!(end - middle < 15.0, "{backend:?}: {memory:.1?}");
    }
}

/// 60 changes, or as many as `UPSCALE_MODEL_CHANGES` says.
#[test]
fn memory_stays_bounded_over_changes_of_the_model() {
    gst::init().unwrap();
    let _ = gstupscale::plugin_register_static();
    let element = gst::ElementFactory::make("upscale")
        .property_from_str("backend", "native")
        .property_from_str("precision", "fp32")
        .property("threads", 1u32)
        // The harness is a live source: frames must wait for the model.
        .property_from_str("overload", "drop")
        .property_from_str("startup", "wait")
        .build()
        .unwrap();
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    let mut harness = Harness::with_element(&element, Some("sink"), Some("src"));
    harness.play();
    let caps = format!("video/x-raw,format=GRAY8,width={WIDTH},height={HEIGHT},framerate=25/1");
    harness.set_src_caps(caps.parse().unwrap());
    let changes = std::env::var("UPSCALE_MODEL_CHANGES").ok().and_then(|text| text.parse().ok());
    let changes: usize = changes.unwrap_or(60);
    let mut memory = vec![];
    for number in 0..changes {
        let models = ["builtin", "builtin-quality", "builtin,builtin"];
        element.set_property("model", models[number % models.len()]);
        loop {
            let message = bus.timed_pop(gst::ClockTime::from_seconds(120)).expect("a load ends");
            match message.view() {
                gst::MessageView::Error(error) => panic!("{error:?}"),
                gst::MessageView::Progress(progress) => match progress.get().0 {
                    gst::ProgressType::Complete => break,
                    _ => continue,
                },
                _ => {}
            }
        }
        harness.push(frame(number)).unwrap();
        while harness.try_pull().is_some() {}
        memory.push(resident() / 1e6);
    }
    // The least over several changes: the models differ in size, and the engine of the last one may
    // still exist beside the engine of the next one.
    let least =
        |range: std::ops::Range<usize>| memory[range].iter().copied().fold(f64::MAX, f64::min);
    let (early, late) = (least(changes / 6..changes / 3), least(changes * 4 / 5..changes));
    eprintln!("{early:.1} MB, {late:.1} MB");
    // One megabyte lost at each change would add 40.
    assert!(late - early < 20.0, "{memory:.1?}");
}
