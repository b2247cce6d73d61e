//! Dividing a film into scenes of one pattern, from the evidence of its frames.
//!
//! The cheapest path through the patterns is searched (Viterbi): a frame costs as much as its combs
//! differ from what a pattern predicts, and each change of the pattern costs as much as several
//! frames. Frames without motion cost nothing, so they continue the pattern before them.

use std::ops::Range;

use super::{
    evidence::Evidence,
    options::{FieldOrder, Options},
    pattern::{Order, Pattern, Scene},
};

/// What is known of a decoded frame.
#[derive(Clone, Copy, Debug, Default)]
pub struct Observation {
    /// In nanoseconds.
    pub duration: u64,
    pub evidence: Evidence,
    /// Whether the frame begins a scene.
    pub is_cut: bool,
    /// Whether the frame can be interlaced: it says so, or it has [as many rows](LEAST_ROWS) as
    /// interlaced video.
    pub can_be_interlaced: bool,
}

/// Interlaced video has at least about this many rows. What has fewer was scaled, and its fine detail can
/// look like combs.
pub const LEAST_ROWS: u32 = 400;

/// The cost of another pattern, in frames that contradict the present one.
const CHANGE: f32 = 6.0;
/// The cost of a film that begins with another pattern than progressive: short clips say little.
const START: f32 = 5.0;
/// The cost of another place in the cycle of 2:3 pulldown: the telecined film was cut.
const JUMP: f32 = 3.0;
/// Both are less likely within a scene than at its start.
const AT_CUT: f32 = 0.25;
/// Without evidence frames count as progressive.
const BIAS: f32 = 0.001;

/// Combs below this energy say little.
const FLOOR: f32 = 0.05;

/// Two fields that are shown one after the other have at most this comb in interlaced video.
const MOST_NEAR: f32 = 0.6;
/// The fields of pictures are seldom in two frames, and interlaced video can look similar.
const RARE: f32 = 0.15;

/// How much the combs of a frame contradict a pattern. They are shares of the strongest one:
/// [`Evidence::own`], `bottom_before`, `top_before`.
fn contradiction(pattern: Pattern, [own, bottom, top]: [f32; 3]) -> f32 {
    // With the first field of this frame and the second one of the frame before; with the other two.
    let (near, far) = match pattern.order() {
        Some(Order::BottomFirst) => (top, bottom),
        _ => (bottom, top),
    };
    let from = |predicted: [f32; 3]| -> f32 {
        predicted.iter().zip([own, near, far]).map(|(a, b)| (a - b).abs()).sum()
    };
    match pattern {
        Pattern::Whole => from([0.0, 1.0, 1.0]),
        Pattern::Offset(_) => from([0.5, 0.0, 1.0]) + RARE,
        Pattern::Fields(_) => {
            let above = (own - MOST_NEAR).max(0.0) + (near - MOST_NEAR).max(0.0);
            above + 0.7 * (own - near).abs() + (far - 1.0).abs()
        }
        Pattern::Telecine(_, place) => from(match place {
            0 | 1 => [0.0, 1.0, 1.0],
            2 => [1.0, 0.0, 1.0],
            3 => [0.5, 0.0, 1.0],
            _ => [0.0, 0.0, 1.0],
        }),
    }
}

/// The filter for combs finds at most this times as much in a frame without a comb as in one field.
const MARGIN: f32 = 1.2;

/// The combs beyond noise and detail as shares of the strongest one, and how much they say.
fn observed(evidence: &Evidence) -> ([f32; 3], f32) {
    let combs = [evidence.own, evidence.bottom_before, evidence.top_before];
    let most = combs.iter().copied().fold(0.0, f32::max);
    let least = combs.iter().copied().fold(f32::INFINITY, f32::min);
    // Frames of noise differ in all three combs by chance.
    let weight = (((most - least) / (most + FLOOR) - 0.05) / 0.3).clamp(0.0, 1.0);
    let noise = least.min(MARGIN * evidence.detail);
    let combs = combs.map(|comb| comb - noise);
    let most = most - noise;
    (combs.map(|comb| if most > 0.0 { comb / most } else { 0.0 }), weight)
}

