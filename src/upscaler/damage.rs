//! Which pixels of a picture are out of date.

use crate::frame::Rect;

/// Most rectangles that are kept apart. Beyond that, handling the whole picture is as fast.
pub(super) const MAX_RECTS: usize = 64;

/// Pixels of a picture that have to be made again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    /// Every pixel.
    All,
    /// The pixels of these rectangles, which may overlap and are not empty.
    Rects(Vec<Rect>),
}

impl Damage {
    /// No pixel.
    pub(crate) const NONE: Self = Self::Rects(Vec::new());

    /// The pixels of `rects`.
    pub(crate) fn of(rects: impl IntoIterator<Item = Rect>) -> Self {
        let mut damage = Self::NONE;
        damage.add(&Self::Rects(rects.into_iter().collect()));
        damage
    }

    /// Whether no pixel is out of date.
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// Adds the pixels of `other`.
    pub(crate) fn add(&mut self, other: &Self) {
        match (&mut *self, other) {
            (Self::Rects(rects), Self::Rects(others)) => {
                rects.extend(others.iter().filter(|rect| !rect.is_empty()));
                if rects.len() > MAX_RECTS {
                    *self = Self::All;
                }
            }
            _ => *self = Self::All,
        }
    }

    /// The pixels that depend on these, rectangle by rectangle.
    pub(crate) fn map(&self, dependents: impl Fn(Rect) -> Rect) -> Self {
        match self {
            Self::All => Self::All,
            Self::Rects(rects) => Self::of(rects.iter().map(|rect| dependents(*rect))),
        }
    }

    /// Rectangles that cover the pixels in a picture of size `whole`: `whole` alone if they are
    /// most of it.
    pub(crate) fn rects(&self, whole: Rect) -> Vec<Rect> {
        match self {
            Self::Rects(rects) if 4 * area(rects) < 3 * whole.area() => rects.clone(),
            _ => vec![whole],
        }
    }
}

fn area(rects: &[Rect]) -> u64 {
    rects.iter().map(Rect::area).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: Rect = Rect::of_size(100, 100);

    #[test]
    fn a_few_small_rectangles_are_kept_and_empty_ones_dropped() {
        let mut damage = Damage::NONE;
        assert!(damage.is_none());
        assert_eq!(damage.rects(WHOLE), []);
        let rect = Rect::new(1, 2, 3, 4);
        damage.add(&Damage::Rects(vec![rect, Rect::default()]));
        assert_eq!(damage.rects(WHOLE), [rect]);
        assert_eq!(damage.map(|rect| rect.scaled(2)), Damage::of([rect.scaled(2)]));
    }

    #[test]
    fn many_or_large_rectangles_become_the_whole_picture() {
        let many = Damage::of(vec![Rect::of_size(1, 1); MAX_RECTS + 1]);
        assert_eq!(many, Damage::All);
        assert_eq!(many.rects(WHOLE), [WHOLE]);
        assert_eq!(Damage::of([Rect::of_size(100, 80)]).rects(WHOLE), [WHOLE]);
        let mut damage = Damage::NONE;
        damage.add(&Damage::All);
        damage.add(&Damage::NONE);
        assert_eq!(damage, Damage::All);
    }
}
