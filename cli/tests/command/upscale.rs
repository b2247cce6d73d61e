//! The command `gst-upscale upscale`, from file to file.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use gst::prelude::*;

use crate::{data::test_data, pipeline};

/// Short and small: 320×180 with MP3 sound and timed text.
fn clip() -> Option<PathBuf> {
    Some(test_data()?.join("video/near_static_180p.mp4"))
}

/// Lanczos only, so that the tests are quick.
fn command(input: &Path, output: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gst-upscale"));
    command.arg("upscale").args([input, output]).args(["--blend", "0"]).args(more);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat()
}

/// The media types of a file's streams, sorted, and the width of its video.
fn streams(path: &Path) -> (Vec<String>, i32) {
    gst::init().unwrap();
    let pipeline = gst::parse::launch("filesrc name=file ! parsebin name=parser").unwrap();
    let bin = pipeline.clone().downcast::<gst::Pipeline>().unwrap();
    bin.by_name("file").unwrap().set_property("location", path);
    let found = Arc::new(Mutex::new((Vec::new(), 0)));
    let (into, target) = (found.clone(), bin.downgrade());
    bin.by_name("parser").unwrap().connect_pad_added(move |_, pad| {
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let media = caps.structure(0).unwrap();
        let mut found = into.lock().unwrap();
        found.0.push(media.name().to_string());
        found.1 = found.1.max(media.get("width").unwrap_or(0));
        let bin = target.upgrade().unwrap();
        let sink = gst::ElementFactory::make("fakesink").property("async", false).build().unwrap();
        bin.add(&sink).unwrap();
        sink.sync_state_with_parent().unwrap();
        pad.link(&sink.static_pad("sink").unwrap()).unwrap();
    });
    bin.set_state(gst::State::Playing).unwrap();
    let wanted = [gst::MessageType::Eos, gst::MessageType::Error];
    let message = bin.bus().unwrap().timed_pop_filtered(gst::ClockTime::from_seconds(20), &wanted);
    assert!(matches!(message.unwrap().view(), gst::MessageView::Eos(_)), "{}", path.display());
    bin.set_state(gst::State::Null).unwrap();
    let mut found = found.lock().unwrap().clone();
    found.0.sort();
    found
}

#[test]
fn a_video_comes_out_larger_with_its_sound_and_subtitles() {
    let Some(input) = clip() else { return };
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("large.mkv");
    let done = command(&input, &output, &["--width", "480"]).output().unwrap();
    assert!(done.status.success(), "{}", said(&done));
    assert!(said(&done).contains("341 frames"), "{}", said(&done));
    let kept = ["audio/mpeg", "text/x-raw", "video/x-h264"].map(String::from).to_vec();
    assert_eq!(streams(&output), (kept, 480));
    assert_eq!(folder.path().read_dir().unwrap().count(), 1);

    let again = command(&input, &output, &["--width", "322"]).output().unwrap();
    assert!(!again.status.success() && said(&again).contains("--force"), "{}", said(&again));
    let forced = command(&input, &output, &["--width", "322", "--force"]).output().unwrap();
    assert!(forced.status.success(), "{}", said(&forced));
    assert_eq!(streams(&output).1, 322);
}

#[test]
fn sound_that_the_file_cannot_hold_is_encoded_anew() {
    let Some(input) = clip() else { return };
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("large.webm");
    let done = command(&input, &output, &["--scale", "0.25"]).output().unwrap();
    assert!(done.status.success(), "{}", said(&done));
    assert_eq!(streams(&output).0, ["audio/x-opus", "text/x-raw", "video/x-vp9"]);
}

#[test]
fn an_installed_plugin_does_not_get_in_the_way() {
    let built = Path::new(env!("CARGO_BIN_EXE_gst-upscale")).with_file_name("libgstupscale.so");
    let folder = tempfile::tempdir().unwrap();
    if fs::copy(&built, folder.path().join("libgstupscale.so")).is_err() {
        eprintln!("skipped: there is no {}", built.display());
        return;
    }
    // GStreamer looks at plugins from a process of its own, or from the one that asks.
    for (fork, registry) in [("yes", "1.bin"), ("no", "2.bin")] {
        let done = Command::new(env!("CARGO_BIN_EXE_gst-upscale"))
            .args(["upscale", "--help"])
            .env("GST_PLUGIN_PATH", folder.path())
            .env("GST_REGISTRY", folder.path().join(registry))
            .env("GST_REGISTRY_FORK", fork)
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", said(&done));
        assert!(said(&done).contains("--reuse-tolerance"), "{}", said(&done));
    }
}

