//! Which pictures are shown when, and what they are made of.

use std::{fmt, ops::Range, str::FromStr};

use serde::{Deserialize, Serialize};

use super::pattern::{Order, Pattern, Scene};
use crate::arguments::Expected;

/// Pictures per second, as a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    pub numerator: u32,
    pub denominator: u32,
}

/// The rates of films and video.
const KNOWN: [Rate; 13] = [
    Rate::new(24000, 1001),
    Rate::new(24, 1),
    Rate::new(25, 1),
    Rate::new(30000, 1001),
    Rate::new(30, 1),
    Rate::new(48, 1),
    Rate::new(50, 1),
    Rate::new(60000, 1001),
    Rate::new(60, 1),
    Rate::new(15, 1),
    Rate::new(12, 1),
    Rate::new(120000, 1001),
    Rate::new(100, 1),
];

impl Rate {
    /// A rate of this many pictures per `denominator` seconds.
    pub const fn new(numerator: u32, denominator: u32) -> Self {
        Self { numerator, denominator }
    }

    /// Nanoseconds from one picture to the next one.
    pub fn period(self) -> f64 {
        1e9 * f64::from(self.denominator) / f64::from(self.numerator.max(1))
    }

    /// The known rate of a period in nanoseconds, or the closest one in thousandths.
    fn of(period: f64) -> Self {
        let distance = |rate: &&Self| (rate.period() / period - 1.0).abs();
        let near = KNOWN.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)));
        match near.filter(|rate| distance(rate) < 0.004) {
            Some(rate) => *rate,
            None => Self::new((1e12 / period).round().clamp(1.0, 1e9) as u32, 1000),
        }
    }

    fn times(self, factor: u32, divisor: u32) -> Self {
        Self::of(self.period() * f64::from(divisor) / f64::from(factor))
    }
}

impl fmt::Display for Rate {
    /// Pictures per second with three decimals at most.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:.3}", 1e9 / self.period());
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl FromStr for Rate {
    type Err = Expected;

    /// Parses a fraction or a decimal number; 23.976, 29.97 and 59.94 mean the exact rates of NTSC.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = || Expected("a rate from 1 to 240, for example 23.976 or 24000/1001".into());
        let rate = match text.split_once('/') {
            Some((numerator, denominator)) => {
                let number = |text: &str| text.parse().ok().filter(|it| *it > 0);
                let parts = number(numerator).zip(number(denominator));
                parts.map(|(numerator, denominator)| Self::new(numerator, denominator))
            }
            None => text.parse().ok().filter(|it: &f64| *it > 0.0).map(|it| {
                let rate = Self::of(1e9 / it);
                // 24 and 24000/1001 differ by a thousandth.
                let is_near = (1e9 / rate.period() - it).abs() < 0.006;
                if is_near { rate } else { Self::new((it * 1000.0).round() as u32, 1000) }
            }),
        };
        rate.filter(|rate| (1e9 / 240.0..=1e9).contains(&rate.period())).ok_or_else(expected)
    }
}

/// What a picture is made of, where the present frame is that of its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The present frame.
    Frame,
    /// The top field of the present frame and the bottom field of the frame before.
    BottomBefore,
    /// The bottom field of the present frame and the top field of the frame before.
    TopBefore,
    /// The top field of the present frame, deinterlaced. `is_first`: it is shown before the other.
    Top { is_first: bool },
    /// The bottom field of the present frame, deinterlaced.
    Bottom { is_first: bool },
}

/// A picture of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picture {
    /// In nanoseconds from the start of the film.
    pub pts: u64,
    /// In nanoseconds.
    pub duration: u64,
    /// Number of the decoded frame that it is made of.
    pub frame: usize,
    pub source: Source,
}

/// All pictures of a film, in the order in which they are shown. The numbers of their frames do not
/// decrease.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schedule {
    pictures: Vec<Picture>,
    /// Times of the decoded frames.
    frames: Vec<u64>,
    /// The highest rate of any part. `None`: as the frames come.
    rate: Option<Rate>,
}

