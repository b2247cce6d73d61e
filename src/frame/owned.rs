//! Frames that own their memory.

use super::{Error, FrameInfo, FrameMut, FrameRef, PlaneMut, PlaneRef};

/// A frame that owns its planes, for applications and tests that have no buffers of their own.
///
/// ```
/// use gstupscale::frame::{FrameInfo, OwnedFrame, PixelFormat, Range};
///
/// let info = FrameInfo::bt709(PixelFormat::Nv12, 4, 2, Range::Limited);
/// let mut frame = OwnedFrame::new(info, 0)?;
/// frame.write().planes[0].data.fill(126);
/// assert_eq!(frame.read().row(0, 1), [126; 4]);
/// # Ok::<(), gstupscale::frame::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedFrame {
    info: FrameInfo,
    /// The bytes and the stride of each plane. All rows are complete.
    planes: Vec<(Vec<u8>, usize)>,
}

impl OwnedFrame {
    /// A frame of zero bytes, with `padding` bytes after each row except the last.
    ///
    /// # Errors
    /// [`Error::UnsupportedSize`].
    pub fn new(info: FrameInfo, padding: usize) -> Result<Self, Error> {
        info.check()?;
        let planes = (0..info.format.planes()).map(|plane| {
            let row = info.format.row_bytes(plane, info.width);
            let rows = info.format.rows(plane, info.height);
            let stride = row + padding;
            (vec![0; stride * (rows - 1) + row], stride)
        });
        Ok(Self { info, planes: planes.collect() })
    }

    /// Format, size and colour.
    #[must_use]
    pub fn info(&self) -> FrameInfo {
        self.info
    }

    /// The frame to read.
    #[must_use]
    pub fn read(&self) -> FrameRef<'_> {
        let planes = self.planes.iter();
        let planes = planes.map(|(data, stride)| PlaneRef { data, stride: *stride });
        FrameRef { info: self.info, planes: planes.collect() }
    }

    /// The frame to write.
    #[must_use]
    pub fn write(&mut self) -> FrameMut<'_> {
        let planes = self.planes.iter_mut();
        let planes = planes.map(|(data, stride)| PlaneMut { data, stride: *stride });
        FrameMut { info: self.info, planes: planes.collect() }
    }

    /// A plane to read; `None` if the format has fewer.
    #[must_use]
    pub fn plane(&self, index: usize) -> Option<PlaneRef<'_>> {
        let (data, stride) = self.planes.get(index)?;
        Some(PlaneRef { data, stride: *stride })
    }

    /// A plane to write; `None` if the format has fewer.
    #[must_use]
    pub fn plane_mut(&mut self, index: usize) -> Option<PlaneMut<'_>> {
        let (data, stride) = self.planes.get_mut(index)?;
        Some(PlaneMut { data, stride: *stride })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{PixelFormat, Range};

    #[test]
    fn every_format_and_odd_size_gives_complete_planes() {
        for &format in PixelFormat::ALL {
            for (width, height, padding) in [(1, 1, 0), (5, 3, 0), (5, 3, 7)] {
                let info = FrameInfo::bt709(format, width, height, Range::Limited);
                let mut frame = OwnedFrame::new(info, padding).unwrap();
                frame.read().check().unwrap();
                frame.write().check().unwrap();
                assert_eq!(frame.read().planes.len(), format.planes());
                assert!(frame.plane(format.planes()).is_none());
            }
        }
    }

    #[test]
    fn a_size_of_zero_is_an_error() {
        let info = FrameInfo::bt709(PixelFormat::Nv12, 0, 2, Range::Limited);
        assert!(matches!(OwnedFrame::new(info, 0), Err(Error::UnsupportedSize { .. })));
    }
}
