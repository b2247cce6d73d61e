//! Models load on a worker; who waits for them, and what ends the wait.

use std::{
    sync::atomic::Ordering,
    thread,
    time::{Duration, Instant},
};

use gst::{ProgressType, prelude::*};

use crate::bench::{Bench, LONG, rgb, upscale};

/// Until `holds`, or a failure after a while.
#[track_caller]
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(20), "never: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A frame that waits for the model on a thread of its own.
fn push_from_a_thread(
    bench: &Bench,
) -> thread::JoinHandle<Result<gst::FlowSuccess, gst::FlowError>> {
    let (pad, frame) = (bench.harness.srcpad().unwrap().to_owned(), bench.frame(0, 0));
    let pushing = thread::spawn(move || pad.push(frame));
    thread::sleep(Duration::from_millis(30));
    assert!(!pushing.is_finished(), "the frame waits");
    pushing
}

fn progress(message: &gst::Message) -> (ProgressType, String) {
    let gst::MessageView::Progress(progress) = message.view() else { panic!("{message:?}") };
    let (kind, code, text) = progress.get();
    assert_eq!(code, "load-model");
    (kind, text.to_owned())
}

#[test]
fn the_bus_hears_how_far_loading_is() {
    let bench = Bench::new("");
    let mut kinds = Vec::new();
    while kinds.last() != Some(&ProgressType::Complete) {
        kinds.push(progress(&bench.next_message(gst::MessageType::Progress).unwrap()).0);
    }
    let expected = [ProgressType::Start, ProgressType::Continue, ProgressType::Complete];
    assert_eq!(kinds, expected);
}

#[test]
fn a_failed_load_ends_its_progress_with_an_error() {
    let bench = Bench::new("model=broken");
    let mut last = ProgressType::Start;
    while last != ProgressType::Error {
        last = progress(&bench.next_message(gst::MessageType::Progress).unwrap()).0;
        assert_ne!(last, ProgressType::Complete);
    }
}

#[test]
fn the_change_to_paused_does_not_wait_and_the_first_frame_does() {
    let mut bench = Bench::with_caps("model=slow-x2", &rgb(16, 8));
    assert_eq!(bench.element.current_state(), gst::State::Playing);
    let pushing = push_from_a_thread(&bench);
    bench.fake.open_gate();
    assert_eq!(pushing.join().unwrap(), Ok(gst::FlowSuccess::Ok));
    assert!(bench.harness.try_pull().is_some());
}

#[test]
fn a_flush_ends_the_wait_and_the_next_frame_waits_again() {
    let mut bench = Bench::with_caps("model=slow-x2", &rgb(16, 8));
    let pushing = push_from_a_thread(&bench);
    bench.harness.push_event(gst::event::FlushStart::new());
    assert_eq!(pushing.join().unwrap(), Err(gst::FlowError::Flushing));
    bench.harness.push_event(gst::event::FlushStop::new(true));
    let segment = gst::FormattedSegment::<gst::ClockTime>::new();
    bench.harness.push_event(gst::event::Segment::new(&segment));
    let pushing = push_from_a_thread(&bench);
    bench.fake.open_gate();
    assert_eq!(pushing.join().unwrap(), Ok(gst::FlowSuccess::Ok));
}

#[test]
fn a_state_change_ends_the_wait_and_the_load() {
    let bench = Bench::with_caps("model=slow-x2", &rgb(16, 8));
    let pushing = push_from_a_thread(&bench);
    bench.element.set_state(gst::State::Null).unwrap();
    assert_eq!(pushing.join().unwrap(), Err(gst::FlowError::Flushing));
}

#[test]
fn no_thread_and_no_engine_outlives_the_element() {
    let fake = std::sync::Arc::new(crate::fake::Fake::default());
    let element = upscale(&fake, "model=slow-x2");
    element.set_state(gst::State::Paused).unwrap();
    eventually("the load begins", || fake.loads.load(Ordering::SeqCst) == 1);
    element.set_state(gst::State::Null).unwrap();
    assert_eq!(std::sync::Arc::strong_count(&fake), 2, "the element's and this one");
    drop(element);
    eventually("no worker is left", || std::sync::Arc::strong_count(&fake) == 1);
    assert_eq!(fake.engines.load(Ordering::SeqCst), 0);
}

