//! Reuse of results of earlier frames.

use gst::prelude::*;
use gst_video::VideoMeta;

use crate::bench::{Bench, i420, rgb};

/// The address of the first byte, which identifies the memory of a frame.
fn address(buffer: &gst::Buffer) -> usize {
    buffer.map_readable().unwrap().as_ptr() as usize
}

#[test]
fn a_duplicate_frame_shares_the_memory_of_the_previous_output_and_has_its_own_time() {
    let mut bench = Bench::with_caps("", &i420(16, 8));
    let first = bench.push_and_pull(bench.frame(0, 77));
    let second = bench.push_and_pull(bench.frame(1, 77));
    assert_eq!(bench.fake.runs(), 1);
    assert_eq!(address(&first), address(&second));
    assert_eq!(second.pts(), Some(gst::ClockTime::from_mseconds(100)));
    assert_eq!(second.duration(), Some(gst::ClockTime::from_mseconds(100)));
    assert_eq!(second.iter_meta::<VideoMeta>().count(), first.iter_meta::<VideoMeta>().count());
    let stats: gst::Structure = bench.element.property("stats");
    assert_eq!(stats.get::<u64>("frames-out"), Ok(2));
    assert_eq!(stats.get::<u64>("frames-reused"), Ok(1));
    assert_eq!(stats.get::<f64>("pixels-share"), Ok(0.5));
}

#[test]
fn writing_to_an_output_does_not_change_what_is_reused() {
    let mut bench = Bench::with_caps("", &rgb(16, 8));
    let mut first = bench.push_and_pull(bench.frame(0, 77));
    first.make_mut().map_writable().unwrap().fill(1);
    let second = bench.push_and_pull(bench.frame(1, 77));
    assert_eq!(bench.fake.runs(), 1);
    assert!(second.map_readable().unwrap().iter().all(|byte| *byte == 77));
}

#[test]
fn duplicates_are_computed_after_a_discontinuity_and_with_reuse_off() {
    let mut bench = Bench::with_caps("", &rgb(16, 8));
    bench.push_and_pull(bench.frame(0, 77));
    let mut jump = bench.frame(1, 77);
    jump.get_mut().unwrap().set_flags(gst::BufferFlags::DISCONT);
    bench.push_and_pull(jump);
    assert_eq!(bench.fake.runs(), 2);
    bench.element.set_property_from_str("reuse", "off");
    bench.push_and_pull(bench.frame(2, 77));
    bench.push_and_pull(bench.frame(3, 77));
    assert_eq!(bench.fake.runs(), 4);
}

#[test]
fn in_tolerant_mode_small_differences_are_ignored() {
    let mut bench = Bench::with_caps("reuse=tolerant reuse-tolerance=3", &rgb(64, 64));
    // Not the first block, which is being refreshed.
    let last_byte = |frame: gst::Buffer| frame.map_readable().unwrap().last().copied();
    bench.push_and_pull(bench.frame(0, 77));
    assert_eq!(last_byte(bench.push_and_pull(bench.frame(1, 80))), Some(77));
    assert_eq!(last_byte(bench.push_and_pull(bench.frame(2, 81))), Some(81));
}

#[test]
fn a_new_blend_repaints_the_frame_without_running_the_model() {
    let mut bench = Bench::with_caps("", &rgb(16, 8));
    bench.push_and_pull(bench.frame(0, 77));
    bench.element.set_property("blend", 0.5);
    bench.push_and_pull(bench.frame(1, 77));
    assert_eq!(bench.fake.runs(), 1);
    let stats: gst::Structure = bench.element.property("stats");
    assert_eq!(stats.get::<u64>("frames-reused"), Ok(0));
}

#[test]
fn statistics_are_posted_once_per_interval_of_running_time() {
    let mut bench = Bench::with_caps("stats-interval=1000", &rgb(16, 8));
    for number in 0..25 {
        bench.push_and_pull(bench.frame(number, number as u8));
    }
    let posted = std::iter::from_fn(|| bench.bus.pop())
        .filter_map(|message| Some(message.structure()?.name() == "upscale-stats"))
        .filter(|posted| *posted)
        .count();
    assert_eq!(posted, 3);
}