#[test]
fn failure_leaves_no_file_and_says_what_to_do() {
    let Some(input) = clip() else { return };
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("large.mp4");
    for (more, wanted) in [
        (&["--model", "no/such/model.onnx"][..], "check the path"),
        (&["--scale", "99"], "from 0 to 16"),
        (&["--width", "401"], "even"),
        (&["--codec", "vp9"], "H264"),
    ] {
        let done = command(&input, &output, more).output().unwrap();
        assert_eq!(done.status.code(), Some(1), "{}", said(&done));
        assert!(said(&done).contains(wanted), "{}", said(&done));
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }
}

#[test]
fn a_file_without_video_is_told_and_not_waited_for() {
    gst::init().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("sound.ogg");
    let description = format!(
        "audiotestsrc num-buffers=20 ! vorbisenc ! oggmux ! filesink location={}",
        input.display()
    );
    assert!(pipeline::run(&description));
    let mut job = command(&input, &folder.path().join("large.mkv"), &[]).spawn().unwrap();
    let ended = (0..200).find_map(|_| {
        thread::sleep(Duration::from_millis(100));
        job.try_wait().unwrap()
    });
    let _ = job.kill();
    let said = said(&job.wait_with_output().unwrap());
    assert_eq!(ended.and_then(|status| status.code()), Some(1), "{said}");
    assert!(said.contains("no video"), "{said}");
    assert_eq!(folder.path().read_dir().unwrap().count(), 1);
}

/// The end of a pipe that nobody reads.
fn unread() -> Stdio {
    std::io::pipe().unwrap().1.into()
}

