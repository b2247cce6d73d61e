//! The arithmetic on single samples that follows a layer's root.

use super::{
    kernels::{Kernels, Lanes, TILE},
    plan::{Layer, Pick, Step},
    source::Source,
    tile::{EMPTY, Samples, Tile},
};

/// Memory for registers from 1 on; register 0 is the result.
pub(crate) type Registers = Vec<Vec<Samples>>;

/// Applies a layer's steps to vector `block` of its tiles.
pub(crate) fn apply(
    (layer, block): (&Layer, usize),
    kernels: &Kernels,
    source: &Source<'_>,
    tiles: &[Tile],
    results: &mut [Samples],
    memory: &mut Registers,
) {
    memory.resize_with(memory.len().max(layer.registers() - 1), Vec::new);
    let mut registers = vec![results];
    for memory in memory.iter_mut() {
        memory.resize(memory.len().max(tiles.len()), EMPTY);
        registers.extend(memory.get_mut(..tiles.len()));
    }
    for step in &layer.steps {
        match step {
            Step::Load { to, picks } => {
                if let (Some(to), Some(pick)) = (registers.get_mut(*to), picks.get(block)) {
                    load(source, pick, tiles, to);
                }
            }
            Step::Move { to, from } => {
                two(&mut registers, *to, *from, |to, from| to.copy_from_slice(from));
            }
            Step::Add { to, from } => two(&mut registers, *to, *from, kernels.add),
            Step::Subtract { to, from } => two(&mut registers, *to, *from, kernels.subtract),
            Step::Multiply { to, from } => two(&mut registers, *to, *from, kernels.multiply),
            Step::Affine { to, scale, offset } => {
                if let (Some(to), Some(scale), Some(offset)) =
                    (registers.get_mut(*to), scale.get(block), offset.get(block))
                {
                    (kernels.affine)(to.as_flattened_mut(), scale, offset);
                }
            }
            Step::Activate { to, activations } => {
                if let (Some(to), Some(activation)) =
                    (registers.get_mut(*to), activations.get(block))
                {
                    (kernels.activate)(to.as_flattened_mut(), activation);
                }
            }
        }
    }
}

fn load(source: &Source<'_>, pick: &Pick, tiles: &[Tile], to: &mut [Samples]) {
    for (tile, to) in tiles.iter().zip(to) {
        source.picked_window(pick, tile.origin(), [TILE; 2], to);
    }
}

/// Applies arithmetic to two different registers.
fn two(
    registers: &mut [&mut [Samples]],
    to: usize,
    from: usize,
    apply: impl FnOnce(&mut [Lanes], &[Lanes]),
) {
    if let Ok([to, from]) = registers.get_disjoint_mut([to, from]) {
        apply(to.as_flattened_mut(), from.as_flattened());
    }
}
