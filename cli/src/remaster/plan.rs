//! The plan of a remaster: everything that decides what the output is, written once.

use std::{
    collections::BTreeMap,
    fmt, fs,
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    ops::Range,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{
    digest::hex,
    encode::Encoding,
    folder::{self, Folder},
    frame_table::{self, Frame, SegmentLength},
};
use crate::{
    cadence::{self, Scene, Schedule},
    clean::Clean,
    edit,
    look::Look,
    range::TimeRange,
    treatment::{Findings, Treatment},
};

/// Everything that decides what the output is. Two runs with equal plans give equal video, on any
/// machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of this format.
    pub format: u32,
    pub request: Requested,
    pub input: InputFile,
    pub output: PathBuf,
    /// Number of the video among the streams of the input.
    pub stream: usize,
    /// Added to every time of the input, in nanoseconds.
    pub lead: i64,
    /// SHA-256 of the model's weights.
    pub model: String,
    /// Values of the element's properties, with the backend and the precision that `auto` selected.
    pub properties: Properties,
    /// Caps with the size and the pixel aspect ratio of the enlarged frames.
    pub caps: String,
    pub encoding: Encoding,
    /// Versions of what decodes, enlarges and encodes.
    pub versions: BTreeMap<String, String>,
    /// Packets of the input that could not be decoded.
    pub lost: usize,
    pub estimate: Estimate,
    /// Numbers of each segment's frames.
    pub segments: Vec<Range<usize>>,
    /// How the pictures of each part of the film are stored in its frames.
    pub scenes: Vec<Scene>,
    /// What is wrong with the pictures, and what is done about it.
    pub findings: Findings,
    pub treatment: Treatment,
}

/// What the user asked for. A folder is continued only if that is the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Requested {
    /// Values of the element's properties.
    pub properties: Properties,
    /// Size of the output in pixels.
    pub width: Option<i32>,
    pub height: Option<i32>,
    pub codec: String,
    /// The GStreamer element that encodes. `None`: the usual one of the codec.
    pub encoder: Option<String>,
    pub quality: Option<u32>,
    pub preset: String,
    /// Names and values.
    pub encoder_options: Vec<(String, String)>,
    pub range: TimeRange,
    pub segment: SegmentLength,
    /// How interlaced and telecined parts are treated.
    pub cadence: cadence::Options,
    #[serde(flatten)]
    pub edit: edit::Options,
    /// The digest of the picture of the watermark.
    #[serde(default)]
    pub watermark_picture: Option<String>,
    /// Whether the pictures are cleaned.
    pub clean: Clean,
    /// How the enlarged video looks.
    pub look: Look,
}

/// What a few frames of the film took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Seconds that a frame takes.
    pub seconds: f64,
    /// Bytes of an encoded frame.
    pub bytes: f64,
}

/// Values of the element's properties by name, as text.
pub type Properties = BTreeMap<String, String>;

/// The version that this program writes.
pub const FORMAT: u32 = 4;

/// The largest plan that is read, in bytes.
const MAX_BYTES: u64 = 1 << 26;

/// Why a plan cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0} holds no plan; make one with `gst-upscale remaster plan`")]
    NoPlan(PathBuf),
    #[error(
        "{path} was written by another version of gst-upscale (format {format}, expected {FORMAT})"
    )]
    Format { path: PathBuf, format: u64 },
    #[error("{folder} holds a plan for another job: {difference}; use --restart to discard it")]
    Differs { folder: PathBuf, difference: Difference },
    #[error("{0} has changed since the plan was made; use --restart to make a new plan")]
    InputChanged(PathBuf),
    #[error("{path} could not be read: {source}")]
    Input { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Folder(#[from] folder::Error),
}

/// The first entry in which two plans differ.
#[derive(Debug, PartialEq)]
pub struct Difference {
    /// Names of the entry and of those that contain it, with dots between them.
    pub entry: String,
    pub planned: Option<Value>,
    pub now: Option<Value>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<Value>| match value {
            Some(Value::String(text)) => text.clone(),
            None | Some(Value::Null) => "nothing".into(),
            Some(value) => value.to_string(),
        };
        write!(f, "{} was {}, now {}", self.entry, text(&self.planned), text(&self.now))
    }
}

/// The identity of the input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputFile {
    pub path: PathBuf,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 of the whole file.
    pub sha256: String,
    /// SHA-256 of the first and the last [`SAMPLE`] bytes, which a worker can check quickly.
    pub sample: String,
}

