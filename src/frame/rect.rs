//! A rectangle on the pixel grid.

/// `width` × `height` pixels whose top left one is at (`x`, `y`). Empty when a side is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rect {
    pub x: u32,
    pub y: u32,
    pub width: u32,
    pub height: u32,
}

impl Rect {
    pub const fn new(x: u32, y: u32, width: u32, height: u32) -> Self {
        Self { x, y, width, height }
    }

    /// A whole picture of this size.
    pub const fn of_size(width: u32, height: u32) -> Self {
        Self::new(0, 0, width, height)
    }

    /// One past the last column.
    pub const fn right(&self) -> u32 {
        self.x + self.width
    }

    /// One past the last row.
    pub const fn bottom(&self) -> u32 {
        self.y + self.height
    }

    /// Pixels inside.
    pub const fn area(&self) -> u64 {
        self.width as u64 * self.height as u64
    }

    pub const fn is_empty(&self) -> bool {
        self.width == 0 || self.height == 0
    }

    /// Grown by `by` pixels on every side, as far as a picture of `width` × `height` reaches.
    pub fn grown_within(&self, by: u32, width: u32, height: u32) -> Self {
        let x = self.x.saturating_sub(by);
        let y = self.y.saturating_sub(by);
        let right = self.right().saturating_add(by).min(width);
        let bottom = self.bottom().saturating_add(by).min(height);
        Self::new(x, y, right.saturating_sub(x), bottom.saturating_sub(y))
    }

    /// The pixels that both hold (empty, at the origin, when there are none).
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

    /// The smallest rectangle that holds both; the other one where one is empty.
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

    /// Every coordinate times `factor`.
    pub const fn scaled(&self, factor: u32) -> Self {
        Self::new(self.x * factor, self.y * factor, self.width * factor, self.height * factor)
    }

    /// Grown outwards until all four edges lie on multiples of `step`, then cut to a picture
    /// of `width` × `height` (whose own right and bottom edges need not be multiples).
    pub fn aligned_within(&self, step: u32, width: u32, height: u32) -> Self {
        let step = step.max(1);
        let x = self.x / step * step;
        let y = self.y / step * step;
        let right = self.right().div_ceil(step).saturating_mul(step).min(width);
        let bottom = self.bottom().div_ceil(step).saturating_mul(step).min(height);
        Self::new(x, y, right.saturating_sub(x), bottom.saturating_sub(y))
    }

    /// Whether all of `other` lies inside.
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
}
