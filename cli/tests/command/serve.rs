//! The server of `gst-upscale serve`, over HTTP.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::{
    media::{create, pictures, streams},
    program::program,
};

/// A name for `--host`.
const NAME: &str = "films.example";

/// A server with a state folder of its own.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// What it printed.
    line: String,
}

impl Server {
    /// A server that listens on a free port.
    pub fn start(state: &Path, more: &[&str]) -> Self {
        Self::start_with(state, more, &[])
    }

    /// A server with these variables in its environment.
    fn start_with(state: &Path, more: &[&str], variables: &[(&str, &Path)]) -> Self {
        let mut command = program();
        command.envs(variables.iter().copied());
        command.args(["serve", "--listen", "127.0.0.1:0", "--state"]).arg(state).args(more);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let rest = line.split("http://").nth(1).unwrap_or_else(|| panic!("no address: {line}"));
        let address = rest.split('/').next().unwrap().replace(NAME, "127.0.0.1");
        let address = address.parse().unwrap();
        Self { child, address, line }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).unwrap()
    }

    /// Sends a request with more header lines, and reads the answer.
    fn send(&self, request: &str, headers: &str, body: &[u8]) -> Answer {
        let mut stream = self.connect();
        let length = body.len();
        let host = if headers.contains("Host:") {
            String::new()
        } else {
            format!("Host: {}\r\n", self.address)
        };
        let head = format!(
            "{request} HTTP/1.1\r\n{host}Connection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        // A refusal may come before the end of the body.
        let _ = stream.write_all(body);
        Answer::read(stream)
    }

    fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path}"), "", b"")
    }

    fn post(&self, path: &str, body: &[u8]) -> Answer {
        self.send(&format!("POST {path}"), "", body)
    }

    /// Starts a job. Returns its number.
    fn create(&self, query: &str, body: &[u8]) -> u64 {
        let answer = self.post(&format!("/api/jobs?{query}"), body);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["number"].as_u64().unwrap()
    }

    /// Waits until a job is as `is_right` says.
    pub fn wait(&self, number: u64, is_right: impl Fn(&Value) -> bool) -> Value {
        let mut stream = self.connect();
        let head = format!("GET /api/events HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
        stream.write_all(head.as_bytes()).unwrap();
        for line in BufReader::new(stream).lines() {
            let line = line.unwrap();
            let Some(data) = line.strip_prefix("data: ") else { continue };
            let jobs: Value = serde_json::from_str(data).unwrap();
            let mut jobs = jobs.as_array().unwrap().iter();
            let job = jobs.find(|job| job["number"] == number).expect("the job is listed");
            if is_right(job) {
                return job.clone();
            }
            assert!(!is_final(job), "job ended: {job}");
        }
        panic!("the events ended");
    }

    fn wait_for_end(&self, number: u64) -> Value {
        self.wait(number, is_final)
    }

    /// The processes of jobs.
    fn processes(&self) -> Vec<u32> {
        let id = self.child.id();
        let text = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        text.split_whitespace().map(|it| it.parse().unwrap()).collect()
    }

    /// Ends the server as a crash does.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_final(job: &Value) -> bool {
    ["done", "failed", "cancelled"].iter().any(|state| job["state"] == *state)
}

/// The state of a process (proc_pid_stat(5)); `None` once it has ended.
fn process_state(id: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit(") ").next()?.chars().next().filter(|state| *state != 'Z')
}

