//! Brightness and saturation, in the depth of the frame.

use gst_video::{VideoColorMatrix, VideoColorPrimaries, VideoInfo};
use gstupscale::frame::Matrix;

use super::component::{Component, Frame};

/// What is changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grade {
    /// Added to the luma, −1 to 1.
    pub brightness: f64,
    /// Factor of the difference between colour and luma.
    pub saturation: f64,
}

impl Default for Grade {
    fn default() -> Self {
        Self { brightness: 0.0, saturation: 1.0 }
    }
}

impl Grade {
    /// Whether nothing is changed.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Changes a frame.
    pub fn apply(&self, info: &VideoInfo, frame: &mut Frame<'_>) {
        match Component::all(info)[..] {
            [red, green, blue] if info.is_rgb() => {
                self.apply_to_rgb([red, green, blue], weights(info), frame);
            }
            [luma, ref chroma @ ..] => {
                if self.brightness != 0.0 {
                    map(luma, frame, |code| {
                        (code + self.brightness as f32 * luma.scale as f32)
                            // Limited range: not darker than black.
                            .clamp(luma.code(0.0), luma.code(1.0))
                    });
                }
                for &chroma in chroma {
                    let zero = chroma.zero as f32;
                    if self.saturation != 1.0 {
                        map(chroma, frame, |code| zero + (code - zero) * self.saturation as f32);
                    }
                }
            }
            [] => {}
        }
    }

    fn apply_to_rgb(&self, rgb: [Component; 3], weights: [f32; 3], frame: &mut Frame<'_>) {
        let (added, factor) =
            (self.brightness as f32 * rgb[0].scale as f32, self.saturation as f32);
        for row in 0..rgb[0].height {
            let codes = rgb.map(|component| component.row(frame, row));
            let lumas: Vec<f32> = (0..rgb[0].width)
                .map(|x| {
                    let code = |codes: &Vec<u16>| codes.get(x).map_or(0.0, |code| f32::from(*code));
                    codes.iter().zip(weights).map(|(codes, weight)| code(codes) * weight).sum()
                })
                .collect();
            for component in rgb {
                component.change(frame, row, 0..component.width, |codes| {
                    for (code, luma) in codes.iter_mut().zip(&lumas) {
                        let value = luma + (f32::from(*code) - luma) * factor + added;
                        *code = component.nearest(value);
                    }
                });
            }
        }
    }
}

/// Replaces every code of a component.
fn map(component: Component, frame: &mut Frame<'_>, change: impl Fn(f32) -> f32) {
    let changed = |code: u16| component.nearest(change(f32::from(code)));
    let table: Vec<u16> = (0..=component.max()).map(changed).collect();
    for row in 0..component.height {
        component.change(frame, row, 0..component.width, |codes| {
            for code in codes {
                *code = table.get(usize::from(*code)).copied().unwrap_or(*code);
            }
        });
    }
}

/// The weights of red, green and blue in luma.
pub fn weights(info: &VideoInfo) -> [f32; 3] {
    let colorimetry = info.colorimetry();
    let matrix = match colorimetry.matrix() {
        VideoColorMatrix::Bt601 => Matrix::Bt601,
        VideoColorMatrix::Fcc => Matrix::Fcc,
        VideoColorMatrix::Smpte240m => Matrix::Smpte240m,
        VideoColorMatrix::Bt2020 => Matrix::Bt2020,
        _ if colorimetry.primaries() == VideoColorPrimaries::Bt2020 => Matrix::Bt2020,
        _ => Matrix::Bt709,
    };
    let (red, blue) = matrix.weights();
    [red, 1.0 - red - blue, blue].map(|weight| weight as f32)
}

#[cfg(test)]
mod tests {
    use gst_video::{VideoFormat, VideoFrameRef};

    use super::*;

    /// The codes of the pixels of a frame with this code in each component, after a change.
    fn graded(format: VideoFormat, colorimetry: &str, codes: [u16; 3], grade: Grade) -> Vec<u16> {
        gst::init().unwrap();
        let info = VideoInfo::builder(format, 6, 4);
        let colorimetry = colorimetry.parse().unwrap();
        let info = info.colorimetry(&colorimetry).build().unwrap();
        let mut buffer = gst::Buffer::with_size(info.size()).unwrap();
        let buffer = buffer.get_mut().unwrap();
        let mut frame = VideoFrameRef::from_buffer_ref_writable(buffer, &info).unwrap();
        let components = Component::all(&info);
        for (component, code) in components.iter().zip(codes) {
            for row in 0..component.height {
                component.change(&mut frame, row, 0..component.width, |row| row.fill(code));
            }
        }
        grade.apply(&info, &mut frame);
        let rows = |it: &Component| {
            let rows: Vec<_> = (0..it.height).map(|row| it.row(&mut frame, row)).collect();
            assert!(rows.concat().iter().all(|code| *code == rows[0][0]), "{format:?}");
            assert_eq!(rows.concat().len(), it.width * it.height);
            rows[0][0]
        };
        components.iter().map(rows).collect()
    }

    const MORE: Grade = Grade { brightness: 0.1, saturation: 1.5 };

    #[test]
    fn brightness_and_saturation_keep_the_depth() {
        use VideoFormat as Format;
        let limited = "bt709";
        assert_eq!(graded(Format::I420, limited, [100, 120, 138], MORE), [122, 116, 143]);
        assert_eq!(graded(Format::Nv12, limited, [100, 120, 138], MORE), [122, 116, 143]);
        // One code of ten bits is not lost.
        assert_eq!(graded(Format::I42010le, limited, [401, 481, 553], MORE), [489, 466, 574]);
        assert_eq!(graded(Format::P01010le, limited, [401, 481, 553], MORE), [489, 466, 574]);
        assert_eq!(graded(Format::Gray16Le, "1:4:7:1", [1001, 0, 0], MORE), [7555]);
        let full = "1:4:7:1";
        assert_eq!(graded(Format::Y444, full, [100, 120, 138], MORE), [126, 116, 143]);
    }

    #[test]
    fn colours_turn_grey_without_a_change_of_their_luma() {
        let grey = Grade { brightness: 0.0, saturation: 0.0 };
        for format in [VideoFormat::Rgb, VideoFormat::Bgra, VideoFormat::Gbr] {
            assert_eq!(graded(format, "sRGB", [200, 100, 50], grey), [118; 3], "{format:?}");
        }
        let deep = graded(VideoFormat::Argb64, "sRGB", [40_000, 20_000, 10_000], grey);
        assert_eq!(deep, [23_530; 3]);
        assert_eq!(graded(VideoFormat::I420, "bt709", [90, 60, 200], grey), [90, 128, 128]);
    }

    #[test]
    fn brightness_ends_at_black_and_white() {
        let dark = Grade { brightness: -1.0, saturation: 1.0 };
        assert_eq!(graded(VideoFormat::I420, "bt709", [200, 60, 200], dark), [16, 60, 200]);
        let light = Grade { brightness: 1.0, saturation: 1.0 };
        assert_eq!(graded(VideoFormat::Rgb, "sRGB", [200, 60, 20], light), [255; 3]);
    }
}
