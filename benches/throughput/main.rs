//! `make bench`: the speed of the element, of sessions alone and of other runtimes, measured in
//! turns.
//!
//! `UPSCALE_BENCH` selects tables, separated by commas: `session`, `builtin`, `reuse` (all clips) or
//! words of a clip's title. `UPSCALE_BENCH_TURNS=2` gives quick results.

mod clip;
mod peer;
mod report;
mod workload;

use std::path::PathBuf;

use clip::Clip;
use peer::Peer;
use report::{Average, Entry, Role, Rules, measure};
use workload::{Element, Session, Workload};

fn main() {
    gst::init().expect("GStreamer");
    gstupscale::plugin_register_static().expect("the plugin registers");
    println!("{}\n", report::machine());
    if is_selected(&["session"]) {
        session();
    }
    if is_selected(&["builtin"]) {
        builtin();
    }
    reuse();
}

/// Whether `UPSCALE_BENCH` selects one of these titles.
fn is_selected(titles: &[&str]) -> bool {
    let selected = std::env::var("UPSCALE_BENCH").unwrap_or_default();
    let mut selected = selected.split(',').filter(|word| !word.is_empty()).peekable();
    selected.peek().is_none()
        || selected.any(|word| titles.iter().any(|title| title.contains(word)))
}

/// The path of a file of the test data; `None` if it does not exist.
fn data(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    if !path.exists() {
        println!("({name} does not exist: its rows are skipped)\n");
        return None;
    }
    Some(path)
}

fn weights(name: &str) -> Option<String> {
    Some(data(&format!("weights/{name}"))?.to_str()?.to_owned())
}

/// The workloads of one clip.
struct Table<'a> {
    clip: &'a Clip,
    entries: Vec<Entry>,
}

impl<'a> Table<'a> {
    fn new(clip: &'a Clip) -> Self {
        Self { clip, entries: Vec::new() }
    }

    fn add(&mut self, name: &str, role: Role, workload: impl Workload + 'static) {
        let (name, workload) = (name.to_owned(), Box::new(workload));
        self.entries.push(Entry { name, role, workload });
    }

    fn element(&mut self, name: &str, role: Role, properties: &str) {
        self.add(name, role, Element::upscale(properties, self.clip));
    }

    /// The element on `engine` with reuse off, exact and tolerant.
    fn reuse_modes(&mut self, name: &str, engine: &str) {
        for (reuse, role) in [("off", Role::Off), ("exact", Role::Reuse), ("tolerant", Role::Reuse)]
        {
            self.element(&format!("{name}, {reuse}"), role, &format!("{engine} reuse={reuse}"));
        }
    }

    fn peer(&mut self, runtime: &str, precision: &str, weights_file: &str) {
        let name = format!("{runtime} {precision}");
        let role = if runtime == "pytorch" { Role::Other } else { Role::Peer };
        let Some(model) = weights(weights_file) else { return };
        match Peer::new(runtime, precision, &model, self.clip) {
            Ok(peer) => self.add(&name, role, peer),
            Err(error) => println!("({name} is skipped: {error})\n"),
        }
    }

    fn measure(mut self, title: &str, rules: Rules) {
        measure(title, &mut self.entries, rules);
    }
}

const ONNX: &str = "realesr-animevideov3.onnx";
const NCNN: &str = "realesr-animevideov3-x4.param";
const PYTORCH: &str = "realesr-animevideov3.pth";

/// The element, sessions alone and other runtimes on the same frames.
fn session() {
    let Some(model) = weights(ONNX) else { return };
    let rules = Rules { turns: 12, frames: 2, average: Average::Median };
    let clip = Clip::pan(320, 180, rules.all_frames());
    let mut table = Table::new(&clip);
    table.add("bare session, cpu fp32", Role::Bare, Session::new(&model, None, &clip));
    for precision in ["f32", "bf16"] {
        let name = format!("bare session, openvino {precision}");
        table.add(&name, Role::Peer, Session::new(&model, Some(precision), &clip));
    }
    for (runtime, model) in [("openvino", ONNX), ("ncnn", NCNN), ("pytorch", PYTORCH)] {
        table.peer(runtime, "fp32", model);
        table.peer(runtime, "bf16", model);
    }
    for engine in
        ["cpu precision=fp32", "openvino precision=fp32", "openvino precision=bf16", "auto"]
    {
        let properties = format!("model={model} reuse=off backend={engine}");
        let name = format!("element, {}", engine.replace("precision=", ""));
        table.element(&name, Role::Other, &properties);
    }
    table.measure("animevideov3, a pan, 320x180 RGB, reuse off", rules);
}

