//! What is shown during a run: a progress bar, lines of text where there is no terminal, or lines of
//! JSON for programs.

use std::{
    fmt,
    io::{self, IsTerminal as _, Write as _},
    path::Path,
    time::{Duration, Instant},
};

use indicatif::{HumanDuration, ProgressBar, ProgressState, ProgressStyle};
use serde::Serialize;

use super::ledger::Row;

const SPINNER: &str = "{spinner} {wide_msg} {elapsed}";
const COUNT_BAR: &str = "{wide_bar} {msg}, elapsed {elapsed}";
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
    /// A bar if standard error is a terminal, otherwise a line now and then.
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
    Note { text: &'a str },
    Warning { text: &'a str },
    Progress(&'a Position),
    Count(&'a Count),
    Ledger { streams: &'a [Row] },
    Done { output: &'a Path, frames: u64 },
}

/// How far a step with a known number of frames is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Count {
    step: &'static str,
    /// Frames that are done, also by earlier runs.
    frames: u64,
    total: u64,
    /// Frames per second of this run; `None` before the first one.
    rate: Option<f64>,
    /// Estimated seconds to the end of the step.
    remaining: Option<f64>,
    /// The share of the input that did not have to be computed, if that is known.
    reused: Option<f64>,
}

impl Count {
    /// Sets the rate and the estimate, after `done` frames in `time`.
    fn estimate(&mut self, done: u64, time: Duration) {
        let rate = done as f64 / time.as_secs_f64();
        self.rate = Some(rate).filter(|rate| rate.is_finite() && *rate > 0.0);
        self.remaining = self.rate.map(|rate| self.total.saturating_sub(self.frames) as f64 / rate);
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step, frames, total, .. } = self;
        write!(f, "{step}: {frames} of {total} frames ({} %)", frames * 100 / (*total).max(1))?;
        write_rate(f, self.rate)?;
        if let Some(reused) = self.reused {
            write!(f, ", {:.0} % reused", reused * 100.0)?;
        }
        write_rest(f, self.remaining)
    }
}

/// How far a film is whose number of frames is not known.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Position {
    frames: u64,
    /// In the film.
    seconds: f64,
    /// Of the film.
    duration: Option<f64>,
    /// Frames per second of this run; `None` before the second one.
    rate: Option<f64>,
    /// Estimated seconds to the end.
    remaining: Option<f64>,
}

impl Position {
    /// `start`: where the first frame was in the film, which does not count.
    fn new(frames: Frames, start: Duration, now: Duration, duration: Option<Duration>) -> Self {
        let elapsed = frames.time.as_secs_f64();
        let per_second =
            |amount: f64| Some(amount / elapsed).filter(|it| it.is_finite() && *it > 0.0);
        let speed = per_second(now.saturating_sub(start).as_secs_f64());
        let rest = duration.map(|duration| duration.saturating_sub(now).as_secs_f64());
        Self {
            frames: frames.count,
            seconds: now.as_secs_f64(),
            duration: duration.map(|it| it.as_secs_f64()),
            rate: per_second(frames.count.saturating_sub(1) as f64),
            remaining: rest.zip(speed).map(|(rest, speed)| rest / speed),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "enlarging: {:.1}", self.seconds)?;
        if let Some(duration) = self.duration.filter(|it| *it > 0.0) {
            write!(f, " of {duration:.1} s ({:.0} %)", self.seconds / duration * 100.0)?;
        } else {
            f.write_str(" s")?;
        }
        let plural = if self.frames == 1 { "" } else { "s" };
        write!(f, ", {} frame{plural}", self.frames)?;
        write_rate(f, self.rate)?;
        write_rest(f, self.remaining)
    }
}

fn write_rate(f: &mut fmt::Formatter<'_>, rate: Option<f64>) -> fmt::Result {
    rate.map_or(Ok(()), |rate| write!(f, ", {rate:.2} frames/s"))
}

fn write_rest(f: &mut fmt::Formatter<'_>, remaining: Option<f64>) -> fmt::Result {
    match remaining.and_then(|it| Duration::try_from_secs_f64(it).ok()) {
        Some(remaining) => write!(f, ", remaining {:#}", HumanDuration(remaining)),
        None => Ok(()),
    }
}

/// How often progress is written as JSON, and as text where there is no terminal.
const INTERVAL: Duration = Duration::from_secs(1);
const TEXT_INTERVAL: Duration = Duration::from_secs(5);

pub struct Progress {
    format: Format,
    bar: ProgressBar,
    is_terminal: bool,
    /// When the first frame came, and where it was in the film.
    first: Option<(Instant, Duration)>,
    written: Option<Instant>,
    frames: Frames,
    count: Option<(Count, Start)>,
}

/// When the frames of a [`Count`] began in this run.
#[derive(Debug)]
struct Start {
    frames: u64,
    /// With the first frame.
    time: Option<Instant>,
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
        Self {
            format,
            bar,
            is_terminal: io::stderr().is_terminal(),
            first: None,
            written: None,
            frames: Frames::default(),
            count: None,
        }
    }

    /// Shows a sentence for the user.
    pub fn say(&self, text: &str) {
        self.write(&Event::Note { text });
        if self.format == Format::Bar {
            // A reader that is gone does not end the work.
            self.bar.suspend(|| _ = writeln!(io::stderr(), "{text}"));
        }
    }

    /// Starts a step of `total` frames, of which `done` are already done.
    pub fn start_count(&mut self, step: &'static str, done: u64, total: u64) {
        let count = Count { step, frames: done, total, rate: None, remaining: None, reused: None };
        self.bar.reset();
        if let Ok(style) = ProgressStyle::with_template(COUNT_BAR) {
            self.bar.set_style(style);
        }
        self.bar.set_length(total);
        self.count = Some((count, Start { frames: done, time: None }));
        self.written = None;
    }

    /// Shows that `frames` are done, also by earlier runs, and which share did not have to be
    /// computed.
    pub fn set_count(&mut self, frames: u64, reused: Option<f64>) {
        let Some((count, start)) = &mut self.count else { return };
        count.frames = frames;
        count.reused = reused;
        match start.time {
            // The time starts with the first frame, which therefore does not count.
            None => *start = Start { frames, time: Some(Instant::now()) },
            Some(time) => count.estimate(frames.saturating_sub(start.frames), time.elapsed()),
        }
        let count = count.clone();
        self.bar.set_position(frames);
        self.bar.set_message(count.to_string());
        if self.is_due() {
            self.write(&Event::Count(&count));
            self.write_text(&count);
        }
    }

    /// Ends a step; the one that follows has no frames to count.
    pub fn end_count(&mut self, next: &str) {
        self.count = None;
        self.bar.reset();
        if let Ok(style) = ProgressStyle::with_template(SPINNER) {
            self.bar.set_style(style);
        }
        self.write(&Event::Step { text: next });
        self.bar.set_message(next.to_owned());
    }

    /// Whether progress is to be written again.
    fn is_due(&mut self) -> bool {
        let interval = if self.format == Format::Json { INTERVAL } else { TEXT_INTERVAL };
        let now = Instant::now();
        let is_due = match self.written {
            Some(written) => now.duration_since(written) >= interval,
            None => self.format == Format::Json,
        };
        if is_due || self.written.is_none() {
            self.written = Some(now);
        }
        is_due
    }

    /// Writes a line of text, where there is no terminal for a bar.
    fn write_text(&self, text: &dyn fmt::Display) {
        if self.format == Format::Bar && !self.is_terminal {
            let _ = writeln!(io::stderr(), "{text}");
        }
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
        let (first, start) = *self.first.get_or_insert_with(|| {
            let first_frame = Frames { count, time: Duration::ZERO };
            self.bar.set_message(first_frame.to_string());
            if duration.is_some()
                && let Ok(style) = ProgressStyle::with_template(BAR)
            {
                self.bar.set_style(style.with_key("remaining", write_remaining));
            }
            self.bar.reset();
            (Instant::now(), position)
        });
        self.frames = Frames { count, time: first.elapsed() };
        if let Some(duration) = duration {
            self.bar.set_length(milliseconds(duration));
            self.bar.set_position(milliseconds(position));
        }
        self.bar.set_message(self.frames.to_string());
        self.bar.tick();
        if self.is_due() {
            let position = Position::new(self.frames, start, position, duration);
            self.write_text(&position);
            self.write(&Event::Progress(&position));
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

    #[test]
    fn the_rest_of_a_film_takes_as_long_per_second_as_what_is_done() {
        let seconds = Duration::from_secs;
        let frames = Frames { count: 49, time: seconds(30) };
        let position = Position::new(frames, seconds(1), seconds(4), Some(seconds(10)));
        assert_eq!(position.remaining, Some(60.0));
        let text = position.to_string();
        assert_eq!(
            text,
            "enlarging: 4.0 of 10.0 s (40 %), 49 frames, 1.60 frames/s, remaining 60s"
        );
        let first = Frames { count: 1, time: Duration::ZERO };
        let position = Position::new(first, seconds(0), seconds(0), None);
        assert_eq!(position.to_string(), "enlarging: 0.0 s, 1 frame");
    }
}
