//! Downloads from a server on the loopback interface that can misbehave.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    thread,
};

use sha2::{Digest as _, Sha256};

use super::*;

/// What the server does with a request.
#[derive(Clone, Copy, PartialEq)]
enum Reply {
    /// Sends the file, from the requested byte on.
    Correct,
    /// Sends the whole file, whatever the range.
    IgnoresRange,
    /// Closes the connection after this number of bytes of the body.
    Closes(usize),
    NotFound,
    /// Answers 206 with a part that starts elsewhere.
    WrongRange,
    /// Redirects to another path, as release hosts do.
    Redirects,
}

fn content() -> Vec<u8> {
    (0..200_000u32).map(|i| (i * 7 % 251) as u8).collect()
}

fn answer(stream: TcpStream, reply: Reply) -> io::Result<()> {
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
    if reply == Reply::NotFound {
        return write!(
            stream,
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }
    if reply == Reply::Redirects {
        return write!(
            stream,
            "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\
             Connection: close\r\n\r\n"
        );
    }
    if reply == Reply::IgnoresRange {
        from = 0;
    }
    if from > content.len() {
        return write!(
            stream,
            "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }
    let start = if reply == Reply::WrongRange { from / 2 } else { from };
    let (body, last) = (&content[start..], content.len() - 1);
    match from {
        0 => write!(stream, "HTTP/1.1 200 OK\r\n")?,
        _ => write!(
            stream,
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {start}-{last}/{}\r\n",
            content.len()
        )?,
    }
    write!(stream, "Content-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    match reply {
        Reply::Closes(after) => stream.write_all(&body[..after]),
        _ => stream.write_all(body),
    }
}

/// Starts a server that answers each request with the next of `replies`. Returns its URL.
fn serve(replies: &[Reply]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/net.pth", listener.local_addr().unwrap());
    let replies = replies.to_vec();
    thread::spawn(move || {
        for reply in replies {
            if let Ok((stream, _)) = listener.accept() {
                drop(answer(stream, reply));
            }
        }
    });
    url
}

struct Attempt {
    folder: tempfile::TempDir,
    sha256: String,
}

impl Attempt {
    fn new() -> Self {
        let sha256 = format!("{:x}", Sha256::digest(content()));
        Self { folder: tempfile::tempdir().unwrap(), sha256 }
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join("models/net.pth")
    }

    fn part(&self) -> PathBuf {
        self.folder.path().join("models/net.pth.part")
    }

    fn download(&self, replies: &[Reply]) -> Result<(), Error> {
        let size = Some(content().len() as u64);
        let download = Download { url: &serve(replies), sha256: &self.sha256, size };
        download.to(&self.target(), &mut |_, _| {})
    }

    #[track_caller]
    fn assert_complete(&self) {
        assert!(fs::read(self.target()).unwrap() == content());
        assert!(!self.part().exists());
    }
}

#[test]
fn a_download_is_complete_and_reports_its_progress() {
    let attempt = Attempt::new();
    let (url, mut last) = (serve(&[Reply::Correct]), (0, None));
    let download = Download { url: &url, sha256: &attempt.sha256, size: None };
    download.to(&attempt.target(), &mut |done, total| last = (done, total)).unwrap();
    attempt.assert_complete();
    assert_eq!(last, (200_000, Some(200_000)));
}

#[test]
fn an_interrupted_download_resumes_where_it_stopped() {
    let attempt = Attempt::new();
    let error = attempt.download(&[Reply::Closes(70_000)]).unwrap_err();
    assert!(matches!(error, Error::Interrupted { received: 70_000, .. }), "{error}");
    assert!(!attempt.target().exists());
    assert_eq!(fs::metadata(attempt.part()).unwrap().len(), 70_000);
    // Without resuming, closing after this many bytes would leave the file incomplete.
    attempt.download(&[Reply::Closes(130_000)]).unwrap();
    attempt.assert_complete();
}

#[test]
fn redirects_are_followed_also_when_a_download_resumes() {
    let attempt = Attempt::new();
    attempt.download(&[Reply::Redirects, Reply::Closes(70_000)]).unwrap_err();
    attempt.download(&[Reply::Redirects, Reply::Closes(130_000)]).unwrap();
    attempt.assert_complete();
}

#[test]
fn an_interrupted_download_of_unknown_size_keeps_the_received_part() {
    let attempt = Attempt::new();
    let url = serve(&[Reply::Closes(70_000)]);
    let download = Download { url: &url, sha256: &attempt.sha256, size: None };
    let error = download.to(&attempt.target(), &mut |_, _| {}).unwrap_err();
    assert!(matches!(error, Error::Interrupted { received: 70_000, .. }), "{error}");
    assert_eq!(fs::metadata(attempt.part()).unwrap().len(), 70_000);
}

#[test]
fn a_server_that_cannot_resume_sends_the_file_from_the_start() {
    for replies in [&[Reply::IgnoresRange][..], &[Reply::WrongRange, Reply::Correct]] {
        let attempt = Attempt::new();
        attempt.download(&[Reply::Closes(70_000)]).unwrap_err();
        attempt.download(replies).unwrap();
        attempt.assert_complete();
    }
}

#[test]
fn a_part_that_is_too_long_is_replaced_and_a_complete_part_is_used() {
    let attempt = Attempt::new();
    fs::create_dir_all(attempt.part().parent().unwrap()).unwrap();
    fs::write(attempt.part(), vec![1; 300_000]).unwrap();
    attempt.download(&[Reply::Correct]).unwrap();
    attempt.assert_complete();
    let attempt = Attempt::new();
    fs::create_dir_all(attempt.part().parent().unwrap()).unwrap();
    fs::write(attempt.part(), content()).unwrap();
    attempt.download(&[]).unwrap();
    attempt.assert_complete();
}

#[test]
fn a_file_with_the_wrong_checksum_is_deleted() {
    let attempt = Attempt { sha256: "0".repeat(64), ..Attempt::new() };
    let error = attempt.download(&[Reply::Correct]).unwrap_err();
    assert!(matches!(error, Error::Checksum { .. }), "{error}");
    assert!(!attempt.target().exists() && !attempt.part().exists());
}

#[test]
fn a_failed_request_keeps_the_received_part() {
    let attempt = Attempt::new();
    attempt.download(&[Reply::Closes(70_000)]).unwrap_err();
    let error = attempt.download(&[Reply::NotFound]).unwrap_err();
    assert!(error.to_string().contains("404"), "{error}");
    assert_eq!(fs::metadata(attempt.part()).unwrap().len(), 70_000);
    assert!(!attempt.target().exists());
}

#[test]
fn a_file_that_another_process_downloads_is_an_error() {
    let attempt = Attempt::new();
    fs::create_dir_all(attempt.part().parent().unwrap()).unwrap();
    let held = File::create(attempt.part()).unwrap();
    held.lock().unwrap();
    assert!(matches!(attempt.download(&[Reply::Correct]), Err(Error::Busy { .. })));
}
