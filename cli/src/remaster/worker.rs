//! Computes one segment of a plan: decodes, enlarges, encodes and stores it.

use std::{
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use gstupscale::model::{Model, OpenOptions};

use super::{
    Error,
    digest::sha256,
    encode::Encoder,
    enlarge::{Enlarger, Job},
    folder::Folder,
    frame_table::{self, Frame},
    plan::{self, Plan},
    record::Record,
    source::Video,
    watched::PATIENCE,
};
use crate::{
    edit::{self, Edits},
    media::{self, properties::Properties, signals::Signals},
};

/// Computes segments of a plan. The model is loaded once.
pub struct Worker {
    pub folder: Folder,
    pub plan: Plan,
    frames: Arc<[Frame]>,
    enlarger: Enlarger,
}

impl Worker {
    /// A worker for the plan of this folder, and what enlarged frames for it if it was just made.
    /// Pictures of the latest frame are written to `latest_frame`.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn go_on(
        folder: Folder,
        plan: Plan,
        enlarger: Option<Enlarger>,
        latest_frame: Option<PathBuf>,
    ) -> Result<Self, Error> {
        match enlarger {
            Some(enlarger) => Ok(Self { frames: frames(&folder, &plan)?, folder, plan, enlarger }),
            None => Self::new(folder, plan, latest_frame),
        }
    }

    /// A worker for a plan of this folder. Checks that input and model are still those of the plan.
    ///
    /// # Errors
    /// [`Error::Plan`], [`Error::Model`], [`Error::ModelChanged`] or [`Error::Folder`].
    pub fn open(folder: Folder, plan: Plan) -> Result<Self, Error> {
        Self::new(folder, plan, None)
    }

    fn new(folder: Folder, plan: Plan, latest_frame: Option<PathBuf>) -> Result<Self, Error> {
        let frames = frames(&folder, &plan)?;
        plan.input.check()?;
        if model_digest(&plan.properties)? != plan.model {
            return Err(Error::ModelChanged);
        }
        let job = Job {
            video: Arc::new(Video::open(
                &plan.input.path,
                plan.stream,
                (plan.lead, plan.request.range.length()),
            )?),
            frames: frames.clone(),
            schedule: Arc::new(plan.schedule(&frames)),
            edits: edits(&folder, &plan)?,
            latest_frame,
            properties: Properties::new(plan.properties.clone()),
            caps: plan.caps.clone(),
        };
        Ok(Self { folder, plan, frames, enlarger: Enlarger::new(job) })
    }

    /// Computes a segment and replaces what there is of it. `report` is called after each enlarged
    /// frame, with the number of the segment's frames that are done and the share of pixels that did
    /// not have to be computed.
    ///
    /// # Errors
    /// [`Error::NoSegment`], [`Error::Stopped`], or why it failed. The segment is then not done.
    pub fn compute(
        &mut self,
        segment: usize,
        signals: &Signals,
        report: &mut dyn FnMut(usize, Option<f64>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let total = self.plan.segments.len();
        let range = self.plan.segments.get(segment).ok_or(Error::NoSegment { segment, total })?;
        self.plan.input.check()?;
        let start = Instant::now();
        let encoder = Encoder::new(&self.plan.encoding)?;
        let frames = self.frames.get(range.clone()).unwrap_or_default();
        self.enlarger.enlarge(range, signals, |sample, reused| {
            encoder.push(&sample, signals)?;
            let time = sample.buffer().and_then(|buffer| buffer.pts());
            let time = time.map_or(0, gst::ClockTime::nseconds);
            report(frames.partition_point(|frame| frame.pts <= time), reused)
        })?;
        let encoded = encoder.finish(signals)?;
        let record = Record {
            caps: encoded.caps,
            sha256: sha256(&encoded.payload),
            packets: encoded.packets,
            frames: range.len(),
            device: self.enlarger.engine().map_or_else(String::new, |(backend, _)| backend),
            seconds: start.elapsed().as_secs_f64(),
        };
        write(&self.folder, segment, &record, &encoded.payload, signals)
    }
}

/// The frame table of a plan.
fn frames(folder: &Folder, plan: &Plan) -> Result<Arc<[Frame]>, Error> {
    let frames = frame_table::read(&folder.frames())?;
    if frames.len() != plan.frames() {
        return Err(super::folder::Error::Damaged(folder.frames()).into());
    }
    Ok(frames.into())
}

/// The edits of a plan.
fn edits(folder: &Folder, plan: &Plan) -> Result<Edits, Error> {
    let options = plan.request.edit.clone();
    let watermark = match options.has_watermark() {
        true => {
            Some(options.watermark_of(edit::read(&folder.watermark()).map_err(media::Error::from)?))
        }
        false => None,
    };
    Ok(Edits { options, treatment: plan.treatment, watermark })
}

/// How often a full disk is tried again.
const FULL_DISK_RETRY: Duration = Duration::from_secs(2);

/// Writes a finished segment. If the disk is full, waits until there is space.
fn write(
    folder: &Folder,
    segment: usize,
    record: &Record,
    payload: &[u8],
    signals: &Signals,
) -> Result<(), Error> {
    let mut reported = false;
    loop {
        match record.write(folder, segment, payload) {
            Err(error) if error.is_full_disk() => {
                if !reported {
                    let needed = payload.len().div_ceil(1 << 20);
                    warn!("{error}; waiting for {needed} MB of free space");
                    reported = true;
                }
            }
            done => return Ok(done?),
        }
        let retry = Instant::now() + FULL_DISK_RETRY;
        while Instant::now() < retry {
            if signals.take().is_some() {
                return Err(Error::Stopped);
            }
            thread::sleep(PATIENCE);
        }
    }
}

/// The digest of the model that the properties name.
///
/// # Errors
/// [`Error::Model`] if it cannot be opened.
pub fn model_digest(properties: &plan::Properties) -> Result<String, Error> {
    let name = properties.get("model").map_or("builtin", String::as_str);
    let denoise = properties.get("denoise").and_then(|text| text.parse().ok());
    let options = OpenOptions { denoise: denoise.filter(|strength| *strength >= 0.0) };
    Ok(Model::open_with(name, &options)?.digest)
}
