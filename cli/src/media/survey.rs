//! A first pass over the input without decoding: which streams it has, from when to when, and which
//! of them change. The output's streams must be known before its first packet is written, and an
//! input can add streams at any time.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use gst::{MessageView, prelude::*};
use gst_video::{VideoColorimetry, VideoTransferFunction};

use super::{
    Error,
    demux::{Reader, comes_from, parsing, track_number},
    elements::{link, make, sink_pad, source_pad},
    input::Input,
    jump::PacketIndex,
    ledger::{Extent, Kind},
    matrix,
    progress::Progress,
    riff,
    segments::running_range,
    shutdown::shut_down,
    signals::Signals,
};

use crate::range::TimeRange;

/// What the input contains.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// In the order in which the demuxer adds them, which is the same in every pass.
    pub streams: Vec<Stream>,
    /// The duration that the input's header gives.
    pub duration: Option<Duration>,
    /// The part of it that is enlarged.
    pub range: TimeRange,
    /// Why reading ended before the end of the input.
    pub error: Option<String>,
}

impl Survey {
    /// Whether a video is known to be HDR, with the transfer function PQ or HLG.
    pub fn is_hdr(&self) -> bool {
        let hdr = |media: &gst::StructureRef| {
            let colorimetry = media.get::<&str>("colorimetry").ok();
            let colorimetry = colorimetry.and_then(|it| it.parse::<VideoColorimetry>().ok());
            colorimetry.is_some_and(|it| {
                [VideoTransferFunction::Smpte2084, VideoTransferFunction::AribStdB67]
                    .contains(&it.transfer())
            })
        };
        let mut videos = self.streams.iter().filter(|stream| stream.kind == Kind::Video);
        videos.any(|video| video.caps.iter().any(|caps| caps.iter().any(hdr)))
    }

    /// Whether a video is known to have more than 8 bits per sample.
    pub fn is_deep(&self) -> bool {
        let deep = |media: &gst::StructureRef| {
            media.get::<u32>("bit-depth-luma").is_ok_and(|depth| depth > 8)
        };
        let mut videos = self.streams.iter().filter(|stream| stream.kind == Kind::Video);
        self.is_hdr() || videos.any(|video| video.caps.iter().any(|caps| caps.iter().any(deep)))
    }

    /// The number of packets of the first video.
    pub fn video_packets(&self) -> u64 {
        let mut videos = self.streams.iter().filter(|stream| stream.kind == Kind::Video);
        videos.next().map_or(0, |video| video.extent.packets)
    }
}

/// An elementary stream.
#[derive(Clone, Debug)]
pub struct Stream {
    pub kind: Kind,
    /// The caps that a parser gives, each time they change. At least one.
    pub caps: Vec<gst::Caps>,
    pub extent: Extent,
    /// How many times streams had been added before, after data had been read.
    pub group: usize,
    /// Whether a tag says how pictures are to be turned.
    pub is_turned: bool,
    /// Whether it comes from a transport or program stream, which has no edit list: every packet is
    /// to be shown.
    pub is_broadcast: bool,
    /// The number of the track in a Matroska or MP4 file.
    pub track: Option<u64>,
    /// Its packets, of a video whose beginning is not enlarged.
    pub index: Option<Arc<PacketIndex>>,
}

/// What the input contains: `Some(None)` if it can be read only once, `None` if it was stopped by a
/// signal.
///
/// # Errors
/// [`Error::EmptyInput`], [`Error::NoVideo`], [`Error::NoFrames`], [`Error::MissingElement`] or
/// [`Error::Build`].
pub fn of(
    input: &Input,
    range: TimeRange,
    signals: &Signals,
    progress: &Progress,
) -> Result<Option<Option<Survey>>, Error> {
    if !input.is_repeatable() && !range.is_whole() {
        return Err(Error::RangeOfPipe(input.name()));
    }
    if !input.is_repeatable() {
        return Ok(Some(None));
    }
    let path = input.name();
    if input.file().and_then(|file| file.metadata().ok()).is_some_and(|file| file.len() == 0) {
        return Err(Error::EmptyInput(path));
    }
    progress.show_step("reading the input");
    let is_indexed = range.start() > 0;
    let Some(survey) = run(input, is_indexed, signals, || progress.tick())? else {
        return Ok(None);
    };
    let mut videos = survey.streams.iter().filter(|stream| stream.kind == Kind::Video).peekable();
    if videos.peek().is_none() {
        return Err(match survey.error {
            None => Error::NoVideo(path),
            Some(why) => Error::NoFrames { input: path, why },
        });
    }
    let Some(video) = videos.find(|stream| stream.extent.packets > 0) else {
        let why = survey.error.unwrap_or_else(|| "it ends after its header".into());
        return Err(Error::NoFrames { input: path, why });
    };
    matrix::check(input, video.track)?;
    let duration = survey.duration.map(|it| range.duration(it));
    Ok(Some(Some(Survey { range, duration, ..survey })))
}

