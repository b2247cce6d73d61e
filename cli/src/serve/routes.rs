//! What the server answers to requests.

use std::{
    convert::Infallible,
    path::{Path as FilePath, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::{DefaultBodyLimit, Path, Query, Request, State},
    http::{
        HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE},
    },
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::{delete, get, post},
};
use futures_util::{Stream, StreamExt as _};
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use tokio::{sync::Semaphore, time::timeout};
use tokio_stream::wrappers::WatchStream;
use tower::ServiceExt as _;
use tower_http::services::ServeFile;

use super::{
    edits::Edits,
    folders,
    format::{self, FORMATS},
    job::{self, Job, Source},
    jobs::{self, Jobs},
    page, queue,
    queue::Action,
    settings::{self, Settings},
    stills::{self, Side, Stills},
    store,
    upload::{self, Limits},
    watermarks,
};
use crate::{
    part_file::{self, IfExists, PartFile},
    upscale,
};

/// What requests need.
pub struct Server {
    pub jobs: Arc<Jobs>,
    pub limits: Limits,
    pub stills: Stills,
    /// For each upload that may run at the same time as others.
    pub uploads: Semaphore,
}

/// Why a request fails.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Queue(#[from] queue::Error),
    #[error(transparent)]
    Settings(#[from] settings::Error),
    #[error(transparent)]
    Format(#[from] format::Error),
    #[error(transparent)]
    Folders(#[from] folders::Error),
    #[error(transparent)]
    Upload(#[from] upload::Error),
    #[error("too many uploads run at the same time; try again later")]
    Busy,
    #[error(transparent)]
    Stills(#[from] stills::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Part(#[from] part_file::Error),
    #[error(transparent)]
    Watermark(#[from] watermarks::Error),
    #[error("there is no such page")]
    NoPage,
}

impl From<jobs::Error> for Error {
    fn from(error: jobs::Error) -> Self {
        match error {
            jobs::Error::Queue(error) => error.into(),
            jobs::Error::Store(error) => error.into(),
        }
    }
}

impl Error {
    fn status(&self) -> StatusCode {
        match self {
            Self::Queue(queue::Error::NoJob(_)) | Self::NoPage => StatusCode::NOT_FOUND,
            Self::Queue(queue::Error::State { .. }) | Self::Stills(stills::Error::NoResult(_)) => {
                StatusCode::CONFLICT
            }
            Self::Folders(_) => StatusCode::FORBIDDEN,
            Self::Upload(upload::Error::TooLarge(_)) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Upload(upload::Error::TooSlow(_) | upload::Error::TooFewBytes(_)) => {
                StatusCode::REQUEST_TIMEOUT
            }
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Upload(upload::Error::Store(_)) | Self::Store(_) | Self::Part(_) => {
                StatusCode::INSUFFICIENT_STORAGE
            }
            Self::Watermark(watermarks::Error::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Watermark(watermarks::Error::Store(_)) => StatusCode::INSUFFICIENT_STORAGE,
            Self::Stills(stills::Error::Place)
            | Self::Watermark(_)
            | Self::Settings(_)
            | Self::Format(_)
            | Self::Upload(_) => StatusCode::BAD_REQUEST,
            Self::Stills(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        refuse(self.status(), &self.to_string())
    }
}

/// A response that the page shows as a message.
pub fn refuse(status: StatusCode, message: &str) -> Response {
    (status, Json(serde_json::json!({ "error": message }))).into_response()
}

/// All routes.
pub fn router(server: Arc<Server>) -> Router {
    let mut router = Router::new();
    for file in page::FILES {
        let content = ([(CONTENT_TYPE, file.media), (CACHE_CONTROL, "no-cache")], file.content);
        router = router.route(file.path, get(async move || content));
    }
    router
        .route("/api/about", get(about))
        .route("/api/files", get(files))
        .route("/api/events", get(events))
        .route("/api/jobs", post(create))
        .route("/api/jobs/{number}", delete(remove))
        .route("/api/jobs/{number}/log", get(log))
        .route("/api/jobs/{number}/latest", get(latest))
        .route("/api/watermarks", post(add_watermark))
        .route("/api/jobs/{number}/result", get(result))
        .route("/api/jobs/{number}/{action}", post(act))
        .route("/api/jobs/{number}/still/{side}/{place}", get(still))
        .fallback(async || Error::NoPage)
        // `upload` has its own limit.
        .layer(DefaultBodyLimit::disable())
        .with_state(server)
}

/// What the page offers.
#[derive(Serialize)]
struct About {
    version: &'static str,
    models: Vec<Model>,
    cleaners: Vec<Model>,
    formats: [&'static str; 8],
    folders: Vec<PathBuf>,
    max_upload: u64,
}

#[derive(Serialize)]
struct Model {
    name: &'static str,
    about: &'static str,
    factor: u32,
    licence: &'static str,
}

async fn about(State(server): State<Arc<Server>>) -> Json<About> {
    let model = |entry: &'static gstupscale::model::catalogue::Entry| Model {
        name: &entry.name,
        about: &entry.about,
        factor: entry.factor,
        licence: &entry.licence,
    };
    Json(About {
        version: env!("CARGO_PKG_VERSION"),
        models: settings::models().map(model).collect(),
        cleaners: settings::cleaners().map(model).collect(),
        formats: FORMATS,
        folders: server.jobs.folders.paths().to_vec(),
        max_upload: server.limits.bytes,
    })
}

async fn files(State(server): State<Arc<Server>>) -> Json<Vec<PathBuf>> {
    // A slow disk delays no other request.
    let files = move || server.jobs.folders.files(upscale::is_media);
    Json(tokio::task::spawn_blocking(files).await.unwrap_or_default())
}

async fn events(
    State(server): State<Arc<Server>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let views = WatchStream::new(server.jobs.watch());
    Sse::new(views.map(|view| Ok(Event::default().data(view)))).keep_alive(KeepAlive::default())
}

/// The input of a new job: a name for the body of the request, or a path.
#[derive(Deserialize)]
struct Input {
    name: Option<String>,
    path: Option<PathBuf>,
    format: Option<String>,
}

/// The longest name that is shown, in characters.
const MAX_NAME: usize = 120;

/// A name that can be shown, without control characters.
fn shown(name: &str) -> String {
    let name: String = name.chars().filter(|it| !it.is_control()).take(MAX_NAME).collect();
    if name.trim().is_empty() { "file".into() } else { name }
}

async fn create(
    State(server): State<Arc<Server>>,
    Query(input): Query<Input>,
    Query(mut settings): Query<Settings>,
    Query(edits): Query<Edits>,
    request: Request,
) -> Result<Json<serde_json::Value>, Error> {
    settings.edits = edits;
    settings.check()?;
    let format = input.format.as_deref().map(format::named).transpose()?;
    let path = input.path.as_deref().map(|path| server.jobs.folders.file(path)).transpose()?;
    let name = match (&path, input.name) {
        (Some(path), _) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        (None, name) => name.unwrap_or_default(),
    };
    let name = shown(&name);
    let number = server.jobs.reserve()?;
    let unfinished = Unfinished { server: &server, number };
    if let Some(name) = &settings.edits.watermark {
        let store = &server.jobs.store;
        store.watermarks().copy(name, &store.watermark(number))?;
    }
    let (source, head) = match path {
        Some(path) => {
            let file = path.clone();
            let head = tokio::task::spawn_blocking(move || head(&file)).await;
            let head = head.map_err(std::io::Error::other).flatten();
            (Source::Path(path), head.map_err(upload::Error::Store)?)
        }
        None => (Source::Upload, receive(&server, number, request).await?),
    };
    let usual = format::for_input(&head, &name);
    settings.choose_model(format::is_picture(usual));
    let format = format.unwrap_or(usual).to_owned();
    let (state, message) = (job::State::Waiting, String::new());
    server.jobs.add(Job { number, name, source, settings, format, state, message, bytes: None })?;
    std::mem::forget(unfinished);
    Ok(Json(serde_json::json!({ "number": number })))
}

/// Removes the folder of a job that does not come to be, also when the browser goes away.
struct Unfinished<'a> {
    server: &'a Server,
    number: u32,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.server.jobs.store.remove(self.number);
    }
}

/// Stores the body of a request as the input of a job. Returns its first bytes.
async fn receive(server: &Server, number: u32, request: Request) -> Result<Vec<u8>, Error> {
    let length =
        request.headers().get(CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: u64| length > server.limits.bytes) {
        return Err(upload::Error::TooLarge(server.limits.bytes).into());
    }
    let _one = server.uploads.try_acquire().map_err(|_| Error::Busy)?;
    let part = PartFile::create(&server.jobs.store.upload(number))?;
    let head = upload::receive(request.into_body(), &part, server.limits).await?;
    part.finish(IfExists::Fail)?;
    Ok(head)
}

/// The first bytes of a file. Does not wait for the writer of a pipe, and follows no link.
fn head(path: &FilePath) -> std::io::Result<Vec<u8>> {
    use std::{io::Read as _, os::unix::fs::OpenOptionsExt as _};
    let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let flags = i32::try_from(flags.bits()).map_err(std::io::Error::other)?;
    let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    let mut head = Vec::new();
    file.take(1 << 16).read_to_end(&mut head)?;
    Ok(head)
}

async fn act(
    State(server): State<Arc<Server>>,
    Path((number, action)): Path<(u32, Action)>,
) -> Result<StatusCode, Error> {
    server.jobs.act(number, action)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove(
    State(server): State<Arc<Server>>,
    Path(number): Path<u32>,
) -> Result<StatusCode, Error> {
    server.jobs.remove(number)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn log(
    State(server): State<Arc<Server>>,
    Path(number): Path<u32>,
) -> Result<Response, Error> {
    server.jobs.job(number)?;
    // There is none before the first line.
    let text = tokio::fs::read(server.jobs.store.log(number)).await.unwrap_or_default();
    let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    Ok((headers, text).into_response())
}

/// A picture of the latest frame of a job that runs; no content before the first one.
async fn latest(
    State(server): State<Arc<Server>>,
    Path(number): Path<u32>,
) -> Result<Response, Error> {
    server.jobs.job(number)?;
    let taken = move || server.jobs.store.take_latest_frame(number);
    let headers = [(CONTENT_TYPE, "image/jpeg"), (CACHE_CONTROL, "no-store")];
    Ok(match tokio::task::spawn_blocking(taken).await.unwrap_or_default() {
        Some(picture) => (headers, picture).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// Takes a picture for a watermark. Its name is for the jobs that show it.
async fn add_watermark(
    State(server): State<Arc<Server>>,
    request: Request,
) -> Result<Json<serde_json::Value>, Error> {
    let body = to_bytes(request.into_body(), watermarks::MAX_BYTES);
    let body = timeout(WATERMARK_TIME, body).await.map_err(|_| watermarks::Error::Interrupted)?;
    let body = body.map_err(|_| watermarks::Error::TooLarge)?;
    let name = server.jobs.store.watermarks().add(&body)?;
    Ok(Json(serde_json::json!({ "watermark": name })))
}

/// How long the picture of a watermark may take to arrive.
const WATERMARK_TIME: Duration = Duration::from_secs(60);

async fn result(
    State(server): State<Arc<Server>>,
    Path(number): Path<u32>,
    request: Request,
) -> Result<Response, Error> {
    let job = server.jobs.job(number)?;
    if job.state != job::State::Done {
        return Err(stills::Error::NoResult(number).into());
    }
    let mut response = file(&server.jobs.store.output(&job), request).await;
    if let Ok(value) = HeaderValue::from_str(&disposition(&job)) {
        response.headers_mut().insert(CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

async fn still(
    State(server): State<Arc<Server>>,
    Path((number, side, place)): Path<(u32, Side, u8)>,
    request: Request,
) -> Result<Response, Error> {
    let job = server.jobs.job(number)?;
    let path = server.stills.get(&server.jobs, &job, side, place).await?;
    Ok(file(&path, request).await)
}

/// A file, or the part of it that the request asks for.
async fn file(path: &FilePath, request: Request) -> Response {
    match ServeFile::new(path).oneshot(request).await {
        Ok(response) => {
            let mut response = response.map(Body::new);
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            response
        }
        Err(never) => match never {},
    }
}

/// The header that gives a download its name (RFC 6266, RFC 8187).
fn disposition(job: &Job) -> String {
    let stem = job.name.rsplit_once('.').map_or(job.name.as_str(), |(stem, _)| stem);
    let mut text = String::from("attachment; filename*=UTF-8''");
    for byte in format!("{stem}-upscaled.{}", job.format).bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
                text.push(char::from(byte));
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}
