//! From when to when the planes of a network are needed.

use super::plan::{Block, Plan};

/// For each plane, the layers between which it is needed.
#[derive(Debug, Default)]
pub(super) struct Lifetimes {
    /// The layer that makes it.
    pub makers: Vec<usize>,
    /// The last layer that reads it.
    pub last_readers: Vec<usize>,
}

impl Lifetimes {
    pub(super) fn of(plan: &Plan) -> Self {
        let none = || vec![0; plan.planes.len()];
        let (mut makers, mut last_readers) = (none(), none());
        let note = |all: &mut Vec<usize>, plane: usize, layer: usize| {
            if let Some(own) = all.get_mut(plane) {
                *own = layer;
            }
        };
        for (index, layer) in plan.layers.iter().enumerate() {
            layer.outputs.iter().for_each(|&plane| note(&mut makers, plane, index));
            for block in layer.reads() {
                if let Block::Plane(plane) = block {
                    note(&mut last_readers, plane, index);
                }
            }
        }
        Self { makers, last_readers }
    }
}
