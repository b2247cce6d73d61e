//! Reading a layer's input: windows of planes and of the network's input picture.

#![allow(clippy::indexing_slicing, reason = "only lanes are indexed, by numbers below LANES")]

use std::ops::Range;

use super::{
    features::Plane,
    input::Input,
    kernels::{LANES, Lanes},
    plan::{Block, Pick},
};

/// Everything that a layer may read.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub planes: &'a [Plane],
    pub input: &'a Input,
}

/// The part of a window along one axis that lies inside: where it starts in the window, and the
/// samples from `at` of a side of `side` samples.
fn inside(at: i64, count: usize, side: usize) -> (usize, Range<usize>) {
    let clip = |at: i64| usize::try_from(at).unwrap_or(0).min(side);
    let range = clip(at)..clip(at.saturating_add(count as i64));
    (usize::try_from(at.saturating_neg()).unwrap_or(0).min(count), range)
}

impl Source<'_> {
    /// The size of a block: rows, columns.
    pub(crate) fn size(&self, block: Block) -> [usize; 2] {
        match block {
            Block::Plane(plane) => {
                self.planes.get(plane).map_or([0; 2], |plane| [plane.height, plane.width])
            }
            Block::Input { factor, .. } => self.input.size(factor),
        }
    }

    /// The plane of a block if the window of `size` at (y, x) lies inside of it. `None` also for
    /// blocks of the input picture, which are no planes.
    pub(crate) fn inside(
        &self,
        block: Block,
        [y, x]: [i64; 2],
        size: [usize; 2],
    ) -> Option<&Plane> {
        let Block::Plane(plane) = block else { return None };
        let plane = self.planes.get(plane)?;
        let fits = |at: i64, count: usize, side: usize| at >= 0 && at as usize + count <= side;
        (fits(y, size[0], plane.height) && fits(x, size[1], plane.width)).then_some(plane)
    }

    /// One pixel of a block; zeros outside.
    pub(crate) fn pixel(&self, block: Block, y: i64, x: i64) -> Lanes {
        match block {
            Block::Plane(plane) => self
                .planes
                .get(plane)
                .and_then(|plane| plane.get(y, x))
                .copied()
                .unwrap_or_default(),
            Block::Input { factor, first } => {
                let mut lanes = Lanes::default();
                if let Some(cells) = self.input.cells(factor)
                    && let Some(at) = cells.at([y, x], [1; 2])
                    && let Some(from) = cells.data.get(at..at + cells.samples)
                {
                    let from = from.iter().skip(first);
                    lanes.0.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
                }
                lanes
            }
        }
    }

    /// A window of a block, row after row; zeros outside of the block.
    pub(crate) fn window(
        &self,
        block: Block,
        [y, x]: [i64; 2],
        size: [usize; 2],
        to: &mut [Lanes],
    ) {
        let [height, width] = size;
        let Block::Plane(plane) = block else {
            for (index, to) in to.iter_mut().enumerate() {
                let [row, column] = [index / width, index % width].map(|at| at as i64);
                *to = self.pixel(block, y + row, x + column);
            }
            return;
        };
        let Some(plane) = self.planes.get(plane) else { return to.fill(Lanes::default()) };
        let (top, rows) = inside(y, height, plane.height);
        let (left, columns) = inside(x, width, plane.width);
        if [rows.len(), columns.len()] != size {
            to.fill(Lanes::default());
        }
        for (to, row) in to.chunks_exact_mut(width).skip(top).zip(rows) {
            let from = plane.data.get(row * plane.width..).and_then(|row| row.get(columns.clone()));
            let to = to.get_mut(left..left + columns.len());
            if let (Some(to), Some(from)) = (to, from) {
                to.copy_from_slice(from);
            }
        }
    }

    /// The first `lanes` lanes of a window of a block, pixel after pixel; zeros outside of the
    /// block. Needs a window of `memory`.
    pub(crate) fn narrow_window(
        &self,
        block: Block,
        lanes: usize,
        at: [i64; 2],
        size: [usize; 2],
        memory: &mut Vec<Lanes>,
        to: &mut [f32],
    ) {
        memory.resize(size[0] * size[1], Lanes::default());
        self.window(block, at, size, memory);
        for (to, from) in to.chunks_exact_mut(lanes).zip(memory) {
            match to.first_chunk_mut::<LANES>() {
                Some(to) => *to = from.0,
                None => to.iter_mut().zip(from.0).for_each(|(to, from)| *to = from),
            }
        }
    }

    /// One pixel of a pick.
    pub(crate) fn picked(&self, pick: &Pick, y: i64, x: i64) -> Lanes {
        match pick {
            Pick::Whole(block) => self.pixel(*block, y, x),
            Pick::Lanes(places) => {
                let mut lanes = Lanes::default();
                let mut last: Option<(Block, Lanes)> = None;
                for (to, (block, lane)) in lanes.0.iter_mut().zip(places) {
                    let pixel = match last {
                        Some((same, pixel)) if same == *block => pixel,
                        _ => self.pixel(*block, y, x),
                    };
                    last = Some((*block, pixel));
                    *to = pixel.0.get(*lane).copied().unwrap_or(0.0);
                }
                lanes
            }
        }
    }

    /// A window of a pick.
    pub(crate) fn picked_window(
        &self,
        pick: &Pick,
        at: [i64; 2],
        size: [usize; 2],
        to: &mut [Lanes],
    ) {
        match pick {
            Pick::Whole(block) => self.window(*block, at, size, to),
            Pick::Lanes(places) => {
                let Some((block, _)) = places.first() else { return to.fill(Lanes::default()) };
                if places.iter().all(|(other, _)| other == block) {
                    self.window(*block, at, size, to);
                    for pixel in to {
                        let from = *pixel;
                        *pixel = Lanes::default();
                        for (to, (_, lane)) in pixel.0.iter_mut().zip(places) {
                            *to = from.0.get(*lane).copied().unwrap_or(0.0);
                        }
                    }
                    return;
                }
                for (index, to) in to.iter_mut().enumerate() {
                    let (row, column) = (index / size[1], index % size[1]);
                    *to = self.picked(pick, at[0] + row as i64, at[1] + column as i64);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::plan::{Layer, Plan, Root, Size},
        *,
    };
    use crate::frame::{Image, Rect};

    /// A plan that reads the input picture with these factors.
    fn plan(factors: [usize; 2]) -> Plan {
        let picks = factors.map(|factor| Pick::Whole(Block::Input { factor, first: 0 }));
        let root = Root::Copy(picks.to_vec());
        let layer = Layer { root, steps: vec![], outputs: vec![], blocks: 1, size: Size::INPUT };
        Plan { layers: vec![layer], planes: vec![], channels: 2, outputs: 2, shuffle: 1 }
    }

    /// What a block has at one place, or 0: sample (x, y) of channel c is 24 c + 6 y + x + 1.
    fn sample(block: Block, lane: usize, y: i64, x: i64) -> f32 {
        let (factor, lane) = match block {
            Block::Plane(_) => (1, 0),
            Block::Input { factor, first } => (factor, first + lane),
        };
        let (channel, place) = (lane / (factor * factor), lane % (factor * factor));
        let y = y * factor as i64 + (place / factor) as i64;
        let x = x * factor as i64 + (place % factor) as i64;
        let inside = channel < 2 && (0..4).contains(&y) && (0..6).contains(&x);
        if inside { (channel as i64 * 24 + y * 6 + x) as f32 + 1.0 } else { 0.0 }
    }

    #[test]
    fn a_window_has_zeros_outside_and_the_block_inside() {
        let mut image = Image::new(2, 6, 4);
        image.data_mut().iter_mut().enumerate().for_each(|(at, to)| *to = at as f32 + 1.0);
        let plane = Plane {
            height: 4,
            width: 6,
            data: (1..25).map(|value| Lanes([value as f32; LANES])).collect::<Vec<_>>().into(),
        };
        let mut input = Input::default();
        input.prepare(&plan([1, 2]), &[[4, 6]], [2, 4, 6]).unwrap();
        // Parts that meet in the middle of a cell.
        input.copy_part(&image, Rect { x: 0, y: 0, width: 3, height: 4 });
        input.copy_part(&image, Rect { x: 3, y: 0, width: 3, height: 3 });
        input.copy_part(&image, Rect { x: 3, y: 3, width: 3, height: 1 });
        let source = Source { planes: &[plane], input: &input };
        let blocks = [
            Block::Plane(0),
            Block::Input { factor: 1, first: 0 },
            Block::Input { factor: 2, first: 0 },
            Block::Input { factor: 2, first: 3 },
        ];
        for block in blocks {
            for (y, x) in [(-2, -3), (0, 0), (1, 2), (3, 4), (-9, 20)] {
                let mut wide = [Lanes([7.0; LANES]); 30];
                source.window(block, [y, x], [5, 6], &mut wide);
                let mut narrow = [7.0; 90];
                source.narrow_window(block, 3, [y, x], [5, 6], &mut Vec::new(), &mut narrow);
                for pixel in 0..30 {
                    let at = [y + pixel as i64 / 6, x + pixel as i64 % 6];
                    for lane in 0..LANES {
                        let expected = sample(block, lane, at[0], at[1]);
                        assert_eq!(wide[pixel].0[lane], expected, "{block:?} {at:?} {lane}");
                        if lane < 3 {
                            assert_eq!(narrow[pixel * 3 + lane], expected, "{block:?} {at:?}");
                        }
                    }
                }
            }
        }
    }
}
