//! Decoding the video of a film. Planning and working use the same elements, so they see the same
//! pictures.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use gst::prelude::*;

use super::Error;
use crate::media::{
    decoder::decoder,
    demux::{Reader, parser},
    elements::{link, make, sink_pad, source_pad},
    input::Input,
    jump::{Jump, PacketIndex},
    ledger::Kind,
    plan::Plan,
    segments::running_range,
    survey::Survey,
};

/// The video of a film.
#[derive(Debug)]
pub struct Video {
    pub input: Input,
    /// Its number among the streams of the input, in the order in which they are found.
    pub stream: usize,
    /// Added to every time, in nanoseconds.
    pub lead: i64,
    /// Where the film ends, in nanoseconds. `None`: with the input.
    pub end: Option<i64>,
    /// Its packets, if the film does not begin with the input.
    index: Option<Arc<PacketIndex>>,
}

/// How far before the film decoding starts, in nanoseconds: the first frames that a decoder puts out
/// after a seek can be damaged.
const LEAD: i64 = 2_000_000_000;

impl Video {
    /// The video of the input at `path`, which `survey` describes.
    ///
    /// # Errors
    /// [`Error::Joined`] if it consists of several streams, or [`Error::Media`] if the input cannot
    /// be opened.
    pub fn of(path: &Path, survey: &Survey) -> Result<Self, Error> {
        let plan = Plan::new(survey);
        let video = plan.lanes.iter().find(|lane| lane.kind == Kind::Video);
        match video.map(|lane| lane.parts.as_slice()) {
            Some(&[stream]) => {
                let index = survey.streams.get(stream).and_then(|it| it.index.clone());
                Ok(Self { index, ..Self::open(path, stream, (plan.lead, plan.end))? })
            }
            _ => Err(Error::Joined(path.into())),
        }
    }

    /// The stream of this number of the input at `path`.
    ///
    /// # Errors
    /// [`Error::Media`] if the input cannot be opened.
    pub fn open(
        path: &Path,
        stream: usize,
        (lead, end): (i64, Option<i64>),
    ) -> Result<Self, Error> {
        Ok(Self { input: Input::open(path)?, stream, lead, end, index: None })
    }

    /// A jump to the beginning of the film. `None` if it begins with the input.
    pub fn jump(&self) -> Option<Arc<Jump>> {
        let index = self.index.clone()?;
        Some(Arc::new(Jump::new(index, -self.lead - LEAD)))
    }

    /// Adds elements to `pipeline` that read the film and decode its video for `end`, a sink pad.
    /// `encoded` is called with the pads that the encoded pictures leave the demuxer and its parser
    /// from.
    ///
    /// # Errors
    /// [`Error::Media`] if an element is not available or cannot be linked.
    pub fn decode(
        &self,
        pipeline: &gst::Pipeline,
        end: &gst::Pad,
        encoded: impl Fn(&gst::Pad, &gst::Pad) + Send + Sync + 'static,
    ) -> Result<Reader, Error> {
        let decoder = decoder(end)?;
        let queue = make("queue")?;
        queue.set_property("max-size-time", 0_u64);
        queue.set_property("max-size-bytes", 1_u32 << 24);
        pipeline.add_many([&decoder, &queue])?;
        link(&source_pad(&queue)?, &sink_pad(&decoder)?)?;
        let first = sink_pad(&queue)?;
        let (into, wanted, found) = (pipeline.downgrade(), self.stream, AtomicUsize::new(0));
        let connect = move |pad: &gst::Pad, caps: &gst::Caps| {
            if found.fetch_add(1, Ordering::Relaxed) != wanted {
                return Ok(());
            }
            let (Some(parser), Some(pipeline)) = (parser(caps), into.upgrade()) else {
                encoded(pad, pad);
                return link(pad, &first);
            };
            // It finds the key frames in streams whose container does not name them.
            let parser = parser.create().build()?;
            pipeline.add(&parser)?;
            encoded(pad, &source_pad(&parser)?);
            link(&source_pad(&parser)?, &first)?;
            parser.sync_state_with_parent()?;
            link(pad, &sink_pad(&parser)?)
        };
        Ok(Reader::new(pipeline, &self.input, connect)?)
    }

    /// The time of a buffer that passes `pad`, in nanoseconds from the start of the film. Times
    /// before it count as 0.
    pub fn time_at(&self, pad: &gst::Pad, buffer: &gst::BufferRef) -> Option<u64> {
        let segment = pad.sticky_event::<gst::event::Segment>(0)?;
        let (start, _) = running_range(segment.segment(), buffer)?;
        u64::try_from(start + self.lead).ok().or(Some(0))
    }
}
