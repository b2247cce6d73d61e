//! What is done to the pictures of a film apart from enlarging them: the treatment, crop, rotation and flip
//! before it, brightness, saturation and a watermark after it. Samples keep their depth.

mod blend;
mod component;
mod depth;
pub mod element;
mod error;
mod grade;
mod hdr;
mod options;
mod turn;
mod watermark;

use gst::prelude::*;

use self::{
    element::{FACTORY as RETOUCH, Retouch},
    grade::Grade,
};
pub use self::{
    error::Error,
    options::{Geometry, Options},
    watermark::{Watermark, digest, read},
};
use crate::{
    crop::{self, Crop},
    treatment::Treatment,
};

/// The edits of one film, ready to be put into a pipeline.
#[derive(Clone, Debug, Default)]
pub struct Edits {
    pub options: Options,
    /// What is done to the pictures of the film first.
    pub treatment: Treatment,
    pub watermark: Option<Watermark>,
}

impl Edits {
    /// The elements before the one that enlarges, in the syntax of `gst-launch-1.0`, each followed by
    /// `!`. `auto_turn` rotates the picture as the file asks for, which is what crop and rotation of the
    /// user begin with.
    pub fn before(&self, auto_turn: &str) -> String {
        let Geometry { crop, rotate, flip } = self.options.geometry;
        let (treatment, crop) = (self.treatment.elements(), crop.element());
        let turn = turn::elements(rotate, flip);
        let may_lose_depth =
            !self.treatment.borders.is_none() || !crop.is_empty() || !turn.is_empty();
        let entry = match may_lose_depth {
            true => format!("videoconvert name={} !", depth::ENTRY),
            false => String::new(),
        };
        format!("{entry} {treatment} {auto_turn} {crop} {turn}")
    }

    /// The elements after the one that enlarges, each preceded by `!`.
    pub fn after(&self) -> String {
        match self.grade().is_none() && self.watermark.is_none() {
            true => String::new(),
            false => format!("! {RETOUCH} name={RETOUCH}"),
        }
    }

    /// Sets up the elements of [`Self::before`] and [`Self::after`] in `bin`.
    pub fn set_up(&self, bin: &gst::Bin) {
        if let Crop::Rectangle(rectangle) = self.options.geometry.crop {
            crop::set_up(bin, rectangle);
        }
        depth::refuse_loss(bin);
        if let Some(retouch) = bin.by_name(RETOUCH).and_downcast::<Retouch>() {
            retouch.set_up(self.grade(), self.watermark.clone());
        }
    }

    fn grade(&self) -> Grade {
        Grade { brightness: self.options.brightness, saturation: self.options.saturation }
    }
}
