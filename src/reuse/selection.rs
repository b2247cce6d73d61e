//! Which outdated blocks to compute when time does not suffice for all of them.
//!
//! A moving block is worth computing only if it is ready before its frame is due, and again in the
//! next frames: those in a window around the centre of the frame, where viewers look, are computed.
//! The window is as large as time allows; it shrinks at once and grows slowly, so that its border
//! does not flicker. Any other block may take longer than a frame: these are computed tile by tile,
//! in turn.

use super::changed_map::{BLOCK, ChangedMap};
use crate::frame::Rect;

/// The share of the time before a frame is due that is kept for other blocks than moving ones.
const RESTING_SHARE: f64 = 0.3;
/// The side of a tile in pixels.
const TILE: u32 = 4 * BLOCK;
/// Parts that the width and the height of the frame are divided into, to measure the window.
const PARTS: u32 = 32;
/// By how many parts the sides of the window grow from frame to frame.
const GROWTH: u32 = 2;
/// A smaller window is not worth its border: nothing that moves is computed then.
const MIN_WINDOW: u32 = PARTS / 4;

/// How much can be computed, in pixels that the model runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Before the frame is due.
    pub in_time: u64,
    /// In the background, while the next frames are shown.
    pub background: u64,
}

/// Blocks to choose from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outdated<'a> {
    /// Blocks that move.
    pub moving: &'a ChangedMap,
    /// Resting blocks that are not visible in the model's picture.
    pub hidden: &'a ChangedMap,
    /// Blocks that are visible in an older picture of the model.
    pub aged: &'a ChangedMap,
}

/// Chooses blocks frame by frame.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    /// The distance up to which the model reads, in blocks.
    halo: u32,
    /// Sides of the window, in [`PARTS`] of those of the frame.
    window: u32,
    /// The tile that is next, counted row by row.
    next: usize,
}

impl Selection {
    /// For a model that reads up to `halo` pixels around each pixel.
    pub(crate) fn new(halo: u32) -> Self {
        Self { halo: halo.div_ceil(BLOCK), window: PARTS, next: 0 }
    }

    /// An estimate of the pixels that the model runs on to compute `blocks`.
    pub(crate) fn pixels(&self, blocks: &ChangedMap) -> u64 {
        u64::from(blocks.grown(self.halo).count()) * u64::from(BLOCK * BLOCK)
    }

    /// The blocks to compute now.
    pub(crate) fn choose(&mut self, outdated: Outdated<'_>, budget: Budget) -> ChangedMap {
        let Outdated { moving, hidden, aged } = outdated;
        let resting = if hidden.is_empty() { aged } else { hidden };
        let kept = match resting.is_empty() {
            true => 0,
            false => ((budget.in_time as f64 * RESTING_SHARE) as u64).max(self.tile_pixels()),
        };
        let moving = self.central(moving, budget.in_time.saturating_sub(kept));
        if moving.is_empty() {
            return self.in_turn(resting, budget.background);
        }
        let left = budget.in_time.saturating_sub(self.pixels(&moving));
        moving.union(&self.in_turn(resting, left))
    }

    /// The blocks in the largest window on which the model runs on at most `pixels` pixels.
    fn central(&mut self, moving: &ChangedMap, pixels: u64) -> ChangedMap {
        let inside = |parts: u32| {
            let (width, height) = moving.size();
            let side = |all: u32| (u64::from(all) * u64::from(parts) / u64::from(PARTS)) as u32;
            let window = Rect::new(
                (width - side(width)) / 2,
                (height - side(height)) / 2,
                side(width),
                side(height),
            );
            moving.clone().intersection(&ChangedMap::of_rects(&[window], width, height))
        };
        let fits = |parts: &u32| self.pixels(&inside(*parts)) <= pixels;
        let sizes: Vec<u32> = (1..=PARTS).collect();
        let largest = sizes.partition_point(fits) as u32;
        self.window = largest.min(self.window + GROWTH);
        match self.window {
            MIN_WINDOW.. => inside(self.window),
            _ => ChangedMap::none(moving.size().0, moving.size().1),
        }
    }

    /// The next tiles of `blocks` on which the model runs on at most `pixels` pixels; at least one,
    /// unless `pixels` is 0.
    pub(crate) fn in_turn(&mut self, blocks: &ChangedMap, pixels: u64) -> ChangedMap {
        let (width, height) = blocks.size();
        let columns = width.div_ceil(TILE).max(1) as usize;
        let count = columns * height.div_ceil(TILE) as usize;
        let none = ChangedMap::none(width, height);
        let tile = |number: usize| {
            let (x, y) = ((number % columns) as u32 * TILE, (number / columns) as u32 * TILE);
            let rect = Rect::new(x, y, TILE, TILE);
            blocks.clone().intersection(&ChangedMap::of_rects(&[rect], width, height))
        };
        if pixels == 0 || blocks.is_empty() {
            return none;
        }
        let turn: Vec<usize> = (0..count)
            .map(|number| (self.next + number) % count)
            .filter(|number| !tile(*number).is_empty())
            .collect();
        let first = |tiles: usize| {
            turn.iter().take(tiles).fold(none.clone(), |all, number| all.union(&tile(*number)))
        };
        let numbers: Vec<usize> = (1..=turn.len()).collect();
        let fitting = numbers.partition_point(|tiles| self.pixels(&first(*tiles)) <= pixels);
        let chosen = fitting.max(1);
        self.next = turn.get(chosen - 1).map_or(0, |last| last + 1);
        first(chosen)
    }

