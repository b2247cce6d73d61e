//! The element that cleans pictures.

use std::sync::{Mutex, PoisonError};

use gst::{glib, prelude::*, subclass::prelude::*};
use gst_video::{VideoFrameExt as _, VideoFrameRef, gst_base, subclass::prelude::*};

use super::shrink::{Samples, shrink_all};
use crate::cadence::FORMATS;

glib::wrapper! {
    /// Removes coefficients below `threshold`, in 8-bit steps, from luma or R′G′B′, and below half of it from
    /// chroma. A picture depends on no other picture.
    pub struct Cleaner(ObjectSubclass<imp::Cleaner>)
        @extends gst_video::VideoFilter, gst_base::BaseTransform, gst::Element, gst::Object;
}

/// The name of the element in descriptions of pipelines.
pub const FACTORY: &str = "clean";

/// Makes the element available to descriptions of pipelines in this process.
///
/// # Errors
/// GStreamer refused it.
pub fn register() -> Result<(), glib::BoolError> {
    gst::Element::register(None, FACTORY, gst::Rank::NONE, Cleaner::static_type())
}

/// Where the samples of a component are.
#[derive(Clone, Copy, Debug)]
struct Component {
    plane: u32,
    /// Bytes from one row to the next, from one sample to the next, and before the first one.
    stride: usize,
    pixel: usize,
    offset: usize,
    width: usize,
    height: usize,
    depth: u32,
    shift: u32,
}

impl Component {
    fn of(frame: &VideoFrameRef<&mut gst::BufferRef>, number: usize) -> Option<Self> {
        let info = frame.format_info();
        let entry = |values: &[i32]| usize::try_from(*values.get(number)?).ok();
        let plane = *info.plane().get(number)?;
        let number_of = u32::try_from(number).ok()?;
        let depth = *info.depth().get(number)?;
        let offset = usize::try_from(*info.poffset().get(number)?).ok()?;
        Some(Self {
            plane,
            stride: usize::try_from(*frame.plane_stride().get(plane as usize)?).ok()?,
            pixel: entry(info.pixel_stride()).filter(|it| *it > 0)?,
            // For P010 and its like, GStreamer gives the offset of the second chroma in samples.
            offset: if depth > 8 && offset % 2 == 1 { 2 * offset } else { offset },
            width: usize::try_from(frame.comp_width(number_of)).ok()?,
            height: usize::try_from(frame.comp_height(number_of)).ok()?,
            depth,
            shift: *info.shift().get(number)?,
        })
    }

    /// The value of an 8-bit step.
    fn step(&self) -> f32 {
        2_f32.powi(self.depth.cast_signed() - 8)
    }

    /// The samples in 8-bit steps.
    fn read(&self, data: &[u8]) -> Samples {
        let mut values = Vec::with_capacity(self.width * self.height);
        let scale = self.step().recip();
        for row in data.chunks(self.stride.max(1)).take(self.height) {
            let row = row.get(self.offset..).unwrap_or_default();
            let before = values.len();
            if self.depth <= 8 {
                values.extend(
                    row.iter()
                        .step_by(self.pixel)
                        .take(self.width)
                        .map(|&it| f32::from(it) * scale),
                );
            } else {
                values.extend(row.chunks(self.pixel).take(self.width).map(|bytes| {
                    let word = bytes.first_chunk::<2>().map_or(0, |it| u16::from_le_bytes(*it));
                    f32::from(word >> self.shift) * scale
                }));
            }
            values.resize(before + self.width, 0.0);
        }
        Samples { width: self.width, values }
    }

