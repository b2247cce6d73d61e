//! Packing, to every format.

use gstupscale::{
    frame::{BypassKind, Channels, FrameInfo, Image, Packer, PixelFormat, PlacedImage, Rect},
    kernels::{self, SPAN},
};
use half::f16;

use super::{
    common::frame::info,
    library::Kernels,
    memory::{Frame, Storage, Stored, Tables, noise_image, rects},
    unpack::kinds,
};

/// Pictures to pack, with values outside of the valid range and a NaN.
pub struct Pictures {
    main: Image,
    bypass_planes: Vec<Image>,
}

impl Pictures {
    pub fn new<T: Storage>(packer: &Packer, info: &FrameInfo, channels: Channels) -> Self {
        let size = (info.width, info.height);
        let mut main = noise_image::<T>(channels.count(), size, (-0.2, 1.2), 7);
        let middle = main.data().len() / 2;
        main.data_mut()[middle] = f32::NAN;
        let bypass = |it: &gstupscale::frame::BypassPlanes| {
            let size = (it.grid.width(), it.grid.height());
            noise_image::<f32>(it.channels(), size, (-0.6, 1.1), 8)
        };
        Self { main, bypass_planes: packer.bypass_planes().iter().map(bypass).collect() }
    }
}

pub fn pack<T: Storage>(
    kernels: &Kernels,
    pictures: &Pictures,
    packer: &Packer,
    channels: Channels,
    parts: &[Rect],
    frame: &Frame,
) {
    let tables = Tables::of(packer.downsampler());
    let [horizontal, vertical] = tables.get();
    let main = Stored::<T>::of(&pictures.main);
    let bypass_planes: Vec<Stored<f32>> = pictures.bypass_planes.iter().map(Stored::of).collect();
    let list = rects(parts);
    let mut args = kernels::PackArgs {
        frame: kernels::FrameArgs::new(&frame.info, &frame.planes()),
        model: main.picture(),
        horizontal,
        vertical,
        rects: list.address(),
        channels: channels.count() as u32,
        ..Default::default()
    };
    for (bypass, stored) in packer.bypass_planes().iter().zip(&bypass_planes) {
        match bypass.kind {
            BypassKind::Chroma => args.chroma = stored.picture(),
            BypassKind::Alpha => args.alpha = stored.picture(),
        }
    }
    let (spans, rows) = (frame.info.width.div_ceil(SPAN), frame.info.height);
    kernels.launch(&format!("pack_{}", T::SUFFIX), &args, spans, rows, parts.len() as u32);
}

/// Packs `parts` (whole spans) with the kernel and on the CPU, over the same frame.
fn check<T: Storage>(kernels: &Kernels, info: FrameInfo, channels: Channels, parts: &[Rect]) {
    let packer = Packer::new(info, channels).unwrap();
    let pictures = Pictures::new::<T>(&packer, &info, channels);
    let (got, mut expected) = (Frame::noisy(info, 9), Frame::noisy(info, 9));
    pack::<T>(kernels, &pictures, &packer, channels, parts, &got);
    let bypass_planes: Vec<PlacedImage> =
        pictures.bypass_planes.iter().map(PlacedImage::whole).collect();
    for part in parts {
        let mut frame = expected.get_mut();
        let main = PlacedImage::whole(&pictures.main);
        packer.pack(main, &bypass_planes, *part, &mut frame.whole()).unwrap();
    }
    got.assert_equals(&expected, &format!("{channels:?}, {}", T::SUFFIX));
}

#[test]
fn every_format_and_colorimetry_is_packed_as_on_the_cpu() {
    let Some(kernels) = Kernels::get() else { return };
    for &format in PixelFormat::ALL {
        for info in kinds(format, 37, 11) {
            for channels in [Channels::Luma, Channels::Rgb] {
                check::<f32>(kernels, info, channels, &[info.grid().rect()]);
                check::<f16>(kernels, info, channels, &[info.grid().rect()]);
            }
        }
    }
}

#[test]
fn frames_smaller_than_a_span_are_packed_as_on_the_cpu() {
    let Some(kernels) = Kernels::get() else { return };
    for &format in PixelFormat::ALL {
        for (width, height) in [(1, 1), (3, 2), (16, 5)] {
            let info = info(format, width, height);
            for channels in [Channels::Luma, Channels::Rgb] {
                check::<f32>(kernels, info, channels, &[info.grid().rect()]);
            }
        }
    }
}

#[test]
fn only_the_rectangles_of_a_frame_are_packed() {
    let Some(kernels) = Kernels::get() else { return };
    let parts = [Rect::new(16, 3, 16, 4), Rect::new(48, 9, 23, 2)];
    for &format in PixelFormat::ALL {
        for channels in [Channels::Luma, Channels::Rgb] {
            check::<f32>(kernels, info(format, 71, 13), channels, &parts);
        }
    }
}

#[test]
fn half_floats_change_codes_with_up_to_ten_bits_by_one_at_most() {
    let Some(kernels) = Kernels::get() else { return };
    for format in
        [PixelFormat::Rgb, PixelFormat::Gbr10le, PixelFormat::Nv12, PixelFormat::P010_10le]
    {
        let info = info(format, 64, 8);
        let packer = Packer::new(info, Channels::Rgb).unwrap();
        let main = noise_image::<f32>(3, (64, 8), (0.0, 1.0), 1);
        let pictures = Pictures { main, bypass_planes: vec![] };
        let [exact, half] = [Frame::noisy(info, 1), Frame::noisy(info, 1)];
        let whole = [info.grid().rect()];
        pack::<f32>(kernels, &pictures, &packer, Channels::Rgb, &whole, &exact);
        pack::<f16>(kernels, &pictures, &packer, Channels::Rgb, &whole, &half);
        let worst = exact.worst_difference(&half);
        assert!(worst == 1, "{format}: {worst}");
    }
}
