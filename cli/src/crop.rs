//! `--crop`: the part of the picture that is kept.

use std::{fmt, str::FromStr};

use gst::prelude::*;
use gst_video::VideoInfo;
use image::{RgbImage, imageops};
use serde::{Deserialize, Serialize};

use crate::arguments::{Expected, size};

/// `--crop`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Crop {
    /// The whole picture.
    #[default]
    Off,
    /// What is black in every frame of the film is removed.
    Auto,
    Rectangle(Rectangle),
}

/// A part of a picture, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rectangle {
    width: u32,
    height: u32,
    left: u32,
    top: u32,
}

impl Crop {
    /// The element that crops to a rectangle, in the syntax of `gst-launch-1.0`, followed by `!`.
    pub fn element(self) -> &'static str {
        match self {
            Self::Rectangle(_) => "videocrop name=crop !",
            // The borders that are found have an element of their own.
            Self::Off | Self::Auto => "",
        }
    }
}

/// Sets the element of [`Crop::element`] to this rectangle of pictures of any size. A picture that does
/// not contain the rectangle is an error of the element.
pub fn set_up(bin: &gst::Bin, rectangle: Rectangle) {
    let Some(element) = bin.by_name("crop") else { return };
    let Some(sink) = element.static_pad("sink") else { return };
    let weak = element.downgrade();
    sink.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        let Some(gst::EventView::Caps(caps)) = info.event().map(|event| event.view()) else {
            return gst::PadProbeReturn::Ok;
        };
        let (Some(element), Ok(picture)) = (weak.upgrade(), VideoInfo::from_caps(caps.caps()))
        else {
            return gst::PadProbeReturn::Ok;
        };
        match rectangle.borders(&picture) {
            Ok(borders) => {
                let names = ["left", "top", "right", "bottom"];
                for (name, pixels) in names.into_iter().zip(borders) {
                    element.set_property(name, pixels);
                }
            }
            Err(text) => gst::element_error!(element, gst::StreamError::Format, ("{text}")),
        }
        gst::PadProbeReturn::Ok
    });
}

impl Rectangle {
    /// This part of a picture, as far as it is inside.
    pub fn of_picture(self, picture: &RgbImage) -> RgbImage {
        imageops::crop_imm(picture, self.left, self.top, self.width, self.height).to_image()
    }

    /// What is removed on the left, at the top, on the right and at the bottom.
    fn borders(self, picture: &VideoInfo) -> Result<[i32; 4], String> {
        let (width, height) = (picture.width(), picture.height());
        let rest = |all: u32, start: u32, length: u32| all.checked_sub(start.checked_add(length)?);
        let right = rest(width, self.left, self.width);
        let bottom = rest(height, self.top, self.height);
        let (Some(right), Some(bottom)) = (right, bottom) else {
            return Err(format!(
                "the rectangle {self} of --crop is not inside the picture of {width}x{height} pixels"
            ));
        };
        // A sample of chroma belongs to several pixels.
        let format = picture.format_info();
        let is_split = |subsampling: &[u32], pixels: u32| {
            subsampling.iter().any(|&bits| pixels & ((1 << bits) - 1) != 0)
        };
        if is_split(format.w_sub(), self.left | self.width)
            || is_split(format.h_sub(), self.top | self.height)
        {
            return Err(format!(
                "the rectangle {self} of --crop must have even numbers, since chroma of this video ({}) \
                 is stored for several pixels together",
                format.name()
            ));
        }
        let signed = |pixels: u32| i32::try_from(pixels).unwrap_or(i32::MAX);
        Ok([self.left, self.top, right, bottom].map(signed))
    }
}

impl FromStr for Crop {
    type Err = Expected;

    fn from_str(text: &str) -> Result<Self, Expected> {
        let rectangle = || {
            let (extent, place) = text.split_once('+')?;
            let (left, top) = place.split_once('+')?;
            let (width, height) = size(extent)?;
            let rectangle =
                Rectangle { width, height, left: left.parse().ok()?, top: top.parse().ok()? };
            (width > 0 && height > 0).then_some(Self::Rectangle(rectangle))
        };
        match text {
            "off" => Ok(Self::Off),
            "auto" => Ok(Self::Auto),
            _ => rectangle().ok_or_else(|| {
                Expected("off, auto, or WIDTHxHEIGHT+LEFT+TOP, for example 640x360+0+60".into())
            }),
        }
    }
}

impl fmt::Display for Crop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Auto => f.write_str("auto"),
            Self::Rectangle(rectangle) => rectangle.fmt(f),
        }
    }
}

impl fmt::Display for Rectangle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { width, height, left, top } = self;
        write!(f, "{width}x{height}+{left}+{top}")
    }
}

impl TryFrom<String> for Crop {
    type Error = Expected;

    fn try_from(text: String) -> Result<Self, Expected> {
        text.parse()
    }
}

impl From<Crop> for String {
    fn from(crop: Crop) -> Self {
        crop.to_string()
    }
}

#[cfg(test)]
mod tests {
    use gst_video::VideoFormat;

    use super::*;

    #[test]
    fn a_crop_is_read_as_it_is_written() {
        for text in ["off", "auto", "640x360+0+60"] {
            assert_eq!(text.parse::<Crop>().unwrap().to_string(), text);
        }
        for text in ["", "on", "640x360", "640x360+0", "0x360+0+0", "640x360+-1+0", "1x1+1+1+1"] {
            assert!(text.parse::<Crop>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_rectangle_must_be_inside_the_picture_and_have_whole_samples_of_chroma() {
        gst::init().unwrap();
        let borders = |text: &str, format| {
            let Ok(Crop::Rectangle(rectangle)) = text.parse() else { panic!("{text}") };
            rectangle.borders(&VideoInfo::builder(format, 64, 48).build().unwrap())
        };
        assert_eq!(borders("40x30+4+8", VideoFormat::I420), Ok([4, 8, 20, 10]));
        assert_eq!(borders("41x31+3+7", VideoFormat::Rgb), Ok([3, 7, 20, 10]));
        assert_eq!(borders("40x31+4+7", VideoFormat::Y42b), Ok([4, 7, 20, 10]));
        for text in ["41x30+4+8", "40x30+3+8", "40x31+4+8", "40x30+4+7"] {
            assert!(borders(text, VideoFormat::I420).unwrap_err().contains("even"), "{text}");
        }
        for text in ["65x8+0+0", "8x8+60+0", "8x8+0+48", "4294967295x1+4294967295+0"] {
            assert!(borders(text, VideoFormat::Rgb).unwrap_err().contains("not inside"), "{text}");
        }
    }
}
