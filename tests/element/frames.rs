//! Buffers: timestamps, flags, gaps, strides, order, and late frames.

use gst::prelude::*;
use gst_video::{
    VideoBufferPoolConfig, VideoFormat, VideoFrameFlags, VideoFrameRef, VideoMeta, prelude::*,
};

use crate::{
    bench::{Bench, LONG, i420, rgb, upscale},
    fake::Fake,
};

#[test]
fn timestamps_durations_offsets_and_flags_are_kept() {
    let mut bench = Bench::with_caps("", &rgb(16, 8));
    let mut frame = bench.frame(7, 0);
    {
        let frame = frame.get_mut().unwrap();
        frame.set_dts(gst::ClockTime::from_mseconds(650));
        frame.set_offset(3);
        frame.set_offset_end(4);
        frame.set_flags(gst::BufferFlags::MARKER | gst::BufferFlags::DELTA_UNIT);
    }
    let expected = frame.copy();
    let found = bench.push_and_pull(frame);
    assert_eq!(found.pts(), expected.pts());
    assert_eq!(found.dts(), expected.dts());
    assert_eq!(found.duration(), expected.duration());
    assert_eq!((found.offset(), found.offset_end()), (3, 4));
    assert!(found.flags().contains(expected.flags()));
}

#[test]
fn a_discontinuity_is_kept() {
    let mut bench = Bench::with_caps("", &rgb(16, 8));
    for (number, discont) in [false, true, false].into_iter().enumerate() {
        let mut frame = bench.frame(number as u64, 0);
        if discont {
            frame.get_mut().unwrap().set_flags(gst::BufferFlags::DISCONT);
        }
        let found = bench.push_and_pull(frame);
        assert_eq!(found.flags().contains(gst::BufferFlags::DISCONT), discont);
    }
}

#[test]
fn a_frame_with_the_gap_flag_is_enlarged_and_keeps_the_flag() {
    let mut bench = Bench::with_caps("", &rgb(16, 8));
    let mut frame = bench.frame(0, 0);
    frame.get_mut().unwrap().set_flags(gst::BufferFlags::GAP);
    let found = bench.push_and_pull(frame);
    assert!(found.flags().contains(gst::BufferFlags::GAP));
    assert_eq!(found.size(), 32 * 16 * 3);
}

#[test]
fn a_gap_without_a_frame_is_passed_on() {
    let mut bench = Bench::with_caps("", &rgb(16, 8));
    let mut gap = gst::Buffer::new();
    {
        let gap = gap.get_mut().unwrap();
        gap.set_pts(gst::ClockTime::SECOND);
        gap.set_flags(gst::BufferFlags::GAP);
    }
    let found = bench.push_and_pull(gap);
    assert_eq!((found.size(), found.pts()), (0, Some(gst::ClockTime::SECOND)));
    assert!(found.flags().contains(gst::BufferFlags::GAP));
    let frame = bench.frame(11, 0);
    assert_eq!(bench.push_and_pull(frame).size(), 32 * 16 * 3);
}

#[test]
fn a_gap_event_is_passed_on_in_order() {
    let mut bench = Bench::with_caps("", &rgb(16, 8));
    let frame = bench.frame(0, 0);
    bench.push_and_pull(frame);
    while bench.harness.try_pull_event().is_some() {}
    let gap = gst::event::Gap::builder(gst::ClockTime::from_mseconds(100))
        .duration(gst::ClockTime::from_mseconds(100))
        .build();
    assert!(bench.harness.push_event(gap));
    assert_eq!(bench.harness.try_pull_event().unwrap().type_(), gst::EventType::Gap);
    let frame = bench.frame(2, 0);
    assert_eq!(bench.push_and_pull(frame).pts(), Some(gst::ClockTime::from_mseconds(200)));
}

#[test]
fn every_frame_is_output_before_the_end() {
    let mut bench = Bench::with_caps("", &i420(16, 8));
    for number in 0..5 {
        let frame = bench.frame(number, 0);
        bench.harness.push(frame).unwrap();
    }
    assert!(bench.harness.push_event(gst::event::Eos::new()));
    let found: Vec<_> = std::iter::from_fn(|| bench.harness.try_pull()).collect();
    let times: Vec<_> = found.iter().filter_map(|frame| frame.pts()).collect();
    let expected: Vec<_> = (0..5).map(|n| gst::ClockTime::from_mseconds(n * 100)).collect();
    assert_eq!(times, expected);
    let last = std::iter::from_fn(|| bench.harness.try_pull_event()).last().unwrap();
    assert_eq!(last.type_(), gst::EventType::Eos);
}

/// A picture with a different value in each row, and rows of `stride` bytes.
fn picture(width: u32, height: u32, stride: i32) -> gst::Buffer {
    let mut data = vec![255; stride as usize * height as usize];
    for (y, row) in data.chunks_exact_mut(stride as usize).enumerate() {
        row[..width as usize].fill(10 * y as u8);
    }
    let mut buffer = gst::Buffer::from_mut_slice(data);
    VideoMeta::add_full(
        buffer.get_mut().unwrap(),
        VideoFrameFlags::empty(),
        VideoFormat::Gray8,
        width,
        height,
        &[0],
        &[stride],
    )
    .unwrap();
    buffer
}

