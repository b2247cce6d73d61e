//! A model with its convolutions in 8-bit integers.

use super::{engine::OrtEngine, quantization, session::Session};
use crate::{
    engine::{
        Backend, Candidate, EngineOptions, Error, Precision, PrecisionError,
        test_picture::{probe_size, scene},
    },
    model::{
        Graph, Model,
        onnx::{Layout, write},
    },
};

/// The smallest and the largest sample of each value that quantization needs, in the order of
/// [`quantization::values_to_measure`].
pub(crate) type Ranges = Vec<(f32, f32)>;

const FP32: Candidate = Candidate { backend: Backend::Cpu, precision: Precision::Fp32 };
const INT8: Candidate = Candidate { backend: Backend::Cpu, precision: Precision::Int8 };
/// Pictures that ranges are measured on.
const SCENES: u64 = 4;

/// Fails for a model that cannot be quantized.
///
/// # Errors
/// [`Error::Precision`].
pub(crate) fn check(model: &Model) -> Result<(), Error> {
    graph(model).map(drop)
}

fn unavailable(reason: PrecisionError) -> Error {
    let Candidate { backend, precision } = INT8;
    Error::Precision { backend, precision, reason }
}

fn graph(model: &Model) -> Result<&Graph, Error> {
    let graph = model.graph.as_deref().ok_or_else(|| unavailable(PrecisionError::NoGraph))?;
    if quantization::values_to_measure(graph).is_empty() {
        return Err(unavailable(PrecisionError::NoInt8Convolutions));
    }
    Ok(graph)
}

/// Measures the ranges over some test pictures in fp32.
///
/// # Errors
/// [`Error::Precision`] for a model that cannot be quantized, and the errors of a session.
pub(crate) fn measure_ranges(model: &Model, options: &EngineOptions) -> Result<Ranges, Error> {
    let graph = graph(model)?;
    let ranges = Model {
        onnx: written(&quantization::range_graph(graph))?,
        external: None,
        ..model.clone()
    };
    let mut session = Session::build(&ranges, FP32, options)?;
    let count = quantization::values_to_measure(graph).len();
    let mut found = vec![(f32::INFINITY, f32::NEG_INFINITY); count];
    let (width, height) = probe_size(&model.info, 96);
    for seed in 10..10 + SCENES {
        let picture = scene(model.info.channels.count(), width, height, seed);
        let samples = session.run_raw(&picture)?;
        let (low, high) = samples.split_at_checked(count).unwrap_or((&[], &[]));
        for ((found, low), high) in found.iter_mut().zip(low).zip(high) {
            *found = (found.0.min(*low), found.1.max(*high));
        }
    }
    Ok(found)
}

/// Quantizes the model and builds its engine.
///
/// # Errors
/// [`Error::Precision`] for a model that cannot be quantized, and the errors of a session.
pub(crate) fn build(
    model: &Model,
    ranges: &Ranges,
    options: &EngineOptions,
) -> Result<OrtEngine, Error> {
    let quantized = quantization::quantize(graph(model)?, ranges)
        .ok_or_else(|| unavailable(PrecisionError::NoRanges))?;
    let quantized = Model { onnx: written(&quantized)?, external: None, ..model.clone() };
    OrtEngine::build(&quantized, INT8, options)
}

fn written(graph: &Graph) -> Result<bytes::Bytes, Error> {
    write(graph, Layout::default()).map_err(|error| Error::Failed {
        task: "write the model in int8",
        message: error.to_string(),
    })
}
