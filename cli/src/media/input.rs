//! Where the input comes from.

use std::{
    fs::{self, File},
    io,
    ops::Range,
    os::{
        fd::{AsFd as _, AsRawFd as _, OwnedFd},
        unix::fs::FileTypeExt as _,
    },
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use gst::{glib, prelude::*};
use gst_app::{AppSrc, AppSrcCallbacks};

use super::{
    Error,
    elements::make,
    mp4::Mp4Header,
    sequence::{FrameRate, Pattern},
    signals::Signals,
};

/// The input, open where that is possible only once.
#[derive(Debug)]
pub enum Input {
    /// A file, which can be read several times.
    File { path: PathBuf, mp4: Arc<Mp4Header> },
    /// A named pipe that is not open yet.
    NamedPipe(PathBuf),
    /// A pipe or standard input, which can be read once.
    Pipe(OwnedFd),
    /// An address such as `https://…`.
    Uri(String),
    /// Pictures that are the frames of a film.
    Sequence { pattern: Pattern, numbers: Range<u64>, rate: gst::Fraction },
}

impl Input {
    /// The input that `path` names: a file, a named pipe, `-` for standard input, a URL, or a sequence
    /// of pictures.
    ///
    /// # Errors
    /// [`Error::NoInput`], [`Error::InputDirectory`], [`Error::ReadInput`] or [`Error::Gap`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        if path == Path::new("-") {
            let failed =
                |error: io::Error| Error::ReadInput { path: path.into(), why: error.kind() };
            return Ok(Self::Pipe(io::stdin().as_fd().try_clone_to_owned().map_err(failed)?));
        }
        if let Some(uri) = path.to_str().filter(|text| is_uri(text)) {
            return match glib::filename_from_uri(uri) {
                Ok((path, _)) => Self::open(&path),
                Err(_) => Ok(Self::Uri(uri.to_owned())),
            };
        }
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Error::NoInput(path.into()),
            why => Error::ReadInput { path: path.into(), why },
        };
        let kind = match (path.metadata(), Pattern::of(path)) {
            (Ok(data), _) => data.file_type(),
            (Err(_), Some(pattern)) => return Self::sequence(pattern, path),
            (Err(error), None) => return Err(failed(error)),
        };
        if kind.is_dir() {
            return Err(Error::InputDirectory(path.into()));
        }
        if kind.is_fifo() || kind.is_char_device() || kind.is_socket() {
            return Ok(Self::NamedPipe(path.into()));
        }
        let file = File::open(path).map_err(failed)?;
        let mp4 = Arc::new(Mp4Header::read(&file).unwrap_or_default());
        Ok(Self::File { path: path.into(), mp4 })
    }

    fn sequence(pattern: Pattern, path: &Path) -> Result<Self, Error> {
        let failed = |error: io::Error| Error::ReadInput { path: path.into(), why: error.kind() };
        let numbers = pattern.numbers().map_err(failed)?;
        let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else {
            return Err(Error::NoInput(path.into()));
        };
        if let Some((_, missing)) = numbers.iter().zip(*first..).find(|(found, it)| *found != it) {
            return Err(Error::Gap { missing: pattern.path(missing), last: pattern.path(*last) });
        }
        let rate = FrameRate::default().0;
        Ok(Self::Sequence { pattern, numbers: *first..*last + 1, rate })
    }

    /// Opens a named pipe, which waits for a writer. `false` if a signal arrives first.
    ///
    /// # Errors
    /// [`Error::ReadInput`].
    pub fn connect(&mut self, signals: &Signals) -> Result<bool, Error> {
        let Self::NamedPipe(path) = self else { return Ok(true) };
        let failed = |error: io::Error| Error::ReadInput { path: path.clone(), why: error.kind() };
        let Some(file) = open_pipe(path, signals) else { return Ok(false) };
        *self = Self::Pipe(file.map_err(failed)?.into());
        Ok(true)
    }

    /// Sets the frame rate of a sequence of pictures.
    ///
    /// # Errors
    /// [`Error::FrameRate`] if the input is none.
    pub fn set_rate(&mut self, given: FrameRate) -> Result<(), Error> {
        match self {
            Self::Sequence { rate, .. } => *rate = given.0,
            _ => return Err(Error::FrameRate(self.name())),
        }
        Ok(())
    }

    /// What messages call it.
    pub fn name(&self) -> PathBuf {
        match self {
            Self::File { path, .. } => path.clone(),
            Self::NamedPipe(path) => path.clone(),
            Self::Pipe(_) => "the input".into(),
            Self::Uri(uri) => uri.into(),
            Self::Sequence { pattern, .. } => pattern.to_string().into(),
        }
    }

    /// The file, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File { path, .. } => Some(path),
            _ => None,
        }
    }

    /// Whether the input can be read several times.
    pub fn is_repeatable(&self) -> bool {
        matches!(self, Self::File { .. } | Self::Sequence { .. })
    }

    /// The frame rate of a sequence of pictures.
    pub fn rate(&self) -> Option<gst::Fraction> {
        match self {
            Self::Sequence { rate, .. } => Some(*rate),
            _ => None,
        }
    }

    /// What the header of an MP4 file says.
    pub fn mp4(&self) -> Option<&Arc<Mp4Header>> {
        match self {
            Self::File { mp4, .. } => Some(mp4),
            _ => None,
        }
    }

    /// A new element that reads the input.
    ///
    /// # Errors
    /// [`Error::MissingElement`], or [`Error::Uri`] if no element reads such addresses.
    pub fn source(&self) -> Result<gst::Element, Error> {
        match self {
            Self::File { path, .. } | Self::NamedPipe(path) => {
                let source = make("filesrc")?;
                source.set_property("location", path);
                Ok(source)
            }
            Self::Pipe(descriptor) => {
                let source = make("fdsrc")?;
                source.set_property("fd", descriptor.as_raw_fd());
                Ok(source)
            }
            Self::Uri(uri) => {
                let failed = |error: glib::Error| Error::Uri { uri: uri.clone(), error };
                gst::Element::make_from_uri(gst::URIType::Src, uri, None).map_err(failed)
            }
            Self::Sequence { pattern, numbers, .. } => {
                Ok(read_files(pattern.clone(), numbers.clone()).upcast())
            }
        }
    }
}

