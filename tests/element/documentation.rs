//! The documentation agrees with the element.
//!
//! `docs/plugins/gst_plugins_cache.json` describes the plugin in the format of GStreamer's
//! `gst-hotdoc-plugins-scanner`, which builds the documentation of properties from it.

use std::{fs, path::Path};

use gst::{PadDirection, prelude::*};
use serde_json::{Map, Value, json};

use crate::common;

/// Set to write the file instead of comparing it.
const UPDATE: &str = "UPDATE_DOCS_CACHE";

#[test]
fn the_docs_cache_describes_the_plugin() {
    crate::bench::init();
    let found = json!({ "upscale": plugin() });
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/plugins/gst_plugins_cache.json");
    if std::env::var_os(UPDATE).is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = serde_json::to_string_pretty(&found).unwrap();
        fs::write(&path, text + "\n").unwrap();
    }
    // Every enumeration has an entry of its own.
    let types = found["upscale"]["other-types"].as_object().unwrap();
    assert_eq!(types.len(), 5, "{:?}", types.keys());
    let text = fs::read_to_string(&path).unwrap_or_default();
    let stored: Value = serde_json::from_str(&text).unwrap_or_default();
    assert!(
        stored == found,
        "{} is out of date; run {UPDATE}=1 cargo nextest run --test element documentation",
        path.display()
    );
}

#[test]
fn the_example_pipelines_are_valid() {
    crate::bench::init();
    let examples = example_pipelines();
    assert_eq!(examples.len(), 3);
    for example in &examples {
        match gst::parse::launch(example) {
            Ok(_) => {}
            Err(error) if error.kind() == Some(gst::ParseError::NoSuchElement) => {
                eprintln!("skipped: {error}");
            }
            Err(error) => panic!("{example}: {error}"),
        }
    }
    let first = examples[0].replace("videotestsrc", "videotestsrc num-buffers=2");
    common::run(&first.replace("autovideosink", "fakesink"));
}

/// The pipelines in the documentation of the element.
fn example_pipelines() -> Vec<String> {
    let documentation = include_str!("../../src/element/mod.rs");
    let blocks = documentation.split("//! ```shell\n").skip(1);
    let blocks = blocks.filter_map(|block| block.split_once("//! ```\n"));
    let command = |(block, _): (&str, &str)| block.replace("//! ", "").replace("\\\n", " ");
    blocks.map(command).map(|line| line.replacen("gst-launch-1.0", "", 1)).collect()
}

fn plugin() -> Value {
    let factory = gst::ElementFactory::find("upscale").unwrap();
    let plugin = factory.plugin().unwrap();
    json!({
        "description": plugin.description().as_str(),
        "elements": {
            "upscale": element(&factory),
            "upscalebin": element(&gst::ElementFactory::find("upscalebin").unwrap()),
        },
        "filename": "gstupscale",
        "license": plugin.license().as_str(),
        "other-types": other_types(&specs(&factory)),
        "package": plugin.package().as_str(),
        "source": plugin.source().as_str(),
        "tracers": {},
        "url": plugin.origin().as_str(),
    })
}

/// The element's own properties.
fn specs(factory: &gst::ElementFactory) -> Vec<glib::ParamSpec> {
    let element = factory.create().build().unwrap();
    let mut specs = element.list_properties().to_vec();
    specs.retain(|spec| spec.owner_type() == element.type_());
    specs
}

