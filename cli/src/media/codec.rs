//! The codecs of the enlarged video.

use std::fmt;

use clap::ValueEnum as _;

/// The codec of the enlarged video.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Codec {
    H264,
    H265,
    Av1,
    Vp9,
    /// For editing: every frame is a key frame, 10 bits, 4:2:2 or 4:4:4.
    #[value(name = "prores")]
    ProRes,
    /// Lossless.
    Ffv1,
    /// Frames as they are, for pictures and Y4M.
    #[value(skip)]
    Raw,
}

impl fmt::Display for Codec {
    /// The name that `--codec` takes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("raw", |value| value.get_name()))
    }
}

impl Codec {
    /// The codec of video of these caps.
    pub fn of(caps: &gst::Caps) -> Option<Self> {
        let codec = |media: &gst::StructureRef| {
            Some(match media.name().as_str() {
                "video/x-h264" => Self::H264,
                "video/x-h265" => Self::H265,
                "video/x-av1" => Self::Av1,
                "video/x-vp9" => Self::Vp9,
                "video/x-prores" => Self::ProRes,
                "video/x-ffv" => Self::Ffv1,
                _ => return None,
            })
        };
        caps.iter().find_map(codec)
    }

    /// The factories of encoders, in order of preference.
    pub fn encoders(self) -> &'static [&'static str] {
        match self {
            Self::H264 => &["x264enc", "openh264enc"],
            Self::H265 => &["x265enc"],
            Self::Av1 => &["svtav1enc", "av1enc"],
            Self::Vp9 => &["vp9enc"],
            Self::ProRes => &["avenc_prores_ks"],
            Self::Ffv1 => &["avenc_ffv1"],
            Self::Raw => &[],
        }
    }

    /// The first of them that is installed.
    pub fn encoder(self) -> Option<&'static str> {
        let is_installed = |encoder: &&str| gst::ElementFactory::find(encoder).is_some();
        self.encoders().iter().copied().find(is_installed)
    }

    /// The parser that completes what an encoder puts out. `None` if none is needed.
    pub fn parser(self) -> Option<&'static str> {
        match self {
            Self::H264 => Some("h264parse"),
            Self::H265 => Some("h265parse"),
            Self::Av1 => Some("av1parse"),
            Self::Vp9 | Self::ProRes | Self::Ffv1 | Self::Raw => None,
        }
    }

    /// The width and height must be multiples of this: encoders refuse odd ones in 4:2:0 and 4:2:2.
    pub fn alignment(self) -> i32 {
        match self {
            Self::H264 | Self::H265 | Self::Av1 | Self::ProRes => 2,
            Self::Vp9 | Self::Ffv1 | Self::Raw => 1,
        }
    }

    /// Whether captions that are part of the pictures stay.
    pub fn has_captions(self) -> bool {
        matches!(self, Self::H264 | Self::H265)
    }

    /// The default quality, on the codec's own scale.
    pub fn default_quality(self) -> u32 {
        match self {
            Self::H264 | Self::ProRes | Self::Ffv1 | Self::Raw => 17,
            Self::H265 => 19,
            Self::Av1 | Self::Vp9 => 24,
        }
    }

    /// The end of that scale.
    pub fn worst_quality(self) -> u32 {
        match self {
            Self::H264 | Self::H265 | Self::ProRes | Self::Ffv1 | Self::Raw => 51,
            Self::Av1 | Self::Vp9 => 63,
        }
    }
}
