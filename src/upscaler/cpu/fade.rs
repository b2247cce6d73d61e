//! How much of the model's picture each place of the output shows, the rest being resampled.
//!
//! A block that no longer resembles the input of the model's picture is resampled at once; a block that
//! hardly resembles it is faded to Lanczos over a few frames. When the model has computed the block again,
//! its picture is faded in over several frames. The share at a corner of blocks is the smallest of
//! the blocks that meet there, and is interpolated between corners: nothing is visible of a block that
//! is hidden, and its neighbours come into view towards their far side, without an edge.

use std::ops::Range;

use crate::{
    frame::{Image, Rect},
    reuse::{BLOCK, ChangedMap},
};

/// The share of a block that shows only the model's picture, and the frames that a change takes.
const FULL: u8 = 8;
/// By how much the share of a block that hardly resembles the model's input decreases in each frame.
const LOSS: u8 = 2;
/// The number of output columns that are examined together.
const CHUNK: u32 = 64;

/// What a part of the output shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Show {
    /// Only the frame.
    Frame,
    /// Both, with this share of the model's picture in parts of [`FULL`], if that is the same
    /// everywhere.
    Both(Option<u8>),
    /// Only the model's picture.
    Model,
}

impl Show {
    /// The share of the model's picture. `None`: nothing. `Some(None)`: it differs from place to
    /// place.
    pub(crate) fn share(self) -> Option<Option<f32>> {
        match self {
            Self::Frame => None,
            Self::Both(share) => Some(share.map(|share| f32::from(share) / f32::from(FULL))),
            Self::Model => Some(Some(1.0)),
        }
    }
}

/// The blocks of a frame that differ from what the model's picture was computed from.
#[derive(Clone, Debug)]
pub(super) struct Difference {
    /// All of them.
    pub differing: ChangedMap,
    /// Those that hardly resemble it.
    pub fading: ChangedMap,
    /// Those that do not resemble it.
    pub hidden: ChangedMap,
}

/// The share of the model's picture, block by block.
#[derive(Clone, Debug)]
pub(super) struct Fade {
    columns: usize,
    rows: usize,
    /// Input pixels for each output pixel, horizontally and vertically.
    scale: (f32, f32),
    /// Of blocks, row by row, in parts of [`FULL`].
    shares: Vec<u8>,
    /// Of the corners of blocks, of which there is one more in each row and in each column.
    corners: Vec<u8>,
    /// Blocks whose frame differs from what the model's picture was computed from.
    differing: ChangedMap,
    /// Whether an output was made with these shares.
    is_shown: bool,
}

impl Fade {
    /// For frames of `input` × pixels that are enlarged to `output`, both width and height.
    pub(crate) fn new(input: (u32, u32), output: (u32, u32)) -> Self {
        let empty = ChangedMap::none(input.0, input.1);
        let (columns, rows) = (empty.columns() as usize, empty.rows() as usize);
        let scale = |input: u32, output: u32| input as f32 / output.max(1) as f32;
        Self {
            columns,
            rows,
            scale: (scale(input.0, output.0), scale(input.1, output.1)),
            shares: vec![0; columns * rows],
            corners: vec![0; (columns + 1) * (rows + 1)],
            differing: empty,
            is_shown: false,
        }
    }

    /// The next output is the first: nothing has been shown that a change would have to start from.
    pub(crate) fn reset(&mut self) {
        self.is_shown = false;
    }

    /// Moves on to the next frame. Returns the blocks in which the share of any pixel changes.
    pub(crate) fn advance(&mut self, frame: Difference) -> ChangedMap {
        let Difference { differing, fading, hidden } = frame;
        let (width, height) = hidden.size();
        let mut changed = ChangedMap::none(width, height);
        let mut shares = self.shares.iter_mut();
        for row in 0..hidden.rows() {
            for (column, share) in (0..hidden.columns()).zip(&mut shares) {
                let next = if hidden.get(column, row) {
                    0
                } else if !self.is_shown {
                    FULL
                } else if fading.get(column, row) {
                    share.saturating_sub(LOSS)
                } else {
                    (*share + 1).min(FULL)
                };
                if next != *share || !self.is_shown {
                    changed.mark(column, row);
                }
                *share = next;
            }
        }
        self.differing = differing;
        self.is_shown = true;
        self.set_corners();
        changed.grown(1)
    }

    fn set_corners(&mut self) {
        let share = |column: usize, row: usize| self.shares.get(row * self.columns + column);
        let around = |at: usize, count: usize| at.saturating_sub(1)..(at + 1).min(count);
        let corner = |column: usize, row: usize| {
            let blocks = around(row, self.rows)
                .flat_map(|row| around(column, self.columns).filter_map(move |it| share(it, row)));
            blocks.copied().min().unwrap_or_default()
        };
        self.corners = (0..=self.rows)
            .flat_map(|row| (0..=self.columns).map(move |column| corner(column, row)))
            .collect();
    }

