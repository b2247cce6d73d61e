//! Blends a watermark into frames, in their own format and depth.

use gst_video::VideoInfo;
use image::{Rgba, Rgba32FImage, imageops};

use super::{
    component::{Component, Frame},
    grade::weights,
    hdr,
    watermark::{Place, Watermark},
};

/// A watermark as the components of frames of one format and size.
#[derive(Debug)]
pub struct Overlay(Vec<Layer>);

/// A watermark in one component.
#[derive(Debug)]
struct Layer {
    component: Component,
    left: usize,
    top: usize,
    width: usize,
    /// For each sample, its code times its opacity, and what remains of the frame.
    samples: Vec<(f32, f32)>,
}

/// Places and sizes are multiples of this, so that samples of chroma are not divided.
const GRID: usize = 4;

/// The distance from the border, as a share of the shorter side of the frame.
const MARGIN: f64 = 0.03;

impl Overlay {
    pub fn new(mark: &Watermark, info: &VideoInfo) -> Self {
        let picture = scaled(mark, info);
        let at = place(mark.place, picture.dimensions(), info);
        let weights = weights(info);
        let components = Component::all(info);
        let layer = |(number, component): (usize, &Component)| {
            let value = |colour: [f32; 3]| {
                let signal = hdr::signal(info, colour);
                let luma: f32 = signal.iter().zip(weights).map(|(it, weight)| it * weight).sum();
                let value = match (info.is_rgb(), number) {
                    (true, number) => signal.get(number).copied().unwrap_or(luma),
                    (_, 0) => luma,
                    // Cb, Cr (ITU-T H.273).
                    (_, 1) => (signal[2] - luma) / (2.0 * (1.0 - weights[2])),
                    _ => (signal[0] - luma) / (2.0 * (1.0 - weights[0])),
                };
                component.code(value)
            };
            Layer::new(*component, &picture, at, info, value)
        };
        Self(components.iter().enumerate().map(layer).collect())
    }

    /// Changes a frame.
    pub fn blend(&self, frame: &mut Frame<'_>) {
        for Layer { component, left, top, width, samples } in &self.0 {
            for (row, samples) in samples.chunks(*width).enumerate() {
                component.change(frame, top + row, *left..left + width, |codes| {
                    for (code, (added, rest)) in codes.iter_mut().zip(samples) {
                        *code = component.nearest(f32::from(*code) * rest + added);
                    }
                });
            }
        }
    }
}

impl Layer {
    /// `value` gives the code of a colour.
    fn new(
        component: Component,
        picture: &Rgba32FImage,
        (left, top): (usize, usize),
        info: &VideoInfo,
        value: impl Fn([f32; 3]) -> f32,
    ) -> Self {
        // Pixels for each sample.
        let across = (info.width() as usize).div_ceil(component.width.max(1));
        let down = (info.height() as usize).div_ceil(component.height.max(1));
        let (left, top) = (left / across, top / down);
        let cells = |pixels: u32, step: usize| (pixels as usize).div_ceil(step);
        // Codes beyond the frame are not blended.
        let width = cells(picture.width(), across).min(component.width.saturating_sub(left)).max(1);
        let height = cells(picture.height(), down).min(component.height.saturating_sub(top));
        let sample = |index: usize| {
            let (x, y) = (index % width * across, index / width * down);
            let (mut added, mut opacity) = (0.0, 0.0);
            for (x, y) in (0..down).flat_map(|dy| (0..across).map(move |dx| (x + dx, y + dy))) {
                let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else { continue };
                let Some(&Rgba([red, green, blue, alpha])) = picture.get_pixel_checked(x, y) else {
                    continue;
                };
                if alpha > 0.0 {
                    added +=
                        value([red, green, blue].map(|it| (it / alpha).clamp(0.0, 1.0))) * alpha;
                    opacity += alpha;
                }
            }
            let pixels = (across * down) as f32;
            (added / pixels, 1.0 - opacity / pixels)
        };
        Self { component, left, top, width, samples: (0..width * height).map(sample).collect() }
    }
}

/// The picture in the size that it has in a frame, with colours that are multiplied by their opacity.
fn scaled(mark: &Watermark, info: &VideoInfo) -> Rgba32FImage {
    let mut picture = Rgba32FImage::new(mark.picture.width(), mark.picture.height());
    for (to, from) in picture.pixels_mut().zip(mark.picture.pixels()) {
        let [red, green, blue, alpha] = from.0.map(|it| f32::from(it) / 255.0);
        let alpha = alpha * mark.opacity as f32;
        *to = Rgba([red * alpha, green * alpha, blue * alpha, alpha]);
    }
    let aspect = f64::from(picture.height()) / f64::from(picture.width().max(1));
    // The pixels of the frame may be wider than high.
    let pixel = f64::from(info.par().numer()) / f64::from(info.par().denom().max(1));
    let (mut width, all) = (f64::from(info.width()) * mark.size, f64::from(info.height()));
    let mut height = width * aspect * pixel;
    // A high one fits the frame as well.
    let shrink = (all * (1.0 - 2.0 * MARGIN) / height).min(1.0);
    (width, height) = (width * shrink, height * shrink);
    let side = |pixels: f64| (pixels.round() as u32).max(1);
    imageops::resize(&picture, side(width), side(height), imageops::FilterType::CatmullRom)
}

