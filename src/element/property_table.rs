//! One table that says how GObject describes, reads and writes each property.

use std::sync::LazyLock;

use glib::{prelude::*, value::FromValue};
use gst::prelude::*;

use super::properties::Properties;

impl Properties {
    /// The value of a property; `None` for `stats` and for unknown names.
    pub(crate) fn get(&mut self, name: &str) -> Option<glib::Value> {
        let property = TABLE.iter().find(|property| property.spec.name() == name)?;
        Some((property.get)(self))
    }

    /// Sets a property. GObject has checked the type and the range.
    pub(crate) fn set(&mut self, name: &str, value: &glib::Value) {
        if let Some(property) = TABLE.iter().find(|property| property.spec.name() == name) {
            (property.set)(self, value);
        }
    }
}

type Get = dyn Fn(&mut Properties) -> glib::Value + Send + Sync;
type Set = dyn Fn(&mut Properties, &glib::Value) + Send + Sync;

/// A property: its specification, and how to read and write its value in [`Properties`].
struct Property {
    spec: glib::ParamSpec,
    get: Box<Get>,
    set: Box<Set>,
}

/// A property whose value is in the field that `field` gives.
fn property<T>(spec: glib::ParamSpec, field: fn(&mut Properties) -> &mut T) -> Property
where
    T: ToValue + for<'a> FromValue<'a> + 'static,
{
    Property {
        spec,
        get: Box::new(move |properties| field(properties).to_value()),
        set: Box::new(move |properties, value| {
            if let Ok(value) = value.get() {
                *field(properties) = value;
            }
        }),
    }
}

/// A property with a text. NULL sets it to its default.
fn text_property(spec: glib::ParamSpec, field: fn(&mut Properties) -> &mut String) -> Property {
    let set = move |properties: &mut Properties, value: &glib::Value| {
        let text = value.get::<Option<String>>().ok().flatten();
        *field(properties) = text.unwrap_or_else(|| field(&mut Properties::default()).clone());
    };
    Property { set: Box::new(set), ..property(spec, field) }
}

/// Every writable property.
static TABLE: LazyLock<Vec<Property>> = LazyLock::new(table);

