//! A run in strips gives the picture of a whole run.

use gstupscale::{
    frame::Image,
    model::Model,
    native::{Engine, Options},
};

use crate::{
    bits::bits,
    graphs::{Numbers, everything, random},
    pictures::picture,
};

/// Runs a model with less and less memory.
#[track_caller]
fn strips_equal_whole_runs(model: &Model, width: usize, height: usize) {
    let input = picture(model.info.channels.count(), width, height);
    let mut engine = Engine::open(model, &Options::default()).unwrap();
    let mut whole = Image::default();
    engine.run(&input, &mut whole).unwrap();
    let all = engine.run_bytes(width as u32, height as u32);
    for share in [2, 3, 5, 1000] {
        engine.limit_memory(Some(all / share));
        let mut output = Image::default();
        engine.run(&input, &mut output).unwrap();
        assert!(bits(&output) == bits(&whole), "{width}x{height}, a {share}th of {all} bytes");
    }
}

#[test]
fn strips_equal_whole_runs_with_every_kind_of_layer() {
    strips_equal_whole_runs(&everything(), 26, 62);
    strips_equal_whole_runs(&everything(), 14, 214);
}

#[test]
fn strips_equal_whole_runs_of_the_built_in_models() {
    for name in ["builtin", "builtin-quality"] {
        strips_equal_whole_runs(&Model::open(name).unwrap(), 34, 250);
    }
}

#[test]
fn strips_equal_whole_runs_of_random_networks() {
    for seed in 0..6 {
        let mut numbers = Numbers::new(seed);
        strips_equal_whole_runs(&random(seed), numbers.between(1, 20), 150);
    }
}

#[test]
fn strips_keep_to_the_limit() {
    let model = Model::open("builtin").unwrap();
    let mut engine = Engine::open(&model, &Options::default()).unwrap();
    let whole = engine.working_bytes(320, 1080);
    assert_eq!(whole, engine.run_bytes(320, 1080));
    engine.limit_memory(Some(whole / 3));
    let limited = engine.working_bytes(320, 1080);
    assert!(limited <= whole / 3 && limited > whole / 8, "{limited} of {whole}");
}

#[test]
fn a_large_picture_runs_in_strips_without_a_limit_if_they_cost_little() {
    let engine = |name| Engine::open(&Model::open(name).unwrap(), &Options::default()).unwrap();
    let cheap = engine("builtin");
    let [whole, strips] = [cheap.run_bytes(8000, 6000), cheap.working_bytes(8000, 6000)];
    assert!(strips < whole / 3, "{strips} of {whole}");
    // A low picture has no strips that do not mostly compute what their neighbours do.
    let [whole, strips] = [cheap.run_bytes(1_000_000, 40), cheap.working_bytes(1_000_000, 40)];
    assert!(strips >= whole, "{strips} of {whole}");
}
