//! A frame that owns its planes.

use gstupscale::frame::{
    self, BypassPlanes, Channels, ChromaSite, Colorimetry, FrameInfo, FrameMut, FrameRef, Image,
    Matrix, Packer, PixelFormat, PlacedImage, PlaneMut, PlaneRef, Range,
};

use crate::test_pictures;

/// A frame's description with the usual colorimetry: BT.709 in limited range, chroma sited left.
pub fn info(format: PixelFormat, width: u32, height: u32) -> FrameInfo {
    FrameInfo {
        format,
        width,
        height,
        colorimetry: Colorimetry { matrix: Matrix::Bt709, range: Range::Limited },
        chroma_site: ChromaSite::LEFT,
    }
}

/// The bytes of a plane, without padding between its rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Plane {
    pub data: Vec<u8>,
    /// Bytes per row, at least 1.
    pub stride: usize,
}

/// A frame that owns its planes.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    info: FrameInfo,
    planes: Vec<Plane>,
}

impl Frame {
    /// A frame of zero bytes.
    pub fn new(info: FrameInfo) -> Self {
        let planes = (0..info.format.planes()).map(|plane| {
            let stride = info.format.row_bytes(plane, info.width).max(1);
            Plane { data: vec![0; stride * info.format.rows(plane, info.height)], stride }
        });
        Self { info, planes: planes.collect() }
    }

    /// Packs an R′G′B′ picture of the frame's size. Alpha, if the format has it, is noise.
    ///
    /// # Errors
    /// [`frame::Error`] for an unsupported size.
    pub fn from_picture(info: FrameInfo, picture: &Image) -> Result<Self, frame::Error> {
        let packer = Packer::new(info, Channels::Rgb)?;
        let alpha = |bypass: &BypassPlanes| {
            let (width, height) = (bypass.grid.width(), bypass.grid.height());
            test_pictures::noise(bypass.channels(), width as usize, height as usize, 7)
        };
        let bypass_planes: Vec<_> = packer.bypass_planes().iter().map(alpha).collect();
        let bypass_planes: Vec<_> = bypass_planes.iter().map(PlacedImage::whole).collect();
        let mut frame = Self::new(info);
        let rect = info.grid().rect();
        packer.pack(
            PlacedImage::whole(picture),
            &bypass_planes,
            rect,
            &mut frame.write()?.whole(),
        )?;
        Ok(frame)
    }

    /// A view for reading.
    ///
    /// # Errors
    /// As [`FrameRef::new`].
    pub fn read(&self) -> Result<FrameRef<'_>, frame::Error> {
        let planes = self.planes.iter();
        let planes = planes.map(|Plane { data, stride }| PlaneRef { data, stride: *stride });
        FrameRef::new(self.info, planes.collect())
    }

    /// A view for writing.
    ///
    /// # Errors
    /// As [`FrameMut::new`].
    pub fn write(&mut self) -> Result<FrameMut<'_>, frame::Error> {
        let planes = self.planes.iter_mut();
        let planes = planes.map(|Plane { data, stride }| PlaneMut { data, stride: *stride });
        FrameMut::new(self.info, planes.collect())
    }

    /// The rows of a plane, from the top.
    pub fn rows_mut(&mut self, plane: usize) -> impl Iterator<Item = &mut [u8]> {
        let plane = self.planes.get_mut(plane);
        plane.into_iter().flat_map(|Plane { data, stride }| data.chunks_mut(*stride))
    }

    /// The code values of all samples, plane by plane, and of unused bytes between them.
    pub fn codes(&self) -> impl Iterator<Item = u32> + '_ {
        let layout = self.info.format.layout();
        let (bytes, low) = (layout.bytes().max(1), layout.low_bits);
        self.planes.iter().flat_map(move |plane| {
            plane.data.chunks(bytes).map(move |sample| {
                let code = sample.iter().rev().fold(0, |code, byte| code << 8 | u32::from(*byte));
                code >> low
            })
        })
    }

    /// The planes in the format's order.
    pub fn planes(&self) -> &[Plane] {
        &self.planes
    }
}
