//! The supported pixel formats and how their samples lie in memory.

use std::fmt;

/// The colour model of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Y′, Cb, Cr and, in some formats, alpha.
    Yuv,
    /// R′, G′, B′ and, in some formats, alpha.
    Rgb,
    /// Y′ only.
    Gray,
}

/// Where the samples of one component lie within a plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Component {
    /// Index of the plane.
    pub plane: usize,
    /// Samples of other components at the start of a row.
    pub offset: usize,
    /// Distance between two samples of this component, in samples.
    pub step: usize,
}

/// How the samples of a format lie in memory. Samples of two bytes are little endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FormatLayout {
    /// The colour model.
    pub family: Family,
    /// Bits per code value, 8 to 16.
    pub bits: u32,
    /// Unused low bits of a sample: P010, for example, stores the code value in the high bits.
    pub low_bits: u32,
    /// log₂ of the numbers of luma columns and rows that share a chroma sample.
    pub subsampling: [u8; 2],
    /// The components in the order that [`Family`] lists.
    pub components: &'static [Component],
}

const fn at(plane: usize, offset: usize, step: usize) -> Component {
    Component { plane, offset, step }
}

const fn yuv(bits: u32, subsampling: [u8; 2], components: &'static [Component]) -> FormatLayout {
    FormatLayout { family: Family::Yuv, bits, low_bits: 0, subsampling, components }
}

/// A layout with the code value in the high bits of 16.
const fn high(bits: u32, subsampling: [u8; 2], components: &'static [Component]) -> FormatLayout {
    FormatLayout { low_bits: 16 - bits, ..yuv(bits, subsampling, components) }
}

const fn rgb(bits: u32, components: &'static [Component]) -> FormatLayout {
    FormatLayout { family: Family::Rgb, bits, low_bits: 0, subsampling: [0, 0], components }
}

const fn gray(bits: u32) -> FormatLayout {
    FormatLayout { family: Family::Gray, bits, low_bits: 0, subsampling: [0, 0], components: ALONE }
}

const HALF: [u8; 2] = [1, 1];
const HALF_WIDTH: [u8; 2] = [1, 0];
const WHOLE: [u8; 2] = [0, 0];

const ALONE: &[Component] = &[at(0, 0, 1)];
const PLANES: &[Component] = &[at(0, 0, 1), at(1, 0, 1), at(2, 0, 1)];
const PLANES_YVU: &[Component] = &[at(0, 0, 1), at(2, 0, 1), at(1, 0, 1)];
const PLANES_YUVA: &[Component] = &[at(0, 0, 1), at(1, 0, 1), at(2, 0, 1), at(3, 0, 1)];
const PLANES_GBR: &[Component] = &[at(2, 0, 1), at(0, 0, 1), at(1, 0, 1)];
const PLANES_GBRA: &[Component] = &[at(2, 0, 1), at(0, 0, 1), at(1, 0, 1), at(3, 0, 1)];
const PAIRS_UV: &[Component] = &[at(0, 0, 1), at(1, 0, 2), at(1, 1, 2)];
const PAIRS_VU: &[Component] = &[at(0, 0, 1), at(1, 1, 2), at(1, 0, 2)];
const PACKED_RGB: &[Component] = &[at(0, 0, 3), at(0, 1, 3), at(0, 2, 3)];
const PACKED_BGR: &[Component] = &[at(0, 2, 3), at(0, 1, 3), at(0, 0, 3)];
const PACKED_RGBX: &[Component] = &[at(0, 0, 4), at(0, 1, 4), at(0, 2, 4)];
const PACKED_BGRX: &[Component] = &[at(0, 2, 4), at(0, 1, 4), at(0, 0, 4)];
const PACKED_XRGB: &[Component] = &[at(0, 1, 4), at(0, 2, 4), at(0, 3, 4)];
const PACKED_XBGR: &[Component] = &[at(0, 3, 4), at(0, 2, 4), at(0, 1, 4)];
const PACKED_RGBA: &[Component] = &[at(0, 0, 4), at(0, 1, 4), at(0, 2, 4), at(0, 3, 4)];
const PACKED_BGRA: &[Component] = &[at(0, 2, 4), at(0, 1, 4), at(0, 0, 4), at(0, 3, 4)];
const PACKED_ARGB: &[Component] = &[at(0, 1, 4), at(0, 2, 4), at(0, 3, 4), at(0, 0, 4)];
const PACKED_ABGR: &[Component] = &[at(0, 3, 4), at(0, 2, 4), at(0, 1, 4), at(0, 0, 4)];

