//! Copies sound and subtitles of the input into the finished film; sound that its format cannot hold
//! is encoded again.

use std::sync::Arc;

use gst::{glib, prelude::*};

use crate::upscale::{
    Error,
    elements::{decode_bin, link, make, sink_pad, source_pad, static_pad},
    muxer::{encoder_caps, is_aac, pad_template},
    run_state::RunState,
};

/// The elements between the parser and the output.
pub struct Streams {
    pub pipeline: glib::WeakRef<gst::Pipeline>,
    /// A `multiqueue`, which grows if the input's streams are badly interleaved.
    pub queue: gst::Element,
    pub muxer: gst::Element,
    /// Factories to encode sound with, in order of preference.
    pub audio_encoders: &'static [&'static str],
    pub state: Arc<RunState>,
}

impl Streams {
    /// Connects a stream of the input. Warns about a stream that the output cannot hold and skips
    /// it.
    ///
    /// # Errors
    /// [`Error::MissingElement`] or [`Error::Build`].
    pub fn connect(&self, pad: &gst::Pad) -> Result<(), Error> {
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let media = caps.structure(0).map(|media| media.name().to_string()).unwrap_or_default();
        match media.split('/').next() {
            Some("video" | "image") => self.discard(pad),
            Some("audio") => self.connect_audio(pad, &caps),
            _ => self.connect_subtitles(pad, &caps, &media),
        }
    }

    /// Discards a stream. If no stream of the input were linked, the input would report an error.
    fn discard(&self, pad: &gst::Pad) -> Result<(), Error> {
        let sink = make("fakesink")?;
        sink.set_property("async", false);
        let gone = || glib::bool_error!("the pipeline has been shut down");
        self.pipeline.upgrade().ok_or_else(gone)?.add(&sink)?;
        link(pad, &sink_pad(&sink)?)?;
        Ok(sink.sync_state_with_parent()?)
    }

    fn connect_audio(&self, pad: &gst::Pad, caps: &gst::Caps) -> Result<(), Error> {
        if let Some(template) = pad_template(&self.muxer, caps) {
            let parser = is_aac(caps).then(|| make("aacparse")).transpose()?;
            return self.connect_to_muxer(pad, parser, &template);
        }
        let missing = || Error::MissingElement(self.audio_encoders.join(" or "));
        let mut encoders = self.audio_encoders.iter();
        let encoder =
            encoders.find_map(|name| gst::ElementFactory::find(name)).ok_or_else(missing)?;
        let name = encoder.name();
        let converter = decode_bin(&format!("audioconvert ! audioresample ! {name}"))?;
        let template = pad_template(&self.muxer, &encoder_caps(&encoder));
        let template = template
            .ok_or_else(|| glib::bool_error!("{} does not take {name}", self.muxer.name()))?;
        self.connect_to_muxer(pad, Some(converter.upcast()), &template)
    }

    fn connect_subtitles(
        &self,
        pad: &gst::Pad,
        caps: &gst::Caps,
        media: &str,
    ) -> Result<(), Error> {
        // The caps of subtitles that the demuxer does not recognise.
        if media != "application/x-subtitle-unknown" {
            if let Some(template) = pad_template(&self.muxer, caps) {
                return self.connect_to_muxer(pad, None, &template);
            }
            // SubRip's tags are a subset of Pango's markup, so the text may be called plain.
            let plain = gst::Caps::builder("text/x-raw").field("format", "utf8").build();
            if media == "text/x-raw"
                && let Some(template) = pad_template(&self.muxer, &plain)
                && let Ok(setter) = make("capssetter")
            {
                setter.set_property("caps", &plain);
                setter.set_property("replace", true);
                return self.connect_to_muxer(pad, Some(setter), &template);
            }
        }
        self.warn(&format!("skipped a stream of type {media}: the output format cannot hold it"));
        Ok(())
    }

    /// Links `pad` through the queue and `element` to a new pad of the muxer.
    fn connect_to_muxer(
        &self,
        pad: &gst::Pad,
        element: Option<gst::Element>,
        template: &gst::PadTemplate,
    ) -> Result<(), Error> {
        let refused = || glib::bool_error!("{} refused a stream", self.muxer.name());
        let muxer = self.muxer.request_pad(template, None, None).ok_or_else(refused)?;
        let queued = self.enqueue(pad)?;
        self.state.end_with_video(&queued);
        let Some(element) = element else { return link(&queued, &muxer) };
        let gone = || glib::bool_error!("the pipeline has been shut down");
        self.pipeline.upgrade().ok_or_else(gone)?.add(&element)?;
        link(&queued, &sink_pad(&element)?)?;
        link(&source_pad(&element)?, &muxer)?;
        Ok(element.sync_state_with_parent()?)
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
