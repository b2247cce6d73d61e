//! How a job enlarges its input: what the page can choose, checked, and as arguments of the command
//! `upscale`.

use gstupscale::model::catalogue::{self, Purpose};
use serde::{Deserialize, Serialize};

use super::edits::{self, Edits};
use crate::range;

/// The settings of a job. Those that are absent are left to the command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The name of a model of the catalogue, or [`AUTOMATIC`].
    pub model: String,
    /// The name of a restoration model that runs before the model.
    pub clean: Option<String>,
    /// Output size divided by input size.
    pub scale: Option<f64>,
    /// Pixels. Takes precedence over `scale`; the other side follows from the aspect ratio.
    pub width: Option<u32>,
    pub height: Option<u32>,
    /// The share of the model's picture over a Lanczos enlargement, 0 to 1.
    pub blend: Option<f64>,
    /// The strength of added film grain, 0 to 1.
    pub grain: Option<f64>,
    /// The part of a film: seconds, MM:SS or HH:MM:SS.
    pub start: Option<String>,
    pub end: Option<String>,
    /// They are read on their own: a query has no structure.
    #[serde(default)]
    pub edits: Edits,
}

/// Instead of a name: the model that suits the input.
pub const AUTOMATIC: &str = "auto";

/// A setting is invalid.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum Error {
    #[error("the model {name} is not available; expected one of: {known}")]
    Model { name: String, known: String },
    #[error("the scale {0} is not supported; expected a number from 1 to 8")]
    Scale(f64),
    #[error("{0} pixels are not supported; expected an even number from 16 to 16384")]
    Pixels(u32),
    #[error("{name} is {value}; expected a number from 0 to 1")]
    Share { name: &'static str, value: f64 },
    #[error("{0} is not a time; expected seconds, MM:SS or HH:MM:SS")]
    Time(String),
    #[error(transparent)]
    Edits(#[from] edits::Error),
    #[error("the part from {start} to {end} is empty; expected an end after the start")]
    Empty { start: String, end: String },
}

/// The models that enlarge and can be used without a download.
pub fn models() -> impl Iterator<Item = &'static catalogue::Entry> + Clone {
    catalogue::entries().iter().filter(|it| it.is_here() && it.purpose != Purpose::Restoration)
}

/// The restoration models that can be used without a download.
pub fn cleaners() -> impl Iterator<Item = &'static catalogue::Entry> + Clone {
    catalogue::entries().iter().filter(|it| it.is_here() && it.purpose == Purpose::Restoration)
}

impl Settings {
    /// Checks all settings. Only models of the catalogue that are at hand pass.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn check(&self) -> Result<(), Error> {
        self.edits.check()?;
        if self.model != AUTOMATIC {
            known(&self.model, models())?;
        }
        if let Some(clean) = &self.clean {
            known(clean, cleaners())?;
        }
        if let Some(scale) = self.scale.filter(|scale| !(1.0..=8.0).contains(scale)) {
            return Err(Error::Scale(scale));
        }
        let is_wrong = |pixels: &u32| !(16..=16384).contains(pixels) || !pixels.is_multiple_of(2);
        if let Some(pixels) = [self.width, self.height].into_iter().flatten().find(is_wrong) {
            return Err(Error::Pixels(pixels));
        }
        for (name, value) in [("blend", self.blend), ("grain", self.grain)] {
            if let Some(value) = value.filter(|value| !(0.0..=1.0).contains(value)) {
                return Err(Error::Share { name, value });
            }
        }
        for time in [&self.start, &self.end].into_iter().flatten() {
            range::time(time).map_err(|_| Error::Time(time.clone()))?;
        }
        if let (Some(start), Some(end)) = (&self.start, &self.end)
            && range::time(start).ok() >= range::time(end).ok()
        {
            return Err(Error::Empty { start: start.clone(), end: end.clone() });
        }
        Ok(())
    }

    /// Chooses the model if that was left open. A picture is enlarged in seconds also by the better of
    /// the built-in models; a film would take days.
    pub fn choose_model(&mut self, is_picture: bool) {
        if self.model == AUTOMATIC {
            self.model = if is_picture { "builtin-quality" } else { "builtin" }.into();
        }
    }

    /// The options of the command `upscale`.
    pub fn arguments(&self) -> Vec<String> {
        let model = match &self.clean {
            Some(clean) => format!("{clean},{}", self.model),
            None => self.model.clone(),
        };
        let has_size = self.width.is_some() || self.height.is_some();
        let scale = self.scale.filter(|_| !has_size);
        let text = |value: Option<f64>| value.map(|it| it.to_string());
        let pixels = |value: Option<u32>| value.map(|it| it.to_string());
        let options = [
            ("model", Some(model)),
            ("scale", text(scale)),
            ("width", pixels(self.width)),
            ("height", pixels(self.height)),
            ("blend", text(self.blend)),
            ("grain", text(self.grain)),
            ("start", self.start.clone()),
            ("end", self.end.clone()),
        ];
        // One argument each, so that no value is taken for an option.
        let given = options.into_iter().filter_map(|(name, value)| Some((name, value?)));
        given.map(|(name, value)| format!("--{name}={value}")).collect()
    }
}