fn wait_until(is_so: impl Fn() -> bool) {
    while !is_so() {
        thread::sleep(Duration::from_millis(20));
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn read(mut stream: TcpStream) -> Self {
        let mut bytes = Vec::new();
        // A connection may be reset after the answer to a body that was not read.
        let _ = stream.read_to_end(&mut bytes);
        let end = bytes.windows(4).position(|it| it == b"\r\n\r\n").expect("an answer");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let body = bytes[end + 4..].to_vec();
        assert!(!head.to_lowercase().contains("transfer-encoding: chunked"), "{head}");
        Self { status, head: head.to_lowercase(), body }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    fn error(&self) -> String {
        self.json()["error"].as_str().unwrap().to_owned()
    }
}

/// A small picture.
pub fn picture(folder: &Path) -> PathBuf {
    create(
        &folder.join("small.png"),
        "videotestsrc num-buffers=1 ! video/x-raw,width=40,height=30 ! pngenc",
    )
}

/// A film of this many seconds.
pub fn film(folder: &Path, name: &str, seconds: u32, size: &str) -> PathBuf {
    let frames = seconds * 25;
    let source = format!(
        "videotestsrc num-buffers={frames} pattern=ball ! video/x-raw,{size},framerate=25/1"
    );
    create(&folder.join(name), &format!("{source} ! x264enc key-int-max=25 ! matroskamux"))
}

/// A film that takes hours: it is still being enlarged when a test looks at it.
fn endless_film(folder: &Path) -> PathBuf {
    film(folder, "endless.mkv", 40, "width=320,height=180")
}

const ENDLESS: &str = "model=builtin-quality&scale=8&name=endless.mkv";

#[test]
fn a_picture_goes_from_upload_to_download() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("state"), &[]);
    let body = fs::read(picture(folder.path())).unwrap();
    let number = server.create("name=a%20%C3%A9.png&model=auto&scale=3", &body);
    let job = server.wait_for_end(number);
    assert_eq!((&job["state"], &job["name"]), (&"done".into(), &"a é.png".into()), "{job}");
    assert_eq!(job["settings"]["model"], "builtin-quality");
    let result = server.get(&format!("/api/jobs/{number}/result"));
    assert!(result.head.contains("filename*=utf-8''a%20%c3%a9-upscaled.png"), "{}", result.head);
    assert_eq!(job["bytes"].as_u64(), Some(result.body.len() as u64));
    let decoded = image::load_from_memory(&result.body).unwrap();
    assert_eq!((decoded.width(), decoded.height()), (120, 90));
    for (side, width) in [("before", 40), ("after", 120)] {
        let still = server.get(&format!("/api/jobs/{number}/still/{side}/0"));
        assert_eq!(image::load_from_memory(&still.body).unwrap().width(), width, "{side}");
    }
    let delete = server.send(&format!("DELETE /api/jobs/{number}"), "", b"");
    assert_eq!(delete.status, 204, "{delete:?}");
    assert_eq!(server.get(&format!("/api/jobs/{number}/result")).status, 404);
    assert!(!folder.path().join(format!("state/jobs/{number}")).exists());
}

#[test]
fn a_film_of_an_allowed_folder_becomes_a_result_with_all_frames() {
    let folder = tempfile::tempdir().unwrap();
    let films = folder.path().join("films");
    fs::create_dir(&films).unwrap();
    let film = film(&films, "clip.mkv", 2, "width=64,height=48");
    let server = Server::start(&folder.path().join("state"), &["--allow", films.to_str().unwrap()]);
    let files = server.get("/api/files").json();
    assert_eq!(files[0], film.canonicalize().unwrap().to_str().unwrap());
    let number = server.create("path=clip.mkv&model=builtin&width=128&format=mp4&end=1", b"");
    let job = server.wait_for_end(number);
    assert_eq!((&job["state"], &job["message"]), (&"done".into(), &"".into()), "{job}");
    let log = server.get(&format!("/api/jobs/{number}/log")).text();
    assert!(log.contains("builtin") || !log.is_empty(), "{log}");
    let result = server.get(&format!("/api/jobs/{number}/result"));
    let copy = folder.path().join("copy.mp4");
    fs::write(&copy, &result.body).unwrap();
    assert_eq!(streams(&copy).1, 128);
    assert_eq!(pictures(&copy).len(), 25);
    for place in [0, 10] {
        for side in ["before", "after"] {
            let still = server.get(&format!("/api/jobs/{number}/still/{side}/{place}"));
            assert_eq!(still.status, 200, "{}", still.text());
            image::load_from_memory(&still.body).unwrap();
        }
    }
    // A player asks for parts.
    let request = format!("GET /api/jobs/{number}/result");
    let part = server.send(&request, "Range: bytes=4-7\r\n", b"");
    assert_eq!((part.status, part.body.as_slice()), (206, b"ftyp".as_slice()));
}

