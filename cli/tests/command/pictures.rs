//! Still and animated pictures, sequences of pictures, and Y4M.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::Duration,
};

use crate::{
    ffmpeg::{PICTURE, Stream, join, make, picture, stream},
    program::{program, text, upscale},
};

/// Enlarges to `name` in the folder of `input` and expects success. Returns what was printed.
#[track_caller]
fn enlarge(input: &Path, name: &str, more: &[&str]) -> (PathBuf, String) {
    let output = input.with_file_name(name);
    let done = upscale(input, &output, more).arg("--force").output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{}: {}", input.display(), text(&done));
    (output, text(&done))
}

#[track_caller]
fn video(path: &Path) -> Stream {
    stream(path, "video")
}

#[test]
fn animated_pictures_are_film() {
    let folder = tempfile::tempdir().unwrap();
    for (name, arguments) in [
        ("in.gif", "-frames:v 10"),
        ("in.png", "-frames:v 10 -f apng"),
        ("in.webp", "-frames:v 10 -c:v libwebp_anim -lossless 1"),
    ] {
        let picture = "-f lavfi -i testsrc2=s=96x64:r=10";
        let Some(input) = make(folder.path(), name, &format!("{picture} {arguments}")) else {
            return;
        };
        for output in ["out.mkv", "out.mp4"] {
            let (output, _) = enlarge(&input, output, &["--scale", "2"]);
            let video = video(&output);
            assert_eq!((video.times.len(), video.size), (10, (192, 128)), "{name}");
            for (number, time) in video.times.iter().enumerate() {
                assert!((time - number as f64 * 0.1).abs() < 0.002, "{name}: {:?}", video.times);
            }
        }
    }
}

#[test]
fn an_animated_picture_that_is_cut_off_is_an_error_with_its_readable_frames() {
    let folder = tempfile::tempdir().unwrap();
    let Some(input) = make(folder.path(), "in.gif", &format!("{PICTURE} -frames:v 10")) else {
        return;
    };
    let whole = fs::read(&input).unwrap();
    fs::write(&input, &whole[..whole.len() * 7 / 10]).unwrap();
    let output = folder.path().join("out.mkv");
    let done = upscale(&input, &output, &[]).output().unwrap();
    assert_eq!(done.status.code(), Some(1), "{}", text(&done));
    assert!(text(&done).contains("could not be read to its end"), "{}", text(&done));
    assert!((3..10).contains(&video(&output).times.len()));
}

#[test]
fn photos_are_turned_as_their_exif_data_say() {
    let folder = tempfile::tempdir().unwrap();
    let Some(input) = make(folder.path(), "in.jpg", &format!("{PICTURE} -frames:v 1")) else {
        return;
    };
    let plain = fs::read(&input).unwrap();
    // A TIFF header with one entry: orientation (0x0112) 6.
    let tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let exif = [b"Exif\0\0", &tiff[..]].concat();
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    let turned = [&plain[..2], b"\xff\xe1", &length, &exif, &plain[2..]].concat();
    fs::write(&input, turned).unwrap();
    for name in ["out.png", "out.mkv"] {
        let (output, _) = enlarge(&input, name, &["--scale", "2"]);
        assert_eq!(video(&output).size, (128, 192), "{name}");
    }
}

#[test]
fn pictures_of_every_format_become_pictures_of_every_format() {
    let folder = tempfile::tempdir().unwrap();
    for input in ["in.png", "in.jpg", "in.bmp", "in.tiff", "ycbcr.tiff", "in.webp"] {
        let more = match input {
            "in.tiff" => "-pix_fmt rgb24",
            "ycbcr.tiff" => "-pix_fmt yuv444p",
            _ => "",
        };
        let Some(input) = make(folder.path(), input, &format!("{PICTURE} -frames:v 1 {more}"))
        else {
            return;
        };
        let (before, width) = picture(&input, None);
        for name in ["out.png", "out.jpg", "out.bmp", "out.tiff", "out.mkv"] {
            let (output, _) = enlarge(&input, name, &["--scale", "1"]);
            let (after, new_width) = picture(&output, None);
            assert_eq!(width, new_width, "{}, {name}", input.display());
            let errors = before.iter().zip(&after).map(|(a, b)| u64::from(a.abs_diff(*b)));
            let mean = errors.sum::<u64>() as f64 / before.len() as f64;
            // 4:2:0 blurs the borders of the test picture's areas.
            let limit = if name == "out.mkv" { 12.0 } else { 4.0 };
            assert!(mean < limit, "{}, {name}: {mean}", input.display());
        }
    }
}

