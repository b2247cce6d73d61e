//! Claims, by which workers on a shared folder divide the segments among them without a scheduler.
//!
//! A claim is a file that exactly one worker can create. Its owner touches it while it works; a
//! claim that was not touched for a while is taken over. On the machine of its owner, a claim is
//! taken over as soon as the owner has ended, which releases the file's lock. Two workers on one
//! segment waste time, but do no harm: both write the same bytes.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
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
    /// touched its claim for `stale`. `watch` remembers the claims of other workers.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn take(path: &Path, stale: Duration, watch: &mut Watch) -> Result<Option<Self>, Error> {
        let failed = |source| Error::Write { path: path.into(), source };
        let mut created = create(path);
        if already_exists(&created)
            && let Some(touched) = touched(path).map_err(failed)?
            && (is_orphaned(path) || watch.is_stale(path, touched, stale).map_err(failed)?)
        {
            let aside = path.with_extension(format!("stale-{}", fastrand::u64(..)));
            // Only one worker succeeds in renaming it.
            if fs::rename(path, &aside).is_ok() {
                // Another worker may have replaced it by a claim of its own since it was stale.
                let is_other = self::touched(&aside).map_err(failed)? != Some(touched);
                if is_other && !is_orphaned(&aside) {
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

/// When a claim was last touched. `None` if its owner has just released it.
fn touched(path: &Path) -> io::Result<Option<SystemTime>> {
    match fs::metadata(path) {
        Ok(metadata) => metadata.modified().map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// When this worker first saw other workers' claims as they are. Unlike the clocks of machines and file
/// systems, this time cannot be set.
#[derive(Debug, Default)]
pub struct Watch(HashMap<PathBuf, (SystemTime, Instant)>);

impl Watch {
    /// Whether a claim was not touched for `stale`, by the clock of the file system, which can differ
    /// from the local one, or while this worker has watched it.
    fn is_stale(&mut self, path: &Path, touched: SystemTime, stale: Duration) -> io::Result<bool> {
        let seen = self.0.entry(path.into()).or_insert((touched, Instant::now()));
        if seen.0 != touched {
            *seen = (touched, Instant::now());
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        let now = tempfile::NamedTempFile::new_in(folder)?.as_file().metadata()?.modified()?;
        let is_old = now.duration_since(touched).is_ok_and(|age| age > stale);
        Ok(is_old || seen.1.elapsed() > stale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    /// By a worker that sees the claim for the first time.
    fn take(path: &Path, stale: Duration) -> Result<Option<Claim>, Error> {
        Claim::take(path, stale, &mut Watch::default())
    }

    #[test]
    fn a_segment_has_one_owner_until_the_claim_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("00000");
        let claim = take(&path, LONG).unwrap().unwrap();
        assert!(take(&path, LONG).unwrap().is_none());
        drop(claim);
        assert!(take(&path, LONG).unwrap().is_some());
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn the_claim_of_a_dead_worker_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("00000");
        let old = File::create(&path).unwrap();
        old.set_modified(SystemTime::now() - 2 * LONG).unwrap();
        let claim = take(&path, LONG).unwrap();
        assert!(claim.is_some());
        assert!(take(&path, LONG).unwrap().is_none());
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn the_claim_of_a_worker_that_has_ended_on_this_machine_is_taken_over_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("00000");
        // Not locked, as after SIGKILL.
        fs::write(&path, format!("{} 1\n", host().trim())).unwrap();
        assert!(take(&path, LONG).unwrap().is_some());
        fs::write(&path, "another-machine 1\n").unwrap();
        assert!(take(&path, LONG).unwrap().is_none());
    }

    #[test]
    fn a_claim_from_the_future_is_taken_over_if_nobody_touches_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("00000");
        let old = File::create(&path).unwrap();
        old.set_modified(SystemTime::now() + 2 * LONG).unwrap();
        let mut watch = Watch::default();
        assert!(Claim::take(&path, LONG, &mut watch).unwrap().is_none());
        assert!(Claim::take(&path, Duration::ZERO, &mut watch).unwrap().is_some());
    }

    #[test]
    fn workers_that_find_a_stale_claim_together_do_not_fail() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("00000");
        let old = File::create(&path).unwrap();
        old.set_modified(SystemTime::now() - 2 * LONG).unwrap();
        let claims: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| take(&path, LONG).unwrap())).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert!(!claims.is_empty());
    }

    #[test]
    fn a_claim_in_a_folder_that_does_not_exist_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(take(&folder.path().join("no/00000"), LONG).is_err());
    }
}