#[test]
fn a_paused_job_lets_others_run_and_goes_on_after_that() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("state"), &[]);
    let body = fs::read(endless_film(folder.path())).unwrap();
    let long = server.create(ENDLESS, &body);
    server.wait(long, |job| job["state"] == "running");
    let [process] = server.processes()[..] else { panic!("one process") };
    let act = |action: &str| server.post(&format!("/api/jobs/{long}/{action}"), b"").status;
    assert_eq!(act("pause"), 204);
    assert_eq!(act("pause"), 409);
    wait_until(|| process_state(process) == Some('T'));
    let other = server.create("model=builtin&blend=0", &fs::read(picture(folder.path())).unwrap());
    assert_eq!(server.wait_for_end(other)["state"], "done");
    assert_eq!(process_state(process), Some('T'));
    assert_eq!(act("resume"), 204);
    server.wait(long, |job| job["state"] == "running");
    wait_until(|| process_state(process) != Some('T'));
    assert_eq!(server.processes(), [process], "the same process goes on");
    assert_eq!(act("pause"), 204);
    assert_eq!(act("cancel"), 204);
    assert_eq!(server.wait_for_end(long)["state"], "cancelled");
    assert_eq!(process_state(process), None);
    let left: Vec<_> = fs::read_dir(folder.path().join(format!("state/jobs/{long}")))
        .unwrap()
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "log.txt")
        .collect();
    assert_eq!(left, ["input"]);
}

#[test]
fn a_job_goes_on_after_the_server_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let server = Server::start(&state, &[]);
    let short = film(folder.path(), "short.mkv", 45, "width=64,height=48");
    let first = server.create("model=builtin&name=short.mkv", &fs::read(short).unwrap());
    let body = fs::read(endless_film(folder.path())).unwrap();
    let second = server.create(ENDLESS, &body);
    server.wait(first, |job| job["state"] == "running" || is_final(job));
    let processes = server.processes();
    server.kill();
    wait_until(|| processes.iter().all(|id| process_state(*id).is_none()));

    let server = Server::start(&state, &[]);
    let job = server.wait_for_end(first);
    assert_eq!((&job["state"], &job["message"]), (&"done".into(), &"".into()), "{job}");
    let result = folder.path().join("result.mkv");
    fs::write(&result, server.get(&format!("/api/jobs/{first}/result")).body).unwrap();
    assert_eq!((pictures(&result).len(), streams(&result).1), (45 * 25, 128));
    server.wait(second, |job| job["state"] == "running");
    server.kill();

    let server = Server::start(&state, &[]);
    server.wait(second, |job| job["state"] == "running");
}

#[test]
fn jobs_wait_in_an_order_that_can_be_changed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("state"), &[]);
    let body = fs::read(endless_film(folder.path())).unwrap();
    let numbers: Vec<u64> = (0..3).map(|_| server.create(ENDLESS, &body)).collect();
    server.wait(numbers[0], |job| job["state"] == "running");
    let act = |number: u64, action: &str| {
        assert_eq!(server.post(&format!("/api/jobs/{number}/{action}"), b"").status, 204);
    };
    act(numbers[2], "up");
    act(numbers[0], "cancel");
    server.wait(numbers[2], |job| job["state"] == "running");
    assert_eq!(server.wait(numbers[1], |_| true)["state"], "waiting");
    for number in [numbers[1], numbers[2]] {
        act(number, "cancel");
    }
}

#[test]
fn requests_of_other_sites_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let port = server.address.port();
    let page = server.get("/");
    assert_eq!(page.status, 200);
    assert!(page.head.contains("default-src 'none'"), "{}", page.head);
    for host in
        ["evil.example", &format!("evil.example:{port}"), "127.0.0.1.evil.example", "192.168.1.1"]
    {
        let refused = server.send("GET /", &format!("Host: {host}\r\n"), b"");
        assert_eq!(refused.status, 403, "{host}");
    }
    let mut stream = server.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
    assert_eq!(Answer::read(stream).status, 400);
    for origin in ["http://evil.example", "null", &format!("http://localhost:{port}")] {
        let header = format!("Origin: {origin}\r\n");
        let refused = server.send("POST /api/jobs?model=builtin", &header, b"picture");
        assert_eq!(refused.status, 403, "{origin}");
        assert!(refused.error().contains("other sites"), "{refused:?}");
    }
    let refused = server.send("GET /api/about", "Sec-Fetch-Site: cross-site\r\n", b"");
    assert_eq!(refused.status, 403);
    let own = format!("Origin: http://127.0.0.1:{port}\r\nSec-Fetch-Site: same-origin\r\n");
    assert_eq!(server.send("GET /api/about", &own, b"").status, 200);
    assert_eq!(server.get("/api/about").json()["models"][0]["name"], "builtin");
}

