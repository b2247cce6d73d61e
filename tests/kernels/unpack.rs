//! Unpacking, of every format.

use gstupscale::{
    frame::{
        BypassKind, Channels, Family, FrameInfo, Image, Matrix, PixelFormat, Range, Rect, Unpacker,
    },
    kernels::{self, SPAN},
};
use half::f16;

use super::{
    common::frame::{SITES, info},
    library::Kernels,
    memory::{Frame, Memory, Storage, Stored, Tables, rects},
};

pub const MATRICES: [Matrix; 5] =
    [Matrix::Bt601, Matrix::Bt709, Matrix::Bt2020, Matrix::Fcc, Matrix::Smpte240m];

/// Every colorimetry and siting that the format distinguishes.
pub fn kinds(format: PixelFormat, width: u32, height: u32) -> Vec<FrameInfo> {
    let layout = format.layout();
    let matrices = if layout.family == Family::Rgb { &MATRICES[..1] } else { &MATRICES };
    let sites = if layout.subsampling == [0, 0] { &SITES[..1] } else { &SITES };
    let mut kinds = vec![];
    for &matrix in matrices {
        for range in [Range::Full, Range::Limited] {
            for &chroma_site in sites {
                let mut info = FrameInfo { chroma_site, ..info(format, width, height) };
                (info.colorimetry.matrix, info.colorimetry.range) = (matrix, range);
                kinds.push(info);
            }
        }
    }
    kinds
}

/// The kernel's output: the model picture and the bypass planes.
pub struct Unpacked<T> {
    main: Stored<T>,
    bypass_planes: Vec<Stored<f32>>,
}

pub fn unpack<T: Storage>(
    kernels: &Kernels,
    frame: &Frame,
    channels: Channels,
    parts: &[Rect],
) -> Unpacked<T> {
    let unpacker = Unpacker::new(frame.info, channels).unwrap();
    let (width, height) = (frame.info.width, frame.info.height);
    let main = Stored::new(channels.count(), width, height);
    let bypass_planes: Vec<Stored<f32>> = unpacker
        .bypass_planes()
        .iter()
        .map(|it| Stored::new(it.channels(), it.grid.width(), it.grid.height()))
        .collect();
    let tables = Tables::of(unpacker.upsampler());
    let [horizontal, vertical] = tables.get();
    let list: Memory = rects(parts);
    let mut args = kernels::UnpackArgs {
        frame: kernels::FrameArgs::new(&frame.info, &frame.planes()),
        model: main.picture(),
        horizontal,
        vertical,
        rects: list.address(),
        channels: channels.count() as u32,
        ..Default::default()
    };
    for (bypass, stored) in unpacker.bypass_planes().iter().zip(&bypass_planes) {
        match bypass.kind {
            BypassKind::Chroma => args.chroma = stored.picture(),
            BypassKind::Alpha => args.alpha = stored.picture(),
        }
    }
    let name = format!("unpack_{}", T::SUFFIX);
    kernels.launch(&name, &args, width.div_ceil(SPAN), height, parts.len() as u32);
    Unpacked { main, bypass_planes }
}

/// Compares what the kernel unpacks of `parts` with what the CPU unpacks of the whole frame.
fn check<T: Storage>(kernels: &Kernels, frame: &Frame, channels: Channels, parts: &[Rect]) {
    let unpacked = unpack::<T>(kernels, frame, channels, parts);
    let unpacker = Unpacker::new(frame.info, channels).unwrap();
    let mut expected = Image::default();
    for part in parts {
        let whole = frame.info.grid().rect();
        unpacker.unpack(&frame.get(), whole, &mut expected).unwrap();
        let what = format!("{:?} to {channels:?}", frame.info);
        unpacked.main.assert_holds(&expected, *part, &what);
        for (index, bypass) in unpacker.bypass_planes().iter().enumerate() {
            let whole = bypass.grid.rect();
            unpacker.unpack_bypass(index, &frame.get(), whole, &mut expected).unwrap();
            let what = format!("{:?}, {:?}", frame.info, bypass.kind);
            unpacked.bypass_planes[index].assert_holds(
                &expected,
                bypass.grid.samples(*part),
                &what,
            );
        }
    }
}

#[test]
fn every_format_and_colorimetry_is_unpacked_as_on_the_cpu() {
    let Some(kernels) = Kernels::get() else { return };
    for &format in PixelFormat::ALL {
        for (seed, info) in kinds(format, 37, 11).into_iter().enumerate() {
            let frame = Frame::noisy(info, seed as u64);
            for channels in [Channels::Luma, Channels::Rgb] {
                check::<f32>(kernels, &frame, channels, &[info.grid().rect()]);
                check::<f16>(kernels, &frame, channels, &[info.grid().rect()]);
            }
        }
    }
}

#[test]
fn frames_smaller_than_a_span_are_unpacked_as_on_the_cpu() {
    let Some(kernels) = Kernels::get() else { return };
    for &format in PixelFormat::ALL {
        for (width, height) in [(1, 1), (3, 2), (16, 5)] {
            let frame = Frame::noisy(info(format, width, height), 1);
            for channels in [Channels::Luma, Channels::Rgb] {
                check::<f32>(kernels, &frame, channels, &[frame.info.grid().rect()]);
            }
        }
    }
}

#[test]
fn only_the_spans_of_the_rectangles_are_unpacked() {
    let Some(kernels) = Kernels::get() else { return };
    let parts = [Rect::new(5, 3, 20, 4), Rect::new(50, 9, 21, 2)];
    for &format in PixelFormat::ALL {
        let frame = Frame::noisy(info(format, 71, 13), 2);
        for channels in [Channels::Luma, Channels::Rgb] {
            check::<f32>(kernels, &frame, channels, &parts);
            let unpacked = unpack::<f32>(kernels, &frame, channels, &parts);
            for (x, y) in [(0, 2), (31, 7), (32, 3), (47, 9), (48, 8), (48, 11)] {
                assert!(unpacked.main.is_untouched(0, x, y), "{format} at {x}, {y}");
            }
        }
    }
}

#[test]
fn half_floats_are_within_one_code_of_formats_with_up_to_ten_bits() {
    let Some(kernels) = Kernels::get() else { return };
    for &format in PixelFormat::ALL {
        let layout = format.layout();
        let mut info = info(format, 64, 8);
        info.colorimetry.range = Range::Full;
        let frame = Frame::noisy(info, 3);
        if layout.bits > 10 || layout.bits == 10 && layout.low_bits == 0 {
            // These formats store 16 bits, and the noise uses all of them.
            continue;
        }
        let whole = info.grid().rect();
        let mut exact = Image::default();
        Unpacker::new(info, Channels::Luma)
            .unwrap()
            .unpack(&frame.get(), whole, &mut exact)
            .unwrap();
        let steps = ((1u32 << layout.bits) - 1) as f32;
        let stored = unpack::<f16>(kernels, &frame, Channels::Luma, &[whole]).main;
        let worst = stored.worst_difference(&exact) * steps;
        assert!(worst <= 1.0, "{format}: {worst} codes");
    }
}
