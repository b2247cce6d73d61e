//! Running models on the CPU, and comparing pictures.

use std::path::{Path, PathBuf};

use gstupscale::{
    backend,
    engine::{Backend, EngineOptions, Infer, Precision, Silent},
    frame::Image,
    model::Model,
};

/// Opens the model at `path` and runs it on `input`, on the CPU in fp32.
#[track_caller]
pub fn run(path: &Path, input: &Image) -> (Model, Image) {
    let model = Model::open(path.to_str().expect("a UTF-8 path")).expect("the model opens");
    let options = EngineOptions {
        backend: Backend::Cpu,
        precision: Precision::Fp32,
        device_id: 0,
        threads: 1,
        cache_dir: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("readers"),
    };
    let mut engine = backend::fastest_on_cpu(&model, &options, &Silent).expect("the engine loads");
    let mut output = Image::default();
    engine.run(input, &mut output).expect("the model runs");
    (model, output)
}

/// Reads a picture as R′G′B′ in 0..1.
pub fn read_png(path: &Path) -> Image {
    let picture = image::open(path).expect("a picture").to_rgb8();
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let mut image = Image::new(3, width, height);
    for channel in 0..3 {
        let samples = picture.pixels().map(|pixel| f32::from(pixel.0[channel]) / 255.0);
        image.channel_mut(channel).iter_mut().zip(samples).for_each(|(to, from)| *to = from);
    }
    image
}

/// The PSNR in dB of samples in 0..1.
pub fn psnr<'a>(a: impl IntoIterator<Item = &'a f32>, b: impl IntoIterator<Item = &'a f32>) -> f64 {
    let squares = a.into_iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2));
    let (sum, count) = squares.fold((0.0, 0.0), |(sum, count), square| (sum + square, count + 1.0));
    -10.0 * (sum / count).log10()
}
