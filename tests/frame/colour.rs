//! Colour and memory layout: the results of unpacking and packing, compared with values computed
//! from the standards' formulas.

use crate::common::frame::{Frame, SITES, info, pack, unpack};
use gstupscale::frame::{
    BypassPlanes, Channels, Colorimetry, Family, FrameInfo, FrameRef, Image, Matrix, PixelFormat,
    PlacedImage, Range, Resampler, Transfer,
};

fn matrices() -> [(Matrix, f64, f64); 5] {
    // ITU-T H.273 table 4.
    [
        (Matrix::Bt601, 0.299, 0.114),
        (Matrix::Bt709, 0.2126, 0.0722),
        (Matrix::Bt2020, 0.2627, 0.0593),
        (Matrix::Fcc, 0.30, 0.11),
        (Matrix::Smpte240m, 0.212, 0.087),
    ]
}

/// Converts code values of Y′CbCr to R′G′B′ by the equations of H.273, in f64.
fn rgb_of(codes: [u32; 3], bits: u32, range: Range, kr: f64, kb: f64) -> [f64; 3] {
    let [y, cb, cr] = codes.map(f64::from);
    let unit = f64::from(1u32 << (bits - 8));
    let top = f64::from((1u32 << bits) - 1);
    let (y, cb, cr) = match range {
        Range::Limited => {
            ((y / unit - 16.0) / 219.0, (cb / unit - 128.0) / 224.0, (cr / unit - 128.0) / 224.0)
        }
        Range::Full => (y / top, (cb - 128.0 * unit) / top, (cr - 128.0 * unit) / top),
    };
    let r = y + 2.0 * (1.0 - kr) * cr;
    let b = y + 2.0 * (1.0 - kb) * cb;
    [r, (y - kr * r - kb * b) / (1.0 - kr - kb), b]
}

