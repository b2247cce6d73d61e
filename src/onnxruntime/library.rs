//! ONNX Runtime's shared library: where it is searched for, and its environment.
//!
//! The whole process uses one library. It is chosen before the first session, and its environment
//! lives as long as the process (ONNX Runtime allows only one).

use std::{
    env,
    ffi::{CStr, OsStr, c_char},
    fmt::Write as _,
    fs, io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    ptr,
    sync::{Mutex, OnceLock, PoisonError},
};

use ort::environment::Environment;

use super::messages::runtime_error;
use crate::{
    engine::{Backend, Candidate, Error},
    model::Model,
};

/// The library in use.
pub(super) struct Library {
    pub environment: Environment,
    /// The library's build information: version, commit, flags.
    pub build: &'static str,
    /// Where it was loaded from: a path, or a name that the dynamic linker resolved.
    pub path: PathBuf,
    version: String,
    providers: Vec<String>,
}

impl Library {
    /// The process's library. The first call searches for it and loads it.
    ///
    /// # Errors
    /// [`Error::NoLibrary`] when no suitable library is found; the next call searches again.
    pub(crate) fn get() -> Result<&'static Self, Error> {
        static LIBRARY: OnceLock<Library> = OnceLock::new();
        static LOADING: Mutex<()> = Mutex::new(());
        if let Some(library) = LIBRARY.get() {
            return Ok(library);
        }
        let _loading = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
        match LIBRARY.get() {
            Some(library) => Ok(library),
            None => Self::load().map(|library| LIBRARY.get_or_init(|| library)),
        }
    }

    fn load() -> Result<Self, Error> {
        check_descriptors()?;
        let mut searched = String::new();
        for place in places() {
            if !searched.is_empty() {
                searched.push_str(", ");
            }
            let _ = write!(searched, "{place}");
            for path in place.libraries() {
                // Creating an `ort::Error` before a library is loaded would load one, or panic;
                // `init_from` has another error type.
                match ort::init_from(&path) {
                    Ok(builder) => return Self::with_environment(builder, path),
                    Err(why) if !matches!(place, Place::Name(_)) => {
                        let _ = write!(searched, " ({why})");
                    }
                    Err(_) => {}
                }
            }
        }
        Err(Error::NoLibrary { searched })
    }

    fn with_environment(
        builder: ort::environment::EnvironmentBuilder,
        path: PathBuf,
    ) -> Result<Self, Error> {
        let environment = builder
            .with_name("upscale")
            .with_telemetry(false)
            .build()
            .map_err(|error| runtime_error("initialize ONNX Runtime", &error))?;
        let build = ort::info();
        // The description of some builds has no version: `git-branch=HEAD`.
        let version = stated_version(&path).unwrap_or_else(|| version_of(build).to_owned());
        Ok(Self { environment, build, path, version, providers: available_providers()? })
    }

    /// The process's library, for a session on `backend`.
    ///
    /// # Errors
    /// [`Error::NotBuilt`], [`Error::NoLibrary`] or [`Error::NoProvider`].
    pub(crate) fn with(backend: Backend) -> Result<&'static Self, Error> {
        let (built, feature) = match backend {
            Backend::Auto | Backend::Native | Backend::Cpu => (true, "onnxruntime"),
            Backend::OpenVino => (cfg!(feature = "openvino"), "openvino"),
            Backend::Cuda | Backend::TensorRt => (cfg!(feature = "cuda"), "cuda"),
            Backend::WebGpu => (cfg!(feature = "webgpu"), "webgpu"),
        };
        if !built {
            return Err(Error::NotBuilt { backend, feature });
        }
        let library = Self::get()?;
        if !library.has(backend) {
            return Err(Error::NoProvider { backend, library: library.path.clone() });
        }
        Ok(library)
    }

    /// Whether the library was built with the provider of `backend`.
    fn has(&self, backend: Backend) -> bool {
        let name = match backend {
            Backend::Auto | Backend::Native | Backend::Cpu => return true,
            Backend::OpenVino => "OpenVINOExecutionProvider",
            Backend::Cuda => "CUDAExecutionProvider",
            Backend::TensorRt => "TensorrtExecutionProvider",
            Backend::WebGpu => "WebGpuExecutionProvider",
        };
        self.providers.iter().any(|provider| provider == name)
    }
}

