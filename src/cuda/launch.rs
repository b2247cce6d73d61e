//! The module of kernels, and launching them.

use std::{
    ffi::{CString, c_void},
    ptr,
    sync::Arc,
};

use super::{Error, Stream, context::Context, driver::Handle};
use crate::kernels::{self, Samples};

/// Threads of a block along x (spans of a row) and y (rows).
const BLOCK: (u32, u32) = (32, 4);
/// CUDA's limit on blocks along y and z.
const MAX_BLOCKS: u32 = 65535;
/// The most rectangles or regions that one launch can process.
pub const MAX_LAYERS: usize = MAX_BLOCKS as usize;

/// A kernel of [`kernels`](crate::kernels).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kernel {
    Unpack(Samples),
    CompareBlocks,
    UpdateReference,
    Gather(Samples),
    Scatter(Samples),
    Finish(Samples),
    Pack(Samples),
}

impl Kernel {
    const ALL: [Self; 12] = {
        use Samples::{F16, F32};
        [
            Self::Unpack(F32),
            Self::Unpack(F16),
            Self::CompareBlocks,
            Self::UpdateReference,
            Self::Gather(F32),
            Self::Gather(F16),
            Self::Scatter(F32),
            Self::Scatter(F16),
            Self::Finish(F32),
            Self::Finish(F16),
            Self::Pack(F32),
            Self::Pack(F16),
        ]
    };

    /// Its name in the PTX.
    fn name(self) -> String {
        let (name, samples) = match self {
            Self::CompareBlocks => return "compare_blocks".into(),
            Self::UpdateReference => return "update_reference".into(),
            Self::Unpack(samples) => ("unpack", samples),
            Self::Gather(samples) => ("gather", samples),
            Self::Scatter(samples) => ("scatter", samples),
            Self::Finish(samples) => ("finish", samples),
            Self::Pack(samples) => ("pack", samples),
        };
        let suffix = if samples == Samples::F32 { "f32" } else { "f16" };
        format!("{name}_{suffix}")
    }
}

/// The grid of a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Work {
    /// Pieces of a row, one per thread.
    pub spans: u32,
    /// Rows.
    pub rows: u32,
    /// Rectangles or regions.
    pub layers: usize,
}

/// The module that holds the kernels.
pub(super) struct Module {
    raw: Handle,
    functions: Vec<(Kernel, Handle)>,
    context: Arc<Context>,
}

// SAFETY: the driver allows modules and functions on every thread.
unsafe impl Send for Module {}
// SAFETY: as above.
unsafe impl Sync for Module {}

impl Module {
    /// Loads the machine code for a GPU of this compute capability. If there is none or the
    /// driver does not accept it, the driver compiles the PTX, which takes seconds.
    ///
    /// # Errors
    /// Those of the driver.
    pub(crate) fn load(context: &Arc<Context>, capability: (u32, u32)) -> Result<Self, Error> {
        if let Some(code) = kernels::cubin(capability)
            && let Ok(module) = Self::load_image(context, &code)
        {
            return Ok(module);
        }
        Self::load_image(context, nul_terminated(kernels::PTX)?.as_bytes_with_nul())
    }

    /// `image` is a cubin, or NUL-terminated PTX.
    fn load_image(context: &Arc<Context>, image: &[u8]) -> Result<Self, Error> {
        let driver = context.bind()?;
        let mut raw = ptr::null_mut();
        // SAFETY: the image states its own length, and is read before the call returns.
        unsafe { (driver.cuModuleLoadData)(&mut raw, image.as_ptr().cast()) }
            .check("kernel compilation")?;
        // From here on, an error unloads the module.
        let mut module = Self { raw, functions: vec![], context: context.clone() };
        for kernel in Kernel::ALL {
            let name = nul_terminated(kernel.name())?;
            let mut function = ptr::null_mut();
            // SAFETY: the module is loaded, and the name NUL-terminated.
            unsafe { (driver.cuModuleGetFunction)(&mut function, raw, name.as_ptr()) }
                .check("kernel look-up")?;
            module.functions.push((kernel, function));
        }
        Ok(module)
    }

    /// Queues `kernel` on `stream`. Does nothing if there is no work.
    ///
    /// # Safety
    /// `arguments` is the struct that the kernel takes. What the kernel reads and writes for
    /// `work` is GPU memory that is not freed before the stream is synchronized.
    pub(crate) unsafe fn launch<A: bytemuck::Pod>(
        &self,
        stream: &Stream,
        kernel: Kernel,
        arguments: &A,
        work: Work,
    ) -> Result<(), Error> {
        const TASK: &str = "kernel launch";
        let Work { spans, rows, layers } = work;
        if spans == 0 || rows == 0 || layers == 0 {
            return Ok(());
        }
        let layers = u32::try_from(layers).ok().filter(|layers| *layers <= MAX_BLOCKS);
        let layers =
            layers.ok_or(Error::InvalidArguments { task: TASK, reason: "too many rectangles" })?;
        let function = self.functions.iter().find(|(loaded, _)| *loaded == kernel);
        let (_, function) = function
            .ok_or(Error::InvalidArguments { task: TASK, reason: "the kernel is not loaded" })?;
        let driver = stream.bind()?;
        let mut parameters = [ptr::from_ref(arguments).cast_mut().cast::<c_void>()];
        // SAFETY: the arguments are copied before the call returns; the caller answers for the
        // memory that they point to.
        unsafe {
            (driver.cuLaunchKernel)(
                *function,
                spans.div_ceil(BLOCK.0),
                rows.div_ceil(BLOCK.1).min(MAX_BLOCKS),
                layers,
                BLOCK.0,
                BLOCK.1,
                1,
                0,
                stream.raw(),
                parameters.as_mut_ptr(),
                ptr::null_mut(),
            )
        }
        .check(TASK)
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        let _ = self.context.bind();
        // SAFETY: the module is ours, and its device's streams have been synchronized.
        let _ = unsafe { (self.context.driver.cuModuleUnload)(self.raw) };
    }
}

fn nul_terminated(text: impl Into<Vec<u8>>) -> Result<CString, Error> {
    let (task, reason) = ("kernel compilation", "the text contains a NUL");
    CString::new(text).map_err(|_| Error::InvalidArguments { task, reason })
}
