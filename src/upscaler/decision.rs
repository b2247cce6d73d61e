//! Decides, once for all pipelines, what one frame changes: what the reference takes from it, what the
//! model computes, and what of the output is painted again.

use super::{
    damage::Damage,
    enlarger::Compute,
    settings::{FrameParams, Reuse},
};
use crate::{
    frame::Rect,
    reuse::{ChangedMap, Changes, Region},
};

/// What is done for one frame, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    /// What the reference takes from the frame.
    pub take: Take,
    /// What of the canvas is computed from the reference (or from the frame, for
    /// [`Take::Discard`]).
    pub compute: Compute,
    /// Input pixels whose output differs from the previous output.
    pub repaint: Damage,
}

/// What the reference takes from a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Take {
    /// Nothing is reused: the frame itself is computed from, and the reference becomes empty.
    Discard,
    /// The reference stays as it is.
    Nothing,
    /// The blocks that differ.
    Changed,
    /// The blocks that differ, and those of these rectangles.
    ChangedAnd(Vec<Rect>),
    /// The whole frame.
    All,
}

/// What earlier frames left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Before {
    /// The canvas is the model's output for the reference.
    pub canvas_current: bool,
    /// Unchanged pixels of the canvas look as in the previous output.
    pub same_look: bool,
}

/// Finds the parts of the canvas to compute.
pub(super) trait Plan {
    /// What depends on the `changed` blocks of the reference, at the lowest cost. The canvas is
    /// the output for the reference before the change.
    fn plan(&mut self, changed: &ChangedMap) -> Compute;

    /// Whether [`plan`](Self::plan) has something to compute although nothing changed: earlier
    /// results that were kept within a tolerance.
    fn refreshes(&self) -> bool;

    /// The input pixels that nothing outside of `region` depends on.
    fn owned(&self, region: &Region) -> Rect;

    /// Input pixels whose enlarged picture may differ after `compute`.
    fn affected(&self, compute: &Compute) -> Damage;
}

/// Decides on a frame that differs from the reference by `changes`; `None` if it was not compared,
/// because nothing is reused.
pub(super) fn decide(
    params: &FrameParams,
    changes: Option<&Changes>,
    before: Before,
    plan: &mut impl Plan,
) -> Decision {
    let visible = params.blend > 0.0;
    let Some(changes) = changes else {
        let compute = if visible { Compute::Whole } else { Compute::Nothing };
        return Decision { take: Take::Discard, compute, repaint: Damage::All };
    };
    let Changes { model_planes, bypass_planes } = changes;
    let compute = if !visible {
        Compute::Nothing
    } else if !before.canvas_current {
        Compute::Whole
    } else if model_planes.is_empty() && !plan.refreshes() {
        Compute::Nothing
    } else {
        plan.plan(model_planes)
    };
    let unchanged = model_planes.is_empty() && bypass_planes.is_empty();
    let repaint = if !before.same_look || compute == Compute::Whole || !visible && !unchanged {
        Damage::All
    } else {
        let mut repaint = plan.affected(&compute);
        repaint.add(&Damage::of(bypass_planes.rects()));
        repaint
    };
    Decision { take: take(params, changes, &compute, plan), compute, repaint }
}

/// With a tolerance, more than what changed is taken if it is computed again anyway, as far as
/// nothing else depends on it: the picture stays closer to the frames at no cost.
fn take(params: &FrameParams, changes: &Changes, compute: &Compute, plan: &impl Plan) -> Take {
    let tolerant = matches!(params.reuse, Reuse::Tolerant { .. });
    match compute {
        Compute::Whole if tolerant => Take::All,
        _ if changes.model_planes.is_empty() && changes.bypass_planes.is_empty() => Take::Nothing,
        // Every output pixel is painted from the reference, without the model.
        Compute::Nothing if tolerant && params.blend <= 0.0 => Take::All,
        Compute::Regions(regions) if tolerant => {
            Take::ChangedAnd(regions.iter().map(|region| plan.owned(region)).collect())
        }
        _ => Take::Changed,
    }
}