/// The patterns that are considered for frames of this duration in nanoseconds.
fn patterns(order: Option<Order>, duration: f64) -> Vec<Pattern> {
    // 2:3 pulldown gives 29.97 frames per second. More than 35 are not interlaced.
    let is_ntsc = (duration / NTSC - 1.0).abs() < 0.02;
    if duration < 1e9 / 35.0 {
        return vec![Pattern::Whole];
    }
    let orders = match order {
        Some(order) => vec![order],
        None => vec![Order::TopFirst, Order::BottomFirst],
    };
    let mut patterns = vec![Pattern::Whole];
    for order in orders {
        patterns.extend([Pattern::Fields(order), Pattern::Offset(order)]);
        if is_ntsc {
            patterns.extend((0..5).map(|place| Pattern::Telecine(order, place)));
        }
    }
    patterns
}

/// The cost of going from one pattern to another one.
fn change(from: Pattern, to: Pattern, is_cut: bool) -> f32 {
    let cost = if from.after(1) == to {
        return 0.0;
    } else if from.is_same_kind(to) {
        JUMP
    } else {
        CHANGE
    };
    if is_cut { cost * AT_CUT } else { cost }
}

/// The pattern of each frame.
fn path(frames: &[Observation], patterns: &[Pattern]) -> Vec<Pattern> {
    let first = |pattern: &Pattern| if *pattern == Pattern::Whole { 0.0 } else { START };
    let mut costs: Vec<f32> = patterns.iter().map(first).collect();
    // For each frame and pattern, the number of the pattern before.
    let mut before: Vec<Vec<u8>> = Vec::with_capacity(frames.len());
    for frame in frames {
        let (combs, weight) = observed(&frame.evidence);
        let mut chosen = Vec::with_capacity(patterns.len());
        let mut next = Vec::with_capacity(patterns.len());
        for &to in patterns {
            let ways = patterns.iter().zip(&costs).enumerate();
            let ways = ways.map(|(at, (&from, cost))| (at, cost + change(from, to, frame.is_cut)));
            let (from, cost) =
                ways.min_by(|(_, a), (_, b)| a.total_cmp(b)).unwrap_or((0, f32::INFINITY));
            let bias = if to == Pattern::Whole { 0.0 } else { BIAS };
            chosen.push(from as u8);
            next.push(cost + weight * contradiction(to, combs) + bias);
        }
        // Costs stay small, however long the film is.
        let least = next.iter().copied().fold(f32::INFINITY, f32::min);
        costs = next.into_iter().map(|cost| cost - least).collect();
        before.push(chosen);
    }
    let last = costs.iter().enumerate().min_by(|(_, a), (_, b)| a.total_cmp(b));
    let mut at = last.map_or(0, |(at, _)| at);
    let mut path: Vec<_> = before
        .iter()
        .rev()
        .filter_map(|chosen| {
            let pattern = patterns.get(at).copied();
            at = chosen.get(at).map_or(0, |&from| usize::from(from));
            pattern
        })
        .collect();
    path.reverse();
    path
}

/// The mean duration of frames that do not differ much from most, in nanoseconds.
fn usual_duration(frames: &[Observation]) -> f64 {
    let mut durations: Vec<_> = frames.iter().map(|frame| frame.duration as f64).collect();
    durations.sort_unstable_by(f64::total_cmp);
    let median = durations.get(durations.len() / 2).copied().unwrap_or(0.0);
    durations.retain(|it| (it - median).abs() < 0.3 * median);
    durations.iter().sum::<f64>() / durations.len().max(1) as f64
}

