//! Which streams of the input form a stream of the output.

use super::{
    ledger::Kind,
    survey::{Stream, Survey},
};

/// The streams of the output.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub lanes: Vec<Planned>,
    /// Streams that are left out, by their number in the survey.
    pub left_out: Vec<usize>,
    /// Added to every time, in nanoseconds, so that none is negative: broadcasts begin at any packet
    /// of any stream.
    pub lead: i64,
    /// Where the output ends, in nanoseconds. `None`: with the input.
    pub end: Option<i64>,
}

/// One stream of the output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    pub kind: Kind,
    /// The streams of the input that follow each other in it, by their number in the survey.
    pub parts: Vec<usize>,
}

impl Plan {
    /// A plan for the streams of `survey`. A stream that begins where another one of its kind has
    /// ended continues it: a broadcast changed its programme, or recordings were joined.
    pub fn new(survey: &Survey) -> Self {
        let mut plan = Self {
            lead: lead(&survey.streams) - survey.range.start(),
            end: survey.range.length(),
            ..Self::default()
        };
        for (number, stream) in survey.streams.iter().enumerate() {
            let is_continued = |lane: &&mut Planned| {
                let last = lane.parts.last().and_then(|part| survey.streams.get(*part));
                lane.kind == stream.kind && last.is_some_and(|last| continues(last, stream))
            };
            if stream.extent.packets == 0 {
                continue;
            } else if let Some(lane) = plan.lanes.iter_mut().find(is_continued) {
                lane.parts.push(number);
            } else if stream.kind == Kind::Video
                && plan.lanes.iter().any(|lane| lane.kind == Kind::Video)
            {
                plan.left_out.push(number);
            } else {
                plan.lanes.push(Planned { kind: stream.kind, parts: vec![number] });
            }
        }
        plan
    }

    /// The stream of the output that the stream `number` of the input belongs to, and its place
    /// among the parts of it.
    pub fn find(&self, number: usize) -> Option<(usize, usize)> {
        let mut lanes = self.lanes.iter().enumerate();
        lanes.find_map(|(lane, planned)| {
            let part = planned.parts.iter().position(|part| *part == number)?;
            Some((lane, part))
        })
    }
}

/// The longest overlap of two streams that follow each other, in nanoseconds.
const OVERLAP: i64 = 1_000_000_000;

fn continues(earlier: &Stream, later: &Stream) -> bool {
    earlier.group < later.group
        && match (earlier.extent.end(), later.extent.start()) {
            (Some(end), Some(start)) => end < start + OVERLAP,
            _ => false,
        }
}

/// How far the first packets of a broadcast are before the start.
fn lead(streams: &[Stream]) -> i64 {
    let starts = streams.iter().filter(|stream| stream.group == 0 && stream.is_broadcast);
    -starts.filter_map(|stream| stream.extent.start()).min().unwrap_or(0).min(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::ledger::Extent;

    fn stream(kind: Kind, group: usize, from: i64, to: i64) -> Stream {
        let mut extent = Extent::default();
        extent.add(Some((from * 1_000_000, to * 1_000_000)));
        Stream {
            kind,
            caps: vec![],
            extent,
            group,
            is_turned: false,
            is_broadcast: true,
            track: None,
            index: None,
        }
    }

    fn plan(streams: Vec<Stream>) -> Plan {
        Plan::new(&Survey { streams, ..Survey::default() })
    }

    fn parts(plan: &Plan) -> Vec<&[usize]> {
        plan.lanes.iter().map(|lane| lane.parts.as_slice()).collect()
    }

    #[test]
    fn joined_recordings_form_one_stream_of_each_kind() {
        let plan = plan(vec![
            stream(Kind::Video, 0, 0, 2000),
            stream(Kind::Sound, 0, 0, 2000),
            stream(Kind::Video, 1, 1960, 4000),
            stream(Kind::Sound, 1, 1990, 4000),
        ]);
        assert_eq!(parts(&plan), [[0, 2], [1, 3]]);
        assert_eq!(plan.find(3), Some((1, 1)));
    }

    #[test]
    fn sound_that_begins_late_is_a_stream_and_a_second_picture_is_not() {
        let plan = plan(vec![
            stream(Kind::Video, 0, 0, 4000),
            stream(Kind::Video, 0, 0, 4000),
            stream(Kind::Sound, 1, 2000, 4000),
        ]);
        assert_eq!(parts(&plan), [[0], [2]]);
        assert_eq!((plan.left_out.as_slice(), plan.find(1)), (&[1][..], None));
    }

    #[test]
    fn short_subtitles_of_two_languages_stay_apart() {
        let plan = plan(vec![
            stream(Kind::Subtitles, 0, 100, 200),
            stream(Kind::Subtitles, 0, 3000, 4000),
        ]);
        assert_eq!(parts(&plan), [[0], [1]]);
    }

    #[test]
    fn the_earliest_packet_of_a_broadcast_is_at_the_start() {
        let streams = vec![stream(Kind::Video, 0, 0, 99), stream(Kind::Sound, 0, -30, 99)];
        assert_eq!(plan(streams.clone()).lead, 30_000_000);
        let edited = |stream| Stream { is_broadcast: false, ..stream };
        assert_eq!(plan(streams.into_iter().map(edited).collect()).lead, 0);
    }
}
