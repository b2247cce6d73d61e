//! Accepts connections, and checks every request before its route.

use std::{io, sync::Arc, time::Duration};

use axum::{
    Router,
    body::to_bytes,
    extract::{Request, State},
    http::{
        HeaderName, HeaderValue, StatusCode,
        header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, SET_COOKIE},
    },
    middleware::{self, Next},
    response::Response,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::Semaphore,
    time::sleep,
};

use super::{
    guard::{Access, Guard, Refusal},
    routes::refuse,
};

/// Connections at the same time; more wait. A process may have 1024 open files, as a rule.
const MAX_CONNECTIONS: usize = 256;

/// How long a client may take for the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(30);

/// The page loads nothing from elsewhere, nothing embeds it, and answers are only what they say they are.
const HEADERS: [(&str, &str); 5] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; \
         media-src blob:; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
];

/// Answers requests, without end.
pub async fn serve(listener: TcpListener, router: Router, guard: Guard) {
    let checked = middleware::from_fn_with_state(Arc::new(guard), check);
    let router = router.layer(checked);
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // The semaphore is never closed.
    while let Ok(permit) = connections.clone().acquire_owned().await {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            // The client is gone, or the system has no more files for a moment.
            Err(_) => {
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
            // An error concerns this connection only.
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
            drop(permit);
        });
    }
}

/// The longest text of an error.
const MAX_ERROR: usize = 4096;

/// Gives errors of the framework, such as those of a query that cannot be parsed, the form of the others.
async fn explained(response: Response) -> Response {
    let json = HeaderValue::from_static("application/json");
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || response.headers().get(CONTENT_TYPE) == Some(&json) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let text = to_bytes(body, MAX_ERROR).await.unwrap_or_default();
    let text = match String::from_utf8_lossy(&text) {
        text if text.is_empty() => status.canonical_reason().unwrap_or("the request failed").into(),
        text => text,
    };
    let mut made = refuse(status, &text);
    for (name, value) in &parts.headers {
        if ![CONTENT_TYPE, CONTENT_LENGTH].contains(name) {
            made.headers_mut().insert(name, value.clone());
        }
    }
    made
}

async fn check(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let mut response = match guard.check(request.method(), request.uri(), request.headers()) {
        Ok(Access::Granted) => explained(next.run(request).await).await,
        Ok(Access::WithCookie(cookie)) => {
            let mut response = explained(next.run(request).await).await;
            if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                response.headers_mut().insert(SET_COOKIE, cookie);
            }
            response
        }
        // The connection ends, so that a client without access cannot hold it.
        Err(refusal) => {
            let status = match refusal {
                Refusal::NoHost => StatusCode::BAD_REQUEST,
                Refusal::Host(_) | Refusal::Origin => StatusCode::FORBIDDEN,
                Refusal::Token => StatusCode::UNAUTHORIZED,
            };
            let mut response = refuse(status, &refusal.to_string());
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            response
        }
    };
    for (name, value) in HEADERS {
        let name = HeaderName::from_static(name);
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Ends with the first signal that asks the program to stop.
///
/// # Errors
/// A handler cannot be installed.
pub fn interrupted() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
