//! Downloads of files with a known checksum: resumed after an interruption, verified, and renamed
//! to their final name only when complete.

mod partial;

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use partial::Partial;
use ureq::http::{StatusCode, header};

/// The longest download of unknown size, in bytes; more than any model of the catalogue has.
const MAX_BYTES: u64 = 4 << 30;

/// Why a file was not downloaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path} could not be written: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("{path} is being downloaded by another process")]
    Busy { path: PathBuf },
    #[error("{url} could not be downloaded: {source}")]
    Http { url: String, source: ureq::Error },
    #[error("{url} could not be downloaded: the server answered {status}")]
    Status { url: String, status: StatusCode },
    #[error(
        "the connection to {url} closed after {received} bytes; run the command again to resume"
    )]
    Interrupted { url: String, received: u64 },
    #[error(
        "checksum mismatch for {url}: expected SHA-256 {expected}, got {actual}. The download was deleted"
    )]
    Checksum { url: String, expected: String, actual: String },
}

/// A file to download.
#[derive(Clone, Copy, Debug)]
pub struct Download<'a> {
    pub url: &'a str,
    /// Lower-case hexadecimal.
    pub sha256: &'a str,
    /// In bytes, if known.
    pub size: Option<u64>,
}

impl Download<'_> {
    /// Downloads to `target`. The received part is kept next to it, as its name plus `.part`,
    /// from which the next attempt resumes. `progress` is called with the received bytes and,
    /// if known, the total.
    ///
    /// # Errors
    /// See [`Error`]; `target` is then unchanged.
    pub fn to(
        &self,
        target: &Path,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<(), Error> {
        let mut part = Partial::open(target)?;
        if part.length() == 0 || part.sha256() != self.sha256 {
            self.receive(&mut part, progress)?;
        }
        let actual = part.sha256();
        if actual != self.sha256 {
            part.delete()?;
            let (url, expected) = (self.url.into(), self.sha256.into());
            return Err(Error::Checksum { url, expected, actual });
        }
        part.rename(target)
    }

    /// Receives what `part` does not have yet.
    fn receive(
        &self,
        part: &mut Partial,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<(), Error> {
        let mut response = self.request(part)?;
        let rest = response.headers().get(header::CONTENT_LENGTH);
        let rest = rest.and_then(|text| text.to_str().ok()?.parse::<u64>().ok());
        let total = self.size.or(rest.and_then(|rest| part.length().checked_add(rest)));
        let limit = self.size.unwrap_or(MAX_BYTES);
        let mut reader = response.body_mut().as_reader();
        let mut buffer = vec![0; 1 << 16];
        // A longer body than announced fails the checksum.
        let interrupted = loop {
            let Ok(count) = reader.read(&mut buffer) else { break true };
            let bytes = buffer.get(..count).unwrap_or_default();
            if bytes.is_empty() {
                break total.is_some_and(|total| part.length() < total);
            }
            part.append(bytes)?;
            progress(part.length(), total);
            if part.length() > limit {
                break false;
            }
        };
        if interrupted {
            return Err(Error::Interrupted { url: self.url.into(), received: part.length() });
        }
        Ok(())
    }

    /// Requests the bytes after those in `part`. Empties it if the server cannot resume there.
    fn request(&self, part: &mut Partial) -> Result<Response, Error> {
        if self.size.is_some_and(|size| part.length() >= size) {
            part.clear()?;
        }
        if part.length() > 0 {
            let response = self.get(part.length())?;
            if resumes(&response, part.length()) {
                return Ok(response);
            }
            part.clear()?;
            if response.status() == StatusCode::OK {
                return Ok(response);
            }
        }
        self.get(0)
    }

    /// The server's answer from byte `start` on: the file, a part of it, or "range not
    /// satisfiable".
    fn get(&self, start: u64) -> Result<Response, Error> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(30)))
            .timeout_recv_response(Some(Duration::from_secs(60)))
            .timeout_per_read(Some(Duration::from_secs(60)))
            .build()
            .into();
        let mut request = agent.get(self.url);
        if start > 0 {
            request = request.header(header::RANGE, format!("bytes={start}-"));
        }
        let url = || self.url.to_owned();
        let response = request.call().map_err(|source| Error::Http { url: url(), source })?;
        match response.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(response),
            StatusCode::RANGE_NOT_SATISFIABLE if start > 0 => Ok(response),
            status => Err(Error::Status { url: url(), status }),
        }
    }
}

type Response = ureq::http::Response<ureq::Body>;

/// Whether the body continues at byte `start`.
fn resumes(response: &Response, start: u64) -> bool {
    let range = response.headers().get(header::CONTENT_RANGE);
    response.status() == StatusCode::PARTIAL_CONTENT
        && range
            .and_then(|range| range.to_str().ok())
            .is_some_and(|range| range.starts_with(&format!("bytes {start}-")))
}

#[cfg(test)]
mod tests;
