//! Encoders and their settings, in the syntax of `gst-launch-1.0`.

use std::fmt;

use clap::ValueEnum as _;
use gst::{glib, prelude::*};

use super::{av1, captions, chroma_location, codec::Codec, prores, vp9};

/// The names of encoders that do not write everything of their frames into the stream.
const H265_ENCODER: &str = "h265";
const AV1_ENCODER: &str = "av1";
const VP9_ENCODER: &str = "vp9";
const PRORES_ENCODER: &str = "prores";

/// Completes what an encoder of [`description`] in `bin` puts out.
///
/// # Errors
/// The encoder has no pads.
pub fn complete(bin: &gst::Bin) -> Result<(), glib::BoolError> {
    let complete = [
        (H265_ENCODER, captions::keep as fn(&gst::Element) -> _),
        (H265_ENCODER, chroma_location::keep),
        (AV1_ENCODER, av1::keep_colour),
        (VP9_ENCODER, vp9::keep_colour),
        (PRORES_ENCODER, prores::keep_colour),
    ];
    let mut encoders = complete.iter().filter_map(|(name, it)| Some((bin.by_name(name)?, it)));
    encoders.try_for_each(|(encoder, complete)| complete(&encoder))
}

/// How video is encoded.
#[derive(Clone, Copy, Debug, Default)]
pub struct EncoderSettings<'a> {
    /// The factory of the encoder. `None`: the codec's preferred one.
    pub encoder: Option<&'a str>,
    /// On the codec's own scale; 0 is the best.
    pub quality: Option<u32>,
    pub preset: Preset,
    /// The number of threads, on which the picture of x264 depends. With a number, each call of the
    /// encoder starts a closed group of pictures and gives the same bytes for the same frames.
    pub threads: Option<usize>,
    /// Names and values of further options.
    pub options: &'a [(String, String)],
}

/// How much time the encoder takes to make the file small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Preset {
    #[default]
    Fast,
    Medium,
    Slow,
}

impl fmt::Display for Preset {
    /// The name that `--preset` takes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// Why an encoder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the encoder {encoder} has no option {name}; `gst-inspect-1.0 {encoder}` lists them")]
    Option { encoder: String, name: String },
    #[error(
        "the encoder {0} is not available; `gst-inspect-1.0` lists those that are installed and \
         have the hardware that they need"
    )]
    NotAvailable(String),
    #[error("{0} is not an encoder of H.264, H.265, AV1, VP9, ProRes or FFV1")]
    NoCodec(String),
    #[error("the encoder {encoder} does not encode {codec}; omit --codec or name another encoder")]
    OtherCodec { encoder: String, codec: Codec },
    #[error(
        "the encoder {0} has no known setting for --quality; set its own properties with \
         --encoder-options"
    )]
    Quality(String),
    #[error(
        "the encoder {0} has no known setting for --preset; set its own properties with \
         --encoder-options"
    )]
    Preset(String),
}

/// Options of x265 that make its output depend only on its input, before the number of threads.
const X265_THREADS: &str = ":no-open-gop=1:frame-threads=1:pools=";

/// The formats that avenc_ffv1 accepts. Without this list, videoconvert turns R'G'B' into 4:2:0.
const FFV1_FORMATS: &[&str] = &[
    "I420",
    "Y42B",
    "Y41B",
    "Y444",
    "A420",
    "BGRx",
    "BGRA",
    "GRAY8",
    "GRAY16_LE",
    "I420_10LE",
    "I422_10LE",
    "Y444_10LE",
    "A420_10LE",
    "A422_10LE",
    "A444_10LE",
    "GBR_10LE",
    "GBRA_10LE",
    "I420_12LE",
    "I422_12LE",
    "Y444_12LE",
    "GBR_12LE",
    "GBRA_12LE",
];

/// Formats that most players show, for encoders that are not known further.
const PLAYABLE: [&str; 5] = ["NV12", "I420", "YV12", "P010_10LE", "I420_10LE"];

/// Properties of hardware encoders that select a constant quantizer, and their values: VA-API, NVENC,
/// Quick Sync, AMF; the older elements of NVENC.
const CONSTANT: [(&str, &str); 2] = [("rate-control", "cqp"), ("rc-mode", "constqp")];

/// Properties that hold the quantizer of all or of some frames, or the constant quality.
const QUANTIZERS: [&str; 10] =
    ["qpi", "qpp", "qpb", "qp-i", "qp-p", "qp-b", "qp-const", "init-qp", "crf", "quantizer"];

/// The codec of the encoder with this name.
///
/// # Errors
/// [`Error::NotAvailable`] or [`Error::NoCodec`].
pub fn codec_of(encoder: &str) -> Result<Codec, Error> {
    let factory = gst::ElementFactory::find(encoder);
    let factory = factory.ok_or_else(|| Error::NotAvailable(encoder.into()))?;
    let caps = template(&factory, gst::PadDirection::Src);
    let is_encoder = factory.has_type(gst::ElementFactoryType::VIDEO_ENCODER);
    caps.filter(|_| is_encoder)
        .and_then(|caps| Codec::of(&caps))
        .ok_or_else(|| Error::NoCodec(encoder.into()))
}

