//! The element that makes the pictures of a film from its decoded frames.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gst::{glib, prelude::*, subclass::prelude::*};
use gst_video::{
    VideoBufferFlags, VideoCaptionMeta, VideoFieldOrder, VideoInfo, VideoInterlaceMode, prelude::*,
};

use super::{
    options::FieldOrder,
    pattern::Order,
    picture::{FORMATS, Frames},
    schedule::{Picture, Schedule, Source},
};

glib::wrapper! {
    /// Takes decoded frames and gives the pictures that the schedule lists, or without a schedule,
    /// a picture for each frame, or for each field if the frame says that it is interlaced.
    ///
    /// The schedule recognises frames by their times. Pictures come one frame late, since
    /// deinterlacing needs the frame after.
    pub struct Cadence(ObjectSubclass<imp::Cadence>) @extends gst::Element, gst::Object;
}

/// The name of the element in descriptions of pipelines.
pub const FACTORY: &str = "cadence";

/// Makes the element available to descriptions of pipelines in this process.
///
/// # Errors
/// GStreamer refused it.
pub fn register() -> Result<(), glib::BoolError> {
    gst::Element::register(None, FACTORY, gst::Rank::NONE, Cadence::static_type())
}

impl Cadence {
    /// Sets the schedule and the field order, before the first frame.
    pub fn set_up(&self, schedule: Option<Arc<Schedule>>, field_order: FieldOrder) {
        *lock(&self.imp().setup) = Setup { schedule, field_order };
    }
}

/// What the user and the plan decide.
#[derive(Clone, Debug, Default)]
struct Setup {
    schedule: Option<Arc<Schedule>>,
    field_order: FieldOrder,
}

/// What flowed before.
#[derive(Debug, Default)]
struct State {
    info: Option<VideoInfo>,
    /// The caps that were pushed.
    caps: Option<gst::Caps>,
    before: Option<Numbered>,
    now: Option<Numbered>,
}

/// A decoded frame.
#[derive(Clone, Debug)]
struct Numbered {
    number: usize,
    buffer: gst::Buffer,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// Adds a frame. Returns the pictures of the frame before it.
    fn push(
        &mut self,
        setup: &Setup,
        buffer: gst::Buffer,
    ) -> Result<Vec<gst::Buffer>, glib::BoolError> {
        let number = match (&setup.schedule, buffer.pts()) {
            (Some(schedule), Some(pts)) => schedule.number(pts.nseconds()),
            _ => self.now.as_ref().map_or(0, |now| now.number + 1),
        };
        let next = Numbered { number, buffer };
        let last = self.now.as_ref().map(|now| now.number);
        // The decoder gave more frames than when the schedule was made. None is lost.
        if last == Some(number) {
            let mut made = self.drain(setup)?;
            made.push(next.buffer);
            return Ok(made);
        }
        let follows = last.is_some_and(|last| last + 1 == number);
        let made = self.make(setup, Some(&next).filter(|_| follows))?;
        self.before = self.now.take().filter(|_| follows);
        self.now = Some(next);
        Ok(made)
    }

    /// The pictures of the last frame, after which nothing follows.
    fn drain(&mut self, setup: &Setup) -> Result<Vec<gst::Buffer>, glib::BoolError> {
        let made = self.make(setup, None);
        (self.before, self.now) = (None, None);
        made
    }

    /// The pictures of the present frame.
    fn make(
        &self,
        setup: &Setup,
        after: Option<&Numbered>,
    ) -> Result<Vec<gst::Buffer>, glib::BoolError> {
        let (Some(now), Some(info)) = (&self.now, &self.info) else { return Ok(Vec::new()) };
        let flagged;
        let pictures = match &setup.schedule {
            Some(schedule) => schedule.of(&(now.number..now.number + 1)),
            None => {
                flagged = by_flags(&now.buffer, info, setup.field_order);
                &flagged
            }
        };
        let frames = Frames {
            before: self.before.as_ref().map(|it| &it.buffer),
            now: &now.buffer,
            after: after.map(|it| &it.buffer),
            info,
        };
        let made = pictures.iter().enumerate().map(|(at, picture)| {
            let mut buffer = frames.make(picture.source)?;
            complete(buffer.make_mut(), picture, at == 0);
            Ok(buffer)
        });
        made.collect()
    }
}

