//! Flushes, state changes and model changes while the model is busy with something that cannot be
//! ended: nothing waits for it.

use std::{
    sync::{Arc, atomic::Ordering},
    thread::{self, JoinHandle},
};

use gst::prelude::*;

use crate::{
    bench::{Bench, caps, eventually, rgb, upscale},
    fake::Fake,
};

type Pushed = Result<gst::FlowSuccess, gst::FlowError>;

/// Pushes frames until one fails, from another thread. The second run of the model is never
/// finished before the test allows it.
fn push_until_the_model_is_stuck(bench: &Bench) -> JoinHandle<Pushed> {
    let steps = bench.fake.steps.clone();
    steps.allow(1);
    let pad = bench.harness.srcpad().unwrap().to_owned();
    let frames: Vec<gst::Buffer> = (0..8).map(|number| bench.frame(number, number as u8)).collect();
    let pushing = thread::spawn(move || {
        let mut pushed = Ok(gst::FlowSuccess::Ok);
        for frame in frames {
            pushed = pad.push(frame);
            if pushed.is_err() {
                break;
            }
        }
        pushed
    });
    eventually("the second run begins", || steps.begun.load(Ordering::SeqCst) == 2);
    pushing
}

/// Does `work`, which must not wait for the model, on another thread.
#[track_caller]
fn at_once<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let working = thread::spawn(work);
    eventually(what, || working.is_finished());
    working.join().unwrap()
}

/// Sends the events of a flush around the return of a thread that pushes frames: it may not have
/// pushed all of them when the flush begins.
fn flush(bench: &Bench, pushing: JoinHandle<Pushed>) {
    start_flush(bench);
    let pushed = at_once("the frame returns", move || pushing.join().unwrap());
    assert_eq!(pushed, Err(gst::FlowError::Flushing));
    end_flush(bench);
}

fn start_flush(bench: &Bench) {
    let pad = bench.harness.srcpad().unwrap().to_owned();
    at_once("the flush begins", move || pad.push_event(gst::event::FlushStart::new()));
}

fn end_flush(bench: &Bench) {
    let pad = bench.harness.srcpad().unwrap().to_owned();
    at_once("the flush ends", move || {
        pad.push_event(gst::event::FlushStop::new(true));
        let segment = gst::FormattedSegment::<gst::ClockTime>::new();
        pad.push_event(gst::event::Segment::new(&segment));
    });
}

/// Lets the threads of a test end: the exit of the process waits for them.
fn release(fake: &Fake) {
    fake.open_gate();
    fake.steps.allow(1000);
    eventually("the engines are dropped", || fake.engines.load(Ordering::SeqCst) == 0);
}

#[test]
fn a_flush_does_not_wait_for_a_frame_that_the_model_runs_on() {
    for depth in 0..3 {
        let properties = format!("model=stepped-x2 pipeline-depth={depth}");
        let mut bench = Bench::with_caps(&properties, &rgb(16, 8));
        let pushing = push_until_the_model_is_stuck(&bench);
        flush(&bench, pushing);
        bench.fake.steps.allow(1000);
        while bench.harness.try_pull().is_some() {}
        let frame = bench.frame(20, 200);
        bench.harness.push(frame).unwrap();
        bench.harness.push_event(gst::event::Eos::new());
        let last = std::iter::from_fn(|| bench.harness.try_pull()).last().unwrap();
        assert!(last.map_readable().unwrap().iter().all(|&byte| byte == 200));
        assert!(bench.bus.pop_filtered(&[gst::MessageType::Error]).is_none());
        let (element, fake) = (bench.element.clone(), bench.fake.clone());
        element.set_state(gst::State::Null).unwrap();
        release(&fake);
    }
}

#[test]
fn the_change_to_null_does_not_wait_for_a_frame_that_the_model_runs_on() {
    for depth in 0..3 {
        let properties = format!("model=stepped-x2 pipeline-depth={depth}");
        let bench = Bench::with_caps(&properties, &rgb(16, 8));
        let pushing = push_until_the_model_is_stuck(&bench);
        let element = bench.element.clone();
        at_once("the element stops", move || element.set_state(gst::State::Null).unwrap());
        let pushed = at_once("the frame returns", move || pushing.join().unwrap());
        assert_eq!(pushed, Err(gst::FlowError::Flushing));
        assert!(bench.bus.pop_filtered(&[gst::MessageType::Error]).is_none());
        release(&bench.fake);
    }
}

