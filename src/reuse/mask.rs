//! Which places of a frame are to be computed, on a grid of lines at any distance.

use super::{
    changed_map::{next_bit, set_bits},
    span::Span,
};

const WORD: usize = u64::BITS as usize;

/// A bit per cell between neighbouring lines.
#[derive(Clone, Debug)]
pub(super) struct Mask {
    /// Pixel positions of the lines across and down, in order.
    lines: [Vec<u32>; 2],
    words_per_row: usize,
    words: Vec<u64>,
}

impl Mask {
    /// No cell of those between these lines.
    pub fn new(across: Vec<u32>, down: Vec<u32>) -> Self {
        let words_per_row = across.len().saturating_sub(1).div_ceil(WORD);
        let words = vec![0; words_per_row * down.len().saturating_sub(1)];
        Self { lines: [across, down], words_per_row, words }
    }

    /// Where the lines across (0) or down (1) are.
    pub fn lines(&self, direction: usize) -> &[u32] {
        self.lines.get(direction).map_or(&[], Vec::as_slice)
    }

    /// Cells per row.
    pub fn columns(&self) -> usize {
        self.lines[0].len().saturating_sub(1)
    }

    /// Rows of cells.
    pub fn rows(&self) -> usize {
        self.lines[1].len().saturating_sub(1)
    }

    /// Words that hold a row.
    pub fn words_per_row(&self) -> usize {
        self.words_per_row
    }

    /// The pixels of columns `from..to`.
    pub fn across(&self, from: usize, to: usize) -> Span {
        Self::span(&self.lines[0], from, to)
    }

    /// The pixels of rows `from..to`.
    pub fn down(&self, from: usize, to: usize) -> Span {
        Self::span(&self.lines[1], from, to)
    }

    fn span(lines: &[u32], from: usize, to: usize) -> Span {
        let line = |index| lines.get(index).or(lines.last()).copied().unwrap_or(0);
        Span { start: line(from), end: line(to) }
    }

    /// The words of row `y`.
    pub fn row(&self, y: usize) -> &[u64] {
        let start = y * self.words_per_row;
        self.words.get(start..start + self.words_per_row).unwrap_or_default()
    }

    /// Adds `bits` to rows `from..to`.
    pub fn add(&mut self, bits: &[u64], from: usize, to: usize) {
        for row in self.words.chunks_mut(self.words_per_row.max(1)).take(to).skip(from) {
            row.iter_mut().zip(bits).for_each(|(word, bits)| *word |= bits);
        }
    }

    /// A row of as many words, empty.
    pub fn blank_row(&self) -> Vec<u64> {
        vec![0; self.words_per_row]
    }

    /// Runs of cells in row `y`, from column `from` up to `to`.
    pub fn runs(
        &self,
        y: usize,
        from: usize,
        to: usize,
    ) -> impl Iterator<Item = (usize, usize)> + '_ {
        let row = self.row(y);
        let mut at = from;
        std::iter::from_fn(move || {
            let start = next_bit(row, at, true).filter(|start| *start < to)?;
            let end = next_bit(row, start, false).unwrap_or(to).min(to);
            at = end;
            Some((start, end))
        })
    }

    /// The same places with only those lines at which anything begins or ends.
    pub fn simplified(&self) -> Self {
        let rows = self.rows();
        let differs = |y: &usize| *y == 0 || self.row(*y) != self.row(*y - 1);
        let kept: Vec<_> = (0..rows).filter(differs).collect();
        let mut edges = vec![0; self.lines[0].len().div_ceil(WORD)];
        set_bits(&mut edges, 0..1);
        for &y in &kept {
            let mut carry = 0;
            for (edge, word) in edges.iter_mut().zip(self.row(y).iter().chain([&0])) {
                *edge |= word ^ (word << 1 | carry);
                carry = word >> (WORD - 1);
            }
        }
        let mut index = vec![0; self.lines[0].len()];
        let mut across = vec![];
        for (column, (line, index)) in self.lines[0].iter().zip(&mut index).enumerate() {
            let is_edge = edges.get(column / WORD).is_some_and(|w| w >> (column % WORD) & 1 == 1);
            *index = across.len();
            if is_edge || column == self.columns() {
                across.push(*line);
            }
        }
        let down = kept.iter().map(|y| self.down(*y, rows).start);
        let down = down.chain([self.down(0, rows).end]).collect();
        let mut simple = Self::new(across, down);
        let mut bits = simple.blank_row();
        for (row, &y) in kept.iter().enumerate() {
            bits.fill(0);
            for (from, to) in self.runs(y, 0, self.columns()) {
                if let (Some(from), Some(to)) = (index.get(from), index.get(to)) {
                    set_bits(&mut bits, *from..*to);
                }
            }
            simple.add(&bits, row, row + 1);
        }
        simple
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simplifying_keeps_the_places_and_drops_the_lines_between() {
        let mut mask =
            Mask::new((0..=200).map(|x| 3 * x).collect(), (0..=9).map(|y| 2 * y).collect());
        for (from, to, rows) in [(60, 70, 2..5), (127, 129, 4..5), (190, 200, 4..9)] {
            let mut bits = mask.blank_row();
            set_bits(&mut bits, from..to);
            mask.add(&bits, rows.start, rows.end);
        }
        let simple = mask.simplified();
        assert_eq!(simple.lines[0], [0, 180, 210, 381, 387, 570, 600]);
        assert_eq!(simple.lines[1], [0, 4, 8, 10, 18]);
        let runs = |y| simple.runs(y, 0, 6).collect::<Vec<_>>();
        assert_eq!([runs(0), runs(1)], [vec![], vec![(1, 2)]]);
        assert_eq!([runs(2), runs(3)], [vec![(1, 2), (3, 4), (5, 6)], vec![(5, 6)]]);
        assert_eq!(Mask::new(vec![0, 5], vec![0, 5]).simplified().columns(), 1);
    }
}
