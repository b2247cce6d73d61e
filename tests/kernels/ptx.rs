//! The committed PTX.

use std::{fs, path::Path};

use gstupscale::kernels::PTX;
use sha2::{Digest, Sha256};

/// Names and contents of the kernels' sources, sorted by name.
pub fn sources() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let names = files.map(|entry| entry.file_name().into_string().unwrap());
    let is_source = |name: &String| name.ends_with(".cu") || name.ends_with(".h");
    let mut names: Vec<String> = names.filter(is_source).collect();
    names.sort();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels");
    names.into_iter().map(|name| (name.clone(), fs::read(folder.join(name)).unwrap())).collect()
}

/// Compares the hash that scripts/kernels.py writes into the PTX.
#[test]
fn the_ptx_is_compiled_from_the_current_sources() {
    let mut hash = Sha256::new();
    for (name, text) in sources() {
        hash.update(format!("{name} {}\n", text.len()));
        hash.update(text);
    }
    let expected = format!("// sources: {:x}", hash.finalize());
    let first = PTX.lines().next().unwrap();
    assert!(first == expected, "kernels/upscale.ptx is out of date; run `make kernels`");
}

#[test]
fn the_machine_code_is_compiled_from_the_current_ptx() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels/cubins.zip");
    let mut archive = zip::ZipArchive::new(fs::File::open(path).unwrap()).unwrap();
    let digest = std::io::read_to_string(archive.by_name("ptx.sha256").unwrap()).unwrap();
    let expected = format!("{:x}", Sha256::digest(PTX));
    assert!(digest == expected, "kernels/cubins.zip is out of date; run `make kernels`");
}

#[test]
fn the_ptx_is_for_the_oldest_supported_gpu_and_has_no_fused_multiply_add() {
    assert!(PTX.contains("\n.version 8.0\n.target sm_75\n"));
    assert!(!PTX.contains("fma.rn"), "compiled without --fmad=false");
}

#[test]
fn threads_wait_only_for_those_of_their_warp() {
    for word in ["bar.sync", "barrier", ".local"] {
        assert!(!PTX.contains(word), "{word}");
    }
    assert!(PTX.contains("bar.warp.sync"));
}
