//! Colours of the output, decoded by its own tags, against those of the input.

use std::path::Path;

use crate::{
    ffmpeg::{make, picture, probe},
    media::container_colorimetry,
    program::{text, upscale},
};

/// Range, matrix, transfer function, primaries (FFmpeg's names) and lines of an input. `unknown`
/// stands for a tag that is not there.
type Description = (&'static str, &'static str, &'static str, &'static str, u32);

const DESCRIPTIONS: [Description; 20] = [
    ("unknown", "unknown", "unknown", "unknown", 360),
    ("tv", "unknown", "smpte170m", "smpte170m", 360),
    ("pc", "unknown", "unknown", "unknown", 360),
    ("pc", "unknown", "unknown", "unknown", 720),
    ("tv", "unknown", "unknown", "bt709", 720),
    ("unknown", "bt709", "unknown", "unknown", 360),
    ("pc", "bt709", "unknown", "unknown", 360),
    ("tv", "smpte170m", "unknown", "unknown", 720),
    ("pc", "smpte170m", "unknown", "unknown", 720),
    ("pc", "bt470bg", "unknown", "bt470bg", 360),
    ("tv", "bt470bg", "gamma28", "bt470bg", 360),
    ("tv", "smpte240m", "smpte240m", "smpte240m", 720),
    ("tv", "fcc", "unknown", "bt470m", 360),
    ("tv", "bt2020nc", "bt2020-10", "bt2020", 720),
    ("tv", "bt2020nc", "unknown", "unknown", 360),
    ("pc", "bt2020nc", "unknown", "bt2020", 720),
    ("tv", "bt709", "iec61966-2-1", "bt709", 720),
    ("tv", "bt709", "bt709", "bt709", 360),
    ("tv", "smpte170m", "smpte170m", "smpte170m", 360),
    ("pc", "bt709", "bt709", "bt709", 720),
];

/// Those that run without `UPSCALE_COLOURS=all`: each a class of its own.
const SHORT: [usize; 4] = [1, 2, 6, 7];

/// The matrix that samples without one have: GStreamer's rule.
fn matrix((_, matrix, _, primaries, lines): Description) -> &'static str {
    match matrix {
        "unknown" if primaries == "bt2020" => "bt2020nc",
        "unknown" if lines > 576 => "bt709",
        "unknown" => "smpte170m",
        matrix => matrix,
    }
}

/// The colours of the seven bars of a picture.
fn bars(path: &Path, tags: Option<(&str, &str)>) -> Vec<[u8; 3]> {
    let (picture, width) = picture(path, tags);
    let row = &picture[width * 3 * 16..];
    let bar = |number: usize| (number * 2 + 1) * width / 14 * 3;
    (0..7).map(|number| [0, 1, 2].map(|channel| row[bar(number) + channel])).collect()
}

/// The largest difference of a bar after enlarging; `None` if FFmpeg cannot make the input.
#[track_caller]
fn worst(description: Description, codec: &str, container: &str) -> Option<u8> {
    let (range, _, transfer, primaries, lines) = description;
    let folder = tempfile::tempdir().unwrap();
    let matrix = matrix(description);
    let mut tags = String::new();
    // x264's names.
    for (option, value) in [
        ("fullrange", if range == "pc" { "on" } else { "unknown" }),
        ("colormatrix", description.1),
        ("transfer", transfer),
        ("colorprim", primaries),
    ] {
        let value = match value {
            "unknown" => continue,
            "gamma28" => "bt470bg",
            value => value,
        };
        tags += &format!(":{option}={value}");
    }
    let full = if range == "pc" { "full" } else { "limited" };
    let arguments = format!(
        "-f lavfi -i smptebars=s=448x{lines} -frames:v 2 \
         -vf scale=out_color_matrix={matrix}:out_range={full}:flags=accurate_rnd+full_chroma_int,\
format=yuv420p,setparams=range=unknown:color_primaries=unknown:color_trc=unknown:colorspace=unknown \
         -c:v libx264 -qp 1 -x264-params qp=1{tags}"
    );
    let input = make(folder.path(), "in.mkv", &arguments)?;
    let found = &probe(&input)[0].colour;
    assert_eq!(found[0] == "pc", range == "pc", "FFmpeg wrote {found:?}");
    let output = folder.path().join(format!("out.{container}"));
    let done = upscale(&input, &output, &["--scale", "2", "--codec", codec, "--quality", "4"]);
    let done = { done }.output().unwrap();
    assert!(done.status.success(), "{}", text(&done));
    let before = bars(&input, Some((matrix, range)));
    let after = bars(&output, None);
    let pairs = before.iter().flatten().zip(after.iter().flatten());
    let worst = pairs.map(|(a, b)| a.abs_diff(*b)).max();
    if worst > Some(3) {
        eprintln!("{before:?}\n{after:?}\n{:?}", probe(&output)[0].colour);
    }
    worst
}

