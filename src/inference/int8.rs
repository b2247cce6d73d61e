//! Running a model in 8-bit integers, where that does not show.
//!
//! The ranges that samples take inside of the network are measured on fixed pictures, once per
//! model, and the result is held against fp32 on a picture that was not among them.

use serde::{Deserialize, Serialize};

use super::{
    Backend, EngineOptions, Error, Infer, Precision, cache,
    engine::{Engine, Progress, probe_size},
    picture, quantization,
    selection::Candidate,
    session::Session,
};
use crate::{
    frame::Image,
    model::{
        Graph, Model,
        onnx::{Layout, write},
    },
};

/// Below this int8 is not used, in decibels against fp32.
const LEAST_PSNR: f64 = 42.0;

/// What is kept of a calibration: the weights are quantized again at each load, which is quick.
#[derive(Serialize, Deserialize)]
struct Calibration {
    ranges: Vec<(f32, f32)>,
    psnr: f64,
}

/// The model's engine in int8 on the CPU; in fp32, with a remark that says so, where int8 would
/// keep less than 42 dB.
///
/// # Errors
/// [`Error::Precision`] where the model cannot be quantized, others as for any engine.
pub(super) fn load(
    model: &Model,
    options: &EngineOptions,
    progress: &Progress<'_>,
) -> Result<Engine, Error> {
    let cannot = |why: &str| Error::Precision {
        backend: Backend::Cpu,
        precision: Precision::Int8,
        why: format!("{why}: use precision=auto"),
    };
    let graph = model.graph.as_deref().ok_or_else(|| cannot("this model's graph is not known"))?;
    if quantization::values_to_measure(graph).is_empty() {
        return Err(cannot("this model has no convolutions that gain from it"));
    }
    let folder = options.cache_dir.join("int8");
    let fp32 = Candidate { backend: Backend::Cpu, precision: Precision::Fp32 };
    // Integer arithmetic differs between processors: the answer is this one's.
    let key = format!("{} on {}", Session::identity(model, fp32)?, super::cpu::Cpu::get().identity);
    let kept: Option<Calibration> = cache::read(&folder, &key);
    let ranges = match &kept {
        Some(kept) => kept.ranges.clone(),
        None => {
            progress.step(20, "calibrating int8")?;
            measure_ranges(model, graph, options)?
        }
    };
    progress.step(40, &format!("building {} in int8", model.name))?;
    let quantized = quantization::quantize(graph, &ranges)
        .ok_or_else(|| cannot("the ranges of its samples cannot be told"))?;
    let quantized = Model { onnx: written(&quantized)?, external: None, ..model.clone() };
    let int8 = Candidate { precision: Precision::Int8, ..fp32 };
    let mut engine = Engine::build(&quantized, int8, options)?;
    let psnr = match kept {
        Some(kept) => kept.psnr,
        None => {
            progress.step(60, "comparing int8 with fp32")?;
            let psnr = compare(&mut engine, &mut Engine::build(model, fp32, options)?)?;
            cache::write(&folder, &key, Calibration { ranges, psnr });
            psnr
        }
    };
    if psnr >= LEAST_PSNR {
        return Ok(engine);
    }
    let mut engine = Engine::build(model, fp32, options)?;
    let remark = format!(
        "int8 would keep {psnr:.1} dB of {}, less than {LEAST_PSNR}: it stays at fp32",
        model.name
    );
    progress.step(90, &remark)?;
    engine.remark = Some(remark);
    Ok(engine)
}

fn written(graph: &Graph) -> Result<bytes::Bytes, Error> {
    write(graph, Layout::default())
        .map_err(|why| Error::Runtime { task: "take the model in int8", why })
}

/// The least and greatest samples of the values that quantization asks for, over some scenes.
fn measure_ranges(
    model: &Model,
    graph: &Graph,
    options: &EngineOptions,
) -> Result<Vec<(f32, f32)>, Error> {
    const SCENES: u64 = 4;
    let ranges = Model {
        onnx: written(&quantization::range_graph(graph))?,
        external: None,
        ..model.clone()
    };
    let fp32 = Candidate { backend: Backend::Cpu, precision: Precision::Fp32 };
    let mut session = Session::build(&ranges, fp32, options)?;
    let count = quantization::values_to_measure(graph).len();
    let mut found = vec![(f32::INFINITY, f32::NEG_INFINITY); count];
    let (width, height) = probe_size(&model.info, 96);
    for seed in 10..10 + SCENES {
        let scene = picture::scene(model.info.channels.count(), width, height, seed);
        let samples = session.run_raw(&scene)?;
        let (low, high) = samples.split_at_checked(count).unwrap_or((&[], &[]));
        for ((found, low), high) in found.iter_mut().zip(low).zip(high) {
            *found = (found.0.min(*low), found.1.max(*high));
        }
    }
    Ok(found)
}

/// PSNR of one engine's picture against another's, in decibels, 100 at most.
fn compare(engine: &mut Engine, reference: &mut Engine) -> Result<f64, Error> {
    let info = reference.info();
    let (width, height) = probe_size(info, 128);
    let scene = picture::scene(info.channels.count(), width, height, 1);
    let (mut output, mut expected) = (Image::default(), Image::default());
    engine.run(&scene, &mut output)?;
    reference.run(&scene, &mut expected)?;
    let (psnr, _) = picture::distance(&output, &expected);
    Ok(if psnr.is_nan() { 0.0 } else { psnr.min(100.0) })
}
