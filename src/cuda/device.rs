//! A GPU that is open for use.

use std::{
    collections::BTreeMap,
    ffi::{CStr, c_char, c_int},
    fmt, fs,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    Error, Event, Stream,
    context::Context,
    driver::Driver,
    launch::{Kernel, Module, Work},
    stream::Priority,
};
use crate::kernels::Address;

/// The kernels' PTX 8.0 needs this version.
const MIN_VERSION: CudaVersion = CudaVersion(12_000);
const MIN_CAPABILITY: (u32, u32) = (7, 5);
/// `CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR` and `_MINOR`.
const CAPABILITY: [c_int; 2] = [75, 76];

/// A version of CUDA as the driver encodes it: 1000 · major + 10 · minor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CudaVersion(pub u32);

impl fmt::Display for CudaVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 / 1000, self.0 % 1000 / 10)
    }
}

/// An open GPU: three streams and the kernels, in the primary context that all users of the GPU
/// in this process share.
pub struct Device {
    id: u32,
    name: String,
    capability: (u32, u32),
    version: CudaVersion,
    /// Address and bytes of every [`Buffer`](super::Buffer).
    buffers: Mutex<BTreeMap<Address, usize>>,
    upload: Stream,
    compute: Stream,
    download: Stream,
    module: Module,
    context: Arc<Context>,
}

impl Device {
    /// Opens GPU `id`, from 0 on, in the driver's order (see `CUDA_VISIBLE_DEVICES`). For a GPU
    /// that is newer than this program, the driver compiles the kernels the first time, which
    /// takes some seconds, and caches them.
    ///
    /// # Errors
    /// Any [`Error`].
    pub fn open(id: u32) -> Result<Arc<Self>, Error> {
        let driver = Driver::get()?;
        let version = version(driver)?;
        // SAFETY: takes no pointers.
        unsafe { (driver.cuInit)(0) }.check("driver initialization")?;
        let device = find(driver, id)?;
        let name = name(driver, device)?;
        let capability = capability(driver, device)?;
        if capability < MIN_CAPABILITY {
            return Err(Error::DeviceTooOld { name, capability });
        }
        let context = Arc::new(Context::retain(driver, device)?);
        Ok(Arc::new(Self {
            id,
            name,
            capability,
            version,
            buffers: Mutex::default(),
            // The host waits for the comparison of a frame before it can queue other work.
            upload: Stream::new(&context, Priority::High)?,
            compute: Stream::new(&context, Priority::Normal)?,
            download: Stream::new(&context, Priority::Normal)?,
            module: Module::load(&context, capability)?,
            context,
        }))
    }

    /// The number that it was opened by.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The driver's name for it, for example `NVIDIA GeForce RTX 3060`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Compute capability, major and minor.
    #[must_use]
    pub fn capability(&self) -> (u32, u32) {
        self.capability
    }

    /// The newest version of CUDA that the driver supports.
    #[must_use]
    pub fn cuda_version(&self) -> CudaVersion {
        self.version
    }

    /// The driver's own version, for example `550.54.14`, or its version of CUDA if the system
    /// does not expose it. For keys of caches.
    #[must_use]
    pub fn driver_version(&self) -> String {
        let version = fs::read_to_string("/sys/module/nvidia/version").unwrap_or_default();
        match version.trim() {
            "" => format!("CUDA {}", self.version),
            version => version.to_owned(),
        }
    }

    /// Free and total memory of the GPU in bytes. Other processes may use it at any time.
    ///
    /// # Errors
    /// Those of the driver.
    pub fn memory(&self) -> Result<(u64, u64), Error> {
        let driver = self.bind()?;
        let (mut free, mut total) = (0, 0);
        // SAFETY: both can be written to.
        unsafe { (driver.cuMemGetInfo_v2)(&mut free, &mut total) }.check("memory query")?;
        Ok((free as u64, total as u64))
    }

    /// The stream for copies to the GPU and for the comparison with the reference.
    #[must_use]
    pub fn upload(&self) -> &Stream {
        &self.upload
    }

    /// The stream for all other kernels and the model.
    #[must_use]
    pub fn compute(&self) -> &Stream {
        &self.compute
    }

    /// The stream for copies to the host.
    #[must_use]
    pub fn download(&self) -> &Stream {
        &self.download
    }

    /// A new event.
    ///
    /// # Errors
    /// Those of the driver.
    pub fn event(&self) -> Result<Event, Error> {
        Event::new(&self.context)
    }

