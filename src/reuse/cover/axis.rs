//! Regions along one axis: what they compute, what they read, and how long the model's input is.

use num_integer::lcm;

use super::interval::Interval;
use crate::reuse::changed_map::BLOCK;

/// One axis of a frame and the constraints on regions along it.
#[derive(Clone, Debug)]
pub(in crate::reuse) struct RegionAxis {
    /// The frame's length.
    pub length: u32,
    /// How far a changed pixel affects the enlarged picture, in input pixels.
    reach: u32,
    /// How far around a pixel the model reads.
    pub halo: u32,
    /// Positions and lengths of what is read are multiples of this.
    pub align: u32,
    /// Lengths of what is read are multiples of this where the frame is long enough; a multiple
    /// of `align`.
    grid: u32,
    /// The smallest length of the model's input.
    min_length: u32,
    /// The greatest length of a region without its halo.
    pub max_length: u32,
    /// The length of the model's input for the whole frame.
    padded: u32,
    /// The positions where affected pixels can begin and end, in ascending order, from 0 to the
    /// frame's length.
    pub lines: Vec<u32>,
    /// For each block, the lines (by index) between which it affects pixels.
    affected: Vec<(u32, u32)>,
}

impl RegionAxis {
    /// An axis without constraints on the lengths of regions. For the arguments see the fields.
    pub(crate) fn new(length: u32, reach: u32, halo: u32) -> Self {
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
        Self {
            length,
            reach,
            halo,
            align: 1,
            grid: 1,
            min_length: 1,
            max_length: length.max(1),
            padded: length,
            lines,
            affected,
        }
    }

    /// The same axis with constraints. For the arguments see the fields; 0 counts as 1.
    pub(crate) fn constrained(
        self,
        align: u32,
        grid: u32,
        min_length: u32,
        max_length: u32,
    ) -> Self {
        let (align, min_length) = (align.max(1), min_length.max(1));
        let grid = lcm(u64::from(grid.max(1)), u64::from(align));
        Self {
            align,
            grid: u32::try_from(grid).unwrap_or(u32::MAX),
            min_length,
            max_length: max_length.max(1),
            padded: self.length.max(min_length).next_multiple_of(align),
            ..self
        }
    }

    /// The lines (by index) between which changes of the blocks `from..to` affect pixels.
    pub(crate) fn affected(&self, from: u32, to: u32) -> (usize, usize) {
        let first = self.affected.get(from as usize).map_or(0, |lines| lines.0);
        let end = to.checked_sub(1).and_then(|last| self.affected.get(last as usize));
        (first as usize, end.map_or(0, |lines| lines.1 as usize))
    }

    /// What regions compute to cover `interval`: one interval, or several where it is too long.
    pub(crate) fn split(&self, interval: Interval) -> impl Iterator<Item = Interval> {
        let start = interval.start / self.align * self.align;
        let end = interval.end.div_ceil(self.align).saturating_mul(self.align).min(self.length);
        let length = end - start;
        let equal = length.div_ceil(length.div_ceil(self.max_length).max(1));
        let cut_to = |length: u32| (length / self.align * self.align).max(self.align);
        let step = cut_to(equal.next_multiple_of(self.align).min(self.max_length.max(self.align)));
        (start..end)
            .step_by(step.max(1) as usize)
            .map(move |start| Interval { start, end: (start + step).min(end) })
    }

    /// What is read to compute `interval`: it and its halo, within the frame. Where the grid
    /// requires more pixels than there are on one side, the interval extends to the other side.
    pub(crate) fn read(&self, interval: Interval) -> Interval {
        let (start, end) = (self.reads(interval.start).start, self.reads(interval.end).end);
        let length = self.input_length(end - start);
        let start = start.min(self.padded - length);
        Interval { start, end: (start + length).min(self.length) }
    }

    /// The whole blocks within `interval` that no pixel outside of it depends on.
    pub(crate) fn owned(&self, interval: Interval) -> Interval {
        let start = match interval.start {
            0 => 0,
            start => start.saturating_add(self.reach).next_multiple_of(BLOCK),
        };
        let end = match interval.end {
            end if end == self.length => end,
            end => end.saturating_sub(self.reach) / BLOCK * BLOCK,
        };
        Interval { start: start.min(end), end }
    }

    /// Where a region that begins at `line` starts to read, and where one that ends there stops.
    pub(crate) fn reads(&self, line: u32) -> Interval {
        let (start, end) = match self.align {
            1 => (line, line),
            align => (line / align * align, line.div_ceil(align).saturating_mul(align)),
        };
        let start = start.saturating_sub(self.halo);
        let start = if self.align == 1 { start } else { start / self.align * self.align };
        Interval { start, end: end.saturating_add(self.halo).min(self.length) }
    }

    /// The length of the model's input when at least `length` pixels are read.
    pub(crate) fn input_length(&self, length: u32) -> u32 {
        let length = length.max(self.min_length);
        let length = if self.grid == 1 { length } else { length.next_multiple_of(self.grid) };
        length.min(self.padded)
    }

    /// The number of regions that cover `interval`, and the sum of the lengths of their inputs.
    pub(crate) fn size(&self, interval: Interval) -> (u64, u64) {
        self.split(interval).fold((0, 0), |(count, length), part| {
            let read = self.reads(part.end).end - self.reads(part.start).start;
            (count + 1, length + u64::from(self.input_length(read)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(start: u32, end: u32) -> Interval {
        Interval { start, end }
    }

    #[test]
    fn lines_are_where_pixels_affected_by_blocks_can_begin_and_end() {
        let axis = RegionAxis::new(30, 3, 2);
        assert_eq!(axis.lines, [0, 5, 11, 13, 19, 21, 27, 30]);
        let affected = |from, to| {
            let (from, to) = axis.affected(from, to);
            interval(axis.lines[from], axis.lines[to])
        };
        assert_eq!(affected(0, 1), interval(0, 11));
        assert_eq!(affected(1, 3), interval(5, 27));
        assert_eq!(affected(3, 4), interval(21, 30));
    }

    #[test]
    fn lengths_of_inputs_are_on_the_grid_inside_the_frame() {
        let axis = RegionAxis::new(101, 5, 5).constrained(2, 32, 1, 101);
        assert_eq!(axis.read(interval(40, 50)), interval(34, 66));
        // This one ends at the border. The input is padded to 102.
        assert_eq!(axis.read(interval(80, 90)), interval(70, 101));
        assert_eq!(axis.size(interval(80, 90)), (1, 32));
        assert_eq!(axis.read(interval(8, 90)), interval(2, 98));
        assert_eq!(axis.read(interval(8, 99)), interval(0, 101));
        assert_eq!(axis.size(interval(8, 99)), (1, 102));
    }

    #[test]
    fn a_grid_too_large_for_the_frame_reads_the_whole_frame() {
        let axis = RegionAxis::new(101, 5, 5).constrained(65_521, u32::MAX, 1, 101);
        assert_eq!(axis.read(interval(40, 50)), interval(0, 101));
    }

    #[test]
    fn long_intervals_are_split_into_equal_parts() {
        let axis = RegionAxis::new(99, 5, 5).constrained(4, 1, 1, 32);
        let parts: Vec<_> = axis.split(interval(3, 97)).collect();
        assert_eq!(parts, [interval(0, 28), interval(28, 56), interval(56, 84), interval(84, 99)]);
        let axis = RegionAxis::new(64, 5, 5).constrained(1, 1, 1, 32);
        assert_eq!(axis.split(interval(0, 64)).count(), 2);
    }
}
