//! Features from picture to picture, and which of them changed.

use super::{
    Error,
    changes::Changes,
    features::{Plane, Ranges},
    input::Input,
    kernels::Lanes,
    mask::Mask,
    plan::{Layer, Plan},
};
use crate::frame::{Image, Rect};

/// Features from picture to picture.
pub(super) struct Kept {
    pub sizes: Vec<[usize; 2]>,
    /// The input that the features belong to.
    pub input: Image,
    /// The same, as layers read it.
    pub cells: Input,
    pub planes: Vec<Plane>,
    /// What changed in this update.
    pub changes: Changes,
    /// For each layer, which of its pixels differ, within a tolerance, from what it would compute
    /// now.
    pub passed: Vec<Mask>,
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
        for (layer, &size) in plan.layers.iter().zip(sizes) {
            for &plane in &layer.outputs {
                if let Some(to) = planes.get_mut(plane) {
                    *to = Plane::reuse(size, Vec::new())?;
                }
            }
        }
        let changes = Changes::new(sizes, [input.height(), input.width()]);
        Ok(Self {
            sizes: sizes.to_vec(),
            input: Image::default(),
            cells,
            planes,
            passed: changes.layers.clone(),
            changes,
            updates: 0,
            valid: false,
        })
    }

    /// Takes over `input` where it differs inside `changed`, and marks those pixels.
    pub(super) fn take_input(&mut self, input: &Image, changed: &[Rect]) {
        self.changes.input.fill(false);
        let bounds = Rect::of_size(input.width() as u32, input.height() as u32);
        for rectangle in changed {
            let rectangle = rectangle.intersection(&bounds);
            let columns = rectangle.x as usize..(rectangle.x + rectangle.width) as usize;
            for channel in 0..input.channels() {
                for y in rectangle.y as usize..(rectangle.y + rectangle.height) as usize {
                    let new = input.row(channel, y).get(columns.clone()).unwrap_or_default();
                    let old = self.input.row_mut(channel, y);
                    let old = old.get_mut(columns.clone()).unwrap_or_default();
                    self.changes.input.mark_row(
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
