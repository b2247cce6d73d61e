//! From what a user writes for `model=` to a [`Model`].

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::{
    Error, Graph, Model, analysis,
    architecture::{self, Hints},
    catalogue,
    checkpoint::{self, StateDict},
    denoise,
    fault::Fault,
    join, ncnn,
    onnx::{self, Layout},
    order, tensorflow,
};

/// How a model is to be opened.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OpenOptions {
    /// Strength of denoising, 0..1, of `realesr-general-x4v3` (0: its `-wdn-` partner, 1: it
    /// alone) and of pairs (0: the second, 1: the first); `None`: the model as it is, a pair
    /// half and half.
    pub denoise: Option<f32>,
}

/// A kind of model file: how its first bytes (and its name) look, and its reader.
struct Format {
    name: &'static str,
    matches: fn(&[u8], &Path) -> bool,
    read: fn(&Path) -> Result<Graph, Error>,
}

/// The kinds that are read into a graph. `.onnx`, which keeps its own bytes, is not among them.
const FORMATS: &[Format] = &[
    Format {
        name: "ncnn .param and .bin",
        matches: |head, path| {
            let text = head.trim_ascii_start();
            text.starts_with(b"7767517") || path.extension().is_some_and(|end| end == "bin")
        },
        read: ncnn::read,
    },
    Format {
        name: "TensorFlow .pb",
        // A GraphDef begins with its first node; an ONNX model has no field of that number.
        matches: |head, _| head.first() == Some(&0x0a),
        read: tensorflow::read,
    },
];

/// The longest `.onnx`: what protobuf allows.
const LONGEST: u64 = 2 << 30;

impl Model {
    /// The model that `name` means, with the default options. See [`Model::open_with`].
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(name: &str) -> Result<Self, Error> {
        Self::open_with(name, &OpenOptions::default())
    }

    /// The model that `name` means: `builtin`, a name of the catalogue, a path, or several of
    /// these with commas between them, which are run one after the other. `a.pth+b.pth` is a
    /// pair: what lies between two checkpoints of one architecture, as [`OpenOptions::denoise`]
    /// says.
    ///
    /// Reads the files and works out what they are; builds no session, so it is quick.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open_with(name: &str, options: &OpenOptions) -> Result<Self, Error> {
        let parts: Vec<&str> = name.split(',').map(str::trim).collect();
        if let Some(strength) = options.denoise {
            denoise::check(strength, &parts).map_err(|fault| fault.at(Path::new(name)))?;
        }
        // A path may have a comma in it.
        let [first, rest @ ..] = &parts[..] else { return part(name, options) };
        if rest.is_empty() || Path::new(name).exists() {
            return part(name, options);
        }
        let mut graph = graph_of(first, options)?;
        for next in rest {
            let second = graph_of(next, options)?;
            graph = join::join(&graph, &second).map_err(|why| {
                Fault::unsuitable(format!(
                    "{first} and {next} do not go one after the other: {why}"
                ))
                .at(Path::new(name))
            })?;
        }
        Self::from_graph(name, Path::new(name), graph)
    }

    /// A model from a graph that follows the contract (see [`crate::model`]), save for a margin
    /// that it may crop. `path` is for messages.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a graph that is none, [`Error::Unsuitable`] for one that cannot
    /// enlarge.
    pub fn from_graph(name: &str, path: &Path, mut graph: Graph) -> Result<Self, Error> {
        order::sort(&mut graph).map_err(|why| Fault::damaged(why).at(path))?;
        let unsuitable = |why: String| Fault::unsuitable(why).at(path);
        let mut found = analysis::analyze(&graph).map_err(unsuitable)?;
        if found.missing != [0, 0] {
            graph = join::complete(&graph, &found).map_err(unsuitable)?;
            found = analysis::analyze(&graph).map_err(unsuitable)?;
        }
        let onnx = onnx::write(&graph, Layout::default()).map_err(unsuitable)?;
        Ok(Self {
            name: name.into(),
            info: found.info,
            digest: digest([&onnx]),
            onnx,
            external: None,
            graph: Some(Arc::new(graph)),
        })
    }

    /// The model's ONNX bytes at another precision, batch or size.
    ///
    /// # Errors
    /// [`Error::Unsuitable`] where the model cannot be written so.
    pub fn onnx_at(&self, layout: Layout) -> Result<Bytes, Error> {
        let written = match &self.graph {
            _ if layout == Layout::default() => Ok(self.onnx.clone()),
            Some(graph) => onnx::write(graph, layout),
            None => onnx::resized(&self.onnx, layout),
        };
        written.map_err(|why| Fault::unsuitable(why).at(Path::new(&self.name)))
    }
}