/// Bytes at each end of the input that are checked before every segment.
const SAMPLE: u64 = 1 << 20;

impl InputFile {
    /// Reads the whole file.
    ///
    /// # Errors
    /// [`Error::Input`].
    pub fn read(path: &Path) -> Result<Self, Error> {
        let read = || -> io::Result<Self> {
            let path = path.canonicalize()?;
            let mut file = File::open(&path)?;
            let mut hash = Sha256::new();
            let bytes = io::copy(&mut file, &mut hash)?;
            let sample = sample(&mut file, bytes)?;
            Ok(Self { path, bytes, sha256: hex(hash), sample })
        };
        read().map_err(|source| Error::Input { path: path.into(), source })
    }

    /// Checks the size and both ends of the file.
    ///
    /// # Errors
    /// [`Error::InputChanged`] or [`Error::Input`].
    pub fn check(&self) -> Result<(), Error> {
        let check = || -> io::Result<bool> {
            let mut file = File::open(&self.path)?;
            let bytes = file.metadata()?.len();
            Ok(bytes == self.bytes && sample(&mut file, bytes)? == self.sample)
        };
        match check() {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::InputChanged(self.path.clone())),
            Err(source) => Err(Error::Input { path: self.path.clone(), source }),
        }
    }
}

fn sample(file: &mut File, bytes: u64) -> io::Result<String> {
    let mut hash = Sha256::new();
    for start in [0, bytes.saturating_sub(SAMPLE)] {
        file.seek(SeekFrom::Start(start))?;
        io::copy(&mut file.take(SAMPLE), &mut hash)?;
    }
    Ok(hex(hash))
}

impl Plan {
    /// Writes the plan, which makes the folder complete.
    ///
    /// # Errors
    /// [`folder::Error::Write`].
    pub fn write(&self, folder: &Folder) -> Result<(), Error> {
        let data = serde_json::to_vec_pretty(self).map_err(io::Error::other);
        let path = folder.plan();
        let data = data.map_err(|source| folder::Error::Write { path: path.clone(), source })?;
        Ok(folder::write(&path, &data)?)
    }

    /// Reads the plan of a folder.
    ///
    /// # Errors
    /// [`Error::NoPlan`], [`Error::Format`], or [`Error::Folder`] if it cannot be read or is
    /// damaged.
    pub fn read(folder: &Folder) -> Result<Self, Error> {
        let path = folder.plan();
        if fs::symlink_metadata(&path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return Err(Error::NoPlan(folder.path().into()));
        }
        let data = folder::read(&path, MAX_BYTES)?;
        let damaged = |_| folder::Error::Damaged(path.clone());
        let value: Value = serde_json::from_slice(&data).map_err(damaged)?;
        if let Some(format) = value.get("format").and_then(Value::as_u64)
            && format != u64::from(FORMAT)
        {
            return Err(Error::Format { path, format });
        }
        let plan: Self = serde_json::from_value(value).map_err(damaged)?;
        let mut next = 0;
        let follows = |segment: &Range<usize>| {
            segment.start == std::mem::replace(&mut next, segment.end) && !segment.is_empty()
        };
        if !plan.segments.iter().all(follows) {
            return Err(folder::Error::Damaged(path).into());
        }
        Ok(plan)
    }

    /// The pictures that are made of these frames, the film.
    pub fn schedule(&self, frames: &[Frame]) -> Schedule {
        Schedule::new(&frame_table::times(frames), &self.scenes, self.request.cadence.rate)
    }

    /// The number of frames of the film.
    pub fn frames(&self) -> usize {
        self.segments.last().map_or(0, |segment| segment.end)
    }

    /// The first entry in which a request, made with programs of these versions, differs from that
    /// of the plan.
    pub fn difference(
        &self,
        request: &Requested,
        versions: &BTreeMap<String, String>,
    ) -> Option<Difference> {
        let value = |request: &Requested| serde_json::to_value(request).unwrap_or_default();
        let planned = value(&self.request);
        first_difference("", Some(&planned), Some(&value(request))).or_else(|| {
            let value = |versions| serde_json::to_value(versions).unwrap_or_default();
            first_difference("version", Some(&value(&self.versions)), Some(&value(versions)))
        })
    }
}