    /// The pixels that the model runs on for one tile.
    fn tile_pixels(&self) -> u64 {
        let side = u64::from(TILE + 2 * self.halo * BLOCK);
        side * side
    }

    /// Forgets the frames before.
    pub(crate) fn reset(&mut self) {
        (self.window, self.next) = (PARTS, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: (u32, u32) = (640, 320);

    fn map(rects: &[Rect]) -> ChangedMap {
        ChangedMap::of_rects(rects, SIZE.0, SIZE.1)
    }

    fn all() -> ChangedMap {
        ChangedMap::all(SIZE.0, SIZE.1)
    }

    fn budget(in_time: u64, background: u64) -> Budget {
        Budget { in_time, background }
    }

    /// Moving blocks only.
    fn moving(moving: &ChangedMap, selection: &mut Selection, in_time: u64) -> ChangedMap {
        let outdated = Outdated { moving, hidden: &map(&[]), aged: &map(&[]) };
        selection.choose(outdated, budget(in_time, u64::MAX))
    }

    #[test]
    fn pixels_include_the_halo_and_never_exceed_the_frame() {
        let selection = Selection::new(18);
        let block = Rect::new(400, 200, 8, 8);
        assert_eq!(selection.pixels(&map(&[block])), 56 * 56);
        assert_eq!(selection.pixels(&map(&[])), 0);
        assert_eq!(selection.pixels(&all()), 640 * 320);
    }

    #[test]
    fn of_a_frame_that_moves_everywhere_the_centre_is_computed() {
        let mut selection = Selection::new(8);
        let chosen = moving(&all(), &mut selection, 640 * 320 / 4);
        let pixels = selection.pixels(&chosen);
        assert!((640 * 320 / 5..=640 * 320 / 4).contains(&pixels), "{pixels}");
        let [window] = chosen.rects()[..] else { panic!("not a rectangle") };
        assert!((window.x + window.right()).abs_diff(640) <= 8, "{window:?}");
        assert!((window.y + window.bottom()).abs_diff(320) <= 8, "{window:?}");
    }

    #[test]
    fn whatever_moves_is_computed_if_there_is_time() {
        let mut selection = Selection::new(8);
        let corner = map(&[Rect::new(0, 0, 64, 64)]);
        assert_eq!(moving(&corner, &mut selection, 80 * 80), corner);
        assert_eq!(moving(&all(), &mut selection, 640 * 320), all());
    }

    #[test]
    fn the_window_shrinks_at_once_and_grows_slowly() {
        let mut selection = Selection::new(8);
        assert_eq!(moving(&all(), &mut selection, 640 * 320), all());
        let small = moving(&all(), &mut selection, 640 * 320 / 4);
        let mut before = small.count();
        assert!(before < all().count() / 4);
        let mut frames = 0;
        while before < all().count() {
            let now = moving(&all(), &mut selection, 640 * 320).count();
            assert!(now > before && now < before + all().count() / 6);
            (before, frames) = (now, frames + 1);
        }
        assert!(frames > 5);
    }

    #[test]
    fn a_window_that_would_be_too_small_leaves_the_time_to_what_rests() {
        let mut selection = Selection::new(8);
        let rest = map(&[Rect::new(0, 0, 640, 64)]);
        let moving = all().without(&rest);
        let outdated = Outdated { moving: &moving, hidden: &rest, aged: &map(&[]) };
        let chosen = selection.choose(outdated, budget(3000, 640 * 320));
        assert_eq!(chosen, rest);
    }

    #[test]
    fn resting_blocks_are_computed_tile_by_tile_in_turn() {
        let mut selection = Selection::new(8);
        let resting = map(&[Rect::new(0, 0, 640, 200)]);
        let mut left = resting.clone();
        let mut times = 0;
        while !left.is_empty() {
            let outdated = Outdated { moving: &map(&[]), hidden: &left, aged: &resting };
            let chosen = selection.choose(outdated, budget(10, 20_000));
            assert!(!chosen.is_empty() && selection.pixels(&chosen) <= 20_000);
            left = left.without(&chosen);
            times += 1;
        }
        assert!((8..20).contains(&times), "{times}");
        // Not the first tiles again.
        let mut second = Selection::new(8);
        let first = second.in_turn(&resting, 20_000);
        let next = second.in_turn(&resting, 20_000);
        assert!(!next.is_empty() && first.intersection(&next).is_empty());
    }

    #[test]
    fn at_least_one_tile_is_computed_unless_there_is_no_time() {
        let mut selection = Selection::new(8);
        let tile = map(&[Rect::new(0, 0, TILE, TILE)]);
        assert_eq!(selection.in_turn(&all(), 1), tile);
        assert!(selection.in_turn(&all(), 0).is_empty());
    }

    #[test]
    fn resting_blocks_get_a_part_of_the_time_of_moving_ones() {
        let mut selection = Selection::new(8);
        let rest = map(&[Rect::new(0, 0, 640, 64)]);
        let moving = all().without(&rest);
        let outdated = Outdated { moving: &moving, hidden: &map(&[]), aged: &rest };
        let time = budget(640 * 320 / 2, u64::MAX);
        let chosen = selection.choose(outdated, time);
        let (of_moving, of_rest) =
            (chosen.clone().intersection(&moving), chosen.intersection(&rest));
        assert!(selection.pixels(&of_moving) <= time.in_time * 7 / 10);
        assert!(!of_moving.is_empty() && !of_rest.is_empty());
    }
}
