//! From the value of `model=` to a [`Model`].

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use super::{
    Description, Error, Graph, Model, Opened,
    architecture::{self, Hints},
    bounded_file, catalogue,
    checkpoint::{self, StateDict},
    denoise,
    fault::Fault,
    join,
    locate::locate,
    mpv_shader, ncnn, onnx, tensorflow,
};

/// Options of [`Model::open_with`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OpenOptions {
    /// The denoise strength, 0..=1, of `realesr-general-x4v3` (0: its `-wdn-` counterpart, 1: the
    /// model itself) and of pairs (0: the second checkpoint, 1: the first). `None`: the model
    /// itself; for a pair, halfway between the two.
    pub denoise: Option<f32>,
}

/// A model file format: its name for messages, how to recognize it, and its reader.
struct Format {
    name: &'static str,
    /// Takes the first bytes of the file, and its path.
    matches: fn(&[u8], &Path) -> bool,
    read: fn(&Path) -> Result<Graph, Error>,
}

/// The formats that are read into a graph. `.onnx` files, which keep their bytes, and checkpoints
/// are handled apart.
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
        name: "mpv .glsl",
        matches: |_, path| mpv_shader::matches(path),
        read: mpv_shader::read,
    },
    Format {
        name: "TensorFlow .pb",
        // A GraphDef starts with field 1, its first node; ONNX's ModelProto has an integer there.
        matches: |head, _| head.first() == Some(&0x0a),
        read: tensorflow::read,
    },
];

/// Protobuf's limit on the size of a message, in bytes.
const MAX_ONNX_SIZE: u64 = 2 << 30;

/// The most models of a chain. Every model has a factor of at least 1, and 64 is the largest factor
/// of a chain.
const MAX_CHAIN: usize = 16;

impl Model {
    /// Opens the model `name` with default options; see [`Model::open_with`].
    ///
    /// ```
    /// use gstupscale::model::Model;
    ///
    /// let model = Model::open("builtin")?;
    /// assert_eq!(model.info.factor, 2);
    /// # Ok::<(), gstupscale::model::Error>(())
    /// ```
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(name: &str) -> Result<Self, Error> {
        Self::open_with(name, &OpenOptions::default())
    }

    /// Opens the model `name`: `builtin`, a name of the [`catalogue`], a path, or several of these
    /// separated by commas, which run one after another. `a.pth+b.pth` is a pair: two checkpoints
    /// of one architecture, interpolated as [`OpenOptions::denoise`] says.
    ///
    /// Reads the files and analyses the graph, but creates no inference session.
    ///
    /// ```
    /// use gstupscale::model::{Model, OpenOptions};
    ///
    /// // Two passes of the same model enlarge by its factor squared.
    /// let twice = Model::open_with("builtin, builtin", &OpenOptions::default())?;
    /// assert_eq!(twice.info.factor, 4);
    /// # Ok::<(), gstupscale::model::Error>(())
    /// ```
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open_with(name: &str, options: &OpenOptions) -> Result<Self, Error> {
        Self::inspect(name, options, None)?.into_model()
    }

    /// [`Model::open_with`], except that an `.onnx` model need not be understood. `range` is the
    /// value of white of an `.onnx` model that does not state it.
    ///
    /// # Errors
    /// See [`Error`].
    pub(crate) fn inspect(
        name: &str,
        options: &OpenOptions,
        range: Option<f32>,
    ) -> Result<Opened, Error> {
        let parts: Vec<&str> = name.split(',').map(str::trim).collect();
        if let Some(strength) = options.denoise {
            denoise::check(strength, &parts).map_err(|fault| fault.at(Path::new(name)))?;
        }
        // A path may contain a comma.
        let [first, rest @ ..] = &parts[..] else { return open_part(name, options, range) };
        if rest.is_empty() || Path::new(name).exists() {
            return open_part(name, options, range);
        }
        if parts.len() > MAX_CHAIN {
            let why = format!("a chain has {} models; the maximum is {MAX_CHAIN}", parts.len());
            // The whole name may have thousands of letters.
            return Err(Fault::unsuitable(why).at(Path::new(first)));
        }
        let mut graph = graph_of(first, options)?;
        for next in rest {
            let second = graph_of(next, options)?;
            graph = join::join(&graph, &second).map_err(|error| {
                Fault::unsuitable(format!("{next} cannot follow {first}: {error}"))
                    .at(Path::new(name))
            })?;
        }
        Ok(Opened::Known(Self::from_graph(name, Path::new(name), graph)?))
    }
}

