//! `gst-upscale preview`: a page that shows what models make of scenes of a film, and what they cost on
//! this machine.

mod candidate;
mod error;
mod estimate;
pub mod footage;
pub mod frame;
mod measure;
mod page;
mod scenes;
pub mod still;

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use gstupscale::model::catalogue::{self, Purpose};

pub use error::Error;

use self::{
    candidate::{Method, Rendered, render},
    estimate::{Estimate, advice},
    footage::Footage,
    page::{File, Page, Row, Scene},
};
use crate::{
    gstreamer, machine,
    media::{
        input::Input,
        progress::{self, Progress},
        signals::Signals,
    },
    part_file::{self, Force, PartFile},
    range,
};

const EXAMPLES: &str = "\
Examples:
  gst-upscale preview old.mkv
  gst-upscale preview old.mkv --at 1:30 --at 42:00 --models builtin,realesr-animevideov3
  gst-upscale preview *.jpg --scale 4 --output photos.html";

/// Compare models on scenes of a film, or on pictures, in a page for a browser.
///
/// The page has the scenes enlarged by Lanczos and by each model, the time and the size of the whole film
/// on this machine, and the commands that enlarge it. It needs nothing but itself.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// Films or pictures.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The page to write [default: the first FILE with the extension preview.html].
    #[arg(short, long, value_name = "PAGE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    force: Force,
    /// Names of models in the catalogue, or paths of model files, separated by commas [default: those
    /// that are built in or were downloaded].
    #[arg(long, value_delimiter = ',')]
    models: Vec<String>,
    /// Output size divided by input size.
    #[arg(long, default_value_t = 2.0, value_parser = scale)]
    scale: f64,
    /// Time of a scene, in seconds, MM:SS or HH:MM:SS; can be repeated.
    #[arg(long, value_name = "TIME", value_parser = range::time)]
    at: Vec<Duration>,
    /// Number of scenes, which are chosen so that they differ.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=6))]
    scenes: u8,
}

fn scale(text: &str) -> Result<f64, crate::arguments::Expected> {
    let scale = text.parse().ok().filter(|scale| (1.0..=8.0).contains(scale));
    scale.ok_or_else(|| crate::arguments::Expected("a number from 1 to 8".into()))
}

/// Writes the page and prints which models are best.
///
/// # Errors
/// See [`Error`]. Nothing is written then.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let first = arguments.files.first().map(PathBuf::as_path).unwrap_or(Path::new(""));
    let output = arguments.output.clone().unwrap_or_else(|| first.with_extension("preview.html"));
    let if_exists = arguments.force.if_exists();
    for file in &arguments.files {
        part_file::check(file, &output, if_exists)?;
    }
    gstreamer::start()?;
    for file in &arguments.files {
        Input::open(file)?;
    }
    let signals = Signals::catch().map_err(Error::Signal)?;
    let models = models(&arguments.models);
    let mut progress = Progress::new(progress::Format::default());
    let mut files = Vec::new();
    for path in &arguments.files {
        files.push(file(arguments, path, &models, &signals, &mut progress)?);
    }
    let machine = machine::describe(0);
    let machine = machine.split(';').next().unwrap_or_default().to_owned();
    let page = Page { scale: arguments.scale, machine, files };
    let part = PartFile::create(&output)?;
    part.complete(|mut file| file.write_all(page.html().as_bytes()))?;
    part.finish(if_exists)?;
    progress.finish();
    for file in &page.files {
        for advice in &file.advice {
            say!("{}: {advice}", file.name)?;
        }
    }
    say!("wrote {}", output.display())?;
    Ok(ExitCode::SUCCESS)
}

/// The models to compare: those that were named, else those at hand that enlarge.
fn models(named: &[String]) -> Vec<Method> {
    let at_hand = || {
        let enlarge = catalogue::entries()
            .iter()
            .filter(|entry| entry.is_here() && entry.purpose != Purpose::Restoration);
        enlarge.map(|entry| entry.name.clone()).collect()
    };
    let names: Vec<String> = if named.is_empty() { at_hand() } else { named.to_vec() };
    names.into_iter().map(Method::Model).collect()
}

