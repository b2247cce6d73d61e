//! A rectangle on the pixel grid.

use bytemuck::{Pod, Zeroable};

/// `width` × `height` pixels, the top left one at (`x`, `y`). Empty if a side is 0.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Pod, Zeroable)]
pub struct Rect {
    /// The first column.
    pub x: u32,
    /// The first row.
    pub y: u32,
    /// Number of columns.
    pub width: u32,
    /// Number of rows.
    pub height: u32,
}

impl Rect {
    /// `width` × `height` pixels from (`x`, `y`) on.
    #[must_use]
    pub const fn new(x: u32, y: u32, width: u32, height: u32) -> Self {
        Self { x, y, width, height }
    }

    /// All pixels of a picture of `width` × `height` pixels.
    #[must_use]
    pub const fn of_size(width: u32, height: u32) -> Self {
        Self::new(0, 0, width, height)
    }

    /// The column after the last one, at most `u32::MAX`.
    #[must_use]
    pub const fn right(&self) -> u32 {
        self.x.saturating_add(self.width)
    }

    /// The row after the last one, at most `u32::MAX`.
    #[must_use]
    pub const fn bottom(&self) -> u32 {
        self.y.saturating_add(self.height)
    }

    /// Number of pixels.
    #[must_use]
    pub const fn area(&self) -> u64 {
        self.width as u64 * self.height as u64
    }

    /// Whether there are no pixels.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.width == 0 || self.height == 0
    }

    /// Extends the rectangle by `by` pixels on every side, within a picture of `width` ×
    /// `height` pixels.
    #[must_use]
    pub fn grown_within(&self, by: u32, width: u32, height: u32) -> Self {
        let x = self.x.saturating_sub(by);
        let y = self.y.saturating_sub(by);
        let right = self.right().saturating_add(by).min(width);
        let bottom = self.bottom().saturating_add(by).min(height);
        Self::new(x, y, right.saturating_sub(x), bottom.saturating_sub(y))
    }

    /// The pixels that are in both rectangles (empty, at the origin, if there are none).
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let x = self.x.max(other.x);
        let y = self.y.max(other.y);
        let right = self.right().min(other.right());
        let bottom = self.bottom().min(other.bottom());
        if right <= x || bottom <= y {
            return Self::default();
        }
        Self::new(x, y, right - x, bottom - y)
    }

    /// The smallest rectangle that contains both; empty rectangles are ignored.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        if self.is_empty() {
            return *other;
        }
        if other.is_empty() {
            return *self;
        }
        let x = self.x.min(other.x);
        let y = self.y.min(other.y);
        let right = self.right().max(other.right());
        let bottom = self.bottom().max(other.bottom());
        Self::new(x, y, right - x, bottom - y)
    }

    /// Multiplies position and size by `factor`.
    #[must_use]
    pub const fn scaled(&self, factor: u32) -> Self {
        Self::new(
            self.x.saturating_mul(factor),
            self.y.saturating_mul(factor),
            self.width.saturating_mul(factor),
            self.height.saturating_mul(factor),
        )
    }

    /// Moves all four edges outwards to multiples of `step`, within a picture of `width` ×
    /// `height` pixels, whose own right and bottom edges need not be multiples.
    #[must_use]
    pub fn aligned_within(&self, step: u32, width: u32, height: u32) -> Self {
        let step = step.max(1);
        let x = self.x / step * step;
        let y = self.y / step * step;
        let right = self.right().div_ceil(step).saturating_mul(step).min(width);
        let bottom = self.bottom().div_ceil(step).saturating_mul(step).min(height);
        Self::new(x, y, right.saturating_sub(x), bottom.saturating_sub(y))
    }

    /// Whether `other` lies inside.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        other.x >= self.x
            && other.y >= self.y
            && other.right() <= self.right()
            && other.bottom() <= self.bottom()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growing_stops_at_the_border_of_the_picture() {
        let rect = Rect::new(2, 3, 4, 5).grown_within(4, 9, 100);
        assert_eq!(rect, Rect::new(0, 0, 9, 12));
    }

    #[test]
    fn alignment_grows_outwards_and_is_cut_at_an_odd_border() {
        let rect = Rect::new(3, 3, 4, 2).aligned_within(4, 7, 7);
        assert_eq!(rect, Rect::new(0, 0, 7, 7));
    }

    #[test]
    fn intersection_of_disjoint_rects_is_empty() {
        let a = Rect::new(0, 0, 4, 4);
        assert!(a.intersection(&Rect::new(4, 0, 4, 4)).is_empty());
        assert_eq!(a.intersection(&Rect::new(2, 1, 9, 9)), Rect::new(2, 1, 2, 3));
    }

    #[test]
    fn edges_beyond_the_range_of_coordinates_saturate() {
        let rect = Rect::new(u32::MAX - 1, 5, 4, u32::MAX);
        assert_eq!((rect.right(), rect.bottom()), (u32::MAX, u32::MAX));
        assert_eq!(rect.grown_within(9, 20, 20), Rect::new(u32::MAX - 10, 0, 0, 20));
        assert!(rect.intersection(&Rect::of_size(20, 20)).is_empty());
    }
}
