//! Compiled TensorRT engines on disk. Compiling one takes minutes.
//!
//! Every combination of what an engine depends on has its own directory, because ONNX Runtime's
//! cache can confuse engines of different shapes
//! (<https://github.com/microsoft/onnxruntime/issues/32254>).

use std::{
    env,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::{
    engine::{Error, private},
    model::sha256_hex,
};

/// Written last. A directory without it is left from an interrupted build.
const MARK: &str = "complete.txt";
/// Engines to keep that differ only in the versions of libraries and drivers.
const MAX_KEPT: usize = 3;
/// Time between two checks whether another process has finished building.
const INTERVAL: Duration = Duration::from_millis(100);

/// Everything that a compiled engine depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key<'a> {
    /// The model's digest.
    pub model: &'a str,
    /// Bounds of the shapes, as text.
    pub shapes: &'a str,
    pub precision: &'a str,
    /// Build of ONNX Runtime.
    pub runtime: &'a str,
    pub tensorrt: &'a str,
    pub driver: &'a str,
    /// Name and compute capability.
    pub gpu: &'a str,
}

impl Key<'_> {
    fn text(&self) -> String {
        let Self { model, shapes, precision, runtime, tensorrt, driver, gpu } = self;
        format!(
            "model {model}\nshapes {shapes}\nprecision {precision}\nONNX Runtime {runtime}\n\
             TensorRT {tensorrt}\ndriver {driver}\nGPU {gpu}\n"
        )
    }

    /// The key without the versions of libraries and drivers. The time of a build depends on little
    /// else, and newer engines replace older ones with the same value.
    pub(crate) fn work(&self) -> String {
        format!("{} {} {} on {}", self.model, self.shapes, self.precision, self.gpu)
    }
}

/// The directory of one key.
pub(super) struct TensorRtCache {
    folder: PathBuf,
    text: String,
}

/// Where an engine comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Stored,
    Built,
}

impl TensorRtCache {
    /// A directory under `cache_dir`. Nothing is created yet.
    pub(crate) fn new(cache_dir: &Path, key: &Key<'_>) -> Self {
        let text = key.text();
        let folder = cache_dir.join("tensorrt").join(name(&key.work())).join(name(&text));
        Self { folder, text }
    }

    /// The engine that `make` loads from the directory, or builds into it if it is empty.
    ///
    /// If a stored engine does not work, it is deleted and `make` is called once more. Only one
    /// process builds at a time; others wait and check `cancelled`.
    ///
    /// # Errors
    /// [`Error::Cancelled`], [`Error::Cache`], or the error of `make`, after which no engine that
    /// may be broken is left.
    pub(crate) fn engine<E>(
        &self,
        cancelled: &dyn Fn() -> bool,
        mut make: impl FnMut(&Path) -> Result<E, Error>,
    ) -> Result<(E, Origin), Error> {
        let Ok(_lock) = self.lock(cancelled)? else {
            // Without a writable cache the engine is built at every load.
            let folder = tempfile::tempdir()
                .map_err(|source| Error::Cache { path: env::temp_dir(), source })?;
            return Ok((make(folder.path())?, Origin::Built));
        };
        let stored = self.is_complete();
        if !stored {
            self.clear()?;
        }
        let mut result = make(&self.folder);
        let mut origin = if stored { Origin::Stored } else { Origin::Built };
        if let Err(error) = &result
            && stored
            && !matches!(error, Error::Cancelled | Error::OutOfMemory)
        {
            self.clear()?;
            origin = Origin::Built;
            result = make(&self.folder);
        }
        match &result {
            // If the mark cannot be written, the next load builds the engine again.
            Ok(_) => {
                let _ = fs::write(self.folder.join(MARK), &self.text);
                self.drop_oldest();
            }
            Err(_) if origin == Origin::Built => drop(fs::remove_dir_all(&self.folder)),
            Err(_) => {}
        }
        Ok((result?, origin))
    }

