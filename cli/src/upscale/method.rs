//! Whether a video is enlarged in one piece or in segments. This is the only place that decides it.

use std::time::Duration;

use gst::prelude::*;

use crate::{
    media::{
        container::Container,
        input::Input,
        ledger::Kind,
        plan::Plan,
        survey::{Stream, Survey},
    },
    remaster::SegmentLength,
};

/// How a video is enlarged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// In one pipeline, from the first frame to the last one.
    Direct(Why),
    /// In segments that survive interruptions.
    Segments,
}

/// Why a video is not enlarged in segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It can be read only once: a pipe, or an address.
    ReadOnce,
    /// It would be one segment, so there is nothing to continue.
    Short,
    /// Reading it ended with an error: what can be read is enlarged.
    Damaged,
    /// Frames are read or written without a container: pictures, Y4M.
    Frames,
    /// It consists of several recordings, or its frames change their size or format.
    Changes,
}

impl Method {
    /// Chooses for an input and what it contains.
    pub fn choose(
        input: &Input,
        survey: Option<&Survey>,
        container: &Container,
        length: SegmentLength,
    ) -> Self {
        if container.frames.is_some() {
            return Self::Direct(Why::Frames);
        }
        let (Some(survey), Some(_)) = (survey, input.file()) else {
            return Self::Direct(Why::ReadOnce);
        };
        Self::for_survey(survey, length)
    }

    fn for_survey(survey: &Survey, length: SegmentLength) -> Self {
        let plan = Plan::new(survey);
        let video = plan.lanes.iter().find(|lane| lane.kind == Kind::Video);
        let parts = video.map(|lane| lane.parts.as_slice()).unwrap_or_default();
        let &[number] = parts else { return Self::Direct(Why::Changes) };
        let Some(stream) = survey.streams.get(number) else { return Self::Direct(Why::Changes) };
        if stream.caps.iter().any(|caps| caps.structure(0).is_some_and(is_raw)) {
            return Self::Direct(Why::Frames);
        }
        if survey.error.is_some() {
            return Self::Direct(Why::Damaged);
        }
        // Segments are found by a seek; one pipeline reads all that is before its first frame.
        let is_late = u64::try_from(survey.range.start()).is_ok_and(|start| start > length.max);
        if Duration::from_secs_f64(stream.extent.within(survey.range).seconds())
            <= Duration::from_nanos(length.max)
            && !is_late
        {
            return Self::Direct(Why::Short);
        }
        if changes(stream) {
            return Self::Direct(Why::Changes);
        }
        Self::Segments
    }
}

/// Whether the video of the input is encoded, rather than pictures or Y4M.
pub fn is_encoded(survey: &Survey) -> bool {
    let mut videos = survey.streams.iter().filter(|stream| stream.kind == Kind::Video);
    let is_raw =
        |stream: &Stream| stream.caps.iter().any(|caps| caps.structure(0).is_some_and(is_raw));
    videos.all(|stream| !is_raw(stream))
}

fn is_raw(media: &gst::StructureRef) -> bool {
    media.name() == "video/x-raw"
}

/// What the encoder of a segment cannot adapt to.
const FIXED: [&str; 7] = [
    "width",
    "height",
    "pixel-aspect-ratio",
    "chroma-format",
    "bit-depth-luma",
    "bit-depth-chroma",
    "colorimetry",
];

fn changes(stream: &Stream) -> bool {
    let fixed = |caps: &gst::Caps| {
        let media = caps.structure(0)?;
        let value = |field: &&str| media.value(*field).ok()?.serialize().ok().map(String::from);
        Some((media.name().to_string(), FIXED.iter().map(value).collect::<Vec<_>>()))
    };
    let first = stream.caps.first().and_then(fixed);
    stream.caps.iter().any(|caps| fixed(caps) != first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::ledger::Extent;

    const LENGTH: SegmentLength = SegmentLength { min: 8_000_000_000, max: 20_000_000_000 };

    fn video(seconds: i64, caps: &[&str]) -> Stream {
        gst::init().unwrap();
        let mut extent = Extent::default();
        extent.add(Some((0, seconds * 1_000_000_000)));
        let caps = caps.iter().map(|caps| caps.parse().unwrap()).collect();
        Stream {
            kind: Kind::Video,
            caps,
            extent,
            group: 0,
            is_turned: false,
            is_broadcast: false,
            track: None,
            index: None,
        }
    }

    fn method(streams: Vec<Stream>, error: Option<&str>) -> Method {
        let survey = Survey { streams, error: error.map(str::to_owned), ..Survey::default() };
        Method::for_survey(&survey, LENGTH)
    }

    const SD: &str = "video/x-h264,width=720,height=480,framerate=30000/1001";

    #[test]
    fn a_film_of_one_size_is_enlarged_in_segments() {
        let expected = Method::Segments;
        assert_eq!(method(vec![video(60, &[SD])], None), expected);
        // Soft telecine changes the rate all the time.
        let film = "video/x-h264,width=720,height=480,framerate=24000/1001";
        assert_eq!(method(vec![video(60, &[SD, film, SD])], None), expected);
    }

    #[test]
    fn what_cannot_be_continued_is_enlarged_in_one_piece() {
        let hd = "video/x-h264,width=1920,height=1080,framerate=30000/1001";
        assert_eq!(method(vec![video(19, &[SD])], None), Method::Direct(Why::Short));
        assert_eq!(method(vec![video(60, &[SD])], Some("cut")), Method::Direct(Why::Damaged));
        assert_eq!(method(vec![video(60, &[SD, hd])], None), Method::Direct(Why::Changes));
        let mut later = video(60, &[SD]);
        later.group = 1;
        later.extent = Extent::default();
        later.extent.add(Some((60_000_000_000, 120_000_000_000)));
        assert_eq!(method(vec![video(60, &[SD]), later], None), Method::Direct(Why::Changes));
    }

    #[test]
    fn a_pipe_is_enlarged_in_one_piece() {
        let container = Container::of(std::path::Path::new("a.mkv")).unwrap();
        let input = Input::Uri("https://host/film.mkv".into());
        assert_eq!(Method::choose(&input, None, container, LENGTH), Method::Direct(Why::ReadOnce));
    }
}
