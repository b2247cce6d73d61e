//! One stream of the output before its encoder or muxer: the streams of the input that follow each
//! other in it are joined to a single one, whose caps fit together and whose times increase.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};

use gst::{glib, prelude::*};
use gstupscale::element::explicit_colorimetry;

use super::{
    channels::Layout,
    ledger::Extent,
    picture::OPAQUE,
    segments::running_range,
    times::{Expected, Times},
};

/// What flows through a lane.
#[derive(Debug)]
pub enum Content {
    /// Decoded video.
    Video,
    /// Decoded sound, for an encoder that takes these layouts.
    Sound {
        layouts: Vec<Layout>,
        /// An `audioconvert`.
        converter: gst::Element,
        /// A `capsfilter` for the layout.
        filter: gst::Element,
    },
    /// Packets that are copied.
    Packets,
}

/// One stream of the output. Its parts arrive on [sink pads](Lane::part) and leave in order through
/// [`Lane::source`].
#[derive(Debug)]
pub struct Lane {
    content: Content,
    source: gst::Pad,
    /// The number of parts; `None` if that is not known before the end.
    parts: usize,
    /// Added to every time, in nanoseconds.
    lead: i64,
    /// Packets from this time on are not part of the stream.
    end: Option<i64>,
    state: Mutex<State>,
    turn: Condvar,
    sinks: Mutex<Vec<gst::Pad>>,
}

#[derive(Debug, Default)]
struct State {
    /// The part whose turn it is.
    part: usize,
    is_held: bool,
    is_stopped: bool,
    /// Why the lane takes no more data.
    failure: Option<String>,
    has_stream: bool,
    has_segment: bool,
    caps: Option<gst::Caps>,
    /// Packets before the first one with a time.
    untimed: Vec<gst::Buffer>,
    /// Where the last packet begins, and how much later than the one before it.
    last_start: Option<u64>,
    interval: Option<u64>,
    gaps: Gaps,
    /// Events that come after the segment.
    pending: Vec<gst::Event>,
    times: Times,
    expected: Expected,
    decoded: Decoded,
    extent: Extent,
    notes: Vec<String>,
}

/// Times within a stream of sound that no packet covers.
#[derive(Debug, Default)]
struct Gaps {
    count: usize,
    /// Of all, in nanoseconds.
    length: u64,
    /// The end of the last packet.
    end: Option<u64>,
}

impl Gaps {
    /// Shorter ones are errors of rounding, in nanoseconds.
    const SHORTEST: u64 = 100_000_000;

    /// Adds a packet; gaps after one of unknown length are not known.
    fn add(&mut self, start: Option<u64>, length: Option<u64>) {
        let Some(start) = start else { return };
        if let Some(length) = self.end.and_then(|end| start.checked_sub(end))
            && length >= Self::SHORTEST
        {
            self.count += 1;
            self.length += length;
        }
        self.end = length.map(|length| start + length);
    }

    /// What is to be said about them.
    fn note(&self) -> Option<String> {
        let gaps = if self.count == 1 { "gap" } else { "gaps" };
        let seconds = self.length as f64 / 1e9;
        let note = format!(
            "it has {} {gaps} of {seconds:.2} s; where the input has sound there, it is damaged",
            self.count
        );
        (self.count > 0).then_some(note)
    }
}

/// What the decoder gave first.
#[derive(Clone, Debug, Default)]
pub struct Decoded {
    pub caps: Option<gst::Caps>,
    pub has_captions: bool,
}

impl Decoded {
    /// Whether frames have an alpha channel that is not opaque by definition.
    pub fn has_alpha(&self) -> bool {
        let Some(caps) = &self.caps else { return false };
        let is_opaque = caps.structure(0).is_some_and(|media| media.get(OPAQUE) == Ok(true));
        let info = gst_video::VideoInfo::from_caps(caps);
        !is_opaque && info.is_ok_and(|info| info.has_alpha())
    }
}

/// The number of packets without a time that wait for one with a time.
const MOST_UNTIMED: usize = 1000;

