//! Properties that the shapes in an `.onnx` file do not determine: the layout and order of its
//! channels, and the range of their values.
//!
//! They come from the model's own `metadata_props`, in keys that start with `upscale.`, or from a
//! file next to it, `NAME.onnx.toml` or `NAME.toml`, which takes precedence:
//!
//! ```toml
//! layout = "nhwc"                     # or "nchw"; default: detected from the shapes
//! range = 255                         # the value of white; default: 1
//! order = "bgr"                       # or "rgb", the default
//! mean = [103.15, 111.56, 114.36]     # subtracted before and added after, in range and order
//! alpha = true                        # a fourth channel: opaque before, dropped after
//! factor = 4                          # if the graph cannot be analysed
//! multiple = 8                        # the same; sides are padded to multiples of this
//! ```

use std::path::Path;

use serde::Deserialize;

use super::proto::ModelProto;
use crate::model::{fault::Reason, sidecar};

/// The prefix of metadata keys.
pub(super) const PREFIX: &str = "upscale.";

/// The magnitude that `range` and `mean` must be below.
const MAX_VALUE: f32 = 1e6;

/// The largest multiple that sides can be padded to.
const MAX_MULTIPLE: u32 = 1024;

/// Why settings are not valid.
#[derive(Debug, thiserror::Error)]
pub(super) enum SettingsError {
    #[error("the settings `range` and `mean` must be below {MAX_VALUE}, and `range` above 0")]
    Value,
    #[error("the setting `factor` must be from 1 to 64")]
    Factor,
    #[error("the setting `multiple` must be from 1 to {MAX_MULTIPLE}")]
    Multiple,
    #[error("cannot parse the model's metadata: {message}", message = .0.message())]
    Metadata(toml::de::Error),
    #[error(transparent)]
    Sidecar(#[from] sidecar::SidecarError),
}

impl Reason for SettingsError {
    fn is_damage(&self) -> bool {
        false
    }
}

/// See the module's documentation.

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    pub layout: Option<TensorLayout>,
    pub range: Option<f32>,
    pub order: Option<ChannelOrder>,
    pub mean: Option<Vec<f32>>,
    pub alpha: Option<bool>,
    pub factor: Option<u32>,
    pub multiple: Option<u32>,
}

/// The order of the dimensions of input and output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum TensorLayout {
    Nchw,
    Nhwc,
}

/// The order of the colour channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ChannelOrder {
    Rgb,
    Bgr,
}

impl Settings {
    /// The settings of the model at `path`.
    ///
    /// # Errors
    /// See [`SettingsError`].
    pub(crate) fn of(path: &Path, model: &ModelProto) -> Result<Self, SettingsError> {
        let mut settings = Self::from_metadata(model)?;
        if let Some(sidecar) = sidecar::read::<Self>(path)? {
            settings = sidecar.or(settings);
        }
        let is_valid = |value: f32| value.is_finite() && value.abs() < MAX_VALUE;
        if settings.range.is_some_and(|range| !is_valid(range) || range <= 0.0)
            || settings.mean.iter().flatten().any(|&mean| !is_valid(mean))
        {
            return Err(SettingsError::Value);
        }
        if settings.factor.is_some_and(|factor| !(1..=64).contains(&factor)) {
            return Err(SettingsError::Factor);
        }
        if settings.multiple.is_some_and(|multiple| !(1..=MAX_MULTIPLE).contains(&multiple)) {
            return Err(SettingsError::Multiple);
        }
        Ok(settings)
    }

    fn from_metadata(model: &ModelProto) -> Result<Self, SettingsError> {
        let mut table = toml::Table::new();
        for entry in &model.metadata_props {
            let Some(key) = entry.key.strip_prefix(PREFIX) else { continue };
            // A value that is not valid TOML is a string.
            let value = format!("v = {}", entry.value)
                .parse::<toml::Table>()
                .ok()
                .and_then(|mut table| table.remove("v"))
                .unwrap_or_else(|| toml::Value::String(entry.value.clone()));
            table.insert(key.to_owned(), value);
        }
        table.try_into().map_err(SettingsError::Metadata)
    }

    /// These settings; `other` for those that are absent.
    fn or(self, other: Self) -> Self {
        Self {
            layout: self.layout.or(other.layout),
            range: self.range.or(other.range),
            order: self.order.or(other.order),
            mean: self.mean.or(other.mean),
            alpha: self.alpha.or(other.alpha),
            factor: self.factor.or(other.factor),
            multiple: self.multiple.or(other.multiple),
        }
    }
}
