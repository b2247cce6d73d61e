//! The options that describe the enlarged video.

use std::path::PathBuf;

use super::{
    Error,
    codec::Codec,
    container::Container,
    encoder::{self, EncoderSettings, Preset},
    properties::Properties,
    survey::Survey,
};
use crate::{
    arguments::Expected, cadence, clean::Clean, edit, look::Look, machine, range::TimeRange,
};

/// What the enlarged video is like.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Width of the output in pixels. The height follows from the aspect ratio.
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(i32).range(16..=32766))]
    pub width: Option<i32>,
    /// Height of the output in pixels. The width follows from the aspect ratio.
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(i32).range(16..=32766))]
    pub height: Option<i32>,
    /// Video codec of the output [default: the usual one for OUTPUT's extension; h265 for more than 8
    /// bits per sample].
    #[arg(long, value_enum)]
    codec: Option<Codec>,
    /// Write HDR video as H.264 with 8 bits, which shows banding and has no HDR10 metadata.
    #[arg(long)]
    allow_8_bit_hdr: bool,
    /// The GStreamer element that encodes, for example nvh265enc, vah264enc or qsvav1enc for hardware
    /// [default: a software encoder of the codec].
    #[arg(long, value_name = "ELEMENT")]
    pub encoder: Option<String>,
    /// How much time the encoder takes to make the file smaller.
    #[arg(long, value_enum, default_value_t)]
    pub preset: Preset,
    /// Constant quality on the codec's own scale; 0 is the best (x264 and x265: CRF, VP9: cq-level,
    /// AV1: quantizer) [default: 17 for H.264, 19 for H.265, 24 for AV1 and VP9].
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(0..=63))]
    pub quality: Option<u32>,
    /// Option of the encoder, for example speed-preset=slow; can be repeated. x264 and x265 also take
    /// their own names, for example aq-mode=3.
    #[arg(long = "encoder-options", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub encoder_options: Vec<(String, String)>,
    #[command(flatten)]
    pub edit: edit::Options,
    /// Whether traces of compression and noise are removed before the pictures are enlarged.
    #[arg(long, value_enum, default_value_t)]
    pub clean: Clean,
    /// How the enlarged video looks.
    #[arg(long, value_enum, default_value_t)]
    pub look: Look,
    /// Write a small JPEG file of the latest frame whenever this file does not exist.
    #[arg(long, value_name = "FILE", hide = true)]
    pub latest_frame: Option<PathBuf>,
    #[command(flatten)]
    pub cadence: cadence::Options,
    #[command(flatten)]
    pub range: TimeRange,
    #[command(flatten)]
    pub properties: Properties,
}

/// Parses `NAME=VALUE`. The characters of a name cannot change the meaning of a pipeline.
fn name_and_value(text: &str) -> Result<(String, String), Expected> {
    let is_name = |text: &str| {
        !text.is_empty() && text.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_".contains(&it))
    };
    let is_value = |text: &str| !text.contains(['"', '\\', '!']) && !text.is_empty();
    match text.split_once('=') {
        Some((name, value)) if is_name(name) && is_value(value) => Ok((name.into(), value.into())),
        _ => Err(Expected("NAME=VALUE".into())),
    }
}

impl Options {
    /// How the video is encoded, with this number of threads.
    pub fn encoder_settings(&self, threads: Option<usize>) -> EncoderSettings<'_> {
        EncoderSettings {
            encoder: self.encoder.as_deref(),
            quality: self.quality,
            preset: self.preset,
            threads,
            options: &self.encoder_options,
        }
    }

    /// The properties of the element, with those of the look. HDR gets `fidelity=1` unless the user sets it: models shift the
    /// colours of HDR, which is outside of what they are trained on (`docs/BENCHMARKS.md`). On NVIDIA
    /// GPUs there is no fidelity.
    pub fn element_properties(&self, survey: Option<&Survey>) -> Properties {
        let mut values = self.properties.values().clone();
        self.look.complete(&mut values);
        let backend = values.get("backend").map_or("auto", String::as_str);
        if survey.is_some_and(Survey::is_hdr)
            && !values.contains_key("fidelity")
            && !machine::may_use_nvidia(backend)
        {
            values.insert("fidelity".into(), "1".into());
        }
        Properties::new(values)
    }

    /// The codec of the video in this container format. Inputs with more than 8 bits per sample are
    /// not encoded as H.264 unless the user asks for it.
    ///
    /// # Errors
    /// [`Error::Container`] if the format does not support the codec, [`Error::Encoder`] if the
    /// encoder does not support it, [`Error::OddSize`] if the codec does not support the size,
    /// [`Error::HdrInH264`].
    pub fn codec(&self, container: &Container, survey: Option<&Survey>) -> Result<Codec, Error> {
        let encoded = self.encoder.as_deref().map(encoder::codec_of).transpose()?;
        if let (Some(encoder), Some(_), Some(codec)) = (&self.encoder, encoded, self.codec)
            && encoded != Some(codec)
        {
            return Err(encoder::Error::OtherCodec { encoder: encoder.clone(), codec }.into());
        }
        let is_deep = survey.is_some_and(Survey::is_deep);
        let deep = Some(Codec::H265).filter(|codec| is_deep && container.has(*codec));
        let codec = container.codec(encoded.or(self.codec).or(deep))?;
        if codec == Codec::H264 && survey.is_some_and(Survey::is_hdr) && !self.allow_8_bit_hdr {
            return Err(Error::HdrInH264);
        }
        let odd = |pixels: &i32| pixels % codec.alignment() != 0;
        match [self.width, self.height].into_iter().flatten().find(odd) {
            Some(pixels) => Err(Error::OddSize { codec, pixels }),
            None => Ok(codec),
        }
    }
}
