//! Frames of generated pictures, for the checks and the measurements.

use gstupscale::frame::{
    self, BypassPlanes, Channels, FrameInfo, Image, OwnedFrame, Packer, PixelFormat, PlacedImage,
    Range,
};

use crate::test_pictures;

/// The description of frames of `width`×`height` luma pixels in BT.709, limited range.
pub fn info(format: PixelFormat, width: u32, height: u32) -> FrameInfo {
    FrameInfo::bt709(format, width, height, Range::Limited)
}

/// Packs an R′G′B′ picture of the frame's size. Alpha, if the format has it, is noise.
///
/// # Errors
/// [`frame::Error`] for an unsupported size.
pub fn from_picture(info: FrameInfo, picture: &Image) -> Result<OwnedFrame, frame::Error> {
    let packer = Packer::new(info, Channels::Rgb)?;
    let alpha = |bypass: &BypassPlanes| {
        let (width, height) = (bypass.grid.width(), bypass.grid.height());
        test_pictures::noise(bypass.channels(), width as usize, height as usize, 7)
    };
    let bypass_planes: Vec<_> = packer.bypass_planes().iter().map(alpha).collect();
    let bypass_planes: Vec<_> = bypass_planes.iter().map(PlacedImage::whole).collect();
    let mut frame = OwnedFrame::new(info, 0)?;
    let (picture, rect) = (PlacedImage::whole(picture), info.grid().rect());
    packer.pack(picture, &bypass_planes, rect, &mut frame.write().whole())?;
    Ok(frame)
}

/// The code values of all samples, plane by plane, and of unused bytes between them.
pub fn codes(frame: &OwnedFrame) -> impl Iterator<Item = u32> + '_ {
    let layout = frame.info().format.layout();
    let (bytes, low) = (layout.bytes().max(1), layout.low_bits);
    frame.read().planes.into_iter().flat_map(move |plane| {
        plane.data.chunks(bytes).map(move |sample| {
            let code = sample.iter().rev().fold(0, |code, byte| code << 8 | u32::from(*byte));
            code >> low
        })
    })
}
