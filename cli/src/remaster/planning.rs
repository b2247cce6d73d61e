//! Making a plan: one pass over the input, and one enlarged frame.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use super::{
    Error,
    analyse::analyse,
    enlarge::{Enlarger, Job},
    folder::Folder,
    frame_table::{self, Frame, SegmentLength},
    plan::{self, FORMAT, InputFile, Plan},
    worker::model_digest,
};
use crate::{
    machine,
    upscale::{container::Container, options::Options, properties::Properties, signals::Signals},
};

/// What the user asked for.
pub struct Request<'a> {
    pub input: &'a Path,
    pub output: &'a Path,
    pub video: &'a Options,
    pub length: SegmentLength,
}

/// Makes a plan and writes it to the folder, together with the frame table. If the folder has a
/// plan for the same request, that one is returned.
///
/// # Errors
/// [`Error::Upscale`] if an option is invalid; [`Error::Element`], [`Error::NoFrames`],
/// [`Error::Model`], [`Error::Plan`], [`Error::Folder`] or [`Error::Stopped`].
pub fn make(request: &Request<'_>, folder: &Folder, signals: &Signals) -> Result<Plan, Error> {
    match Plan::read(folder) {
        Ok(plan) => {
            let frames = frame_table::read(&folder.frames())?.into();
            let now = describe(request, &frames, signals)?;
            return match plan.difference(&now) {
                None => Ok(plan),
                Some(difference) => {
                    let folder = folder.path().into();
                    Err(plan::Error::Differs { folder, difference }.into())
                }
            };
        }
        // Also if an earlier call was interrupted before the folder was complete.
        Err(plan::Error::NoPlan(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let frames: Arc<[Frame]> = analyse(request.input, signals)?.into();
    let plan = describe(request, &frames, signals)?;
    folder.create()?;
    frame_table::write(&folder.frames(), &frames)?;
    // Last, since it makes the folder complete.
    plan.write(folder)?;
    Ok(plan)
}

/// The plan for a film of these frames.
fn describe(
    request: &Request<'_>,
    frames: &Arc<[Frame]>,
    signals: &Signals,
) -> Result<Plan, Error> {
    let Request { input, output, video, length } = *request;
    let codec = video.codec(Container::of(output).map_err(crate::upscale::Error::from)?)?;
    let mut properties: plan::Properties = video.properties.values().clone();
    let alignment = codec.alignment();
    let side = |pixels: Option<i32>| match pixels {
        Some(pixels) => pixels.to_string(),
        None => format!("[{alignment},32766,{alignment}]"),
    };
    let any_size = format!("video/x-raw,width={},height={}", side(video.width), side(video.height));
    let trial = Trial::run(input, frames, &properties, any_size, signals)?;
    // What `auto` selects depends on the machine.
    if let Some((backend, precision)) = trial.engine {
        properties.insert("backend".into(), backend);
        properties.insert("precision".into(), precision);
    }
    Ok(Plan {
        format: FORMAT,
        input: InputFile::read(input)?,
        output: std::path::absolute(output).unwrap_or_else(|_| output.into()),
        model: model_digest(&properties)?,
        caps: trial.caps,
        // The picture of some encoders depends on their number of threads.
        encoder: codec.description_with_threads(video.quality, Some(machine::threads(0))),
        versions: versions(),
        segments: frame_table::segments(frames, length),
        properties,
    })
}

/// What the first frame shows.
struct Trial {
    /// Names of the backend and the precision. `None` if no model runs: the frames are not
    /// enlarged.
    engine: Option<(String, String)>,
    /// Caps with the size and the pixel aspect ratio of the enlarged frames.
    caps: String,
}

impl Trial {
    fn run(
        input: &Path,
        frames: &Arc<[Frame]>,
        properties: &plan::Properties,
        caps: String,
        signals: &Signals,
    ) -> Result<Self, Error> {
        let job = Job {
            input: input.into(),
            frames: frames.clone(),
            properties: Properties::new(properties.clone()),
            caps,
        };
        let mut enlarger = Enlarger::new(job);
        let mut caps = None;
        enlarger.enlarge(&(0..1), signals, |sample| {
            caps = caps.take().or_else(|| size_caps(sample.caps()?));
            Ok(())
        })?;
        let caps = caps.ok_or_else(|| Error::NoFrames(input.into()))?;
        Ok(Self { engine: enlarger.engine(), caps })
    }
}

/// Caps that fix the size and the pixel aspect ratio, in GStreamer's notation.
fn size_caps(caps: &gst::CapsRef) -> Option<String> {
    let info = gst_video::VideoInfo::from_caps(caps).ok()?;
    let (width, height, aspect) = (info.width(), info.height(), info.par());
    let aspect = format!("{}/{}", aspect.numer(), aspect.denom());
    Some(format!("video/x-raw,width={width},height={height},pixel-aspect-ratio={aspect}"))
}

fn versions() -> BTreeMap<String, String> {
    let gstreamer = gst::version_string().to_string();
    [
        ("gst-upscale".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("gstreamer".to_owned(), gstreamer),
    ]
    .into()
}
