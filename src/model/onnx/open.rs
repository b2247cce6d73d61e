//! From an `.onnx` file to a [`Model`].

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use prost::Message;

use super::{
    Layout,
    adapt::adapters,
    proto::{
        ModelProto,
        tensor_shape_proto::{Dimension, dimension},
        type_proto,
    },
    read::{Import, import},
    settings::{PREFIX, Settings},
    splice::splice,
    write::write,
};
use crate::{
    frame::Channels,
    model::{
        Attribute, Description, Element, Error, Graph, Model, ModelInfo, Node, Opened, Untried,
        analysis::{Analysis, AnalysisError, Problem, analyze, check_stated_shapes, check_window},
        digest::sha256_hex,
        fault::Fault,
        join::{self, join},
    },
};

/// The memory estimate of a model whose graph cannot be analysed.
const ASSUMED_PEAK_FLOATS_PER_PIXEL: f64 = 1024.0;

/// Opens the model at `path`, whose content is `bytes`. Keeps those bytes, unless it needs
/// adapters. `name` is for messages; settings and external weights are read from the folder of
/// `path`.
///
/// # Errors
/// [`Error::Damaged`] or [`Error::Unsuitable`].
pub fn open(name: &str, path: &Path, bytes: Bytes) -> Result<Model, Error> {
    inspect(name, path, bytes, None)?.into_model()
}

/// [`open()`], except that the model need not be understood. `range` is the value of white if the
/// file and its settings have none.
///
/// # Errors
/// [`Error::Damaged`] or [`Error::Unsuitable`].
pub(crate) fn inspect(
    name: &str,
    path: &Path,
    bytes: Bytes,
    range: Option<f32>,
) -> Result<Opened, Error> {
    try_open(name, path, bytes, range).map_err(|fault| fault.at(path))
}

fn try_open(name: &str, path: &Path, bytes: Bytes, range: Option<f32>) -> Result<Opened, Fault> {
    let mut import = import(path, &bytes)?;
    if let Some(&Some(batch)) = import.graph.input_dims.first()
        && batch != 1
    {
        return Err(Fault::unsuitable(format!(
            "it processes {batch} images at a time; export it with a batch size of 1, or a dynamic one"
        )));
    }
    let mut settings = Settings::of(path, &import.proto)?;
    let states_range = settings.range.is_some();
    settings.range = settings.range.or(range);
    // Half precision is a choice at run time; the model itself is in float32 where possible.
    let rewrite = import.complete && has_halves(&import);
    if rewrite {
        widen(&mut import.graph);
        import.ends = import.ends.map(|end| if end == Element::F16 { Element::F32 } else { end });
    }
    let metadata = import.proto.metadata_props.iter();
    let metadata = metadata.map(|entry| (entry.key.as_str(), entry.value.as_str()));
    let description = Box::new(Description::of(metadata));
    let adapters = adapters(&import, &settings)?;
    if let Some(adapters) = &adapters {
        let graph = join(&adapters.before, &import.graph)?;
        import.graph = join(&graph, &adapters.after)?;
    }
    let onnx = if rewrite {
        import.external = None;
        write(&import.graph, Layout::default())?
    } else if let Some(adapters) = &adapters {
        splice(&mut import.proto, &adapters.before, &adapters.after)?;
        // The adapters implement all settings but these.
        import.proto.metadata_props.retain(|entry| match entry.key.strip_prefix(PREFIX) {
            None => true,
            Some(setting) => matches!(setting, "factor" | "multiple"),
        });
        import.proto.encode_to_vec().into()
    } else {
        bytes
    };
    let (info, why) = match analyze(&import.graph) {
        Ok(Analysis { info, missing: [0, 0] }) => (info, None),
        Ok(found) => {
            if !import.complete || import.external.is_some() {
                return Err(Fault::unsuitable(
                    "its output is smaller than a whole multiple of its input; pad inside the model",
                ));
            }
            let graph = join::complete(&import.graph, &found)?;
            let model = Model { description, ..Model::try_from_graph(name, graph)? };
            return Ok(Opened::Claimed { model, states_range });
        }
        Err(error) => {
            // Runs help with unknown operators, not with invalid ones.
            import.graph.nodes.iter().try_for_each(check_window)?;
            check_stated_shapes(&import.graph)?;
            if let AnalysisError::Operator {
                problem: Problem::Elements(_) | Problem::Unused, ..
            } = error
            {
                return Err(error.into());
            }
            let info = assumed_info(&import.graph, settings.factor.unwrap_or(1));
            (info, Some(error.to_string()))
        }
    };
    let external = import.external;
    let weights = external.iter().flat_map(|(_, weights)| weights);
    let model = Model {
        name: name.into(),
        info,
        digest: sha256_hex([&onnx].into_iter().chain(weights)),
        onnx,
        graph: import.complete.then(|| Arc::new(import.graph)),
        external: external.as_ref().map(|(folder, _)| folder.clone()),
        description,
        note: None,
    };
    Ok(match why {
        None => Opened::Claimed { model, states_range },
        Some(why) => {
            let factor =
                settings.factor.or_else(|| stated_factor(&model.info, &import.output_dims));
            let multiple = settings.multiple;
            let path = path.to_path_buf();
            Opened::Untried(Untried { model, factor, multiple, path, why })
        }
    })
}

