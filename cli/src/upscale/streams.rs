//! What becomes of each stream of the input: video is enlarged, sound and subtitles are copied
//! where the output can hold them as they are, other sound is encoded anew.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use gst::{glib, prelude::*};

use super::Error;

/// Followed and steered while the pipeline runs.
#[derive(Debug, Default)]
pub struct Watch {
    /// Set to end every stream at the next frame.
    pub stop: AtomicBool,
    /// Enlarged frames so far.
    pub frames: AtomicU64,
    /// Timestamp of the last of them, in nanoseconds.
    pub position: AtomicU64,
    /// Where the stream that came furthest ends so far, in nanoseconds.
    pub end: AtomicU64,
    /// Where the input's video comes out: knows its duration.
    pub source: OnceLock<gst::Pad>,
}

impl Watch {
    /// Counts the frames that leave `pad`. Once [`Watch::stop`] is set, end-of-stream goes there
    /// in place of the next.
    pub fn frames_of(self: &Arc<Self>, pad: &gst::Pad) {
        let watch = self.clone();
        pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
            if watch.stop.load(Ordering::Relaxed) {
                return end(pad, info);
            }
            if let Some(time) = time(info) {
                watch.position.store(time, Ordering::Relaxed);
            }
            watch.note_end(pad, info);
            watch.frames.fetch_add(1, Ordering::Relaxed);
            gst::PadProbeReturn::Ok
        });
    }

    /// Once [`Watch::stop`] is set, sound or subtitles end at `pad` where the video did.
    fn end_with_frames(self: &Arc<Self>, pad: &gst::Pad) {
        let watch = self.clone();
        pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
            let position = watch.position.load(Ordering::Relaxed);
            if watch.stop.load(Ordering::Relaxed) && time(info).is_none_or(|time| time > position) {
                return end(pad, info);
            }
            watch.note_end(pad, info);
            gst::PadProbeReturn::Ok
        });
    }

    fn note_end(&self, pad: &gst::Pad, info: &gst::PadProbeInfo<'_>) {
        if let Some(time) = end_time(pad, info) {
            self.end.fetch_max(time, Ordering::Relaxed);
        }
    }
}

/// Where the buffer ends, in nanoseconds from where the input begins.
fn end_time(pad: &gst::Pad, info: &gst::PadProbeInfo<'_>) -> Option<u64> {
    let buffer = info.buffer()?;
    let end = buffer.pts()? + buffer.duration().unwrap_or_default();
    let segment = pad.sticky_event::<gst::event::Segment>(0)?;
    let segment = segment.segment().downcast_ref::<gst::ClockTime>()?;
    // A buffer may reach beyond the segment's end.
    let end = segment.stop().map_or(end, |stop| end.min(stop));
    segment.to_running_time(end).map(gst::ClockTime::nseconds)
}

/// Whether a stream is to be taken as it is: subtitles, which would lose their style, and sound in
/// whole frames, which parsebin drops where no decoder for it is installed.
pub fn needs_no_parsing(caps: &gst::Caps) -> bool {
    let is_set = |media: &gst::StructureRef, field: &str| media.get(field) == Ok(true);
    caps.iter().any(|media| {
        let name = media.name().as_str();
        name.starts_with("application/x-subtitle")
            || ["application/x-ass", "application/x-ssa"].contains(&name)
            || (name.starts_with("audio/") && (is_set(media, "framed") || is_set(media, "parsed")))
    })
}

/// The timestamp of the buffer in nanoseconds.
fn time(info: &gst::PadProbeInfo<'_>) -> Option<u64> {
    info.buffer().and_then(|buffer| buffer.pts()).map(gst::ClockTime::nseconds)
}

/// Passes end-of-stream instead of the buffer.
fn end(pad: &gst::Pad, info: &mut gst::PadProbeInfo<'_>) -> gst::PadProbeReturn {
    pad.push_event(gst::event::Eos::new());
    info.flow_res = Err(gst::FlowError::Eos);
    gst::PadProbeReturn::Handled
}

/// Joins the input's streams to the muxer.
pub struct Streams {
    pub pipeline: glib::WeakRef<gst::Pipeline>,
    /// A multiqueue: grows where the input's streams are badly interleaved.
    pub queue: gst::Element,
    /// Takes encoded video; its other end is joined to the muxer.
    pub video: gst::Element,
    pub muxer: gst::Element,
    pub audio_encoders: &'static [&'static str],
    pub watch: Arc<Watch>,
}

