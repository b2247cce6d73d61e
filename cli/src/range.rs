//! The part of a film that is enlarged.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::arguments::Expected;

/// The options `--start` and `--end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct TimeRange {
    /// Where to start, in seconds, MM:SS or HH:MM:SS. The output begins there.
    #[arg(long, value_name = "TIME", value_parser = nanoseconds)]
    start: Option<i64>,
    /// Where to end.
    #[arg(long, value_name = "TIME", value_parser = nanoseconds)]
    end: Option<i64>,
}

impl TimeRange {
    /// Whether it is the whole film.
    pub fn is_whole(self) -> bool {
        self == Self::default()
    }

    /// The start in nanoseconds.
    pub fn start(self) -> i64 {
        self.start.unwrap_or(0)
    }

    /// The duration in nanoseconds; `None` to the end of the film.
    pub fn length(self) -> Option<i64> {
        self.end.map(|end| (end - self.start()).max(0))
    }

    /// The duration of the part of a film of this duration.
    pub fn duration(self, film: Duration) -> Duration {
        let rest = film.saturating_sub(duration(self.start()));
        self.length().map_or(rest, |length| rest.min(duration(length)))
    }

    /// A time of the film, in nanoseconds, as a time of the part; `None` outside of it.
    pub fn within(self, time: u64) -> Option<u64> {
        let time = i64::try_from(time).ok()? - self.start();
        u64::try_from(time).ok().filter(|_| self.length().is_none_or(|length| time < length))
    }
}

fn duration(nanoseconds: i64) -> Duration {
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default())
}

/// Parses seconds or `[HH:]MM:SS`, with a fraction.
///
/// # Errors
/// [`Expected`].
pub fn time(text: &str) -> Result<Duration, Expected> {
    nanoseconds(text).map(duration)
}

/// As [`time`], in nanoseconds.
fn nanoseconds(text: &str) -> Result<i64, Expected> {
    let expected = || Expected("seconds or [HH:]MM:SS".into());
    let mut parts = text.split(':').rev();
    let number = |text: &str| text.parse::<f64>().ok().filter(|it| (0.0..1e9).contains(it));
    let mut total = parts.next().and_then(number).ok_or_else(expected)?;
    for (part, factor) in parts.by_ref().take(2).zip([60.0, 3600.0]) {
        total += f64::from(part.parse::<u32>().map_err(|_| expected())?) * factor;
    }
    if parts.next().is_some() {
        return Err(expected());
    }
    Ok((total * 1e9).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_seconds_or_hours_minutes_and_seconds() {
        assert_eq!(nanoseconds("90.5"), Ok(90_500_000_000));
        assert_eq!(nanoseconds("1:30.5"), Ok(90_500_000_000));
        assert_eq!(nanoseconds("01:01:30"), Ok(3_690_000_000_000));
        for text in ["", "x", "-1", "1:x", "1:2:3:4", "1:-2:3"] {
            assert!(nanoseconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_begin_at_the_start() {
        let range = TimeRange { start: Some(2), end: Some(5) };
        assert_eq!([1, 2, 4, 5].map(|time| range.within(time)), [None, Some(0), Some(2), None]);
        assert_eq!(TimeRange::default().within(7), Some(7));
        assert_eq!(range.duration(Duration::from_nanos(4)), Duration::from_nanos(2));
    }
}
