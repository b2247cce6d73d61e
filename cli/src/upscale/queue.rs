//! Several inputs, one after the other.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{media::container::Container, part_file};

/// A file to enlarge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub input: PathBuf,
    pub output: PathBuf,
}

/// Why there is no queue.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path} could not be read: {why}")]
    Read { path: PathBuf, why: io::ErrorKind },
    #[error("{0} contains no video and no picture; use --recursive to look into its folders")]
    Empty(PathBuf),
    #[error("{0} is a file; name a folder for the results of several inputs")]
    OutputFile(PathBuf),
}

/// How inputs are found.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Search {
    /// Enlarge the files in the folders of INPUT too. Their results have the same folders in OUTPUT.
    #[arg(short, long)]
    recursive: bool,
    /// INPUT is a text file with the path of an input in each line.
    #[arg(long)]
    list: bool,
}

/// Extensions of the files that are taken from a folder.
const EXTENSIONS: [&str; 36] = [
    "3gp", "asf", "avi", "bmp", "divx", "dv", "flv", "gif", "jpeg", "jpg", "m2ts", "m2v", "m4v",
    "mkv", "mov", "mp4", "mpeg", "mpg", "mts", "mxf", "nut", "ogg", "ogm", "ogv", "png", "rm",
    "tif", "tiff", "ts", "vob", "webm", "webp", "wmv", "y4m", "h264", "h265",
];

impl Search {
    /// The files to enlarge. `None` for a single one, whose result is `output` itself.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn entries(self, inputs: &[PathBuf], output: &Path) -> Result<Option<Vec<Entry>>, Error> {
        let is_folder = |path: &PathBuf| path.is_dir();
        if inputs.len() == 1 && !self.list && !inputs.iter().any(is_folder) {
            return Ok(None);
        }
        if output.is_file() {
            return Err(Error::OutputFile(output.into()));
        }
        let mut found: Vec<(PathBuf, PathBuf)> = Vec::new();
        for input in inputs {
            if self.list {
                let listed = listed(input)?;
                found.extend(listed.into_iter().map(|path| (name(&path), path)));
            } else if input.is_dir() {
                let before = found.len();
                self.search(input, Path::new(""), output, &mut found)?;
                if found.len() == before {
                    return Err(Error::Empty(input.clone()));
                }
            } else {
                found.push((name(input), input.clone()));
            }
        }
        let mut taken = HashSet::new();
        let entry = |(name, input): (PathBuf, PathBuf)| {
            let mut result = output.join(result_name(&name, false));
            if !taken.insert(result.clone()) {
                result = output.join(result_name(&name, true));
                taken.insert(result.clone());
            }
            Entry { input, output: result }
        };
        Ok(Some(found.into_iter().map(entry).collect()))
    }

    /// Adds the files of a folder, with their paths below it. The results of earlier runs are no
    /// inputs.
    fn search(
        self,
        folder: &Path,
        below: &Path,
        output: &Path,
        found: &mut Vec<(PathBuf, PathBuf)>,
    ) -> Result<(), Error> {
        let failed = |error: io::Error| Error::Read { path: folder.into(), why: error.kind() };
        let mut files = Vec::new();
        for file in fs::read_dir(folder).map_err(failed)? {
            files.push(file.map_err(failed)?.path());
        }
        files.sort();
        for path in files {
            let name = below.join(name(&path));
            let is_result = path.canonicalize().ok() == output.canonicalize().ok();
            if path.is_dir() {
                if self.recursive && !is_result && !is_work_folder(&path) {
                    self.search(&path, &name, output, found)?;
                }
            } else if is_media(&path) {
                found.push((name, path));
            }
        }
        Ok(())
    }
}

/// The paths in a list. Empty lines do not count; relative paths begin at the list.
fn listed(list: &Path) -> Result<Vec<PathBuf>, Error> {
    let text = fs::read_to_string(list)
        .map_err(|error| Error::Read { path: list.into(), why: error.kind() })?;
    let folder = list.parent().unwrap_or(Path::new(""));
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(lines.map(|line| folder.join(line)).collect())
}

