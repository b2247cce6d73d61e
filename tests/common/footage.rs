//! Frames of real clips through several elements, side by side.

// Each test binary uses a part of this file.
#![allow(dead_code)]

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
};

use gst::prelude::*;
use gst_check::Harness;

/// The available clips, each with the elements that it needs between decoder and `upscale`.
pub const CLIPS: [(&str, &str); 7] = [
    ("near_static_180p.mp4", ""),
    ("carphone_qcif.mp4", ""),
    ("pattern_480p.mkv", ""),
    ("pattern_480i_tff_ac3.mkv", "! deinterlace"),
    ("popeye_480p_subtitles.mkv", ""),
    ("bbb_720p.mp4", ""),
    ("popeye_1080p_subtitles.mkv", ""),
];

/// Makes frames small enough for a large model.
pub const SMALL: &str = "! videoscale ! video/x-raw,width=160,height=120";

/// The clips that `UPSCALE_CLIPS` names, separated by commas; all if it is not set.
pub fn wanted_clips() -> impl Iterator<Item = (&'static str, &'static str)> {
    let wanted = std::env::var("UPSCALE_CLIPS").unwrap_or_default();
    CLIPS
        .into_iter()
        .filter(move |(clip, _)| wanted.is_empty() || wanted.split(',').any(|name| name == *clip))
}

/// The number of frames of each clip: `UPSCALE_FRAMES`, or all.
pub fn wanted_frames() -> usize {
    let wanted = std::env::var("UPSCALE_FRAMES").ok().and_then(|text| text.parse().ok());
    wanted.unwrap_or(usize::MAX)
}

/// The decoded frames of a clip, in its own format.
pub struct Footage {
    pipeline: gst::Pipeline,
    sink: gst_app::AppSink,
}

impl Footage {
    /// `elements` follow the decoder: `! deinterlace`.
    #[track_caller]
    pub fn open(clip: &Path, elements: &str) -> Self {
        gst::init().unwrap();
        let description = format!(
            "filesrc location={} ! decodebin ! video/x-raw {elements} \
             ! appsink name=sink sync=false max-buffers=2",
            clip.display()
        );
        let pipeline = gst::parse::launch(&description).unwrap().downcast().unwrap();
        let pipeline: gst::Pipeline = pipeline;
        let sink = pipeline.by_name("sink").unwrap().downcast().unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        Self { pipeline, sink }
    }
}

impl Iterator for Footage {
    type Item = gst::Sample;

    fn next(&mut self) -> Option<gst::Sample> {
        self.sink.pull_sample().ok()
    }
}

impl Drop for Footage {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// An element `upscale`, which may hold frames back until later ones arrive.
pub struct Enlarger {
    pub element: gst::Element,
    pub bus: gst::Bus,
    harness: Harness,
    caps: Option<gst::Caps>,
    out: VecDeque<gst::Buffer>,
}

impl Enlarger {
    /// A playing element with `properties` in the notation of `gst-launch-1.0`.
    #[track_caller]
    pub fn new(properties: &str) -> Self {
        gst::init().unwrap();
        let _ = gstupscale::plugin_register_static();
        let element = gst::ElementFactory::make("upscale").build().unwrap();
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache");
        element.set_property("cache-dir", cache.display().to_string());
        // The harness is a live source: frames must wait for the model.
        element.set_property_from_str("overload", "drop");
        element.set_property_from_str("startup", "wait");
        for property in properties.split_whitespace() {
            let (name, value) = property.split_once('=').unwrap();
            element.set_property_from_str(name, value);
        }
        let bus = gst::Bus::new();
        element.set_bus(Some(&bus));
        let mut harness = Harness::with_element(&element, Some("sink"), Some("src"));
        harness.play();
        Self { element, bus, harness, caps: None, out: VecDeque::new() }
    }

    /// Pushes a frame. Returns `false`, with a message that the test is skipped, without ONNX
    /// Runtime.
    #[track_caller]
    pub fn push(&mut self, frame: &gst::Sample) -> bool {
        let caps = frame.caps_owned();
        if self.caps != caps {
            self.harness.set_src_caps(caps.clone().unwrap());
            self.caps = caps;
        }
        if self.harness.push(frame.buffer_owned().unwrap()).is_err() {
            let kinds = [gst::MessageType::Error];
            let message = self.bus.timed_pop_filtered(gst::ClockTime::ZERO, &kinds);
            let message = message.expect("an error message");
            let gst::MessageView::Error(error) = message.view() else { unreachable!() };
            assert_eq!(error.error().kind(), Some(gst::LibraryError::Init), "{}", error.error());
            eprintln!("skipped: {}", error.error());
            return false;
        }
        self.collect();
        true
    }