    fn write(&self, samples: &[f32], data: &mut [u8]) {
        let (step, max) = (self.step(), ((1_u32 << self.depth.min(16)) - 1) as f32);
        let rows = data.chunks_mut(self.stride.max(1)).zip(samples.chunks(self.width.max(1)));
        for (row, samples) in rows {
            let row = row.get_mut(self.offset..).unwrap_or_default();
            for (bytes, &sample) in row.chunks_mut(self.pixel).zip(samples) {
                // In range, so that the cast is exact.
                let code = (sample * step).round().clamp(0.0, max) as u16;
                if self.depth <= 8 {
                    if let Some(byte) = bytes.first_mut() {
                        *byte = code as u8;
                    }
                } else if let Some(word) = bytes.first_chunk_mut::<2>() {
                    *word = (code << self.shift).to_le_bytes();
                }
            }
        }
    }
}

/// The threshold of chroma relative to that of luma: chroma varies less.
const CHROMA: f32 = 0.5;

/// Cleans a picture in place.
///
/// # Errors
/// A plane cannot be accessed.
fn clean(
    frame: &mut VideoFrameRef<&mut gst::BufferRef>,
    threshold: f32,
) -> Result<(), glib::BoolError> {
    let is_yuv = frame.format_info().is_yuv();
    // The fourth component is alpha.
    for number in 0..frame.n_components().min(3) as usize {
        let Some(component) = Component::of(frame, number) else { continue };
        let samples = component.read(frame.plane_data(component.plane)?);
        let share = if is_yuv && number > 0 { CHROMA } else { 1.0 };
        let cleaned = shrink_all(&samples, share * threshold);
        component.write(&cleaned, frame.plane_data_mut(component.plane)?);
    }
    Ok(())
}

mod imp {
    use std::sync::LazyLock;

    use super::*;

    #[derive(Default)]
    pub struct Cleaner {
        threshold: Mutex<f32>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Cleaner {
        const NAME: &'static str = "GstUpscaleCleaner";
        type Type = super::Cleaner;
        type ParentType = gst_video::VideoFilter;
    }

    impl ObjectImpl for Cleaner {
        fn properties() -> &'static [glib::ParamSpec] {
            static PROPERTIES: LazyLock<[glib::ParamSpec; 1]> = LazyLock::new(|| {
                [glib::ParamSpecFloat::builder("threshold")
                    .nick("Threshold")
                    .blurb("Amplitude of the DCT coefficients that are removed, in 8-bit steps")
                    .minimum(0.0)
                    .maximum(255.0)
                    .build()]
            });
            PROPERTIES.as_ref()
        }

        fn set_property(&self, _: usize, value: &glib::Value, _: &glib::ParamSpec) {
            if let Ok(value) = value.get() {
                *self.threshold.lock().unwrap_or_else(PoisonError::into_inner) = value;
            }
        }

        fn property(&self, _: usize, _: &glib::ParamSpec) -> glib::Value {
            self.threshold.lock().unwrap_or_else(PoisonError::into_inner).to_value()
        }
    }

    impl GstObjectImpl for Cleaner {}

    impl ElementImpl for Cleaner {
        fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
            static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
                gst::subclass::ElementMetadata::new(
                    "Cleaner",
                    "Filter/Effect/Video",
                    "Removes traces of compression and noise",
                    "gst-upscale",
                )
            });
            Some(&METADATA)
        }

        fn pad_templates() -> &'static [gst::PadTemplate] {
            static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
                let caps = format!("video/x-raw, format=(string){{{FORMATS}}}");
                let Ok(caps) = caps.parse::<gst::Caps>() else { return Vec::new() };
                let ends = [("sink", gst::PadDirection::Sink), ("src", gst::PadDirection::Src)];
                ends.into_iter()
                    .filter_map(|(name, direction)| {
                        let always = gst::PadPresence::Always;
                        gst::PadTemplate::new(name, direction, always, &caps).ok()
                    })
                    .collect()
            });
            TEMPLATES.as_ref()
        }
    }

    impl BaseTransformImpl for Cleaner {
        const MODE: gst_base::subclass::BaseTransformMode =
            gst_base::subclass::BaseTransformMode::AlwaysInPlace;
        const PASSTHROUGH_ON_SAME_CAPS: bool = false;
        const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;
    }

    impl VideoFilterImpl for Cleaner {
        fn transform_frame_ip(
            &self,
            frame: &mut VideoFrameRef<&mut gst::BufferRef>,
        ) -> Result<gst::FlowSuccess, gst::FlowError> {
            let threshold = *self.threshold.lock().unwrap_or_else(PoisonError::into_inner);
            clean(frame, threshold).map_err(|error| {
                gst::element_imp_error!(self, gst::StreamError::Failed, ("{error}"));
                gst::FlowError::Error
            })?;
            Ok(gst::FlowSuccess::Ok)
        }
    }
}

