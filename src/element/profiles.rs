//! Profiles: properties that depend on the size, the frame rate and the tags of the stream. They are
//! read from a TOML file:
//!
//! ```toml
//! # The first profile that fits the stream applies.
//! [[profile]]
//! max-height = 360
//! max-rate = 30
//! genre = "animation"
//! set = { model = "realesr-animevideov3", reuse = "tolerant" }
//! ```

use std::{fmt, fs, io};

use glib::prelude::*;
use serde::Deserialize;

use super::{properties::Properties, property_table};

/// Why a file of profiles cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProfileError {
    #[error("cannot read the profiles in {path}: {error}")]
    Read { path: String, error: io::Error },
    #[error("the profiles in {path} are not valid: {error}")]
    Syntax { path: String, error: Box<toml::de::Error> },
    #[error(
        "the profiles in {path} set {name}, which is not a property that can change while playing; \
         expected one of: {}", property_table::changeable_names().join(", ")
    )]
    Property { path: String, name: String },
    #[error("the profiles in {path} set {name} to {given}; expected {expected}")]
    Value { path: String, name: String, given: toml::Value, expected: String },
}

/// What the conditions of profiles refer to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Content {
    pub width: u32,
    pub height: u32,
    /// Frames per second, if the rate is constant.
    pub rate: Option<f64>,
    /// Genres and keywords.
    pub tags: Vec<String>,
}

impl Content {
    pub(crate) fn set_caps(&mut self, caps: &gst::CapsRef) {
        let Ok(video) = gst_video::VideoInfo::from_caps(caps) else { return };
        let rate = video.fps();
        let rate = (rate.numer() > 0).then(|| f64::from(rate.numer()) / f64::from(rate.denom()));
        (self.width, self.height, self.rate) = (video.width(), video.height(), rate);
    }

    pub(crate) fn add_tags(&mut self, list: &gst::TagListRef) {
        let genres = list.iter_tag::<gst::tags::Genre>().map(|tag| tag.get().to_owned());
        let keywords = list.iter_tag::<gst::tags::Keywords>().map(|tag| tag.get().to_owned());
        for tag in genres.chain(keywords) {
            if !self.tags.contains(&tag) {
                self.tags.push(tag);
            }
        }
    }

    pub(crate) fn clear_tags(&mut self) {
        self.tags.clear();
    }
}

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    profile: Vec<Profile>,
}

/// A condition that is not given always holds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Profile {
    min_width: Option<u32>,
    max_width: Option<u32>,
    min_height: Option<u32>,
    max_height: Option<u32>,
    min_rate: Option<f64>,
    max_rate: Option<f64>,
    /// A part of a genre or of a keyword, in upper or lower case.
    genre: Option<String>,
    /// Properties, which have been checked.
    #[serde(default)]
    set: toml::Table,
}

impl Profile {
    fn fits(&self, content: &Content) -> bool {
        fn within<T: PartialOrd>(value: Option<T>, min: Option<T>, max: Option<T>) -> bool {
            match value {
                Some(value) => {
                    min.is_none_or(|min| value >= min) && max.is_none_or(|max| value <= max)
                }
                None => min.is_none() && max.is_none(),
            }
        }
        let has = |genre: &String| {
            let genre = genre.to_lowercase();
            content.tags.iter().any(|tag| tag.to_lowercase().contains(&genre))
        };
        within(Some(content.width), self.min_width, self.max_width)
            && within(Some(content.height), self.min_height, self.max_height)
            && within(content.rate, self.min_rate, self.max_rate)
            && self.genre.as_ref().is_none_or(has)
    }
}

/// The properties that the application has set, and what profiles change of them.
#[derive(Debug, Default)]
pub(super) struct Profiles {
    own: Properties,
    profiles: Vec<Profile>,
    content: Content,
    /// The number of the profile that applies.
    current: Option<usize>,
}

