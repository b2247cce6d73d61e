//! The order in which blocks are refreshed although they hardly changed.

use std::ops::Range;

/// The columns and rows of the blocks that are due at frame `number`, so that each block of a frame
/// is due once in `period` frames. The blocks form rectangles that are as square as possible,
/// because every region costs its halo.
pub(super) fn due(
    number: u64,
    period: u32,
    columns: u32,
    rows: u32,
) -> Option<(Range<u32>, Range<u32>)> {
    let period = period.max(1);
    let vertical = (f64::from(period) * f64::from(rows) / f64::from(columns.max(1))).sqrt();
    let vertical = (vertical as u32).clamp(1, period.min(rows.max(1)));
    let horizontal = (period / vertical).clamp(1, columns.max(1));
    let turn = (number % u64::from(period)) as u32;
    let part = |index: u32, count: u32, length: u32| {
        let at = |index: u32| (u64::from(index) * u64::from(length) / u64::from(count)) as u32;
        at(index)..at(index + 1)
    };
    (turn < horizontal * vertical).then(|| {
        (part(turn % horizontal, horizontal, columns), part(turn / horizontal, vertical, rows))
    })
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
                if let Some((x, y)) = due(number, period, columns, rows) {
                    for row in y {
                        for column in x.clone() {
                            times[(row * columns + column) as usize] += 1;
                        }
                    }
                }
            }
            assert!(times.iter().all(|times| *times == 1), "{period} {columns}x{rows}");
        }
    }

    #[test]
    fn few_blocks_are_due_at_a_time_and_they_are_close_together() {
        let (x, y) = due(100, 250, 240, 135).unwrap();
        assert!(x.len() <= 13 && y.len() <= 13, "{x:?} {y:?}");
    }
}
