//! Every number of threads, batch size and instruction set gives the same bits.

use gstupscale::{
    frame::Image,
    model::Model,
    native::{Engine, InstructionSet, Options, Precision},
};

use crate::{
    graphs::{Numbers, everything, grouped, random, reduced},
    pictures::{bright, picture},
};

pub fn bits(image: &Image) -> Vec<u32> {
    image.data().iter().map(|sample| sample.to_bits()).collect()
}

fn run(model: &Model, options: &Options, input: &Image) -> Vec<u32> {
    let mut engine = Engine::open(model, options).unwrap();
    if let Some(set) = options.instruction_set {
        assert_eq!(engine.instruction_set(), set.name());
    }
    let mut output = Image::default();
    engine.run(input, &mut output).unwrap();
    bits(&output)
}

fn sets_agree(model: &Model, input: &Image) {
    let with = |set| Options { instruction_set: Some(set), ..Options::default() };
    let expected = run(model, &with(InstructionSet::Portable), input);
    for set in InstructionSet::available() {
        let found = run(model, &with(set), input);
        assert!(found == expected, "{} and portable differ", set.name());
    }
}

#[test]
fn instruction_sets_give_the_same_bits_of_every_kind_of_layer() {
    sets_agree(&everything(), &picture(3, 22, 14));
    sets_agree(&grouped(), &picture(3, 22, 14));
    sets_agree(&reduced("cubic", 2), &picture(3, 22, 14));
    sets_agree(&Model::open("builtin").unwrap(), &picture(1, 26, 18));
}

#[test]
fn instruction_sets_give_the_same_bits_of_random_networks_and_sizes() {
    for seed in 0..6 {
        let mut numbers = Numbers::new(seed);
        let (width, height) = (numbers.between(1, 30), numbers.between(1, 20));
        sets_agree(&random(seed), &picture(3, width, height));
    }
}

#[test]
fn instruction_sets_give_the_same_bits_in_fixed_point() {
    let model = Model::open("builtin").unwrap();
    let with = |set| Options {
        instruction_set: Some(set),
        precision: Precision::Int16,
        ..Options::default()
    };
    for input in [picture(1, 34, 22), bright(1, 34, 22)] {
        let expected = run(&model, &with(InstructionSet::Portable), &input);
        assert!(expected != run(&model, &Options::default(), &input), "it is not fixed point");
        for set in InstructionSet::available() {
            let found = run(&model, &with(set), &input);
            assert!(found == expected, "{} and portable differ", set.name());
        }
    }
}

#[test]
fn threads_give_the_same_bits() {
    for (model, channels) in [(everything(), 3), (Model::open("builtin").unwrap(), 1)] {
        let input = picture(channels, 130, 74);
        let with = |threads| Options { threads, ..Options::default() };
        let expected = run(&model, &with(1), &input);
        for threads in [2, 3] {
            assert!(run(&model, &with(threads), &input) == expected, "{threads} threads");
        }
    }
}

#[test]
fn a_second_run_gives_the_same_bits_whatever_ran_between() {
    let model = everything();
    let mut engine = Engine::open(&model, &Options::default()).unwrap();
    let input = picture(3, 30, 26);
    let (mut first, mut other, mut second) = Default::default();
    engine.run(&input, &mut first).unwrap();
    engine.run(&picture(3, 46, 10), &mut other).unwrap();
    engine.run(&input, &mut second).unwrap();
    assert!(bits(&first) == bits(&second));
}

#[test]
fn features_take_the_memory_of_their_layers() {
    // 48 channels at half the size are three vectors. A run has two layers of them at once; an
    // update keeps four and the vector that is added at the end.
    let engine = Engine::open(&Model::open("builtin").unwrap(), &Options::default()).unwrap();
    let (plane, input) = (320 * 180 * 64, 640 * 360 * 4);
    assert_eq!(engine.run_bytes(640, 360), 6 * plane);
    assert_eq!(engine.feature_bytes(640, 360), 13 * plane + input);
}
