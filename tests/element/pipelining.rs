//! Frames processed in parallel: the output is only delayed.

use std::{sync::atomic::Ordering, thread, time::Duration};

use gst::prelude::*;
use proptest::prelude::*;

use crate::bench::{Bench, caps, rgb};

fn times(bench: &mut Bench) -> Vec<u64> {
    let frames = std::iter::from_fn(|| bench.harness.try_pull());
    frames.filter_map(|frame| Some(frame.pts()?.mseconds() / 100)).collect()
}

/// Pushes the frames `numbers`, each with a different value.
#[track_caller]
fn push(bench: &mut Bench, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let frame = bench.frame(number, number as u8);
        bench.harness.push(frame).unwrap();
    }
}

#[test]
fn pipeline_depth_frames_stay_in_flight_and_are_output_at_the_end() {
    for depth in 0..=4 {
        let mut bench = Bench::with_caps(&format!("pipeline-depth={depth}"), &rgb(16, 8));
        push(&mut bench, 0..7);
        assert_eq!(times(&mut bench), (0..7 - depth).collect::<Vec<_>>());
        assert!(bench.harness.push_event(gst::event::Eos::new()));
        assert_eq!(times(&mut bench), (7 - depth..7).collect::<Vec<_>>());
        let last = std::iter::from_fn(|| bench.harness.try_pull_event()).last().unwrap();
        assert_eq!(last.type_(), gst::EventType::Eos);
    }
}

#[test]
fn with_a_live_source_no_frame_stays_in_flight_by_default() {
    for (live, depth, kept) in [(true, -1, 0), (false, -1, 1), (true, 2, 2), (false, 0, 0)] {
        let mut bench = Bench::new(&format!("pipeline-depth={depth}"));
        bench.harness.set_live(live);
        bench.harness.set_src_caps(caps(&rgb(16, 8)));
        push(&mut bench, 0..5);
        assert_eq!(times(&mut bench).len(), 5 - kept, "live {live}, depth {depth}");
    }
}

#[test]
fn a_smaller_depth_takes_effect_with_the_next_frame() {
    let mut bench = Bench::with_caps("pipeline-depth=4", &rgb(16, 8));
    push(&mut bench, 0..4);
    assert!(times(&mut bench).is_empty());
    bench.element.set_property("pipeline-depth", 1);
    push(&mut bench, 4..5);
    assert_eq!(times(&mut bench), [0, 1, 2, 3]);
}

#[test]
fn frames_in_flight_add_to_the_latency_of_a_live_pipeline() {
    let mut bench = Bench::with_caps("pipeline-depth=2", &rgb(160, 80));
    bench.harness.set_live(true);
    push(&mut bench, 0..5);
    let latency = bench.harness.query_latency().unwrap();
    // Two frames at ten frames per second, and the processing time of one frame.
    assert!(latency > gst::ClockTime::from_mseconds(200), "{latency}");
    while bench.bus.pop().is_some() {}
    bench.element.set_property("pipeline-depth", 0);
    assert!(bench.next_message(gst::MessageType::Latency).is_some());
    assert!(bench.harness.query_latency().unwrap() < latency);
}

#[test]
fn frames_in_flight_are_output_before_a_serialized_event() {
    crate::bench::init();
    let gap = gst::event::Gap::new(gst::ClockTime::SECOND, gst::ClockTime::NONE);
    let segment = gst::FormattedSegment::<gst::ClockTime>::new();
    let structure = gst::Structure::new_empty("test");
    for event in [
        gst::event::Segment::new(&segment),
        gst::event::CustomDownstream::new(structure),
        gst::event::Tag::new(gst::TagList::new()),
        gap,
    ] {
        let mut bench = Bench::with_caps("pipeline-depth=3", &rgb(16, 8));
        push(&mut bench, 0..3);
        assert!(times(&mut bench).is_empty());
        assert!(bench.harness.push_event(event.clone()));
        assert_eq!(times(&mut bench), [0, 1, 2], "{event:?}");
    }
}

#[test]
fn frames_in_flight_keep_their_caps_and_model() {
    let mut bench = Bench::with_caps("pipeline-depth=3", &rgb(16, 8));
    push(&mut bench, 0..2);
    bench.harness.set_src_caps(caps(&rgb(8, 8)));
    push(&mut bench, 2..4);
    bench.element.set_property("model", "x3");
    while bench.fake.loads.load(Ordering::SeqCst) < 2 {
        thread::sleep(Duration::from_millis(1));
    }
    while bench.next_message(gst::MessageType::Progress).is_some_and(|message| {
        let gst::MessageView::Progress(progress) = message.view() else { return true };
        progress.get().0 != gst::ProgressType::Complete
    }) {}
    bench.harness.push_event(gst::event::Eos::new());
    let sizes: Vec<_> =
        std::iter::from_fn(|| bench.harness.try_pull()).map(|frame| frame.size()).collect();
    assert_eq!(sizes, [32 * 16 * 3, 32 * 16 * 3, 16 * 16 * 3, 16 * 16 * 3]);
}

