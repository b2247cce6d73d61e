//! Opens models, and finds out by test runs what the analysis of an `.onnx` graph does not tell.
//!
//! - A graph with unknown operators runs at a few sizes: its factor, and the multiples that its
//!   sides must be, are those at which it runs and enlarges both sides alike. If it runs at one size
//!   only, it has that fixed size.
//! - What analysis claims about any other `.onnx` file is checked by one run.
//! - A grey picture must stay grey. If it turns black and the file does not state its range, the
//!   model takes values of 0..=255.

use crate::{
    engine::{Backend, EngineOptions, Error, Precision},
    frame::{Channels, Image},
    model::{self, Model, ModelInfo, OpenOptions, Opened, Untried},
    onnxruntime::{Trial, TrialOutput},
};

/// Multiples of sides, as strides and windows of networks need them.
const MULTIPLES: [u32; 17] = [1, 2, 4, 6, 7, 8, 10, 12, 14, 16, 20, 22, 24, 32, 48, 64, 128];

/// The smallest sides of pictures in two attempts, in pixels.
const SIDES: [u32; 2] = [40, 160];

/// The side of the picture that checks a claim.
const SMALLEST_SIDE: u32 = 16;

/// Sides of squares, in pixels, that are tried last: some exports run only at the size that was traced,
/// although their input claims any size.
const TRACED_SIDES: [u32; 6] = [64, 32, 48, 96, 128, 256];

/// Sides that are tried for the smallest picture that a model accepts, in pixels.
const SMALL_SIDES: [u32; 3] = [SMALLEST_SIDE, 32, 64];

/// The largest factor.
const MAX_FACTOR: i64 = 64;

/// The value of white that models take if it is not 1.
const WHITE: f32 = 255.0;

/// The grey of the test picture.
const GREY: f32 = 0.5;

/// Means of a grey picture's output: black, white, and grey.
const BLACK: f32 = 0.05;
const WHITISH: f32 = 0.95;
const GREYISH: std::ops::RangeInclusive<f32> = 0.3..=0.7;

/// Why runs do not tell the properties of a model.
#[derive(Debug, thiserror::Error)]
enum TrialError {
    #[error("a test run failed at every size that was tried ({0})")]
    NoSize(String),
    #[error("its output has the shape {0:?}, which is not that of an enlarged picture")]
    Output(Vec<i64>),
    #[error("it cannot be run to find out ({0})")]
    Session(Error),
}

/// Opens the model `name` as [`Model::open_with`] does. An `.onnx` model also runs on small
/// pictures, so that it need not be understood.
///
/// # Errors
/// See [`model::Error`].
pub fn open(name: &str, options: &OpenOptions) -> Result<Model, model::Error> {
    match Model::inspect(name, options, None)? {
        Opened::Known(model) => Ok(model),
        Opened::Untried(untried) => tried(untried),
        Opened::Claimed { model, states_range } => {
            // Without a session the analysis must do.
            let Ok(mut trial) = Trial::new(&model, &engine_options()) else { return Ok(model) };
            let model = checked(model, &mut |input| trial.run(input));
            if states_range {
                return Ok(model);
            }
            let grey = mean_of_grey(&model.info, &mut |input| trial.run(input));
            drop(trial);
            match grey {
                Some(mean) if !(BLACK..=WHITISH).contains(&mean) => {
                    Ok(in_bytes(name, options).unwrap_or(model))
                }
                _ => Ok(model),
            }
        }
    }
}

/// The model with values of 0..=255, if that keeps grey.
fn in_bytes(name: &str, options: &OpenOptions) -> Option<Model> {
    let mut model = Model::inspect(name, options, Some(WHITE)).ok()?.into_model().ok()?;
    let mut trial = Trial::new(&model, &engine_options()).ok()?;
    let mean = mean_of_grey(&model.info, &mut |input| trial.run(input))?;
    GREYISH.contains(&mean).then(|| {
        model.note = Some(
            "the model takes values of 0..255, as a test picture shows; `range = 255` in a .toml file next to it says so"
                .into(),
        );
        model
    })
}

fn engine_options() -> EngineOptions {
    EngineOptions {
        backend: Backend::Cpu,
        precision: Precision::Fp32,
        device_id: 0,
        threads: std::thread::available_parallelism().map_or(1, usize::from).min(4),
        cache_dir: EngineOptions::default_cache_dir(),
    }
}

