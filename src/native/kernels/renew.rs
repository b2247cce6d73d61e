//! Replacing kept features by new ones, as far as they differ.

use super::{Lanes, TILE, TILE_PIXELS};

/// What became of the pixels of a tile: a bit for each, row after row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Renewed {
    /// Those that were replaced.
    pub stored: u16,
    /// Those that differ within the limit and stayed.
    pub passed: u16,
}

/// Whether two vectors differ in any bit.
#[inline(always)]
fn differ(a: &Lanes, b: &Lanes) -> bool {
    let bits = a.0.iter().zip(&b.0).map(|(a, b)| a.to_bits() ^ b.to_bits());
    bits.fold(0, |all, bits| all | bits) != 0
}

/// Whether any of sixteen channels differs by more than its limit, or is not a number.
#[inline(always)]
fn exceeds(a: &Lanes, b: &Lanes, limit: &Lanes) -> bool {
    let each = a.0.iter().zip(&b.0).zip(&limit.0);
    // NaN is not within.
    !each.fold(true, |all, ((a, b), limit)| all & ((a - b).abs() <= *limit))
}

/// Replaces the pixels of a tile, whose rows are `stride` apart in `kept`, by `new`, where they
/// differ by more than `limit`; `None`: in any bit.
#[inline(always)]
pub(crate) fn renew(
    kept: &mut [Lanes],
    stride: usize,
    new: &[Lanes; TILE_PIXELS],
    limit: Option<&Lanes>,
) -> Renewed {
    let mut renewed = Renewed::default();
    for (row, (kept, new)) in kept.chunks_mut(stride.max(1)).zip(new.chunks_exact(TILE)).enumerate()
    {
        for (column, (kept, new)) in kept.iter_mut().zip(new).enumerate() {
            let bit = 1 << (row * TILE + column);
            if !differ(kept, new) {
                continue;
            }
            if limit.is_some_and(|limit| !exceeds(kept, new, limit)) {
                renewed.passed |= bit;
            } else {
                *kept = *new;
                renewed.stored |= bit;
            }
        }
    }
    renewed
}

#[cfg(test)]
mod tests {
    use super::{super::available, *};

    #[test]
    fn pixels_that_differ_are_stored_and_those_within_the_limit_stay() {
        for kernels in available() {
            let mut kept = vec![Lanes::default(); 3 * 7 + TILE];
            let mut new = [Lanes::default(); TILE_PIXELS];
            new[1].0[3] = 0.5;
            new[6].0[15] = -0.25;
            new[11].0[0] = -0.0;
            new[12].0[7] = f32::NAN;
            let limit = Lanes([0.25; 16]);
            let renewed = (kernels.renew)(&mut kept, 7, &new, Some(&limit));
            assert_eq!(renewed.stored, 1 << 1 | 1 << 12, "{kernels:?}");
            assert_eq!(renewed.passed, 1 << 6 | 1 << 11, "{kernels:?}");
            assert_eq!((kept[1].0[3], kept[7 + 2].0[15]), (0.5, 0.0), "{kernels:?}");
            let renewed = (kernels.renew)(&mut kept, 7, &new, None);
            assert_eq!(renewed, Renewed { stored: 1 << 6 | 1 << 11, passed: 0 }, "{kernels:?}");
            assert_eq!(kept[7 + 2].0[15], -0.25, "{kernels:?}");
        }
    }
}
