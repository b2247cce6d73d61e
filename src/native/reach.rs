//! Which pixels of its input a tile depends on.

use super::{
    batch::Work,
    kernels::TILE,
    plan::{Block, Border, Pick, Root, Step},
    rearrange::bordered,
    tile::Tile,
};

impl Work<'_> {
    /// The blocks that a tile depends on, and where; without repetitions.
    pub(crate) fn reaches(&self) -> Vec<(Block, Reach)> {
        let mut all: Vec<(Block, Reach)> = Vec::new();
        let mut note = |block: Block, reach: Reach| {
            if !all.contains(&(block, reach)) {
                all.push((block, reach));
            }
        };
        match &self.layer.root {
            Root::Convolution(convolution) => {
                let size = convolution.taps.window();
                let reach = Reach::Window { before: convolution.before, size };
                convolution.source.iter().for_each(|&block| note(block, reach));
            }
            Root::Copy(picks) => {
                picks.iter().flat_map(Pick::blocks).for_each(|block| note(block, Reach::SAME));
            }
            Root::Shuffle { factor, picks } => {
                let blocks = picks.iter().flatten().flat_map(Pick::blocks);
                blocks.for_each(|block| note(block, Reach::Shuffled(*factor)));
            }
            Root::Unshuffle { factor, picks } => {
                let blocks = picks.iter().flatten();
                blocks.for_each(|(block, ..)| note(*block, Reach::Unshuffled(*factor)));
            }
            Root::Bilinear { picks, .. } => {
                let reach = Reach::Window { before: [1; 2], size: [TILE + 2; 2] };
                picks.iter().flat_map(Pick::blocks).for_each(|block| note(block, reach));
            }
            Root::Pad { before, border, picks, .. } => {
                for block in picks.iter().flat_map(Pick::blocks) {
                    let size = self.source.size(block);
                    note(block, Reach::Padded { before: *before, border: *border, size });
                }
            }
        }
        for step in &self.layer.steps {
            if let Step::Load { picks, .. } = step {
                picks.iter().flat_map(Pick::blocks).for_each(|block| note(block, Reach::SAME));
            }
        }
        all
    }
}

/// Which pixels of a block a tile depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Window {
        before: [i64; 2],
        size: [usize; 2],
    },
    /// The block is pixel-shuffled by this into the tile.
    Shuffled(usize),
    /// The block is pixel-unshuffled by this into the tile.
    Unshuffled(usize),
    Padded {
        before: [i64; 2],
        border: Border,
        /// Of the block: rows, columns.
        size: [usize; 2],
    },
}

impl Reach {
    /// The tile's own pixels.
    const SAME: Self = Self::Window { before: [0; 2], size: [TILE; 2] };

    /// First row and column, and those after the last; may exceed the picture.
    pub(crate) fn rectangle(self, tile: Tile) -> [i64; 4] {
        let [y, x] = tile.origin();
        let side = TILE as i64;
        match self {
            Self::Window { before, size } => {
                let (y, x) = (y - before[0], x - before[1]);
                [y, x, y + size[0] as i64, x + size[1] as i64]
            }
            Self::Shuffled(factor) => {
                let factor = factor as i64;
                let behind = |at: i64| (at + side - 1).div_euclid(factor) + 1;
                [y.div_euclid(factor), x.div_euclid(factor), behind(y), behind(x)]
            }
            Self::Unshuffled(factor) => [y, x, y + side, x + side].map(|at| at * factor as i64),
            Self::Padded { before, border, size } => {
                let span = |first: i64, before: i64, length: usize| {
                    let places =
                        (first..first + side).map(|at| bordered(at - before, length, border));
                    (places.clone().min().unwrap_or(0), places.max().unwrap_or(0) + 1)
                };
                let (top, bottom) = span(y, before[0], size[0]);
                let (left, right) = span(x, before[1], size[1]);
                [top, left, bottom, right]
            }
        }
    }
}