impl Schedule {
    /// The pictures of frames with these times and durations, in nanoseconds. With `rate`, pictures
    /// are repeated or left out so that the rate is constant.
    pub fn new(frames: &[(u64, u64)], scenes: &[Scene], rate: Option<Rate>) -> Self {
        let mut list = List { frames, pictures: Vec::new(), even: None };
        let mut highest = None;
        for scene in scenes {
            let scene_rate = list.add(scene);
            let higher = |rate: &Rate| highest.is_none_or(|it: Rate| rate.period() < it.period());
            highest = scene_rate.filter(higher).or(highest);
        }
        // Frames whose rate is as they come count too.
        let is_plain = |scene: &Scene| scene.pattern == Pattern::Whole && !scene.is_soft;
        if highest.is_some() {
            let plain = scenes.iter().filter(|scene| is_plain(scene) && scene.frames.len() > 12);
            for rate in plain.filter_map(|scene| mean_rate(frames, &scene.frames)) {
                let is_higher = highest.is_none_or(|it| rate.period() < it.period());
                highest = if is_higher { Some(rate) } else { highest };
            }
        }
        let end = frames.last().map_or(0, |(pts, duration)| pts + duration);
        let mut pictures = list.pictures;
        set_durations(&mut pictures, end);
        if let Some(rate) = rate {
            pictures = at_rate(&pictures, rate, end);
            highest = Some(rate);
        }
        let frames = frames.iter().map(|(pts, _)| *pts).collect();
        Self { pictures, frames, rate: highest }
    }

    /// The highest rate of any part. `None`: frames are shown as they come.
    pub fn rate(&self) -> Option<Rate> {
        self.rate
    }

    pub fn pictures(&self) -> &[Picture] {
        &self.pictures
    }

    /// The number of the decoded frame with this time, or with the one closest to it.
    pub fn number(&self, pts: u64) -> usize {
        let after = self.frames.partition_point(|it| *it < pts);
        let distance =
            |number: usize| self.frames.get(number).map_or(u64::MAX, |it| it.abs_diff(pts));
        match after.checked_sub(1) {
            Some(before) if distance(before) < distance(after) => before,
            _ => after.min(self.frames.len().saturating_sub(1)),
        }
    }

    /// The number of pictures that are made of the frames before this one.
    pub fn before(&self, frame: usize) -> usize {
        self.pictures.partition_point(|picture| picture.frame < frame)
    }

    /// The pictures that are made of these frames.
    pub fn of(&self, frames: &Range<usize>) -> &[Picture] {
        let numbers = self.before(frames.start)..self.before(frames.end);
        self.pictures.get(numbers).unwrap_or_default()
    }
}

/// Collects pictures with increasing times.
struct List<'a> {
    frames: &'a [(u64, u64)],
    pictures: Vec<Picture>,
    even: Option<Even>,
}

/// Even times of a film.
#[derive(Clone, Copy, Debug)]
struct Even {
    start: f64,
    count: u64,
    period: f64,
}

impl Even {
    /// The time of the next picture, whose first field is shown at `from`. Starts anew if that is
    /// more than a picture away: frames are missing.
    fn next(&mut self, from: u64) -> u64 {
        let time = self.start + self.count as f64 * self.period;
        let time = if (time - from as f64).abs() > self.period {
            (self.start, self.count) = (from as f64, 0);
            self.start
        } else {
            time
        };
        self.count += 1;
        time.round() as u64
    }
}

