//! One ONNX Runtime session of one model on one backend in one precision.

use std::{ffi::CString, sync::Arc};

use ort::{
    AsPointer as _,
    ep::{self, ExecutionProviderDispatch},
    memory::MemoryInfo,
    session::{
        RunOptions, Session as OrtSession,
        builder::{GraphOptimizationLevel, SessionBuilder},
    },
    value::{Shape, TensorRef, TensorRefMut},
};

use super::{library::Library, messages::runtime_error, openvino, webgpu};
use crate::{
    engine::{
        Backend, Candidate, EngineOptions, Error, Interrupt, Precision, PrecisionError, ShapeError,
    },
    frame::Image,
    model::{Element, Model, ModelInfo, onnx::Layout},
};

/// A session on the CPU with the names and the shape rules that a run needs.
pub(super) struct Session {
    session: OrtSession,
    input: CString,
    output: CString,
    memory: MemoryInfo<'static>,
    info: ModelInfo,
}

impl Session {
    /// Builds the session. A backend may still fail at the first run.
    ///
    /// # Errors
    /// [`Error::NotBuilt`], [`Error::NoLibrary`], [`Error::NoProvider`], [`Error::OutOfMemory`] or [`Error::Failed`].
    pub(crate) fn build(
        model: &Model,
        candidate: Candidate,
        options: &EngineOptions,
    ) -> Result<Self, Error> {
        let library = Library::with(candidate.backend)?;
        let onnx = onnx(model, candidate)?;
        let session = builder(library, model, candidate, options)
            .and_then(|mut builder| builder.commit_from_memory(&onnx))
            .map_err(|error| runtime_error("load the model", &error))?;
        let (input, output) = names(&session)?;
        Ok(Self { session, input, output, memory: MemoryInfo::default(), info: model.info.clone() })
    }

    /// Enlarges `input` into `output`, which is resized. The runtime reads and writes the samples
    /// of the pictures without a copy.
    ///
    /// # Errors
    /// [`Error::Shape`] for a picture that the model does not accept, [`Error::OutOfMemory`],
    /// [`Error::Cancelled`], or [`Error::Failed`].
    pub(crate) fn run(&mut self, input: &Image, output: &mut Image) -> Result<(), Error> {
        check(&self.info, input)?;
        let factor = self.info.factor as usize;
        output.resize(input.channels(), input.width() * factor, input.height() * factor);
        interruptible(|options| self.run_tensors(input, output, options))
    }

    fn run_tensors(
        &mut self,
        input: &Image,
        output: &mut Image,
        options: &RunOptions,
    ) -> ort::Result<()> {
        let from = TensorRef::from_array_view((shape(input), input.data()))?;
        let to_shape = shape(output);
        // SAFETY: the tensor is used while `output` is borrowed, and has its number of samples.
        let to = unsafe {
            TensorRefMut::<f32>::from_raw(
                self.memory.clone(),
                output.data_mut().as_mut_ptr().cast(),
                Shape::new(to_shape),
            )?
        };
        // `ort` supports the caller's output memory only through `IoBinding`, whose runs with
        // borrowed inputs do not return. The C function accepts both.
        let (inputs, outputs) = ([self.input.as_ptr()], [self.output.as_ptr()]);
        let (from, mut to) = ([from.ptr()], [to.ptr().cast_mut()]);
        // SAFETY: one name and one value for the input and for the output, all alive until the
        // call returns; `&mut self` excludes concurrent runs. The runtime fails when the output
        // has another shape than the given one, so it writes only inside of `output`, and it does
        // not replace a given output.
        unsafe {
            let status = (ort::api().Run)(
                self.session.ptr().cast_mut(),
                options.ptr(),
                inputs.as_ptr(),
                from.as_ptr(),
                1,
                outputs.as_ptr(),
                1,
                to.as_mut_ptr(),
            );
            ort::Error::result_from_status(status)
        }
    }
}

/// A run that the current [`Interrupt`] ends before the next node of the graph. A graph that the
/// provider compiled to one node is completed.
fn interruptible<T>(run: impl FnOnce(&RunOptions) -> ort::Result<T>) -> Result<T, Error> {
    let interrupt = Interrupt::current();
    interrupt.check()?;
    let run = || {
        let options = Arc::new(RunOptions::new()?);
        let terminated = options.clone();
        // A run that cannot be terminated is completed.
        let _terminate = interrupt.on_raise(move || drop(terminated.terminate()));
        run(&options)
    };
    run().map_err(|error| match interrupt.check() {
        Err(cancelled) => cancelled,
        Ok(()) => runtime_error("run the model", &error),
    })
}

