//! The functions of the CUDA driver that this crate calls, under their own names.
//!
//! Every function returns its status as the integer that it is. A Rust enum in its place, as in
//! the `cudarc` crate, would make a status that a newer driver has and the enum lacks undefined
//! behaviour. A missing library or function is an error here, never a panic.

use std::{
    ffi::{c_char, c_int, c_uint, c_void},
    sync::OnceLock,
};

use libloading::Library;

use super::Error;

/// A context, module, function, stream or event.
pub(super) type Handle = *mut c_void;

/// `CUDA_MEMCPY2D`.
#[repr(C)]
pub(super) struct Copy2d {
    pub from_x: usize,
    pub from_y: usize,
    pub from_type: c_uint,
    pub from_host: *const c_void,
    pub from_device: u64,
    pub from_array: Handle,
    pub from_pitch: usize,
    pub to_x: usize,
    pub to_y: usize,
    pub to_type: c_uint,
    pub to_host: *mut c_void,
    pub to_device: u64,
    pub to_array: Handle,
    pub to_pitch: usize,
    pub width: usize,
    pub height: usize,
}

/// `CU_MEMORYTYPE_HOST`.
pub(super) const HOST_MEMORY: c_uint = 1;
/// `CU_MEMORYTYPE_DEVICE`.
pub(super) const DEVICE_MEMORY: c_uint = 2;

/// What a function of the driver returned (`CUresult`).
#[repr(transparent)]
#[must_use]
#[derive(Clone, Copy)]
pub(super) struct Status(c_int);

impl Status {
    /// `task` names what was done, as a noun phrase: "memory allocation".
    pub(crate) fn check(self, task: &'static str) -> Result<(), Error> {
        if self.0 == 0 { Ok(()) } else { Err(Error::of(task, self.0)) }
    }
}

macro_rules! functions {
    ($($name:ident($($argument:ty),*);)*) => {
        /// The driver's functions. <https://docs.nvidia.com/cuda/cuda-driver-api/>
        #[allow(non_snake_case)]
        pub(super) struct Driver {
            $(pub $name: unsafe extern "C" fn($($argument),*) -> Status,)*
            _library: Library,
        }

        impl Driver {
            /// # Errors
            /// [`Error::MissingFunction`].
            fn of(library: Library) -> Result<Self, Error> {
                Ok(Self {
                    // SAFETY: the types below are those of the driver's documentation.
                    $($name: unsafe { function(&library, stringify!($name)) }?,)*
                    _library: library,
                })
            }
        }
    };
}

functions! {
    cuDriverGetVersion(*mut c_int);
    cuInit(c_uint);
    cuDeviceGetCount(*mut c_int);
    cuDeviceGet(*mut c_int, c_int);
    cuDeviceGetName(*mut c_char, c_int, c_int);
    cuDeviceGetAttribute(*mut c_int, c_int, c_int);
    cuDevicePrimaryCtxRetain(*mut Handle, c_int);
    cuDevicePrimaryCtxRelease_v2(c_int);
    cuCtxSetCurrent(Handle);
    cuMemGetInfo_v2(*mut usize, *mut usize);
    cuModuleLoadData(*mut Handle, *const c_void);
    cuModuleUnload(Handle);
    cuModuleGetFunction(*mut Handle, Handle, *const c_char);
    cuLaunchKernel(
        Handle, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, Handle,
        *mut *mut c_void, *mut *mut c_void
    );
    cuMemAlloc_v2(*mut u64, usize);
    cuMemFree_v2(u64);
    cuMemHostAlloc(*mut *mut c_void, usize, c_uint);
    cuMemFreeHost(*mut c_void);
    cuMemcpyHtoDAsync_v2(u64, *const c_void, usize, Handle);
    cuMemcpyDtoHAsync_v2(*mut c_void, u64, usize, Handle);
    cuMemcpy2DAsync_v2(*const Copy2d, Handle);
    cuMemsetD32Async(u64, c_uint, usize, Handle);
    cuStreamCreateWithPriority(*mut Handle, c_uint, c_int);
    cuStreamDestroy_v2(Handle);
    cuStreamSynchronize(Handle);
    cuStreamWaitEvent(Handle, Handle, c_uint);
    cuEventCreate(*mut Handle, c_uint);
    cuEventDestroy_v2(Handle);
    cuEventRecord(Handle, Handle);
    cuEventSynchronize(Handle);
    cuEventElapsedTime(*mut f32, Handle, Handle);
}

impl Driver {
    /// The driver, loaded by the first call that finds it and never unloaded.
    ///
    /// # Errors
    /// [`Error::NoDriver`] or [`Error::MissingFunction`].
    pub(crate) fn get() -> Result<&'static Self, Error> {
        static DRIVER: OnceLock<Driver> = OnceLock::new();
        if let Some(driver) = DRIVER.get() {
            return Ok(driver);
        }
        // The name without a version comes second: in a toolkit it is a stub without a driver.
        let library = ["libcuda.so.1", "libcuda.so"].into_iter().find_map(|name| {
            // SAFETY: it runs libcuda's initialisers, as every program that uses CUDA does.
            unsafe { Library::new(name) }.ok()
        });
        let driver = Self::of(library.ok_or(Error::NoDriver)?)?;
        Ok(DRIVER.get_or_init(|| driver))
    }
}

/// # Safety
/// `F` is the type of the function `name`.
unsafe fn function<F: Copy>(library: &Library, name: &'static str) -> Result<F, Error> {
    // SAFETY: as the caller promises.
    match unsafe { library.get::<F>(name.as_bytes()) } {
        Ok(function) => Ok(*function),
        Err(_) => Err(Error::MissingFunction { name }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_without_the_functions_of_the_driver_is_an_error() {
        // SAFETY: the C library is loaded already.
        let library = unsafe { Library::new("libc.so.6") }.unwrap();
        let error = Driver::of(library).err();
        assert_eq!(error, Some(Error::MissingFunction { name: "cuDriverGetVersion" }));
    }
}
