//! Features from picture to picture, and which of them changed.

use super::{
    Error,
    batch::{Reach, Tile, Work},
    features::Plane,
    kernels::Lanes,
    mask::Mask,
    plan::{Block, Layer, Plan},
};
use crate::frame::Image;

/// Features from picture to picture.
pub(super) struct Kept {
    pub sizes: Vec<[usize; 2]>,
    /// The input that the features belong to.
    pub input: Image,
    pub input_mask: Mask,
    pub planes: Vec<Plane>,
    /// For each layer, which of its pixels changed in this update.
    pub masks: Vec<Mask>,
    /// For each layer and vector of channels, the largest values of the last whole run.
    pub ranges: Vec<Vec<Lanes>>,
    /// Which layer makes each plane.
    pub makers: Vec<usize>,
}

impl Kept {
    pub(super) fn new(plan: &Plan, sizes: &[[usize; 2]], input: &Image) -> Result<Self, Error> {
        let mut planes = vec![Plane::default(); plan.planes.len()];
        let mut makers = vec![0; plan.planes.len()];
        for (index, (layer, &size)) in plan.layers.iter().zip(sizes).enumerate() {
            for &plane in &layer.outputs {
                if let (Some(to), Some(maker)) = (planes.get_mut(plane), makers.get_mut(plane)) {
                    *to = Plane::reuse(size, Vec::new())?;
                    *maker = index;
                }
            }
        }
        Ok(Self {
            sizes: sizes.to_vec(),
            input: Image::default(),
            input_mask: Mask::new([input.height(), input.width()]),
            planes,
            masks: sizes.iter().map(|&size| Mask::new(size)).collect(),
            ranges: Vec::new(),
            makers,
        })
    }

    /// The mask of a block's changes, and how many of its pixels, along each axis,
    /// are one of the block's.
    pub(super) fn mask(&self, block: Block) -> Option<(&Mask, usize)> {
        match block {
            Block::Input { factor, .. } => Some((&self.input_mask, factor)),
            Block::Plane(plane) => Some((self.masks.get(*self.makers.get(plane)?)?, 1)),
        }
    }

    /// The tiles of a layer that have a changed pixel in their window.
    pub(super) fn dirty(&self, work: &Work<'_>, own: &Mask) -> Vec<Tile> {
        let mut sources: Vec<(&Mask, usize, Reach)> = Vec::new();
        for (block, reach) in work.reaches() {
            let Some((mask, factor)) = self.mask(block) else { continue };
            let known = sources.iter().any(|(other, other_factor, other_reach)| {
                std::ptr::eq(*other, mask) && (*other_factor, *other_reach) == (factor, reach)
            });
            if !known && !mask.is_empty() {
                sources.push((mask, factor, reach));
            }
        }
        if sources.iter().any(|(mask, ..)| mask.is_full()) {
            return own.tiles().collect();
        }
        let is_dirty = |tile: &Tile| {
            sources.iter().any(|(mask, factor, reach)| {
                mask.any(reach.rectangle(*tile).map(|at| at * *factor as i64))
            })
        };
        if sources.is_empty() { Vec::new() } else { own.tiles().filter(is_dirty).collect() }
    }

    /// The largest values of each channel of each layer.
    pub(super) fn measure(&mut self, plan: &Plan) {
        let range = |plane: &usize| {
            let mut most = Lanes::default();
            for pixel in self.planes.get(*plane).map_or(&[][..], |plane| &plane.data) {
                for (most, value) in most.0.iter_mut().zip(pixel.0) {
                    *most = if value.abs() > *most { value.abs() } else { *most };
                }
            }
            most
        };
        let layer = |layer: &Layer| layer.outputs.iter().map(range).collect();
        self.ranges = plan.layers.iter().map(layer).collect();
    }
}
