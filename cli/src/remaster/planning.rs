//! Making a plan: one pass over the input, and a few enlarged frames.

use std::{collections::BTreeMap, ops::Range, path::Path, sync::Arc, time::Instant};

use super::{
    Error,
    analyse::{Analysis, analyse},
    encode::{Encoder, Encoding},
    enlarge::{Enlarger, Job},
    folder::{self, Folder},
    frame_table::{self, Frame, SegmentLength},
    plan::{self, Estimate, FORMAT, InputFile, Plan, Requested},
    record::Packet,
    source::Video,
    worker::model_digest,
};
use crate::{
    cadence::{Schedule, detect},
    edit::{self, Edits, Watermark},
    machine,
    media::{
        codec::Codec, container::Container, encoder, losses, options::Options, progress::Progress,
        properties::Properties, signals::Signals, survey::Survey,
    },
    treatment::Treatment,
};

/// What the user asked for.
pub struct Request<'a> {
    pub input: &'a Path,
    pub output: &'a Path,
    /// What the input contains.
    pub survey: &'a Survey,
    pub video: &'a Options,
    pub length: SegmentLength,
}

impl Request<'_> {
    fn codec(&self) -> Result<Codec, Error> {
        let container = Container::of(self.output)
            .and_then(Container::of_segments)
            .map_err(crate::media::Error::from)?;
        Ok(self.video.codec(container, Some(self.survey))?)
    }

    fn requested(&self, watermark: Option<&Watermark>) -> Result<Requested, Error> {
        let Options { width, height, quality, preset, properties, .. } = self.video;
        Ok(Requested {
            properties: properties.values().clone(),
            width: *width,
            height: *height,
            codec: self.codec()?.to_string(),
            encoder: self.video.encoder.clone(),
            quality: *quality,
            preset: preset.to_string(),
            encoder_options: self.video.encoder_options.clone(),
            range: self.video.range,
            segment: self.length,
            cadence: self.video.cadence,
            edit: self.video.edit.clone(),
            // A text is drawn differently by other fonts, and is part of the options.
            watermark_picture: watermark
                .filter(|_| self.video.edit.watermark.is_some())
                .map(|watermark| edit::digest(&watermark.picture)),
            clean: self.video.clean,
            look: self.video.look,
        })
    }

    /// Caps that the enlarged frames must have.
    fn caps(&self, codec: Codec) -> String {
        let alignment = codec.alignment();
        let side = |pixels: Option<i32>| match pixels {
            Some(pixels) => pixels.to_string(),
            None => format!("[{alignment},32766,{alignment}]"),
        };
        let Options { width, height, .. } = self.video;
        format!("video/x-raw,width={},height={}", side(*width), side(*height))
    }
}

