//! Selects the tiles of layers that `incremental` and `partial` compute: those that changes reach, and
//! those that these need.

use std::ops::Range;

use super::{changes::Changes, engine::Engine, mask::Mask, plan::Block, source::Source};
use crate::engine::Interrupt;

impl Engine {
    /// Marks the tiles of `layers` whose results may change after the `changes` of the layers before,
    /// by which those of `layers` are replaced. `also` may mark more tiles of a layer. `source` may
    /// be without samples.
    pub(super) fn mark_affected(
        &self,
        layers: Range<usize>,
        changes: &mut Changes,
        source: Source<'_>,
        mut also: impl FnMut(usize, &mut Mask),
    ) {
        let interrupt = Interrupt::default();
        for index in layers {
            let Some(layer) = self.plan.layers.get(index) else { continue };
            let mut affected = changes.take(index);
            affected.fill(false);
            let work = self.work(index, layer, source, &interrupt);
            changes.mark_dirty(&self.lifetimes.makers, &work, &mut affected);
            also(index, &mut affected);
            changes.put(index, affected);
        }
    }

    /// Marks the tiles that the tiles marked in `required` need of other layers of `layers`, except of
    /// those for which `complete` holds. `source` may be without samples.
    pub(super) fn mark_required(
        &self,
        layers: Range<usize>,
        required: &mut Changes,
        source: Source<'_>,
        complete: impl Fn(usize) -> bool,
    ) {
        let interrupt = Interrupt::default();
        for index in layers.clone().rev() {
            let Some(layer) = self.plan.layers.get(index) else { continue };
            let own = required.take(index);
            for (block, reach) in self.work(index, layer, source, &interrupt).reaches() {
                if let Block::Plane(plane) = block
                    && let Some(&maker) = self.lifetimes.makers.get(plane)
                    && layers.contains(&maker)
                    && !complete(maker)
                {
                    let mut of_maker = required.take(maker);
                    of_maker.mark_windows(&own, reach);
                    required.put(maker, of_maker);
                }
            }
            required.put(index, own);
        }
    }
}
