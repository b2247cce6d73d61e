//! Resident memory over many frames. In a process of its own, so that nothing else counts.

use gst::prelude::*;
use gst_check::Harness;

const WIDTH: usize = 192;
const HEIGHT: usize = 128;

/// Bytes of this process that are in memory.
fn resident() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 4096.0
}

/// A still picture over which a rectangle of changing size wanders.
fn frame(number: usize) -> gst::Buffer {
    let mut bytes = vec![0u8; WIDTH * HEIGHT];
    let (x, y) = (number * 7 % 170, number * 5 % 100);
    let (width, height) = (1 + number * 13 % 22, 1 + number * 11 % 28);
    for (at, byte) in bytes.iter_mut().enumerate() {
        let (column, row) = (at % WIDTH, at / WIDTH);
        let inside = (x..x + width).contains(&column) && (y..y + height).contains(&row);
        *byte = if inside { (number % 200) as u8 } else { (column ^ row) as u8 };
    }
    let mut buffer = gst::Buffer::from_mut_slice(bytes);
    buffer.get_mut().unwrap().set_pts(gst::ClockTime::from_mseconds(40) * number as u64);
    buffer
}

/// Pushes 2,000 frames; nothing where there is no ONNX Runtime for it.
fn growth(properties: &str) -> Option<f64> {
    gst::init().unwrap();
    let _ = gstupscale::plugin_register_static();
    let element = gst::ElementFactory::make("upscale").build().unwrap();
    for property in properties.split_whitespace() {
        let (name, value) = property.split_once('=').unwrap();
        element.set_property_from_str(name, value);
    }
    let mut harness = Harness::with_element(&element, Some("sink"), Some("src"));
    harness.play();
    harness.set_src_caps(
        format!("video/x-raw,format=GRAY8,width={WIDTH},height={HEIGHT},framerate=25/1")
            .parse()
            .unwrap(),
    );
    let mut settled = 0.0;
    for number in 0..2000 {
        if harness.push(frame(number)).is_err() {
            eprintln!("skipped: {properties} does not run here");
            return None;
        }
        let out = std::iter::from_fn(|| harness.try_pull()).count();
        assert!(out == 1 || number < 4, "a frame comes out for each that goes in");
        if number == 100 {
            settled = resident();
        }
    }
    Some(resident() / settled - 1.0)
}

#[test]
fn memory_stays_flat_over_two_thousand_frames() {
    for backend in ["cpu", "openvino"] {
        for reuse in ["off", "exact", "exact pipeline-depth=2"] {
            let properties = format!("backend={backend} precision=fp32 reuse={reuse}");
            if let Some(growth) = growth(&properties) {
                eprintln!("{properties}: {:+.2} %", growth * 100.0);
                assert!(growth <= 0.02, "{properties}: {:+.2} %", growth * 100.0);
            }
        }
    }
}
