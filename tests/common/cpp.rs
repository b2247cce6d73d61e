//! Shared libraries that tests build from C++ and from the kernels' sources.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use sha2::{Digest, Sha256};

const FLAGS: [&str; 7] = [
    "-std=c++17",
    "-O2",
    // Like --fmad=false of NVRTC.
    "-ffp-contract=off",
    // Kernels read memory of other types as words.
    "-fno-strict-aliasing",
    "-Wno-unknown-pragmas",
    "-fPIC",
    "-shared",
];

/// A folder with the translation of the machine code, which scripts/machine_code.sh runs the tests
/// on in place of `kernels/upscale.cu`.
pub const MACHINE_CODE: &str = "UPSCALE_MACHINE_CODE";

/// Builds `source`, a path in the checkout, once for all tests, which may run in separate
/// processes. Prints a note and returns `None` if there is no C++ compiler.
pub fn build(source: &str, flags: &[&str]) -> Option<PathBuf> {
    let root = super::data::checkout();
    let (kernels, shim, source) =
        (root.join("kernels"), root.join("tests/kernels"), root.join(source));
    let machine_code = env::var_os(MACHINE_CODE).map(PathBuf::from);
    let compiler = env::var("CXX").unwrap_or("c++".into());
    if Command::new(&compiler).arg("--version").output().is_err() {
        eprintln!("skipped: there is no C++ compiler {compiler}");
        return None;
    }
    let mut hash = Sha256::new();
    hash.update(format!("{compiler} {FLAGS:?} {flags:?}"));
    hash.update(fs::read(&source).unwrap());
    hash.update(fs::read(shim.join("shim.cpp")).unwrap());
    let mut files: Vec<PathBuf> =
        fs::read_dir(&kernels).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.extend(machine_code.iter().map(|folder| folder.join("upscale.cu")));
    files.sort();
    for file in
        files.iter().filter(|file| file.extension().is_some_and(|it| it != "ptx" && it != "zip"))
    {
        hash.update(fs::read(file).unwrap());
    }
    let stem = source.file_stem().unwrap().to_str().unwrap();
    let built =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{stem}-{:x}.so", hash.finalize()));
    if !built.exists() {
        let unfinished = built.with_extension(std::process::id().to_string());
        let status = Command::new(&compiler)
            .args(FLAGS)
            .args(flags)
            .args(machine_code.iter().flat_map(|folder| {
                let include = format!("-I{}", folder.display());
                ["-std=c++20", "-O1", "-w", "-DMACHINE_CODE", &include].map(String::from)
            }))
            .arg("-I")
            .arg(&kernels)
            .arg("-I")
            .args([&shim, &source])
            .arg("-o")
            .arg(&unfinished)
            .status();
        assert!(status.unwrap().success(), "{compiler} does not compile {}", source.display());
        fs::rename(unfinished, &built).unwrap();
    }
    Some(built)
}