/// Reads the input to its end; `None` if it was stopped by a signal. `is_indexed` says whether the
/// packets of videos are remembered. `on_progress` is called several times per second.
///
/// # Errors
/// [`Error::MissingElement`] or [`Error::Build`].
fn run(
    input: &Input,
    is_indexed: bool,
    signals: &Signals,
    mut on_progress: impl FnMut(),
) -> Result<Option<Survey>, Error> {
    let pipeline = gst::Pipeline::new();
    let streams = Arc::new(Streams { is_indexed, ..Streams::default() });
    let into = (streams.clone(), pipeline.downgrade());
    let reader = Reader::new(&pipeline, input, move |pad, caps| {
        let (streams, pipeline) = &into;
        pipeline.upgrade().map_or(Ok(()), |pipeline| streams.watch(&pipeline, pad, caps))
    })?;
    let result = read(&pipeline, &reader, &streams, signals, &mut on_progress);
    shut_down(&pipeline);
    let Some((duration, error)) = result? else { return Ok(None) };
    let error = error.or_else(|| input.file().and_then(riff::truncation));
    let duration = input.mp4().and_then(|header| header.duration()).or(duration);
    let indexes = std::mem::take(&mut *lock(&streams.indexes));
    let mut streams = std::mem::take(&mut *lock(&streams.found));
    for (number, index) in indexes {
        if let Some(stream) = streams.get_mut(number) {
            stream.index = Some(Arc::new(std::mem::take(&mut *lock(&index))));
        }
    }
    Ok(Some(Survey { streams, duration, range: TimeRange::default(), error }))
}

type End = (Option<Duration>, Option<String>);

fn read(
    pipeline: &gst::Pipeline,
    reader: &Reader,
    streams: &Streams,
    signals: &Signals,
    on_progress: &mut impl FnMut(),
) -> Result<Option<End>, Error> {
    let bus = pipeline.bus().ok_or_else(|| gst::glib::bool_error!("the pipeline has no bus"))?;
    let _ = pipeline.set_state(gst::State::Playing);
    reader.start()?;
    loop {
        if signals.take().is_some() {
            return Ok(None);
        }
        on_progress();
        let Some(message) = bus.timed_pop(gst::ClockTime::from_mseconds(100)) else { continue };
        let error = match message.view() {
            MessageView::Eos(_) => None,
            MessageView::Error(error) => Some(error.error().message().to_owned()),
            _ => continue,
        };
        let pads = lock(&streams.pads);
        let durations = pads.iter().filter_map(duration);
        return Ok(Some((durations.max().map(Duration::from), error)));
    }
}

/// The duration of the film that the demuxer with this pad gives. `matroskademux` counts from time 0,
/// also where the film begins later.
fn duration(pad: &gst::Pad) -> Option<gst::ClockTime> {
    let duration = pad.query_duration::<gst::ClockTime>()?;
    let segment = pad.sticky_event::<gst::event::Segment>(0);
    let start = segment.as_ref().and_then(|segment| {
        segment.segment().downcast_ref::<gst::ClockTime>().and_then(|segment| segment.start())
    });
    let start = start.filter(|_| comes_from(pad, &["matroskademux"])).unwrap_or_default();
    Some(duration.saturating_sub(start))
}

#[derive(Default)]
struct Streams {
    found: Mutex<Vec<Stream>>,
    pads: Mutex<Vec<gst::Pad>>,
    group: AtomicUsize,
    /// The number of packets read since the last stream was added.
    packets: AtomicUsize,
    is_indexed: bool,
    indexes: Mutex<HashMap<usize, Arc<Mutex<PacketIndex>>>>,
}

