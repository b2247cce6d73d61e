//! The kernels, compiled by a C++ compiler.

use std::sync::OnceLock;

use bytemuck::Pod;
use libloading::Library;

#[repr(C)]
#[derive(Clone, Copy)]
struct Dim {
    x: u32,
    y: u32,
    z: u32,
}

type Launch = unsafe extern "C" fn(*const u8, u32, Dim, Dim) -> bool;

/// `kernels/` as a shared library.
pub struct Kernels(Library);

impl Kernels {
    /// Prints a note and returns `None` if there is no C++ compiler.
    pub fn get() -> Option<&'static Self> {
        static KERNELS: OnceLock<Option<Kernels>> = OnceLock::new();
        KERNELS.get_or_init(build).as_ref()
    }

    /// Runs a kernel on `rows` rows of `spans` spans in `layers` layers.
    #[track_caller]
    pub fn launch<A: Pod>(&self, name: &str, args: &A, spans: u32, rows: u32, layers: u32) {
        // More threads than spans and fewer than rows, both of which kernels have to support.
        let block = Dim { x: 32, y: 3, z: 1 };
        let grid = Dim { x: spans.div_ceil(32).max(1), y: rows.div_ceil(7).max(1), z: layers };
        // SAFETY: the shim has a function of this type for every kernel, which checks the size
        // of the argument. The addresses in it are those of memory that the caller keeps.
        let ran = unsafe {
            let launch = self.0.get::<Launch>(format!("launch_{name}").as_bytes()).unwrap();
            launch(bytemuck::bytes_of(args).as_ptr(), size_of::<A>() as u32, grid, block)
        };
        assert!(
            ran,
            "{name} takes an argument of another size than {}, or threads of a warp diverged, or \
             an address was misaligned",
            size_of::<A>()
        );
    }

    /// What kernels ask of the memory while `run` launches them: requests of warps, wavefronts of
    /// the L1 cache, sectors. `None` unless the library is the translated machine code.
    pub fn transactions(&self, run: impl FnOnce()) -> Option<[u64; 3]> {
        type Count = unsafe extern "C" fn(bool);
        type Get = unsafe extern "C" fn(u32) -> u64;
        // SAFETY: the shim declares functions of these types.
        unsafe {
            let count = self.0.get::<Count>(b"count_transactions").ok()?;
            let get = self.0.get::<Get>(b"transactions").ok()?;
            count(true);
            run();
            let found = [0, 1, 2].map(|what| get(what));
            count(false);
            Some(found)
        }
    }

    pub fn half_of(&self, value: f32) -> u16 {
        // SAFETY: the shim declares a function of this type.
        unsafe { self.0.get::<unsafe extern "C" fn(f32) -> u32>(b"half_of").unwrap()(value) as u16 }
    }

    pub fn float_of_half(&self, bits: u16) -> f32 {
        // SAFETY: the shim declares a function of this type.
        unsafe {
            let convert = self.0.get::<unsafe extern "C" fn(u32) -> f32>(b"float_of_half").unwrap();
            convert(u32::from(bits))
        }
    }
}

fn build() -> Option<Kernels> {
    let built = super::cpp::build("tests/kernels/shim.cpp", &[])?;
    // SAFETY: loading the library runs no code.
    Some(Kernels(unsafe { Library::new(built) }.unwrap()))
}
