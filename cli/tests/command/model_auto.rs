//! `--model auto`: a model that suits the content.

use std::{fs, path::Path, process::Stdio};

use serde_json::Value;

use crate::{
    data::test_data,
    ffmpeg::make,
    program::{program, text, upscale},
};

/// A data folder without models, or with a file in place of the model of this name.
fn data_folder(folder: &Path, model: Option<&str>) -> std::path::PathBuf {
    let data = folder.join(model.unwrap_or("none"));
    let models = data.join("gst-upscale/models");
    fs::create_dir_all(&models).unwrap();
    if let Some(model) = model {
        fs::write(models.join(model), "").unwrap();
    }
    data
}

/// Black triangles on white, which are drawn.
const DRAWN: &str = "-f lavfi -i sierpinski=s=320x240:r=10 -t 2 -c:v ffv1";

#[test]
fn the_model_and_the_reason_are_printed_and_a_plan_keeps_them() {
    let folder = tempfile::tempdir().unwrap();
    let Some(input) = make(folder.path(), "in.mkv", DRAWN) else { return };
    let none = data_folder(folder.path(), None);
    let output = folder.path().join("out.mkv");
    let plan = |data: &Path, more: &[&str]| {
        let mut command = program();
        command.env("XDG_DATA_HOME", data).args(["remaster", "plan", "--model", "auto"]);
        command.args(more).arg(&input).arg(&output).output().unwrap()
    };
    let done = plan(&none, &["--segment", "1"]);
    assert!(done.status.success(), "{}", text(&done));
    let reason = [
        "model builtin-quality: the film is drawn (",
        "; realesr-animevideov3, which suits it better, is not downloaded",
    ];
    assert!(reason.iter().all(|part| text(&done).contains(part)), "{}", text(&done));
    let path = folder.path().join("out.mkv.remaster/plan.json");
    let written: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert_eq!(written["properties"]["model"], "builtin-quality");
    // A model that was downloaded meanwhile does not discard the finished segments.
    let other = data_folder(folder.path(), Some("realesr-animevideov3.pth"));
    let done = plan(&other, &["--segment", "1"]);
    assert!(done.status.success(), "{}", text(&done));
    assert!(text(&done).contains("model builtin-quality: as in the plan"), "{}", text(&done));
    // The file is empty, which shows that it was chosen.
    let done = plan(&other, &["--segment", "1", "--restart"]);
    assert!(
        !done.status.success() && text(&done).contains("realesr-animevideov3"),
        "{}",
        text(&done)
    );
}

#[test]
fn an_input_that_can_be_read_only_once_gets_the_built_in_model() {
    let folder = tempfile::tempdir().unwrap();
    let Some(input) = make(folder.path(), "in.y4m", "-f lavfi -i smptebars=s=64x48:r=10 -t 0.3")
    else {
        return;
    };
    let output = folder.path().join("out.y4m");
    let mut command = upscale(Path::new("-"), &output, &["--model", "auto"]);
    let done = command.stdin(Stdio::from(fs::File::open(&input).unwrap())).output().unwrap();
    assert!(done.status.success(), "{}", text(&done));
    let reason = "model builtin-quality: the content could not be determined (the input can be read \
                  only once)";
    assert!(text(&done).contains(reason), "{}", text(&done));
    assert!(output.exists());
}

#[test]
fn photographs_drawings_and_sequences_of_pictures_are_told_apart() {
    let Some(data) = test_data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let none = data_folder(folder.path(), None);
    let check = |input: &Path, name: &str, sentence: &str| {
        let output = folder.path().join(name);
        let options = ["--model", "auto", "--scale", "1", "--force"];
        let mut command = upscale(input, &output, &options);
        let done = command.env("XDG_DATA_HOME", &none).output().unwrap();
        assert!(done.status.success(), "{}", text(&done));
        assert!(text(&done).contains(sentence), "{}: {}", input.display(), text(&done));
    };
    let Some(lines) =
        make(folder.path(), "lines.png", "-f lavfi -i sierpinski=s=320x240 -frames:v 1")
    else {
        return;
    };
    check(&lines, "drawn.png", "the picture is drawn");
    check(&data.join("images/baboon_lq.png"), "photo.png", "the picture is photographed");
    let frames = folder.path().join("frame%02d.png");
    fs::copy(data.join("images/baboon_lq.png"), folder.path().join("frame01.png")).unwrap();
    fs::copy(data.join("images/baboon_lq.png"), folder.path().join("frame02.png")).unwrap();
    check(&frames, "film.mkv", "the film is photographed (1 of 1 scenes)");
}
