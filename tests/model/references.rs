//! Networks of many architectures against spandrel, for the folder that
//! `tests/data/architectures.py` wrote. Without `UPSCALE_REFERENCES` the small ones of the checkout.

use std::{collections::BTreeMap, env, fs, path::PathBuf};

use gstupscale::{
    backend,
    engine::{Backend, EngineOptions, Infer, Precision, Silent},
    frame::Image,
    model::Model,
};

/// The largest difference to the reference, relative to its largest value.
const TOLERANCE: f32 = 1e-4;

/// A file of expected numbers, and the width and height of its input.
type Reference = (PathBuf, (usize, usize));

fn folder() -> PathBuf {
    env::var_os("UPSCALE_REFERENCES").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/architectures"),
        PathBuf::from,
    )
}

/// Sample i is (37 i mod 101) / 100; at the right and the bottom reflected up to multiples of
/// `align`.
fn picture(channels: usize, (width, height): (usize, usize), align: usize) -> Image {
    let (full_width, full_height) = (width.next_multiple_of(align), height.next_multiple_of(align));
    let mut image = Image::new(channels, full_width, full_height);
    let reflect = |at: usize, side: usize| if at < side { at } else { 2 * side - 2 - at };
    for channel in 0..channels {
        for row in 0..full_height {
            for column in 0..full_width {
                let (y, x) = (reflect(row, height), reflect(column, width));
                let index = (channel * height + y) * width + x;
                image.row_mut(channel, row)[column] = (index * 37 % 101) as f32 / 100.0;
            }
        }
    }
    image
}

/// The largest difference between the top left of `output` and the file of numbers, and the
/// largest number.
fn difference(output: &Image, file: &PathBuf, (width, height): (usize, usize)) -> (f32, f32) {
    let bytes = fs::read(file).unwrap();
    let count = output.channels() * width * height;
    let numbers = bytes[bytes.len() - 4 * count..].as_chunks().0.iter();
    let expected: Vec<f32> = numbers.map(|&word| f32::from_le_bytes(word)).collect();
    let (mut worst, mut largest) = (0.0f32, 1.0f32);
    for (index, &value) in expected.iter().enumerate() {
        let (channel, row) = (index / (width * height), index / width % height);
        let actual = output.row(channel, row)[index % width];
        assert!(actual.is_finite());
        worst = worst.max((actual - value).abs());
        largest = largest.max(value.abs());
    }
    (worst, largest)
}

#[test]
fn networks_produce_spandrels_numbers_at_odd_sizes_and_in_regions_with_a_halo() {
    let files = fs::read_dir(folder()).expect("a folder of references");
    let mut models: BTreeMap<String, Vec<Reference>> = BTreeMap::new();
    for file in files {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let Some((name, size)) = name.strip_suffix(".npy").and_then(|stem| stem.split_once('.'))
        else {
            continue;
        };
        let (width, height) = size.split_once('x').unwrap();
        let size = (width.parse().unwrap(), height.parse().unwrap());
        models.entry(name.to_owned()).or_default().push((path, size));
    }
    let mut failed = Vec::new();
    for (name, references) in models {
        match compare(&name, &references) {
            Ok(row) => println!("{row}"),
            Err(error) => failed.push(format!("{name}: {error}")),
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// The largest side of a picture of which a part is computed by itself, in pixels.
const MAX_SIDE: usize = 480;

/// Whether a region with a halo of the model's size around it has the samples of the whole picture;
/// `None` for networks without a bounded halo, or with a large one.
fn region_equals_whole(model: &Model, engine: &mut dyn Infer) -> Result<Option<f32>, String> {
    let (factor, align) = (model.info.factor as usize, model.info.align as usize);
    let Some(halo) = model.info.halo else { return Ok(None) };
    let margin = (halo as usize).next_multiple_of(align);
    let side = 8usize.next_multiple_of(align);
    // Beyond the margin is what the region must not depend on.
    let whole_side = side + 2 * (margin + align.max(8));
    let whole_side = whole_side.next_multiple_of(align);
    if whole_side > MAX_SIDE {
        return Ok(None);
    }
    let whole = picture(model.info.channels.count(), (whole_side, whole_side), 1);
    let start = align.max(8).next_multiple_of(align);
    let part_side = side + 2 * margin;
    let mut part = Image::new(whole.channels(), part_side, part_side);
    for channel in 0..whole.channels() {
        for row in 0..part_side {
            let from = &whole.row(channel, start + row)[start..start + part_side];
            part.row_mut(channel, row).copy_from_slice(from);
        }
    }
    let (mut of_whole, mut of_part) = (Image::default(), Image::default());
    engine.run(&whole, &mut of_whole).map_err(|error| error.to_string())?;
    engine.run(&part, &mut of_part).map_err(|error| error.to_string())?;
    let mut worst = 0.0f32;
    for channel in 0..whole.channels() {
        for row in 0..side * factor {
            let at = |offset: usize| offset * factor..(offset + side) * factor;
            let expected =
                &of_whole.row(channel, (start + margin) * factor + row)[at(start + margin)];
            let actual = &of_part.row(channel, margin * factor + row)[at(margin)];
            let pairs = expected.iter().zip(actual);
            worst = pairs.map(|(a, b)| (a - b).abs()).fold(worst, f32::max);
        }
    }
    Ok(Some(worst))
}

fn compare(name: &str, references: &[Reference]) -> Result<String, String> {
    let path = folder().join(format!("{name}.pth"));
    let model = Model::open(path.to_str().unwrap()).map_err(|error| error.to_string())?;
    let options = EngineOptions {
        backend: Backend::Cpu,
        precision: Precision::Fp32,
        device_id: 0,
        threads: 1,
        cache_dir: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("references"),
    };
    let mut engine =
        backend::fastest_on_cpu(&model, &options, &Silent).map_err(|error| error.to_string())?;
    let (factor, align) = (model.info.factor as usize, model.info.align as usize);
    let mut row = format!("{name:28} x{factor} align {align:3} halo {:?}", model.info.halo);
    let mut scale = 1.0f32;
    for (file, (width, height)) in references {
        let input = picture(model.info.channels.count(), (*width, *height), align);
        let mut output = Image::default();
        engine.run(&input, &mut output).map_err(|error| error.to_string())?;
        let size = (width * factor, height * factor);
        let (worst, largest) = difference(&output, file, size);
        row += &format!("  {width}x{height}: {worst:.1e} of {largest:.1}");
        scale = scale.max(largest);
        if worst > TOLERANCE * largest {
            return Err(row);
        }
    }
    if let Some(worst) = region_equals_whole(&model, &mut engine)? {
        row += &format!("  region: {worst:.1e}");
        if worst > TOLERANCE * scale {
            return Err(row);
        }
    }
    Ok(row)
}
