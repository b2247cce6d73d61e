//! Opening a model: lowering, packing, calibrating.

use std::{
    env,
    sync::{Arc, atomic::AtomicUsize},
};

use super::{
    Engine, Error, InstructionSet, Options, Precision, calibration,
    input::Input,
    kernels::{self, Kernels},
    lifetimes::Lifetimes,
    packed::Packed,
    plan::{Plan, Root},
    pool::Pool,
    segments::Segments,
};
use crate::{engine::low_priority, model::Model};

impl Engine {
    /// Opens a model.
    ///
    /// # Errors
    /// [`Error::Operator`] where the engine does not support it, [`Error::UnknownGraph`] where
    /// the model holds operators that its reader did not know, [`Error::InstructionSet`] for
    /// kernels that the CPU cannot run.
    pub fn open(model: &Model, options: &Options) -> Result<Self, Error> {
        let pool = match &options.pool {
            Some(pool) => Pool::with(Some(Arc::clone(pool))),
            None => Pool::new(options.threads)?,
        };
        // Work of low priority must not wait for threads of normal priority.
        let used = if low_priority::is_preferred() { Pool::with(None) } else { pool.clone() };
        let mut engine = low_priority::run(|| Self::prepared(model, options, used))?;
        engine.pool = pool;
        Ok(engine)
    }

    /// Lowers a model, packs its weights and calibrates it, with the threads of `pool`.
    fn prepared(model: &Model, options: &Options, pool: Pool) -> Result<Self, Error> {
        let graph = model.graph.as_deref().ok_or(Error::UnknownGraph)?;
        let plan = Plan::new(graph)?;
        let kernels = select(options.instruction_set)?;
        let packed = plan.layers.iter().map(|layer| match &layer.root {
            Root::Convolution(convolution) => Some(Packed::new(convolution, kernels)),
            _ => None,
        });
        let packed = packed.collect();
        let lifetimes = Lifetimes::of(&plan);
        let mut engine = Self {
            info: model.info.clone(),
            identity: format!(
                "{} native {:?} {}",
                model.digest,
                options.precision,
                env!("CARGO_PKG_VERSION")
            ),
            packed,
            kernels,
            pool,
            free: Vec::new(),
            segments: Segments::of(&plan, &lifetimes, 1),
            lifetimes,
            beyond: AtomicUsize::new(0),
            memory: None,
            input: Input::default(),
            kept: None,
            ranges: Vec::new(),
            plan: Arc::new(plan),
        };
        if options.precision == Precision::Int16 {
            calibration::calibrate(&mut engine)?;
        }
        Ok(engine)
    }
}

fn select(set: Option<InstructionSet>) -> Result<&'static Kernels, Error> {
    let tables = kernels::available();
    let name = match set {
        Some(set) => set.name().to_owned(),
        None => env::var("UPSCALE_NATIVE_ISA").unwrap_or_default(),
    };
    let found = match name.as_str() {
        "" => tables.first(),
        name => tables.iter().find(|table| table.name == name),
    };
    found.copied().ok_or_else(|| {
        let names: Vec<&str> = tables.iter().map(|table| table.name).collect();
        Error::InstructionSet { name, available: names.join(", ") }
    })
}
