//! Kernel launches with arguments that do not match each other are refused.

use std::sync::Arc;

use gstupscale::{
    cuda::{
        Buffer, Device, DeviceChanges, DeviceFrame, DeviceList, DevicePicture, DeviceResampler,
        Error, Finish, FrameLayout, FramePictures,
    },
    frame::{Rect, Resampler},
    kernels::{RegionArgs, Samples},
};

use crate::{
    common::emulator::{Count, Emulator},
    frame,
    stream::format,
};

/// All samples of every plane.
const ALL_SAMPLES: [u32; 4] = [u32::MAX; 4];

const SIZE: (u32, u32) = (40, 30);

fn device_frame(device: &Arc<Device>, name: &str, width: u32, height: u32) -> DeviceFrame {
    let layout = FrameLayout::new(frame::info(format(name), width, height)).unwrap();
    DeviceFrame::new(device, &Arc::new(layout)).unwrap()
}

fn picture(device: &Arc<Device>, channels: usize, size: (u32, u32)) -> DevicePicture {
    DevicePicture::new(device, channels, size, Samples::F32).unwrap()
}

fn list(device: &Arc<Device>, rect: Rect) -> DeviceList<Rect> {
    DeviceList::holding(device, vec![rect]).unwrap()
}

#[track_caller]
fn rejected(result: Result<(), Error>) {
    assert!(matches!(result, Err(Error::InvalidArguments { .. })), "{result:?}");
}

#[test]
fn memory_of_other_sizes_formats_and_devices_is_rejected() {
    let Some(emulator) = Emulator::get() else { return };
    let [device, other] = [Device::open(0).unwrap(), Device::open(0).unwrap()];
    let whole = list(&device, Rect::of_size(SIZE.0, SIZE.1));
    let [same, double] = [SIZE, (80, 60)]
        .map(|to| DeviceResampler::new(&device, &Resampler::new(SIZE, to)).unwrap());
    let frame = device_frame(&device, "NV12", SIZE.0, SIZE.1);
    let rgb = picture(&device, 3, SIZE);
    let model = |model| FramePictures { model, chroma: None, alpha: None };

    // Unpacking and packing: size, channels, alpha, chroma, rectangles.
    let small = picture(&device, 3, (39, 30));
    let luma = picture(&device, 1, SIZE);
    let alpha = FramePictures { alpha: Some(&luma), ..model(&rgb) };
    let foreign = picture(&other, 3, SIZE);
    let beyond = list(&device, Rect::new(1, 0, SIZE.0, SIZE.1));
    for pictures in [model(&small), model(&foreign), alpha] {
        rejected(device.unpack(&frame, pictures, &same, &whole.all()));
        rejected(device.pack(pictures, &same, &whole.all(), &frame));
    }
    rejected(device.unpack(&frame, model(&luma), &same, &beyond.all()));
    rejected(device.pack(model(&luma), &same, &whole.all(), &frame));
    // The chroma is not that of the resampler.
    rejected(device.unpack(&frame, model(&rgb), &double, &whole.all()));

    // Resampling.
    let finish = Finish { canvas: (&rgb, &same), input: None, share: 1.0, grain: None };
    rejected(device.finish(&finish, &whole.all(), &small));
    rejected(device.finish(&finish, &beyond.all(), &rgb));
    rejected(device.finish(&Finish { canvas: (&rgb, &double), ..finish }, &whole.all(), &rgb));

    // Comparison.
    let changes = DeviceChanges::new(&device, SIZE.0, SIZE.1).unwrap();
    for (name, width) in [("I420", SIZE.0), ("NV12", 48)] {
        let reference = device_frame(&device, name, width, SIZE.1);
        rejected(device.compare(&frame, &reference, &ALL_SAMPLES, 0, Rect::default(), &changes));
        rejected(device.update(&reference, &frame, &ALL_SAMPLES, &changes));
    }
    let narrow = DeviceChanges::new(&device, 8, 8).unwrap();
    rejected(device.compare(&frame, &frame, &ALL_SAMPLES, 0, Rect::default(), &narrow));
    device.synchronize();
    assert_eq!(emulator.count(Count::Launches), 0);
}

#[test]
fn regions_outside_of_the_picture_or_the_batch_are_rejected() {
    let Some(emulator) = Emulator::get() else { return };
    let device = Device::open(0).unwrap();
    let (source, canvas) = (picture(&device, 3, SIZE), picture(&device, 3, (80, 60)));
    let batch = Buffer::new(&device, 3 * 64 * 4 * 4).unwrap();
    let inside = RegionArgs { compute: Rect::new(34, 24, 6, 6), read: Rect::new(32, 22, 8, 8) };
    for region in [
        RegionArgs { read: Rect::new(33, 22, 8, 8), ..inside },
        RegionArgs { read: Rect::default(), ..inside },
    ] {
        let regions = DeviceList::holding(&device, vec![region]).unwrap();
        rejected(device.gather(&source, &regions.all(), (8, 8), &batch));
    }
    for region in [
        RegionArgs { compute: Rect::new(35, 24, 6, 6), ..inside },
        RegionArgs { compute: Rect::new(31, 24, 6, 6), ..inside },
    ] {
        let regions = DeviceList::holding(&device, vec![region]).unwrap();
        rejected(device.scatter(&batch, &regions.all(), (8, 8), 2, &canvas));
    }
    let regions = DeviceList::holding(&device, vec![inside]).unwrap();
    rejected(device.gather(&source, &regions.all(), (32, 9), &batch));
    rejected(device.scatter(&batch, &regions.all(), (8, 9), 2, &canvas));
    assert_eq!(emulator.count(Count::Launches), 0);
    device.gather(&source, &regions.all(), (8, 8), &batch).unwrap();
    device.scatter(&batch, &regions.all(), (8, 8), 2, &canvas).unwrap();
    device.synchronize();
    assert_eq!(emulator.count(Count::Launches), 2);
    drop((source, canvas, batch, regions, device));
    emulator.assert_clean();
}
