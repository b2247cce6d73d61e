//! An update gives the picture of a whole run.

use gstupscale::{
    engine::{Interrupt, Tolerance},
    frame::{Image, Rect},
    model::Model,
    native::{Engine, Error, Options, Precision},
};

use crate::{
    bits::bits,
    common::engine::psnr,
    graphs::{Numbers, everything, random},
    pictures::{bright, picture},
};

/// Changes some rectangles of a picture.
pub fn change(numbers: &mut Numbers, image: &mut Image) -> Vec<Rect> {
    let (width, height) = (image.width(), image.height());
    let count = numbers.between(0, 4);
    let rectangles: Vec<Rect> = (0..count)
        .map(|_| {
            let (x, y) = (numbers.between(0, width), numbers.between(0, height));
            let right = numbers.between(x, width.min(x + 6)) + 1;
            let bottom = numbers.between(y, height.min(y + 6)) + 1;
            Rect::new(x as u32, y as u32, (right - x) as u32, (bottom - y) as u32)
        })
        .collect();
    for rectangle in &rectangles {
        for channel in 0..image.channels() {
            for y in rectangle.y..rectangle.y + rectangle.height {
                let row = image.row_mut(channel, y as usize);
                let row = row.iter_mut().skip(rectangle.x as usize);
                for sample in row.take(rectangle.width as usize) {
                    // Some rectangles keep their contents.
                    if numbers.between(0, 3) > 0 {
                        *sample = numbers.fraction() + 0.5;
                    }
                }
            }
        }
    }
    rectangles
}

#[track_caller]
fn updates_equal_whole_runs(model: &Model, width: usize, height: usize, options: &Options) {
    let input = picture(model.info.channels.count(), width, height);
    updates_of_a_picture_equal_whole_runs(model, input, options);
}

#[track_caller]
fn updates_of_a_picture_equal_whole_runs(model: &Model, input: Image, options: &Options) {
    let (width, height) = (input.width(), input.height());
    let (columns, rows) = (width as u32, height as u32);
    let all = Engine::open(model, options).unwrap().feature_bytes(columns, rows);
    for share in [1, 2, 3, 5] {
        let mut engine = Engine::open(model, options).unwrap();
        if engine.keep_features(columns, rows, all / share).is_some() {
            updates_equal_runs(engine, input.clone());
        } else {
            assert!(share > 1);
        }
    }
}

/// Changes a picture several times.
#[track_caller]
fn updates_equal_runs(mut engine: Engine, mut input: Image) {
    let (width, height) = (input.width(), input.height());
    let mut numbers = Numbers::new((width * height) as u32);
    let (mut whole, mut canvas) = (Image::default(), Image::default());
    let update = engine.update(&input, &[], Tolerance::Exact, &mut canvas).unwrap();
    assert_eq!(update.work, 1.0);
    for turn in 0..5 {
        // What an update does not write is undefined.
        let mut output = Image::new(canvas.channels(), canvas.width(), canvas.height());
        output.data_mut().fill(f32::NAN);
        let changed = change(&mut numbers, &mut input);
        let update = engine.update(&input, &changed, Tolerance::Exact, &mut output).unwrap();
        engine.run(&input, &mut whole).unwrap();
        for rectangle in &update.changed {
            let (x, y) = (rectangle.x as usize, rectangle.y as usize);
            canvas.copy_from(&output, *rectangle, x, y);
        }
        assert!(bits(&canvas) == bits(&whole), "turn {turn} of {width}x{height}: {changed:?}");
        if changed.is_empty() {
            assert_eq!((update.work, update.changed.len()), (0.0, 0));
        }
    }
}

#[test]
fn updates_equal_whole_runs_with_every_kind_of_layer() {
    updates_equal_whole_runs(&everything(), 42, 30, &Options::default());
    updates_equal_whole_runs(&everything(), 26, 38, &Options { threads: 2, ..Options::default() });
}

#[test]
fn updates_equal_whole_runs_of_the_built_in_models() {
    updates_equal_whole_runs(&Model::open("builtin").unwrap(), 90, 50, &Options::default());
}

