//! Weights of RealESRGAN_x4plus's size load soon and in little memory. Alone in its program,
//! whose memory it measures.

use crate::common::checkpoint as files;
use std::{fs, time::Instant};

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

/// Bytes of memory: most ever (`VmHWM`), or now (`VmRSS`).
fn memory(what: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn a_67_mb_network_loads_within_a_second_and_four_times_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x4plus.pth");
    fs::write(&path, files::pth(&x4plus(), "params_ema", CompressionMethod::Stored)).unwrap();
    let size = fs::metadata(&path).unwrap().len();
    assert!((66 << 20..68 << 20).contains(&size) || (66_000_000..68_000_000).contains(&size));
    // The peak of making the file is forgotten.
    if fs::write("/proc/self/clear_refs", "5").is_err() {
        return eprintln!("skipped: the kernel does not reset peaks of memory");
    }
    let before = memory("VmRSS");
    let start = Instant::now();
    let model = Model::open(path.to_str().unwrap()).unwrap();
    let took = start.elapsed();
    let peak = memory("VmHWM").saturating_sub(before);
    println!("{size} bytes: {took:?}, {peak} bytes more at the peak, halo {:?}", model.info.halo);
    assert_eq!((model.info.factor, model.info.parameters), (4, 16_697_987));
    assert!(peak < 4 * size, "{peak} bytes");
    // Unoptimised and on a busy machine it takes several times as long.
    let limit = if cfg!(debug_assertions) { 10 } else { 1 };
    assert!(took.as_secs() < limit, "{took:?}");
}
