//! The page of `gst-upscale preview`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    ffmpeg::make,
    media::create,
    program::{program, text},
};

/// The data of a page.
fn data(page: &Path) -> Value {
    let html = fs::read_to_string(page).unwrap();
    let data = html.split(r#"id="data">"#).nth(1).unwrap().split("</script>").next().unwrap();
    serde_json::from_str(data).unwrap()
}

/// A film of 3 s.
fn film(folder: &Path) -> PathBuf {
    let frames = "video/x-raw,width=96,height=64,framerate=24/1";
    let source = format!("videotestsrc num-buffers=72 pattern=ball ! {frames}");
    create(&folder.join("film.mkv"), &format!("{source} ! x264enc key-int-max=24 ! matroskamux"))
}

#[test]
fn a_page_has_every_scene_by_every_method_and_its_cost() {
    let folder = tempfile::tempdir().unwrap();
    let film = film(folder.path());
    let done = program().arg("preview").arg(&film).args(["--scenes", "3"]).output().unwrap();
    assert!(done.status.success(), "{}", text(&done));
    let page = data(&folder.path().join("film.preview.html"));
    let file = &page["files"][0];
    assert!(file["film"].as_str().unwrap().contains("72 frames"), "{}", file["film"]);
    let methods: Vec<&str> =
        file["methods"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(methods[..3], ["Lanczos", "builtin", "builtin-quality"]);
    let scenes = file["scenes"].as_array().unwrap();
    assert_eq!(scenes.len(), 3);
    for scene in scenes {
        for part in ["pictures", "strips"] {
            assert_eq!(scene[part].as_array().unwrap().len(), methods.len(), "{part}");
        }
        for picture in scene["pictures"].as_array().unwrap() {
            assert!(picture.as_str().unwrap().starts_with("data:image/jpeg;base64,"));
        }
        assert_eq!(scene["strips"][0].as_array().unwrap().len(), 3);
    }
    for method in &file["methods"].as_array().unwrap()[1..] {
        assert!(method["engine"].as_str().unwrap().starts_with("native "), "{method}");
        assert!(method["command"].as_str().unwrap().starts_with("gst-upscale upscale '"));
        for cost in ["milliseconds", "time", "size", "sharpness"] {
            assert_ne!(method[cost], "–", "{cost}");
        }
    }
    assert_eq!(file["advice"].as_array().unwrap().len(), 2, "{}", file["advice"]);
    assert!(text(&done).contains(file["advice"][0].as_str().unwrap()));
}

#[test]
fn scenes_are_those_at_the_given_times_and_pictures_have_one() {
    let folder = tempfile::tempdir().unwrap();
    let film = film(folder.path());
    let picture = create(&folder.path().join("a b.png"), "videotestsrc num-buffers=1 ! pngenc");
    let page = folder.path().join("page.html");
    let done = program()
        .arg("preview")
        .args([&film, &picture])
        .args(["--at", "0:01.5", "--at", "2", "--models", "builtin", "--output"])
        .arg(&page)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", text(&done));
    let page = data(&page);
    let times = |file: usize| {
        let scenes = page["files"][file]["scenes"].as_array().unwrap();
        scenes.iter().map(|it| it["time"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((times(0), times(1)), (vec!["0:01".into(), "0:02".into()], vec!["0:00".into()]));
    let row = &page["files"][1]["methods"][1];
    assert_eq!((row["time"].as_str(), row["size"].as_str()), (Some("–"), Some("–")));
    assert!(row["command"].as_str().unwrap().contains(r"a b.2x.png'"), "{row}");
}

#[test]
fn nothing_is_written_where_a_file_cannot_be_shown() {
    let folder = tempfile::tempdir().unwrap();
    let text_file = folder.path().join("notes.mkv");
    fs::write(&text_file, "not a film").unwrap();
    let missing = folder.path().join("missing.mkv");
    let film = film(folder.path());
    let page = folder.path().join("page.html");
    for file in [&text_file, &missing] {
        let mut command = program();
        let done = command.arg("preview").args([&film, file]).arg("--output").arg(&page).output();
        let done = done.unwrap();
        assert_eq!(done.status.code(), Some(1), "{}", text(&done));
        assert!(
            text(&done).contains(file.file_name().unwrap().to_str().unwrap()),
            "{}",
            text(&done)
        );
    }
    fs::write(&page, "mine").unwrap();
    let done = program().arg("preview").arg(&film).arg("--output").arg(&page).output().unwrap();
    assert!(text(&done).contains("already exists"), "{}", text(&done));
    assert_eq!(fs::read_to_string(&page).unwrap(), "mine");
    assert_eq!(folder.path().read_dir().unwrap().count(), 3, "no unfinished file is left");
}

#[test]
fn a_model_that_cannot_be_used_leaves_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let film = film(folder.path());
    let done = program()
        .arg("preview")
        .arg(&film)
        .args(["--scenes", "1", "--models", "/nowhere/model.pth,builtin"])
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", text(&done));
    assert!(text(&done).contains("/nowhere/model.pth"), "{}", text(&done));
    let page = data(&folder.path().join("film.preview.html"));
    assert_eq!(page["files"][0]["methods"].as_array().unwrap().len(), 2);
}

#[test]
fn films_are_shown_at_their_cadence_with_the_shape_of_their_pixels() {
    let folder = tempfile::tempdir().unwrap();
    let motion = "-f lavfi -i testsrc2=s=352x288:d=4:r=";
    let mpeg2 = "-an -c:v mpeg2video -q:v 2 -bf 0 -g 12 -pix_fmt yuv420p -flags +ildct+ilme -top 1";
    for (name, rate, filter, frames) in [
        ("telecined.mkv", "24000/1001", "telecine=pattern=23,setfield=tff", "96 frames"),
        ("interlaced.mkv", "50", "tinterlace=mode=interleave_top,setfield=tff", "200 frames"),
        ("progressive.mkv", "25", "null", "100 frames"),
    ] {
        let arguments = format!("{motion}{rate} -vf {filter},setsar=16/11 {mpeg2}");
        let Some(film) = make(folder.path(), name, &arguments) else { return };
        let mut preview = program();
        let done =
            preview.arg("preview").arg(&film).args(["--models", "builtin"]).output().unwrap();
        assert!(done.status.success(), "{}", text(&done));
        let page = data(&film.with_extension("preview.html"));
        let said = page["files"][0]["film"].as_str().unwrap();
        assert!(said.ends_with(&format!(" {frames}")), "{name}: {said}");
        let aspect = page["files"][0]["scenes"][0]["aspect"].as_f64().unwrap();
        assert!((aspect - 16.0 / 11.0).abs() < 0.01, "{name}: {aspect}");
    }
}