/// Checks that enough files can be opened to load the library and to set it up. It aborts the
/// process if it cannot open `/proc/cpuinfo` then.
///
/// # Errors
/// [`Error::Failed`].
fn check_descriptors() -> Result<(), Error> {
    const NEEDED: usize = 6;
    let opened = (0..NEEDED).map(|_| fs::File::open("/dev/null"));
    match opened.collect::<io::Result<Vec<_>>>() {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => {
            let message = "too few files can be opened; raise the limit (ulimit -n)".into();
            Err(Error::Failed { task: "load ONNX Runtime", message })
        }
        // Without `/dev` nothing is known.
        _ => Ok(()),
    }
}

/// The library's build information: version, commit, flags. The first call loads the library.
///
/// # Errors
/// [`Error::NoLibrary`] when no suitable library is found.
pub(crate) fn build_info() -> Result<&'static str, Error> {
    Ok(Library::get()?.build)
}

/// The version of the library in use, for example `1.24.1`.
///
/// # Errors
/// [`Error::NoLibrary`] when no suitable library is found.
pub fn version() -> Result<&'static str, Error> {
    Ok(&Library::get()?.version)
}

/// The version that the library at `path`, which is loaded, states.
fn stated_version(path: &Path) -> Option<String> {
    type GetBase = unsafe extern "C" fn() -> *const ort::sys::OrtApiBase;
    // SAFETY: it is loaded already, so that no code runs.
    let library = unsafe { libloading::Library::new(path) }.ok()?;
    // SAFETY: the function of this type that every ONNX Runtime has. It returns a table that
    // lives as long as the library, and with it a NUL-terminated text.
    unsafe {
        let base = library.get::<GetBase>(b"OrtGetApiBase").ok()?().as_ref()?;
        Some(CStr::from_ptr((base.GetVersionString)()).to_string_lossy().into_owned())
    }
}

/// The version in a description of a build, or the whole description if it has none.
fn version_of(build: &str) -> &str {
    let branch = build.split("git-branch=").nth(1).unwrap_or(build);
    branch.split(',').next().unwrap_or(branch).trim_start_matches("rel-")
}

/// Whether this program or the library was built without `backend`.
pub(crate) fn lacks(backend: Backend) -> bool {
    matches!(Library::with(backend), Err(Error::NotBuilt { .. } | Error::NoProvider { .. }))
}

/// What distinguishes sessions of `candidate`: model, backend, precision and build of the library.
///
/// # Errors
/// [`Error::NoLibrary`].
pub(super) fn identity(model: &Model, candidate: Candidate) -> Result<String, Error> {
    Ok(format!("{} {candidate}, {}", model.digest, build_info()?))
}

/// The process's ONNX Runtime environment, for sessions that are not built here. A process can
/// have only one. It is never closed.
///
/// # Errors
/// [`Error::NoLibrary`] when no suitable library is found.
pub fn environment() -> Result<Environment, Error> {
    Ok(Library::get()?.environment.clone())
}

/// A place to search.
#[derive(Debug, PartialEq)]
enum Place {
    /// A library that the user named.
    File(PathBuf),
    /// A directory that may contain one.
    Folder(PathBuf),
    /// A name for the dynamic linker to resolve.
    Name(&'static str),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "ORT_DYLIB_PATH={}", path.display()),
            Self::Folder(path) => write!(f, "{}", path.display()),
            Self::Name(name) => write!(f, "the system's {name}"),
        }
    }
}

impl Place {
    /// The files or names to load, best first.
    fn libraries(&self) -> Vec<PathBuf> {
        match self {
            Self::File(path) => vec![path.clone()],
            Self::Name(name) => vec![PathBuf::from(name)],
            Self::Folder(folder) => libraries_in(folder),
        }
    }
}

/// The places to search, in order. A library that the user names is the only one.
fn places() -> Vec<Place> {
    if let Some(path) = env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()) {
        // `ort` would resolve a relative path from the executable's directory.
        let path = std::path::absolute(&path).unwrap_or_else(|_| path.into());
        return vec![Place::File(path)];
    }
    let own_folder = own_file().and_then(|file| Some(file.parent()?.to_path_buf()));
    let mut folders = Vec::new();
    folders.extend(own_folder.clone());
    folders.extend(own_folder.as_deref().and_then(setup_folder_of));
    folders.extend(option_env!("UPSCALE_SETUP_DIR").map(PathBuf::from));
    folders.dedup();
    let system = [
        format!("/usr/lib/{}-linux-gnu", env::consts::ARCH),
        "/usr/local/lib".into(),
        "/usr/lib64".into(),
        "/usr/lib".into(),
    ];
    let names = ["libonnxruntime.so.1", "libonnxruntime.so"];
    folders
        .into_iter()
        .map(Place::Folder)
        .chain(names.map(Place::Name))
        .chain(system.map(|folder| Place::Folder(folder.into())))
        .collect()
}

