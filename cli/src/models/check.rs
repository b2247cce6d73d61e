//! `models check`: runs models once on the CPU.

use std::time::{Duration, Instant};

use gstupscale::{
    backend,
    engine::{Backend, EngineOptions, Infer, Precision, Silent, within},
    frame::Image,
    model::{Model, ModelInfo, OpenOptions},
    native,
};

use super::{Error, show};
use crate::machine;

const EXAMPLES: &str = "\
Example:
  gst-upscale models check my-model.onnx";

/// Run models once on the CPU and report their properties and speed.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// Names of models in the catalogue, or paths of model files.
    #[arg(required = true)]
    models: Vec<String>,
    /// Number of CPU threads; 0: all available.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Width and height of the input in pixels.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=4096))]
    tile: u32,
    /// Seconds after which a model is given up.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..))]
    time_limit: u32,
}

/// Checks every model, also after one has failed.
///
/// # Errors
/// [`Error::Failed`] if at least one failed, or [`Error::Print`].
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let Arguments { models, threads, tile, time_limit } = arguments;
    let (threads, tile) = (machine::threads(*threads), *tile);
    let mut failed = 0;
    for name in models {
        say!("{name}")?;
        let named = name.clone();
        let limit = Duration::from_secs((*time_limit).into());
        let checked = within(limit, move || check(&named, threads, tile))
            .map_err(Error::Thread)?
            .unwrap_or(Err(Error::TimeLimit(*time_limit)));
        match checked {
            Ok(()) => {}
            Err(error @ Error::Print(_)) => return Err(error),
            Err(error) => {
                warn!("{error}");
                failed += 1;
            }
        }
        say!("")?;
    }
    if failed > 0 {
        return Err(Error::Failed { failed, total: models.len() });
    }
    Ok(())
}

fn check(name: &str, threads: usize, tile: u32) -> Result<(), Error> {
    let start = Instant::now();
    let model = backend::open(name, &OpenOptions::default())?;
    let opened = start.elapsed();
    show::print_info(&model.info)?;
    if let Some(note) = &model.note {
        say!("note                {note}")?;
    }
    say!("opened in           {:.1} ms", milliseconds(opened))?;

    let options = EngineOptions {
        backend: Backend::Auto,
        precision: Precision::Fp32,
        device_id: 0,
        threads,
        cache_dir: EngineOptions::default_cache_dir(),
    };
    let mut engine = backend::fastest_on_cpu(&model, &options, &Silent)?;
    if engine.backend() == Backend::Native {
        print_memory(&model)?;
    }
    let input = ramp(&model.info, tile);
    let mut output = Image::default();
    let mut fastest = Duration::MAX;
    for _ in 0..3 {
        let start = Instant::now();
        engine.run(&input, &mut output)?;
        fastest = fastest.min(start.elapsed());
    }
    check_output(&model.info, &input, &output)?;
    let (width, height, time) = (input.width(), input.height(), milliseconds(fastest));
    let backend = engine.backend();
    say!(
        "run time            {time:.1} ms for {width}x{height} pixels, {threads} threads, {backend} \
         fp32"
    )?;
    Ok(())
}

/// Prints how much memory the native engine uses for frames of some sizes.
fn print_memory(model: &Model) -> Result<(), Error> {
    let engine = native::Engine::open(model, &native::Options::default())
        .map_err(gstupscale::engine::Error::from)?;
    let megabytes = |bytes: u64| bytes.div_ceil(1 << 20);
    for (width, height) in [(640, 360), (1280, 720), (1920, 1080)] {
        say!(
            "{:<20}{} MiB to run, {} MiB more to keep features for reuse",
            format!("at {width}x{height}"),
            megabytes(engine.run_bytes(width, height)),
            megabytes(engine.feature_bytes(width, height))
        )?;
    }
    Ok(())
}

/// A diagonal ramp whose sides are `tile` pixels, or the next size that the model accepts.
fn ramp(info: &ModelInfo, tile: u32) -> Image {
    let side = tile.max(info.min_side).next_multiple_of(info.align.max(1));
    let (width, height) = info.fixed_size.unwrap_or((side, side));
    let (width, height) = (width as usize, height as usize);
    let mut image = Image::new(info.channels.count(), width, height);
    for (index, sample) in image.data_mut().iter_mut().enumerate() {
        *sample = ((index % width + index / width) % 256) as f32 / 255.0;
    }
    image
}

fn check_output(info: &ModelInfo, input: &Image, output: &Image) -> Result<(), Error> {
    let factor = info.factor as usize;
    let (input, actual) = ((input.width(), input.height()), (output.width(), output.height()));
    let expected = (input.0 * factor, input.1 * factor);
    if actual != expected {
        return Err(Error::OutputSize { input, expected, actual });
    }
    if output.data().iter().any(|sample| !sample.is_finite()) {
        return Err(Error::NotFinite);
    }
    Ok(())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_of_the_wrong_size_or_with_nan_is_an_error() {
        let model = Model::open("builtin").unwrap();
        let input = ramp(&model.info, 8);
        let factor = model.info.factor as usize;
        let channels = model.info.channels.count();
        let mut output = Image::new(channels, input.width() * factor, input.height() * factor);
        assert!(check_output(&model.info, &input, &output).is_ok());
        assert!(matches!(check_output(&model.info, &input, &input), Err(Error::OutputSize { .. })));
        output.data_mut().fill(f32::NAN);
        assert!(matches!(check_output(&model.info, &input, &output), Err(Error::NotFinite)));
    }
}
