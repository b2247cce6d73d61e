//! In what order places are computed again although they hardly changed.

use std::ops::Range;

/// The blocks, as columns and rows, that are due at frame `number` so that each is once in
/// `period` frames: rectangles as square as they can be, since every region costs its halo.
pub(super) fn due(
    number: u64,
    period: u32,
    columns: u32,
    rows: u32,
) -> Option<(Range<u32>, Range<u32>)> {
    let period = period.max(1);
    let down = (f64::from(period) * f64::from(rows) / f64::from(columns.max(1))).sqrt();
    let down = (down as u32).clamp(1, period.min(rows.max(1)));
    let across = (period / down).clamp(1, columns.max(1));
    let turn = (number % u64::from(period)) as u32;
    let part = |index: u32, of: u32, length: u32| {
        let at = |index: u32| (u64::from(index) * u64::from(length) / u64::from(of)) as u32;
        at(index)..at(index + 1)
    };
    (turn < across * down)
        .then(|| (part(turn % across, across, columns), part(turn / across, down, rows)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_is_due_once_in_a_period() {
        for (period, columns, rows) in
            [(250, 240, 135), (1, 5, 7), (7, 3, 2), (1000, 3, 2), (12, 1, 90)]
        {
            let mut times = vec![0; (columns * rows) as usize];
            for number in 0..u64::from(period) {
                if let Some((across, down)) = due(number, period, columns, rows) {
                    for row in down {
                        for column in across.clone() {
                            times[(row * columns + column) as usize] += 1;
                        }
                    }
                }
            }
            assert!(times.iter().all(|times| *times == 1), "{period} {columns}x{rows}");
        }
    }

    #[test]
    fn little_is_due_at_a_time_and_it_is_compact() {
        let (across, down) = due(100, 250, 240, 135).unwrap();
        assert!(across.len() <= 13 && down.len() <= 13, "{across:?} {down:?}");
    }
}
