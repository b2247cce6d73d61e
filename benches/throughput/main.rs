//! `make bench`: the element against what it is measured by, interleaved in one run.
//!
//! `UPSCALE_BENCH` may name the tables wanted, separated by commas: `session`, `builtin`, `reuse`
//! (all clips) or words of a clip's title. `UPSCALE_BENCH_TURNS=2` gives a quick look.

mod clip;
mod contender;
mod peer;
mod report;

use std::path::PathBuf;

use clip::Clip;
use contender::{Contender, Element, Session};
use peer::Peer;
use report::{Entry, Role, Rules, race};

fn main() {
    gst::init().expect("GStreamer");
    gstupscale::plugin_register_static().expect("the plugin registers");
    println!("{}\n", report::machine());
    if wants(&["session"]) {
        session();
    }
    if wants(&["builtin"]) {
        builtin();
    }
    reuse();
}

/// Whether one of these is among what `UPSCALE_BENCH` names.
fn wants(titles: &[&str]) -> bool {
    let wanted = std::env::var("UPSCALE_BENCH").unwrap_or_default();
    let mut wanted = wanted.split(',').filter(|word| !word.is_empty()).peekable();
    wanted.peek().is_none() || wanted.any(|word| titles.iter().any(|title| title.contains(word)))
}

/// A file that the tests use, where it is at hand.
fn data(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    if !path.exists() {
        println!("({name} is not at hand: its rows are left out)\n");
        return None;
    }
    Some(path)
}

fn weights(name: &str) -> Option<String> {
    Some(data(&format!("weights/{name}"))?.to_str()?.to_owned())
}

/// Who takes part over one clip.
struct Field<'a> {
    clip: &'a Clip,
    entries: Vec<Entry>,
}

impl<'a> Field<'a> {
    fn new(clip: &'a Clip) -> Self {
        Self { clip, entries: Vec::new() }
    }

    fn add(&mut self, name: &str, role: Role, contender: impl Contender + 'static) {
        let (name, contender) = (name.to_owned(), Box::new(contender));
        self.entries.push(Entry { name, role, contender });
    }

    fn element(&mut self, name: &str, role: Role, properties: &str) {
        self.add(name, role, Element::upscale(properties, self.clip));
    }

    /// The element on `engine` with reuse off, exact and tolerant.
    fn ways_of_reuse(&mut self, name: &str, engine: &str) {
        for (reuse, role) in [("off", Role::Off), ("exact", Role::Reuse), ("tolerant", Role::Reuse)]
        {
            self.element(&format!("{name}, {reuse}"), role, &format!("{engine} reuse={reuse}"));
        }
    }

    fn peer(&mut self, runtime: &str, precision: &str, weights_file: &str) {
        let name = format!("{runtime} {precision}");
        let role = if runtime == "pytorch" { Role::Beside } else { Role::Peer };
        let Some(model) = weights(weights_file) else { return };
        match Peer::new(runtime, precision, &model, self.clip) {
            Ok(peer) => self.add(&name, role, peer),
            Err(why) => println!("({name} is left out: {why})\n"),
        }
    }

    fn race(mut self, title: &str, rules: Rules) {
        race(title, &mut self.entries, rules);
    }
}

const ONNX: &str = "realesr-animevideov3.onnx";
const NCNN: &str = "realesr-animevideov3-x4.param";
const PYTORCH: &str = "realesr-animevideov3.pth";

/// What the element costs over a bare session on the same frames, and other runtimes.
fn session() {
    let Some(model) = weights(ONNX) else { return };
    let rules = Rules { turns: 12, frames: 2, alike: true };
    let clip = Clip::pan(320, 180, rules.all_frames());
    let mut field = Field::new(&clip);
    field.add("bare session, cpu fp32", Role::Bare, Session::new(&model, None, &clip));
    for precision in ["f32", "bf16"] {
        let name = format!("bare session, openvino {precision}");
        field.add(&name, Role::Peer, Session::new(&model, Some(precision), &clip));
    }
    for (runtime, model) in [("openvino", ONNX), ("ncnn", NCNN), ("pytorch", PYTORCH)] {
        field.peer(runtime, "fp32", model);
        field.peer(runtime, "bf16", model);
    }
    for engine in
        ["cpu precision=fp32", "openvino precision=fp32", "openvino precision=bf16", "auto"]
    {
        let properties = format!("model={model} reuse=off backend={engine}");
        let name = format!("element, {}", engine.replace("precision=", ""));
        field.element(&name, Role::Beside, &properties);
    }
    field.race("animevideov3, a pan, 320x180 RGB, reuse off", rules);
}