fn known(
    name: &str,
    mut entries: impl Iterator<Item = &'static catalogue::Entry> + Clone,
) -> Result<(), Error> {
    let names = entries.clone().map(|entry| entry.name.as_str());
    if entries.any(|entry| entry.name == name) {
        return Ok(());
    }
    let known = names.collect::<Vec<_>>().join(", ");
    let known = if known.is_empty() { "none is downloaded".into() } else { known };
    Err(Error::Model { name: name.into(), known })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            model: "builtin".into(),
            clean: None,
            scale: Some(2.0),
            width: None,
            height: None,
            blend: None,
            grain: None,
            start: None,
            end: None,
            edits: Edits::default(),
        }
    }

    #[test]
    fn settings_become_options_of_the_command() {
        assert_eq!(settings().arguments(), ["--model=builtin", "--scale=2"]);
        let more = Settings {
            clean: Some("1x".into()),
            width: Some(640),
            blend: Some(0.5),
            start: Some("1:30".into()),
            ..settings()
        };
        let expected = ["--model=1x,builtin", "--width=640", "--blend=0.5", "--start=1:30"];
        assert_eq!(more.arguments(), expected);
    }

    #[test]
    fn only_models_of_the_catalogue_pass() {
        assert_eq!(settings().check(), Ok(()));
        for name in ["/etc/passwd", "../builtin.onnx", "builtin,builtin", "--force", "", "Builtin"]
        {
            let error = Settings { model: name.into(), ..settings() }.check().unwrap_err();
            assert!(matches!(error, Error::Model { .. }), "{error}");
            assert!(Settings { clean: Some(name.into()), ..settings() }.check().is_err());
        }
    }

    #[test]
    fn an_open_choice_becomes_a_model_at_hand() {
        for is_picture in [true, false] {
            let mut open = Settings { model: AUTOMATIC.into(), ..settings() };
            open.check().unwrap();
            open.choose_model(is_picture);
            assert!(models().any(|entry| entry.name == open.model), "{}", open.model);
            let mut named = settings();
            named.choose_model(is_picture);
            assert_eq!(named, settings());
        }
    }

    #[test]
    fn values_out_of_range_are_refused() {
        for scale in [0.0, 0.5, 9.0, -2.0, f64::NAN, f64::INFINITY] {
            assert!(Settings { scale: Some(scale), ..settings() }.check().is_err(), "{scale}");
            assert!(Settings { grain: Some(scale - 3.0), ..settings() }.check().is_err());
        }
        for pixels in [0, 15, 641, 16386, u32::MAX] {
            assert!(Settings { width: Some(pixels), ..settings() }.check().is_err(), "{pixels}");
        }
        for time in ["", "now", "-1", "1:2:3:4", "--end"] {
            assert!(Settings { end: Some(time.into()), ..settings() }.check().is_err(), "{time}");
        }
    }
}
