//! The GPU runs out of memory or is lost.

use gstupscale::{
    cuda,
    cuda::Device,
    frame::Channels,
    upscaler::{Error, MemoryUse, StreamSettings},
};

use super::{
    blur::Blur,
    emulator::{Count, Emulator},
    frame::{self, Frame},
    model::DeviceBlur,
    stream::{EXACT_REGIONS, MODEL_ONLY, Stream, format, settings},
};

fn input() -> Frame {
    Frame::new(frame::info(format("NV12"), 200, 150), 8).noisy(1)
}

fn on_cpu(input: &Frame) -> Frame {
    let model = Blur::new(Channels::Rgb, 2, 1);
    Stream::on_cpu(model, input.info, (400, 300)).push(input, MODEL_ONLY).0
}

fn is_out_of_memory(error: &Error) -> bool {
    matches!(error, Error::OutOfMemory(out) if out.purpose == MemoryUse::Gpu)
}

#[test]
fn regions_get_smaller_until_memory_suffices() {
    let Some(emulator) = Emulator::get() else { return };
    let device = Device::open(0).unwrap();
    let input = input();
    let model = DeviceBlur { memory: 70 * 70, ..DeviceBlur::new(&device, Channels::Rgb, 1) };
    let runs = model.runs.clone();
    let mut stream = Stream::on_gpu(&device, model, input.info, (400, 300));
    assert!(stream.push(&input, MODEL_ONLY).0 == on_cpu(&input));
    // Later frames start with the smaller size.
    runs.lock().unwrap().clear();
    let report = stream.push(&input, MODEL_ONLY).1.unwrap();
    let pictures: u32 = runs.lock().unwrap().iter().map(|run| run.0).sum();
    assert_eq!(pictures, report.regions);
    drop((stream, device));
    emulator.assert_clean();
}

#[test]
fn batches_have_fewer_regions_if_memory_is_short() {
    let Some(_emulator) = Emulator::get() else { return };
    let device = Device::open(0).unwrap();
    let input = input();
    let tiled = StreamSettings { tile_size: 32, ..settings() };
    // Tiles have up to 35×36 pixels including the halo.
    for (memory, most) in [(u64::MAX, 4), (4 * 35 * 33 - 1, 2), (35 * 36, 1)] {
        let model = DeviceBlur { memory, ..DeviceBlur::new(&device, Channels::Rgb, 1) };
        let runs = model.runs.clone();
        let mut stream =
            Stream::try_on_gpu(&device, model, input.info, (400, 300), tiled.clone()).unwrap();
        stream.push(&input, MODEL_ONLY);
        runs.lock().unwrap().clear();
        assert!(stream.push(&input, MODEL_ONLY).0 == on_cpu(&input));
        let runs = runs.lock().unwrap();
        assert_eq!(runs.iter().map(|run| run.0).max(), Some(most), "{runs:?}");
    }
}

#[test]
fn batches_fit_into_the_remaining_memory() {
    let Some(emulator) = Emulator::get() else { return };
    let device = Device::open(0).unwrap();
    let input = input();
    let mut stream =
        Stream::on_gpu(&device, DeviceBlur::new(&device, Channels::Rgb, 1), input.info, (400, 300));
    // 200 pixels are not whole spans, so the frame is gathered; only a part of it fits.
    emulator.set_memory(emulator.used() + 200 * 150 * 3 * 4 * 2);
    assert!(stream.push(&input, MODEL_ONLY).0 == on_cpu(&input));
    drop((stream, device));
    emulator.assert_clean();
}

#[test]
fn too_little_memory_for_any_region_is_an_error_that_allows_another_backend() {
    let Some(emulator) = Emulator::get() else { return };
    let device = Device::open(0).unwrap();
    let input = input();
    for align in [1, 2] {
        let model = DeviceBlur { memory: 0, ..DeviceBlur::new(&device, Channels::Rgb, align) };
        let mut stream = Stream::on_gpu(&device, model, input.info, (400, 300));
        let error = stream.submit(&input, &MODEL_ONLY).unwrap_err();
        assert!(is_out_of_memory(&error), "{error}");
    }
    // Too little memory for the pictures.
    let used = emulator.used();
    for more in [0, 1000, 100_000, 1_000_000] {
        emulator.set_memory(used + more);
        let model = DeviceBlur::new(&device, Channels::Rgb, 1);
        let made = Stream::try_on_gpu(&device, model, input.info, (400, 300), settings());
        assert!(made.is_err_and(|error| is_out_of_memory(&error)), "{more}");
        assert_eq!(emulator.used(), used);
    }
    drop(device);
    emulator.assert_clean();
}

#[test]
fn too_little_memory_for_the_smallest_region_is_reported_by_the_gpu() {
    let Some(emulator) = Emulator::get() else { return };
    let device = Device::open(0).unwrap();
    let input = input();
    let model = || DeviceBlur::new(&device, Channels::Rgb, 1);
    let stream = Stream::on_gpu(&device, model(), input.info, (400, 300));
    emulator.set_memory(emulator.used() + 2000);
    drop(stream);
    let mut stream = Stream::on_gpu(&device, model(), input.info, (400, 300));
    let error = stream.submit(&input, &MODEL_ONLY).unwrap_err();
    assert!(is_out_of_memory(&error), "{error}");
}

