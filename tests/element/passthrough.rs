//! Passthrough: when buffers are output unchanged.

use gst::prelude::*;

use crate::bench::{Bench, rgb};

#[track_caller]
fn passes_through(bench: &mut Bench, number: u64) -> bool {
    let frame = bench.frame(number, 9);
    let before = frame.as_ptr();
    // The bench keeps no reference to the buffer.
    bench.push_and_pull(frame).as_ptr() == before
}

#[test]
fn scale_1_and_blend_0_pass_buffers_through() {
    let mut bench = Bench::with_caps("scale=1 blend=0", &rgb(16, 8));
    assert!(passes_through(&mut bench, 0));
    assert_eq!(bench.fake.runs(), 0);
}

#[test]
fn passthrough_does_not_wait_for_the_model() {
    let mut bench = Bench::with_caps("scale=1 blend=0 model=slow-x2", &rgb(16, 8));
    assert!(passes_through(&mut bench, 0));
}

#[test]
fn blend_and_grain_end_passthrough() {
    let mut bench = Bench::with_caps("scale=1 blend=0", &rgb(16, 8));
    assert!(passes_through(&mut bench, 0));
    bench.element.set_property("blend", 0.5);
    assert!(!passes_through(&mut bench, 1));
    bench.element.set_property("blend", 0.0);
    assert!(passes_through(&mut bench, 2));
    bench.element.set_property("grain", 0.5);
    assert!(!passes_through(&mut bench, 3));
}

#[test]
fn a_different_output_size_ends_passthrough() {
    let mut bench = Bench::with_caps("scale=1 blend=0", &rgb(16, 8));
    assert!(passes_through(&mut bench, 0));
    bench.element.set_property("scale", 2.0);
    assert!(!passes_through(&mut bench, 1));
}
