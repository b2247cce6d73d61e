//! Engines that took minutes to build, kept on disk.
//!
//! One folder for each combination of all that an engine depends on: ONNX Runtime's own cache
//! can take an engine of another shape for the right one
//! (<https://github.com/microsoft/onnxruntime/issues/32254>).

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use sha2::{Digest as _, Sha256};

use crate::engine::Error;

/// Written last: a folder without it was left by a build that did not end.
const MARK: &str = "complete.txt";
/// Engines for the same work that are kept, for other versions of what it runs on.
const MOST: usize = 3;
/// Between looks at whether another process has built the engine meanwhile.
const PATIENCE: Duration = Duration::from_millis(100);

/// All that a compiled engine depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key<'a> {
    /// The model's digest.
    pub model: &'a str,
    /// Bounds of the shapes, in words.
    pub shapes: &'a str,
    pub precision: &'a str,
    /// Builds or versions.
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

    /// The key less the versions of what it runs on: what the time of a build depends on by and
    /// large, and what one engine takes the place of another for.
    pub fn work(&self) -> String {
        format!("{} {} {} on {}", self.model, self.shapes, self.precision, self.gpu)
    }
}

/// The folder of one key.
pub(super) struct TensorRtCache {
    folder: PathBuf,
    text: String,
}

/// What a build went through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Kept,
    Built,
}

impl TensorRtCache {
    /// Under `cache_dir`; nothing is made yet.
    pub fn new(cache_dir: &Path, key: &Key<'_>) -> Self {
        let text = key.text();
        let folder = cache_dir.join("tensorrt").join(name(&key.work())).join(name(&text));
        Self { folder, text }
    }

    /// The engine that `make` loads from the folder, or builds into it where it is empty.
    ///
    /// Where a kept one does not work it is thrown away, and `make` is called once more. One
    /// process builds at a time; others wait, asking `cancelled`.
    ///
    /// # Errors
    /// [`Error::Cancelled`], or what `make` gives; then nothing that may be broken stays.
    pub fn engine<E>(
        &self,
        cancelled: &dyn Fn() -> bool,
        mut make: impl FnMut(&Path) -> Result<E, Error>,
    ) -> Result<(E, Source), Error> {
        let Ok(_lock) = self.lock(cancelled)? else {
            // A cache that cannot be written is none: it is built anew each time.
            let folder = tempfile::tempdir().map_err(|error| cannot(&error))?;
            return Ok((make(folder.path())?, Source::Built));
        };
        let kept = self.is_complete();
        if !kept {
            self.clear()?;
        }
        let mut made = make(&self.folder);
        let mut source = if kept { Source::Kept } else { Source::Built };
        if let Err(error) = &made
            && kept
            && !matches!(error, Error::Cancelled | Error::OutOfMemory)
        {
            self.clear()?;
            source = Source::Built;
            made = make(&self.folder);
        }
        match &made {
            // Without the mark the next load builds it again: no reason to fail.
            Ok(_) => {
                let _ = fs::write(self.folder.join(MARK), &self.text);
                self.drop_oldest();
            }
            Err(_) if source == Source::Built => drop(fs::remove_dir_all(&self.folder)),
            Err(_) => {}
        }
        Ok((made?, source))
    }

    /// Updates of the driver or a library leave engines behind that serve no one any more.
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
        let surplus = complete.len().saturating_sub(MOST);
        for (_, folder) in complete.iter().take(surplus).filter(|(_, path)| *path != self.folder) {
            let _ = fs::remove_dir_all(folder);
            let _ = fs::remove_file(folder.with_extension("lock"));
        }
    }

    fn is_complete(&self) -> bool {
        fs::read_to_string(self.folder.join(MARK)).is_ok_and(|text| text == self.text)
    }

    fn clear(&self) -> Result<(), Error> {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot(&error)),
            _ => {}
        }
        fs::create_dir_all(&self.folder).map_err(|error| cannot(&error))
    }

    /// Held until it is dropped; an error inside where there can be no such file.
    fn lock(&self, cancelled: &dyn Fn() -> bool) -> Result<io::Result<File>, Error> {
        let path = self.folder.with_extension("lock");
        let parent = path.parent().map_or(Ok(()), fs::create_dir_all);
        let file = match parent.and_then(|()| File::create(&path)) {
            Ok(file) => file,
            Err(error) => return Ok(Err(error)),
        };
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Ok(file)),
                Err(TryLockError::Error(error)) => return Ok(Err(error)),
                Err(TryLockError::WouldBlock) if cancelled() => return Err(Error::Cancelled),
                Err(TryLockError::WouldBlock) => thread::sleep(PATIENCE),
            }
        }
    }
}

