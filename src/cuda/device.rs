//! A GPU that is open for use.

use std::{ffi::c_int, fmt, fs, sync::Arc};

use cudarc::driver::{
    result,
    sys::{self, CUdevice, CUdevice_attribute as Attribute},
};

use super::{
    Event, Kernel, Stream, Work,
    context::Context,
    error::{Error, ToDo as _},
    launch::Module,
};

/// The least that the kernels need: PTX 8.0.
const LEAST_VERSION: CudaVersion = CudaVersion(12_000);
const LEAST_CAPABILITY: (u32, u32) = (7, 5);

/// The version of CUDA that a driver is for, as the driver has it: 1000 · major + 10 · minor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CudaVersion(pub u32);

impl fmt::Display for CudaVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 / 1000, self.0 % 1000 / 10)
    }
}

/// One user's share of a GPU: streams of its own, in the primary context that all share.
pub struct Device {
    id: u32,
    name: String,
    capability: (u32, u32),
    version: CudaVersion,
    upload: Stream,
    compute: Stream,
    download: Stream,
    module: Module,
    context: Arc<Context>,
}

impl Device {
    /// Opens the GPU of this number, from 0 on, in the driver's order (`CUDA_VISIBLE_DEVICES`
    /// has its say). The first time on a machine the driver compiles the kernels, which takes
    /// some seconds, and keeps what came out.
    ///
    /// # Errors
    /// Each of [`Error`] but [`Error::Lost`].
    pub fn open(id: u32) -> Result<Arc<Self>, Error> {
        // SAFETY: it loads libcuda, whose initialisers run as in every program that uses CUDA.
        // Without one, every other call would panic.
        if !unsafe { sys::is_culib_present() } {
            return Err(Error::NoDriver);
        }
        let version = version()?;
        result::init().to("set itself up")?;
        let count = u32::try_from(result::device::get_count().to("count GPUs")?).unwrap_or(0);
        if count == 0 {
            return Err(Error::NoDevice);
        }
        let ordinal = c_int::try_from(id).ok().filter(|_| id < count);
        let ordinal = ordinal.ok_or(Error::NoSuchDevice { id, count })?;
        let device = result::device::get(ordinal).to("find the GPU")?;
        let name = result::device::get_name(device).to("name the GPU")?;
        let capability = capability(device)?;
        if capability < LEAST_CAPABILITY {
            return Err(Error::DeviceTooOld { name, capability });
        }
        let context = Arc::new(Context::retain(device)?);
        // The host waits for its comparisons, and the model for what they tell the host.
        let upload = Stream::new(&context, true)?;
        Ok(Arc::new(Self {
            id,
            name,
            capability,
            version,
            upload,
            compute: Stream::new(&context, false)?,
            download: Stream::new(&context, false)?,
            module: Module::load(&context)?,
            context,
        }))
    }

    /// The number that it was opened by.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// As the driver has it, such as `NVIDIA GeForce RTX 3060`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Compute capability, major and minor.
    pub fn capability(&self) -> (u32, u32) {
        self.capability
    }

    /// What the driver is for.
    pub fn cuda_version(&self) -> CudaVersion {
        self.version
    }

    /// The driver's own version, such as `550.54.14`, where the system tells it, and else the
    /// version of CUDA that it is for. For keys of caches.
    pub fn driver_version(&self) -> String {
        let told = fs::read_to_string("/sys/module/nvidia/version").unwrap_or_default();
        match told.trim() {
            "" => format!("CUDA {}", self.version),
            version => version.to_owned(),
        }
    }

    /// Bytes of memory that are free, and that there are. Others may take of it at any time.
    ///
    /// # Errors
    /// The driver's.
    pub fn memory(&self) -> Result<(u64, u64), Error> {
        self.bind()?;
        let (free, total) = result::mem_get_info().to("tell how much memory is free")?;
        Ok((free as u64, total as u64))
    }

    /// For copies to the GPU, and for the comparison with what came before.
    pub fn upload(&self) -> &Stream {
        &self.upload
    }

    /// For kernels and the model.
    pub fn compute(&self) -> &Stream {
        &self.compute
    }

    /// For copies to the host.
    pub fn download(&self) -> &Stream {
        &self.download
    }

    /// A new event.
    ///
    /// # Errors
    /// The driver's.
    pub fn event(&self) -> Result<Event, Error> {
        Event::new(&self.context)
    }

    /// Makes the GPU's primary context the calling thread's, as libraries want it that are
    /// called directly.
    ///
    /// # Errors
    /// The driver's.
    pub fn bind(&self) -> Result<(), Error> {
        self.context.bind()
    }

    /// Has `kernel` run on `stream`; does not wait.
    ///
    /// # Errors
    /// The driver's.
    ///
    /// # Safety
    /// `arguments` is the struct that the kernel takes, and all that it points to is memory of
    /// this GPU, large enough for `work`, that lives until the stream is past it ([`Buffer`]s
    /// of this device see to that themselves).
    ///
    /// [`Buffer`]: super::Buffer
    pub unsafe fn launch<A: bytemuck::Pod>(
        &self,
        stream: &Stream,
        kernel: Kernel,
        arguments: &A,
        work: Work,
    ) -> Result<(), Error> {
        // SAFETY: as asked of the caller.
        unsafe { self.module.launch(stream, kernel, arguments, work) }
    }

    /// Waits until nothing runs on the streams, or nothing ever will.
    pub fn settle(&self) {
        for stream in [&self.upload, &self.compute, &self.download] {
            // An error means that the GPU was lost, and with it the work.
            let _ = stream.synchronize();
        }
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, name, version, .. } = self;
        write!(f, "GPU {id}, {name}, CUDA {version}")
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.settle();
    }
}

fn version() -> Result<CudaVersion, Error> {
    let mut version = 0;
    // SAFETY: `version` is a place to write to. May be asked before anything else.
    unsafe { sys::cuDriverGetVersion(&mut version) }.to("tell its version")?;
    let have = CudaVersion(u32::try_from(version).unwrap_or(0));
    if have < LEAST_VERSION { Err(Error::DriverTooOld { have }) } else { Ok(have) }
}

fn capability(device: CUdevice) -> Result<(u32, u32), Error> {
    let get = |attribute| {
        // SAFETY: the device came from the driver.
        let value = unsafe { result::device::get_attribute(device, attribute) };
        Ok(u32::try_from(value.to("describe the GPU")?).unwrap_or(0))
    };
    Ok((
        get(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
        get(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
    ))
}
