//! Loads models on a worker thread, tells the bus how far it is, and hands over what it loaded.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use glib::WeakRef;
use gst::prelude::*;

use super::{
    errors::{Failure, Severity},
    lock,
};
use crate::{
    backend::{self, Loaded},
    engine::{self, EngineOptions, Monitor},
    model::{self, Model, OpenOptions},
};

/// The `code` of this element's `progress` messages.
const PROGRESS_CODE: &str = "load-model";

/// How long a state change waits for a load that it broke off.
const MOST_SETTLING: Duration = Duration::from_secs(5);

/// Where models and engines come from.
pub trait EngineSource: Send + Sync {
    /// See [`Model::open_with`].
    ///
    /// # Errors
    /// As there.
    fn open(&self, name: &str, options: &OpenOptions) -> Result<Model, model::Error>;

    /// See [`backend::load`].
    ///
    /// # Errors
    /// As there.
    fn load(
        &self,
        model: &Model,
        options: &EngineOptions,
        monitor: &dyn Monitor,
    ) -> Result<Loaded, engine::Error>;

    /// The same on the processor, for what a GPU has no memory for; see
    /// [`backend::load_on_cpu`].
    ///
    /// # Errors
    /// As there.
    fn load_on_host(
        &self,
        model: &Model,
        options: &EngineOptions,
        monitor: &dyn Monitor,
    ) -> Result<Loaded, engine::Error> {
        let options = EngineOptions { backend: engine::Backend::Cpu, ..options.clone() };
        self.load(model, &options, monitor)
    }
}

/// Model files and ONNX Runtime.
pub(super) struct OnnxRuntime;

impl EngineSource for OnnxRuntime {
    fn open(&self, name: &str, options: &OpenOptions) -> Result<Model, model::Error> {
        Model::open_with(name, options)
    }

    fn load(
        &self,
        model: &Model,
        options: &EngineOptions,
        monitor: &dyn Monitor,
    ) -> Result<Loaded, engine::Error> {
        backend::load(model, options, monitor)
    }

    fn load_on_host(
        &self,
        model: &Model,
        options: &EngineOptions,
        monitor: &dyn Monitor,
    ) -> Result<Loaded, engine::Error> {
        backend::load_on_cpu(model, options, monitor)
    }
}

/// What to load.
pub(super) enum Request {
    /// A model that is open already.
    Opened(Model),
    /// A model's name, and how to open it.
    Named(String, OpenOptions),
    /// The same, for the processor.
    OnHost(String, OpenOptions),
}

/// A model that is ready for frames.
pub(super) struct Ready {
    pub model: Model,
    pub engine: Loaded,
}

/// Why there is no model to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoModel {
    /// A flush or a state change ended the wait.
    Interrupted,
    /// Loading failed; the bus knows why.
    Failed,
}

#[derive(Default)]
struct State {
    ready: Option<Ready>,
    loading: bool,
    interrupted: bool,
    /// Whether a model was handed over since the last [`Loader::cancel`].
    handed_over: bool,
    /// The model that was open to begin with, until one is loaded: it serves where one that was
    /// asked for meanwhile cannot.
    first: Option<Model>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// Counts requests: a worker whose number is not the last one has been cancelled.
    request: AtomicU64,
}

/// One element's loader. At most one worker runs at a time, and none outlives the loader.
#[derive(Default)]
pub(super) struct Loader {
    shared: Arc<Shared>,
    worker: Mutex<Option<JoinHandle<()>>>,
}

impl Loader {
    /// Starts loading; what was being loaded is given up.
    ///
    /// A failure is posted on the bus of `element`: as a warning where there is a model to go
    /// on with, else as an error.
    pub fn begin(
        &self,
        element: &gst::Element,
        source: Arc<dyn EngineSource>,
        request: Request,
        options: EngineOptions,
    ) {
        let mut worker = lock(&self.worker);
        let number = {
            let mut state = lock(&self.shared.state);
            state.loading = true;
            if let Request::Opened(model) = &request {
                state.first = Some(model.clone());
            }
            self.shared.request.fetch_add(1, Ordering::SeqCst) + 1
        };
        let task = Task {
            shared: self.shared.clone(),
            element: element.downgrade(),
            number,
            previous: worker.take(),
        };
        let started = thread::Builder::new()
            .name("upscale-load".into())
            .spawn(move || task.run(&*source, request, &options));
        match started {
            Ok(handle) => *worker = Some(handle),
            Err(error) => {
                lock(&self.shared.state).loading = false;
                self.shared.changed.notify_all();
                Failure::NoThread(error).post(element, Severity::Error);
            }
        }
    }

    /// Gives up what is being loaded, drops what was loaded, and goes back to the beginning.
    /// Does not wait for the worker.
    pub fn cancel(&self) {
        let old = {
            let mut state = lock(&self.shared.state);
            self.shared.request.fetch_add(1, Ordering::SeqCst);
            std::mem::take(&mut *state)
        };
        self.shared.changed.notify_all();
        // An engine can take its time to go: not under the lock.
        drop(old);
    }

    /// Waits until a cancelled worker has ended, as ONNX Runtime must not be at work when the
    /// program ends; not for long where what it does cannot be broken off.
    pub fn settle(&self) {
        let Some(worker) = lock(&self.worker).take() else { return };
        // The worker itself can be the one that stops the element.
        let is_own = worker.thread().id() == thread::current().id();
        let begun = Instant::now();
        while !is_own && !worker.is_finished() && begun.elapsed() < MOST_SETTLING {
            thread::sleep(Duration::from_millis(1));
        }
        if worker.is_finished() {
            let _ = worker.join();
        } else {
            lock(&self.worker).get_or_insert(worker);
        }
    }

