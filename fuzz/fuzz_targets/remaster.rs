//! Reads the plan of a remaster, the record of a segment or the frame table from a work folder. The
//! first byte says which of them the others are.
#![no_main]

/// In place of the command's module, which needs GStreamer.
mod encode {
    pub type Encoding = serde_json::Value;
}
/// In place of the command's module, which needs clap.
mod range {
    pub type TimeRange = serde_json::Value;
}
#[allow(dead_code)]
#[path = "../../cli/src/remaster/folder.rs"]
mod folder;
#[allow(dead_code)]
#[path = "../../cli/src/remaster/frame_table.rs"]
mod frame_table;
#[allow(dead_code)]
#[path = "../../cli/src/remaster/plan.rs"]
mod plan;
#[allow(dead_code)]
#[path = "../../cli/src/remaster/record.rs"]
mod record;

use std::{fs, sync::OnceLock};

use libfuzzer_sys::fuzz_target;

use folder::Folder;
use frame_table::{Locator, SegmentLength};

fn work() -> &'static Folder {
    static FOLDER: OnceLock<Folder> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Folder::at(&upscale_fuzz::folder().join("film.mkv.remaster"));
        folder.create().expect("the temporary directory is writable");
        folder
    })
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, data)) = data.split_first() else { return };
    let folder = work();
    let write = |path, data: &[u8]| fs::write(path, data).expect("the folder is writable");
    if kind % 3 == 2 {
        write(folder.frames(), data);
        let Ok(frames) = frame_table::read(&folder.frames()) else { return };
        let mut next = 0;
        for segment in frame_table::segments(&frames, SegmentLength::about(2.0)) {
            assert!(segment.start == next && !segment.is_empty(), "{segment:?} after {next}");
            next = segment.end;
        }
        assert_eq!(next, frames.len());
        let mut locator = Locator::default();
        for (number, frame) in frames.iter().enumerate() {
            let found = locator.push(&frames, frame.hash, frame.pts);
            assert!(found.is_some_and(|found| frames[found].hash == frame.hash), "{number}");
        }
    } else if kind % 3 == 0 {
        write(folder.plan(), data);
        let Ok(plan) = plan::Plan::read(folder) else { return };
        assert!(plan.difference(&plan.request, &plan.versions).is_none());
        assert!(plan.segments.iter().all(|segment| segment.end <= plan.frames()));
        assert!(plan.input.check().is_err(), "the input does not exist");
    } else {
        let end = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
        write(folder.record(0), &data[..end]);
        write(folder.payload(0), data.get(end + 1..).unwrap_or_default());
        if let record::State::Done(record) = record::check(folder, 0, record::Check::Digest) {
            let sizes: u64 = record.packets.iter().map(|packet| packet.size).sum();
            assert_eq!(sizes, data.len().saturating_sub(end + 1) as u64);
        }
    }
});
