//! The kernels, built by a C++ compiler.

use std::{env, fs, path::Path, process::Command, sync::OnceLock};

use bytemuck::Pod;
use libloading::Library;
use sha2::{Digest, Sha256};

const FLAGS: [&str; 7] = [
    "-std=c++17",
    "-O2",
    // What --fmad=false is to NVRTC.
    "-ffp-contract=off",
    // Memory is read as words, as the GPU does.
    "-fno-strict-aliasing",
    "-Wno-unknown-pragmas",
    "-fPIC",
    "-shared",
];

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
    /// `None`, with a word about it, where there is no C++ compiler.
    pub fn get() -> Option<&'static Self> {
        static KERNELS: OnceLock<Option<Kernels>> = OnceLock::new();
        KERNELS.get_or_init(build).as_ref()
    }

    /// Runs a kernel for rows of `spans` spans, `rows` of them, in `layers` layers.
    #[track_caller]
    pub fn launch<A: Pod>(&self, name: &str, args: &A, spans: u32, rows: u32, layers: u32) {
        // More threads than spans, and fewer than rows: both must be put up with.
        let block = Dim { x: 4, y: 3, z: 1 };
        let grid = Dim { x: spans.div_ceil(4).max(1), y: rows.div_ceil(7).max(1), z: layers };
        // SAFETY: the shim has a function of this type for every kernel, which checks the size
        // of the argument; its addresses are those of memory that the caller holds.
        let ran = unsafe {
            let launch = self.0.get::<Launch>(format!("launch_{name}").as_bytes()).unwrap();
            launch(bytemuck::bytes_of(args).as_ptr(), size_of::<A>() as u32, grid, block)
        };
        assert!(ran, "{name} takes an argument of another size than {}", size_of::<A>());
    }

    pub fn half_of(&self, value: f32) -> u16 {
        // SAFETY: as the shim declares it.
        unsafe { self.0.get::<unsafe extern "C" fn(f32) -> u32>(b"half_of").unwrap()(value) as u16 }
    }

    pub fn float_of_half(&self, bits: u16) -> f32 {
        // SAFETY: as the shim declares it.
        unsafe {
            let convert = self.0.get::<unsafe extern "C" fn(u32) -> f32>(b"float_of_half").unwrap();
            convert(u32::from(bits))
        }
    }
}

fn build() -> Option<Kernels> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (kernels, shim) = (root.join("kernels"), root.join("tests/kernels/shim.cpp"));
    let compiler = env::var("CXX").unwrap_or("c++".into());
    if Command::new(&compiler).arg("--version").output().is_err() {
        eprintln!("skipped: there is no C++ compiler {compiler}");
        return None;
    }
    // Tests may run in a process each: the library is built once for all of them.
    let mut hash = Sha256::new();
    hash.update(format!("{compiler} {FLAGS:?}"));
    hash.update(fs::read(&shim).unwrap());
    for (_, text) in super::ptx::sources() {
        hash.update(text);
    }
    let name = format!("kernels-{:x}.so", hash.finalize());
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if !built.exists() {
        let unfinished = built.with_extension(std::process::id().to_string());
        let status = Command::new(&compiler)
            .args(FLAGS)
            .arg("-I")
            .args([&kernels, &shim])
            .arg("-o")
            .arg(&unfinished)
            .status();
        assert!(status.unwrap().success(), "{compiler} does not compile the kernels");
        fs::rename(unfinished, &built).unwrap();
    }
    // SAFETY: loading it runs nothing.
    Some(Kernels(unsafe { Library::new(built) }.unwrap()))
}
