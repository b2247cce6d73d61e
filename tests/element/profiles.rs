//! Profiles: properties that depend on the stream.

use std::fs;

use gst::prelude::*;

use crate::bench::{Bench, eventually, rgb, upscale};

/// A file of profiles that is deleted with it.
fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    file
}

/// A bench with these profiles.
fn bench(file: &tempfile::NamedTempFile) -> Bench {
    Bench::new(&format!("profiles={}", file.path().display()))
}

/// Pushes frames until the output is so wide.
#[track_caller]
fn expect_width(bench: &mut Bench, width: u32) {
    let mut number = 0;
    eventually("the width", || {
        let frame = bench.frame(number, 0);
        number += 1;
        bench.push_and_pull(frame);
        bench.output_info().width() == width
    });
}

const SMALL: &str = "[[profile]]\nmax-width = 32\nset = { model = 'x3' }\n";

#[test]
fn the_profile_for_the_size_of_the_stream_sets_its_model_and_the_others_do_not() {
    let file = file(SMALL);
    let mut bench = bench(&file);
    bench.send_caps(&rgb(64, 32));
    expect_width(&mut bench, 128);
    bench.send_caps(&rgb(32, 16));
    expect_width(&mut bench, 96);
    assert_eq!(bench.element.property::<String>("model"), "x3");
    bench.send_caps(&rgb(64, 32));
    expect_width(&mut bench, 128);
    assert_eq!(bench.element.property::<String>("model"), "x2");
}

#[test]
fn profiles_that_are_set_while_playing_apply_at_once_and_can_be_taken_back() {
    let mut bench = Bench::with_caps("", &rgb(32, 16));
    expect_width(&mut bench, 64);
    let small = file(SMALL);
    bench.element.set_property("profiles", small.path().to_str().unwrap());
    expect_width(&mut bench, 96);
    // What the application sets replaces what the profile has set.
    bench.element.set_property("model", "x4");
    expect_width(&mut bench, 128);
    bench.element.set_property("model", "x2");
    bench.element.set_property("profiles", "");
    expect_width(&mut bench, 64);
}

#[test]
fn a_genre_in_the_tags_chooses_the_profile() {
    let file = file("[[profile]]\ngenre = 'anim'\nset = { model = 'x3' }\n");
    let mut bench = bench(&file);
    bench.send_caps(&rgb(32, 16));
    expect_width(&mut bench, 64);
    let mut tags = gst::TagList::new();
    let merge = gst::TagMergeMode::Append;
    tags.get_mut().unwrap().add::<gst::tags::Genre>(&"Animation, Comedy", merge);
    bench.harness.push_event(gst::event::Tag::new(tags));
    expect_width(&mut bench, 96);
}

#[test]
fn profiles_that_are_wrong_are_a_warning_while_playing_and_the_previous_ones_stay() {
    let small = file(SMALL);
    let mut bench = bench(&small);
    bench.send_caps(&rgb(32, 16));
    expect_width(&mut bench, 96);
    let wrong = file("[[profile]]\nset = { threads = 2 }\n");
    bench.element.set_property("profiles", wrong.path().to_str().unwrap());
    let (kind, code) = (gst::MessageType::Warning, gst::ResourceError::Settings);
    bench.expect_error(kind, code, "set threads, which is not a property that can change");
    expect_width(&mut bench, 96);
}

#[test]
fn profiles_that_cannot_be_read_are_an_error_at_the_start() {
    let element = upscale(&Default::default(), "profiles=/no/such/file");
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    assert!(element.set_state(gst::State::Paused).is_err());
    let message = bus.pop_filtered(&[gst::MessageType::Error]).unwrap();
    let text = "cannot read the profiles in /no/such/file";
    crate::bench::check_error(&message, gst::ResourceError::OpenRead, text);
    element.set_state(gst::State::Null).unwrap();
}
