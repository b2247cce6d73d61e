//! Files as people have them: trimmed, joined, cut off, half described. Each is made by FFmpeg.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    ffmpeg::{PICTURE, Stream, TONE, join, make, stream},
    program::{text, upscale},
};

/// Enlarges `input` to `name` in the same folder. Returns the exit code, what was printed, and the
/// output.
#[track_caller]
fn run(input: &Path, name: &str, more: &[&str]) -> (Option<i32>, String, PathBuf) {
    let output = input.with_file_name(name);
    let done = upscale(input, &output, more).arg("--force").output().unwrap();
    (done.status.code(), text(&done), output)
}

/// Enlarges a file and expects success. Returns picture and sound of the output.
#[track_caller]
fn whole(input: &Path, name: &str, more: &[&str]) -> (Stream, Stream) {
    let (code, said, output) = run(input, name, more);
    assert_eq!(code, Some(0), "{}: {said}", input.display());
    (stream(&output, "video"), stream(&output, "audio"))
}

/// Whether times increase strictly.
#[track_caller]
fn assert_increasing(stream: &Stream) {
    for pair in stream.times.windows(2) {
        assert!(pair[0] < pair[1], "{pair:?}");
    }
}

macro_rules! made {
    ($made:expr) => {
        match $made {
            Some(path) => path,
            None => return,
        }
    };
}

#[test]
fn a_trimmed_mp4_keeps_all_its_sound() {
    let folder = tempfile::tempdir().unwrap();
    let long = format!("{PICTURE} {TONE} -t 20 -c:v libx264 -g 250 -c:a aac");
    made!(make(folder.path(), "long.mp4", &long));
    let input = made!(make(folder.path(), "in.mp4", "-ss 7.3 -t 10 -i long.mp4 -c copy"));
    for name in ["out.mp4", "out.mkv", "out.webm"] {
        let (video, sound) = whole(&input, name, &[]);
        assert!((sound.duration() - 10.0).abs() < 0.03, "{name}: {} s", sound.duration());
        assert!(video.times.len() >= 250, "{name}: {} frames", video.times.len());
    }
}

#[test]
fn surround_sound_stays_surround_sound() {
    let folder = tempfile::tempdir().unwrap();
    for (name, layout, codec) in [
        ("truehd.mkv", "5.1", "truehd -strict -2"),
        ("side.mov", "5.1(side)", "pcm_s24le"),
        ("float.mov", "5.1", "pcm_f32le"),
        ("eac3.mkv", "5.1(side)", "eac3"),
    ] {
        let noise = format!("-f lavfi -i anoisesrc=r=48000,aformat=channel_layouts={layout}");
        let arguments = format!("{PICTURE} {noise} -t 1 -c:v libx264 -c:a {codec}");
        let input = made!(make(folder.path(), name, &arguments));
        for output in ["out.mkv", "out.mp4", "out.webm"] {
            let (_, sound) = whole(&input, output, &[]);
            assert_eq!(sound.channels, 6, "{name} to {output}");
            assert!((sound.duration() - 1.0).abs() < 0.05, "{name} to {output}");
        }
    }
}

#[test]
fn channels_that_the_encoder_lacks_are_mixed_and_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let noise = "-f lavfi -i anoisesrc=r=48000,aformat=channel_layouts=7.1";
    let arguments = format!("{PICTURE} {noise} -t 1 -c:v libx264 -c:a flac");
    let input = made!(make(folder.path(), "in.mkv", &arguments));
    let (code, said, output) = run(&input, "out.mp4", &[]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(stream(&output, "audio").channels, 6);
    assert!(said.contains("mixed 8 channels down to 6"), "{said}");
}

