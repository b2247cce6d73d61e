//! Frames per second for each `pipeline-depth`, measured in turns:
//! `cargo bench --bench pipeline_speed`.

use std::{
    sync::{Arc, Mutex},
    time::Instant,
};

use gst::prelude::*;

const DEPTHS: [u32; 3] = [0, 1, 2];
const ROUNDS: usize = 5;

/// Frames per second between the first and the last output frame. `rest` are the elements
/// between `upscale` and the sink.
fn speed(size: (u32, u32), frames: u32, properties: &str, rest: &str) -> f64 {
    let (width, height) = size;
    let pipeline = gst::parse::launch(&format!(
        "videotestsrc pattern=smpte horizontal-speed=3 num-buffers={frames} \
         ! video/x-raw,format=I420,width={width},height={height} \
         ! upscale name=upscale reuse=off {properties} ! {rest} fakesink sync=false",
    ));
    let pipeline: gst::Pipeline = pipeline.unwrap().downcast().unwrap();
    let times: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let pad = pipeline.by_name("upscale").unwrap().static_pad("src").unwrap();
    let times_of_probe = times.clone();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        times_of_probe.lock().unwrap().push(Instant::now());
        gst::PadProbeReturn::Ok
    });
    pipeline.set_state(gst::State::Playing).unwrap();
    let kinds = [gst::MessageType::Eos, gst::MessageType::Error];
    let end = pipeline.bus().unwrap().timed_pop_filtered(gst::ClockTime::NONE, &kinds).unwrap();
    assert_eq!(end.type_(), gst::MessageType::Eos, "{end:?}");
    let ended = Instant::now();
    pipeline.set_state(gst::State::Null).unwrap();
    let times = times.lock().unwrap();
    // From the second frame on: the first one waits for the model.
    f64::from(frames - 2) / (ended - times[1]).as_secs_f64()
}

fn main() {
    gst::init().unwrap();
    gstupscale::plugin_register_static().unwrap();
    let x264 = "x264enc speed-preset=ultrafast !";
    for (size, frames) in [((640, 360), 40), ((1280, 720), 14)] {
        for (output, rest) in [("raw", ""), ("encoded", x264)] {
            let mut speeds = [const { Vec::new() }; DEPTHS.len()];
            for _ in 0..ROUNDS {
                for (depth, speeds) in DEPTHS.into_iter().zip(&mut speeds) {
                    let properties = format!("pipeline-depth={depth}");
                    speeds.push(speed(size, frames, &properties, rest));
                }
            }
            let medians = speeds.map(|mut speeds| {
                speeds.sort_by(f64::total_cmp);
                speeds[ROUNDS / 2]
            });
            for (depth, speed) in DEPTHS.into_iter().zip(medians) {
                let gain = speed / medians[0];
                println!(
                    "{size:?} {output}, depth {depth}: {speed:.2} frames/s, {gain:.3} of depth 0"
                );
            }
        }
    }
}
