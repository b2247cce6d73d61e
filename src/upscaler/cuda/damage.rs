//! Which pixels of an output lag behind.

use crate::frame::Rect;

/// Rectangles above which all is as quick: each is a copy of its own.
const MOST_RECTS: usize = 32;

/// Output pixels that are to be made anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    All,
    Parts(Vec<Rect>),
}

impl Damage {
    pub const NONE: Self = Self::Parts(Vec::new());

    /// These too.
    pub fn add(&mut self, other: &Self) {
        match (&mut *self, other) {
            (Self::Parts(parts), Self::Parts(others)) => {
                let new = others.iter().filter(|rect| !rect.is_empty());
                parts.extend(new);
                if parts.len() > MOST_RECTS {
                    *self = Self::All;
                }
            }
            _ => *self = Self::All,
        }
    }

    /// As rectangles of a picture that is `whole`; that itself where they are most of it.
    pub fn rects(&self, whole: Rect) -> Vec<Rect> {
        match self {
            Self::Parts(parts) if 4 * area(parts) < 3 * whole.area() => parts.clone(),
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
    fn few_small_parts_stay_parts() {
        let mut damage = Damage::NONE;
        assert_eq!(damage.rects(WHOLE), []);
        let part = Rect::new(1, 2, 3, 4);
        damage.add(&Damage::Parts(vec![part, Rect::default()]));
        assert_eq!(damage.rects(WHOLE), [part]);
    }

    #[test]
    fn many_parts_or_large_ones_are_all_of_it() {
        let mut damage = Damage::NONE;
        damage.add(&Damage::Parts(vec![Rect::of_size(1, 1); MOST_RECTS + 1]));
        assert_eq!(damage, Damage::All);
        assert_eq!(damage.rects(WHOLE), [WHOLE]);
        assert_eq!(Damage::Parts(vec![Rect::of_size(100, 80)]).rects(WHOLE), [WHOLE]);
        let mut damage = Damage::NONE;
        damage.add(&Damage::All);
        damage.add(&Damage::NONE);
        assert_eq!(damage, Damage::All);
    }
}
