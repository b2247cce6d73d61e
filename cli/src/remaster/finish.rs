//! Joining the segments with the other streams of the input.

use std::{
    os::fd::AsRawFd as _,
    sync::{Arc, Mutex, PoisonError},
};

use gst::{glib, prelude::*};
use gst_app::{AppSrc, AppSrcCallbacks};

use super::{
    Error,
    folder::Folder,
    plan::Plan,
    record::{self, Packet, Record, State},
    streams::Streams,
    watched::{PATIENCE, Watched},
};
use crate::{
    part_file::{IfExists, PartFile},
    upscale::{
        container::Container,
        elements::{link, make, source_pad},
        muxer::{needs_no_parser, pad_template},
        run_state::RunState,
        signals::Signals,
    },
};

/// Added to all times of the video, so that none is negative: encoders that reorder frames give the
/// first ones a decoding time before 0. Subtracted again by the start of the GStreamer segment.
const OFFSET: gst::ClockTime = gst::ClockTime::from_seconds(1000 * 3600);

/// Writes the output from the segments and the other streams of the input.
///
/// # Errors
/// [`Error::Missing`] if segments are missing or damaged, [`Error::OtherEncoder`],
/// [`Error::Element`], [`Error::Stopped`] or [`Error::Output`]. No output is then left.
pub fn finish(folder: &Folder, if_exists: IfExists, signals: &Signals) -> Result<Plan, Error> {
    let plan = Plan::read(folder)?;
    plan.input.check()?;
    let records = records(folder, &plan)?;
    let caps = records.first().map(|record| record.caps.clone()).unwrap_or_default();
    if records.iter().any(|record| record.caps != caps) {
        return Err(Error::OtherEncoder);
    }
    let part = PartFile::create(&plan.output)?;
    let container = Container::of(&plan.output).map_err(crate::upscale::Error::from)?;
    let pipeline = gst::Pipeline::new();
    let file = make("filesrc")?;
    file.set_property("location", &plan.input.path);
    let parser = make("parsebin")?;
    let queue = make("multiqueue")?;
    queue.set_property("max-size-bytes", 1_u32 << 28);
    queue.set_property("max-size-time", 0_u64);
    let muxer = make(container.muxer)?;
    let sink = make("fdsink")?;
    sink.set_property("fd", part.file().as_raw_fd());
    pipeline.add_many([&file, &parser, &queue, &muxer, &sink])?;
    file.link(&parser)?;
    muxer.link(&sink)?;
    let video = add_video(&pipeline, &muxer, &caps, Packets::new(folder.clone(), records))?;
    // The muxer writes its header as soon as every stream that it knows has data. A buffer of the
    // input shows that all its streams are connected.
    let blocked =
        video.add_probe(gst::PadProbeType::BLOCK_DOWNSTREAM, |_, _| gst::PadProbeReturn::Ok);
    let blocked = Arc::new(Mutex::new(blocked));
    parser.connect_pad_added(move |_, pad| {
        let (blocked, video) = (blocked.clone(), video.clone());
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            if let Some(id) = blocked.lock().unwrap_or_else(PoisonError::into_inner).take() {
                video.remove_probe(id);
            }
            gst::PadProbeReturn::Remove
        });
    });
    let streams = Streams {
        pipeline: pipeline.downgrade(),
        queue,
        muxer,
        audio_encoders: container.audio_encoders,
        state: Arc::new(RunState::default()),
    };
    parser.connect("autoplug-continue", false, |values| {
        let caps = values.get(2).and_then(|caps| caps.get::<gst::Caps>().ok());
        Some((!caps.is_some_and(|caps| needs_no_parser(&caps))).to_value())
    });
    parser.connect_pad_added(move |parser, pad| {
        if let Err(error) = streams.connect(pad) {
            gst::element_error!(parser, gst::StreamError::Failed, ("{error}"));
        }
    });
    let watched = Watched::new(pipeline)?;
    watched.set_state(gst::State::Playing)?;
    while !watched.is_finished(PATIENCE)? {
        if signals.take().is_some() {
            return Err(Error::Stopped);
        }
    }
    drop(watched);
    part.finish(if_exists)?;
    Ok(plan)
}

/// The records of all segments.
fn records(folder: &Folder, plan: &Plan) -> Result<Vec<Record>, Error> {
    let mut missing = Vec::new();
    let mut records = Vec::new();
    for segment in 0..plan.segments.len() {
        match record::check(folder, segment) {
            State::Done(record) => records.push(record),
            State::Missing | State::Damaged => missing.push(segment),
        }
    }
    if missing.is_empty() { Ok(records) } else { Err(Error::Missing(missing)) }
}

/// Adds `appsrc ! parser ! muxer` for the enlarged video. Returns the first pad.
fn add_video(
    pipeline: &gst::Pipeline,
    muxer: &gst::Element,
    caps: &str,
    mut packets: Packets,
) -> Result<gst::Pad, Error> {
    let refused = || glib::bool_error!("{} refused the video", muxer.name());
    let caps: gst::Caps = caps.parse()?;
    let template = pad_template(muxer, &caps).ok_or_else(refused)?;
    let media = caps.structure(0).map(|media| media.name().as_str()).unwrap_or_default();
    let (parser, caps) = match media {
        "video/x-h264" => (make("h264parse")?, caps),
        "video/x-h265" => (make("h265parse")?, caps),
        // Without a parser the packets need every field that the muxer asks for.
        _ => (make("identity")?, template.caps().intersect(&caps)),
    };
    let source = AppSrc::builder()
        .format(gst::Format::Time)
        .caps(&caps)
        .handle_segment_change(true)
        .block(true)
        .build();
    let feed = move |source: &AppSrc, _| match packets.next() {
        Some(Ok(sample)) => drop(source.push_sample(&sample)),
        Some(Err(error)) => {
            gst::element_error!(source, gst::ResourceError::Read, ("{error}"));
        }
        None => drop(source.end_of_stream()),
    };
    source.set_callbacks(AppSrcCallbacks::builder().need_data(feed).build());
    pipeline.add_many([source.upcast_ref(), &parser])?;
    source.link(&parser)?;
    let pad = muxer.request_pad(&template, None, None).ok_or_else(refused)?;
    link(&source_pad(&parser)?, &pad)?;
    Ok(source_pad(source.upcast_ref())?)
}

/// The packets of all segments, one after the other. Only one segment is in memory.
struct Packets {
    folder: Folder,
    segments: std::iter::Enumerate<std::vec::IntoIter<Record>>,
    packets: std::vec::IntoIter<Packet>,
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
            let (number, _) = self.segments.next()?;
            match record::read(&self.folder, number)? {
                Ok((record, payload)) => {
                    self.packets = record.packets.into_iter();
                    self.payload = gst::Buffer::from_slice(payload);
                    self.at = 0;
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
