//! Streams and the events between them.

use std::{ffi::c_void, ptr, sync::Arc, time::Duration};

use cudarc::driver::sys::{self, CUevent, CUevent_flags, CUstream, CUstream_flags};

use super::{
    Buffer, Pinned, Rows,
    context::Context,
    error::{Error, ToDo as _},
};

/// Work for a GPU, done in the order that it was given in. Streams do not wait for each other
/// unless told to.
pub struct Stream {
    raw: CUstream,
    context: Arc<Context>,
}

// SAFETY: the driver takes streams from any thread.
unsafe impl Send for Stream {}
// SAFETY: as above; two threads' work comes in either order.
unsafe impl Sync for Stream {}

impl Stream {
    /// `urgent`: its kernels go before those of other streams where both could begin.
    pub(super) fn new(context: &Arc<Context>, urgent: bool) -> Result<Self, Error> {
        context.bind()?;
        let mut raw = ptr::null_mut();
        let flags = CUstream_flags::CU_STREAM_NON_BLOCKING as u32;
        // Lower goes before higher; the driver takes the lowest that there is.
        let priority = if urgent { i32::MIN } else { 0 };
        // SAFETY: `raw` is a place to write to.
        unsafe { sys::cuStreamCreateWithPriority(&mut raw, flags, priority) }
            .to("make a stream")?;
        Ok(Self { raw, context: context.clone() })
    }

    /// The driver's own handle, for libraries that are to work on this stream. It lives as long
    /// as the stream does.
    pub fn raw(&self) -> *mut c_void {
        self.raw.cast()
    }

    pub(super) fn handle(&self) -> CUstream {
        self.raw
    }

    pub(super) fn bind(&self) -> Result<(), Error> {
        self.context.bind()
    }

    /// Waits on the host until all work is done.
    ///
    /// # Errors
    /// [`Error::Lost`] where some of it failed.
    pub fn synchronize(&self) -> Result<(), Error> {
        self.bind()?;
        // SAFETY: the stream is ours.
        unsafe { sys::cuStreamSynchronize(self.raw) }.to("finish its work")
    }

    /// Marks the place in the stream that `event` stands for from now on.
    ///
    /// # Errors
    /// The driver's.
    pub fn record(&self, event: &Event) -> Result<(), Error> {
        self.bind()?;
        // SAFETY: both are alive and of one context.
        unsafe { sys::cuEventRecord(event.raw, self.raw) }.to("record an event")
    }

    /// Work given from now on begins after `event`, as last recorded (at once where it never
    /// was).
    ///
    /// # Errors
    /// The driver's.
    pub fn wait(&self, event: &Event) -> Result<(), Error> {
        self.bind()?;
        // SAFETY: as in `record`.
        unsafe { sys::cuStreamWaitEvent(self.raw, event.raw, 0) }.to("wait for an event")
    }

    /// Copies the first `bytes` of `host` to the beginning of `buffer`, or as many as both have.
    /// Both are left alone by the caller until the stream is past it.
    ///
    /// # Errors
    /// The driver's.
    pub fn upload(&self, host: &Pinned, buffer: &Buffer, bytes: usize) -> Result<(), Error> {
        self.bind()?;
        let bytes = bytes.min(host.len()).min(buffer.len());
        // SAFETY: both are as long, and wait for the stream before they are freed.
        unsafe { sys::cuMemcpyHtoDAsync_v2(buffer.address(), host.pointer(), bytes, self.raw) }
            .to("take a frame")
    }

    /// Copies the first `bytes` of `buffer` to the beginning of `host`, on the same terms.
    ///
    /// # Errors
    /// The driver's.
    pub fn download(&self, buffer: &Buffer, host: &Pinned, bytes: usize) -> Result<(), Error> {
        self.bind()?;
        let bytes = bytes.min(host.len()).min(buffer.len());
        // SAFETY: as in `upload`.
        unsafe { sys::cuMemcpyDtoHAsync_v2(host.pointer(), buffer.address(), bytes, self.raw) }
            .to("give a frame")
    }

