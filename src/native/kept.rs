//! Features from picture to picture, and which of them changed.

use super::{
    Error,
    changes::Changes,
    features::{Plane, Ranges},
    input::Input,
    kernels::Lanes,
    lifetimes::Lifetimes,
    mask::Mask,
    plan::{Layer, Plan},
    sample_buffer::SampleBuffer,
    segments::Segments,
};
use crate::frame::{Image, Rect};

/// Features from picture to picture.
pub(super) struct Kept {
    pub sizes: Vec<[usize; 2]>,
    /// The input that the features belong to.
    pub input: Image,
    /// The same, as layers read it.
    pub cells: Input,
    /// Of the layers that keep features; during an update, of all that are needed.
    pub planes: Vec<Plane>,
    /// Memory for planes of layers that do not.
    pub free: Vec<SampleBuffer<Lanes>>,
    pub segments: Segments,
    /// What changed in this update. Of layers that keep no features: what may have changed.
    pub changes: Changes,
    /// Memory for marks of tiles.
    pub required: Changes,
    /// For each layer, which of its pixels differ, within a tolerance, from what it would compute
    /// now.
    pub passed: Vec<Mask>,
    /// The number of updates so far.
    pub updates: u32,
    /// Whether the features are those of `input`.
    pub valid: bool,
}

impl Kept {
    pub(super) fn new(
        plan: &Plan,
        segments: &Segments,
        sizes: &[[usize; 2]],
        input: &Image,
    ) -> Result<Self, Error> {
        let mut cells = Input::default();
        cells.prepare(plan, sizes, [input.channels(), input.height(), input.width()])?;
        let mut planes = vec![Plane::default(); plan.planes.len()];
        for (index, (layer, &size)) in plan.layers.iter().zip(sizes).enumerate() {
            for &plane in layer.outputs.iter().filter(|_| segments.keeps(index)) {
                if let Some(to) = planes.get_mut(plane) {
                    *to = Plane::reuse(size, SampleBuffer::default())?;
                }
            }
        }
        let changes = Changes::new(sizes, [input.height(), input.width()]);
        Ok(Self {
            sizes: sizes.to_vec(),
            input: Image::default(),
            cells,
            planes,
            free: Vec::new(),
            segments: segments.clone(),
            passed: changes.layers.clone(),
            required: changes.clone(),
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

    /// The planes that a layer of this size makes: those that it keeps, or free memory.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub(super) fn take_planes(
        &mut self,
        index: usize,
        layer: &Layer,
        size: [usize; 2],
    ) -> Result<Vec<Plane>, Error> {
        let keeps = self.segments.keeps(index);
        let mut made = Vec::with_capacity(layer.outputs.len());
        for &plane in &layer.outputs {
            made.push(match keeps {
                true => self.planes.get_mut(plane).map(std::mem::take).unwrap_or_default(),
                false => Plane::reuse(size, self.free.pop().unwrap_or_default())?,
            });
        }
        Ok(made)
    }

    /// Gives a layer the planes that it made, and frees those that no later layer reads.
    pub(super) fn put_planes(
        &mut self,
        index: usize,
        layer: &Layer,
        made: Vec<Plane>,
        lifetimes: &Lifetimes,
    ) {
        for (&plane, made) in layer.outputs.iter().zip(made) {
            if let Some(to) = self.planes.get_mut(plane) {
                *to = made;
            }
        }
        let ends = lifetimes.last_readers.iter().zip(&lifetimes.makers);
        for (plane, (&last, &maker)) in self.planes.iter_mut().zip(ends) {
            if last == index && !self.segments.keeps(maker) && !plane.data.is_empty() {
                self.free.push(std::mem::take(plane).data);
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
