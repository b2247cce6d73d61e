//! Runs the jobs of the queue, one at a time, and publishes what they do.

use std::{
    collections::HashMap,
    ffi::OsString,
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::process::ExitStatusExt as _,
    pin::pin,
    process::ExitStatus,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde::Serialize;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader, Lines},
    process::Child,
    sync::{Notify, watch},
    time::{sleep, timeout},
};

use super::{
    folders::Folders,
    job::{Job, Source, State},
    process::{self, Handle},
    progress::{Event, Progress},
    queue::{self, Action, Queue},
    store::{self, Store},
};

/// How long a process has to stop by itself. It finishes the frame at hand.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long the last output of a process that has ended is read.
const REST: Duration = Duration::from_secs(1);

/// When a process that lacked descriptors or memory is started again.
const RETRY: Duration = Duration::from_secs(5);

/// The longest log, in bytes.
const MAX_LOG: usize = 1 << 18;

/// The number of error messages that are kept.
const MAX_ERRORS: usize = 5;

/// An action on a job failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Queue(#[from] queue::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// The queue and the processes that work on it.
pub struct Jobs {
    pub store: Store,
    pub folders: Folders,
    state: Mutex<Running>,
    /// Whose turn it is may have changed.
    changed: Notify,
    /// What the page shows, as JSON.
    view: watch::Sender<String>,
}

struct Running {
    queue: Queue,
    works: HashMap<u32, Work>,
}

/// A process that works on a job.
struct Work {
    handle: Handle,
    progress: Progress,
    /// The last messages of the command.
    errors: Vec<String>,
    /// Bytes in the log.
    logged: usize,
}

/// A job as the page gets it.
#[derive(Serialize)]
struct View<'a> {
    #[serde(flatten)]
    job: &'a Job,
    progress: Option<&'a Progress>,
}

impl Jobs {
    /// The jobs of a state folder.
    ///
    /// # Errors
    /// See [`store::Error`].
    pub fn open(store: Store, folders: Folders) -> Result<Arc<Self>, store::Error> {
        let queue = store.load()?;
        let jobs = Self {
            store,
            folders,
            state: Mutex::new(Running { queue, works: HashMap::new() }),
            changed: Notify::new(),
            view: watch::Sender::default(),
        };
        jobs.publish(&jobs.lock());
        Ok(Arc::new(jobs))
    }

    /// Runs the jobs, without end.
    pub async fn run(self: Arc<Self>) {
        loop {
            self.start_next();
            self.changed.notified().await;
        }
    }

    /// What the page shows, now and whenever it changes.
    pub fn watch(&self) -> watch::Receiver<String> {
        self.view.subscribe()
    }

    /// A number for a new job, and its folder.
    ///
    /// # Errors
    /// See [`store::Error`].
    pub fn reserve(&self) -> Result<u32, store::Error> {
        let mut state = self.lock();
        let number = state.queue.reserve();
        self.store.create(number)?;
        Ok(number)
    }

    /// Appends a job.
    ///
    /// # Errors
    /// See [`store::Error`]. The job is not part of the queue then.
    pub fn add(&self, job: Job) -> Result<(), store::Error> {
        let mut state = self.lock();
        let number = job.number;
        state.queue.add(job);
        if let Err(error) = self.store.save(&state.queue) {
            state.queue.withdraw(number);
            return Err(error);
        }
        self.publish(&state);
        self.changed.notify_one();
        Ok(())
    }

    /// A copy of a job.
    ///
    /// # Errors
    /// [`queue::Error::NoJob`].
    pub fn job(&self, number: u32) -> Result<Job, queue::Error> {
        self.lock().queue.job(number).cloned()
    }

