//! An `.onnx` file → [`Model`].

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
    read::import,
    settings::Settings,
    splice::splice,
};
use crate::{
    frame::Channels,
    model::{
        Element, Error, Graph, Model, ModelInfo,
        analysis::{Analysis, analyze, impossible},
        fault::Fault,
        join::{self, join},
        open::digest,
    },
};

/// The model at `path`, whose content is `bytes`: those very bytes, unless nodes must be put
/// around it. `name` is for messages; settings and external weights are read from beside `path`.
///
/// # Errors
/// [`Error::Damaged`] or [`Error::Unsuitable`].
pub fn open(name: &str, path: &Path, bytes: Bytes) -> Result<Model, Error> {
    let unsuitable = |why: String| Fault::unsuitable(why).at(path);
    let mut import = import(path, &bytes)?;
    if let Some(&Some(batch)) = import.graph.input_dims.first()
        && batch != 1
    {
        return Err(unsuitable(format!(
            "it takes pictures {batch} at a time: export it with a batch of 1, or of any number"
        )));
    }
    let settings = Settings::of(path, &import.proto).map_err(unsuitable)?;
    let mut onnx = bytes;
    if let Some(adapters) = adapters(&import, &settings).map_err(unsuitable)? {
        let graph =
            join(&adapters.before, &import.graph).and_then(|graph| join(&graph, &adapters.after));
        import.graph = graph.map_err(unsuitable)?;
        splice(&mut import.proto, &adapters.before, &adapters.after).map_err(unsuitable)?;
        // What they told is done.
        import
            .proto
            .metadata_props
            .retain(|entry| !entry.key.starts_with("upscale.") || entry.key == "upscale.factor");
        onnx = import.proto.encode_to_vec().into();
    }
    let info = match analyze(&import.graph) {
        Ok(Analysis { info, missing: [0, 0] }) => info,
        Ok(found) => {
            let graph = join::complete(&import.graph, &found).map_err(unsuitable)?;
            if !import.complete || import.external.is_some() {
                return Err(unsuitable("its output is smaller than a whole multiple of its input: pad inside the model".into()));
            }
            return Model::from_graph(name, path, graph);
        }
        // A factor that is told makes up for operators that are not known, not for impossible ones.
        Err(why) => match settings.factor {
            _ if let Some(why) = import.graph.nodes.iter().find_map(impossible) => {
                return Err(unsuitable(why));
            }
            Some(factor) => told(&import.graph, factor).ok_or_else(|| unsuitable(why))?,
            None => {
                return Err(unsuitable(format!(
                    "{why} (where the graph cannot be understood, factor = N in a .toml beside it helps)"
                )));
            }
        },
    };
    let external = import.external;
    let weights = external.iter().flat_map(|(_, weights)| weights);
    Ok(Model {
        name: name.into(),
        info,
        digest: digest([&onnx].into_iter().chain(weights)),
        onnx,
        graph: import.complete.then(|| Arc::new(import.graph)),
        external: external.as_ref().map(|(folder, _)| folder.clone()),
    })
}

/// What can be said of a graph that is not understood: its memory is guessed high.
fn told(graph: &Graph, factor: u32) -> Option<ModelInfo> {
    let dim = |index: usize| graph.input_dims.get(index).copied().flatten();
    let side = |index: usize| dim(index).and_then(|side| u32::try_from(side).ok());
    let channels = if dim(1) == Some(1) { Channels::Luma } else { Channels::Rgb };
    let weights =
        graph.constants.values().filter(|t| matches!(t.element, Element::F32 | Element::F16));
    Some(ModelInfo {
        channels,
        factor,
        halo: None,
        align: 1,
        min_side: 1,
        fixed_size: side(3).zip(side(2)),
        batch: false,
        parameters: weights.filter_map(|tensor| tensor.count()).fold(0, u64::saturating_add),
        macs_per_pixel: 0.0,
        peak_floats_per_pixel: 1024.0,
    })
}

/// The same model with its free input dimensions fixed as `layout` says.
///
/// # Errors
/// Where half precision is asked for, or the bytes are no model.
pub(crate) fn resized(bytes: &Bytes, layout: Layout) -> Result<Bytes, String> {
    if layout.element == Element::F16 {
        return Err(
            "it has operators that cannot be turned into half precision: use precision=fp32".into(),
        );
    }
    let mut model = ModelProto::decode(bytes.clone()).map_err(|error| error.to_string())?;
    let graph = model.graph.as_mut().ok_or("it holds no graph")?;
    let weights: Vec<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    let asked =
        [layout.batch, None, layout.size.map(|size| size.1), layout.size.map(|size| size.0)];
    let input = graph.input.iter_mut().find(|input| !weights.contains(&input.name.as_str()));
    let kind = input.and_then(|input| input.r#type.as_mut()).and_then(|kind| kind.value.as_mut());
    if let Some(type_proto::Value::TensorType(tensor)) = kind
        && let Some(shape) = &mut tensor.shape
    {
        for (dim, asked) in shape.dim.iter_mut().zip(asked) {
            if let (
                Some(asked),
                Dimension { value: None | Some(dimension::Value::DimParam(_)), .. },
            ) = (asked, &*dim)
            {
                dim.value = Some(dimension::Value::DimValue(asked.into()));
            }
        }
    }
    Ok(model.encode_to_vec().into())
}
