//! How much of the model's picture each place of the output shows, the rest being resampled.
//!
//! A block whose picture from the model is out of date is resampled at once. When its picture is
//! ready, it comes into view over several frames. The share at a corner of blocks is the smallest of
//! the blocks that meet there, and is interpolated between corners: nothing is visible of a block that
//! is out of date, and its neighbours come into view towards their far side, without an edge.

use std::ops::Range;

use crate::{
    frame::{Image, Rect},
    reuse::{BLOCK, ChangedMap},
};

/// The share of a block that shows only the model's picture, and the frames that a change takes.
const FULL: u8 = 8;
/// Output columns whose share is looked at together.
const CHUNK: u32 = 64;

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
            is_shown: false,
        }
    }

    /// The next output is the first: nothing has been shown that a change would have to start from.
    pub(crate) fn reset(&mut self) {
        self.is_shown = false;
    }

    /// Moves on to the next frame, in which the model's picture of the blocks `outdated` is out of
    /// date. Returns the blocks in which the share of any pixel changes.
    pub(crate) fn advance(&mut self, outdated: &ChangedMap) -> ChangedMap {
        let (width, height) = outdated.size();
        let mut changed = ChangedMap::none(width, height);
        let mut shares = self.shares.iter_mut();
        for row in 0..outdated.rows() {
            for (column, share) in (0..outdated.columns()).zip(&mut shares) {
                let next = if outdated.get(column, row) {
                    0
                } else if !self.is_shown {
                    FULL
                } else {
                    (*share + 1).min(FULL)
                };
                if next != *share || !self.is_shown {
                    changed.mark(column, row);
                }
                *share = next;
            }
        }
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

    /// Cuts output pixels into parts that show one of the two pictures, or both, in all their
    /// columns.
    pub(crate) fn parts(&self, rect: Rect) -> Vec<Rect> {
        let mut parts: Vec<(Rect, (u8, u8))> = Vec::new();
        let mut x = rect.x;
        while x < rect.right() {
            let width = (CHUNK - x % CHUNK).min(rect.right() - x);
            let part = Rect { x, width, ..rect };
            let kind = match self.shares_of(part) {
                (FULL, _) => (FULL, FULL),
                (_, 0) => (0, 0),
                _ => (0, FULL),
            };
            match parts.last_mut() {
                Some((last, other)) if *other == kind => last.width += width,
                _ => parts.push((part, kind)),
            }
            x += width;
        }
        parts.into_iter().map(|(part, _)| part).collect()
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

    /// The share of all output pixels `rect`, if it is the same for all.
    pub(crate) fn uniform(&self, rect: Rect) -> Option<f32> {
        let (low, high) = self.shares_of(rect);
        (low == high).then(|| f32::from(low) / f32::from(FULL))
    }

    /// Blends the model's picture with the resampled one, in place. Both are pictures of the output
    /// pixels `rect`. `blend` is the share of the model's picture where [`Fade`] shows it fully.
    pub(crate) fn blend(&self, rect: Rect, resampled: &Image, model: &mut Image, blend: f32) {
        let across: Vec<(usize, f32)> =
            (rect.x..rect.right()).map(|x| place(x, self.scale.0)).collect();
        let mut corners = vec![0.0; self.columns + 1];
        let mut weights = vec![0.0; rect.width as usize];
        for y in 0..rect.height {
            let (row, fraction) = place(rect.y + y, self.scale.1);
            self.row(row, fraction, blend, &mut corners);
            for (weight, (corner, fraction)) in weights.iter_mut().zip(&across) {
                *weight = match corners.get(*corner..*corner + 2) {
                    Some([left, right]) => left + fraction * (right - left),
                    _ => 0.0,
                };
            }
            for channel in 0..model.channels() {
                let from = resampled.row(channel, y as usize);
                let to = model.row_mut(channel, y as usize);
                for ((model, resampled), weight) in to.iter_mut().zip(from).zip(&weights) {
                    *model = (1.0 - weight) * resampled + weight * *model;
                }
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

    fn fade() -> Fade {
        Fade::new(SIZE, (160, 120))
    }

    const LEFT: Rect = Rect::new(0, 0, 8, 60);

    #[test]
    fn the_first_output_shows_the_model_wherever_it_is_up_to_date() {
        let mut fade = fade();
        let changed = fade.advance(&map(&[LEFT]));
        assert_eq!(changed, ChangedMap::all(SIZE.0, SIZE.1));
        assert_eq!(fade.resampled(SIZE), (8 + 4) * 60);
        // What is interpolated between a block that changes and its neighbour changes too.
        assert_eq!(fade.advance(&map(&[])), map(&[Rect::new(0, 0, 16, 60)]));
    }

    #[test]
    fn a_picture_disappears_at_once_and_comes_into_view_over_several_frames() {
        let mut fade = fade();
        fade.advance(&map(&[]));
        assert_eq!(fade.resampled(SIZE), 0);
        fade.advance(&map(&[LEFT]));
        assert_eq!(fade.resampled(SIZE), (8 + 4) * 60);
        let mut before = fade.resampled(SIZE);
        for _ in 0..FULL {
            assert!(!fade.advance(&map(&[])).is_empty());
            assert!(fade.resampled(SIZE) < before);
            before = fade.resampled(SIZE);
        }
        assert_eq!(before, 0);
        assert!(fade.advance(&map(&[])).is_empty());
    }

    #[test]
    fn nothing_of_an_outdated_block_is_visible() {
        let mut fade = fade();
        fade.advance(&map(&[]));
        let block = Rect::new(24, 24, 8, 8);
        fade.advance(&map(&[block]));
        let all = Rect::of_size(160, 120);
        let (mut model, mut resampled) = (Image::new(1, 160, 120), Image::new(1, 160, 120));
        model.data_mut().fill(1.0);
        resampled.data_mut().fill(0.0);
        fade.blend(all, &resampled, &mut model, 1.0);
        let inside = block.scaled(2);
        for y in 0..120 {
            for (x, value) in (0..).zip(model.row(0, y as usize)) {
                let is_inside = inside.contains(&Rect::new(x, y, 1, 1));
                assert!(!is_inside || *value == 0.0, "{x}, {y}: {value}");
                assert!((0.0..=1.0).contains(value));
            }
        }
        assert_eq!(model.row(0, 119)[159], 1.0);
    }

    #[test]
    fn neighbouring_pixels_have_similar_shares() {
        let mut fade = fade();
        fade.advance(&map(&[]));
        fade.advance(&map(&[LEFT]));
        let rect = Rect::new(3, 5, 100, 9);
        let (mut model, mut resampled) = (Image::new(1, 100, 9), Image::new(1, 100, 9));
        model.data_mut().fill(1.0);
        resampled.data_mut().fill(0.0);
        fade.blend(rect, &resampled, &mut model, 0.5);
        for row in 0..9 {
            let row = model.row(0, row);
            assert!(row.windows(2).all(|pair| (pair[1] - pair[0]).abs() <= 0.5 / 16.0 + 1e-6));
            assert_eq!((row[0], row[99]), (0.0, 0.5));
        }
    }

    #[test]
    fn parts_show_one_picture_or_both() {
        let mut fade = Fade::new((640, 64), (1280, 128));
        assert_eq!(fade.parts(Rect::new(10, 0, 500, 32)), [Rect::new(10, 0, 500, 32)]);
        let left = ChangedMap::of_rects(&[Rect::new(0, 0, 160, 64)], 640, 64);
        fade.advance(&left);
        let parts = fade.parts(Rect::new(10, 0, 1000, 32));
        // 320 output pixels are hidden, and the next block comes into view in the 16 after them.
        assert_eq!(
            parts,
            [(10, 310), (320, 64), (384, 626)].map(|(x, width)| Rect::new(x, 0, width, 32))
        );
        assert_eq!(fade.uniform(parts[0]), Some(0.0));
        assert_eq!(fade.uniform(parts[1]), None);
        assert_eq!(fade.uniform(parts[2]), Some(1.0));
    }
}