#[test]
fn the_discont_flag_stays_on_its_frame() {
    let mut bench = Bench::with_caps("pipeline-depth=2", &rgb(16, 8));
    push(&mut bench, 0..3);
    let mut jump = bench.frame(3, 3);
    jump.get_mut().unwrap().set_flags(gst::BufferFlags::DISCONT);
    bench.harness.push(jump).unwrap();
    push(&mut bench, 4..6);
    bench.harness.push_event(gst::event::Eos::new());
    let frames: Vec<_> = std::iter::from_fn(|| bench.harness.try_pull()).collect();
    let marked = frames.iter().map(|frame| frame.flags().contains(gst::BufferFlags::DISCONT));
    assert_eq!(marked.skip(1).collect::<Vec<_>>(), [false, false, true, false, false]);
}

#[test]
fn a_flush_drops_the_frames_in_flight() {
    let mut bench = Bench::with_caps("model=stepped-x2 pipeline-depth=2 reuse=off", &rgb(16, 8));
    let steps = bench.fake.steps.clone();
    push(&mut bench, 0..2);
    let pad = bench.element.static_pad("sink").unwrap();
    let frame = bench.frame(2, 2);
    // The third frame waits for the first one, whose run is not allowed yet.
    let streaming = thread::spawn({
        let pad = pad.clone();
        move || pad.chain(frame)
    });
    while steps.begun.load(Ordering::SeqCst) == 0 {
        thread::sleep(Duration::from_millis(1));
    }
    assert!(pad.send_event(gst::event::FlushStart::new()));
    steps.allow(1);
    assert_eq!(streaming.join().unwrap(), Err(gst::FlowError::Flushing));
    assert!(pad.send_event(gst::event::FlushStop::new(true)));
    assert!(times(&mut bench).is_empty(), "frames from before the flush are dropped");
    steps.allow(9);
    let segment = gst::FormattedSegment::<gst::ClockTime>::new();
    assert!(bench.harness.push_event(gst::event::Segment::new(&segment)));
    push(&mut bench, 5..7);
    bench.harness.push_event(gst::event::Eos::new());
    assert_eq!(times(&mut bench), [5, 6]);
}

#[test]
fn an_error_of_the_model_is_posted_once_and_ends_the_stream() {
    for depth in 0..=3 {
        let properties = format!("model=failing-x2 pipeline-depth={depth} reuse=off");
        let mut bench = Bench::with_caps(&properties, &rgb(16, 8));
        let pushed = (0..8).map(|number| {
            let frame = bench.frame(number, number as u8);
            bench.harness.push(frame)
        });
        let error = pushed.into_iter().find_map(Result::err);
        assert_eq!(error, Some(gst::FlowError::Error));
        bench.expect_error(gst::MessageType::Error, gst::LibraryError::Failed, "run a model");
        assert!(bench.bus.pop_filtered(&[gst::MessageType::Error]).is_none(), "posted twice");
        assert_eq!(times(&mut bench), [0, 1]);
    }
}

#[test]
fn an_error_before_an_event_is_returned_for_the_next_frame() {
    let mut bench = Bench::with_caps("model=failing-x2 pipeline-depth=4 reuse=off", &rgb(16, 8));
    push(&mut bench, 0..4);
    bench.harness.push_event(gst::event::Tag::new(gst::TagList::new()));
    assert_eq!(times(&mut bench), [0, 1]);
    let frame = bench.frame(4, 4);
    assert_eq!(bench.harness.push(frame), Err(gst::FlowError::Error));
}

/// One step of a random stream.
#[derive(Clone, Debug)]
enum Step {
    /// A frame in which some bytes change.
    Frame {
        from: usize,
        bytes: usize,
        value: u8,
    },
    Gap,
    Discontinuity,
    Seek,
    Caps(u32),
    Set(&'static str, &'static str),
    Event,
}

fn step() -> impl Strategy<Value = Step> {
    let set = |name, values: Vec<&'static str>| {
        prop::sample::select(values).prop_map(move |value| Step::Set(name, value))
    };
    prop_oneof![
        10 => (0usize..4000, prop_oneof![Just(0usize), 1usize..9, 0usize..4000], any::<u8>())
            .prop_map(|(from, bytes, value)| Step::Frame { from, bytes, value }),
        1 => Just(Step::Gap),
        1 => Just(Step::Discontinuity),
        1 => Just(Step::Seek),
        1 => (1u32..4).prop_map(Step::Caps),
        1 => set("blend", vec!["0", "0.5", "1"]),
        1 => set("grain", vec!["0", "0.5"]),
        1 => set("reuse", vec!["off", "exact"]),
        1 => set("pipeline-depth", vec!["0", "1", "2", "4"]),
        1 => Just(Step::Event),
    ]
}

