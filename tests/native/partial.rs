//! A run of what changed pixels reach gives the picture of a whole run.

use gstupscale::{
    engine::Tolerance,
    frame::{Image, Rect},
    model::Model,
    native::{Engine, Options, Precision},
};

use crate::{
    bits::bits,
    graphs::{Numbers, everything, random},
    incremental::change,
    pictures::{bright, picture},
};

/// Changes a picture several times. `strips`: how many times more memory than allowed a whole run
/// needs.
#[track_caller]
fn changed_parts_equal_whole_runs(
    model: &Model,
    mut input: Image,
    options: &Options,
    strips: Option<u64>,
) {
    let (width, height) = (input.width(), input.height());
    let mut engine = Engine::open(model, options).unwrap();
    let mut numbers = Numbers::new((width * height) as u32);
    let (mut whole, mut canvas) = (Image::default(), Image::default());
    engine.run(&input, &mut canvas).unwrap();
    let mut limited = Engine::open(model, options).unwrap();
    let all = limited.run_bytes(width as u32, height as u32);
    limited.limit_memory(strips.map(|share| all / share));
    for turn in 0..5 {
        let mut output = Image::new(canvas.channels(), canvas.width(), canvas.height());
        output.data_mut().fill(f32::NAN);
        let changed = change(&mut numbers, &mut input);
        let update = limited.run_changed(&input, &changed, &mut output).unwrap();
        engine.run(&input, &mut whole).unwrap();
        for rect in &update.changed {
            canvas.copy_from(&output, *rect, rect.x as usize, rect.y as usize);
        }
        assert!(bits(&canvas) == bits(&whole), "turn {turn} of {width}x{height}: {changed:?}");
        if changed.is_empty() {
            assert_eq!((update.work, update.changed.len()), (0.0, 0));
        }
    }
}

#[test]
fn changed_parts_equal_whole_runs_with_every_kind_of_layer() {
    changed_parts_equal_whole_runs(&everything(), picture(3, 42, 30), &Options::default(), None);
    let options = Options { threads: 2, ..Options::default() };
    changed_parts_equal_whole_runs(&everything(), picture(3, 26, 38), &options, None);
}

#[test]
fn changed_parts_equal_whole_runs_of_the_built_in_models() {
    for name in ["builtin", "builtin-quality"] {
        let model = Model::open(name).unwrap();
        let input = picture(model.info.channels.count(), 90, 50);
        changed_parts_equal_whole_runs(&model, input, &Options::default(), None);
    }
}

#[test]
fn changed_parts_equal_whole_runs_in_fixed_point() {
    let options = Options { precision: Precision::Int16, ..Options::default() };
    let model = Model::open("builtin").unwrap();
    changed_parts_equal_whole_runs(&model, picture(1, 58, 42), &options, None);
    changed_parts_equal_whole_runs(&model, bright(1, 58, 42), &options, None);
}

#[test]
fn changed_parts_equal_whole_runs_of_random_networks_and_sizes() {
    for seed in 0..12 {
        let mut numbers = Numbers::new(seed);
        let (width, height) = (numbers.between(1, 50), numbers.between(1, 40));
        let input = picture(3, width, height);
        changed_parts_equal_whole_runs(&random(seed), input, &Options::default(), None);
    }
}

#[test]
fn changed_parts_equal_whole_runs_in_strips() {
    let options = Options::default();
    for share in [2, 3, 1000] {
        let builtin = Model::open("builtin").unwrap();
        changed_parts_equal_whole_runs(&builtin, picture(1, 34, 250), &options, Some(share));
        changed_parts_equal_whole_runs(&everything(), picture(3, 26, 114), &options, Some(share));
    }
}

#[test]
fn a_small_change_costs_little_without_features() {
    let model = Model::open("builtin").unwrap();
    let mut engine = Engine::open(&model, &Options::default()).unwrap();
    let input = picture(1, 640, 480);
    let mut output = Image::default();
    let update = engine.run_changed(&input, &[Rect::new(80, 60, 1, 1)], &mut output).unwrap();
    assert!(update.work > 0.0 && update.work < 0.05, "{}", update.work);
}

#[test]
fn a_run_without_features_leaves_kept_features_as_they_are() {
    let model = Model::open("builtin").unwrap();
    let mut engine = Engine::open(&model, &Options::default()).unwrap();
    let input = picture(1, 64, 48);
    let (mut output, mut other) = (Image::default(), Image::default());
    engine.update(&input, &[], Tolerance::Exact, &mut output).unwrap();
    let changed = [Rect::new(0, 0, 64, 48)];
    engine.run_changed(&bright(1, 64, 48), &changed, &mut other).unwrap();
    let update = engine.update(&input, &changed, Tolerance::Exact, &mut other).unwrap();
    assert_eq!(update.work, 0.0);
}
