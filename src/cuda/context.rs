//! The primary context of a GPU.

use std::{ffi::c_int, ptr};

use super::{
    Error,
    driver::{Driver, Handle},
};

/// A counted reference to the primary context, which all users of a GPU in a process share.
pub(super) struct Context {
    pub driver: &'static Driver,
    device: c_int,
    raw: Handle,
}

// SAFETY: the driver allows contexts on every thread.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

impl Context {
    pub(crate) fn retain(driver: &'static Driver, device: c_int) -> Result<Self, Error> {
        let mut raw = ptr::null_mut();
        // SAFETY: `raw` can be written to.
        unsafe { (driver.cuDevicePrimaryCtxRetain)(&mut raw, device) }.check("GPU start-up")?;
        Ok(Self { driver, device, raw })
    }

    /// Makes this the calling thread's context, which every other call needs.
    pub(crate) fn bind(&self) -> Result<&'static Driver, Error> {
        // SAFETY: the context is retained.
        unsafe { (self.driver.cuCtxSetCurrent)(self.raw) }.check("context selection")?;
        Ok(self.driver)
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: releases what `retain` retained. An error would leak one reference.
        let _ = unsafe { (self.driver.cuDevicePrimaryCtxRelease_v2)(self.device) };
    }
}
