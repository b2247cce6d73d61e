//! The state folder: the queue, and a folder for each job.

use std::{
    collections::HashSet,
    fs::{self, DirEntry, File, Permissions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use tempfile::NamedTempFile;

use super::{
    job::{Job, Source},
    queue::Queue,
    watermarks::Watermarks,
};

/// The state folder could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path} could not be written: {}", .source.kind())]
    Write { path: PathBuf, source: io::Error },
    #[error("{path} could not be read: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "{path} is damaged ({source}); move it away and start again, which keeps the files of its jobs"
    )]
    Damaged { path: PathBuf, source: serde_json::Error },
    #[error("another server uses {0}; stop it, or name another directory with --state")]
    Locked(PathBuf),
}

/// The state folder, reserved for this process.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    lock: File,
}

impl Store {
    /// Creates the folder if necessary, and reserves it until this process and its children have ended.
    /// Waits for those of a server that has just been killed, but no longer than `patience`.
    ///
    /// # Errors
    /// [`Error::Write`] or [`Error::Locked`].
    pub fn open(folder: &Path, patience: Duration) -> Result<Self, Error> {
        let path = folder.join("lock");
        let failed = |source| Error::Write { path: path.clone(), source };
        let jobs = folder.join("jobs");
        fs::create_dir_all(&jobs).map_err(failed)?;
        // Inputs and results are for this user only.
        fs::set_permissions(&jobs, Permissions::from_mode(0o700)).map_err(failed)?;
        let lock = File::create(&path).map_err(failed)?;
        let start = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Self { folder: folder.into(), lock }),
                Err(TryLockError::WouldBlock) if start.elapsed() < patience => {
                    thread::sleep(Duration::from_millis(50));
                }
                Err(TryLockError::WouldBlock) => return Err(Error::Locked(folder.into())),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
    }

    /// The open file whose lock reserves the folder.
    pub fn lock(&self) -> &File {
        &self.lock
    }

    /// The queue of the last run. Removes the folders of jobs that are not part of it: those of
    /// interrupted uploads. Without a stored queue it removes nothing, and new jobs get numbers that no
    /// folder has.
    ///
    /// # Errors
    /// [`Error::Read`] or [`Error::Damaged`].
    pub fn load(&self) -> Result<Queue, Error> {
        let path = self.folder.join("queue.json");
        let stored: Option<Queue> = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|source| Error::Damaged { path: path.clone(), source })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(Error::Read { path, source }),
        };
        let failed = |source| Error::Read { path: self.folder.join("jobs"), source };
        let entries = fs::read_dir(self.folder.join("jobs")).map_err(failed)?;
        let entries = entries.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let numbers = entries.iter().filter_map(number_of);
        let Some(mut queue) = stored else { return Ok(Queue::after(numbers.max().unwrap_or(0))) };
        queue.recover();
        let known: HashSet<u32> = queue.jobs().iter().map(|job| job.number).collect();
        // What cannot be removed does no harm.
        numbers.filter(|number| !known.contains(number)).for_each(|number| self.remove(number));
        Ok(queue)
    }

    /// Stores the queue. A reader finds the old one or the new one, also after a power failure.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn save(&self, queue: &Queue) -> Result<(), Error> {
        let text = serde_json::to_vec_pretty(queue).map_err(io::Error::from);
        text.and_then(|text| self.write("queue.json", &text))
            .map_err(|source| Error::Write { path: self.folder.join("queue.json"), source })
    }

    fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let mut file = NamedTempFile::new_in(&self.folder)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(self.folder.join(name))?;
        Ok(())
    }

    /// The token, which is created when it is first asked for. Only the user can read its file.
    ///
    /// # Errors
    /// [`Error::Read`] or [`Error::Write`].
    pub fn token(&self) -> Result<String, Error> {
        let path = self.folder.join("token");
        match fs::read_to_string(&path) {
            Ok(token) if !token.trim().is_empty() => return Ok(token.trim().to_owned()),
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(Error::Read { path, source });
            }
            _ => {}
        }
        let failed = |source| Error::Write { path: path.clone(), source };
        let mut bytes = [0; 24];
        getrandom::fill(&mut bytes).map_err(|error| failed(io::Error::other(error)))?;
        let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.write("token", token.as_bytes()).map_err(failed)?;
        Ok(token)
    }

    /// The folder of a job.
    pub fn job(&self, number: u32) -> PathBuf {
        self.folder.join(format!("jobs/{number}"))
    }

    /// Where the input is.
    pub fn input(&self, job: &Job) -> PathBuf {
        match &job.source {
            Source::Upload => self.upload(job.number),
            Source::Path(path) => path.clone(),
        }
    }

    /// Where an uploaded input is. Its format is recognized by its content.
    pub fn upload(&self, number: u32) -> PathBuf {
        self.job(number).join("input")
    }

    /// Where the result will be.
    pub fn output(&self, job: &Job) -> PathBuf {
        self.job(job.number).join(format!("output.{}", job.format))
    }

    /// Where the command writes pictures of the latest frame.
    pub fn latest_frame(&self, number: u32) -> PathBuf {
        self.job(number).join("latest.jpg")
    }

    /// The latest picture that the command wrote, which asks it for a newer one. `None` if there is none
    /// yet.
    pub fn take_latest_frame(&self, number: u32) -> Option<Vec<u8>> {
        let taken = self.job(number).join("latest-taken.jpg");
        // Without a newer one, the picture is the one that was taken before.
        let _ = fs::rename(self.latest_frame(number), &taken);
        fs::read(taken).ok()
    }

    /// Where the picture of the watermark is.
    pub fn watermark(&self, number: u32) -> PathBuf {
        self.job(number).join("watermark")
    }

    /// Pictures for watermarks.
    pub fn watermarks(&self) -> Watermarks {
        Watermarks::at(self.folder.join("watermarks"))
    }

    /// What the command said.
    pub fn log(&self, number: u32) -> PathBuf {
        self.job(number).join("log.txt")
    }

    /// A message that names files as the user does.
    pub fn for_user(&self, job: &Job, text: &str) -> String {
        let name = |text: &str, path: &Path, name: &str| match path.to_str() {
            Some(path) => text.replace(path, name),
            None => text.to_owned(),
        };
        let text = name(text, &self.output(job), "the result");
        name(&text, &self.input(job), &job.name)
    }

    /// Creates the folder of a job.
    ///
    /// # Errors
    /// [`Error::Write`], also if it exists.
    pub fn create(&self, number: u32) -> Result<(), Error> {
        let path = self.job(number);
        fs::create_dir(&path).map_err(|source| Error::Write { path, source })
    }

    /// Removes the folder of a job.
    pub fn remove(&self, number: u32) {
        // The next start tries it again.
        let _ = fs::remove_dir_all(self.job(number));
    }

    /// Removes unfinished files of earlier runs of the command. Finished segments stay.
    pub fn remove_parts(&self, job: &Job) {
        let is_old = |name: &str| name.starts_with("output.part.") || name.starts_with("latest");
        self.remove_files(job.number, is_old);
    }

    /// Removes everything but what the job was made of, and the log.
    pub fn remove_results(&self, job: &Job) {
        let mut segments = self.output(job).into_os_string();
        segments.push(".remaster");
        let _ = fs::remove_dir_all(segments);
        self.remove_files(job.number, |name| !matches!(name, "input" | "watermark" | "log.txt"));
    }

    fn remove_files(&self, number: u32, is_old: impl Fn(&str) -> bool) {
        for entry in fs::read_dir(self.job(number)).into_iter().flatten().flatten() {
            if entry.file_name().to_str().is_some_and(&is_old) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// The number of the job whose folder this is. `None` for anything else, such as links.
fn number_of(entry: &DirEntry) -> Option<u32> {
    let name = entry.file_name();
    let number: u32 = name.to_str()?.parse().ok()?;
    let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
    (is_folder && name.to_str() == Some(&*number.to_string())).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_found_again_and_unknown_folders_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Duration::ZERO).unwrap();
        assert_eq!(store.load().unwrap(), Queue::default());
        let mut queue = Queue::default();
        queue.reserve();
        store.save(&queue).unwrap();
        store.create(7).unwrap();
        assert_eq!(store.load().unwrap(), queue);
        assert!(!store.job(7).exists());
        let foreign = folder.path().join("jobs/apply-2026");
        fs::create_dir(&foreign).unwrap();
        std::os::unix::fs::symlink(&foreign, store.job(8)).unwrap();
        store.load().unwrap();
        assert!(foreign.exists() && store.job(8).exists(), "only folders of jobs are removed");
        let mode = fs::metadata(folder.path().join("jobs")).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{mode:o}");
        let error = Store::open(folder.path(), Duration::ZERO).unwrap_err();
        assert!(matches!(error, Error::Locked(_)), "{error}");
    }

    #[test]
    fn without_a_queue_no_folder_is_removed_and_no_number_is_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Duration::ZERO).unwrap();
        store.create(5).unwrap();
        let mut queue = store.load().unwrap();
        assert!(store.job(5).exists());
        assert_eq!(queue.reserve(), 6);
        assert!(store.create(5).is_err());
    }

    #[test]
    fn a_damaged_queue_is_reported_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Duration::ZERO).unwrap();
        fs::write(folder.path().join("queue.json"), "{").unwrap();
        let error = store.load().unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
        assert_eq!(fs::read(folder.path().join("queue.json")).unwrap(), b"{");
    }

    #[test]
    fn the_token_stays_and_only_the_user_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Duration::ZERO).unwrap();
        let token = store.token().unwrap();
        assert_eq!(token.len(), 48);
        assert_eq!(store.token().unwrap(), token);
        let mode = fs::metadata(folder.path().join("token")).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{mode:o}");
    }
}
