//! The pixels of the output: model, blend, grain and resampling.

use gst::prelude::*;
use gst_controller::prelude::*;

use crate::bench::{Bench, rgb};

/// An 8×4 RGB frame in which all pixels are different.
fn colourful(bench: &Bench, number: u64) -> gst::Buffer {
    let mut frame = bench.frame(number, 0);
    let mut map = frame.get_mut().unwrap().map_writable().unwrap();
    for (at, sample) in map.iter_mut().enumerate() {
        *sample = (at * 37 % 251) as u8;
    }
    drop(map);
    frame
}

fn samples(frame: &gst::Buffer) -> Vec<u8> {
    frame.map_readable().unwrap().to_vec()
}

#[test]
fn the_output_is_the_picture_of_the_model() {
    let mut bench = Bench::with_caps("", &rgb(8, 4));
    let frame = colourful(&bench, 0);
    let small = samples(&frame);
    let large = samples(&bench.push_and_pull(frame));
    for y in 0..8 {
        for x in 0..16 {
            let (at, from) = ((y * 16 + x) * 3, (y / 2 * 8 + x / 2) * 3);
            assert_eq!(large[at..at + 3], small[from..from + 3], "at {x},{y}");
        }
    }
    assert_eq!(bench.fake.runs(), 1);
}

#[test]
fn with_blend_0_the_model_does_not_run() {
    let mut bench = Bench::with_caps("blend=0", &rgb(8, 4));
    let frame = colourful(&bench, 0);
    bench.push_and_pull(frame);
    assert_eq!(bench.fake.runs(), 0);
}

#[test]
fn blend_follows_its_controller_in_stream_time() {
    let mut bench = Bench::with_caps("", &rgb(8, 4));
    let source = gst_controller::InterpolationControlSource::new();
    source.set_mode(gst_controller::InterpolationMode::Linear);
    source.set(gst::ClockTime::ZERO, 1.0);
    source.set(gst::ClockTime::from_mseconds(200), 0.0);
    let binding = gst_controller::DirectControlBinding::new(&bench.element, "blend", &source);
    bench.element.add_control_binding(&binding).unwrap();
    let pictures: Vec<_> = (0..3)
        .map(|number| {
            let frame = colourful(&bench, number);
            samples(&bench.push_and_pull(frame))
        })
        .collect();
    // The weight of the model is 1, 0.5 and 0.
    for (at, half) in pictures[1].iter().enumerate() {
        let mean = (i32::from(pictures[0][at]) + i32::from(pictures[2][at])).div_euclid(2);
        // Overshoots of the Lanczos resampling are clipped only in the last picture.
        let cut = matches!(pictures[2][at], 0 | 255);
        assert!(cut || (mean - i32::from(*half)).abs() <= 1, "sample {at}");
    }
    assert!(pictures[0] != pictures[2], "blend has no effect");
}

#[test]
fn grain_changes_with_each_frame_and_repeats_after_a_seek() {
    let mut bench = Bench::with_caps("grain=1", &rgb(64, 64));
    let mut grainy = |number| {
        let frame = bench.frame(number, 128);
        samples(&bench.push_and_pull(frame))
    };
    let (first, second) = (grainy(0), grainy(1));
    assert!(first != second, "the same grain twice");
    bench.harness.push_event(gst::event::FlushStart::new());
    bench.harness.push_event(gst::event::FlushStop::new(true));
    let segment = gst::FormattedSegment::<gst::ClockTime>::new();
    bench.harness.push_event(gst::event::Segment::new(&segment));
    let frame = bench.frame(0, 128);
    assert!(samples(&bench.push_and_pull(frame)) == first, "different grain after a seek");
}