/// Makes a plan and writes it to the folder, together with the frame table. If the folder has a
/// plan for the same request, that one is returned, with the paths of this request. Otherwise, what
/// enlarged the frames that were tried is returned too, and can go on with the segments.
///
/// # Errors
/// [`Error::Media`] if an option is invalid; [`Error::Element`], [`Error::NoFrames`],
/// [`Error::Joined`], [`Error::Model`], [`Error::Plan`], [`Error::Folder`] or [`Error::Stopped`].
pub fn make(
    request: &Request<'_>,
    folder: &Folder,
    signals: &Signals,
    progress: &mut Progress,
) -> Result<(Plan, Option<Enlarger>), Error> {
    let watermark = request.video.edit.read_watermark().map_err(crate::media::Error::from)?;
    let requested = request.requested(watermark.as_ref())?;
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.into());
    match Plan::read(folder) {
        Ok(mut plan) => {
            if let Some(difference) = plan.difference(&requested, &versions()) {
                let folder = folder.path().into();
                return Err(plan::Error::Differs { folder, difference }.into());
            }
            // They may have been moved, also to another machine.
            plan.input.path = absolute(request.input);
            plan.output = absolute(request.output);
            plan.input.check()?;
            return Ok((plan, None));
        }
        // Also if an earlier call was interrupted before the folder was complete.
        Err(plan::Error::NoPlan(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let codec = request.codec()?;
    // Before the long pass: it fails if the model cannot be used.
    let model = model_digest(request.video.properties.values())?;
    let video = Arc::new(Video::of(request.input, request.survey)?);
    let input = InputFile::read(request.input)?;
    let packets = request.survey.streams.get(video.stream).map_or(0, |it| it.extent.packets);
    progress.start_count("planning", 0, packets);
    let analysis =
        analyse(&video, packets, signals, |frames| progress.set_count(frames as u64, None))?;
    progress.end_count("trying the model and the encoder");
    let Analysis { frames, observations, findings, decoded, lost } = analysis;
    let options = request.video.edit.clone();
    let treatment = Treatment::of(Some(&findings), options.geometry.crop, request.video.clean);
    let edits = Edits { options, treatment, watermark: watermark.clone() };
    let scenes = detect::scenes(&observations, &request.video.cadence);
    let frames: Arc<[Frame]> = frames.into();
    let segments = frame_table::segments(&frames, request.length);
    let times = frame_table::times(&frames);
    let schedule = Arc::new(Schedule::new(&times, &scenes, request.video.cadence.rate));
    let mut properties: plan::Properties =
        request.video.element_properties(Some(request.survey)).values().clone();
    let job = Job {
        video: video.clone(),
        frames: frames.clone(),
        schedule,
        edits,
        latest_frame: request.video.latest_frame.clone(),
        properties: Properties::new(properties.clone()),
        caps: request.caps(codec),
    };
    let trial = Trial::run(request, codec, job, signals)?;
    for loss in losses::all(&decoded, trial.encoded.as_ref(), codec) {
        progress.warn(&loss);
    }
    // What `auto` selects depends on the machine.
    if let Some((backend, precision)) = trial.engine {
        properties.insert("backend".into(), backend);
        properties.insert("precision".into(), precision);
    }
    let plan = Plan {
        format: FORMAT,
        request: requested,
        input,
        output: absolute(request.output),
        stream: video.stream,
        lead: video.lead,
        model,
        properties,
        caps: trial.caps,
        encoding: trial.encoding,
        versions: versions(),
        lost,
        estimate: trial.estimate,
        segments,
        scenes,
        findings,
        treatment,
    };
    folder.create()?;
    frame_table::write(&folder.frames(), &frames)?;
    if let Some(watermark) = &watermark {
        folder::write(&folder.watermark(), &watermark.png().map_err(crate::media::Error::from)?)?;
    }
    // Last, since it makes the folder complete.
    plan.write(folder)?;
    Ok((plan, Some(trial.enlarger)))
}

/// What a few frames from the middle of the film show.
struct Trial {
    enlarger: Enlarger,
    /// Names of the backend and the precision. `None` if no model runs: the frames are not
    /// enlarged.
    engine: Option<(String, String)>,
    /// Caps with the size and the pixel aspect ratio of the enlarged frames.
    caps: String,
    encoding: Encoding,
    /// Caps of the frames that are encoded.
    encoded: Option<gst::Caps>,
    estimate: Estimate,
}

/// Frames that are tried at most, and the share of a film that they are at most, so that plans of short
/// films take no longer than their segments.
const TRIED: usize = 4;
const TRIED_SHARE: usize = 250;

impl Trial {
    fn run(
        request: &Request<'_>,
        codec: Codec,
        job: Job,
        signals: &Signals,
    ) -> Result<Self, Error> {
        let mut tried = middle(job.frames.len());
        // In telecined film, one frame in five gives no picture of its own.
        if job.schedule.of(&tried).is_empty() {
            tried.start = tried.start.saturating_sub(1);
            tried.end = (tried.end + 1).min(job.frames.len());
        }
        let mut enlarger = Enlarger::new(job);
        let mut samples: Vec<gst::Sample> = Vec::new();
        let mut times: Vec<Instant> = Vec::new();
        enlarger.enlarge(&tried, signals, |sample, _| {
            times.push(Instant::now());
            samples.push(sample);
            Ok(())
        })?;
        let engine = enlarger.engine();
        let enlarging = match times.as_slice() {
            // The first frame takes longer: it waits for memory.
            [first, .., last] => (*last - *first).as_secs_f64() / (times.len() - 1) as f64,
            _ => enlarger.time().as_secs_f64(),
        };
        let none = || Error::NoFrames(request.input.into());
        let first = samples.first().and_then(|sample| sample.caps()).ok_or_else(none)?;
        let caps = kept(first, &["width", "height", "pixel-aspect-ratio"]);
        let settings = request.video.encoder_settings(Some(machine::threads(0)));
        let mut encoding = Encoding {
            caps: caps.clone(),
            rate: kept(first, &["framerate"]),
            // The picture of some encoders depends on their number of threads.
            encoder: encoder::description(codec, &settings).map_err(crate::media::Error::from)?,
        };
        let encoder = Encoder::new(&encoding)?;
        for sample in &samples {
            encoder.push(sample, signals)?;
        }
        let encoded = encoder.finish(signals)?;
        let per_input = samples.len() as f64 / tried.len().max(1) as f64;
        let encoding_one = encoded.time.as_secs_f64() / samples.len().max(1) as f64;
        let estimate = Estimate {
            seconds: (enlarging + encoding_one) * per_input,
            bytes: mean_size(&encoded.packets) * per_input,
        };
        if let Some(input) = &encoded.input {
            let fields = ["format", "colorimetry", "chroma-site"];
            let size = ["width", "height", "pixel-aspect-ratio"];
            encoding.caps = kept(input, &[&size[..], &fields].concat());
        }
        Ok(Self { enlarger, engine, caps, encoding, encoded: encoded.input, estimate })
    }
}

/// Frames from one key frame to the next one in a usual film.
const KEY_INTERVAL: f64 = 100.0;

/// The mean size of packets, the first of which holds a key frame, in a longer film. 0 if there are too
/// few to know.
pub fn mean_size(packets: &[Packet]) -> f64 {
    let Some((key, rest)) = packets.split_first().filter(|(_, rest)| !rest.is_empty()) else {
        return 0.0;
    };
    let others: u64 = rest.iter().map(|packet| packet.size).sum();
    key.size as f64 / KEY_INTERVAL + others as f64 / rest.len().max(1) as f64
}

/// The frames to try, in the middle of a film of `frames`.
fn middle(frames: usize) -> Range<usize> {
    let tried = (frames / TRIED_SHARE).clamp(1, TRIED);
    let start = frames.saturating_sub(tried) / 2;
    start..(start + tried).min(frames)
}

/// Caps of raw video with those of the fields that `caps` has, in GStreamer's notation. Empty if it
/// has none of them.
fn kept(caps: &gst::CapsRef, fields: &[&str]) -> String {
    let Some(media) = caps.structure(0) else { return String::new() };
    let mut kept = gst::Structure::new_empty("video/x-raw");
    for &field in fields {
        if let Ok(value) = media.value(field) {
            kept.set_value(field, value.clone());
        }
    }
    if kept.n_fields() == 0 { String::new() } else { gst::Caps::from(kept).to_string() }
}

fn versions() -> BTreeMap<String, String> {
    let gstreamer = gst::version_string().to_string();
    [
        ("gst-upscale".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("gstreamer".to_owned(), gstreamer),
    ]
    .into()
}