macro_rules! formats {
    ($($variant:ident $name:literal $layout:expr;)*) => {
        /// A pixel format, with the name and the layout that GStreamer 1.22 gives it
        /// (`GstVideoFormat`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum PixelFormat {
            $(#[doc = concat!("GStreamer's `", $name, "`.")] $variant,)*
        }

        impl PixelFormat {
            /// Every format, in the order in which the element's caps list them.
            pub const ALL: &'static [PixelFormat] = &[$(PixelFormat::$variant),*];

            /// GStreamer's name of the format, as in caps.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(PixelFormat::$variant => $name,)*
                }
            }

            /// How the samples lie in memory.
            #[must_use]
            pub const fn layout(self) -> &'static FormatLayout {
                match self {
                    $(PixelFormat::$variant => const { &$layout },)*
                }
            }
        }
    };
}

formats! {
    I420 "I420" yuv(8, HALF, PLANES);
    Yv12 "YV12" yuv(8, HALF, PLANES_YVU);
    Nv12 "NV12" yuv(8, HALF, PAIRS_UV);
    Nv21 "NV21" yuv(8, HALF, PAIRS_VU);
    Y42b "Y42B" yuv(8, HALF_WIDTH, PLANES);
    Y444 "Y444" yuv(8, WHOLE, PLANES);
    A420 "A420" yuv(8, HALF, PLANES_YUVA);
    I420_10le "I420_10LE" yuv(10, HALF, PLANES);
    I422_10le "I422_10LE" yuv(10, HALF_WIDTH, PLANES);
    Y444_10le "Y444_10LE" yuv(10, WHOLE, PLANES);
    A420_10le "A420_10LE" yuv(10, HALF, PLANES_YUVA);
    A422_10le "A422_10LE" yuv(10, HALF_WIDTH, PLANES_YUVA);
    A444_10le "A444_10LE" yuv(10, WHOLE, PLANES_YUVA);
    P010_10le "P010_10LE" high(10, HALF, PAIRS_UV);
    I420_12le "I420_12LE" yuv(12, HALF, PLANES);
    I422_12le "I422_12LE" yuv(12, HALF_WIDTH, PLANES);
    Y444_12le "Y444_12LE" yuv(12, WHOLE, PLANES);
    P012Le "P012_LE" high(12, HALF, PAIRS_UV);
    P016Le "P016_LE" high(16, HALF, PAIRS_UV);
    Y444_16le "Y444_16LE" yuv(16, WHOLE, PLANES);
    Rgb "RGB" rgb(8, PACKED_RGB);
    Bgr "BGR" rgb(8, PACKED_BGR);
    Rgbx "RGBx" rgb(8, PACKED_RGBX);
    Bgrx "BGRx" rgb(8, PACKED_BGRX);
    Xrgb "xRGB" rgb(8, PACKED_XRGB);
    Xbgr "xBGR" rgb(8, PACKED_XBGR);
    Rgba "RGBA" rgb(8, PACKED_RGBA);
    Bgra "BGRA" rgb(8, PACKED_BGRA);
    Argb "ARGB" rgb(8, PACKED_ARGB);
    Abgr "ABGR" rgb(8, PACKED_ABGR);
    Rgbp "RGBP" rgb(8, PLANES);
    Gbr "GBR" rgb(8, PLANES_GBR);
    Gbra "GBRA" rgb(8, PLANES_GBRA);
    Gbr10le "GBR_10LE" rgb(10, PLANES_GBR);
    Gbra10le "GBRA_10LE" rgb(10, PLANES_GBRA);
    Gbr12le "GBR_12LE" rgb(12, PLANES_GBR);
    Gbra12le "GBRA_12LE" rgb(12, PLANES_GBRA);
    Rgba64le "RGBA64_LE" rgb(16, PACKED_RGBA);
    Bgra64le "BGRA64_LE" rgb(16, PACKED_BGRA);
    Argb64le "ARGB64_LE" rgb(16, PACKED_ARGB);
    Abgr64le "ABGR64_LE" rgb(16, PACKED_ABGR);
    Gray8 "GRAY8" gray(8);
    Gray16le "GRAY16_LE" gray(16);
}