impl List<'_> {
    fn time(&self, number: usize) -> (u64, u64) {
        self.frames.get(number).copied().unwrap_or_default()
    }

    fn push(&mut self, pts: u64, frame: usize, source: Source) {
        // Where scenes meet, and where times jump back.
        let least = self.pictures.last().map_or(0, |last| last.pts + 1_000_000);
        self.pictures.push(Picture { pts: pts.max(least), duration: 0, frame, source });
    }

    /// Adds the pictures of a scene. Returns its rate, if that is not the one of its frames.
    fn add(&mut self, scene: &Scene) -> Option<Rate> {
        let numbers = scene.frames.clone();
        match scene.pattern {
            Pattern::Whole if scene.is_soft => {
                let rate = Rate::new(24000, 1001);
                for number in numbers {
                    let time = self.even_time(rate, self.time(number).0);
                    self.push(time, number, Source::Frame);
                }
                Some(rate)
            }
            Pattern::Telecine(order, place) => {
                let rate = mean_rate(self.frames, &numbers)?.times(4, 5);
                self.add_telecine(numbers, (order, place), rate);
                Some(rate)
            }
            Pattern::Whole => {
                self.even = None;
                numbers.for_each(|number| self.push(self.time(number).0, number, Source::Frame));
                None
            }
            Pattern::Offset(order) => {
                self.even = None;
                for number in numbers.clone() {
                    let (pts, duration) = self.time(number);
                    // The other field of the first picture belongs to another scene.
                    let source = match order {
                        _ if number == numbers.start => alone(order),
                        order => with_before(order),
                    };
                    self.push(pts.saturating_sub(duration / 2), number, source);
                }
                None
            }
            Pattern::Fields(order) => {
                self.even = None;
                let rate = mean_rate(self.frames, &numbers);
                let longest = rate.map_or(u64::MAX, |rate| (1.5 * rate.period()) as u64);
                for number in numbers {
                    let (pts, duration) = self.time(number);
                    let [first, second] = fields(order);
                    self.push(pts, number, first);
                    self.push(pts + duration.min(longest) / 2, number, second);
                }
                Some(rate?.times(2, 1))
            }
        }
    }

    fn add_telecine(&mut self, numbers: Range<usize>, (order, place): (Order, u8), rate: Rate) {
        for number in numbers.clone() {
            let (pts, duration) = self.time(number);
            match (usize::from(place) + number - numbers.start) % 5 {
                // The fields hold the pictures AA BB BC CD DD.
                2 => {}
                3 => {
                    let is_first = number == numbers.start;
                    let from = if is_first { pts } else { pts.saturating_sub(duration / 2) };
                    let time = self.even_time(rate, from);
                    let source = if is_first { alone(order) } else { with_before(order) };
                    self.push(time, number, source);
                }
                4 => {
                    let time = self.even_time(rate, pts.saturating_sub(duration / 2));
                    self.push(time, number, Source::Frame);
                }
                _ => {
                    let time = self.even_time(rate, pts);
                    self.push(time, number, Source::Frame);
                }
            }
        }
    }

    /// The time of the next picture of a film, whose first field is shown at `from`.
    fn even_time(&mut self, rate: Rate, from: u64) -> u64 {
        let period = rate.period();
        let start = Even { start: from as f64, count: 0, period };
        let even = self.even.get_or_insert(start);
        if even.period != period {
            *even = start;
        }
        even.next(from)
    }
}

/// The picture of the first field of a frame with the second field of the frame before.
fn with_before(order: Order) -> Source {
    match order {
        Order::TopFirst => Source::BottomBefore,
        Order::BottomFirst => Source::TopBefore,
    }
}

/// The picture of the first field of a frame, whose other half is missing.
fn alone(order: Order) -> Source {
    let [first, _] = fields(order);
    first
}

/// The pictures of the two fields of a frame.
fn fields(order: Order) -> [Source; 2] {
    match order {
        Order::TopFirst => [Source::Top { is_first: true }, Source::Bottom { is_first: false }],
        Order::BottomFirst => [Source::Bottom { is_first: true }, Source::Top { is_first: false }],
    }
}

