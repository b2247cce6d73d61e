//! Which changed blocks to compute when time does not suffice for all of them.
//!
//! Blocks that are [still](super::stillness) come into view for as long as they stay still, whenever
//! their picture is ready: they may take longer than a frame, and any part of them is worth
//! computing. Blocks that move are worth computing only if they are ready before the frame is due,
//! and only object by object: an object of which a part is sharp looks worse than one that is
//! resampled. An object is a set of moving blocks that touch each other.

use std::ops::Range;

use super::changed_map::{BLOCK, ChangedMap};
use crate::frame::Rect;

/// The share of the time before the frame is due that moving blocks may use while still blocks wait.
const MOVING_SHARE: f64 = 0.7;

/// How much can be computed, in pixels that the model runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Before the frame is due.
    pub in_time: u64,
    /// In the background, while the next frames are shown.
    pub background: u64,
}

/// Chooses blocks frame by frame.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    /// The distance up to which the model reads, in pixels.
    halo: u32,
    /// The moving blocks that were chosen for the last frame.
    moving: Option<ChangedMap>,
}

/// Blocks that touch each other, diagonals included.
struct Object {
    runs: Vec<(u32, Range<u32>)>,
    bounds: Rect,
    pixels: u64,
    /// Whether it overlaps what was chosen for the last frame.
    was_chosen: bool,
}

impl Selection {
    /// For a model that reads up to `halo` pixels around each pixel.
    pub(crate) fn new(halo: u32) -> Self {
        Self { halo, moving: None }
    }

    /// An estimate of the pixels that the model runs on to compute `blocks`.
    pub(crate) fn pixels(&self, blocks: &ChangedMap) -> u64 {
        let (width, height) = blocks.size();
        let objects = objects(blocks, None);
        let pixels: u64 = objects.iter().map(|object| self.object_pixels(object)).sum();
        pixels.min(u64::from(width) * u64::from(height))
    }

    fn object_pixels(&self, object: &Object) -> u64 {
        let (halo, Rect { width, height, .. }) = (u64::from(self.halo), object.bounds);
        object.pixels + 2 * halo * u64::from(width + height) + 4 * halo * halo
    }

    /// The blocks of `changed` to compute now, of which those of `still` do not move.
    pub(crate) fn choose(
        &mut self,
        changed: &ChangedMap,
        still: &ChangedMap,
        budget: Budget,
    ) -> ChangedMap {
        let resting = changed.clone().intersection(still);
        let moving = self.choose_moving(&changed.clone().without(still), budget, &resting);
        let used = self.pixels(&moving);
        // What moves is of no use if the rest delays it.
        let left =
            if used > 0 { budget.in_time - used.min(budget.in_time) } else { budget.background };
        self.moving = Some(moving.clone());
        moving.union(&self.first(&resting, left))
    }

    /// The objects of `moving` that are ready in time: those that were chosen for the last frame,
    /// then the smallest.
    fn choose_moving(
        &self,
        moving: &ChangedMap,
        budget: Budget,
        resting: &ChangedMap,
    ) -> ChangedMap {
        let share = if resting.is_empty() { 1.0 } else { MOVING_SHARE };
        let mut left = (budget.in_time as f64 * share) as u64;
        let mut objects = objects(moving, self.moving.as_ref());
        objects.sort_by_key(|object| (!object.was_chosen, object.pixels));
        let mut chosen = ChangedMap::none(moving.size().0, moving.size().1);
        for object in &objects {
            let pixels = self.object_pixels(object);
            if pixels <= left {
                left -= pixels;
                object.runs.iter().for_each(|(row, run)| chosen.mark_run(run.clone(), *row));
            }
        }
        chosen
    }

    /// The first of `blocks`, row by row, on which the model runs on at most `pixels` pixels. At
    /// least one row of one object, so that the rest is computed at some time, unless `pixels` is 0.
    pub(crate) fn first(&self, blocks: &ChangedMap, pixels: u64) -> ChangedMap {
        let (width, height) = blocks.size();
        let mut chosen = ChangedMap::none(width, height);
        if pixels == 0 {
            return chosen;
        }
        let mut left = pixels;
        let mut objects = objects(blocks, None);
        objects.sort_by_key(|object| object.pixels);
        for mut object in objects {
            while self.object_pixels(&object) > left && object.rows() > 1 {
                object.drop_last_row();
            }
            let needed = self.object_pixels(&object);
            if needed > left && !chosen.is_empty() {
                break;
            }
            object.runs.iter().for_each(|(row, run)| chosen.mark_run(run.clone(), *row));
            left = left.saturating_sub(needed);
        }
        chosen
    }