/// `build/onnxruntime` next to the target directory that `folder` is in, as in a checkout.
fn setup_folder_of(folder: &Path) -> Option<PathBuf> {
    let target = folder.ancestors().find(|path| path.file_name() == Some(OsStr::new("target")))?;
    Some(target.parent()?.join("build/onnxruntime"))
}

/// The files `libonnxruntime.so*` of a directory, newest version first.
fn libraries_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<(Vec<u32>, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let version = name.to_str()?.strip_prefix("libonnxruntime.so")?;
            let numbers = version.split('.').filter_map(|part| part.parse().ok()).collect();
            (version.is_empty() || version.starts_with('.')).then(|| (numbers, entry.path()))
        })
        .collect();
    found.sort_by(|(a, _), (b, _)| b.cmp(a));
    // Several links to one file count once.
    let mut seen = Vec::new();
    found.retain(|(_, path)| match fs::canonicalize(path) {
        Ok(file) if !seen.contains(&file) => {
            seen.push(file);
            true
        }
        _ => false,
    });
    found.into_iter().map(|(_, path)| path).collect()
}

/// The file that contains this code: the plugin, or a program that links the crate.
fn own_file() -> Option<PathBuf> {
    let mut info = libc::Dl_info {
        dli_fname: ptr::null(),
        dli_fbase: ptr::null_mut(),
        dli_sname: ptr::null(),
        dli_saddr: ptr::null_mut(),
    };
    // SAFETY: `own_file` is an address in this object, and `info` is valid for writes.
    let found = unsafe { libc::dladdr(own_file as *const libc::c_void, &mut info) };
    if found == 0 || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: `dladdr` returned a NUL-terminated name that is valid while the object is loaded.
    let name = unsafe { CStr::from_ptr(info.dli_fname) };
    fs::canonicalize(OsStr::from_bytes(name.to_bytes())).ok()
}

/// The execution providers that the library was built with.
fn available_providers() -> Result<Vec<String>, Error> {
    let mut names: *mut *mut c_char = ptr::null_mut();
    let mut count = 0;
    // SAFETY: both out pointers are valid; the library sets them or returns an error.
    unsafe {
        let status = (ort::api().GetAvailableProviders)(&mut names, &mut count);
        ort::Error::result_from_status(status)
    }
    .map_err(|error| runtime_error("list the execution providers of ONNX Runtime", &error))?;
    let mut providers = Vec::new();
    if !names.is_null() {
        for index in 0..usize::try_from(count).unwrap_or(0) {
            // SAFETY: the library returned `count` NUL-terminated names at `names`.
            let name = unsafe { CStr::from_ptr(*names.add(index)) };
            providers.push(name.to_string_lossy().into_owned());
        }
        // SAFETY: releases the names once. An error would only mean a leak.
        unsafe {
            let status = (ort::api().ReleaseAvailableProviders)(names, count);
            let _ = ort::Error::result_from_status(status);
        }
    }
    Ok(providers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_found_in_the_build_description() {
        let build = "ORT Build Info: git-branch=rel-1.24.1, git-commit-id=1, build type=Release";
        assert_eq!(version_of(build), "1.24.1");
        assert_eq!(version_of("something else"), "something else");
    }

    #[test]
    fn the_library_states_its_version() {
        let Ok(library) = Library::get() else { return eprintln!("skipped: no ONNX Runtime") };
        let stated = stated_version(&library.path).unwrap();
        assert!(stated.split('.').all(|part| part.parse::<u32>().is_ok()), "{stated}");
        assert_eq!(version().unwrap(), stated);
    }

    #[test]
    fn the_newest_version_in_a_directory_comes_first_and_links_count_once() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["libonnxruntime.so.1.9.0", "libonnxruntime.so.1.24.1", "libonnxruntime_x.so"] {
            fs::write(at(name), name).unwrap();
        }
        std::os::unix::fs::symlink(at("libonnxruntime.so.1.24.1"), at("libonnxruntime.so.1"))
            .unwrap();
        let names = [at("libonnxruntime.so.1.24.1"), at("libonnxruntime.so.1.9.0")];
        assert_eq!(libraries_in(folder.path()), names);
    }

    #[test]
    fn the_setup_directory_is_next_to_the_target_directory() {
        let folder = setup_folder_of(Path::new("/a/target/x86_64-unknown-linux-gnu/release/deps"));
        assert_eq!(folder, Some("/a/build/onnxruntime".into()));
        assert_eq!(setup_folder_of(Path::new("/usr/lib/gstreamer-1.0")), None);
    }

    #[test]
    fn the_file_that_contains_this_code_is_found() {
        assert!(own_file().unwrap().is_file());
    }
}
