//! HDR video: HDR10 and HLG through Matroska and MP4, in one pipeline and in segments.

use std::{path::Path, process::Command};

use serde_json::Value;

use crate::{
    ffmpeg::make,
    media::container_colorimetry,
    program::{text, upscale},
};

/// Options of x265 for HDR10 with chroma at the top left, as on discs.
const HDR10: &str = "hdr10=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:chromaloc=2:\
    max-cll=1000,400:\
    master-display=G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)L(10000000,50)";

/// Options of x265 for HLG with chroma at the left.
const HLG: &str = "colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc:chromaloc=0";

/// Two seconds of H.265 with 10 bits.
fn film(folder: &Path, name: &str, options: &str) -> Option<std::path::PathBuf> {
    let arguments = format!(
        "-f lavfi -i testsrc2=s=96x64:r=25 -t 2 -pix_fmt yuv420p10le -color_range tv -c:v libx265 \
         -x265-params log-level=none:keyint=25:repeat-headers=1:{options}"
    );
    make(folder, name, &arguments)
}

/// What FFmpeg reads in the stream, without the head of the container: the format, tags of the colour,
/// and HDR10 metadata of the first frame.
#[track_caller]
fn stream(path: &Path) -> (Vec<String>, Vec<(String, f64)>) {
    let frame = &probe(path)["frames"][0];
    let tags = [
        "pix_fmt",
        "color_range",
        "color_space",
        "color_transfer",
        "color_primaries",
        "chroma_location",
    ];
    (tags.map(|tag| frame[tag].to_string()).to_vec(), metadata(frame))
}

fn probe(path: &Path) -> Value {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-show_streams", "-show_frames", "-read_intervals", "%+#1"]);
    let done = command.args(["-of", "json"]).arg(path).output().unwrap();
    serde_json::from_slice(&done.stdout).unwrap()
}

/// The numbers of HDR10 metadata, by name.
fn metadata(found: &Value) -> Vec<(String, f64)> {
    let number = |value: &Value| match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => {
            let (a, b) = text.split_once('/')?;
            Some(a.parse::<f64>().ok()? / b.parse::<f64>().ok()?)
        }
        _ => None,
    };
    let lists = found["side_data_list"].as_array().into_iter().flatten();
    let hdr10 = lists.filter(|it| {
        ["Mastering display metadata", "Content light level metadata"]
            .contains(&it["side_data_type"].as_str().unwrap_or_default())
    });
    let fields = hdr10.flat_map(|it| it.as_object().unwrap());
    let mut numbers: Vec<_> =
        fields.filter_map(|(name, value)| Some((name.clone(), number(value)?))).collect();
    numbers.sort_by(|a, b| a.0.cmp(&b.0));
    numbers
}

#[track_caller]
fn assert_close(a: &[(String, f64)], b: &[(String, f64)], case: &str) {
    let is_close =
        |((a, x), (b, y)): (&(String, f64), &(String, f64))| a == b && (x - y).abs() < 1e-4;
    assert!(a.len() == b.len() && a.iter().zip(b).all(is_close), "{case}:\n{a:?}\n{b:?}");
}

#[test]
fn hdr10_and_hlg_stay_what_they_are_in_stream_and_container() {
    let folder = tempfile::tempdir().unwrap();
    for (name, options, colorimetry, numbers) in
        [("hdr10", HDR10, "bt2100-pq", 12), ("hlg", HLG, "bt2100-hlg", 0)]
    {
        for from in ["mkv", "mp4"] {
            let Some(input) = film(folder.path(), &format!("{name}.{from}"), options) else {
                return;
            };
            let (tags, before) = stream(&input);
            assert_eq!(before.len(), numbers, "{before:?}");
            for (to, segment) in [("mkv", "20"), ("mkv", "1"), ("mp4", "20"), ("mp4", "1")] {
                let output = folder.path().join(format!("out.{to}"));
                let options = ["--force", "--segment", segment];
                let done = upscale(&input, &output, &options).output().unwrap();
                let case = format!("{name}, {from} to {to}, segments of {segment} s");
                assert!(done.status.success(), "{case}: {}", text(&done));
                let (after_tags, after) = stream(&output);
                assert_eq!(after_tags, tags, "{case}");
                assert_close(&after, &before, &case);
                let found = probe(&output);
                assert_eq!(found["streams"][0]["codec_name"], "hevc", "{case}");
                assert_close(&metadata(&found["streams"][0]), &before, &format!("head: {case}"));
                assert_eq!(container_colorimetry(&output).as_deref(), Some(colorimetry), "{case}");
            }
        }
    }
}

#[test]
fn hdr_is_not_written_as_h264_unless_the_user_insists() {
    let folder = tempfile::tempdir().unwrap();
    for (name, options) in [("hdr10.mkv", HDR10), ("hlg.mp4", HLG)] {
        let Some(input) = film(folder.path(), name, options) else { return };
        let output = folder.path().join(format!("{name}.out.mkv"));
        let done = upscale(&input, &output, &["--codec", "h264"]).output().unwrap();
        assert!(!done.status.success() && !output.exists(), "{name}: {}", text(&done));
        assert!(text(&done).contains("--allow-8-bit-hdr"), "{}", text(&done));
        let options = ["--codec", "h264", "--allow-8-bit-hdr"];
        let done = upscale(&input, &output, &options).output().unwrap();
        assert!(done.status.success(), "{}", text(&done));
    }
}
