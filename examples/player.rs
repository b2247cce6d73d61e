//! Plays an enlarged video and switches between A (the model) and B (Lanczos resampling) whenever
//! Enter is pressed, or every few seconds.
//!
//! ```shell
//! cargo run --example player -- video.mkv
//! cargo run --example player -- video.mkv 3
//! ```

use std::{env, error::Error, io, thread, time::Duration};

use gst::{MessageView, prelude::*};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (file, switch) = match &arguments[..] {
        [file] => (file, Switch::OnEnter),
        [file, seconds] => (file, Switch::Every(Duration::from_secs_f64(seconds.parse()?))),
        _ => return Err("usage: player FILE [SECONDS]".into()),
    };
    gst::init()?;
    let playbin = gst::ElementFactory::make("playbin").build()?;
    playbin.set_property("uri", gst::glib::filename_to_uri(std::path::absolute(file)?, None)?);
    play(&playbin, switch)
}

/// When to switch between A and B.
#[derive(Clone, Copy, Debug)]
pub enum Switch {
    /// At each line of standard input.
    OnEnter,
    /// Regularly.
    Every(Duration),
}

/// Plays what `playbin` is set up for, until its end.
pub fn play(playbin: &gst::Element, switch: Switch) -> Result<(), Box<dyn Error>> {
    gstupscale::plugin_register_static()?;
    let upscale = gst::ElementFactory::make("upscale").build()?;
    playbin.set_property("video-filter", &upscale);
    let element = upscale.downgrade();
    thread::spawn(move || {
        while wait(switch)
            && let Some(upscale) = element.upgrade()
        {
            println!("{}", toggle(&upscale));
        }
    });
    let bus = playbin.bus().ok_or("no bus")?;
    playbin.set_state(gst::State::Playing)?;
    let mut result = Ok(());
    for message in bus.iter_timed(gst::ClockTime::NONE) {
        match message.view() {
            MessageView::Eos(_) => break,
            MessageView::Error(error) => {
                result = Err(error.error().into());
                break;
            }
            _ => {}
        }
    }
    playbin.set_state(gst::State::Null)?;
    result
}

/// Waits until it is time to switch; `false` if that will not happen any more.
fn wait(switch: Switch) -> bool {
    match switch {
        Switch::OnEnter => io::stdin().read_line(&mut String::new()).is_ok_and(|read| read > 0),
        Switch::Every(interval) => {
            thread::sleep(interval);
            true
        }
    }
}

/// Switches between A and B with the property `blend`, and returns which one is shown then. The
/// size does not change, so that the switch takes effect with the next frame.
pub fn toggle(upscale: &gst::Element) -> &'static str {
    let model_is_shown = upscale.property::<f64>("blend") > 0.0;
    upscale.set_property("blend", if model_is_shown { 0.0 } else { 1.0 });
    if model_is_shown { "B: Lanczos resampling" } else { "A: the model" }
}