/// The graph of one part of a chain.
fn graph_of(name: &str, options: &OpenOptions) -> Result<Graph, Error> {
    let model = open_part(name, options, None)?.into_model()?;
    let unknown = || {
        Fault::unsuitable("it has operators that are not supported in a chain").at(Path::new(name))
    };
    model.graph.map(Arc::unwrap_or_clone).ok_or_else(unknown)
}

/// Opens one part of a chain: a built-in model, a catalogue entry, a path, or a pair.
fn open_part(name: &str, options: &OpenOptions, range: Option<f32>) -> Result<Opened, Error> {
    let path = Path::new(name);
    if let Some(entry) = catalogue::find(name).filter(|entry| entry.url.is_none()) {
        return match catalogue::built_in(&entry.name) {
            Some(bytes) => onnx::open(name, path, bytes).map(Opened::Known),
            None => Err(not_found(path)),
        };
    }
    if let Some([first, second]) = denoise::pair(name) {
        let [first, second] = [locate(first)?, locate(second)?];
        for path in [&first, &second] {
            if !checkpoint::matches(&head(path)?) {
                let why = "both models of a pair must be .pth or .safetensors files";
                return Err(Fault::unsuitable(why).at(path));
            }
        }
        let share = options.denoise.unwrap_or(denoise::DEFAULT_SHARE);
        let mixed = denoise::mixed(&first, &second, share)?;
        return open_weights(name, path, &mixed).map(Opened::Known);
    }
    open_file(name, &locate(name)?, options, range)
}

fn open_file(
    name: &str,
    path: &Path,
    options: &OpenOptions,
    range: Option<f32>,
) -> Result<Opened, Error> {
    let head = head(path)?;
    if checkpoint::matches(&head) {
        let weights = denoise::weights(path, options.denoise)?;
        return open_weights(name, path, &weights).map(Opened::Known);
    }
    denoise::check_not_interpolated(path, options.denoise)?;
    if let Some(format) = FORMATS.iter().find(|format| (format.matches)(&head, path)) {
        return Model::from_graph(name, path, (format.read)(path)?).map(Opened::Known);
    }
    // An ONNX model starts with its IR version; otherwise its name must say what it is.
    let onnx = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("onnx"));
    if !onnx && !matches!(head[..], [0x08, 1..=20, ..]) {
        let formats: Vec<&str> = FORMATS.iter().map(|format| format.name).collect();
        let why = format!(
            "expected one of .onnx, PyTorch .pth and .pt, .safetensors, {}",
            formats.join(", ")
        );
        return Err(Error::Unknown { path: path.into(), why });
    }
    onnx::inspect(name, path, bounded_file::read(path, MAX_ONNX_SIZE)?, range)
}

/// The model with these weights. The name of the file at `path`, and its sidecar, supply what the
/// weights do not determine.
fn open_weights(name: &str, path: &Path, weights: &StateDict) -> Result<Model, Error> {
    let network = Hints::of(path).and_then(|hints| architecture::recognize(weights, &hints));
    let (architecture, graph) = network.map_err(|fault| fault.at(path))?;
    let mut model = Model::from_graph(name, path, graph)?;
    let described = Description::of(weights.metadata());
    *model.description = Description { architecture: Some(architecture), ..described };
    Ok(model)
}

fn not_found(path: &Path) -> Error {
    Error::NotFound { path: path.into(), known: catalogue::names() }
}

/// The first bytes of a regular file.
fn head(path: &Path) -> Result<Vec<u8>, Error> {
    bounded_file::check_is_regular(path).map_err(|error| match error {
        Error::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => not_found(path),
        error => error,
    })?;
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(64).read_to_end(&mut head));
    read.map_err(|source| Error::Io { path: path.into(), source })?;
    Ok(head)
}