/// Divides the film.
pub fn scenes(frames: &[Observation], options: &Options) -> Vec<Scene> {
    let patterns = match options.field_order {
        FieldOrder::Progressive => vec![Pattern::Whole],
        _ if !frames.iter().any(|frame| frame.can_be_interlaced) => vec![Pattern::Whole],
        order => patterns(order.order(), usual_duration(frames)),
    };
    let mut scenes: Vec<Scene> = Vec::new();
    for (number, mut pattern) in path(frames, &patterns).into_iter().enumerate() {
        if let (true, Pattern::Telecine(order, _)) = (options.no_ivtc, pattern) {
            pattern = Pattern::Fields(order);
        }
        match scenes.last_mut() {
            Some(last) if last.pattern.after(last.frames.len()) == pattern => {
                last.frames.end = number + 1;
            }
            _ => scenes.push(Scene {
                frames: number..number + 1,
                pattern,
                is_soft: false,
                repeats: 1,
            }),
        }
    }
    absorb_start(&mut scenes);
    scenes.into_iter().flat_map(|scene| divide_by_times(frames, scene)).collect()
}

/// A film begins with the pattern of its second scene if the first one is shorter than this, and the
/// second one is much longer.
const SHORT_START: usize = 12;

/// Lets the second scene begin with the film, where the first frames only lack evidence.
fn absorb_start(scenes: &mut Vec<Scene>) {
    let [first, second, ..] = scenes.as_mut_slice() else { return };
    let frames = first.frames.len();
    if first.pattern != Pattern::Whole
        || frames >= SHORT_START
        || second.frames.len() < 5 * SHORT_START
    {
        return;
    }
    second.frames.start = 0;
    // Five is the length of a cycle.
    second.pattern = second.pattern.after(4 * frames);
    scenes.remove(0);
}

/// The duration of a frame of NTSC video, in nanoseconds: 1001/30000 s.
const NTSC: f64 = 1e9 * 1001.0 / 30000.0;
/// The duration of a picture of a film on NTSC video, in nanoseconds: 1001/24000 s.
const FILM: f64 = 1e9 * 1001.0 / 24000.0;
/// Frames over which the mean duration is taken: whole cycles of 2:3 pulldown.
const CYCLES: usize = 12;

/// Divides a progressive scene where frames begin or cease to be shown for 2 and 3 fields in turn.
fn divide_by_times(frames: &[Observation], scene: Scene) -> Vec<Scene> {
    if scene.pattern != Pattern::Whole {
        return vec![scene];
    }
    let observations = frames.get(scene.frames.clone()).unwrap_or_default();
    let mut is_soft = vec![false; observations.len()];
    for (start, window) in observations.windows(CYCLES).enumerate() {
        let durations = || window.iter().map(|frame| frame.duration as f64);
        let mean = durations().sum::<f64>() / CYCLES as f64;
        let uneven = durations().filter(|it| (it - FILM).abs() > 3e6).count();
        let is_near = durations().all(|it| (it - FILM).abs() < 17.5e6);
        if is_near && uneven >= CYCLES / 4 && (mean - FILM).abs() < 0.01 * FILM {
            is_soft.iter_mut().skip(start).take(CYCLES).for_each(|it| *it = true);
        }
    }
    // The first and the last frame of a recording often have another duration.
    for run in is_soft.chunk_by_mut(|a, b| a == b) {
        if run.len() < CYCLES && run.len() < observations.len() {
            run.fill(true);
        }
    }
    let mut parts: Vec<Scene> = Vec::new();
    for (number, is_soft) in scene.frames.clone().zip(is_soft) {
        match parts.last_mut() {
            Some(last) if last.is_soft == is_soft => last.frames.end = number + 1,
            _ => parts.push(Scene { frames: number..number + 1, is_soft, ..scene.clone() }),
        }
    }
    for part in &mut parts {
        part.repeats = repeats(frames, &part.frames);
    }
    parts
}

/// A share of samples that changes in encoded copies of a picture.
const UNMOVED: f32 = 0.0005;

