//! Crop, rotation, flip, brightness, saturation and watermarks.

use std::path::Path;

use crate::{
    ffmpeg::{make, stream},
    media::pictures,
    program::{text, upscale},
};

/// Ten frames of 128×96 pixels in this pixel format, without loss.
fn film(folder: &Path, format: &str, seconds: u32) -> Option<std::path::PathBuf> {
    let description = format!(
        "-f lavfi -i testsrc2=s=128x96:r=10 -t {seconds} -c:v ffv1 -g 1 -pix_fmt {format} \
         -color_range tv -colorspace bt709 -color_trc bt709 -color_primaries bt709"
    );
    make(folder, &format!("{format}.mkv"), &description)
}

/// Edits with options that are separated by spaces, in segments of this length.
fn edited(input: &Path, output: &Path, segment: &str, options: &str) -> std::process::Output {
    let is_film = output.extension().is_some_and(|it| it == "mkv");
    let codec: &[&str] = if is_film { &["--codec", "ffv1"] } else { &[] };
    let options: Vec<_> = options.split_whitespace().collect();
    let always = ["--scale", "1", "--force", "--segment", segment];
    upscale(input, output, &[&always, codec, &options].concat()).output().unwrap()
}

const IN_ONE_PIECE: &str = "60";

#[test]
fn films_are_cropped_rotated_and_mirrored_in_this_order_in_one_piece_and_in_segments() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.mkv");
    for format in ["yuv420p", "yuv420p10le", "yuv422p10le", "yuv444p12le"] {
        let Some(input) = film(folder.path(), format, 3) else { return };
        let filter =
            format!("-i {} -vf crop=96:64:16:8,transpose=clock,hflip -c:v ffv1", input.display());
        let Some(expected) = make(folder.path(), "expected.mkv", &filter) else { return };
        for segment in [IN_ONE_PIECE, "1"] {
            let options = "--crop 96x64+16+8 --rotate 90 --flip horizontal";
            let done = edited(&input, &output, segment, options);
            let case = format!("{format}, segments of {segment} s");
            assert!(done.status.success(), "{case}: {}", text(&done));
            let found = stream(&output, "video");
            assert_eq!((found.size, found.times.len()), ((64, 96), 30), "{case}");
            // GStreamer and FFmpeg turn subsampled chroma of 4:2:2 differently.
            if format != "yuv422p10le" {
                assert_eq!(found.format, format, "{case}");
                assert!(pictures(&output) == pictures(&expected), "{case}");
            }
        }
    }
}

#[test]
fn brightness_saturation_and_a_watermark_keep_ten_bits_and_the_rest_of_the_picture() {
    let folder = tempfile::tempdir().unwrap();
    let Some(input) = film(folder.path(), "yuv420p10le", 3) else { return };
    let output = folder.path().join("out.mkv");
    // FFmpeg's filter works on codes of ten bits.
    let filter = "lutyuv=y=clip(val+88\\,64\\,940):u=(val-512)*1.5+512:v=(val-512)*1.5+512";
    let reference = format!("-i {} -vf {filter} -c:v ffv1", input.display());
    let Some(reference) = make(folder.path(), "expected.mkv", &reference) else { return };
    let graded = "--brightness 0.1 --saturation 1.5";
    let done = edited(&input, &output, IN_ONE_PIECE, graded);
    assert!(done.status.success(), "{}", text(&done));
    assert_eq!(stream(&output, "video").format, "yuv420p10le");
    let raw = |path: &Path, crop: &str| {
        let description = format!("-i {} -vf {crop} -f rawvideo", path.display());
        std::fs::read(make(folder.path(), "raw", &description).unwrap()).unwrap()
    };
    let codes = |bytes: Vec<u8>| -> Vec<i32> {
        bytes.chunks(2).map(|pair| i32::from(u16::from_le_bytes([pair[0], pair[1]]))).collect()
    };
    let [own, other] = [&output, &reference].map(|path| codes(raw(path, "null")));
    let worst = own.iter().zip(&other).map(|(own, other)| (own - other).abs()).max();
    assert_eq!(own.len(), other.len());
    assert!(worst <= Some(1), "{worst:?} codes of ten bits");

    image::RgbImage::from_pixel(20, 10, image::Rgb([255, 255, 255]))
        .save(folder.path().join("mark.png"))
        .unwrap();
    let mark = folder.path().join("mark.png");
    let watermark = format!(
        "--watermark {} --watermark-place top-left --watermark-size 0.25 --watermark-opacity 1",
        mark.display()
    );
    let mut results = Vec::new();
    for segment in [IN_ONE_PIECE, "1"] {
        let done = edited(&input, &output, segment, &watermark);
        assert!(done.status.success(), "{}", text(&done));
        results.push(pictures(&output));
        // 32×16 pixels at the top left are white; the rest is as it was.
        for crop in ["crop=128:80:0:16", "crop=96:96:32:0"] {
            assert!(raw(&output, crop) == raw(&input, crop), "{segment} {crop}");
        }
        let codes = codes(raw(&output, "crop=32:16:0:0,extractplanes=y"));
        assert!(codes.iter().all(|code| *code == 940), "{segment}: {codes:?}");
    }
    assert!(results[0] == results[1], "segments show the same");
}

