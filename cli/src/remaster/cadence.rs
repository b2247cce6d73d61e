//! The cadence of a film that is enlarged in one pipeline, and what is wrong with its pictures.

use std::{path::Path, sync::Arc};

use super::{
    Error,
    analyse::{Analysis, analyse},
    frame_table,
    source::Video,
};
use crate::{
    cadence::{
        Options, Schedule, detect,
        report::{self, Part},
    },
    media::{progress::Progress, signals::Signals, survey::Survey},
    treatment::Findings,
};

/// Decodes the film once, lists its pictures, and finds what is wrong with them. `None` if it cannot be
/// decoded without errors, or consists of several streams: the flags of its frames then count.
///
/// # Errors
/// [`Error::Stopped`].
pub fn of(
    path: &Path,
    survey: &Survey,
    options: &Options,
    signals: &Signals,
    progress: &mut Progress,
) -> Result<Option<(Schedule, Vec<Part>, Findings)>, Error> {
    let Ok(video) = Video::of(path, survey) else { return Ok(None) };
    let packets = survey.streams.get(video.stream).map_or(0, |it| it.extent.packets);
    progress.start_count("planning", 0, packets);
    let analysis = analyse(&Arc::new(video), packets, signals, |frames| {
        progress.set_count(frames as u64, None)
    });
    progress.end_count("enlarging");
    let Analysis { frames, observations, findings, .. } = match analysis {
        Ok(analysis) => analysis,
        Err(Error::Stopped) => return Err(Error::Stopped),
        Err(_) => return Ok(None),
    };
    let scenes = detect::scenes(&observations, options);
    let times = frame_table::times(&frames);
    let parts =
        if report::is_plain(&scenes) { Vec::new() } else { report::report(&times, &scenes) };
    Ok(Some((Schedule::new(&times, &scenes, options.rate), parts, findings)))
}