/// What a run of `job` on `large.mkv` in `folder` leaves that is signalled at work.
fn signalled(job: &mut Command, signal: &str, folder: &Path) -> Output {
    let job = job.spawn().unwrap();
    let at_work = || {
        let files = folder.read_dir().unwrap().map(|file| file.unwrap());
        // The muxer has written once frames have come through the encoder.
        files.into_iter().any(|file| file.metadata().is_ok_and(|file| file.len() > 10_000))
    };
    for _ in 0..600 {
        if at_work() {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    let id = job.id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    job.wait_with_output().unwrap()
}

/// Slow enough to be caught at work.
const SLOW: &[&str] = &["--scale", "4", "--threads", "1"];

#[test]
fn an_interrupt_finishes_the_file_beside_the_final_name() {
    let Some(input) = clip() else { return };
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("large.mkv");
    let done = signalled(&mut command(&input, &output, SLOW), "-INT", folder.path());
    assert_eq!(done.status.code(), Some(130), "{}", said(&done));
    assert!(said(&done).contains("large.part.mkv"), "{}", said(&done));
    assert!(!output.exists());
    assert_eq!(streams(&folder.path().join("large.part.mkv")).1, 1280);
    assert_eq!(folder.path().read_dir().unwrap().count(), 1);
}

#[test]
fn an_interrupt_keeps_the_file_where_nobody_hears_of_it() {
    let Some(input) = clip() else { return };
    // Ctrl-C ends `| tee` as well; with its terminal a program loses standard error too.
    for (signal, more) in [("-INT", false), ("-HUP", true)] {
        let folder = tempfile::tempdir().unwrap();
        let mut job = command(&input, &folder.path().join("large.mkv"), SLOW);
        job.stdout(unread());
        if more {
            job.stderr(unread());
        }
        let done = signalled(&mut job, signal, folder.path());
        assert_eq!(done.status.code(), Some(130), "{signal}: {}", said(&done));
        assert_eq!(streams(&folder.path().join("large.part.mkv")).1, 1280);
    }
}

#[test]
fn an_input_named_like_an_unfinished_file_is_only_read() {
    let Some(clip) = clip() else { return };
    let wanted = fs::read(&clip).unwrap();
    for linked in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let [input, part, output] =
            ["in.mp4", "large.part.mp4", "large.mp4"].map(|name| folder.path().join(name));
        if linked {
            fs::copy(&clip, &input).unwrap();
            std::os::unix::fs::symlink(&input, &part).unwrap();
        } else {
            fs::copy(&clip, &part).unwrap();
        }
        let input = if linked { &input } else { &part };
        let done = command(input, &output, &["--width", "160"]).output().unwrap();
        assert!(done.status.success(), "{}", said(&done));
        assert!(fs::read(&part).unwrap() == wanted, "linked: {linked}");
        assert_eq!(streams(&output).1, 160);
    }
}

#[test]
fn what_an_earlier_run_left_stays() {
    let Some(input) = clip() else { return };
    let folder = tempfile::tempdir().unwrap();
    let [part, output] = ["large.part.mkv", "large.mkv"].map(|name| folder.path().join(name));
    fs::write(&part, "earlier").unwrap();
    for (more, code) in [(["--model", "no/such.onnx"], 1), (["--width", "160"], 0)] {
        let done = command(&input, &output, &more).arg("--force").output().unwrap();
        assert_eq!(done.status.code(), Some(code), "{}", said(&done));
        assert_eq!(fs::read_to_string(&part).unwrap(), "earlier");
    }
}

#[test]
fn two_runs_to_one_output_do_not_meet() {
    let Some(input) = clip() else { return };
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("large.mkv");
    let start = || command(&input, &output, &["--width", "322", "--force"]).spawn().unwrap();
    for job in [start(), start()] {
        let done = job.wait_with_output().unwrap();
        assert!(done.status.success(), "{}", said(&done));
        assert_eq!(streams(&output).1, 322);
    }
    assert_eq!(folder.path().read_dir().unwrap().count(), 1);
}

/// What elements make, given by `description`, as a file.
fn made(path: &Path, description: &str) -> PathBuf {
    gst::init().unwrap();
    let pipeline = gst::parse::launch(&format!("{description} ! filesink name=file")).unwrap();
    let bin = pipeline.downcast::<gst::Pipeline>().unwrap();
    bin.by_name("file").unwrap().set_property("location", path);
    run(&bin);
    path.into()
}

/// To the end of the stream.
fn run(pipeline: &gst::Pipeline) {
    pipeline.set_state(gst::State::Playing).unwrap();
    let wanted = [gst::MessageType::Eos, gst::MessageType::Error];
    let end = pipeline.bus().unwrap().timed_pop_filtered(gst::ClockTime::from_seconds(20), &wanted);
    let end = end.unwrap();
    assert!(matches!(end.view(), gst::MessageView::Eos(_)), "{end:?}");
    pipeline.set_state(gst::State::Null).unwrap();
}

/// How many frames a file decodes to, and the last one's caps.
fn decoded(path: &Path) -> (usize, String) {
    let description = "filesrc name=file ! decodebin ! fakesink name=out signal-handoffs=true";
    let pipeline = gst::parse::launch(description).unwrap();
    let bin = pipeline.downcast::<gst::Pipeline>().unwrap();
    bin.by_name("file").unwrap().set_property("location", path);
    let found = Arc::new(Mutex::new((0, String::new())));
    let into = found.clone();
    bin.by_name("out").unwrap().connect("handoff", false, move |values| {
        let caps = values[2].get::<gst::Pad>().unwrap().current_caps().unwrap();
        let mut found = into.lock().unwrap();
        *found = (found.0 + 1, caps.to_string());
        None
    });
    run(&bin);
    found.lock().unwrap().clone()
}

#[test]
fn constant_quality_is_not_bounded_by_a_bit_rate_and_all_frames_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let noise = "videotestsrc pattern=snow num-buffers=12 ! video/x-raw,format=I420,width=640,height=480 \
                 ! avenc_ffv1 ! matroskamux";
    let input = made(&folder.path().join("in.mkv"), noise);
    for (name, least) in [("out.mkv", 1_000_000), ("out.webm", 1_000_000)] {
        let output = folder.path().join(name);
        let done = command(&input, &output, &["--width", "640"]).output().unwrap();
        assert!(done.status.success(), "{}", said(&done));
        let bytes = fs::metadata(&output).unwrap().len();
        assert!(bytes > least, "{name}: {bytes} bytes");
        assert_eq!(decoded(&output).0, 12, "{name}");
    }
}