/// The factor of a model whose output size is stated, N×C×H×W or N×H×W×C.
fn stated_factor(info: &ModelInfo, output: &[Option<u64>]) -> Option<u32> {
    let (width, height) = info.fixed_size.map(|(w, h)| (u64::from(w), u64::from(h)))?;
    let factor = |out: Option<u64>, side: u64| {
        out.filter(|out| side > 0 && out % side == 0).map(|out| out / side)
    };
    let pairs = [(2, 3), (1, 2)].into_iter().find_map(|(rows, columns)| {
        let vertical = factor(output.get(rows).copied().flatten(), height)?;
        let horizontal = factor(output.get(columns).copied().flatten(), width)?;
        (vertical == horizontal).then_some(vertical)
    });
    pairs.and_then(|factor| u32::try_from(factor).ok()).filter(|factor| (1..=64).contains(factor))
}

/// Whether the model computes in half precision, at least in part.
fn has_halves(import: &Import) -> bool {
    let graph = &import.graph;
    import.ends.contains(&Element::F16)
        || graph.constants.values().any(|tensor| tensor.element == Element::F16)
        || graph.nodes.iter().any(is_cast_to_half)
}

fn is_cast_to_half(node: &Node) -> bool {
    node.op == "Cast" && node.int("to") == Some(Element::F16.number().into())
}

/// Replaces casts to float16 by casts to float32. [`write`] widens the constants.
fn widen(graph: &mut Graph) {
    for node in graph.nodes.iter_mut().filter(|node| is_cast_to_half(node)) {
        let single = Attribute::Int(Element::F32.number().into());
        node.attributes.insert("to".into(), single);
    }
}

/// Cautious properties of a graph that cannot be analysed.
fn assumed_info(graph: &Graph, factor: u32) -> ModelInfo {
    let dim = |index: usize| graph.input_dims.get(index).copied().flatten();
    let side = |index: usize| dim(index).and_then(|side| u32::try_from(side).ok());
    let channels = if dim(1) == Some(1) { Channels::Luma } else { Channels::Rgb };
    let weights =
        graph.constants.values().filter(|t| matches!(t.element, Element::F32 | Element::F16));
    ModelInfo {
        channels,
        factor,
        halo: None,
        align: 1,
        min_side: 1,
        fixed_size: side(3).zip(side(2)),
        batch: false,
        parameters: weights.filter_map(|tensor| tensor.count()).fold(0, u64::saturating_add),
        macs_per_pixel: 0.0,
        peak_floats_per_pixel: ASSUMED_PEAK_FLOATS_PER_PIXEL,
    }
}

/// The same model with the dynamic dimensions of its input fixed as `layout` says.
///
/// # Errors
/// [`Fault::Unsuitable`] for half precision; [`Fault::Damaged`] if the bytes are not a model.
pub(crate) fn resized(bytes: &Bytes, layout: Layout) -> Result<Bytes, Fault> {
    if layout.element == Element::F16 {
        return Err(Fault::unsuitable(
            "it has operators that are not supported in half precision; use precision=fp32",
        ));
    }
    let mut model =
        ModelProto::decode(bytes.clone()).map_err(|error| Fault::damaged(error.to_string()))?;
    let graph = model.graph.as_mut().ok_or_else(|| Fault::damaged(super::NO_GRAPH))?;
    let weights: Vec<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    let requested =
        [layout.batch, None, layout.size.map(|size| size.1), layout.size.map(|size| size.0)];
    let input = graph.input.iter_mut().find(|input| !weights.contains(&input.name.as_str()));
    let kind = input.and_then(|input| input.r#type.as_mut()).and_then(|kind| kind.value.as_mut());
    if let Some(type_proto::Value::TensorType(tensor)) = kind
        && let Some(shape) = &mut tensor.shape
    {
        for (dim, requested) in shape.dim.iter_mut().zip(requested) {
            if let (
                Some(requested),
                Dimension { value: None | Some(dimension::Value::DimParam(_)), .. },
            ) = (requested, &*dim)
            {
                dim.value = Some(dimension::Value::DimValue(requested.into()));
            }
        }
    }
    Ok(model.encode_to_vec().into())
}
