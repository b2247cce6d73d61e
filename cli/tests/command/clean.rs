//! `--clean`: traces of compression and noise, and `--look`.

use std::path::Path;

use crate::{
    ffmpeg::{make, psnr},
    program::{program, text, upscale},
};

/// A film with faint texture, lossless: a fractal that grows, with a little noise.
const FILM: &str = "-f lavfi -i mandelbrot=s=320x192:r=12:end_scale=0.2 -t 2 \
                    -vf noise=alls=3:allf=t,format=yuv420p -c:v ffv1";

fn enlarged(input: &Path, output: &Path, more: &[&str]) -> String {
    let options = [&["--scale", "1", "--codec", "ffv1", "--force"], more].concat();
    let done = upscale(input, output, &options).output().unwrap();
    assert!(done.status.success(), "{}", text(&done));
    text(&done)
}

#[test]
fn a_compressed_film_is_cleaned_only_if_asked_for_and_comes_closer_to_the_original() {
    let folder = tempfile::tempdir().unwrap();
    let Some(film) = make(folder.path(), "film.mkv", FILM) else { return };
    let compress = "-i film.mkv -c:v libx264 -crf 33 -threads 1";
    let Some(dirty) = make(folder.path(), "dirty.mkv", compress) else { return };
    let output = |clean: &str| {
        let output = folder.path().join(format!("{clean}.mkv"));
        (enlarged(&dirty, &output, &["--clean", clean]), psnr(&output, &film))
    };
    let [(proposed, off), (done, auto)] = ["off", "auto"].map(output);
    assert!(proposed.contains("traces of compression") && proposed.contains("--clean auto cleans"));
    assert!(done.contains("the pictures are cleaned"), "{done}");
    assert!(auto > off + 0.02, "{off} {auto}");
}

#[test]
fn a_clean_film_stays_as_it_is_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let Some(film) = make(folder.path(), "film.mkv", FILM) else { return };
    let output = folder.path().join("out.mkv");
    let said = enlarged(&film, &output, &["--clean", "auto"]);
    assert!(said.contains("clean (fine detail is missing"), "{said}");
    assert_eq!(psnr(&output, &film), f64::INFINITY);
}

#[test]
fn a_cleaned_film_is_the_same_in_one_piece_and_in_segments() {
    let folder = tempfile::tempdir().unwrap();
    let Some(film) = make(folder.path(), "film.mkv", &FILM.replace("ffv1", "ffv1 -g 4")) else {
        return;
    };
    let [whole, parts] = ["20", "0.5"].map(|segment| {
        let output = folder.path().join(format!("{segment}.mkv"));
        enlarged(&film, &output, &["--clean", "strong", "--segment", segment]);
        output
    });
    assert_eq!(psnr(&parts, &whole), f64::INFINITY);
    assert!(psnr(&parts, &film) < 60.0);
}

#[test]
fn a_plan_says_what_is_wrong_with_the_pictures_and_status_gives_the_measures() {
    let folder = tempfile::tempdir().unwrap();
    let noisy = FILM.replace("alls=3", "alls=14");
    let Some(film) = make(folder.path(), "film.mkv", &noisy) else { return };
    let output = folder.path().join("out.mkv");
    let run = |arguments: &[&str]| {
        let done = program().arg("remaster").args(arguments).output().unwrap();
        assert!(done.status.success(), "{}", text(&done));
        text(&done)
    };
    let paths = [film.to_str().unwrap(), output.to_str().unwrap()];
    let planned = run(&["plan", paths[0], paths[1], "--blend", "0", "--clean", "auto"]);
    assert!(planned.contains("noise (") && planned.contains("cleaned"), "{planned}");
    let work = format!("{}.remaster", paths[1]);
    let status: serde_json::Value =
        serde_json::from_str(&run(&["status", &work, "--json"])).unwrap();
    let noise = status["found"]["quality"]["noise"].as_f64().unwrap();
    assert!((2.0..10.0).contains(&noise), "{status}");
    assert!(run(&["status", &work]).contains("noise ("));
}

#[test]
fn auto_says_that_frames_without_a_codec_are_not_analysed_and_strong_cleans_them() {
    let folder = tempfile::tempdir().unwrap();
    let Some(film) = make(folder.path(), "film.y4m", &FILM.replace("-c:v ffv1", "")) else {
        return;
    };
    let [off, auto, strong] = ["off", "auto", "strong"].map(|clean| {
        let output = folder.path().join(format!("{clean}.mkv"));
        (enlarged(&film, &output, &["--clean", clean]), output)
    });
    assert!(auto.0.contains("--clean auto does nothing here"), "{}", auto.0);
    assert_eq!(psnr(&auto.1, &off.1), f64::INFINITY);
    assert!(psnr(&strong.1, &off.1) < 60.0);
}

#[test]
fn the_natural_look_adds_grain_and_blends() {
    let folder = tempfile::tempdir().unwrap();
    let still = "-f lavfi -i color=gray:s=64x64:r=5 -t 1 -c:v ffv1 -pix_fmt gray";
    let Some(film) = make(folder.path(), "film.mkv", still) else { return };
    let output = |name: &str, look: &[&str]| {
        let output = folder.path().join(name);
        enlarged(&film, &output, look);
        psnr(&output, &film)
    };
    let natural = output("natural.mkv", &["--look", "natural"]);
    let stock = output("stock.mkv", &["--grain", "iso50"]);
    let coarse = output("coarse.mkv", &["--grain", "iso500"]);
    assert!(natural.is_finite() && (natural - stock).abs() < 0.1, "{natural} {stock}");
    assert!(coarse < stock - 6.0, "{coarse} {stock}");
}
