//! Connects each stream of the input to the muxer: video is enlarged, sound and subtitles are
//! copied if the output can hold them, other sound is encoded again.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use gst::{glib, prelude::*};

use super::{
    Error,
    channels::Layout,
    container::Container,
    decoder::decoder,
    demux::{comes_from, has_decoder, is_unknown_subtitles, parsing},
    elements::{by_name, link, make, parse, sink_pad, source_pad, static_pad},
    guard::Guard,
    lane::{Content, Lane},
    ledger::{Extent, Kind, Row},
    matroska::is_tta,
    muxer::{encoder_caps, is_aac, is_loas, is_self_describing, pad_template},
    plan::Plan,
    run_state::RunState,
    segments::{drop_preroll, precede_gaps, running_range},
    survey::Survey,
    web_vtt,
};
use crate::header::Written;

/// The prefix of the names of elements that only a sound stream needs.
pub const SOUND: &str = "sound-";

/// The elements between the reader and the output.
pub struct Streams {
    pub pipeline: glib::WeakRef<gst::Pipeline>,
    /// A `multiqueue`, which grows if the input's streams are badly interleaved.
    pub queue: gst::Element,
    /// Gives encoded video; linked to the muxer.
    pub video: gst::Element,
    /// Whether `video` does not need the video of the input.
    pub is_ready: bool,
    pub muxer: gst::Element,
    pub container: &'static Container,
    pub state: Arc<RunState>,
    /// What the input contains, unless it can be read only once.
    pub survey: Option<(Survey, Plan)>,
    pub outputs: Mutex<Vec<Output>>,
    /// The number of streams found so far.
    pub found: AtomicUsize,
    pub guards: Mutex<Vec<Guard>>,
}

/// A stream of the output.
pub struct Output {
    kind: Kind,
    /// Counted from 1 among the streams of its kind.
    number: usize,
    lane: Option<Arc<Lane>>,
    /// Whether packets are copied.
    is_copied: bool,
    written: Arc<Mutex<Extent>>,
    muxer: Option<gst::Pad>,
}