/// Runs the model on a picture.
type Run<'a> = dyn FnMut(&Image) -> Result<TrialOutput, Error> + 'a;

/// The model with the properties that runs show.
fn tried(mut untried: Untried) -> Result<Model, model::Error> {
    let found = Trial::new(&untried.model, &engine_options())
        .map_err(TrialError::Session)
        .and_then(|mut trial| {
            let stated = (untried.factor, untried.multiple);
            properties(&untried.model.info, stated, &mut |input| trial.run(input))
        });
    match found {
        Ok(info) => {
            untried.model.info = info;
            Ok(untried.model)
        }
        // A stated factor is enough to try at the user's own size.
        Err(_) if untried.factor.is_some() => Opened::Untried(untried).into_model(),
        Err(error) => Err(untried.failed(&error.to_string())),
    }
}

/// The model, whose properties were confirmed by a run or replaced by those that runs show.
fn checked(mut model: Model, run: &mut Run<'_>) -> Model {
    let info = &model.info;
    let size = info.fixed_size.unwrap_or_else(|| {
        let side = |side: u32| side.max(info.min_side).next_multiple_of(info.align.max(1));
        (side(SMALLEST_SIDE + 1), side(SMALLEST_SIDE + 3))
    });
    let is_right = factor_at(size, info.channels, run).is_ok_and(|factor| factor == info.factor);
    if !is_right && let Ok(found) = properties(info, (None, None), run) {
        model.info = ModelInfo { halo: None, ..found };
    }
    model
}

/// The properties of a model that starts from cautious ones; `stated` are its factor and the
/// multiple of its sides, as far as they are known.
fn properties(
    info: &ModelInfo,
    (factor, multiple): (Option<u32>, Option<u32>),
    run: &mut Run<'_>,
) -> Result<ModelInfo, TrialError> {
    let matches = |found: u32| factor.is_none_or(|stated| stated == found);
    if let Some(size) = info.fixed_size {
        let factor = factor_at(size, info.channels, run)?;
        return Ok(ModelInfo { factor, ..info.clone() });
    }
    let listed: Vec<u32> = multiple.map_or_else(|| MULTIPLES.to_vec(), |multiple| vec![multiple]);
    let mut first = None;
    for &multiple in &listed {
        for least in SIDES {
            let sizes = sizes(multiple, least);
            let factors = sizes.map(|size| factor_at(size, info.channels, run));
            match factors {
                [Ok(one), Ok(two)] if one == two && matches(one) => {
                    let min_side = min_side(multiple, sizes, info.channels, one, run);
                    return Ok(ModelInfo {
                        factor: one,
                        align: multiple,
                        min_side,
                        ..info.clone()
                    });
                }
                [Err(error), _] | [_, Err(error)] => drop(first.get_or_insert(error)),
                _ => {}
            }
        }
    }
    let traced = TRACED_SIDES.into_iter().filter(|side| side % multiple.unwrap_or(1) == 0);
    for size in traced.map(|side| (side, side)) {
        if let Ok(factor) = factor_at(size, info.channels, run)
            && matches(factor)
        {
            return Ok(ModelInfo { factor, fixed_size: Some(size), ..info.clone() });
        }
    }
    Err(first.unwrap_or_else(|| TrialError::NoSize("no whole factor".into())))
}

/// Two sizes (width, height) whose sides are odd multiples of `multiple`, at least `least`.
fn sizes(multiple: u32, least: u32) -> [(u32, u32); 2] {
    let odd = least.div_ceil(multiple) | 1;
    [(odd, odd + 2), (odd + 4, odd)].map(|(width, height)| (width * multiple, height * multiple))
}

/// The smallest side, out of a few, at which the model runs.
fn min_side(
    multiple: u32,
    sizes: [(u32, u32); 2],
    channels: Channels,
    factor: u32,
    run: &mut Run<'_>,
) -> u32 {
    let largest = sizes.iter().map(|&(width, height)| width.min(height)).min();
    let largest = largest.unwrap_or(multiple);
    SMALL_SIDES
        .into_iter()
        .map(|side| side.next_multiple_of(multiple))
        .filter(|&side| side < largest)
        .find(|&side| factor_at((side, side), channels, run).is_ok_and(|found| found == factor))
        .unwrap_or(largest)
}

