//! Makes a cover cheaper by letting one rectangle take what others hold: rectangles may cross,
//! which no cutting finds.

use super::{
    changed_map::set_bits,
    cover::{Cells, Costs},
    mask::Mask,
};

/// Columns and rows of cells, and rectangles, up to which this is tried.
const MOST_CELLS: usize = 64;
const MOST_RECTS: usize = 16;

/// Covers of the cells of a mask, and what they cost.
pub(super) struct Trade<'a> {
    /// The cells to cover, a word per row.
    target: Vec<u64>,
    columns: usize,
    costs: &'a Costs<'a>,
    /// Rows of rectangles that may yet be looked at.
    budget: usize,
}

impl<'a> Trade<'a> {
    /// `None` where the mask is too large.
    pub fn new(mask: &Mask, costs: &'a Costs<'a>, budget: usize) -> Option<Self> {
        let (columns, rows) = (mask.columns(), mask.rows());
        if columns > MOST_CELLS || rows > MOST_CELLS {
            return None;
        }
        let target = (0..rows).map(|y| mask.row(y).first().copied().unwrap_or(0)).collect();
        Some(Self { target, columns, costs, budget })
    }

    /// The cells as they lie, in runs across that are joined with equal ones above, and in runs
    /// down that are joined with equal ones to the left; none where there are many.
    pub fn pieces(&self) -> impl Iterator<Item = Vec<Cells>> {
        let across = runs(self.target.iter().copied());
        let columns = (0..self.columns).map(|x| {
            let rows = self.target.iter().enumerate();
            rows.fold(0, |column, (y, row)| column | (row >> x & 1) << y)
        });
        let turned =
            |Cells { x, right, y, bottom }| Cells { x: y, right: bottom, y: x, bottom: right };
        let down = runs(columns).map(|pieces| pieces.into_iter().map(turned).collect());
        across.into_iter().chain(down)
    }

    /// Trades as long as that pays.
    pub fn improve(&mut self, rects: &mut Vec<Cells>) {
        if rects.len() > MOST_RECTS {
            return;
        }
        let mut total = self.total(rects);
        while let Some((index, larger)) = self.best(rects) {
            let mut traded = rects.clone();
            if let Some(rect) = traded.get_mut(index) {
                *rect = larger;
            }
            self.trim(&mut traded, index);
            let cost = self.total(&traded);
            if cost >= total * (1.0 - 1e-9) {
                return;
            }
            (*rects, total) = (traded, cost);
        }
    }

    pub fn total(&self, rects: &[Cells]) -> f64 {
        rects.iter().map(|rect| self.costs.of(*rect)).sum()
    }

    /// The rectangle that is best made larger, and how.
    fn best(&mut self, rects: &[Cells]) -> Option<(usize, Cells)> {
        let alone = self.alone(rects);
        let costs: Vec<f64> = rects.iter().map(|rect| self.costs.of(*rect)).collect();
        let mut best = (0.0, None);
        for index in 0..rects.len() {
            for larger in self.larger(rects, index) {
                if self.budget == 0 {
                    return best.1;
                }
                let spent = self.costs.of(larger) - costs.get(index).copied().unwrap_or(0.0);
                let others = || {
                    let others = rects.iter().zip(&costs).zip(&alone).enumerate();
                    others.filter(|(other, ((cells, _), _))| *other != index && larger.meets(cells))
                };
                let at_most: f64 = others().map(|(_, ((_, cost), _))| cost).sum();
                self.budget = self.budget.saturating_sub(rects.len());
                if at_most - spent <= best.0 {
                    continue;
                }
                let mut gain = -spent;
                for (_, ((cells, cost), alone)) in others() {
                    self.budget = self.budget.saturating_sub(cells.bottom - cells.y);
                    let left = without(alone, cells, &larger);
                    gain += cost - left.map_or(0.0, |left| self.costs.of(left));
                }
                if gain > best.0 {
                    best = (gain, Some((index, larger)));
                }
            }
        }
        best.1
    }

    /// Ways to make a rectangle larger: to hold another one, or up to any line.
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

