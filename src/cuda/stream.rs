//! Streams, and the events that order them.

use std::{
    ffi::{c_int, c_uint, c_void},
    ptr,
    sync::{Arc, PoisonError},
    time::Duration,
};

use super::{
    Buffer, Error, Pinned, Rows,
    context::Context,
    driver::{Copy2d, DEVICE_MEMORY, Driver, HOST_MEMORY, Handle},
};
use crate::kernels::Address;

/// `CU_STREAM_NON_BLOCKING`: independent of the default stream.
const NON_BLOCKING: c_uint = 1;
/// `CU_EVENT_BLOCKING_SYNC`: a waiting host thread sleeps.
const BLOCKING_SYNC: c_uint = 1;

/// Which of several streams starts its work first when all could.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Priority {
    Normal,
    High,
}

/// A queue of work for a GPU, done in order. Different streams are independent of each other
/// except for [`wait`](Self::wait).
pub struct Stream {
    raw: Handle,
    context: Arc<Context>,
}

// SAFETY: the driver allows streams on every thread.
unsafe impl Send for Stream {}
// SAFETY: as above; work of two threads is queued in either order.
unsafe impl Sync for Stream {}

impl Stream {
    pub(super) fn new(context: &Arc<Context>, priority: Priority) -> Result<Self, Error> {
        let driver = context.bind()?;
        let mut raw = ptr::null_mut();
        // Lower numbers come first; the driver clamps them to its range.
        let priority: c_int = match priority {
            Priority::Normal => 0,
            Priority::High => c_int::MIN,
        };
        // SAFETY: `raw` can be written to.
        unsafe { (driver.cuStreamCreateWithPriority)(&mut raw, NON_BLOCKING, priority) }
            .check("stream creation")?;
        Ok(Self { raw, context: context.clone() })
    }

    /// The driver's handle (`CUstream`), for libraries that run on this stream. It is valid as
    /// long as this stream.
    #[must_use]
    pub fn raw(&self) -> *mut c_void {
        self.raw
    }