/// Sets the times of a picture, and removes what described fields. Captions belong to the first
/// picture of a frame only.
fn complete(buffer: &mut gst::BufferRef, picture: &Picture, is_first: bool) {
    buffer.set_pts(gst::ClockTime::from_nseconds(picture.pts));
    buffer.set_duration(gst::ClockTime::from_nseconds(picture.duration));
    let fields = VideoBufferFlags::INTERLACED
        | VideoBufferFlags::TFF
        | VideoBufferFlags::RFF
        | VideoBufferFlags::ONEFIELD;
    buffer.unset_video_flags(fields);
    if !is_first {
        while let Some(caption) = buffer.meta_mut::<VideoCaptionMeta>() {
            if caption.remove().is_err() {
                break;
            }
        }
    }
}

/// The pictures of a frame, as far as its flags say.
fn by_flags(buffer: &gst::Buffer, info: &VideoInfo, order: FieldOrder) -> Vec<Picture> {
    let pts = buffer.pts().map_or(0, gst::ClockTime::nseconds);
    let duration = buffer.duration().map_or(0, gst::ClockTime::nseconds);
    let picture = |pts, duration, source| Picture { pts, duration, frame: 0, source };
    let flags = buffer.video_flags();
    let is_interlaced = match info.interlace_mode() {
        VideoInterlaceMode::Progressive => false,
        VideoInterlaceMode::Mixed => flags.contains(VideoBufferFlags::INTERLACED),
        _ => true,
    };
    if !is_interlaced || order == FieldOrder::Progressive {
        return vec![picture(pts, duration, Source::Frame)];
    }
    let is_top_first = match order.order() {
        Some(order) => order == Order::TopFirst,
        None => {
            flags.contains(VideoBufferFlags::TFF)
                || info.field_order() == VideoFieldOrder::TopFieldFirst
        }
    };
    let [first, second] = match is_top_first {
        true => [Source::Top { is_first: true }, Source::Bottom { is_first: false }],
        false => [Source::Bottom { is_first: true }, Source::Top { is_first: false }],
    };
    let half = duration / 2;
    vec![picture(pts, half, first), picture(pts + half, duration - half, second)]
}

/// The caps of the pictures.
fn pictures_caps(caps: &gst::CapsRef, info: &VideoInfo, setup: &Setup) -> gst::Caps {
    let mut caps = caps.to_owned();
    let is_flagged = info.interlace_mode() != VideoInterlaceMode::Progressive;
    let writable = caps.make_mut();
    for media in writable.iter_mut() {
        media.set("interlace-mode", "progressive");
        media.remove_field("field-order");
        let fraction = |numerator: u32, denominator: u32| {
            let part = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
            gst::Fraction::new(part(numerator), part(denominator))
        };
        match &setup.schedule {
            Some(schedule) => {
                if let Some(rate) = schedule.rate() {
                    media.set("framerate", fraction(rate.numerator, rate.denominator));
                }
            }
            None if is_flagged && setup.field_order != FieldOrder::Progressive => {
                if let Ok(rate) = media.get::<gst::Fraction>("framerate") {
                    media.set("framerate", rate * 2);
                }
            }
            None => {}
        }
    }
    caps
}

mod imp {
    use std::sync::LazyLock;

    use super::*;

    pub struct Cadence {
        sink: gst::Pad,
        source: gst::Pad,
        pub(super) setup: Mutex<Setup>,
        state: Mutex<State>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Cadence {
        const NAME: &'static str = "GstUpscaleCadence";
        type Type = super::Cadence;
        type ParentType = gst::Element;

        fn with_class(class: &Self::Class) -> Self {
            let end = |name, direction| match class.pad_template(name) {
                Some(template) => gst::Pad::builder_from_template(&template),
                None => gst::Pad::builder(direction).name(name),
            };
            let sink = end("sink", gst::PadDirection::Sink)
                .chain_function(|_, parent, buffer| {
                    Self::catch_panic_pad_function(
                        parent,
                        || Err(gst::FlowError::Error),
                        |cadence| cadence.chain(buffer),
                    )
                })
                .event_function(|pad, parent, event| {
                    Self::catch_panic_pad_function(
                        parent,
                        || false,
                        |cadence| cadence.event(pad, event),
                    )
                })
                .build();
            let source = end("src", gst::PadDirection::Src).build();
            Self { sink, source, setup: Mutex::default(), state: Mutex::default() }
        }
    }