impl PixelFormat {
    /// The format with this GStreamer name, if it is supported.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|format| format.name() == name)
    }

    /// Whether the format has an alpha component.
    #[must_use]
    pub const fn has_alpha(self) -> bool {
        self.layout().components.len() == 4
    }

    /// Number of planes, 1 to 4.
    #[must_use]
    pub fn planes(self) -> usize {
        let components = self.layout().components.iter();
        components.map(|component| component.plane + 1).max().unwrap_or(0)
    }

    /// Bytes of a row of `plane` in a frame of `width` luma pixels, without padding; 0 if the
    /// plane does not exist.
    #[must_use]
    pub fn row_bytes(self, plane: usize, width: u32) -> usize {
        let layout = self.layout();
        let components = layout.components.iter().enumerate();
        let on_plane = components.filter(|(_, component)| component.plane == plane);
        let samples = on_plane.map(|(index, component)| {
            width.div_ceil(1 << layout.subsampling_of(index)[0]) as usize * component.step
        });
        samples.max().unwrap_or(0) * layout.bytes()
    }

    /// Rows of `plane` in a frame of `height` luma pixels.
    #[must_use]
    pub fn rows(self, plane: usize, height: u32) -> usize {
        height.div_ceil(1 << self.plane_subsampling(plane)[1]) as usize
    }

    /// log₂ of the numbers of luma columns and rows that share a sample of `plane`.
    #[must_use]
    pub fn plane_subsampling(self, plane: usize) -> [u8; 2] {
        let layout = self.layout();
        let index = layout.components.iter().position(|component| component.plane == plane);
        index.map_or(WHOLE, |index| layout.subsampling_of(index))
    }
}

impl FormatLayout {
    /// Bytes per sample, 1 or 2.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        if self.bits > 8 { 2 } else { 1 }
    }

    /// log₂ of the numbers of luma columns and rows that share a sample of `component`.
    #[must_use]
    pub const fn subsampling_of(&self, component: usize) -> [u8; 2] {
        match component {
            1 | 2 => self.subsampling,
            _ => WHOLE,
        }
    }
}

impl fmt::Display for PixelFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_equal_those_of_gstreamer() {
        gst::init().unwrap();
        for &format in PixelFormat::ALL {
            let theirs = gst_video::VideoFormat::from_string(format.name());
            let theirs = gst_video::VideoFormatInfo::from_format(theirs);
            let layout = format.layout();
            assert_eq!(theirs.name(), format.name());
            assert_eq!(theirs.n_planes() as usize, format.planes(), "{format}");
            assert_eq!(theirs.n_components() as usize, layout.components.len(), "{format}");
            assert_eq!(theirs.has_alpha(), format.has_alpha(), "{format}");
            assert_eq!(theirs.is_yuv(), layout.family == Family::Yuv, "{format}");
            assert_eq!(theirs.is_rgb(), layout.family == Family::Rgb, "{format}");
            assert_eq!(theirs.is_gray(), layout.family == Family::Gray, "{format}");
            for (index, component) in layout.components.iter().enumerate() {
                assert_eq!(theirs.plane()[index] as usize, component.plane, "{format}");
                assert_eq!(theirs.depth()[index], layout.bits, "{format}");
                assert_eq!(theirs.shift()[index], layout.low_bits, "{format}");
                let bytes = layout.bytes();
                // GStreamer 1.22 declares Cr of P010, P012 and P016 at byte 1, but reads byte 2.
                if format.planes() != 2 || bytes == 1 {
                    let offset = component.offset * bytes;
                    assert_eq!(theirs.poffset()[index] as usize, offset, "{format}");
                }
                assert_eq!(theirs.pixel_stride()[index] as usize, component.step * bytes);
                let [w, h] = layout.subsampling_of(index);
                assert_eq!(theirs.w_sub()[index], u32::from(w), "{format}");
                assert_eq!(theirs.h_sub()[index], u32::from(h), "{format}");
            }
        }
    }

    #[test]
    fn chroma_sizes_of_odd_frames_are_rounded_up() {
        assert_eq!(PixelFormat::I420.row_bytes(1, 5), 3);
        assert_eq!(PixelFormat::Nv12.row_bytes(1, 5), 6);
        assert_eq!(PixelFormat::P010_10le.row_bytes(1, 5), 12);
        assert_eq!(PixelFormat::Nv12.rows(1, 3), 2);
        assert_eq!(PixelFormat::Y42b.rows(1, 3), 3);
        assert_eq!(PixelFormat::Rgb.row_bytes(0, 5), 15);
        assert_eq!(PixelFormat::Argb64le.row_bytes(0, 5), 40);
    }
}
