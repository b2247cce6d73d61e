//! `gst-upscale bench`: the speed of models on this machine, compared with what its hardware
//! reaches.

mod ceilings;
mod report;
mod rounds;
mod workload;

use std::{process::ExitCode, time::Duration};

use gstupscale::{
    backend,
    cuda::Device,
    engine::{Backend, EngineOptions, Precision, Silent},
    frame::PixelFormat,
    model::OpenOptions,
};
use report::{Report, Row, Stages};
use workload::{Element, Session};

use crate::{
    arguments::{self, EngineArguments, Expected},
    error::Error,
    machine, page,
};

const EXAMPLES: &str = "\
Examples:
  gst-upscale bench
  gst-upscale bench --models builtin,my-model.onnx --sizes 720p,640x360 --json
  gst-upscale bench --html speed.html";

/// Measure frames per second on this machine.
///
/// Measures each model at each size in turns: the element, from buffer to buffer without reuse, and
/// its inference session alone. Also measures memory bandwidth and the speed of large convolutions.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// Backend: tensorrt, cuda, webgpu, native, openvino or cpu; auto: the fastest.
    #[arg(long, default_value = "auto")]
    backend: Backend,
    /// Precision: fp32, fp16, bf16 or int16; auto: the fastest without a visible difference.
    #[arg(long, default_value = "auto")]
    precision: Precision,
    /// Names of models in the catalogue, or paths of model files, separated by commas.
    #[arg(long, default_value = "builtin", value_delimiter = ',')]
    models: Vec<String>,
    /// Input sizes, separated by commas: 480p, 720p, 1080p or WIDTHxHEIGHT.
    #[arg(long, default_value = "480p,720p,1080p", value_delimiter = ',', value_parser = size)]
    sizes: Vec<(u32, u32)>,
    /// Pixel format of the input, by its name in GStreamer.
    #[arg(long, default_value = "NV12", value_parser = format)]
    format: PixelFormat,
    /// Time to measure each model and size, in seconds.
    #[arg(long, default_value = "10", value_parser = seconds)]
    seconds: Duration,
    #[command(flatten)]
    engine: EngineArguments,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    page: page::Output,
}

fn size(text: &str) -> Result<(u32, u32), Expected> {
    match text {
        "480p" => Some((854, 480)),
        "720p" => Some((1280, 720)),
        "1080p" => Some((1920, 1080)),
        _ => arguments::size(text),
    }
    .filter(|(width, height)| (16..=8192).contains(width) && (16..=8192).contains(height))
    .ok_or_else(|| Expected("480p, 720p, 1080p or WIDTHxHEIGHT with sides from 16 to 8192".into()))
}

fn seconds(text: &str) -> Result<Duration, Expected> {
    let seconds = text.parse().ok().filter(|seconds| (0.0..=3600.0).contains(seconds));
    seconds
        .map(Duration::from_secs_f64)
        .ok_or_else(|| Expected("a number of seconds from 0 to 3600".into()))
}

fn format(name: &str) -> Result<PixelFormat, Expected> {
    PixelFormat::from_name(name).ok_or_else(|| Expected::one_of(PixelFormat::ALL))
}

/// Measures every model at every size and prints the results. The exit code is 0 only if all ran.
///
/// # Errors
/// GStreamer does not start, or standard output cannot be written.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    arguments.page.check()?;
    crate::gstreamer::start()?;
    let mut report = Report::new(machine::describe(arguments.engine.device_id));
    for model in &arguments.models {
        for &(width, height) in &arguments.sizes {
            match measure(arguments, model, (width, height)) {
                Ok(row) => {
                    if !arguments.json {
                        warn!("measured {model} at {width}x{height}");
                    }
                    report.add(row);
                }
                Err(error) => {
                    warn!("{model} at {width}x{height}: {error}");
                    report.add_failure();
                }
            }
        }
    }
    measure_ceilings(arguments, &mut report);
    if arguments.json {
        report.print_json()?
    } else {
        report.print()?
    }
    arguments.page.write(|| report.page())?;
    Ok(if report.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Lets the element and its session process the same pictures in turns.
fn measure(arguments: &Arguments, name: &str, (width, height): (u32, u32)) -> Result<Row, Error> {
    let model = backend::open(name, &OpenOptions::default())?;
    let requested = arguments.engine.options(arguments.backend, arguments.precision);
    let engine = backend::load(&model, &requested, &Silent)?;
    let (backend, precision) = (engine.backend, engine.precision);
    // The element must use the engine that `auto` selected.
    let options = EngineOptions { backend, precision, ..requested };
    let flops = 2.0 * model.info.macs_per_pixel * f64::from(width) * f64::from(height);
    let mut session = Session::new(engine.infer, width, height)?;
    let mut element = Element::new(name, &options, arguments.format, width, height)?;
    let before = element.stages();
    let rates = rounds::measure([&mut session, &mut element], arguments.seconds)?;
    let [session_rate, element_rate] = rates;
    Ok(Row {
        model: name.to_owned(),
        width,
        height,
        format: arguments.format.name(),
        backend,
        precision,
        element: element_rate,
        session: session_rate,
        gflops: session_rate * flops / 1e9,
        stages: Stages::per_frame(&before, &element.stages()),
    })
}

/// Adds the ceilings of the CPU, of the GPU if there is one, and of the engines in the report.
fn measure_ceilings(arguments: &Arguments, report: &mut Report) {
    report.ceilings.push(ceilings::memory(arguments.engine.threads()));
    if let Ok(gpu) = Device::open(arguments.engine.device_id) {
        match ceilings::gpu(&gpu) {
            Ok(rates) => report.ceilings.extend(rates),
            Err(error) => warn!("{error}"),
        }
    }
    for (backend, precision) in report.engines() {
        let options = arguments.engine.options(backend, precision);
        for ceiling in ceilings::convolutions(&options) {
            match ceiling {
                Ok(ceiling) => report.ceilings.push(ceiling),
                Err(error) => warn!("{backend} {precision}: {error}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_name_or_two_sides() {
        assert_eq!(size("720p"), Ok((1280, 720)));
        assert_eq!(size("64x48"), Ok((64, 48)));
        for text in ["", "720", "0x16", "16x", "99999x16"] {
            assert!(size(text).unwrap_err().to_string().contains("1080p"), "{text}");
        }
    }

    #[test]
    fn a_time_is_a_number_of_seconds_that_is_not_negative() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for text in ["", "-1", "NaN", "inf", "1e9", "10s"] {
            assert!(seconds(text).unwrap_err().to_string().contains("0 to 3600"), "{text}");
        }
    }

    #[test]
    fn an_unknown_format_is_an_error_that_lists_the_known_ones() {
        assert_eq!(format("NV12"), Ok(PixelFormat::Nv12));
        assert!(format("nv99").unwrap_err().to_string().contains("one of: "));
    }
}