    impl ObjectImpl for Cadence {
        fn constructed(&self) {
            self.parent_constructed();
            let element = self.obj();
            // It fails only for a second pad of the same name.
            let _ = element.add_pad(&self.sink);
            let _ = element.add_pad(&self.source);
        }
    }

    impl GstObjectImpl for Cadence {}

    impl ElementImpl for Cadence {
        fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
            static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
                gst::subclass::ElementMetadata::new(
                    "Cadence",
                    "Filter/Effect/Video/Deinterlace",
                    "Makes the pictures of a film from its fields",
                    "gst-upscale",
                )
            });
            Some(&METADATA)
        }

        fn pad_templates() -> &'static [gst::PadTemplate] {
            static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
                let caps = format!("video/x-raw, format=(string){{{FORMATS}}}");
                let Ok(caps) = caps.parse::<gst::Caps>() else { return Vec::new() };
                let ends = [("sink", gst::PadDirection::Sink), ("src", gst::PadDirection::Src)];
                ends.into_iter()
                    .filter_map(|(name, direction)| {
                        let always = gst::PadPresence::Always;
                        gst::PadTemplate::new(name, direction, always, &caps).ok()
                    })
                    .collect()
            });
            TEMPLATES.as_ref()
        }

        fn change_state(
            &self,
            transition: gst::StateChange,
        ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
            let changed = self.parent_change_state(transition)?;
            if transition == gst::StateChange::PausedToReady {
                *lock(&self.state) = State::default();
            }
            Ok(changed)
        }
    }

    impl Cadence {
        fn chain(&self, buffer: gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
            let setup = lock(&self.setup).clone();
            let made = lock(&self.state).push(&setup, buffer);
            self.give(made)
        }

        fn event(&self, pad: &gst::Pad, event: gst::Event) -> bool {
            match event.view() {
                gst::EventView::Caps(caps) => self.set_caps(caps.caps()),
                gst::EventView::Eos(_) | gst::EventView::Segment(_) => {
                    self.drain();
                    gst::Pad::event_default(pad, Some(&*self.obj()), event)
                }
                gst::EventView::FlushStop(_) => {
                    let mut state = lock(&self.state);
                    (state.before, state.now) = (None, None);
                    drop(state);
                    gst::Pad::event_default(pad, Some(&*self.obj()), event)
                }
                _ => gst::Pad::event_default(pad, Some(&*self.obj()), event),
            }
        }

        fn set_caps(&self, caps: &gst::CapsRef) -> bool {
            let Ok(info) = VideoInfo::from_caps(caps) else { return false };
            let setup = lock(&self.setup).clone();
            let is_same = |old: &VideoInfo| {
                (old.format(), old.width(), old.height(), old.stride(), old.offset())
                    == (info.format(), info.width(), info.height(), info.stride(), info.offset())
            };
            // Soft telecine changes the rate all the time.
            if !lock(&self.state).info.as_ref().is_some_and(is_same) {
                self.drain();
            }
            let pictures = pictures_caps(caps, &info, &setup);
            let mut state = lock(&self.state);
            state.info = Some(info);
            if state.caps.as_ref() == Some(&pictures) {
                return true;
            }
            state.caps = Some(pictures.clone());
            drop(state);
            self.source.push_event(gst::event::Caps::new(&pictures))
        }

        fn drain(&self) {
            let setup = lock(&self.setup).clone();
            let made = lock(&self.state).drain(&setup);
            // The next buffer returns the error of the elements that follow.
            let _ = self.give(made);
        }

        /// Pushes pictures.
        fn give(
            &self,
            made: Result<Vec<gst::Buffer>, glib::BoolError>,
        ) -> Result<gst::FlowSuccess, gst::FlowError> {
            let made = made.map_err(|error| {
                gst::element_imp_error!(self, gst::StreamError::Failed, ("{error}"));
                gst::FlowError::Error
            })?;
            for buffer in made {
                self.source.push(buffer)?;
            }
            Ok(gst::FlowSuccess::Ok)
        }
    }
}
