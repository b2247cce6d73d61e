//! Colorimetry, chroma site (with defaults) and planes of GStreamer's frames as types of
//! [`frame`].

use gst_video::{
    VideoChromaSite, VideoColorMatrix, VideoColorRange, VideoFormat, VideoFrameExt, VideoFrameRef,
    VideoInfo, VideoTransferFunction,
};

use crate::frame::{
    self, ChromaSite, Colorimetry, FrameInfo, FrameMut, FrameRef, Matrix, PixelFormat, PlaneMut,
    PlaneRef, Range, Transfer,
};

/// Why frames of some caps, or the memory of a frame, are not supported.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    #[error("{error} ({caps})")]
    Caps { caps: String, error: glib::BoolError },
    #[error("the colour matrix \"identity\" is supported only in RGB formats, such as GBR ({0})")]
    IdentityMatrix(String),
    #[error("pixel format {0} is not supported")]
    UnknownFormat(VideoFormat),
    #[error(transparent)]
    Frame(#[from] frame::Error),
    #[error("pixel format {from} cannot be converted to {to}")]
    FormatChange { from: PixelFormat, to: PixelFormat },
    #[error("a frame of {0} bytes is too large for a buffer pool, which holds 4 GiB at most")]
    TooManyBytes(usize),
    #[error("the buffer cannot be mapped: {0}")]
    Map(glib::BoolError),
    #[error("{rows} rows of {stride} bytes are not supported")]
    Stride { rows: u32, stride: i32 },
}

/// The frames that `info` describes.
///
/// # Errors
/// Returns why such frames are not supported.
pub(super) fn frame_info(info: &VideoInfo) -> Result<FrameInfo, FrameError> {
    let format = PixelFormat::from_name(info.format().to_str())
        .ok_or(FrameError::UnknownFormat(info.format()))?;
    let frame = FrameInfo {
        format,
        width: info.width(),
        height: info.height(),
        colorimetry: colorimetry(info),
        chroma_site: chroma_site(info.chroma_site()),
    };
    frame.check()?;
    Ok(frame)
}

fn colorimetry(info: &VideoInfo) -> Colorimetry {
    let matrix = match info.colorimetry().matrix() {
        VideoColorMatrix::Bt709 => Matrix::Bt709,
        VideoColorMatrix::Bt601 => Matrix::Bt601,
        VideoColorMatrix::Bt2020 => Matrix::Bt2020,
        VideoColorMatrix::Fcc => Matrix::Fcc,
        VideoColorMatrix::Smpte240m => Matrix::Smpte240m,
        // GStreamer makes the same guess.
        _ if info.height() > 576 => Matrix::Bt709,
        _ => Matrix::Bt601,
    };
    let range = match info.colorimetry().range() {
        VideoColorRange::Range0_255 => Range::Full,
        VideoColorRange::Range16_235 => Range::Limited,
        _ if info.is_yuv() => Range::Limited,
        _ => Range::Full,
    };
    let transfer = match info.colorimetry().transfer() {
        VideoTransferFunction::Smpte2084 => Transfer::Pq,
        VideoTransferFunction::AribStdB67 => Transfer::Hlg,
        _ => Transfer::Gamma,
    };
    Colorimetry { matrix, range, transfer }
}

fn chroma_site(site: VideoChromaSite) -> ChromaSite {
    if site.is_empty() {
        return ChromaSite::LEFT;
    }
    ChromaSite {
        cosited_horizontally: site.contains(VideoChromaSite::H_COSITED),
        cosited_vertically: site.contains(VideoChromaSite::V_COSITED),
    }
}

/// The planes of a mapped input frame, with the strides of its buffer.
///
/// # Errors
/// Returns [`FrameError::Stride`] if a stride is not supported.
pub(super) fn planes<'a>(
    frame: &'a VideoFrameRef<&'a gst::BufferRef>,
    info: FrameInfo,
) -> Result<FrameRef<'a>, FrameError> {
    let strides = strides(frame)?;
    let planes = strides.into_iter().zip(frame.planes_data());
    let planes = planes.map(|(stride, data)| PlaneRef { data, stride }).collect();
    Ok(FrameRef { info, planes })
}

/// The planes of a mapped output frame, with the strides of its buffer.
///
/// # Errors
/// Returns [`FrameError::Stride`] if a stride is not supported.
pub(super) fn planes_mut<'a>(
    frame: &'a mut VideoFrameRef<&mut gst::BufferRef>,
    info: FrameInfo,
) -> Result<FrameMut<'a>, FrameError> {
    let strides = strides(frame)?;
    let planes = strides.into_iter().zip(frame.planes_data_mut());
    let planes = planes.map(|(stride, data)| PlaneMut { data, stride }).collect();
    Ok(FrameMut { info, planes })
}

/// The stride of each plane in bytes. Negative strides, of frames stored bottom up, are not
/// supported, nor planes of 4 GiB or more, because the bindings count the bytes in 32 bits.
fn strides(frame: &impl VideoFrameExt) -> Result<Vec<usize>, FrameError> {
    (0..frame.n_planes())
        .map(|plane| {
            let stride = frame.plane_stride().get(plane as usize).copied().unwrap_or_default();
            let rows = frame.plane_height(plane);
            u32::try_from(stride)
                .ok()
                .filter(|stride| *stride > 0 && stride.checked_mul(rows).is_some())
                .map(|stride| stride as usize)
                .ok_or(FrameError::Stride { rows, stride })
        })
        .collect()
}