#[test]
fn lossless_video_keeps_its_colours_whole() {
    let folder = tempfile::tempdir().unwrap();
    let picture = "videotestsrc num-buffers=1 ! video/x-raw,format=RGB,width=64,height=48 ! pngenc";
    let input = made(&folder.path().join("in.png"), picture);
    let output = folder.path().join("out.mkv");
    let done = command(&input, &output, &["--codec", "ffv1"]).output().unwrap();
    assert!(done.status.success(), "{}", said(&done));
    let (frames, caps) = decoded(&output);
    assert!(frames == 1 && caps.contains("format=(string)BGR"), "{frames}: {caps}");
}

#[test]
fn video_of_a_phone_held_upright_stands_upright() {
    let folder = tempfile::tempdir().unwrap();
    let lying = "videotestsrc num-buffers=5 ! video/x-raw,width=96,height=64 ! x264enc \
                 ! mp4mux";
    let input = made(&folder.path().join("in.mp4"), lying);
    // The track's matrix (ISO/IEC 14496-12, 8.3.2): a quarter turn.
    let mut bytes = fs::read(&input).unwrap();
    let header = bytes.windows(4).position(|name| name == b"tkhd").unwrap();
    let matrix = header + if bytes[header + 4] == 1 { 56 } else { 44 };
    let turned: [i32; 9] = [0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30];
    for (at, number) in turned.iter().enumerate() {
        bytes[matrix + 4 * at..][..4].copy_from_slice(&number.to_be_bytes());
    }
    fs::write(&input, bytes).unwrap();
    let output = folder.path().join("out.mkv");
    let done = command(&input, &output, &["--scale", "2"]).output().unwrap();
    assert!(done.status.success(), "{}", said(&done));
    let (frames, caps) = decoded(&output);
    assert!(caps.contains("width=(int)128, height=(int)192"), "{caps}");
    assert_eq!(frames, 5);
}

#[test]
fn subtitles_in_subrip_go_from_matroska_to_matroska() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("in.srt");
    fs::write(&text, "1\n00:00:00,100 --> 00:00:00,900\nwords\n\n").unwrap();
    let both = format!(
        "filesrc location={} ! subparse ! text/x-raw,format=utf8 ! matroskamux name=mux \
         videotestsrc num-buffers=30 ! video/x-raw,width=64,height=48 ! x264enc ! mux. mux.",
        text.display()
    );
    let input = made(&folder.path().join("in.mkv"), &both);
    assert_eq!(streams(&input).0, ["text/x-raw", "video/x-h264"]);
    let output = folder.path().join("out.mkv");
    let done = command(&input, &output, &[]).output().unwrap();
    assert!(done.status.success(), "{}", said(&done));
    assert_eq!(streams(&output).0, ["text/x-raw", "video/x-h264"], "{}", said(&done));
    let bytes = fs::read(&output).unwrap();
    assert!(bytes.windows(5).any(|part| part == b"words"));
}

#[test]
fn an_input_that_was_cut_is_told_and_its_rest_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let long = "videotestsrc num-buffers=150 ! video/x-raw,width=64,height=48,framerate=30/1 \
                ! x264enc ! matroskamux";
    let input = made(&folder.path().join("in.mkv"), long);
    let output = folder.path().join("out.mkv");
    let done = command(&input, &output, &[]).output().unwrap();
    assert_eq!((done.status.code(), said(&done).contains("damaged")), (Some(0), false));

    let whole = fs::read(&input).unwrap();
    fs::write(&input, &whole[..whole.len() / 2]).unwrap();
    let done = command(&input, &output, &["--force"]).output().unwrap();
    assert_eq!(done.status.code(), Some(1), "{}", said(&done));
    assert!(said(&done).contains("says that it lasts 5.0 s"), "{}", said(&done));
    let frames = decoded(&output).0;
    assert!((20..130).contains(&frames), "{frames} frames");
}

#[test]
fn a_broadcast_that_changes_its_aspect_keeps_its_first_size() {
    let folder = tempfile::tempdir().unwrap();
    let mut both = Vec::new();
    for aspect in ["2/1", "3/2"] {
        let part = format!(
            "videotestsrc num-buffers=20 ! video/x-raw,width=64,height=48,pixel-aspect-ratio={aspect} \
             ! x264enc key-int-max=5 bframes=0 ! mpegtsmux"
        );
        both.extend(fs::read(made(&folder.path().join("part.ts"), &part)).unwrap());
    }
    let input = folder.path().join("in.ts");
    fs::write(&input, both).unwrap();
    let output = folder.path().join("out.mkv");
    let done = command(&input, &output, &["--scale", "2"]).output().unwrap();
    assert!(done.status.success(), "{}", said(&done));
    let (frames, caps) = decoded(&output);
    assert!(frames > 30, "{frames} frames");
    assert!(caps.contains("width=(int)128, height=(int)96"), "{caps}");
    assert!(caps.contains("pixel-aspect-ratio=(fraction)2/1"), "{caps}");
}