fn name(path: &Path) -> PathBuf {
    path.file_name().unwrap_or_default().into()
}

fn extension(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase()
}

/// Whether the name is that of a film or a picture, and the file is not hidden.
pub fn is_media(path: &Path) -> bool {
    let is_hidden = name(path).to_string_lossy().starts_with('.');
    !is_hidden && path.is_file() && EXTENSIONS.contains(&extension(path).as_str())
}

fn is_work_folder(path: &Path) -> bool {
    extension(path) == "remaster"
}

/// The name of the result: the input's, if that is a format of outputs, otherwise that of a Matroska
/// file. `is_taken` says that another input has this name.
fn result_name(name: &Path, is_taken: bool) -> PathBuf {
    let is_output = Container::of(name).is_ok();
    match (is_output, is_taken) {
        (true, false) => name.into(),
        (false, false) => name.with_extension("mkv"),
        (_, true) => {
            let mut name = name.as_os_str().to_owned();
            name.push(".mkv");
            name.into()
        }
    }
}

/// Creates the folder of an output.
///
/// # Errors
/// [`part_file::Error::NoDirectory`].
pub fn create_folder(output: &Path) -> Result<(), part_file::Error> {
    let folder = output.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|_| part_file::Error::NoDirectory {
        path: output.into(),
        directory: folder.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAT: Search = Search { recursive: false, list: false };
    const DEEP: Search = Search { recursive: true, list: false };
    const LIST: Search = Search { recursive: false, list: true };

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.mp4", "a.avi", "a.mkv", "notes.txt", ".hidden.mkv"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        for inner in ["deep", "a.mkv.remaster", "out"] {
            fs::create_dir(folder.path().join(inner)).unwrap();
            fs::write(folder.path().join(inner).join("c.ts"), "").unwrap();
        }
        folder
    }

    /// The results below the output.
    fn results(search: Search, inputs: &[PathBuf], output: &Path) -> Vec<String> {
        let entries = search.entries(inputs, output).unwrap().unwrap();
        let below = |entry: &Entry| entry.output.strip_prefix(output).unwrap().to_owned();
        entries.iter().map(|entry| below(entry).to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_videos_of_a_folder_get_different_results() {
        let folder = folder();
        let (inputs, output) = ([folder.path().to_owned()], folder.path().join("out"));
        assert_eq!(results(FLAT, &inputs, &output), ["a.mkv", "a.mkv.mkv", "b.mp4"]);
        let deep = results(DEEP, &inputs, &output);
        assert_eq!(deep, ["a.mkv", "a.mkv.mkv", "b.mp4", "deep/c.mkv"]);
    }

    #[test]
    fn a_list_names_files_relative_to_itself() {
        let folder = folder();
        let list = folder.path().join("list");
        fs::write(&list, "b.mp4\n\n  /films/c.mov  \n").unwrap();
        let entries = LIST.entries(&[list], Path::new("out")).unwrap().unwrap();
        let inputs: Vec<_> = entries.iter().map(|entry| entry.input.clone()).collect();
        assert_eq!(inputs, [folder.path().join("b.mp4"), "/films/c.mov".into()]);
    }

    #[test]
    fn one_file_is_no_queue_and_a_file_is_no_folder() {
        let folder = folder();
        let file = folder.path().join("b.mp4");
        assert_eq!(FLAT.entries(std::slice::from_ref(&file), Path::new("out.mkv")).unwrap(), None);
        let both = [file.clone(), file.clone()];
        assert!(matches!(FLAT.entries(&both, &file), Err(Error::OutputFile(_))));
        let empty = tempfile::tempdir().unwrap();
        let inputs = [empty.path().to_owned()];
        assert!(matches!(FLAT.entries(&inputs, Path::new("out")), Err(Error::Empty(_))));
    }
}
