//! The page: one HTML file without outside resources.

use std::time::Duration;

use serde::Serialize;

use super::estimate::Estimate;
use crate::page;

/// What the page shows.
#[derive(Debug, Serialize)]
pub struct Page {
    pub scale: f64,
    pub machine: String,
    pub files: Vec<File>,
}

/// An input.
#[derive(Debug, Serialize)]
pub struct File {
    pub name: String,
    /// The duration of a film and its number of frames.
    pub film: Option<String>,
    /// Lanczos first.
    pub methods: Vec<Row>,
    pub scenes: Vec<Scene>,
    /// Sentences about the two best models.
    pub advice: Vec<String>,
}

/// What a method costs and gives.
#[derive(Debug, Serialize)]
pub struct Row {
    pub name: String,
    pub engine: String,
    pub milliseconds: String,
    pub time: String,
    pub size: String,
    /// Relative to Lanczos.
    pub sharpness: String,
    pub flicker: String,
    /// Empty for Lanczos.
    pub command: String,
}

/// A scene, by method.
#[derive(Debug, Serialize)]
pub struct Scene {
    pub time: String,
    /// Width divided by height of a pixel.
    pub aspect: f64,
    pub pictures: Vec<String>,
    pub strips: Vec<Vec<String>>,
}

impl Page {
    /// The file's content.
    pub fn html(&self) -> String {
        page::document(include_str!("page.html"), self)
    }
}

impl Row {
    pub fn new(name: &str, engine: &str, estimate: &Estimate, command: String) -> Self {
        let ratio = |value: Option<f64>| value.map_or("–".into(), |value| format!("{value:.2}×"));
        Self {
            name: name.to_owned(),
            engine: engine.to_owned(),
            milliseconds: range(estimate.milliseconds, |value| format!("{value:.0}"), " ms"),
            time: range(estimate.seconds, duration, ""),
            size: range(estimate.bytes, bytes, ""),
            sharpness: ratio(estimate.sharpness),
            flicker: ratio(estimate.flicker),
            command,
        }
    }
}

/// A mean with the least and the most, if they differ.
fn range(values: Option<[f64; 3]>, text: impl Fn(f64) -> String, unit: &str) -> String {
    let Some([least, mean, most]) = values else { return "–".into() };
    let [least, mean, most] = [least, mean, most].map(text);
    if least == most {
        return format!("{mean}{unit}");
    }
    format!("{mean}{unit} ({least} to {most}{unit})")
}

/// A time in seconds as people say it.
pub fn duration(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds} s"),
        (0, 1..10) => format!("{minutes} min {} s", seconds % 60),
        (0, _) => format!("{minutes} min"),
        (1..48, _) => format!("{hours} h {minutes} min"),
        _ => format!("{} days {} h", hours / 24, hours % 24),
    }
}

/// A time of a film: `1:23:45` or `3:45`.
pub fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// Bytes in decimal units.
fn bytes(count: f64) -> String {
    match count {
        1e9.. => format!("{:.1} GB", count / 1e9),
        1e6.. => format!("{:.0} MB", count / 1e6),
        _ => format!("{:.0} kB", count / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_read_as_people_say_them() {
        let found = [0.4, 59.0, 61.0, 3599.0, 3600.0, 47000.0, 400_000.0].map(duration);
        let expected =
            ["0 s", "59 s", "1 min 1 s", "59 min", "1 h 0 min", "13 h 3 min", "4 days 15 h"];
        assert_eq!(found, expected);
        let clocks = [9, 225, 5025].map(|seconds| clock(Duration::from_secs(seconds)));
        assert_eq!(clocks, ["0:09", "3:45", "1:23:45"]);
        assert_eq!([900.0, 2.5e6, 3.21e9].map(bytes), ["1 kB", "2 MB", "3.2 GB"]);
    }

    #[test]
    fn a_range_is_shown_where_there_is_one() {
        let text = |value: f64| format!("{value:.0}");
        assert_eq!(range(Some([1.0, 2.0, 3.0]), text, " ms"), "2 ms (1 to 3 ms)");
        assert_eq!(range(Some([2.1, 2.2, 2.3]), text, " ms"), "2 ms");
        assert_eq!(range(None, text, " ms"), "–");
    }

    #[test]
    fn a_page_is_small_and_needs_nothing_from_outside() {
        let name = "</script><script>alert(1)</script>".to_owned();
        let file = File { name, film: None, methods: vec![], scenes: vec![], advice: vec![] };
        let html = Page { scale: 2.0, machine: String::new(), files: vec![file] }.html();
        assert!(!html.contains("<script>alert"), "a name must not become code");
        assert!(["{style}", "{divider}", "{data}"].iter().all(|place| !html.contains(place)));
        assert!(html.contains("default-src 'none'"));
        for outside in ["http://", "https://", "//cdn", "@import"] {
            assert!(!html.contains(outside), "{outside}");
        }
        assert!(html.len() < 200_000);
    }
}
