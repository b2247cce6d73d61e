//! Telecined and interlaced films, made by FFmpeg from progressive ones.

use std::{fs, path::Path, process::Command};

use crate::{
    ffmpeg::{Stream, join, make, stream},
    program::{program, text, upscale},
};

/// A moving test picture; the rate is to be added.
const MOTION: &str = "-f lavfi -i testsrc2=s=352x288:d=4:r=";
/// MPEG-2 whose frames may be interlaced, without frames that are decoded out of order.
const MPEG2: &str = "-an -c:v mpeg2video -q:v 2 -bf 0 -g 12 -pix_fmt yuv420p -flags +ildct+ilme";

/// Keeps pictures as they are. Returns what was printed and the video.
#[track_caller]
fn kept(input: &Path, name: &str, more: &[&str]) -> (String, Stream) {
    let output = input.with_file_name(name);
    let lossless = ["--scale", "1", "--codec", "ffv1", "--force"];
    let done = upscale(input, &output, &[&lossless, more].concat()).output().unwrap();
    assert!(done.status.success(), "{}", text(&done));
    (text(&done), stream(&output, "video"))
}

#[track_caller]
fn assert_even(video: &Stream, period: f64) {
    for pair in video.times.windows(2) {
        assert!((pair[1] - pair[0] - period).abs() < 0.0011, "{pair:?}");
    }
}

/// PSNR of the luma of two videos, frame by frame from their first ones, in decibels.
#[track_caller]
fn psnr(a: &Path, b: &Path) -> f64 {
    let filter = "[0:v]setpts=N[a];[1:v]setpts=N[b];[a][b]psnr";
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-i"]).arg(a).arg("-i").arg(b);
    let done = command.args(["-lavfi", filter, "-f", "null", "-"]).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    let found = said.split_once("PSNR y:").and_then(|(_, rest)| rest.split(' ').next());
    found.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{said}"))
}

macro_rules! made {
    ($made:expr) => {
        match $made {
            Some(path) => path,
            None => return,
        }
    };
}

/// Sets the flags of 2:3 pulldown in an MPEG-2 stream without B-frames: frames are shown for three
/// and two fields in turn (ISO/IEC 13818-2, 6.2.3.1 and 6.3.10).
fn set_pulldown(path: &Path) {
    const CYCLE: [(u8, u8); 4] = [(1, 1), (0, 0), (0, 1), (1, 0)];
    let mut data = fs::read(path).unwrap();
    let mut pictures = 0;
    for at in 0..data.len() - 8 {
        match data[at..at + 5] {
            // The sequence header: 30000/1001 frames per second.
            [0, 0, 1, 0xb3, _] => data[at + 7] = (data[at + 7] & 0xf0) | 4,
            // The sequence extension: not progressive_sequence.
            [0, 0, 1, 0xb5, id] if id >> 4 == 1 => data[at + 5] &= !0x08,
            // The picture coding extension: top_field_first, repeat_first_field, progressive_frame.
            [0, 0, 1, 0xb5, id] if id >> 4 == 8 => {
                let (top_first, repeat) = CYCLE[pictures % 4];
                data[at + 7] = (data[at + 7] & 0x7d) | (top_first << 7) | (repeat << 1);
                data[at + 8] |= 0x80;
                pictures += 1;
            }
            _ => {}
        }
    }
    fs::write(path, data).unwrap();
}

