//! `cargo bench`: the element against what it is measured by, in one process, interleaved.
//!
//! Each round lets every contender take its next frame before the next round begins, so noise
//! of the machine falls on all alike; medians are compared. `UPSCALE_BENCH` may name the
//! tables wanted (`session`, `builtin`, `reuse`), separated by commas.

mod clip;
mod contender;
mod report;

use std::path::PathBuf;

use clip::Clip;
use contender::{Contender, Element, Scaler, Session};

fn main() {
    gst::init().expect("GStreamer");
    gstupscale::plugin_register_static().expect("the plugin registers");
    println!("{}\n", report::machine());
    let wanted = std::env::var("UPSCALE_BENCH").unwrap_or_default();
    let wants = |table: &str| wanted.is_empty() || wanted.split(',').any(|name| name == table);
    if wants("session") {
        session();
    }
    if wants("builtin") {
        builtin();
    }
    if wants("reuse") {
        reuse();
    }
}

/// The weights that the tests use, where they are at hand.
fn weights(name: &str) -> Option<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/weights").join(name);
    if !path.exists() {
        println!("({name} is not at hand: its rows are left out)");
        return None;
    }
    Some(path.to_str()?.to_owned())
}

/// What the element costs over a bare session on the same frames.
fn session() {
    let Some(model) = weights("realesr-animevideov3.onnx") else { return };
    let clip = Clip::pan(320, 180, 24);
    let mut contenders: Vec<Box<dyn Contender>> = vec![
        Box::new(Session::new(&model, &clip)),
        Box::new(Element::new(
            "element, cpu",
            &format!("model={model} backend=cpu reuse=off"),
            &clip,
        )),
        Box::new(Element::new("element, auto", &format!("model={model} reuse=off"), &clip)),
    ];
    report::race("animevideov3, 320x180 RGB, reuse off", &mut contenders, 12);
}

/// The built-in model at full speed, beside a classic scaler.
fn builtin() {
    let clip = Clip::pan(640, 360, 24).in_format("I420");
    let mut contenders: Vec<Box<dyn Contender>> = vec![
        Box::new(Element::new("element, cpu", "backend=cpu precision=fp32 reuse=off", &clip)),
        Box::new(Element::new(
            "element, openvino bf16",
            "backend=openvino precision=bf16 reuse=off",
            &clip,
        )),
        Box::new(Element::new("element, auto", "reuse=off", &clip)),
        Box::new(Scaler::new(&clip, 2)),
    ];
    report::race("builtin, 640x360 I420 to 1280x720, reuse off", &mut contenders, 100);
}

/// What reuse gives on content of several kinds, against computing every frame whole.
fn reuse() {
    let Some(model) = weights("realesr-animevideov3.onnx") else { return };
    let clips = [
        ("a duplicate frame, 640x360", Clip::still(640, 360, 8), 9),
        ("a user interface with typing, 1280x720", Clip::typing(1280, 720, 12), 9),
        ("drawn animation on twos, 320x180", Clip::twos(320, 180, 24), 24),
        ("a pan, 320x180", Clip::pan(320, 180, 24), 24),
    ];
    for backend in ["cpu", "openvino"] {
        for (name, clip, rounds) in &clips {
            let element = |reuse: &str| -> Box<dyn Contender> {
                let properties = format!("model={model} backend={backend} reuse={reuse}");
                Box::new(Element::new(&format!("reuse={reuse}"), &properties, clip))
            };
            let mut contenders = ["off", "exact", "tolerant"].map(element);
            report::race(&format!("{name}, animevideov3, {backend}"), &mut contenders, *rounds);
        }
    }
}
