//! What is shown during a run: a progress bar, or lines of JSON for programs.

use std::{
    fmt,
    path::Path,
    time::{Duration, Instant},
};

use indicatif::{HumanDuration, ProgressBar, ProgressState, ProgressStyle};
use serde::Serialize;

use super::ledger::Row;

const SPINNER: &str = "{spinner} {wide_msg} {elapsed}";
const BAR: &str = "{wide_bar} {percent}% {msg}, elapsed {elapsed}{remaining}";

/// The number of frames and the time they took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Frames {
    pub count: u64,
    /// Time since the first frame.
    pub time: Duration,
}

impl fmt::Display for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} frame{}", self.count, if self.count == 1 { "" } else { "s" })?;
        // The time starts with the first frame, which therefore does not count.
        let counted = self.count.saturating_sub(1);
        if counted > 0 && self.time > Duration::ZERO {
            write!(f, ", {:.2} frames/s", counted as f64 / self.time.as_secs_f64())?;
        }
        Ok(())
    }
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A bar, if standard error is a terminal.
    #[default]
    Bar,
    /// A line of JSON on standard output for each event.
    Json,
}

/// A line of JSON.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Event<'a> {
    Step { text: &'a str },
    Warning { text: &'a str },
    Progress { frames: u64, seconds: f64, duration: Option<f64> },
    Ledger { streams: &'a [Row] },
    Done { output: &'a Path, frames: u64 },
}

/// How often progress is written as JSON.
const INTERVAL: Duration = Duration::from_secs(1);

pub struct Progress {
    format: Format,
    bar: ProgressBar,
    first: Option<Instant>,
    written: Option<Instant>,
    frames: Frames,
}

impl Progress {
    pub fn new(format: Format) -> Self {
        let bar = match format {
            Format::Bar => ProgressBar::new_spinner(),
            Format::Json => ProgressBar::hidden(),
        };
        if let Ok(style) = ProgressStyle::with_template(SPINNER) {
            bar.set_style(style);
        }
        Self { format, bar, first: None, written: None, frames: Frames::default() }
    }

    /// Writes a line of JSON, in that format.
    fn write(&self, event: &Event) {
        if self.format == Format::Json
            && let Ok(line) = serde_json::to_string(event)
        {
            // A reader that is gone does not end the work.
            let _ = say!("{line}");
        }
    }

    /// Writes what went in and came out as JSON, in that format.
    pub fn write_ledger(&self, streams: &[Row]) {
        self.write(&Event::Ledger { streams });
    }

    /// Writes that the output is complete as JSON, in that format.
    pub fn write_done(&self, output: &Path, frames: Frames) {
        self.write(&Event::Done { output, frames: frames.count });
    }

    /// Shows a step of the start. Ignored after the first frame.
    pub fn show_step(&self, step: &str) {
        if self.first.is_none() {
            self.write(&Event::Step { text: step });
            self.bar.set_message(step.to_owned());
        }
    }

    /// Prints a warning above the bar.
    pub fn warn(&self, text: &str) {
        self.write(&Event::Warning { text });
        self.bar.suspend(|| warn!("{text}"));
    }

    /// Shows the number of frames and the position in the input.
    pub fn update(&mut self, count: u64, position: Duration, duration: Option<Duration>) {
        if count == 0 {
            self.bar.tick();
            return;
        }
        let first = *self.first.get_or_insert_with(|| {
            let first_frame = Frames { count, time: Duration::ZERO };
            self.bar.set_message(first_frame.to_string());
            if duration.is_some()
                && let Ok(style) = ProgressStyle::with_template(BAR)
            {
                self.bar.set_style(style.with_key("remaining", write_remaining));
            }
            self.bar.reset();
            Instant::now()
        });
        self.frames = Frames { count, time: first.elapsed() };
        if let Some(duration) = duration {
            self.bar.set_length(milliseconds(duration));
            self.bar.set_position(milliseconds(position));
        }
        self.bar.set_message(self.frames.to_string());
        self.bar.tick();
        if self.written.is_none_or(|written| written.elapsed() >= INTERVAL) {
            self.written = Some(Instant::now());
            let (seconds, duration) = (position.as_secs_f64(), duration.map(|it| it.as_secs_f64()));
            self.write(&Event::Progress { frames: count, seconds, duration });
        }
    }

    /// Shows that the program works before there are frames.
    pub fn tick(&self) {
        self.bar.tick();
    }

    /// Removes the bar.
    pub fn finish(&self) -> Frames {
        self.bar.finish_and_clear();
        self.frames
    }
}

/// Writes the estimated time to the end, if there is an estimate.
fn write_remaining(state: &ProgressState, text: &mut dyn fmt::Write) {
    let time = state.eta();
    if time > Duration::ZERO {
        // A failure would concern the bar only.
        let _ = write!(text, ", remaining {:#}", HumanDuration(time));
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_does_not_count_the_frame_that_starts_the_time() {
        let frames = |count, seconds| Frames { count, time: Duration::from_secs(seconds) };
        assert_eq!(frames(11, 4).to_string(), "11 frames, 2.50 frames/s");
        assert_eq!(frames(1, 4).to_string(), "1 frame");
        assert_eq!(frames(0, 0).to_string(), "0 frames");
    }
}
