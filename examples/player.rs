//! Plays an enlarged video. Keys in its window, or lines with their names on standard input, change
//! the picture:
//!
//! | key | |
//! |---|---|
//! | b | bypass: Lanczos resampling instead of the model, and back |
//! | s | split: Lanczos resampling on the left, the model on the right; drag the line with the mouse |
//! | o | overlay: model, time and shares of the picture |
//! | m | the next model of the command line |
//! | space | pause, and continue |
//! | Left, Right | 5 seconds back, forwards |
//! | q | quit |
//!
//! ```shell
//! cargo run --example player -- video.mkv builtin path/to/model.pth
//! ```

use std::{env, error::Error, io, thread};

use gst::{ClockTime, MessageView, glib, prelude::*};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let file = arguments.next().ok_or("usage: player FILE [MODEL…]")?;
    gst::init()?;
    let playbin = gst::ElementFactory::make("playbin").build()?;
    playbin.set_property("uri", glib::filename_to_uri(std::path::absolute(file)?, None)?);
    play(&playbin, arguments.collect())
}

/// Plays what `playbin` is set up for, until its end. The first of `models` is used first.
pub fn play(playbin: &gst::Element, models: Vec<String>) -> Result<(), Box<dyn Error>> {
    gstupscale::plugin_register_static()?;
    let upscale = gst::ElementFactory::make("upscalebin").build()?;
    if let Some(model) = models.first() {
        upscale.set_property("model", model);
    }
    playbin.set_property("video-filter", &upscale);
    let player = playbin.downgrade();
    let on_key = move |key: &str| {
        if let Some(text) = player.upgrade().and_then(|player| press(&player, &models, key)) {
            println!("{text}");
        }
    };
    // The sink sends the keys of its window upstream.
    let pad = upscale.static_pad("src").ok_or("no pad")?;
    let (sender, keys) = std::sync::mpsc::channel::<String>();
    let of_window = sender.clone();
    pad.add_probe(gst::PadProbeType::EVENT_UPSTREAM, move |_, info| {
        if let Some(key) = info.event().and_then(|event| pressed_key(event)) {
            let _ = of_window.send(key);
        }
        gst::PadProbeReturn::Ok
    });
    thread::spawn(move || {
        io::stdin().lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    // A seek must not run on the thread of the window.
    thread::spawn(move || keys.iter().for_each(|key| on_key(key.trim())));
    let bus = playbin.bus().ok_or("no bus")?;
    playbin.set_state(gst::State::Playing)?;
    let mut result = Ok(());
    for message in bus.iter_timed(ClockTime::NONE) {
        match message.view() {
            MessageView::Eos(_) => break,
            MessageView::Application(_) => break,
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

/// The name of the key that a navigation event reports as pressed.
fn pressed_key(event: &gst::EventRef) -> Option<String> {
    let structure = event.structure().filter(|_| event.type_() == gst::EventType::Navigation)?;
    let is_press = structure.get("event") == Ok("key-press");
    structure.get("key").ok().filter(|_| is_press)
}

/// Does what `key` stands for, and returns what has changed; `None` for other keys.
pub fn press(playbin: &gst::Element, models: &[String], key: &str) -> Option<String> {
    let upscale = playbin.property::<gst::Element>("video-filter");
    let toggle = |name: &str| {
        let is_on = !upscale.property::<bool>(name);
        upscale.set_property(name, is_on);
        format!("{name}: {}", if is_on { "on" } else { "off" })
    };
    Some(match key {
        "b" => toggle("bypass"),
        "o" => toggle("overlay"),
        "s" => {
            let split = if upscale.property::<f64>("split") > 0.0 { 0.0 } else { 0.5 };
            upscale.set_property("split", split);
            format!("split: {split}")
        }
        "m" => {
            let current = upscale.property::<String>("model");
            let next = models.iter().position(|model| *model == current).map_or(0, |at| at + 1);
            let next = models.get(next % models.len().max(1))?;
            upscale.set_property("model", next);
            format!("model: {next}")
        }
        "space" => {
            let plays = playbin.current_state() == gst::State::Playing;
            playbin.set_state(if plays { gst::State::Paused } else { gst::State::Playing }).ok()?;
            if plays { "paused" } else { "playing" }.into()
        }
        "Left" | "Right" => {
            let position = playbin.query_position::<ClockTime>()?;
            let step = ClockTime::from_seconds(5);
            let to = if key == "Left" { position.saturating_sub(step) } else { position + step };
            playbin.seek_simple(gst::SeekFlags::FLUSH | gst::SeekFlags::KEY_UNIT, to).ok()?;
            format!("position: {to:.1}")
        }
        "q" => {
            playbin
                .post_message(gst::message::Application::new(gst::Structure::new_empty("quit")))
                .ok()?;
            "quit".into()
        }
        _ => return None,
    })
}