#[test]
fn sound_that_begins_late_is_in_the_output() {
    let folder = tempfile::tempdir().unwrap();
    let silent = made!(make(folder.path(), "1.ts", &format!("{PICTURE} -t 2 -c:v libx264")));
    let rest = format!("{PICTURE} {TONE} -t 2 -c:v libx264 -c:a mp2 -output_ts_offset 2");
    let rest = made!(make(folder.path(), "2.ts", &rest));
    let input = join(folder.path(), "in.ts", &[&silent, &rest]);
    for name in ["out.mkv", "out.mp4", "out.webm"] {
        let (video, sound) = whole(&input, name, &[]);
        assert_eq!(video.times.len(), 100, "{name}");
        assert!(sound.end > 3.8, "{name}: {}", sound.end);
        assert_increasing(&video);
    }
}

#[test]
fn what_changes_in_mid_stream_stays_in_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let part = |name: &str, picture: &str, sound: &str, more: &str| {
        let arguments = format!("{picture} {sound} -t 2 -c:v libx264 {more}");
        make(folder.path(), name, &arguments)
    };
    let noise = |layout| format!("-f lavfi -i anoisesrc=r=48000,aformat=channel_layouts={layout}");
    let fast = "-f lavfi -i testsrc2=s=96x64:r=50";
    let deep = "-f lavfi -i testsrc2=s=128x96:r=25,format=yuv420p10";
    let all = "-f lavfi -i testsrc2=s=128x96:r=50,setsar=4/3,format=yuv420p10";
    let later = "-output_ts_offset 2";
    let other_pids =
        format!("-c:a mp2 -mpegts_start_pid 0x200 -mpegts_pmt_start_pid 0x500 {later}");
    let mono = noise("mono");
    let surround = noise("5.1");
    for (change, first, second, frames) in [
        ("rate", (PICTURE, TONE, "-c:a mp2"), (fast, TONE, &*format!("-c:a mp2 {later}")), 150),
        ("size", (PICTURE, TONE, "-c:a mp2"), (deep, TONE, &*format!("-c:a mp2 {later}")), 100),
        ("all", (PICTURE, TONE, "-c:a mp2"), (all, TONE, &*format!("-c:a mp2 {later}")), 150),
        (
            "channels",
            (PICTURE, &*surround, "-c:a ac3"),
            (PICTURE, &*mono, &*format!("-c:a ac3 {later}")),
            100,
        ),
        ("programme", (PICTURE, TONE, "-c:a mp2"), (PICTURE, TONE, &*other_pids), 100),
        (
            "codec",
            (PICTURE, TONE, "-c:a mp2"),
            (PICTURE, TONE, &*format!("-c:v mpeg2video -c:a ac3 {other_pids} -c:a ac3")),
            100,
        ),
    ] {
        let first = made!(part("1.ts", first.0, first.1, first.2));
        let second = made!(part("2.ts", second.0, second.1, second.2));
        let input = join(folder.path(), "in.ts", &[&first, &second]);
        for name in ["out.mkv", "out.mp4", "out.webm"] {
            let (video, sound) = whole(&input, name, &["--scale", "1"]);
            assert!(
                video.times.len().abs_diff(frames) <= 2,
                "{change}, {name}: {}",
                video.times.len()
            );
            assert!(sound.duration() > 3.85, "{change}, {name}: {} s", sound.duration());
            assert_increasing(&video);
        }
    }
}

#[test]
fn an_avi_keeps_its_times_with_and_without_b_frames() {
    let folder = tempfile::tempdir().unwrap();
    for b_frames in ["0", "2"] {
        let arguments =
            format!("{PICTURE} {TONE} -t 5 -c:v mpeg4 -bf {b_frames} -vtag XVID -c:a libmp3lame");
        let input = made!(make(folder.path(), "in.avi", &arguments));
        let read = stream(&input, "video").times;
        for name in ["out.mp4", "out.mkv"] {
            let (video, _) = whole(&input, name, &[]);
            assert_eq!(video.times.len(), read.len(), "{b_frames}, {name}");
            // FFmpeg begins as late as the frames were reordered.
            for (found, expected) in video.times.iter().zip(&read) {
                let expected = expected - read[0];
                assert!((found - expected).abs() < 0.0011, "{name}: {found}, not {expected}");
            }
        }
    }
}

