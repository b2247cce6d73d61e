//! Features from picture to picture, and which of them changed.

use super::{
    Error,
    batch::Work,
    features::{Plane, Ranges},
    input::Input,
    kernels::Lanes,
    mask::Mask,
    plan::{Block, Layer, Plan},
    reach::Reach,
    tile::Tile,
};
use crate::frame::{Image, Rect};

/// Features from picture to picture.
pub(super) struct Kept {
    pub sizes: Vec<[usize; 2]>,
    /// The input that the features belong to.
    pub input: Image,
    /// The same, as layers read it.
    pub cells: Input,
    pub input_mask: Mask,
    pub planes: Vec<Plane>,
    /// For each layer, which of its pixels changed in this update.
    pub masks: Vec<Mask>,
    /// For each layer, which of its pixels differ, within a tolerance, from what it would compute
    /// now.
    pub passed: Vec<Mask>,
    /// Which layer makes each plane.
    pub makers: Vec<usize>,
    /// The number of updates so far.
    pub updates: u32,
    /// Whether the features are those of `input`.
    pub valid: bool,
}

impl Kept {
    pub(super) fn new(plan: &Plan, sizes: &[[usize; 2]], input: &Image) -> Result<Self, Error> {
        let mut cells = Input::default();
        cells.prepare(plan, sizes, [input.channels(), input.height(), input.width()])?;
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
        let masks: Vec<Mask> = sizes.iter().map(|&size| Mask::new(size)).collect();
        Ok(Self {
            sizes: sizes.to_vec(),
            input: Image::default(),
            cells,
            input_mask: Mask::new([input.height(), input.width()]),
            planes,
            passed: masks.clone(),
            masks,
            makers,
            updates: 0,
            valid: false,
        })
    }

    /// Takes over `input` where it differs inside `changed`, and marks those pixels.
    pub(super) fn take_input(&mut self, input: &Image, changed: &[Rect]) {
        self.input_mask.fill(false);
        let bounds = Rect::of_size(input.width() as u32, input.height() as u32);
        for rectangle in changed {
            let rectangle = rectangle.intersection(&bounds);
            let columns = rectangle.x as usize..(rectangle.x + rectangle.width) as usize;
            for channel in 0..input.channels() {
                for y in rectangle.y as usize..(rectangle.y + rectangle.height) as usize {
                    let new = input.row(channel, y).get(columns.clone()).unwrap_or_default();
                    let old = self.input.row_mut(channel, y);
                    let old = old.get_mut(columns.clone()).unwrap_or_default();
                    self.input_mask.mark_row(
                        y,
                        columns.start,
                        |x| {
                            let pair = (old.get(x), new.get(x));
                            matches!(pair, (Some(old), Some(new)) if old.to_bits() != new.to_bits())
                        },
                        columns.len(),
                    );
                    old.copy_from_slice(new);
                }
            }
            self.cells.copy_part(input, rectangle);
        }
    }

    /// The mask of a block's changes, and how many of its pixels, along each axis,
    /// are one of the block's.
    fn mask(&self, block: Block) -> Option<(&Mask, usize)> {
        match block {
            Block::Input { factor, .. } => Some((&self.input_mask, factor)),
            Block::Plane(plane) => Some((self.masks.get(*self.makers.get(plane)?)?, 1)),
        }
    }

    /// Which tiles of a layer have a changed pixel in their window: adds them to `dirty`.
    pub(super) fn mark_dirty(&self, work: &Work<'_>, dirty: &mut Mask) {
        let mut seen: Vec<(&Mask, usize, Reach)> = Vec::new();
        for (block, reach) in work.reaches() {
            let Some((mask, factor)) = self.mask(block) else { continue };
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

    /// The largest magnitudes of each channel of each layer.
    pub(super) fn ranges(&self, plan: &Plan) -> Ranges {
        let range = |plane: &usize| {
            let mut most = Lanes::default();
            for pixel in self.planes.get(*plane).map_or(&[][..], |plane| &plane.data) {
                for (most, value) in most.0.iter_mut().zip(pixel.0) {
                    *most = most.max(value.abs());
                }
            }
            most
        };
        let layer = |layer: &Layer| layer.outputs.iter().map(range).collect();
        plan.layers.iter().map(layer).collect()
    }
}