#[test]
fn a_model_swapped_in_while_playing_takes_over_between_frames() {
    let mut bench = Bench::with_caps("", &rgb(16, 8));
    let frame = bench.frame(0, 0);
    assert_eq!(bench.push_and_pull(frame).size(), 32 * 16 * 3);

    bench.element.set_property("model", "slow-x3");
    // The old one goes on meanwhile.
    let frame = bench.frame(1, 0);
    assert_eq!(bench.push_and_pull(frame).size(), 32 * 16 * 3);

    bench.fake.open_gate();
    let mut number = 2;
    eventually("the new model's size", || {
        let frame = bench.frame(number, 0);
        number += 1;
        bench.push_and_pull(frame).size() == 48 * 24 * 3
    });
    assert_eq!(bench.output_info().width(), 48);
    let stats = bench.element.property::<gst::Structure>("stats");
    assert_eq!(stats.get::<&str>("model"), Ok("slow-x3"));
    eventually("the old engine is gone", || bench.fake.engines.load(Ordering::SeqCst) == 1);
}

#[test]
fn a_model_set_before_the_first_frame_decides_on_its_size() {
    let mut bench = Bench::with_caps("model=slow-x2", &rgb(16, 8));
    bench.element.set_property("model", "slow-x3");
    bench.fake.open_gate();
    let frame = bench.frame(0, 0);
    assert_eq!(bench.push_and_pull(frame).size(), 48 * 24 * 3);
}

#[test]
fn a_model_that_comes_while_a_flush_drops_the_frames_before_is_not_lost() {
    let mut bench = Bench::with_caps("pipeline-depth=1", &rgb(16, 8));
    bench.harness.push(bench.frame(0, 0)).unwrap();
    bench.element.set_property("model", "x3");
    let loaded = |bench: &Bench| {
        let message = bench.next_message(gst::MessageType::Progress).unwrap();
        progress(&message) == (ProgressType::Complete, "Model x3 is loaded".into())
    };
    while !loaded(&bench) {}
    let pad = bench.element.static_pad("src").unwrap();
    let probe = pad.add_probe(gst::PadProbeType::BUFFER, |_, info| {
        info.flow_res = Err(gst::FlowError::Flushing);
        drop(info.data.take());
        gst::PadProbeReturn::Handled
    });
    assert_eq!(bench.harness.push(bench.frame(1, 0)), Err(gst::FlowError::Flushing));
    pad.remove_probe(probe.unwrap());
    bench.harness.push(bench.frame(2, 0)).unwrap();
    bench.harness.push(bench.frame(3, 0)).unwrap();
    assert_eq!(bench.harness.pull().unwrap().size(), 48 * 24 * 3);
}

#[test]
fn a_strength_of_denoising_set_while_playing_opens_the_model_with_it() {
    let mut bench = Bench::with_caps("denoise=0.25", &rgb(16, 8));
    let frame = bench.frame(0, 0);
    bench.push_and_pull(frame);
    bench.element.set_property("denoise", 0.75);
    let strengths = || bench.fake.strengths.lock().unwrap().clone();
    eventually("it is opened again", || strengths() == [Some(0.25), Some(0.75)]);
    bench.element.set_property("denoise", 0.75);
    bench.element.set_property("denoise", -1.0);
    eventually("it is opened as it is", || strengths() == [Some(0.25), Some(0.75), None]);
    let frame = bench.frame(1, 0);
    assert_eq!(bench.push_and_pull(frame).size(), 32 * 16 * 3);
}

