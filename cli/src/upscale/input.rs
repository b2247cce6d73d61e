//! Where the input comes from.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd as _, AsRawFd as _, OwnedFd},
        unix::fs::FileTypeExt as _,
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use gst::{glib, prelude::*};

use super::{Error, elements::make, mp4::Mp4Header};

/// The input, open where that is possible only once.
#[derive(Debug)]
pub enum Input {
    /// A file, which can be read several times.
    File { path: PathBuf, mp4: Arc<Mp4Header> },
    /// A pipe or standard input, which can be read once.
    Pipe(OwnedFd),
    /// An address such as `https://…`.
    Uri(String),
}

impl Input {
    /// The input that `path` names: a file, a named pipe, `-` for standard input, or a URL.
    ///
    /// # Errors
    /// [`Error::NoInput`], [`Error::InputDirectory`] or [`Error::ReadInput`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        if path == Path::new("-") {
            let failed =
                |error: io::Error| Error::ReadInput { path: path.into(), why: error.kind() };
            return Ok(Self::Pipe(io::stdin().as_fd().try_clone_to_owned().map_err(failed)?));
        }
        if let Some(uri) = path.to_str().filter(|text| is_uri(text)) {
            return Ok(Self::Uri(uri.to_owned()));
        }
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Error::NoInput(path.into()),
            why => Error::ReadInput { path: path.into(), why },
        };
        let kind = path.metadata().map_err(failed)?.file_type();
        if kind.is_dir() {
            return Err(Error::InputDirectory(path.into()));
        }
        // Opening a named pipe waits for a writer.
        let file = File::open(path).map_err(failed)?;
        if kind.is_fifo() || kind.is_char_device() || kind.is_socket() {
            return Ok(Self::Pipe(file.into()));
        }
        let mp4 = Arc::new(Mp4Header::read(&file).unwrap_or_default());
        Ok(Self::File { path: path.into(), mp4 })
    }

    /// What messages call it.
    pub fn name(&self) -> PathBuf {
        match self {
            Self::File { path, .. } => path.clone(),
            Self::Pipe(_) => "the input".into(),
            Self::Uri(uri) => uri.into(),
        }
    }

    /// The file, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File { path, .. } => Some(path),
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
            Self::File { path, .. } => {
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
        }
    }
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
        std::fs::write(&missing, "").unwrap();
        assert!(matches!(Input::open(&missing), Ok(Input::File { .. })));
    }
}
