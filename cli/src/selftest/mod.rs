//! `gst-upscale selftest`: checks that every backend of this machine gives correct results.

mod accuracy;
mod cpu_stages;
mod engine_spec;
mod gpu_stages;
mod memory;
mod report;
mod reuse;
mod test_model;

use std::process::ExitCode;

use engine_spec::{EngineSpec, Selection, engine_specs};
use gstupscale::{
    backend,
    engine::Backend,
    model::{Model, OpenOptions},
};
use report::{Outcome, Report};

use crate::{arguments::EngineArguments, error::Error, page, print};

const EXAMPLES: &str = "\
Examples:
  gst-upscale selftest
  gst-upscale selftest --backend cuda --model realesr-animevideov3";

/// Check that every backend of this machine gives correct results.
///
/// Compares each backend and precision with the CPU in fp32, output with reuse with output without,
/// and memory use over many frames. Fails if a check fails or a backend named by --backend is not
/// available.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// Backend to check: tensorrt, cuda, webgpu, native, openvino or cpu; auto: each of them.
    #[arg(long, default_value = "auto")]
    backend: Backend,
    /// Name of a model in the catalogue, or path of a model file.
    #[arg(long, default_value = "builtin")]
    model: String,
    #[command(flatten)]
    engine: EngineArguments,
    /// Number of frames over which memory use must not grow.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(20..))]
    frames: u32,
    #[command(flatten)]
    page: page::Output,
}

/// Runs every check and prints a table. The exit code is 0 only if at least one check passed and
/// none failed.
///
/// # Errors
/// GStreamer does not start, or the model cannot be opened.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    arguments.page.check()?;
    crate::gstreamer::start()?;
    let model = backend::open(&arguments.model, &OpenOptions::default())?;
    let mut report = Report::default();
    let machine = crate::machine::describe(arguments.engine.device_id);
    let about = format!("model {}, {}x", model.name, model.info.factor);
    say!("{machine}\n{about}\n")?;
    cpu_stages::check(&mut report)?;
    let selection = Selection::of(arguments.backend);
    if matches!(arguments.backend, Backend::Auto | Backend::Cuda | Backend::TensorRt) {
        gpu_stages::check(&mut report, arguments.engine.device_id, selection)?;
    }
    for spec in engine_specs(arguments) {
        check(&spec, &model, arguments.frames, selection, &mut report)?;
    }
    report.print_summary()?;
    arguments.page.write(|| report.page([machine, about]))?;
    Ok(if report.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs all checks of one backend and precision.
fn check(
    spec: &EngineSpec,
    model: &Model,
    frames: u32,
    selection: Selection,
    report: &mut Report,
) -> Result<(), print::Error> {
    let on = spec.to_string();
    let mut engine = match spec.load(model) {
        Ok(engine) => engine,
        Err(error) => return report.add("engine loads", &on, selection.not_loaded(&error)),
    };
    if let Some(reason) = spec.mismatch(&engine) {
        return report.add("engine loads", &on, Outcome::NotAvailable(reason));
    }
    let outcome = accuracy::check(spec, model, &mut engine.infer);
    report.add("inference agrees with cpu fp32", &on, outcome)?;
    let regions_exact = engine.traits.exact_regions;
    // Its memory must not count in the checks below.
    drop(engine);
    for format in reuse::FORMATS {
        let title = format!("reuse=exact equals off, {format}");
        report.add(&title, &on, reuse::check(spec, model, format, regions_exact))?;
    }
    report.add(&format!("memory over {frames} frames"), &on, memory::check(spec, model, frames))
}