#[test]
fn a_recording_without_frames_is_an_error_and_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = format!("{PICTURE} -t 1 -c:v libx264 -f matroska -live 1");
    let input = made!(make(folder.path(), "in.mkv", &arguments));
    let content = fs::read(&input).unwrap();
    let cluster = content.windows(4).position(|id| id == [0x1f, 0x43, 0xb6, 0x75]).unwrap();
    fs::write(&input, &content[..cluster + 12]).unwrap();
    for name in ["out.mkv", "out.mp4"] {
        let (code, said, output) = run(&input, name, &[]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("no frame of") && !output.exists(), "{said}");
    }
}

#[test]
fn a_picture_that_begins_after_the_sound_stays_at_its_time() {
    let folder = tempfile::tempdir().unwrap();
    for (name, offset, codecs) in [
        // The priming of Vorbis moves the picture by 3 ms.
        ("vorbis.mkv", "0", "-c:v libx264 -c:a libvorbis"),
        ("late.mkv", "0.13", "-c:v libx264 -c:a flac"),
        ("late.mp4", "0.13", "-c:v libx264 -c:a aac"),
    ] {
        let arguments = format!("-itsoffset {offset} {PICTURE} {TONE} -t 2 {codecs}");
        let input = made!(make(folder.path(), name, &arguments));
        let expected = stream(&input, "video").times;
        for output in ["out.mkv", "out.mp4"] {
            // mp4mux leaves out a gap of a few milliseconds at the start.
            let limit = if output == "out.mp4" { 0.005 } else { 0.0015 };
            let (video, _) = whole(&input, output, &["--scale", "1"]);
            assert_eq!(video.times.len(), expected.len(), "{name}, {output}");
            for (found, expected) in video.times.iter().zip(&expected) {
                assert!((found - expected).abs() < limit, "{name}, {output}: {found}, {expected}");
            }
        }
    }
}

#[test]
fn decoders_that_change_their_last_frame_keep_its_time() {
    let folder = tempfile::tempdir().unwrap();
    for (name, codec) in [("in.mov", "qtrle"), ("in.avi", "cinepak"), ("in.avi", "msvideo1")] {
        let arguments = format!("{PICTURE} -t 1 -c:v {codec}");
        let input = made!(make(folder.path(), name, &arguments));
        let (code, said, output) = run(&input, "out.mkv", &["--scale", "1"]);
        assert_eq!(code, Some(0), "{codec}: {said}");
        let times = stream(&output, "video").times;
        assert_eq!(times.len(), 25, "{codec}");
        for (number, time) in times.iter().enumerate() {
            assert!((time - number as f64 * 0.04).abs() < 0.0011, "{codec}: {times:?}");
        }
    }
}

/// A box of an MP4 file.
fn mp4_box(name: &[u8], content: &[u8]) -> Vec<u8> {
    [&u32::try_from(content.len() + 8).unwrap().to_be_bytes()[..], name, content].concat()
}

/// The name and the content of the boxes in `content`.
fn boxes(mut content: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut found = Vec::new();
    while content.len() >= 8 {
        let size = u32::from_be_bytes(content[..4].try_into().unwrap()) as usize;
        found.push((&content[4..8], &content[8..size]));
        content = &content[size..];
    }
    found
}

