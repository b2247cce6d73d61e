//! `make bench`: the speed of the engines alone, of other runtimes and of the element, measured in
//! turns.
//!
//! `UPSCALE_BENCH` selects tables, separated by commas: `engines`, `element`, `builtin`, `reuse` (all
//! clips), `one thread`, or words of a title. `UPSCALE_BENCH_TURNS=2` gives quick results.

mod clip;
mod peer;
mod report;
mod workload;

use std::{io::Write as _, path::PathBuf};

use clip::Clip;
use gstupscale::{model::Model, native::Precision};
use peer::Peer;
use report::{Average, Entry, Role, Rules, measure};
use tempfile::NamedTempFile;
use workload::{Clock, Conditions, Element, Native, Session, Workload};

fn main() {
    gst::init().expect("GStreamer");
    gstupscale::plugin_register_static().expect("the plugin registers");
    println!("{}\n", report::machine());
    engines();
    element();
    builtin();
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

/// A model, and its files for other runtimes.
struct Network {
    model: Model,
    onnx: NamedTempFile,
    /// The name of its ncnn file in the test data, if it has one.
    ncnn: Option<&'static str>,
}

impl Network {
    /// `name` is a built-in model's or a file's of the test data; `None` if that does not exist.
    fn open(name: &str, ncnn: Option<&'static str>) -> Option<Self> {
        let path = if name.starts_with("builtin") { name.to_owned() } else { weights(name)? };
        let model = Model::open(&path).expect("the model opens");
        let onnx = tempfile::Builder::new().suffix(".onnx").tempfile();
        let mut onnx = onnx.expect("a temporary file");
        onnx.write_all(&model.onnx).expect("room for the model");
        Some(Self { model, onnx, ncnn })
    }

    fn animevideov3() -> Option<Self> {
        Self::open(ANIMEVIDEO, Some(ANIMEVIDEO_NCNN))
    }
}

const ANIMEVIDEO: &str = "realesr-animevideov3.onnx";
const ANIMEVIDEO_NCNN: &str = "realesr-animevideov3-x4.param";

/// The workloads of one clip.
struct Table<'a> {
    clip: &'a Clip,
    conditions: Conditions,
    entries: Vec<Entry>,
}

impl<'a> Table<'a> {
    fn new(clip: &'a Clip, conditions: Conditions) -> Self {
        Self { clip, conditions, entries: Vec::new() }
    }

    fn add(&mut self, name: &str, role: Role, workload: impl Workload + 'static) {
        let (name, workload) = (name.to_owned(), Box::new(workload));
        self.entries.push(Entry { name, role, workload });
    }

    /// The native engine alone.
    fn native(&mut self, network: &Network) {
        for (name, precision) in
            [("native fp32", Precision::Fp32), ("native int16", Precision::Int16)]
        {
            match Native::new(&network.model, precision, self.conditions, self.clip) {
                Ok(engine) => self.add(name, Role::Other, engine),
                Err(error) => println!("({name} is skipped: {error})\n"),
            }
        }
    }

    /// Another runtime alone, in a process of its own.
    fn peer(&mut self, runtime: &str, precision: &str, network: &Network) {
        let name = format!("{runtime} {precision}");
        let role = if precision == "bf16" { Role::Bf16Peer } else { Role::Peer };
        let file = match (runtime, network.ncnn) {
            ("ncnn", None) => return println!("({name} is skipped: no ncnn file of the model)\n"),
            ("ncnn", Some(file)) => weights(file),
            _ => network.onnx.path().to_str().map(str::to_owned),
        };
        let Some(file) = file else { return };
        let channels = network.model.info.channels.count();
        match Peer::new([runtime, precision, &file], channels, self.conditions, self.clip) {
            Ok(peer) => self.add(&name, role, peer),
            Err(error) => println!("({name} is skipped: {error})\n"),
        }
    }

