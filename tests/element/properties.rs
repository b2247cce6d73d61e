//! Properties: names, types, ranges, defaults, and when they may change.

use gst::prelude::*;

use crate::bench::{Bench, rgb, upscale};

#[track_caller]
fn check<S: glib::ParamSpecType>(name: &str, changes_while_playing: bool, look: impl Fn(&S)) {
    let element = upscale(&Default::default(), "");
    let spec = element.find_property(name).expect(name);
    assert!(spec.flags().contains(glib::ParamFlags::READWRITE), "{name}");
    assert!(spec.blurb().is_some_and(|blurb| !blurb.is_empty()), "{name}");
    let playing = spec.flags().contains(gst::PARAM_FLAG_MUTABLE_PLAYING);
    let ready = spec.flags().contains(gst::PARAM_FLAG_MUTABLE_READY);
    assert_eq!((playing, ready), (changes_while_playing, !changes_while_playing), "{name}");
    look(spec.downcast_ref::<S>().expect(name));
}

#[track_caller]
fn check_enum(name: &str, nicks: &[&str]) {
    check::<glib::ParamSpecEnum>(name, false, |spec| {
        let class = spec.enum_class();
        let found: Vec<&str> = class.values().iter().map(|value| value.nick()).collect();
        assert_eq!(found, nicks);
        assert_eq!(spec.default_value_as_i32(), 0);
    });
}

#[test]
fn properties_have_the_documented_types_ranges_and_defaults() {
    check::<glib::ParamSpecString>("model", true, |spec| {
        assert_eq!(spec.default_value(), Some("builtin"));
    });
    check::<glib::ParamSpecDouble>("scale", true, |spec| {
        assert_eq!((spec.minimum(), spec.maximum(), spec.default_value()), (0.0, 16.0, 0.0));
    });
    check::<glib::ParamSpecDouble>("denoise", true, |spec| {
        assert_eq!((spec.minimum(), spec.maximum(), spec.default_value()), (-1.0, 1.0, -1.0));
    });
    check_enum("backend", &["auto", "tensorrt", "cuda", "webgpu", "native", "openvino", "cpu"]);
    check_enum("startup", &["auto", "wait", "resample"]);
    check_enum("precision", &["auto", "fp32", "fp16", "bf16", "int16"]);
    check::<glib::ParamSpecInt>("device-id", false, |spec| assert_eq!(spec.default_value(), 0));
    check::<glib::ParamSpecUInt>("threads", false, |spec| assert_eq!(spec.default_value(), 0));
    check::<glib::ParamSpecUInt>("tile-size", false, |spec| assert_eq!(spec.default_value(), 0));
    check::<glib::ParamSpecInt>("halo", false, |spec| {
        assert_eq!((spec.minimum(), spec.default_value()), (-1, -1));
    });
    check::<glib::ParamSpecUInt64>("memory-limit", false, |spec| {
        assert_eq!(spec.default_value(), 0);
    });
    check::<glib::ParamSpecUInt64>("first-frame", true, |spec| {
        assert_eq!(spec.default_value(), 0);
    });
    check::<glib::ParamSpecInt>("pipeline-depth", true, |spec| {
        assert_eq!((spec.minimum(), spec.maximum(), spec.default_value()), (-1, 4, -1));
    });
    check::<glib::ParamSpecDouble>("fidelity", false, |spec| {
        assert_eq!((spec.minimum(), spec.maximum(), spec.default_value()), (0.0, 1.0, 0.0));
    });
    for (name, default) in [("blend", 1.0), ("grain", 0.0)] {
        check::<glib::ParamSpecDouble>(name, true, |spec| {
            assert_eq!((spec.minimum(), spec.maximum(), spec.default_value()), (0.0, 1.0, default));
            assert!(spec.flags().contains(gst::PARAM_FLAG_CONTROLLABLE));
        });
    }
    check::<glib::ParamSpecUInt>("max-latency", true, |spec| assert_eq!(spec.default_value(), 0));
    check::<glib::ParamSpecString>("cache-dir", false, |spec| {
        assert_eq!(spec.default_value(), Some(""));
    });
}

#[test]
fn every_property_keeps_its_value() {
    let element = upscale(&Default::default(), "");
    for (name, value) in [
        ("model", "x3"),
        ("denoise", "0.5"),
        ("scale", "2.5"),
        ("backend", "cpu"),
        ("device-id", "1"),
        ("precision", "bf16"),
        ("threads", "3"),
        ("tile-size", "64"),
        ("halo", "7"),
        ("memory-limit", "5000000000"),
        ("fidelity", "0.5"),
        ("blend", "0.25"),
        ("grain", "0.75"),
        ("first-frame", "240"),
        ("pipeline-depth", "3"),
        ("overload", "resample"),
        ("max-latency", "40"),
        ("lighter-model", "x1"),
        ("bypass", "true"),
        ("split", "0.5"),
        ("cache-dir", "/somewhere"),
    ] {
        element.set_property_from_str(name, value);
        let found = element.property_value(name);
        let expected = glib::Value::deserialize(value, found.type_()).unwrap();
        assert_eq!(found.compare(&expected), Some(std::cmp::Ordering::Equal), "{name}");
    }
}

#[test]
fn null_restores_the_default_of_a_text() {
    let element = upscale(&Default::default(), "");
    for (name, default) in [("model", "builtin"), ("cache-dir", "")] {
        element.set_property(name, "other");
        element.set_property(name, None::<&str>);
        assert_eq!(element.property::<String>(name), default);
    }
}

#[test]
fn qos_is_on_by_default() {
    assert!(upscale(&Default::default(), "").property::<bool>("qos"));
}

#[test]
fn stats_contain_the_number_of_frames_and_the_model_in_use() {
    let mut bench = Bench::with_caps("", &rgb(16, 8));
    for number in 0..3 {
        let frame = bench.frame(number, 0);
        bench.push_and_pull(frame);
    }
    let stats = bench.element.property::<gst::Structure>("stats");
    assert_eq!(stats.get::<u64>("frames-in"), Ok(3));
    assert_eq!(stats.get::<u64>("frames-out"), Ok(3));
    assert_eq!(stats.get::<&str>("model"), Ok("x2"));
    assert_eq!(stats.get::<&str>("backend"), Ok("cpu"));
    assert_eq!(stats.get::<&str>("precision"), Ok("fp32"));
    for field in ["regions", "pixels", "unpack-time", "infer-time", "finish-time"] {
        assert!(stats.get::<u64>(field).is_ok(), "{field}");
    }
}