impl Profiles {
    /// The application sets a property.
    pub(crate) fn set(&mut self, name: &str, value: &glib::Value) {
        self.own.set(name, value);
    }

    /// Reads the file that the application has chosen. After an error, the previous profiles stay.
    ///
    /// # Errors
    /// [`ProfileError`].
    pub(crate) fn read(&mut self) -> Result<(), ProfileError> {
        let path = &self.own.profiles;
        let profiles = if path.is_empty() { Vec::new() } else { read(path)? };
        (self.profiles, self.current) = (profiles, None);
        Ok(())
    }

    /// Forgets the content of the previous stream. Returns the properties that the application has set.
    pub(crate) fn start(&mut self) -> Properties {
        (self.content, self.current) = (Content::default(), None);
        self.own.clone()
    }

    /// Updates the content of the stream with `change`. Returns the properties to use if another profile
    /// applies now.
    pub(crate) fn choose(&mut self, change: impl FnOnce(&mut Content)) -> Option<Properties> {
        change(&mut self.content);
        self.choose_again().then(|| self.properties())
    }

    /// Whether another profile applies now.
    fn choose_again(&mut self) -> bool {
        let next = self.profiles.iter().position(|profile| profile.fits(&self.content));
        std::mem::replace(&mut self.current, next) != next
    }

    /// The properties that the application has set, changed by the profile that applies.
    pub(crate) fn properties(&mut self) -> Properties {
        self.choose_again();
        let mut properties = self.own.clone();
        let profile = self.current.and_then(|current| self.profiles.get(current));
        for (name, given) in profile.iter().flat_map(|profile| &profile.set) {
            if let Some(Ok(value)) = property_table::changeable(name).map(|spec| value(spec, given))
            {
                properties.set(name, &value);
            }
        }
        properties
    }
}

fn read(path: &str) -> Result<Vec<Profile>, ProfileError> {
    let text = fs::read_to_string(path)
        .map_err(|error| ProfileError::Read { path: path.into(), error })?;
    parse(path, &text)
}

fn parse(path: &str, text: &str) -> Result<Vec<Profile>, ProfileError> {
    let path = || path.to_owned();
    let File { profile } = toml::from_str(text)
        .map_err(|error| ProfileError::Syntax { path: path(), error: Box::new(error) })?;
    for (name, given) in profile.iter().flat_map(|profile| &profile.set) {
        let Some(spec) = property_table::changeable(name) else {
            return Err(ProfileError::Property { path: path(), name: name.clone() });
        };
        if let Err(expected) = value(spec, given) {
            let (name, given) = (name.clone(), given.clone());
            return Err(ProfileError::Value { path: path(), name, given, expected });
        }
    }
    Ok(profile)
}

