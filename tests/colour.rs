//! Colour and layout: what goes through unpack, resample and pack, against values worked out
//! here from the standards' formulas.

use gstupscale::frame::{
    Channels, ChromaSite, Colorimetry, Companion, Family, FrameInfo, FrameMut, FrameRef, Image,
    Kernel, Matrix, Packer, Part, PixelFormat, PlaneMut, PlaneRef, Range, Rect, Resampler,
    Unpacker,
};
use proptest::prelude::*;

const SITES: [ChromaSite; 4] = [
    ChromaSite::LEFT,
    ChromaSite::CENTER,
    ChromaSite { cosited_horizontally: true, cosited_vertically: true },
    ChromaSite { cosited_horizontally: false, cosited_vertically: true },
];

fn info(format: PixelFormat, width: u32, height: u32) -> FrameInfo {
    FrameInfo {
        format,
        width,
        height,
        colorimetry: Colorimetry { matrix: Matrix::Bt709, range: Range::Limited },
        chroma_site: ChromaSite::LEFT,
    }
}

/// A frame that owns its planes. Strides are longer than the rows, the last row has none.
#[derive(Clone, Debug, PartialEq)]
struct Frame {
    info: FrameInfo,
    planes: Vec<(Vec<u8>, usize)>,
}

impl Frame {
    fn new(info: FrameInfo, extra: usize) -> Self {
        let planes = (0..info.format.planes()).map(|plane| {
            let row = info.format.row_bytes(plane, info.width);
            let rows = info.format.rows(plane, info.height);
            (vec![0xA5; (row + extra) * (rows - 1) + row], row + extra)
        });
        Self { info, planes: planes.collect() }
    }

    /// Writes a code value the plain way.
    fn set(&mut self, component: usize, x: usize, y: usize, code: u32) {
        let layout = self.info.format.layout();
        let place = layout.components[component];
        let (data, stride) = &mut self.planes[place.plane];
        let at = y * *stride + (x * place.step + place.offset) * layout.bytes();
        match layout.bytes() {
            1 => data[at] = code as u8,
            _ => {
                data[at..at + 2].copy_from_slice(&((code << layout.low_bits) as u16).to_le_bytes())
            }
        }
    }

    fn get(&self, component: usize, x: usize, y: usize) -> u32 {
        let layout = self.info.format.layout();
        let place = layout.components[component];
        let (data, stride) = &self.planes[place.plane];
        let at = y * stride + (x * place.step + place.offset) * layout.bytes();
        match layout.bytes() {
            1 => u32::from(data[at]),
            _ => u32::from(u16::from_le_bytes([data[at], data[at + 1]])) >> layout.low_bits,
        }
    }

    /// Width and height of a component.
    fn size(&self, component: usize) -> (usize, usize) {
        let [x, y] = self.info.format.layout().subsampling_of(component);
        (self.info.width.div_ceil(1 << x) as usize, self.info.height.div_ceil(1 << y) as usize)
    }

    /// Sets every sample by component, column and row.
    fn filled(mut self, code: impl Fn(usize, usize, usize) -> u32) -> Self {
        for component in 0..self.info.format.layout().components.len() {
            let (width, height) = self.size(component);
            for y in 0..height {
                for x in 0..width {
                    self.set(component, x, y, code(component, x, y));
                }
            }
        }
        self
    }

    /// Samples all over the range.
    fn noisy(self, seed: u32) -> Self {
        let max = (1 << self.info.format.layout().bits) - 1;
        self.filled(|component, x, y| {
            let mut hash = (component as u32 ^ seed.rotate_left(9))
                .wrapping_mul(0x9E37_79B1)
                .wrapping_add(x as u32)
                .wrapping_mul(0x85EB_CA77)
                .wrapping_add(y as u32)
                .wrapping_mul(0xC2B2_AE3D);
            hash ^= hash >> 15;
            hash.wrapping_mul(0x2C1B_3C6D) >> 8 & max
        })
    }

