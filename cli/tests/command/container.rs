//! What a container says apart from packets: chapters, fonts, names, flags, HDR10 metadata.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{
    ffmpeg::{PICTURE, TONE, make},
    program::{text, upscale},
};

/// In segments of a second.
const SEGMENTS: &[&str] = &["--segment", "1"];

/// Enlarges `input` to `name` in its folder.
#[track_caller]
fn enlarge(input: &Path, name: &str, more: &[&str]) -> (PathBuf, String) {
    let output = input.with_file_name(name);
    let done = upscale(input, &output, &["--force"]).args(more).output().unwrap();
    assert!(done.status.success(), "{}", text(&done));
    (output, text(&done))
}

/// What ffprobe reads in the head of a file.
fn probe(path: &Path) -> Value {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-show_chapters", "-show_format", "-show_streams", "-of", "json"]);
    serde_json::from_slice(&command.arg(path).output().unwrap().stdout).unwrap()
}

/// Starts and titles of the chapters.
fn chapters(found: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let chapters = found["chapters"].as_array().unwrap();
    chapters.iter().map(|it| (text(&it["start_time"]), text(&it["tags"]["title"]))).collect()
}

/// Kind, language, title, and the flags default and forced of each stream.
fn tracks(found: &Value) -> Vec<(String, String, String, bool, bool)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let flag = |stream: &Value, name: &str| stream["disposition"][name] == 1;
    let streams = found["streams"].as_array().unwrap();
    let track = |stream: &Value| {
        let tags = &stream["tags"];
        let (default, forced) = (flag(stream, "default"), flag(stream, "forced"));
        (
            text(&stream["codec_type"]),
            text(&tags["language"]),
            text(&tags["title"]),
            default,
            forced,
        )
    };
    streams.iter().map(track).collect()
}

/// A film of three seconds with two sound tracks, subtitles, chapters and a font.
fn film(folder: &Path) -> Option<PathBuf> {
    fs::write(folder.join("a.srt"), "1\n00:00:00,500 --> 00:00:01,500\nwords\n\n").unwrap();
    fs::write(folder.join("font.ttf"), [7; 3000]).unwrap();
    let chapter = |start, end, title| {
        format!("[CHAPTER]\nTIMEBASE=1/1000\nSTART={start}\nEND={end}\ntitle={title}\n")
    };
    let head = ";FFMETADATA1\ntitle=The Film\nartist=Somebody\n";
    let chapters = [chapter(0, 1000, "Beginning"), chapter(1000, 3000, "Ende")].concat();
    fs::write(folder.join("head.txt"), format!("{head}{chapters}")).unwrap();
    let arguments = format!(
        "{PICTURE} {TONE} {TONE} -i a.srt -i head.txt -attach font.ttf \
         -metadata:s:t mimetype=font/ttf -map 0:v -map 1:a -map 2:a -map 3 -map_metadata 4 \
         -map_chapters 4 -t 3 -c:v libx264 -c:a aac -c:s srt -metadata:s:a:0 language=eng \
         -metadata:s:a:1 language=fre -metadata:s:a:1 title=Commentaire -metadata:s:s:0 language=ger \
         -disposition:v:0 default -disposition:a:0 0 -disposition:a:1 default -disposition:s:0 forced"
    );
    make(folder, "in.mkv", &arguments)
}

#[test]
fn matroska_to_matroska_keeps_the_head() {
    let folder = tempfile::tempdir().unwrap();
    let Some(input) = film(folder.path()) else { return };
    let before = probe(&input);
    for more in [SEGMENTS, &[]] {
        let (output, _) = enlarge(&input, "out.mkv", more);
        let after = probe(&output);
        assert_eq!(chapters(&after), chapters(&before));
        assert_eq!(tracks(&after), tracks(&before));
        for tag in ["title", "ARTIST"] {
            assert_eq!(after["format"]["tags"][tag], before["format"]["tags"][tag], "{tag}");
        }
        let bytes = fs::read(&output).unwrap();
        assert!(bytes.windows(3000).any(|part| part == [7; 3000]), "the font is missing");
    }
}

#[test]
fn matroska_to_mp4_keeps_what_mp4_can_hold_and_names_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let Some(input) = film(folder.path()) else { return };
    let (output, said) = enlarge(&input, "out.mp4", SEGMENTS);
    let (before, after) = (probe(&input), probe(&output));
    assert_eq!(chapters(&after), chapters(&before));
    assert_eq!(after["format"]["tags"]["title"], "The Film");
    let tracks = tracks(&after);
    let languages: Vec<_> = tracks.iter().map(|track| track.1.as_str()).collect();
    assert_eq!(languages, ["und", "eng", "fra", "deu"]);
    let defaults: Vec<_> = tracks.iter().map(|track| track.3).collect();
    assert_eq!(defaults, [true, false, true, false]);
    assert!(said.contains("font.ttf") && said.contains("forced"), "{said}");
}

#[test]
fn mp4_to_matroska_keeps_chapters_cover_and_tags() {
    let folder = tempfile::tempdir().unwrap();
    let Some(film) = film(folder.path()) else { return };
    let Some(_) = make(folder.path(), "cover.png", &format!("{PICTURE} -frames:v 1")) else {
        return;
    };
    let arguments = "-i in.mkv -i cover.png -map 0:v -map 0:a -map 1 -c copy \
                     -disposition:v:1 attached_pic";
    let Some(input) = make(folder.path(), "in.mp4", arguments) else { return };
    let (output, _) = enlarge(&input, "out.mkv", SEGMENTS);
    let after = probe(&output);
    assert_eq!(chapters(&after), chapters(&probe(&film)));
    assert_eq!(after["format"]["tags"]["title"], "The Film");
    assert_eq!(after["format"]["tags"]["ARTIST"], "Somebody");
    let cover = after["streams"].as_array().unwrap().last().unwrap();
    assert_eq!(cover["tags"]["filename"], "cover.png");
}

#[test]
fn the_pixel_aspect_ratio_is_exact() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = format!("{PICTURE} -t 2 -vf setsar=32/27 -c:v libx264");
    let Some(input) = make(folder.path(), "in.mkv", &arguments) else { return };
    for name in ["out.mkv", "out.mp4"] {
        let (output, _) = enlarge(&input, name, &["--scale", "2"]);
        assert_eq!(probe(&output)["streams"][0]["sample_aspect_ratio"], "32:27", "{name}");
    }
}