fn table() -> Vec<Property> {
    let default = Properties::default();
    vec![
        text_property(
            glib::ParamSpecString::builder("model")
                .nick("Model")
                .blurb("Name of a model in the catalogue, or path of a model file")
                .default_value(Some(&*default.model))
                .mutable_playing()
                .build(),
            |properties| &mut properties.model,
        ),
        property(
            glib::ParamSpecDouble::builder("denoise")
                .nick("Denoise")
                .blurb(
                    "Denoising strength of realesr-general-x4v3, or weight of the first model of \
                     a pair (a.pth+b.pth), 0 to 1; -1: the model's own strength",
                )
                .minimum(-1.0)
                .maximum(1.0)
                .default_value(default.denoise)
                .mutable_playing()
                .build(),
            |properties| &mut properties.denoise,
        ),
        property(
            glib::ParamSpecDouble::builder("scale")
                .nick("Scale")
                .blurb(
                    "Output size divided by input size; 0: the model's own factor. A size in the \
                     downstream caps takes precedence",
                )
                .minimum(0.0)
                .maximum(16.0)
                .default_value(default.scale)
                .mutable_playing()
                .build(),
            |properties| &mut properties.scale,
        ),
        property(
            glib::ParamSpecEnum::builder_with_default("backend", default.backend)
                .nick("Backend")
                .blurb("Runtime and device that run the model")
                .mutable_ready()
                .build(),
            |properties| &mut properties.backend,
        ),
        property(
            glib::ParamSpecInt::builder("device-id")
                .nick("Device")
                .blurb("Number of the GPU to use, counted from 0")
                .minimum(0)
                .maximum(i32::MAX)
                .default_value(default.device_id)
                .mutable_ready()
                .build(),
            |properties| &mut properties.device_id,
        ),
        property(
            glib::ParamSpecEnum::builder_with_default("precision", default.precision)
                .nick("Precision")
                .blurb(
                    "Number format in which the model is computed; loading fails if the backend \
                     does not support it",
                )
                .mutable_ready()
                .build(),
            |properties| &mut properties.precision,
        ),
        property(
            glib::ParamSpecUInt::builder("threads")
                .nick("Threads")
                .blurb("Number of threads; 0: all available. Limited by CPU affinity and cgroup")
                .minimum(0)
                .maximum(1024)
                .default_value(default.threads)
                .mutable_ready()
                .build(),
            |properties| &mut properties.threads,
        ),
        property(
            glib::ParamSpecEnum::builder_with_default("startup", default.startup)
                .nick("Startup")
                .blurb("What to do with frames until the first model is loaded")
                .mutable_ready()
                .build(),
            |properties| &mut properties.startup,
        ),
        property(
            glib::ParamSpecEnum::builder_with_default("overload", default.overload)
                .nick("Overload")
                .blurb(
                    "What to do when the model is too slow, in live pipelines and when the sink \
                     reports late frames; no effect with pipeline-depth > 0",
                )
                .mutable_playing()
                .build(),
            |properties| &mut properties.overload,
        ),
        property(
            glib::ParamSpecUInt::builder("max-latency")
                .nick("Maximum latency")
                .blurb(
                    "Longest processing time of a frame in a live pipeline, in milliseconds; 0: \
                     90 % of the duration of a frame, 100 ms at most",
                )
                .default_value(default.max_latency)
                .mutable_playing()
                .build(),
            |properties| &mut properties.max_latency,
        ),
        text_property(
            glib::ParamSpecString::builder("lighter-model")
                .nick("Lighter model")
                .blurb(
                    "Faster model to change to while the model is too slow for frames with a \
                     deadline; loaded before it is needed; empty: none",
                )
                .default_value(Some(&*default.lighter_model))
                .mutable_ready()
                .build(),
            |properties| &mut properties.lighter_model,
        ),
        text_property(
            glib::ParamSpecString::builder("profiles")
                .nick("Profiles")
                .blurb(
                    "TOML file with properties that depend on the size, the frame rate and the \
                     genre of the stream; empty: none",
                )
                .default_value(Some(&*default.profiles))
                .mutable_playing()
                .build(),
            |properties| &mut properties.profiles,
        ),
        property(
            glib::ParamSpecBoolean::builder("bypass")
                .nick("Bypass")
                .blurb("Enlarge frames with Lanczos resampling instead of the model")
                .default_value(default.bypass)
                .mutable_playing()
                .build(),
            |properties| &mut properties.bypass,
        ),
        property(
            glib::ParamSpecDouble::builder("split")
                .nick("Split")
                .blurb(
                    "Share of the width, from the left, that is enlarged with Lanczos resampling \
                     for comparison; dragging the pointer over the picture moves the line; 0: none",
                )
                .minimum(0.0)
                .maximum(1.0)
                .default_value(default.split)
                .mutable_playing()
                .build(),
            |properties| &mut properties.split,
        ),
        property(
            glib::ParamSpecUInt::builder("tile-size")
                .nick("Tile size")
                .blurb(
                    "Largest width and height of a region in input pixels, without the halo; 0: \
                     as large as memory-limit allows",
                )
                .minimum(0)
                .maximum(32768)
                .default_value(default.tile_size)
                .mutable_ready()
                .build(),
            |properties| &mut properties.tile_size,
        ),
        property(
            glib::ParamSpecInt::builder("halo")
                .nick("Halo")
                .blurb(
                    "Input pixels that are computed around a region; -1: automatic (the model's \
                     receptive field; with reuse=tolerant, only the part with visible effect)",
                )
                .minimum(-1)
                .maximum(32768)
                .default_value(default.halo)
                .mutable_ready()
                .build(),
            |properties| &mut properties.halo,
        ),
        property(
            glib::ParamSpecUInt64::builder("memory-limit")
                .nick("Memory limit")
                .blurb("Bytes of working memory for inference; 0: a share of the free memory")
                .default_value(default.memory_limit)
                .mutable_ready()
                .build(),
            |properties| &mut properties.memory_limit,
        ),
        property(
            glib::ParamSpecDouble::builder("fidelity")
                .nick("Fidelity")
                .blurb(
                    "How close the model's picture is held to the input: its chroma to a Lanczos \
                     enlargement, and its reduction to the input. 1 suits HDR; 0 keeps what a model \
                     cleans or invents",
                )
                .minimum(0.0)
                .maximum(1.0)
                .default_value(default.fidelity)
                .mutable_ready()
                .build(),
            |properties| &mut properties.fidelity,
        ),
        property(
            glib::ParamSpecDouble::builder("blend")
                .nick("Blend")
                .blurb("Weight of the model's picture against a Lanczos enlargement of the input")
                .minimum(0.0)
                .maximum(1.0)
                .default_value(default.blend)
                .controllable()
                .mutable_playing()
                .build(),
            |properties| &mut properties.blend,
        ),
        property(
            glib::ParamSpecDouble::builder("grain")
                .nick("Grain")
                .blurb("Strength of the film grain that is added, weighted by luma")
                .minimum(0.0)
                .maximum(1.0)
                .default_value(default.grain)
                .controllable()
                .mutable_playing()
                .build(),
            |properties| &mut properties.grain,
        ),
        property(
            glib::ParamSpecUInt64::builder("first-frame")
                .nick("First frame")
                .blurb(
                    "Number of the first frame after a start or a flushing seek. The film grain of \
                     a frame depends on its number",
                )
                .default_value(default.first_frame)
                .mutable_playing()
                .build(),
            |properties| &mut properties.first_frame,
        ),
        property(
            glib::ParamSpecEnum::builder_with_default("reuse", default.reuse)
                .nick("Reuse")
                .blurb("Which results of earlier frames may be reused")
                .mutable_playing()
                .build(),
            |properties| &mut properties.reuse,
        ),
        property(
            glib::ParamSpecUInt::builder("reuse-tolerance")
                .nick("Reuse tolerance")
                .blurb(
                    "With reuse=tolerant: largest difference that counts as unchanged, in 8-bit \
                     steps",
                )
                .minimum(0)
                .maximum(64)
                .default_value(default.reuse_tolerance)
                .mutable_playing()
                .build(),
            |properties| &mut properties.reuse_tolerance,
        ),
        property(
            glib::ParamSpecUInt::builder("reuse-refresh")
                .nick("Reuse refresh")
                .blurb(
                    "With reuse=tolerant: maximum number of frames before a changed area is \
                     recomputed",
                )
                .minimum(1)
                .maximum(u32::MAX)
                .default_value(default.reuse_refresh)
                .mutable_playing()
                .build(),
            |properties| &mut properties.reuse_refresh,
        ),
        property(
            glib::ParamSpecInt::builder("pipeline-depth")
                .nick("Pipeline depth")
                .blurb(
                    "Frames processed in parallel; each adds one frame of latency. -1: automatic \
                     (0 for live sources, otherwise 1)",
                )
                .minimum(-1)
                .maximum(4)
                .default_value(default.pipeline_depth)
                .mutable_playing()
                .build(),
            |properties| &mut properties.pipeline_depth,
        ),
        property(
            glib::ParamSpecUInt::builder("stats-interval")
                .nick("Statistics interval")
                .blurb(
                    "Running time between two upscale-stats messages on the bus, in \
                     milliseconds; 0: no messages",
                )
                .default_value(default.stats_interval)
                .mutable_playing()
                .build(),
            |properties| &mut properties.stats_interval,
        ),
        text_property(
            glib::ParamSpecString::builder("cache-dir")
                .nick("Cache directory")
                .blurb(
                    "Directory for compiled models and benchmark results; empty: gst-upscale in \
                     the user's cache directory",
                )
                .default_value(Some(&*default.cache_dir))
                .mutable_ready()
                .build(),
            |properties| &mut properties.cache_dir,
        ),
    ]
}