fn template(factory: &gst::ElementFactory, direction: gst::PadDirection) -> Option<gst::Caps> {
    let mut templates = factory.static_pad_templates().into_iter();
    templates.find(|pad| pad.direction() == direction).map(|pad| pad.caps())
}

/// The encoder of `codec` with the formats it accepts and a parser.
///
/// What most players cannot show (4:4:4, and 10 bits in H.264) is converted.
///
/// # Errors
/// See [`Error`].
pub fn description(codec: Codec, settings: &EncoderSettings<'_>) -> Result<String, Error> {
    let preferred = || codec.encoder().or(codec.encoders().first().copied());
    let Some(encoder) = settings.encoder.or_else(preferred) else {
        return Ok("video/x-raw".into());
    };
    let Setup { formats, mut properties, mut strings } = setup(codec, encoder, settings)?;
    for (name, value) in settings.options {
        if has_property(encoder, name) {
            let value = value.replace(['"', '\\'], "");
            properties.push_str(&format!(" {name}=\"{value}\""));
        } else if ["x264enc", "x265enc"].contains(&encoder) {
            strings.push(format!("{name}={value}"));
        } else {
            return Err(Error::Option { encoder: encoder.into(), name: name.clone() });
        }
    }
    if !strings.is_empty() {
        properties.push_str(&format!(" option-string=\"{}\"", strings.join(":")));
    }
    let formats = formats.join(",");
    let parser = codec.parser().map_or_else(String::new, |parser| format!("! {parser}"));
    Ok(format!("video/x-raw,format=(string){{{formats}}} ! {encoder} {properties} {parser}"))
}

/// How an encoder is set up.
struct Setup {
    /// The formats it gets.
    formats: Vec<&'static str>,
    properties: String,
    /// Options of the library behind it.
    strings: Vec<String>,
}

fn setup(codec: Codec, encoder: &str, settings: &EncoderSettings<'_>) -> Result<Setup, Error> {
    let quality = settings.quality.unwrap_or(codec.default_quality()).min(codec.worst_quality());
    let threads =
        |option: &str| settings.threads.map_or_else(String::new, |it| format!("{option}{it}"));
    let preset = |[fast, medium, slow]: [&'static str; 3]| match settings.preset {
        Preset::Fast => fast,
        Preset::Medium => medium,
        Preset::Slow => slow,
    };
    let speed = preset(["fast", "medium", "slow"]);
    let mut strings = Vec::new();
    let (formats, properties) = match encoder {
        // Without vbv-buf-capacity=0, `bitrate` limits constant quality too.
        "x264enc" => (
            &["I420"][..],
            format!(
                "pass=qual quantizer={quality} vbv-buf-capacity=0 speed-preset={speed} {}",
                threads("threads=")
            ),
        ),
        "openh264enc" => (
            &["I420"][..],
            format!(
                "complexity=high rate-control=quality bitrate=200000000 qp-min={quality} \
                 qp-max={quality}"
            ),
        ),
        "x265enc" => {
            strings.push(format!("crf={quality}{}", threads(X265_THREADS)));
            (&["I420", "I420_10LE"][..], format!("name={H265_ENCODER} speed-preset={speed}"))
        }
        // It has no property for the quality of end-usage=q: the range of quantizers decides it.
        "av1enc" => (
            &["I420"][..],
            format!(
                "name={AV1_ENCODER} end-usage=q min-quantizer={quality} max-quantizer={} cpu-used={} \
                 keyframe-max-dist=240 {}",
                (quality + AV1_RANGE).min(codec.worst_quality()),
                preset(["6", "4", "2"]),
                threads("threads=")
            ),
        ),
        // A target-bitrate of 0 selects a low one. The default time base is one frame of the frame
        // rate, which can change. With lag-in-frames, vp9enc of GStreamer 1.22 drops frames at the
        // end.
        "vp9enc" => (
            &["I420", "I420_10LE"][..],
            format!(
                "name={VP9_ENCODER} end-usage=cq cq-level={quality} target-bitrate=200000000 \
                 lag-in-frames=0 deadline=1 cpu-used={} row-mt=true threads=8 timebase=1/90000",
                preset(["2", "1", "0"])
            ),
        ),
        "avenc_prores_ks" => {
            (&["I422_10LE", "Y444_10LE", "A444_10LE"][..], format!("name={PRORES_ENCODER}"))
        }
        "avenc_ffv1" => (FFV1_FORMATS, String::new()),
        _ => return other(encoder, settings, quality),
    };
    Ok(Setup { formats: formats.to_vec(), properties, strings })
}

/// How much coarser than the best frames of AV1 those are that no other frame depends on.
const AV1_RANGE: u32 = 8;

