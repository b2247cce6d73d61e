//! Frames before the model is loaded, with `startup=resample`.

use gst::prelude::*;

use crate::bench::{Bench, rgb};

/// A frame of noise, which every method enlarges differently.
fn noise(bench: &Bench, number: u64) -> gst::Buffer {
    let mut frame = bench.frame(number, 0);
    let mut state = 1u32;
    let mut map = frame.get_mut().unwrap().map_writable().unwrap();
    for byte in map.as_mut_slice() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (state >> 24) as u8;
    }
    drop(map);
    frame
}

fn bytes(buffer: &gst::Buffer) -> Vec<u8> {
    buffer.map_readable().unwrap().to_vec()
}

/// The enlarged noise with `properties`, when the model is loaded.
fn enlarged(properties: &str) -> Vec<u8> {
    let mut bench = Bench::with_caps(properties, &rgb(16, 8));
    let frame = noise(&bench, 0);
    bytes(&bench.push_and_pull(frame))
}

#[track_caller]
fn finish_loading(bench: &Bench) {
    bench.fake.open_gate();
    loop {
        let message = bench.next_message(gst::MessageType::Progress).expect("the end of loading");
        if let gst::MessageView::Progress(progress) = message.view()
            && progress.get().0 == gst::ProgressType::Complete
        {
            return;
        }
    }
}

#[test]
fn frames_are_resampled_until_the_model_is_loaded_and_then_enlarged_by_the_model() {
    let [lanczos, model] = ["blend=0", ""].map(enlarged);
    assert_ne!(lanczos, model);

    let mut bench = Bench::with_caps("model=slow-x2 startup=resample", &rgb(16, 8));
    for number in 0..3 {
        let frame = noise(&bench, number);
        let enlarged = bench.push_and_pull(frame);
        assert!(bytes(&enlarged) == lanczos, "frame {number}");
        assert_eq!(enlarged.pts(), Some(gst::ClockTime::from_mseconds(100 * number)));
    }
    assert_eq!(bench.fake.runs(), 0);
    assert_eq!(bench.output_info().width(), 32);
    let stats = bench.element.property::<gst::Structure>("stats");
    assert!(stats.get::<&str>("backend").is_err(), "no model is in use yet: {stats:?}");

    finish_loading(&bench);
    // The same input again: the resampled output must not be reused.
    let frame = noise(&bench, 3);
    assert!(bytes(&bench.push_and_pull(frame)) == model);
    assert_eq!(bench.output_info().width(), 32);
}

#[test]
fn new_caps_and_a_flush_work_before_the_model_is_loaded() {
    let mut bench = Bench::with_caps("model=slow-x2 startup=resample", &rgb(16, 8));
    let frame = noise(&bench, 0);
    bench.push_and_pull(frame);
    assert!(bench.send_caps(&rgb(24, 8)));
    let frame = noise(&bench, 1);
    assert_eq!(bench.push_and_pull(frame).size(), 48 * 16 * 3);
    bench.harness.push_event(gst::event::FlushStart::new());
    bench.harness.push_event(gst::event::FlushStop::new(true));
    let segment = gst::FormattedSegment::<gst::ClockTime>::new();
    bench.harness.push_event(gst::event::Segment::new(&segment));
    let frame = noise(&bench, 2);
    assert_eq!(bench.push_and_pull(frame).size(), 48 * 16 * 3);
    finish_loading(&bench);
    let frame = noise(&bench, 3);
    bench.push_and_pull(frame);
    assert_eq!(bench.fake.runs(), 1);
}

#[test]
fn a_model_that_fails_to_load_ends_the_stream() {
    let mut bench = Bench::with_caps("model=slow-broken startup=resample", &rgb(16, 8));
    let frame = noise(&bench, 0);
    bench.push_and_pull(frame);
    bench.fake.open_gate();
    bench.expect_error(gst::MessageType::Error, gst::LibraryError::Failed, "build a session");
    let mut result = Ok(gst::FlowSuccess::Ok);
    // The message is posted shortly before the load is marked as failed.
    for number in 1..1000 {
        let frame = noise(&bench, number);
        result = bench.harness.push(frame);
        if result.is_err() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert_eq!(result, Err(gst::FlowError::Error));
}

#[test]
fn the_latency_is_measured_again_when_the_model_is_loaded() {
    let own = |bench: &mut Bench| bench.harness.query_latency().unwrap();
    let mut bench = Bench::with_caps("model=slow-x9 startup=resample", &rgb(160, 80));
    bench.harness.set_live(true);
    bench.harness.set_upstream_latency(gst::ClockTime::ZERO);
    for number in 0..3 {
        let frame = noise(&bench, number);
        bench.push_and_pull(frame);
    }
    let before = own(&mut bench);
    assert!(before > gst::ClockTime::ZERO, "resampling takes time too");
    finish_loading(&bench);
    for number in 3..6 {
        let mut frame = bench.frame(number, number as u8);
        frame.get_mut().unwrap().unset_flags(gst::BufferFlags::DISCONT);
        bench.push_and_pull(frame);
        let measured = own(&mut bench) > gst::ClockTime::ZERO;
        assert_eq!(measured, number == 5, "the first frame with the model does not count");
    }
    assert!(bench.fake.runs() >= 3, "the model ran");
}
