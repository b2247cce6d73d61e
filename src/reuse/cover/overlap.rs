//! Improves a cover with rectangles that overlap: one rectangle grows, and the others shrink to the
//! cells that only they cover. Two rectangles that cross can be cheaper than three that do not.

use super::{cell_mask::CellMask, cells::Cells, costs::Costs};
use crate::reuse::bits;

/// The greatest number of columns and of rows of cells for which covers are improved.
const MAX_CELLS: usize = 64;
/// The greatest number of rectangles in a cover that is improved.
const MAX_RECTS: usize = 16;

/// Improves covers of the cells of one mask.
pub(super) struct Overlap<'a> {
    /// The cells to cover, one word per row.
    target: Vec<u64>,
    columns: usize,
    costs: &'a Costs<'a>,
    /// The number of rows of rectangles that may still be read.
    budget: usize,
}

impl<'a> Overlap<'a> {
    /// `None` if the mask is too large.
    pub(crate) fn new(mask: &CellMask, costs: &'a Costs<'a>, budget: usize) -> Option<Self> {
        let (columns, rows) = (mask.columns(), mask.rows());
        if columns > MAX_CELLS || rows > MAX_CELLS {
            return None;
        }
        let target = (0..rows).map(|y| mask.row(y).first().copied().unwrap_or(0)).collect();
        Some(Self { target, columns, costs, budget })
    }

    /// Up to two covers to start from: the horizontal runs of cells, joined with equal runs above,
    /// and the vertical runs, joined with equal runs to the left. Covers of too many rectangles are
    /// omitted.
    pub(crate) fn runs(&self) -> impl Iterator<Item = Vec<Cells>> {
        let horizontal = joined_runs(self.target.iter().copied());
        let columns = (0..self.columns).map(|x| {
            let rows = self.target.iter().enumerate();
            rows.fold(0, |column, (y, row)| column | (row >> x & 1) << y)
        });
        let transposed =
            |Cells { x, right, y, bottom }| Cells { x: y, right: bottom, y: x, bottom: right };
        let vertical =
            joined_runs(columns).map(|rects| rects.into_iter().map(transposed).collect());
        horizontal.into_iter().chain(vertical)
    }

    /// Improves a cover while that reduces its cost and the budget lasts.
    pub(crate) fn improve(&mut self, rects: &mut Vec<Cells>) {
        if rects.len() > MAX_RECTS {
            return;
        }
        let mut total = self.costs.total(rects);
        while let Some((index, larger)) = self.best_growth(rects) {
            let mut grown = rects.clone();
            if let Some(rect) = grown.get_mut(index) {
                *rect = larger;
            }
            self.shrink_others(&mut grown, index);
            let cost = self.costs.total(&grown);
            if cost >= total * (1.0 - 1e-9) {
                return;
            }
            (*rects, total) = (grown, cost);
        }
    }

    /// The rectangle whose growth saves the most, and its larger shape.
    fn best_growth(&mut self, rects: &[Cells]) -> Option<(usize, Cells)> {
        let exclusive = self.exclusive(rects);
        let costs: Vec<f64> = rects.iter().map(|rect| self.costs.of(*rect)).collect();
        let mut best = (0.0, None);
        for index in 0..rects.len() {
            for larger in self.larger(rects, index) {
                if self.budget == 0 {
                    return best.1;
                }
                let spent = self.costs.of(larger) - costs.get(index).copied().unwrap_or(0.0);
                let others = || {
                    let others = rects.iter().zip(&costs).zip(&exclusive).enumerate();
                    others.filter(|(other, ((cells, _), _))| {
                        *other != index && larger.overlaps(cells)
                    })
                };
                let most_saved: f64 = others().map(|(_, ((_, cost), _))| cost).sum();
                self.budget = self.budget.saturating_sub(rects.len());
                if most_saved - spent <= best.0 {
                    continue;
                }
                let mut saved = -spent;
                for (_, ((cells, cost), exclusive)) in others() {
                    self.budget = self.budget.saturating_sub(cells.bottom - cells.y);
                    let left = without(exclusive, cells, &larger);
                    saved += cost - left.map_or(0.0, |left| self.costs.of(left));
                }
                if saved > best.0 {
                    best = (saved, Some((index, larger)));
                }
            }
        }
        best.1
    }

    /// The larger shapes of a rectangle that are tried: around another rectangle, or extended to
    /// any line.
    fn larger(&self, rects: &[Cells], index: usize) -> Vec<Cells> {
        let Some(&rect) = rects.get(index) else { return vec![] };
        let others = rects.iter().enumerate().filter(|(other, _)| *other > index);
        let mut larger: Vec<_> = others.map(|(_, other)| rect.union(other)).collect();
        larger.extend((0..rect.x).map(|x| Cells { x, ..rect }));
        larger.extend((rect.right + 1..=self.columns).map(|right| Cells { right, ..rect }));
        larger.extend((0..rect.y).map(|y| Cells { y, ..rect }));
        larger.extend((rect.bottom + 1..=self.target.len()).map(|bottom| Cells { bottom, ..rect }));
        larger
    }