/// Opens a pipe, which waits for a writer; `None` if a signal arrives first.
fn open_pipe(path: &Path, signals: &Signals) -> Option<io::Result<File>> {
    let (opened, wait) = mpsc::channel();
    let path = path.to_path_buf();
    thread::spawn(move || opened.send(File::open(path)));
    loop {
        match wait.recv_timeout(Duration::from_millis(100)) {
            Ok(file) => return Some(file),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                return Some(Err(io::ErrorKind::Other.into()));
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                if signals.take().is_some() {
                    return None;
                }
            }
        }
    }
}

/// An element that outputs the content of each file as one buffer.
fn read_files(pattern: Pattern, mut numbers: Range<u64>) -> AppSrc {
    let source = AppSrc::builder().build();
    let callbacks = AppSrcCallbacks::builder().need_data(move |source, _| {
        let Some(number) = numbers.next() else {
            let _ = source.end_of_stream();
            return;
        };
        let path = pattern.path(number);
        match fs::read(&path) {
            // It fails if the pipeline is being shut down.
            Ok(file) => _ = source.push_buffer(gst::Buffer::from_mut_slice(file)),
            Err(error) => {
                let path = path.display();
                gst::element_error!(source, gst::ResourceError::Read, ("{path}: {error}"));
            }
        }
    });
    source.set_callbacks(callbacks.build());
    source
}

/// Whether the text begins with a scheme (RFC 3986, 3.1) of two letters or more, and `//`.
fn is_uri(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| {
        scheme.len() > 1
            && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.chars().all(|it| it.is_ascii_alphanumeric() || "+-.".contains(it))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme() {
        for text in ["http://a/b.mkv", "rtsp://host", "file:///a"] {
            assert!(is_uri(text), "{text}");
        }
        for text in ["a.mkv", "a://b", "/a/b", "1a://b", "a b://c"] {
            assert!(!is_uri(text), "{text}");
        }
    }

    #[test]
    fn only_a_missing_file_does_not_exist() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(Input::open(folder.path()), Err(Error::InputDirectory(_))));
        let missing = folder.path().join("none.mkv");
        assert!(matches!(Input::open(&missing), Err(Error::NoInput(_))));
        fs::write(&missing, "").unwrap();
        assert!(matches!(Input::open(&missing), Ok(Input::File { .. })));
        let uri = format!("file://{}", missing.display());
        assert!(matches!(Input::open(Path::new(&uri)), Ok(Input::File { .. })));
    }

    #[test]
    fn a_sequence_has_no_gaps() {
        let folder = tempfile::tempdir().unwrap();
        let pattern = folder.path().join("f%03d.png");
        assert!(matches!(Input::open(&pattern), Err(Error::NoInput(_))));
        for number in [3, 4, 6] {
            fs::write(folder.path().join(format!("f{number:03}.png")), "").unwrap();
        }
        let error = Input::open(&pattern).unwrap_err().to_string();
        assert!(error.contains("f005.png"), "{error}");
        fs::write(folder.path().join("f005.png"), "").unwrap();
        let input = Input::open(&pattern).unwrap();
        assert!(matches!(input, Input::Sequence { numbers, .. } if numbers == (3..7)));
    }
}
