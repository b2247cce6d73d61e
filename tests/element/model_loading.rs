//! Loading models on the worker thread, and switching to them.

use std::{
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use gst::{ProgressType, prelude::*};
use gstupscale::{
    backend::Loaded,
    element::{EngineLoader, Upscale},
    engine::{self, EngineOptions, Monitor},
    model::{self, Model, OpenOptions},
};

use crate::{
    bench::{Bench, LONG, caps, eventually, rgb, upscale},
    fake::Fake,
};

/// Pushes a frame, which must wait for the model, from another thread.
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
fn progress_messages_are_posted_while_a_model_loads() {
    let bench = Bench::new("");
    let mut kinds = Vec::new();
    while kinds.last() != Some(&ProgressType::Complete) {
        kinds.push(progress(&bench.next_message(gst::MessageType::Progress).unwrap()).0);
    }
    let expected = [ProgressType::Start, ProgressType::Continue, ProgressType::Complete];
    assert_eq!(kinds, expected);
}

#[test]
fn the_last_progress_message_of_a_failed_load_is_an_error() {
    let bench = Bench::new("model=broken");
    let mut last = ProgressType::Start;
    while last != ProgressType::Error {
        last = progress(&bench.next_message(gst::MessageType::Progress).unwrap()).0;
        assert_ne!(last, ProgressType::Complete);
    }
}

#[test]
fn the_first_frame_waits_for_the_model_but_the_change_to_paused_does_not() {
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
fn a_state_change_ends_the_wait_and_cancels_the_load() {
    let bench = Bench::with_caps("model=slow-x2", &rgb(16, 8));
    let pushing = push_from_a_thread(&bench);
    bench.element.set_state(gst::State::Null).unwrap();
    assert_eq!(pushing.join().unwrap(), Err(gst::FlowError::Flushing));
}

#[test]
fn no_thread_and_no_engine_outlives_the_element() {
    let fake = Arc::new(Fake::default());
    let element = upscale(&fake, "model=slow-x2");
    element.set_state(gst::State::Paused).unwrap();
    eventually("the load begins", || fake.loads.load(Ordering::SeqCst) == 1);
    element.set_state(gst::State::Null).unwrap();
    eventually("only the element and this test are left", || Arc::strong_count(&fake) == 2);
    drop(element);
    eventually("no worker is left", || Arc::strong_count(&fake) == 1);
    assert_eq!(fake.engines.load(Ordering::SeqCst), 0);
}

#[test]
fn a_model_set_while_playing_replaces_the_previous_one_between_frames() {
    let mut bench = Bench::with_caps("", &rgb(16, 8));
    let frame = bench.frame(0, 0);
    assert_eq!(bench.push_and_pull(frame).size(), 32 * 16 * 3);

    bench.element.set_property("model", "slow-x3");
    // The previous model is used until the new one is loaded.
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
    eventually("the previous engine is dropped", || bench.fake.engines.load(Ordering::SeqCst) == 1);
}

#[test]
fn a_model_set_before_the_first_frame_decides_its_size() {
    let mut bench = Bench::with_caps("model=slow-x2", &rgb(16, 8));
    bench.element.set_property("model", "slow-x3");
    bench.fake.open_gate();
    let frame = bench.frame(0, 0);
    assert_eq!(bench.push_and_pull(frame).size(), 48 * 24 * 3);
}

/// Changes the property `model` to `x3` while it opens another model.
struct ChangesModel {
    fake: Arc<Fake>,
    element: glib::WeakRef<gst::Element>,
}

impl EngineLoader for ChangesModel {
    fn open(&self, name: &str, options: &OpenOptions) -> Result<Model, model::Error> {
        if let Some(element) = self.element.upgrade().filter(|_| name != "x3") {
            element.set_property("model", "x3");
        }
        self.fake.open(name, options)
    }

    fn load(
        &self,
        model: &Model,
        options: &EngineOptions,
        monitor: &dyn Monitor,
    ) -> Result<Loaded, engine::Error> {
        self.fake.load(model, options, monitor)
    }
}

#[test]
fn a_model_set_while_the_first_one_is_opened_is_loaded() {
    let fake = Arc::new(Fake::default());
    let element = upscale(&fake, "");
    let loader = ChangesModel { fake: fake.clone(), element: element.downgrade() };
    element.downcast_ref::<Upscale>().unwrap().set_engine_loader(Arc::new(loader));
    let mut bench = Bench::with_element(element, fake);
    bench.harness.set_src_caps(caps(&rgb(16, 8)));
    let mut number = 0;
    eventually("the size of the second model", || {
        let frame = bench.frame(number, 0);
        number += 1;
        bench.push_and_pull(frame).size() == 48 * 24 * 3
    });
}

#[test]
fn a_model_that_is_ready_during_a_flush_is_not_lost() {
    let mut bench = Bench::with_caps("pipeline-depth=1", &rgb(16, 8));
    bench.harness.push(bench.frame(0, 0)).unwrap();
    bench.element.set_property("model", "x3");
    let loaded = |bench: &Bench| {
        let message = bench.next_message(gst::MessageType::Progress).unwrap();
        progress(&message) == (ProgressType::Complete, "Loaded model x3".into())
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
fn a_denoising_strength_set_while_playing_opens_the_model_again() {
    let mut bench = Bench::with_caps("denoise=0.25", &rgb(16, 8));
    let frame = bench.frame(0, 0);
    bench.push_and_pull(frame);
    bench.element.set_property("denoise", 0.75);
    let strengths = || bench.fake.strengths.lock().unwrap().clone();
    eventually("the model is opened again", || strengths() == [Some(0.25), Some(0.75)]);
    bench.element.set_property("denoise", 0.75);
    bench.element.set_property("denoise", -1.0);
    eventually("the model is opened with its own strength", || {
        strengths() == [Some(0.25), Some(0.75), None]
    });
    let frame = bench.frame(1, 0);
    assert_eq!(bench.push_and_pull(frame).size(), 32 * 16 * 3);
}

#[test]
fn a_failed_switch_is_a_warning_and_the_previous_model_stays_in_use() {
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
fn if_a_later_model_fails_before_the_first_one_is_loaded_the_first_one_is_used() {
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
fn the_first_model_is_not_tried_twice() {
    let mut bench = Bench::with_caps("model=slow-broken", &rgb(16, 8));
    bench.element.set_property("model", "absent");
    bench.expect_error(gst::MessageType::Warning, gst::ResourceError::NotFound, "absent");
    bench.fake.open_gate();
    bench.expect_error(gst::MessageType::Error, gst::LibraryError::Failed, "build a session");
    let frame = bench.frame(0, 0);
    assert_eq!(bench.harness.push(frame), Err(gst::FlowError::Error));
}

#[test]
fn the_last_of_many_models_is_used() {
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
fn a_hundred_state_cycles_leave_no_thread_and_no_engine() {
    crate::bench::init();
    let fake = Arc::new(Fake::default());
    let pipeline = gst::Pipeline::new();
    let element = upscale(&fake, "");
    let source = gst::ElementFactory::make("videotestsrc").property("num-buffers", 2).build();
    let filter =
        gst::ElementFactory::make("capsfilter").property("caps", caps(&rgb(16, 8))).build();
    let sink = gst::ElementFactory::make("fakesink").property("sync", false).build();
    let (source, filter, sink) = (source.unwrap(), filter.unwrap(), sink.unwrap());
    pipeline.add_many([&source, &filter, &element, &sink]).unwrap();
    gst::Element::link_many([&source, &filter, &element, &sink]).unwrap();
    let bus = pipeline.bus().unwrap();
    for cycle in 0..100 {
        pipeline.set_state(gst::State::Playing).unwrap();
        // Every other cycle ends while the model is being loaded.
        if cycle % 2 == 0 {
            let kinds = [gst::MessageType::Eos, gst::MessageType::Error];
            let end = bus.timed_pop_filtered(LONG, &kinds).unwrap();
            assert_eq!(end.type_(), gst::MessageType::Eos, "cycle {cycle}: {end:?}");
        }
        pipeline.set_state(gst::State::Null).unwrap();
    }
    drop((pipeline, element, source, filter, sink, bus));
    // A worker that is posting a message ends afterwards.
    eventually("no worker is left", || Arc::strong_count(&fake) == 1);
    assert_eq!(fake.engines.load(Ordering::SeqCst), 0);
}
