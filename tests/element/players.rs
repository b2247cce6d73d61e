//! `playbin` and `playbin3` with `upscalebin`, in windows on an X server without a screen.

use std::{
    collections::BTreeSet,
    env,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use gst::{ClockTime, prelude::*};

use crate::{bench, common};

/// Set in the process that has the screen.
const ON_SCREEN: &str = "UPSCALE_TEST_ON_SCREEN";

/// An X server that draws into memory.
struct Screen {
    server: Child,
    display: String,
}

impl Screen {
    fn start() -> Option<Self> {
        let mut command = Command::new("Xvfb");
        command.args(["-displayfd", "1", "-screen", "0", "800x600x24"]);
        let server = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let Ok(mut server) = server.spawn() else {
            eprintln!("skipped: Xvfb is not installed");
            return None;
        };
        let mut number = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut number).unwrap();
        let screen = Self { server, display: format!(":{}", number.trim()) };
        assert!(number.trim().parse::<u32>().is_ok(), "Xvfb does not start");
        Some(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Runs the rest of the test `name` in a process with a screen. Returns whether this is that process.
fn is_on_screen(name: &str, elements: &[&str]) -> bool {
    if env::var_os(ON_SCREEN).is_some() {
        bench::init();
        return true;
    }
    bench::init();
    if let Some(missing) = elements.iter().find(|it| gst::ElementFactory::find(it).is_none()) {
        eprintln!("skipped: the element {missing} is not installed");
        return false;
    }
    let Some(screen) = Screen::start() else { return false };
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", &format!("players::{name}"), "--nocapture"])
        .env(ON_SCREEN, "1")
        .env("DISPLAY", &screen.display)
        .env_remove("WAYLAND_DISPLAY")
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    text.lines().filter(|line| line.starts_with("skipped: ")).for_each(|line| eprintln!("{line}"));
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    false
}

/// A film of one second with frames of this size. Returns its address.
fn film(directory: &Path, (width, height): (u32, u32)) -> glib::GString {
    let path = directory.join(format!("{width}.avi"));
    let size = format!("video/x-raw,width={width},height={height},framerate=25/1");
    let end = format!("jpegenc ! avimux ! filesink location={}", path.display());
    common::run(&format!("videotestsrc num-buffers=25 pattern=ball ! {size} ! {end}"));
    glib::filename_to_uri(path, None).unwrap()
}

/// Waits for a message of this kind.
#[track_caller]
fn wait(player: &gst::Element, kind: gst::MessageType) -> gst::Message {
    let limit = ClockTime::from_seconds(300);
    let kinds = [kind, gst::MessageType::Error];
    let message = player.bus().unwrap().timed_pop_filtered(limit, &kinds).unwrap();
    assert_eq!(message.type_(), kind, "{message:?}");
    message
}

fn seek(player: &gst::Element, rate: f64, to: ClockTime) {
    let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::ACCURATE;
    let (start, none) = (gst::SeekType::Set, gst::SeekType::None);
    player.seek(rate, flags, start, to, none, ClockTime::NONE).unwrap();
    wait(player, gst::MessageType::AsyncDone);
}

/// Plays two films in turn, with all that a viewer may do meanwhile.
fn plays(player: &str, sink: &str) {
    let directory = tempfile::tempdir().unwrap();
    let sizes = [(80, 60), (64, 48)];
    let [first, second] = sizes.map(|size| film(directory.path(), size));
    let player = gst::ElementFactory::make(player).build().unwrap();
    let filter = gst::ElementFactory::make("upscalebin").build().unwrap();
    let sink = gst::ElementFactory::make(sink).build().unwrap();
    player.set_property("video-filter", &filter);
    player.set_property("video-sink", &sink);
    player.set_property("uri", &first);
    let seen: Arc<Mutex<BTreeSet<i32>>> = Arc::default();
    let of_probe = seen.clone();
    let probe = move |pad: &gst::Pad, _: &mut gst::PadProbeInfo| {
        let caps = pad.current_caps().unwrap();
        let width = caps.structure(0).unwrap().get::<i32>("width").unwrap();
        of_probe.lock().unwrap().insert(width);
        gst::PadProbeReturn::Ok
    };
    filter.static_pad("src").unwrap().add_probe(gst::PadProbeType::BUFFER, probe);
    // Seeks, another rate and another model.
    player.set_state(gst::State::Paused).unwrap();
    wait(&player, gst::MessageType::AsyncDone);
    seek(&player, 1.0, ClockTime::from_mseconds(500));
    player.set_state(gst::State::Playing).unwrap();
    filter.set_property("split", 0.5);
    filter.set_property("overlay", true);
    seek(&player, 2.0, ClockTime::from_mseconds(200));
    filter.set_property("model", "builtin-quality");
    wait(&player, gst::MessageType::Eos);
    assert_eq!(std::mem::take(&mut *seen.lock().unwrap()), BTreeSet::from([160]));
    // Another film after a change of state.
    player.set_state(gst::State::Ready).unwrap();
    player.set_property("uri", &second);
    filter.set_property("bypass", true);
    player.set_state(gst::State::Playing).unwrap();
    wait(&player, gst::MessageType::Eos);
    assert_eq!(std::mem::take(&mut *seen.lock().unwrap()), BTreeSet::from([128]));
    // Another film without a change of state.
    let next = Mutex::new(Some(first));
    player.connect("about-to-finish", false, move |values| {
        let player: gst::Element = values[0].get().unwrap();
        if let Some(uri) = next.lock().unwrap().take() {
            player.set_property("uri", uri);
        }
        None
    });
    player.set_state(gst::State::Ready).unwrap();
    player.set_state(gst::State::Playing).unwrap();
    wait(&player, gst::MessageType::Eos);
    player.set_state(gst::State::Null).unwrap();
    assert_eq!(*seen.lock().unwrap(), BTreeSet::from([128, 160]));
}

const FILMS: [&str; 3] = ["jpegenc", "avimux", "jpegdec"];

#[test]
fn playbin_seeks_changes_rate_film_and_model_in_a_window_of_x() {
    let name = "playbin_seeks_changes_rate_film_and_model_in_a_window_of_x";
    if is_on_screen(name, &[&["playbin", "ximagesink"][..], &FILMS].concat()) {
        plays("playbin", "ximagesink");
    }
}

#[test]
fn playbin3_seeks_changes_rate_film_and_model_in_a_window_of_x() {
    let name = "playbin3_seeks_changes_rate_film_and_model_in_a_window_of_x";
    if is_on_screen(name, &[&["playbin3", "ximagesink"][..], &FILMS].concat()) {
        plays("playbin3", "ximagesink");
    }
}

#[test]
fn playbin_seeks_changes_rate_film_and_model_in_a_window_of_opengl() {
    let name = "playbin_seeks_changes_rate_film_and_model_in_a_window_of_opengl";
    if is_on_screen(name, &[&["playbin", "glimagesink"][..], &FILMS].concat()) && has_opengl() {
        plays("playbin", "glimagesink");
    }
}

#[test]
fn playbin3_seeks_changes_rate_film_and_model_in_a_window_of_opengl() {
    let name = "playbin3_seeks_changes_rate_film_and_model_in_a_window_of_opengl";
    if is_on_screen(name, &[&["playbin3", "glimagesink"][..], &FILMS].concat()) && has_opengl() {
        plays("playbin3", "glimagesink");
    }
}

#[test]
fn frames_in_the_memory_of_a_gpu_pass_to_a_window_at_the_rate_of_their_source() {
    let name = "frames_in_the_memory_of_a_gpu_pass_to_a_window_at_the_rate_of_their_source";
    if !is_on_screen(name, &["gltestsrc", "gldownload", "glimagesink"]) || !has_opengl() {
        return;
    }
    let description = "gltestsrc num-buffers=5 ! upscalebin name=bin ! glimagesink";
    let pipeline = gst::parse::launch(description).unwrap().downcast::<gst::Pipeline>().unwrap();
    let frames = Arc::new(Mutex::new(Vec::new()));
    let of_probe = frames.clone();
    let probe = move |pad: &gst::Pad, _: &mut gst::PadProbeInfo| {
        let caps = pad.current_caps().unwrap();
        let rate = caps.structure(0).unwrap().get::<gst::Fraction>("framerate").unwrap();
        of_probe.lock().unwrap().push(rate);
        gst::PadProbeReturn::Ok
    };
    let src = pipeline.by_name("bin").unwrap().static_pad("src").unwrap();
    src.add_probe(gst::PadProbeType::BUFFER, probe);
    pipeline.set_state(gst::State::Playing).unwrap();
    wait(pipeline.upcast_ref(), gst::MessageType::Eos);
    pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(*frames.lock().unwrap(), [gst::Fraction::new(30, 1); 5]);
}

/// Whether an OpenGL window can be opened.
fn has_opengl() -> bool {
    let pipeline = gst::parse::launch("gltestsrc num-buffers=1 ! glimagesink").unwrap();
    let _ = pipeline.set_state(gst::State::Playing);
    let kinds = [gst::MessageType::Eos, gst::MessageType::Error];
    let end = pipeline.bus().unwrap().timed_pop_filtered(ClockTime::from_seconds(300), &kinds);
    let _ = pipeline.set_state(gst::State::Null);
    let is_there = end.is_some_and(|end| end.type_() == gst::MessageType::Eos);
    if !is_there {
        eprintln!("skipped: OpenGL is not available");
    }
    is_there
}
