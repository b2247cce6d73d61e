//! The GObject subclass: the elements inside, and what the overlay shows.

use std::sync::{
    LazyLock, Mutex,
    atomic::{AtomicBool, Ordering},
};

use gst::{prelude::*, subclass::prelude::*};

use super::{memory, overlay, rates};
use crate::element::{Upscale, lock, property_table};

/// How often the overlay changes, in milliseconds.
const INTERVAL: u32 = 1000;

pub struct UpscaleBin {
    upscale: Upscale,
    /// Draws the overlay; `None` if it is not installed.
    text: Option<gst::Element>,
    /// From `deinterlace` to `upscale`.
    chain: Vec<gst::Element>,
    sink: gst::GhostPad,
    src: gst::GhostPad,
    /// Whether the elements between the pads suit the memory of the neighbours.
    is_connected: AtomicBool,
    /// The elements around the chain while the pads are connected: `textoverlay`, whose pad for text
    /// has no peer, and those for other memory than system memory.
    around: Mutex<Vec<gst::Element>>,
    overlay: Mutex<Overlay>,
}

#[derive(Default)]
struct Overlay {
    is_shown: bool,
    /// The last statistics.
    stats: Option<gst::Structure>,
}

#[glib::object_subclass]
impl ObjectSubclass for UpscaleBin {
    const NAME: &'static str = "GstUpscaleBin";
    type Type = super::UpscaleBin;
    type ParentType = gst::Bin;

    fn with_class(class: &Self::Class) -> Self {
        let make = |name: &str| gst::ElementFactory::make(name).build().ok();
        let upscale = glib::Object::builder::<Upscale>().property("name", "upscale").build();
        let text = make("textoverlay");
        if let Some(text) = &text {
            text.set_property("silent", true);
            text.set_property_from_str("halignment", "left");
            text.set_property_from_str("valignment", "top");
            text.set_property_from_str("line-alignment", "left");
            text.set_property_from_str("font-desc", "Sans 9");
        }
        let before = ["deinterlace", "videoconvert"].into_iter().filter_map(make);
        let chain = before.chain([upscale.clone().upcast()]).collect();
        let pad = |name: &str| {
            let template = class.pad_template(name);
            let builder = template.map(|template| gst::GhostPad::builder_from_template(&template));
            let builder = builder.unwrap_or_else(|| gst::GhostPad::builder(direction(name)));
            builder
                .name(name)
                .query_function(|pad, parent, query| {
                    Self::catch_panic_pad_function(parent, || false, |this| this.answer(pad, query))
                })
                .build()
        };
        Self {
            upscale,
            text,
            chain,
            sink: pad("sink"),
            src: pad("src"),
            is_connected: AtomicBool::new(false),
            around: Mutex::default(),
            overlay: Mutex::default(),
        }
    }
}

fn direction(pad: &str) -> gst::PadDirection {
    if pad == "sink" { gst::PadDirection::Sink } else { gst::PadDirection::Src }
}

impl ObjectImpl for UpscaleBin {
    fn constructed(&self) {
        self.parent_constructed();
        let bin = self.obj();
        let made = bin.add_many(&self.chain).and_then(|()| gst::Element::link_many(&self.chain));
        let made =
            made.and_then(|()| bin.add_pad(&self.sink)).and_then(|()| bin.add_pad(&self.src));
        // A parser would add ghost pads for pads inside that have no peer.
        let made = made.and_then(|()| self.set_targets(None, None));
        if let Err(error) = made {
            gst::error!(gst::CAT_RUST, imp = self, "{error}");
        }
    }

    fn properties() -> &'static [glib::ParamSpec] {
        static SPECS: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            let overlay = glib::ParamSpecBoolean::builder("overlay")
                .nick("Overlay")
                .blurb(
                    "Show the model, its backend, the time per frame and the shares of the \
                     picture on the output, with the element textoverlay",
                )
                .mutable_playing()
                .build();
            property_table::new_specs().into_iter().chain([overlay]).collect()
        });
        &SPECS
    }

    fn property(&self, _id: usize, spec: &glib::ParamSpec) -> glib::Value {
        match spec.name() {
            "overlay" => lock(&self.overlay).is_shown.to_value(),
            name => self.upscale.property_value(name),
        }
    }

    fn set_property(&self, _id: usize, value: &glib::Value, spec: &glib::ParamSpec) {
        match spec.name() {
            "overlay" => self.show_overlay(value.get().unwrap_or_default()),
            name => self.upscale.set_property_from_value(name, value),
        }
    }
}

impl GstObjectImpl for UpscaleBin {}

impl ElementImpl for UpscaleBin {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Video upscaler for players",
                "Filter/Effect/Video/Scaler",
                "Enlarges video in any memory with a super-resolution neural network",
                "The gst-upscale developers",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let always = gst::PadPresence::Always;
            let template =
                |name| gst::PadTemplate::new(name, direction(name), always, &memory::any());
            ["sink", "src"].into_iter().filter_map(|name| template(name).ok()).collect()
        });
        &TEMPLATES
    }

    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        if transition == gst::StateChange::ReadyToPaused {
            self.connect().map_err(|error| {
                gst::error!(gst::CAT_RUST, imp = self, "{error}");
                gst::StateChangeError
            })?;
        }
        let changed = self.parent_change_state(transition);
        if transition == gst::StateChange::PausedToReady {
            self.disconnect();
        }
        changed
    }
}

