//! One ONNX Runtime session of one model on one backend in one precision.

use std::{ffi::CString, ptr};

use ort::{
    AsPointer as _,
    ep::{self, ArbitrarilyConfigurableExecutionProvider as _, ExecutionProviderDispatch},
    memory::MemoryInfo,
    session::{
        Session as OrtSession,
        builder::{GraphOptimizationLevel, SessionBuilder},
    },
    value::{Shape, TensorRef, TensorRefMut},
};

use super::{library::Library, messages::runtime_error};
use crate::{
    engine::{Backend, Candidate, EngineOptions, Error, Precision},
    frame::Image,
    model::{Model, ModelInfo},
};

/// What OpenVINO keeps of code made for layers at a shape, for all shapes together; the oldest goes
/// first. It would keep 5,000: at 1280×720, whose regions come in 880 shapes, 570 MB for `builtin`,
/// where this is 110. Code that comes back is made within milliseconds.
const PREPARED_LAYERS: u32 = 512;

/// A session with the names and the shape rules that a run needs.
pub(super) struct Session {
    session: OrtSession,
    input: CString,
    output: CString,
    memory: MemoryInfo<'static>,
    info: ModelInfo,
}

impl Session {
    /// Builds the session. It has not run yet: a backend may still fail at its first run.
    ///
    /// # Errors
    /// [`Error::NoProvider`], [`Error::OutOfMemory`] or [`Error::Runtime`].
    pub fn build(
        model: &Model,
        candidate: Candidate,
        options: &EngineOptions,
    ) -> Result<Self, Error> {
        let library = Library::get()?;
        if !library.has(candidate.backend) {
            let library = library.path.display().to_string();
            return Err(Error::NoProvider { backend: candidate.backend, library });
        }
        let session = builder(library, model, candidate, options)
            .and_then(|mut builder| builder.commit_from_memory(&model.onnx))
            .map_err(|error| runtime_error("load the model", &error))?;
        let (input, output) = names(&session)?;
        Ok(Self { session, input, output, memory: MemoryInfo::default(), info: model.info.clone() })
    }

