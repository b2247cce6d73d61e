//! Sixty files of many containers, codecs and oddities, each compared with FFmpeg's own decoding.

use std::path::Path;

use crate::{
    ffmpeg::{PICTURE, Stream, TONE, make, probe},
    program::{text, upscale},
};

/// How much the start and the end of sound may differ, in seconds: a frame of AAC at 48 kHz, which begins
/// before the picture in FLV. All others differ by 20 ms at most.
const SOUND_ERROR: f64 = 0.0215;

/// Containers with the codecs of video and sound that they are made with. Where one list is shorter,
/// it is used again from its start.
const CONTAINERS: &[(&str, &[&str], &[&str])] = &[
    (
        "mp4",
        &[
            "libx264",
            "libx265 -tag:v hvc1",
            "mpeg4",
            "libx264 -bf 0",
            "libaom-av1 -cpu-used 8 -crf 50",
            "libvpx-vp9",
        ],
        &["aac", "libmp3lame", "ac3"],
    ),
    (
        "mov",
        &["prores_ks", "libx264", "mjpeg", "qtrle", "png"],
        &["pcm_s16le", "pcm_s24le", "pcm_f32le", "aac"],
    ),
    (
        "mkv",
        &[
            "libx264",
            "libx265",
            "libvpx",
            "libvpx-vp9",
            "ffv1",
            "mpeg2video",
            "mjpeg",
            "libtheora",
            "huffyuv",
            "wmv2",
        ],
        &[
            "flac",
            "libopus",
            "libvorbis",
            "ac3",
            "eac3",
            "dca -strict -2",
            "pcm_s16le",
            "aac",
            "truehd -strict -2",
        ],
    ),
    (
        "avi",
        &["mpeg4", "mpeg4 -bf 2", "libx264", "mjpeg", "msmpeg4", "huffyuv", "ffv1"],
        &["libmp3lame", "ac3", "pcm_s16le"],
    ),
    ("ts", &["libx264", "mpeg2video", "libx265"], &["mp2", "ac3", "aac"]),
    ("webm", &["libvpx", "libvpx-vp9"], &["libopus", "libvorbis"]),
    ("mpg", &["mpeg1video", "mpeg2video"], &["mp2"]),
    ("vob", &["mpeg2video"], &["ac3"]),
    ("flv", &["flv", "libx264"], &["libmp3lame -ar 44100", "aac"]),
    ("asf", &["wmv2", "msmpeg4"], &["wmav2"]),
    ("ogv", &["libtheora"], &["libvorbis"]),
    ("mxf", &["mpeg2video"], &["pcm_s16le"]),
    ("3gp", &["libx264"], &["aac"]),
];

/// Files with oddities: a name, and arguments in which `V` and `A` stand for picture and tone.
const ODDITIES: &[(&str, &str)] = &[
    ("vfr.mkv", "V A -t 3 -vf select=not(eq(mod(n\\,5)\\,3)) -fps_mode vfr -c:v libx264 -c:a aac"),
    ("late-sound.mkv", "V -itsoffset 0.7 A -t 3 -c:v libx264 -c:a flac"),
    ("late-sound.mp4", "V -itsoffset 0.5 A -t 3 -c:v libx264 -c:a aac"),
    ("late-picture.mkv", "-itsoffset 0.13 V A -t 3 -c:v libx264 -c:a flac"),
    ("late-picture.mp4", "-itsoffset 0.13 V A -t 3 -c:v libx264 -c:a aac"),
    ("late-picture.ts", "-itsoffset 0.2 V A -t 3 -c:v libx264 -c:a ac3"),
    ("fragments.mp4", "V A -t 3 -c:v libx264 -c:a aac -movflags frag_keyframe+empty_moov"),
    ("mono.mkv", "V -f lavfi -i sine=r=44100 -t 3 -c:v libx264 -c:a pcm_s16le"),
    (
        "surround.mkv",
        "V -f lavfi -i anoisesrc=r=48000,aformat=channel_layouts=5.1 -t 3 -c:v libx264 -c:a flac",
    ),
    ("ntsc.mkv", "-f lavfi -i testsrc2=s=96x64:r=30000/1001 A -t 3 -c:v libx264 -c:a ac3"),
    ("10-bit.mkv", "V A -t 3 -pix_fmt yuv420p10 -c:v libx265 -c:a flac"),
    ("422.mkv", "V A -t 3 -pix_fmt yuv422p -c:v libx264 -c:a flac"),
    ("b-frames.ts", "V A -t 3 -c:v mpeg2video -bf 2 -g 12 -c:a mp2"),
    ("open-gop.mkv", "V A -t 3 -c:v libx264 -x264-params open-gop=1:keyint=12 -c:a aac"),
    ("interlaced.mkv", "V A -t 3 -c:v libx264 -flags +ildct+ilme -x264-params tff=1 -c:a aac"),
    ("no-sound.mp4", "V -t 3 -c:v libx264"),
    ("two-sounds.mkv", "V A A -map 0 -map 1 -map 2 -t 3 -c:v libx264 -c:a ac3"),
    ("slow.mkv", "-f lavfi -i testsrc2=s=96x64:r=1 A -t 5 -c:v libx264 -c:a aac"),
    ("aspect.mkv", "V A -t 3 -vf setsar=32/27 -c:v libx264 -c:a aac"),
];

