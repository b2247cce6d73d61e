//! The primary context of a GPU.

use cudarc::driver::{
    result,
    sys::{self, CUcontext, CUdevice},
};

use super::error::{Error, ToDo as _};

/// One reference to the primary context, which the driver counts.
pub(super) struct Context {
    device: CUdevice,
    raw: CUcontext,
}

// SAFETY: contexts may be used from any thread; each makes it current first.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

impl Context {
    pub fn retain(device: CUdevice) -> Result<Self, Error> {
        // SAFETY: the device came from the driver.
        let raw = unsafe { result::primary_ctx::retain(device) }.to("open the GPU")?;
        Ok(Self { device, raw })
    }

    /// Makes it the calling thread's: what every other call to the driver needs.
    pub fn bind(&self) -> Result<(), Error> {
        // SAFETY: the context is retained.
        unsafe { sys::cuCtxSetCurrent(self.raw) }.to("use the GPU")
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: gives back what `retain` took. An error would leave a reference, no more.
        let _ = unsafe { result::primary_ctx::release(self.device) };
    }
}
