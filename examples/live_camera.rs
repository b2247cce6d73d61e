//! Shows the enlarged video of a camera, and prints statistics once per second.
//!
//! ```shell
//! cargo run --example live_camera -- /dev/video0
//! ```
//!
//! Without a device it shows a live test picture.

use std::{env, error::Error};

use gst::{MessageView, prelude::*};

fn main() -> Result<(), Box<dyn Error>> {
    let source = match env::args().nth(1) {
        Some(device) => format!("v4l2src device={device}"),
        None => "videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=180".into(),
    };
    show(&source, "autovideosink").map(|_| ())
}

/// Shows the enlarged video of `source` in `sink`, both in the notation of `gst-launch-1.0`, and
/// returns the number of frames.
pub fn show(source: &str, sink: &str) -> Result<u64, Box<dyn Error>> {
    gst::init()?;
    gstupscale::plugin_register_static()?;
    // With qos, which is on by default, frames that would be late are dropped before inference.
    let description = format!(
        "{source} ! videoconvert ! upscale name=upscale reuse=tolerant stats-interval=1000 \
         ! videoconvert ! {sink}"
    );
    let pipeline =
        gst::parse::launch(&description)?.downcast::<gst::Pipeline>().map_err(|_| "no pipeline")?;
    let upscale = pipeline.by_name("upscale").ok_or("no element")?;
    let bus = pipeline.bus().ok_or("no bus")?;
    pipeline.set_state(gst::State::Playing)?;
    let mut result = Ok(());
    for message in bus.iter_timed(gst::ClockTime::NONE) {
        match message.view() {
            MessageView::Eos(_) => break,
            MessageView::Error(error) => {
                result = Err(error.error());
                break;
            }
            // The latency grows when the element has measured how long a frame takes.
            MessageView::Latency(_) => pipeline.recalculate_latency()?,
            MessageView::Element(element) => {
                if let Some(stats) = element.structure().filter(|s| s.name() == "upscale-stats") {
                    print_stats(stats)?;
                }
            }
            _ => {}
        }
    }
    let stats = upscale.property::<gst::Structure>("stats");
    pipeline.set_state(gst::State::Null)?;
    result?;
    Ok(stats.get("frames-out")?)
}

fn print_stats(stats: &gst::StructureRef) -> Result<(), Box<dyn Error>> {
    let (frames_in, frames_out) = (stats.get::<u64>("frames-in")?, stats.get::<u64>("frames-out")?);
    let computed = stats.get::<f64>("pixels-share")? * 100.0;
    println!("{frames_in} frames in, {frames_out} out; {computed:.0} % of the pixels computed");
    Ok(())
}