#[test]
fn updates_equal_whole_runs_in_fixed_point() {
    let options = Options { precision: Precision::Int16, ..Options::default() };
    let model = Model::open("builtin").unwrap();
    updates_equal_whole_runs(&model, 58, 42, &options);
    updates_of_a_picture_equal_whole_runs(&model, bright(1, 58, 42), &options);
}

#[test]
fn updates_equal_whole_runs_of_random_networks_and_sizes() {
    for seed in 0..6 {
        let mut numbers = Numbers::new(seed);
        let (width, height) = (numbers.between(1, 50), numbers.between(1, 40));
        updates_equal_whole_runs(&random(seed), width, height, &Options::default());
    }
}

#[test]
fn a_small_change_costs_little() {
    let model = Model::open("builtin").unwrap();
    let mut engine = Engine::open(&model, &Options::default()).unwrap();
    let mut input = picture(1, 160, 120);
    let mut output = Image::default();
    engine.update(&input, &[], Tolerance::Exact, &mut output).unwrap();
    input.row_mut(0, 60)[80] += 0.25;
    let changed = [Rect::new(80, 60, 1, 1)];
    let update = engine.update(&input, &changed, Tolerance::Exact, &mut output).unwrap();
    assert!(update.work < 0.05, "{}", update.work);
}

#[test]
fn another_size_is_a_whole_run() {
    let model = Model::open("builtin").unwrap();
    let mut engine = Engine::open(&model, &Options::default()).unwrap();
    let mut output = Image::default();
    let update = |engine: &mut Engine, input: &Image, output: &mut Image| {
        engine.update(input, &[], Tolerance::Exact, output).unwrap().work
    };
    let (small, large) = (picture(1, 16, 12), picture(1, 24, 12));
    assert_eq!(update(&mut engine, &small, &mut output), 1.0);
    assert_eq!(update(&mut engine, &small, &mut output), 0.0);
    assert_eq!(update(&mut engine, &large, &mut output), 1.0);
    assert_eq!(update(&mut engine, &large, &mut Image::default()), 0.0);
    engine.forget();
    assert_eq!(update(&mut engine, &large, &mut output), 1.0);
}

#[test]
fn a_tolerant_update_stays_near_and_does_less() {
    let model = Model::open("builtin").unwrap();
    let mut exact = Engine::open(&model, &Options::default()).unwrap();
    let mut tolerant = Engine::open(&model, &Options::default()).unwrap();
    let mut input = picture(1, 96, 64);
    let (mut expected, mut output) = (Image::default(), Image::default());
    let mut numbers = Numbers::new(3);
    let mut work = [0.0; 2];
    let tolerance = Tolerance::Within { share: 1.0 / 256.0, refresh: 250 };
    exact.update(&input, &[], Tolerance::Exact, &mut expected).unwrap();
    tolerant.update(&input, &[], tolerance, &mut output).unwrap();
    for turn in 0..12 {
        let changed = [Rect::new(turn * 5, turn * 3, 12, 8)];
        for y in changed[0].y..changed[0].y + 8 {
            let row = input.row_mut(0, y as usize);
            for sample in &mut row[changed[0].x as usize..][..12] {
                *sample += numbers.fraction() * 0.02;
            }
        }
        work[0] += exact.update(&input, &changed, Tolerance::Exact, &mut expected).unwrap().work;
        work[1] += tolerant.update(&input, &changed, tolerance, &mut output).unwrap().work;
        let db = psnr(output.data(), expected.data());
        assert!(db >= 50.0, "turn {turn}: {db} dB");
    }
    assert!(work[1] < work[0] * 0.95, "{work:?}");
}