    /// Deletes engines that were compiled for earlier versions of the driver or a library.
    fn drop_oldest(&self) {
        let siblings = self.folder.parent().and_then(|parent| fs::read_dir(parent).ok());
        let mut complete: Vec<_> = siblings
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let used = fs::metadata(entry.path().join(MARK)).and_then(|it| it.modified());
                Some((used.ok()?, entry.path()))
            })
            .collect();
        complete.sort();
        let surplus = complete.len().saturating_sub(MAX_KEPT);
        for (_, folder) in complete.iter().take(surplus).filter(|(_, path)| *path != self.folder) {
            let _ = fs::remove_dir_all(folder);
            let _ = fs::remove_file(folder.with_extension("lock"));
        }
    }

    fn is_complete(&self) -> bool {
        private::is_private(&self.folder)
            && fs::read_to_string(self.folder.join(MARK)).is_ok_and(|text| text == self.text)
    }

    fn clear(&self) -> Result<(), Error> {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(self.error(error));
            }
            _ => {}
        }
        private::create(&self.folder).map_err(|error| self.error(error))
    }

    fn error(&self, source: io::Error) -> Error {
        Error::Cache { path: self.folder.clone(), source }
    }

    /// The lock on the directory, held until it is dropped. The inner error is that of creating or
    /// locking its file.
    fn lock(&self, cancelled: &dyn Fn() -> bool) -> Result<io::Result<File>, Error> {
        let path = self.folder.with_extension("lock");
        let parent = path.parent().map_or(Ok(()), |parent| {
            private::create(parent)?;
            // An engine that another user compiled could compute anything.
            if private::is_private(parent) {
                Ok(())
            } else {
                Err(io::ErrorKind::PermissionDenied.into())
            }
        });
        let file = match parent.and_then(|()| File::create(&path)) {
            Ok(file) => file,
            Err(error) => return Ok(Err(error)),
        };
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Ok(file)),
                Err(TryLockError::Error(error)) => return Ok(Err(error)),
                Err(TryLockError::WouldBlock) if cancelled() => return Err(Error::Cancelled),
                Err(TryLockError::WouldBlock) => thread::sleep(INTERVAL),
            }
        }
    }
}

