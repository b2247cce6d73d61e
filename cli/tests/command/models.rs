//! `gst-upscale models`: conversions, searches, and what is known of a file.

use std::{fs, path::Path};

use crate::program::{program, text};

#[test]
fn a_conversion_overwrites_no_file_and_checks_its_arguments() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let convert = |from: &Path, to: &Path, more: &[&str]| {
        let mut job = program();
        job.args(["models", "convert"]).args([from, to]).args(more).output().unwrap()
    };
    let (builtin, first, second) = (Path::new("builtin"), file("a.onnx"), file("b.onnx"));
    assert!(convert(builtin, &first, &[]).status.success());
    let before = fs::read(&first).unwrap();
    fs::write(file("c.toml"), "range = 255").unwrap();
    for (from, to, more, expected) in [
        (&*first, &*first, &["--force"][..], "both input and output"),
        (builtin, &first, &[], "already exists"),
        (builtin, &second, &["--size", "63x48"], "a multiple of 2"),
        (builtin, &file("c.onnx"), &[], "c.toml"),
    ] {
        let done = convert(from, to, more);
        assert_eq!(done.status.code(), Some(1), "{expected}");
        assert!(text(&done).contains(expected), "{}", text(&done));
    }
    assert!(fs::read(&first).unwrap() == before && !second.exists());
    assert!(convert(builtin, &first, &["--force", "--half"]).status.success());
    assert!(fs::read(&first).unwrap().len() < before.len());
}

#[test]
fn search_lists_matches_and_shows_a_single_one_with_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let index = folder.path().join("models.json");
    fs::write(
        &index,
        r#"{
            "1x-DeH264": {"name": "DeH264", "author": "a", "license": "MIT", "tags": ["photo"],
                "architecture": "compact", "scale": 1, "resources": [{"type": "pth",
                "size": 1200000, "sha256": "00ff", "urls": ["https://example.org/a.pth"]}]},
            "2x-Stack": {"name": "Stack", "author": "b", "license": null, "tags": ["photo"],
                "architecture": "tscunet", "scale": 2, "resources": []}
        }"#,
    )
    .unwrap();
    let search = |more: &[&str]| {
        let mut job = program();
        job.args(["models", "search", "--index"]).arg(&index).args(more).output().unwrap()
    };
    let both = String::from_utf8(search(&["photo"]).stdout).unwrap();
    let rows: Vec<&str> = both.lines().collect();
    assert!(rows[1].starts_with("1x-DeH264 ") && rows[1].ends_with("yes"), "{both}");
    assert!(rows[2].starts_with("2x-Stack ") && rows[2].ends_with("no"), "{both}");
    let one = String::from_utf8(search(&["--factor", "1"]).stdout).unwrap();
    assert!(one.contains("https://example.org/a.pth") && one.contains("00ff"), "{one}");
    let none = search(&["anime"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(text(&none).contains("none of the 2 models matches"), "{}", text(&none));
}

#[test]
fn info_names_the_architecture_and_purpose_of_a_file() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/architectures/dncnn.pth");
    let done = program().args(["models", "info"]).arg(file).output().unwrap();
    let shown = String::from_utf8(done.stdout).unwrap();
    for expected in ["architecture        DnCNN", "restoration", "not stated in the file"] {
        assert!(shown.contains(expected), "{shown}");
    }
}
