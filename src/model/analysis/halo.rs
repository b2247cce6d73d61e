//! The exact receptive field, found by propagating intervals from the output to the input.

use std::collections::HashMap;

use super::{probe::Probe, value::Axis};

/// First and last position.
type Interval = (i64, i64);

/// A larger halo is of no practical use: such a model sees the whole image.
const MAX_HALO: u32 = (1 << 16) - 1;

/// The halo: how many input pixels beyond a region, on any side, the output of that region depends
/// on; `None` if that is not bounded.
///
/// Computed for a region of one alignment block. The dependency is the same everywhere (which
/// [`super::analyze`] has checked), so that every larger region has the same halo.
pub(super) fn halo(probe: &Probe<'_>, factor: i64, align: i64) -> Option<u32> {
    // Far enough from the border that no position is negative.
    let start = align.checked_mul(1 << 12)?;
    let end = start.checked_add(align)?;
    let region = (start.checked_mul(factor)?, end.checked_mul(factor)?.checked_sub(1)?);
    let mut needed: HashMap<&str, [Interval; 2]> = HashMap::new();
    needed.insert(&probe.graph.output, [region; 2]);
    for (node, reach) in probe.graph.nodes.iter().zip(&probe.reaches).rev() {
        let mut outputs = node.outputs.iter().filter_map(|name| needed.get(name.as_str()).copied());
        let Some(first) = outputs.next() else { continue };
        let region = outputs.fold(first, hull);
        let images = node
            .inputs
            .iter()
            .filter(|name| probe.values.get(name.as_str()).is_some_and(|value| value.is_image));
        let produces_image = node
            .outputs
            .first()
            .and_then(|name| probe.values.get(name.as_str()))
            .is_some_and(|value| value.is_image);
        if !produces_image {
            continue;
        }
        for name in images {
            let reach = (*reach)?;
            let [rows, columns] = Axis::BOTH.map(|axis| axis.of(reach).inputs_of(axis.of(region)));
            let needs = [rows?, columns?];
            needed.entry(name).and_modify(|old| *old = hull(*old, needs)).or_insert(needs);
        }
    }
    let input = needed.get(probe.graph.input.as_str())?;
    let reach = input.iter().map(|&(low, high)| (start - low).max(high - (end - 1))).max()?;
    u32::try_from(reach.max(0)).ok().filter(|&halo| halo <= MAX_HALO)
}

/// The smallest intervals that contain both.
fn hull(a: [Interval; 2], b: [Interval; 2]) -> [Interval; 2] {
    Axis::BOTH.map(|axis| {
        let (a, b) = (axis.of(a), axis.of(b));
        (a.0.min(b.0), a.1.max(b.1))
    })
}