#[cfg(test)]
mod tests {
    use gst_video::{VideoFormat, VideoInfo};

    use super::*;

    /// A picture of this format whose samples are `value` by component, column and row, cleaned. The
    /// result is given in the same order, with `width` × `height` of each component.
    fn cleaned(
        format: VideoFormat,
        value: impl Fn(usize, usize, usize) -> f32,
    ) -> (Vec<Samples>, Vec<Samples>) {
        gst::init().unwrap();
        let info = VideoInfo::builder(format, 46, 34).build().unwrap();
        let mut buffer = gst::Buffer::with_size(info.size()).unwrap();
        let mut frame =
            VideoFrameRef::from_buffer_ref_writable(buffer.get_mut().unwrap(), &info).unwrap();
        let components = 0..info.n_components() as usize;
        let read = |frame: &VideoFrameRef<&mut gst::BufferRef>| -> Vec<Samples> {
            let components = components.clone().map(|it| Component::of(frame, it).unwrap());
            components.map(|it| it.read(frame.plane_data(it.plane).unwrap())).collect()
        };
        for number in components.clone() {
            let component = Component::of(&frame, number).unwrap();
            let places =
                (0..component.height).flat_map(|y| (0..component.width).map(move |x| (x, y)));
            let samples: Vec<f32> = places.map(|(x, y)| value(number, x, y)).collect();
            component.write(&samples, frame.plane_data_mut(component.plane).unwrap());
        }
        let before = read(&frame);
        clean(&mut frame, 16.0).unwrap();
        (before, read(&frame))
    }

    #[test]
    fn every_component_but_alpha_is_cleaned_in_all_layouts() {
        for format in [
            VideoFormat::I420,
            VideoFormat::Nv12,
            VideoFormat::Yuy2,
            VideoFormat::Gray8,
            VideoFormat::Ayuv,
            VideoFormat::Rgb,
            VideoFormat::I42010le,
            VideoFormat::P01010le,
            VideoFormat::Gray16Le,
        ] {
            // A faint checkerboard on a step.
            let (before, after) = cleaned(format, |component, x, y| {
                60.0 + 20.0 * component as f32
                    + if x < 12 { 0.0 } else { 90.0 }
                    + if (x + y) % 2 == 0 { 0.0 } else { 2.0 }
            });
            for (number, (before, after)) in before.iter().zip(&after).enumerate() {
                let is_alpha = number == 3;
                assert_eq!(before == after, is_alpha, "{format:?}, component {number}");
                let at = 5 * after.width;
                let [a, b] = [after.values[at + 2], after.values[at + 3]];
                assert!(is_alpha || (a - b).abs() <= 1.0, "{format:?} {number}: {a} {b}");
                let last = after.values[at + after.width - 1];
                assert!((last - before.values[at + after.width - 1]).abs() < 2.5, "{format:?}");
            }
        }
    }

    #[test]
    fn pictures_of_8_and_of_10_bits_are_cleaned_alike() {
        let value = |_, x: usize, y: usize| 100.0 + ((x * 37 + y * 91) % 23) as f32;
        let [eight, ten] = [VideoFormat::I420, VideoFormat::I42010le]
            .map(|format| cleaned(format, value).1.swap_remove(0));
        let differences = eight.values.iter().zip(&ten.values).map(|(a, b)| (a - b).abs());
        assert!(differences.fold(0.0, f32::max) <= 0.75);
    }
}