#[test]
fn models_are_not_converted_over_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let convert = |from: &Path, to: &Path, more: &[&str]| {
        let mut job = Command::new(env!("CARGO_BIN_EXE_gst-upscale"));
        job.args(["models", "convert"]).args([from, to]).args(more).output().unwrap()
    };
    let (builtin, first, second) = (Path::new("builtin"), file("a.onnx"), file("b.onnx"));
    assert!(convert(builtin, &first, &[]).status.success());
    let before = fs::read(&first).unwrap();
    fs::write(file("c.toml"), "range = 255").unwrap();
    for (from, to, more, wanted) in [
        (&*first, &*first, &["--force"][..], "both model and output"),
        (builtin, &first, &[], "--force"),
        (builtin, &second, &["--size", "63x48"], "multiples of 2"),
        (builtin, &file("c.onnx"), &[], "c.toml"),
    ] {
        let done = convert(from, to, more);
        assert_eq!(done.status.code(), Some(1), "{wanted}");
        assert!(said(&done).contains(wanted), "{}", said(&done));
    }
    assert!(fs::read(&first).unwrap() == before && !second.exists());
    assert!(convert(builtin, &first, &["--force", "--half"]).status.success());
    assert!(fs::read(&first).unwrap().len() < before.len());
}

#[test]
fn an_output_that_is_a_folder_or_in_none_is_told_before_the_work() {
    let folder = tempfile::tempdir().unwrap();
    // No video: whoever looks at it says something else.
    let input = folder.path().join("in.mp4");
    fs::write(&input, "").unwrap();
    let [directory, nowhere] = ["out.mkv", "no/out.mkv"].map(|name| folder.path().join(name));
    fs::create_dir(&directory).unwrap();
    for (output, wanted) in [(&directory, "name a file"), (&nowhere, "create that first")] {
        let enlarged = command(&input, output, &["--force"]).output().unwrap();
        let mut models = Command::new(env!("CARGO_BIN_EXE_gst-upscale"));
        let converted = models.args(["models", "convert", "builtin"]).arg(output).output().unwrap();
        for done in [enlarged, converted] {
            assert_eq!(done.status.code(), Some(1), "{}", said(&done));
            let said = said(&done);
            assert!(said.contains(wanted) && said.contains(output.to_str().unwrap()), "{said}");
        }
    }
    assert_eq!(directory.read_dir().unwrap().count(), 0);
}

#[test]
fn results_that_nobody_reads_end_the_program_quietly() {
    for more in [&["models", "list"][..], &["models", "show", "builtin"]] {
        let mut job = Command::new(env!("CARGO_BIN_EXE_gst-upscale"));
        let done = job.args(more).stdout(unread()).output().unwrap();
        assert_eq!(done.status.code(), Some(141), "{}", said(&done));
        assert_eq!(said(&done), "");
    }
}

#[test]
fn results_that_the_disk_has_no_room_for_are_an_error() {
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    let mut job = Command::new(env!("CARGO_BIN_EXE_gst-upscale"));
    let done = job.args(["models", "list"]).stdout(full()).output().unwrap();
    assert_eq!(done.status.code(), Some(1), "{}", said(&done));
    assert!(said(&done).contains("standard output could not be written"), "{}", said(&done));

    let Some(input) = clip() else { return };
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("large.mkv");
    let mut job = command(&input, &output, &["--width", "160"]);
    let done = job.stdout(full()).output().unwrap();
    assert_eq!(done.status.code(), Some(1), "{}", said(&done));
    assert!(!said(&done).contains("panicked"), "{}", said(&done));
    // The work itself is done.
    assert_eq!(streams(&output).1, 160);
    let done = command(&input, &output, &["--width", "160", "--force"]).stdout(unread()).output();
    assert!(done.unwrap().status.success());
}
