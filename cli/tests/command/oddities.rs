//! Oddities of containers that GStreamer 1.22 reads or writes wrongly. Each file is made by FFmpeg.

use std::{fs, path::Path};

use crate::{
    ffmpeg::{PICTURE, Stream, TONE, join, make, probe, stream},
    program::{text, upscale},
};

/// Enlarges `input` to `name` in the same folder. Returns the exit code, what was printed, and the
/// streams of the output.
#[track_caller]
fn run(input: &Path, name: &str) -> (Option<i32>, String, Vec<Stream>) {
    let output = input.with_file_name(name);
    let done = upscale(input, &output, &["--scale", "1", "--force"]).output().unwrap();
    (done.status.code(), text(&done), if output.exists() { probe(&output) } else { Vec::new() })
}

/// Enlarges a file and expects success without a word. Returns the video and the first sound.
#[track_caller]
fn whole(input: &Path, name: &str) -> (Stream, Stream) {
    let (code, said, streams) = run(input, name);
    assert_eq!(code, Some(0), "{}: {said}", input.display());
    let of = |kind: &str| streams.iter().find(|it| it.kind == kind).cloned().unwrap_or_default();
    (of("video"), of("audio"))
}

/// A file that FFmpeg makes; `return`s where FFmpeg is not installed.
macro_rules! made {
    ($folder:expr, $name:expr, $arguments:expr) => {
        match make($folder.path(), $name, &$arguments) {
            Some(path) => path,
            None => return,
        }
    };
}

#[test]
fn sound_before_the_clock_of_a_broadcast_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    made!(folder, "long.ts", format!("{PICTURE} {TONE} -t 8 -c:v libx264 -g 100 -c:a ac3"));
    // The video waits for its key frame.
    let input = made!(folder, "in.ts", "-ss 3.3 -t 3 -i long.ts -c copy");
    let (video, sound) = (stream(&input, "video"), stream(&input, "audio"));
    assert!(video.times[0] - sound.times[0] > 0.2, "the sound begins too late for this test");
    for name in ["out.mkv", "out.mp4"] {
        let (new_video, new_sound) = whole(&input, name);
        assert_eq!(new_sound.times.len(), sound.times.len(), "{name}");
        let before = video.times[0] - sound.times[0];
        let after = new_video.times[0] - new_sound.times[0];
        assert!((before - after).abs() < 0.02, "{name}: {after} s, not {before} s");
    }
}

#[test]
fn the_last_frames_of_an_mp4_without_an_edit_list_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = format!("{PICTURE} {TONE} -t 2 -c:v libx264 -bf 2 -c:a aac -use_editlist 0");
    let input = made!(folder, "in.mp4", arguments);
    assert_eq!(whole(&input, "out.mkv").0.times.len(), 50);
}

#[test]
fn the_last_frame_is_kept_where_the_rate_varies() {
    let folder = tempfile::tempdir().unwrap();
    let select = "-vf select=not(eq(mod(n\\,5)\\,3)) -fps_mode vfr";
    for (name, codec) in [("in.mp4", "libx264"), ("in.mkv", "libvpx"), ("in.webm", "libvpx")] {
        let input = made!(folder, name, format!("{PICTURE} -t 2 {select} -c:v {codec}"));
        for output in ["out.mp4", "out.mkv"] {
            let times = whole(&input, output).0.times;
            assert_eq!(times.len(), stream(&input, "video").times.len(), "{name} to {output}");
        }
    }
}

#[test]
fn the_last_packet_of_sound_is_kept_where_packets_have_no_duration() {
    let folder = tempfile::tempdir().unwrap();
    let input = made!(folder, "in.mkv", format!("{PICTURE} {TONE} -t 2 -c:v libx264 -c:a ac3"));
    let before = stream(&input, "audio");
    assert_eq!(whole(&input, "out.mp4").1.times.len(), before.times.len());
}

