//! Choosing the scenes that a page shows: scenes with detail that differ from each other.

/// A frame that may stand for a scene, as luma samples of a small grid.
pub trait Look {
    /// How much the picture differs from another, 0 to 255.
    fn difference(&self, other: &Self) -> f64;

    /// How much there is to see: 0 for a plain picture.
    fn detail(&self) -> f64;
}

/// The indices of `count` of the candidates, in their order: first the one with the most detail, then
/// always the one that differs most from all that were chosen. Plain pictures, such as fades to black,
/// are taken last.
pub fn choose<T: Look>(candidates: &[T], count: usize) -> Vec<usize> {
    /// Detail below which a picture is plain.
    const PLAIN: f64 = 2.0;
    let mut chosen: Vec<usize> = Vec::new();
    while chosen.len() < count.min(candidates.len()) {
        let worth = |index: usize, candidate: &T| {
            let taken = chosen.iter().filter_map(|&other| candidates.get(other));
            let nearest = taken.map(|other| candidate.difference(other)).min_by(f64::total_cmp);
            let detail = candidate.detail();
            let shown = detail >= PLAIN;
            (!chosen.contains(&index)).then(|| (shown, nearest.unwrap_or(detail)))
        };
        let worths = candidates
            .iter()
            .enumerate()
            .filter_map(|(index, candidate)| worth(index, candidate).map(|worth| (worth, index)));
        let best = worths.max_by(|((shown, far), index), ((other, distance), second)| {
            shown.cmp(other).then(far.total_cmp(distance)).then(second.cmp(index))
        });
        let Some((_, index)) = best else { break };
        chosen.push(index);
    }
    chosen.sort_unstable();
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Gray(f64, f64);

    impl Look for Gray {
        fn difference(&self, other: &Self) -> f64 {
            (self.0 - other.0).abs()
        }

        fn detail(&self) -> f64 {
            self.1
        }
    }

    #[test]
    fn scenes_differ_and_plain_pictures_come_last() {
        let looks = [
            Gray(0.0, 0.0),
            Gray(100.0, 9.0),
            Gray(101.0, 8.0),
            Gray(200.0, 5.0),
            Gray(255.0, 0.5),
        ];
        assert_eq!(choose(&looks, 2), [1, 3]);
        assert_eq!(choose(&looks, 3), [1, 2, 3]);
        assert_eq!(choose(&looks, 4).len(), 4);
        assert_eq!(choose(&looks, 9), [0, 1, 2, 3, 4]);
        assert!(choose::<Gray>(&[], 3).is_empty());
    }
}
