//! Keeps the engine that runs a model on the CPU from one video to the next, so that it is loaded
//! once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gst::prelude::*;
use gstupscale::{
    backend::{self, Loaded},
    element::{EngineLoader, Upscale},
    engine::{
        self, AnyEngine, Backend, EngineOptions, EngineTraits, Fallback, Infer, InferChanges,
        Monitor, Precision, Tolerance, Update,
    },
    frame::{Image, Rect},
    model::{self, Model, ModelInfo, OpenOptions},
};

/// Lets `upscale` use the engine that was kept, and keeps the one that it loads otherwise.
pub fn keep(upscale: &gst::Element) {
    if let Some(upscale) = upscale.downcast_ref::<Upscale>() {
        upscale.set_engine_loader(Arc::new(Keeper));
    }
}

/// The last engine that was loaded.
static KEPT: Mutex<Option<Kept>> = Mutex::new(None);

struct Keeper;

impl EngineLoader for Keeper {
    fn open(&self, name: &str, options: &OpenOptions) -> Result<Model, model::Error> {
        backend::open(name, options)
    }

    fn load(
        &self,
        model: &Model,
        options: &EngineOptions,
        monitor: &dyn Monitor,
    ) -> Result<Loaded, engine::Error> {
        let mut kept = lock(&KEPT);
        if let Some(kept) = kept.as_ref().filter(|kept| kept.fits(model, options)) {
            return Ok(kept.lend());
        }
        // Before another one needs memory.
        *kept = None;
        drop(kept);
        let (engine, facts) = Facts::split(backend::load(model, options, monitor)?);
        let engine = match engine {
            AnyEngine::Host(engine) => Engine::Host(Arc::new(Mutex::new(engine))),
            AnyEngine::Incremental(engine) => Engine::Incremental(Arc::new(Mutex::new(engine))),
            on_gpu => return Ok(facts.with(on_gpu)),
        };
        let kept = Kept { engine, facts, model: model.digest.clone(), options: options.clone() };
        Ok(lock(&KEPT).insert(kept).lend())
    }
}

/// An engine on the CPU.
enum Engine {
    Host(Shared<dyn Infer>),
    Incremental(Shared<dyn InferChanges>),
}

type Shared<E> = Arc<Mutex<Box<E>>>;

impl Engine {
    /// Whether no stream uses it.
    fn is_free(&self) -> bool {
        match self {
            Self::Host(engine) => Arc::strong_count(engine) == 1,
            Self::Incremental(engine) => Arc::strong_count(engine) == 1,
        }
    }

    /// The engine for a new stream.
    fn lend(&self) -> AnyEngine {
        match self {
            Self::Host(engine) => AnyEngine::Host(Box::new(Lent::new(engine))),
            Self::Incremental(engine) => {
                let mut last = lock(engine);
                // Nothing of the last stream stays.
                last.forget();
                last.limit_memory(u64::MAX);
                drop(last);
                AnyEngine::Incremental(Box::new(Lent::new(engine)))
            }
        }
    }
}

/// An engine and what it was loaded for.
struct Kept {
    engine: Engine,
    facts: Facts,
    /// Digest of the model.
    model: String,
    options: EngineOptions,
}

impl Kept {
    /// Whether the engine is the one that would be loaded.
    fn fits(&self, model: &Model, wanted: &EngineOptions) -> bool {
        let loaded = EngineOptions {
            backend: self.facts.backend,
            precision: self.facts.precision,
            ..self.options.clone()
        };
        self.engine.is_free()
            && self.model == model.digest
            && [&self.options, &loaded].contains(&wanted)
    }

    fn lend(&self) -> Loaded {
        self.facts.clone().with(self.engine.lend())
    }
}

/// What is known of an engine that was loaded.
#[derive(Clone)]
struct Facts {
    backend: Backend,
    precision: Precision,
    device: Option<String>,
    traits: EngineTraits,
    note: Option<String>,
    fallbacks: Vec<Fallback>,
}

impl Facts {
    fn split(loaded: Loaded) -> (AnyEngine, Self) {
        let Loaded { infer, backend, precision, device, traits, note, fallbacks } = loaded;
        (infer, Self { backend, precision, device, traits, note, fallbacks })
    }

    fn with(self, infer: AnyEngine) -> Loaded {
        let Self { backend, precision, device, traits, note, fallbacks } = self;
        Loaded { infer, backend, precision, device, traits, note, fallbacks }
    }
}

/// An engine that one stream uses.
struct Lent<E: ?Sized> {
    engine: Shared<E>,
    info: ModelInfo,
    identity: String,
}

impl<E: Infer + ?Sized> Lent<E> {
    fn new(engine: &Shared<E>) -> Self {
        let kept = lock(engine);
        let (info, identity) = (kept.info().clone(), kept.identity().to_owned());
        Self { engine: engine.clone(), info, identity }
    }
}

impl<E: Infer + ?Sized> Infer for Lent<E> {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn run(&mut self, input: &Image, output: &mut Image) -> Result<(), engine::Error> {
        lock(&self.engine).run(input, output)
    }

    fn shape_grid(&self) -> u32 {
        lock(&self.engine).shape_grid()
    }

    fn whole_share(&self) -> f64 {
        lock(&self.engine).whole_share()
    }

    fn identity(&self) -> &str {
        &self.identity
    }
}

impl InferChanges for Lent<dyn InferChanges> {
    fn update(
        &mut self,
        input: &Image,
        changed: &[Rect],
        tolerance: Tolerance,
        output: &mut Image,
    ) -> Result<Update, engine::Error> {
        lock(&self.engine).update(input, changed, tolerance, output)
    }

    fn run_changed(
        &mut self,
        input: &Image,
        changed: &[Rect],
        output: &mut Image,
    ) -> Result<Update, engine::Error> {
        lock(&self.engine).run_changed(input, changed, output)
    }

    fn forget(&mut self) {
        lock(&self.engine).forget();
    }

    fn limit_memory(&mut self, bytes: u64) {
        lock(&self.engine).limit_memory(bytes);
    }

    fn run_bytes(&self, width: u32, height: u32) -> u64 {
        lock(&self.engine).run_bytes(width, height)
    }

    fn keep_features(&mut self, width: u32, height: u32, limit: u64) -> Option<u64> {
        lock(&self.engine).keep_features(width, height, limit)
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use gstupscale::engine::Silent;

    use super::*;

    #[test]
    fn an_engine_is_loaded_once_and_lent_to_one_stream_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let model = Model::open("builtin").unwrap();
        let options = |precision| EngineOptions {
            backend: Backend::Native,
            precision,
            device_id: 0,
            threads: 1,
            cache_dir: folder.path().into(),
        };
        let load = |precision| Keeper.load(&model, &options(precision), &Silent).unwrap();
        let address = || {
            let kept = lock(&KEPT);
            let Some(Kept { engine: Engine::Incremental(engine), .. }) = &*kept else { panic!() };
            Arc::as_ptr(engine).addr()
        };
        drop(load(Precision::Fp32));
        let first = address();
        let second = load(Precision::Fp32);
        assert_eq!(address(), first);
        // The first one is in use.
        let other = load(Precision::Fp32);
        assert_ne!(address(), first);
        drop((second, other));
        assert_eq!(load(Precision::Int16).precision, Precision::Int16);
    }
}