    /// Copies `rows` of `buffer` to the same place of `host`, on the same terms; nothing where
    /// they reach beyond either.
    ///
    /// # Errors
    /// The driver's.
    pub fn download_rows(&self, buffer: &Buffer, host: &Pinned, rows: Rows) -> Result<(), Error> {
        if rows.is_empty() || rows.end() > buffer.len().min(host.len()) {
            return Ok(());
        }
        self.bind()?;
        let copy = sys::CUDA_MEMCPY2D {
            srcXInBytes: 0,
            srcY: 0,
            srcMemoryType: sys::CUmemorytype::CU_MEMORYTYPE_DEVICE,
            srcHost: ptr::null(),
            srcDevice: buffer.address() + rows.offset as u64,
            srcArray: ptr::null_mut(),
            srcPitch: rows.pitch,
            dstXInBytes: 0,
            dstY: 0,
            dstMemoryType: sys::CUmemorytype::CU_MEMORYTYPE_HOST,
            // SAFETY: inside of the memory, as checked above.
            dstHost: unsafe { host.pointer().byte_add(rows.offset) },
            dstDevice: 0,
            dstArray: ptr::null_mut(),
            dstPitch: rows.pitch,
            WidthInBytes: rows.width,
            Height: rows.height,
        };
        // SAFETY: as in `upload`; `copy` is read before the call returns.
        unsafe { sys::cuMemcpy2DAsync_v2(&copy, self.raw) }.to("give a part of a frame")
    }

    /// Sets every word of `buffer`.
    ///
    /// # Errors
    /// The driver's.
    pub fn fill(&self, buffer: &Buffer, word: u32) -> Result<(), Error> {
        self.bind()?;
        // SAFETY: as many words as it has, and it waits for the stream before it is freed.
        unsafe { sys::cuMemsetD32Async(buffer.address(), word, buffer.len() / 4, self.raw) }
            .to("clear memory")
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let _ = self.bind();
        // SAFETY: the stream is ours. What still runs on it goes on; memory waits for it.
        let _ = unsafe { sys::cuStreamDestroy_v2(self.raw) };
    }
}

/// A place in a stream.
pub struct Event {
    raw: CUevent,
    context: Arc<Context>,
}

// SAFETY: the driver takes events from any thread.
unsafe impl Send for Event {}
// SAFETY: as above.
unsafe impl Sync for Event {}

impl Event {
    pub(super) fn new(context: &Arc<Context>) -> Result<Self, Error> {
        context.bind()?;
        let mut raw = ptr::null_mut();
        // The host sleeps while it waits: another pipeline's threads want the processor.
        let flags = CUevent_flags::CU_EVENT_BLOCKING_SYNC as u32;
        // SAFETY: `raw` is a place to write to.
        unsafe { sys::cuEventCreate(&mut raw, flags) }.to("make an event")?;
        Ok(Self { raw, context: context.clone() })
    }

    /// Waits on the host until the stream is past it; not at all where it was never recorded.
    ///
    /// # Errors
    /// [`Error::Lost`] where work before it failed.
    pub fn synchronize(&self) -> Result<(), Error> {
        self.context.bind()?;
        // SAFETY: the event is ours.
        unsafe { sys::cuEventSynchronize(self.raw) }.to("finish its work")
    }

    /// The time from `earlier` to this one, both recorded and past; zero otherwise.
    pub fn since(&self, earlier: &Self) -> Duration {
        let mut milliseconds = 0.0f32;
        let known = self.context.bind().and_then(|()| {
            // SAFETY: both are alive, and `milliseconds` is a place to write to.
            unsafe { sys::cuEventElapsedTime(&mut milliseconds, earlier.raw, self.raw) }
                .to("tell the time")
        });
        match known {
            Ok(()) => Duration::from_secs_f64(f64::from(milliseconds.max(0.0)) / 1e3),
            Err(_) => Duration::ZERO,
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        let _ = self.context.bind();
        // SAFETY: the event is ours. The driver frees it once it is past.
        let _ = unsafe { sys::cuEventDestroy_v2(self.raw) };
    }
}
