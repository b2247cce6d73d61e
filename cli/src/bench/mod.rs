//! `gst-upscale bench`: how fast it is here, beside what the machine could do at most.

mod ceilings;
mod contender;
mod race;
mod report;

use std::{path::PathBuf, process::ExitCode};

use gstupscale::{
    backend,
    cuda::Device,
    engine::{Backend, EngineOptions, Precision},
    frame::PixelFormat,
    model::Model,
};

use crate::machine::{self, Patient};
use contender::{Element, Session};
use report::{Report, Row, Stages};

/// What the command takes.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What runs the models: tensorrt, cuda, openvino or cpu; auto: the fastest.
    #[arg(long, default_value = "auto")]
    backend: Backend,
    /// fp32, fp16, bf16 or int8; auto: the fastest without a visible difference.
    #[arg(long, default_value = "auto")]
    precision: Precision,
    /// Names of the catalogue, or files, with commas between them.
    #[arg(long, default_value = "builtin", value_delimiter = ',')]
    models: Vec<String>,
    /// Sizes of the input with commas between them: 480p, 720p, 1080p, or WIDTHxHEIGHT.
    #[arg(long, default_value = "480p,720p,1080p", value_delimiter = ',', value_parser = size)]
    sizes: Vec<(u32, u32)>,
    /// The input's pixel format, by GStreamer's name.
    #[arg(long, default_value = "NV12", value_parser = format)]
    format: PixelFormat,
    /// Time to measure each model and size for.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Which GPU to use, counted from 0.
    #[arg(long, default_value_t = 0)]
    device_id: u32,
    /// Processor threads; 0: all.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Where measurements and compiled models are kept.
    #[arg(long)]
    cache_dir: Option<PathBuf>,
    /// JSON in place of tables.
    #[arg(long)]
    json: bool,
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let known = [("480p", (854, 480)), ("720p", (1280, 720)), ("1080p", (1920, 1080))];
    let named = known.into_iter().find(|(name, _)| *name == text).map(|(_, size)| size);
    let sides = || {
        let (width, height) = text.split_once('x')?;
        Some((width.parse().ok()?, height.parse().ok()?))
    };
    named
        .or_else(sides)
        .filter(|(width, height)| (16..=8192).contains(width) && (16..=8192).contains(height))
        .ok_or_else(|| "wanted is 480p, 720p, 1080p, or WIDTHxHEIGHT of 16 to 8192".into())
}

fn format(name: &str) -> Result<PixelFormat, String> {
    PixelFormat::from_name(name).ok_or_else(|| {
        let names: Vec<_> = PixelFormat::ALL.iter().map(|format| format.name()).collect();
        format!("wanted is one of {}", names.join(", "))
    })
}

/// Measures every model at every size and prints tables. Success only where all of them ran.
///
/// # Errors
/// Where GStreamer does not start.
pub fn bench(arguments: &Arguments) -> Result<ExitCode, Box<dyn std::error::Error>> {
    crate::gstreamer::start()?;
    let mut report = Report::new(machine::describe(arguments.device_id));
    for model in &arguments.models {
        for &size in &arguments.sizes {
            let row = measure(arguments, model, size);
            if let Err(error) = &row {
                warn!("{model} at {}x{}: {error}", size.0, size.1);
            } else if !arguments.json {
                warn!("measured {model} at {}x{}", size.0, size.1);
            }
            report.add(row.ok());
        }
    }
    report.ceilings.push(ceilings::memory(machine::threads(arguments.threads)));
    if let Ok(gpu) = Device::open(arguments.device_id) {
        match ceilings::gpu(&gpu) {
            Ok(rates) => report.ceilings.extend(rates),
            Err(error) => warn!("{error}"),
        }
    }
    for (backend, precision) in report.engines() {
        let options = options(arguments, backend, precision);
        for ceiling in ceilings::arithmetic(&options) {
            match ceiling {
                Ok(ceiling) => report.ceilings.push(ceiling),
                Err(error) => warn!("{backend} {precision}: {error}"),
            }
        }
    }
    if arguments.json {
        report.print_json()?
    } else {
        report.print()?
    }
    Ok(if report.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn options(arguments: &Arguments, backend: Backend, precision: Precision) -> EngineOptions {
    EngineOptions {
        backend,
        precision,
        device_id: arguments.device_id,
        threads: machine::threads(arguments.threads),
        cache_dir: arguments.cache_dir.clone().unwrap_or_else(machine::cache_dir),
    }
}

/// Lets the element and the bare session take turns over the same pictures.
fn measure(
    arguments: &Arguments,
    name: &str,
    (width, height): (u32, u32),
) -> Result<Row, Box<dyn std::error::Error>> {
    let model = Model::open(name)?;
    let asked = options(arguments, arguments.backend, arguments.precision);
    let engine = backend::load(&model, &asked, &Patient)?;
    // The element is to take the same, whatever `auto` came to.
    let options = EngineOptions { backend: engine.backend, precision: engine.precision, ..asked };
    let flops = 2.0 * model.info.macs_per_pixel * f64::from(width) * f64::from(height);
    let mut session = Session::new(engine.infer, width, height)?;
    let mut element = Element::new(name, &options, arguments.format, width, height)?;
    let before = element.stages();
    let [bare, through] = race::race([&mut session, &mut element], arguments.seconds)?;
    Ok(Row {
        model: name.to_owned(),
        width,
        height,
        format: arguments.format.name(),
        backend: options.backend.to_string(),
        precision: options.precision.to_string(),
        element: through,
        session: bare,
        gflops: bare * flops / 1e9,
        stages: Stages::between(&before, &element.stages()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_names_or_sides() {
        assert_eq!(size("720p"), Ok((1280, 720)));
        assert_eq!(size("64x48"), Ok((64, 48)));
        for wrong in ["", "720", "0x16", "16x", "99999x16"] {
            assert!(size(wrong).unwrap_err().contains("1080p"), "{wrong}");
        }
    }
}