#[test]
fn the_thread_of_a_stuck_model_owns_nothing_of_the_element() {
    let fake = Arc::new(Fake::default());
    let element = upscale(&fake, "model=stepped-x2");
    let pipeline = gst::Pipeline::new();
    let source = gst::ElementFactory::make("videotestsrc").build().unwrap();
    let filter =
        gst::ElementFactory::make("capsfilter").property("caps", caps(&rgb(16, 8))).build();
    let sink = gst::ElementFactory::make("fakesink").build().unwrap();
    let elements = [source, filter.unwrap(), element, sink];
    pipeline.add_many(&elements).unwrap();
    gst::Element::link_many(&elements).unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    eventually("the first run begins", || fake.steps.begun.load(Ordering::SeqCst) == 1);
    pipeline.set_state(gst::State::Null).unwrap();
    let left: Vec<_> = elements.iter().map(|element| element.downgrade()).collect();
    at_once("the elements are dropped", move || drop((pipeline, elements)));
    eventually("nothing holds an element", || left.iter().all(|left| left.upgrade().is_none()));
    assert_eq!(fake.engines.load(Ordering::SeqCst), 1, "the model is still stuck");
    release(&fake);
}

#[test]
fn new_caps_after_a_flush_keep_the_engine_that_is_busy_with_an_old_frame() {
    let mut bench = Bench::with_caps("model=stepped-x2", &rgb(16, 8));
    let pushing = push_until_the_model_is_stuck(&bench);
    flush(&bench, pushing);
    assert!(bench.send_caps(&rgb(24, 8)));
    // This frame needs the engine. A flush before it arrives does not end its wait.
    let (pad, frame) = (bench.harness.srcpad().unwrap().to_owned(), bench.frame(0, 0));
    let pushing = thread::spawn(move || pad.push(frame));
    eventually("the frame returns", || {
        start_flush(&bench);
        end_flush(&bench);
        pushing.is_finished()
    });
    assert_eq!(pushing.join().unwrap(), Err(gst::FlowError::Flushing));
    bench.fake.steps.allow(1000);
    while bench.harness.try_pull().is_some() {}
    let frame = bench.frame(1, 0);
    bench.harness.push(frame).unwrap();
    bench.harness.push_event(gst::event::Eos::new());
    let last = std::iter::from_fn(|| bench.harness.try_pull()).last().unwrap();
    assert_eq!(last.size(), 48 * 16 * 3);
    assert_eq!(bench.fake.loads.load(Ordering::SeqCst), 1);
}

#[test]
fn the_change_to_null_does_not_wait_for_a_load_that_cannot_be_cancelled() {
    let fake = Arc::new(Fake::default());
    let element = upscale(&fake, "model=stuck-x2");
    for loads in 1..=2 {
        let starting = element.clone();
        at_once("the element starts", move || starting.set_state(gst::State::Paused).unwrap());
        eventually("the load begins", || fake.loads.load(Ordering::SeqCst) == loads);
        let stopping = element.clone();
        at_once("the element stops", move || stopping.set_state(gst::State::Null).unwrap());
    }
    at_once("the element is dropped", move || drop(element));
    release(&fake);
    eventually("no worker is left", || Arc::strong_count(&fake) == 1);
}

#[test]
fn another_model_is_loaded_while_a_load_cannot_be_cancelled() {
    let mut bench = Bench::with_caps("model=stuck-x2", &rgb(16, 8));
    eventually("the load begins", || bench.fake.loads.load(Ordering::SeqCst) == 1);
    bench.element.set_property("model", "x3");
    let frame = bench.frame(0, 0);
    assert_eq!(bench.push_and_pull(frame).size(), 48 * 24 * 3);
    bench.element.set_state(gst::State::Null).unwrap();
    release(&bench.fake);
}