    /// Carries out what the user asked for.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn act(&self, number: u32, action: Action) -> Result<(), Error> {
        let mut state = self.lock();
        let handle = state.works.get(&number).map(|work| work.handle.clone());
        state.queue.act(number, action, handle.is_some())?;
        match (action, handle) {
            (Action::Pause, Some(handle)) => handle.suspend(),
            (Action::Cancel, Some(handle)) => {
                handle.stop();
                tokio::spawn(async move {
                    sleep(PATIENCE).await;
                    handle.kill();
                });
            }
            (Action::Cancel, None) => self.store.remove_results(state.queue.job(number)?),
            _ => {}
        }
        self.publish(&state);
        self.changed.notify_one();
        self.save(&state);
        Ok(())
    }

    /// Removes a job and its files.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn remove(&self, number: u32) -> Result<(), Error> {
        let mut state = self.lock();
        state.queue.remove(number)?;
        // First, so that a full disk has space for the queue.
        self.store.remove(number);
        self.publish(&state);
        self.save(&state);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, state: &Running) {
        let view =
            |job| View { job, progress: state.works.get(&job.number).map(|it| &it.progress) };
        let views: Vec<_> = state.queue.jobs().iter().map(view).collect();
        if let Ok(text) = serde_json::to_string(&views) {
            self.view.send_replace(text);
        }
    }

    /// Stores the queue where nobody waits for the answer.
    fn save(&self, state: &Running) {
        if let Err(error) = self.store.save(&state.queue) {
            warn!("{error}");
        }
    }

    /// Starts the next job, or lets its process go on.
    fn start_next(self: &Arc<Self>) {
        let mut state = self.lock();
        let Some(job) = state.queue.next().cloned() else { return };
        let number = job.number;
        let started = match state.works.get_mut(&number) {
            Some(work) => {
                work.progress.restart();
                work.handle.go_on();
                Ok(())
            }
            None => self.start(&job).map(|work| drop(state.works.insert(number, work))),
        };
        if let Err(error) = &started
            && is_scarcity(error)
        {
            let jobs = self.clone();
            tokio::spawn(async move {
                sleep(RETRY).await;
                jobs.changed.notify_one();
            });
            return;
        }
        if let Ok(job) = state.queue.job_mut(number) {
            (job.state, job.message) = match started {
                Ok(()) => (State::Running, String::new()),
                Err(error) => (State::Failed, format!("the process could not be started: {error}")),
            };
        }
        self.save(&state);
        self.publish(&state);
        self.changed.notify_one();
    }

    fn start(self: &Arc<Self>, job: &Job) -> io::Result<Work> {
        // The path may lead elsewhere since it was added, and the folder may not be allowed any more.
        self.check(job)?;
        self.store.remove_parts(job);
        let (input, output) = (self.store.input(job), self.store.output(job));
        let mut arguments: Vec<OsString> = vec!["upscale".into()];
        let edits = &job.settings.edits;
        let watermark = edits.watermark.as_ref().map(|_| self.store.watermark(job.number));
        let options = [job.settings.arguments(), edits.arguments(watermark.as_deref())].concat();
        arguments.extend(options.into_iter().map(OsString::from));
        let mut latest = OsString::from("--latest-frame=");
        latest.push(self.store.latest_frame(job.number));
        arguments.push(latest);
        arguments.extend(["--progress=json", "--force", "--"].map(OsString::from));
        arguments.extend([input.into(), output.into()]);
        let child = process::command(self.store.lock(), arguments)?.spawn()?;
        let handle = Handle::new(&child)?;
        tokio::spawn(self.clone().follow(job.number, child, handle.clone()));
        Ok(Work { handle, progress: Progress::default(), errors: Vec::new(), logged: 0 })
    }

    /// Checks that the input of a job is the uploaded file, or still a file in an allowed folder.
    ///
    /// # Errors
    /// It is not.
    pub fn check(&self, job: &Job) -> io::Result<()> {
        match &job.source {
            Source::Upload => Ok(()),
            Source::Path(path) => match self.folders.file(path) {
                Ok(file) if file == *path => Ok(()),
                Ok(file) => Err(io::Error::other(format!("the path leads to {}", file.display()))),
                Err(error) => Err(io::Error::other(error)),
            },
        }
    }

    /// Reads what the process of a job writes, until it ends.
    async fn follow(self: Arc<Self>, number: u32, mut child: Child, handle: Handle) {
        let (mut events, mut errors) = (lines(child.stdout.take()), lines(child.stderr.take()));
        let mut ended = pin!(handle.ended());
        loop {
            tokio::select! {
                Some(line) = next(&mut events) => self.on_event(number, &line),
                Some(line) = next(&mut errors) => self.on_error(number, &line),
                () = &mut ended => break,
            }
        }
        // Before its number can become that of another process.
        handle.finish();
        let status = child.wait().await;
        // A process that it started and that left its group can hold the pipes open.
        let rest = async {
            loop {
                tokio::select! {
                    Some(line) = next(&mut events) => self.on_event(number, &line),
                    Some(line) = next(&mut errors) => self.on_error(number, &line),
                    else => break,
                }
            }
        };
        let _ = timeout(REST, rest).await;
        self.on_end(number, status);
    }

    /// Takes an event. Warnings are lines of standard error as well.
    fn on_event(&self, number: u32, line: &str) {
        let Some(event) = Event::parse(line) else { return };
        let mut state = self.lock();
        let Running { queue, works } = &mut *state;
        let (Ok(job), Some(work)) = (queue.job(number), works.get_mut(&number)) else { return };
        work.progress.add(&event, Instant::now());
        match event {
            Event::Step { text } | Event::Note { text } => self.log(job, work, &text),
            _ => {}
        }
        self.publish(&state);
    }

    /// Takes a line of standard error: messages of the command, and those of libraries.
    fn on_error(&self, number: u32, line: &str) {
        let mut state = self.lock();
        let Running { queue, works } = &mut *state;
        let (Ok(job), Some(work)) = (queue.job(number), works.get_mut(&number)) else { return };
        if let Some(text) = line.strip_prefix("gst-upscale: ") {
            if work.errors.len() == MAX_ERRORS {
                work.errors.remove(0);
            }
            work.errors.push(self.store.for_user(job, text));
        }
        self.log(job, work, line);
    }

    fn on_end(&self, number: u32, status: io::Result<ExitStatus>) {
        let mut state = self.lock();
        let work = state.works.remove(&number);
        let Ok(job) = state.queue.job_mut(number) else { return };
        let errors = work.map(|work| work.errors).unwrap_or_default();
        if job.state == State::Stopping {
            job.state = State::Cancelled;
            self.store.remove_results(job);
        } else {
            self.store.remove_parts(job);
            job.bytes = self.store.output(job).metadata().map(|it| it.len()).ok();
            job.state = if job.bytes.is_some() { State::Done } else { State::Failed };
            job.message = match status {
                Ok(status) if status.success() => String::new(),
                Ok(status) if errors.is_empty() => describe(status),
                Ok(_) => errors.join("\n"),
                Err(error) => format!("the process was lost: {error}"),
            };
        }
        self.save(&state);
        self.publish(&state);
        self.changed.notify_one();
    }

    /// Appends a line to the job's log.
    fn log(&self, job: &Job, work: &mut Work, line: &str) {
        let line = format!("{}\n", self.store.for_user(job, line));
        work.logged += line.len();
        if work.logged > MAX_LOG {
            return;
        }
        let file = OpenOptions::new().create(true).append(true).open(self.store.log(job.number));
        // A full disk must not end the job.
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}

/// Whether the system lacks descriptors, processes or memory, which can pass.
fn is_scarcity(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let scarce = [Errno::MFILE, Errno::NFILE, Errno::AGAIN, Errno::NOMEM];
    error.raw_os_error().is_some_and(|code| scarce.iter().any(|it| it.raw_os_error() == code))
}

/// The end of a process that said nothing.
fn describe(status: ExitStatus) -> String {
    match status.signal() {
        Some(signal) => format!(
            "the process ended unexpectedly (signal {signal}); the file may be damaged, or memory \
             may be short"
        ),
        None => format!("the process failed without a message ({status})"),
    }
}

fn lines<T: AsyncRead + Unpin>(pipe: Option<T>) -> Option<Lines<BufReader<T>>> {
    pipe.map(|pipe| BufReader::new(pipe).lines())
}

/// The next line; `None` at the end. Lines that are not UTF-8 are skipped.
async fn next<T: AsyncRead + Unpin>(lines: &mut Option<Lines<BufReader<T>>>) -> Option<String> {
    loop {
        match lines.as_mut()?.next_line().await {
            Ok(Some(line)) => return Some(line),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
            Ok(None) | Err(_) => {
                *lines = None;
                return None;
            }
        }
    }
}
