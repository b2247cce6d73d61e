//! `gst-upscale upscale`: what the output file contains.

use std::{fs, path::Path};

use crate::{
    media::{clip, create, decode, streams},
    pipeline,
    program::{program, text, upscale},
};

#[test]
fn the_output_is_larger_and_has_the_sound_and_subtitles() {
    let Some(input) = clip() else { return };
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("large.mkv");
    let done = upscale(&input, &output, &["--width", "480"]).output().unwrap();
    assert!(done.status.success(), "{}", text(&done));
    assert!(text(&done).contains("341 frames"), "{}", text(&done));
    let expected = ["audio/mpeg", "text/x-raw", "video/x-h264"].map(String::from).to_vec();
    assert_eq!(streams(&output), (expected, 480));
    assert_eq!(folder.path().read_dir().unwrap().count(), 1);

    let again = upscale(&input, &output, &["--width", "322"]).output().unwrap();
    assert!(!again.status.success() && text(&again).contains("--force"), "{}", text(&again));
    let forced = upscale(&input, &output, &["--width", "322", "--force"]).output().unwrap();
    assert!(forced.status.success(), "{}", text(&forced));
    assert_eq!(streams(&output).1, 322);
}

#[test]
fn sound_that_the_container_cannot_hold_is_encoded_again() {
    let Some(input) = clip() else { return };
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("large.webm");
    let done = upscale(&input, &output, &["--scale", "0.25"]).output().unwrap();
    assert!(done.status.success(), "{}", text(&done));
    assert_eq!(streams(&output).0, ["audio/x-opus", "text/x-raw", "video/x-vp9"]);
}

#[test]
fn subrip_subtitles_are_copied_from_matroska_to_matroska() {
    let folder = tempfile::tempdir().unwrap();
    let subtitles = folder.path().join("in.srt");
    fs::write(&subtitles, "1\n00:00:00,100 --> 00:00:00,900\nwords\n\n").unwrap();
    let both = format!(
        "filesrc location={} ! subparse ! text/x-raw,format=utf8 ! matroskamux name=mux \
         videotestsrc num-buffers=30 ! video/x-raw,format=I420,width=64,height=48 ! x264enc \
         ! mux. mux.",
        subtitles.display()
    );
    let input = create(&folder.path().join("in.mkv"), &both);
    assert_eq!(streams(&input).0, ["text/x-raw", "video/x-h264"]);
    let output = folder.path().join("out.mkv");
    let done = upscale(&input, &output, &[]).output().unwrap();
    assert!(done.status.success(), "{}", text(&done));
    assert_eq!(streams(&output).0, ["text/x-raw", "video/x-h264"], "{}", text(&done));
    let bytes = fs::read(&output).unwrap();
    assert!(bytes.windows(5).any(|part| part == b"words"));
}

#[test]
fn constant_quality_is_not_limited_by_a_bit_rate_and_no_frame_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let noise = "videotestsrc pattern=snow num-buffers=12 ! video/x-raw,format=I420,width=640,height=480 \
                 ! avenc_ffv1 ! matroskamux";
    let input = create(&folder.path().join("in.mkv"), noise);
    for (name, least) in [("out.mkv", 1_000_000), ("out.webm", 1_000_000)] {
        let output = folder.path().join(name);
        let done = upscale(&input, &output, &["--width", "640"]).output().unwrap();
        assert!(done.status.success(), "{}", text(&done));
        let bytes = fs::metadata(&output).unwrap().len();
        assert!(bytes > least, "{name}: {bytes} bytes");
        assert_eq!(decode(&output).0, 12, "{name}");
    }
}

#[test]
fn lossless_video_keeps_its_chroma_resolution() {
    let folder = tempfile::tempdir().unwrap();
    let picture = "videotestsrc num-buffers=1 ! video/x-raw,format=RGB,width=64,height=48 ! pngenc";
    let input = create(&folder.path().join("in.png"), picture);
    let output = folder.path().join("out.mkv");
    let done = upscale(&input, &output, &["--codec", "ffv1"]).output().unwrap();
    assert!(done.status.success(), "{}", text(&done));
    let (frames, caps) = decode(&output);
    assert!(frames == 1 && caps.contains("format=(string)BGR"), "{frames}: {caps}");
}

