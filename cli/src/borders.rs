//! Black borders of a film, found in the pass that decodes it once.

use std::fmt;

use gst_video::{VideoFrameExt as _, VideoFrameRef};
use serde::{Deserialize, Serialize};

/// Black rows and columns at each side of all frames, in pixels. Even, because samples of chroma are
/// shared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Borders {
    pub left: u32,
    pub top: u32,
    pub right: u32,
    pub bottom: u32,
}

impl Borders {
    /// Whether there are none.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The element that removes them, in the syntax of `gst-launch-1.0`, followed by `!`. Empty if there
    /// are none.
    pub fn element(&self) -> String {
        let Self { left, top, right, bottom } = self;
        match self.is_none() {
            true => String::new(),
            false => format!("videocrop left={left} top={top} right={right} bottom={bottom} !"),
        }
    }
}

impl fmt::Display for Borders {
    /// Where they are, for the user.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { left, top, right, bottom } = self;
        write!(
            f,
            "black borders ({left} pixels on the left, {right} on the right, {top} at the top, {bottom} \
             at the bottom)"
        )
    }
}

/// Samples of a row or column up to this value are black: limited range, with noise.
const BLACK: u8 = 28;
/// Samples above it are part of the picture, for example of a subtitle, however few they are.
const BRIGHT: u8 = 64;
/// One in so many samples of a row or column is above [`BLACK`] in a picture. The ringing that encoders
/// leave beside the edge of a picture covers less.
const SHARE: usize = 4;
/// The picture without borders has at least this share of the frame's width and height.
const SMALLEST: u32 = 4;

/// The part of the frames that has not been black in all of them.
#[derive(Debug, Default)]
pub struct BorderFinder {
    size: Option<(u32, u32)>,
    /// Columns and rows. Empty before the first frame that is not black.
    seen: Option<[std::ops::Range<u32>; 2]>,
    /// The frames have several sizes, or no luma.
    is_unknown: bool,
}

impl BorderFinder {
    /// Looks at the next frame. `luma` gives its samples by column and row, in 8-bit steps.
    pub fn observe(
        &mut self,
        frame: &VideoFrameRef<&gst::BufferRef>,
        luma: impl Fn(usize, usize) -> u8,
    ) {
        let (width, height) = (frame.width(), frame.height());
        let info = frame.format_info();
        self.is_unknown |= *self.size.get_or_insert((width, height)) != (width, height)
            || !(info.is_yuv() || info.is_gray());
        if self.is_unknown {
            return;
        }
        let [columns, rows] = self.seen.clone().unwrap_or([width..0, height..0]);
        let row = |y: u32| is_picture((0..width).map(|x| luma(x as usize, y as usize)));
        let column = |x: u32| is_picture((0..height).map(|y| luma(x as usize, y as usize)));
        let rows = grown(rows, height, row);
        if rows.is_empty() {
            return;
        }
        self.seen = Some([grown(columns, width, column), rows]);
    }

    /// The borders of all frames.
    pub fn borders(&self) -> Borders {
        let (Some((width, height)), Some([columns, rows])) = (self.size, &self.seen) else {
            return Borders::default();
        };
        let is_small = |range: &std::ops::Range<u32>, size: u32| {
            range.end.saturating_sub(range.start) < size / SMALLEST
        };
        if self.is_unknown || is_small(columns, width) || is_small(rows, height) {
            return Borders::default();
        }
        let even = |pixels: u32| pixels & !1;
        Borders {
            left: even(columns.start),
            top: even(rows.start),
            right: even(width.saturating_sub(columns.end)),
            bottom: even(height.saturating_sub(rows.end)),
        }
    }
}

/// `range` with all of `0..size` between its ends and the first and last place where `is_picture`. An
/// empty range begins at its end.
fn grown(
    range: std::ops::Range<u32>,
    size: u32,
    is_picture: impl Fn(u32) -> bool,
) -> std::ops::Range<u32> {
    let first = (0..range.start.min(size)).find(|at| is_picture(*at)).unwrap_or(range.start);
    let last = (range.end..size).rev().find(|at| is_picture(*at));
    first..last.map_or(range.end, |last| last + 1)
}

/// Whether these samples are part of a picture.
fn is_picture(samples: impl Iterator<Item = u8>) -> bool {
    let (mut all, mut above, mut bright) = (0usize, 0usize, 0usize);
    for sample in samples {
        all += 1;
        above += usize::from(sample > BLACK);
        bright += usize::from(sample > BRIGHT);
    }
    bright >= 2 || above * SHARE > all
}

#[cfg(test)]
mod tests {
    use gst_video::{VideoFormat, VideoInfo};

    use super::*;

    /// The borders of frames of 64×48 pixels that are black outside of these columns and rows, where
    /// they have this value.
    fn borders(frames: &[(std::ops::Range<usize>, std::ops::Range<usize>, u8)]) -> Borders {
        gst::init().unwrap();
        let info = VideoInfo::builder(VideoFormat::Gray8, 64, 48).build().unwrap();
        let mut finder = BorderFinder::default();
        let stride = info.stride()[0] as usize;
        for (columns, rows, value) in frames {
            let mut bytes = vec![16; info.size()];
            for y in rows.clone() {
                bytes[y * stride..][columns.clone()].fill(*value);
            }
            let buffer = gst::Buffer::from_mut_slice(bytes);
            let map = buffer.map_readable().unwrap();
            let frame = VideoFrameRef::from_buffer_ref_readable(&buffer, &info).unwrap();
            finder.observe(&frame, |x, y| map[y * stride + x]);
        }
        finder.borders()
    }

    #[test]
    fn borders_are_what_is_black_in_all_frames() {
        let found = borders(&[(8..57, 9..40, 100), (10..50, 7..20, 40)]);
        assert_eq!(found, Borders { left: 8, top: 6, right: 6, bottom: 8 });
        assert!(borders(&[(0..64, 0..48, 90)]).is_none());
    }

    #[test]
    fn ringing_beside_the_picture_belongs_to_the_border() {
        let found = borders(&[(0..64, 10..40, 100), (20..32, 9..10, 40)]);
        assert_eq!(found, Borders { left: 0, top: 10, right: 0, bottom: 8 });
    }

    #[test]
    fn black_frames_say_nothing_and_subtitles_belong_to_the_picture() {
        assert!(borders(&[(0..0, 0..0, 0)]).is_none());
        let black = (0..0, 0..0, 0);
        let found = borders(&[black.clone(), (0..64, 8..40, 80), black, (30..33, 42..44, 200)]);
        assert_eq!(found, Borders { left: 0, top: 8, right: 0, bottom: 4 });
    }

    #[test]
    fn a_film_that_shows_little_keeps_its_borders() {
        assert!(borders(&[(30..34, 20..24, 200)]).is_none());
    }
}