fn first_difference(
    entry: &str,
    planned: Option<&Value>,
    now: Option<&Value>,
) -> Option<Difference> {
    if let (Some(Value::Object(planned)), Some(Value::Object(now))) = (planned, now) {
        let mut names: Vec<_> = planned.keys().chain(now.keys()).collect();
        names.sort();
        let path =
            |name: &str| if entry.is_empty() { name.into() } else { format!("{entry}.{name}") };
        return names
            .into_iter()
            .find_map(|name| first_difference(&path(name), planned.get(name), now.get(name)));
    }
    let difference =
        || Difference { entry: entry.into(), planned: planned.cloned(), now: now.cloned() };
    (planned != now).then(difference)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn request() -> Requested {
        Requested {
            properties: [("scale".to_owned(), "2".to_owned())].into(),
            width: None,
            height: None,
            codec: "h264".into(),
            encoder: None,
            quality: None,
            preset: "fast".into(),
            encoder_options: Vec::new(),
            range: TimeRange::default(),
            segment: SegmentLength::about(12.0),
            cadence: cadence::Options::default(),
            edit: edit::Options::default(),
            watermark_picture: None,
            clean: Clean::Off,
            look: Look::Model,
        }
    }

    pub fn plan() -> Plan {
        Plan {
            format: FORMAT,
            request: request(),
            stream: 0,
            lead: 0,
            lost: 0,
            estimate: Estimate::default(),
            input: InputFile {
                path: "/films/old.mkv".into(),
                bytes: 7,
                sha256: "00".into(),
                sample: "11".into(),
            },
            output: "/films/new.mkv".into(),
            model: "22".into(),
            properties: [("scale".to_owned(), "2".to_owned())].into(),
            caps: "video/x-raw,width=1920,height=1080".into(),
            encoding: Encoding {
                caps: "video/x-raw,width=1920,height=1080".into(),
                rate: String::new(),
                encoder: "x264enc threads=4".into(),
            },
            versions: BTreeMap::new(),
            segments: vec![0..240, 240..500],
            scenes: Vec::new(),
            findings: Findings::default(),
            treatment: Treatment::default(),
        }
    }

    fn folder() -> (tempfile::TempDir, Folder) {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::of(&parent.path().join("new.mkv"));
        folder.create().unwrap();
        (parent, folder)
    }

    #[test]
    fn a_plan_is_read_as_it_was_written() {
        let (_parent, folder) = folder();
        plan().write(&folder).unwrap();
        assert_eq!(Plan::read(&folder).unwrap(), plan());
    }

    #[test]
    fn a_plan_that_cannot_be_used_is_refused_with_the_reason() {
        let (_parent, folder) = folder();
        assert!(matches!(Plan::read(&folder), Err(Error::NoPlan(_))));
        let gap = Plan { segments: vec![0..240, 241..500], ..plan() };
        gap.write(&folder).unwrap();
        assert!(matches!(Plan::read(&folder), Err(Error::Folder(folder::Error::Damaged(_)))));
        Plan { format: 9, ..plan() }.write(&folder).unwrap();
        assert!(matches!(Plan::read(&folder), Err(Error::Format { format: 9, .. })));
        fs::write(folder.plan(), "{").unwrap();
        assert!(matches!(Plan::read(&folder), Err(Error::Folder(folder::Error::Damaged(_)))));
    }

    #[test]
    fn a_difference_names_the_entry_and_both_values() {
        assert_eq!(plan().difference(&request(), &BTreeMap::new()), None);
        let difference =
            |request: &Requested| plan().difference(request, &BTreeMap::new()).unwrap().to_string();
        let mut other = request();
        other.properties.insert("scale".into(), "3".into());
        assert_eq!(difference(&other), "properties.scale was 2, now 3");
        let mut other = request();
        other.properties.insert("model".into(), "a.pth".into());
        assert_eq!(difference(&other), "properties.model was nothing, now a.pth");
        let versions = [("gstreamer".to_owned(), "2.0".to_owned())].into();
        let text = plan().difference(&request(), &versions).unwrap().to_string();
        assert_eq!(text, "version.gstreamer was nothing, now 2.0");
    }

    #[test]
    fn an_input_that_has_changed_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("film");
        fs::write(&path, "film").unwrap();
        let input = InputFile::read(&path).unwrap();
        input.check().unwrap();
        for other in ["flim", "film "] {
            fs::write(&path, other).unwrap();
            assert!(matches!(input.check(), Err(Error::InputChanged(_))));
        }
        fs::remove_file(&path).unwrap();
        assert!(matches!(input.check(), Err(Error::Input { .. })));
    }
}