/// The setup of an encoder that is not known further: with a constant quantizer, if it has one.
fn other(encoder: &str, settings: &EncoderSettings<'_>, quality: u32) -> Result<Setup, Error> {
    let made = gst::ElementFactory::make(encoder).build();
    let made = made.map_err(|_| Error::NotAvailable(encoder.into()))?;
    let mut properties = String::new();
    for (name, value) in CONSTANT.into_iter().filter(|(name, value)| has_value(&made, name, value))
    {
        properties.push_str(&format!(" {name}={value}"));
    }
    let quantizers = QUANTIZERS.into_iter().filter(|name| made.has_property(name));
    let quantizers: Vec<_> = quantizers.map(|name| format!(" {name}={quality}")).collect();
    if quantizers.is_empty() && settings.quality.is_some() {
        return Err(Error::Quality(encoder.into()));
    }
    if settings.preset != Preset::default() {
        return Err(Error::Preset(encoder.into()));
    }
    properties.push_str(&quantizers.concat());
    let caps = made.factory().and_then(|it| template(&it, gst::PadDirection::Sink));
    let playable = |caps: gst::Caps| {
        let takes = |format: &&str| {
            let raw = gst::Caps::builder("video/x-raw").field("format", *format).build();
            caps.can_intersect(&raw)
        };
        PLAYABLE.into_iter().filter(takes).collect::<Vec<_>>()
    };
    let formats = caps.map(playable).filter(|formats| !formats.is_empty());
    let formats = formats.ok_or_else(|| Error::NoCodec(encoder.into()))?;
    Ok(Setup { formats, properties, strings: Vec::new() })
}

/// Whether the property is an enumeration with this value.
fn has_value(element: &gst::Element, name: &str, value: &str) -> bool {
    let property = element.find_property(name);
    let class = property.and_then(|it| glib::EnumClass::with_type(it.value_type()));
    class.is_some_and(|class| class.value_by_nick(value).is_some())
}

/// Whether users may set this property of the encoder.
fn has_property(encoder: &str, name: &str) -> bool {
    let element = gst::ElementFactory::make(encoder).build().ok();
    element.is_some_and(|element| {
        // The program looks for the encoder by its name.
        !["name", "parent", "option-string"].contains(&name) && element.has_property(name)
    })
}

/// The first packet of a black picture with these fields in its caps.
#[cfg(test)]
pub fn first_packet(codec: Codec, fields: &str) -> Vec<u8> {
    gst::init().unwrap();
    let encoder = description(codec, &EncoderSettings::default()).unwrap();
    let description = format!(
        "videotestsrc num-buffers=2 pattern=black ! video/x-raw,format=I420,width=64,height=64,{fields} \
         ! videoconvert ! {encoder} ! appsink name=sink sync=false"
    );
    let pipeline = super::elements::pipeline(&description).unwrap();
    complete(pipeline.upcast_ref()).unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let sink = pipeline.by_name("sink").unwrap().downcast::<gst_app::AppSink>().unwrap();
    let packet = sink.pull_sample().unwrap().buffer().unwrap().map_readable().unwrap().to_vec();
    pipeline.set_state(gst::State::Null).unwrap();
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(codec: Codec, settings: &EncoderSettings<'_>) -> String {
        gst::init().unwrap();
        description(codec, settings).unwrap()
    }

    #[test]
    fn the_quality_is_limited_to_the_codecs_scale() {
        let with = |codec, quality| text(codec, &EncoderSettings { quality, ..Default::default() });
        assert!(with(Codec::Vp9, Some(99)).contains("cq-level=63"));
        assert!(with(Codec::H265, Some(99)).contains("crf=51"));
        assert!(with(Codec::H265, None).contains("crf=19"));
    }

    #[test]
    fn options_are_set_as_properties_or_handed_to_the_encoder_library() {
        let option = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let options = [option("speed-preset", "slow"), option("aq-mode", "3")];
        let settings = EncoderSettings { options: &options, ..Default::default() };
        let text = text(Codec::H265, &settings);
        assert!(
            text.contains("speed-preset=\"slow\"") && text.contains("crf=19:aq-mode=3"),
            "{text}"
        );
        let error = description(Codec::Vp9, &settings).unwrap_err();
        assert!(error.to_string().contains("vp9enc has no option speed-preset"), "{error}");
    }

    #[test]
    fn a_preset_is_the_encoders_own_speed() {
        let slow = EncoderSettings { preset: Preset::Slow, ..Default::default() };
        assert!(text(Codec::H264, &slow).contains("speed-preset=slow"));
        assert!(text(Codec::Vp9, &slow).contains("cpu-used=0"));
    }

    #[test]
    fn an_encoder_is_recognised_by_what_it_puts_out() {
        gst::init().unwrap();
        assert_eq!(codec_of("x265enc").unwrap(), Codec::H265);
        assert_eq!(codec_of("avenc_prores_ks").unwrap(), Codec::ProRes);
        for (name, part) in [("theoraenc", "is not an encoder of"), ("nvxyzenc", "not available")] {
            let error = codec_of(name).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn an_encoder_without_a_quantizer_refuses_a_quality() {
        gst::init().unwrap();
        let settings =
            |quality| EncoderSettings { encoder: Some("theoraenc"), quality, ..Default::default() };
        let error = description(Codec::H264, &settings(Some(20))).unwrap_err();
        assert!(error.to_string().contains("--encoder-options"), "{error}");
    }
}