    pub(super) fn bind(&self) -> Result<&'static Driver, Error> {
        self.context.bind()
    }

    /// Waits on the host until all work is done.
    ///
    /// # Errors
    /// [`Error::Lost`] if any of the work failed.
    pub fn synchronize(&self) -> Result<(), Error> {
        let driver = self.bind()?;
        // SAFETY: the stream is alive.
        unsafe { (driver.cuStreamSynchronize)(self.raw) }.check("GPU work")
    }

    /// Makes `event` stand for all work queued so far.
    ///
    /// # Errors
    /// Those of the driver.
    pub fn record(&self, event: &Event) -> Result<(), Error> {
        let driver = self.bind()?;
        // SAFETY: both are alive.
        unsafe { (driver.cuEventRecord)(event.raw, self.raw) }.check("event recording")
    }

    /// Makes work queued from now on wait for `event` as last recorded. An event that was never
    /// recorded is not waited for.
    ///
    /// # Errors
    /// Those of the driver.
    pub fn wait(&self, event: &Event) -> Result<(), Error> {
        let driver = self.bind()?;
        // SAFETY: both are alive.
        unsafe { (driver.cuStreamWaitEvent)(self.raw, event.raw, 0) }.check("event wait")
    }

    /// Copies the first `bytes` bytes of `host` to the start of `buffer`, or as many as both
    /// have. Does not wait for the copy.
    ///
    /// # Errors
    /// Those of the driver.
    pub fn upload(&self, host: &Pinned, buffer: &Buffer, bytes: usize) -> Result<(), Error> {
        let bytes = bytes.min(host.len()).min(buffer.len());
        self.check_device(buffer)?;
        self.copy(host, |driver| {
            // SAFETY: both have that many bytes, and outlive the copy: `Pinned` and `Buffer`
            // wait for the device's streams before they free their memory.
            unsafe {
                (driver.cuMemcpyHtoDAsync_v2)(buffer.address(), host.pointer(), bytes, self.raw)
            }
            .check("upload to the GPU")
        })
    }

    /// Copies the first `bytes` bytes of `buffer` to the start of `host`, or as many as both
    /// have. Does not wait for the copy; reading `host` does.
    ///
    /// # Errors
    /// Those of the driver.
    pub fn download(&self, buffer: &Buffer, host: &mut Pinned, bytes: usize) -> Result<(), Error> {
        let bytes = bytes.min(host.len()).min(buffer.len());
        self.check_device(buffer)?;
        self.copy(host, |driver| {
            // SAFETY: as in `upload`.
            unsafe {
                (driver.cuMemcpyDtoHAsync_v2)(host.pointer(), buffer.address(), bytes, self.raw)
            }
            .check("download from the GPU")
        })
    }

    /// Copies `rows` of `buffer` to the same places of `host`. Does not wait for the copies;
    /// reading `host` does.
    ///
    /// # Errors
    /// [`Error::InvalidArguments`] for rows outside of `buffer` or `host`, and those of the
    /// driver.
    pub fn download_rows(
        &self,
        buffer: &Buffer,
        host: &mut Pinned,
        rows: impl IntoIterator<Item = Rows>,
    ) -> Result<(), Error> {
        self.check_device(buffer)?;
        let bytes = buffer.len().min(host.len());
        self.copy(host, |driver| {
            for rows in rows {
                if rows.is_empty() {
                    continue;
                }
                if rows.end().is_none_or(|end| end > bytes) {
                    let (task, reason) = ("download from the GPU", "rows outside of the memory");
                    return Err(Error::InvalidArguments { task, reason });
                }
                let copy = Copy2d {
                    from_x: 0,
                    from_y: 0,
                    from_type: DEVICE_MEMORY,
                    from_host: ptr::null(),
                    from_device: buffer.address() + rows.offset as u64,
                    from_array: ptr::null_mut(),
                    from_pitch: rows.pitch,
                    to_x: 0,
                    to_y: 0,
                    to_type: HOST_MEMORY,
                    to_host: host.pointer().wrapping_byte_add(rows.offset),
                    to_device: 0,
                    to_array: ptr::null_mut(),
                    to_pitch: rows.pitch,
                    width: rows.width,
                    height: rows.height,
                };
                // SAFETY: as in `upload`; the rows end inside of both, as checked above, and
                // `copy` is read before the call returns.
                unsafe { (driver.cuMemcpy2DAsync_v2)(&copy, self.raw) }
                    .check("download from the GPU")?;
            }
            Ok(())
        })
    }

    /// Copies the first `bytes` bytes of `host` to `address`.
    ///
    /// # Errors
    /// [`Error::InvalidArguments`] if no [`Buffer`] of the device of `host` has that many bytes
    /// there.
    pub fn upload_to(&self, host: &Pinned, address: Address, bytes: usize) -> Result<(), Error> {
        let bytes = bytes.min(host.len());
        self.check_context(host.device().context(), "upload to the GPU")?;
        host.device().with_allocated(address, bytes, "upload to the GPU", || {
            self.copy(host, |driver| {
                // SAFETY: as in `upload`; the memory is that of a buffer, which is not freed
                // before this stream is synchronized.
                unsafe { (driver.cuMemcpyHtoDAsync_v2)(address, host.pointer(), bytes, self.raw) }
                    .check("upload to the GPU")
            })
        })
    }

    /// Copies `bytes` bytes from `address` to the start of `host`.
    ///
    /// # Errors
    /// As [`upload_to`](Self::upload_to).
    pub fn download_from(
        &self,
        address: Address,
        host: &mut Pinned,
        bytes: usize,
    ) -> Result<(), Error> {
        let bytes = bytes.min(host.len());
        self.check_context(host.device().context(), "download from the GPU")?;
        host.device().with_allocated(address, bytes, "download from the GPU", || {
            self.copy(host, |driver| {
                // SAFETY: as in `upload_to`.
                unsafe { (driver.cuMemcpyDtoHAsync_v2)(host.pointer(), address, bytes, self.raw) }
                    .check("download from the GPU")
            })
        })
    }

    /// Sets every 32-bit word of `buffer`.
    ///
    /// # Errors
    /// Those of the driver.
    pub fn fill(&self, buffer: &Buffer, word: u32) -> Result<(), Error> {
        self.check_device(buffer)?;
        let driver = self.bind()?;
        let words = buffer.len() / 4;
        // SAFETY: the buffer has that many words, and outlives the work as in `upload`.
        unsafe { (driver.cuMemsetD32Async)(buffer.address(), word, words, self.raw) }
            .check("memory fill")
    }

    /// Queues copies from or to `host`, which does not give access to its bytes before they are
    /// done.
    fn copy(
        &self,
        host: &Pinned,
        queue: impl FnOnce(&'static Driver) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.check_context(host.device().context(), "copy")?;
        let driver = self.bind()?;
        let copied = host.copied.lock().unwrap_or_else(PoisonError::into_inner);
        // The event stands for copies on other streams as well.
        self.wait(&copied)?;
        let queued = queue(driver).and_then(|()| self.record(&copied));
        // Without the event nothing would wait for what was queued.
        queued.inspect_err(|_| drop(self.synchronize()))
    }

    /// Fails for memory that would not wait for this stream before it is freed.
    fn check_device(&self, buffer: &Buffer) -> Result<(), Error> {
        self.check_context(buffer.device().context(), "copy")
    }

    fn check_context(&self, context: &Arc<Context>, task: &'static str) -> Result<(), Error> {
        if Arc::ptr_eq(&self.context, context) {
            return Ok(());
        }
        Err(Error::InvalidArguments { task, reason: "memory of another device" })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let _ = self.bind();
        // SAFETY: the stream is ours. Work that is left goes on; memory waits for it.
        let _ = unsafe { (self.context.driver.cuStreamDestroy_v2)(self.raw) };
    }
}