/// How a stream gets into the output.
enum Route {
    Copy { template: gst::PadTemplate, setter: Option<gst::Element> },
    Encode(gst::ElementFactory, gst::PadTemplate),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Streams {
    /// Creates the output's streams, as far as they are known before reading.
    ///
    /// # Errors
    /// [`Error::MissingElement`] or [`Error::Build`].
    pub fn prepare(&self) -> Result<(), Error> {
        let Some((survey, plan)) = &self.survey else { return Ok(()) };
        for planned in &plan.lanes {
            let parts = planned.parts.iter().filter_map(|part| survey.streams.get(*part));
            let caps: Vec<_> = parts.flat_map(|stream| stream.caps.clone()).collect();
            self.add_output(planned.kind, &caps, planned.parts.len(), (plan.lead, plan.end))?;
        }
        for _ in &plan.left_out {
            self.warn("skipped an additional video stream: only the first one is enlarged");
        }
        Ok(())
    }

    /// Begins the streams that start late, because the muxer waits for all of them. To be called
    /// when the muxer has started, before reading.
    pub fn begin_late(&self) {
        /// A muxer waits so long without harm, in nanoseconds.
        const LATE: i64 = 300_000_000;
        let Some((survey, plan)) = &self.survey else { return };
        for (planned, output) in plan.lanes.iter().zip(&*lock(&self.outputs)) {
            let stream = planned.parts.first().and_then(|part| survey.streams.get(*part));
            let (Some(stream), Some(lane)) = (stream, output.lane.clone()) else { continue };
            let start = stream.extent.within(survey.range).start();
            let Some(start) = start.filter(|start| *start > LATE) else { continue };
            let Some(caps) = stream.caps.first() else { continue };
            let caps = match output.kind {
                Kind::Video => continue,
                Kind::Sound if !output.is_copied => silence_caps(caps),
                _ => caps.clone(),
            };
            lane.hold();
            thread::spawn(move || lane.begin_late(&caps, start));
        }
    }

    /// Connects a stream of the input. Warns about a stream that the output cannot hold and skips
    /// it.
    ///
    /// # Errors
    /// [`Error::MissingElement`] or [`Error::Build`].
    pub fn connect(&self, pad: &gst::Pad, caps: &gst::Caps) -> Result<(), Error> {
        let kind = Kind::of(caps);
        let number = self.found.fetch_add(1, Ordering::Relaxed);
        let place = match &self.survey {
            Some((_, plan)) => plan.find(number),
            None if kind == Kind::Video && self.has_video() => {
                self.warn("skipped an additional video stream: only the first one is enlarged");
                None
            }
            None => {
                self.add_output(kind, std::slice::from_ref(caps), 1, (0, None))?;
                Some((lock(&self.outputs).len() - 1, 0))
            }
        };
        let Some((output, part)) = place else { return Ok(()) };
        if kind == Kind::Video && self.is_ready {
            return self.discard(pad);
        }
        let (lane, is_copied) = match lock(&self.outputs).get(output) {
            Some(Output { lane: Some(lane), is_copied, .. }) => (lane.clone(), *is_copied),
            _ => return Ok(()),
        };
        if kind == Kind::Video {
            self.state.set_video(pad);
        }
        let end = lane.part(part)?;
        let queued = self.enqueue(pad)?;
        match kind {
            Kind::Video => self.decode_video(pad, &queued, &lane, &end),
            Kind::Sound if !is_copied => self.decode_sound(&queued, output, part, &lane, &end),
            _ => {
                if comes_from(pad, &["qtdemux"]) {
                    drop_preroll(&queued);
                }
                self.copy(&queued, caps, &end)
            }
        }
    }

    /// The streams of input and output, side by side.
    pub fn ledger(&self) -> Vec<Row> {
        let outputs = lock(&self.outputs);
        let rows = outputs.iter().enumerate().map(|(at, output)| {
            let written = *lock(&output.written);
            let planned = self.survey.as_ref().and_then(|(survey, plan)| {
                let parts = plan.lanes.get(at)?.parts.iter();
                let within = |part: &usize| {
                    let extent = survey.streams.get(*part)?.extent.within(survey.range);
                    Some(extent.later_by(plan.lead + survey.range.start()))
                };
                Some(parts.filter_map(within).collect())
            });
            let arrived =
                || vec![output.lane.as_ref().map(|lane| lane.extent()).unwrap_or_default()];
            let read: Vec<Extent> = planned.unwrap_or_else(arrived);
            Row {
                kind: output.kind,
                number: output.number,
                packets_in: read.iter().map(|part| part.packets).sum(),
                seconds_in: read.iter().map(Extent::seconds).sum(),
                packets_out: written.packets,
                seconds_out: written.seconds(),
            }
        });
        rows.collect()
    }

    /// The streams that the muxer got, in the order of its pads: the video is linked first.
    pub fn written(&self) -> Vec<Written> {
        let outputs = lock(&self.outputs);
        let mut written: Vec<_> = outputs
            .iter()
            .enumerate()
            .filter_map(|(at, output)| {
                let track = self.survey.as_ref().and_then(|(survey, plan)| {
                    let part = plan.lanes.get(at)?.parts.first()?;
                    survey.streams.get(*part)?.track
                });
                let caps = output.muxer.as_ref()?.current_caps();
                Some((output.kind, Written { track, caps }))
            })
            .collect();
        written.sort_by_key(|(kind, _)| *kind != Kind::Video);
        written.into_iter().map(|(_, written)| written).collect()
    }

    /// What is wrong with the output's streams, apart from their length.
    pub fn failures(&self) -> Vec<String> {
        let outputs = lock(&self.outputs);
        let failed = outputs.iter().filter_map(|output| {
            let reason = output.lane.as_ref()?.failure()?;
            Some(format!("{} {} is incomplete: {reason}", output.kind, output.number))
        });
        failed.collect()
    }

    /// The lane of the video.
    pub fn video_lane(&self) -> Option<Arc<Lane>> {
        let outputs = lock(&self.outputs);
        let mut videos = outputs.iter().filter(|output| output.kind == Kind::Video);
        videos.next()?.lane.clone()
    }

    /// What is to be said about changes to the streams.
    pub fn take_notes(&self) -> Vec<String> {
        let outputs = lock(&self.outputs);
        let notes = outputs.iter().flat_map(|output| {
            let notes = output.lane.iter().flat_map(|lane| lane.take_notes());
            notes.map(|note| format!("{} {}: {note}", output.kind, output.number))
        });
        notes.collect()
    }

    /// Ends all streams, so that what is done becomes a complete file.
    pub fn stop(&self) {
        self.lanes().iter().for_each(|lane| lane.stop());
    }

    /// Lets all threads that wait in a lane go on.
    pub fn release(&self) {
        self.lanes().iter().for_each(|lane| lane.release());
    }

    /// The lanes of all streams.
    pub fn lanes(&self) -> Vec<Arc<Lane>> {
        lock(&self.outputs).iter().filter_map(|output| output.lane.clone()).collect()
    }

    /// Ends the sound that the element named `name` belongs to.
    pub fn fail_sound(&self, name: &str, reason: &str) {
        let number = name.strip_prefix(SOUND).and_then(|rest| rest.split('-').next()?.parse().ok());
        let outputs = lock(&self.outputs);
        let Some(output) = number.and_then(|number: usize| outputs.get(number)) else { return };
        if let (Some(lane), Some(muxer)) = (&output.lane, &output.muxer) {
            lane.fail(reason);
            // Otherwise the muxer waits for it.
            muxer.send_event(gst::event::Eos::new());
        }
        drop(outputs);
        self.remove_decoders(name);
    }

    /// Removes the decoders of a sound that could not be set up: they keep the pipeline from playing.
    fn remove_decoders(&self, name: &str) {
        let Some(pipeline) = self.pipeline.upgrade() else { return };
        if pipeline.current_state() == gst::State::Playing {
            return;
        }
        let sound = name.split("-part").next().unwrap_or(name);
        let prefix = format!("{sound}-part");
        for decoder in pipeline.children().into_iter().filter(|it| it.name().starts_with(&prefix)) {
            decoder.set_locked_state(true);
            let _ = decoder.set_state(gst::State::Null);
            let _ = pipeline.remove(&decoder);
        }
        // Its failure was that of the pipeline.
        let _ = pipeline.set_state(gst::State::Playing);
    }

    fn has_video(&self) -> bool {
        lock(&self.outputs).iter().any(|output| output.kind == Kind::Video)
    }

    fn add_output(
        &self,
        kind: Kind,
        caps: &[gst::Caps],
        parts: usize,
        times: (i64, Option<i64>),
    ) -> Result<(), Error> {
        let at = lock(&self.outputs).len();
        let number = 1 + lock(&self.outputs).iter().filter(|output| output.kind == kind).count();
        let written = Arc::<Mutex<Extent>>::default();
        let mut output =
            Output { kind, number, lane: None, is_copied: false, written, muxer: None };
        if kind == Kind::Video {
            output.muxer = source_pad(&self.video)?.peer();
            if !self.is_ready {
                let lane = Lane::new(Content::Video, parts, times)?;
                link(lane.source(), &sink_pad(&self.video)?)?;
                output.lane = Some(lane);
            }
        } else if let Some(route) = self.route(kind, caps)? {
            let (lane, template, element) = match route {
                Route::Copy { template, setter } => {
                    output.is_copied = true;
                    (Lane::new(Content::Packets, parts, times)?, template, setter)
                }
                Route::Encode(encoder, template) => {
                    let (bin, content) = self.sound_encoder(&encoder, at)?;
                    (Lane::new(content, parts, times)?, template, Some(bin))
                }
            };
            output.muxer = Some(self.link_to_muxer(&lane, element, &template)?);
            output.lane = Some(lane);
        } else {
            self.skip(kind, number, caps.first());
        }
        if let Some(pad) = &output.muxer {
            count(pad, &output.written);
        }
        lock(&self.outputs).push(output);
        Ok(())
    }

    /// How a stream that has these caps, one after the other, gets into the output; `None` if it
    /// cannot.
    fn route(&self, kind: Kind, caps: &[gst::Caps]) -> Result<Option<Route>, Error> {
        let Some(first) = caps.first().filter(|_| self.container.frames.is_none()) else {
            return Ok(None);
        };
        let template = pad_template(&self.muxer, first);
        // No parser changes the framing LOAS into that of files. Decoders of TTA need the exact duration
        // of the last packet, which muxers do not know.
        let template = template.filter(|_| !caps.iter().any(|it| is_loas(it) || is_tta(it)));
        if kind == Kind::Subtitles {
            return self.subtitle_route(first, template);
        }
        let is_uniform = caps.iter().all(|caps| caps == first)
            || caps.iter().all(|caps| is_self_describing(first, caps));
        if let Some(template) = template.filter(|_| is_uniform) {
            let setter = is_aac(first).then(|| make("aacparse")).transpose()?;
            return Ok(Some(Route::Copy { template, setter }));
        }
        if !caps.iter().all(has_decoder) {
            return Ok(None);
        }
        let encoders = self.container.audio_encoders;
        let missing = || Error::MissingElement(encoders.join(" or "));
        let mut factories = encoders.iter();
        let encoder =
            factories.find_map(|name| gst::ElementFactory::find(name)).ok_or_else(missing)?;
        let template = pad_template(&self.muxer, &encoder_caps(&encoder)).ok_or_else(|| {
            glib::bool_error!("{} does not take {}", self.muxer.name(), encoder.name())
        })?;
        Ok(Some(Route::Encode(encoder, template)))
    }

    fn subtitle_route(
        &self,
        caps: &gst::Caps,
        template: Option<gst::PadTemplate>,
    ) -> Result<Option<Route>, Error> {
        let media = caps.structure(0).map_or("", |media| media.name().as_str());
        if is_unknown_subtitles(caps) {
            return Ok(None);
        }
        if let Some(template) = template {
            if caps.iter().any(|media| media.has_field(web_vtt::FORMER)) {
                self.warn(
                    "WebVTT subtitles are in the output as plain text, without positions and colours",
                );
            }
            return Ok(Some(Route::Copy { template, setter: None }));
        }
        // SubRip's tags are a subset of Pango's markup, so the text may be called plain.
        let plain = gst::Caps::builder("text/x-raw").field("format", "utf8").build();
        if media == "text/x-raw"
            && let Some(template) = pad_template(&self.muxer, &plain)
        {
            let setter = make("capssetter")?;
            setter.set_property("caps", &plain);
            setter.set_property("replace", true);
            return Ok(Some(Route::Copy { template, setter: Some(setter) }));
        }
        Ok(None)
    }

    /// Says that a stream is not in the output.
    fn skip(&self, kind: Kind, number: usize, caps: Option<&gst::Caps>) {
        let media = caps.and_then(|caps| caps.structure(0)).map_or("", |media| media.name());
        if kind == Kind::Sound && self.container.frames.is_none() {
            self.state.add_problem(format!(
                "sound {number} ({media}) is not in the output: no decoder for it is installed"
            ));
        } else if caps.is_some_and(|caps| is_unknown_subtitles(caps)) {
            self.warn(&format!("skipped subtitles {number}: GStreamer does not know their format"));
        } else {
            self.warn(&format!(
                "skipped a stream of type {media}: the output format cannot hold it"
            ));
        }
    }

    /// A bin that encodes raw sound, and how the lane before it controls it.
    fn sound_encoder(
        &self,
        encoder: &gst::ElementFactory,
        output: usize,
    ) -> Result<(gst::Element, Content), Error> {
        let description = format!(
            "audioconvert name=converter ! audioresample ! capsfilter name=layout ! {} name=encoder",
            encoder.name()
        );
        let bin = parse(&description)?;
        bin.set_property("name", format!("{SOUND}{output}"));
        let encoder = sink_pad(&by_name(&bin, "encoder")?)?;
        let content = Content::Sound {
            layouts: Layout::all_of(&encoder.query_caps(None)),
            converter: by_name(&bin, "converter")?,
            filter: by_name(&bin, "layout")?,
        };
        Ok((bin.upcast(), content))
    }

    /// Links a lane through `element` to a new pad of the muxer, which is returned.
    fn link_to_muxer(
        &self,
        lane: &Lane,
        element: Option<gst::Element>,
        template: &gst::PadTemplate,
    ) -> Result<gst::Pad, Error> {
        let refused = || glib::bool_error!("{} refused a stream", self.muxer.name());
        let muxer = self.muxer.request_pad(template, None, None).ok_or_else(refused)?;
        self.state.end_with_video(lane.source());
        if let Some(element) = element {
            self.add(&element)?;
            let encoded = source_pad(&element)?;
            precede_gaps(&encoded);
            link(&encoded, &muxer)?;
            link(lane.source(), &sink_pad(&element)?)?;
            element.sync_state_with_parent()?;
        } else {
            link(lane.source(), &muxer)?;
        }
        Ok(muxer)
    }

    /// Drops a stream. If no stream of the input were linked, reading would end with an error.
    fn discard(&self, pad: &gst::Pad) -> Result<(), Error> {
        let sink = make("fakesink")?;
        sink.set_property("sync", false);
        sink.set_property("async", false);
        self.add(&sink)?;
        link(pad, &sink_pad(&sink)?)?;
        Ok(sink.sync_state_with_parent()?)
    }

    fn decode_video(
        &self,
        pad: &gst::Pad,
        queued: &gst::Pad,
        lane: &Arc<Lane>,
        end: &gst::Pad,
    ) -> Result<(), Error> {
        let in_decode_order = comes_from(pad, &["avidemux"]);
        let counted = lane.clone();
        queued.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
            let segment = pad.sticky_event::<gst::event::Segment>(0);
            if let (Some(segment), Some(buffer)) = (segment, info.buffer())
                && let Some((time, _)) = running_range(segment.segment(), buffer)
            {
                counted.add_packet(time, in_decode_order);
            }
            gst::PadProbeReturn::Ok
        });
        let decoder = decoder(end)?;
        self.add(&decoder)?;
        link(queued, &sink_pad(&decoder)?)?;
        Ok(decoder.sync_state_with_parent()?)
    }

    fn decode_sound(
        &self,
        queued: &gst::Pad,
        output: usize,
        part: usize,
        lane: &Arc<Lane>,
        end: &gst::Pad,
    ) -> Result<(), Error> {
        let decoder = decoder(end)?;
        decoder.set_property("name", format!("{SOUND}{output}-part{part}"));
        self.add(&decoder)?;
        let guard = Guard::new(lane)?;
        link(&guard.source, &sink_pad(&decoder)?)?;
        link(queued, &guard.sink)?;
        decoder.sync_state_with_parent()?;
        lock(&self.guards).push(guard);
        Ok(())
    }

    fn copy(&self, queued: &gst::Pad, caps: &gst::Caps, end: &gst::Pad) -> Result<(), Error> {
        let Some(parser) = parsing(caps)? else { return link(queued, end) };
        self.add(&parser)?;
        link(&source_pad(&parser)?, end)?;
        link(queued, &sink_pad(&parser)?)?;
        Ok(parser.sync_state_with_parent()?)
    }

    fn add(&self, element: &gst::Element) -> Result<(), Error> {
        let gone = || glib::bool_error!("the pipeline has been shut down");
        Ok(self.pipeline.upgrade().ok_or_else(gone)?.add(element)?)
    }

    /// Posts a warning on the bus, so that it does not run into the progress bar.
    fn warn(&self, text: &str) {
        gst::element_warning!(self.muxer, gst::StreamError::Format, ("{text}"));
    }

    /// Links `pad` to a new pad of the queue and returns the queue's other end.
    fn enqueue(&self, pad: &gst::Pad) -> Result<gst::Pad, Error> {
        let refused = || glib::bool_error!("{} refused a stream", self.queue.name());
        let sink = self.queue.request_pad_simple("sink_%u").ok_or_else(refused)?;
        link(pad, &sink)?;
        static_pad(&self.queue, &sink.name().replace("sink", "src"))
    }
}