#[test]
fn yuv_is_converted_to_rgb_as_the_standards_define_for_every_depth_range_and_matrix() {
    use PixelFormat as F;
    for format in [F::Y444, F::Y444_10le, F::Y444_12le, F::Y444_16le] {
        for range in [Range::Limited, Range::Full] {
            for (matrix, kr, kb) in matrices() {
                let mut info = info(format, 64, 16);
                info.colorimetry = Colorimetry { matrix, range, transfer: Transfer::Gamma };
                let frame = Frame::new(info, 3).noisy(1);
                let (model_image, _) = unpack(&frame, Channels::Rgb);
                for y in 0..16 {
                    for x in 0..64 {
                        let codes = [0, 1, 2].map(|component| frame.get(component, x, y));
                        let expected = rgb_of(codes, format.layout().bits, range, kr, kb);
                        for (channel, expected) in expected.into_iter().enumerate() {
                            let got = f64::from(model_image.row(channel, y)[x]);
                            assert!((got - expected).abs() < 1e-6, "{format} {matrix:?} {range:?}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn nominal_black_is_zero_and_nominal_white_is_one() {
    let bars = [
        (PixelFormat::Nv12, Range::Limited, 16, 235),
        (PixelFormat::P010_10le, Range::Limited, 64, 940),
        (PixelFormat::I420_12le, Range::Limited, 256, 3760),
        (PixelFormat::P016Le, Range::Limited, 4096, 60160),
        (PixelFormat::I420_10le, Range::Full, 0, 1023),
        (PixelFormat::Gray8, Range::Full, 0, 255),
        (PixelFormat::Gray16le, Range::Full, 0, 65535),
        (PixelFormat::Rgb, Range::Full, 0, 255),
        (PixelFormat::Rgb, Range::Limited, 16, 235),
    ];
    for (format, range, black, white) in bars {
        let mut info = info(format, 2, 2);
        info.colorimetry.range = range;
        let yuv = format.layout().family == Family::Yuv;
        let grey = 1 << (format.layout().bits - 1);
        for (code, expected) in [(black, 0.0), (white, 1.0)] {
            let frame = Frame::new(info, 0)
                .filled(|component, _, _| if yuv && component > 0 { grey } else { code });
            for channels in [Channels::Rgb, Channels::Luma] {
                let (model_image, _) = unpack(&frame, channels);
                let near = |value: &f32| (value - expected).abs() < 1e-6;
                assert!(model_image.data().iter().all(near), "{format} {range:?} {model_image:?}");
            }
        }
    }
}

#[test]
fn packing_an_unpacked_frame_restores_it_in_every_format() {
    for &format in PixelFormat::ALL {
        for (width, height) in [(1, 1), (1, 7), (5, 3), (34, 10)] {
            for range in [Range::Limited, Range::Full] {
                for channels in [Channels::Luma, Channels::Rgb] {
                    let mut info = info(format, width, height);
                    info.colorimetry.range = range;
                    let frame = Frame::new(info, 7).noisy(2);
                    let layout = format.layout();
                    // Conversion to R′G′B′ filters subsampled chroma.
                    if layout.subsampling != [0, 0] && channels == Channels::Rgb {
                        continue;
                    }
                    let (model_image, bypass_planes) = unpack(&frame, channels);
                    let back = pack(info, channels, &model_image, &bypass_planes);
                    assert_eq!(
                        back.samples(),
                        frame.samples(),
                        "{format} {channels:?} {range:?} {width}x{height}"
                    );
                }
            }
        }
    }
}

#[test]
fn packing_an_unpacked_frame_restores_every_code_of_every_depth() {
    use PixelFormat as F;
    for format in [F::Y444, F::Y444_10le, F::Y444_12le, F::Y444_16le, F::Gray16le, F::Rgba64le] {
        let bits = format.layout().bits;
        for range in [Range::Limited, Range::Full] {
            for (matrix, ..) in matrices() {
                let side = 1 << (bits / 2);
                let mut info = info(format, side, side);
                info.colorimetry = Colorimetry { matrix, range, transfer: Transfer::Gamma };
                let frame = Frame::new(info, 0).filled(|component, x, y| {
                    let code = (y * side as usize + x) as u32;
                    // Each component has another order, so that their codes are mixed.
                    code.wrapping_mul([1, 3, 5, 7][component]) & ((1 << bits) - 1)
                });
                for channels in [Channels::Luma, Channels::Rgb] {
                    let (model_image, bypass_planes) = unpack(&frame, channels);
                    let back = pack(info, channels, &model_image, &bypass_planes);
                    assert!(back.samples() == frame.samples(), "{format} {matrix:?} {range:?}");
                }
            }
        }
    }
}

#[test]
fn subsampled_formats_keep_flat_colours_through_rgb() {
    for &format in PixelFormat::ALL {
        if format.layout().subsampling == [0, 0] {
            continue;
        }
        for site in SITES {
            for (width, height) in [(1, 1), (1, 7), (5, 3), (16, 16)] {
                let mut info = info(format, width, height);
                info.chroma_site = site;
                let top = 1 << format.layout().bits;
                let frame = Frame::new(info, 4)
                    .filled(|component, _, _| [top / 3, top / 5, top * 3 / 4, top / 2][component]);
                let (model_image, bypass_planes) = unpack(&frame, Channels::Rgb);
                let back = pack(info, Channels::Rgb, &model_image, &bypass_planes);
                assert_eq!(back.samples(), frame.samples(), "{format} {site:?}");
            }
        }
    }
}

/// The position of a chroma sample in luma columns or rows.
fn site(index: usize, shift: u8, cosited: bool) -> f64 {
    let offset = if cosited { 0.0 } else { (f64::from(1u32 << shift) - 1.0) / 2.0 };
    (index << shift) as f64 + offset
}

#[test]
fn a_chroma_ramp_keeps_its_position_when_unpacked_packed_and_enlarged() {
    for format in [PixelFormat::I420_12le, PixelFormat::I422_12le, PixelFormat::Y444_12le] {
        for chroma_site in SITES {
            let mut info = info(format, 64, 64);
            info.chroma_site = chroma_site;
            info.colorimetry.range = Range::Full;
            let [sx, sy] = format.layout().subsampling;
            // Cb rises by 24 codes per luma column, Cr by 16 per luma row.
            let cb = |x: usize| 500.0 + 24.0 * site(x, sx, chroma_site.cosited_horizontally);
            let cr = |y: usize| 700.0 + 16.0 * site(y, sy, chroma_site.cosited_vertically);
            let frame = Frame::new(info, 0).filled(|component, x, y| match component {
                0 => 2048,
                1 => cb(x) as u32,
                _ => cr(y) as u32,
            });

            let (model_image, bypass_planes) = unpack(&frame, Channels::Rgb);
            let (luma, blue, red) = (2048.0 / 4095.0, 2.0 * (1.0 - 0.0722), 2.0 * (1.0 - 0.2126));
            for y in 10..50 {
                for x in 10..50 {
                    let cb = (500.0 + 24.0 * x as f64 - 2048.0) / 4095.0;
                    let cr = (700.0 + 16.0 * y as f64 - 2048.0) / 4095.0;
                    let got =
                        [2, 0].map(|channel| f64::from(model_image.row(channel, y)[x]) - luma);
                    assert!((got[0] - cb * blue).abs() < 1e-4, "{format} {chroma_site:?}");
                    assert!((got[1] - cr * red).abs() < 1e-4, "{format} {chroma_site:?}");
                }
            }
            let back = pack(info, Channels::Rgb, &model_image, &bypass_planes);
            for y in 10 >> sy..50 >> sy {
                for x in 10 >> sx..50 >> sx {
                    assert_eq!(back.get(1, x, y), frame.get(1, x, y), "{format} {chroma_site:?}");
                    assert_eq!(back.get(2, x, y), frame.get(2, x, y), "{format} {chroma_site:?}");
                }
            }

            // As bypass planes of a luma model, enlarged three times.
            let large = FrameInfo { width: 192, height: 192, ..info };
            let from = BypassPlanes::of(&info, Channels::Luma)[0];
            let to = BypassPlanes::of(&large, Channels::Luma)[0];
            let (_, bypass_planes) = unpack(&frame, Channels::Luma);
            let mut enlarged = Image::default();
            let resampler = Resampler::between(&from, &to);
            resampler
                .resample(PlacedImage::whole(&bypass_planes[0]), to.grid.rect(), &mut enlarged)
                .unwrap();
            // Lanczos reproduces straight lines only approximately.
            let near = |a: f64, b: f64| (a - b).abs() < 0.7 / 4095.0 * 24.0 * 0.5;
            for y in 40 >> sy..150 >> sy {
                for x in 40 >> sx..150 >> sx {
                    let luma_x = site(x, sx, chroma_site.cosited_horizontally);
                    let luma_y = site(y, sy, chroma_site.cosited_vertically);
                    let [luma_x, luma_y] = [luma_x, luma_y].map(|at| (at + 0.5) / 3.0 - 0.5);
                    let cb = (500.0 + 24.0 * luma_x - 2048.0) / 4095.0;
                    let cr = (700.0 + 16.0 * luma_y - 2048.0) / 4095.0;
                    assert!(near(f64::from(enlarged.row(0, y)[x]), cb), "{format} {chroma_site:?}");
                    assert!(near(f64::from(enlarged.row(1, y)[x]), cr), "{format} {chroma_site:?}");
                }
            }
        }
    }
}

#[test]
fn luma_models_get_rgb_frames_as_luma_of_bt601() {
    let frame = Frame::new(
        FrameInfo {
            colorimetry: Colorimetry {
                matrix: Matrix::Bt709,
                range: Range::Full,
                transfer: Transfer::Gamma,
            },
            ..info(PixelFormat::Bgr, 20, 20)
        },
        1,
    )
    .noisy(4);
    let (model_image, bypass_planes) = unpack(&frame, Channels::Luma);
    for y in 0..20 {
        for x in 0..20 {
            let [r, g, b] = [0, 1, 2].map(|it| f64::from(frame.get(it, x, y)) / 255.0);
            let luma = 0.299 * r + 0.587 * g + 0.114 * b;
            assert!((f64::from(model_image.row(0, y)[x]) - luma).abs() < 1e-6);
            assert!((f64::from(bypass_planes[0].row(0, y)[x]) - (b - luma) / 1.772).abs() < 1e-6);
            assert!((f64::from(bypass_planes[0].row(1, y)[x]) - (r - luma) / 1.402).abs() < 1e-6);
        }
    }
}

#[test]
fn padding_bytes_are_0xff_and_values_out_of_range_are_clamped() {
    let packed = |format, values: [f32; 3]| {
        let mut info = info(format, 1, 1);
        info.colorimetry.range = Range::Full;
        let mut model_image = Image::new(3, 1, 1);
        model_image.data_mut().copy_from_slice(&values);
        pack(info, Channels::Rgb, &model_image, &[]).read().planes[0].data.to_vec()
    };
    assert_eq!(packed(PixelFormat::Rgbx, [-1.0, 0.5, 2.0]), [0, 128, 255, 255]);
    assert_eq!(packed(PixelFormat::Xbgr, [f32::NAN, 0.2, 0.4]), [255, 102, 51, 0]);
}

#[test]
fn a_short_plane_is_an_error_but_missing_padding_after_the_last_row_is_not() {
    let info = info(PixelFormat::Nv12, 5, 3);
    let frame = Frame::new(info, 9);
    let mut planes = frame.read().planes;
    assert!(FrameRef::new(info, planes.clone()).is_ok());
    planes[1].data = &planes[1].data[1..];
    assert!(FrameRef::new(info, planes).is_err());
    assert!(FrameRef::new(info, vec![]).is_err());
}