/// The built-in model at full speed, and a conventional scaler.
fn builtin() {
    let rules = Rules { turns: 50, frames: 2, average: Average::Median };
    let clip = Clip::pan(640, 360, 24).in_format("I420");
    let mut table = Table::new(&clip);
    for engine in ["cpu precision=fp32", "openvino precision=bf16", "auto"] {
        let name = format!("element, {}", engine.replace("precision=", ""));
        table.element(&name, Role::Other, &format!("backend={engine} reuse=off"));
    }
    table.add("videoscale method=lanczos", Role::Other, Element::lanczos(2, &clip));
    table.measure("builtin, 640x360 I420 to 1280x720, reuse off", rules);
}

/// Reuse on several kinds of content, compared with computing every frame whole.
fn reuse() {
    let Some(model) = weights(ONNX) else { return };
    for (title, source, (turns, frames)) in CONTENT {
        if !is_selected(&["reuse", title]) {
            continue;
        }
        let rules = Rules { turns, frames, average: Average::Mean };
        let clip = match source {
            Generated(make) => make(rules.all_frames()),
            File(name, elements) => match data(&format!("video/{name}")) {
                Some(file) => Clip::read(&file, elements, rules.all_frames()),
                None => continue,
            },
        };
        let pixels = clip.width * clip.height;
        let mut table = Table::new(&clip);
        table.add("bare session, cpu fp32", Role::Bare, Session::new(&model, None, &clip));
        table.peer("openvino", "bf16", ONNX);
        // Larger frames take too much time and memory for all of these.
        if pixels <= 1 << 19 {
            table.peer("ncnn", "bf16", NCNN);
            let engine = format!("model={model} backend=cpu precision=fp32");
            table.reuse_modes("cpu fp32", &engine);
        }
        if pixels <= 1 << 16 {
            let engine = format!("model={model} backend=openvino precision=fp32");
            table.reuse_modes("openvino fp32", &engine);
        }
        let engine = format!("model={model} backend=openvino precision=bf16");
        table.reuse_modes("openvino bf16", &engine);
        let (width, height) = (clip.width, clip.height);
        table.measure(&format!("animevideov3, {title}, {width}x{height}"), rules);
    }
}

/// Where the frames of a clip come from.
enum Source {
    Generated(fn(u32) -> Clip),
    /// A file of the test data, and the elements after its decoder.
    File(&'static str, &'static str),
}
use Source::{File, Generated};

/// Title, frames, turns and frames per turn.
const CONTENT: [(&str, Source, (usize, usize)); 11] = [
    ("a duplicate frame", Generated(|count| Clip::still(640, 360, count)), (4, 4)),
    ("a user interface with typing", Generated(|count| Clip::typing(1280, 720, count)), (3, 4)),
    ("drawn animation on twos", Generated(|count| Clip::twos(320, 180, count)), (6, 4)),
    ("a pan", Generated(|count| Clip::pan(320, 180, count)), (6, 4)),
    ("a desk that hardly moves", File("near_static_180p.mp4", ""), (6, 4)),
    ("a talking head", File("carphone_qcif.mp4", ""), (6, 4)),
    ("a test pattern", File("pattern_480p.mkv", ""), (3, 3)),
    ("the pattern deinterlaced", File("pattern_480i_tff_ac3.mkv", "! deinterlace"), (3, 3)),
    ("an old cartoon", File("popeye_480p_subtitles.mkv", ""), (3, 3)),
    ("a rendered film", File("bbb_720p.mp4", ""), (3, 2)),
    ("the cartoon restored", File("popeye_1080p_subtitles.mkv", ""), (3, 2)),
];
