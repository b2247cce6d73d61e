//! Live pipelines and players with a model that is too slow.

use gst::prelude::*;

use crate::bench::{Bench, caps, eventually, rgb};

/// A bench whose source is live from the first caps on, with frames of noise.
fn live(properties: &str) -> Bench {
    let mut bench = Bench::new(properties);
    bench.harness.set_live(true);
    bench.harness.set_src_caps(caps(&rgb(32, 16)));
    bench
}

/// Frame `number`, which shows the same noise as every other.
fn frame(bench: &Bench, number: u64) -> gst::Buffer {
    let mut frame = bench.frame(number, 0);
    let mut state = 1u32;
    let writable = frame.get_mut().unwrap();
    writable.unset_flags(gst::BufferFlags::DISCONT);
    for byte in writable.map_writable().unwrap().as_mut_slice() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (state >> 24) as u8;
    }
    frame
}

fn bytes(buffer: &gst::Buffer) -> Vec<u8> {
    buffer.map_readable().unwrap().to_vec()
}

/// What a bench that waits for its model makes of a frame.
fn expected(properties: &str) -> Vec<u8> {
    let mut bench = live(properties);
    let frame = frame(&bench, 0);
    bytes(&bench.push_and_pull(frame))
}

#[track_caller]
fn push(bench: &mut Bench, number: u64) -> gst::Buffer {
    let frame = frame(bench, number);
    bench.push_and_pull(frame)
}

/// A sink reports that a frame was 30 ms late.
fn report_late_frame(bench: &mut Bench) {
    let time = gst::ClockTime::from_mseconds(500);
    let late = gst::event::Qos::new(gst::QOSType::Underflow, 1.5, 30_000_000, time);
    bench.harness.push_upstream_event(late);
}

#[test]
fn a_live_frame_for_which_the_model_is_late_is_resampled_and_the_model_comes_into_view() {
    let [lanczos, model] = ["blend=0", ""].map(expected);
    for overload in ["adapt", "resample"] {
        let mut bench = live(&format!("model=stepped-x2 overload={overload}"));
        for number in 0..3 {
            let output = push(&mut bench, number);
            assert!(bytes(&output) == lanczos, "{overload}, frame {number}");
            assert_eq!(output.pts(), Some(gst::ClockTime::from_mseconds(100 * number)));
        }
        bench.fake.steps.allow(1000);
        let mut number = 3;
        eventually("the model's picture", || {
            number += 1;
            bytes(&push(&mut bench, number)) == model
        });
        let stats = bench.element.property::<gst::Structure>("stats");
        assert_eq!(stats.get::<u64>("frames-out"), Ok(number));
    }
}

#[test]
fn what_is_done_about_a_slow_model_is_reported_once_a_second() {
    let mut bench = live("model=stepped-x2 overload=adapt");
    push(&mut bench, 0);
    bench.fake.steps.allow(1000);
    let mut messages = Vec::new();
    let mut number = 0;
    eventually("a message", || {
        number += 1;
        push(&mut bench, number);
        let kinds = [gst::MessageType::Element];
        while let Some(message) = bench.bus.pop_filtered(&kinds) {
            messages.extend(message.structure().map(ToOwned::to_owned));
        }
        !messages.is_empty()
    });
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].name(), "upscale-overload");
    assert_eq!(messages[0].get::<&str>("model"), Ok("stepped-x2"));
    assert_eq!(messages[0].get::<u64>("available"), Ok(90_000_000));
    let text = messages[0].get::<&str>("text").unwrap();
    assert!(text.contains("stepped-x2") && text.contains("90 ms"), "{text}");
}

#[test]
fn with_deadlines_the_latency_is_the_time_that_a_frame_may_take() {
    let mut bench = live("overload=adapt");
    let latency = |bench: &mut Bench| bench.harness.query_latency().unwrap().mseconds();
    bench.harness.set_upstream_latency(gst::ClockTime::from_mseconds(7));
    assert_eq!(latency(&mut bench), 97);
    push(&mut bench, 0);
    assert_eq!(latency(&mut bench), 97);
    while bench.bus.pop().is_some() {}
    bench.element.set_property("max-latency", 20u32);
    assert!(bench.next_message(gst::MessageType::Latency).is_some());
    assert_eq!(latency(&mut bench), 27);
}

#[test]
fn after_a_sink_reported_a_late_frame_a_player_resamples_and_drops_nothing() {
    let mut bench = Bench::new("model=stepped-x2 overload=adapt pipeline-depth=0");
    bench.harness.set_live(false);
    bench.harness.set_src_caps(caps(&rgb(32, 16)));
    bench.fake.steps.allow(1);
    assert!(bytes(&push(&mut bench, 0)) == expected(""), "without a report, frames wait");
    report_late_frame(&mut bench);
    // The canvas is that of other frames.
    bench
        .harness
        .push_event(gst::event::Segment::new(&gst::FormattedSegment::<gst::ClockTime>::new()));
    let output = push(&mut bench, 1);
    assert_eq!(output.pts(), Some(gst::ClockTime::from_mseconds(100)));
    assert!(bytes(&output) == expected("blend=0"));
    bench.fake.steps.allow(1000);
}

