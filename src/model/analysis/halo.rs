//! The exact receptive field, by walking intervals from the output back to the input.

use std::collections::HashMap;

use super::{probe::Probe, value::Axis};

type Interval = (i64, i64);

/// Input pixels that a region's picture depends on beyond the region itself, at most, on any
/// side; `None` where that is not bounded.
///
/// The region is one block of the model's alignment; where positions only depend on their
/// distance (which [`super::analyze`] has checked), any larger one has the same halo.
pub(super) fn halo(probe: &Probe<'_>, factor: i64) -> Option<u32> {
    // Far enough inside that no position is negative before its border operators apply.
    let start = probe.align.checked_mul(1 << 12)?;
    let end = start.checked_add(probe.align)?;
    let region = (start.checked_mul(factor)?, end.checked_mul(factor)?.checked_sub(1)?);
    let mut wanted: HashMap<&str, [Interval; 2]> = HashMap::new();
    wanted.insert(&probe.graph.output, [region; 2]);
    for (node, reach) in probe.graph.nodes.iter().zip(&probe.reaches).rev() {
        let mut outputs = node.outputs.iter().filter_map(|name| wanted.get(name.as_str()).copied());
        let Some(first) = outputs.next() else { continue };
        let region = outputs.fold(first, hull);
        let pictures = node
            .inputs
            .iter()
            .filter(|name| probe.values.get(name.as_str()).is_some_and(|value| value.picture));
        let makes_picture = node
            .outputs
            .first()
            .and_then(|name| probe.values.get(name.as_str()))
            .is_some_and(|value| value.picture);
        if !makes_picture {
            continue;
        }
        for name in pictures {
            let reach = (*reach)?;
            let [down, right] =
                Axis::BOTH.map(|axis| reach[axis as usize].of(region[axis as usize]));
            let needs = [down?, right?];
            wanted.entry(name).and_modify(|old| *old = hull(*old, needs)).or_insert(needs);
        }
    }
    let input = wanted.get(probe.graph.input.as_str())?;
    let reach = input.iter().map(|&(low, high)| (start - low).max(high - (end - 1))).max()?;
    u32::try_from(reach.max(0)).ok().filter(|&halo| halo < 1 << 16)
}

fn hull(a: [Interval; 2], b: [Interval; 2]) -> [Interval; 2] {
    let join = |a: Interval, b: Interval| (a.0.min(b.0), a.1.max(b.1));
    [join(a[0], b[0]), join(a[1], b[1])]
}
