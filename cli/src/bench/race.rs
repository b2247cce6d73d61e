//! Contenders that take turns, so that what else goes on in the machine meets all of them.

use std::{
    error::Error,
    time::{Duration, Instant},
};

/// Turns that each contender has in the time there is.
const TURNS: u32 = 5;

/// Takes frame after frame.
pub trait Contender {
    /// Takes the next frame; it need not be done with it.
    ///
    /// # Errors
    /// Why it cannot go on.
    fn step(&mut self) -> Result<(), Box<dyn Error>>;

    /// Waits for the frames that it has taken.
    fn drain(&mut self) {}
}

/// Frames per second of each: the medians of its turns. All of them together take about
/// `seconds` each, and at least one frame.
///
/// # Errors
/// Why one of them cannot go on.
pub fn race<const N: usize>(
    mut contenders: [&mut dyn Contender; N],
    seconds: f64,
) -> Result<[f64; N], Box<dyn Error>> {
    // Also not a number.
    let seconds = if seconds > 0.0 { seconds.min(3600.0) } else { 0.0 };
    let turn = Duration::from_secs_f64(seconds / f64::from(TURNS));
    // The first frames set things up.
    for contender in &mut contenders {
        contender.step()?;
        contender.drain();
    }
    let mut rates = [const { Vec::new() }; N];
    let start = Instant::now();
    for round in 0..TURNS {
        for (contender, rates) in contenders.iter_mut().zip(&mut rates) {
            rates.push(take_turn(&mut **contender, turn)?);
        }
        // Where a frame takes longer than a turn, there are fewer of them.
        let spent = start.elapsed().as_secs_f64() / f64::from(round + 1);
        if start.elapsed().as_secs_f64() + spent > seconds * N as f64 * 1.2 {
            break;
        }
    }
    Ok(rates.map(median))
}

fn take_turn(contender: &mut dyn Contender, turn: Duration) -> Result<f64, Box<dyn Error>> {
    let start = Instant::now();
    let mut frames = 0u32;
    while frames == 0 || start.elapsed() < turn {
        contender.step()?;
        frames += 1;
    }
    contender.drain();
    Ok(f64::from(frames) / start.elapsed().as_secs_f64())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sleeper {
        milliseconds: u64,
        frames: u32,
    }

    impl Contender for Sleeper {
        fn step(&mut self) -> Result<(), Box<dyn Error>> {
            self.frames += 1;
            std::thread::sleep(Duration::from_millis(self.milliseconds));
            Ok(())
        }
    }

    #[test]
    fn the_slower_one_has_fewer_frames_a_second() {
        let mut slow = Sleeper { milliseconds: 8, frames: 0 };
        let mut fast = Sleeper { milliseconds: 1, frames: 0 };
        let [a, b] = race([&mut slow, &mut fast], 0.1).unwrap();
        assert!(a < b && a < 126.0, "{a} {b}");
        assert!(fast.frames > slow.frames);
    }

    #[test]
    fn a_frame_that_takes_longer_than_the_time_is_measured_once() {
        let mut slow = Sleeper { milliseconds: 30, frames: 0 };
        let [rate] = race([&mut slow], 0.0).unwrap();
        assert!(rate > 0.0 && rate < 34.0, "{rate}");
        assert_eq!(slow.frames, 2);
    }

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median(vec![9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(Vec::new()), 0.0);
    }
}