#[test]
fn a_memory_limit_cuts_the_frame_and_does_not_change_the_output() {
    let Some(_emulator) = Emulator::get() else { return };
    let device = Device::open(0).unwrap();
    let input = input();
    let limited = StreamSettings { memory_limit: Some(80 * 80 * 8 * 4), ..settings() };
    let model = DeviceBlur::new(&device, Channels::Rgb, 1);
    let runs = model.runs.clone();
    let mut stream = Stream::try_on_gpu(&device, model, input.info, (400, 300), limited).unwrap();
    assert!(stream.push(&input, MODEL_ONLY).0 == on_cpu(&input));
    for (count, width, height) in runs.lock().unwrap().iter() {
        assert!(count * width * height <= 80 * 80);
    }
    let hopeless = StreamSettings { memory_limit: Some(1000), ..settings() };
    let model = DeviceBlur::new(&device, Channels::Rgb, 1);
    let refused = Stream::try_on_gpu(&device, model, input.info, (400, 300), hopeless);
    assert!(matches!(refused, Err(Error::OutOfMemory(_))));
}

#[test]
fn fidelity_is_refused() {
    let Some(_emulator) = Emulator::get() else { return };
    let device = Device::open(0).unwrap();
    let model = DeviceBlur::new(&device, Channels::Rgb, 1);
    let faithful = StreamSettings { fidelity: 0.5, ..settings() };
    let refused = Stream::try_on_gpu(&device, model, input().info, (400, 300), faithful);
    assert!(matches!(refused, Err(Error::NoFidelity)));
}

#[test]
fn a_frame_above_the_engines_longest_side_is_cut_and_memory_is_not_blamed() {
    let Some(_emulator) = Emulator::get() else { return };
    let device = Device::open(0).unwrap();
    let input = input();
    for tile_size in [0, 40] {
        let cut = StreamSettings { tile_size, ..settings() };
        let model = DeviceBlur { max_side: 64, ..DeviceBlur::new(&device, Channels::Rgb, 1) };
        let mut stream = Stream::try_on_gpu(&device, model, input.info, (400, 300), cut).unwrap();
        let (output, report) = stream.push(&input, MODEL_ONLY);
        assert!(output == on_cpu(&input) && !report.unwrap().less_at_once);
    }
}

#[test]
fn a_frame_cut_for_an_engine_with_one_size_of_regions_has_tiles_of_one_size() {
    let Some(_emulator) = Emulator::get() else { return };
    let device = Device::open(0).unwrap();
    let input = input();
    let limited = StreamSettings { memory_limit: Some(80 * 80 * 8 * 4), ..settings() };
    let model = DeviceBlur { tile: Some((48, 48)), ..DeviceBlur::new(&device, Channels::Rgb, 1) };
    let runs = model.runs.clone();
    let mut stream = Stream::try_on_gpu(&device, model, input.info, (400, 300), limited).unwrap();
    runs.lock().unwrap().clear();
    assert!(stream.push(&input, MODEL_ONLY).0 == on_cpu(&input));
    let runs = runs.lock().unwrap();
    assert!(runs.len() > 1 && runs.iter().all(|run| (run.1, run.2) == (runs[0].1, runs[0].2)));
}

#[test]
fn a_gpu_lost_at_any_time_is_an_error_and_leaks_nothing() {
    let Some(emulator) = Emulator::get() else { return };
    let small = Frame::new(frame::info(format("I420"), 40, 30), 8).noisy(1);
    for launches in 0.. {
        let device = Device::open(0).unwrap();
        let model = DeviceBlur::new(&device, Channels::Luma, 1);
        let mut stream = Stream::on_gpu(&device, model, small.info, (80, 60)).with_depth(2);
        emulator.lose_after(launches);
        let outcome = (0..3)
            .try_for_each(|_| stream.submit(&small, &MODEL_ONLY))
            .and_then(|()| stream.drain());
        emulator.lose_after(-1);
        match outcome {
            Ok(()) => {
                assert!(launches > 3, "kernels ran");
                break;
            }
            Err(error) => {
                assert!(matches!(error, Error::Device(cuda::Error::Lost { .. })), "{error}");
            }
        }
        drop((stream, device));
        assert_eq!(emulator.count(Count::Buffers), 0, "after {launches}");
        emulator.assert_clean();
    }
}

#[test]
fn frames_of_another_size_are_rejected_and_the_stream_continues() {
    let Some(_emulator) = Emulator::get() else { return };
    let device = Device::open(0).unwrap();
    let input = input();
    let model = DeviceBlur::new(&device, Channels::Rgb, 1);
    let mut stream = Stream::on_gpu(&device, model, input.info, (400, 300));
    let other = Frame::new(frame::info(format("NV12"), 100, 150), 8);
    assert!(matches!(stream.submit(&other, &MODEL_ONLY), Err(Error::Frame(_))));
    assert!(stream.push(&input, MODEL_ONLY).0 == on_cpu(&input));
}

#[test]
fn the_engine_is_returned_for_the_next_stream() {
    use gstupscale::{engine::AnyEngine, upscaler};
    let Some(emulator) = Emulator::get() else { return };
    let device = Device::open(0).unwrap();
    let info = input().info;
    let model = Box::new(DeviceBlur::new(&device, Channels::Rgb, 1));
    let upscaler =
        upscaler::CudaPipeline::new(model, EXACT_REGIONS, device.clone(), info, info, settings());
    let engine = upscaler::Pipeline::into_engine(Box::new(upscaler.unwrap()));
    assert!(matches!(engine, Some(AnyEngine::Device(..))));
    assert_eq!(emulator.used(), 0);
}
