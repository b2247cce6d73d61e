//! When frames are due: whether the pipeline is live, how late frames are, and the latency that the
//! element reports.

use std::time::{Duration, Instant};

use gst::{prelude::*, subclass::prelude::*};
use gst_base::prelude::*;

use super::{
    deadline::{self, Arrival},
    imp::Upscale,
    lock,
    stream::Negotiated,
};
use crate::upscaler::{Deadline, Late};

impl Upscale {
    /// Video sinks show frames that are less late than this.
    const LATE: gst::ClockTime = gst::ClockTime::from_mseconds(20);
    /// Frames that are later than this at the sink are dropped even if they have a deadline.
    const TOO_LATE: gst::ClockTime = gst::ClockTime::from_mseconds(200);

    /// When the output of a frame that arrives now is due, if it has a deadline.
    pub(super) fn deadline(
        &self,
        negotiated: &Negotiated,
        inbuf: &gst::Buffer,
    ) -> Option<Deadline> {
        let late = self.late()?;
        let (live, upstream) = {
            let state = lock(&self.state);
            (state.live, state.upstream_latency)
        };
        let mut arrival = self.arrival(negotiated);
        let element = self.obj();
        let plays = element.current_state() == gst::State::Playing;
        let now = element.current_running_time().filter(|_| plays);
        let time = self.running_time(inbuf);
        // A live frame arrives when its source is done with it. Any other must leave on time.
        let due = time.map(|time| match live {
            true => time + upstream,
            false => time.saturating_sub(arrival.longest()),
        });
        arrival.late = deadline::lateness(now, due);
        let at = Instant::now() + arrival.allowance();
        let tolerance = lock(&self.properties).reuse_tolerance;
        Some(Deadline { at, late, tolerance: u8::try_from(tolerance).unwrap_or(u8::MAX) })
    }

    /// The time for a frame that arrives on time.
    pub(super) fn arrival(&self, negotiated: &Negotiated) -> Arrival {
        let max_latency = lock(&self.properties).max_latency();
        Arrival { duration: negotiated.frame_duration(), max_latency, ..Arrival::default() }
    }

    /// What late frames show, if frames have a deadline: in live pipelines, and after a sink
    /// reported late frames.
    pub(super) fn late(&self) -> Option<Late> {
        let follows_clock = {
            let state = lock(&self.state);
            state.live || state.throttled
        };
        lock(&self.properties).late().filter(|_| follows_clock)
    }

    /// The longest time that a frame spends here, if frames have a deadline.
    pub(super) fn longest(&self) -> Option<gst::ClockTime> {
        self.late()?;
        let negotiated = lock(&self.state).negotiated.clone()?;
        Some(self.arrival(&negotiated).longest())
    }

    /// Adds the processing time of a frame to the latency.
    pub(super) fn record_frame_time(&self, time: Duration) {
        let (changed, live) = {
            let mut state = lock(&self.state);
            (state.latency.add_frame(time), state.live)
        };
        if changed && live && self.late().is_none() {
            self.post_latency();
        }
    }

    /// The running time of a buffer.
    pub(super) fn running_time(&self, buffer: &gst::Buffer) -> Option<gst::ClockTime> {
        let segment = self.obj().segment();
        let segment = segment.downcast_ref::<gst::ClockTime>()?;
        buffer.pts().and_then(|pts| segment.to_running_time(pts))
    }

    /// Asks upstream whether it is live: a live source must not wait for later frames.
    pub(super) fn query_live(&self) {
        let mut query = gst::query::Latency::new();
        if self.obj().sink_pad().peer_query(&mut query) {
            let (live, min, _) = query.result();
            self.set_live(live, min);
        }
    }

    pub(super) fn set_live(&self, live: bool, upstream_latency: gst::ClockTime) {
        let mut state = lock(&self.state);
        (state.live, state.upstream_latency) = (live, upstream_latency);
    }

    /// A sink reports by how many nanoseconds a frame was late. Returns whether BaseTransform may
    /// drop frames because of it. It drops frames with a deadline only if even resampling takes too long.
    pub(super) fn late_frame(&self, jitter: i64) -> bool {
        let by = |time: gst::ClockTime| jitter > time.nseconds() as i64;
        if by(Self::LATE) {
            lock(&self.state).throttled = true;
        }
        self.late().is_none() || by(Self::TOO_LATE)
    }

    /// How long a frame stays here in a live pipeline: until its deadline, or for the time of its own
    /// processing and the duration of the frames after it that it waits for.
    pub(super) fn latency(&self) -> gst::ClockTime {
        if let Some(longest) = self.longest() {
            return longest;
        }
        let depth = self.depth() as u64;
        let max_latency = lock(&self.properties).max_latency();
        let state = lock(&self.state);
        let frame = state.latency.get();
        let duration = state.negotiated.as_ref().and_then(Negotiated::frame_duration);
        let latency = frame + duration.unwrap_or(frame) * depth;
        max_latency.map_or(latency, |limit| limit.min(latency))
    }

    pub(super) fn post_latency(&self) {
        let message = gst::message::Latency::builder().src(&*self.obj()).build();
        // It fails if the element has no bus.
        let _ = self.obj().post_message(message);
    }
}