#[test]
fn a_telecined_film_becomes_the_film_at_even_times() {
    let folder = tempfile::tempdir().unwrap();
    let film = format!("{MOTION}24000/1001 -c:v ffv1 -pix_fmt yuv420p");
    let film = made!(make(folder.path(), "film.mkv", &film));
    let hard = format!("-i film.mkv -vf telecine=pattern=23,setfield=tff {MPEG2} -top 1");
    made!(make(folder.path(), "hard.mkv", &hard));
    made!(make(folder.path(), "hard.ts", "-i hard.mkv -c copy"));
    let soft = made!(make(folder.path(), "soft.m2v", &format!("-i film.mkv {MPEG2}")));
    set_pulldown(&soft);
    made!(make(folder.path(), "soft.ts", "-fflags +genpts -i soft.m2v -c copy"));
    let frames = stream(&film, "video").times.len();
    for name in ["hard.mkv", "hard.ts", "soft.ts"] {
        let output = format!("{name}.out.mkv");
        let (said, video) = kept(&folder.path().join(name), &output, &[]);
        assert!(said.contains("2:3 pulldown"), "{name}: {said}");
        assert!(video.times.len().abs_diff(frames) <= 1, "{name}: {}", video.times.len());
        assert_even(&video, 1001.0 / 24000.0);
        let found = psnr(&folder.path().join(output), &film);
        assert!(found > 38.0, "{name}: {found} dB");
    }
    let (_, fields) = kept(&folder.path().join("hard.mkv"), "fields.mkv", &["--no-ivtc"]);
    assert!(fields.times.len().abs_diff(frames * 5 / 2) <= 3, "{}", fields.times.len());
}

#[test]
fn interlaced_video_becomes_a_picture_for_each_field_in_both_orders() {
    let folder = tempfile::tempdir().unwrap();
    for (order, mode, top) in [("tff", "interleave_top", 1), ("bff", "interleave_bottom", 0)] {
        let video = format!("{MOTION}50 -vf tinterlace={mode},setfield={order} {MPEG2} -top {top}");
        let input = made!(make(folder.path(), &format!("{order}.mkv"), &video));
        let (said, video) = kept(&input, "out.mkv", &[]);
        let name = if top == 1 { "top field first" } else { "bottom field first" };
        assert!(said.contains("interlaced video") && said.contains(name), "{said}");
        assert_eq!(video.times.len(), 200);
        assert_even(&video, 0.02);
    }
}

#[test]
fn a_rate_makes_a_mixed_film_constant_and_segments_do_not_change_it() {
    let folder = tempfile::tempdir().unwrap();
    let hard = format!("{MOTION}24000/1001 -vf telecine=pattern=23,setfield=tff {MPEG2} -top 1");
    let hard = made!(make(folder.path(), "hard.m2v", &hard));
    let video =
        format!("{MOTION}60000/1001 -vf tinterlace=interleave_top,setfield=tff {MPEG2} -top 1");
    let video = made!(make(folder.path(), "video.m2v", &video));
    let plain = made!(make(folder.path(), "plain.m2v", &format!("{MOTION}30000/1001 {MPEG2}")));
    join(folder.path(), "mixed.m2v", &[&plain, &hard, &video]);
    let mixed = made!(make(folder.path(), "mixed.ts", "-fflags +genpts -i mixed.m2v -c copy"));
    let (_, parts) = kept(&mixed, "parts.mkv", &["--segment", "60"]);
    // 120 progressive frames, 96 of the film, 240 fields.
    assert!(parts.times.len().abs_diff(120 + 96 + 240) <= 6, "{}", parts.times.len());
    assert!(parts.times.windows(2).all(|pair| pair[0] < pair[1]));
    let (_, even) = kept(&mixed, "even.mkv", &["--rate", "59.94"]);
    assert_even(&even, 1001.0 / 60000.0);

    let whole = hashes(&folder.path().join("parts.mkv"));
    for seconds in ["1.1", "3"] {
        kept(&mixed, "segments.mkv", &["--segment", seconds]);
        assert_eq!(hashes(&folder.path().join("segments.mkv")), whole, "{seconds} s");
    }
    let mut plan = program();
    plan.args(["remaster", "plan", "--segment", "3", "--blend", "0"]).arg(&mixed);
    let done = plan.arg(folder.path().join("new.mkv")).output().unwrap();
    assert!(done.status.success(), "{}", text(&done));
    let mut status = program();
    let done =
        status.args(["remaster", "status"]).arg(folder.path().join("new.mkv.remaster")).output();
    let said = text(&done.unwrap());
    for found in ["progressive", "telecined, top field first", "interlaced video"] {
        assert!(said.contains(found), "{found}: {said}");
    }
}

/// The time and the hash of each frame.
fn hashes(path: &Path) -> String {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-i"]).arg(path).args(["-map", "0:v", "-f", "framemd5", "-"]);
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}
