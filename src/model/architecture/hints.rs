//! What a network's weights do not tell.

use std::path::Path;

use serde::Deserialize;

use super::network::Activation;
use crate::model::companion;

/// What weights do not tell of their network, from its file's name or a `.toml` beside it,
/// `NAME.pth.toml` or `NAME.toml`:
///
/// ```toml
/// factor = 2              # of FSRCNN, SRCNN and VDSR; else as the name has it: fsrcnn_x2.pth
/// activation = "relu"     # or "leakyrelu" (0.1) or "tanh", where it has no weights of its own
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hints {
    /// Output size over input size, 1..=8.
    pub(super) factor: Option<u32>,
    pub(super) activation: Option<Activation>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    factor: Option<u32>,
    activation: Option<Named>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Named {
    Relu,
    LeakyRelu,
    Tanh,
}

impl Hints {
    /// Of the file at `path`.
    ///
    /// # Errors
    /// What is wrong with its companion, as the end of a sentence.
    pub(crate) fn of(path: &Path) -> Result<Self, String> {
        let mut hints = Self { factor: factor_in_name(path), activation: None };
        if let Some(told) = companion::read::<Told>(path)? {
            hints.factor = told.factor.or(hints.factor);
            hints.activation = told.activation.map(|activation| match activation {
                Named::Relu => Activation::Relu,
                Named::LeakyRelu => Activation::LeakyRelu(0.1),
                Named::Tanh => Activation::Tanh,
            });
        }
        match hints.factor {
            Some(factor) if !(1..=8).contains(&factor) => {
                Err(format!("its factor cannot be {factor}: 1 to 8 can"))
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
        digits.parse().ok().filter(|factor| (1..=8).contains(factor))
    };
    parts.find_map(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_factors() {
        let factor = |name: &str| factor_in_name(Path::new(name));
        assert_eq!(factor("models/fsrcnn_x3-T91-f791f07f.pth.tar"), Some(3));
        assert_eq!(factor("2x-Clean.pth"), Some(2));
        assert_eq!(factor("vdsr-TB291-fef487db.pth"), None);
        assert_eq!(factor("x264.pth"), None);
    }
}
