//! A control group that is smaller than what a whole frame takes.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use gst::prelude::*;
use gstupscale::element::Upscale;

use crate::bench::{LONG, init};

/// A control group of its own below that of this process; removed when dropped.
struct Group {
    folder: PathBuf,
}

impl Group {
    /// A group with a limit of memory in bytes. `None`, with a message, where this process may not
    /// create one.
    fn limited_to(bytes: u64) -> Option<Self> {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let path = |controller: &str| {
            own.lines().find_map(|line| line.split_once(controller)?.1.strip_prefix('/'))
        };
        // The first version, then the second. In a container the own group may be the root.
        let places = [
            ("/sys/fs/cgroup/memory", path(":memory:"), "memory.limit_in_bytes"),
            ("/sys/fs/cgroup", path("0::"), "memory.max"),
        ];
        for (mount, path, limit) in places {
            for parent in [Path::new(mount).join(path.unwrap_or_default()), mount.into()] {
                let folder = parent.join(format!("gst-upscale-test-{}", std::process::id()));
                let create = || -> io::Result<Self> {
                    // Only the limits of a control group exist before anything is written.
                    fs::create_dir(&folder)?;
                    let group = Self { folder: folder.clone() };
                    let limits = folder.join(limit);
                    fs::metadata(&limits)?;
                    fs::write(limits, bytes.to_string())?;
                    // Without it the kernel would swap instead.
                    let _ = fs::write(folder.join("memory.swap.max"), "0");
                    let _ =
                        fs::write(folder.join("memory.memsw.limit_in_bytes"), bytes.to_string());
                    Ok(group)
                };
                if let Ok(group) = create() {
                    return Some(group);
                }
            }
        }
        eprintln!("skipped: this process may not create a control group with a limit of memory");
        None
    }

    /// Runs an ignored test of this file in the group.
    fn run(&self, test: &str) -> std::process::Output {
        Command::new("sh")
            .args(["-c", r#"echo $$ >"$0/cgroup.procs" && exec "$@""#])
            .arg(&self.folder)
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", &format!("control_group::{test}"), "--ignored", "--nocapture"])
            .output()
            .unwrap()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.folder);
    }
}

#[test]
fn in_a_control_group_of_200_megabytes_frames_of_1280_by_720_are_enlarged() {
    let Some(group) = Group::limited_to(200_000_000) else { return };
    let done = group.run("child_enlarges_frames");
    let said = String::from_utf8_lossy(&done.stderr);
    eprintln!("{said}");
    assert!(done.status.success(), "{}", done.status);
}

#[test]
#[ignore = "run in a control group by the test above"]
fn child_enlarges_frames() {
    init();
    for properties in ["backend=native", "backend=native reuse=off precision=fp32"] {
        let description = format!(
            "videotestsrc num-buffers=6 pattern=ball \
             ! video/x-raw,format=I420,width=1280,height=720,framerate=25/1 \
             ! upscale name=upscale threads=2 {properties} ! fakesink"
        );
        let pipeline =
            gst::parse::launch(&description).unwrap().downcast::<gst::Pipeline>().unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        let kinds = [gst::MessageType::Eos, gst::MessageType::Error];
        let end = pipeline.bus().unwrap().timed_pop_filtered(LONG, &kinds).unwrap();
        assert_eq!(end.type_(), gst::MessageType::Eos, "{properties}: {end:?}");
        let element = pipeline.by_name("upscale").unwrap().downcast::<Upscale>().unwrap();
        let stats = element.property::<gst::Structure>("stats");
        assert_eq!(stats.get::<u64>("frames-out"), Ok(6), "{properties}");
        pipeline.set_state(gst::State::Null).unwrap();
        eprintln!("{properties}: at most {} MB", most() / 1_000_000);
    }
}

/// The most bytes of this process that have been in memory.
fn most() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}
