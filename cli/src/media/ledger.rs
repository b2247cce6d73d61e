//! What went in and came out, stream by stream.

use std::fmt;

use serde::Serialize;

use super::segments::running_range;
use crate::range::TimeRange;

/// The content of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Video,
    Sound,
    Subtitles,
}

impl Kind {
    /// The kind of a stream of these caps.
    pub fn of(caps: &gst::CapsRef) -> Self {
        let media = caps.structure(0).map_or("", |media| media.name().as_str());
        match media.split('/').next() {
            Some("video" | "image") => Self::Video,
            Some("audio") => Self::Sound,
            _ => Self::Subtitles,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Video => "video",
            Self::Sound => "sound",
            Self::Subtitles => "subtitles",
        })
    }
}

/// The packets of a stream and the time they cover, in nanoseconds of running time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Extent {
    pub packets: u64,
    range: Option<(i64, i64)>,
    /// The duration of the packets before the first one with a time.
    untimed: i64,
}

impl Extent {
    /// Adds a packet.
    pub fn add(&mut self, time: Option<(i64, i64)>) {
        self.packets += 1;
        self.range = match (self.range, time) {
            (Some((start, end)), Some((from, to))) => Some((start.min(from), end.max(to))),
            (None, Some((from, to))) => Some((from - self.untimed, to)),
            (range, None) => range,
        };
    }

    /// Adds a packet without a time that takes `length` nanoseconds: it follows the one before it, or
    /// ends where the first one with a time begins.
    pub fn add_untimed(&mut self, length: i64) {
        match self.range {
            Some((_, end)) => self.add(Some((end, end + length))),
            None => {
                self.untimed += length;
                self.packets += 1;
            }
        }
    }

    /// Adds a packet that passes a pad with this segment.
    pub fn add_packet(&mut self, segment: Option<&gst::Segment>, packet: &gst::BufferRef) {
        match segment.and_then(|segment| running_range(segment, packet)) {
            Some(range) => self.add(Some(range)),
            None => self.add_untimed(packet.duration().map_or(0, |it| it.nseconds() as i64)),
        }
    }

    pub fn start(&self) -> Option<i64> {
        self.range.map(|(start, _)| start)
    }

    pub fn end(&self) -> Option<i64> {
        self.range.map(|(_, end)| end)
    }

    /// The part of it in a range of the film, in whose time it is counted.
    pub fn within(mut self, range: TimeRange) -> Self {
        let end = range.length().unwrap_or(i64::MAX);
        let inside = |time: i64| (time - range.start()).min(end);
        self.range = self.range.map(|(start, end)| (inside(start), inside(end)));
        self
    }

    /// The same packets, `time` nanoseconds later.
    pub fn later_by(mut self, time: i64) -> Self {
        self.range = self.range.map(|(start, end)| (start + time, end + time));
        self
    }

    /// Duration in seconds.
    pub fn seconds(&self) -> f64 {
        self.range.map_or(0.0, |(start, end)| (end - start.max(0)).max(0) as f64 / 1e9)
    }
}

/// One stream of the output and what it was made of.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub kind: Kind,
    /// Number among the streams of its kind, from 1.
    pub number: usize,
    pub packets_in: u64,
    pub seconds_in: f64,
    pub packets_out: u64,
    pub seconds_out: f64,
}

/// Differences up to this are due to the frame sizes of codecs.
const TOLERANCE_SECONDS: f64 = 0.12;

impl Row {
    /// The name of the stream.
    pub fn name(&self) -> String {
        match self.kind {
            Kind::Video => "video".into(),
            kind => format!("{kind} {}", self.number),
        }
    }

    /// Whether a part of the stream is not in the output. Subtitles are shown for a time that
    /// containers store differently, so only their number counts.
    pub fn is_short(&self) -> bool {
        match self.kind {
            Kind::Subtitles => self.packets_out < self.packets_in,
            _ => self.seconds_out + TOLERANCE_SECONDS < self.seconds_in,
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<12} in {:>8} packets {:>10.3} s   out {:>8} packets {:>10.3} s",
            self.name(),
            self.packets_in,
            self.seconds_in,
            self.packets_out,
            self.seconds_out
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kind: Kind, seconds: (f64, f64), packets: (u64, u64)) -> Row {
        Row {
            kind,
            number: 2,
            packets_in: packets.0,
            seconds_in: seconds.0,
            packets_out: packets.1,
            seconds_out: seconds.1,
        }
    }

    #[test]
    fn an_extent_covers_all_packets_but_nothing_before_the_start() {
        let mut extent = Extent::default();
        for time in [Some((-20_000_000, 0)), None, Some((980_000_000, 1_000_000_000))] {
            extent.add(time);
        }
        assert_eq!((extent.packets, extent.seconds()), (3, 1.0));
        assert_eq!(extent.later_by(20_000_000).seconds(), 1.02);
        assert_eq!(Extent::default().seconds(), 0.0);
    }

    #[test]
    fn packets_without_a_time_at_the_start_end_where_the_first_one_with_a_time_begins() {
        let mut extent = Extent::default();
        extent.add_untimed(30);
        extent.add_untimed(30);
        extent.add(Some((50, 80)));
        extent.add_untimed(30);
        assert_eq!((extent.packets, extent.start(), extent.end()), (4, Some(-10), Some(110)));
    }

    #[test]
    fn missing_sound_is_noticed_and_codec_padding_is_not() {
        assert!(row(Kind::Sound, (10.0, 2.9), (430, 135)).is_short());
        assert!(!row(Kind::Sound, (10.0, 9.95), (430, 480)).is_short());
        assert!(!row(Kind::Sound, (10.0, 10.04), (430, 431)).is_short());
        assert!(row(Kind::Subtitles, (10.0, 10.0), (9, 8)).is_short());
        let text = row(Kind::Sound, (10.0, 2.9), (430, 135)).to_string();
        assert!(text.starts_with("sound 2") && text.contains("2.900 s"), "{text}");
    }
}
