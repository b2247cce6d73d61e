//! How the pictures of a scene are stored in the fields of its frames.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Which field of a frame is shown first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    TopFirst,
    BottomFirst,
}

/// How pictures are stored in fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pattern {
    /// The fields of a frame belong to one picture: progressive, or 2:2 pulldown.
    Whole,
    /// A picture is the second field of a frame and the first one of the next frame: 2:2 pulldown
    /// that began with the other field.
    Offset(Order),
    /// Every field is a picture of its own: interlaced video.
    Fields(Order),
    /// Four pictures are stored in five frames: 2:3 pulldown. The number is the place of the scene's
    /// first frame among the five, whose fields hold the pictures AA BB BC CD DD.
    Telecine(Order, u8),
}

/// Frames of one pattern.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scene {
    /// Numbers of the decoded frames.
    pub frames: Range<usize>,
    pub pattern: Pattern,
    /// Whether frames are shown for 2 and 3 fields in turn, by their times (soft telecine).
    pub is_soft: bool,
    /// How many frames in succession show the same picture; 1 for most films, 2 or more for drawings.
    pub repeats: u8,
}

impl Pattern {
    /// The order in which the fields are shown, if it matters.
    pub fn order(self) -> Option<Order> {
        match self {
            Self::Whole => None,
            Self::Offset(order) | Self::Fields(order) | Self::Telecine(order, _) => Some(order),
        }
    }

    /// The pattern that a scene continues with after `frames` frames.
    pub fn after(self, frames: usize) -> Self {
        match self {
            Self::Telecine(order, place) => {
                Self::Telecine(order, ((usize::from(place) + frames) % 5) as u8)
            }
            other => other,
        }
    }

    /// Whether both are the same but for the place in the cycle.
    pub fn is_same_kind(self, other: Self) -> bool {
        match (self, other) {
            (Self::Telecine(order, _), Self::Telecine(other, _)) => order == other,
            _ => self == other,
        }
    }
}
