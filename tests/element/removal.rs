//! Taking the element out of a running pipeline.

use std::sync::{Arc, Mutex, mpsc};

use gst::prelude::*;

use crate::bench::{LONG, upscale};

#[test]
fn no_frame_is_lost_if_the_element_is_drained_and_taken_out_at_an_idle_pad() {
    const FRAMES: u64 = 60;
    let element = upscale(&Arc::default(), "pipeline-depth=3");
    let make = |name: &str| gst::ElementFactory::make(name).build().unwrap();
    let (source, sink) = (make("videotestsrc"), make("fakesink"));
    source.set_property("num-buffers", FRAMES as i32);
    sink.set_property("signal-handoffs", true);
    let filter = make("capsfilter");
    let caps: gst::Caps =
        "video/x-raw,format=RGB,width=16,height=8,framerate=10/1".parse().unwrap();
    filter.set_property("caps", caps);
    let pipeline = gst::Pipeline::new();
    pipeline.add_many([&source, &filter, &element, &sink]).unwrap();
    gst::Element::link_many([&source, &filter, &element, &sink]).unwrap();

    let times = Arc::new(Mutex::new(Vec::new()));
    let (seen, half) = mpsc::channel();
    let into = times.clone();
    sink.connect("handoff", false, move |values| {
        let buffer = values[1].get::<gst::Buffer>().unwrap();
        let mut times = into.lock().unwrap();
        times.push(buffer.pts().unwrap().mseconds() / 100);
        if times.len() == 20 {
            let _ = seen.send(());
        }
        None
    });
    pipeline.set_state(gst::State::Playing).unwrap();
    half.recv().unwrap();

    let (done, is_out) = mpsc::channel();
    let (weak, filtered) = (pipeline.downgrade(), filter.static_pad("src").unwrap());
    filtered.add_probe(gst::PadProbeType::IDLE, move |pad, _| {
        // The pad itself passes nothing on while its probe runs.
        assert!(pad.peer().unwrap().query(gst::query::Drain::new().query_mut()));
        filter.unlink(&element);
        element.unlink(&sink);
        weak.upgrade().unwrap().remove(&element).unwrap();
        element.set_state(gst::State::Null).unwrap();
        filter.link(&sink).unwrap();
        let _ = done.send(());
        gst::PadProbeReturn::Remove
    });
    is_out.recv().unwrap();
    let end = [gst::MessageType::Eos, gst::MessageType::Error];
    let message = pipeline.bus().unwrap().timed_pop_filtered(LONG, &end).unwrap();
    assert!(matches!(message.view(), gst::MessageView::Eos(_)), "{message:?}");
    pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(*times.lock().unwrap(), (0..FRAMES).collect::<Vec<_>>());
}
