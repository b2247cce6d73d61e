//! Properties of a network that its weights do not determine.

use std::path::Path;

use serde::Deserialize;

use super::activation::Activation;
use crate::model::{fault::Fault, sidecar};

/// Scale factors of [`Hints`].
const FACTORS: std::ops::RangeInclusive<u32> = 1..=8;

/// Values of [`Hints::noise`].
const NOISE: std::ops::RangeInclusive<f32> = 0.0..=255.0;

/// Properties of a network that its weights do not determine: from the name of its file, or from
/// `NAME.pth.toml` or `NAME.toml` next to it.
///
/// ```toml
/// factor = 2              # FSRCNN, SRCNN and VDSR; default: from the name, as in fsrcnn_x2.pth
/// activation = "relu"     # or "leakyrelu" (slope 0.1) or "tanh", if it has no weights
/// noise = 15              # FDnCNN and DRUNet: the standard deviation to remove, of white = 255
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hints {
    /// Output size over input size, 1..=8.
    pub(super) factor: Option<u32>,
    pub(super) activation: Option<Activation>,
    /// The standard deviation of the noise to remove, 0..=255, where white is 255.
    pub(super) noise: Option<f32>,
}

/// The content of the sidecar file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    factor: Option<u32>,
    activation: Option<ActivationName>,
    noise: Option<f32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ActivationName {
    Relu,
    LeakyRelu,
    Tanh,
}

impl Hints {
    /// The hints for the file at `path`.
    ///
    /// # Errors
    /// [`Fault::Unsuitable`] for an invalid sidecar file.
    pub(crate) fn of(path: &Path) -> Result<Self, Fault> {
        let mut hints = Self { factor: factor_in_name(path), ..Self::default() };
        if let Some(settings) = sidecar::read::<Settings>(path)? {
            hints.factor = settings.factor.or(hints.factor);
            hints.activation = settings.activation.map(|activation| match activation {
                ActivationName::Relu => Activation::Relu,
                ActivationName::LeakyRelu => Activation::LeakyRelu(0.1),
                ActivationName::Tanh => Activation::Tanh,
            });
            hints.noise = settings.noise;
        }
        if let Some(noise) = hints.noise.filter(|noise| !NOISE.contains(noise)) {
            return Err(Fault::unsuitable(format!("the noise {noise} is out of range (0 to 255)")));
        }
        match hints.factor {
            Some(factor) if !FACTORS.contains(&factor) => {
                Err(Fault::unsuitable(format!("the factor {factor} is out of range (1 to 8)")))
            }
            _ => Ok(hints),
        }
    }
}

/// The 2 of `fsrcnn_x2.pth` and `2x-Something.pth`.
fn factor_in_name(path: &Path) -> Option<u32> {
    let name = path.file_stem()?.to_str()?.to_ascii_lowercase();
    let mut parts = name.split(|letter: char| !letter.is_ascii_alphanumeric());
    let factor = |part: &str| {
        let digits = part.strip_prefix('x').or_else(|| part.strip_suffix('x'))?;
        digits.parse().ok().filter(|factor| FACTORS.contains(factor))
    };
    parts.find_map(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_may_contain_the_factor() {
        let factor = |name: &str| factor_in_name(Path::new(name));
        assert_eq!(factor("models/fsrcnn_x3-T91-f791f07f.pth.tar"), Some(3));
        assert_eq!(factor("2x-Clean.pth"), Some(2));
        assert_eq!(factor("vdsr-TB291-fef487db.pth"), None);
        assert_eq!(factor("x264.pth"), None);
    }
}
