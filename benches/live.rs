//! A live source through models that may be too slow for it: frames that arrive on time, their age,
//! what the picture is made of, and how much still areas flicker compared with Lanczos.
//!
//! ```shell
//! UPSCALE_LIVE=builtin,path/to/model.pth UPSCALE_SECONDS=60 cargo bench --bench live -- near_static_180p.mp4
//! ```
//!
//! The argument is a clip of `../shared/data/video`; without one the source is a test picture.
//! `UPSCALE_BUSY=2` runs as many threads that compute without end at the same time, and
//! `UPSCALE_BUSY_SECONDS=10,20` limits them to the time between these seconds. `UPSCALE_SIZE=640x360`
//! and `UPSCALE_RATE=30` describe the input. `UPSCALE_CURVE` is a CSV file to append one line for
//! each second to, for `scripts/live_curve.py`. `UPSCALE_SWAP` is a model to change to in the middle.
//! `UPSCALE_FLICKER=0` leaves the two runs out in which flicker is measured. `UPSCALE_PICTURES` is a
//! directory for pictures of some outputs.

use std::{
    collections::HashMap,
    env, fs,
    io::Write,
    path::Path,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use gst::{ClockTime, prelude::*};
use gst_app::{AppSink, AppSrc};

/// Width and height of the input.
static SIZE: LazyLock<(usize, usize)> = LazyLock::new(|| {
    let text = env::var("UPSCALE_SIZE").unwrap_or_else(|_| "640x360".into());
    let (width, height) = text.split_once('x').expect("UPSCALE_SIZE=WIDTHxHEIGHT");
    (width.parse().unwrap(), height.parse().unwrap())
});
/// Frames per second.
static RATE: LazyLock<u64> = LazyLock::new(|| number("UPSCALE_RATE", 30));
/// Frames of a clip, which is repeated forwards and backwards.
const FRAMES: usize = 120;
/// The largest difference of two frames in a still block of 8×8 pixels.
const STILL: u8 = 8;

/// What was seen of the output.
#[derive(Default)]
struct Seen {
    /// When frames that are inside of the element entered it, by their timestamps.
    entered: HashMap<ClockTime, Instant>,
    /// How long frames stayed in the element.
    stays: Vec<Duration>,
    ages: Vec<Duration>,
    first: Option<Duration>,
    /// When the last frame left the element, and the longest time between two frames, apart from
    /// the first second.
    last: Option<Instant>,
    gap: Duration,
    previous: Vec<u8>,
    /// Sum and number of the differences of samples in still blocks.
    flicker: (f64, u64),
    shares: Vec<[f64; 3]>,
    messages: Vec<String>,
    latency: Duration,
    /// Frames of the current second, and the longest stay of one.
    second: (usize, Duration),
    curve: Vec<Second>,
}

/// A second of the output.
struct Second {
    model: String,
    /// Frames, and the longest stay of one in the element.
    frames: usize,
    stay: Duration,
    shares: [f64; 3],
}

fn caps() -> String {
    let (width, height) = *SIZE;
    format!("video/x-raw,format=I420,width={width},height={height},framerate={}/1", *RATE)
}

/// The frames of a clip, or of a test picture.
fn frames(clip: Option<&str>) -> Vec<gst::Buffer> {
    let source = match clip {
        Some(clip) => {
            let path =
                Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/video").join(clip);
            format!("filesrc location={} ! decodebin", path.display())
        }
        None => "videotestsrc pattern=smpte num-buffers=120".into(),
    };
    let description = format!(
        "{source} ! videoconvert ! videoscale method=lanczos ! videorate ! {} ! appsink name=sink sync=false",
        caps()
    );
    let pipeline = gst::parse::launch(&description).unwrap().downcast::<gst::Pipeline>().unwrap();
    let sink = pipeline.by_name("sink").unwrap().downcast::<AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let samples = std::iter::from_fn(|| sink.pull_sample().ok());
    let mut frames: Vec<_> =
        samples.take(FRAMES).filter_map(|sample| sample.buffer_owned()).collect();
    pipeline.set_state(gst::State::Null).unwrap();
    let back: Vec<_> = frames.iter().rev().cloned().collect();
    frames.extend(back);
    frames
}

/// For each frame, its blocks that hardly differ from the frame before it.
fn still(frames: &[gst::Buffer]) -> Vec<Vec<bool>> {
    let (width, height) = *SIZE;
    let luma = |frame: &gst::Buffer| frame.map_readable().unwrap()[..width * height].to_vec();
    let mut before = luma(frames.last().unwrap());
    let mut all = Vec::new();
    for frame in frames {
        let now = luma(frame);
        let is_still = |block: usize| {
            let (x, y) = (block % (width / 8) * 8, block / (width / 8) * 8);
            (y..y + 8).all(|y| {
                let row = y * width + x..y * width + x + 8;
                now[row.clone()].iter().zip(&before[row]).all(|(a, b)| a.abs_diff(*b) <= STILL)
            })
        };
        all.push((0..width / 8 * (height / 8)).map(is_still).collect());
        before = now;
    }
    all
}

impl Seen {
    /// Adds the luma differences between an output and the one before it.
    fn add_flicker(&mut self, luma: &[u8], stride: usize, factor: usize, still: &[bool]) {
        let side = 8 * factor;
        if self.previous.len() == luma.len() {
            for (block, _) in still.iter().enumerate().filter(|(_, still)| **still) {
                let (x, y) = (block % (SIZE.0 / 8) * side, block / (SIZE.0 / 8) * side);
                for y in (y..y + side).step_by(2) {
                    let row = y * stride + x..y * stride + x + side;
                    let differences = luma[row.clone()].iter().zip(&self.previous[row]);
                    let sum: u32 = differences.map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
                    self.flicker.0 += f64::from(sum);
                    self.flicker.1 += side as u64;
                }
            }
        }
        self.previous = luma.to_vec();
    }
}

/// Plays for this time, and prints a row of the table. Returns the flicker.
fn play(frames: &[gst::Buffer], properties: &str, seconds: u64, flicker: bool) -> Option<f64> {
    let description = format!(
        "appsrc name=source is-live=true format=time min-latency=0 caps={} \
         ! queue ! upscale name=upscale stats-interval=1000 {properties} ! queue \
         ! fakesink name=sink sync=true qos=true max-lateness=5000000",
        caps()
    );
    let pipeline = gst::parse::launch(&description).unwrap().downcast::<gst::Pipeline>().unwrap();
    let source = pipeline.by_name("source").unwrap().downcast::<AppSrc>().unwrap();
    let upscale = pipeline.by_name("upscale").unwrap();
    let sink = pipeline.by_name("sink").unwrap();
    let seen: Arc<Mutex<Seen>> = Arc::default();
    let still = if flicker { still(frames) } else { Vec::new() };
    let pictures = env::var("UPSCALE_PICTURES").ok().filter(|_| flicker);
    let name = properties.replace(['/', '=', ' '], "_");
    let started = Instant::now();
    let (of_probe, pipe) = (seen.clone(), pipeline.downgrade());
    let probe = move |pad: &gst::Pad, info: &mut gst::PadProbeInfo| {
        let (Some(buffer), Some(pipeline)) = (info.buffer(), pipe.upgrade()) else {
            return gst::PadProbeReturn::Ok;
        };
        let (now, pts, left) = (pipeline.current_running_time(), buffer.pts(), Instant::now());
        let mut seen = of_probe.lock().unwrap();
        let entered = pts.and_then(|pts| seen.entered.remove(&pts));
        let stay = entered.map_or(Duration::ZERO, |entered| left - entered);
        seen.stays.push(stay);
        if let Some(last) = seen.last.replace(left)
            && started.elapsed() > Duration::from_secs(1)
        {
            seen.gap = seen.gap.max(left - last);
        }
        let age = now.zip(pts).map_or(ClockTime::ZERO, |(now, pts)| now.saturating_sub(pts));
        seen.ages.push(age.into());
        seen.second = (seen.second.0 + 1, seen.second.1.max(stay));
        seen.first.get_or_insert_with(|| started.elapsed());
        if !still.is_empty() {
            let caps = pad.current_caps().unwrap();
            let video = gst_video::VideoInfo::from_caps(&caps).unwrap();
            let (width, height) = (video.width() as usize, video.height() as usize);
            let stride = video.stride()[0] as usize;
            let map = buffer.map_readable().unwrap();
            let number = (pts.unwrap().nseconds() * *RATE + 500_000_000) / 1_000_000_000;
            let mask = &still[number as usize % still.len()];
            seen.add_flicker(&map[..stride * height], stride, width / SIZE.0, mask);
            if let Some(directory) = &pictures
                && number % 45 == 20
            {
                let mut text = format!("P5 {stride} {height} 255\n").into_bytes();
                text.extend_from_slice(&map[..stride * height]);
                fs::write(format!("{directory}/{name}_{number:05}.pgm"), text).unwrap();
            }
        }
        gst::PadProbeReturn::Ok
    };
    upscale.static_pad("src").unwrap().add_probe(gst::PadProbeType::BUFFER, probe);
    let of_entry = seen.clone();
    let entry = move |_: &gst::Pad, info: &mut gst::PadProbeInfo| {
        if let Some(pts) = info.buffer().and_then(|buffer| buffer.pts()) {
            of_entry.lock().unwrap().entered.insert(pts, Instant::now());
        }
        gst::PadProbeReturn::Ok
    };
    upscale.static_pad("sink").unwrap().add_probe(gst::PadProbeType::BUFFER, entry);
    let (of_bus, pipe) = (seen.clone(), pipeline.downgrade());
    pipeline.bus().unwrap().set_sync_handler(move |_, message| {
        let Some(pipeline) = pipe.upgrade() else { return gst::BusSyncReply::Drop };
        match message.view() {
            gst::MessageView::Latency(_) => {
                pipeline.call_async(|pipeline| _ = pipeline.recalculate_latency());
            }
            gst::MessageView::Error(error) => panic!("{error:?}"),
            gst::MessageView::Element(element) => {
                let structure = element.structure().unwrap();
                let mut seen = of_bus.lock().unwrap();
                if structure.name() == "upscale-overload" {
                    seen.messages.push(structure.get("text").unwrap());
                } else if structure.name() == "upscale-stats" {
                    let share = |name| structure.get::<f64>(name).unwrap();
                    let shares = ["model-share", "reused-share", "resampled-share"].map(share);
                    seen.shares.push(shares);
                    let (frames, stay) = std::mem::take(&mut seen.second);
                    let model = structure.get("model").unwrap_or_default();
                    seen.curve.push(Second { model, frames, stay, shares });
                }
            }
            _ => {}
        }
        gst::BusSyncReply::Drop
    });
    pipeline.set_state(gst::State::Playing).unwrap();
    let duration = ClockTime::SECOND / *RATE;
    let begun = Instant::now();
    let count = seconds * *RATE;
    for number in 0..count {
        let at = Duration::from_nanos(number * 1_000_000_000 / *RATE);
        thread::sleep(at.saturating_sub(begun.elapsed()));
        let mut buffer = frames[number as usize % frames.len()].copy();
        let writable = buffer.get_mut().unwrap();
        writable.unset_flags(gst::BufferFlags::DISCONT);
        let pts = ClockTime::SECOND.mul_div_floor(number, *RATE).unwrap();
        // The pipeline may have started a little before or after the first frame.
        writable.set_pts(pts + ClockTime::from_mseconds(5));
        writable.set_duration(duration);
        source.push_buffer(buffer).unwrap();
        if number == count / 2 {
            if let Ok(model) = env::var("UPSCALE_SWAP") {
                upscale.set_property("model", model);
            }
            let mut query = gst::query::Latency::new();
            upscale.static_pad("src").unwrap().query(&mut query);
            seen.lock().unwrap().latency = query.result().1.into();
        }
    }
    let stats = sink.property::<gst::Structure>("stats");
    pipeline.set_state(gst::State::Null).unwrap();
    let mut seen = seen.lock().unwrap();
    seen.ages.sort();
    seen.stays.sort();
    let part = |times: &[Duration], share: f64| {
        let index = (times.len().saturating_sub(1)) as f64 * share;
        times.get(index as usize).map_or(0.0, |time| time.as_secs_f64() * 1e3)
    };
    let age = |share| part(&seen.ages, share);
    let mean = |index: usize| {
        let shares = seen.shares.iter().skip(1).map(|shares| shares[index]);
        100.0 * shares.sum::<f64>() / (seen.shares.len().max(2) - 1) as f64
    };
    let rendered: u64 = stats.get("rendered").unwrap();
    let flicker = (seen.flicker.1 > 0).then(|| seen.flicker.0 / seen.flicker.1 as f64);
    println!(
        "| {} | {properties} | {:.1} | {:.1} | {:.0} / {:.0} / {:.0} | {:.0} / {:.0} | {:.0} | {:.0} | {:.0} / {:.0} / {:.0} | {} | {} |",
        number("UPSCALE_BUSY", 0),
        rendered as f64 / seconds as f64,
        seen.ages.len() as f64 / seconds as f64,
        age(0.5),
        age(0.99),
        age(1.0),
        seen.latency.as_secs_f64() * 1e3,
        part(&seen.stays, 0.99),
        seen.gap.as_secs_f64() * 1e3,
        seen.first.map_or(0.0, |first| first.as_secs_f64() * 1e3),
        mean(0),
        mean(1),
        mean(2),
        seen.messages.len(),
        flicker.map_or("".into(), |flicker| format!("{flicker:.3}")),
    );
    if let Ok(path) = env::var("UPSCALE_CURVE") {
        let mut file = fs::File::options().append(true).create(true).open(path).unwrap();
        for (second, Second { model, frames, stay, shares: [fresh, reused, resampled] }) in
            (0..).zip(&seen.curve)
        {
            let stay = stay.as_millis();
            writeln!(file, "{second},{model},{frames},{stay},{fresh},{reused},{resampled}")
                .unwrap();
        }
    }
    if let Some(message) = seen.messages.last() {
        println!("  {message}");
    }
    flicker
}

/// A number from the environment.
fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Whether busy threads compute at this time after the start.
fn is_busy_time(elapsed: Duration) -> bool {
    let Ok(text) = env::var("UPSCALE_BUSY_SECONDS") else { return true };
    let (from, to) = text.split_once(',').expect("UPSCALE_BUSY_SECONDS=FROM,TO");
    let seconds = |text: &str| Duration::from_secs(text.parse().unwrap());
    (seconds(from)..seconds(to)).contains(&elapsed)
}

/// Computes until `stop`, in its time.
fn be_busy(stop: &AtomicBool) {
    let begun = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        if !is_busy_time(begun.elapsed()) {
            thread::sleep(Duration::from_millis(10));
        }
    }
}