    fn read(&self) -> FrameRef<'_> {
        let planes = self.planes.iter();
        let planes = planes.map(|(data, stride)| PlaneRef { data, stride: *stride });
        FrameRef::new(self.info, planes.collect()).unwrap()
    }

    fn write(&mut self) -> FrameMut<'_> {
        let planes = self.planes.iter_mut();
        let planes = planes.map(|(data, stride)| PlaneMut { data, stride: *stride });
        FrameMut::new(self.info, planes.collect()).unwrap()
    }

    /// The same but for bytes that no component uses.
    fn samples(&self) -> Vec<u32> {
        let mut samples = Vec::new();
        for component in 0..self.info.format.layout().components.len() {
            let (width, height) = self.size(component);
            for y in 0..height {
                samples.extend((0..width).map(|x| self.get(component, x, y)));
            }
        }
        samples
    }
}

/// Main picture and companions of a whole frame.
fn unpack(frame: &Frame, channels: Channels) -> (Image, Vec<Image>) {
    let unpacker = Unpacker::new(frame.info, channels).unwrap();
    let mut main = Image::default();
    unpacker.unpack(&frame.read(), frame.info.grid().rect(), &mut main).unwrap();
    let companions = unpacker.companions().iter().enumerate().map(|(index, companion)| {
        let mut image = Image::default();
        let rect = companion.grid.rect();
        unpacker.unpack_companion(index, &frame.read(), rect, &mut image).unwrap();
        image
    });
    (main, companions.collect())
}

fn pack(info: FrameInfo, channels: Channels, main: &Image, companions: &[Image]) -> Frame {
    let packer = Packer::new(info, channels).unwrap();
    let mut frame = Frame::new(info, 5);
    let parts: Vec<_> = companions.iter().map(Part::whole).collect();
    let rect = info.grid().rect();
    packer.pack(Part::whole(main), &parts, rect, &mut frame.write().whole()).unwrap();
    frame
}

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