fn graph_of(name: &str, options: &OpenOptions) -> Result<Graph, Error> {
    let model = part(name, options)?;
    let unknown = || {
        Fault::unsuitable("it has operators that cannot be put into a chain").at(Path::new(name))
    };
    model.graph.map(Arc::unwrap_or_clone).ok_or_else(unknown)
}

/// One part of a chain: built in, of the catalogue, a path, or a pair of checkpoints.
fn part(name: &str, options: &OpenOptions) -> Result<Model, Error> {
    let path = Path::new(name);
    if let Some(entry) = catalogue::find(name).filter(|entry| entry.url.is_none()) {
        return match catalogue::built_in(&entry.name) {
            Some(bytes) => onnx::open(name, path, bytes),
            None => Err(not_found(path)),
        };
    }
    if let Some(pair) = denoise::pair(name) {
        let [first, second] = [locate(pair[0])?, locate(pair[1])?];
        for path in [&first, &second] {
            if !checkpoint::matches(&head(path)?) {
                return Err(Fault::unsuitable("a pair is of .pth or .safetensors files").at(path));
            }
        }
        let share = options.denoise.unwrap_or(denoise::HALF);
        return checkpoint_model(name, path, denoise::mixed(&first, &second, share));
    }
    file(name, &locate(name)?, options)
}

/// The file that a path, or a name of the catalogue, means.
pub(super) fn locate(name: &str) -> Result<PathBuf, Error> {
    // A file of the user's wins over a name of the catalogue.
    match catalogue::find(name) {
        Some(entry) if entry.url.is_none() => {
            let why = "the built-in model cannot be one of a pair: name two files";
            Err(Fault::unsuitable(why).at(Path::new(name)))
        }
        Some(entry) if !Path::new(name).is_file() => match entry.path() {
            Some(path) if path.is_file() => Ok(path),
            _ => Err(Error::NotFetched { name: entry.name.clone() }),
        },
        _ => Ok(name.into()),
    }
}

fn file(name: &str, path: &Path, options: &OpenOptions) -> Result<Model, Error> {
    let head = head(path)?;
    if checkpoint::matches(&head) {
        return checkpoint_model(name, path, denoise::weights(path, options.denoise));
    }
    denoise::refuse_whole(path, options.denoise)?;
    if let Some(format) = FORMATS.iter().find(|format| (format.matches)(&head, path)) {
        return Model::from_graph(name, path, (format.read)(path)?);
    }
    // An ONNX model begins with its IR version, or goes by its name.
    let onnx = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("onnx"));
    if !onnx && !matches!(head[..], [0x08, 1..=20, ..]) {
        let known: Vec<&str> = FORMATS.iter().map(|format| format.name).collect();
        let why = format!(
            "its content is none of .onnx, PyTorch .pth and .pt, .safetensors, {}",
            known.join(", ")
        );
        return Err(Error::Unknown { path: path.into(), why });
    }
    onnx::open(name, path, read(path)?)
}

/// The model of a checkpoint's weights; what they do not tell, `path` does.
fn checkpoint_model(
    name: &str,
    path: &Path,
    weights: Result<StateDict, Error>,
) -> Result<Model, Error> {
    let weights = weights?;
    let hints = Hints::of(path).map_err(|why| Fault::unsuitable(why).at(path))?;
    let graph = architecture::graph(&weights, &hints).map_err(|fault| fault.at(path))?;
    Model::from_graph(name, path, graph)
}

fn not_found(path: &Path) -> Error {
    Error::NotFound { path: path.into(), known: catalogue::names() }
}

/// The file's first bytes.
fn head(path: &Path) -> Result<Vec<u8>, Error> {
    let io = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => not_found(path),
        _ => Error::Io { path: path.into(), source },
    };
    let kind = fs::metadata(path).map_err(io)?.file_type();
    // Opening a pipe would wait for someone to write to it.
    if !kind.is_file() {
        let why = if kind.is_dir() { "it is a folder" } else { "it is a device or a pipe" };
        return Err(Error::Unknown { path: path.into(), why: why.into() });
    }
    let mut head = Vec::new();
    File::open(path).and_then(|file| file.take(64).read_to_end(&mut head)).map_err(io)?;
    Ok(head)
}

fn read(path: &Path) -> Result<Bytes, Error> {
    let io = |source| Error::Io { path: path.into(), source };
    let file = File::open(path).map_err(io)?;
    let size = file.metadata().map_err(io)?.len();
    let mut bytes = Vec::with_capacity(usize::try_from(size.min(LONGEST)).unwrap_or(0));
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > LONGEST {
        return Err(Fault::damaged(format!("it has more than {LONGEST} bytes")).at(path));
    }
    Ok(bytes.into())
}

/// Lower-case hexadecimal SHA-256 of all of these.
pub(super) fn digest<'a>(parts: impl IntoIterator<Item = &'a Bytes>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
