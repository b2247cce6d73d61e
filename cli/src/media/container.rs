//! The output's container format and codec: muxers, encoders and their default quality.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use clap::ValueEnum as _;
use gst::prelude::*;

use super::frame_files::FrameFormat;

/// The codec of the enlarged video.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Codec {
    H264,
    H265,
    Vp9,
    /// Lossless.
    Ffv1,
    /// Frames as they are, for pictures and Y4M.
    Raw,
}

/// The output file cannot have this format or codec.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the extension of {path} is not supported; expected one of: {known}")]
    Extension { path: PathBuf, known: String },
    #[error("a .{extension} file cannot be made of segments; use .mkv, .mp4, .mov or .webm")]
    Segments { extension: &'static str },
    #[error("a .{extension} file cannot hold {codec} video; expected one of: {known}")]
    Codec { codec: Codec, extension: &'static str, known: String },
    #[error("the encoder {encoder} has no option {name}; `gst-inspect-1.0 {encoder}` lists them")]
    EncoderOption { encoder: &'static str, name: String },
}

/// A container format.
#[derive(Debug, PartialEq, Eq)]
pub struct Container {
    pub extensions: &'static [&'static str],
    pub muxer: &'static str,
    /// The format of frames that are written without a muxer.
    pub frames: Option<FrameFormat>,
    /// Supported codecs, the default first.
    pub codecs: &'static [Codec],
    /// Factories to encode sound with if it cannot be copied, in order of preference.
    pub audio_encoders: &'static [&'static str],
}

/// The names of the encoders of H.265 and VP9, which are controlled further.
pub const H265_ENCODER: &str = "h265";
pub const VP9_ENCODER: &str = "vp9";

/// How video is encoded.
#[derive(Clone, Copy, Debug, Default)]
pub struct EncoderSettings<'a> {
    /// On the codec's own scale; 0 is the best.
    pub quality: Option<u32>,
    /// The number of threads, on which the picture of x264 depends. With a number, each call of the
    /// encoder starts a closed group of pictures and gives the same bytes for the same frames.
    pub threads: Option<usize>,
    /// Names and values of further options.
    pub options: &'a [(String, String)],
}

/// Options of x265 that make its output depend only on its input, before the number of threads.
const X265_THREADS: &str = ":no-open-gop=1:frame-threads=1:pools=";

/// The formats that avenc_ffv1 accepts.
const FFV1_FORMATS: &str = "I420,Y42B,Y41B,Y444,A420,BGRx,BGRA,GRAY8,GRAY16_LE,I420_10LE,\
     I422_10LE,Y444_10LE,A420_10LE,A422_10LE,A444_10LE,GBR_10LE,GBRA_10LE,I420_12LE,I422_12LE,\
     Y444_12LE,GBR_12LE,GBRA_12LE";

/// A format of pictures, or Y4M.
const fn frames(extensions: &'static [&'static str], format: FrameFormat) -> Container {
    let (codecs, frames) = (&[Codec::Raw], Some(format));
    Container { extensions, muxer: "appsink", frames, codecs, audio_encoders: &[] }
}

const CONTAINERS: &[Container] = &[
    Container {
        extensions: &["mp4", "m4v"],
        muxer: "mp4mux",
        frames: None,
        codecs: &[Codec::H264, Codec::H265],
        audio_encoders: &["fdkaacenc", "avenc_aac", "voaacenc"],
    },
    Container {
        extensions: &["mov"],
        muxer: "qtmux",
        frames: None,
        codecs: &[Codec::H264, Codec::H265],
        audio_encoders: &["fdkaacenc", "avenc_aac", "voaacenc"],
    },
    Container {
        extensions: &["mkv"],
        muxer: "matroskamux",
        frames: None,
        codecs: &[Codec::H264, Codec::H265, Codec::Vp9, Codec::Ffv1],
        audio_encoders: &["flacenc", "opusenc"],
    },
    Container {
        extensions: &["webm"],
        muxer: "webmmux",
        frames: None,
        codecs: &[Codec::Vp9],
        audio_encoders: &["opusenc", "vorbisenc"],
    },
    frames(&["y4m"], FrameFormat::Y4m),
    frames(&["png"], FrameFormat::Png),
    frames(&["jpg", "jpeg"], FrameFormat::Jpeg),
    frames(&["tif", "tiff"], FrameFormat::Tiff),
    frames(&["bmp"], FrameFormat::Bmp),
];