fn file(
    arguments: &Arguments,
    path: &Path,
    models: &[Method],
    signals: &Signals,
    progress: &mut Progress,
) -> Result<File, Error> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    progress.show_step(&format!("{name}: choosing scenes"));
    let footage = Footage::read(path, &arguments.at, arguments.scenes.into(), signals)?;
    let mut all: Vec<(&Method, Rendered)> = Vec::new();
    for method in std::iter::once(&Method::Lanczos).chain(models) {
        progress.show_step(&format!("{name}: {}", method.name()));
        match render(method, &footage, arguments.scale, signals) {
            Ok(rendered) => all.push((method, rendered)),
            // The others can still be compared.
            Err(error @ Error::Model { .. }) => warn!("{error}"),
            Err(error) => return Err(error),
        }
    }
    let frames = footage.film.map(|(_, frames)| frames);
    let lanczos = all.first().map(|(_, rendered)| rendered);
    let estimates: Vec<Estimate> = all
        .iter()
        .filter_map(|(_, own)| Some(Estimate::new(own, lanczos?, frames, footage.decoding)))
        .collect();
    let compared = all.iter().zip(&estimates).skip(1);
    let compared: Vec<(&str, Estimate)> =
        compared.map(|((method, _), estimate)| (method.name(), estimate.clone())).collect();
    let advice = advice(&compared).into_iter().map(|(index, text)| {
        match compared.get(index).and_then(|(_, estimate)| estimate.seconds) {
            Some([_, seconds, _]) => format!("{text}, {}", page::duration(seconds)),
            None => text,
        }
    });
    let methods = all.iter().zip(&estimates).map(|((method, own), estimate)| {
        Row::new(
            method.name(),
            &own.engine,
            estimate,
            command(path, method, arguments.scale, frames),
        )
    });
    let scenes = footage.scenes.iter().enumerate().map(|(index, scene)| {
        let of = |own: &Rendered| own.scenes.get(index).cloned().unwrap_or_default();
        let (pictures, strips) = all.iter().map(|(_, own)| of(own)).unzip();
        Scene { time: page::clock(scene.time), aspect: scene.pixel_aspect(), pictures, strips }
    });
    Ok(File {
        name,
        film: footage.film.map(|(duration, frames)| {
            format!("{}, {frames} frames", page::duration(duration.as_secs_f64()))
        }),
        methods: methods.collect(),
        scenes: scenes.collect(),
        advice: advice.collect(),
    })
}

/// The command that enlarges the file with a model, for a shell.
fn command(path: &Path, method: &Method, scale: f64, frames: Option<u64>) -> String {
    let Method::Model(model) = method else { return String::new() };
    let extension = if frames.is_some() { "mkv" } else { "png" };
    let output = path.with_extension(format!("{scale}x.{extension}"));
    let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    let [input, output] = [path, &output].map(|path| quoted(&path.to_string_lossy()));
    format!("gst-upscale upscale {input} {output} --model {} --scale {scale}", quoted(model))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_survive_any_name() {
        let model = Method::Model("it's.pth".into());
        assert_eq!(
            command(Path::new("a b/old film.avi"), &model, 2.0, Some(9)),
            r"gst-upscale upscale 'a b/old film.avi' 'a b/old film.2x.mkv' --model 'it'\''s.pth' --scale 2"
        );
        assert_eq!(command(Path::new("a.jpg"), &Method::Lanczos, 2.0, None), "");
    }

    #[test]
    fn models_at_hand_are_compared_unless_some_are_named() {
        let names = |named: &[String]| {
            models(named).iter().map(|it| it.name().to_owned()).collect::<Vec<_>>()
        };
        assert!(names(&[]).contains(&"builtin".to_owned()));
        assert_eq!(names(&["x.pth".to_owned()]), ["x.pth"]);
    }
}
