//! Regions along one direction: what is computed, what is read for it, and how long it is.

use super::changed_map::BLOCK;

/// One direction of a frame, and what regions have to keep to there.
#[derive(Clone, Debug)]
pub(super) struct Direction {
    /// The frame's side.
    pub length: u32,
    pub halo: u32,
    /// What positions and lengths of what is read are multiples of.
    pub align: u32,
    /// What lengths of what is read are multiples of, where the frame has room; itself one of
    /// `align`.
    pub grid: u32,
    /// The least length that can be read.
    pub least: u32,
    /// The greatest length of a region, halo not counted.
    pub most: u32,
    /// Where affected places can begin and end, in order, the frame's two ends included.
    lines: Vec<u32>,
    /// The intervals between lines that each block affects.
    affected: Vec<(u32, u32)>,
}

/// From the first pixel to one past the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub start: u32,
    pub end: u32,
}

impl Span {
    pub fn length(&self) -> u32 {
        self.end - self.start
    }
}

impl Direction {
    /// `reach`: how far a changed pixel makes itself felt.
    pub fn new(length: u32, reach: u32, halo: u32) -> Self {
        let blocks = (0..length.div_ceil(BLOCK)).map(|block| block * BLOCK);
        let ends = blocks.map(|start| {
            let end = (start + BLOCK).min(length);
            (start.saturating_sub(reach), end.saturating_add(reach).min(length))
        });
        let ends: Vec<_> = ends.collect();
        let mut lines: Vec<_> = ends.iter().flat_map(|&(start, end)| [start, end]).collect();
        lines.extend([0, length]);
        lines.sort_unstable();
        lines.dedup();
        let index = |at| lines.partition_point(|line| *line < at) as u32;
        let affected = ends.into_iter().map(|(start, end)| (index(start), index(end))).collect();
        Self { length, halo, align: 1, grid: 1, least: 1, most: length.max(1), lines, affected }
    }

    /// Intervals between lines.
    pub fn cells(&self) -> usize {
        self.lines.len().saturating_sub(1)
    }

    /// The intervals that changes of the blocks `from..to` affect.
    pub fn affected(&self, from: u32, to: u32) -> (usize, usize) {
        let first = self.affected.get(from as usize).map_or(0, |cells| cells.0);
        let end = to.checked_sub(1).and_then(|last| self.affected.get(last as usize));
        (first as usize, end.map_or(0, |cells| cells.1 as usize))
    }

    /// The pixels of intervals, grown to the alignment.
    pub fn pixels(&self, from: usize, to: usize) -> Span {
        Span { start: self.line(from), end: self.line(to) }
    }

    pub fn line(&self, index: usize) -> u32 {
        self.lines.get(index).copied().unwrap_or(self.length)
    }

    /// What is computed for `span`, cut where it is too long for one region.
    pub fn parts(&self, span: Span) -> impl Iterator<Item = Span> {
        let start = span.start / self.align * self.align;
        let end = span.end.div_ceil(self.align).saturating_mul(self.align).min(self.length);
        let length = end - start;
        let equal = length.div_ceil(length.div_ceil(self.most).max(1));
        let cut_to = |length: u32| (length / self.align * self.align).max(self.align);
        let step = cut_to(equal.next_multiple_of(self.align).min(self.most.max(self.align)));
        (start..end)
            .step_by(step.max(1) as usize)
            .map(move |start| Span { start, end: (start + step).min(end) })
    }

    /// What is read to compute `span`: its halo around it, ending exactly at the frame's ends,
    /// moved inwards where the grid asks for more than there is on one side.
    pub fn read(&self, span: Span) -> Span {
        let padded = self.padded();
        let start = span.start.saturating_sub(self.halo) / self.align * self.align;
        let end = span.end.saturating_add(self.halo).min(self.length);
        let length = (end - start).max(self.least).next_multiple_of(self.grid).min(padded);
        let start = start.min(padded - length);
        Span { start, end: (start + length).min(self.length) }
    }

    /// The frame's side as the model is given it.
    fn padded(&self) -> u32 {
        self.length.max(self.least).next_multiple_of(self.align)
    }

    /// How many regions `span` takes, and the sum of the lengths that the model is given.
    pub fn size(&self, span: Span) -> (u64, u64) {
        self.parts(span).fold((0, 0), |(count, length), part| {
            let read = self.read(part).length().max(self.least).next_multiple_of(self.align);
            (count + 1, length + u64::from(read))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: u32, end: u32) -> Span {
        Span { start, end }
    }

    #[test]
    fn lines_are_where_places_affected_by_blocks_can_end() {
        let direction = Direction::new(30, 3, 2);
        assert_eq!(direction.lines, [0, 5, 11, 13, 19, 21, 27, 30]);
        let affected = |from, to| {
            let (from, to) = direction.affected(from, to);
            direction.pixels(from, to)
        };
        assert_eq!(affected(0, 1), span(0, 11));
        assert_eq!(affected(1, 3), span(5, 27));
        assert_eq!(affected(3, 4), span(21, 30));
    }

    #[test]
    fn lengths_read_are_on_the_grid_inside_of_the_frame() {
        let mut direction = Direction::new(101, 5, 5);
        (direction.align, direction.grid) = (2, 32);
        assert_eq!(direction.read(span(40, 50)), span(34, 66));
        // Ends at the border, which is padded to 102.
        assert_eq!(direction.read(span(80, 90)), span(70, 101));
        assert_eq!(direction.size(span(80, 90)), (1, 32));
        assert_eq!(direction.read(span(8, 90)), span(2, 98));
        assert_eq!(direction.read(span(8, 99)), span(0, 101));
        assert_eq!(direction.size(span(8, 99)), (1, 102));
    }

    #[test]
    fn long_regions_are_cut_into_equal_parts() {
        let direction = Direction { align: 4, grid: 4, most: 32, ..Direction::new(99, 5, 5) };
        let parts: Vec<_> = direction.parts(span(3, 97)).collect();
        assert_eq!(parts, [span(0, 28), span(28, 56), span(56, 84), span(84, 99)]);
        let direction = Direction { most: 32, ..Direction::new(64, 5, 5) };
        assert_eq!(direction.parts(span(0, 64)).count(), 2);
    }
}