    /// For each rectangle, row by row, the cells to cover that no other one holds.
    fn alone(&self, rects: &[Cells]) -> Vec<Vec<u64>> {
        let rows = self.target.len();
        let (mut once, mut twice) = (vec![0u64; rows], vec![0u64; rows]);
        for rect in rects {
            let columns = columns(rect);
            for (once, twice) in once.iter_mut().zip(&mut twice).take(rect.bottom).skip(rect.y) {
                *twice |= *once & columns;
                *once |= columns;
            }
        }
        let alone = |rect: &Cells| {
            let columns = columns(rect);
            let rows = self.target.iter().zip(&twice).take(rect.bottom).skip(rect.y);
            rows.map(|(target, twice)| target & columns & !twice).collect()
        };
        rects.iter().map(alone).collect()
    }

    /// Shrinks each rectangle but `kept` to what no other one holds, one after the other.
    fn trim(&self, rects: &mut Vec<Cells>, kept: usize) {
        for index in 0..rects.len() {
            let Some(rect) = rects.get(index).copied().filter(|_| index != kept) else { continue };
            let alone = self.alone(rects);
            let left = alone.get(index).and_then(|alone| bounds(alone.iter().copied(), &rect));
            if let Some(rect) = rects.get_mut(index) {
                // Empty ones hold nothing and are dropped below.
                *rect = left.unwrap_or(Cells { x: 0, right: 0, y: 0, bottom: 0 });
            }
        }
        rects.retain(|rect| rect.x < rect.right);
    }
}

/// Runs of set bits, each joined with an equal one in the word before; `None` for many.
fn runs(words: impl Iterator<Item = u64>) -> Option<Vec<Cells>> {
    let mut pieces: Vec<Cells> = vec![];
    for (y, mut word) in words.enumerate() {
        while word != 0 {
            let x = word.trailing_zeros() as usize;
            let right = x + (!(word >> x)).trailing_zeros() as usize;
            word &= u64::MAX.checked_shl(right as u32).unwrap_or(0);
            let above = |piece: &&mut Cells| (piece.x, piece.right, piece.bottom) == (x, right, y);
            match pieces.iter_mut().find(above) {
                Some(piece) => piece.bottom += 1,
                None => pieces.push(Cells { x, right, y, bottom: y + 1 }),
            }
        }
        if pieces.len() > MOST_RECTS {
            return None;
        }
    }
    Some(pieces)
}

/// What is left of the cells `alone` of `cells` once `larger` holds its own.
fn without(alone: &[u64], cells: &Cells, larger: &Cells) -> Option<Cells> {
    let taken = columns(larger);
    let rows = alone
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

fn columns(rect: &Cells) -> u64 {
    let mut word = [0];
    set_bits(&mut word, rect.x..rect.right);
    word[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_joined_with_equal_ones_and_may_end_at_the_last_bit() {
        let full = u64::MAX;
        let cells = |x, right, y, bottom| Cells { x, right, y, bottom };
        assert_eq!(runs([full, full].into_iter()), Some(vec![cells(0, 64, 0, 2)]));
        let found = runs([0b0110, 0b0110, 0b1001, 0b1000].into_iter());
        let pieces = [cells(1, 3, 0, 2), cells(0, 1, 2, 3), cells(3, 4, 2, 4)];
        assert_eq!(found, Some(pieces.to_vec()));
        assert_eq!(runs(std::iter::repeat_n(0x5555_5555_5555_5555, 2)), None);
    }

    #[test]
    fn what_another_rectangle_holds_is_let_go() {
        let cells = Cells { x: 0, right: 4, y: 2, bottom: 5 };
        let alone = [0b1111, 0b0011, 0b0001];
        let right = Cells { x: 2, right: 9, y: 0, bottom: 9 };
        assert_eq!(without(&alone, &cells, &right), Some(Cells { right: 2, ..cells }));
        let below = Cells { x: 0, right: 4, y: 3, bottom: 9 };
        assert_eq!(without(&alone, &cells, &below), Some(Cells { bottom: 3, ..cells }));
        assert_eq!(without(&alone, &cells, &cells), None);
    }
}