/// The model in the precision of `candidate`, with fp32 as input and output.
fn onnx(model: &Model, candidate: Candidate) -> Result<bytes::Bytes, Error> {
    let Candidate { backend, precision } = candidate;
    if precision != Precision::Fp16 {
        return Ok(model.onnx.clone());
    }
    let layout = Layout { element: Element::F16, ..Layout::default() };
    let unavailable =
        |error| Error::Precision { backend, precision, reason: PrecisionError::Model(error) };
    model.onnx_at(layout).map_err(unavailable)
}

/// The names of a session's input and output.
///
/// # Errors
/// [`Error::Failed`] when one is missing.
pub(super) fn names(session: &OrtSession) -> Result<(CString, CString), Error> {
    let name = |outlets: &[ort::value::Outlet]| {
        outlets.first().and_then(|outlet| CString::new(outlet.name()).ok())
    };
    name(session.inputs()).zip(name(session.outputs())).ok_or_else(|| {
        let message = "it has no input or no output".into();
        Error::Failed { task: "load the model", message }
    })
}

/// N, C, H, W.
fn shape(image: &Image) -> [i64; 4] {
    [1, image.channels() as i64, image.height() as i64, image.width() as i64]
}

fn check(info: &ModelInfo, input: &Image) -> Result<(), Error> {
    check_shape(info, input.channels(), input.width() as u64, input.height() as u64)
}

/// Checks the number of channels, and width and height in pixels.
///
/// # Errors
/// [`Error::Shape`] for a picture that the model does not accept.
pub(super) fn check_shape(
    info: &ModelInfo,
    channels: usize,
    width: u64,
    height: u64,
) -> Result<(), Error> {
    let (min_side, align) = (info.min_side.max(1), info.align.max(1));
    let reason = if channels != info.channels.count() {
        ShapeError::Channels(info.channels.count())
    } else if let Some((w, h)) =
        info.fixed_size.filter(|&(w, h)| (u64::from(w), u64::from(h)) != (width, height))
    {
        ShapeError::FixedSize(w, h)
    } else if width.min(height) < u64::from(min_side) {
        ShapeError::TooSmall(min_side)
    } else if !width.is_multiple_of(align.into()) || !height.is_multiple_of(align.into()) {
        ShapeError::Unaligned(align)
    } else {
        return Ok(());
    };
    Err(Error::Shape { channels, width, height, reason })
}

/// The settings of a session of `model` on `candidate`.
///
/// # Errors
/// An unknown setting, or a provider that the library lacks.
pub(super) fn builder(
    library: &Library,
    model: &Model,
    candidate: Candidate,
    options: &EngineOptions,
) -> ort::Result<SessionBuilder> {
    let threads = options.threads.max(1);
    let mut builder = OrtSession::builder(&library.environment)?
        .with_execution_providers(providers(candidate, options))?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(threads)?
        .with_inter_threads(1)?
        // Waiting threads spin, which is faster, but only during a run.
        .with_intra_op_spinning(true)?
        .with_config_entry("session.force_spinning_stop", "1")?
        .with_inter_op_spinning(false)?
        // One memory pattern would be stored for every shape, and regions have many shapes.
        .with_memory_pattern(false)?;
    if let Some(folder) = &model.external {
        let folder = folder.to_string_lossy();
        builder = builder
            .with_config_entry("session.model_external_initializers_file_folder_path", folder)?;
    }
    Ok(builder)
}

/// The provider of `candidate`, then the CPU provider for operators that it does not support.
fn providers(candidate: Candidate, options: &EngineOptions) -> Vec<ExecutionProviderDispatch> {
    let mut providers = Vec::new();
    if candidate.backend == Backend::OpenVino {
        providers.extend(openvino::provider(candidate.precision, options));
    }
    if candidate.backend == Backend::WebGpu {
        providers.extend(webgpu::provider());
    }
    providers.push(ep::CPU::default().with_arena_allocator(true).build().error_on_failure());
    providers
}

