//! Resampling compared with plain sums in f64, and regions compared with whole pictures.

use crate::common::frame::{Frame, SITES, cut, info, pack, unpack};
use gstupscale::frame::{
    Channels, Filter, FrameInfo, Image, Packer, PixelFormat, PlacedImage, Rect, Resampler, Unpacker,
};
use proptest::prelude::*;

#[test]
fn enlarging_and_reducing_by_a_cubic_nearly_restores_a_smooth_picture() {
    let frame = Frame::new(info(PixelFormat::Gray8, 60, 40), 0)
        .filled(|_, x, y| (128.0 + 100.0 * (x as f64 / 5.0).sin() * (y as f64 / 7.0).cos()) as u32);
    let (source, _) = unpack(&frame, Channels::Luma);
    let grid = frame.info.grid();
    let large = info(PixelFormat::Gray8, 120, 80).grid();
    let (mut up, mut down) = (Image::default(), Image::default());
    let resampler = Resampler::of_grids(&grid, &large, Filter::CatmullRom);
    resampler.resample(PlacedImage::whole(&source), large.rect(), &mut up).unwrap();
    let resampler = Resampler::of_grids(&large, &grid, Filter::CatmullRom);
    resampler.resample(PlacedImage::whole(&up), grid.rect(), &mut down).unwrap();
    for (a, b) in source.data().iter().zip(down.data()) {
        assert!((a - b).abs() < 0.02);
    }
}

/// Output `i` of `output` samples, computed from `from` by Lanczos with three lobes. Beyond the
/// border, the border sample is repeated.
fn lanczos(from: &[f64], output: usize, i: usize) -> f64 {
    let ratio = from.len() as f64 / output as f64;
    let center = (i as f64 + 0.5) * ratio - 0.5;
    let width = ratio.max(1.0);
    let sinc = |x: f64| {
        let x = std::f64::consts::PI * x;
        if x == 0.0 { 1.0 } else { x.sin() / x }
    };
    let (mut sum, mut weights) = (0.0, 0.0);
    let last = from.len() as i64 - 1;
    for tap in (center - 3.0 * width).floor() as i64..=(center + 3.0 * width).ceil() as i64 {
        let x = (tap as f64 - center) / width;
        let weight = if x.abs() < 3.0 { sinc(x) * sinc(x / 3.0) } else { 0.0 };
        sum += weight * from[tap.clamp(0, last) as usize];
        weights += weight;
    }
    sum / weights
}

#[test]
fn pictures_are_resampled_by_lanczos_at_the_positions_of_pixel_centres() {
    for (from, to) in [((20, 14), (40, 56)), ((31, 22), (47, 9)), ((24, 24), (16, 12))] {
        let frame = Frame::new(info(PixelFormat::Gray8, from.0, from.1), 0).noisy(3);
        let (source, _) = unpack(&frame, Channels::Luma);
        let resampler = Resampler::new(from, to);
        let mut out = Image::default();
        resampler.resample(PlacedImage::whole(&source), resampler.output(), &mut out).unwrap();
        for y in 0..to.1 as usize {
            for x in 0..to.0 as usize {
                let column: Vec<_> = (0..from.1 as usize)
                    .map(|row| {
                        let row: Vec<_> =
                            source.row(0, row).iter().map(|it| f64::from(*it)).collect();
                        lanczos(&row, to.0 as usize, x)
                    })
                    .collect();
                let expected = lanczos(&column, to.1 as usize, y);
                assert!((f64::from(out.row(0, y)[x]) - expected).abs() < 1e-5, "{from:?} {to:?}");
            }
        }
    }
}

fn rect_within(width: u32, height: u32) -> impl Strategy<Value = Rect> {
    (0..width, 0..height).prop_flat_map(move |(x, y)| {
        (1..=width - x, 1..=height - y).prop_map(move |(w, h)| Rect::new(x, y, w, h))
    })
}