/// The rows of a frame without padding.
fn rows(buffer: &gst::Buffer, info: &gst_video::VideoInfo) -> Vec<Vec<u8>> {
    let frame = VideoFrameRef::from_buffer_ref_readable(buffer, info).unwrap();
    let stride = frame.plane_stride()[0] as usize;
    let width = frame.width() as usize;
    let data = frame.plane_data(0).unwrap();
    data.chunks(stride).map(|row| row[..width].to_vec()).collect()
}

#[test]
fn input_and_output_may_have_any_strides() {
    let input = "video/x-raw,format=GRAY8,width=6,height=4,framerate=10/1";
    let mut bench = Bench::with_caps("", input);
    let plain = bench.push_and_pull(picture(6, 4, 8));
    let padded = bench.push_and_pull(picture(6, 4, 64));
    let info = bench.output_info();
    assert_eq!(rows(&plain, &info), rows(&padded, &info));

    // The pool of downstream pads the rows, and describes that in a meta.
    let mut bench = Bench::new("");
    bench.harness.set_sink_caps(crate::bench::caps("video/x-raw"));
    let pad = bench.harness.sinkpad().unwrap();
    pad.add_probe(gst::PadProbeType::QUERY_DOWNSTREAM, |_, info| {
        let Some(query) = info.query_mut() else { return gst::PadProbeReturn::Ok };
        let gst::QueryViewMut::Allocation(query) = query.view_mut() else {
            return gst::PadProbeReturn::Ok;
        };
        query.add_allocation_pool(Some(&padding_pool(&query.get_owned().0.unwrap())), 64, 0, 0);
        query.add_allocation_meta::<VideoMeta>(None);
        gst::PadProbeReturn::Handled
    });
    bench.harness.set_src_caps(crate::bench::caps(input));
    let wide = bench.push_and_pull(picture(6, 4, 8));
    assert!(wide.meta::<VideoMeta>().unwrap().stride()[0] >= 128);
    assert_eq!(rows(&plain, &info), rows(&wide, &info));
}

/// A pool whose frames have padding on the right.
fn padding_pool(caps: &gst::Caps) -> gst::BufferPool {
    let pool = gst_video::VideoBufferPool::new();
    let info = gst_video::VideoInfo::from_caps(caps).unwrap();
    let mut config = pool.config();
    config.set_params(Some(caps), info.size() as u32, 0, 0);
    config.add_option(gst_video::BUFFER_POOL_OPTION_VIDEO_META.as_str());
    config.add_option(gst_video::BUFFER_POOL_OPTION_VIDEO_ALIGNMENT.as_str());
    let alignment = gst_video::VideoAlignment::new(0, 0, 0, 128, &[127, 0, 0, 0]);
    config.set_video_alignment(&alignment);
    pool.set_config(config).unwrap();
    pool.upcast()
}

#[test]
fn late_frames_are_dropped_before_inference() {
    let mut bench = Bench::with_caps("", &rgb(16, 8));
    let frame = bench.frame(0, 0);
    bench.push_and_pull(frame);
    let runs = bench.fake.runs();
    // Downstream is one second late at 0.1 s.
    let late = gst::ClockTime::SECOND.nseconds() as i64;
    let qos = gst::event::Qos::builder(gst::QOSType::Underflow, 2.0, late)
        .timestamp(gst::ClockTime::from_mseconds(100));
    bench.harness.push_upstream_event(qos.build());
    let frame = bench.frame(2, 0);
    bench.harness.push(frame).unwrap();
    assert!(bench.harness.try_pull().is_none());
    assert_eq!(bench.fake.runs(), runs);
    assert!(bench.next_message(gst::MessageType::Qos).is_some());
    // The next frame is not late. It is marked as a discontinuity.
    let frame = bench.frame(50, 0);
    let found = bench.push_and_pull(frame);
    assert!(found.flags().contains(gst::BufferFlags::DISCONT));

    bench.element.set_property("qos", false);
    let frame = bench.frame(3, 0);
    bench.push_and_pull(frame);
}

#[test]
fn a_pipeline_can_seek_without_loading_the_model_again() {
    let fake = std::sync::Arc::new(Fake::default());
    let upscale = upscale(&fake, "");
    let pipeline = gst::Pipeline::new();
    let source = gst::ElementFactory::make("videotestsrc").property("num-buffers", 30).build();
    let filter = gst::ElementFactory::make("capsfilter")
        .property("caps", crate::bench::caps(&i420(32, 16)))
        .build();
    let sink = gst::ElementFactory::make("fakesink").property("signal-handoffs", true).build();
    let (source, filter, sink) = (source.unwrap(), filter.unwrap(), sink.unwrap());
    let elements = [&source, &filter, &upscale, &sink];
    pipeline.add_many(elements).unwrap();
    gst::Element::link_many(elements).unwrap();

    let bus = pipeline.bus().unwrap();
    pipeline.set_state(gst::State::Paused).unwrap();
    pipeline.state(LONG).0.unwrap();
    for position in [1, 0, 2] {
        let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::ACCURATE;
        pipeline.seek_simple(flags, gst::ClockTime::from_seconds(position)).unwrap();
        pipeline.state(LONG).0.unwrap();
        let found = pipeline.query_position::<gst::ClockTime>().unwrap();
        assert_eq!(found.seconds(), position);
    }
    pipeline.set_state(gst::State::Playing).unwrap();
    let end = bus.timed_pop_filtered(LONG, &[gst::MessageType::Eos, gst::MessageType::Error]);
    assert_eq!(end.unwrap().type_(), gst::MessageType::Eos);
    pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(fake.loads.load(std::sync::atomic::Ordering::SeqCst), 1);
}