#[test]
fn sixteen_bits_and_alpha_of_a_picture_stay() {
    let folder = tempfile::tempdir().unwrap();
    for format in ["rgb48be", "rgba64be", "gray16be", "rgba", "rgb24", "gray"] {
        let arguments = format!("{PICTURE} -frames:v 1 -pix_fmt {format}");
        let Some(input) = make(folder.path(), "in.png", &arguments) else { return };
        let (output, _) = enlarge(&input, "out.png", &["--scale", "2"]);
        assert_eq!(video(&output).format, format);
        let (_, said) = enlarge(&input, "out.jpg", &["--scale", "2"]);
        assert_eq!(said.contains("16 bits"), format.ends_with("be"), "{format}: {said}");
    }
}

#[test]
fn a_sequence_of_pictures_is_read_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = format!("{PICTURE} -frames:v 12 -start_number 7");
    if make(folder.path(), "in%03d.png", &arguments).is_none() {
        return;
    }
    let input = folder.path().join("in%03d.png");
    let (output, _) = enlarge(&input, "out.mkv", &["--frame-rate", "24000/1001"]);
    let found = video(&output).times;
    assert_eq!(found.len(), 12);
    assert!((found[11] - 11.0 * 1001.0 / 24000.0).abs() < 0.0011, "{found:?}");

    let (_, said) = enlarge(&input, "out%02d.png", &["--scale", "2"]);
    assert!(said.contains("12 frames"), "{said}");
    for number in 1..=12 {
        let path = folder.path().join(format!("out{number:02}.png"));
        assert_eq!(video(&path).size.0, 192);
    }
    let again = upscale(&input, &folder.path().join("out%02d.png"), &[]).output().unwrap();
    assert!(text(&again).contains("already exists"), "{}", text(&again));

    fs::remove_file(folder.path().join("in010.png")).unwrap();
    let done = upscale(&input, &folder.path().join("gap.mkv"), &[]).output().unwrap();
    assert_eq!(done.status.code(), Some(1));
    assert!(text(&done).contains("in010.png does not exist"), "{}", text(&done));
}

#[test]
fn film_in_one_picture_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let Some(input) = make(folder.path(), "in.mkv", &format!("{PICTURE} -frames:v 5")) else {
        return;
    };
    let output = folder.path().join("out.png");
    let done = upscale(&input, &output, &[]).output().unwrap();
    assert_eq!(done.status.code(), Some(1));
    assert!(text(&done).contains("out%05d.png") && !output.exists(), "{}", text(&done));
}

#[test]
fn y4m_keeps_depth_chroma_rate_and_range() {
    let folder = tempfile::tempdir().unwrap();
    for format in [
        "yuv420p",
        "yuv422p",
        "yuv444p",
        "gray",
        "yuv420p10",
        "yuv422p10",
        "yuv444p10",
        "yuv420p12",
        "yuv444p12",
    ] {
        let made = format!(
            "-f lavfi -i testsrc2=s=98x66:r=30000/1001 -frames:v 5 -pix_fmt {format} -strict -1"
        );
        let Some(input) = make(folder.path(), "in.y4m", &made) else { return };
        let (output, _) = enlarge(&input, "out.y4m", &["--scale", "2"]);
        let (before, after) = (video(&input), video(&output));
        assert_eq!(after.format, before.format);
        assert_eq!((after.times, after.size), (before.times, (196, 132)), "{format}");
        // Enlarged once more, the planes still fit.
        let (same, _) = enlarge(&output, "same.y4m", &["--scale", "1"]);
        assert_eq!(fs::read(same).unwrap().len(), fs::read(output).unwrap().len(), "{format}");
    }
}

#[test]
fn ten_bit_y4m_is_read_from_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = format!("{PICTURE} -frames:v 10 -pix_fmt yuv420p10 -strict -1");
    let Some(input) = make(folder.path(), "in.y4m", &arguments) else { return };
    let output = folder.path().join("out.mkv");
    let mut job = upscale(Path::new("-"), &output, &["--codec", "ffv1"]);
    let done = job.stdin(fs::File::open(&input).unwrap()).output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    let found = video(&output);
    assert_eq!((found.times.len(), &*found.format), (10, "yuv420p10le"));
}