#[test]
fn a_swap_that_fails_is_a_warning_and_the_old_model_goes_on() {
    let mut bench = Bench::with_caps("", &rgb(16, 8));
    let frame = bench.frame(0, 0);
    bench.push_and_pull(frame);
    bench.element.set_property("model", "absent");
    let warning = gst::MessageType::Warning;
    bench.expect_error(warning, gst::ResourceError::NotFound, "absent");
    bench.element.set_property("model", "broken");
    bench.expect_error(warning, gst::LibraryError::Failed, "build a session");
    bench.element.set_property("model", "panicking");
    bench.expect_error(warning, gst::LibraryError::Failed, "panic");
    let frame = bench.frame(1, 0);
    assert_eq!(bench.push_and_pull(frame).size(), 32 * 16 * 3);
    assert!(bench.bus.pop_filtered(&[gst::MessageType::Error]).is_none());
}

#[test]
fn a_model_that_fails_before_the_first_is_loaded_is_a_warning_and_the_first_serves() {
    let mut bench = Bench::with_caps("model=slow-x3", &rgb(16, 8));
    let warning = gst::MessageType::Warning;
    bench.element.set_property("model", "absent");
    bench.expect_error(warning, gst::ResourceError::NotFound, "absent");
    bench.element.set_property("model", "broken");
    bench.expect_error(warning, gst::LibraryError::Failed, "build a session");
    bench.fake.open_gate();
    let frame = bench.frame(0, 0);
    assert_eq!(bench.push_and_pull(frame).size(), 48 * 24 * 3);
    assert!(bench.bus.pop_filtered(&[gst::MessageType::Error]).is_none());
}

#[test]
fn the_first_model_is_not_tried_again_where_it_fails_too() {
    let mut bench = Bench::with_caps("model=slow-broken", &rgb(16, 8));
    bench.element.set_property("model", "absent");
    bench.expect_error(gst::MessageType::Warning, gst::ResourceError::NotFound, "absent");
    bench.fake.open_gate();
    bench.expect_error(gst::MessageType::Error, gst::LibraryError::Failed, "build a session");
    let frame = bench.frame(0, 0);
    assert_eq!(bench.harness.push(frame), Err(gst::FlowError::Error));
}

#[test]
fn the_last_of_many_swaps_wins() {
    let mut bench = Bench::with_caps("", &rgb(16, 8));
    for model in ["x3", "slow-x4", "broken", "x5"] {
        bench.element.set_property("model", model);
    }
    let mut number = 0;
    eventually("the last model's size", || {
        let frame = bench.frame(number, 0);
        number += 1;
        bench.push_and_pull(frame).size() == 80 * 40 * 3
    });
}

#[test]
fn a_hundred_cycles_of_states_leave_nothing_behind() {
    crate::bench::init();
    let fake = std::sync::Arc::new(crate::fake::Fake::default());
    let pipeline = gst::Pipeline::new();
    let element = upscale(&fake, "");
    let source = gst::ElementFactory::make("videotestsrc").property("num-buffers", 2).build();
    let filter = gst::ElementFactory::make("capsfilter")
        .property("caps", crate::bench::caps(&rgb(16, 8)))
        .build();
    let sink = gst::ElementFactory::make("fakesink").property("sync", false).build();
    let (source, filter, sink) = (source.unwrap(), filter.unwrap(), sink.unwrap());
    pipeline.add_many([&source, &filter, &element, &sink]).unwrap();
    gst::Element::link_many([&source, &filter, &element, &sink]).unwrap();
    let bus = pipeline.bus().unwrap();
    for cycle in 0..100 {
        pipeline.set_state(gst::State::Playing).unwrap();
        // Half of them end while the model is being loaded.
        if cycle % 2 == 0 {
            let kinds = [gst::MessageType::Eos, gst::MessageType::Error];
            let end = bus.timed_pop_filtered(LONG, &kinds).unwrap();
            assert_eq!(end.type_(), gst::MessageType::Eos, "cycle {cycle}: {end:?}");
        }
        pipeline.set_state(gst::State::Null).unwrap();
    }
    drop((pipeline, element, source, filter, sink, bus));
    // A worker that posts a message just now ends right after it.
    eventually("no worker is left", || std::sync::Arc::strong_count(&fake) == 1);
    assert_eq!(fake.engines.load(Ordering::SeqCst), 0);
}