/// The duration of a frame where nothing says it, in nanoseconds.
const UNKNOWN_FRAME: u64 = 40_000_000;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lane {
    /// A lane of `parts` streams. The time `lead` is added to every time; the stream ends at `end`.
    ///
    /// # Errors
    /// The pad cannot be activated.
    pub fn new(
        content: Content,
        parts: usize,
        (lead, end): (i64, Option<i64>),
    ) -> Result<Arc<Self>, glib::BoolError> {
        let source = gst::Pad::builder(gst::PadDirection::Src).build();
        source.set_active(true)?;
        Ok(Arc::new(Self {
            content,
            source,
            parts,
            lead,
            end,
            state: Mutex::default(),
            turn: Condvar::new(),
            sinks: Mutex::default(),
        }))
    }

    /// The pad that the joined stream leaves from.
    pub fn source(&self) -> &gst::Pad {
        &self.source
    }

    /// The sink pad for a part. Data of a part wait until the parts before it have ended.
    ///
    /// # Errors
    /// The pad cannot be created or activated.
    pub fn part(self: &Arc<Self>, number: usize) -> Result<gst::Pad, glib::BoolError> {
        let media = match self.content {
            Content::Video => gst::Caps::new_empty_simple("video/x-raw"),
            Content::Sound { .. } => gst::Caps::new_empty_simple("audio/x-raw"),
            Content::Packets => gst::Caps::new_any(),
        };
        let (sink, always) = (gst::PadDirection::Sink, gst::PadPresence::Always);
        let template = gst::PadTemplate::new("sink", sink, always, &media)?;
        let lanes: [Weak<Self>; 3] = std::array::from_fn(|_| Arc::downgrade(self));
        let [chain, event, query] = lanes;
        let pad = gst::Pad::builder_from_template(&template)
            .chain_function(move |pad, _, buffer| {
                let lane = chain.upgrade().ok_or(gst::FlowError::Flushing)?;
                lane.chain(number, pad, buffer)
            })
            .event_function(move |pad, _, incoming| {
                event.upgrade().is_some_and(|lane| lane.event(number, pad, incoming))
            })
            .query_function(move |pad, parent, asked| {
                match (query.upgrade(), asked.type_()) {
                    // Decoders write into the memory that the next element offers.
                    (Some(lane), gst::QueryType::Allocation) => lane.source.peer_query(asked),
                    _ => gst::Pad::query_default(pad, parent, asked),
                }
            })
            .build();
        pad.set_active(true)?;
        lock(&self.sinks).push(pad.clone());
        Ok(pad)
    }

    /// Makes the parts wait until [`Self::begin_late`] is done.
    pub fn hold(&self) {
        lock(&self.state).is_held = true;
    }

    /// Begins the stream with caps that are known before its first packet, and fills the time until
    /// `start` nanoseconds, where it begins: the muxer would wait for it.
    pub fn begin_late(&self, caps: &gst::Caps, start: i64) {
        let events = {
            let mut state = lock(&self.state);
            let caps = self.adapt(&mut state, caps);
            self.starting_events(&mut state, &caps)
        };
        events.into_iter().for_each(|event| _ = self.source.push_event(event));
        match self.content {
            // Encoders keep gaps back until the first packet.
            Content::Sound { .. } => self.push_silence(caps, start + self.lead),
            _ => self.push_gap(0, start + self.lead),
        }
        lock(&self.state).is_held = false;
        self.turn.notify_all();
    }

    /// Pushes 16-bit silence up to a time.
    fn push_silence(&self, caps: &gst::Caps, to: i64) {
        let Some(media) = caps.structure(0) else { return };
        let field = |name: &str| media.get::<i32>(name).unwrap_or(1).max(1) as u64;
        let (rate, frame) = (field("rate"), field("channels") * 2);
        let total = u64::try_from(to).unwrap_or_default() * rate / 1_000_000_000;
        for first in (0..total).step_by(4096) {
            let count = (total - first).min(4096);
            let silence = vec![0u8; usize::try_from(count * frame).unwrap_or_default()];
            let mut buffer = gst::Buffer::from_slice(silence);
            let time = |samples| gst::ClockTime::from_nseconds(samples * 1_000_000_000 / rate);
            let Some(writable) = buffer.get_mut() else { return };
            writable.set_pts(time(first));
            writable.set_duration(time(first + count) - time(first));
            if self.source.push(buffer).is_err() {
                return;
            }
        }
    }

    /// Says, in short steps, that there is nothing from one time to another one.
    fn push_gap(&self, from: i64, to: i64) {
        const STEP: usize = 500_000_000;
        for start in (from.max(0)..to).step_by(STEP) {
            let length = (to - start).min(STEP as i64);
            let [start, length] = [start, length]
                .map(|time| gst::ClockTime::from_nseconds(u64::try_from(time).unwrap_or_default()));
            if !self.source.push_event(gst::event::Gap::builder(start).duration(length).build()) {
                break;
            }
        }
    }

    /// Counts a packet on its way to the decoder. `in_decode_order` says that its time follows the
    /// order of decoding, whatever the order of presentation is.
    pub fn add_packet(&self, time: i64, in_decode_order: bool) {
        if self.end.is_some_and(|end| time + self.lead >= end) {
            return;
        }
        let Ok(time) = u64::try_from(time + self.lead) else { return };
        let mut state = lock(&self.state);
        if in_decode_order {
            state.times.add_packet(time);
        } else {
            state.expected.add(time);
        }
    }

    /// The number of frames that the decoder lost, after the end of the stream.
    pub fn lost_frames(&self) -> usize {
        lock(&self.state).expected.lost()
    }

    /// What the decoder gave first.
    pub fn decoded(&self) -> Decoded {
        lock(&self.state).decoded.clone()
    }

    /// The packets that arrived.
    pub fn extent(&self) -> Extent {
        lock(&self.state).extent
    }

    /// What is to be said about changes to the stream.
    pub fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.state).notes)
    }

    /// Ends the stream, whatever arrives later.
    pub fn stop(&self) {
        lock(&self.state).is_stopped = true;
        self.turn.notify_all();
        self.source.push_event(gst::event::Eos::new());
    }

    /// Ends the stream because of a failure. Data that arrive later are dropped.
    pub fn fail(&self, reason: &str) {
        lock(&self.state).failure.get_or_insert_with(|| reason.to_owned());
        self.turn.notify_all();
    }

    /// Lets all threads that wait for their turn go on.
    pub fn release(&self) {
        lock(&self.state).is_stopped = true;
        self.turn.notify_all();
    }

    /// Why the lane failed.
    pub fn failure(&self) -> Option<String> {
        lock(&self.state).failure.clone()
    }

    /// Waits until the parts before `number` have ended. `None` if the lane takes no more data.
    fn wait_for_turn(&self, number: usize) -> Option<MutexGuard<'_, State>> {
        let mut state = lock(&self.state);
        let must_wait = |state: &State| state.is_held || state.part < number;
        while must_wait(&state) && !state.is_stopped && state.failure.is_none() {
            state = self.turn.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        (!state.is_stopped && state.failure.is_none()).then_some(state)
    }

    fn chain(
        &self,
        number: usize,
        pad: &gst::Pad,
        buffer: gst::Buffer,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let Some(mut state) = self.wait_for_turn(number) else {
            return if self.failure().is_some() {
                Ok(gst::FlowSuccess::Ok)
            } else {
                Err(gst::FlowError::Eos)
            };
        };
        let segment = pad.sticky_event::<gst::event::Segment>(0);
        let range = segment.as_ref().and_then(|segment| running_range(segment.segment(), &buffer));
        let range = range.map(|(start, end)| (start + self.lead, end + self.lead));
        let may_wait = !self.is_video() && state.extent.start().is_none();
        let Some((first, _)) = range.filter(|_| may_wait) else {
            if range.is_none() && may_wait && state.untimed.len() < MOST_UNTIMED {
                state.untimed.push(buffer);
                return Ok(gst::FlowSuccess::Ok);
            }
            return self.push(state, buffer, range);
        };
        let untimed = std::mem::take(&mut state.untimed);
        drop(state);
        let lengths = untimed.iter().map(|it| it.duration().map_or(0, |it| it.nseconds() as i64));
        let mut start = first - lengths.sum::<i64>();
        for packet in untimed {
            let end = start + packet.duration().map_or(0, |it| it.nseconds() as i64);
            self.push(lock(&self.state), packet, Some((start, end)))?;
            start = end;
        }
        self.push(lock(&self.state), buffer, range)
    }

    /// Pushes a packet or frame; `range` is from when to when it is shown.
    fn push(
        &self,
        mut state: MutexGuard<'_, State>,
        mut buffer: gst::Buffer,
        range: Option<(i64, i64)>,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        if let Some((start, end)) = range
            && (end < 0 || (end == 0 && start < 0))
        {
            return Ok(gst::FlowSuccess::Ok);
        }
        if let (Some((start, _)), Some(end)) = (range, self.end)
            && start >= end
        {
            drop(state);
            self.stop();
            return Err(gst::FlowError::Eos);
        }
        let start = range.and_then(|(start, _)| u64::try_from(start.max(0)).ok());
        if let (Some(start), Some(last)) = (start, state.last_start) {
            state.interval = start.checked_sub(last).filter(|it| *it > 0).or(state.interval);
        }
        state.last_start = start.or(state.last_start);
        let given = buffer.duration().map(gst::ClockTime::nseconds).filter(|length| *length > 0);
        let length = given.or_else(|| self.usual_length(&mut state, start));
        let time = match self.content {
            Content::Video => {
                let length = length.unwrap_or_default();
                if let Some(start) = start {
                    state.expected.decoded(start, length);
                }
                state.decoded.has_captions |=
                    buffer.meta::<gst_video::VideoCaptionMeta>().is_some();
                Some(state.times.next(start, length))
            }
            _ => start,
        };
        if self.is_sound(&state) {
            state.gaps.add(time, length);
        }
        state.extent.add(time.and_then(|time| {
            let time = i64::try_from(time).ok()?;
            Some((time, time + i64::try_from(length.unwrap_or_default()).ok()?))
        }));
        drop(state);
        let writable = buffer.make_mut();
        let time = time.map(gst::ClockTime::from_nseconds);
        writable.set_pts(time);
        writable.set_dts(if self.is_video() { None } else { time });
        writable.set_duration(length.map(gst::ClockTime::from_nseconds));
        match self.source.push(buffer) {
            // The film goes on without this stream.
            Err(gst::FlowError::Error | gst::FlowError::NotNegotiated) if !self.is_video() => {
                self.fail("it could not be encoded or written");
                Ok(gst::FlowSuccess::Ok)
            }
            pushed => pushed,
        }
    }

    /// The duration in nanoseconds of a frame or a packet of sound that does not say it; `None` if it
    /// is not known, or is that of subtitles. Without it, MP4 players do not show the last one.
    fn usual_length(&self, state: &mut State, start: Option<u64>) -> Option<u64> {
        match self.content {
            Content::Video => {
                let by_rate = Some(frame_duration(state.caps.as_ref())).filter(|it| *it > 0);
                let known = by_rate.or(state.interval);
                let note = "it has no times; 25 frames per second are assumed";
                if start.is_none() && known.is_none() && state.extent.packets == 0 {
                    state.notes.push(note.into());
                }
                known.or(Some(UNKNOWN_FRAME))
            }
            Content::Packets if self.is_sound(state) => state.interval,
            _ => None,
        }
    }

    fn is_sound(&self, state: &State) -> bool {
        let media = state.caps.as_ref().and_then(|caps| caps.structure(0));
        media.is_some_and(|media| media.name().starts_with("audio/"))
    }

    fn is_video(&self) -> bool {
        matches!(self.content, Content::Video)
    }

    fn event(&self, number: usize, pad: &gst::Pad, event: gst::Event) -> bool {
        if !event.is_serialized() {
            return true;
        }
        if event.type_() == gst::EventType::StreamStart {
            return true;
        }
        let Some(mut state) = self.wait_for_turn(number) else { return true };
        match event.view() {
            gst::EventView::Caps(caps) => {
                let caps = self.adapt(&mut state, caps.caps());
                let events = self.starting_events(&mut state, &caps);
                drop(state);
                events.into_iter().all(|event| self.source.push_event(event))
            }
            gst::EventView::Segment(_) => true,
            gst::EventView::Eos(_) => {
                let untimed = std::mem::take(&mut state.untimed);
                drop(state);
                untimed.into_iter().for_each(|it| _ = self.push(lock(&self.state), it, None));
                let mut state = lock(&self.state);
                state.part = number + 1;
                let is_last = state.part >= self.parts;
                let note = state.gaps.note().filter(|_| is_last);
                state.notes.extend(note);
                drop(state);
                self.turn.notify_all();
                !is_last || self.source.push_event(event)
            }
            gst::EventView::Gap(gap) => {
                let has_segment = state.has_segment;
                drop(state);
                let segment = pad.sticky_event::<gst::event::Segment>(0);
                let (time, length) = gap.get();
                let start = segment.as_ref().and_then(|segment| {
                    let segment = segment.segment().downcast_ref::<gst::ClockTime>()?;
                    super::segments::running(segment, time)
                });
                if let Some(start) = start.filter(|_| has_segment) {
                    let length = length.map_or(0, |length| length.nseconds() as i64);
                    self.push_gap(start + self.lead, start + self.lead + length);
                }
                true
            }
            // Tags, chapters and the like.
            _ if !state.has_segment => {
                state.pending.push(event);
                true
            }
            _ => {
                drop(state);
                self.source.push_event(event)
            }
        }
    }

    /// The events to push for new caps.
    fn starting_events(&self, state: &mut State, caps: &gst::Caps) -> Vec<gst::Event> {
        let mut events = Vec::new();
        if !std::mem::replace(&mut state.has_stream, true) {
            let id = format!("{:x}", std::ptr::from_ref(self).addr());
            events
                .push(gst::event::StreamStart::builder(&id).group_id(gst::GroupId::next()).build());
        }
        if state.caps.as_ref() != Some(caps) {
            events.push(gst::event::Caps::new(caps));
            state.caps = Some(caps.clone());
        }
        if !std::mem::replace(&mut state.has_segment, true) {
            let segment = gst::FormattedSegment::<gst::ClockTime>::new();
            events.push(gst::event::Segment::new(&segment));
            events.append(&mut state.pending);
        }
        events
    }

    /// The caps for the output. A muxer takes only one caps for a stream, and packets of the codecs
    /// that are joined describe themselves.
    fn adapt(&self, state: &mut State, caps: &gst::CapsRef) -> gst::Caps {
        match &self.content {
            Content::Packets => state.caps.clone().unwrap_or_else(|| caps.to_owned()),
            Content::Video => {
                if state.decoded.caps.is_none() {
                    state.decoded.caps = Some(caps.to_owned());
                }
                explicit_colorimetry(caps)
            }
            Content::Sound { layouts, converter, filter } => {
                let mut caps = caps.to_owned();
                let Some(found) = Layout::of(&caps) else { return caps };
                let named = found.positioned();
                let Some(target) = named.nearest(layouts) else { return caps };
                if named != found
                    && let Some(media) = caps.make_mut().structure_mut(0)
                {
                    media.set("channel-mask", gst::Bitmask(named.mask));
                }
                if state.caps.is_some() {
                    // Muxers take only one caps for a stream.
                    if let Some(fixed) = encoded_layout(filter) {
                        filter.set_property("caps", fixed);
                    }
                } else {
                    if target.channels != found.channels {
                        state.notes.push(format!(
                            "mixed {} channels down to {}: the encoder takes no more",
                            found.channels, target.channels
                        ));
                    }
                    filter.set_property("caps", target.caps());
                }
                // As many channels: each keeps its signal, under the encoder's name for it.
                let output = filter.property::<gst::Caps>("caps");
                let is_renamed = Layout::of(&output).is_some_and(|output| {
                    output.channels == named.channels && output.mask != named.mask
                });
                converter.set_property(
                    "mix-matrix",
                    identity(if is_renamed { named.channels } else { 0 }),
                );
                caps
            }
        }
    }
}