/// Replaces the edit list of the second track, the sound, whose media has 48,000 ticks per second. An
/// edit is a duration in milliseconds and a time in the media, or -1 for a pause.
fn with_edits(file: &[u8], edits: &[(u32, i32)]) -> Vec<u8> {
    let mut list = [0, u32::try_from(edits.len()).unwrap()].map(u32::to_be_bytes).concat();
    for (duration, time) in edits {
        let entry = [duration.to_be_bytes(), time.to_be_bytes(), 0x1_0000_u32.to_be_bytes()];
        list.extend(entry.concat());
    }
    let edits = mp4_box(b"edts", &mp4_box(b"elst", &list));
    let mut tracks = 0;
    let movie = |content: &[u8]| {
        let mut movie = Vec::new();
        for (name, content) in boxes(content) {
            tracks += usize::from(name == b"trak");
            if name == b"trak" && tracks == 2 {
                let parts = boxes(content).into_iter().map(|(name, content)| match name {
                    b"edts" => edits.clone(),
                    name => mp4_box(name, content),
                });
                movie.extend(mp4_box(name, &parts.collect::<Vec<_>>().concat()));
            } else {
                movie.extend(mp4_box(name, content));
            }
        }
        mp4_box(b"moov", &movie)
    };
    // The header is at the end, so no other place in the file moves.
    let mut movie = Some(movie);
    let parts = boxes(file).into_iter().map(|(name, content)| match name {
        b"moov" => movie.take().map(|mut movie| movie(content)).unwrap_or_default(),
        name => mp4_box(name, content),
    });
    parts.collect::<Vec<_>>().concat()
}

#[test]
fn sound_that_is_edited_in_several_parts_keeps_its_pauses_and_cuts() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = format!("{PICTURE} {TONE} -t 3 -c:v libx264 -c:a aac");
    let input = made!(make(folder.path(), "in.mp4", &arguments));
    let file = fs::read(&input).unwrap();
    for edits in
        [[(1000, 1024), (500, 96_000), (1500, 48_000)], [(500, -1), (1000, 48_000), (1500, 24_000)]]
    {
        fs::write(&input, with_edits(&file, &edits)).unwrap();
        let start = if edits[0].1 < 0 { 0.5 } else { 0.0 };
        for output in ["out.mkv", "out.mp4", "out.webm"] {
            let (_, sound) = whole(&input, output, &["--scale", "1"]);
            // Encoded sound begins with silence.
            let start = if output == "out.webm" { 0.0 } else { start };
            assert!((sound.times[0] - start).abs() < 0.03, "{output}: {}", sound.times[0]);
            assert!((sound.end - 3.0).abs() < 0.05, "{output}: {}", sound.end);
            // Packets of AAC have 1024 samples.
            if output == "out.mkv" {
                let expected = (3.0 - start) * 48_000.0 / 1024.0;
                let error = sound.times.len() as f64 - expected;
                assert!(error.abs() <= 4.0, "{output}: {} packets", sound.times.len());
            }
        }
    }
}

#[test]
fn a_hole_in_the_file_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = format!("{PICTURE} {TONE} -t 3 -c:v libx264 -c:a aac");
    let input = made!(make(folder.path(), "in.mp4", &arguments));
    let mut content = fs::read(&input).unwrap();
    let half = content.len() / 2;
    content[half..half + 4000].fill(0);
    fs::write(&input, content).unwrap();
    let (code, said, output) = run(&input, "out.mp4", &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("could not be decoded"), "{said}");
    assert!(stream(&output, "video").times.len() > 30);
}

#[test]
fn a_truncated_fragmented_mp4_gives_all_whole_fragments() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = format!(
        "{PICTURE} {TONE} -t 10 -c:v libx264 -g 25 -c:a aac -movflags frag_keyframe+empty_moov"
    );
    let input = made!(make(folder.path(), "in.mp4", &arguments));
    let content = fs::read(&input).unwrap();
    fs::write(&input, &content[..content.len() * 6 / 10]).unwrap();
    let (_, said, output) = run(&input, "out.mkv", &[]);
    let frames = stream(&output, "video").times.len();
    assert!(frames >= 120, "{frames} frames: {said}");
}