#[cfg(test)]
pub(super) mod tests {
    use std::{thread, time::Duration};

    use prost::Message as _;

    use super::*;
    use crate::{
        engine::Precision,
        frame::Channels,
        model::onnx::proto::{
            AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
            TensorShapeProto, TypeProto, ValueInfoProto,
            attribute_proto::AttributeType,
            tensor_shape_proto::{Dimension, dimension},
            type_proto,
        },
    };

    fn value(name: &str, element: i32, dims: &[i64]) -> ValueInfoProto {
        let dim = |&dim: &i64| Dimension {
            value: Some(dimension::Value::DimValue(dim)),
            ..Default::default()
        };
        let shape = Some(TensorShapeProto { dim: dims.iter().map(dim).collect() });
        let tensor = type_proto::Tensor { elem_type: element, shape };
        let kind =
            TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
        ValueInfoProto { name: name.into(), r#type: Some(kind), ..Default::default() }
    }

    fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let (input, output) = (names(inputs), names(outputs));
        NodeProto { op_type: op.into(), input, output, ..Default::default() }
    }

    /// A model that adds its input to itself 2^62 times.
    pub(crate) fn endless() -> Model {
        const FLOAT: i32 = 1;
        const BOOL: i32 = 9;
        const INT64: i32 = 7;
        let picture = [1, 1, 16, 16];
        let body = GraphProto {
            name: "body".into(),
            input: vec![
                value("turn", INT64, &[]),
                value("go", BOOL, &[]),
                value("a", FLOAT, &picture),
            ],
            output: vec![value("on", BOOL, &[]), value("b", FLOAT, &picture)],
            node: vec![node("Identity", &["go"], &["on"]), node("Add", &["a", "a"], &["b"])],
            ..Default::default()
        };
        let mut repeat = node("Loop", &["turns", "true", "x"], &["y"]);
        repeat.attribute.push(AttributeProto {
            name: "body".into(),
            r#type: AttributeType::Graph.into(),
            g: Some(body),
            ..Default::default()
        });
        let constant = |name: &str, data_type, raw_data: &[u8]| TensorProto {
            name: name.into(),
            data_type,
            raw_data: bytes::Bytes::copy_from_slice(raw_data),
            ..Default::default()
        };
        let graph = GraphProto {
            name: "endless".into(),
            input: vec![value("x", FLOAT, &picture)],
            output: vec![value("y", FLOAT, &picture)],
            node: vec![repeat],
            initializer: vec![
                constant("turns", INT64, &(1i64 << 62).to_le_bytes()),
                constant("true", BOOL, &[1]),
            ],
            ..Default::default()
        };
        let operators = OperatorSetIdProto { domain: String::new(), version: 17 };
        let proto = ModelProto {
            ir_version: 8,
            opset_import: vec![operators],
            graph: Some(graph),
            ..Default::default()
        };
        let info = ModelInfo {
            channels: Channels::Luma,
            factor: 1,
            halo: None,
            align: 1,
            min_side: 1,
            fixed_size: Some((16, 16)),
            batch: false,
            parameters: 0,
            macs_per_pixel: 0.0,
            peak_floats_per_pixel: 2.0,
        };
        Model {
            name: "endless".into(),
            info,
            digest: "endless".into(),
            onnx: proto.encode_to_vec().into(),
            graph: None,
            external: None,
            description: Box::default(),
            note: None,
        }
    }

    #[test]
    fn an_endless_run_ends_when_it_is_interrupted_and_the_session_remains_usable() {
        let candidate = Candidate { backend: Backend::Cpu, precision: Precision::Fp32 };
        let Candidate { backend, precision } = candidate;
        let cache_dir = std::env::temp_dir();
        let options = EngineOptions { backend, precision, device_id: 0, threads: 1, cache_dir };
        let mut session = Session::build(&endless(), candidate, &options).unwrap();
        let input = Image::new(1, 16, 16);
        for _ in 0..2 {
            let interrupt = Interrupt::default();
            let raiser = interrupt.clone();
            let raising = thread::spawn(move || {
                thread::sleep(Duration::from_millis(100));
                raiser.raise();
            });
            let result = interrupt.enter(|| session.run(&input, &mut Image::default()));
            assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
            raising.join().unwrap();
        }
    }
}
