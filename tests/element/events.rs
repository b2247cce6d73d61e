//! Events and queries: navigation, latency, flushes (seeks).

use crate::bench::{Bench, rgb};

#[test]
fn pointer_positions_are_converted_to_the_input_size() {
    let mut bench = Bench::with_caps("scale=2.5", &rgb(160, 80));
    while bench.harness.try_pull_upstream_event().is_some() {}
    let structure = gst::Structure::builder("application/x-gst-navigation")
        .field("event", "mouse-move")
        .field("button", 0i32)
        .field("pointer_x", 250.0)
        .field("pointer_y", 100.0)
        .build();
    bench.harness.push_upstream_event(gst::event::Navigation::new(structure));
    let event = std::iter::from_fn(|| bench.harness.try_pull_upstream_event())
        .find(|event| event.type_() == gst::EventType::Navigation)
        .expect("a navigation event");
    let structure = event.structure().unwrap();
    assert_eq!(structure.get::<f64>("pointer_x"), Ok(100.0));
    assert_eq!(structure.get::<f64>("pointer_y"), Ok(40.0));
    assert_eq!(structure.get::<&str>("event"), Ok("mouse-move"));
}

#[test]
fn in_a_live_pipeline_the_time_per_frame_is_reported_as_latency() {
    let mut bench = Bench::with_caps("", &rgb(160, 80));
    bench.harness.set_live(true);
    bench.harness.set_upstream_latency(gst::ClockTime::from_mseconds(7));
    assert_eq!(bench.harness.query_latency(), Some(gst::ClockTime::from_mseconds(7)));
    for number in 0..3 {
        let frame = bench.frame(number, 0);
        bench.push_and_pull(frame);
    }
    assert!(bench.next_message(gst::MessageType::Latency).is_some());
    assert!(bench.harness.query_latency().unwrap() > gst::ClockTime::from_mseconds(7));
}

#[test]
fn a_pipeline_that_is_not_live_has_no_latency() {
    let mut bench = Bench::with_caps("", &rgb(160, 80));
    bench.harness.set_live(false);
    for number in 0..2 {
        let frame = bench.frame(number, 0);
        bench.push_and_pull(frame);
    }
    assert_eq!(bench.harness.query_latency(), Some(gst::ClockTime::ZERO));
}

#[test]
fn frames_are_processed_again_after_a_flush() {
    let mut bench = Bench::with_caps("", &rgb(16, 8));
    let frame = bench.frame(0, 0);
    bench.push_and_pull(frame);
    assert!(bench.harness.push_event(gst::event::FlushStart::new()));
    let frame = bench.frame(1, 0);
    assert_eq!(bench.harness.push(frame), Err(gst::FlowError::Flushing));
    assert!(bench.harness.push_event(gst::event::FlushStop::new(true)));
    let segment = gst::FormattedSegment::<gst::ClockTime>::new();
    assert!(bench.harness.push_event(gst::event::Segment::new(&segment)));
    let frame = bench.frame(2, 0);
    bench.push_and_pull(frame);
}