#[test]
fn lossless_video_keeps_planar_alpha_and_depth() {
    let folder = tempfile::tempdir().unwrap();
    for (name, format, codec) in [
        ("in.mkv", "yuva444p10le", "ffv1"),
        ("in.mkv", "yuva422p10le", "ffv1"),
        ("in.mov", "yuva444p10le", "prores_ks -profile:v 4444"),
    ] {
        let arguments = format!("{PICTURE} -t 0.2 -pix_fmt {format} -c:v {codec}");
        let input = made!(make(folder.path(), name, &arguments));
        let (code, said, output) = run(&input, "out.mkv", &["--codec", "ffv1"]);
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(stream(&output, "video").format, format);
        let (code, said, _) = run(&input, "out.mp4", &[]);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("alpha channel") && said.contains("10 bits"), "{said}");
    }
}

#[test]
fn lossless_video_keeps_rgb_of_every_depth() {
    let folder = tempfile::tempdir().unwrap();
    for format in ["gbrp10le", "gbrp12le"] {
        let arguments = format!("{PICTURE} -t 0.2 -pix_fmt {format} -c:v ffv1");
        let input = made!(make(folder.path(), "in.mkv", &arguments));
        let (code, said, output) = run(&input, "out.mkv", &["--codec", "ffv1"]);
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(stream(&output, "video").format, format);
    }
}

#[test]
fn a_pixel_format_that_gstreamer_does_not_know_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for format in ["gray10le", "rgb48le", "yuva444p", "yuv440p"] {
        let arguments = format!("{PICTURE} -frames:v 3 -pix_fmt {format} -c:v ffv1");
        let input = made!(make(folder.path(), "in.mkv", &arguments));
        let (code, said, output) = run(&input, "out.mkv", &[]);
        assert!(code == Some(0) || said.contains("pixel format"), "{format}: {code:?} {said}");
        assert_eq!(output.exists(), code == Some(0), "{format}");
        let _ = fs::remove_file(output);
        assert_eq!(folder.path().read_dir().unwrap().count(), 1, "{format}");
    }
}

#[test]
fn y4m_is_read_from_files_pipes_and_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let input = made!(make(folder.path(), "in.y4m", &format!("{PICTURE} -frames:v 10")));
    let output = folder.path().join("out.mkv");
    let frames = |path: &Path| stream(path, "video").times.len();

    let (code, said, _) = run(&input, "out.mkv", &[]);
    assert_eq!((code, frames(&output)), (Some(0), 10), "{said}");

    let mut job = upscale(Path::new("-"), &output, &["--force"]);
    let done = job.stdin(fs::File::open(&input).unwrap()).output().unwrap();
    assert_eq!((done.status.code(), frames(&output)), (Some(0), 10), "{}", text(&done));

    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let job = upscale(&pipe, &output, &["--force"]).spawn().unwrap();
    fs::write(&pipe, fs::read(&input).unwrap()).unwrap();
    let done = job.wait_with_output().unwrap();
    assert_eq!((done.status.code(), frames(&output)), (Some(0), 10), "{}", text(&done));
}

#[test]
fn the_ledger_is_printed_and_written_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = format!("{PICTURE} {TONE} -t 2 -c:v libx264 -c:a aac");
    let input = made!(make(folder.path(), "in.mp4", &arguments));
    let (code, said, _) = run(&input, "out.mkv", &["--verbose"]);
    assert_eq!(code, Some(0), "{said}");
    let row = said.lines().find(|line| line.starts_with("sound 1")).expect(&said);
    assert!(row.matches("2.0").count() >= 2, "{row}");

    let (_, said, output) = run(&input, "out.mkv", &["--progress", "json"]);
    let events: Vec<serde_json::Value> =
        said.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let event = |name: &str| events.iter().find(|event| event["event"] == name).expect(&said);
    let streams = event("ledger")["streams"].as_array().unwrap();
    let kinds: Vec<_> = streams.iter().map(|row| row["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["video", "sound"]);
    assert_eq!(streams[0]["packets_out"], 50);
    assert_eq!(event("done")["frames"], 50);
    assert_eq!(event("done")["output"], output.to_str().unwrap());
}