    /// ONNX Runtime alone, in this process.
    fn onnxruntime(&mut self, network: &Network) {
        let session = Session::new(&network.model, self.conditions, self.clip);
        self.add("onnxruntime fp32", Role::Peer, session);
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

    fn measure(mut self, title: &str, rules: Rules) {
        measure(title, &mut self.entries, rules);
    }
}

/// Title, model, its ncnn file, width and height of the pictures.
const ENGINES: [(&str, &str, Option<&str>, [u32; 2]); 6] = [
    ("animevideov3", ANIMEVIDEO, Some(ANIMEVIDEO_NCNN), [320, 180]),
    ("animevideov3", ANIMEVIDEO, Some(ANIMEVIDEO_NCNN), [640, 360]),
    (
        "x4plus-anime",
        "realesrgan-x4plus-anime.param",
        Some("realesrgan-x4plus-anime.param"),
        [160, 120],
    ),
    ("SPAN x4", "spanx4_ch48.param", Some("spanx4_ch48.param"), [160, 120]),
    ("builtin", "builtin", None, [640, 360]),
    ("builtin-quality", "builtin-quality", None, [640, 360]),
];

/// Engines alone on the same pictures.
fn engines() {
    let rules = Rules { warm_up: 1, turns: 7, frames: 1, average: Average::Least };
    for conditions in [Conditions::ONE_THREAD, Conditions::all_threads()] {
        let threads = match conditions.clock {
            Clock::Processor => "one thread, processor time".to_owned(),
            Clock::Wall => format!("{} threads, wall time", conditions.threads),
        };
        for (name, model, ncnn, [width, height]) in ENGINES {
            let title = format!("{name}, {width}x{height}, engines alone, {threads}");
            if !is_selected(&["engines", &title]) {
                continue;
            }
            let Some(network) = Network::open(model, ncnn) else { continue };
            let clip = Clip::pan(width, height, rules.all_frames());
            let mut table = Table::new(&clip, conditions);
            table.native(&network);
            table.onnxruntime(&network);
            for (runtime, precision) in [
                ("openvino", "fp32"),
                ("openvino", "bf16"),
                ("ncnn", "fp32"),
                ("vs-mlrt-ort", "fp32"),
                ("vs-mlrt-ov", "fp32"),
                ("vs-mlrt-ov", "bf16"),
            ] {
                table.peer(runtime, precision, &network);
            }
            table.measure(&title, rules);
        }
    }
}

/// The element compared with the engines that it uses.
fn element() {
    let title = "animevideov3, 320x180 RGB, the element and engines alone, reuse off";
    if !is_selected(&[title]) {
        return;
    }
    let Some(network) = Network::animevideov3() else { return };
    let Some(model) = weights(ANIMEVIDEO) else { return };
    let rules = Rules { warm_up: 8, turns: 12, frames: 2, average: Average::Median };
    let clip = Clip::pan(320, 180, rules.all_frames());
    let mut table = Table::new(&clip, Conditions::all_threads());
    table.native(&network);
    table.onnxruntime(&network);
    for precision in ["fp32", "bf16"] {
        table.peer("openvino", precision, &network);
    }
    for engine in [
        "native precision=fp32",
        "native precision=int16",
        "cpu precision=fp32",
        "openvino precision=fp32",
        "openvino precision=bf16",
        "auto",
    ] {
        let properties = format!("model={model} reuse=off backend={engine}");
        let name = format!("element, {}", engine.replace("precision=", ""));
        table.element(&name, Role::Other, &properties);
    }
    table.measure(title, rules);
}

/// The built-in model at full speed, and a conventional scaler.
fn builtin() {
    let title = "builtin, 640x360 I420 to 1280x720, reuse off";
    if !is_selected(&[title]) {
        return;
    }
    let rules = Rules { warm_up: 8, turns: 50, frames: 2, average: Average::Median };
    let clip = Clip::pan(640, 360, 24).in_format("I420");
    let mut table = Table::new(&clip, Conditions::all_threads());
    for engine in ["native precision=fp32", "cpu precision=fp32", "openvino precision=bf16", "auto"]
    {
        let name = format!("element, {}", engine.replace("precision=", ""));
        table.element(&name, Role::Other, &format!("backend={engine} reuse=off"));
    }
    table.add("videoscale method=lanczos", Role::Other, Element::lanczos(2, &clip));
    table.measure(title, rules);
}

/// Reuse on several kinds of content, compared with computing every frame whole.
fn reuse() {
    for (title, source, (turns, frames)) in CONTENT {
        if !is_selected(&["reuse", title]) {
            continue;
        }
        let Some(network) = Network::animevideov3() else { return };
        let Some(model) = weights(ANIMEVIDEO) else { return };
        let rules = Rules { warm_up: 8, turns, frames, average: Average::Mean };
        let clip = match source {
            Generated(make) => make(rules.all_frames()),
            File(name, elements) => match data(&format!("video/{name}")) {
                Some(file) => Clip::read(&file, elements, rules.all_frames()),
                None => continue,
            },
        };
        let (width, height) = (clip.width, clip.height);
        let mut table = Table::new(&clip, Conditions::all_threads());
        table.peer("openvino", "bf16", &network);
        for precision in ["fp32", "int16"] {
            let engine = format!("model={model} backend=native precision={precision}");
            table.reuse_modes(&format!("native {precision}"), &engine);
        }
        // An engine that computes regions; larger frames take too much time.
        if width * height <= 1 << 16 {
            let engine = format!("model={model} backend=openvino precision=bf16");
            table.reuse_modes("openvino bf16", &engine);
        }
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
