//! `gst-upscale models`: conversion never overwrites a file without `--force`.

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