#[test]
fn opus_in_mp4_begins_where_it_did() {
    let folder = tempfile::tempdir().unwrap();
    let input = made!(folder, "in.mkv", format!("{PICTURE} {TONE} -t 2 -c:v libx264 -c:a libopus"));
    let (_, sound) = whole(&input, "out.mp4");
    assert!(sound.times[0] < 0.02, "{}", sound.times[0]);
}

#[test]
fn samples_at_192_khz_keep_their_times() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = format!("{PICTURE} {TONE} -t 2 -c:v libx264 -c:a pcm_s32le -ar 192000");
    let input = made!(folder, "in.mov", arguments);
    let (_, sound) = whole(&input, "out.mkv");
    assert!((sound.duration() - 2.0).abs() < 0.02, "{} s", sound.duration());
}

#[test]
fn vp9_with_an_alpha_channel_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = "-f lavfi -i testsrc2=s=96x64:r=25,format=yuva420p -t 1 -c:v libvpx-vp9";
    let input = made!(folder, "in.webm", arguments);
    let (code, said, streams) = run(&input, "out.mkv");
    assert_eq!((code, streams[0].times.len()), (Some(0), 25), "{said}");
    assert!(said.contains("alpha channel"), "{said}");
}

#[test]
fn sound_whose_decoder_cannot_start_does_not_keep_the_film_from_being_written() {
    let folder = tempfile::tempdir().unwrap();
    let input = made!(folder, "in.mkv", format!("{PICTURE} {TONE} -t 2 -c:v libx264 -c:a tta"));
    // The element BitDepth: 16 becomes 99.
    let mut content = fs::read(&input).unwrap();
    let depth = content.windows(4).position(|it| it == [0x62, 0x64, 0x81, 16]).unwrap();
    content[depth + 3] = 99;
    fs::write(&input, content).unwrap();
    let (code, said, streams) = run(&input, "out.webm");
    assert_eq!((code, streams[0].times.len()), (Some(1), 50), "{said}");
    assert!(said.contains("sound 1"), "{said}");
}

#[test]
fn a_recording_that_begins_at_ten_hours_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = format!("{PICTURE} {TONE} -t 2 -c:v libx264 -c:a ac3 -output_ts_offset 36000");
    let input = made!(folder, "in.mkv", arguments);
    assert_eq!(whole(&input, "out.mkv").0.times.len(), 50);
}

#[test]
fn an_avi_that_was_cut_off_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = format!("{PICTURE} {TONE} -t 4 -c:v mpeg4 -c:a libmp3lame");
    let input = made!(folder, "in.avi", arguments);
    let content = fs::read(&input).unwrap();
    fs::write(&input, &content[..content.len() * 6 / 10]).unwrap();
    let (code, said, streams) = run(&input, "out.mkv");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("its header says") && streams[0].times.len() > 50, "{said}");
}

#[test]
fn pictures_without_times_get_some() {
    let folder = tempfile::tempdir().unwrap();
    let input = made!(folder, "in.mjpeg", format!("{PICTURE} -t 1 -c:v mjpeg"));
    let (code, said, streams) = run(&input, "out.mkv");
    assert_eq!((code, streams[0].times.len()), (Some(0), 25), "{said}");
    assert!((streams[0].duration() - 1.0).abs() < 0.002, "{}", streams[0].duration());
    assert_eq!(said.matches("25 frames per second are assumed").count(), 1, "{said}");
}

#[test]
fn columns_that_a_stream_crops_on_the_left_are_not_in_the_picture() {
    let folder = tempfile::tempdir().unwrap();
    for (codec, filter) in [("libx264", "h264"), ("libx265", "hevc")] {
        let arguments = format!(
            "-f lavfi -i testsrc2=s=112x80:r=25 -t 0.4 -c:v {codec} -bsf:v {filter}_metadata=\
             crop_left=2:crop_right=6:crop_top=2:crop_bottom=2"
        );
        let input = made!(folder, "in.ts", arguments);
        assert_eq!(whole(&input, "out.mkv").0.size, (104, 76), "{codec}");
    }
}