/// The rate and the channels that have left `filter`.
fn encoded_layout(filter: &gst::Element) -> Option<gst::Caps> {
    let caps = filter.static_pad("src")?.current_caps()?;
    let found = caps.structure(0)?;
    let mut media = gst::Structure::new_empty("audio/x-raw");
    for field in ["rate", "channels", "channel-mask"] {
        if let Ok(value) = found.value(field) {
            media.set_value(field, value.clone());
        }
    }
    Some(gst::Caps::builder_full().structure(media).build())
}

/// A matrix for `audioconvert` that keeps channels apart; of size 0, it mixes them by their
/// positions.
fn identity(channels: i32) -> gst::Array {
    let row = |number| {
        let column = |column| if column == number { 1.0f32 } else { 0.0 };
        gst::Array::from_values((0..channels).map(|at| column(at).to_send_value()))
    };
    gst::Array::from_values((0..channels).map(|number| row(number).to_send_value()))
}

impl Layout {
    fn caps(self) -> gst::Caps {
        let caps = gst::Caps::builder("audio/x-raw").field("channels", self.channels);
        match self.mask {
            0 => caps.build(),
            mask => caps.field("channel-mask", gst::Bitmask(mask)).build(),
        }
    }
}

/// The duration of a frame in nanoseconds; 0 if the caps do not give a rate.
fn frame_duration(caps: Option<&gst::Caps>) -> u64 {
    let rate = caps.and_then(|caps| caps.structure(0)?.get::<gst::Fraction>("framerate").ok());
    let Some(rate) = rate.filter(|rate| rate.numer() > 0) else { return 0 };
    u64::from(rate.denom().unsigned_abs()) * 1_000_000_000 / u64::from(rate.numer().unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_in_sound_are_counted_and_rounding_is_not() {
        const MS: u64 = 1_000_000;
        let mut gaps = Gaps::default();
        for (start, length) in [(0, Some(21)), (299, Some(21)), (321, Some(21)), (342, None)] {
            gaps.add(Some(start * MS), length.map(|length: u64| length * MS));
        }
        assert!(gaps.note().is_some_and(|note| note.contains("1 gap of 0.28 s")));
        gaps.add(Some(5000 * MS), Some(21 * MS));
        gaps.add(None, None);
        assert_eq!(gaps.count, 1);
    }
}
