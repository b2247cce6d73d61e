//! An ONNX Runtime session over pictures in the memory of a GPU, or in system memory for tests.

use std::{ffi::CString, path::Path, ptr};

use ort::{
    AsPointer as _,
    ep::ExecutionProviderDispatch,
    memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType},
    session::{Session as OrtSession, builder::GraphOptimizationLevel},
    value::{PrimitiveTensorElementType, Shape, TensorRefMut},
};

use crate::{
    engine::{DeviceBatch, Error, Samples},
    model::ModelInfo,
    onnxruntime::{
        library::Library,
        messages::runtime_error,
        session::{check_shape, names},
    },
};

/// The memory of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The memory of the GPU with this index.
    Gpu(i32),
    #[cfg(test)]
    Host,
}

pub(super) struct DeviceSession {
    session: OrtSession,
    input: CString,
    output: CString,
    memory: MemoryInfo<'static>,
    unsynchronized: RunOptions,
    samples: Samples,
    info: ModelInfo,
}

impl DeviceSession {
    /// Builds the session of `onnx`, whose input and output have the type `samples`; `folder`
    /// contains its external weights, if any.
    ///
    /// # Errors
    /// [`Error::NoLibrary`], [`Error::NotInstalled`], [`Error::OutOfMemory`] or
    /// [`Error::Failed`].
    pub(crate) fn build(
        onnx: &[u8],
        folder: Option<&Path>,
        info: &ModelInfo,
        samples: Samples,
        place: Place,
        providers: Vec<ExecutionProviderDispatch>,
    ) -> Result<Self, Error> {
        let library = Library::get()?;
        let build = || {
            let mut builder = OrtSession::builder(&library.environment)?
                .with_execution_providers(providers)?
                .with_optimization_level(GraphOptimizationLevel::All)?
                // Only arithmetic on shapes remains on the CPU.
                .with_intra_threads(1)?
                .with_memory_pattern(false)?;
            if let Some(folder) = folder {
                let key = "session.model_external_initializers_file_folder_path";
                builder = builder.with_config_entry(key, folder.to_string_lossy())?;
            }
            let session = builder.commit_from_memory(onnx)?;
            let memory = match place {
                Place::Gpu(device) => MemoryInfo::new(
                    AllocationDevice::CUDA,
                    device,
                    AllocatorType::Device,
                    MemoryType::Default,
                )?,
                #[cfg(test)]
                Place::Host => MemoryInfo::default(),
            };
            Ok((session, memory, RunOptions::unsynchronized()?))
        };
        let (session, memory, unsynchronized) =
            build().map_err(|error: ort::Error| runtime_error("load the model", &error))?;
        let (input, output) = names(&session)?;
        Ok(Self { session, input, output, memory, unsynchronized, samples, info: info.clone() })
    }

    /// See [`InferOnDevice::run`](crate::engine::InferOnDevice::run).
    ///
    /// # Errors
    /// See there.
    pub(crate) fn run(&mut self, batch: &DeviceBatch) -> Result<(), Error> {
        let channels = self.info.channels.count();
        check_shape(&self.info, channels, batch.width.into(), batch.height.into())?;
        match self.samples {
            Samples::F32 => self.run_as::<f32>(batch),
            Samples::F16 => self.run_as::<half::f16>(batch),
        }
        .map_err(|error| runtime_error("run the model", &error))
    }