#[test]
fn names_and_settings_never_become_paths_or_options() {
    let folder = tempfile::tempdir().unwrap();
    let (state, films) = (folder.path().join("state"), folder.path().join("films"));
    fs::create_dir(&films).unwrap();
    fs::write(folder.path().join("secret.png"), "secret").unwrap();
    std::os::unix::fs::symlink("../secret.png", films.join("link.png")).unwrap();
    let server = Server::start(&state, &["--allow", films.to_str().unwrap()]);
    let refused = |query: &str, status: u16| {
        let answer = server.post(&format!("/api/jobs?{query}"), b"body");
        assert_eq!(answer.status, status, "{query}: {answer:?}");
        assert!(!answer.text().contains("/state"), "{answer:?}");
    };
    for path in [
        "../secret.png",
        "link.png",
        "/etc/passwd",
        "%2Fdev%2Fzero",
        "-",
        ".",
        "",
        "%00",
        "http:%2F%2Fa",
    ] {
        refused(&format!("model=builtin&path={path}"), 403);
    }
    for settings in [
        "model=/etc/passwd",
        "model=../builtin",
        "model=--force",
        "model=builtin,builtin",
        "model=",
        "name=a.png",
        "model=builtin&clean=builtin",
        "model=builtin&scale=1000",
        "model=builtin&scale=NaN",
        "model=builtin&scale=x",
        "model=builtin&width=7",
        "model=builtin&blend=-1",
        "model=builtin&format=../../x",
        "model=builtin&format=y4m",
        "model=builtin&start=--force",
    ] {
        refused(settings, 400);
    }
    let hostile = "..%2F..%2F..%2Fhome%0Ax%00%3Cscript%3E.png";
    let number = server.create(
        &format!("model=builtin&blend=0&name={hostile}"),
        &fs::read(picture(folder.path())).unwrap(),
    );
    assert_eq!(server.wait_for_end(number)["state"], "done");
    let result = server.get(&format!("/api/jobs/{number}/result"));
    assert!(
        result.head.contains("''..%2f..%2f..%2fhomex%3cscript%3e-upscaled.png"),
        "{}",
        result.head
    );
    let mut files: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["films", "secret.png", "small.png", "state"]);
    for path in [
        "/../state/token",
        "/api/jobs/..%2F1/log",
        "/api/jobs/x/log",
        "/api/jobs/99/log",
        "//etc/passwd",
    ] {
        let status = server.get(path).status;
        assert!(status == 404 || status == 400, "{path}: {status}");
    }
    let still = server.get(&format!("/api/jobs/{number}/still/..%2Finput/0"));
    assert_eq!(still.status, 400);
}

#[test]
fn uploads_that_are_too_large_are_refused_and_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--max-upload", "1M"]);
    // Ten gigabytes, by the header only.
    let mut stream = server.connect();
    let head = format!(
        "POST /api/jobs?model=builtin HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n",
        server.address
    );
    write!(stream, "{head}Content-Length: 10000000000\r\n\r\n").unwrap();
    let refused = Answer::read(stream);
    assert_eq!(refused.status, 413);
    assert!(refused.error().contains("at most 1000000 bytes"), "{refused:?}");
    // A body without end.
    let mut stream = server.connect();
    write!(stream, "{head}Transfer-Encoding: chunked\r\n\r\n").unwrap();
    let reader = stream.try_clone().unwrap();
    let answer = thread::spawn(move || Answer::read(reader));
    let chunk = [b"10000\r\n".as_slice(), &[7; 0x10000], b"\r\n"].concat();
    while stream.write_all(&chunk).is_ok() {}
    assert_eq!(answer.join().unwrap().status, 413);
    assert_eq!(server.post("/api/jobs?model=builtin", b"").status, 400);
    // A client that goes away.
    let mut stream = server.connect();
    write!(stream, "{head}Content-Length: 1000\r\n\r\nabc").unwrap();
    drop(stream);
    wait_until(|| fs::read_dir(folder.path().join("jobs")).unwrap().count() == 0);
    assert_eq!(server.get("/").status, 200);
}

