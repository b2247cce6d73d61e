//! `gst-upscale selftest`: whether everything here does what it promises, on this machine.

mod gpu_stages;
mod inference;
mod memory;
mod report;
mod reuse;
mod stages;
mod subject;

use std::{path::PathBuf, process::ExitCode};

use gstupscale::{engine::Backend, model::Model};

use crate::print;
use report::{Outcome, Report};
use subject::Subject;

/// What the command takes.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What runs the model: tensorrt, cuda, openvino or cpu; auto: each of them in turn.
    #[arg(long, default_value = "auto")]
    backend: Backend,
    /// A name of the catalogue, or a file.
    #[arg(long, default_value = "builtin")]
    model: String,
    /// Which GPU to use, counted from 0.
    #[arg(long, default_value_t = 0)]
    device_id: u32,
    /// Processor threads; 0: all.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Frames over which memory must stay flat.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(20..))]
    frames: u32,
    /// Where measurements and compiled models are kept.
    #[arg(long)]
    cache_dir: Option<PathBuf>,
}

/// Runs every check and prints a table. Success only where nothing failed, and what was asked
/// for by name is there.
///
/// # Errors
/// Where it cannot begin: GStreamer does not start, or the model cannot be opened.
pub fn selftest(arguments: &Arguments) -> Result<ExitCode, Box<dyn std::error::Error>> {
    crate::gstreamer::start()?;
    let model = Model::open(&arguments.model)?;
    let mut report = Report::default();
    say!(
        "{}\nmodel {}, {}x\n",
        crate::machine::describe(arguments.device_id),
        model.name,
        model.info.factor
    )?;
    stages::check(&mut report)?;
    let asked = arguments.backend != Backend::Auto;
    if matches!(arguments.backend, Backend::Auto | Backend::Cuda | Backend::TensorRt) {
        gpu_stages::check(&mut report, arguments.device_id, asked)?;
    }
    for subject in subject::subjects(arguments) {
        check(&subject, &model, arguments, asked, &mut report)?;
    }
    report.summary()?;
    Ok(if report.is_green() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// All checks of one backend and precision.
fn check(
    subject: &Subject,
    model: &Model,
    arguments: &Arguments,
    asked: bool,
    report: &mut Report,
) -> Result<(), print::Error> {
    let on = subject.to_string();
    let mut engine = match subject.load(model) {
        Ok(engine) => engine,
        Err(error) => {
            let absent = subject::is_absence(&error, asked);
            let outcome = if absent { Outcome::NotAvailable } else { Outcome::Failed };
            return report.add("engine", &on, outcome(error.to_string()));
        }
    };
    if let Some(why) = subject.why_not(&engine) {
        return report.add("engine", &on, Outcome::NotAvailable(why));
    }
    let same = inference::check(subject, model, &mut engine.infer);
    report.add("inference against cpu fp32", &on, same)?;
    let regions_exact = engine.regions_exact;
    // Memory that the checks before took must not count.
    drop(engine);
    for format in reuse::FORMATS {
        let title = format!("reuse=exact equals off, {format}");
        report.add(&title, &on, reuse::check(subject, model, format, regions_exact))?;
    }
    let frames = arguments.frames;
    report.add(&format!("memory over {frames} frames"), &on, memory::check(subject, model, frames))
}