/// The built-in model at full speed, beside a classic scaler.
fn builtin() {
    let rules = Rules { turns: 50, frames: 2, alike: true };
    let clip = Clip::pan(640, 360, 24).in_format("I420");
    let mut field = Field::new(&clip);
    for engine in ["cpu precision=fp32", "openvino precision=bf16", "auto"] {
        let name = format!("element, {}", engine.replace("precision=", ""));
        field.element(&name, Role::Beside, &format!("backend={engine} reuse=off"));
    }
    field.add("videoscale method=lanczos", Role::Beside, Element::lanczos(2, &clip));
    field.race("builtin, 640x360 I420 to 1280x720, reuse off", rules);
}

/// What reuse gives on content of several kinds, against computing every frame whole.
fn reuse() {
    let Some(model) = weights(ONNX) else { return };
    for (title, source, (turns, frames)) in CONTENT {
        if !wants(&["reuse", title]) {
            continue;
        }
        let rules = Rules { turns, frames, alike: false };
        let clip = match source {
            Made(make) => make(rules.all_frames()),
            File(name, elements) => match data(&format!("video/{name}")) {
                Some(file) => Clip::read(&file, elements, rules.all_frames()),
                None => continue,
            },
        };
        let pixels = clip.width * clip.height;
        let mut field = Field::new(&clip);
        field.add("bare session, cpu fp32", Role::Bare, Session::new(&model, None, &clip));
        field.peer("openvino", "bf16", ONNX);
        // Time and memory allow all on small frames alone.
        if pixels <= 1 << 19 {
            field.peer("ncnn", "bf16", NCNN);
            let engine = format!("model={model} backend=cpu precision=fp32");
            field.ways_of_reuse("cpu fp32", &engine);
        }
        if pixels <= 1 << 16 {
            let engine = format!("model={model} backend=openvino precision=fp32");
            field.ways_of_reuse("openvino fp32", &engine);
        }
        let engine = format!("model={model} backend=openvino precision=bf16");
        field.ways_of_reuse("openvino bf16", &engine);
        let (width, height) = (clip.width, clip.height);
        field.race(&format!("animevideov3, {title}, {width}x{height}"), rules);
    }
}

/// Where the frames of a clip come from.
enum Source {
    Made(fn(u32) -> Clip),
    /// A file at hand, and the elements to stand behind its decoder.
    File(&'static str, &'static str),
}
use Source::{File, Made};

/// Title, frames, and turns of so many frames.
const CONTENT: [(&str, Source, (usize, usize)); 11] = [
    ("a duplicate frame", Made(|count| Clip::still(640, 360, count)), (4, 4)),
    ("a user interface with typing", Made(|count| Clip::typing(1280, 720, count)), (3, 4)),
    ("drawn animation on twos", Made(|count| Clip::twos(320, 180, count)), (6, 4)),
    ("a pan", Made(|count| Clip::pan(320, 180, count)), (6, 4)),
    ("a desk that hardly moves", File("near_static_180p.mp4", ""), (6, 4)),
    ("a talking head", File("carphone_qcif.mp4", ""), (6, 4)),
    ("a test pattern", File("pattern_480p.mkv", ""), (3, 3)),
    ("the pattern deinterlaced", File("pattern_480i_tff_ac3.mkv", "! deinterlace"), (3, 3)),
    ("an old cartoon", File("popeye_480p_subtitles.mkv", ""), (3, 3)),
    ("a rendered film", File("bbb_720p.mp4", ""), (3, 2)),
    ("the cartoon restored", File("popeye_1080p_subtitles.mkv", ""), (3, 2)),
];