#[test]
fn a_text_is_shown_on_pictures_and_a_crop_of_them_may_be_odd() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.png"), folder.path().join("out.png"));
    image::RgbImage::from_pixel(301, 201, image::Rgb([90, 90, 90])).save(&input).unwrap();
    let done =
        edited(&input, &output, "1", "--crop 201x101+7+9 --rotate 270 --watermark-text <b>&");
    assert!(done.status.success(), "{}", text(&done));
    let found = image::open(&output).unwrap().into_rgb8();
    assert_eq!(found.dimensions(), (101, 201));
    let changed: Vec<_> =
        found.enumerate_pixels().filter(|it| it.2.0 != [90; 3]).map(|it| (it.0, it.1)).collect();
    assert!(changed.len() > 20 && changed.iter().all(|(x, y)| *x > 70 && *y > 150), "{changed:?}");
}

#[test]
fn what_cannot_be_done_without_loss_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some(film) = film(folder.path(), "yuv420p", 3) else { return };
    let deep = folder.path().join("deep.png");
    image::ImageBuffer::from_pixel(40, 30, image::Rgb([40_000_u16, 20_000, 300]))
        .save(&deep)
        .unwrap();
    let mark = folder.path().join("mark.png");
    std::fs::write(&mark, "no picture").unwrap();
    let no_picture = format!("--watermark {}", mark.display());
    for (input, name, segment, options, message) in [
        (&film, "out.mkv", IN_ONE_PIECE, "--crop 96x64+31+0", "must have even numbers"),
        (&film, "out.mkv", "1", "--crop 96x64+64+0", "not inside the picture of 128x96 pixels"),
        (&film, "out.mkv", IN_ONE_PIECE, &no_picture, "is no picture that can be read"),
        (&deep, "out.png", "1", "--rotate 90", "without reducing them"),
        (&deep, "out.png", "1", "--crop 20x10+3+3", "without reducing them"),
    ] {
        let output = folder.path().join(name);
        let done = edited(input, &output, segment, options);
        assert_eq!(done.status.code(), Some(1), "{options}: {}", text(&done));
        assert!(text(&done).contains(message), "{options}: {}", text(&done));
        assert!(!output.exists(), "{options}");
        assert!(!folder.path().join(format!("{name}.remaster")).exists(), "{options}");
    }
    // Sixteen bits stay where nothing is cropped or turned.
    let output = folder.path().join("bright.png");
    let done = edited(&deep, &output, "1", "--brightness 0.1 --watermark-text me");
    assert!(done.status.success(), "{}", text(&done));
    let found = image::open(&output).unwrap().into_rgb16();
    assert_eq!(found.dimensions(), (40, 30));
    for (code, expected) in found.get_pixel(2, 2).0.into_iter().zip([46_553, 26_553, 6_853]) {
        assert!(code.abs_diff(expected) <= 1, "{code} {expected}");
    }
}

#[test]
fn an_unfinished_film_is_not_continued_with_other_edits() {
    let folder = tempfile::tempdir().unwrap();
    let Some(input) = film(folder.path(), "yuv420p", 3) else { return };
    let output = folder.path().join("out.mkv");
    let plan = |options: &[&str]| {
        let mut command = crate::program::program();
        command.args(["remaster", "plan"]).args([&input, &output]).args(["--blend", "0"]);
        command.args(["--segment", "1", "--scale", "1"]).args(options).output().unwrap()
    };
    let mark = folder.path().join("mark.png");
    let mark_option = ["--watermark", mark.to_str().unwrap()];
    image::RgbImage::from_pixel(20, 10, image::Rgb([255, 255, 255])).save(&mark).unwrap();
    assert!(plan(&mark_option).status.success());
    assert!(plan(&mark_option).status.success(), "the same again");
    for options in [&["--rotate", "90"][..], &["--crop", "64x64+0+0"], &[]] {
        let done = plan(options);
        assert!(text(&done).contains("holds a plan for another job"), "{}", text(&done));
    }
    image::RgbImage::from_pixel(20, 10, image::Rgb([255, 0, 0])).save(&mark).unwrap();
    let done = plan(&mark_option);
    assert!(text(&done).contains("watermark_picture was"), "{}", text(&done));
}
