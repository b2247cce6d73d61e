//! An element in a test bench, with a harness to push and pull frames and a bus.

use std::{
    sync::{Arc, Once},
    thread,
    time::{Duration, Instant},
};

use gst::prelude::*;
use gst_check::Harness;
use gst_video::VideoInfo;
use gstupscale::element::{EngineLoader, Upscale};

use crate::fake::Fake;

/// Only ends a test that would never end: a busy machine may take minutes.
pub const LONG: gst::ClockTime = gst::ClockTime::from_seconds(600);

pub fn init() {
    static INIT: Once = Once::new();
    INIT.call_once(|| {
        gst::init().unwrap();
        gstupscale::plugin_register_static().unwrap();
    });
}

/// A new element `upscale` with fake models. `properties` are written as in `gst-launch-1.0`.
#[track_caller]
pub fn upscale(fake: &Arc<Fake>, properties: &str) -> gst::Element {
    upscale_with(fake.clone(), properties)
}

/// A new element `upscale` with the models of `loader`.
#[track_caller]
pub fn upscale_with(loader: Arc<dyn EngineLoader>, properties: &str) -> gst::Element {
    init();
    let element = gst::ElementFactory::make("upscale").property("model", "x2").build().unwrap();
    // The harness is a live source, and on a busy machine every frame may be late.
    element.set_property_from_str("overload", "drop");
    element.set_property_from_str("startup", "wait");
    let upscale = element.downcast_ref::<Upscale>().unwrap();
    upscale.set_engine_loader(loader);
    // On a busy machine, a test may push its next frame late.
    upscale.hold_frames();
    for property in properties.split_whitespace() {
        let (name, value) = property.split_once('=').expect("name=value");
        element.set_property_from_str(name, value);
    }
    element
}

pub struct Bench {
    pub harness: Harness,
    pub element: gst::Element,
    pub bus: gst::Bus,
    pub fake: Arc<Fake>,
}

impl Bench {
    /// A playing element without caps.
    #[track_caller]
    pub fn new(properties: &str) -> Self {
        let fake = Arc::new(Fake::default());
        Self::with_element(upscale(&fake, properties), fake)
    }

    /// Starts `element`, which uses `fake`.
    #[track_caller]
    pub fn with_element(element: gst::Element, fake: Arc<Fake>) -> Self {
        let bus = gst::Bus::new();
        element.set_bus(Some(&bus));
        let mut harness = Harness::with_element(&element, Some("sink"), Some("src"));
        harness.play();
        Self { harness, element, bus, fake }
    }

    /// A playing element with input caps.
    #[track_caller]
    pub fn with_caps(properties: &str, input: &str) -> Self {
        let mut bench = Self::new(properties);
        bench.harness.set_src_caps(caps(input));
        bench
    }

    /// Sends caps, and returns whether the element accepted them.
    pub fn send_caps(&mut self, input: &str) -> bool {
        let pad = self.element.static_pad("sink").unwrap();
        if pad.sticky_event::<gst::event::StreamStart>(0).is_none() {
            pad.send_event(gst::event::StreamStart::new("bench"));
        }
        pad.send_event(gst::event::Caps::new(&caps(input)))
    }

    /// The output caps.
    #[track_caller]
    pub fn output_caps(&self) -> gst::Caps {
        self.harness.sinkpad().unwrap().current_caps().expect("output caps")
    }

    #[track_caller]
    pub fn output_info(&self) -> VideoInfo {
        VideoInfo::from_caps(&self.output_caps()).unwrap()
    }

    /// A frame with the input caps in which every byte is `value`, at `number` tenths of a second.
    #[track_caller]
    pub fn frame(&self, number: u64, value: u8) -> gst::Buffer {
        let caps = self.element.static_pad("sink").unwrap().current_caps().expect("input caps");
        let size = VideoInfo::from_caps(&caps).unwrap().size();
        let mut buffer = gst::Buffer::from_mut_slice(vec![value; size]);
        let writable = buffer.get_mut().unwrap();
        writable.set_pts(gst::ClockTime::from_mseconds(number * 100));
        writable.set_duration(gst::ClockTime::from_mseconds(100));
        buffer
    }

    #[track_caller]
    pub fn push_and_pull(&mut self, buffer: gst::Buffer) -> gst::Buffer {
        if let Err(error) = self.harness.push(buffer) {
            panic!("{error}: {:?}", self.next_message(gst::MessageType::Error));
        }
        self.harness.try_pull().expect("an output frame")
    }

    /// The next message of this type. Other messages before it are dropped.
    pub fn next_message(&self, kind: gst::MessageType) -> Option<gst::Message> {
        self.bus.timed_pop_filtered(LONG, &[kind])
    }

    /// Checks that the next error or warning on the bus has this code and contains this text.
    #[track_caller]
    pub fn expect_error<T: glib::error::ErrorDomain + PartialEq + std::fmt::Debug>(
        &self,
        kind: gst::MessageType,
        code: T,
        text: &str,
    ) {
        let message = self.next_message(kind).expect("a message");
        check_error(&message, code, text);
    }
}

/// Waits until `holds` returns `true`, for [`LONG`] at most.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LONG.into(), "never: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Checks the domain, code and text of an error or a warning.
#[track_caller]
pub fn check_error<T: glib::error::ErrorDomain + PartialEq + std::fmt::Debug>(
    message: &gst::Message,
    code: T,
    text: &str,
) {
    let (error, debug) = match message.view() {
        gst::MessageView::Error(message) => (message.error(), message.debug()),
        gst::MessageView::Warning(message) => (message.error(), message.debug()),
        other => panic!("{other:?}"),
    };
    assert_eq!(error.kind::<T>(), Some(code), "{error}");
    assert!(error.message().contains(text), "{} does not contain {text}", error.message());
    assert!(debug.is_some_and(|debug| !debug.is_empty()));
}

#[track_caller]
pub fn caps(text: &str) -> gst::Caps {
    init();
    text.parse().unwrap()
}

/// Progressive I420 of this size, 10 frames per second.
pub fn i420(width: u32, height: u32) -> String {
    format!("video/x-raw,format=I420,width={width},height={height},framerate=10/1")
}

pub fn rgb(width: u32, height: u32) -> String {
    format!("video/x-raw,format=RGB,width={width},height={height},framerate=10/1")
}