fn name(text: &str) -> String {
    let mut name = sha256_hex([text]);
    name.truncate(32);
    name
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    const KEY: Key<'_> = Key {
        model: "abc",
        shapes: "x:1x3x32x32",
        precision: "fp16",
        runtime: "1.24.1",
        tensorrt: "10.9",
        driver: "550.54",
        gpu: "RTX 3060 (8.6)",
    };

    fn broken() -> Error {
        Error::Failed { task: "load the model", message: "the engine does not match".into() }
    }

    /// Writes an engine if there is none, and counts. An engine with the text `bad` does not load.
    fn make<'a>(
        builds: &'a mut u32,
        bad: &'a str,
    ) -> impl FnMut(&Path) -> Result<String, Error> + 'a {
        move |folder| {
            let path = folder.join("engine");
            if !path.exists() {
                *builds += 1;
                fs::write(&path, format!("engine {builds}")).unwrap();
            }
            let engine = fs::read_to_string(path).unwrap();
            if engine == bad { Err(broken()) } else { Ok(engine) }
        }
    }

    fn engine(
        cache: &TensorRtCache,
        make: impl FnMut(&Path) -> Result<String, Error>,
    ) -> Result<(String, Origin), Error> {
        cache.engine(&|| false, make)
    }

    #[test]
    fn an_engine_is_built_once_for_every_key() {
        let folder = tempfile::tempdir().unwrap();
        let mut builds = 0;
        let cache = TensorRtCache::new(folder.path(), &KEY);
        assert_eq!(engine(&cache, make(&mut builds, "")).unwrap().1, Origin::Built);
        assert_eq!(engine(&cache, make(&mut builds, "")).unwrap().1, Origin::Stored);
        let others = [
            Key { model: "abd", ..KEY },
            Key { shapes: "x:1x3x64x64", ..KEY },
            Key { precision: "fp32", ..KEY },
            Key { runtime: "1.25", ..KEY },
            Key { tensorrt: "10.10", ..KEY },
            Key { driver: "551", ..KEY },
            Key { gpu: "RTX 4090 (8.9)", ..KEY },
        ];
        for key in others {
            let cache = TensorRtCache::new(folder.path(), &key);
            assert_eq!(engine(&cache, make(&mut builds, "")).unwrap().1, Origin::Built, "{key:?}");
        }
        assert_eq!(builds, 8);
    }

    #[test]
    fn engines_for_old_versions_are_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let other = TensorRtCache::new(folder.path(), &Key { model: "other", ..KEY });
        engine(&other, make(&mut 0, "")).unwrap();
        let drivers = ["550", "555", "560", "565", "570"];
        let caches =
            drivers.map(|driver| TensorRtCache::new(folder.path(), &Key { driver, ..KEY }));
        for (hours, cache) in (1..).zip(&caches) {
            engine(cache, make(&mut 0, "")).unwrap();
            // Built hours apart.
            let time = SystemTime::UNIX_EPOCH + hours * Duration::from_secs(3600);
            let mark = File::options().write(true).open(cache.folder.join(MARK));
            mark.unwrap().set_modified(time).unwrap();
        }
        let kept: Vec<bool> = caches.iter().map(TensorRtCache::is_complete).collect();
        assert_eq!(kept, [false, false, true, true, true]);
        assert!(other.is_complete());
    }

    #[test]
    fn a_stored_engine_that_fails_is_built_again_once() {
        let folder = tempfile::tempdir().unwrap();
        let cache = TensorRtCache::new(folder.path(), &KEY);
        let mut builds = 0;
        engine(&cache, make(&mut builds, "")).unwrap();
        let (again, source) = engine(&cache, make(&mut builds, "engine 1")).unwrap();
        assert_eq!((again.as_str(), source, builds), ("engine 2", Origin::Built, 2));
        assert_eq!(engine(&cache, make(&mut builds, "")).unwrap().1, Origin::Stored);

        let mut calls = 0;
        let result = engine(&cache, |_| {
            calls += 1;
            Err(broken())
        });
        assert!(result.is_err() && calls == 2);
        assert!(!cache.folder.exists(), "nothing broken is left");
    }

    #[test]
    fn a_build_that_fails_is_not_repeated_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let cache = TensorRtCache::new(folder.path(), &KEY);
        let mut builds = 0;
        assert!(engine(&cache, make(&mut builds, "engine 1")).is_err());
        assert_eq!(builds, 1);
        assert!(!cache.folder.exists());
    }

    #[test]
    fn the_remains_of_an_interrupted_build_are_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let cache = TensorRtCache::new(folder.path(), &KEY);
        fs::create_dir_all(&cache.folder).unwrap();
        fs::write(cache.folder.join("engine"), "half an eng").unwrap();
        let mut builds = 0;
        let (engine, _) = engine(&cache, make(&mut builds, "")).unwrap();
        assert_eq!((engine.as_str(), builds), ("engine 1", 1));
    }

    #[test]
    fn a_stored_engine_is_kept_when_memory_runs_out() {
        let folder = tempfile::tempdir().unwrap();
        let cache = TensorRtCache::new(folder.path(), &KEY);
        engine(&cache, make(&mut 0, "")).unwrap();
        let mut calls = 0;
        let result = engine(&cache, |_| {
            calls += 1;
            Err(Error::OutOfMemory)
        });
        assert!(matches!(result, Err(Error::OutOfMemory)) && calls == 1);
        assert!(cache.is_complete());
    }

    #[test]
    fn waiting_for_another_process_can_be_cancelled() {
        let folder = tempfile::tempdir().unwrap();
        let cache = TensorRtCache::new(folder.path(), &KEY);
        let _other = cache.lock(&|| false).unwrap().unwrap();
        let result = cache.engine(&|| true, make(&mut 0, ""));
        assert!(matches!(result, Err(Error::Cancelled)));
    }

    #[test]
    fn without_a_writable_directory_the_engine_is_built() {
        let cache = TensorRtCache::new(Path::new("/dev/null"), &KEY);
        assert_eq!(engine(&cache, make(&mut 0, "")).unwrap().1, Origin::Built);
    }
}