    /// While `interrupted`, no one waits.
    pub fn set_interrupted(&self, interrupted: bool) {
        lock(&self.shared.state).interrupted = interrupted;
        self.shared.changed.notify_all();
    }

    /// A model that has been loaded since the last call.
    pub fn poll(&self) -> Option<Ready> {
        let mut state = lock(&self.shared.state);
        let ready = state.ready.take();
        state.handed_over |= ready.is_some();
        ready
    }

    /// Whether a model is there or on its way.
    ///
    /// # Errors
    /// [`NoModel`].
    pub fn expect(&self) -> Result<(), NoModel> {
        let state = lock(&self.shared.state);
        match *state {
            State { interrupted: true, .. } => Err(NoModel::Interrupted),
            State { ready: None, loading: false, .. } => Err(NoModel::Failed),
            _ => Ok(()),
        }
    }

    /// Waits for a model.
    ///
    /// # Errors
    /// [`NoModel`].
    pub fn wait(&self) -> Result<Ready, NoModel> {
        let mut state = lock(&self.shared.state);
        loop {
            if state.interrupted {
                return Err(NoModel::Interrupted);
            }
            if let Some(ready) = state.ready.take() {
                state.handed_over = true;
                return Ok(ready);
            }
            if !state.loading {
                return Err(NoModel::Failed);
            }
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.cancel();
        // ONNX Runtime must not be at work when the process ends. The worker itself can be the
        // one that drops the element.
        if let Some(worker) = lock(&self.worker).take()
            && worker.thread().id() != thread::current().id()
        {
            let _ = worker.join();
        }
    }
}

/// One request, on its worker.
struct Task {
    shared: Arc<Shared>,
    element: WeakRef<gst::Element>,
    number: u64,
    previous: Option<JoinHandle<()>>,
}

impl Task {
    fn run(mut self, source: &dyn EngineSource, mut request: Request, options: &EngineOptions) {
        // Two loads at once would need twice the memory.
        if let Some(previous) = self.previous.take() {
            let _ = previous.join();
        }
        while !self.cancelled() {
            let (name, is_first) = match &request {
                Request::Opened(model) => (model.name.clone(), true),
                Request::Named(name, _) | Request::OnHost(name, _) => (name.clone(), false),
            };
            self.post(gst::ProgressType::Start, &format!("Loading model {name}"));
            let loaded = catch_unwind(AssertUnwindSafe(|| self.load(source, request, options)))
                .unwrap_or(Err(Failure::Panicked));
            match self.finish(&name, is_first, loaded) {
                Some(first) => request = Request::Opened(first),
                None => return,
            }
        }
    }

    fn load(
        &self,
        source: &dyn EngineSource,
        request: Request,
        options: &EngineOptions,
    ) -> Result<Ready, Failure> {
        let (model, on_host) = match request {
            Request::Opened(model) => (model, false),
            Request::Named(name, options) => (source.open(&name, &options)?, false),
            Request::OnHost(name, options) => (source.open(&name, &options)?, true),
        };
        let engine = match on_host {
            true => source.load_on_host(&model, options, self),
            false => source.load(&model, options, self),
        };
        Ok(Ready { model, engine: engine? })
    }

    /// Hands over what was loaded, or says why there is nothing; gives the model to load in its
    /// stead, where there is one.
    fn finish(&self, name: &str, is_first: bool, loaded: Result<Ready, Failure>) -> Option<Model> {
        match loaded {
            Ok(ready) => {
                let hand_over =
                    |state: &mut State| (state.ready, state.first) = (Some(ready), None);
                if self.conclude(hand_over) {
                    self.post(gst::ProgressType::Complete, &format!("Model {name} is loaded"));
                    return None;
                }
            }
            Err(failure) if !self.cancelled() => {
                let (others, first) = {
                    let state = lock(&self.shared.state);
                    let others = state.handed_over || state.ready.is_some();
                    (others, state.first.clone().filter(|_| !others && !is_first))
                };
                let goes_on = others || first.is_some();
                let severity = if goes_on { Severity::Warning } else { Severity::Error };
                self.post(gst::ProgressType::Error, &format!("Model {name} did not load"));
                // Before the streaming thread learns of it, so that this is the first error.
                if let Some(element) = self.element.upgrade() {
                    failure.post(&element, severity);
                }
                if first.is_none() {
                    self.conclude(|_| ());
                }
                return first;
            }
            Err(_) => {}
        }
        self.post(gst::ProgressType::Canceled, &format!("Loading model {name} was cancelled"));
        None
    }

    /// Ends the loading, and says so to those who wait, unless this was cancelled.
    fn conclude(&self, change: impl FnOnce(&mut State)) -> bool {
        let mut state = lock(&self.shared.state);
        // Under the lock, so that what `cancel` and `begin` do comes before or after all this.
        if self.cancelled() {
            return false;
        }
        change(&mut state);
        state.loading = false;
        self.shared.changed.notify_all();
        true
    }

    fn post(&self, kind: gst::ProgressType, text: &str) {
        if let Some(element) = self.element.upgrade() {
            let message =
                gst::message::Progress::builder(kind, PROGRESS_CODE, text).src(&element).build();
            // Without a bus there is no one to tell.
            let _ = element.post_message(message);
        }
    }
}

impl Monitor for Task {
    fn progress(&self, percent: u32, what: &str) {
        self.post(gst::ProgressType::Continue, &format!("{what} ({percent} %)"));
    }

    fn cancelled(&self) -> bool {
        self.shared.request.load(Ordering::SeqCst) != self.number
    }
}