#[test]
fn y4m_that_is_cut_off_is_an_error_with_its_whole_frames() {
    let folder = tempfile::tempdir().unwrap();
    let Some(input) = make(folder.path(), "in.y4m", &format!("{PICTURE} -frames:v 10")) else {
        return;
    };
    let whole = fs::read(&input).unwrap();
    fs::write(&input, &whole[..whole.len() - 100]).unwrap();
    let output = folder.path().join("out.mkv");
    let done = upscale(&input, &output, &[]).output().unwrap();
    assert_eq!(done.status.code(), Some(1), "{}", text(&done));
    assert!(text(&done).contains("frame 10 is incomplete"), "{}", text(&done));
    assert_eq!(video(&output).times.len(), 9);
}

#[test]
fn motion_jpeg_without_a_container_is_film() {
    let folder = tempfile::tempdir().unwrap();
    if make(folder.path(), "p%d.jpg", &format!("{PICTURE} -frames:v 5")).is_none() {
        return;
    }
    let parts: Vec<_> = (1..6).map(|number| folder.path().join(format!("p{number}.jpg"))).collect();
    let input = join(folder.path(), "in.mjpeg", &parts.iter().collect::<Vec<_>>());
    let (output, _) = enlarge(&input, "out.mkv", &[]);
    assert_eq!(video(&output).times.len(), 5);
}

/// Serves a file to everyone who connects.
fn serve(file: Vec<u8>, name: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/{name}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for connection in listener.incoming() {
            let Ok(mut connection) = connection else { return };
            let mut request = [0; 4096];
            let _ = connection.read(&mut request);
            let length = file.len();
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            let _ = connection.write_all(head.as_bytes());
            let _ = connection.write_all(&file);
        }
    });
    address
}

#[test]
fn addresses_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = format!("{PICTURE} -frames:v 10 -c:v libx264");
    let Some(input) = make(folder.path(), "in.mkv", &arguments) else { return };
    let output = folder.path().join("out.mkv");
    let mut addresses = vec![format!("file://{}", input.display())];
    gst::init().unwrap();
    if gst::ElementFactory::find("souphttpsrc").is_some() {
        addresses.push(serve(fs::read(&input).unwrap(), "in.mkv"));
    } else {
        eprintln!("skipped: souphttpsrc is not installed");
    }
    for address in addresses {
        let done = upscale(Path::new(&address), &output, &["--force"]).output().unwrap();
        assert_eq!(done.status.code(), Some(0), "{address}: {}", text(&done));
        assert_eq!(video(&output).times.len(), 10, "{address}");
    }
    let missing = format!("file://{}/none.mkv", folder.path().display());
    let done = upscale(Path::new(&missing), &output, &["--force"]).output().unwrap();
    assert!(text(&done).contains("does not exist"), "{}", text(&done));
}

/// The most memory that a process has taken, in bytes.
fn peak(process: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[test]
fn a_picture_keeps_nothing_in_memory_for_a_next_frame() {
    const PIXELS: u64 = 4000 * 3000;
    let folder = tempfile::tempdir().unwrap();
    let arguments = "-f lavfi -i testsrc2=s=4000x3000 -frames:v 1";
    let Some(input) = make(folder.path(), "in.jpg", arguments) else { return };
    let output = folder.path().join("out.png");
    let mut job = program();
    job.arg("upscale").args([&input, &output]).args(["--model", "builtin", "--backend", "native"]);
    let mut job = job.stdout(Stdio::null()).spawn().unwrap();
    let mut most = 0;
    let done = loop {
        most = peak(job.id()).unwrap_or_default().max(most);
        match job.try_wait().unwrap() {
            Some(done) => break done,
            None => thread::sleep(Duration::from_millis(2)),
        }
    };
    assert!(done.success());
    assert_eq!(video(&output).size, (8000, 6000));
    // The picture, four times larger in single precision and in 8 bits, and a run of the model.
    let limit = PIXELS * (3 + 3 * 4 + 4 * (3 * 4 + 3)) + (1 << 30);
    assert!(most < limit, "{} MB, at most {} MB", most / 1_000_000, limit / 1_000_000);
}