fn name(text: &str) -> String {
    Sha256::digest(text).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn cannot(error: &io::Error) -> Error {
    let why = format!("{error}: check cache-dir");
    Error::Runtime { task: "keep compiled engines", why }
}

#[cfg(test)]
mod tests {
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
        Error::Runtime { task: "load the model", why: "the engine does not fit".into() }
    }

    /// Writes an engine where there is none, counting; one of `bad` bytes does not load.
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
    ) -> Result<(String, Source), Error> {
        cache.engine(&|| false, make)
    }

    #[test]
    fn an_engine_is_built_once_for_each_key() {
        let folder = tempfile::tempdir().unwrap();
        let mut builds = 0;
        let cache = TensorRtCache::new(folder.path(), &KEY);
        assert_eq!(engine(&cache, make(&mut builds, "")).unwrap().1, Source::Built);
        assert_eq!(engine(&cache, make(&mut builds, "")).unwrap().1, Source::Kept);
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
            assert_eq!(engine(&cache, make(&mut builds, "")).unwrap().1, Source::Built, "{key:?}");
        }
        assert_eq!(builds, 8);
    }

    #[test]
    fn engines_of_versions_long_gone_are_thrown_away() {
        let folder = tempfile::tempdir().unwrap();
        let other = TensorRtCache::new(folder.path(), &Key { model: "other", ..KEY });
        engine(&other, make(&mut 0, "")).unwrap();
        let drivers = ["550", "555", "560", "565", "570"];
        let caches =
            drivers.map(|driver| TensorRtCache::new(folder.path(), &Key { driver, ..KEY }));
        for cache in &caches {
            engine(cache, make(&mut 0, "")).unwrap();
            thread::sleep(Duration::from_millis(10));
        }
        let kept: Vec<bool> = caches.iter().map(TensorRtCache::is_complete).collect();
        assert_eq!(kept, [false, false, true, true, true]);
        assert!(other.is_complete());
    }

    #[test]
    fn a_kept_engine_that_fails_is_built_anew_exactly_once() {
        let folder = tempfile::tempdir().unwrap();
        let cache = TensorRtCache::new(folder.path(), &KEY);
        let mut builds = 0;
        engine(&cache, make(&mut builds, "")).unwrap();
        let (again, source) = engine(&cache, make(&mut builds, "engine 1")).unwrap();
        assert_eq!((again.as_str(), source, builds), ("engine 2", Source::Built, 2));
        assert_eq!(engine(&cache, make(&mut builds, "")).unwrap().1, Source::Kept);

        let mut calls = 0;
        let result = engine(&cache, |_| {
            calls += 1;
            Err(broken())
        });
        assert!(result.is_err() && calls == 2);
        assert!(!cache.folder.exists(), "nothing broken stays");
    }

    #[test]
    fn what_fails_at_the_first_build_is_not_tried_again_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let cache = TensorRtCache::new(folder.path(), &KEY);
        let mut builds = 0;
        assert!(engine(&cache, make(&mut builds, "engine 1")).is_err());
        assert_eq!(builds, 1);
        assert!(!cache.folder.exists());
    }

    #[test]
    fn what_an_interrupted_build_left_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let cache = TensorRtCache::new(folder.path(), &KEY);
        fs::create_dir_all(&cache.folder).unwrap();
        fs::write(cache.folder.join("engine"), "half an eng").unwrap();
        let mut builds = 0;
        let (engine, _) = engine(&cache, make(&mut builds, "")).unwrap();
        assert_eq!((engine.as_str(), builds), ("engine 1", 1));
    }

    #[test]
    fn a_lack_of_memory_is_not_the_kept_engines_fault() {
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
    fn a_wait_for_another_process_can_be_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let cache = TensorRtCache::new(folder.path(), &KEY);
        let _other = cache.lock(&|| false).unwrap().unwrap();
        let result = cache.engine(&|| true, make(&mut 0, ""));
        assert!(matches!(result, Err(Error::Cancelled)));
    }

    #[test]
    fn without_a_folder_to_write_to_it_is_built_all_the_same() {
        let cache = TensorRtCache::new(Path::new("/dev/null"), &KEY);
        assert_eq!(engine(&cache, make(&mut 0, "")).unwrap().1, Source::Built);
    }
}