    /// Outputs all frames in flight.
    pub fn finish(&mut self) {
        assert!(self.harness.push_event(gst::event::Eos::new()));
        self.collect();
    }

    /// Sends the events of a flushing seek. Frames in flight are lost.
    pub fn seek(&mut self) {
        assert!(self.harness.push_event(gst::event::FlushStart::new()));
        assert!(self.harness.push_event(gst::event::FlushStop::new(true)));
        let segment = gst::FormattedSegment::<gst::ClockTime>::new();
        assert!(self.harness.push_event(gst::event::Segment::new(&segment)));
    }

    /// Changes the model, and waits until it is loaded.
    #[track_caller]
    pub fn set_model(&mut self, model: &str) {
        while self.bus.pop().is_some() {}
        self.element.set_property("model", model);
        loop {
            let kinds = [gst::MessageType::Progress, gst::MessageType::Error];
            let message = self.bus.timed_pop_filtered(gst::ClockTime::from_seconds(600), &kinds);
            match message.expect("the model loads").view() {
                gst::MessageView::Progress(progress)
                    if progress.get().0 == gst::ProgressType::Complete =>
                {
                    return;
                }
                gst::MessageView::Error(error) => panic!("{}", error.error()),
                _ => {}
            }
        }
    }

    /// The pixels that the model computed as a share of the pixels of all frames.
    pub fn pixels_share(&self) -> f64 {
        self.element.property::<gst::Structure>("stats").get("pixels-share").unwrap()
    }

    fn collect(&mut self) {
        self.out.extend(std::iter::from_fn(|| self.harness.try_pull()));
    }

    /// The format of the current output.
    fn info(&self) -> gst_video::VideoInfo {
        let caps = self.harness.sinkpad().and_then(|pad| pad.current_caps()).expect("caps");
        gst_video::VideoInfo::from_caps(&caps).unwrap()
    }
}

/// Two elements that process the same frames.
pub struct Pair(pub [Enlarger; 2]);

impl Pair {
    /// Both have `properties`; each also has its own properties in `each`.
    #[track_caller]
    pub fn new(each: [&str; 2], properties: &str) -> Self {
        Self(each.map(|own| Enlarger::new(&format!("{own} {properties}"))))
    }

    /// Pushes the frames, and calls `check` with the two outputs of each, in order. Returns `false`
    /// if an element refuses a frame.
    #[track_caller]
    pub fn push(
        &mut self,
        frames: impl IntoIterator<Item = gst::Sample>,
        mut check: impl FnMut(&gst_video::VideoInfo, [&[u8]; 2]),
    ) -> bool {
        frames.into_iter().all(|frame| {
            let taken = self.0.iter_mut().all(|element| element.push(&frame));
            self.compare(&mut check);
            taken
        })
    }

    /// Checks the frames that are still in flight.
    #[track_caller]
    pub fn finish(&mut self, check: impl FnMut(&gst_video::VideoInfo, [&[u8]; 2])) {
        self.0.iter_mut().for_each(Enlarger::finish);
        assert_eq!(self.0[0].out.len(), self.0[1].out.len());
        self.compare(check);
    }

    fn compare(&mut self, mut check: impl FnMut(&gst_video::VideoInfo, [&[u8]; 2])) {
        while self.0.iter().all(|element| !element.out.is_empty()) {
            let info = self.0[0].info();
            let outputs = self.0.each_mut().map(|element| element.out.pop_front().unwrap());
            assert_eq!(outputs[0].pts(), outputs[1].pts());
            let [first, second] = outputs.each_ref().map(|out| out.map_readable().unwrap());
            check(&info, [&first, &second]);
        }
    }
}

/// A Compact network of 8 channels with random weights, as deep as realesr-animevideov3: the
/// same receptive field, and a small part of its computation.
pub fn narrow_model() -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compact-8-2x.pth");
    if !path.exists() {
        let tensors = super::checkpoint::compact(8, 16, 2);
        let content = super::checkpoint::pth(&tensors, "params", zip::CompressionMethod::Stored);
        // Another test may write the file at the same time.
        let own = path.with_extension(format!("{}", std::process::id()));
        std::fs::write(&own, content).unwrap();
        std::fs::rename(&own, &path).unwrap();
    }
    path
}