    /// Input pixels that are shown resampled: the sum over all blocks of what they do not show of
    /// the model's picture, on average.
    pub(crate) fn resampled(&self, size: (u32, u32)) -> u64 {
        let empty = ChangedMap::none(size.0, size.1);
        let corners = |row: u32, column: u32| {
            let start = row as usize * (self.columns + 1) + column as usize;
            self.corners.get(start..start + 2).unwrap_or_default().iter().copied().map(u64::from)
        };
        let mut pixels = 0;
        for row in 0..empty.rows() {
            for column in 0..empty.columns() {
                let area = empty.pixels(&(column..column + 1), row).area();
                let shown: u64 = corners(row, column).chain(corners(row + 1, column)).sum();
                pixels += area * (4 * u64::from(FULL)).saturating_sub(shown);
            }
        }
        pixels / (4 * u64::from(FULL))
    }

    /// Cuts output pixels into parts that show the same in all their columns.
    pub(crate) fn parts(&self, rect: Rect) -> Vec<(Rect, Show)> {
        let mut parts: Vec<(Rect, Show)> = Vec::new();
        let mut x = rect.x;
        while x < rect.right() {
            let width = (CHUNK - x % CHUNK).min(rect.right() - x);
            let part = Rect { x, width, ..rect };
            let show = match self.shares_of(part) {
                (FULL, _) if !self.differs_in(part) => Show::Model,
                (_, 0) => Show::Frame,
                (low, high) => Show::Both((low == high).then_some(low)),
            };
            match parts.last_mut() {
                Some((last, other)) if *other == show => last.width += width,
                _ => parts.push((part, show)),
            }
            x += width;
        }
        parts
    }

    /// Whether any of the output pixels `rect` depends on a block that differs.
    fn differs_in(&self, rect: Rect) -> bool {
        let columns = corners(rect.x, rect.right(), self.scale.0);
        let rows = corners(rect.y, rect.bottom(), self.scale.1);
        let around = |corners: Range<usize>| corners.start.saturating_sub(1)..corners.end;
        around(rows).any(|row| {
            around(columns.clone()).any(|column| self.differing.get(column as u32, row as u32))
        })
    }

    /// The smallest and the largest share of the output pixels `rect`, in parts of [`FULL`].
    fn shares_of(&self, rect: Rect) -> (u8, u8) {
        let columns = corners(rect.x, rect.right(), self.scale.0);
        let rows = corners(rect.y, rect.bottom(), self.scale.1);
        let (mut low, mut high) = (FULL, 0);
        for row in rows.start..rows.end.min(self.rows + 1) {
            let start = row * (self.columns + 1);
            let end = columns.end.min(self.columns + 1);
            let shares = self.corners.get(start + columns.start..start + end);
            for share in shares.unwrap_or_default() {
                (low, high) = (low.min(*share), high.max(*share));
            }
        }
        (low, high)
    }

    /// Writes the shares of the samples `rect` of a plane, times `blend`, to `out`, which gets one
    /// channel. `scale`: the input pixels for each of its samples.
    pub(crate) fn shares(&self, rect: Rect, scale: (f32, f32), blend: f32, out: &mut Image) {
        out.resize(1, rect.width as usize, rect.height as usize);
        let across: Vec<(usize, f32)> = (rect.x..rect.right()).map(|x| place(x, scale.0)).collect();
        let mut corners = vec![0.0; self.columns + 1];
        for y in 0..rect.height {
            let (row, fraction) = place(rect.y + y, scale.1);
            self.row(row, fraction, blend, &mut corners);
            for (share, (corner, fraction)) in out.row_mut(0, y as usize).iter_mut().zip(&across) {
                *share = match corners.get(*corner..*corner + 2) {
                    Some([left, right]) => left + fraction * (right - left),
                    _ => 0.0,
                };
            }
        }
    }

    /// The shares in the columns of corners, `fraction` of the way from one row of corners to the
    /// next, times `blend`.
    fn row(&self, row: usize, fraction: f32, blend: f32, out: &mut [f32]) {
        let of = |row: usize| {
            let start = row * (self.columns + 1);
            self.corners.get(start..start + self.columns + 1).unwrap_or_default()
        };
        for ((out, upper), lower) in out.iter_mut().zip(of(row)).zip(of(row + 1)) {
            let (upper, lower) = (f32::from(*upper), f32::from(*lower));
            *out = (upper + fraction * (lower - upper)) * blend / f32::from(FULL);
        }
    }
}

/// The corner of blocks at or before an output pixel along one axis, and how far the pixel is on the
/// way to the next corner.
fn place(at: u32, scale: f32) -> (usize, f32) {
    let position = (at as f32 + 0.5) * scale / BLOCK as f32;
    (position as usize, position.fract())
}

