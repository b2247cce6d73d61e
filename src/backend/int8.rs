//! int8 where its loss of quality is small enough, fp32 otherwise.

use serde::{Deserialize, Serialize};

use super::{
    cpu::Cpu,
    cpu_engine::CpuEngine,
    proof::{self, Choice, Difference, Reference},
};
use crate::{
    engine::{Backend, Candidate, EngineOptions, Error, Precision, Progress, measured},
    model::Model,
    onnxruntime::{Ranges, identity, int8},
};

const INT8: Candidate = Candidate { backend: Backend::Cpu, precision: Precision::Int8 };

/// The stored result of a calibration. Weights are quantized again at each load, which is quick.
#[derive(Serialize, Deserialize)]
struct Calibration {
    ranges: Ranges,
    difference: Difference,
}

/// The model's engine in int8 on the CPU, or in fp32 with a note when int8 differs from fp32 by
/// more than [`proof`] allows.
///
/// # Errors
/// [`Error::Precision`] for a model that cannot be quantized, and the errors of the backend.
pub(super) fn load(
    model: &Model,
    options: &EngineOptions,
    progress: &Progress<'_>,
) -> Result<CpuEngine, Error> {
    int8::check(model)?;
    let folder = options.cache_dir.join("int8");
    // Integer arithmetic differs between CPUs.
    let key = format!("{} on {}", identity(model, INT8)?, Cpu::get().identity);
    let stored: Option<Calibration> = measured::read(&folder, &key);
    let ranges = match &stored {
        Some(stored) => stored.ranges.clone(),
        None => {
            progress.step(20, "Calibrating int8")?;
            int8::measure_ranges(model, options)?
        }
    };
    progress.step(40, &format!("Building {} in int8", model.name))?;
    let mut engine = CpuEngine::new(int8::build(model, &ranges, options)?, INT8);
    let limits = proof::limits(Precision::Int8, Choice::Explicit);
    let difference = match stored {
        Some(stored) => stored.difference,
        None => {
            progress.step(60, "Comparing int8 with fp32")?;
            let mut reference = CpuEngine::reference(model, options)?;
            let reference = Reference::run(&mut reference, limits.side)?;
            let difference = reference.difference(&mut engine)?;
            measured::write(&folder, &key, Calibration { ranges, difference });
            difference
        }
    };
    if limits.allow(difference) {
        return Ok(engine);
    }
    let note = format!(
        "int8 lowers {} to {:.1} dB (minimum {}); using fp32",
        model.name, difference.psnr_db, limits.min_psnr_db
    );
    progress.step(90, &note)?;
    Ok(CpuEngine::reference(model, options)?.with_note(note))
}