#[test]
fn files_that_are_no_media_fail_with_a_message_and_fetch_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let playlist = format!(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://{address}/a.ts\n\
         #EXT-X-ENDLIST\n"
    );
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\xff\xff\xff\xff\xff\xff\xff\x08\x06\0\0\0";
    for (name, body) in [
        ("notes.txt", b"not a film".as_slice()),
        ("page.html", b"<!DOCTYPE html><script>alert(1)</script>"),
        ("list.m3u8", playlist.as_bytes()),
        ("huge.png", png),
        ("zeros.mkv", &[0; 4096]),
    ] {
        let number = server.create(&format!("model=builtin&name={name}"), body);
        let job = server.wait_for_end(number);
        assert_eq!(job["state"], "failed", "{job}");
        let message = job["message"].as_str().unwrap();
        assert!(!message.is_empty() && !message.contains("/jobs/"), "{message}");
        println!("{name}: {message}");
        assert_eq!(server.get(&format!("/api/jobs/{number}/result")).status, 409);
    }
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "the playlist was followed");
}

#[test]
fn a_hundred_clients_at_once_do_not_stop_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let head = format!("POST /api/jobs?model=builtin HTTP/1.1\r\nHost: {}\r\n", server.address);
    let open: Vec<TcpStream> = (0..100)
        .map(|index| {
            let mut stream = server.connect();
            match index % 3 {
                0 => stream.write_all(&head.as_bytes()[..20]).unwrap(),
                1 => write!(stream, "{head}Content-Length: 9\r\n\r\nabc").unwrap(),
                _ => write!(stream, "\u{1}\u{2}{index}\r\n\r\n").unwrap(),
            }
            stream
        })
        .collect();
    assert_eq!(server.get("/").status, 200);
    let answers: Vec<_> = thread::scope(|scope| {
        let ask = |_| scope.spawn(|| server.get("/api/about").status);
        let threads: Vec<_> = (0..100).map(ask).collect();
        threads.into_iter().map(|it| it.join().unwrap()).collect()
    });
    assert_eq!(answers, [200; 100]);
    drop(open);
    wait_until(|| fs::read_dir(folder.path().join("jobs")).unwrap().count() == 0);
    let body = fs::read(picture(folder.path())).unwrap();
    let number = server.create("model=builtin&blend=0", &body);
    assert_eq!(server.wait_for_end(number)["state"], "done");
}

#[test]
fn a_path_that_leads_elsewhere_when_its_job_starts_is_not_enlarged() {
    let folder = tempfile::tempdir().unwrap();
    let films = folder.path().join("films");
    fs::create_dir(&films).unwrap();
    let secret = picture(folder.path());
    let innocent = films.join("innocent.png");
    fs::copy(&secret, &innocent).unwrap();
    let allow = ["--allow", films.to_str().unwrap()];
    let server = Server::start(&folder.path().join("state"), &allow);
    let long = server.create(ENDLESS, &fs::read(endless_film(folder.path())).unwrap());
    server.wait(long, |job| job["state"] == "running");
    let number = server.create("model=builtin&path=innocent.png", b"");
    fs::remove_file(&innocent).unwrap();
    std::os::unix::fs::symlink(&secret, &innocent).unwrap();
    assert_eq!(server.post(&format!("/api/jobs/{long}/cancel"), b"").status, 204);
    let job = server.wait_for_end(number);
    assert_eq!(job["state"], "failed", "{job}");
    assert!(job["message"].as_str().unwrap().contains("allowed folder"), "{job}");
}

#[test]
fn a_server_that_has_a_name_for_other_machines_requires_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--host", NAME]);
    assert!(server.line.contains("?token="), "{}", server.line);
    for host in [String::new(), format!("Host: {NAME}\r\n")] {
        let refused = server.send("GET /api/about", &host, b"");
        assert_eq!(refused.status, 401, "{host}");
        assert!(refused.head.to_ascii_lowercase().contains("connection: close"), "{refused:?}");
    }
}

