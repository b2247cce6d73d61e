//! The kernels, and running them.

use std::{
    ffi::{CString, c_void},
    ptr,
    sync::Arc,
};

use cudarc::driver::sys::{self, CUfunction, CUmodule};

use super::{
    Stream,
    context::Context,
    error::{Error, ToDo as _},
};
use crate::kernels::{self, Samples};

/// Threads of a block: along a row, and rows.
const BLOCK: (u32, u32) = (32, 4);
/// The most blocks along y and z.
const MOST_BLOCKS: u32 = 65535;

/// Those of [`kernels`](crate::kernels).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
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

    fn name(self) -> String {
        let of = |name: &str, samples: Samples| {
            let suffix = if samples == Samples::F32 { "f32" } else { "f16" };
            format!("{name}_{suffix}")
        };
        match self {
            Self::Unpack(samples) => of("unpack", samples),
            Self::CompareBlocks => "compare_blocks".into(),
            Self::UpdateReference => "update_reference".into(),
            Self::Gather(samples) => of("gather", samples),
            Self::Scatter(samples) => of("scatter", samples),
            Self::Finish(samples) => of("finish", samples),
            Self::Pack(samples) => of("pack", samples),
        }
    }
}

/// How much of it there is to do for a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Pieces of a row that a thread takes each.
    pub spans: u32,
    pub rows: u32,
    /// Rectangles or regions.
    pub layers: u32,
}

impl Work {
    /// The most layers of one launch.
    pub const MOST_LAYERS: usize = MOST_BLOCKS as usize;
}

/// The module that holds the kernels.
pub(super) struct Module {
    raw: CUmodule,
    functions: Vec<(Kernel, CUfunction)>,
    context: Arc<Context>,
}

// SAFETY: modules and functions may be used from any thread.
unsafe impl Send for Module {}
// SAFETY: as above.
unsafe impl Sync for Module {}

impl Module {
    pub fn load(context: &Arc<Context>) -> Result<Self, Error> {
        context.bind()?;
        let code = |why: &str| Error::Driver { task: "load the kernels", code: why.into() };
        let text = CString::new(kernels::PTX).map_err(|_| code("they hold a NUL"))?;
        let mut raw = ptr::null_mut();
        // SAFETY: NUL-terminated PTX, read before the call returns.
        unsafe { sys::cuModuleLoadData(&mut raw, text.as_ptr().cast()) }.to("load the kernels")?;
        // Unloads where something is missing.
        let mut module = Self { raw, functions: vec![], context: context.clone() };
        for kernel in Kernel::ALL {
            let name = CString::new(kernel.name()).map_err(|_| code("a name holds a NUL"))?;
            let mut function = ptr::null_mut();
            // SAFETY: the module is loaded, and the name NUL-terminated.
            unsafe { sys::cuModuleGetFunction(&mut function, raw, name.as_ptr()) }
                .to("find a kernel")?;
            module.functions.push((kernel, function));
        }
        Ok(module)
    }

    /// # Safety
    /// See [`Device::launch`](super::Device::launch).
    pub unsafe fn launch<A: bytemuck::Pod>(
        &self,
        stream: &Stream,
        kernel: Kernel,
        arguments: &A,
        work: Work,
    ) -> Result<(), Error> {
        let Work { spans, rows, layers } = work;
        if spans == 0 || rows == 0 || layers == 0 {
            return Ok(());
        }
        let found = self.functions.iter().find(|(of, _)| *of == kernel);
        let Some((_, function)) = found.filter(|_| layers <= MOST_BLOCKS) else {
            return Err(Error::Driver { task: "run a kernel", code: format!("{kernel:?}") });
        };
        stream.bind()?;
        let mut parameters = [ptr::from_ref(arguments).cast_mut().cast::<c_void>()];
        // SAFETY: the arguments are copied before the call returns; for what they point to, the
        // caller answers.
        unsafe {
            sys::cuLaunchKernel(
                *function,
                spans.div_ceil(BLOCK.0),
                rows.div_ceil(BLOCK.1).min(MOST_BLOCKS),
                layers,
                BLOCK.0,
                BLOCK.1,
                1,
                0,
                stream.handle(),
                parameters.as_mut_ptr(),
                ptr::null_mut(),
            )
        }
        .to("run a kernel")
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        let _ = self.context.bind();
        // SAFETY: the module is ours, and its streams have been waited for.
        let _ = unsafe { sys::cuModuleUnload(self.raw) };
    }
}