impl Streams {
    fn watch(
        self: &Arc<Self>,
        pipeline: &gst::Pipeline,
        pad: &gst::Pad,
        caps: &gst::Caps,
    ) -> Result<(), Error> {
        if self.packets.swap(0, Ordering::Relaxed) > 0 {
            self.group.fetch_add(1, Ordering::Relaxed);
        }
        let number = {
            let mut found = lock(&self.found);
            found.push(Stream {
                kind: Kind::of(caps),
                caps: vec![caps.clone()],
                extent: Extent::default(),
                group: self.group.load(Ordering::Relaxed),
                is_turned: false,
                is_broadcast: comes_from(pad, &["tsdemux", "mpegpsdemux"]),
                track: track_number(pad),
                index: None,
            });
            found.len() - 1
        };
        if self.is_indexed && Kind::of(caps) == Kind::Video {
            lock(&self.indexes).insert(number, PacketIndex::watch(pad));
        }
        forget_unknown_transfer(pad);
        lock(&self.pads).push(pad.clone());
        let sink = make("fakesink")?;
        sink.set_property("sync", false);
        sink.set_property("async", false);
        pipeline.add(&sink)?;
        let mut first = sink_pad(&sink)?;
        self.probe(&first, number);
        if let Some(parser) = parsing(caps)? {
            pipeline.add(&parser)?;
            link(&source_pad(&parser)?, &first)?;
            first = sink_pad(&parser)?;
            sink.sync_state_with_parent()?;
            parser.sync_state_with_parent()?;
        }
        sink.sync_state_with_parent()?;
        link(pad, &first)
    }

    fn probe(self: &Arc<Self>, pad: &gst::Pad, number: usize) {
        let streams = self.clone();
        let types = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
        pad.add_probe(types, move |pad, info| {
            let mut found = lock(&streams.found);
            let Some(stream) = found.get_mut(number) else { return gst::PadProbeReturn::Ok };
            if let Some(buffer) = info.buffer() {
                streams.packets.fetch_add(1, Ordering::Relaxed);
                let segment = pad.sticky_event::<gst::event::Segment>(0);
                let segment = segment.as_ref().map(|event| event.segment());
                stream.extent.add_packet(segment, buffer);
                if let Some((start, _)) = segment.and_then(|segment| running_range(segment, buffer))
                    && !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT)
                    && let Some(index) = lock(&streams.indexes).get(&number)
                {
                    lock(index).add_key(start);
                }
            }
            match info.event().map(|event| event.view()) {
                Some(gst::EventView::Caps(caps)) => stream.see_caps(caps.caps()),
                Some(gst::EventView::Tag(tags)) => {
                    let turn = tags.tag().get::<gst::tags::ImageOrientation>();
                    stream.is_turned |= turn.is_some_and(|turn| turn.get() != "rotate-0");
                }
                _ => {}
            }
            gst::PadProbeReturn::Ok
        });
    }
}

impl Stream {
    fn see_caps(&mut self, caps: &gst::CapsRef) {
        if self.extent.packets == 0 {
            self.caps.clear();
        }
        if self.caps.last().is_none_or(|last| last.as_ref() != caps) {
            self.caps.push(caps.to_owned());
        }
    }
}

/// Removes a colorimetry without a transfer function from the caps that leave `pad`: parsers prefer it
/// to the complete one in the stream, from which HDR is recognized. FFmpeg writes such a one to Matroska.
fn forget_unknown_transfer(pad: &gst::Pad) {
    let is_unknown = |media: &gst::StructureRef| {
        let colorimetry = media.get::<&str>("colorimetry").ok();
        let colorimetry = colorimetry.and_then(|it| it.parse::<VideoColorimetry>().ok());
        colorimetry.is_some_and(|it| it.transfer() == VideoTransferFunction::Unknown)
    };
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if let Some(gst::PadProbeData::Event(event)) = &mut info.data
            && let gst::EventView::Caps(caps) = event.view()
            && caps.caps().iter().any(is_unknown)
        {
            let mut caps = caps.caps_owned();
            caps.make_mut().iter_mut().for_each(|media| media.remove_field("colorimetry"));
            *event = gst::event::Caps::builder(&caps).seqnum(event.seqnum()).build();
        }
        gst::PadProbeReturn::Ok
    });
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