#[test]
fn the_token_opens_the_server_and_nothing_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--token"]);
    let token = server.line.trim().split("?token=").nth(1).unwrap().split(' ').next().unwrap();
    for path in ["/", "/api/events", "/?token=", "/?token=0", &format!("/api/about?token={token}")]
    {
        let refused = server.get(path);
        assert_eq!(refused.status, 401, "{path}");
        assert!(refused.error().contains("token"), "{refused:?}");
    }
    let wrong = format!("Authorization: Bearer {}0\r\n", &token[1..]);
    assert_eq!(server.send("GET /api/about", &wrong, b"").status, 401);
    let right = format!("Authorization: Bearer {token}\r\n");
    assert_eq!(server.send("GET /api/about", &right, b"").status, 200);
    let page = server.get(&format!("/?token={token}"));
    assert_eq!(page.status, 200);
    let cookie = page.head.split("set-cookie: ").nth(1).unwrap().split(';').next().unwrap();
    let with_cookie = format!("Cookie: {cookie}\r\n");
    assert_eq!(server.send("GET /api/about", &with_cookie, b"").status, 200);
    // A command of a shell, to see it from outside.
    let arguments =
        Command::new("cat").arg(format!("/proc/{}/cmdline", server.child.id())).output();
    assert!(!String::from_utf8_lossy(&arguments.unwrap().stdout).contains(token));
}

#[test]
fn edits_of_the_form_reach_the_result_and_the_comparison() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("state"), &[]);
    let mark = folder.path().join("mark.png");
    image::RgbImage::from_pixel(9, 9, image::Rgb([255, 0, 0])).save(&mark).unwrap();
    let sent = server.post("/api/watermarks", &fs::read(&mark).unwrap());
    let name = sent.json()["watermark"].as_str().unwrap().to_owned();
    let body = fs::read(picture(folder.path())).unwrap();
    let query = format!(
        "model=builtin&blend=0&scale=2&crop=20x10%2B4%2B6&rotate=90&brightness=-1&watermark={name}"
    );
    let number = server.create(&query, &body);
    let job = server.wait_for_end(number);
    assert_eq!((&job["state"], &job["message"]), (&"done".into(), &"".into()), "{job}");
    let result = server.get(&format!("/api/jobs/{number}/result")).body;
    let result = image::load_from_memory(&result).unwrap().into_rgb8();
    assert_eq!(result.dimensions(), (20, 40));
    assert_eq!(result.get_pixel(0, 0).0, [0, 0, 0]);
    assert!(result.pixels().any(|pixel| pixel.0[0] > 150 && pixel.0[1] < 20), "watermark");
    let before = server.get(&format!("/api/jobs/{number}/still/before/0")).body;
    let before = image::load_from_memory(&before).unwrap();
    assert_eq!((before.width(), before.height()), (10, 20));

    for (query, status, reason) in [
        ("crop=9x9", 400, "WIDTHxHEIGHT+LEFT+TOP"),
        ("rotate=45", 400, "45"),
        ("brightness=2", 400, "a number from -1 to 1"),
        ("watermark_text=a%0Ab", 400, "one line"),
        ("watermark=../../token", 400, "watermark"),
        (&format!("watermark={}", "0".repeat(64)), 400, "not here any more"),
    ] {
        let refused = server.post(&format!("/api/jobs?model=builtin&{query}"), &body);
        assert_eq!(refused.status, status, "{query}: {refused:?}");
        assert!(refused.error().contains(reason), "{query}: {refused:?}");
    }
    assert_eq!(server.post("/api/watermarks", b"<svg/>").status, 400);
    assert_eq!(server.post("/api/watermarks", &vec![0x89; 9_000_000]).status, 413);
    assert_eq!(fs::read_dir(folder.path().join("state/jobs")).unwrap().count(), 1);
}

#[test]
fn the_latest_frame_of_a_running_job_can_be_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("state"), &[]);
    // One is enlarged in one pipeline, the other one in segments.
    let short = film(folder.path(), "short.mkv", 19, "width=320,height=180");
    let long = endless_film(folder.path());
    for (query, input, size) in [
        ("model=builtin-quality&scale=8&rotate=90", &short, (360, 640)),
        ("model=builtin-quality&scale=8", &long, (640, 360)),
    ] {
        let number = server.create(query, &fs::read(input).unwrap());
        server.wait(number, |job| job["state"] == "running");
        let latest = || server.get(&format!("/api/jobs/{number}/latest"));
        wait_until(|| latest().status == 200);
        let picture = image::load_from_memory(&latest().body).unwrap();
        assert_eq!((picture.width(), picture.height()), size);
        // Taking it has asked for a newer one.
        let file = folder.path().join(format!("state/jobs/{number}/latest.jpg"));
        wait_until(|| file.exists());
        assert_eq!(server.post(&format!("/api/jobs/{number}/cancel"), b"").status, 204);
        server.wait_for_end(number);
        assert!(!file.exists());
    }
    assert_eq!(server.get("/api/jobs/99/latest").status, 404);
}

