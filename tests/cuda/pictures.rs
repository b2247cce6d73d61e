//! The output on the GPU equals the output on the CPU.

use gstupscale::{
    cuda::Device,
    engine::Samples,
    frame::{Channels, PixelFormat},
    upscaler::{FrameParams, StreamSettings},
};

use super::{
    blur::Blur,
    emulator::Emulator,
    frame::{self, Frame},
    model::DeviceBlur,
    stream::{MODEL_ONLY, Stream, format, settings},
};

fn noise(format: PixelFormat, (width, height): (u32, u32)) -> Frame {
    Frame::new(frame::info(format, width, height), 8).noisy(1)
}

/// Formats of every kind: packed, planar, semi-planar, 10-bit, grey, with alpha.
fn formats() -> impl Iterator<Item = PixelFormat> {
    ["I420", "NV12", "Y42B", "Y444", "RGB", "RGBA", "BGRx", "GRAY8", "A420", "P010_10LE"]
        .into_iter()
        .map(format)
}

#[test]
fn every_format_equals_the_cpu() {
    let Some(emulator) = Emulator::get() else { return };
    for &format in PixelFormat::ALL {
        for channels in [Channels::Rgb, Channels::Luma] {
            let device = Device::open(0).unwrap();
            let input = noise(format, (45, 21));
            let size = (90, 42);
            let model = DeviceBlur::new(&device, channels, 1);
            let (gpu, _) =
                Stream::on_gpu(&device, model, input.info, size).push(&input, MODEL_ONLY);
            let model = Blur::new(channels, 2, 1);
            let (cpu, _) = Stream::on_cpu(model, input.info, size).push(&input, MODEL_ONLY);
            assert!(gpu == cpu, "{format} {channels:?}");
        }
    }
    emulator.assert_clean();
}

#[test]
fn every_size_blend_and_grain_equals_the_cpu() {
    let Some(emulator) = Emulator::get() else { return };
    let device = Device::open(0).unwrap();
    for format in formats() {
        for (size, out, align) in [
            ((64, 32), (128, 64), 1),
            ((37, 30), (111, 90), 2),
            ((40, 30), (31, 17), 1),
            ((3, 2), (6, 4), 4),
        ] {
            for (blend, grain) in [(1.0, 0.0), (0.6, 0.0), (0.0, 0.0), (1.0, 0.7), (0.3, 0.2)] {
                let input = noise(format, size);
                let params = FrameParams { blend, grain, ..MODEL_ONLY };
                let model = DeviceBlur::new(&device, Channels::Rgb, align);
                let (gpu, _) = Stream::on_gpu(&device, model, input.info, out).push(&input, params);
                let model = Blur::new(Channels::Rgb, 2, align);
                let (cpu, _) = Stream::on_cpu(model, input.info, out).push(&input, params);
                assert!(gpu == cpu, "{format} {size:?} to {out:?}, {blend}, {grain}");
            }
        }
    }
    drop(device);
    emulator.assert_clean();
}

#[test]
fn tiles_are_processed_in_batches_and_do_not_change_the_output() {
    let Some(_emulator) = Emulator::get() else { return };
    let device = Device::open(0).unwrap();
    let input = noise(format("NV12"), (128, 96));
    let model = DeviceBlur::new(&device, Channels::Rgb, 1);
    let runs = model.runs.clone();
    let mut stream = Stream::on_gpu(&device, model, input.info, (256, 192));
    // The runs of the proof.
    runs.lock().unwrap().clear();
    let whole = stream.push(&input, MODEL_ONLY).0;
    // Nothing is gathered, and the model writes the canvas itself.
    assert_eq!(*runs.lock().unwrap(), [(1, 128, 96)]);
    let model = DeviceBlur::new(&device, Channels::Rgb, 1);
    let runs = model.runs.clone();
    let tiled = StreamSettings { tile_size: 32, ..settings() };
    let mut stream = Stream::try_on_gpu(&device, model, input.info, (256, 192), tiled).unwrap();
    runs.lock().unwrap().clear();
    assert!(stream.push(&input, MODEL_ONLY).0 == whole);
    let runs = runs.lock().unwrap();
    assert_eq!(runs.iter().map(|run| run.0).sum::<u32>(), 12);
    assert!(runs.iter().any(|run| run.0 > 1), "{runs:?}");
}

#[test]
fn half_floats_change_eight_bit_samples_by_one_at_most() {
    let Some(_emulator) = Emulator::get() else { return };
    let device = Device::open(0).unwrap();
    for (format, channels) in
        [("NV12", Channels::Rgb), ("RGB", Channels::Rgb), ("I420", Channels::Luma)]
    {
        let input = noise(self::format(format), (53, 40));
        for tile_size in [0, 24] {
            let tiled = StreamSettings { tile_size, ..settings() };
            let model =
                DeviceBlur { samples: Samples::F16, ..DeviceBlur::new(&device, channels, 1) };
            let mut gpu = Stream::try_on_gpu(&device, model, input.info, (106, 80), tiled).unwrap();
            let gpu = gpu.push(&input, MODEL_ONLY).0.samples();
            let model = Blur::new(channels, 2, 1);
            let cpu = Stream::on_cpu(model, input.info, (106, 80)).push(&input, MODEL_ONLY).0;
            let worst = gpu.into_iter().zip(cpu.samples()).map(|(a, b)| a.abs_diff(b)).max();
            assert!(worst.unwrap() <= 1, "{format}: {worst:?}");
        }
    }
}
