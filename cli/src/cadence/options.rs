//! Options about fields, for files that describe themselves wrongly.

use serde::{Deserialize, Serialize};

use super::{pattern::Order, schedule::Rate};

/// `--field-order`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FieldOrder {
    /// By the motion in the pictures.
    #[default]
    Auto,
    /// Top field first.
    Tff,
    /// Bottom field first.
    Bff,
    /// The frames are not interlaced; they are left as they are.
    Progressive,
}

impl FieldOrder {
    /// The order that the user gave.
    pub fn order(self) -> Option<Order> {
        match self {
            Self::Tff => Some(Order::TopFirst),
            Self::Bff => Some(Order::BottomFirst),
            Self::Auto | Self::Progressive => None,
        }
    }
}

/// How interlaced and telecined films are treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, clap::Args, Serialize, Deserialize)]
#[group(id = "cadence")]
pub struct Options {
    /// Which field of interlaced frames is shown first.
    #[arg(long, value_enum, default_value_t)]
    pub field_order: FieldOrder,
    /// Treat telecined film (2:3 pulldown) as interlaced video: a picture for each field.
    #[arg(long)]
    pub no_ivtc: bool,
    /// Constant frame rate of the output, for example 23.976, 25 or 60000/1001. Pictures are repeated
    /// or left out [default: the rate of each part of the film].
    #[arg(long, value_name = "RATE")]
    pub rate: Option<Rate>,
}
