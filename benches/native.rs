//! The native engine in fp32 and int16 against ONNX Runtime and OpenVINO in fp32, interleaved in one run, by
//! CPU time of one thread.
//!
//! `UPSCALE_BENCH_TURNS` is the number of turns (9). Arguments that are no options name models
//! as `model=` does, with a size after an `@`: `builtin@640x360`.

use std::{env, path::PathBuf, time::Duration};

use gstupscale::{
    backend,
    engine::{Backend, EngineOptions, Infer, Monitor, Precision},
    frame::Image,
    model::Model,
    native::{self, Engine, Options},
};

struct Quiet;

impl Monitor for Quiet {
    fn progress(&self, _percent: u32, _what: &str) {}

    fn cancelled(&self) -> bool {
        false
    }
}

/// One of the engines that take turns.
struct Contender<'a> {
    name: String,
    run: Box<dyn FnMut() + 'a>,
    times: Vec<Duration>,
}

/// CPU time of all threads of this process so far.
fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock exists on Linux and `time` is valid for writes.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn picture(channels: usize, width: usize, height: usize) -> Image {
    let mut image = Image::new(channels, width, height);
    let mut state = 1u32;
    for (index, sample) in image.data_mut().iter_mut().enumerate() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let edge = (index % width / 20 + index / width / 14).is_multiple_of(2);
        let edge = if edge { 0.7 } else { 0.2 };
        *sample = edge + f32::from((state >> 24) as u8) / 1024.0;
    }
    image
}

fn main() {
    let turns = env::var("UPSCALE_BENCH_TURNS").ok().and_then(|turns| turns.parse().ok());
    let named: Vec<String> = env::args().skip(1).filter(|name| !name.starts_with('-')).collect();
    let weights = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/weights");
    let anime = weights.join("realesr-animevideov3.onnx");
    let mut jobs = named;
    if jobs.is_empty() {
        if anime.is_file() {
            jobs.push(format!("{}@320x180", anime.display()));
        }
        jobs.push("builtin@640x360".into());
    }
    for job in jobs {
        let (name, size) = job.rsplit_once('@').expect("a model and a size: builtin@640x360");
        let (width, height) = size.split_once('x').expect("a size: 640x360");
        let [width, height] = [width, height].map(|side| side.parse().expect("a whole number"));
        compare(name, width, height, turns.unwrap_or(9));
    }
}

fn compare(name: &str, width: usize, height: usize, turns: usize) {
    let model = Model::open(name).expect("the model opens");
    let input = picture(model.info.channels.count(), width, height);
    let cache_dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("native-bench");
    let mut contenders: Vec<Contender<'_>> = Vec::new();
    for backend in [Backend::Cpu, Backend::OpenVino] {
        let options = EngineOptions {
            backend,
            precision: Precision::Fp32,
            device_id: 0,
            threads: 1,
            cache_dir: cache_dir.clone(),
        };
        match backend::fastest_on_cpu(&model, &options, &Quiet) {
            Ok(mut engine) => {
                let (input, mut output) = (&input, Image::default());
                let run = Box::new(move || engine.run(input, &mut output).expect("a run"));
                contenders.push(Contender { name: backend.to_string(), run, times: Vec::new() });
            }
            Err(error) => println!("{backend} is left out: {error}"),
        }
    }
    for precision in [native::Precision::Fp32, native::Precision::Int16] {
        let options = Options { precision, ..Options::default() };
        match Engine::open(&model, &options) {
            Ok(mut engine) => {
                let name = format!("native {precision:?} ({})", engine.instruction_set());
                let (input, mut output) = (&input, Image::default());
                let run = Box::new(move || engine.run(input, &mut output).expect("a run"));
                contenders.push(Contender { name, run, times: Vec::new() });
            }
            Err(error) => println!("native {precision:?} is left out: {error}"),
        }
    }

    for _ in 0..=turns {
        for contender in &mut contenders {
            let start = cpu_time();
            (contender.run)();
            contender.times.push(cpu_time() - start);
        }
    }
    println!("\n{name} at {width}x{height}, one thread, CPU time of {turns} turns\n");
    println!("| engine | least ms | median ms | against the fastest peer (least, median) |");
    println!("|---|---|---|---|");
    let figures: Vec<(String, [f64; 2])> = contenders
        .into_iter()
        .map(|mut contender| {
            // The first turn allocates and warms up.
            contender.times.remove(0);
            contender.times.sort();
            let pick = |at: usize| contender.times[at].as_secs_f64() * 1e3;
            (contender.name, [pick(0), pick(contender.times.len() / 2)])
        })
        .collect();
    let peers = || figures.iter().filter(|(name, _)| !name.starts_with("native"));
    let best = [0, 1].map(|at| peers().map(|(_, times)| times[at]).fold(f64::MAX, f64::min));
    for (name, [least, median]) in &figures {
        let (a, b) = (best[0] / least, best[1] / median);
        println!("| {name} | {least:.1} | {median:.1} | {a:.2}× {b:.2}× |");
    }
}