/// Where the top left corner of a picture of this size is in a frame.
fn place(place: Place, (width, height): (u32, u32), info: &VideoInfo) -> (usize, usize) {
    let margin = (f64::from(info.width().min(info.height())) * MARGIN).round() as usize;
    let rest = |all: u32, own: u32| (all as usize).saturating_sub(own as usize);
    let (right, bottom) = (rest(info.width(), width), rest(info.height(), height));
    let (near, far) = (margin, |rest: usize| rest.saturating_sub(margin));
    let (left, top) = match place {
        Place::TopLeft => (near, near),
        Place::TopRight => (far(right), near),
        Place::BottomLeft => (near, far(bottom)),
        Place::BottomRight => (far(right), far(bottom)),
        Place::Center => (right / 2, bottom / 2),
    };
    (left.min(right) / GRID * GRID, top.min(bottom) / GRID * GRID)
}

#[cfg(test)]
mod tests {
    use gst_video::{VideoFormat, VideoFrameRef};
    use image::RgbaImage;

    use super::*;

    /// The rows of each component of a black frame with a white square at `at`.
    fn blended(
        format: VideoFormat,
        colorimetry: &str,
        at: Place,
        opacity: f64,
    ) -> Vec<Vec<Vec<u16>>> {
        gst::init().unwrap();
        let colorimetry = colorimetry.parse().unwrap();
        let info = VideoInfo::builder(format, 64, 48).colorimetry(&colorimetry).build().unwrap();
        let mut buffer = gst::Buffer::with_size(info.size()).unwrap();
        let buffer = buffer.get_mut().unwrap();
        let mut frame = VideoFrameRef::from_buffer_ref_writable(buffer, &info).unwrap();
        let components = Component::all(&info);
        for component in &components {
            for row in 0..component.height {
                let black = component.nearest(component.code(0.0));
                component.change(&mut frame, row, 0..component.width, |row| row.fill(black));
            }
        }
        let picture = RgbaImage::from_pixel(5, 5, Rgba([255; 4])).into();
        Overlay::new(&Watermark { picture, place: at, size: 0.25, opacity }, &info)
            .blend(&mut frame);
        let rows = |it: &Component| (0..it.height).map(|row| it.row(&mut frame, row)).collect();
        components.iter().map(rows).collect()
    }

    #[test]
    fn a_watermark_changes_its_place_and_nothing_else() {
        for (at, left, top) in [
            (Place::TopLeft, 0, 0),
            (Place::TopRight, 44, 0),
            (Place::BottomLeft, 0, 28),
            (Place::BottomRight, 44, 28),
            (Place::Center, 24, 16),
        ] {
            for format in [VideoFormat::I420, VideoFormat::Nv12, VideoFormat::Y42b] {
                let [luma, blue, red] = &blended(format, "bt709", at, 1.0)[..] else { panic!() };
                for (y, row) in luma.iter().enumerate() {
                    for (x, code) in row.iter().enumerate() {
                        let inside = (left..left + 16).contains(&x) && (top..top + 16).contains(&y);
                        assert_eq!(*code, if inside { 235 } else { 16 }, "{at:?} {x} {y}");
                    }
                }
                assert!([blue, red].into_iter().flatten().flatten().all(|code| *code == 128));
            }
        }
    }

    #[test]
    fn a_watermark_has_the_depth_the_range_and_the_white_of_the_video() {
        let middle = |format, colorimetry, opacity| {
            blended(format, colorimetry, Place::Center, opacity)[0][24][32]
        };
        assert_eq!(middle(VideoFormat::I42010le, "bt709", 0.25), 283);
        assert_eq!(middle(VideoFormat::Rgb, "sRGB", 0.5), 128);
        assert_eq!(middle(VideoFormat::Argb64, "sRGB", 0.25), 16_384);
        assert_eq!(middle(VideoFormat::Gray16Le, "1:4:7:1", 1.0), 65_535);
        // 203 cd/m² are 58 % of the signal in PQ.
        assert_eq!(middle(VideoFormat::I42010le, "bt2100-pq", 1.0), 573);
        assert_eq!(middle(VideoFormat::I42010le, "bt2100-hlg", 1.0), 721);
    }
}
