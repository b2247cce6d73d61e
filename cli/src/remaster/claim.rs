//! Claims, by which workers on a shared folder divide the segments among them without a scheduler.
//!
//! A claim is a file that exactly one worker can create. Its owner touches it while it works; a
//! claim that was not touched for a while is taken over. On the machine of its owner, a claim is
//! taken over as soon as the owner has ended, which releases the file's lock. Two workers on one segment waste time, but
//! do no harm: both write the same bytes.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use super::folder::Error;

/// A segment that this worker has claimed. Dropping it releases the claim.
#[derive(Debug)]
pub struct Claim {
    path: PathBuf,
    /// Dropped to stop the thread.
    stop: Option<Sender<()>>,
    heartbeat: Option<JoinHandle<()>>,
}

/// The owner touches its claim this many times in the time after which others take it over.
const HEARTBEATS: u32 = 4;

impl Claim {
    /// Claims what `path` stands for. `None` if another worker has it, unless that one has not
    /// touched its claim for `stale`.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn take(path: &Path, stale: Duration) -> Result<Option<Self>, Error> {
        let failed = |source| Error::Write { path: path.into(), source };
        let mut created = create(path);
        if already_exists(&created)
            && (is_orphaned(path) || is_stale(path, stale).map_err(failed)?)
        {
            let aside = path.with_extension(format!("stale-{}", fastrand::u64(..)));
            // Only one worker succeeds in renaming it.
            if fs::rename(path, &aside).is_ok() {
                // Another worker may have replaced it by a claim of its own since it was stale.
                if !is_orphaned(&aside) && !is_stale(&aside, stale).map_err(failed)? {
                    let _ = fs::hard_link(&aside, path);
                }
                fs::remove_file(&aside).map_err(failed)?;
                created = create(path);
            }
        }
        if already_exists(&created) {
            return Ok(None);
        }
        let file = created.map_err(failed)?;
        let (stop, stopped) = mpsc::channel();
        let beat = move || {
            while stopped.recv_timeout(stale / HEARTBEATS) == Err(RecvTimeoutError::Timeout) {
                // If this fails, another worker may take the segment, which does no harm.
                let _ = touch(&file);
            }
        };
        let heartbeat = thread::Builder::new().name("claim".into()).spawn(beat).map_err(failed)?;
        Ok(Some(Self { path: path.into(), stop: Some(stop), heartbeat: Some(heartbeat) }))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(heartbeat) = self.heartbeat.take() {
            let _ = heartbeat.join();
        }
        let _ = fs::remove_file(&self.path);
    }
}

fn create(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    // Before the name of the machine, without which nobody looks at the lock. Some file systems
    // have no locks.
    let is_locked = file.try_lock().is_ok();
    let host = if is_locked { host() } else { String::new() };
    writeln!(file, "{} {}", host.trim(), std::process::id())?;
    Ok(file)
}

fn already_exists<T>(created: &io::Result<T>) -> bool {
    created.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists)
}

/// Sets the modification time by the clock of the file system, which may be another machine's.
fn touch(mut file: &File) -> io::Result<()> {
    file.write_all(b"\n")?;
    file.sync_data()
}

/// Whether the owner of a claim has ended: it was on this machine and does not hold the lock.
fn is_orphaned(path: &Path) -> bool {
    let Ok(text) = fs::read_to_string(path) else { return false };
    let is_local = text.split_whitespace().next() == Some(host().trim()) && !host().is_empty();
    is_local && File::open(path).is_ok_and(|file| file.try_lock().is_ok())
}

/// The name of this machine. Empty if it is not known.
fn host() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default()
}

/// Compares with the time of a new file, since the local clock can differ from the file system's.
fn is_stale(path: &Path, stale: Duration) -> io::Result<bool> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let now = tempfile::NamedTempFile::new_in(folder)?.as_file().metadata()?.modified()?;
    let touched = match fs::metadata(path) {
        Ok(metadata) => metadata.modified()?,
        // Its owner has just released it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => SystemTime::UNIX_EPOCH,
        Err(error) => return Err(error),
    };
    Ok(now.duration_since(touched).is_ok_and(|age| age > stale))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn a_segment_has_one_owner_until_the_claim_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("00000");
        let claim = Claim::take(&path, LONG).unwrap().unwrap();
        assert!(Claim::take(&path, LONG).unwrap().is_none());
        drop(claim);
        assert!(Claim::take(&path, LONG).unwrap().is_some());
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn the_claim_of_a_dead_worker_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("00000");
        let old = File::create(&path).unwrap();
        old.set_modified(SystemTime::now() - 2 * LONG).unwrap();
        let claim = Claim::take(&path, LONG).unwrap();
        assert!(claim.is_some());
        assert!(Claim::take(&path, LONG).unwrap().is_none());
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn the_claim_of_a_worker_that_has_ended_on_this_machine_is_taken_over_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("00000");
        // Not locked, as after SIGKILL.
        fs::write(&path, format!("{} 1\n", host().trim())).unwrap();
        assert!(Claim::take(&path, LONG).unwrap().is_some());
        fs::write(&path, "another-machine 1\n").unwrap();
        assert!(Claim::take(&path, LONG).unwrap().is_none());
    }

    #[test]
    fn workers_that_find_a_stale_claim_together_do_not_fail() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("00000");
        let old = File::create(&path).unwrap();
        old.set_modified(SystemTime::now() - 2 * LONG).unwrap();
        let claims: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| Claim::take(&path, LONG).unwrap())).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert!(!claims.is_empty());
    }

    #[test]
    fn a_claim_in_a_folder_that_does_not_exist_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Claim::take(&folder.path().join("no/00000"), LONG).is_err());
    }
}
