//! Writes frames without an encoder of GStreamer: as pictures or as Y4M.

use std::{
    fs::File,
    io::{self, BufWriter, Write as _},
};

use gst_video::{VideoFormat, VideoInfo};
use image::{
    DynamicImage, ImageBuffer, ImageError,
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
        let frame = || Error::Frame(info.format());
        let samples = planes::from_buffer(info, buffer).ok_or_else(frame)?;
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
                let picture = picture(info, samples, has_alpha).ok_or_else(frame)?;
                encode(&picture, *format, self.quality, file)
            }
            Target::Sequence { pattern, if_exists } => {
                let part = PartFile::create(&pattern.path(*count))?;
                let picture = picture(info, samples, has_alpha).ok_or_else(frame)?;
                encode(&picture, *format, self.quality, part.file())?;
                Ok(part.finish(*if_exists)?)
            }
        }
    }
}

/// The picture that the frame is.
fn picture(info: &VideoInfo, samples: Vec<u8>, has_alpha: bool) -> Option<DynamicImage> {
    let (width, height) = (info.width(), info.height());
    let picture = match info.format() {
        VideoFormat::Gray8 => {
            DynamicImage::ImageLuma8(ImageBuffer::from_raw(width, height, samples)?)
        }
        VideoFormat::Rgb => DynamicImage::ImageRgb8(ImageBuffer::from_raw(width, height, samples)?),
        VideoFormat::Rgba => {
            DynamicImage::ImageRgba8(ImageBuffer::from_raw(width, height, samples)?)
        }
        VideoFormat::Gray16Le => {
            DynamicImage::ImageLuma16(ImageBuffer::from_raw(width, height, words(&samples))?)
        }
        VideoFormat::Rgba64Le => {
            DynamicImage::ImageRgba16(ImageBuffer::from_raw(width, height, words(&samples))?)
        }
        _ => return None,
    };
    Some(match picture {
        DynamicImage::ImageRgba8(_) if !has_alpha => picture.into_rgb8().into(),
        DynamicImage::ImageRgba16(_) if !has_alpha => picture.into_rgb16().into(),
        picture => picture,
    })
}

fn words(bytes: &[u8]) -> Vec<u16> {
    let words = bytes.chunks_exact(2);
    words.filter_map(|word| Some(u16::from_le_bytes(word.try_into().ok()?))).collect()
}

fn encode(
    picture: &DynamicImage,
    format: FrameFormat,
    quality: Option<u32>,
    file: &File,
) -> Result<(), Error> {
    let mut file = BufWriter::new(file);
    match format {
        FrameFormat::Y4m => {}
        FrameFormat::Png => picture.write_with_encoder(PngEncoder::new(&mut file))?,
        FrameFormat::Tiff => picture.write_with_encoder(TiffEncoder::new(&mut file))?,
        FrameFormat::Bmp => picture.write_with_encoder(BmpEncoder::new(&mut file))?,
        FrameFormat::Jpeg => {
            let quality = 100 - quality.unwrap_or(JPEG_QUALITY).min(99);
            let quality = u8::try_from(quality).unwrap_or(1);
            picture.write_with_encoder(JpegEncoder::new_with_quality(&mut file, quality))?;
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
