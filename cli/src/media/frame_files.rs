//! Writes frames without an encoder of GStreamer: as pictures or as Y4M.

use std::{
    borrow::Cow,
    fs::File,
    io::{self, BufWriter, Write as _},
};

use gst_video::{VideoFormat, VideoFrameRef, VideoInfo};
use image::{
    ExtendedColorType, ImageEncoder, ImageError, ImageResult,
    codecs::{bmp::BmpEncoder, jpeg::JpegEncoder, png::PngEncoder, tiff::TiffEncoder},
};

use super::{planes, sequence::Pattern, y4m};
use crate::part_file::{self, IfExists, PartFile};

/// A format that is written here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameFormat {
    Y4m,
    Png,
    Jpeg,
    Tiff,
    Bmp,
}

/// Why a frame was not written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Picture(#[from] ImageError),
    #[error("{0}")]
    Write(#[from] io::Error),
    #[error("{0}")]
    File(#[from] part_file::Error),
    #[error("the buffer does not hold a frame of the format {0}")]
    Frame(VideoFormat),
    #[error(
        "the input has more than one frame; name a sequence of pictures, for example \
         NAME%05d.png"
    )]
    SecondFrame,
}

/// The default of `--quality` for JPEG, whose own scale goes from 1 to 100, the best.
const JPEG_QUALITY: u32 = 5;

impl FrameFormat {
    /// The pixel formats, as a list for caps.
    pub fn formats(self) -> String {
        let formats = match self {
            Self::Y4m => return y4m::formats(),
            Self::Png | Self::Tiff => "RGB,RGBA,GRAY8,GRAY16_LE,RGBA64_LE",
            Self::Bmp => "RGB,RGBA,GRAY8",
            Self::Jpeg => "RGB,GRAY8",
        };
        formats.into()
    }

    /// Whether each frame is a file.
    pub fn is_picture(self) -> bool {
        self != Self::Y4m
    }
}

/// Where frames are written.
#[derive(Debug)]
pub enum Target {
    /// One file.
    File(File),
    /// A file for each frame.
    Sequence { pattern: Pattern, if_exists: IfExists },
}

impl Target {
    /// An open file.
    ///
    /// # Errors
    /// The file descriptor cannot be duplicated.
    pub fn of(file: &File) -> Result<Self, super::Error> {
        Ok(Self::File(file.try_clone().map_err(super::Error::Target)?))
    }

    /// The same files.
    ///
    /// # Errors
    /// The file descriptor cannot be duplicated.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::File(file) => Self::File(file.try_clone()?),
            Self::Sequence { pattern, if_exists } => {
                Self::Sequence { pattern: pattern.clone(), if_exists: *if_exists }
            }
        })
    }
}

/// Writes the frames of one stream.
#[derive(Debug)]
pub struct FrameWriter {
    format: FrameFormat,
    target: Target,
    quality: Option<u32>,
    /// The number of frames.
    count: u64,
}

impl FrameWriter {
    /// `quality` is for JPEG; 0 is the best.
    pub fn new(format: FrameFormat, target: Target, quality: Option<u32>) -> Self {
        Self { format, target, quality, count: 0 }
    }

    /// Writes a frame. An alpha channel is written only if `has_alpha`.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn write(
        &mut self,
        info: &VideoInfo,
        buffer: &gst::BufferRef,
        has_alpha: bool,
    ) -> Result<(), Error> {
        let unreadable = || Error::Frame(info.format());
        let frame = VideoFrameRef::from_buffer_ref_readable(buffer, info);
        let frame = frame.map_err(|_| unreadable())?;
        let samples = planes::of_frame(&frame).ok_or_else(unreadable)?;
        self.count += 1;
        let Self { format, target, count, .. } = self;
        match target {
            Target::File(file) if *format == FrameFormat::Y4m => {
                let mut file = BufWriter::new(file);
                if *count == 1 {
                    file.write_all(y4m::header(info).as_bytes())?;
                }
                writeln!(file, "{}", y4m::FRAME)?;
                file.write_all(&samples)?;
                Ok(file.flush()?)
            }
            Target::File(_) if *count > 1 => Err(Error::SecondFrame),
            Target::File(file) => {
                let picture = Picture::new(info, samples, has_alpha).ok_or_else(unreadable)?;
                encode(&picture, *format, self.quality, file)
            }
            Target::Sequence { pattern, if_exists } => {
                let part = PartFile::create(&pattern.path(*count))?;
                let picture = Picture::new(info, samples, has_alpha).ok_or_else(unreadable)?;
                encode(&picture, *format, self.quality, part.file())?;
                Ok(part.finish(*if_exists)?)
            }
        }
    }
}

/// A picture as encoders take it.
struct Picture<'a> {
    /// Rows without padding, in the byte order of this machine.
    samples: Cow<'a, [u8]>,
    size: (u32, u32),
    color: ExtendedColorType,
}