/// Properties that can change while playing, but not with the content of the stream.
const NOT_BY_CONTENT: [&str; 3] = ["first-frame", "profiles", "stats-interval"];

fn can_change(spec: &glib::ParamSpec) -> bool {
    spec.flags().contains(gst::PARAM_FLAG_MUTABLE_PLAYING) && !NOT_BY_CONTENT.contains(&spec.name())
}

/// The specification of a property that profiles can set.
pub(super) fn changeable(name: &str) -> Option<&'static glib::ParamSpec> {
    let mut specs = TABLE.iter().map(|property| &property.spec);
    specs.find(|spec| spec.name() == name && can_change(spec))
}

/// The names of the properties that profiles can set.
pub(super) fn changeable_names() -> Vec<&'static str> {
    let specs = TABLE.iter().map(|property| &property.spec);
    specs.filter(|spec| can_change(spec)).map(|spec| spec.name()).collect()
}

/// The specifications of all properties.
pub(super) fn specs() -> &'static [glib::ParamSpec] {
    static SPECS: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
        TABLE.iter().map(|property| property.spec.clone()).chain([stats()]).collect()
    });
    &SPECS
}

/// New [specifications](specs) for another class, as each belongs to one class.
pub(super) fn new_specs() -> Vec<glib::ParamSpec> {
    table().into_iter().map(|property| property.spec).chain([stats()]).collect()
}

fn stats() -> glib::ParamSpec {
    glib::ParamSpecBoxed::builder::<gst::Structure>("stats")
        .nick("Statistics")
        .blurb(
            "Number of frames, regions and pixels, time per stage, model, backend, \
             precision, and why other backends are not in use",
        )
        .read_only()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_specification_has_the_default_of_its_field() {
        gst::init().unwrap();
        for Property { spec, get, .. } in TABLE.iter() {
            let value = get(&mut Properties::default());
            let order = value.compare(spec.default_value());
            assert_eq!(order, Some(std::cmp::Ordering::Equal), "{}", spec.name());
        }
    }

    #[test]
    fn null_sets_a_text_to_its_default() {
        let mut properties = Properties::default();
        for name in ["model", "lighter-model", "profiles", "cache-dir"] {
            properties.set(name, &"other".to_value());
            properties.set(name, &None::<String>.to_value());
        }
        assert_eq!(properties, Properties::default());
    }
}
