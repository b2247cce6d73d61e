//! Layers that move pixels: copies, shuffles, enlargement and borders.

use super::{
    kernels::{Lanes, TILE},
    plan::{Border, Root},
    source::Source,
    tile::{Samples, Tile},
};

/// One vector of the samples of a root other than a convolution.
pub(crate) fn rearrange(
    root: &Root,
    source: &Source<'_>,
    block: usize,
    tile: Tile,
    to: &mut Samples,
) {
    let at = tile.origin();
    let mut pixels = |pixel: &dyn Fn(i64, i64) -> Lanes| {
        for (index, to) in to.iter_mut().enumerate() {
            *to = pixel(at[0] + (index / TILE) as i64, at[1] + (index % TILE) as i64);
        }
    };
    match root {
        Root::Convolution(_) => {}
        Root::Copy(picks) => {
            if let Some(pick) = picks.get(block) {
                source.picked_window(pick, at, [TILE; 2], to);
            }
        }
        Root::Shuffle { factor, picks } => {
            let Some(picks) = picks.get(block) else { return };
            let side = *factor as i64;
            pixels(&|y, x| {
                let place = y.rem_euclid(side) * side + x.rem_euclid(side);
                let pick = usize::try_from(place).ok().and_then(|place| picks.get(place));
                let from = [y.div_euclid(side), x.div_euclid(side)];
                pick.map_or(Lanes::default(), |pick| source.picked(pick, from[0], from[1]))
            });
        }
        Root::Unshuffle { factor, picks } => {
            let Some(picks) = picks.get(block) else { return };
            let side = *factor as i64;
            pixels(&|y, x| {
                let mut lanes = Lanes::default();
                for (to, (block, lane, [row, column])) in lanes.0.iter_mut().zip(picks) {
                    let from = [y * side + *row as i64, x * side + *column as i64];
                    let pixel = source.pixel(*block, from[0], from[1]);
                    *to = pixel.0.get(*lane).copied().unwrap_or(0.0);
                }
                lanes
            });
        }
        Root::Bilinear { factor, picks } => {
            let vectors = picks.len().max(1);
            let Some(pick) = picks.get(block % vectors) else { return };
            let place = block / vectors;
            let rows = Between::new(place / factor, *factor);
            let columns = Between::new(place % factor, *factor);
            let size = pick.blocks().next().map_or([0; 2], |block| source.size(block));
            pixels(&|y, x| {
                let clamp = |at: i64, side: usize| at.clamp(0, side as i64 - 1);
                let read = |row: i64, column: i64| {
                    let (y, x) = (clamp(y + row, size[0]), clamp(x + column, size[1]));
                    source.picked(pick, y, x)
                };
                let line = |row: i64| {
                    columns.blend(&read(row, columns.first), &read(row, columns.first + 1))
                };
                rows.blend(&line(rows.first), &line(rows.first + 1))
            });
        }
        Root::Pad { before, border, picks, .. } => {
            let Some(pick) = picks.get(block) else { return };
            let size = pick.blocks().next().map_or([0; 2], |block| source.size(block));
            pixels(&|y, x| {
                let y = bordered(y - before[0], size[0], *border);
                let x = bordered(x - before[1], size[1], *border);
                source.picked(pick, y, x)
            });
        }
    }
}

/// Linear interpolation between two samples along one axis.
struct Between {
    /// The first of the two, from the cell.
    first: i64,
    /// The share of the second.
    share: f32,
}

impl Between {
    /// For `place` of a cell that is enlarged `factor` times.
    fn new(place: usize, factor: usize) -> Self {
        // (place + ½) / factor − ½, in halves of 1 / factor.
        let halves = 2 * place as i64 + 1 - factor as i64;
        let whole = 2 * factor as i64;
        let share = halves.rem_euclid(whole) as f32 / whole as f32;
        Self { first: halves.div_euclid(whole), share }
    }

    fn blend(&self, a: &Lanes, b: &Lanes) -> Lanes {
        let mut out = *a;
        for (out, b) in out.0.iter_mut().zip(b.0) {
            *out = *out * (1.0 - self.share) + b * self.share;
        }
        out
    }
}

/// Where a place outside of a picture reads from.
pub(crate) fn bordered(at: i64, side: usize, border: Border) -> i64 {
    let last = side as i64 - 1;
    match border {
        Border::Zero => at,
        Border::Edge => at.clamp(0, last),
        Border::Reflect if last < 1 => 0,
        Border::Reflect => {
            let at = at.rem_euclid(2 * last);
            at.min(2 * last - at)
        }
    }
}
