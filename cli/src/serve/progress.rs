//! How far a job is, from the events that the command writes with `--progress json`.

use std::time::Instant;

use serde::{Deserialize, Serialize};

/// A line that the command writes.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    Step {
        text: String,
    },
    Note {
        text: String,
    },
    Progress {
        frames: u64,
        seconds: f64,
        duration: Option<f64>,
    },
    Count {
        step: String,
        frames: u64,
        total: u64,
    },
    #[serde(other)]
    Other,
}

impl Event {
    /// The event of a line; `None` if it is none.
    pub fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }
}

/// What the page shows of a running job.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Progress {
    pub step: String,
    pub frames: u64,
    /// The share that is done, 0 to 1, if it is known.
    pub share: Option<f64>,
    /// Frames per second since the process started or went on.
    pub rate: Option<f64>,
    /// Estimated seconds to the end of the step.
    pub remaining: Option<f64>,
    #[serde(skip)]
    start: Option<Start>,
}

/// Where the estimate begins.
#[derive(Clone, Debug, PartialEq)]
struct Start {
    time: Instant,
    frames: u64,
    share: f64,
}

impl Progress {
    /// Takes an event of time `now` into account.
    pub fn add(&mut self, event: &Event, now: Instant) {
        match event {
            Event::Step { text } => *self = Self { step: text.clone(), ..Self::default() },
            &Event::Progress { frames, seconds, duration } => {
                let share = duration.filter(|it| *it > 0.0).map(|it| (seconds / it).min(1.0));
                self.set("enlarging", frames, share, now);
            }
            Event::Count { step, frames, total } => {
                let share = (*total > 0).then(|| *frames as f64 / *total as f64);
                self.set(step, *frames, share, now);
            }
            Event::Note { .. } | Event::Other => {}
        }
    }

    /// Begins a new estimate: the process was suspended.
    pub fn restart(&mut self) {
        (self.rate, self.remaining, self.start) = (None, None, None);
    }

    fn set(&mut self, step: &str, frames: u64, share: Option<f64>, now: Instant) {
        if self.step != step {
            *self = Self { step: step.to_owned(), ..Self::default() };
        }
        (self.frames, self.share) = (frames, share);
        let done = share.unwrap_or(0.0);
        let start = self.start.get_or_insert(Start { time: now, frames, share: done });
        let seconds = now.duration_since(start.time).as_secs_f64();
        let positive = |value: f64| (value.is_finite() && value > 0.0).then_some(value);
        self.rate = positive(frames.saturating_sub(start.frames) as f64 / seconds);
        let speed = positive((done - start.share) / seconds);
        self.remaining = speed.map(|speed| (1.0 - done).max(0.0) / speed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn lines_of_the_command_are_understood() {
        let line = r#"{"event":"count","step":"enlarging","frames":5,"total":10,"rate":null,"remaining":null,"reused":0.5}"#;
        let expected = Event::Count { step: "enlarging".into(), frames: 5, total: 10 };
        assert_eq!(Event::parse(line), Some(expected));
        assert_eq!(Event::parse(r#"{"event":"ledger","streams":[]}"#), Some(Event::Other));
        assert_eq!(Event::parse("Segmentation fault"), None);
    }

    #[test]
    fn the_estimate_counts_from_the_first_event_after_a_pause() {
        let mut progress = Progress::default();
        let start = Instant::now();
        let mut at = |seconds: u64, frames: u64| {
            let event = Event::Count { step: "enlarging".into(), frames, total: 100 };
            progress.add(&event, start + Duration::from_secs(seconds));
            progress.clone()
        };
        assert_eq!((at(0, 20).rate, at(0, 20).remaining), (None, None));
        let later = at(10, 40);
        assert_eq!((later.share, later.rate, later.remaining), (Some(0.4), Some(2.0), Some(30.0)));
        progress.restart();
        let mut at = |seconds: u64, frames: u64| {
            let event = Event::Count { step: "enlarging".into(), frames, total: 100 };
            progress.add(&event, start + Duration::from_secs(seconds));
            progress.remaining.map(f64::round)
        };
        assert_eq!(at(1000, 50), None);
        assert_eq!(at(1010, 60), Some(40.0));
    }

    #[test]
    fn a_film_of_unknown_duration_has_no_share() {
        let mut progress = Progress::default();
        let event = Event::Progress { frames: 9, seconds: 1.0, duration: None };
        progress.add(&event, Instant::now());
        assert_eq!((progress.frames, progress.share, progress.remaining), (9, None, None));
    }
}
