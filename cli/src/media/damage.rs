//! Messages about damage in the input that reading goes on after.

use gst::prelude::*;

/// The name of the messages.
const DAMAGE: &str = "input-damaged";

/// Says that a part of the input is missing in the output.
pub fn report(element: &gst::Element, text: &str) {
    let structure = gst::Structure::builder(DAMAGE).field("text", text).build();
    let message = gst::message::Application::builder(structure).src(element).build();
    // It fails if the pipeline is being shut down.
    let _ = element.post_message(message);
}

/// What a message of [`report`] says.
pub fn text(message: &gst::message::Application) -> Option<String> {
    message.structure().filter(|it| it.name() == DAMAGE)?.get("text").ok()
}
