//! Ending a pipeline.

use std::{sync::mpsc, thread, time::Duration};

use gst::prelude::*;

use super::signals;

/// How long the end of a pipeline is waited for after a signal. A demuxer that reads without end
/// never stops; the threads then end with the process.
const PATIENCE: Duration = Duration::from_millis(500);

/// Sets the pipeline to NULL. After a request to stop, waits only for a short time.
pub fn shut_down(pipeline: &gst::Pipeline) {
    if !signals::was_requested() {
        let _ = pipeline.set_state(gst::State::Null);
        return;
    }
    let (done, ended) = mpsc::channel();
    let pipeline = pipeline.clone();
    thread::spawn(move || {
        let _ = pipeline.set_state(gst::State::Null);
        let _ = done.send(());
    });
    let _ = ended.recv_timeout(PATIENCE);
}
