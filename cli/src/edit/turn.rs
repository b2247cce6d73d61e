//! Rotating and mirroring pictures.

use super::options::{Flip, Rotation};

/// The elements that turn pictures, in the syntax of `gst-launch-1.0`, each followed by `!`.
pub fn elements(rotate: Option<Rotation>, flip: Option<Flip>) -> String {
    let rotate = rotate.map(|rotation| match rotation {
        Rotation::Quarter => "90r",
        Rotation::Half => "180",
        Rotation::ThreeQuarters => "90l",
    });
    let flip = flip.map(|flip| match flip {
        Flip::Horizontal => "horiz",
        Flip::Vertical => "vert",
    });
    let turns: Vec<_> = [rotate, flip]
        .into_iter()
        .flatten()
        .map(|direction| format!("videoflip video-direction={direction} !"))
        .collect();
    match turns.is_empty() {
        true => String::new(),
        false => format!("videoconvert ! {} videoconvert !", turns.concat()),
    }
}