impl Streams {
    /// Joins a stream of the input. Streams that the output has no place for are left out.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn join(&self, pad: &gst::Pad) -> Result<(), Error> {
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let media = caps.structure(0).map(|media| media.name().to_string()).unwrap_or_default();
        match media.split('/').next() {
            Some("video" | "image") => self.join_video(pad),
            Some("audio") => self.join_audio(pad, &caps),
            _ => self.join_text(pad, &caps, &media),
        }
    }

    fn join_text(&self, pad: &gst::Pad, caps: &gst::Caps, media: &str) -> Result<(), Error> {
        // A demuxer's word for what it has no name for.
        if media != "application/x-subtitle-unknown" {
            if let Some(place) = self.place(caps) {
                return self.copy(pad, None, &place);
            }
            // SubRip's few tags are those of Pango's markup.
            let plain = gst::Caps::builder("text/x-raw").field("format", "utf8").build();
            if media == "text/x-raw"
                && let Some(place) = self.place(&plain)
                && let Ok(renamed) = make("capssetter")
            {
                renamed.set_property("caps", &plain);
                renamed.set_property("replace", true);
                return self.copy(pad, Some(renamed), &place);
            }
        }
        warn!("left out a stream of {media}: the output cannot hold it");
        Ok(())
    }

    fn join_video(&self, pad: &gst::Pad) -> Result<(), Error> {
        if self.watch.source.set(pad.clone()).is_err() {
            warn!("left out a second stream of video");
            return Ok(());
        }
        let queued = self.queued(pad)?;
        link(&queued, &sink(&self.video)?)
    }

    fn join_audio(&self, pad: &gst::Pad, caps: &gst::Caps) -> Result<(), Error> {
        if let Some(place) = self.place(caps) {
            // The only codec whose framing differs between containers.
            let aac = caps.can_intersect(
                &gst::Caps::builder("audio/mpeg")
                    .field("mpegversion", gst::List::new([2, 4]))
                    .build(),
            );
            let parser = aac.then(|| make("aacparse")).transpose()?;
            return self.copy(pad, parser, &place);
        }
        let encoder = self
            .audio_encoders
            .iter()
            .find(|name| gst::ElementFactory::find(name).is_some())
            .ok_or_else(|| Error::Missing { what: self.audio_encoders.join(" or ") })?;
        let converter = decoded(&format!("audioconvert ! audioresample ! {encoder}"))?;
        let caps = gst::ElementFactory::find(encoder)
            .and_then(|factory| {
                let mut templates = factory.static_pad_templates().into_iter();
                templates
                    .find(|pad| pad.direction() == gst::PadDirection::Src)
                    .map(|pad| pad.caps())
            })
            .unwrap_or_else(gst::Caps::new_any);
        let place = self.place(&caps).ok_or_else(|| Error::Missing { what: (*encoder).into() })?;
        self.copy(pad, Some(converter.upcast()), &place)
    }

    /// From `pad` through the queue and `through` to the muxer.
    fn copy(
        &self,
        pad: &gst::Pad,
        through: Option<gst::Element>,
        place: &gst::PadTemplate,
    ) -> Result<(), Error> {
        let muxer = self
            .muxer
            .request_pad(place, None, None)
            .ok_or_else(|| glib::bool_error!("{} has no more room", self.muxer.name()))?;
        let mut end = self.queued(pad)?;
        self.watch.end_with_frames(&end);
        if let Some(element) = through {
            let pipeline = self.pipeline.upgrade();
            pipeline.ok_or_else(|| glib::bool_error!("the pipeline is gone"))?.add(&element)?;
            link(&end, &sink(&element)?)?;
            end = source(&element)?;
            link(&end, &muxer)?;
            element.sync_state_with_parent()?;
            return Ok(());
        }
        link(&end, &muxer)
    }

    /// The muxer's kind of pad that holds streams of these caps.
    fn place(&self, caps: &gst::Caps) -> Option<gst::PadTemplate> {
        let mut caps = caps.clone();
        // How a codec is framed, which its parser changes.
        for media in caps.make_mut().iter_mut() {
            media.remove_fields(["stream-format", "framed", "parsed", "alignment"]);
        }
        self.muxer.pad_template_list().into_iter().find(|template| {
            template.direction() == gst::PadDirection::Sink && template.caps().can_intersect(&caps)
        })
    }

    /// The queue's end of the stream that `pad` begins.
    fn queued(&self, pad: &gst::Pad) -> Result<gst::Pad, Error> {
        let missing = || glib::bool_error!("the queue has no more room");
        let entry = self.queue.request_pad_simple("sink_%u").ok_or_else(missing)?;
        let exit = entry.name().replace("sink", "src");
        link(pad, &entry)?;
        Ok(self.queue.static_pad(&exit).ok_or_else(missing)?)
    }
}

/// A decoder and what follows it, in the words of `gst-launch-1.0`.
///
/// # Errors
/// [`Error::Missing`] for an element that is not installed.
pub fn decoded(description: &str) -> Result<gst::Bin, Error> {
    let rest = gst::parse::bin_from_description(description, true)
        .map_err(|error| Error::Missing { what: error.to_string() })?;
    let decoder = make("decodebin")?;
    let bin = gst::Bin::new();
    bin.add_many([&decoder, rest.upcast_ref()])?;
    bin.add_pad(&gst::GhostPad::with_target(&sink(&decoder)?)?)?;
    bin.add_pad(&gst::GhostPad::with_target(&source(rest.upcast_ref())?)?)?;
    let entry = sink(rest.upcast_ref())?.downgrade();
    decoder.connect_pad_added(move |decoder, pad| {
        let Some(entry) = entry.upgrade().filter(|entry| !entry.is_linked()) else { return };
        if let Err(error) = link(pad, &entry) {
            gst::element_error!(decoder, gst::StreamError::Failed, ("{error}"));
        }
    });
    Ok(bin)
}

/// A new element.
pub fn make(factory: &str) -> Result<gst::Element, Error> {
    gst::ElementFactory::make(factory).build().map_err(|_| Error::Missing { what: factory.into() })
}

pub fn source(element: &gst::Element) -> Result<gst::Pad, Error> {
    only(element, "src")
}

fn sink(element: &gst::Element) -> Result<gst::Pad, Error> {
    only(element, "sink")
}

fn only(element: &gst::Element, pad: &str) -> Result<gst::Pad, Error> {
    let missing = || glib::bool_error!("{} has no pad {pad}", element.name());
    Ok(element.static_pad(pad).ok_or_else(missing)?)
}

fn link(from: &gst::Pad, to: &gst::Pad) -> Result<(), Error> {
    from.link(to).map(drop).map_err(|error| {
        glib::bool_error!("{} and {} do not fit: {error}", from.name(), to.name()).into()
    })
}
