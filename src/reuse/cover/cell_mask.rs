//! The parts of a frame that have to be computed, as cells between lines at any distance.

use super::interval::Interval;
use crate::reuse::bits::{self, WORD};

/// One bit for each cell, between neighbouring lines of both axes.
#[derive(Clone, Debug)]
pub(in crate::reuse) struct CellMask {
    /// The positions of the vertical lines in pixels, in ascending order.
    x_lines: Vec<u32>,
    /// The positions of the horizontal lines.
    y_lines: Vec<u32>,
    words_per_row: usize,
    words: Vec<u64>,
}

impl CellMask {
    /// An empty mask of the cells between these lines.
    pub(crate) fn new(x_lines: Vec<u32>, y_lines: Vec<u32>) -> Self {
        let words_per_row = x_lines.len().saturating_sub(1).div_ceil(WORD);
        let words = vec![0; words_per_row * y_lines.len().saturating_sub(1)];
        Self { x_lines, y_lines, words_per_row, words }
    }

    /// The positions of the vertical lines.
    pub(crate) fn x_lines(&self) -> &[u32] {
        &self.x_lines
    }

    /// The positions of the horizontal lines.
    pub(crate) fn y_lines(&self) -> &[u32] {
        &self.y_lines
    }

    /// Cells per row.
    pub(crate) fn columns(&self) -> usize {
        self.x_lines.len().saturating_sub(1)
    }

    /// Rows of cells.
    pub(crate) fn rows(&self) -> usize {
        self.y_lines.len().saturating_sub(1)
    }

    /// Words per row.
    pub(crate) fn words_per_row(&self) -> usize {
        self.words_per_row
    }

    /// The pixels of columns `from..to`.
    pub(crate) fn x_interval(&self, from: usize, to: usize) -> Interval {
        interval(&self.x_lines, from, to)
    }

    /// The pixels of rows `from..to`.
    pub(crate) fn y_interval(&self, from: usize, to: usize) -> Interval {
        interval(&self.y_lines, from, to)
    }

    /// The words of row `y`; empty if it does not exist.
    pub(crate) fn row(&self, y: usize) -> &[u64] {
        let start = y * self.words_per_row;
        self.words.get(start..start + self.words_per_row).unwrap_or_default()
    }

    /// Adds the cells of `bits` to rows `from..to`.
    pub(crate) fn add(&mut self, bits: &[u64], from: usize, to: usize) {
        for row in self.words.chunks_mut(self.words_per_row.max(1)).take(to).skip(from) {
            row.iter_mut().zip(bits).for_each(|(word, bits)| *word |= bits);
        }
    }

    /// An empty row, with as many words as the mask's rows.
    pub(crate) fn blank_row(&self) -> Vec<u64> {
        vec![0; self.words_per_row]
    }

    /// The runs of cells in row `y`, cut to columns `from..to`, as first column and end.
    pub(crate) fn runs(
        &self,
        y: usize,
        from: usize,
        to: usize,
    ) -> impl Iterator<Item = (usize, usize)> + '_ {
        bits::runs(self.row(y), from, to).map(|run| (run.start, run.end))
    }

    /// The same parts of the frame with only those lines at which a part begins or ends.
    pub(crate) fn simplified(&self) -> Self {
        let rows = self.rows();
        let differs = |y: &usize| *y == 0 || self.row(*y) != self.row(*y - 1);
        let kept: Vec<_> = (0..rows).filter(differs).collect();
        let mut edges = vec![0; self.x_lines.len().div_ceil(WORD)];
        bits::set(&mut edges, 0..1);
        for &y in &kept {
            let mut carry = 0;
            for (edge, word) in edges.iter_mut().zip(self.row(y).iter().chain([&0])) {
                *edge |= word ^ (word << 1 | carry);
                carry = word >> (WORD - 1);
            }
        }
        let mut index = vec![0; self.x_lines.len()];
        let mut x_lines = vec![];
        for (column, (line, index)) in self.x_lines.iter().zip(&mut index).enumerate() {
            *index = x_lines.len();
            if bits::get(&edges, column) || column == self.columns() {
                x_lines.push(*line);
            }
        }
        let y_lines = kept.iter().map(|y| self.y_interval(*y, rows).start);
        let y_lines = y_lines.chain([self.y_interval(0, rows).end]).collect();
        let mut simple = Self::new(x_lines, y_lines);
        let mut bits = simple.blank_row();
        for (row, &y) in kept.iter().enumerate() {
            bits.fill(0);
            for (from, to) in self.runs(y, 0, self.columns()) {
                if let (Some(from), Some(to)) = (index.get(from), index.get(to)) {
                    bits::set(&mut bits, *from..*to);
                }
            }
            simple.add(&bits, row, row + 1);
        }
        simple
    }
}

fn interval(lines: &[u32], from: usize, to: usize) -> Interval {
    let line = |index| lines.get(index).or(lines.last()).copied().unwrap_or(0);
    Interval { start: line(from), end: line(to) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simplifying_keeps_the_parts_and_drops_the_lines_between_equal_cells() {
        let mut mask =
            CellMask::new((0..=200).map(|x| 3 * x).collect(), (0..=9).map(|y| 2 * y).collect());
        for (from, to, rows) in [(60, 70, 2..5), (127, 129, 4..5), (190, 200, 4..9)] {
            let mut row = mask.blank_row();
            bits::set(&mut row, from..to);
            mask.add(&row, rows.start, rows.end);
        }
        let simple = mask.simplified();
        assert_eq!(simple.x_lines, [0, 180, 210, 381, 387, 570, 600]);
        assert_eq!(simple.y_lines, [0, 4, 8, 10, 18]);
        let runs = |y| simple.runs(y, 0, 6).collect::<Vec<_>>();
        assert_eq!([runs(0), runs(1)], [vec![], vec![(1, 2)]]);
        assert_eq!([runs(2), runs(3)], [vec![(1, 2), (3, 4), (5, 6)], vec![(5, 6)]]);
        assert_eq!(CellMask::new(vec![0, 5], vec![0, 5]).simplified().columns(), 1);
    }
}
