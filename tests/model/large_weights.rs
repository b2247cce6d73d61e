//! The memory for loading weights of the size of RealESRGAN_x4plus. It measures the whole process,
//! and therefore needs a process of its own.

use crate::common::checkpoint as files;
use std::fs;

use gstupscale::model::Model;
use zip::CompressionMethod;

use crate::common::checkpoint::{Random, Tensors};

/// RRDBNet of 23 blocks, 64 channels, growth 32, 4×.
fn x4plus() -> Tensors {
    let (mut tensors, mut random) = (Tensors::new(), Random(5));
    random.conv(&mut tensors, "conv_first", [64, 3, 3, 3]);
    for block in 0..23 {
        for dense in 1..=3 {
            for conv in 1..=5 {
                let name = format!("body.{block}.rdb{dense}.conv{conv}");
                let outputs = if conv == 5 { 64 } else { 32 };
                random.conv(&mut tensors, &name, [outputs, 64 + 32 * (conv - 1), 3, 3]);
            }
        }
    }
    for name in ["conv_body", "conv_up1", "conv_up2", "conv_hr"] {
        random.conv(&mut tensors, name, [64, 64, 3, 3]);
    }
    random.conv(&mut tensors, "conv_last", [3, 64, 3, 3]);
    tensors
}

/// The memory of the process in bytes: the maximum (`VmHWM`) or the present amount (`VmRSS`).
fn memory(what: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn a_67_mb_network_loads_in_four_times_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x4plus.pth");
    fs::write(&path, files::pth(&x4plus(), "params_ema", CompressionMethod::Stored)).unwrap();
    let size = fs::metadata(&path).unwrap().len();
    assert!((66 << 20..68 << 20).contains(&size) || (66_000_000..68_000_000).contains(&size));
    // Reset the maximum, which includes writing the file.
    if fs::write("/proc/self/clear_refs", "5").is_err() {
        return eprintln!("skipped: the kernel cannot reset the maximum");
    }
    let before = memory("VmRSS");
    let model = Model::open(path.to_str().unwrap()).unwrap();
    let peak = memory("VmHWM").saturating_sub(before);
    assert_eq!((model.info.factor, model.info.parameters), (4, 16_697_987));
    assert!(peak < 4 * size, "{peak} bytes");
}