/// Input pixels whose source picture differs after the reference took from a frame: those taken and
/// `spread` pixels around them, because chroma is interpolated. With `bypass`, the source picture
/// includes the planes that bypass the model.
pub(super) fn taken(
    take: &Take,
    changes: Option<&Changes>,
    (spread, bypass): (u32, bool),
) -> Damage {
    let (owned, changes) = match (take, changes) {
        (Take::Nothing, _) => return Damage::NONE,
        (Take::Changed, Some(changes)) => (&[][..], changes),
        (Take::ChangedAnd(owned), Some(changes)) => (owned.as_slice(), changes),
        _ => return Damage::All,
    };
    let (width, height) = changes.model_planes.size();
    let model = changes.model_planes.rects().into_iter().chain(owned.iter().copied());
    let grown =
        model.filter(|rect| !rect.is_empty()).map(|rect| rect.grown_within(spread, width, height));
    let mut taken = Damage::of(grown);
    if bypass {
        taken.add(&Damage::of(changes.bypass_planes.rects()));
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: (u32, u32) = (64, 48);
    const TOLERANT: Reuse = Reuse::Tolerant { tolerance: 2, refresh: 250 };
    const CURRENT: Before = Before { canvas_current: true, same_look: true };
    const FIRST: Before = Before { canvas_current: false, same_look: false };

    /// Computes a fixed answer and owns the inner half of a region.
    struct Fixed(Compute);

    impl Plan for Fixed {
        fn plan(&mut self, _changed: &ChangedMap) -> Compute {
            self.0.clone()
        }

        fn refreshes(&self) -> bool {
            self.0 == Compute::Changed(vec![])
        }

        fn owned(&self, region: &Region) -> Rect {
            let Rect { x, y, width, height } = region.compute;
            Rect::new(x, y, width / 2, height / 2)
        }

        fn affected(&self, compute: &Compute) -> Damage {
            match compute {
                Compute::Nothing => Damage::NONE,
                Compute::Regions(regions) => Damage::of(regions.iter().map(|it| it.compute)),
                Compute::Changed(rects) => Damage::of(rects.iter().copied()),
                Compute::Whole => Damage::All,
            }
        }
    }

    fn map(rects: &[Rect]) -> ChangedMap {
        ChangedMap::of_rects(rects, SIZE.0, SIZE.1)
    }

    fn changes(model: &[Rect], bypass: &[Rect]) -> Changes {
        Changes { model_planes: map(model), bypass_planes: map(bypass) }
    }

    fn params(blend: f32, reuse: Reuse) -> FrameParams {
        FrameParams { blend, grain: 0.0, number: 0, reuse }
    }

    const BLOCK: Rect = Rect::new(16, 8, 8, 8);
    const OTHER: Rect = Rect::new(40, 40, 8, 8);
    const GROWN: Rect = Rect::new(12, 4, 16, 16);

    fn regions() -> Compute {
        Compute::Regions(vec![Region { compute: GROWN, read: GROWN, padded: (16, 16) }])
    }

    #[test]
    fn every_case_has_its_decision() {
        let owned = Take::ChangedAnd(vec![Rect::new(12, 4, 8, 8)]);
        let grown = || Damage::of([GROWN]);
        let both = || Damage::of([GROWN, OTHER]);
        let (same, other) = (Before { ..CURRENT }, Before { same_look: false, ..CURRENT });
        let hidden = Before { canvas_current: false, same_look: true };
        let (exact, tolerant) = (params(1.0, Reuse::Exact), params(1.0, TOLERANT));
        let (no_model, no_model_tolerant) = (params(0.0, Reuse::Exact), params(0.0, TOLERANT));
        let (no, one, bypass) = (changes(&[], &[]), changes(&[BLOCK], &[]), changes(&[], &[OTHER]));
        let mixed = changes(&[BLOCK], &[OTHER]);
        let nothing = || Compute::Nothing;
        let whole = || Compute::Whole;
        // Name, parameters, changes, state before, plan; take, compute, repaint.
        #[rustfmt::skip]
        let table = [
            ("same", exact, &no, same, whole(), Take::Nothing, nothing(), Damage::NONE),
            ("same, tolerant", tolerant, &no, same, whole(), Take::Nothing, nothing(), Damage::NONE),
            ("same, new look", exact, &no, other, whole(), Take::Nothing, nothing(), Damage::All),
            ("same, no model", no_model, &no, hidden, whole(), Take::Nothing, nothing(), Damage::NONE),
            ("small", exact, &one, same, regions(), Take::Changed, regions(), grown()),
            ("small, tolerant", tolerant, &one, same, regions(), owned, regions(), grown()),
            ("small, new look", exact, &one, other, regions(), Take::Changed, regions(), Damage::All),
            ("small, no model", no_model, &one, same, regions(), Take::Changed, nothing(), Damage::All),
            ("small, no model, tolerant", no_model_tolerant, &one, same, regions(), Take::All, nothing(), Damage::All),
            ("large", exact, &one, same, whole(), Take::Changed, whole(), Damage::All),
            ("large, tolerant", tolerant, &one, same, whole(), Take::All, whole(), Damage::All),
            ("bypass planes", exact, &bypass, same, whole(), Take::Changed, nothing(), Damage::of([OTHER])),
            ("bypass planes, tolerant", tolerant, &bypass, same, whole(), Take::Changed, nothing(), Damage::of([OTHER])),
            ("all planes", exact, &mixed, same, regions(), Take::Changed, regions(), both()),
            ("canvas outdated", exact, &one, Before { canvas_current: false, ..other }, regions(), Take::Changed, whole(), Damage::All),
            ("canvas outdated, same input", exact, &no, Before { canvas_current: false, ..other }, regions(), Take::Nothing, whole(), Damage::All),
            ("same, features to refresh", tolerant, &no, same, Compute::Changed(vec![]), Take::Nothing, Compute::Changed(vec![]), Damage::NONE),
            ("pixels for the engine", exact, &one, same, Compute::Changed(vec![BLOCK]), Take::Changed, Compute::Changed(vec![BLOCK]), Damage::of([BLOCK])),
        ];
        for (name, params, changes, before, plan, take, compute, repaint) in table {
            let decision = decide(&params, Some(changes), before, &mut Fixed(plan));
            assert_eq!(decision, Decision { take, compute, repaint }, "{name}");
        }
    }

    #[test]
    fn without_reuse_every_frame_is_computed_from_itself() {
        for before in [FIRST, CURRENT] {
            let decision = decide(&params(0.5, Reuse::Off), None, before, &mut Fixed(regions()));
            let (take, repaint) = (Take::Discard, Damage::All);
            assert_eq!(decision, Decision { take, compute: Compute::Whole, repaint });
        }
        let decision = decide(&params(0.0, Reuse::Off), None, CURRENT, &mut Fixed(regions()));
        assert_eq!(decision.compute, Compute::Nothing);
    }

    #[test]
    fn the_first_frame_is_taken_computed_and_painted_completely() {
        let all =
            Changes { model_planes: ChangedMap::all(SIZE.0, SIZE.1), bypass_planes: map(&[]) };
        for reuse in [Reuse::Exact, TOLERANT] {
            let decision = decide(&params(1.0, reuse), Some(&all), FIRST, &mut Fixed(regions()));
            assert_eq!((&decision.compute, &decision.repaint), (&Compute::Whole, &Damage::All));
            let taken = taken(&decision.take, Some(&all), (0, true)).rects(Rect::of_size(64, 48));
            assert_eq!(taken, [Rect::of_size(64, 48)]);
        }
    }

    #[test]
    fn the_source_picture_differs_where_blocks_were_taken_and_as_far_as_chroma_spreads() {
        let mixed = changes(&[BLOCK], &[OTHER]);
        let taken = |take: Take, context| taken(&take, Some(&mixed), context);
        assert_eq!(taken(Take::Nothing, (4, true)), Damage::NONE);
        assert_eq!(taken(Take::Changed, (4, false)), Damage::of([GROWN]));
        assert_eq!(taken(Take::Changed, (0, true)), Damage::of([BLOCK, OTHER]));
        let owned = Take::ChangedAnd(vec![Rect::new(0, 0, 8, 8), Rect::default()]);
        assert_eq!(taken(owned, (4, false)), Damage::of([GROWN, Rect::new(0, 0, 12, 12)]));
        assert_eq!(taken(Take::All, (4, false)), Damage::All);
        assert_eq!(taken(Take::Discard, (4, false)), Damage::All);
    }
}