fn main() {
    gst::init().unwrap();
    gstupscale::plugin_register_static().unwrap();
    let clip = env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let models = env::var("UPSCALE_LIVE").unwrap_or_else(|_| "builtin".into());
    let seconds = number("UPSCALE_SECONDS", 60);
    let frames = frames(clip.as_deref());
    let stop = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> = (0..number("UPSCALE_BUSY", 0))
        .map(|_| {
            let stop = stop.clone();
            thread::spawn(move || be_busy(&stop))
        })
        .collect();
    println!(
        "| busy | properties | frames/s rendered | out | age ms, median / 99 % / max | latency ms, reported / measured (99 %) | longest gap ms | first ms | % model / reused / resampled | messages | flicker |"
    );
    for model in models.split(',') {
        play(&frames, &format!("model={model}"), seconds, false);
        let flicker = number("UPSCALE_FLICKER", 16).min(seconds);
        if clip.is_some() && flicker > 0 {
            let seconds = flicker;
            let lanczos = play(&frames, &format!("model={model} blend=0"), seconds, true);
            let model = play(&frames, &format!("model={model}"), seconds, true);
            if let Some((model, lanczos)) = model.zip(lanczos) {
                println!("  flicker relative to Lanczos: {:.2}", model / lanczos);
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    busy.into_iter().for_each(|thread| thread.join().unwrap());
}
