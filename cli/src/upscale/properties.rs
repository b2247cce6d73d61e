//! The element's properties as options: each that can be written becomes `--NAME VALUE`.

use std::ops::RangeInclusive;

use clap::{Arg, ArgMatches, Command};
use gst::{glib, prelude::*};

use super::Error;
use crate::gstreamer;

/// The properties that were given, by name.
#[derive(Debug, Default)]
pub struct Properties(Vec<(String, String)>);

impl Properties {
    /// Sets them on the element.
    ///
    /// # Errors
    /// [`Error::Property`] where a value is none of that property's.
    pub fn apply(&self, element: &gst::Element) -> Result<(), Error> {
        for (name, text) in &self.0 {
            let wrong =
                |why: String| Error::Property { name: name.clone(), text: text.clone(), why };
            let spec = element.find_property(name).ok_or_else(|| wrong("it is unknown".into()))?;
            let value = match spec.value_type() {
                // GStreamer's notation would take quotes and backslashes for its own.
                glib::Type::STRING => Ok(text.to_value()),
                _ => glib::Value::deserialize_with_pspec(text, &spec),
            };
            let value = value.map_err(|_| wrong(format!("wanted is {}", kind(&spec))))?;
            let number = value.transform::<f64>().ok().and_then(|number| number.get::<f64>().ok());
            if let (Some(range), Some(number)) = (range(&spec), number)
                && !range.contains(&number)
            {
                return Err(wrong(format!("wanted is {}", kind(&spec))));
            }
            element.set_property_from_value(name, &value);
        }
        Ok(())
    }
}

impl clap::Args for Properties {
    fn augment_args(command: Command) -> Command {
        // GStreamer starts only when this command is asked for: the others go without.
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

/// The element's own properties that can be written.
fn specs() -> Vec<glib::ParamSpec> {
    // What goes wrong here is told when the command runs.
    let kind = gstreamer::start()
        .ok()
        .and_then(|()| Some(gst::ElementFactory::find("upscale")?.load().ok()?.element_type()));
    let Some(kind) = kind else { return Vec::new() };
    let Some(class) = glib::object::ObjectClass::from_type(kind) else { return Vec::new() };
    let own = |spec: &glib::ParamSpec| {
        spec.owner_type() == kind && spec.flags().contains(glib::ParamFlags::WRITABLE)
    };
    class.list_properties().into_iter().filter(own).collect()
}

fn option(spec: &glib::ParamSpec) -> Arg {
    let mut help = spec.blurb().unwrap_or_default().to_owned();
    if spec.is::<glib::ParamSpecEnum>() {
        help = format!("{help}: {}", kind(spec));
    }
    if let Ok(default) = spec.default_value().serialize() {
        help = format!("{help} [default: {default}]");
    }
    let value = match spec.value_type() {
        glib::Type::STRING => "TEXT",
        _ if spec.is::<glib::ParamSpecEnum>() => "NAME",
        _ => "NUMBER",
    };
    // Negative numbers are values, not options.
    Arg::new(spec.name()).long(spec.name()).value_name(value).help(help).allow_hyphen_values(true)
}

/// What kind of value a property takes, for messages.
fn kind(spec: &glib::ParamSpec) -> String {
    if let Some(spec) = spec.downcast_ref::<glib::ParamSpecEnum>() {
        let class = spec.enum_class();
        let names: Vec<_> = class.values().iter().map(|value| value.nick()).collect();
        return format!("one of {}", names.join(", "));
    }
    match range(spec) {
        Some(range) => format!("a number from {} to {}", range.start(), range.end()),
        None => format!("a {}", spec.value_type()),
    }
}

/// The numbers that a property takes; `None` for other kinds.
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
        Properties(vec![(name.into(), text.into())]).apply(&element)?;
        Ok(element)
    }

    #[test]
    fn every_property_that_can_be_written_is_an_option() {
        let command = <Properties as clap::Args>::augment_args(Command::new("upscale"));
        let line = ["upscale", "--model", "a,b.pth", "--halo", "-1", "--backend", "cpu"];
        let matches = command.try_get_matches_from(line).unwrap();
        let properties = <Properties as clap::FromArgMatches>::from_arg_matches(&matches).unwrap();
        let mut names: Vec<_> = properties.0.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["backend", "halo", "model"]);
        assert!(specs().iter().all(|spec| spec.name() != "stats"));
    }

    #[test]
    fn values_reach_the_element() {
        assert_eq!(given("scale", "3").unwrap().property::<f64>("scale"), 3.0);
        assert_eq!(given("halo", "-1").unwrap().property::<i32>("halo"), -1);
        // What gst-launch-1.0 would take for more than a text.
        for name in ["a b (c).pth", "x,y=3.onnx", "\"quoted\"", "é.pth"] {
            assert_eq!(given("model", name).unwrap().property::<String>("model"), name);
        }
    }

    #[test]
    fn wrong_values_are_told_with_what_is_wanted() {
        for (name, text, wanted) in [
            ("scale", "99", "from 0 to 16"),
            ("scale", "big", "from 0 to 16"),
            ("backend", "abacus", "one of auto"),
            ("halo", "-2", "from -1"),
        ] {
            let error = given(name, text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
