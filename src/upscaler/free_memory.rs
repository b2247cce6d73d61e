//! How much memory this process may still take: what the machine, every control group around the
//! process and its own limit leave.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

/// Assumed where nothing can be found out, in bytes.
const UNKNOWN: u64 = 2 << 30;

/// Bytes that this process may still take.
pub(super) fn free() -> u64 {
    let root = Path::new("/");
    [machine(root), control_groups(root), address_space()]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(UNKNOWN)
}

/// Gives memory that the allocator keeps for later back to the system. Without it, memory grows with
/// every change between models of different sizes, whose threads leave pieces in many arenas.
pub(crate) fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes a number and only touches free memory of the allocator.
    unsafe {
        libc::malloc_trim(0)
    };
}

/// Bytes that the machine has left: `MemAvailable` of `/proc/meminfo`.
fn machine(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Bytes that the limit of the address space (`ulimit -v`) leaves; `None` without a limit.
fn address_space() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is valid for writes during the call.
    let failed = unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) } != 0;
    if failed || limit.rlim_cur == libc::RLIM_INFINITY {
        return None;
    }
    let limit = limit.rlim_cur;
    let pages = fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    // SAFETY: `sysconf` takes no pointer.
    let page = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    // Without `/proc` half of it is assumed to be in use.
    let used = pages.map_or(limit / 2, |pages| pages.saturating_mul(page));
    Some(limit.saturating_sub(used))
}

/// The least that a control group around this process leaves, in bytes; `None` if none has a
/// limit. See <https://docs.kernel.org/admin-guide/cgroup-v2.html> and
/// <https://docs.kernel.org/admin-guide/cgroup-v1/memory.html>.
fn control_groups(root: &Path) -> Option<u64> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let mounts = fs::read_to_string(root.join("proc/self/mountinfo")).ok()?;
    let limits = groups.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let files = match controllers {
            "" => &V2,
            list if list.split(',').any(|controller| controller == "memory") => &V1,
            _ => return None,
        };
        let (mount, below) = mount_of(files, &mounts, path)?;
        files.least_left(root, &mount, &below)
    });
    limits.min()
}

/// The files of one version of control groups.
struct Files {
    filesystem: &'static str,
    /// A super option that the mount must have.
    option: Option<&'static str>,
    limit: &'static str,
    used: &'static str,
    /// Entries of `memory.stat` with page cache, which the kernel releases on demand.
    cache: [&'static str; 2],
}

const V1: Files = Files {
    filesystem: "cgroup",
    option: Some("memory"),
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    cache: ["total_active_file", "total_inactive_file"],
};

const V2: Files = Files {
    filesystem: "cgroup2",
    option: None,
    limit: "memory.max",
    used: "memory.current",
    cache: ["active_file", "inactive_file"],
};

/// Where the file system of control groups is mounted, and the path of the group `path` below it.
/// See proc_pid_mountinfo(5).
fn mount_of(files: &Files, mounts: &str, path: &str) -> Option<(PathBuf, PathBuf)> {
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut after = after.split(' ');
        let (filesystem, options) = (after.next()?, after.nth(1)?);
        let has = |option| options.split(',').any(|own| own == option);
        if filesystem != files.filesystem || files.option.is_some_and(|option| !has(option)) {
            return None;
        }
        let mut before = before.split(' ').skip(3);
        let (mounted, point) = (before.next()?, before.next()?);
        // In a container the group that is mounted, not the root of all, is at the mount point.
        // Without a common part the process's own group cannot be found below it.
        let below = Path::new(path).strip_prefix(mounted).unwrap_or(Path::new(""));
        let is_plain = below.components().all(|part| matches!(part, Component::Normal(_)));
        Some((PathBuf::from(point), if is_plain { below.to_owned() } else { PathBuf::new() }))
    })
}

impl Files {
    /// The least that the group `below` the mount point, or a group around it, leaves.
    fn least_left(&self, root: &Path, mount: &Path, below: &Path) -> Option<u64> {
        let mount = root.join(mount.strip_prefix("/").unwrap_or(mount));
        below.ancestors().filter_map(|group| self.left(&mount.join(group))).min()
    }

    /// What the limit of one group leaves; `None` without a limit.
    fn left(&self, group: &Path) -> Option<u64> {
        let number = |name| {
            let text = fs::read_to_string(group.join(name)).ok()?;
            text.trim().parse::<u64>().ok()
        };
        let limit = number(self.limit)?;
        let used = number(self.used).unwrap_or(0);
        let stat = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
        let entries = stat.lines().filter_map(|line| line.split_once(' '));
        let cache = entries
            .filter(|(name, _)| self.cache.contains(name))
            .filter_map(|(_, value)| value.trim().parse::<u64>().ok())
            .fold(0, u64::saturating_add);
        Some(limit.saturating_sub(used.saturating_sub(cache)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory with these files.
    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    const MB: u64 = 1_000_000;

    #[test]
    fn the_smallest_group_around_the_process_counts() {
        let root = tree(&[
            ("proc/self/cgroup", "0::/outer/inner\n"),
            (
                "proc/self/mountinfo",
                "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n",
            ),
            ("sys/fs/cgroup/outer/memory.max", "200000000\n"),
            ("sys/fs/cgroup/outer/memory.current", "90000000\n"),
            (
                "sys/fs/cgroup/outer/memory.stat",
                "anon 50000000\nfile 30000000\ninactive_file 20000000\nactive_file 10000000\n",
            ),
            ("sys/fs/cgroup/outer/inner/memory.max", "max\n"),
        ]);
        assert_eq!(control_groups(root.path()), Some(140 * MB));
        fs::write(root.path().join("sys/fs/cgroup/outer/inner/memory.max"), "20000000").unwrap();
        assert_eq!(control_groups(root.path()), Some(20 * MB));
    }

    #[test]
    fn groups_of_the_first_version_count_too() {
        let root = tree(&[
            ("proc/self/cgroup", "5:cpu,cpuacct:/other\n4:memory:/jobs/this\n0::/\n"),
            (
                "proc/self/mountinfo",
                "30 23 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
                 31 23 0:27 /jobs /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n",
            ),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/this/memory.limit_in_bytes", "100000000\n"),
            ("sys/fs/cgroup/memory/this/memory.usage_in_bytes", "60000000\n"),
            ("sys/fs/cgroup/memory/this/memory.stat", "total_inactive_file 10000000\n"),
        ]);
        assert_eq!(control_groups(root.path()), Some(50 * MB));
    }

    #[test]
    fn a_group_outside_of_the_mount_counts_as_the_mounted_one() {
        for path in ["/elsewhere", "/../../sibling"] {
            let root = tree(&[
                ("proc/self/cgroup", &format!("0::{path}\n")),
                ("proc/self/mountinfo", "30 23 0:26 /box /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n"),
                ("sys/fs/cgroup/memory.max", "5000000"),
            ]);
            assert_eq!(control_groups(root.path()), Some(5 * MB), "{path}");
        }
    }

    #[test]
    fn without_proc_nothing_is_known_and_nothing_panics() {
        let root = tree(&[]);
        assert_eq!((machine(root.path()), control_groups(root.path())), (None, None));
        assert!(free() > 0);
    }

    #[test]
    fn the_machine_has_what_the_kernel_calls_available() {
        let root = tree(&[("proc/meminfo", "MemTotal:  8000 kB\nMemAvailable:    3000 kB\n")]);
        assert_eq!(machine(root.path()), Some(3000 * 1024));
    }
}
