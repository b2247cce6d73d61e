//! How much a film is cleaned.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{element::FACTORY, measure::Quality};

/// `--clean`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clean {
    /// The pictures stay as they are.
    #[default]
    Off,
    /// As much as the film needs by measure. A clean film stays as it is to the bit.
    Auto,
    /// Faint traces of compression and faint noise are removed.
    Light,
    /// Strong traces of compression and strong noise are removed, and fine texture with them.
    Strong,
}

/// The amplitude of what is removed, in 8-bit steps: coefficients of an orthonormal DCT of 8×8 samples
/// below it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cleaning {
    pub threshold: f32,
}

impl Clean {
    /// What is done to a film of this quality. `None` if its pictures stay as they are, and with
    /// [`Auto`](Self::Auto) if the quality is unknown.
    pub fn cleaning(self, quality: Option<&Quality>) -> Option<Cleaning> {
        let of = |threshold| Some(Cleaning { threshold });
        match self {
            Self::Off => None,
            Self::Auto => quality?.threshold().and_then(of),
            Self::Light => of(3.0),
            Self::Strong => of(10.0),
        }
    }
}

impl Cleaning {
    /// The element that cleans, in the syntax of `gst-launch-1.0`, followed by `!`. Empty if there is
    /// nothing to clean.
    pub fn element(cleaning: Option<Self>) -> String {
        cleaning.map_or_else(String::new, |Self { threshold }| {
            format!("{FACTORY} threshold={threshold} ! videoconvert !")
        })
    }
}

impl fmt::Display for Cleaning {
    /// What is done, for the user.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the pictures are cleaned (threshold {:.1} of 255)", self.threshold)
    }
}