    /// All samples of the output for `input`, whatever its shape.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn run_raw(&mut self, input: &Image) -> Result<Vec<f32>, Error> {
        check(&self.info, input)?;
        let mut run = || -> ort::Result<Vec<f32>> {
            let from = TensorRef::from_array_view((shape(input), input.data()))?;
            let outputs = self.session.run(ort::inputs![from])?;
            match outputs.values().next() {
                Some(value) => Ok(value.try_extract_tensor::<f32>()?.1.to_vec()),
                None => Ok(Vec::new()),
            }
        };
        run().map_err(|error| runtime_error("run the model", &error))
    }

    /// Enlarges `input` into `output`, which is given its shape here. Neither is copied: the
    /// runtime reads and writes the pictures' own samples.
    ///
    /// # Errors
    /// [`Error::Shape`] for a picture that the model does not take, [`Error::OutOfMemory`], or
    /// [`Error::Runtime`].
    pub fn run(&mut self, input: &Image, output: &mut Image) -> Result<(), Error> {
        check(&self.info, input)?;
        let factor = self.info.factor as usize;
        output.resize(input.channels(), input.width() * factor, input.height() * factor);
        self.run_tensors(input, output).map_err(|error| runtime_error("run the model", &error))
    }

    fn run_tensors(&mut self, input: &Image, output: &mut Image) -> ort::Result<()> {
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
        // `ort` offers a caller's own output memory only through `IoBinding`, whose borrowed
        // inputs hang; the plain call takes both.
        let (inputs, outputs) = ([self.input.as_ptr()], [self.output.as_ptr()]);
        let (from, mut to) = ([from.ptr()], [to.ptr().cast_mut()]);
        // SAFETY: one name and one value each way, all alive until the call returns; `&mut self`
        // keeps runs of a session apart. The runtime refuses an output of another shape than the
        // one given, so it writes inside of `output`, and it leaves a given output in its place.
        unsafe {
            let status = (ort::api().Run)(
                self.session.ptr().cast_mut(),
                ptr::null(),
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

/// The names of a session's input and output.
///
/// # Errors
/// [`Error::Runtime`] where one is missing.
pub(super) fn names(session: &OrtSession) -> Result<(CString, CString), Error> {
    let name = |outlets: &[ort::value::Outlet]| {
        outlets.first().and_then(|outlet| CString::new(outlet.name()).ok())
    };
    name(session.inputs()).zip(name(session.outputs())).ok_or_else(|| {
        let why = "it has no input or no output".into();
        Error::Runtime { task: "load the model", why }
    })
}

/// N, C, H, W.
fn shape(image: &Image) -> [i64; 4] {
    [1, image.channels() as i64, image.height() as i64, image.width() as i64]
}

fn check(info: &ModelInfo, input: &Image) -> Result<(), Error> {
    check_shape(info, input.channels(), input.width() as u64, input.height() as u64)
}

/// # Errors
/// [`Error::Shape`] for a picture that the model does not take.
pub(super) fn check_shape(
    info: &ModelInfo,
    channels: usize,
    width: u64,
    height: u64,
) -> Result<(), Error> {
    let why = if channels != info.channels.count() {
        format!("it takes {} channels", info.channels.count())
    } else if let Some((w, h)) =
        info.fixed_size.filter(|&(w, h)| (u64::from(w), u64::from(h)) != (width, height))
    {
        format!("it takes pictures of {w}x{h} alone")
    } else if width.min(height) < u64::from(info.min_side.max(1)) {
        format!("its sides must be at least {}", info.min_side.max(1))
    } else if width % u64::from(info.align.max(1)) + height % u64::from(info.align.max(1)) != 0 {
        format!("its sides must be multiples of {}", info.align)
    } else {
        return Ok(());
    };
    Err(Error::Shape { channels, width, height, why })
}

fn builder(
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
        // Threads that wait for each other spin, which is faster, but only while a run lasts.
        .with_intra_op_spinning(true)?
        .with_config_entry("session.force_spinning_stop", "1")?
        .with_inter_op_spinning(false)?
        // A memory pattern is kept for each shape ever seen, and regions have many.
        .with_memory_pattern(false)?;
    if let Some(folder) = &model.external {
        let folder = folder.to_string_lossy();
        builder = builder
            .with_config_entry("session.model_external_initializers_file_folder_path", folder)?;
    }
    Ok(builder)
}

/// The provider of `candidate`, with the CPU provider behind it for what it leaves over.
fn providers(candidate: Candidate, options: &EngineOptions) -> Vec<ExecutionProviderDispatch> {
    let cpu = ep::CPU::default().with_arena_allocator(true).build().error_on_failure();
    match candidate.backend {
        Backend::OpenVino => vec![openvino(candidate.precision, options), cpu],
        _ => vec![cpu],
    }
}

/// The OpenVINO provider on the CPU. Its options are at
/// <https://onnxruntime.ai/docs/execution-providers/OpenVINO-ExecutionProvider.html>.
fn openvino(precision: Precision, options: &EngineOptions) -> ExecutionProviderDispatch {
    // OpenVINO would take bf16 by itself where the CPU has it: the precision is always stated.
    let hint = if precision == Precision::Bf16 { "bf16" } else { "f32" };
    let config = format!(
        r#"{{"CPU":{{"INFERENCE_PRECISION_HINT":"{hint}","CPU_RUNTIME_CACHE_CAPACITY":"{PREPARED_LAYERS}"}}}}"#
    );
    ep::OpenVINO::default()
        .with_device_type("CPU")
        .with_num_threads(options.threads.max(1))
        .with_num_streams(1)
        .with_arbitrary_config("load_config", config)
        .build()
        .error_on_failure()
}
