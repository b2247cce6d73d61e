//! The progress bar.

use std::{
    fmt,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// How many frames, and how fast.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Frames {
    pub count: u64,
    /// Since the first of them came out.
    pub time: Duration,
}

impl fmt::Display for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} frames", self.count)?;
        // The first frame starts the clock.
        let counted = self.count.saturating_sub(1);
        if counted > 0 && self.time > Duration::ZERO {
            write!(f, ", {:.2} a second", counted as f64 / self.time.as_secs_f64())?;
        }
        Ok(())
    }
}

/// Shown on a terminal; elsewhere silent.
pub struct Progress {
    bar: ProgressBar,
    first: Option<Instant>,
    frames: Frames,
}

impl Progress {
    pub fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}") {
            bar.set_style(style);
        }
        Self { bar, first: None, frames: Frames::default() }
    }

    /// What goes on before the first frame.
    pub fn say(&self, what: &str) {
        if self.first.is_none() {
            self.bar.set_message(what.to_owned());
        }
    }

    /// A line above the bar.
    pub fn warn(&self, what: &str) {
        self.bar.suspend(|| warn!("{what}"));
    }

    pub fn update(&mut self, count: u64, position: Duration, duration: Option<Duration>) {
        if count == 0 {
            self.bar.tick();
            return;
        }
        let first = *self.first.get_or_insert_with(|| {
            if duration.is_some()
                && let Ok(style) = ProgressStyle::with_template(
                    "{wide_bar} {percent}% {msg}, {elapsed} gone, {eta} to go",
                )
            {
                self.bar.set_style(style);
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
    }

    /// Takes the bar away.
    pub fn finish(&self) -> Frames {
        self.bar.finish_and_clear();
        self.frames
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
