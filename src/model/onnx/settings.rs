//! What an `.onnx` cannot say by its shapes: how its channels lie and what their numbers mean.
//!
//! It is told by the model's own `metadata_props`, keys with the prefix `upscale.`, or by a
//! file beside it, `NAME.onnx.toml` or `NAME.toml`, which wins:
//!
//! ```toml
//! layout = "nhwc"                     # or "nchw"; found out where the shapes tell
//! range = 255                         # white; 1 if absent
//! order = "bgr"                       # or "rgb", the default
//! mean = [103.15, 111.56, 114.36]     # taken off ahead and added behind, in range and order
//! alpha = true                        # a fourth channel, given as opaque and dropped behind
//! factor = 4                          # for graphs that it cannot be worked out from
//! ```

use std::path::Path;

use serde::Deserialize;

use super::proto::ModelProto;
use crate::model::companion;

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    pub layout: Option<Layout>,
    pub range: Option<f32>,
    pub order: Option<Order>,
    pub mean: Option<Vec<f32>>,
    pub alpha: Option<bool>,
    pub factor: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Layout {
    Nchw,
    Nhwc,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Order {
    Rgb,
    Bgr,
}

impl Settings {
    /// Of the model at `path`.
    ///
    /// # Errors
    /// What is wrong with them, as the end of a sentence.
    pub fn of(path: &Path, model: &ModelProto) -> Result<Self, String> {
        let mut settings = Self::from_metadata(model)?;
        if let Some(told) = companion::read::<Self>(path)? {
            settings = told.or(settings);
        }
        let sane = |value: f32| value.is_finite() && value.abs() < 1e6;
        if settings.range.is_some_and(|range| !sane(range) || range <= 0.0)
            || settings.mean.iter().flatten().any(|&mean| !sane(mean))
        {
            return Err("its range or mean is no sensible number".into());
        }
        if settings.factor.is_some_and(|factor| !(1..=64).contains(&factor)) {
            return Err("its stated factor is not one of 1 to 64".into());
        }
        Ok(settings)
    }

    fn from_metadata(model: &ModelProto) -> Result<Self, String> {
        let mut table = toml::Table::new();
        for entry in &model.metadata_props {
            let Some(key) = entry.key.strip_prefix("upscale.") else { continue };
            // Bare words are texts, everything else is TOML.
            let value = format!("v = {}", entry.value)
                .parse::<toml::Table>()
                .ok()
                .and_then(|mut table| table.remove("v"))
                .unwrap_or_else(|| toml::Value::String(entry.value.clone()));
            table.insert(key.to_owned(), value);
        }
        table.try_into().map_err(|error| {
            format!("its metadata is not understood: {}", toml::de::Error::message(&error))
        })
    }

    fn or(self, other: Self) -> Self {
        Self {
            layout: self.layout.or(other.layout),
            range: self.range.or(other.range),
            order: self.order.or(other.order),
            mean: self.mean.or(other.mean),
            alpha: self.alpha.or(other.alpha),
            factor: self.factor.or(other.factor),
        }
    }
}