/// What differs between the input and the output; empty if nothing does.
fn differences(input: &Path, output: &Path) -> Vec<String> {
    let input_is_avi = input.extension().is_some_and(|extension| extension == "avi");
    let (input, output) = (probe(input), probe(output));
    let all = |streams: &[Stream], kind: &str| -> Vec<Stream> {
        streams.iter().filter(|stream| stream.kind == kind).cloned().collect()
    };
    let mut found = Vec::new();
    let (before, after) = (all(&input, "video"), all(&output, "video"));
    let (Some(before), Some(after)) = (before.first(), after.first()) else {
        return vec!["no video".into()];
    };
    if before.times.len() != after.times.len() {
        found.push(format!("{} frames became {}", before.times.len(), after.times.len()));
    }
    let (start, new_start) = (before.times[0], after.times.first().copied().unwrap_or_default());
    let errors = before.times.iter().zip(&after.times);
    let worst = errors.map(|(a, b)| ((a - start) - (b - new_start)).abs()).fold(0.0, f64::max);
    if worst > 0.0011 {
        found.push(format!("times are wrong by {:.1} ms", worst * 1000.0));
    }
    for (tag, (a, b)) in before.colour.iter().zip(&after.colour).enumerate() {
        let is_same = is_same_matrix(a, b) || a == "gbr" || a == "pc" && b == "tv";
        if !a.is_empty() && a != "unknown" && !is_same {
            found.push(format!("tag {tag} of the colour was {a}, is {b}"));
        }
    }
    let (sounds, new_sounds) = (all(&input, "audio"), all(&output, "audio"));
    if sounds.len() != new_sounds.len() {
        found.push(format!("{} sounds became {}", sounds.len(), new_sounds.len()));
    }
    for (a, b) in sounds.iter().zip(&new_sounds) {
        if a.channels != b.channels {
            found.push(format!("{} channels became {}", a.channels, b.channels));
        }
        // Relative to the picture, which FFmpeg delays in AVI by the frames that are reordered.
        let start = if input_is_avi { 0.0 } else { start };
        let ends = (a.end - start, b.end - new_start);
        if (ends.0 - ends.1).abs() > SOUND_ERROR {
            found.push(format!("sound ends at {:.3} s instead of {:.3} s", ends.1, ends.0));
        }
        let starts = (a.times[0] - start, b.times[0] - new_start);
        if (starts.0 - starts.1).abs() > SOUND_ERROR {
            found.push(format!("sound begins at {:.3} s instead of {:.3} s", starts.1, starts.0));
        }
    }
    found
}

/// Whether two names of FFmpeg mean the same matrix.
fn is_same_matrix(a: &str, b: &str) -> bool {
    let is_601 = |name| ["bt470bg", "smpte170m"].contains(&name);
    a == b || is_601(a) && is_601(b)
}

/// One in so many files is tried without `UPSCALE_ZOO`.
const SHARE: usize = 5;

#[test]
fn files_of_many_kinds_keep_frames_times_and_sound() {
    let mut files = Vec::new();
    for (extension, videos, sounds) in CONTAINERS {
        for number in 0..videos.len().max(sounds.len()) {
            let (video, sound) = (videos[number % videos.len()], sounds[number % sounds.len()]);
            let word = |codec: &str| codec.split(' ').next().unwrap_or_default().to_owned();
            let name = format!("{number}-{}-{}.{extension}", word(video), word(sound));
            files.push((name, format!("V A -t 3 -c:v {video} -c:a {sound}")));
        }
    }
    files.extend(ODDITIES.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())));
    match std::env::var("UPSCALE_ZOO").as_deref() {
        Ok("all") => {}
        Ok(wanted) => files.retain(|(name, _)| name.contains(wanted)),
        Err(_) => files = files.into_iter().step_by(SHARE).collect(),
    }
    let (mut made, mut failed) = (0, Vec::new());
    for (name, arguments) in &files {
        let words = arguments.split(' ').map(|word| match word {
            "V" => PICTURE,
            "A" => TONE,
            word => word,
        });
        let folder = tempfile::tempdir().unwrap();
        let arguments = words.collect::<Vec<_>>().join(" ");
        let Some(input) = make(folder.path(), name, &arguments) else { continue };
        made += 1;
        let output = folder.path().join("out.mkv");
        let done = upscale(&input, &output, &["--scale", "1"]).output().unwrap();
        let mut found = match output.exists() {
            true => differences(&input, &output),
            false => vec!["no output".into()],
        };
        if !done.status.success() {
            found.push(format!("{:?}: {}", done.status.code(), text(&done).trim()));
        }
        println!("{name}: {}", if found.is_empty() { "ok".into() } else { found.join("; ") });
        if !found.is_empty() {
            failed.push(name);
        }
    }
    println!("{} of {made} files are as FFmpeg reads them", made - failed.len());
    assert!(failed.is_empty(), "{failed:?}");
}