    /// Makes the GPU's primary context the calling thread's, for libraries that are called
    /// directly.
    ///
    /// # Errors
    /// Those of the driver.
    pub fn make_current(&self) -> Result<(), Error> {
        self.bind().map(|_| ())
    }

    /// Waits until nothing runs on the three streams. Ignores errors: after one, nothing runs
    /// any more.
    pub fn synchronize(&self) {
        for stream in [&self.upload, &self.compute, &self.download] {
            let _ = stream.synchronize();
        }
    }

    pub(super) fn bind(&self) -> Result<&'static Driver, Error> {
        self.context.bind()
    }

    pub(super) fn driver(&self) -> &'static Driver {
        self.context.driver
    }

    pub(super) fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// # Safety
    /// See [`Module::launch`].
    pub(super) unsafe fn launch<A: bytemuck::Pod>(
        &self,
        stream: &Stream,
        kernel: Kernel,
        arguments: &A,
        work: Work,
    ) -> Result<(), Error> {
        // SAFETY: as the caller promises.
        unsafe { self.module.launch(stream, kernel, arguments, work) }
    }

    /// Remembers the memory of a new buffer.
    pub(super) fn allocated(&self, address: Address, bytes: usize) {
        self.buffers().insert(address, bytes);
    }

    /// Forgets the memory of a buffer that is about to be freed.
    pub(super) fn freed(&self, address: Address) {
        self.buffers().remove(&address);
    }

    /// Calls `queue` if a buffer of this device has `bytes` bytes at `address`, which it keeps
    /// until `queue` returns. A buffer waits for the streams before it is freed.
    pub(super) fn with_allocated(
        &self,
        address: Address,
        bytes: usize,
        task: &'static str,
        queue: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        let buffers = self.buffers();
        let buffer = buffers.range(..=address).next_back();
        let inside = buffer.is_some_and(|(start, length)| {
            (address - start).checked_add(bytes as u64).is_some_and(|end| end <= *length as u64)
        });
        if inside {
            queue()
        } else {
            Err(Error::InvalidArguments { task, reason: "the memory is not in a buffer" })
        }
    }

    fn buffers(&self) -> MutexGuard<'_, BTreeMap<Address, usize>> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.synchronize();
    }
}

fn version(driver: &Driver) -> Result<CudaVersion, Error> {
    let mut version = 0;
    // SAFETY: `version` can be written to. This function needs no initialization.
    unsafe { (driver.cuDriverGetVersion)(&mut version) }.check("version query")?;
    let have = CudaVersion(u32::try_from(version).unwrap_or(0));
    if have < MIN_VERSION { Err(Error::DriverTooOld { have }) } else { Ok(have) }
}

/// The driver's handle for GPU `id`.
fn find(driver: &Driver, id: u32) -> Result<c_int, Error> {
    let mut count = 0;
    // SAFETY: `count` can be written to.
    unsafe { (driver.cuDeviceGetCount)(&mut count) }.check("device query")?;
    let count = u32::try_from(count).unwrap_or(0);
    if count == 0 {
        return Err(Error::NoDevice);
    }
    let ordinal = c_int::try_from(id).ok().filter(|_| id < count);
    let ordinal = ordinal.ok_or(Error::NoSuchDevice { id, count })?;
    let mut device = 0;
    // SAFETY: `device` can be written to.
    unsafe { (driver.cuDeviceGet)(&mut device, ordinal) }.check("device query")?;
    Ok(device)
}

fn name(driver: &Driver, device: c_int) -> Result<String, Error> {
    let mut name = [0u8; 128];
    let pointer = name.as_mut_ptr().cast::<c_char>();
    // SAFETY: the last byte stays 0: the driver writes at most the length that it is given.
    unsafe { (driver.cuDeviceGetName)(pointer, name.len() as c_int - 1, device) }
        .check("device query")?;
    let name = CStr::from_bytes_until_nul(&name).unwrap_or_default();
    Ok(name.to_string_lossy().into_owned())
}

fn capability(driver: &Driver, device: c_int) -> Result<(u32, u32), Error> {
    let [major, minor] = CAPABILITY.map(|attribute| {
        let mut value = 0;
        // SAFETY: `value` can be written to.
        unsafe { (driver.cuDeviceGetAttribute)(&mut value, attribute, device) }
            .check("device query")?;
        Ok(u32::try_from(value).unwrap_or(0))
    });
    Ok((major?, minor?))
}