/// Codes of Y′CbCr to R′G′B′ by H.273's equations, in f64.
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
fn yuv_becomes_the_rgb_of_the_standards_at_every_depth_range_and_matrix() {
    use PixelFormat as F;
    for format in [F::Y444, F::Y444_10le, F::Y444_12le, F::Y444_16le] {
        for range in [Range::Limited, Range::Full] {
            for (matrix, kr, kb) in matrices() {
                let mut info = info(format, 64, 16);
                info.colorimetry = Colorimetry { matrix, range };
                let frame = Frame::new(info, 3).noisy(1);
                let (main, _) = unpack(&frame, Channels::Rgb);
                for y in 0..16 {
                    for x in 0..64 {
                        let codes = [0, 1, 2].map(|component| frame.get(component, x, y));
                        let expected = rgb_of(codes, format.layout().bits, range, kr, kb);
                        for (channel, expected) in expected.into_iter().enumerate() {
                            let got = f64::from(main.row(channel, y)[x]);
                            assert!((got - expected).abs() < 1e-6, "{format} {matrix:?} {range:?}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn nominal_black_and_white_are_zero_and_one() {
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
                let (main, _) = unpack(&frame, channels);
                let near = |value: &f32| (value - expected).abs() < 1e-6;
                assert!(main.data().iter().all(near), "{format} {range:?} {main:?}");
            }
        }
    }
}

#[test]
fn every_format_survives_unpacking_and_packing() {
    for &format in PixelFormat::ALL {
        for (width, height) in [(1, 1), (1, 7), (5, 3), (34, 10)] {
            for range in [Range::Limited, Range::Full] {
                for channels in [Channels::Luma, Channels::Rgb] {
                    let mut info = info(format, width, height);
                    info.colorimetry.range = range;
                    let frame = Frame::new(info, 7).noisy(2);
                    let layout = format.layout();
                    // What shares chroma between pixels comes through R′G′B′ filtered.
                    if layout.subsampling != [0, 0] && channels == Channels::Rgb {
                        continue;
                    }
                    let (main, companions) = unpack(&frame, channels);
                    let back = pack(info, channels, &main, &companions);
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
fn every_code_of_every_depth_survives() {
    use PixelFormat as F;
    for format in [F::Y444, F::Y444_10le, F::Y444_12le, F::Y444_16le, F::Gray16le, F::Rgba64le] {
        let bits = format.layout().bits;
        for range in [Range::Limited, Range::Full] {
            for (matrix, ..) in matrices() {
                let side = 1 << (bits / 2);
                let mut info = info(format, side, side);
                info.colorimetry = Colorimetry { matrix, range };
                let frame = Frame::new(info, 0).filled(|component, x, y| {
                    let code = (y * side as usize + x) as u32;
                    // Each component in another order, so that mixtures occur.
                    code.wrapping_mul([1, 3, 5, 7][component]) & ((1 << bits) - 1)
                });
                for channels in [Channels::Luma, Channels::Rgb] {
                    let (main, companions) = unpack(&frame, channels);
                    let back = pack(info, channels, &main, &companions);
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
                let (main, companions) = unpack(&frame, Channels::Rgb);
                let back = pack(info, Channels::Rgb, &main, &companions);
                assert_eq!(back.samples(), frame.samples(), "{format} {site:?}");
            }
        }
    }
}

/// Position of a chroma sample among luma's columns or rows.
fn site(index: usize, shift: u8, cosited: bool) -> f64 {
    let offset = if cosited { 0.0 } else { (f64::from(1u32 << shift) - 1.0) / 2.0 };
    (index << shift) as f64 + offset
}

#[test]
fn a_chroma_ramp_stays_where_it_lies_through_unpack_pack_and_enlarging() {
    for format in [PixelFormat::I420_12le, PixelFormat::I422_12le, PixelFormat::Y444_12le] {
        for chroma_site in SITES {
            let mut info = info(format, 64, 64);
            info.chroma_site = chroma_site;
            info.colorimetry.range = Range::Full;
            let [sx, sy] = format.layout().subsampling;
            // Cb rises by 24 codes a luma column, Cr by 16 a luma row.
            let cb = |x: usize| 500.0 + 24.0 * site(x, sx, chroma_site.cosited_horizontally);
            let cr = |y: usize| 700.0 + 16.0 * site(y, sy, chroma_site.cosited_vertically);
            let frame = Frame::new(info, 0).filled(|component, x, y| match component {
                0 => 2048,
                1 => cb(x) as u32,
                _ => cr(y) as u32,
            });

            let (main, companions) = unpack(&frame, Channels::Rgb);
            let (luma, blue, red) = (2048.0 / 4095.0, 2.0 * (1.0 - 0.0722), 2.0 * (1.0 - 0.2126));
            for y in 10..50 {
                for x in 10..50 {
                    let cb = (500.0 + 24.0 * x as f64 - 2048.0) / 4095.0;
                    let cr = (700.0 + 16.0 * y as f64 - 2048.0) / 4095.0;
                    let got = [2, 0].map(|channel| f64::from(main.row(channel, y)[x]) - luma);
                    assert!((got[0] - cb * blue).abs() < 1e-4, "{format} {chroma_site:?}");
                    assert!((got[1] - cr * red).abs() < 1e-4, "{format} {chroma_site:?}");
                }
            }
            let back = pack(info, Channels::Rgb, &main, &companions);
            for y in 10 >> sy..50 >> sy {
                for x in 10 >> sx..50 >> sx {
                    assert_eq!(back.get(1, x, y), frame.get(1, x, y), "{format} {chroma_site:?}");
                    assert_eq!(back.get(2, x, y), frame.get(2, x, y), "{format} {chroma_site:?}");
                }
            }

            // As companions of luma, to three times the size.
            let large = FrameInfo { width: 192, height: 192, ..info };
            let from = Companion::of(&info, Channels::Luma)[0];
            let to = Companion::of(&large, Channels::Luma)[0];
            let (_, companions) = unpack(&frame, Channels::Luma);
            let mut enlarged = Image::default();
            let resampler = Resampler::between(&from, &to);
            resampler.resample(Part::whole(&companions[0]), to.grid.rect(), &mut enlarged).unwrap();
            // Lanczos does not keep straight lines quite straight.
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
fn rgb_goes_to_luma_models_by_bt601() {
    let frame = Frame::new(
        FrameInfo {
            colorimetry: Colorimetry { matrix: Matrix::Bt709, range: Range::Full },
            ..info(PixelFormat::Bgr, 20, 20)
        },
        1,
    )
    .noisy(4);
    let (main, companions) = unpack(&frame, Channels::Luma);
    for y in 0..20 {
        for x in 0..20 {
            let [r, g, b] = [0, 1, 2].map(|it| f64::from(frame.get(it, x, y)) / 255.0);
            let luma = 0.299 * r + 0.587 * g + 0.114 * b;
            assert!((f64::from(main.row(0, y)[x]) - luma).abs() < 1e-6);
            assert!((f64::from(companions[0].row(0, y)[x]) - (b - luma) / 1.772).abs() < 1e-6);
            assert!((f64::from(companions[0].row(1, y)[x]) - (r - luma) / 1.402).abs() < 1e-6);
        }
    }
}

#[test]
fn padding_is_opaque_and_values_beyond_the_range_are_clamped() {
    let packed = |format, values: [f32; 3]| {
        let mut info = info(format, 1, 1);
        info.colorimetry.range = Range::Full;
        let mut main = Image::new(3, 1, 1);
        main.data_mut().copy_from_slice(&values);
        pack(info, Channels::Rgb, &main, &[]).planes[0].0.clone()
    };
    assert_eq!(packed(PixelFormat::Rgbx, [-1.0, 0.5, 2.0]), [0, 128, 255, 255]);
    assert_eq!(packed(PixelFormat::Xbgr, [f32::NAN, 0.2, 0.4]), [255, 102, 51, 0]);
}

#[test]
fn short_planes_are_refused_but_a_short_last_row_is_not() {
    let info = info(PixelFormat::Nv12, 5, 3);
    let mut frame = Frame::new(info, 9);
    frame.read();
    frame.planes[1].0.pop();
    let planes = frame.planes.iter().map(|(data, stride)| PlaneRef { data, stride: *stride });
    assert!(FrameRef::new(info, planes.collect()).is_err());
    assert!(FrameRef::new(info, vec![]).is_err());
}

/// The part `rect` of a picture.
fn cut(image: &Image, rect: Rect) -> Image {
    let mut part = Image::new(image.channels(), rect.width as usize, rect.height as usize);
    part.copy_from(image, rect, 0, 0);
    part
}

fn rect_within(width: u32, height: u32) -> impl Strategy<Value = Rect> {
    (0..width, 0..height).prop_flat_map(move |(x, y)| {
        (1..=width - x, 1..=height - y).prop_map(move |(w, h)| Rect::new(x, y, w, h))
    })
}

/// A frame description of any format and site, and a rectangle in it.
fn any_region() -> impl Strategy<Value = (FrameInfo, Rect)> {
    let formats = proptest::sample::select(PixelFormat::ALL);
    (formats, 0..4usize, 1..70u32, 1..70u32).prop_flat_map(|(format, site, width, height)| {
        let mut info = info(format, width, height);
        info.chroma_site = SITES[site];
        rect_within(width, height).prop_map(move |rect| (info, rect))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn unpacking_a_region_gives_what_the_whole_holds_there((info, rect) in any_region()) {
        let frame = Frame::new(info, 2).noisy(5);
        for channels in [Channels::Luma, Channels::Rgb] {
            let (main, companions) = unpack(&frame, channels);
            let unpacker = Unpacker::new(info, channels).unwrap();
            let mut part = Image::default();
            unpacker.unpack(&frame.read(), rect, &mut part).unwrap();
            prop_assert_eq!(&part, &cut(&main, rect));
            for (index, companion) in unpacker.companions().iter().enumerate() {
                let rect = companion.grid.samples(rect);
                unpacker.unpack_companion(index, &frame.read(), rect, &mut part).unwrap();
                prop_assert_eq!(&part, &cut(&companions[index], rect));
            }
        }
    }

    #[test]
    fn a_pixel_reaches_no_further_than_unpacking_says((info, rect) in any_region()) {
        let frame = Frame::new(info, 0).noisy(6);
        let unpacker = Unpacker::new(info, Channels::Rgb).unwrap();
        let reach = rect.grown_within(unpacker.reads_beyond(), info.width, info.height);
        // Everything that no pixel within reach uses is changed.
        let mut other = Frame::new(info, 0).noisy(7);
        for component in 0..info.format.layout().components.len() {
            let [sx, sy] = info.format.layout().subsampling_of(component);
            for y in reach.y >> sy..reach.bottom().div_ceil(1 << sy) {
                for x in reach.x >> sx..reach.right().div_ceil(1 << sx) {
                    let (x, y) = (x as usize, y as usize);
                    other.set(component, x, y, frame.get(component, x, y));
                }
            }
        }
        let (mut a, mut b) = (Image::default(), Image::default());
        unpacker.unpack(&frame.read(), rect, &mut a).unwrap();
        unpacker.unpack(&other.read(), rect, &mut b).unwrap();
        prop_assert_eq!(a, b);
    }

    #[test]
    fn resampling_a_region_gives_what_the_whole_holds_there(
        (from, to, rect) in (1..40u32, 1..40u32, 1..90u32, 1..90u32).prop_flat_map(
            |(w, h, width, height)| rect_within(width, height)
                .prop_map(move |rect| ((w, h), (width, height), rect))
        ),
    ) {
        let frame = Frame::new(info(PixelFormat::Rgb, from.0, from.1), 0).noisy(8);
        let (source, _) = unpack(&frame, Channels::Rgb);
        let resampler = Resampler::new(from, to);
        let (mut whole, mut part) = (Image::default(), Image::default());
        resampler.resample(Part::whole(&source), resampler.output(), &mut whole).unwrap();
        let needed = resampler.needed(rect);
        let piece = cut(&source, needed);
        resampler.resample(Part::new(&piece, needed.x, needed.y), rect, &mut part).unwrap();
        prop_assert_eq!(part, cut(&whole, rect));

        // And what a change there touches is what `dependents` says.
        let touched = Rect::new(needed.x, needed.y, 1, 1);
        let mut changed = source.clone();
        for channel in 0..3 {
            changed.row_mut(channel, touched.y as usize)[touched.x as usize] += 1.0;
        }
        let mut other = Image::default();
        resampler.resample(Part::whole(&changed), resampler.output(), &mut other).unwrap();
        let dependents = resampler.dependents(touched);
        for y in 0..to.1 {
            for x in 0..to.0 {
                if !dependents.contains(&Rect::new(x, y, 1, 1)) {
                    let (x, y) = (x as usize, y as usize);
                    prop_assert_eq!(whole.row(0, y)[x], other.row(0, y)[x]);
                }
            }
        }
    }

    #[test]
    fn packing_a_region_gives_what_the_whole_holds_there(
        (info, rect) in any_region(), bands in 1..40u32,
    ) {
        for channels in [Channels::Luma, Channels::Rgb] {
            let (main, companions) = unpack(&Frame::new(info, 0).noisy(9), channels);
            let packer = Packer::new(info, channels).unwrap();
            let whole = pack(info, channels, &main, &companions);

            let mut frame = Frame::new(info, 5);
            let part = |image: &Image, rect: Rect| cut(image, rect);
            for band in &mut frame.write().split_rows(bands) {
                let all = band.rect();
                // Left and right of the rectangle's edge.
                let left = Rect::new(0, all.y, rect.x, all.height);
                let right = Rect::new(rect.x, all.y, info.width - rect.x, all.height);
                for rect in [left, right] {
                    if rect.is_empty() {
                        continue;
                    }
                    let needed = packer.needed(rect);
                    let main = part(&main, needed);
                    let pieces: Vec<_> = companions
                        .iter()
                        .enumerate()
                        .map(|(index, image)| {
                            let needed = packer.needed_companion(index, rect);
                            (part(image, needed), needed)
                        })
                        .collect();
                    let parts: Vec<_> =
                        pieces.iter().map(|(image, at)| Part::new(image, at.x, at.y)).collect();
                    packer.pack(Part::new(&main, needed.x, needed.y), &parts, rect, band).unwrap();
                }
            }
            prop_assert_eq!(&frame, &whole);
        }
    }
}

#[test]
fn a_cubic_up_and_down_again_is_near_the_start() {
    let frame = Frame::new(info(PixelFormat::Gray8, 60, 40), 0)
        .filled(|_, x, y| (128.0 + 100.0 * (x as f64 / 5.0).sin() * (y as f64 / 7.0).cos()) as u32);
    let (source, _) = unpack(&frame, Channels::Luma);
    let grid = frame.info.grid();
    let large = info(PixelFormat::Gray8, 120, 80).grid();
    let (mut up, mut down) = (Image::default(), Image::default());
    let resampler = Resampler::of_grids(&grid, &large, Kernel::CatmullRom);
    resampler.resample(Part::whole(&source), large.rect(), &mut up).unwrap();
    let resampler = Resampler::of_grids(&large, &grid, Kernel::CatmullRom);
    resampler.resample(Part::whole(&up), grid.rect(), &mut down).unwrap();
    for (a, b) in source.data().iter().zip(down.data()) {
        assert!((a - b).abs() < 0.02);
    }
}
