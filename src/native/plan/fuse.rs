//! Joining layers: arithmetic on samples moves into the layer that makes them.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::kernels::{Activation, LANES},
    Block, Layer, Pick, Plan, Root, Step,
};

/// Joins what can be joined, leaves out what nobody reads, and numbers the planes anew.
pub(crate) fn fuse(plan: &mut Plan) {
    join(plan);
    for layer in &mut plan.layers {
        fold_slope(layer);
    }
    if let Some(last) = plan.layers.last_mut() {
        last.outputs.clear();
    }
    renumber(plan);
}

/// For each layer, which layers read its result.
fn readers(layers: &[Layer]) -> Vec<BTreeSet<usize>> {
    let outputs = |(index, layer): (usize, &Layer)| {
        layer.outputs.iter().map(|&plane| (plane, index)).collect::<Vec<_>>()
    };
    let makers: BTreeMap<usize, usize> = layers.iter().enumerate().flat_map(outputs).collect();
    let mut readers = vec![BTreeSet::new(); layers.len()];
    for (index, layer) in layers.iter().enumerate() {
        for block in layer.reads() {
            if let Block::Plane(plane) = block
                && let Some(readers) = makers.get(&plane).and_then(|&maker| readers.get_mut(maker))
            {
                readers.insert(index);
            }
        }
    }
    readers
}

/// Moves arithmetic into the layers whose results only it reads, and drops what nobody reads.
fn join(plan: &mut Plan) {
    let mut readers = readers(&plan.layers);
    let mut layers: Vec<Option<Layer>> =
        std::mem::take(&mut plan.layers).into_iter().map(Some).collect();
    let last = layers.len().saturating_sub(1);
    let mut again = true;
    while again {
        again = false;
        for index in (0..last).rev() {
            let Some(maker) = layers.get(index).and_then(Option::as_ref) else { continue };
            let Some(own) = readers.get(index) else { continue };
            // What reads the maker's sources from now on.
            let reader = match (own.first(), own.len()) {
                (None, _) => None,
                (Some(&reader), 1) => {
                    let user = layers.get(reader).and_then(Option::as_ref);
                    let Some(whole) = user.and_then(|user| joined(maker, user)) else { continue };
                    if let Some(user) = layers.get_mut(reader) {
                        *user = Some(whole);
                    }
                    Some(reader)
                }
                _ => continue,
            };
            if let Some(maker) = layers.get_mut(index) {
                *maker = None;
            }
            for readers in &mut readers {
                if readers.remove(&index) {
                    readers.extend(reader);
                }
            }
            again = true;
        }
    }
    plan.layers = layers.into_iter().flatten().collect();
}

/// Whether the picks are the maker's vectors as they are.
fn is_result(picks: &[Pick], maker: &Layer) -> bool {
    let whole: Vec<Pick> =
        maker.outputs.iter().map(|&plane| Pick::Whole(Block::Plane(plane))).collect();
    picks == whole
}

fn touches(picks: &[Pick], maker: &Layer) -> bool {
    let own = |block: Block| matches!(block, Block::Plane(plane) if maker.outputs.contains(&plane));
    picks.iter().flat_map(Pick::blocks).any(own)
}

fn joined(maker: &Layer, user: &Layer) -> Option<Layer> {
    let Root::Copy(root) = &user.root else { return None };
    if user.size != maker.size || user.blocks != maker.blocks {
        return None;
    }
    let is_root = is_result(root, maker);
    if !is_root && touches(root, maker) {
        return None;
    }
    let loads = user.steps.iter().filter_map(|step| match step {
        Step::Load { picks, .. } => Some(picks),
        _ => None,
    });
    let mut loaded = false;
    for picks in loads {
        match is_result(picks, maker) {
            true => loaded = true,
            false if touches(picks, maker) => return None,
            false => {}
        }
    }
    let mut steps = maker.steps.clone();
    let kept = maker.registers().max(user.registers());
    if loaded {
        steps.push(Step::Move { to: kept, from: 0 });
    }
    if !is_root {
        steps.push(Step::Load { to: 0, picks: root.clone() });
    }
    steps.extend(user.steps.iter().map(|step| match step {
        Step::Load { to, picks } if is_result(picks, maker) => Step::Move { to: *to, from: kept },
        step => step.clone(),
    }));
    Some(Layer { root: maker.root.clone(), steps, ..user.clone() })
}

/// A slope that directly follows a convolution is done where its sums are made.
fn fold_slope(layer: &mut Layer) {
    let Root::Convolution(convolution) = &mut layer.root else { return };
    let Some(Step::Activate { to: 0, activations }) = layer.steps.first() else { return };
    let mut slopes = Vec::with_capacity(activations.len() * LANES);
    for activation in activations {
        let Activation::Leaky(lanes) = activation else { return };
        slopes.extend(lanes.0);
    }
    slopes.truncate(convolution.outputs);
    convolution.slope = slopes;
    layer.steps.remove(0);
}

fn renumber(plan: &mut Plan) {
    let mut numbers = BTreeMap::new();
    let mut planes = Vec::new();
    for layer in &mut plan.layers {
        for plane in &mut layer.outputs {
            numbers.insert(*plane, planes.len());
            *plane = planes.len();
            planes.push(layer.size);
        }
    }
    let block = |block: &mut Block| {
        if let Block::Plane(plane) = block
            && let Some(number) = numbers.get(plane)
        {
            *plane = *number;
        }
    };
    let pick = |pick: &mut Pick| match pick {
        Pick::Whole(whole) => block(whole),
        Pick::Lanes(lanes) => lanes.iter_mut().for_each(|(own, _)| block(own)),
    };
    for layer in &mut plan.layers {
        match &mut layer.root {
            Root::Convolution(convolution) => convolution.source.iter_mut().for_each(block),
            Root::Copy(picks) | Root::Bilinear { picks, .. } | Root::Pad { picks, .. } => {
                picks.iter_mut().for_each(pick);
            }
            Root::Shuffle { picks, .. } => picks.iter_mut().flatten().for_each(pick),
            Root::Unshuffle { picks, .. } => {
                picks.iter_mut().flatten().for_each(|(own, ..)| block(own));
            }
        }
        for step in &mut layer.steps {
            if let Step::Load { picks, .. } = step {
                picks.iter_mut().for_each(pick);
            }
        }
    }
    plan.planes = planes;
}
