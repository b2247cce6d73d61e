//! The element's writable properties as options `--NAME VALUE`.

use std::{collections::BTreeMap, ops::RangeInclusive};

use clap::{Arg, ArgMatches, Command};
use gst::{glib, prelude::*};

use super::{Error, elements::make};
use crate::{
    gstreamer,
    look::{self, STOCKS},
};

/// Names and values of the given properties.
#[derive(Clone, Debug, Default)]
pub struct Properties(BTreeMap<String, String>);

impl Properties {
    /// Properties with these values by name.
    pub fn new(values: BTreeMap<String, String>) -> Self {
        Self(values)
    }

    /// The values by name.
    pub fn values(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// Replaces or adds the value of a property.
    pub fn set(&mut self, name: &str, value: String) {
        self.0.insert(name.to_owned(), value);
    }

    /// Checks the values.
    ///
    /// # Errors
    /// [`Error::PropertyValue`], [`Error::NoProperty`] or [`Error::MissingElement`].
    pub fn check(&self) -> Result<(), Error> {
        self.apply(&make("upscale")?)
    }

    /// Sets the properties of the element.
    ///
    /// # Errors
    /// [`Error::PropertyValue`] or [`Error::NoProperty`].
    pub fn apply(&self, element: &gst::Element) -> Result<(), Error> {
        for (name, text) in &self.0 {
            let missing = || Error::NoProperty(name.clone());
            let spec = element.find_property(name).ok_or_else(missing)?;
            let invalid = || Error::PropertyValue {
                name: name.clone(),
                value: text.clone(),
                expected: expected(&spec),
            };
            element.set_property_from_value(name, &parse(text, &spec).ok_or_else(invalid)?);
        }
        Ok(())
    }
}

/// The value in GStreamer's notation; `None` if it is invalid or out of range.
fn parse(text: &str, spec: &glib::ParamSpec) -> Option<glib::Value> {
    let text = if spec.name() == "grain" { look::grain(text) } else { text };
    // GStreamer's notation would interpret quotes and backslashes.
    if spec.value_type() == glib::Type::STRING {
        return Some(text.to_value());
    }
    let value = glib::Value::deserialize_with_pspec(text, spec).ok()?;
    let number = value.transform::<f64>().ok().and_then(|number| number.get::<f64>().ok());
    let in_range = match (range(spec), number) {
        (Some(range), Some(number)) => range.contains(&number),
        _ => true,
    };
    in_range.then_some(value)
}

impl clap::Args for Properties {
    fn augment_args(command: Command) -> Command {
        // Deferred, so that the other subcommands do not start GStreamer.
        command.defer(|command| {
            let mut command = command.next_help_heading("Properties of the element");
            for spec in specs() {
                command = command.arg(option(&spec));
            }
            command
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for Properties {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = specs().into_iter().filter_map(|spec| {
            let name = spec.name().to_owned();
            let text = matches.try_get_one::<String>(&name).ok().flatten()?.clone();
            Some((name, text))
        });
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Properties for live streams and players, and those that the segments of a film set themselves.
const NOT_FOR_FILES: [&str; 9] = [
    "bypass",
    "first-frame",
    "lighter-model",
    "max-latency",
    "overload",
    "profiles",
    "split",
    "startup",
    "stats-interval",
];

/// The element's own writable properties that concern files.
fn specs() -> Vec<glib::ParamSpec> {
    // If GStreamer does not start, running the command reports why.
    let kind = gstreamer::start()
        .ok()
        .and_then(|()| Some(gst::ElementFactory::find("upscale")?.load().ok()?.element_type()));
    let Some(kind) = kind else { return Vec::new() };
    let Some(class) = glib::object::ObjectClass::from_type(kind) else { return Vec::new() };
    let own = |spec: &glib::ParamSpec| {
        spec.owner_type() == kind
            && spec.flags().contains(glib::ParamFlags::WRITABLE)
            && !NOT_FOR_FILES.contains(&spec.name())
    };
    class.list_properties().into_iter().filter(own).collect()
}

fn option(spec: &glib::ParamSpec) -> Arg {
    let mut help = spec.blurb().unwrap_or_default().to_owned();
    if let Some(names) = enum_names(spec) {
        help = format!("{help} [possible values: {names}]");
    }
    if spec.name() == "grain" {
        help = format!("{help}, 0 to 1, or that of a film stock: {}", stocks());
    }
    if let Ok(default) = spec.default_value().serialize()
        && default != "\"\""
    {
        help = format!("{help} [default: {default}]");
    }
    if spec.name() == "model" {
        help = format!("{help} auto chooses one by the content and prints the reason.");
    }
    let value = match spec.value_type() {
        glib::Type::STRING => "TEXT",
        _ if spec.is::<glib::ParamSpecEnum>() => "NAME",
        _ => "NUMBER",
    };
    // A negative number is a value, not an option.
    Arg::new(spec.name()).long(spec.name()).value_name(value).help(help).allow_hyphen_values(true)
}

/// Describes the values that a property accepts.
fn expected(spec: &glib::ParamSpec) -> String {
    if let Some(names) = enum_names(spec) {
        return format!("one of: {names}");
    }
    match range(spec) {
        Some(range) if spec.name() == "grain" => {
            format!("a number from {} to {} or one of: {}", range.start(), range.end(), stocks())
        }
        Some(range) => format!("a number from {} to {}", range.start(), range.end()),
        None => format!("a value of type {}", spec.value_type()),
    }
}

/// The names of the film stocks, separated by commas.
fn stocks() -> String {
    STOCKS.map(|(name, _)| name).join(", ")
}

/// The names of an enumeration's values, separated by commas.
fn enum_names(spec: &glib::ParamSpec) -> Option<String> {
    let class = spec.downcast_ref::<glib::ParamSpecEnum>()?.enum_class();
    let names: Vec<_> = class.values().iter().map(|value| value.nick()).collect();
    Some(names.join(", "))
}

/// The range of a numeric property.
fn range(spec: &glib::ParamSpec) -> Option<RangeInclusive<f64>> {
    if let Some(spec) = spec.downcast_ref::<glib::ParamSpecDouble>() {
        Some(spec.minimum()..=spec.maximum())
    } else if let Some(spec) = spec.downcast_ref::<glib::ParamSpecInt>() {
        Some(spec.minimum().into()..=spec.maximum().into())
    } else if let Some(spec) = spec.downcast_ref::<glib::ParamSpecUInt>() {
        Some(spec.minimum().into()..=spec.maximum().into())
    } else {
        let spec = spec.downcast_ref::<glib::ParamSpecUInt64>()?;
        Some(spec.minimum() as f64..=spec.maximum() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(name: &str, text: &str) -> Result<gst::Element, Error> {
        gstreamer::start().unwrap();
        let element = gst::ElementFactory::make("upscale").build()?;
        Properties([(name.to_owned(), text.to_owned())].into()).apply(&element)?;
        Ok(element)
    }

    #[test]
    fn writable_properties_that_concern_files_are_options() {
        let command = <Properties as clap::Args>::augment_args(Command::new("upscale"));
        let line = ["upscale", "--model", "a,b.pth", "--halo", "-1", "--backend", "cpu"];
        let matches = command.try_get_matches_from(line).unwrap();
        let properties = <Properties as clap::FromArgMatches>::from_arg_matches(&matches).unwrap();
        let mut names: Vec<_> = properties.0.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["backend", "halo", "model"]);
        let options = specs();
        for name in NOT_FOR_FILES.into_iter().chain(["stats"]) {
            assert!(options.iter().all(|spec| spec.name() != name), "{name}");
            assert!(make("upscale").unwrap().find_property(name).is_some(), "{name}");
        }
    }

    #[test]
    fn values_are_set_on_the_element() {
        assert_eq!(given("scale", "3").unwrap().property::<f64>("scale"), 3.0);
        assert_eq!(given("halo", "-1").unwrap().property::<i32>("halo"), -1);
        assert_eq!(given("grain", "iso250").unwrap().property::<f64>("grain"), 0.4);
        // gst-launch-1.0 would parse these.
        for name in ["a b (c).pth", "x,y=3.onnx", "\"quoted\"", "é.pth"] {
            assert_eq!(given("model", name).unwrap().property::<String>("model"), name);
        }
    }

    #[test]
    fn an_invalid_value_is_an_error_that_lists_the_valid_ones() {
        for (name, text, expected) in [
            ("scale", "99", "from 0 to 16"),
            ("scale", "big", "from 0 to 16"),
            ("backend", "abacus", "one of: auto"),
            ("halo", "-2", "from -1"),
            ("grain", "iso51", "from 0 to 1 or one of: iso50"),
        ] {
            let error = given(name, text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
