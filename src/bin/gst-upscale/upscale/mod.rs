//! `gst-upscale upscale`: a video file made larger, its sound kept.

mod container;
mod pipeline;
mod progress;
mod properties;
mod streams;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use container::{Codec, Container};
use pipeline::{Outcome, Pipeline};
use properties::Properties;

use crate::gstreamer;

/// What the command takes.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The video to enlarge.
    input: PathBuf,
    /// The file to write: .mp4, .m4v, .mov, .mkv or .webm.
    output: PathBuf,
    /// Write over OUTPUT where it is there already.
    #[arg(short, long)]
    force: bool,
    /// Width of the result in pixels; the height follows.
    #[arg(long, value_parser = clap::value_parser!(i32).range(16..=32768))]
    width: Option<i32>,
    /// Height of the result in pixels; the width follows.
    #[arg(long, value_parser = clap::value_parser!(i32).range(16..=32768))]
    height: Option<i32>,
    /// How the video is encoded; the default goes by OUTPUT's extension.
    #[arg(long, value_enum)]
    codec: Option<Codec>,
    /// Constant quality on the codec's own scale, 0 the best (x264 and x265: CRF, VP9: cq-level).
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=63))]
    quality: Option<u32>,
    #[command(flatten)]
    properties: Properties,
}

/// Why a video was not enlarged.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no file {0}")]
    NoInput(PathBuf),
    #[error("{0} is there already: give --force to write over it")]
    Exists(PathBuf),
    #[error("{0} is both input and output: name another output")]
    SameFile(PathBuf),
    #[error("{path} ends in none of the extensions known here ({known})")]
    Extension { path: PathBuf, known: String },
    #[error("a .{extension} file does not take {codec:?}: use one of {known}")]
    Codec { codec: Codec, extension: &'static str, known: String },
    #[error("{codec:?} takes even sides only: {pixels} pixels is odd")]
    Odd { codec: Codec, pixels: i32 },
    #[error("--{name} {text}: {why}")]
    Property { name: String, text: String, why: String },
    #[error("{what}: install the GStreamer plugin that has it")]
    Missing { what: String },
    #[error("the pipeline could not be built: {0}")]
    Build(#[from] gst::glib::BoolError),
    #[error("{path} could not be written: {source}")]
    Write { path: PathBuf, source: std::io::Error },
    /// An element's own words.
    #[error("{0}")]
    Stream(String),
    #[error("Ctrl-C cannot be caught: {0}")]
    Signal(std::io::Error),
}

/// Enlarges a video. Failure leaves no file; Ctrl-C one that ends where it was pressed, with
/// `.part` in its name.
///
/// # Errors
/// See [`Error`].
pub fn upscale(arguments: &Arguments) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let Arguments { input, output, .. } = arguments;
    check_paths(arguments)?;
    let container = Container::of(output)?;
    let codec = container.codec(arguments.codec)?;
    for pixels in [arguments.width, arguments.height].into_iter().flatten() {
        if pixels % codec.step() != 0 {
            return Err(Error::Odd { codec, pixels }.into());
        }
    }
    gstreamer::start()?;
    let part = Part(partial_name(output));
    let pipeline = Pipeline::new(input, &part.0, container, codec, arguments)?;
    match pipeline.run()? {
        Outcome::Complete(frames) => {
            fs::rename(&part.0, output)
                .map_err(|source| Error::Write { path: output.clone(), source })?;
            println!("{}: {frames}", output.display());
            Ok(ExitCode::SUCCESS)
        }
        Outcome::Stopped(frames) => {
            println!("stopped; what was done lies in {}: {frames}", part.0.display());
            std::mem::forget(part);
            Ok(ExitCode::from(130))
        }
        Outcome::Aborted => Ok(ExitCode::from(130)),
    }
}

fn check_paths(arguments: &Arguments) -> Result<(), Error> {
    let Arguments { input, output, force, .. } = arguments;
    let same = |a: &Path, b: &Path| matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b);
    if !input.is_file() {
        return Err(Error::NoInput(input.clone()));
    }
    if same(input, output) {
        return Err(Error::SameFile(output.clone()));
    }
    if output.exists() && !force {
        return Err(Error::Exists(output.clone()));
    }
    Ok(())
}

/// `clip.mp4` → `clip.part.mp4`: players still know what it is.
fn partial_name(output: &Path) -> PathBuf {
    let mut extension = std::ffi::OsString::from("part.");
    extension.push(output.extension().unwrap_or_default());
    output.with_extension(extension)
}

/// The unfinished file: gone when this is dropped.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unfinished_file_lies_beside_the_output_and_keeps_its_extension() {
        assert_eq!(partial_name(Path::new("a/b.c.mp4")), Path::new("a/b.c.part.mp4"));
    }
}