/// The factor by which the model enlarges a picture of this width and height.
fn factor_at(
    (width, height): (u32, u32),
    channels: Channels,
    run: &mut Run<'_>,
) -> Result<u32, TrialError> {
    let mut input = Image::new(channels.count(), width as usize, height as usize);
    let samples = input.data_mut().iter_mut().enumerate();
    samples.for_each(|(index, sample)| *sample = (index * 37 % 101) as f32 / 100.0);
    let output = run(&input).map_err(|error| TrialError::NoSize(error.to_string()))?;
    let &[1, count, rows, columns] = output.dims.as_slice() else {
        return Err(TrialError::Output(output.dims));
    };
    let (width, height) = (i64::from(width), i64::from(height));
    let factor = columns / width.max(1);
    let is_whole = count == channels.count() as i64
        && (1..=MAX_FACTOR).contains(&factor)
        && columns == factor * width
        && rows == factor * height;
    match u32::try_from(factor) {
        Ok(factor) if is_whole => Ok(factor),
        _ => Err(TrialError::Output(output.dims)),
    }
}

/// The mean of the output for a grey picture; `None` if the run fails.
fn mean_of_grey(info: &ModelInfo, run: &mut Run<'_>) -> Option<f32> {
    let side = SMALLEST_SIDE.max(info.min_side).next_multiple_of(info.align.max(1));
    let (width, height) = info.fixed_size.unwrap_or((side, side));
    let mut input = Image::new(info.channels.count(), width as usize, height as usize);
    input.data_mut().fill(GREY);
    let output = run(&input).ok()?;
    let sum: f64 = output.samples.iter().map(|&sample| f64::from(sample)).sum();
    (!output.samples.is_empty()).then(|| (sum / output.samples.len() as f64) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cautious() -> ModelInfo {
        ModelInfo {
            channels: Channels::Rgb,
            factor: 1,
            halo: None,
            align: 1,
            min_side: 1,
            fixed_size: None,
            batch: false,
            parameters: 0,
            macs_per_pixel: 0.0,
            peak_floats_per_pixel: 1024.0,
        }
    }

    /// A network that needs sides of at least `least` that are multiples of `multiple`.
    fn network(
        multiple: usize,
        least: usize,
        factor: usize,
    ) -> impl FnMut(&Image) -> Result<TrialOutput, Error> {
        move |input| {
            let sides = [input.height(), input.width()];
            if sides.iter().any(|side| side % multiple != 0 || *side < least) {
                let message = format!("cannot reshape {sides:?}");
                return Err(Error::Failed { task: "run the model", message });
            }
            let [rows, columns] = sides.map(|side| (side * factor) as i64);
            let dims = vec![1, input.channels() as i64, rows, columns];
            Ok(TrialOutput { dims, samples: Vec::new() })
        }
    }

    #[test]
    fn runs_find_the_factor_and_the_multiples_of_the_sides() {
        for (multiple, least, factor) in [(1, 1, 4), (8, 1, 2), (16, 64, 3), (64, 64, 2), (7, 1, 1)]
        {
            let mut run = network(multiple, least, factor);
            let info = properties(&cautious(), (None, None), &mut run).unwrap();
            let found = (info.factor as usize, info.align as usize);
            assert_eq!(found, (factor, multiple));
            assert!(info.min_side as usize >= least);
        }
    }

    #[test]
    fn a_stated_multiple_is_the_only_one_that_is_tried() {
        let mut run = network(36, 1, 2);
        assert!(properties(&cautious(), (None, None), &mut run).is_err());
        let info = properties(&cautious(), (None, Some(36)), &mut run).unwrap();
        assert_eq!((info.factor, info.align), (2, 36));
    }

    #[test]
    fn a_graph_with_the_traced_size_baked_in_has_that_fixed_size() {
        let mut run = |input: &Image| match (input.width(), input.height()) {
            (64, 64) => network(1, 1, 2)(input),
            _ => Err(Error::Failed { task: "run the model", message: "cannot reshape".into() }),
        };
        let info = properties(&cautious(), (None, None), &mut run).unwrap();
        assert_eq!((info.factor, info.fixed_size), (2, Some((64, 64))));
        assert!(properties(&cautious(), (Some(4), None), &mut run).is_err());
    }

    #[test]
    fn the_error_of_a_network_that_never_runs_quotes_the_first_run() {
        let mut run = network(1009, 1, 2);
        let error = properties(&cautious(), (None, None), &mut run).unwrap_err().to_string();
        assert!(error.contains("at every size") && error.contains("cannot reshape"), "{error}");
    }
}