#[test]
fn a_seek_in_a_player_whose_model_is_too_slow_does_not_wait_for_the_model() {
    let mut bench = Bench::new("model=stepped-x2 overload=adapt pipeline-depth=0");
    bench.harness.set_live(false);
    bench.harness.set_src_caps(caps(&rgb(32, 16)));
    bench.fake.steps.allow(1);
    push(&mut bench, 0);
    report_late_frame(&mut bench);
    bench.harness.push_event(gst::event::FlushStart::new());
    bench.harness.push_event(gst::event::FlushStop::new(true));
    bench
        .harness
        .push_event(gst::event::Segment::new(&gst::FormattedSegment::<gst::ClockTime>::new()));
    assert!(bytes(&push(&mut bench, 1)) == expected("blend=0"));
    bench.fake.steps.allow(1000);
}

#[test]
fn a_live_stream_starts_before_its_model_is_loaded() {
    let mut bench = live("model=slow-x2 startup=auto overload=adapt");
    assert!(bytes(&push(&mut bench, 0)) == expected("blend=0"));
    let stats = bench.element.property::<gst::Structure>("stats");
    assert_eq!(stats.get::<f64>("resampled-share"), Ok(1.0));
    bench.fake.open_gate();
}

#[test]
fn bypass_shows_the_frame_without_the_model_and_back() {
    let [lanczos, model] = ["blend=0", ""].map(expected);
    let mut bench = live("grain=0.5");
    for (bypass, expected) in [(true, &lanczos), (false, &model)] {
        bench.element.set_property("bypass", bypass);
        bench.element.set_property("grain", if bypass { 0.5 } else { 0.0 });
        assert!(bytes(&push(&mut bench, u64::from(!bypass))) == *expected, "{bypass}");
    }
}

#[test]
fn dragging_the_pointer_moves_the_line_of_a_split_picture() {
    let mut bench = live("split=0.5");
    push(&mut bench, 0);
    let mut press = |event: &str, button: i32, x: f64| {
        let structure = gst::Structure::builder("application/x-gst-navigation")
            .field("event", event)
            .field("button", button)
            .field("pointer_x", x)
            .field("pointer_y", 1.0)
            .build();
        bench.harness.push_upstream_event(gst::event::Navigation::new(structure));
        bench.element.property::<f64>("split")
    };
    assert_eq!(press("mouse-button-press", 1, 16.0), 0.25);
    assert_eq!(press("mouse-move", 0, 32.0), 0.5);
    assert_eq!(press("mouse-button-release", 1, 32.0), 0.5);
    assert_eq!(press("mouse-move", 0, 16.0), 0.5, "the button is up");
    assert_eq!(press("mouse-button-press", 3, 16.0), 0.5, "another button");
    assert_eq!(press("mouse-button-press", 1, -5.0), 0.01, "the line stays visible");
    bench.element.set_property("split", 0.0);
    let structure = gst::Structure::builder("application/x-gst-navigation")
        .field("event", "mouse-button-press")
        .field("button", 1)
        .field("pointer_x", 16.0)
        .build();
    bench.harness.push_upstream_event(gst::event::Navigation::new(structure));
    assert_eq!(bench.element.property::<f64>("split"), 0.0, "there is no line");
}

/// A bench with a model that took 20 ms for a frame of which 1 ms was left.
fn too_slow(lighter: &str) -> Bench {
    let properties = format!("model=stepped-x2 overload=adapt max-latency=1 {lighter}");
    let mut bench = live(&properties);
    push(&mut bench, 0);
    std::thread::sleep(std::time::Duration::from_millis(20));
    bench.fake.steps.allow(1000);
    bench
}

fn loads(bench: &Bench) -> usize {
    bench.fake.loads.load(std::sync::atomic::Ordering::SeqCst)
}

#[test]
fn a_lighter_model_that_cannot_be_loaded_is_a_warning_and_the_stream_goes_on() {
    let mut bench = too_slow("lighter-model=broken");
    let mut number = 0;
    eventually("a second load", || {
        number += 1;
        push(&mut bench, number);
        loads(&bench) == 2
    });
    bench.expect_error(gst::MessageType::Warning, gst::LibraryError::Failed, "build a session");
    push(&mut bench, number + 1);
}

#[test]
fn the_built_in_model_is_loaded_as_the_lighter_one_when_a_frame_takes_too_long() {
    let mut bench = too_slow("");
    let mut number = 0;
    eventually("a second load", || {
        number += 1;
        push(&mut bench, number);
        loads(&bench) == 2
    });
    let stats = bench.element.property::<gst::Structure>("stats");
    assert_eq!(stats.get::<&str>("model"), Ok("stepped-x2"));
}

#[test]
fn no_lighter_model_is_loaded_if_it_is_the_model_itself_or_none() {
    for mut bench in [too_slow("lighter-model=stepped-x2"), too_slow("lighter-model=")] {
        let mut number = 0;
        eventually("the model's picture", || {
            number += 1;
            bytes(&push(&mut bench, number)) == expected("")
        });
        push(&mut bench, number + 1);
        assert_eq!(loads(&bench), 1);
    }
}
