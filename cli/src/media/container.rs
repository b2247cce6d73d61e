//! The container formats of the output: muxers and the codecs that they hold.

use std::path::{Path, PathBuf};

use super::{codec::Codec, frame_files::FrameFormat};

/// The output file cannot have this format or codec.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the extension of {path} is not supported; expected one of: {known}")]
    Extension { path: PathBuf, known: String },
    #[error("a .{extension} file cannot be made of segments; use .mkv, .mp4, .mov or .webm")]
    Segments { extension: &'static str },
    #[error("a .{extension} file cannot hold {codec} video; expected one of: {known}")]
    Codec { codec: Codec, extension: &'static str, known: String },
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
        codecs: &[Codec::H264, Codec::H265, Codec::Av1],
        audio_encoders: &["fdkaacenc", "avenc_aac", "voaacenc"],
    },
    Container {
        extensions: &["mov"],
        muxer: "qtmux",
        frames: None,
        codecs: &[Codec::H264, Codec::H265, Codec::ProRes],
        audio_encoders: &["fdkaacenc", "avenc_aac", "voaacenc"],
    },
    Container {
        extensions: &["mkv"],
        muxer: "matroskamux",
        frames: None,
        codecs: &[Codec::H264, Codec::H265, Codec::Av1, Codec::Vp9, Codec::ProRes, Codec::Ffv1],
        audio_encoders: &["flacenc", "opusenc"],
    },
    Container {
        extensions: &["webm"],
        muxer: "webmmux",
        frames: None,
        codecs: &[Codec::Vp9, Codec::Av1],
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

    /// Whether the format can hold this codec, and an encoder is installed.
    pub fn has(&self, codec: Codec) -> bool {
        self.codecs.contains(&codec) && codec.encoder().is_some()
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
}
