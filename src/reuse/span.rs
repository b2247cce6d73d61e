//! Regions along one direction: what is computed, what is read for it, and how long it is.

use super::changed_map::BLOCK;

/// One direction of a frame, and what regions have to keep to there.
#[derive(Clone, Debug)]
pub(super) struct Direction {
    /// The frame's side.
    pub length: u32,
    /// How far a changed pixel makes itself felt.
    reach: u32,
    /// How far around a place the model looks.
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
    /// The frame's side as the model is given it.
    padded: u32,
    /// Where affected places can begin and end, in order, the frame's two ends included.
    pub lines: Vec<u32>,
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
    /// Without limits to shapes; see the fields.
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
        let most = length.max(1);
        let padded = length;
        Self { length, reach, halo, align: 1, grid: 1, least: 1, most, padded, lines, affected }
    }

    /// With other shapes than any; see the fields.
    pub fn shaped(self, align: u32, grid: u32, least: u32, most: u32) -> Self {
        let (align, least, most) = (align.max(1), least.max(1), most.max(1));
        let grid = num_integer::lcm(u64::from(grid.max(1)), u64::from(align));
        let grid = u32::try_from(grid).unwrap_or(u32::MAX);
        let padded = self.length.max(least).next_multiple_of(align);
        Self { align, grid, least, most, padded, ..self }
    }

    /// The intervals that changes of the blocks `from..to` affect.
    pub fn affected(&self, from: u32, to: u32) -> (usize, usize) {
        let first = self.affected.get(from as usize).map_or(0, |cells| cells.0);
        let end = to.checked_sub(1).and_then(|last| self.affected.get(last as usize));
        (first as usize, end.map_or(0, |cells| cells.1 as usize))
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
        let (start, end) = (self.reach(span.start).start, self.reach(span.end).end);
        let length = self.given(end - start);
        let start = start.min(self.padded - length);
        Span { start, end: (start + length).min(self.length) }
    }

    /// The whole blocks within `span` that nothing outside of it depends on.
    pub fn owned(&self, span: Span) -> Span {
        let start = match span.start {
            0 => 0,
            start => start.saturating_add(self.reach).next_multiple_of(BLOCK),
        };
        let end = match span.end {
            end if end == self.length => end,
            end => end.saturating_sub(self.reach) / BLOCK * BLOCK,
        };
        Span { start: start.min(end), end }
    }

    /// From where a region that begins at `line` reads, and up to where one that ends there.
    pub fn reach(&self, line: u32) -> Span {
        let (start, end) = match self.align {
            1 => (line, line),
            align => (line / align * align, line.div_ceil(align).saturating_mul(align)),
        };
        let start = start.saturating_sub(self.halo);
        let start = if self.align == 1 { start } else { start / self.align * self.align };
        Span { start, end: end.saturating_add(self.halo).min(self.length) }
    }

    /// The length that the model is given when so much is to be read.
    pub fn given(&self, length: u32) -> u32 {
        let length = length.max(self.least);
        let length = if self.grid == 1 { length } else { length.next_multiple_of(self.grid) };
        length.min(self.padded)
    }

    /// How many regions `span` takes, and the sum of the lengths that the model is given.
    pub fn size(&self, span: Span) -> (u64, u64) {
        self.parts(span).fold((0, 0), |(count, length), part| {
            let read = self.reach(part.end).end - self.reach(part.start).start;
            (count + 1, length + u64::from(self.given(read)))
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
            span(direction.lines[from], direction.lines[to])
        };
        assert_eq!(affected(0, 1), span(0, 11));
        assert_eq!(affected(1, 3), span(5, 27));
        assert_eq!(affected(3, 4), span(21, 30));
    }

    #[test]
    fn lengths_read_are_on_the_grid_inside_of_the_frame() {
        let direction = Direction::new(101, 5, 5).shaped(2, 32, 1, 101);
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
        let direction = Direction::new(99, 5, 5).shaped(4, 1, 1, 32);
        let parts: Vec<_> = direction.parts(span(3, 97)).collect();
        assert_eq!(parts, [span(0, 28), span(28, 56), span(56, 84), span(84, 99)]);
        let direction = Direction::new(64, 5, 5).shaped(1, 1, 1, 32);
        assert_eq!(direction.parts(span(0, 64)).count(), 2);
    }
}
