//! What was found in a film, in words for the user.

use serde::Serialize;

use super::pattern::{Order, Pattern, Scene};

/// A part of a film in which the same was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// In seconds from the start of the film.
    pub start: f64,
    /// In seconds.
    pub end: f64,
    /// What was found.
    pub found: String,
    /// What becomes of it.
    pub becomes: String,
}

/// The parts of a film whose frames have these times and durations, in nanoseconds.
pub fn report(frames: &[(u64, u64)], scenes: &[Scene]) -> Vec<Part> {
    let seconds = |nanoseconds: u64| nanoseconds as f64 / 1e9;
    let mut parts: Vec<Part> = Vec::new();
    for scene in scenes {
        let (Some(first), Some(last)) =
            (frames.get(scene.frames.start), frames.get(scene.frames.end.saturating_sub(1)))
        else {
            continue;
        };
        let end = seconds(last.0 + last.1);
        let found = found(scene);
        match parts.last_mut() {
            Some(part) if part.found == found => part.end = end,
            _ => parts.push(Part {
                start: seconds(first.0),
                end,
                found,
                becomes: becomes(scene).into(),
            }),
        }
    }
    parts
}

/// Whether there is nothing to say: all frames are progressive and shown as they come.
pub fn is_plain(scenes: &[Scene]) -> bool {
    let is_plain =
        |scene: &Scene| scene.pattern == Pattern::Whole && !scene.is_soft && scene.repeats == 1;
    scenes.iter().all(is_plain)
}

/// One line for each kind of part, the longest first.
pub fn summary(parts: &[Part]) -> Vec<String> {
    let length = |part: &Part| (part.end - part.start).max(0.0);
    let total: f64 = parts.iter().map(length).sum();
    let mut kinds: Vec<(&Part, f64)> = Vec::new();
    for part in parts {
        match kinds.iter_mut().find(|(kind, _)| kind.found == part.found) {
            Some((_, sum)) => *sum += length(part),
            None => kinds.push((part, length(part))),
        }
    }
    kinds.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let lines = kinds.iter().map(|(kind, sum)| match kinds.as_slice() {
        [_] => format!("{}: {}", kind.found, kind.becomes),
        _ => {
            let share = (100.0 * sum / total.max(1e-9)).round();
            format!("{share} % {}: {}", kind.found, kind.becomes)
        }
    });
    lines.collect()
}

/// One line for each part, with its time.
pub fn table(parts: &[Part]) -> Vec<String> {
    let line = |part: &Part| {
        format!("{} to {}  {}: {}", clock(part.start), clock(part.end), part.found, part.becomes)
    };
    parts.iter().map(line).collect()
}

/// Hours, minutes and seconds.
fn clock(seconds: f64) -> String {
    let tenths = (seconds * 10.0).round() as u64;
    let (hours, minutes) = (tenths / 36_000, tenths / 600 % 60);
    format!("{hours}:{minutes:02}:{:02}.{}", tenths / 10 % 60, tenths % 10)
}

fn found(scene: &Scene) -> String {
    let order = match scene.pattern.order() {
        Some(Order::TopFirst) => "top field first",
        Some(Order::BottomFirst) => "bottom field first",
        None => "",
    };
    match scene.pattern {
        Pattern::Whole if scene.is_soft => "film with 2:3 pulldown by flags (soft telecine)".into(),
        Pattern::Whole if scene.repeats > 1 => {
            format!("progressive drawings, each shown for {} frames", scene.repeats)
        }
        Pattern::Whole => "progressive".into(),
        Pattern::Offset(_) => {
            format!("progressive, with the fields of a picture in two frames ({order})")
        }
        Pattern::Fields(_) => format!("interlaced video ({order})"),
        Pattern::Telecine(..) => format!("film with 2:3 pulldown (telecined, {order})"),
    }
}

fn becomes(scene: &Scene) -> &'static str {
    match scene.pattern {
        Pattern::Whole if scene.is_soft => "each frame is shown for the same time",
        Pattern::Whole => "the frames are kept",
        Pattern::Offset(_) => "the fields of each picture are put together",
        Pattern::Fields(_) => "deinterlaced, one picture for each field",
        Pattern::Telecine(..) => "the frames of the film are put together again",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(frames: std::ops::Range<usize>, pattern: Pattern) -> Scene {
        Scene { frames, pattern, is_soft: false, repeats: 1 }
    }

    #[test]
    fn parts_of_one_kind_are_joined_and_summed_up() {
        let frames: Vec<_> = (0..100).map(|it| (it * 1_000_000_000, 1_000_000_000)).collect();
        let order = Order::TopFirst;
        let scenes = [
            scene(0..10, Pattern::Telecine(order, 0)),
            scene(10..60, Pattern::Telecine(order, 3)),
            scene(60..80, Pattern::Fields(order)),
            scene(80..100, Pattern::Telecine(order, 1)),
        ];
        let parts = report(&frames, &scenes);
        let times: Vec<_> = parts.iter().map(|part| (part.start, part.end)).collect();
        assert_eq!(times, [(0.0, 60.0), (60.0, 80.0), (80.0, 100.0)]);
        let summary = summary(&parts);
        assert!(summary[0].starts_with("80 % film"), "{summary:?}");
        assert!(summary[1].contains("interlaced video (top field first)"), "{summary:?}");
        assert!(table(&parts)[1].starts_with("0:01:00.0 to 0:01:20.0"), "{:?}", table(&parts));
    }

    #[test]
    fn a_plain_film_gives_nothing_to_say() {
        assert!(is_plain(&[scene(0..10, Pattern::Whole)]));
        assert!(!is_plain(&[Scene { is_soft: true, ..scene(0..10, Pattern::Whole) }]));
        assert!(!is_plain(&[scene(0..10, Pattern::Fields(Order::TopFirst))]));
    }
}