fn element(factory: &gst::ElementFactory) -> Value {
    let mut hierarchy = vec![factory.element_type()];
    while let Some(parent) = hierarchy.last().unwrap().parent() {
        hierarchy.push(parent);
    }
    let hierarchy: Vec<&str> = hierarchy.iter().map(|kind| kind.name()).collect();
    let templates = factory.static_pad_templates().into_iter().map(|template| {
        let direction = if template.direction() == PadDirection::Sink { "sink" } else { "src" };
        let caps = template.caps().to_string();
        let value = json!({ "caps": caps, "direction": direction, "presence": "always" });
        (template.name_template().to_string(), value)
    });
    let properties =
        specs(factory).into_iter().map(|spec| (spec.name().to_owned(), property(&spec)));
    json!({
        "author": factory.metadata("author"),
        "description": factory.metadata("description"),
        "hierarchy": hierarchy,
        "klass": factory.metadata("klass"),
        "long-name": factory.metadata("long-name"),
        "pad-templates": templates.collect::<Map<_, _>>(),
        "properties": properties.collect::<Map<_, _>>(),
        "rank": "none",
    })
}

fn property(spec: &glib::ParamSpec) -> Value {
    let flags = spec.flags();
    let mutable = if flags.contains(gst::PARAM_FLAG_MUTABLE_PLAYING) {
        "playing"
    } else if flags.contains(gst::PARAM_FLAG_MUTABLE_READY) {
        "ready"
    } else {
        "null"
    };
    let mut property = json!({
        "blurb": spec.blurb(),
        "conditionally-available": false,
        "construct": flags.contains(glib::ParamFlags::CONSTRUCT),
        "construct-only": flags.contains(glib::ParamFlags::CONSTRUCT_ONLY),
        "controllable": flags.contains(gst::PARAM_FLAG_CONTROLLABLE),
        "mutable": mutable,
        "readable": flags.contains(glib::ParamFlags::READABLE),
        "type": spec.value_type().name(),
        "writable": flags.contains(glib::ParamFlags::WRITABLE),
    });
    for (name, value) in default_and_range(spec) {
        property[name] = value.into();
    }
    property
}

fn default_and_range(spec: &glib::ParamSpec) -> Vec<(&'static str, String)> {
    fn numbers<T: ToString>(default: T, min: T, max: T) -> Vec<(&'static str, String)> {
        vec![("default", default.to_string()), ("min", min.to_string()), ("max", max.to_string())]
    }
    if let Some(spec) = spec.downcast_ref::<glib::ParamSpecEnum>() {
        let value = spec.default_value_as_i32();
        let nick = spec.enum_class().value(value).unwrap().nick().to_owned();
        vec![("default", format!("{nick} ({value})"))]
    } else if let Some(spec) = spec.downcast_ref::<glib::ParamSpecString>() {
        vec![("default", spec.default_value().unwrap_or("NULL").to_owned())]
    } else if let Some(spec) = spec.downcast_ref::<glib::ParamSpecBoolean>() {
        vec![("default", spec.default_value().to_string())]
    } else if let Some(spec) = spec.downcast_ref::<glib::ParamSpecDouble>() {
        numbers(spec.default_value(), spec.minimum(), spec.maximum())
    } else if let Some(spec) = spec.downcast_ref::<glib::ParamSpecInt>() {
        numbers(spec.default_value(), spec.minimum(), spec.maximum())
    } else if let Some(spec) = spec.downcast_ref::<glib::ParamSpecUInt>() {
        numbers(spec.default_value(), spec.minimum(), spec.maximum())
    } else if let Some(spec) = spec.downcast_ref::<glib::ParamSpecUInt64>() {
        numbers(spec.default_value(), spec.minimum(), spec.maximum())
    } else {
        assert_eq!(spec.name(), "stats", "add the type of this property");
        Vec::new()
    }
}

/// The enumerations that the properties use.
fn other_types(specs: &[glib::ParamSpec]) -> Value {
    let enums = specs.iter().filter_map(|spec| spec.downcast_ref::<glib::ParamSpecEnum>());
    let described = enums.map(|spec| {
        let class = spec.enum_class();
        let values: Vec<Value> = class
            .values()
            .iter()
            .map(|value| {
                let number = value.value().to_string();
                json!({ "desc": value.name(), "name": value.nick(), "value": number })
            })
            .collect();
        (class.type_().name().to_owned(), json!({ "kind": "enum", "values": values }))
    });
    described.collect::<Map<_, _>>().into()
}
