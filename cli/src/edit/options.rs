//! The options that edit pictures.

use std::path::PathBuf;

use clap::ValueEnum;
use image::{RgbImage, RgbaImage, imageops};
use serde::{Deserialize, Serialize};

use super::{
    error::Error,
    watermark::{self, Place, Watermark},
};
use crate::{arguments::Expected, crop::Crop};

/// Which part of a picture is kept, and how it is turned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
#[group(id = "geometry")]
#[serde(default)]
pub struct Geometry {
    /// The part of the picture that is kept: WIDTHxHEIGHT+LEFT+TOP in pixels of the input, as a player
    /// shows it; or auto, which removes borders that are black in the whole film.
    #[arg(long, value_name = "off|auto|RECTANGLE", default_value_t)]
    pub crop: Crop,
    /// Rotate the picture clockwise, after the crop.
    #[arg(long, value_enum, value_name = "DEGREES")]
    pub rotate: Option<Rotation>,
    /// Mirror the picture, after the rotation.
    #[arg(long, value_enum)]
    pub flip: Option<Flip>,
}

/// How pictures are edited.
#[derive(Clone, Debug, PartialEq, clap::Args, Serialize, Deserialize)]
#[group(id = "edit")]
#[serde(default)]
pub struct Options {
    #[command(flatten)]
    #[serde(flatten)]
    pub geometry: Geometry,
    /// Added to the picture: from -1, which makes it black, to 1, which makes it white.
    #[arg(long, value_name = "NUMBER", default_value_t = 0.0, allow_negative_numbers = true, value_parser = brightness)]
    pub brightness: f64,
    /// Factor of the colour: from 0, which leaves grey, to 4.
    #[arg(long, value_name = "NUMBER", default_value_t = 1.0, value_parser = saturation)]
    pub saturation: f64,
    /// Picture that is shown on top of the result, for example a PNG file with transparency.
    #[arg(long, value_name = "PICTURE", conflicts_with = "watermark_text")]
    pub watermark: Option<PathBuf>,
    /// Text that is shown on top of the result.
    #[arg(long, value_name = "TEXT", value_parser = text)]
    pub watermark_text: Option<String>,
    /// Where the watermark is.
    #[arg(long, value_enum, default_value_t)]
    pub watermark_place: Place,
    /// Width of the watermark as a share of the width of the picture.
    #[arg(long, value_name = "SHARE", default_value_t = 0.15, value_parser = watermark_size)]
    pub watermark_size: f64,
    /// Opacity of the watermark, from 0 to 1.
    #[arg(long, value_name = "NUMBER", default_value_t = 0.7, value_parser = opacity)]
    pub watermark_opacity: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            geometry: Geometry::default(),
            brightness: 0.0,
            saturation: 1.0,
            watermark: None,
            watermark_text: None,
            watermark_place: Place::default(),
            watermark_size: 0.15,
            watermark_opacity: 0.7,
        }
    }
}

/// Clockwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum Rotation {
    #[value(name = "90")]
    #[serde(rename = "90")]
    Quarter,
    #[value(name = "180")]
    #[serde(rename = "180")]
    Half,
    #[value(name = "270")]
    #[serde(rename = "270")]
    ThreeQuarters,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flip {
    /// Left and right are exchanged.
    Horizontal,
    /// Top and bottom are exchanged.
    Vertical,
}

impl Geometry {
    /// A picture as the elements of a pipeline make it. A rectangle that is not inside is cut.
    pub fn of_picture(self, picture: RgbImage) -> RgbImage {
        let picture = match self.crop {
            Crop::Rectangle(rectangle) => rectangle.of_picture(&picture),
            Crop::Off | Crop::Auto => picture,
        };
        let picture = match self.rotate {
            Some(Rotation::Quarter) => imageops::rotate90(&picture),
            Some(Rotation::Half) => imageops::rotate180(&picture),
            Some(Rotation::ThreeQuarters) => imageops::rotate270(&picture),
            None => picture,
        };
        match self.flip {
            Some(Flip::Horizontal) => imageops::flip_horizontal(&picture),
            Some(Flip::Vertical) => imageops::flip_vertical(&picture),
            None => picture,
        }
    }
}

impl Options {
    /// Whether there is a watermark.
    pub fn has_watermark(&self) -> bool {
        self.watermark.is_some() || self.watermark_text.is_some()
    }

    /// Reads the picture of the watermark, or draws its text. `None` if there is no watermark.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn read_watermark(&self) -> Result<Option<Watermark>, Error> {
        let picture = match (&self.watermark, &self.watermark_text) {
            (Some(path), _) => watermark::read(path)?,
            (None, Some(text)) => watermark::draw(text)?,
            (None, None) => return Ok(None),
        };
        Ok(Some(self.watermark_of(picture)))
    }

    /// A watermark of this picture, placed as the options say.
    pub fn watermark_of(&self, picture: RgbaImage) -> Watermark {
        Watermark {
            picture: picture.into(),
            place: self.watermark_place,
            size: self.watermark_size,
            opacity: self.watermark_opacity,
        }
    }
}

/// The longest text of a watermark, in characters.
pub const MAX_TEXT: usize = 100;

/// Parses the text of a watermark, which is one line.
pub fn text(text: &str) -> Result<String, Expected> {
    let is_line = !text.trim().is_empty() && !text.chars().any(char::is_control);
    match is_line && text.chars().count() <= MAX_TEXT {
        true => Ok(text.into()),
        false => Err(Expected(format!("one line of 1 to {MAX_TEXT} characters"))),
    }
}

fn brightness(text: &str) -> Result<f64, Expected> {
    number(text, -1.0, 1.0)
}

fn saturation(text: &str) -> Result<f64, Expected> {
    number(text, 0.0, 4.0)
}

fn opacity(text: &str) -> Result<f64, Expected> {
    number(text, 0.0, 1.0)
}

fn watermark_size(text: &str) -> Result<f64, Expected> {
    number(text, 0.01, 1.0)
}

fn number(text: &str, least: f64, most: f64) -> Result<f64, Expected> {
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| Expected(format!("a number from {least} to {most}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_range_are_refused() {
        assert_eq!((brightness("-0.5").unwrap(), saturation("0").unwrap()), (-0.5, 0.0));
        for value in ["", "1.1", "-1.1", "NaN", "inf", "half"] {
            assert!(brightness(value).is_err(), "{value}");
        }
        assert!(watermark_size("0").is_err());
        assert!(
            text("two\nlines").is_err() && text(" ").is_err() && text(&"x".repeat(101)).is_err()
        );
        assert_eq!(text("© <me> & you").unwrap(), "© <me> & you");
    }
}