#[test]
fn an_interrupted_update_fails_and_the_next_one_computes_everything() {
    let model = Model::open("builtin").unwrap();
    let mut engine = Engine::open(&model, &Options::default()).unwrap();
    let (first, second) = (picture(1, 40, 32), Image::new(1, 40, 32));
    let (mut output, mut expected) = (Image::default(), Image::default());
    engine.update(&first, &[], Tolerance::Exact, &mut output).unwrap();
    let interrupt = Interrupt::default();
    interrupt.raise();
    interrupt.enter(|| {
        let update =
            engine.update(&second, &[Rect::new(0, 0, 40, 32)], Tolerance::Exact, &mut output);
        assert!(matches!(update, Err(Error::Cancelled)), "{update:?}");
        let run = engine.run(&second, &mut expected);
        assert!(matches!(run, Err(Error::Cancelled)), "{run:?}");
    });
    let update = engine.update(&second, &[], Tolerance::Exact, &mut output).unwrap();
    engine.run(&second, &mut expected).unwrap();
    assert_eq!(update.work, 1.0);
    assert!(bits(&output) == bits(&expected));
}

/// Changes every sample a little.
fn flicker(numbers: &mut Numbers, image: &mut Image, amount: f32) {
    image.data_mut().iter_mut().for_each(|sample| *sample += numbers.fraction() * amount);
}

#[test]
fn a_tolerant_update_without_tolerance_or_with_a_refresh_of_one_is_exact() {
    let model = Model::open("builtin").unwrap();
    let exact = [
        Tolerance::Within { share: 0.0, refresh: 250 },
        Tolerance::Within { share: 1.0 / 256.0, refresh: 1 },
        Tolerance::Within { share: 1.0 / 256.0, refresh: 0 },
    ];
    for tolerance in exact {
        let mut engine = Engine::open(&model, &Options::default()).unwrap();
        let mut numbers = Numbers::new(5);
        let mut input = picture(1, 50, 34);
        let (mut whole, mut output) = (Image::default(), Image::default());
        let all = [Rect::new(0, 0, 50, 34)];
        for turn in 0..4 {
            engine.update(&input, &all, tolerance, &mut output).unwrap();
            engine.run(&input, &mut whole).unwrap();
            assert!(bits(&output) == bits(&whole), "turn {turn}, {tolerance:?}");
            flicker(&mut numbers, &mut input, 0.004);
        }
    }
}

#[test]
fn an_exact_update_after_tolerant_ones_equals_a_whole_run() {
    let model = Model::open("builtin").unwrap();
    let mut engine = Engine::open(&model, &Options::default()).unwrap();
    let mut numbers = Numbers::new(6);
    let mut input = picture(1, 50, 34);
    let (mut whole, mut output) = (Image::default(), Image::default());
    let all = [Rect::new(0, 0, 50, 34)];
    let tolerance = Tolerance::Within { share: 1.0 / 64.0, refresh: 250 };
    for _ in 0..5 {
        engine.update(&input, &all, tolerance, &mut output).unwrap();
        flicker(&mut numbers, &mut input, 0.004);
    }
    engine.run(&input, &mut whole).unwrap();
    engine.update(&input, &all, Tolerance::Exact, &mut output).unwrap();
    assert!(bits(&output) == bits(&whole));
    let update = engine.update(&input, &all, Tolerance::Exact, &mut output).unwrap();
    assert_eq!((update.work, update.changed.len()), (0.0, 0));
}

#[test]
fn a_still_picture_becomes_exact_within_a_few_refresh_periods() {
    let model = Model::open("builtin").unwrap();
    let mut engine = Engine::open(&model, &Options::default()).unwrap();
    let mut numbers = Numbers::new(7);
    let mut input = picture(1, 50, 34);
    let (mut whole, mut output) = (Image::default(), Image::default());
    let refresh = 6;
    let tolerance = Tolerance::Within { share: 1.0 / 64.0, refresh };
    for _ in 0..4 {
        engine.update(&input, &[Rect::new(0, 0, 50, 34)], tolerance, &mut output).unwrap();
        flicker(&mut numbers, &mut input, 0.004);
    }
    engine.update(&input, &[Rect::new(0, 0, 50, 34)], tolerance, &mut output).unwrap();
    engine.run(&input, &mut whole).unwrap();
    assert!(bits(&output) != bits(&whole), "nothing was tolerated");
    for _ in 0..8 * refresh {
        engine.update(&input, &[], tolerance, &mut output).unwrap();
    }
    assert!(bits(&output) == bits(&whole));
}