#[test]
fn colours_of_an_unknown_matrix_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["in.mkv", "in.mp4"] {
        let arguments = format!(
            "{PICTURE} -t 0.4 -pix_fmt yuv444p -c:v libx264 -colorspace ycgco -color_primaries bt709 \
             -color_trc bt709"
        );
        let input = made!(folder, name, arguments);
        let (code, said, streams) = run(&input, "out.mkv");
        assert_eq!((code, streams.len()), (Some(1), 0), "{said}");
        assert!(said.contains("YCgCo"), "{said}");
    }
}

#[test]
fn a_local_playlist_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = format!("{PICTURE} {TONE} -t 4 -c:v libx264 -g 50 -c:a aac -f hls -hls_time 2");
    let input = made!(folder, "in.m3u8", arguments);
    let (code, said, streams) = run(&input, "out.mkv");
    assert_eq!((code, streams[0].times.len()), (Some(0), 100), "{said}");
}

#[test]
fn aac_that_begins_late_in_a_broadcast_is_copied() {
    let folder = tempfile::tempdir().unwrap();
    let silent = made!(folder, "1.ts", format!("{PICTURE} -t 2 -c:v libx264"));
    let arguments = format!("{PICTURE} {TONE} -t 2 -c:v libx264 -c:a aac -output_ts_offset 2");
    let rest = made!(folder, "2.ts", arguments);
    let input = join(folder.path(), "in.ts", &[&silent, &rest]);
    let packets = stream(&rest, "audio").times.len();
    for name in ["out.mkv", "out.mp4"] {
        let (video, sound) = whole(&input, name);
        assert_eq!((video.times.len(), sound.codec.as_str()), (100, "aac"), "{name}");
        assert!(sound.times.len().abs_diff(packets) <= 1, "{name}: {} packets", sound.times.len());
    }
}

#[test]
fn aac_in_the_framing_of_digital_television_does_not_stop_the_program_and_gaps_in_it_are_reported()
{
    let folder = tempfile::tempdir().unwrap();
    let arguments = format!("{PICTURE} {TONE} -t 3 -c:v libx264 -c:a aac -mpegts_flags latm");
    let input = made!(folder, "in.ts", arguments);
    for name in ["out.mkv", "out.mp4", "out.webm"] {
        let (_, said, streams) = run(&input, name);
        assert_eq!(streams[0].times.len(), 75, "{name}: {said}");
        // `aacparse` of GStreamer 1.22 loses packets at the start.
        let sound = streams.iter().find(|it| it.kind == "audio").expect(&said);
        assert!(sound.end > 2.9 && said.contains("gap"), "{name}: {} s, {said}", sound.end);
    }
}

#[test]
fn the_clock_of_a_broadcast_may_wrap() {
    let folder = tempfile::tempdir().unwrap();
    // 2³³ ticks of 90 kHz are 95443.7 s.
    let arguments =
        format!("{PICTURE} {TONE} -t 8 -c:v libx264 -g 25 -c:a ac3 -output_ts_offset 95440");
    let input = made!(folder, "in.ts", arguments);
    for name in ["out.mkv", "out.mp4"] {
        let (video, sound) = whole(&input, name);
        assert_eq!(video.times.len(), 200, "{name}");
        for pair in video.times.windows(2) {
            assert!((pair[1] - pair[0] - 0.04).abs() < 0.0015, "{name}: {pair:?}");
        }
        assert!((sound.duration() - 8.0).abs() < 0.05, "{name}: {} s", sound.duration());
    }
}

#[test]
fn all_packets_of_sound_that_begins_before_the_picture_of_a_broadcast_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = format!("-itsoffset 0.2 {PICTURE} {TONE} -t 3 -c:v libx264 -c:a ac3");
    let input = made!(folder, "in.ts", arguments);
    let before = stream(&input, "audio");
    for name in ["out.mkv", "out.mp4"] {
        let (_, sound) = whole(&input, name);
        assert_eq!(sound.times.len(), before.times.len(), "{name}");
        assert!((sound.duration() - before.duration()).abs() < 0.01, "{name}");
    }
}

