//! Reads the input and splits it into its elementary streams.
//!
//! The demuxers are used directly: `parsebin` of GStreamer 1.22 passes on only the pads that a
//! demuxer adds before the first data, and broadcasts add streams later. Pictures and Y4M are decoded
//! by the program itself.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use gst::{glib, prelude::*};

use super::{
    Error, broadcast,
    elements::{link, make, parse, source_pad},
    input::Input,
    ledger::Kind,
    matroska,
    mp4::Mp4Header,
    mp4_track,
    muxer::{is_aac, needs_no_parser},
    picture::is_picture,
    picture_pads::{Content, picture_pads},
    web_vtt,
    y4m_pads::y4m_pads,
};
use crate::header;

/// The prefix of the names of all elements that read the input.
pub const READER: &str = "reader-";

/// Called for each elementary stream, with the pad that it comes from and its caps.
type OnStream = dyn Fn(&gst::Pad, &gst::Caps) -> Result<(), Error> + Send + Sync;

/// The elements that read the input: a source and, unless the type is known, a type finder. Demuxers
/// follow when the type is known.
#[derive(Debug)]
pub struct Reader {
    elements: Vec<gst::Element>,
    /// No element owns them.
    _pads: OwnPads,
}

type OwnPads = Arc<Mutex<Vec<gst::Pad>>>;

impl Reader {
    /// Adds the elements to `pipeline`. They start only with [`Self::start`], after the elements
    /// that they will be linked to.
    ///
    /// # Errors
    /// [`Error::MissingElement`], [`Error::Build`] or [`Error::Uri`].
    pub fn new(
        pipeline: &gst::Pipeline,
        input: &Input,
        on_stream: impl Fn(&gst::Pad, &gst::Caps) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let source = input.source()?;
        if let Some(header) = input.mp4() {
            header.correct(&source_pad(&source)?);
        }
        let mut elements = vec![source.clone()];
        if input.rate().is_none() {
            elements.push(make("typefind")?);
        }
        for (element, name) in elements.iter().zip(["source", "typefind"]) {
            element.set_locked_state(true);
            element.set_property("name", format!("{READER}{name}"));
            pipeline.add(element)?;
        }
        let pads = OwnPads::default();
        let demuxers = Arc::new(Demuxers {
            pipeline: pipeline.downgrade(),
            on_stream: Box::new(on_stream),
            number: AtomicU32::new(0),
            mp4: input.mp4().cloned(),
            file: input.file().map(Path::to_path_buf),
            pads: pads.clone(),
        });
        if let Some(rate) = input.rate() {
            demuxers.add_pictures(&source_pad(&source)?, Content::Sequence { rate })?;
        }
        if let Some(typefind) = elements.get(1) {
            source.link(typefind)?;
            typefind.connect("have-type", false, move |values| {
                let typefind = values.first()?.get::<gst::Element>().ok()?;
                let caps = values.get(2)?.get::<gst::Caps>().ok()?;
                demuxers.connect_file(&typefind.static_pad("src")?, &caps);
                None
            });
        }
        Ok(Self { elements, _pads: pads })
    }

    /// Starts to read.
    ///
    /// # Errors
    /// [`Error::Build`] if an element refuses to start; it posts the reason on the bus.
    pub fn start(&self) -> Result<(), Error> {
        for element in self.elements.iter().rev() {
            element.set_locked_state(false);
            element.sync_state_with_parent()?;
        }
        Ok(())
    }
}

struct Demuxers {
    pipeline: glib::WeakRef<gst::Pipeline>,
    on_stream: Box<OnStream>,
    number: AtomicU32,
    mp4: Option<Arc<Mp4Header>>,
    file: Option<PathBuf>,
    pads: OwnPads,
}

impl Demuxers {
    /// Connects the file's own type.
    fn connect_file(self: &Arc<Self>, pad: &gst::Pad, caps: &gst::Caps) {
        let connected = if is_picture(caps) {
            self.add_pictures(pad, Content::File)
        } else if caps.structure(0).is_some_and(|media| media.name() == "application/x-yuv4mpeg") {
            self.add_own(pad, y4m_pads)
        } else {
            return self.connect(pad, caps);
        };
        report(pad, connected);
    }

    fn add_pictures(&self, pad: &gst::Pad, content: Content) -> Result<(), Error> {
        self.add_own(pad, |owner| picture_pads(owner, content))
    }

