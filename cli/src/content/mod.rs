//! `--model auto`: whether a film or a picture is drawn or photographed, and which of the models at hand
//! suits it.

mod choice;
mod classifier;

use std::{fmt, path::Path};

use choice::{Choice, choose};
use classifier::Classifier;

use crate::{
    gstreamer,
    media::{input::Input, options::Options, progress::Progress, signals::Signals},
    preview::{self, footage::Footage, frame},
    remaster::{self, Folder, Plan, PlanArguments},
};

/// Scenes of a film that are classified.
const SCENES: usize = 6;

/// The mean score from which on the kind is clear.
const CLEAR: f64 = 0.3;

/// The name of the property.
const MODEL: &str = "model";

/// The model for unknown content.
pub const FALLBACK: &str = "builtin-quality";

/// Why the content is not known.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Classifier(#[from] classifier::Error),
    #[error(transparent)]
    Footage(#[from] preview::Error),
    #[error(transparent)]
    Input(#[from] crate::media::Error),
    #[error("the input can be read only once")]
    ReadOnce,
}

/// The process was asked to stop.
#[derive(Debug)]
pub struct Stopped;

/// The value of `--model` that stands for a choice.
const AUTO: &str = "auto";

/// Replaces the model `auto` in the options by one that suits the content of the input, and prints the
/// reason. A plan that exists for the output keeps its model. If the content cannot be determined, for
/// example of a pipe, the model is `builtin-quality`.
///
/// # Errors
/// [`Stopped`].
pub fn resolve(
    options: &mut Options,
    (input, output): (&Path, Option<&Path>),
    signals: &Signals,
    progress: &Progress,
) -> Result<(), Stopped> {
    if options.properties.values().get(MODEL).map(String::as_str) != Some(AUTO) {
        return Ok(());
    }
    let planned = output.and_then(|output| Plan::read(&Folder::of(output)).ok());
    if let Some(model) = planned.and_then(|plan| plan.request.properties.get(MODEL).cloned()) {
        progress.say(&format!("model {model}: as in the plan"));
        options.properties.set(MODEL, model);
        return Ok(());
    }
    let Choice { model, reason } = match content_of(input, signals) {
        Ok(content) => choose(&content),
        Err(Error::Footage(preview::Error::Stopped)) => return Err(Stopped),
        Err(error) => Choice {
            model: FALLBACK,
            reason: format!("model {FALLBACK}: the content could not be determined ({error})"),
        },
    };
    progress.say(&reason);
    options.properties.set(MODEL, model.into());
    Ok(())
}

/// The arguments with the model that [`resolve`] finds.
///
/// # Errors
/// [`remaster::Error::GStreamer`], [`remaster::Error::Signal`] or [`remaster::Error::Stopped`].
pub fn resolve_plan(arguments: &PlanArguments) -> Result<PlanArguments, remaster::Error> {
    let mut arguments = arguments.clone();
    gstreamer::start()?;
    let signals = Signals::catch().map_err(remaster::Error::Signal)?;
    let progress = Progress::new(arguments.progress);
    // With --restart, the plan is discarded.
    let output = (!arguments.segments.restart).then_some(arguments.output.as_path());
    resolve(&mut arguments.video, (&arguments.input, output), &signals, &progress)
        .map_err(|Stopped| remaster::Error::Stopped)?;
    Ok(arguments)
}

fn content_of(path: &Path, signals: &Signals) -> Result<Content, Error> {
    match Input::open(path)? {
        Input::File { path, .. } => Content::of(&path, signals),
        Input::Sequence { pattern, numbers, .. } => {
            let middle = numbers.start + (numbers.end - numbers.start) / 2;
            let scenes = Content::of(&pattern.path(middle), signals)?;
            Ok(Content { is_picture: false, ..scenes })
        }
        _ => Err(Error::ReadOnce),
    }
}

/// What kind of pictures it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Cartoons, anime, comics, line art, text.
    Drawn,
    /// Photographs and live-action video; rendered films, whose surfaces are shaded like real ones.
    Photographed,
    /// Either.
    Unclear,
}

/// What a film or a picture contains.
#[derive(Clone, Debug)]
pub struct Content {
    /// For each scene, see [`Classifier::score`].
    scores: Vec<f64>,
    /// Whether it is one picture.
    is_picture: bool,
}

impl Content {
    /// Decodes a few scenes of a file and classifies them.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn of(path: &Path, signals: &Signals) -> Result<Self, Error> {
        let classifier = Classifier::built_in()?;
        let footage = Footage::read(path, &[], SCENES, signals)?;
        let firsts = footage.scenes.iter().filter_map(|scene| scene.frames.first());
        let scores = firsts.map(|sample| Ok(classifier.score(&frame::rgb(sample)?)));
        let scores = scores.collect::<Result<_, preview::Error>>()?;
        Ok(Self { scores, is_picture: footage.film.is_none() })
    }

    /// By the mean over the scenes.
    pub fn kind(&self) -> Kind {
        match self.scores.iter().sum::<f64>() / self.scores.len().max(1) as f64 {
            mean if mean > CLEAR => Kind::Drawn,
            mean if mean < -CLEAR => Kind::Photographed,
            _ => Kind::Unclear,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Drawn => "drawn",
            Self::Photographed => "photographed",
            Self::Unclear => "drawn or photographed",
        })
    }
}

impl fmt::Display for Content {
    /// For example `the film is drawn (5 of 6 scenes)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        let name = if self.is_picture { "picture" } else { "film" };
        write!(f, "the {name} is {kind}")?;
        if self.is_picture || kind == Kind::Unclear {
            return Ok(());
        }
        let agree = self.scores.iter().filter(|&&score| (score > 0.0) == (kind == Kind::Drawn));
        write!(f, " ({} of {} scenes)", agree.count(), self.scores.len())
    }
}
