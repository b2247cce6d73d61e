//! `gst-upscale bench`: the rows of its report, and models that cannot be opened.

use std::process::Output;

use crate::program::program;

fn bench(arguments: &[&str]) -> Output {
    let mut command = program();
    command.args(["bench", "--cache-dir", env!("CARGO_TARGET_TMPDIR"), "--seconds", "0.1"]);
    command.args(["--backend", "cpu", "--precision", "fp32"]).args(arguments).output().unwrap()
}

#[test]
fn every_model_and_size_has_a_row_with_rates() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("speed.html");
    let html = ["--html", page.to_str().unwrap()];
    let sizes = ["--models", "builtin,builtin", "--sizes", "64x48,96x64", "--json"];
    let done = bench(&[&sizes[..], &html].concat());
    let errors = String::from_utf8_lossy(&done.stderr);
    if errors.contains("ONNX Runtime was not found") {
        eprintln!("skipped: {errors}");
        return;
    }
    assert!(done.status.success(), "{errors}");
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    let rows = report["rows"].as_array().unwrap();
    let sizes: Vec<_> = rows.iter().map(|row| row["width"].as_u64().unwrap()).collect();
    assert_eq!(sizes, [64, 96, 64, 96]);
    for row in rows {
        for rate in ["element", "session", "gflops"] {
            assert!(row[rate].as_f64().unwrap() > 0.0, "{rate}: {row}");
        }
        assert!(row["stages"]["infer"].as_f64().unwrap() > 0.0, "{row}");
    }
    let text = std::fs::read_to_string(&page).unwrap();
    assert!(text.contains("builtin 96x64, cpu fp32"), "{text}");
    let again = bench(&html);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("already exists"));
    for ceiling in report["ceilings"].as_array().unwrap() {
        assert!(ceiling["value"].as_f64().unwrap() > 0.0, "{ceiling}");
    }
}

#[test]
fn a_model_that_cannot_be_opened_does_not_stop_the_others() {
    let done = bench(&["--models", "/nowhere/model.onnx,builtin", "--sizes", "64x48", "--json"]);
    assert_eq!(done.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&done.stderr).contains("/nowhere/model.onnx"));
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert!(report["failed"] == 1 || report["failed"] == 2, "{report}");
}