/// A frame description with any format and chroma siting, and a rectangle inside.
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
    fn unpacking_a_region_gives_the_same_bits_as_unpacking_the_whole_frame((info, rect) in any_region()) {
        let frame = Frame::new(info, 2).noisy(5);
        for channels in [Channels::Luma, Channels::Rgb] {
            let (model_image, bypass_planes) = unpack(&frame, channels);
            let unpacker = Unpacker::new(info, channels).unwrap();
            let mut part = Image::default();
            unpacker.unpack(&frame.read(), rect, &mut part).unwrap();
            prop_assert_eq!(&part, &cut(&model_image, rect));
            for (index, bypass) in unpacker.bypass_planes().iter().enumerate() {
                let rect = bypass.grid.samples(rect);
                unpacker.unpack_bypass(index, &frame.read(), rect, &mut part).unwrap();
                prop_assert_eq!(&part, &cut(&bypass_planes[index], rect));
            }
        }
    }

    #[test]
    fn unpacking_depends_on_no_pixels_beyond_the_documented_distance((info, rect) in any_region()) {
        let frame = Frame::new(info, 0).noisy(6);
        let unpacker = Unpacker::new(info, Channels::Rgb).unwrap();
        let reach = rect.grown_within(unpacker.reads_beyond(), info.width, info.height);
        // Change all samples that no pixel within that distance uses.
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
    fn resampling_a_region_gives_the_same_bits_as_resampling_the_whole_picture(
        (from, to, rect) in (1..40u32, 1..40u32, 1..90u32, 1..90u32).prop_flat_map(
            |(w, h, width, height)| rect_within(width, height)
                .prop_map(move |rect| ((w, h), (width, height), rect))
        ),
    ) {
        let frame = Frame::new(info(PixelFormat::Rgb, from.0, from.1), 0).noisy(8);
        let (source, _) = unpack(&frame, Channels::Rgb);
        let resampler = Resampler::new(from, to);
        let (mut whole, mut part) = (Image::default(), Image::default());
        resampler.resample(PlacedImage::whole(&source), resampler.output(), &mut whole).unwrap();
        let needed = resampler.needed(rect);
        let piece = cut(&source, needed);
        resampler.resample(PlacedImage::new(&piece, needed.x, needed.y), rect, &mut part).unwrap();
        prop_assert_eq!(part, cut(&whole, rect));

        // A change there affects nothing outside of `dependents`.
        let touched = Rect::new(needed.x, needed.y, 1, 1);
        let mut changed = source.clone();
        for channel in 0..3 {
            changed.row_mut(channel, touched.y as usize)[touched.x as usize] += 1.0;
        }
        let mut other = Image::default();
        resampler.resample(PlacedImage::whole(&changed), resampler.output(), &mut other).unwrap();
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
    fn packing_by_regions_gives_the_same_bits_as_packing_the_whole_frame(
        (info, rect) in any_region(), bands in 1..40u32,
    ) {
        for channels in [Channels::Luma, Channels::Rgb] {
            let (model_image, bypass_planes) = unpack(&Frame::new(info, 0).noisy(9), channels);
            let packer = Packer::new(info, channels).unwrap();
            let whole = pack(info, channels, &model_image, &bypass_planes);

            let mut frame = Frame::new(info, 5);
            let part = |image: &Image, rect: Rect| cut(image, rect);
            for band in &mut frame.write().split_rows(bands) {
                let all = band.rect();
                // The parts to the left and to the right of the rectangle's left edge.
                let left = Rect::new(0, all.y, rect.x, all.height);
                let right = Rect::new(rect.x, all.y, info.width - rect.x, all.height);
                for rect in [left, right] {
                    if rect.is_empty() {
                        continue;
                    }
                    let needed = packer.needed(rect);
                    let model_image = part(&model_image, needed);
                    let pieces: Vec<_> = bypass_planes
                        .iter()
                        .enumerate()
                        .map(|(index, image)| {
                            let needed = packer.needed_bypass(index, rect);
                            (part(image, needed), needed)
                        })
                        .collect();
                    let parts: Vec<_> =
                        pieces.iter().map(|(image, at)| PlacedImage::new(image, at.x, at.y)).collect();
                    packer.pack(PlacedImage::new(&model_image, needed.x, needed.y), &parts, rect, band).unwrap();
                }
            }
            prop_assert_eq!(&frame, &whole);
        }
    }

    #[test]
    fn packing_changes_no_pixels_outside_of_the_documented_dependents((info, rect) in any_region()) {
        let (model_image, bypass_planes) = unpack(&Frame::new(info, 0).noisy(9), Channels::Rgb);
        let packer = Packer::new(info, Channels::Rgb).unwrap();
        let mut changed = model_image.clone();
        for channel in 0..3 {
            for y in rect.y..rect.bottom() {
                let row = changed.row_mut(channel, y as usize);
                row[rect.x as usize..rect.right() as usize].fill(0.7);
            }
        }
        let before = pack(info, Channels::Rgb, &model_image, &bypass_planes);
        let after = pack(info, Channels::Rgb, &changed, &bypass_planes);
        let dependents = packer.dependents(rect);
        for component in 0..info.format.layout().components.len() {
            let [sx, sy] = info.format.layout().subsampling_of(component);
            let (width, height) = before.size(component);
            for y in 0..height {
                for x in 0..width {
                    let pixel = Rect::new((x as u32) << sx, (y as u32) << sy, 1, 1);
                    if !dependents.contains(&pixel) {
                        prop_assert_eq!(before.get(component, x, y), after.get(component, x, y));
                    }
                }
            }
        }
    }
}