/// A point in a stream's work.
pub struct Event {
    raw: Handle,
    context: Arc<Context>,
}

// SAFETY: the driver allows events on every thread.
unsafe impl Send for Event {}
// SAFETY: as above.
unsafe impl Sync for Event {}

impl Event {
    pub(super) fn new(context: &Arc<Context>) -> Result<Self, Error> {
        let driver = context.bind()?;
        let mut raw = ptr::null_mut();
        // SAFETY: `raw` can be written to.
        unsafe { (driver.cuEventCreate)(&mut raw, BLOCKING_SYNC) }.check("event creation")?;
        Ok(Self { raw, context: context.clone() })
    }

    /// Waits on the host until the work that it was last recorded after is done. Returns at once
    /// if it was never recorded.
    ///
    /// # Errors
    /// [`Error::Lost`] if any of that work failed.
    pub fn synchronize(&self) -> Result<(), Error> {
        let driver = self.context.bind()?;
        // SAFETY: the event is alive.
        unsafe { (driver.cuEventSynchronize)(self.raw) }.check("GPU work")
    }

    /// The time from `earlier` to this event; zero unless both were recorded and are done.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Duration {
        let mut milliseconds = 0.0f32;
        let known = self.context.bind().and_then(|driver| {
            // SAFETY: both are alive, and `milliseconds` can be written to.
            unsafe { (driver.cuEventElapsedTime)(&mut milliseconds, earlier.raw, self.raw) }
                .check("time measurement")
        });
        match known {
            Ok(()) => Duration::try_from_secs_f32(milliseconds / 1e3).unwrap_or_default(),
            Err(_) => Duration::ZERO,
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        let _ = self.context.bind();
        // SAFETY: the event is ours. The driver frees it once it is done.
        let _ = unsafe { (self.context.driver.cuEventDestroy_v2)(self.raw) };
    }
}