/// The value of a property.
///
/// # Errors
/// Returns the expected value in words.
fn value(spec: &glib::ParamSpec, given: &toml::Value) -> Result<glib::Value, String> {
    fn number<T: Copy + PartialOrd + fmt::Display + ToValue>(
        given: Option<T>,
        range: [T; 2],
    ) -> Result<glib::Value, String> {
        let [min, max] = range;
        let given = given.filter(|given| (min..=max).contains(given));
        given.map(|given| given.to_value()).ok_or_else(|| format!("a number from {min} to {max}"))
    }
    let integer = given.as_integer();
    if spec.is::<glib::ParamSpecBoolean>() {
        given.as_bool().map(|it| it.to_value()).ok_or_else(|| "true or false".into())
    } else if let Some(spec) = spec.downcast_ref::<glib::ParamSpecDouble>() {
        let given = given.as_float().or(integer.map(|integer| integer as f64));
        number(given, [spec.minimum(), spec.maximum()])
    } else if let Some(spec) = spec.downcast_ref::<glib::ParamSpecUInt>() {
        number(integer.and_then(|it| u32::try_from(it).ok()), [spec.minimum(), spec.maximum()])
    } else if let Some(spec) = spec.downcast_ref::<glib::ParamSpecInt>() {
        number(integer.and_then(|it| i32::try_from(it).ok()), [spec.minimum(), spec.maximum()])
    } else if let Some(class) = glib::EnumClass::with_type(spec.value_type()) {
        let nicks: Vec<_> = class.values().iter().map(|it| it.nick().to_owned()).collect();
        let value = given.as_str().and_then(|nick| class.to_value_by_nick(nick));
        value.ok_or_else(|| format!("one of: {}", nicks.join(", ")))
    } else {
        given.as_str().map(|it| it.to_value()).ok_or_else(|| "a text".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
[[profile]]
genre = "anim"
set = { model = "drawn", blend = 1, reuse = "tolerant" }

[[profile]]
max-height = 360
max-rate = 30
set = { model = "small", reuse-tolerance = 4, bypass = false }

[[profile]]
min-width = 1921
set = { bypass = true, blend = 0.5 }
"#;

    fn content(width: u32, height: u32, rate: f64) -> Content {
        Content { width, height, rate: Some(rate), tags: Vec::new() }
    }

    fn profiles() -> Profiles {
        gst::init().unwrap();
        let mut profiles = Profiles::default();
        profiles.set("model", &"own".to_value());
        profiles.profiles = parse("file", FILE).unwrap();
        profiles
    }

    fn model(profiles: &mut Profiles, content: Content) -> Option<String> {
        profiles.choose(|own| *own = content).map(|properties| properties.model)
    }

    #[test]
    fn the_first_profile_that_fits_the_stream_applies_until_another_one_does() {
        let mut profiles = profiles();
        assert_eq!(model(&mut profiles, content(640, 360, 30.0)).as_deref(), Some("small"));
        assert_eq!(model(&mut profiles, content(320, 240, 25.0)), None);
        assert_eq!(model(&mut profiles, content(640, 361, 30.0)).as_deref(), Some("own"));
        assert_eq!(model(&mut profiles, content(640, 360, 60.0)), None);
        let tagged = Content { tags: vec!["Animation".into()], ..content(640, 361, 30.0) };
        assert_eq!(model(&mut profiles, tagged).as_deref(), Some("drawn"));
        let unknown = Content { rate: None, ..content(640, 360, 30.0) };
        assert_eq!(model(&mut profiles, unknown).as_deref(), Some("own"));
    }

    #[test]
    fn a_profile_changes_only_what_it_sets() {
        let mut profiles = profiles();
        profiles.set("grain", &0.25.to_value());
        let properties = profiles.choose(|own| *own = content(3840, 2160, 24.0)).unwrap();
        let own = Properties { model: "own".into(), grain: 0.25, ..Properties::default() };
        assert_eq!(properties, Properties { bypass: true, blend: 0.5, ..own.clone() });
        assert_eq!(profiles.choose(|own| own.width = 1920), Some(own));
    }

    #[test]
    fn errors_say_what_is_wrong_and_what_is_expected() {
        gst::init().unwrap();
        let error = |text: &str| parse("file", text).unwrap_err().to_string();
        let setting = |text: &str| error(&format!("[[profile]]\nset = {{ {text} }}"));
        assert!(setting("threads = 2").contains("expected one of: model, denoise"));
        assert!(setting("profiles = 'x'").contains("not a property that can change"));
        assert!(setting("blend = 2").ends_with("set blend to 2; expected a number from 0 to 1"));
        assert!(setting("reuse = 'some'").ends_with("expected one of: off, exact, tolerant"));
        assert!(setting("bypass = 1").ends_with("expected true or false"));
        assert!(setting("model = 1").ends_with("expected a text"));
        assert!(error("[[profile]]\nmax-heigth = 5").contains("max-heigth"));
        let missing = Profiles {
            own: Properties { profiles: "/no/file".into(), ..Properties::default() },
            ..Profiles::default()
        }
        .read();
        assert!(
            missing.unwrap_err().to_string().starts_with("cannot read the profiles in /no/file")
        );
    }
}
