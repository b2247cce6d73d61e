//! Fake models and engines, which need neither files nor ONNX Runtime.

use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use gstupscale::{
    backend::Loaded,
    element::EngineLoader,
    engine::{self, AnyEngine, Backend, EngineOptions, EngineTraits, Infer, Monitor, Precision},
    frame::{Channels, Image},
    model::{self, Model, ModelInfo, OpenOptions},
};

/// Loads models with the names `x1` to `x9`, which repeat each pixel. A prefix changes what they
/// do: `slow` models load when the gate is opened, and `stuck` models too, but their load cannot be
/// cancelled; each run of a `stepped` model waits until it is allowed, and cannot be ended early;
/// the third run of a `failing` model fails. Other names fail to open or to load.
#[derive(Default)]
pub struct Fake {
    gate: Mutex<bool>,
    opened: Condvar,
    /// The denoising strength with which each model was opened.
    pub strengths: Mutex<Vec<Option<f32>>>,
    /// The number of loads that have started.
    pub loads: AtomicUsize,
    /// The number of engines that exist.
    pub engines: Arc<AtomicUsize>,
    /// The number of runs of all engines.
    pub runs: Arc<AtomicUsize>,
    /// Controls the runs of `stepped` models.
    pub steps: Arc<Steps>,
}

/// Makes runs wait until they are allowed.
#[derive(Default)]
pub struct Steps {
    allowed: Mutex<usize>,
    changed: Condvar,
    /// The number of runs that have started.
    pub begun: AtomicUsize,
}

impl Steps {
    pub fn allow(&self, runs: usize) {
        *self.allowed.lock().unwrap() += runs;
        self.changed.notify_all();
    }

    fn wait(&self) {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let mut allowed = self.allowed.lock().unwrap();
        while *allowed == 0 {
            allowed = self.changed.wait(allowed).unwrap();
        }
        *allowed -= 1;
    }
}

impl Fake {
    pub fn open_gate(&self) {
        *self.gate.lock().unwrap() = true;
        self.opened.notify_all();
    }

    pub fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }

    fn wait_for_gate(&self, monitor: &dyn Monitor) -> Result<(), engine::Error> {
        let mut gate = self.gate.lock().unwrap();
        while !*gate {
            if monitor.cancelled() {
                return Err(engine::Error::Cancelled);
            }
            gate = self.opened.wait_timeout(gate, Duration::from_millis(2)).unwrap().0;
        }
        Ok(())
    }
}

impl EngineLoader for Fake {
    fn open(&self, name: &str, options: &OpenOptions) -> Result<Model, model::Error> {
        self.strengths.lock().unwrap().push(options.denoise);
        let path = name.into();
        let why = "the test requires it".to_owned();
        match name {
            "absent" => Err(model::Error::NotFound { path, known: "x2".into() }),
            "unreadable" => {
                let source = std::io::ErrorKind::PermissionDenied.into();
                Err(model::Error::Io { path, source })
            }
            "unknown" => Err(model::Error::Unknown { path, why }),
            "damaged" => Err(model::Error::Damaged { path, why }),
            "unsuitable" => Err(model::Error::Unsuitable { path, why }),
            _ => Ok(model_named(name)),
        }
    }

    fn load(
        &self,
        model: &Model,
        options: &EngineOptions,
        monitor: &dyn Monitor,
    ) -> Result<Loaded, engine::Error> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        monitor.progress(50, "Building a session");
        if model.name.starts_with("slow") {
            self.wait_for_gate(monitor)?;
        }
        if model.name.starts_with("stuck") {
            let gate = self.gate.lock().unwrap();
            drop(self.opened.wait_while(gate, |open| !*open).unwrap());
        }
        match model.name.as_str() {
            "no-library" => {
                return Err(engine::Error::NoLibrary { searched: "nowhere".into() });
            }
            "out-of-memory" => return Err(engine::Error::OutOfMemory),
            "broken" | "slow-broken" => {
                let message = "the test requires it".into();
                return Err(engine::Error::Failed { task: "build a session", message });
            }
            "panicking" => panic!("the test requires it"),
            _ => {}
        }
        match options.backend {
            Backend::Auto | Backend::Cpu => {}
            backend => {
                return Err(engine::Error::Unavailable { backend, tried: Vec::new() });
            }
        }
        self.engines.fetch_add(1, Ordering::SeqCst);
        let infer = Nearest {
            info: model.info.clone(),
            engines: self.engines.clone(),
            runs: self.runs.clone(),
            steps: model.name.starts_with("stepped").then(|| self.steps.clone()),
            failing: model.name.starts_with("failing"),
        };
        Ok(Loaded {
            infer: AnyEngine::Host(Box::new(infer)),
            backend: Backend::Cpu,
            precision: Precision::Fp32,
            traits: EngineTraits { exact_regions: true, tolerant_halo: None },
            device: None,
            note: None,
            fallbacks: Vec::new(),
        })
    }
}

fn model_named(name: &str) -> Model {
    let factor = name.chars().last().and_then(|last| last.to_digit(10)).unwrap_or(2);
    Model {
        name: name.to_owned(),
        info: ModelInfo {
            channels: Channels::Rgb,
            factor,
            halo: Some(0),
            align: 1,
            min_side: 1,
            fixed_size: None,
            batch: false,
            parameters: 0,
            macs_per_pixel: 1.0,
            peak_floats_per_pixel: 3.0 + f64::from(3 * factor * factor),
        },
        onnx: Default::default(),
        digest: name.to_owned(),
        external: None,
        description: Box::default(),
        note: None,
        graph: None,
    }
}

struct Nearest {
    info: ModelInfo,
    engines: Arc<AtomicUsize>,
    runs: Arc<AtomicUsize>,
    steps: Option<Arc<Steps>>,
    failing: bool,
}

impl Drop for Nearest {
    fn drop(&mut self) {
        self.engines.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Infer for Nearest {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn run(&mut self, input: &Image, output: &mut Image) -> Result<(), engine::Error> {
        if let Some(steps) = &self.steps {
            steps.wait();
        }
        if self.runs.fetch_add(1, Ordering::SeqCst) == 2 && self.failing {
            let message = "the test requires it".into();
            return Err(engine::Error::Failed { task: "run a model", message });
        }
        let factor = self.info.factor as usize;
        output.resize(input.channels(), input.width() * factor, input.height() * factor);
        for channel in 0..input.channels() {
            for y in 0..output.height() {
                let from = input.row(channel, y / factor);
                for (x, sample) in output.row_mut(channel, y).iter_mut().enumerate() {
                    *sample = from[x / factor];
                }
            }
        }
        Ok(())
    }
}