#[test]
fn video_with_a_rotation_in_its_header_is_rotated() {
    let folder = tempfile::tempdir().unwrap();
    let lying = "videotestsrc num-buffers=5 ! video/x-raw,width=96,height=64 ! x264enc \
                 ! mp4mux";
    let input = create(&folder.path().join("in.mp4"), lying);
    // The track's matrix (ISO/IEC 14496-12, 8.3.2): a rotation by 90 degrees.
    let mut bytes = fs::read(&input).unwrap();
    let header = bytes.windows(4).position(|name| name == b"tkhd").unwrap();
    let matrix = header + if bytes[header + 4] == 1 { 56 } else { 44 };
    let turned: [i32; 9] = [0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30];
    for (at, number) in turned.iter().enumerate() {
        bytes[matrix + 4 * at..][..4].copy_from_slice(&number.to_be_bytes());
    }
    fs::write(&input, bytes).unwrap();
    let output = folder.path().join("out.mkv");
    let done = upscale(&input, &output, &["--scale", "2"]).output().unwrap();
    assert!(done.status.success(), "{}", text(&done));
    let (frames, caps) = decode(&output);
    assert!(caps.contains("width=(int)128, height=(int)192"), "{caps}");
    assert_eq!(frames, 5);
}

#[test]
fn video_that_changes_its_aspect_ratio_keeps_the_first_size() {
    let folder = tempfile::tempdir().unwrap();
    let mut both = Vec::new();
    for aspect in ["2/1", "3/2"] {
        let part = format!(
            "videotestsrc num-buffers=20 ! video/x-raw,width=64,height=48,pixel-aspect-ratio={aspect} \
             ! x264enc key-int-max=5 bframes=0 ! mpegtsmux"
        );
        both.extend(fs::read(create(&folder.path().join("part.ts"), &part)).unwrap());
    }
    let input = folder.path().join("in.ts");
    fs::write(&input, both).unwrap();
    let output = folder.path().join("out.mkv");
    let done = upscale(&input, &output, &["--scale", "2"]).output().unwrap();
    assert!(done.status.success(), "{}", text(&done));
    let (frames, caps) = decode(&output);
    assert!(frames > 30, "{frames} frames");
    assert!(caps.contains("width=(int)128, height=(int)96"), "{caps}");
    assert!(caps.contains("pixel-aspect-ratio=(fraction)2/1"), "{caps}");
}

#[test]
fn a_truncated_input_is_reported_and_its_readable_part_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let long = "videotestsrc num-buffers=150 ! video/x-raw,width=64,height=48,framerate=30/1 \
                ! x264enc ! matroskamux";
    let input = create(&folder.path().join("in.mkv"), long);
    let output = folder.path().join("out.mkv");
    let done = upscale(&input, &output, &[]).output().unwrap();
    assert_eq!((done.status.code(), text(&done).contains("damaged")), (Some(0), false));

    let whole = fs::read(&input).unwrap();
    fs::write(&input, &whole[..whole.len() / 2]).unwrap();
    let done = upscale(&input, &output, &["--force"]).output().unwrap();
    assert_eq!(done.status.code(), Some(1), "{}", text(&done));
    assert!(text(&done).contains("header says 5.0 s"), "{}", text(&done));
    let frames = decode(&output).0;
    assert!((20..130).contains(&frames), "{frames} frames");
}

#[test]
fn an_empty_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("empty.mkv");
    std::fs::write(&input, "").unwrap();
    let done = upscale(&input, &folder.path().join("large.mkv"), &[]).output().unwrap();
    assert_eq!(done.status.code(), Some(1));
    assert!(text(&done).contains("empty.mkv is empty"), "{}", text(&done));
}

#[test]
fn a_file_without_video_is_an_error() {
    gst::init().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("sound.ogg");
    let description = format!(
        "audiotestsrc num-buffers=20 ! vorbisenc ! oggmux ! filesink location={}",
        input.display()
    );
    assert!(pipeline::run(&description));
    let done = upscale(&input, &folder.path().join("large.mkv"), &[]).output().unwrap();
    let said = text(&done);
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(said.contains("no video"), "{said}");
    assert_eq!(folder.path().read_dir().unwrap().count(), 1);
}

#[test]
fn an_installed_plugin_does_not_replace_the_programs_own() {
    let built = Path::new(env!("CARGO_BIN_EXE_gst-upscale")).with_file_name("libgstupscale.so");
    let folder = tempfile::tempdir().unwrap();
    if fs::copy(&built, folder.path().join("libgstupscale.so")).is_err() {
        eprintln!("skipped: {} does not exist", built.display());
        return;
    }
    // GStreamer scans plugins in a child process, or in the program itself.
    for (fork, registry) in [("yes", "1.bin"), ("no", "2.bin")] {
        let done = program()
            .args(["upscale", "--help"])
            .env("GST_PLUGIN_PATH", folder.path())
            .env("GST_REGISTRY", folder.path().join(registry))
            .env("GST_REGISTRY_FORK", fork)
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", text(&done));
        assert!(text(&done).contains("--reuse-tolerance"), "{}", text(&done));
    }
}
