//! When frames go through untouched.

use gst::prelude::*;

use crate::bench::{Bench, rgb};

#[track_caller]
fn is_untouched(bench: &mut Bench, number: u64) -> bool {
    let frame = bench.frame(number, 9);
    let before = frame.as_ptr();
    // The bench keeps no reference: the same buffer must come out.
    bench.push_and_pull(frame).as_ptr() == before
}

#[test]
fn scale_1_and_blend_0_pass_buffers_through() {
    let mut bench = Bench::with_caps("scale=1 blend=0", &rgb(16, 8));
    assert!(is_untouched(&mut bench, 0));
    assert_eq!(bench.fake.runs(), 0);
}

#[test]
fn passing_through_does_not_wait_for_the_model() {
    let mut bench = Bench::with_caps("scale=1 blend=0 model=slow-x2", &rgb(16, 8));
    assert!(is_untouched(&mut bench, 0));
}

#[test]
fn a_part_of_the_models_picture_or_grain_ends_it() {
    let mut bench = Bench::with_caps("scale=1 blend=0", &rgb(16, 8));
    assert!(is_untouched(&mut bench, 0));
    bench.element.set_property("blend", 0.5);
    assert!(!is_untouched(&mut bench, 1));
    bench.element.set_property("blend", 0.0);
    assert!(is_untouched(&mut bench, 2));
    bench.element.set_property("grain", 0.5);
    assert!(!is_untouched(&mut bench, 3));
}

#[test]
fn another_size_ends_it() {
    let mut bench = Bench::with_caps("scale=1 blend=0", &rgb(16, 8));
    assert!(is_untouched(&mut bench, 0));
    bench.element.set_property("scale", 2.0);
    assert!(!is_untouched(&mut bench, 1));
}
