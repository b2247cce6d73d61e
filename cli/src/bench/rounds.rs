//! Measures workloads in turns, so that other load on the machine affects all of them alike.

use std::time::{Duration, Instant};

use crate::error::Error;

/// The number of turns per workload.
const TURNS: u32 = 5;

/// Processes frame after frame.
pub trait Workload {
    /// Starts the next frame. It may still be in progress on return.
    ///
    /// # Errors
    /// The frame cannot be processed.
    fn step(&mut self) -> Result<(), Error>;

    /// Waits until every started frame is complete.
    fn drain(&mut self) {}
}

/// Frames per second of each workload: the median of its turns. Measures each for about `time` and
/// for at least one frame.
///
/// # Errors
/// The first error of a workload.
pub fn measure<const N: usize>(
    mut workloads: [&mut dyn Workload; N],
    time: Duration,
) -> Result<[f64; N], Error> {
    let turn = time / TURNS;
    // The first frames allocate and compile.
    for workload in &mut workloads {
        workload.step()?;
        workload.drain();
    }
    let mut rates = [const { Vec::new() }; N];
    let start = Instant::now();
    for round in 0..TURNS {
        for (workload, rates) in workloads.iter_mut().zip(&mut rates) {
            rates.push(take_turn(&mut **workload, turn)?);
        }
        // If a frame takes longer than a turn, there are fewer turns.
        let spent = start.elapsed().as_secs_f64() / f64::from(round + 1);
        if start.elapsed().as_secs_f64() + spent > time.as_secs_f64() * N as f64 * 1.2 {
            break;
        }
    }
    Ok(rates.map(median))
}

/// Frames per second over the time `turn`.
fn take_turn(workload: &mut dyn Workload, turn: Duration) -> Result<f64, Error> {
    let start = Instant::now();
    let mut frames = 0u32;
    while frames == 0 || start.elapsed() < turn {
        workload.step()?;
        frames += 1;
    }
    workload.drain();
    Ok(f64::from(frames) / start.elapsed().as_secs_f64())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sleep {
        time: Duration,
        frames: u32,
    }

    impl Sleep {
        fn new(milliseconds: u64) -> Self {
            Self { time: Duration::from_millis(milliseconds), frames: 0 }
        }
    }

    impl Workload for Sleep {
        fn step(&mut self) -> Result<(), Error> {
            self.frames += 1;
            std::thread::sleep(self.time);
            Ok(())
        }
    }

    // A sleep takes at least its time, so that rates have an upper limit on any machine.
    #[test]
    fn a_rate_is_in_frames_per_second() {
        let (mut slow, mut fast) = (Sleep::new(8), Sleep::new(1));
        let [slow_rate, fast_rate] =
            measure([&mut slow, &mut fast], Duration::from_millis(100)).unwrap();
        assert!(slow_rate > 0.0 && slow_rate <= 125.0, "{slow_rate}");
        assert!(fast_rate > 0.0 && fast_rate <= 1000.0, "{fast_rate}");
    }

    #[test]
    fn a_frame_longer_than_the_time_is_measured_once() {
        let mut slow = Sleep::new(30);
        measure([&mut slow], Duration::ZERO).unwrap();
        assert_eq!(slow.frames, 2, "one to start and one to measure");
    }

    #[test]
    fn the_median_is_the_middle_value() {
        assert_eq!(median(vec![9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(Vec::new()), 0.0);
    }
}