    /// Forgets the frames before.
    pub(crate) fn reset(&mut self) {
        self.moving = None;
    }
}

impl Object {
    fn add(&mut self, map: &ChangedMap, row: u32, run: Range<u32>) {
        let rect = map.pixels(&run, row);
        self.bounds = if self.runs.is_empty() { rect } else { self.bounds.union(&rect) };
        self.pixels += rect.area();
        self.runs.push((row, run));
    }

    fn rows(&self) -> u32 {
        self.bounds.height.div_ceil(BLOCK)
    }

    fn drop_last_row(&mut self) {
        let Some(last) = self.runs.iter().map(|(row, _)| *row).max() else { return };
        self.runs.retain(|(row, run)| {
            if *row == last {
                self.pixels -=
                    (u64::from(BLOCK) * u64::from(run.end - run.start) * u64::from(BLOCK))
                        .min(self.pixels);
            }
            *row != last
        });
        self.bounds.height = (last * BLOCK).saturating_sub(self.bounds.y);
    }
}

/// The objects of `map`, in the order of their first blocks.
fn objects(map: &ChangedMap, chosen: Option<&ChangedMap>) -> Vec<Object> {
    // Runs of each row with the number of their object; a number leads to a smaller one that it was
    // joined with.
    let mut runs: Vec<(u32, Range<u32>, usize)> = Vec::new();
    let mut joined: Vec<usize> = Vec::new();
    fn root(joined: &[usize], mut number: usize) -> usize {
        while let Some(&parent) = joined.get(number).filter(|parent| **parent != number) {
            number = parent;
        }
        number
    }
    let mut here = 0..0;
    for row in 0..map.rows() {
        let above = std::mem::replace(&mut here, runs.len()..runs.len());
        let mut first = above.start;
        for run in map.runs(row) {
            let mut number = None;
            // Runs end before the next begins, so those left of this one touch no later one.
            while runs.get(first).is_some_and(|other| first < above.end && other.1.end < run.start)
            {
                first += 1;
            }
            for other in runs.get(first..above.end).unwrap_or_default() {
                if other.1.start > run.end {
                    break;
                }
                let other = root(&joined, other.2);
                let mine = number.map_or(other, |number| root(&joined, number));
                let (small, large) = (mine.min(other), mine.max(other));
                if let Some(parent) = joined.get_mut(large) {
                    *parent = small;
                }
                number = Some(small);
            }
            let number = number.unwrap_or_else(|| {
                joined.push(joined.len());
                joined.len() - 1
            });
            runs.push((row, run, number));
            here.end += 1;
        }
    }
    let mut objects: Vec<Option<Object>> = joined.iter().map(|_| None).collect();
    for (row, run, number) in runs {
        let Some(object) = objects.get_mut(root(&joined, number)) else { continue };
        let object = object.get_or_insert_with(|| Object {
            runs: Vec::new(),
            bounds: Rect::default(),
            pixels: 0,
            was_chosen: false,
        });
        object.was_chosen |=
            chosen.is_some_and(|chosen| run.clone().any(|column| chosen.get(column, row)));
        object.add(map, row, run);
    }
    objects.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: (u32, u32) = (640, 360);

    fn map(rects: &[Rect]) -> ChangedMap {
        ChangedMap::of_rects(rects, SIZE.0, SIZE.1)
    }

    fn none() -> ChangedMap {
        map(&[])
    }

    fn budget(in_time: u64, background: u64) -> Budget {
        Budget { in_time, background }
    }

    const SMALL: Rect = Rect::new(400, 200, 16, 16);
    const LARGE: Rect = Rect::new(64, 64, 80, 80);

    #[test]
    fn blocks_that_touch_are_one_object_also_over_a_corner_and_around_a_hole() {
        let count = |rects: &[Rect]| objects(&map(rects), None).len();
        assert_eq!(count(&[]), 0);
        assert_eq!(count(&[SMALL, LARGE]), 2);
        assert_eq!(count(&[Rect::new(0, 0, 8, 8), Rect::new(8, 8, 8, 8)]), 1);
        assert_eq!(count(&[Rect::new(0, 0, 8, 8), Rect::new(16, 8, 8, 8)]), 2);
        // A U, whose arms meet in the last row, and a ring.
        let u = [Rect::new(0, 0, 8, 40), Rect::new(32, 0, 8, 40), Rect::new(0, 40, 40, 8)];
        assert_eq!(count(&u), 1);
        let ring = [u[0], u[1], u[2], Rect::new(0, 0, 40, 8)];
        let ring = objects(&map(&ring), None);
        assert_eq!((ring.len(), ring[0].bounds), (1, Rect::new(0, 0, 40, 48)));
        assert_eq!(ring[0].pixels, 40 * 48 - 24 * 32);
    }

    #[test]
    fn the_pixels_of_an_object_include_its_halo_and_never_exceed_the_frame() {
        let selection = Selection::new(18);
        assert_eq!(selection.pixels(&map(&[SMALL])), 52 * 52);
        assert_eq!(selection.pixels(&none()), 0);
        let all = ChangedMap::all(SIZE.0, SIZE.1);
        assert_eq!(selection.pixels(&all), 640 * 360);
    }

    #[test]
    fn moving_objects_are_chosen_whole_the_smallest_first() {
        let mut selection = Selection::new(8);
        let both = map(&[SMALL, LARGE]);
        let (small, large) = (32 * 32, 96 * 96);
        let mut choose = |budget| selection.choose(&both, &none(), budget);
        assert_eq!(choose(budget(small - 1, 0)), none());
        assert_eq!(choose(budget(small, 0)), map(&[SMALL]));
        assert_eq!(choose(budget(small + large - 1, u64::MAX)), map(&[SMALL]));
        assert_eq!(choose(budget(small + large, 0)), both);
    }

    #[test]
    fn a_moving_object_that_was_chosen_is_chosen_again_before_a_smaller_one() {
        let mut selection = Selection::new(8);
        let large = budget(96 * 96, 0);
        assert_eq!(selection.choose(&map(&[LARGE]), &none(), large), map(&[LARGE]));
        let moved = Rect { x: LARGE.x + 8, ..LARGE };
        assert_eq!(selection.choose(&map(&[SMALL, moved]), &none(), large), map(&[moved]));
        selection.reset();
        assert_eq!(selection.choose(&map(&[SMALL, moved]), &none(), large), map(&[SMALL]));
    }

    #[test]
    fn still_blocks_are_computed_in_the_background_some_rows_at_a_time() {
        let mut selection = Selection::new(8);
        let still = ChangedMap::all(SIZE.0, SIZE.1);
        let mut changed = map(&[LARGE]);
        let mut times = 0;
        while !changed.is_empty() {
            let chosen = selection.choose(&changed, &still, budget(10, 96 * 64));
            assert!(!chosen.is_empty() && selection.pixels(&chosen) <= 96 * 64);
            changed = changed.without(&chosen);
            times += 1;
        }
        assert_eq!(times, 2);
        // A single row is chosen although it takes longer.
        let chosen = selection.choose(&map(&[LARGE]), &still, budget(10, 10));
        assert_eq!(chosen, map(&[Rect { height: 8, ..LARGE }]));
        assert_eq!(selection.choose(&map(&[LARGE]), &still, budget(10, 0)), none());
    }

    #[test]
    fn still_blocks_do_not_delay_what_moves_and_get_a_part_of_the_time() {
        let mut selection = Selection::new(8);
        let still = map(&[LARGE]);
        let changed = map(&[SMALL, LARGE]);
        // SMALL needs 1024 pixels, and a row of LARGE 96 · 24.
        let chosen = selection.choose(&changed, &still, budget(5000, u64::MAX));
        assert_eq!(chosen.clone().intersection(&map(&[SMALL])), map(&[SMALL]));
        let rest = chosen.without(&map(&[SMALL]));
        assert_eq!(rest, map(&[Rect { height: 24, ..LARGE }]));
        // 70 % of the time is not enough for SMALL.
        let chosen = selection.choose(&changed, &still, budget(1200, 96 * 96));
        assert_eq!(chosen, still);
    }
}