/// The corners along one axis that the output pixels `start..end` depend on.
fn corners(start: u32, end: u32, scale: f32) -> Range<usize> {
    let (first, _) = place(start, scale);
    let (last, _) = place(end.saturating_sub(1).max(start), scale);
    first..last + 2
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: (u32, u32) = (80, 60);

    fn map(rects: &[Rect]) -> ChangedMap {
        ChangedMap::of_rects(rects, SIZE.0, SIZE.1)
    }

    fn hidden(rects: &[Rect]) -> Difference {
        Difference { differing: map(rects), fading: map(rects), hidden: map(rects) }
    }

    fn fade() -> Fade {
        Fade::new(SIZE, (160, 120))
    }

    const LEFT: Rect = Rect::new(0, 0, 8, 60);

    #[test]
    fn the_first_output_shows_the_model_wherever_it_is_up_to_date() {
        let mut fade = fade();
        let changed = fade.advance(hidden(&[LEFT]));
        assert_eq!(changed, ChangedMap::all(SIZE.0, SIZE.1));
        assert_eq!(fade.resampled(SIZE), (8 + 4) * 60);
        // What is interpolated between a block that changes and its neighbour changes too.
        assert_eq!(fade.advance(hidden(&[])), map(&[Rect::new(0, 0, 16, 60)]));
    }

    #[test]
    fn a_picture_disappears_at_once_and_comes_into_view_over_several_frames() {
        let mut fade = fade();
        fade.advance(hidden(&[]));
        assert_eq!(fade.resampled(SIZE), 0);
        fade.advance(hidden(&[LEFT]));
        assert_eq!(fade.resampled(SIZE), (8 + 4) * 60);
        let mut before = fade.resampled(SIZE);
        for _ in 0..FULL {
            assert!(!fade.advance(hidden(&[])).is_empty());
            assert!(fade.resampled(SIZE) < before);
            before = fade.resampled(SIZE);
        }
        assert_eq!(before, 0);
        assert!(fade.advance(hidden(&[])).is_empty());
    }

    #[test]
    fn nothing_of_an_outdated_block_is_visible() {
        let mut fade = fade();
        fade.advance(hidden(&[]));
        let block = Rect::new(24, 24, 8, 8);
        fade.advance(hidden(&[block]));
        let mut shares = Image::default();
        fade.shares(Rect::of_size(160, 120), (0.5, 0.5), 1.0, &mut shares);
        let inside = block.scaled(2);
        for y in 0..120 {
            for (x, share) in (0..).zip(shares.row(0, y as usize)) {
                let is_inside = inside.contains(&Rect::new(x, y, 1, 1));
                assert!(!is_inside || *share == 0.0, "{x}, {y}: {share}");
                assert!((0.0..=1.0).contains(share));
            }
        }
        assert_eq!(shares.row(0, 119)[159], 1.0);
    }

    #[test]
    fn neighbouring_pixels_have_similar_shares() {
        let mut fade = fade();
        fade.advance(hidden(&[]));
        fade.advance(hidden(&[LEFT]));
        let rect = Rect::new(3, 5, 100, 9);
        let mut shares = Image::default();
        fade.shares(rect, (0.5, 0.5), 0.5, &mut shares);
        for row in 0..9 {
            let row = shares.row(0, row);
            assert!(row.windows(2).all(|pair| (pair[1] - pair[0]).abs() <= 0.5 / 16.0 + 1e-6));
            assert_eq!((row[0], row[99]), (0.0, 0.5));
        }
    }

    #[test]
    fn a_block_that_hardly_resembles_the_models_picture_disappears_over_a_few_frames() {
        let mut fade = fade();
        fade.advance(hidden(&[]));
        let mut resampled = vec![0];
        for _ in 0..FULL / LOSS {
            fade.advance(Difference { fading: map(&[LEFT]), ..hidden(&[]) });
            resampled.push(fade.resampled(SIZE));
        }
        assert!(resampled.is_sorted_by(|a, b| a < b), "{resampled:?}");
        assert_eq!(resampled.last(), Some(&((8 + 4) * 60)));
    }

    #[test]
    fn parts_show_one_picture_or_both() {
        let size = (640, 64);
        let map = |x, width| ChangedMap::of_rects(&[Rect::new(x, 0, width, 64)], size.0, size.1);
        let mut fade = Fade::new(size, (1280, 128));
        fade.advance(Difference {
            hidden: map(0, 160),
            fading: map(0, 160),
            differing: map(448, 8),
        });
        let parts = fade.parts(Rect::new(10, 0, 1200, 32));
        // 320 output pixels are hidden, and the next block comes into view in the 16 after them.
        let expected = [
            (10, 310, Show::Frame),
            (320, 64, Show::Both(None)),
            (384, 512 - 64, Show::Model),
            (832, 128, Show::Both(Some(FULL))),
            (960, 250, Show::Model),
        ];
        let expected = expected.map(|(x, width, show)| (Rect::new(x, 0, width, 32), show));
        assert_eq!(parts, expected);
    }
}
