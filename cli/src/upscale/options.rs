//! The options that describe the enlarged video.

use super::{
    Error,
    container::{Codec, Container},
    properties::Properties,
};

/// What the enlarged video is like.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Width of the output in pixels. The height follows from the aspect ratio.
    #[arg(long, value_parser = clap::value_parser!(i32).range(16..=32766))]
    pub width: Option<i32>,
    /// Height of the output in pixels. The width follows from the aspect ratio.
    #[arg(long, value_parser = clap::value_parser!(i32).range(16..=32766))]
    pub height: Option<i32>,
    /// Video codec of the output [default: the usual one for OUTPUT's extension].
    #[arg(long, value_enum)]
    codec: Option<Codec>,
    /// Constant quality on the codec's own scale; 0 is the best (x264 and x265: CRF, VP9: cq-level).
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=63))]
    pub quality: Option<u32>,
    #[command(flatten)]
    pub properties: Properties,
}

impl Options {
    /// The codec of the video in this container format.
    ///
    /// # Errors
    /// [`Error::Container`] if the format does not support the codec, [`Error::OddSize`] if the
    /// codec does not support the size.
    pub fn codec(&self, container: &Container) -> Result<Codec, Error> {
        let codec = container.codec(self.codec)?;
        let odd = |pixels: &i32| pixels % codec.alignment() != 0;
        match [self.width, self.height].into_iter().flatten().find(odd) {
            Some(pixels) => Err(Error::OddSize { codec, pixels }),
            None => Ok(codec),
        }
    }
}
