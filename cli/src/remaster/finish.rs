//! Joining the segments with the other streams of the input.

use std::{
    iter::Enumerate,
    sync::{Arc, Mutex, PoisonError},
    vec,
};

use gst::{glib, prelude::*};
use gst_app::{AppSrc, AppSrcCallbacks};

use super::{
    Error,
    folder::Folder,
    plan::Plan,
    record::{self, Check, Packet, Record, State},
};
use crate::{
    header,
    media::{
        container::Container,
        elements::{link, make, sink_pad, source_pad},
        frame_files::Target,
        input::Input,
        ledger::Row,
        muxer::pad_template,
        pipeline::{Outcome, Pipeline, Video},
        progress::{Frames, Progress},
        run_state::RunState,
        signals::Signals,
        survey::Survey,
    },
    part_file::{IfExists, PartFile},
};

/// Added to all times of the video, so that none is negative: encoders that reorder frames give the
/// first ones a decoding time before 0. Subtracted again by the start of the GStreamer segment.
const OFFSET: gst::ClockTime = gst::ClockTime::from_seconds(1000 * 3600);

/// A film whose segments are done.
pub struct Film<'a> {
    pub folder: &'a Folder,
    pub plan: &'a Plan,
    pub input: &'a Input,
    /// What the input contains.
    pub survey: &'a Survey,
}

/// What was written.
#[derive(Debug)]
pub struct Finished {
    pub frames: Frames,
    /// Sentences about what is missing in the output.
    pub problems: Vec<String>,
    pub ledger: Vec<Row>,
}

impl Film<'_> {
    /// Writes the output from the segments and the other streams of the input.
    ///
    /// # Errors
    /// [`Error::Missing`] if segments are missing or damaged, [`Error::OtherEncoder`],
    /// [`Error::Media`], [`Error::Stopped`] or [`Error::Output`]. No output is then left.
    pub fn finish(
        &self,
        if_exists: IfExists,
        signals: &Signals,
        progress: &mut Progress,
    ) -> Result<Finished, Error> {
        let plan = self.plan;
        plan.input.check()?;
        let records = records(self.folder, plan)?;
        let caps = records.first().map(|record| record.caps.clone()).unwrap_or_default();
        if records.iter().any(|record| record.caps != caps) {
            return Err(Error::OtherEncoder);
        }
        let part = PartFile::create(&plan.output)?;
        let container = Container::of(&plan.output).map_err(crate::media::Error::from)?;
        let state = Arc::new(RunState::default());
        let failure = Arc::new(Mutex::new(None));
        let packets = Packets::new(self.folder.clone(), records);
        let video = video(container, &caps, packets, &state, &failure)?;
        let survey = Some(self.survey.clone());
        let pipeline = Pipeline::new(self.input, survey, container, video, state)?;
        let target = Target::of(part.file())?;
        let outcome = pipeline.run(&target, signals, progress);
        if let Some(error) = failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error);
        }
        let Outcome::Finished { frames, mut problems, ledger, streams } = outcome? else {
            return Err(Error::Stopped);
        };
        let transfer =
            |file: &_| header::transfer(self.input.file(), plan.request.range, file, &streams);
        for loss in part.complete(transfer)? {
            progress.warn(&loss);
        }
        if plan.lost > 0 {
            let frames = if plan.lost == 1 { "frame" } else { "frames" };
            problems.push(format!(
                "{} {frames} could not be decoded; the file may be damaged",
                plan.lost
            ));
        }
        part.finish(if_exists)?;
        Ok(Finished { frames, problems, ledger })
    }
}

/// The records of all segments. Their payloads are checked when they are read.
fn records(folder: &Folder, plan: &Plan) -> Result<Vec<Record>, Error> {
    let mut missing = Vec::new();
    let mut records = Vec::new();
    for segment in 0..plan.segments.len() {
        match record::check(folder, segment, Check::Size) {
            State::Done(record) => records.push(record),
            State::Missing | State::Damaged => missing.push(segment),
        }
    }
    if missing.is_empty() { Ok(records) } else { Err(Error::Missing(missing)) }
}

/// Why the packets could not be read.
type Failure = Arc<Mutex<Option<Error>>>;