/// Counts what arrives at a pad of the muxer.
fn count(pad: &gst::Pad, written: &Arc<Mutex<Extent>>) {
    let written = written.clone();
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let segment = pad.sticky_event::<gst::event::Segment>(0);
        let segment = segment.as_ref().map(|event| event.segment());
        if let Some(buffer) = info.buffer() {
            // Codec headers have no size in time and are no packets.
            if !buffer.flags().contains(gst::BufferFlags::HEADER) || buffer.pts().is_some() {
                lock(&written).add_packet(segment, buffer);
            }
        }
        gst::PadProbeReturn::Ok
    });
}

/// The number of channels in the AudioSpecificConfig of AAC (ISO/IEC 14496-3, 1.6.2.1). QuickTime files
/// say 2 for all sound.
fn aac_channels(caps: &gst::Caps) -> Option<i32> {
    let config =
        caps.structure(0)?.get::<gst::Buffer>("codec_data").ok().filter(|_| is_aac(caps))?;
    let config = config.map_readable().ok()?;
    match config.get(1)? >> 3 & 0xf {
        channels @ 1..=6 => Some(channels.into()),
        7 => Some(8),
        _ => None,
    }
}

/// Caps of raw silence for encoded sound of these caps.
fn silence_caps(caps: &gst::Caps) -> gst::Caps {
    let field = |name: &str| caps.structure(0).and_then(|media| media.get::<i32>(name).ok());
    let channels = aac_channels(caps).or(field("channels")).unwrap_or(2);
    let layout = Layout { channels, mask: 0 }.positioned();
    let caps = gst::Caps::builder("audio/x-raw")
        .field("format", "S16LE")
        .field("layout", "interleaved")
        .field("rate", field("rate").unwrap_or(48_000))
        .field("channels", layout.channels);
    match layout.mask {
        0 => caps.build(),
        mask => caps.field("channel-mask", gst::Bitmask(mask)).build(),
    }
}
