//! What a whole film would take, from a few scenes, and which models are worth their time.

use std::time::Duration;

use super::candidate::Rendered;

/// Most flicker of a model that counts as steady, relative to Lanczos.
const STEADY: f64 = 2.0;

/// Of a method, for one input. Three numbers are the least, the mean and the most of the scenes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Estimate {
    /// Per frame, for enlarging.
    pub milliseconds: Option<[f64; 3]>,
    /// For the whole film: decoding, enlarging and encoding.
    pub seconds: Option<[f64; 3]>,
    /// Of the whole film.
    pub bytes: Option<[f64; 3]>,
    /// Relative to Lanczos.
    pub sharpness: Option<f64>,
    /// Relative to Lanczos.
    pub flicker: Option<f64>,
}

impl Estimate {
    /// For a film of `frames`, each of which takes `decoding` to decode.
    pub fn new(
        rendered: &Rendered,
        lanczos: &Rendered,
        frames: Option<u64>,
        decoding: Duration,
    ) -> Self {
        let seconds: Vec<f64> = rendered.enlarging.iter().map(Duration::as_secs_f64).collect();
        let others = decoding.as_secs_f64() + rendered.encoding.as_secs_f64();
        let whole = |per_frame: f64| frames.map(|frames| per_frame * frames as f64);
        let film = |per_frame: &[f64]| {
            spread(per_frame)?.map(whole).into_iter().collect::<Option<Vec<_>>>()?.try_into().ok()
        };
        let total: Vec<f64> = seconds.iter().map(|seconds| seconds + others).collect();
        let ratio = |own: f64, other: f64| (other > 0.0).then(|| own / other);
        Self {
            milliseconds: spread(&seconds).map(|all| all.map(|seconds| seconds * 1e3)),
            seconds: film(&total),
            bytes: film(&rendered.bytes),
            sharpness: ratio(rendered.sharpness, lanczos.sharpness),
            flicker: rendered
                .flicker
                .zip(lanczos.flicker)
                .and_then(|(own, other)| ratio(own, other)),
        }
    }

    fn is_steady(&self) -> bool {
        self.flicker.is_none_or(|flicker| flicker <= STEADY)
    }

    fn gain(&self) -> f64 {
        self.sharpness.map_or(0.0, |sharpness| sharpness - 1.0)
    }

    fn cost(&self) -> f64 {
        self.milliseconds.map_or(f64::INFINITY, |[_, mean, _]| mean)
    }
}

/// The least, the mean and the most.
fn spread(values: &[f64]) -> Option<[f64; 3]> {
    let least = values.iter().copied().min_by(f64::total_cmp)?;
    let most = values.iter().copied().max_by(f64::total_cmp)?;
    Some([least, values.iter().sum::<f64>() / values.len() as f64, most])
}

/// Which two models are best, with the reason: the sharpest of those that do not flicker, and
/// the one of the others that gains the most sharpness for its time.
pub fn advice(models: &[(&str, Estimate)]) -> Vec<(usize, String)> {
    let candidates = || models.iter().enumerate();
    let steady = candidates().filter(|(_, (_, it))| it.is_steady());
    let sharpest = steady.max_by(|(_, (_, a)), (_, (_, b))| a.gain().total_cmp(&b.gain()));
    let calmest = || {
        let flicker = |it: &Estimate| it.flicker.unwrap_or(f64::INFINITY);
        candidates().min_by(|(_, (_, a)), (_, (_, b))| flicker(a).total_cmp(&flicker(b)))
    };
    let Some((first, (name, best))) = sharpest.or_else(calmest) else { return Vec::new() };
    let times =
        |value: Option<f64>| value.map_or("an unknown".into(), |it| format!("{it:.2} times the"));
    let mut all = vec![(
        first,
        if best.is_steady() {
            format!(
                "{name} is the sharpest of the steady models: {} sharpness of Lanczos",
                times(best.sharpness)
            )
        } else {
            format!(
                "{name} flickers least of the models: {} flicker of Lanczos",
                times(best.flicker)
            )
        },
    )];
    let worth = |it: &Estimate| it.gain().max(0.0) / it.cost();
    let others = candidates().filter(|&(index, (_, it))| index != first && it.is_steady());
    let quick = others.max_by(|(_, (_, a)), (_, (_, b))| worth(a).total_cmp(&worth(b)));
    if let Some((index, (name, quick))) = quick {
        let speed = best.cost() / quick.cost();
        let sharpness = format!("{} sharpness of Lanczos", times(quick.sharpness));
        let text = match speed {
            9.5.. => format!("{name} is {speed:.0} times as fast: {sharpness}"),
            1.1.. => format!("{name} is {speed:.1} times as fast: {sharpness}"),
            _ => format!("{name} comes next: {sharpness}"),
        };
        all.push((index, text));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(sharpness: f64, flicker: f64, milliseconds: f64) -> Estimate {
        Estimate {
            sharpness: Some(sharpness),
            flicker: Some(flicker),
            milliseconds: Some([milliseconds; 3]),
            ..Estimate::default()
        }
    }

    #[test]
    fn the_steadily_sharpest_model_is_first_and_the_one_worth_its_time_second() {
        let models = [
            ("quick", estimate(1.2, 1.0, 10.0)),
            ("sharp", estimate(1.4, 1.1, 200.0)),
            ("restless", estimate(1.9, 4.0, 100.0)),
            ("slow", estimate(1.3, 1.0, 900.0)),
        ];
        let found = advice(&models);
        assert_eq!(found.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1, 0]);
        assert!(found[0].1.contains("1.40 times the sharpness"), "{found:?}");
        assert!(found[1].1.contains("20 times as fast"), "{found:?}");
    }

    #[test]
    fn where_all_models_flicker_the_calmest_is_advised() {
        let found = advice(&[("a", estimate(1.5, 5.0, 1.0)), ("b", estimate(1.2, 3.0, 1.0))]);
        assert_eq!(found.len(), 1);
        assert!(found[0].1.starts_with("b flickers least"), "{found:?}");
        assert!(advice(&[]).is_empty());
    }

    #[test]
    fn a_film_takes_its_frames_times_what_a_frame_takes() {
        let rendered = |sharpness, milliseconds: &[u64], bytes: &[f64]| Rendered {
            engine: String::new(),
            scenes: Vec::new(),
            enlarging: milliseconds.iter().map(|it| Duration::from_millis(*it)).collect(),
            encoding: Duration::from_millis(20),
            bytes: bytes.to_vec(),
            sharpness,
            flicker: None,
        };
        let (lanczos, model) =
            (rendered(2.0, &[5], &[100.0]), rendered(3.0, &[70, 90], &[1e3, 3e3]));
        let found = Estimate::new(&model, &lanczos, Some(1000), Duration::from_millis(10));
        assert_eq!(found.milliseconds, Some([70.0, 80.0, 90.0]));
        let seconds = found.seconds.unwrap().map(|seconds| (seconds * 1e6).round() / 1e6);
        assert_eq!(seconds, [100.0, 110.0, 120.0]);
        assert_eq!(found.bytes, Some([1e6, 2e6, 3e6]));
        assert_eq!((found.sharpness, found.flicker), (Some(1.5), None));
        let picture = Estimate::new(&model, &lanczos, None, Duration::ZERO);
        assert_eq!((picture.seconds, picture.bytes), (None, None));
    }
}