impl Container {
    /// The container format of the extension of `path`.
    ///
    /// # Errors
    /// [`Error::Extension`].
    pub fn of(path: &Path) -> Result<&'static Self, Error> {
        let extension = path.extension().map(|end| end.to_string_lossy().to_ascii_lowercase());
        let known = |kind: &&Container| {
            extension.as_ref().is_some_and(|end| kind.extensions.contains(&end.as_str()))
        };
        CONTAINERS.iter().find(known).ok_or_else(|| {
            let known: Vec<_> =
                CONTAINERS.iter().flat_map(|kind| kind.extensions).copied().collect();
            Error::Extension { path: path.into(), known: known.join(", ") }
        })
    }

    /// This container format, whose files can be made of segments.
    ///
    /// # Errors
    /// [`Error::Segments`] if it is one of pictures or Y4M.
    pub fn of_segments(&'static self) -> Result<&'static Self, Error> {
        match self.frames {
            None => Ok(self),
            Some(_) => Err(Error::Segments {
                extension: self.extensions.first().copied().unwrap_or_default(),
            }),
        }
    }

    /// Whether the format can hold this codec, and its encoder is installed.
    pub fn has(&self, codec: Codec) -> bool {
        let encoder = match codec {
            Codec::H265 => "x265enc",
            Codec::Vp9 => "vp9enc",
            _ => return self.codecs.contains(&codec),
        };
        self.codecs.contains(&codec) && is_installed(encoder)
    }

    /// `requested`, or the default codec.
    ///
    /// # Errors
    /// [`Error::Codec`] if this format does not support it.
    pub fn codec(&self, requested: Option<Codec>) -> Result<Codec, Error> {
        let codec = requested.or(self.codecs.first().copied()).unwrap_or(Codec::H264);
        if self.codecs.contains(&codec) {
            return Ok(codec);
        }
        let extension = self.extensions.first().copied().unwrap_or_default();
        let known: Vec<_> = self.codecs.iter().map(ToString::to_string).collect();
        Err(Error::Codec { codec, extension, known: known.join(", ") })
    }
}

impl fmt::Display for Codec {
    /// The name that `--codec` takes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

impl Codec {
    /// The encoder with the formats it accepts and a parser, in the syntax of `gst-launch-1.0`.
    /// OpenH264 replaces x264 if that is not installed.
    ///
    /// What most players cannot show (4:4:4, and 10 bits in H.264) is converted.
    ///
    /// # Errors
    /// [`Error::EncoderOption`].
    pub fn description(self, settings: &EncoderSettings<'_>) -> Result<String, Error> {
        let EncoderSettings { quality, threads, options } = *settings;
        let quality = quality.unwrap_or(self.default_quality()).min(self.worst_quality());
        let threads = |option: &str| threads.map_or_else(String::new, |it| format!("{option}{it}"));
        let (formats, encoder, own, parser) = match self {
            Self::H264 if !is_installed("x264enc") && is_installed("openh264enc") => (
                "I420",
                "openh264enc",
                format!(
                    "complexity=high rate-control=quality bitrate=200000000 qp-min={quality} \
                     qp-max={quality}"
                ),
                "! h264parse",
            ),
            // Without vbv-buf-capacity=0, `bitrate` limits constant quality too.
            Self::H264 => (
                "I420",
                "x264enc",
                format!(
                    "pass=qual quantizer={quality} vbv-buf-capacity=0 speed-preset=fast {}",
                    threads("threads=")
                ),
                "! h264parse",
            ),
            Self::H265 => (
                "I420,I420_10LE",
                "x265enc",
                format!("name={H265_ENCODER} speed-preset=fast"),
                "! h265parse",
            ),
            // A target-bitrate of 0 selects a low one. The default time base is one frame of the
            // frame rate, which can change. With lag-in-frames, vp9enc of GStreamer
            // 1.22 drops frames at the end.
            Self::Vp9 => (
                "I420,I420_10LE",
                "vp9enc",
                format!(
                    "name={VP9_ENCODER} end-usage=cq cq-level={quality} target-bitrate=200000000 \
                     lag-in-frames=0 deadline=1 cpu-used=2 row-mt=true threads=8 timebase=1/90000"
                ),
                "",
            ),
            // Without this list, videoconvert turns R'G'B' into 4:2:0.
            Self::Ffv1 => (FFV1_FORMATS, "avenc_ffv1", String::new(), ""),
            Self::Raw => return Ok("video/x-raw".into()),
        };
        let mut strings = match self {
            Self::H265 => vec![format!("crf={quality}{}", threads(X265_THREADS))],
            _ => Vec::new(),
        };
        let mut properties = own;
        for (name, value) in options {
            if has_property(encoder, name) {
                let value = value.replace(['"', '\\'], "");
                properties.push_str(&format!(" {name}=\"{value}\""));
            } else if ["x264enc", "x265enc"].contains(&encoder) {
                strings.push(format!("{name}={value}"));
            } else {
                return Err(Error::EncoderOption { encoder, name: name.clone() });
            }
        }
        if !strings.is_empty() {
            properties.push_str(&format!(" option-string=\"{}\"", strings.join(":")));
        }
        Ok(format!("video/x-raw,format=(string){{{formats}}} ! {encoder} {properties} {parser}"))
    }