/// The rate of frames, without gaps between them.
fn mean_rate(frames: &[(u64, u64)], numbers: &Range<usize>) -> Option<Rate> {
    let mut durations: Vec<_> =
        frames.get(numbers.clone())?.iter().map(|(_, duration)| *duration).collect();
    durations.sort_unstable();
    let median = *durations.get(durations.len() / 2)? as f64;
    let usual: Vec<_> = durations
        .iter()
        .map(|it| *it as f64)
        .filter(|it| (it / median - 1.0).abs() < 0.3)
        .collect();
    let mean = usual.iter().sum::<f64>() / usual.len().max(1) as f64;
    (mean > 0.0).then(|| Rate::of(mean))
}

/// Lets each picture last until the next one.
fn set_durations(pictures: &mut [Picture], end: u64) {
    let mut next = end;
    for picture in pictures.iter_mut().rev() {
        picture.duration = next.saturating_sub(picture.pts);
        next = picture.pts;
    }
}

/// Pictures at a constant rate: the one that is shown in the middle of each period.
fn at_rate(pictures: &[Picture], rate: Rate, end: u64) -> Vec<Picture> {
    let Some(start) = pictures.first().map(|first| first.pts) else { return Vec::new() };
    let period = rate.period();
    let count = ((end.saturating_sub(start)) as f64 / period - 0.01).ceil().max(1.0) as u64;
    let tick = |number: u64| start + (number as f64 * period).round() as u64;
    let shown = (0..count).filter_map(|number| {
        let time = tick(number) + (period / 4.0) as u64;
        let after = pictures.partition_point(|picture| picture.pts <= time);
        let picture = *pictures.get(after.saturating_sub(1))?;
        let pts = tick(number);
        Some(Picture { pts, duration: tick(number + 1) - pts, ..picture })
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NTSC: f64 = 1e9 * 1001.0 / 30000.0;

    /// Frames at 29.97 per second, with times in whole milliseconds as Matroska stores them.
    fn frames(count: usize) -> Vec<(u64, u64)> {
        let time = |number: usize| (number as f64 * NTSC / 1e6).round() as u64 * 1_000_000;
        (0..count).map(|number| (time(number), time(number + 1) - time(number))).collect()
    }

    fn scene(frames: Range<usize>, pattern: Pattern) -> Scene {
        Scene { frames, pattern, is_soft: false, repeats: 1 }
    }

    fn assert_even(pictures: &[Picture], period: f64) {
        for pair in pictures.windows(2) {
            let step = (pair[1].pts - pair[0].pts) as f64;
            assert!((step - period).abs() < 2.0, "{step}");
        }
    }

    const TOP: Order = Order::TopFirst;

    #[test]
    fn telecined_film_becomes_four_fifths_of_its_frames_at_even_times() {
        for place in 0..5 {
            let scenes = [scene(0..300, Pattern::Telecine(TOP, place))];
            let schedule = Schedule::new(&frames(300), &scenes, None);
            assert_eq!(schedule.pictures().len(), 240);
            assert_even(schedule.pictures(), NTSC * 1.25);
            assert_eq!(schedule.rate(), Some(Rate::new(24000, 1001)));
            // Within a frame of where the fields are shown.
            for picture in schedule.pictures() {
                let shown = frames(300)[picture.frame].0;
                assert!(picture.pts.abs_diff(shown) < 34_000_000);
            }
        }
    }

    #[test]
    fn a_picture_of_a_telecined_film_is_woven_from_two_frames() {
        let scenes = [scene(0..10, Pattern::Telecine(TOP, 0))];
        let schedule = Schedule::new(&frames(10), &scenes, None);
        let made: Vec<_> = schedule.pictures().iter().map(|it| (it.frame, it.source)).collect();
        let cycle =
            [(0, Source::Frame), (1, Source::Frame), (3, Source::BottomBefore), (4, Source::Frame)];
        assert_eq!(made[..4], cycle);
        assert_eq!(schedule.of(&(0..5)).len(), 4);
        assert_eq!(schedule.of(&(2..3)), []);
    }

    #[test]
    fn a_cut_in_a_telecined_film_keeps_pictures_in_time() {
        let scenes = [
            scene(0..102, Pattern::Telecine(TOP, 0)),
            scene(102..203, Pattern::Telecine(TOP, 4)),
            scene(203..300, Pattern::Telecine(TOP, 3)),
        ];
        let frames = frames(300);
        let schedule = Schedule::new(&frames, &scenes, None);
        for picture in schedule.pictures() {
            assert!(picture.pts.abs_diff(frames[picture.frame].0) < 60_000_000, "{picture:?}");
        }
        assert!(schedule.pictures().windows(2).all(|pair| pair[0].pts < pair[1].pts));
    }

    #[test]
    fn interlaced_video_becomes_a_picture_for_each_field() {
        let scenes = [scene(0..300, Pattern::Fields(Order::BottomFirst))];
        let schedule = Schedule::new(&frames(300), &scenes, None);
        assert_eq!(schedule.pictures().len(), 600);
        assert_eq!(schedule.rate(), Some(Rate::new(60000, 1001)));
        assert!(schedule.pictures().windows(2).all(|pair| pair[0].pts < pair[1].pts));
        assert_eq!(schedule.pictures()[0].source, Source::Bottom { is_first: true });
        assert!(schedule.pictures().iter().all(|it| it.duration > 10_000_000));
    }

    #[test]
    fn progressive_frames_keep_their_times() {
        let frames = [(0, 40), (40, 20), (60, 100), (160, 7)];
        let frames = frames.map(|(pts, duration)| (pts * 1_000_000, duration * 1_000_000));
        let schedule = Schedule::new(&frames, &[scene(0..4, Pattern::Whole)], None);
        let kept: Vec<_> = schedule.pictures().iter().map(|it| (it.pts, it.duration)).collect();
        assert_eq!(kept, frames);
        assert_eq!(schedule.rate(), None);
    }

    #[test]
    fn a_rate_makes_the_times_of_a_mixed_film_constant() {
        let scenes =
            [scene(0..150, Pattern::Telecine(TOP, 0)), scene(150..300, Pattern::Fields(TOP))];
        let rate = "59.94".parse().unwrap();
        let schedule = Schedule::new(&frames(300), &scenes, Some(rate));
        assert_eq!(schedule.pictures().len(), 600);
        assert_even(schedule.pictures(), NTSC / 2.0);
        assert_eq!(schedule.rate(), Some(Rate::new(60000, 1001)));
        assert!(schedule.pictures().windows(2).all(|pair| pair[0].frame <= pair[1].frame));
    }

    #[test]
    fn a_frame_is_found_by_the_closest_time() {
        let schedule = Schedule::new(&frames(10), &[scene(0..10, Pattern::Whole)], None);
        for (number, (pts, _)) in frames(10).into_iter().enumerate() {
            for time in [pts, pts + 5_000_000, pts.saturating_sub(5_000_000)] {
                assert_eq!(schedule.number(time), number);
            }
        }
        assert_eq!(schedule.number(u64::MAX), 9);
    }

    #[test]
    fn rates_are_parsed_and_shown_as_people_write_them() {
        for (text, rate, shown) in [
            ("23.976", Rate::new(24000, 1001), "23.976"),
            ("24", Rate::new(24, 1), "24"),
            ("59.94", Rate::new(60000, 1001), "59.94"),
            ("60000/1001", Rate::new(60000, 1001), "59.94"),
            ("18", Rate::new(18000, 1000), "18"),
        ] {
            assert_eq!(text.parse::<Rate>().unwrap(), rate);
            assert_eq!(rate.to_string(), shown);
        }
        for text in ["", "0", "-1", "1/0", "1000", "a"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }
}