impl<'a> Picture<'a> {
    /// The picture with the samples of a frame like `info`; `None` if no encoder takes its format.
    fn new(info: &VideoInfo, samples: Cow<'a, [u8]>, has_alpha: bool) -> Option<Self> {
        let (color, samples) = match (info.format(), has_alpha) {
            (VideoFormat::Gray8, _) => (ExtendedColorType::L8, samples),
            (VideoFormat::Rgb, _) => (ExtendedColorType::Rgb8, samples),
            (VideoFormat::Rgba, true) => (ExtendedColorType::Rgba8, samples),
            (VideoFormat::Rgba, false) => (ExtendedColorType::Rgb8, without_alpha(&samples, 1)),
            (VideoFormat::Gray16Le, _) => (ExtendedColorType::L16, native(samples)),
            (VideoFormat::Rgba64Le, true) => (ExtendedColorType::Rgba16, native(samples)),
            (VideoFormat::Rgba64Le, false) => {
                (ExtendedColorType::Rgb16, native(without_alpha(&samples, 2)))
            }
            _ => return None,
        };
        Some(Self { samples, size: (info.width(), info.height()), color })
    }

    fn write_with(&self, encoder: impl ImageEncoder) -> ImageResult<()> {
        encoder.write_image(&self.samples, self.size.0, self.size.1, self.color)
    }
}

/// R′G′B′ of R′G′B′A with this number of bytes per sample.
fn without_alpha(samples: &[u8], bytes: usize) -> Cow<'static, [u8]> {
    let pixels = samples.chunks_exact(4 * bytes);
    pixels.flat_map(|pixel| pixel.iter().take(3 * bytes)).copied().collect()
}

/// 16-bit samples in the byte order of this machine.
fn native(mut samples: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    if cfg!(target_endian = "big") {
        samples.to_mut().chunks_exact_mut(2).for_each(<[u8]>::reverse);
    }
    samples
}

fn encode(
    picture: &Picture<'_>,
    format: FrameFormat,
    quality: Option<u32>,
    file: &File,
) -> Result<(), Error> {
    let mut file = BufWriter::new(file);
    match format {
        FrameFormat::Y4m => {}
        FrameFormat::Png => picture.write_with(PngEncoder::new(&mut file))?,
        FrameFormat::Tiff => picture.write_with(TiffEncoder::new(&mut file))?,
        FrameFormat::Bmp => picture.write_with(BmpEncoder::new(&mut file))?,
        FrameFormat::Jpeg => {
            let quality = 100 - quality.unwrap_or(JPEG_QUALITY).min(99);
            let quality = u8::try_from(quality).unwrap_or(1);
            picture.write_with(JpegEncoder::new_with_quality(&mut file, quality))?;
        }
    }
    Ok(file.flush()?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn frame(format: VideoFormat) -> (VideoInfo, gst::Buffer) {
        gst::init().unwrap();
        let info = VideoInfo::builder(format, 6, 4).build().unwrap();
        let samples: Vec<u8> = (0..planes::size(&info) as u8).collect();
        let buffer = planes::to_buffer(&info, &samples).unwrap();
        (info, buffer)
    }

    #[test]
    fn pictures_keep_depth_and_alpha() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("picture");
        for (format, has_alpha, color) in [
            (VideoFormat::Gray8, false, image::ColorType::L8),
            (VideoFormat::Gray16Le, false, image::ColorType::L16),
            (VideoFormat::Rgb, false, image::ColorType::Rgb8),
            (VideoFormat::Rgba, true, image::ColorType::Rgba8),
            (VideoFormat::Rgba64Le, true, image::ColorType::Rgba16),
            (VideoFormat::Rgba64Le, false, image::ColorType::Rgb16),
        ] {
            let (info, buffer) = frame(format);
            for kind in [FrameFormat::Png, FrameFormat::Tiff] {
                let target = Target::File(File::create(&path).unwrap());
                FrameWriter::new(kind, target, None).write(&info, &buffer, has_alpha).unwrap();
                let reader = image::ImageReader::open(&path).unwrap();
                let found = reader.with_guessed_format().unwrap().decode().unwrap();
                assert_eq!(found.color(), color, "{format} {kind:?}");
                let bytes = found.as_bytes();
                assert_eq!(bytes[..2], [0, 1], "{format} {kind:?}");
            }
        }
    }

    #[test]
    fn a_second_frame_needs_a_sequence() {
        let folder = tempfile::tempdir().unwrap();
        let (info, buffer) = frame(VideoFormat::Rgb);
        let file = File::create(folder.path().join("one.png")).unwrap();
        let mut writer = FrameWriter::new(FrameFormat::Png, Target::File(file), None);
        writer.write(&info, &buffer, false).unwrap();
        assert!(matches!(writer.write(&info, &buffer, false), Err(Error::SecondFrame)));

        let pattern = Pattern::of(&folder.path().join("f%02d.png")).unwrap();
        let target = Target::Sequence { pattern, if_exists: IfExists::Fail };
        let mut writer = FrameWriter::new(FrameFormat::Png, target, None);
        for _ in 0..2 {
            writer.write(&info, &buffer, false).unwrap();
        }
        assert!(folder.path().join("f01.png").exists() && folder.path().join("f02.png").exists());
    }

    #[test]
    fn y4m_has_a_header_and_frames() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("film.y4m");
        let (info, buffer) = frame(VideoFormat::I42010le);
        let target = Target::File(File::create(&path).unwrap());
        let mut writer = FrameWriter::new(FrameFormat::Y4m, target, None);
        for _ in 0..3 {
            writer.write(&info, &buffer, false).unwrap();
        }
        let file = fs::read(&path).unwrap();
        let header = y4m::header(&info).len();
        assert_eq!(file.len(), header + 3 * (b"FRAME\n".len() + 2 * (6 * 4 + 2 * 3 * 2)));
    }
}