#[test]
fn every_error_is_json_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    for (request, status) in [
        ("POST /api/jobs", 400),
        ("POST /api/jobs?model=builtin&scale=big", 400),
        ("POST /api/jobs/one/cancel", 400),
        ("POST /api/jobs/1/explode", 400),
        ("GET /api/jobs", 405),
        ("DELETE /api/about", 405),
        ("PUT /", 405),
        ("GET /api/jobs/1/still/middle/0", 400),
        ("GET /nothing", 404),
        ("POST /api/jobs/7/cancel", 404),
    ] {
        let refused = server.send(request, "", b"");
        assert_eq!(refused.status, status, "{request}");
        assert!(!refused.error().is_empty(), "{request}: {refused:?}");
        assert!(refused.head.contains("application/json"), "{request}: {refused:?}");
        assert!(refused.head.contains("default-src 'none'"), "{request}: {refused:?}");
    }
    assert!(server.send("GET /api/jobs", "", b"").head.contains("allow: post"));
}

#[test]
fn a_cancelled_job_leaves_no_process_behind() {
    let folder = tempfile::tempdir().unwrap();
    // GStreamer starts this program while it looks for plugins, and waits for its end.
    let scanner = folder.path().join("scanner");
    let id = folder.path().join("id");
    let script =
        format!("#!/bin/sh\necho $$ >{0}.part\nmv {0}.part {0}\nexec sleep 100000\n", id.display());
    fs::write(&scanner, script).unwrap();
    fs::set_permissions(&scanner, fs::Permissions::from_mode(0o755)).unwrap();
    let registry = folder.path().join("registry");
    let variables = [
        ("GST_PLUGIN_SCANNER", scanner.as_path()),
        ("GST_PLUGIN_SCANNER_1_0", scanner.as_path()),
        ("GST_REGISTRY", registry.as_path()),
        ("GST_REGISTRY_1_0", registry.as_path()),
    ];
    let server = Server::start_with(&folder.path().join("state"), &[], &variables);
    let number = server.create("model=builtin", &fs::read(picture(folder.path())).unwrap());
    wait_until(|| id.exists());
    let scanner: u32 = fs::read_to_string(&id).unwrap().trim().parse().unwrap();
    assert!(process_state(scanner).is_some());
    assert_eq!(server.post(&format!("/api/jobs/{number}/cancel"), b"").status, 204);
    assert_eq!(server.wait_for_end(number)["state"], "cancelled");
    wait_until(|| process_state(scanner).is_none());
}

#[test]
fn hostile_model_files_end_their_own_job_at_most() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let models = data.join("gst-upscale/models");
    fs::create_dir_all(&models).unwrap();
    // A model of the catalogue whose file is not what was downloaded.
    let name = "realesr-animevideov3";
    let server = Server::start_with(&folder.path().join("state"), &[], &[("XDG_DATA_HOME", &data)]);
    let body = fs::read(picture(folder.path())).unwrap();
    let refused = server.post(&format!("/api/jobs?model={name}"), &body);
    assert_eq!(refused.status, 400, "it is not downloaded: {refused:?}");
    // Pickle protocol 2: os.system("touch owned").
    let pickle = b"\x80\x02cos\nsystem\nX\x0b\0\0\0touch owned\x85R.";
    let huge = [b"PK\x03\x04".as_slice(), &[0xff; 4096]].concat();
    for file in [pickle.as_slice(), &huge, b"", &[0; 1 << 16]] {
        for path in [format!("{name}.pth"), name.to_owned()] {
            fs::write(models.join(path), file).unwrap();
        }
        let number = server.create(&format!("model={name}"), &body);
        let job = server.wait_for_end(number);
        assert_eq!(job["state"], "failed", "{job}");
        let message = job["message"].as_str().unwrap();
        assert!(!message.is_empty() && !message.contains("panicked"), "{message}");
        // The model as the input of a job.
        let number = server.create("model=builtin", &[file, b"."].concat());
        assert_eq!(server.wait_for_end(number)["state"], "failed");
    }
    let number = server.create("model=builtin&blend=0", &body);
    assert_eq!(server.wait_for_end(number)["state"], "done", "the server goes on");
    assert!(!Path::new("owned").exists() && !folder.path().join("owned").exists());
}