/// The enlarged video for the muxer.
fn video(
    container: &Container,
    caps: &str,
    mut packets: Packets,
    state: &Arc<RunState>,
    failure: &Failure,
) -> Result<Video, Error> {
    let caps: gst::Caps = caps.parse()?;
    let media = caps.structure(0).map(|media| media.name().as_str()).unwrap_or_default();
    let (parser, fed) = match media {
        "video/x-h264" => (make("h264parse")?, caps.clone()),
        "video/x-h265" => (make("h265parse")?, caps.clone()),
        // Without a parser the packets need every field that the muxer asks for.
        _ => {
            let template = pad_template(&make(container.muxer)?, &caps);
            let refused = || glib::bool_error!("{} refused the video", container.muxer);
            (make("identity")?, template.ok_or_else(refused)?.caps().intersect(&caps))
        }
    };
    let source = AppSrc::builder()
        .format(gst::Format::Time)
        .caps(&fed)
        .handle_segment_change(true)
        .block(true)
        .build();
    let failure = failure.clone();
    let feed = move |source: &AppSrc, _| match packets.next() {
        Some(Ok(sample)) => drop(source.push_sample(&sample)),
        Some(Err(error)) => {
            let text = error.to_string();
            // Before the message, which ends the pipeline.
            failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            gst::element_error!(source, gst::ResourceError::Read, ("{text}"));
        }
        None => drop(source.end_of_stream()),
    };
    source.set_callbacks(AppSrcCallbacks::builder().need_data(feed).build());
    let bin = gst::Bin::new();
    bin.add_many([source.upcast_ref(), &parser])?;
    state.count_frames(&source_pad(source.upcast_ref())?);
    link(&source_pad(source.upcast_ref())?, &sink_pad(&parser)?)?;
    bin.add_pad(&gst::GhostPad::with_target(&source_pad(&parser)?)?)?;
    Ok(Video::Ready(bin, caps))
}

/// The packets of all segments, one after the other. Only one segment is in memory.
struct Packets {
    folder: Folder,
    segments: Enumerate<vec::IntoIter<Record>>,
    packets: vec::IntoIter<Packet>,
    payload: gst::Buffer,
    at: usize,
    segment: gst::FormattedSegment<gst::ClockTime>,
}

impl Packets {
    fn new(folder: Folder, records: Vec<Record>) -> Self {
        let mut segment = gst::FormattedSegment::new();
        segment.set_start(OFFSET);
        Self {
            folder,
            segments: records.into_iter().enumerate(),
            packets: Vec::new().into_iter(),
            payload: gst::Buffer::new(),
            at: 0,
            segment,
        }
    }

    fn next(&mut self) -> Option<Result<gst::Sample, Error>> {
        loop {
            if let Some(packet) = self.packets.next() {
                return Some(self.sample(&packet));
            }
            let (number, record) = self.segments.next()?;
            match record::read_payload(&self.folder, number, &record) {
                Ok(payload) => {
                    self.packets = record.packets.into_iter();
                    self.payload = gst::Buffer::from_slice(payload);
                    self.at = 0;
                }
                Err(super::folder::Error::Damaged(_)) => {
                    return Some(Err(Error::Missing(vec![number])));
                }
                Err(error) => return Some(Err(error.into())),
            }
        }
    }

    fn sample(&mut self, packet: &Packet) -> Result<gst::Sample, Error> {
        let size = usize::try_from(packet.size).unwrap_or(usize::MAX);
        let end = self.at.saturating_add(size);
        let mut buffer = self.payload.copy_region(gst::BufferCopyFlags::MEMORY, self.at..end)?;
        self.at = end;
        let time = |nanoseconds: i64| match u64::try_from(nanoseconds) {
            Ok(after) => OFFSET.checked_add(gst::ClockTime::from_nseconds(after)),
            Err(_) => OFFSET.checked_sub(gst::ClockTime::from_nseconds(nanoseconds.unsigned_abs())),
        };
        let inner = buffer.make_mut();
        inner.set_pts(time(packet.pts));
        inner.set_dts(time(packet.dts));
        inner.set_duration(gst::ClockTime::from_nseconds(packet.duration));
        if !packet.key {
            inner.set_flags(gst::BufferFlags::DELTA_UNIT);
        }
        Ok(gst::Sample::builder().buffer(&buffer).segment(&self.segment).build())
    }
}