#[test]
fn colours_survive_every_description_codec_and_container() {
    let all = std::env::var("UPSCALE_COLOURS").is_ok_and(|value| value == "all");
    let codecs: &[_] = if all {
        &[
            ("h264", ["mkv", "mp4"]),
            ("h265", ["mkv", "mp4"]),
            ("vp9", ["mkv", "webm"]),
            ("ffv1", ["mkv", "mkv"]),
        ]
    } else {
        &[("h264", ["mp4", "mp4"]), ("ffv1", ["mkv", "mkv"])]
    };
    let mut failed = Vec::new();
    for (number, description) in DESCRIPTIONS.into_iter().enumerate() {
        if !all && !SHORT.contains(&number) {
            continue;
        }
        for (codec, containers) in codecs {
            let second = (containers[0] != containers[1]).then_some(containers[1]);
            for container in [containers[0]].into_iter().chain(second) {
                let Some(worst) = worst(description, codec, container) else { return };
                if all {
                    println!("{description:?} {codec} {container}: {worst}");
                }
                if worst > 3 {
                    failed.push((description, *codec, container, worst));
                }
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn untagged_standard_definition_comes_out_tagged_by_the_height_of_the_input() {
    for (lines, primaries, colorimetry) in
        [(480, "smpte170m", "bt601"), (576, "bt470bg", "2:4:16:3")]
    {
        let folder = tempfile::tempdir().unwrap();
        let arguments = format!(
            "-f lavfi -i smptebars=s=448x{lines}:r=5 -t 3 -vf \
             scale=out_color_matrix=smpte170m:out_range=limited:flags=accurate_rnd+full_chroma_int,\
format=yuv420p,setparams=range=unknown:color_primaries=unknown:color_trc=unknown:colorspace=unknown \
             -c:v libx264 -g 5 -qp 1"
        );
        let Some(input) = make(folder.path(), "in.mkv", &arguments) else { return };
        let untagged = &probe(&input)[0].colour;
        assert!(untagged.iter().all(|tag| ["", "unknown"].contains(&&**tag)), "{untagged:?}");
        let before = bars(&input, Some(("smpte170m", "tv")));
        for (codec, container, segment) in [
            ("h264", "mp4", "20"),
            ("h264", "mkv", "1"),
            ("h265", "mkv", "20"),
            ("h265", "mp4", "1"),
            ("vp9", "webm", "20"),
        ] {
            let output = folder.path().join(format!("out.{container}"));
            let arguments = ["--codec", codec, "--quality", "4", "--segment", segment, "--force"];
            let done = upscale(&input, &output, &arguments).output().unwrap();
            assert!(done.status.success(), "{}", text(&done));
            let case = format!("{lines} lines, {codec}, {container}, segments of {segment} s");
            // The stream of VP9 has one code for the matrix of both systems.
            let matrix = if codec == "vp9" { "bt470bg" } else { "smpte170m" };
            let tags = ["tv", matrix, "smpte170m", primaries];
            assert_eq!(probe(&output)[0].colour, tags, "{case}");
            assert_eq!(container_colorimetry(&output).as_deref(), Some(colorimetry), "{case}");
            if let "h264" | "h265" = codec {
                let copy = format!("-i {} -c copy", output.display());
                let stream = make(folder.path(), &format!("out.{codec}"), &copy).unwrap();
                assert_eq!(probe(&stream)[0].colour, tags, "stream: {case}");
            }
            let after = bars(&output, None);
            let pairs = before.iter().flatten().zip(after.iter().flatten());
            let worst = pairs.map(|(a, b)| a.abs_diff(*b)).max();
            assert!(worst <= Some(3), "{case}: {before:?} {after:?}");
        }
    }
}