/// All output frames with their times.
fn run(steps: &[Step], fixed: &str, ignored: &[&str]) -> Vec<(u64, Vec<u8>)> {
    let mut bench = Bench::with_caps(fixed, &rgb(40, 32));
    let mut picture: Vec<u8> = (0..40 * 32 * 3).map(|at| (at * 7 % 251) as u8).collect();
    let mut out = vec![];
    for (number, step) in steps.iter().enumerate() {
        let mut frame = bench.frame(number as u64, 0);
        let buffer = frame.get_mut().unwrap();
        match step {
            Step::Frame { from, bytes, value } => {
                picture.iter_mut().skip(*from).take(*bytes).for_each(|byte| *byte = *value);
            }
            Step::Gap => {
                buffer.remove_all_memory();
                buffer.set_flags(gst::BufferFlags::GAP);
            }
            Step::Discontinuity => buffer.set_flags(gst::BufferFlags::DISCONT),
            Step::Seek => {
                // Output the frames in flight first, because a flush drops them.
                bench.harness.push_event(gst::event::Tag::new(gst::TagList::new()));
                bench.harness.push_event(gst::event::FlushStart::new());
                bench.harness.push_event(gst::event::FlushStop::new(true));
                let segment = gst::FormattedSegment::<gst::ClockTime>::new();
                bench.harness.push_event(gst::event::Segment::new(&segment));
            }
            Step::Caps(eighths) => {
                bench.harness.set_src_caps(caps(&rgb(40, 8 * eighths)));
                picture.resize(40 * 8 * *eighths as usize * 3, 9);
            }
            Step::Set(name, value) if !ignored.contains(name) => {
                bench.element.set_property_from_str(name, value);
            }
            Step::Set(..) => {}
            Step::Event => {
                bench.harness.push_event(gst::event::Tag::new(gst::TagList::new()));
            }
        }
        if matches!(step, Step::Frame { .. } | Step::Gap | Step::Discontinuity) {
            if !matches!(step, Step::Gap) {
                buffer.map_writable().unwrap().copy_from_slice(&picture);
            }
            bench.harness.push(frame).unwrap();
        }
        out.extend(std::iter::from_fn(|| bench.harness.try_pull()));
    }
    bench.harness.push_event(gst::event::Eos::new());
    out.extend(std::iter::from_fn(|| bench.harness.try_pull()));
    let time = |buffer: &gst::Buffer| buffer.pts().unwrap().mseconds() / 100;
    out.iter().map(|buffer| (time(buffer), buffer.map_readable().unwrap().to_vec())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn frames_processed_in_parallel_equal_frames_processed_one_by_one(
        steps in prop::collection::vec(step(), 1..30), depth in 1usize..5,
    ) {
        let pipelined = run(&steps, &format!("pipeline-depth={depth}"), &[]);
        let one_by_one = run(&steps, "pipeline-depth=0", &["pipeline-depth"]);
        prop_assert!(pipelined == one_by_one);
        let computed = run(&steps, "pipeline-depth=0 reuse=off", &["pipeline-depth", "reuse"]);
        prop_assert!(pipelined == computed);
    }
}

#[test]
fn a_frame_that_no_other_follows_is_output() {
    crate::bench::init();
    let description = "appsrc name=in format=time caps=video/x-raw,format=RGB,width=16,height=8,framerate=25/1 \
                       ! upscale blend=0 ! appsink name=out";
    let pipeline = gst::parse::launch(description).unwrap().downcast::<gst::Pipeline>().unwrap();
    let input = pipeline.by_name("in").unwrap().downcast::<gst_app::AppSrc>().unwrap();
    let output = pipeline.by_name("out").unwrap().downcast::<gst_app::AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    for number in 0..2 {
        let mut frame = gst::Buffer::with_size(16 * 8 * 3).unwrap();
        frame.get_mut().unwrap().set_pts(gst::ClockTime::from_seconds(number));
        input.push_buffer(frame).unwrap();
        // No other frame and no end of the stream follows.
        let found = output.try_pull_sample(crate::bench::LONG).expect("the frame is kept back");
        assert_eq!(found.buffer().unwrap().pts(), Some(gst::ClockTime::from_seconds(number)));
    }
    pipeline.set_state(gst::State::Null).unwrap();
}
