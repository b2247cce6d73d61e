//! Makes inputs with FFmpeg and reads outputs with it.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Runs `ffmpeg` in a new folder to make the file `name`. `arguments` are separated by spaces.
/// Returns `None`, with a message that the test is skipped, if FFmpeg or an encoder in it is not
/// installed.
pub fn make(folder: &Path, name: &str, arguments: &str) -> Option<PathBuf> {
    let path = folder.join(name);
    let mut command = Command::new("ffmpeg");
    command.current_dir(folder).args(["-v", "error", "-y"]).args(arguments.split_whitespace());
    match command.arg(&path).output() {
        Ok(done) if done.status.success() => Some(path),
        Ok(done) => {
            eprintln!("skipped: {}", String::from_utf8_lossy(&done.stderr));
            None
        }
        Err(error) => {
            eprintln!("skipped: ffmpeg cannot be run ({error})");
            None
        }
    }
}

/// Joins files byte by byte.
pub fn join(folder: &Path, name: &str, parts: &[&PathBuf]) -> PathBuf {
    let joined: Vec<u8> = parts.iter().flat_map(|part| std::fs::read(part).unwrap()).collect();
    let path = folder.join(name);
    std::fs::write(&path, joined).unwrap();
    path
}

/// A test picture and a tone, as inputs of FFmpeg.
pub const PICTURE: &str = "-f lavfi -i testsrc2=s=96x64:r=25";
pub const TONE: &str = "-f lavfi -i sine=f=440:r=48000";

/// What FFmpeg reads in a stream of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stream {
    pub kind: String,
    pub codec: String,
    pub format: String,
    pub channels: usize,
    /// Tags of the colour: range, matrix, transfer function and primaries.
    pub colour: [String; 4],
    pub size: (u32, u32),
    /// The times of all decoded frames, in seconds.
    pub times: Vec<f64>,
    /// End of the last frame.
    pub end: f64,
}

impl Stream {
    /// From the first to the end of the last frame, in seconds.
    pub fn duration(&self) -> f64 {
        self.times.first().map_or(0.0, |first| self.end - first)
    }
}

/// All streams of a file, decoded by FFmpeg.
#[track_caller]
pub fn probe(path: &Path) -> Vec<Stream> {
    let show = "stream=index,codec_type,codec_name,pix_fmt,channels,width,height,color_range,\
                color_space,color_transfer,color_primaries:\
                frame=stream_index,pts_time,best_effort_timestamp_time,pkt_duration_time,\
                duration_time,nb_samples,sample_rate";
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-show_streams", "-show_frames", "-show_entries", show]);
    let done = command.args(["-of", "json"]).arg(path).output().unwrap();
    let found: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap_or_else(|error| {
        panic!("{}: {error}: {}", path.display(), String::from_utf8_lossy(&done.stderr))
    });
    let text =
        |value: &serde_json::Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let number = |value: &serde_json::Value, names: &[&str]| {
        names.iter().find_map(|name| match &value[*name] {
            serde_json::Value::String(text) => text.parse::<f64>().ok(),
            other => other.as_f64(),
        })
    };
    let mut streams: Vec<_> = found["streams"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|stream| {
            let side = |name| number(stream, &[name]).unwrap_or_default() as u32;
            Stream {
                kind: text(stream, "codec_type"),
                codec: text(stream, "codec_name"),
                format: text(stream, "pix_fmt"),
                channels: number(stream, &["channels"]).unwrap_or_default() as usize,
                colour: ["color_range", "color_space", "color_transfer", "color_primaries"]
                    .map(|name| text(stream, name)),
                size: (side("width"), side("height")),
                ..Stream::default()
            }
        })
        .collect();
    for frame in found["frames"].as_array().into_iter().flatten() {
        let at = number(frame, &["stream_index"]).unwrap_or_default() as usize;
        let Some(stream) = streams.get_mut(at) else { continue };
        let time = number(frame, &["pts_time", "best_effort_timestamp_time"]).unwrap_or(stream.end);
        let samples = || Some(number(frame, &["nb_samples"])? / 48_000.0);
        let length = number(frame, &["duration_time", "pkt_duration_time"]).or_else(samples);
        stream.times.push(time);
        stream.end = time + length.unwrap_or_default();
    }
    streams
}

/// The first stream of a kind: `video` or `audio`.
#[track_caller]
pub fn stream(path: &Path, kind: &str) -> Stream {
    let streams = probe(path);
    let found = streams.iter().find(|stream| stream.kind == kind).cloned();
    found.unwrap_or_else(|| panic!("no {kind} in {}: {streams:?}", path.display()))
}

/// The first frame as R′G′B′, and its width. It is converted by the tags of the file, or by the
/// matrix and the range that are given.
#[track_caller]
pub fn picture(path: &Path, tags: Option<(&str, &str)>) -> (Vec<u8>, usize) {
    let found = stream(path, "video");
    let [range, matrix, ..] = found.colour;
    let (matrix, range) =
        tags.map_or((matrix, range), |(matrix, range)| (matrix.into(), range.into()));
    let range = if range == "pc" { "full" } else { "limited" };
    let matrix = match &*matrix {
        "gbr" | "" | "unknown" => "auto",
        matrix => matrix,
    };
    let filter = format!(
        "scale=in_color_matrix={matrix}:in_range={range}:flags=accurate_rnd+full_chroma_int+full_chroma_inp"
    );
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-i"]).arg(path).args(["-frames:v", "1", "-vf", &filter]);
    let done = command.args(["-pix_fmt", "rgb24", "-f", "rawvideo", "-"]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    (done.stdout, found.size.0 as usize)
}

/// PSNR of the luma of all frames of two files, in decibels; infinite if they are equal.
#[track_caller]
pub fn psnr(path: &Path, reference: &Path) -> f64 {
    let mut command = Command::new("ffmpeg");
    command.args(["-i"]).arg(path).arg("-i").arg(reference);
    command.args([
        "-lavfi",
        "[0:v]extractplanes=y[a];[1:v]extractplanes=y[b];[a][b]psnr",
        "-f",
        "null",
        "-",
    ]);
    let done = command.output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    let average = said.rsplit("average:").next().and_then(|rest| rest.split(' ').next());
    let average = average.and_then(|average| average.parse().ok());
    average.unwrap_or_else(|| panic!("no PSNR of {}: {said}", path.display()))
}