    /// The width and height must be multiples of this: H.264 and H.265 encoders refuse odd ones
    /// in 4:2:0.
    pub fn alignment(self) -> i32 {
        match self {
            Self::H264 | Self::H265 => 2,
            Self::Vp9 | Self::Ffv1 | Self::Raw => 1,
        }
    }

    /// Whether captions that are part of the pictures stay.
    pub fn has_captions(self) -> bool {
        matches!(self, Self::H264 | Self::H265)
    }

    fn default_quality(self) -> u32 {
        match self {
            Self::H264 | Self::Ffv1 | Self::Raw => 17,
            Self::H265 => 19,
            Self::Vp9 => 24,
        }
    }

    fn worst_quality(self) -> u32 {
        match self {
            Self::H264 | Self::H265 | Self::Ffv1 | Self::Raw => 51,
            Self::Vp9 => 63,
        }
    }
}

/// Whether users may set this property of the encoder.
fn has_property(encoder: &str, name: &str) -> bool {
    let element = gst::ElementFactory::make(encoder).build().ok();
    element.is_some_and(|element| {
        // The parser in the description needs the encoder's name.
        !["name", "parent", "option-string"].contains(&name) && element.has_property(name)
    })
}

fn is_installed(element: &str) -> bool {
    gst::ElementFactory::find(element).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_selects_the_container_in_upper_and_lower_case() {
        for (name, muxer) in
            [("a.mp4", "mp4mux"), ("b.MKV", "matroskamux"), ("c.d.webm", "webmmux")]
        {
            assert_eq!(Container::of(Path::new(name)).unwrap().muxer, muxer);
        }
        for name in ["mkv", "a.xyz", "a"] {
            assert!(matches!(Container::of(Path::new(name)), Err(Error::Extension { .. })));
        }
    }

    #[test]
    fn a_container_accepts_only_its_own_codecs() {
        let webm = Container::of(Path::new("a.webm")).unwrap();
        assert_eq!(webm.codec(None).unwrap(), Codec::Vp9);
        let error = webm.codec(Some(Codec::H264)).unwrap_err();
        assert!(error.to_string().contains("h264") && error.to_string().contains("vp9"), "{error}");
    }

    #[test]
    fn the_quality_is_limited_to_the_codecs_scale() {
        gst::init().unwrap();
        let description = |codec: Codec, quality| {
            codec.description(&EncoderSettings { quality, ..Default::default() }).unwrap()
        };
        assert!(description(Codec::Vp9, Some(99)).contains("cq-level=63"));
        assert!(description(Codec::H265, Some(99)).contains("crf=51"));
        assert!(description(Codec::H265, None).contains("crf=19"));
    }

    #[test]
    fn options_are_set_as_properties_or_handed_to_the_encoder_library() {
        gst::init().unwrap();
        let option = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let options = [option("speed-preset", "slow"), option("aq-mode", "3")];
        let settings = EncoderSettings { options: &options, ..Default::default() };
        let text = Codec::H265.description(&settings).unwrap();
        assert!(
            text.contains("speed-preset=\"slow\"") && text.contains("crf=19:aq-mode=3"),
            "{text}"
        );
        assert!(matches!(
            Codec::Vp9.description(&settings),
            Err(Error::EncoderOption { encoder: "vp9enc", .. })
        ));
    }
}
