//! Extending pictures by reflection, for models that require more pixels than a frame has.

/// The position that continues a row of `length` samples at `at` by endless reflection; its first
/// and last samples are not repeated.
pub(super) fn reflected(at: usize, length: usize) -> usize {
    let last = length.saturating_sub(1);
    if last == 0 {
        return 0;
    }
    let at = at % (2 * last);
    if at > last { 2 * last - at } else { at }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reflection_continues_without_repeating_the_border() {
        let positions: Vec<_> = (0..9).map(|at| reflected(at, 3)).collect();
        assert_eq!(positions, [0, 1, 2, 1, 0, 1, 2, 1, 0]);
        assert_eq!(reflected(5, 1), 0);
    }
}
