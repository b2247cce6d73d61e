//! One mask of changed pixels per layer, and which tiles of the next layer they reach.

use super::{batch::Work, mask::Mask, plan::Block, reach::Reach, tile::Tile};

/// Which pixels changed, of the input and of each layer.
#[derive(Clone, Debug)]
pub(super) struct Changes {
    pub input: Mask,
    pub layers: Vec<Mask>,
}

impl Changes {
    /// None, for layers of `sizes` and an input of `input`: rows, columns.
    pub(super) fn new(sizes: &[[usize; 2]], input: [usize; 2]) -> Self {
        let layers = sizes.iter().map(|&size| Mask::new(size)).collect();
        Self { input: Mask::new(input), layers }
    }

    /// The mask of a layer, and none in its place.
    pub(super) fn take(&mut self, layer: usize) -> Mask {
        self.layers.get_mut(layer).map(std::mem::take).unwrap_or_default()
    }

    /// Gives a layer its mask.
    pub(super) fn put(&mut self, layer: usize, mask: Mask) {
        if let Some(to) = self.layers.get_mut(layer) {
            *to = mask;
        }
    }

    /// The mask of a block's changes, and how many of its pixels, along each axis,
    /// are one of the block's. `makers`: the layer that makes each plane.
    fn of(&self, block: Block, makers: &[usize]) -> Option<(&Mask, usize)> {
        match block {
            Block::Input { factor, .. } => Some((&self.input, factor)),
            Block::Plane(plane) => Some((self.layers.get(*makers.get(plane)?)?, 1)),
        }
    }

    /// Adds the tiles of a layer that have a changed pixel in their window to `dirty`.
    pub(super) fn mark_dirty(&self, makers: &[usize], work: &Work<'_>, dirty: &mut Mask) {
        let mut seen: Vec<(&Mask, usize, Reach)> = Vec::new();
        for (block, reach) in work.reaches() {
            let Some((mask, factor)) = self.of(block, makers) else { continue };
            let known = seen.iter().any(|(other, other_factor, other_reach)| {
                std::ptr::eq(*other, mask) && (*other_factor, *other_reach) == (factor, reach)
            });
            if known || mask.is_empty() {
                continue;
            }
            seen.push((mask, factor, reach));
            match reach {
                _ if mask.is_full() => dirty.fill(true),
                Reach::Window { before, size }
                    if factor == 1 && dirty.mark_near(mask, before, size) => {}
                _ => dirty.mark_tiles(|tile: Tile| {
                    mask.any(reach.rectangle(tile).map(|at| at * factor as i64))
                }),
            }
        }
    }
}