impl BinImpl for UpscaleBin {
    fn handle_message(&self, message: gst::Message) {
        if let Some(stats) = message.structure().filter(|it| it.name() == "upscale-stats") {
            self.update_text(stats);
        }
        self.parent_handle_message(message);
    }
}

impl UpscaleBin {
    /// Connects the pads with the elements inside, through an element for the memory of the
    /// neighbour if that is not system memory.
    fn connect(&self) -> Result<(), glib::BoolError> {
        self.disconnect();
        let bin = self.obj();
        let neighbour = |pad: &gst::GhostPad| pad.peer_query_caps(None);
        let transfer =
            |candidates, pad, direction| memory::element(candidates, &neighbour(pad), direction);
        let download = transfer(memory::DOWNLOADS, &self.sink, gst::PadDirection::Sink);
        let upload = transfer(memory::UPLOADS, &self.src, gst::PadDirection::Src);
        let after = || self.text.iter().chain(&upload);
        let around: Vec<_> = download.iter().chain(after()).cloned().collect();
        lock(&self.around).clone_from(&around);
        bin.add_many(&around)?;
        // The ends of the chain are still linked to the pads.
        self.sink.set_target(None::<&gst::Pad>)?;
        self.src.set_target(None::<&gst::Pad>)?;
        gst::Element::link_many(download.iter().chain(self.chain.first()))?;
        gst::Element::link_many(self.chain.last().into_iter().chain(after()))?;
        self.set_targets(download.as_ref(), after().last())?;
        for element in &around {
            element.sync_state_with_parent()?;
        }
        self.is_connected.store(true, Ordering::Release);
        Ok(())
    }

    /// Lets the pads end at these elements, or at the ends of the chain.
    fn set_targets(
        &self,
        first: Option<&gst::Element>,
        last: Option<&gst::Element>,
    ) -> Result<(), glib::BoolError> {
        let pad = |element: Option<&gst::Element>, name| element.and_then(|it| it.static_pad(name));
        self.sink.set_target(pad(first.or(self.chain.first()), "sink").as_ref())?;
        self.src.set_target(pad(last.or(self.chain.last()), "src").as_ref())
    }

    /// Answers a query for one of the pads. Before the memory of the neighbours is known, the pads
    /// accept frames in any memory, although the elements inside accept only system memory.
    fn answer(&self, pad: &gst::GhostPad, query: &mut gst::QueryRef) -> bool {
        if !self.is_connected.load(Ordering::Acquire) {
            let template = || pad.pad_template_caps();
            match query.view_mut() {
                gst::QueryViewMut::Caps(caps) => {
                    let filter = caps.filter_owned();
                    let accepted = match filter {
                        Some(filter) => {
                            filter.intersect_with_mode(&template(), gst::CapsIntersectMode::First)
                        }
                        None => template(),
                    };
                    caps.set_result(&accepted);
                    return true;
                }
                gst::QueryViewMut::AcceptCaps(caps) => {
                    let is_accepted = caps.caps().is_subset(&template());
                    caps.set_result(is_accepted);
                    return true;
                }
                _ => {}
            }
        }
        let answered = gst::Pad::query_default(pad, Some(&*self.obj()), query);
        if let gst::QueryViewMut::Caps(caps) = query.view_mut()
            && let Some(mut result) = caps.result_owned()
        {
            rates::join(&mut result);
            caps.set_result(&result);
        }
        answered
    }

    /// Undoes [`connect`](Self::connect), so that the pads accept frames in any memory again.
    fn disconnect(&self) {
        self.is_connected.store(false, Ordering::Release);
        let _ = self.set_targets(None, None);
        for element in std::mem::take(&mut *lock(&self.around)) {
            // It also unlinks the element.
            let _ = self.obj().remove(&element);
            let _ = element.set_state(gst::State::Null);
        }
    }

    fn show_overlay(&self, is_shown: bool) {
        lock(&self.overlay).is_shown = is_shown;
        let Some(text) = &self.text else {
            if is_shown {
                gst::element_imp_warning!(
                    self,
                    gst::CoreError::MissingPlugin,
                    ("overlay needs the element textoverlay, which is not installed")
                );
            }
            return;
        };
        text.set_property("silent", !is_shown);
        if is_shown && self.upscale.property::<u32>("stats-interval") == 0 {
            self.upscale.set_property("stats-interval", INTERVAL);
        }
    }

    fn update_text(&self, stats: &gst::StructureRef) {
        let shown = {
            let mut overlay = lock(&self.overlay);
            let before = overlay.stats.replace(stats.to_owned());
            overlay.is_shown.then(|| overlay::text(stats, before.as_deref()))
        };
        if let Some((text, shown)) = self.text.as_ref().zip(shown) {
            text.set_property("text", shown);
        }
    }
}
