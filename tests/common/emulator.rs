//! An emulated GPU: `emulator.cpp` in place of libcuda.

// Each test binary uses a part of this file.
#![allow(dead_code)]

use std::{
    ffi::c_void,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use libloading::{Library, Symbol};

use super::cpp;

/// What the emulator counts: live objects, faults, and work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Count {
    Buffers,
    Pinned,
    Events,
    Streams,
    Contexts,
    Modules,
    /// Memory freed while in use, copies and fills outside of memory, writes past its end,
    /// write-combined memory.
    Faults,
    /// Bytes.
    Uploaded,
    Downloaded,
    Launches,
    /// Threads of the kernels that unpack frames.
    UnpackingThreads,
    /// PTX that the driver compiled.
    Compilations,
}

/// The emulated driver, used by one test at a time.
pub struct Emulator {
    library: &'static Library,
    _alone: MutexGuard<'static, ()>,
}

impl Emulator {
    /// Resets the driver to one GPU with 1 TB of memory. `None` if there is no C++ compiler.
    pub fn get() -> Option<Self> {
        static LIBRARY: OnceLock<Option<Library>> = OnceLock::new();
        static ALONE: Mutex<()> = Mutex::new(());
        // Every later `dlopen` of this name finds the library that is loaded already.
        let library = LIBRARY.get_or_init(|| {
            let flags = ["-Wl,-soname,libcuda.so.1", "-pthread"];
            let path = cpp::build("tests/common/emulator.cpp", &flags)?;
            // SAFETY: its initializers only fill a table.
            Some(unsafe { Library::new(path) }.unwrap())
        });
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let emulator = Self { library: library.as_ref()?, _alone: alone };
        // SAFETY: takes no arguments.
        emulator.call::<unsafe extern "C" fn()>("reset", |reset| unsafe { reset() });
        Some(emulator)
    }

    fn call<F: 'static>(&self, name: &str, call: impl FnOnce(&F)) {
        // SAFETY: each caller uses the type that `emulator.cpp` declares.
        let symbol: Symbol<'_, F> =
            unsafe { self.library.get(format!("emulator_{name}").as_bytes()) }.unwrap();
        call(&symbol);
    }

    fn set<T: 'static>(&self, name: &str, value: T) {
        // SAFETY: the callers pass numbers of the declared types.
        self.call::<unsafe extern "C" fn(T)>(name, |set| unsafe { set(value) });
    }

    pub fn set_devices(&self, count: i32) {
        self.set("set_devices", count);
    }

    /// The version of CUDA as the driver encodes it: 12040 for 12.4.
    pub fn set_version(&self, version: i32) {
        self.set("set_version", version);
    }

    /// 10 · major + minor.
    pub fn set_capability(&self, capability: i32) {
        self.set("set_capability", capability);
    }

    /// Total device memory in bytes.
    pub fn set_memory(&self, bytes: usize) {
        self.set("set_memory", bytes);
    }

    /// Executes independent work in another order; 0: as late as possible.
    pub fn set_seed(&self, seed: u64) {
        self.set("set_seed", seed);
    }

    /// Every call fails after this many launches; negative: never.
    pub fn lose_after(&self, launches: i64) {
        self.set("lose_after", launches);
    }

    /// What the driver answers to machine code.
    pub fn set_cubin_status(&self, status: i32) {
        self.set("set_cubin_status", status);
    }

    /// What the driver answers to PTX.
    pub fn set_ptx_status(&self, status: i32) {
        self.set("set_ptx_status", status);
    }

    /// The status that every call returns once the GPU is lost, instead of 719.
    pub fn set_lost_status(&self, status: i32) {
        self.set("set_lost_status", status);
    }

    pub fn count(&self, what: Count) -> u64 {
        let mut count = 0;
        self.call::<unsafe extern "C" fn(u32) -> u64>("count", |get| {
            // SAFETY: takes a number.
            count = unsafe { get(what as u32) };
        });
        count
    }

    /// Bytes of device memory in use.
    pub fn used(&self) -> usize {
        let mut used = 0;
        // SAFETY: takes no arguments.
        self.call::<unsafe extern "C" fn() -> usize>("used", |get| used = unsafe { get() });
        used
    }

    /// Asserts that no object is left, and that no fault happened.
    #[track_caller]
    pub fn assert_clean(&self) {
        use Count::{Buffers, Contexts, Events, Faults, Modules, Pinned, Streams};
        for what in [Buffers, Pinned, Events, Streams, Contexts, Modules, Faults] {
            assert_eq!(self.count(what), 0, "{what:?}");
        }
    }
}

/// Queues `work` on a stream of the emulated GPU.
///
/// # Safety
/// The stream is alive, and the memory that `work` uses stays alive until it has run.
pub unsafe fn enqueue(stream: *mut c_void, work: impl FnOnce() + Send + 'static) {
    type Work = Box<dyn FnOnce() + Send>;
    type Enqueue =
        unsafe extern "C" fn(*mut c_void, extern "C" fn(*mut c_void), *mut c_void) -> i32;
    extern "C" fn run(work: *mut c_void) {
        // SAFETY: the box that was leaked below; called once.
        let work = unsafe { Box::from_raw(work.cast::<Work>()) };
        work();
    }
    // SAFETY: the stream shows that the emulator is loaded.
    unsafe {
        let library = Library::new("libcuda.so.1").unwrap();
        let enqueue: Symbol<'_, Enqueue> = library.get(b"emulator_enqueue").unwrap();
        let work: Box<Work> = Box::new(Box::new(work));
        enqueue(stream, run, Box::into_raw(work).cast());
    }
}
