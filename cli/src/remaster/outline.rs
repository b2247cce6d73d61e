//! What a plan will do, in words for the user, before it is done.

use std::time::Duration;

use indicatif::{HumanBytes, HumanDuration};

use super::{folder::Folder, frame_table, plan::Plan};
use crate::cadence::report::{self, Part};

/// From here on there is a warning, in seconds.
const LONG: f64 = 86_400.0;

impl Plan {
    /// Sentences about what will be done, when `done` frames are already done.
    pub fn outline(&self, folder: &Folder, done: usize) -> Vec<String> {
        let value = |name: &str| self.properties.get(name).map_or("none", String::as_str);
        let mut lines = vec![
            format!(
                "{}: {} frames, enlarged to {} in {} segments",
                self.input.path.display(),
                self.frames(),
                size(&self.caps).unwrap_or_default(),
                self.segments.len()
            ),
            format!(
                "model {}, backend {}, precision {}, fidelity {}, encoder {}",
                self.properties.get("model").map_or("builtin", String::as_str),
                value("backend"),
                value("precision"),
                self.properties.get("fidelity").map_or("0", String::as_str),
                self.encoding.factory().unwrap_or_default()
            ),
            format!(
                "segments are kept in {} until the output is complete",
                folder.path().display()
            ),
        ];
        lines.extend(self.findings.report(&self.treatment, self.request.clean));
        lines.extend(report::summary(&self.parts(folder)));
        if let Some(time) = self.remaining(done) {
            let time = HumanDuration(time);
            // The finished file needs as much as the segments.
            let bytes = self.estimate.bytes * self.frames() as f64 * 2.0;
            lines.push(match bytes as u64 {
                // One frame was tried, and the first one takes longest.
                0 => format!("estimate: less than {time:#}"),
                bytes => format!("estimate: {time:#}, {} of disk space", HumanBytes(bytes)),
            });
        }
        lines
    }

    /// What was found in the fields of the film. Empty if all frames are progressive.
    pub fn parts(&self, folder: &Folder) -> Vec<Part> {
        if report::is_plain(&self.scenes) {
            return Vec::new();
        }
        let frames = frame_table::read(&folder.frames()).unwrap_or_default();
        report::report(&frame_table::times(&frames), &self.scenes)
    }

    /// A warning if the rest takes days.
    pub fn warning(&self, done: usize) -> Option<String> {
        let time = self.remaining(done).filter(|time| time.as_secs_f64() > LONG)?;
        Some(format!(
            "this takes about {:#} on this machine; use a faster model or a GPU, or compute the \
             segments on several machines with `gst-upscale remaster`",
            HumanDuration(time)
        ))
    }

    fn remaining(&self, done: usize) -> Option<Duration> {
        let frames = self.frames().saturating_sub(done) as f64;
        Duration::try_from_secs_f64(frames * self.estimate.seconds).ok().filter(|it| !it.is_zero())
    }
}

/// The size in caps, as text.
fn size(caps: &str) -> Option<String> {
    let caps = caps.parse::<gst::Caps>().ok()?;
    let media = caps.structure(0)?;
    let side = |name: &str| media.get::<i32>(name).ok();
    Some(format!("{}x{}", side("width")?, side("height")?))
}