    fn run_as<T: PrimitiveTensorElementType + std::fmt::Debug>(
        &mut self,
        batch: &DeviceBatch,
    ) -> ort::Result<()> {
        let value = |address: u64, factor: u32| {
            let [width, height] = [batch.width, batch.height].map(|side| side * factor);
            let channels = self.info.channels.count() as i64;
            let shape = Shape::new([batch.count.into(), channels, height.into(), width.into()]);
            // SAFETY: the caller guarantees the addresses of a batch; nothing here reads them.
            unsafe {
                TensorRefMut::<T>::from_raw(
                    self.memory.clone(),
                    ptr::with_exposed_provenance_mut(address as usize),
                    shape,
                )
            }
        };
        let from = value(batch.input, 1)?;
        let to = value(batch.output, self.info.factor)?;
        let (inputs, outputs) = ([self.input.as_ptr()], [self.output.as_ptr()]);
        let (from, mut to) = ([from.ptr()], [to.ptr().cast_mut()]);
        // SAFETY: as in `Session::run_tensors`; the enqueued work reads and writes only the memory
        // of the batch, which the caller keeps valid.
        unsafe {
            let status = (ort::api().Run)(
                self.session.ptr().cast_mut(),
                self.unsynchronized.0,
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

/// Options of a run. Those of `ort` do not work with the C function.
struct RunOptions(*mut ort::sys::OrtRunOptions);

// SAFETY: only read after construction.
unsafe impl Send for RunOptions {}

impl RunOptions {
    /// A run returns without waiting for the stream.
    fn unsynchronized() -> ort::Result<Self> {
        let mut options = Self(ptr::null_mut());
        // SAFETY: a valid out pointer, then two NUL-terminated strings.
        unsafe {
            ort::Error::result_from_status((ort::api().CreateRunOptions)(&mut options.0))?;
            let status = (ort::api().AddRunConfigEntry)(
                options.0,
                c"disable_synchronize_execution_providers".as_ptr(),
                c"1".as_ptr(),
            );
            ort::Error::result_from_status(status)?;
        }
        Ok(options)
    }
}

impl Drop for RunOptions {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: created above and released once.
            unsafe { (ort::api().ReleaseRunOptions)(self.0) };
        }
    }
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::*;
    use crate::{
        engine::{
            Backend, Candidate, EngineOptions, Infer as _, Precision, distance, test_picture,
        },
        frame::Image,
        model::{Element, Model, onnx::Layout},
        onnxruntime::OrtEngine,
    };

    fn on_the_cpu(model: &Model, samples: Samples) -> Option<DeviceSession> {
        let element = if samples == Samples::F16 { Element::F16 } else { Element::F32 };
        let layout = Layout { element, ends: element, ..Layout::default() };
        let onnx = model.onnx_at(layout).unwrap();
        let cpu = vec![ort::ep::CPU::default().build().error_on_failure()];
        match DeviceSession::build(&onnx, None, &model.info, samples, Place::Host, cpu) {
            Ok(session) => Some(session),
            Err(Error::NoLibrary { searched }) => {
                eprintln!("skipped: no ONNX Runtime in {searched}");
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Runs a batch of two pictures and returns the second output.
    fn run<T: Copy + Default>(
        session: &mut DeviceSession,
        picture: &Image,
        encode: impl Fn(f32) -> T,
        decode: impl Fn(T) -> f32,
    ) -> Image {
        let factor = session.info.factor as usize;
        let one: Vec<T> = picture.data().iter().map(|&sample| encode(sample)).collect();
        let two = [vec![encode(0.5); one.len()], one].concat();
        let mut enlarged = vec![T::default(); two.len() * factor * factor];
        let batch = DeviceBatch {
            input: two.as_ptr().expose_provenance() as u64,
            output: enlarged.as_mut_ptr().expose_provenance() as u64,
            count: 2,
            width: picture.width() as u32,
            height: picture.height() as u32,
        };
        session.run(&batch).unwrap();
        let mut output =
            Image::new(picture.channels(), picture.width() * factor, picture.height() * factor);
        let second = &enlarged[enlarged.len() / 2..];
        for (to, from) in output.data_mut().iter_mut().zip(second) {
            *to = decode(*from);
        }
        output
    }

    fn reference(model: &Model, picture: &Image) -> Image {
        let (backend, precision) = (Backend::Cpu, Precision::Fp32);
        let cache_dir = std::env::temp_dir();
        let options = EngineOptions { backend, precision, device_id: 0, threads: 2, cache_dir };
        let engine = OrtEngine::build(model, Candidate { backend, precision }, &options);
        let mut output = Image::default();
        engine.unwrap().run(picture, &mut output).unwrap();
        output
    }

    #[test]
    fn a_batch_gives_the_same_pictures_as_single_runs() {
        let model = Model::open("builtin").unwrap();
        let Some(mut session) = on_the_cpu(&model, Samples::F32) else { return };
        let picture = test_picture::scene(model.info.channels.count(), 48, 32, 3);
        let output = run(&mut session, &picture, |sample| sample, |sample: f32| sample);
        let (psnr, largest) = distance(&output, &reference(&model, &picture));
        assert!(largest <= 1.0 / 255.0, "{psnr} dB, {largest}");
        let odd = DeviceBatch { input: 0, output: 0, count: 1, width: 0, height: 4 };
        assert!(matches!(session.run(&odd), Err(Error::Shape { .. })));
    }

    #[test]
    fn the_graph_in_half_precision_has_a_psnr_of_50_db() {
        let model = Model::open("builtin").unwrap();
        let Some(mut session) = on_the_cpu(&model, Samples::F16) else { return };
        let picture = test_picture::scene(model.info.channels.count(), 96, 64, 4);
        let output = run(&mut session, &picture, f16::from_f32, f16::to_f32);
        let (psnr, largest) = distance(&output, &reference(&model, &picture));
        eprintln!("{psnr:.1} dB, at most {:.2}/255", largest * 255.0);
        assert!(psnr >= 50.0 && largest <= 4.0 / 255.0, "{psnr} dB, {largest}");
    }
}