    /// Adds a pair of pads that decodes the file.
    fn add_own(
        &self,
        pad: &gst::Pad,
        pads: impl FnOnce(&gst::Element) -> Result<(gst::Pad, gst::Pad), glib::BoolError>,
    ) -> Result<(), Error> {
        let no_owner = || glib::bool_error!("{} has no element", pad.name());
        let (sink, source) = pads(&pad.parent_element().ok_or_else(no_owner)?)?;
        link(pad, &sink)?;
        self.pads.lock().unwrap_or_else(PoisonError::into_inner).push(sink);
        (self.on_stream)(&source, &gst::Caps::new_empty_simple("video/x-raw"))
    }

    /// Adds a demuxer if the data are in a container, which can be inside another one.
    fn connect(self: &Arc<Self>, pad: &gst::Pad, caps: &gst::Caps) {
        let connected = match demuxer(caps) {
            Some(factory) => self.add(pad, &factory),
            None => {
                let number = track_number(pad).and_then(|number| u32::try_from(number).ok());
                if let (Some(header), Some(number)) = (&self.mp4, number) {
                    mp4_track::correct(pad, header, number);
                }
                let mut caps = caps.clone();
                if comes_from(pad, &["matroskademux"]) {
                    matroska::begin_at_zero(pad);
                    let codec = self.matroska_codec(pad, &caps);
                    if matroska::is_tta(&caps) {
                        matroska::describe_tta(pad, codec.as_ref().and_then(|it| it.duration));
                    }
                    if let Some(codec) = codec
                        && let Some(text) = web_vtt::make_plain(pad, &codec.name)
                    {
                        caps = text;
                    }
                }
                if comes_from(pad, &["tsdemux", "mpegpsdemux"]) && Kind::of(&caps) == Kind::Sound {
                    broadcast::keep_early_packets(pad);
                }
                (self.on_stream)(pad, &caps)
            }
        };
        report(pad, connected);
    }

    /// What the file says of a stream that the demuxer does not describe completely.
    fn matroska_codec(&self, pad: &gst::Pad, caps: &gst::Caps) -> Option<header::Codec> {
        let path =
            self.file.as_ref().filter(|_| is_unknown_subtitles(caps) || matroska::is_tta(caps))?;
        let track = track_number(pad)?;
        header::codecs(path).ok()?.into_iter().find(|codec| codec.track == track)
    }

    fn add(self: &Arc<Self>, pad: &gst::Pad, factory: &gst::ElementFactory) -> Result<(), Error> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let demuxer = factory.create().name(format!("{READER}demuxer{number}")).build()?;
        let gone = || glib::bool_error!("the pipeline has been shut down");
        self.pipeline.upgrade().ok_or_else(gone)?.add(&demuxer)?;
        let demuxers = self.clone();
        demuxer.connect_pad_added(move |_, pad| {
            if pad.direction() == gst::PadDirection::Src {
                demuxers.connect(pad, &caps_of(pad));
            }
        });
        let no_sink = || glib::bool_error!("{} has no sink pad", demuxer.name());
        link(pad, &demuxer.sink_pads().into_iter().next().ok_or_else(no_sink)?)?;
        // Some have exactly one stream.
        for pad in demuxer.src_pads() {
            self.connect(&pad, &caps_of(&pad));
        }
        Ok(demuxer.sync_state_with_parent()?)
    }
}

/// Posts an error as that of the element of `pad`.
fn report(pad: &gst::Pad, result: Result<(), Error>) {
    if let (Err(error), Some(element)) = (result, pad.parent_element()) {
        gst::element_error!(element, gst::StreamError::Failed, ("{error}"));
    }
}

/// Whether `pad` belongs to an element of one of these factories.
pub fn comes_from(pad: &gst::Pad, factories: &[&str]) -> bool {
    let factory = pad.parent_element().and_then(|element| element.factory());
    factory.is_some_and(|factory| factories.contains(&factory.name().as_str()))
}

/// The number of the track in a Matroska or MP4 file: these demuxers end the name of a stream with
/// it, `matroskademux` followed by the track's identifier.
pub fn track_number(pad: &gst::Pad) -> Option<u64> {
    if !comes_from(pad, &["matroskademux", "qtdemux"]) {
        return None;
    }
    let stream = pad.stream_id()?;
    let (_, last) = stream.rsplit_once('/')?;
    last.split(':').next()?.parse().ok()
}

