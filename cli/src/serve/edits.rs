//! Crop, rotation, flip, brightness, saturation and watermark of a job, as the page sends them. The
//! options of the command `upscale` decide what they may be.

use std::path::Path;

use clap::Parser as _;
use serde::{Deserialize, Serialize};

use super::watermarks::{self, Name};
use crate::edit;

/// The edits of a job. Those that are absent are left to the command.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Edits {
    /// WIDTHxHEIGHT+LEFT+TOP.
    pub crop: Option<String>,
    /// Degrees, clockwise.
    pub rotate: Option<String>,
    pub flip: Option<String>,
    pub brightness: Option<String>,
    pub saturation: Option<String>,
    pub watermark_text: Option<String>,
    /// The name of a picture that was sent before.
    pub watermark: Option<Name>,
    pub watermark_place: Option<String>,
}

/// An edit is invalid.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Watermark(#[from] watermarks::Error),
}

/// The options of the command, for checking them.
#[derive(clap::Parser)]
#[command(no_binary_name = true)]
struct Options {
    #[command(flatten)]
    _edit: edit::Options,
}

impl Edits {
    /// Checks all edits.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn check(&self) -> Result<(), Error> {
        let picture = self.watermark.as_ref().map(|_| Path::new("watermark"));
        match Options::try_parse_from(self.arguments(picture)) {
            Ok(_) => Ok(()),
            Err(error) => {
                let text = error.to_string();
                // The rest says where there is help.
                let reason = text.split("\n\n").next().unwrap_or_default();
                let words: Vec<_> =
                    reason.split_whitespace().skip_while(|it| *it == "error:").collect();
                Err(Error::Invalid(words.join(" ")))
            }
        }
    }

    /// The options of the command `upscale`. `picture` is the file of the watermark.
    pub fn arguments(&self, picture: Option<&Path>) -> Vec<String> {
        let picture = picture.map(|path| path.to_string_lossy().into_owned());
        let mut options = self.geometry();
        options.extend(given([
            ("brightness", &self.brightness),
            ("saturation", &self.saturation),
            ("watermark-text", &self.watermark_text),
            ("watermark", &picture),
            ("watermark-place", &self.watermark_place),
        ]));
        options
    }

    /// The options that decide which part of the input is shown, and how it is turned.
    pub fn geometry(&self) -> Vec<String> {
        given([("crop", &self.crop), ("rotate", &self.rotate), ("flip", &self.flip)]).collect()
    }
}

/// One argument each, so that no value is taken for an option.
fn given<const N: usize>(
    options: [(&'static str, &Option<String>); N],
) -> impl Iterator<Item = String> {
    let given = options.map(|(name, value)| Some(format!("--{name}={}", value.as_ref()?)));
    given.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(text: &str) -> Option<String> {
        Some(text.into())
    }

    #[test]
    fn edits_become_options_of_the_command() {
        let edits = Edits {
            crop: some("64x48+0+2"),
            rotate: some("90"),
            brightness: some("-0.1"),
            watermark_text: some("--force"),
            ..Edits::default()
        };
        assert_eq!(edits.check(), Ok(()));
        let expected =
            ["--crop=64x48+0+2", "--rotate=90", "--brightness=-0.1", "--watermark-text=--force"];
        assert_eq!(edits.arguments(None), expected);
        assert_eq!(edits.geometry(), expected[..2]);
    }

    #[test]
    fn what_the_command_refuses_is_refused_with_its_reason() {
        for (edits, reason) in [
            (Edits { crop: some("big"), ..Edits::default() }, "WIDTHxHEIGHT+LEFT+TOP"),
            (Edits { rotate: some("45"), ..Edits::default() }, "45"),
            (Edits { flip: some("--force"), ..Edits::default() }, "--force"),
            (Edits { saturation: some("NaN"), ..Edits::default() }, "a number from 0 to 4"),
            (Edits { watermark_text: some("a\nb"), ..Edits::default() }, "one line"),
        ] {
            let error = edits.check().unwrap_err().to_string();
            assert!(error.contains(reason) && !error.contains('\n'), "{error}");
        }
    }
}