/// How many frames in succession show the same picture.
fn repeats(frames: &[Observation], scene: &Range<usize>) -> u8 {
    let frames = frames.get(scene.clone()).unwrap_or_default();
    let moved: Vec<_> = frames
        .iter()
        .enumerate()
        .filter(|(_, frame)| frame.evidence.moved > UNMOVED)
        .map(|(number, _)| number)
        .collect();
    let following = moved.iter().skip(1);
    let mut gaps: Vec<_> = moved.iter().zip(following).map(|(from, to)| to - from).collect();
    gaps.retain(|gap| *gap <= 6);
    gaps.sort_unstable();
    let repeated = gaps.iter().filter(|gap| **gap > 1).count();
    // Drawings are not still for most of the time.
    if gaps.len() < 8 || repeated * 10 < gaps.len() * 7 {
        return 1;
    }
    gaps.get(gaps.len() / 2).and_then(|gap| u8::try_from(*gap).ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cadence::evidence::{measure, tests::frame};

    /// Observations of frames, given by the positions of a moving picture in their fields.
    fn observations(fields: &[(f64, f64)]) -> Vec<Observation> {
        let frames: Vec<_> = fields.iter().map(|&(top, bottom)| frame(top, bottom)).collect();
        let mut before = &Default::default();
        let mut observations = Vec::new();
        for now in &frames {
            let evidence = measure(before, now);
            observations.push(Observation { duration: 33_366_667, evidence, ..interlaced() });
            before = now;
        }
        observations
    }

    fn interlaced() -> Observation {
        Observation { can_be_interlaced: true, ..Observation::default() }
    }

    fn found(fields: &[(f64, f64)]) -> Vec<(Range<usize>, Pattern)> {
        let scenes = scenes(&observations(fields), &Options::default());
        scenes.into_iter().map(|scene| (scene.frames, scene.pattern)).collect()
    }

    /// Frames whose fields show the pictures of a film of this speed, given by their numbers.
    fn frames(numbers: impl Iterator<Item = (usize, usize)>) -> Vec<(f64, f64)> {
        numbers.map(|(top, bottom)| (top as f64 * 2.3, bottom as f64 * 2.3)).collect()
    }

    fn progressive(count: usize) -> Vec<(f64, f64)> {
        frames((0..count).map(|number| (number, number)))
    }

    /// Interlaced video of `count` frames, top field first.
    fn interlaced_frames(count: usize) -> Vec<(f64, f64)> {
        (0..count).map(|number| (number as f64 * 3.0, number as f64 * 3.0 + 1.5)).collect()
    }

    /// A telecined film, top field first.
    fn telecined(count: usize) -> Vec<(f64, f64)> {
        let cycle = [(0, 0), (1, 1), (1, 2), (2, 3), (3, 3)];
        frames((0..count).map(|number| {
            let (top, bottom) = cycle[number % 5];
            (number / 5 * 4 + top, number / 5 * 4 + bottom)
        }))
    }

    fn swapped(fields: &[(f64, f64)]) -> Vec<(f64, f64)> {
        fields.iter().map(|&(top, bottom)| (bottom, top)).collect()
    }

    #[test]
    fn each_pattern_is_found_in_both_field_orders() {
        let (top, bottom) = (Order::TopFirst, Order::BottomFirst);
        assert_eq!(found(&progressive(50)), [(0..50, Pattern::Whole)]);
        assert_eq!(found(&interlaced_frames(50)), [(0..50, Pattern::Fields(top))]);
        assert_eq!(found(&swapped(&interlaced_frames(50))), [(0..50, Pattern::Fields(bottom))]);
        for place in 0..5 {
            let film = &telecined(60)[place..55 + place];
            assert_eq!(found(film), [(0..55, Pattern::Telecine(top, place as u8))]);
            let expected = [(0..55, Pattern::Telecine(bottom, place as u8))];
            assert_eq!(found(&swapped(film)), expected);
        }
        let offset = frames((0..50).map(|number| (number, number + 1)));
        assert_eq!(found(&offset), [(0..50, Pattern::Offset(top))]);
    }

    #[test]
    fn a_mixed_film_is_divided_where_the_pattern_changes() {
        let film = [progressive(40), telecined(60), interlaced_frames(40)].concat();
        let found = found(&film);
        let patterns: Vec<_> = found.iter().map(|(_, pattern)| *pattern).collect();
        let order = Order::TopFirst;
        assert!(
            matches!(
                patterns[..],
                [Pattern::Whole, Pattern::Telecine(..), Pattern::Fields(found)] if found == order
            ),
            "{found:?}"
        );
        for (scene, start) in found.iter().zip([0_usize, 40, 100]) {
            assert!(scene.0.start.abs_diff(start) <= 3, "{found:?}");
        }
    }

    #[test]
    fn a_cut_in_a_telecined_film_changes_only_the_place_in_the_cycle() {
        let film = [&telecined(60)[..42], &telecined(100)[60..]].concat();
        let found = found(&film);
        assert!(found.iter().all(|(_, it)| matches!(it, Pattern::Telecine(..))), "{found:?}");
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn a_still_film_is_progressive_and_stillness_does_not_end_a_scene() {
        let still = vec![(5.0, 5.0); 50];
        assert_eq!(found(&still), [(0..50, Pattern::Whole)]);
        let last = *telecined(30).last().unwrap();
        let film = [telecined(30), vec![last; 40]].concat();
        assert_eq!(found(&film).len(), 1);
    }

    #[test]
    fn a_film_begins_with_its_first_pattern_although_its_first_frames_are_still() {
        let order = Order::TopFirst;
        let film = telecined(80);
        let still: Vec<_> = vec![film[0]; 7];
        let found = found(&[&still[..], &film[1..]].concat());
        // Frame 7 has the place 1.
        assert_eq!(found, [(0..86, Pattern::Telecine(order, 4))]);
        let film = [vec![(0.0, 1.5); 6], interlaced_frames(80)].concat();
        assert_eq!(self::found(&film), [(0..86, Pattern::Fields(order))]);
    }

    #[test]
    fn frames_too_small_for_interlaced_video_are_progressive() {
        let mut film = observations(&interlaced_frames(40));
        film.iter_mut().for_each(|frame| frame.can_be_interlaced = false);
        assert_eq!(scenes(&film, &Options::default())[0].pattern, Pattern::Whole);
    }

    #[test]
    fn options_overrule_what_is_found() {
        let film = observations(&interlaced_frames(40));
        let pattern = |options| scenes(&film, &options)[0].pattern;
        let options = Options { field_order: FieldOrder::Bff, ..Options::default() };
        assert_ne!(pattern(options).order(), Some(Order::TopFirst));
        let options = Options { field_order: FieldOrder::Progressive, ..Options::default() };
        assert_eq!(pattern(options), Pattern::Whole);
        let film = observations(&telecined(40));
        let options = Options { no_ivtc: true, ..Options::default() };
        let found = scenes(&film, &options);
        assert_eq!((found.len(), found[0].pattern), (1, Pattern::Fields(Order::TopFirst)));
    }

    #[test]
    fn frames_shown_for_two_and_three_fields_are_soft_telecine() {
        let mut film = observations(&progressive(60));
        let field = 1e9 * 1001.0 / 60000.0;
        for (number, frame) in film.iter_mut().enumerate() {
            let fields = if number % 2 == 0 { 3.0 } else { 2.0 };
            frame.duration = (fields * field) as u64;
        }
        let found = scenes(&film, &Options::default());
        assert!(found.len() == 1 && found[0].is_soft, "{found:?}");
        let even = scenes(&observations(&progressive(60)), &Options::default());
        assert!(!even[0].is_soft);
    }

    #[test]
    fn drawings_that_are_shown_twice_are_recognised() {
        let drawings = frames((0..60).map(|number| (number / 2, number / 2)));
        let found = scenes(&observations(&drawings), &Options::default());
        assert_eq!((found.len(), found[0].pattern, found[0].repeats), (1, Pattern::Whole, 2));
        assert_eq!(scenes(&observations(&progressive(60)), &Options::default())[0].repeats, 1);
    }
}
