//! `models check`.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use gstupscale::{
    backend,
    engine::{Backend, EngineOptions, Infer, Precision},
    frame::Image,
    model::Model,
};

use crate::{
    list,
    machine::{self, Patient},
    print,
};

pub fn check(names: &[String], threads: usize, tile: u32) -> Result<(), Box<dyn Error>> {
    let threads = machine::threads(threads);
    let mut failed = 0;
    for name in names {
        say!("{name}")?;
        if let Err(error) = one(name, threads, tile) {
            if error.is::<print::Error>() {
                return Err(error);
            }
            warn!("{error}");
            failed += 1;
        }
        say!("")?;
    }
    match failed {
        0 => Ok(()),
        _ => Err(format!("{failed} of {} models failed", names.len()).into()),
    }
}

fn one(name: &str, threads: usize, tile: u32) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let model = Model::open(name)?;
    let opened = start.elapsed();
    list::info(&model.info)?;
    say!("opened in           {:.1} ms", milliseconds(opened))?;

    let options = EngineOptions {
        backend: Backend::Cpu,
        precision: Precision::Fp32,
        device_id: 0,
        threads,
        cache_dir: machine::cache_dir(),
    };
    let mut engine = backend::fastest_on_cpu(&model, &options, &Patient)?;
    let info = &model.info;
    let side = tile.max(info.min_side).next_multiple_of(info.align.max(1));
    let (width, height) = info.fixed_size.unwrap_or((side, side));
    let mut input = Image::new(info.channels.count(), width as usize, height as usize);
    // A diagonal ramp: something that a network has to work on.
    let row = width as usize;
    for (index, sample) in input.data_mut().iter_mut().enumerate() {
        *sample = ((index % row + index / row) % 256) as f32 / 255.0;
    }
    let mut output = Image::default();
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let start = Instant::now();
        engine.run(&input, &mut output)?;
        best = best.min(start.elapsed());
    }
    let expected = (width as usize * info.factor as usize, height as usize * info.factor as usize);
    if (output.width(), output.height()) != expected {
        return Err(format!(
            "it made {} x {} of {width} x {height}",
            output.width(),
            output.height()
        )
        .into());
    }
    if output.data().iter().any(|sample| !sample.is_finite()) {
        return Err("it makes samples that are no numbers".into());
    }
    say!(
        "ran {width} x {height} in    {:.1} ms on {threads} threads ({:?}, fp32)",
        milliseconds(best),
        engine.backend()
    )?;
    Ok(())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