    /// For each row of each rectangle, the cells to cover that are in no other rectangle.
    fn exclusive(&self, rects: &[Cells]) -> Vec<Vec<u64>> {
        let rows = self.target.len();
        let (mut once, mut twice) = (vec![0u64; rows], vec![0u64; rows]);
        for rect in rects {
            let columns = columns(rect);
            for (once, twice) in once.iter_mut().zip(&mut twice).take(rect.bottom).skip(rect.y) {
                *twice |= *once & columns;
                *once |= columns;
            }
        }
        let exclusive = |rect: &Cells| {
            let columns = columns(rect);
            let rows = self.target.iter().zip(&twice).take(rect.bottom).skip(rect.y);
            rows.map(|(target, twice)| target & columns & !twice).collect()
        };
        rects.iter().map(exclusive).collect()
    }

    /// Shrinks each rectangle except `kept` to the cells that only it covers, one after the other.
    fn shrink_others(&self, rects: &mut Vec<Cells>, kept: usize) {
        for index in 0..rects.len() {
            let Some(rect) = rects.get(index).copied().filter(|_| index != kept) else { continue };
            let exclusive = self.exclusive(rects);
            let left = exclusive.get(index).and_then(|rows| bounds(rows.iter().copied(), &rect));
            if let Some(rect) = rects.get_mut(index) {
                // An empty rectangle keeps the indices valid until all are shrunk.
                *rect = left.unwrap_or(Cells { x: 0, right: 0, y: 0, bottom: 0 });
            }
        }
        rects.retain(|rect| rect.x < rect.right);
    }
}

/// The runs of set bits, each joined with an equal run in the word before; `None` if there are more
/// than [`MAX_RECTS`].
fn joined_runs(words: impl Iterator<Item = u64>) -> Option<Vec<Cells>> {
    let mut rects: Vec<Cells> = vec![];
    for (y, word) in words.enumerate() {
        for run in bits::runs(&[word], 0, MAX_CELLS) {
            let above =
                |rect: &&mut Cells| (rect.x, rect.right, rect.bottom) == (run.start, run.end, y);
            match rects.iter_mut().find(above) {
                Some(rect) => rect.bottom += 1,
                None => rects.push(Cells { x: run.start, right: run.end, y, bottom: y + 1 }),
            }
        }
        if rects.len() > MAX_RECTS {
            return None;
        }
    }
    Some(rects)
}

/// The smallest rectangle around the cells `exclusive` of `cells` that are not in `larger`.
fn without(exclusive: &[u64], cells: &Cells, larger: &Cells) -> Option<Cells> {
    let taken = columns(larger);
    let rows = exclusive
        .iter()
        .zip(cells.y..)
        .map(|(row, y)| if (larger.y..larger.bottom).contains(&y) { row & !taken } else { *row });
    bounds(rows, cells)
}

/// The smallest rectangle around the set bits of the rows of `cells`.
fn bounds(rows: impl Iterator<Item = u64>, cells: &Cells) -> Option<Cells> {
    let (mut all, mut first, mut last) = (0, None, 0);
    for (row, y) in rows.zip(cells.y..) {
        if row != 0 {
            all |= row;
            first = first.or(Some(y));
            last = y;
        }
    }
    let (x, right) = (all.trailing_zeros() as usize, 64 - all.leading_zeros() as usize);
    first.map(|y| Cells { x, right, y, bottom: last + 1 })
}

/// The columns of a rectangle as bits.
fn columns(rect: &Cells) -> u64 {
    let mut word = [0];
    bits::set(&mut word, rect.x..rect.right);
    word[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_joined_with_equal_runs_above_and_may_end_at_the_last_bit() {
        let full = u64::MAX;
        let cells = |x, right, y, bottom| Cells { x, right, y, bottom };
        assert_eq!(joined_runs([full, full].into_iter()), Some(vec![cells(0, 64, 0, 2)]));
        let found = joined_runs([0b0110, 0b0110, 0b1001, 0b1000].into_iter());
        let rects = [cells(1, 3, 0, 2), cells(0, 1, 2, 3), cells(3, 4, 2, 4)];
        assert_eq!(found, Some(rects.to_vec()));
        assert_eq!(joined_runs(std::iter::repeat_n(0x5555_5555_5555_5555, 2)), None);
    }

    #[test]
    fn a_rectangle_shrinks_to_the_cells_that_the_larger_one_does_not_cover() {
        let cells = Cells { x: 0, right: 4, y: 2, bottom: 5 };
        let exclusive = [0b1111, 0b0011, 0b0001];
        let right = Cells { x: 2, right: 9, y: 0, bottom: 9 };
        assert_eq!(without(&exclusive, &cells, &right), Some(Cells { right: 2, ..cells }));
        let below = Cells { x: 0, right: 4, y: 3, bottom: 9 };
        assert_eq!(without(&exclusive, &cells, &below), Some(Cells { bottom: 3, ..cells }));
        assert_eq!(without(&exclusive, &cells, &cells), None);
    }
}
