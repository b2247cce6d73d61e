//! Fetching from a server on loopback that can misbehave.

use std::{
    io::{BufRead, BufReader},
    net::{TcpListener, TcpStream},
    thread,
};

use super::*;

/// How the server answers.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Good,
    /// Sends the whole file whatever is asked.
    IgnoresRange,
    /// Hangs up after so many bytes of the body.
    HangsUp(usize),
    NotFound,
    /// Says 206 but starts elsewhere.
    WrongRange,
    /// Sends on to another address of its own, as release hosts do.
    Redirects,
}

fn content() -> Vec<u8> {
    (0..200_000u32).map(|i| (i * 7 % 251) as u8).collect()
}

fn answer(stream: TcpStream, manner: Manner) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut line, mut from) = (String::new(), 0);
    while reader.read_line(&mut line)? > 2 {
        let lower = line.to_ascii_lowercase();
        if let Some(range) = lower.strip_prefix("range: bytes=") {
            from = range.trim().trim_end_matches('-').parse().unwrap_or(0);
        }
        line.clear();
    }
    let mut stream = stream;
    let content = content();
    if manner == Manner::NotFound {
        return write!(
            stream,
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }
    if manner == Manner::Redirects {
        return write!(
            stream,
            "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\
             Connection: close\r\n\r\n"
        );
    }
    if manner == Manner::IgnoresRange {
        from = 0;
    }
    if from > content.len() {
        return write!(
            stream,
            "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }
    let said = if manner == Manner::WrongRange { from / 2 } else { from };
    let (body, last) = (&content[said..], content.len() - 1);
    match from {
        0 => write!(stream, "HTTP/1.1 200 OK\r\n")?,
        _ => write!(
            stream,
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {said}-{last}/{}\r\n",
            content.len()
        )?,
    }
    write!(stream, "Content-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    match manner {
        Manner::HangsUp(after) => stream.write_all(&body[..after]),
        _ => stream.write_all(body),
    }
}

/// A server that answers one request after the other in these manners; its address.
fn serve(manners: &[Manner]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/net.pth", listener.local_addr().unwrap());
    let manners = manners.to_vec();
    thread::spawn(move || {
        for manner in manners {
            if let Ok((stream, _)) = listener.accept() {
                drop(answer(stream, manner));
            }
        }
    });
    url
}

struct Try {
    folder: tempfile::TempDir,
    sha256: String,
}

impl Try {
    fn new() -> Self {
        let sha256 = hex(Sha256::new_with_prefix(content()));
        Self { folder: tempfile::tempdir().unwrap(), sha256 }
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join("models/net.pth")
    }

    fn part(&self) -> PathBuf {
        self.folder.path().join("models/net.pth.part")
    }

    fn fetch(&self, manners: &[Manner]) -> Result<(), Error> {
        let source = Source {
            url: &serve(manners),
            sha256: &self.sha256,
            size: Some(content().len() as u64),
        };
        fetch(source, &self.target(), &mut |_, _| {})
    }

    #[track_caller]
    fn is_fetched(&self) {
        assert!(fs::read(self.target()).unwrap() == content());
        assert!(!self.part().exists());
    }
}

#[test]
fn a_file_is_fetched_whole_with_its_progress_told() {
    let attempt = Try::new();
    let (url, mut last) = (serve(&[Manner::Good]), (0, None));
    let source = Source { url: &url, sha256: &attempt.sha256, size: None };
    fetch(source, &attempt.target(), &mut |done, total| last = (done, total)).unwrap();
    attempt.is_fetched();
    assert_eq!(last, (200_000, Some(200_000)));
}

#[test]
fn a_broken_connection_is_resumed_from_where_it_stopped() {
    let attempt = Try::new();
    let error = attempt.fetch(&[Manner::HangsUp(70_000)]).unwrap_err();
    assert!(matches!(error, Error::Short { have: 70_000, .. }), "{error}");
    assert!(!attempt.target().exists());
    assert_eq!(fs::metadata(attempt.part()).unwrap().len(), 70_000);
    // Were it not resumed, hanging up after the rest would leave it short.
    attempt.fetch(&[Manner::HangsUp(130_000)]).unwrap();
    attempt.is_fetched();
}

#[test]
fn a_redirect_is_followed_and_resuming_goes_through_it() {
    let attempt = Try::new();
    attempt.fetch(&[Manner::Redirects, Manner::HangsUp(70_000)]).unwrap_err();
    attempt.fetch(&[Manner::Redirects, Manner::HangsUp(130_000)]).unwrap();
    attempt.is_fetched();
}

#[test]
fn a_server_that_breaks_off_keeps_what_has_come_where_the_size_is_unknown_too() {
    let attempt = Try::new();
    let url = serve(&[Manner::HangsUp(70_000)]);
    let source = Source { url: &url, sha256: &attempt.sha256, size: None };
    let error = fetch(source, &attempt.target(), &mut |_, _| {}).unwrap_err();
    assert!(matches!(error, Error::Short { have: 70_000, .. }), "{error}");
    assert_eq!(fs::metadata(attempt.part()).unwrap().len(), 70_000);
}

#[test]
fn servers_that_do_not_resume_begin_again() {
    for manners in [&[Manner::IgnoresRange][..], &[Manner::WrongRange, Manner::Good]] {
        let attempt = Try::new();
        attempt.fetch(&[Manner::HangsUp(70_000)]).unwrap_err();
        attempt.fetch(manners).unwrap();
        attempt.is_fetched();
    }
}

#[test]
fn a_part_that_is_too_long_or_whole_already_is_dealt_with() {
    let attempt = Try::new();
    fs::create_dir_all(attempt.part().parent().unwrap()).unwrap();
    fs::write(attempt.part(), vec![1; 300_000]).unwrap();
    attempt.fetch(&[Manner::Good]).unwrap();
    attempt.is_fetched();
    let attempt = Try::new();
    fs::create_dir_all(attempt.part().parent().unwrap()).unwrap();
    fs::write(attempt.part(), content()).unwrap();
    attempt.fetch(&[]).unwrap();
    attempt.is_fetched();
}

#[test]
fn a_wrong_file_is_deleted_and_never_takes_the_models_place() {
    let attempt = Try { sha256: "0".repeat(64), ..Try::new() };
    let error = attempt.fetch(&[Manner::Good]).unwrap_err();
    assert!(matches!(error, Error::Checksum { .. }), "{error}");
    assert!(!attempt.target().exists() && !attempt.part().exists());
}

#[test]
fn a_missing_file_is_told_and_keeps_what_has_come() {
    let attempt = Try::new();
    attempt.fetch(&[Manner::HangsUp(70_000)]).unwrap_err();
    let error = attempt.fetch(&[Manner::NotFound]).unwrap_err();
    assert!(error.to_string().contains("404"), "{error}");
    assert_eq!(fs::metadata(attempt.part()).unwrap().len(), 70_000);
    assert!(!attempt.target().exists());
}

#[test]
fn two_fetches_of_one_model_do_not_mix() {
    let attempt = Try::new();
    fs::create_dir_all(attempt.part().parent().unwrap()).unwrap();
    let held = File::create(attempt.part()).unwrap();
    held.lock().unwrap();
    assert!(matches!(attempt.fetch(&[Manner::Good]), Err(Error::Busy { .. })));
}
