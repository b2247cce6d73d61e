//! GStreamer's description of frames, and mapped frames, as the [`frame`](crate::frame) room
//! knows them.

use gst_video::{
    VideoChromaSite, VideoColorMatrix, VideoColorRange, VideoFrameExt, VideoFrameRef, VideoInfo,
};

use crate::frame::{
    ChromaSite, Colorimetry, FrameInfo, FrameMut, FrameRef, Matrix, PixelFormat, PlaneMut,
    PlaneRef, Range,
};

/// # Errors
/// A sentence, where such frames cannot be handled.
pub(super) fn frame_info(info: &VideoInfo) -> Result<FrameInfo, String> {
    let format = PixelFormat::from_name(info.format().to_str())
        .ok_or_else(|| format!("the format {} is not known here", info.format()))?;
    let frame = FrameInfo {
        format,
        width: info.width(),
        height: info.height(),
        colorimetry: colorimetry(info),
        chroma_site: chroma_site(info.chroma_site()),
    };
    frame.check().map_err(|error| error.to_string())?;
    Ok(frame)
}

fn colorimetry(info: &VideoInfo) -> Colorimetry {
    let matrix = match info.colorimetry().matrix() {
        VideoColorMatrix::Bt709 => Matrix::Bt709,
        VideoColorMatrix::Bt601 => Matrix::Bt601,
        VideoColorMatrix::Bt2020 => Matrix::Bt2020,
        VideoColorMatrix::Fcc => Matrix::Fcc,
        VideoColorMatrix::Smpte240m => Matrix::Smpte240m,
        // As GStreamer itself guesses.
        _ if info.height() > 576 => Matrix::Bt709,
        _ => Matrix::Bt601,
    };
    let range = match info.colorimetry().range() {
        VideoColorRange::Range0_255 => Range::Full,
        VideoColorRange::Range16_235 => Range::Limited,
        _ if info.is_yuv() => Range::Limited,
        _ => Range::Full,
    };
    Colorimetry { matrix, range }
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

/// A mapped input frame's planes, with the strides that the buffer has.
///
/// # Errors
/// A sentence, where the strides are none that can be handled.
pub(super) fn planes<'a>(
    frame: &'a VideoFrameRef<&'a gst::BufferRef>,
    info: FrameInfo,
) -> Result<FrameRef<'a>, String> {
    let strides = strides(frame)?;
    let planes = strides.into_iter().zip(frame.planes_data());
    let planes = planes.map(|(stride, data)| PlaneRef { data, stride }).collect();
    Ok(FrameRef { info, planes })
}

/// A mapped output frame's planes.
///
/// # Errors
/// See [`planes`].
pub(super) fn planes_mut<'a>(
    frame: &'a mut VideoFrameRef<&mut gst::BufferRef>,
    info: FrameInfo,
) -> Result<FrameMut<'a>, String> {
    let strides = strides(frame)?;
    let planes = strides.into_iter().zip(frame.planes_data_mut());
    let planes = planes.map(|(stride, data)| PlaneMut { data, stride }).collect();
    Ok(FrameMut { info, planes })
}

/// Bytes per row of each plane. Upside down frames have negative ones; and the bindings count
/// a plane's bytes in 32 bits.
fn strides(frame: &impl VideoFrameExt) -> Result<Vec<usize>, String> {
    (0..frame.n_planes())
        .map(|plane| {
            let stride = frame.plane_stride().get(plane as usize).copied().unwrap_or_default();
            let rows = frame.plane_height(plane);
            u32::try_from(stride)
                .ok()
                .filter(|stride| *stride > 0 && stride.checked_mul(rows).is_some())
                .map(|stride| stride as usize)
                .ok_or_else(|| format!("{rows} rows of {stride} bytes are not supported"))
        })
        .collect()
}
