//! Which layers keep their features from picture to picture. The layers are divided into segments of
//! a number of layers each; those whose features a later segment reads keep them. The features of the
//! others are computed again where they are needed, so that longer segments need less memory.

use std::ops::Range;

use super::{kernels::Lanes, lifetimes::Lifetimes, plan::Plan};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Segments {
    length: usize,
    /// For each layer, whether it keeps its features. The last layer makes the picture, which counts
    /// as kept.
    kept: Vec<bool>,
}

impl Segments {
    /// Segments of `length` layers; 1: all layers keep their features.
    pub(super) fn of(plan: &Plan, lifetimes: &Lifetimes, length: usize) -> Self {
        let length = length.max(1);
        let last = plan.layers.len().saturating_sub(1);
        let read_later = |layer: usize, plane: usize| {
            let reader = lifetimes.last_readers.get(plane).copied().unwrap_or(0);
            reader / length > layer / length
        };
        let kept = plan.layers.iter().enumerate().map(|(index, layer)| {
            index == last || layer.outputs.iter().any(|&plane| read_later(index, plane))
        });
        Self { length, kept: kept.collect() }
    }

    /// The layers of each segment.
    pub(super) fn ranges(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (length, count) = (self.length, self.kept.len());
        (0..count).step_by(length.max(1)).map(move |start| start..(start + length).min(count))
    }

    /// Whether a layer keeps its features.
    pub(super) fn keeps(&self, layer: usize) -> bool {
        self.kept.get(layer).copied().unwrap_or(false)
    }

    /// Memory for the features of pictures of `size` (rows, columns): those that are kept, and the most
    /// of the others that exist at once.
    pub(super) fn bytes(&self, plan: &Plan, lifetimes: &Lifetimes, size: [usize; 2]) -> u64 {
        let bytes = |plane: usize| {
            let [height, width] =
                plan.planes.get(plane).and_then(|plane| plane.at(size)).unwrap_or_default();
            (height as u64 * width as u64).saturating_mul(size_of::<Lanes>() as u64)
        };
        let (mut kept, mut used, mut most) = (0u64, 0u64, 0u64);
        for (index, layer) in plan.layers.iter().enumerate() {
            let made = layer.outputs.iter().map(|&plane| bytes(plane)).fold(0, u64::saturating_add);
            if self.keeps(index) {
                kept = kept.saturating_add(made);
            } else {
                used = used.saturating_add(made);
                most = most.max(used);
            }
            for (plane, &last) in lifetimes.last_readers.iter().enumerate() {
                let maker = lifetimes.makers.get(plane).copied().unwrap_or(0);
                if last == index && !self.keeps(maker) {
                    used = used.saturating_sub(bytes(plane));
                }
            }
        }
        kept.saturating_add(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;

    #[test]
    fn longer_segments_keep_fewer_layers_and_take_less_memory() {
        let model = Model::open("builtin").unwrap();
        let plan = Plan::new(model.graph.as_deref().unwrap()).unwrap();
        let lifetimes = Lifetimes::of(&plan);
        let layers = plan.layers.len();
        let of = |length| {
            let segments = Segments::of(&plan, &lifetimes, length);
            let kept = (0..layers).filter(|&layer| segments.keeps(layer)).count();
            let ranges: Vec<_> = segments.ranges().flatten().collect();
            assert_eq!(ranges, (0..layers).collect::<Vec<_>>());
            (kept, segments.bytes(&plan, &lifetimes, [360, 640]))
        };
        let (all, half, none) = (of(1), of(2), of(layers));
        assert_eq!((all.0, none.0), (layers, 1));
        assert!(half.0 < all.0 && half.1 < all.1, "{half:?} of {all:?}");
        assert!(none.1 < half.1, "{none:?}, {half:?}");
    }
}