fn caps_of(pad: &gst::Pad) -> gst::Caps {
    pad.current_caps().unwrap_or_else(|| pad.query_caps(None))
}

/// The demuxer for data of these caps; `None` for an elementary stream.
fn demuxer(caps: &gst::Caps) -> Option<gst::ElementFactory> {
    let kinds = gst::ElementFactoryType::DECODABLE;
    best(kinds, caps).filter(|factory| factory.has_type(gst::ElementFactoryType::DEMUXER))
}

/// The parser for a stream of these caps. `vp9parse` of GStreamer 1.22 never returns where the stream
/// has an alpha channel.
pub fn parser(caps: &gst::Caps) -> Option<gst::ElementFactory> {
    let has_alpha = caps.iter().any(|media| media.get("codec-alpha") == Ok(true));
    best(gst::ElementFactoryType::PARSER, caps).filter(|_| !has_alpha)
}

/// A new element that parses a stream of these caps, if it needs one. AAC leaves it in the framing that
/// files have, whose caps describe the sound completely before its first packet.
///
/// # Errors
/// [`Error::MissingElement`], [`Error::Parse`] or [`Error::Build`].
pub fn parsing(caps: &gst::Caps) -> Result<Option<gst::Element>, Error> {
    let Some(parser) = parser(caps).filter(|_| !needs_no_parser(caps)) else { return Ok(None) };
    if !is_aac(caps) {
        return Ok(Some(parser.create().build()?));
    }
    // `aacparse` of GStreamer 1.22 does not change the framing LOAS.
    let framing = "capsfilter caps=\"audio/mpeg,stream-format=(string){raw,loas}\"";
    Ok(Some(parse(&format!("{} ! {framing}", parser.name()))?.upcast()))
}

/// Whether these are the caps of subtitles that the demuxer does not recognise.
pub fn is_unknown_subtitles(caps: &gst::CapsRef) -> bool {
    caps.structure(0).is_some_and(|media| media.name() == "application/x-subtitle-unknown")
}

/// Whether there is a decoder for streams of these caps.
pub fn has_decoder(caps: &gst::Caps) -> bool {
    let is_raw = |media: &gst::StructureRef| media.name().ends_with("/x-raw");
    caps.iter().any(is_raw)
        || best(gst::ElementFactoryType::DECODER, caps).is_some()
        || parser(caps).is_some_and(|parser| {
            let templates = parser.static_pad_templates().into_iter();
            let mut sources = templates.filter(|pad| pad.direction() == gst::PadDirection::Src);
            sources.any(|pad| best(gst::ElementFactoryType::DECODER, &pad.caps()).is_some())
        })
}

/// The factory of this type with the highest rank that takes `caps`.
fn best(kind: gst::ElementFactoryType, caps: &gst::Caps) -> Option<gst::ElementFactory> {
    let factories = gst::ElementFactory::factories_with_type(kind, gst::Rank::MARGINAL);
    // Those of adaptive streams that are called …demux2 work only in elements of `playbin3`.
    let takes = |factory: &gst::ElementFactory| {
        factory.can_sink_any_caps(caps) && !factory.name().ends_with("demux2")
    };
    factories.into_iter().filter(takes).max_by_key(|factory| factory.rank())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_have_a_demuxer_and_elementary_streams_a_parser() {
        gst::init().unwrap();
        let name = |factory: Option<gst::ElementFactory>| factory.map(|it| it.name().to_string());
        let caps = |text: &str| text.parse::<gst::Caps>().unwrap();
        assert_eq!(name(demuxer(&caps("video/quicktime"))).as_deref(), Some("qtdemux"));
        assert_eq!(name(demuxer(&caps("video/x-matroska"))).as_deref(), Some("matroskademux"));
        assert_eq!(demuxer(&caps("video/x-h264")), None);
        assert_eq!(name(parser(&caps("video/x-h264"))).as_deref(), Some("h264parse"));
        assert_eq!(name(parser(&caps("video/x-vp9"))).as_deref(), Some("vp9parse"));
        assert_eq!(parser(&caps("video/x-vp9,codec-alpha=true")), None);
        assert!(has_decoder(&caps("audio/x-ac3")) && !has_decoder(&caps("audio/x-nobody")));
    }
}