#[test]
fn tta_is_encoded_again_to_its_last_sample() {
    let folder = tempfile::tempdir().unwrap();
    // The picture is 20 ms longer.
    let arguments = format!("{PICTURE} {TONE} -t 2.5 -c:v libx264 -c:a tta");
    let input = made!(folder, "in.mkv", arguments);
    for (name, codec) in [("out.mkv", "flac"), ("out.mp4", "aac"), ("out.webm", "opus")] {
        let (_, sound) = whole(&input, name);
        assert_eq!(sound.codec, codec);
        assert!((sound.duration() - 2.5).abs() < 0.05, "{name}: {} s", sound.duration());
    }
}

#[test]
fn web_vtt_becomes_plain_text_and_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let cues = "WEBVTT\n\n00:00.500 --> 00:01.500 line:10%\n<v Bob>Hello <i>there</i>\nsecond\n\n\
                00:02.000 --> 00:02.800\n<c.yellow>Bye</c>\n";
    fs::write(folder.path().join("cues.vtt"), cues).unwrap();
    let arguments = format!("{PICTURE} -i cues.vtt -t 3 -c:v libx264 -c:s webvtt");
    let input = made!(folder, "in.mkv", arguments);
    let (code, said, _) = run(&input, "out.mkv");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("WebVTT"), "{said}");
    let text = made!(folder, "out.srt", "-i out.mkv");
    let text = fs::read_to_string(text).unwrap();
    let lines: Vec<_> = text.lines().filter(|line| !line.is_empty()).collect();
    let first = ["1", "00:00:00,500 --> 00:00:01,500", "Hello <i>there</i>", "second"];
    assert_eq!(lines, [&first[..], &["2", "00:00:02,000 --> 00:00:02,800", "Bye"]].concat());
}

#[test]
fn colour_tags_that_change_in_mid_stream_do_not_end_the_film() {
    let folder = tempfile::tempdir().unwrap();
    let part = |name: &str, matrix: &str, more: &str| {
        let tags = format!("-colorspace {matrix} -color_primaries {matrix} -color_trc {matrix}");
        let arguments = format!("{PICTURE} {TONE} -t 2 -c:v libx264 {tags} -c:a mp2 {more}");
        make(folder.path(), name, &arguments)
    };
    let Some(first) = part("1.ts", "smpte170m", "") else { return };
    let Some(second) = part("2.ts", "bt709", "-output_ts_offset 2") else { return };
    let input = join(folder.path(), "in.ts", &[&first, &second]);
    for name in ["out.mkv", "out.mp4", "out.webm"] {
        let (video, sound) = whole(&input, name);
        assert!(video.times.len().abs_diff(100) <= 2, "{name}: {} frames", video.times.len());
        assert!(sound.duration() > 3.85, "{name}: {} s", sound.duration());
        // Two names of the matrix of BT.601.
        let is_first = ["smpte170m", "bt470bg"].contains(&video.colour[1].as_str());
        assert!(is_first, "{name}: {}", video.colour[1]);
    }
}

#[test]
fn a_track_of_time_codes_that_is_left_out_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = format!("{PICTURE} -t 1 -c:v libx264 -timecode 01:00:00:00");
    let input = made!(folder, "in.mov", arguments);
    let (code, said, streams) = run(&input, "out.mp4");
    assert_eq!((code, streams[0].times.len()), (Some(0), 25), "{said}");
    assert!(said.contains("time codes"), "{said}");
}

#[test]
fn three_slides_in_twelve_seconds_are_kept_without_an_assertion_of_gstreamer() {
    let folder = tempfile::tempdir().unwrap();
    let slides = "-f lavfi -i testsrc2=s=96x64:r=1/4";
    let arguments = format!("{slides} {TONE} -t 12 -c:v libx264 -c:a libvorbis");
    let input = made!(folder, "in.mkv", arguments);
    for name in ["out.mkv", "out.mp4"] {
        let (code, said, streams) = run(&input, name);
        assert_eq!((code, streams[0].times.len()), (Some(0), 3), "{said}");
        assert!(!said.contains("CRITICAL"), "{said}");
    }
}
