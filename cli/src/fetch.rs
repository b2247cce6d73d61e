//! `models fetch`: resumed where it stopped, verified, and there whole or not at all.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use gstupscale::model::catalogue;
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};

/// No model of the catalogue comes near.
const LONGEST: u64 = 4 << 30;

/// Why a model was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{name} is no model of the catalogue; known are {known}")]
    Unknown { name: String, known: String },
    #[error("there is no data folder: set HOME or XDG_DATA_HOME")]
    NoFolder,
    #[error("{path} could not be written: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("{path} is being fetched by another process")]
    Busy { path: PathBuf },
    #[error("{url} could not be fetched: {why}")]
    Http { url: String, why: String },
    #[error(
        "the connection to {url} ended after {have} bytes: run the command again to go on from there"
    )]
    Short { url: String, have: u64 },
    #[error(
        "what {url} gave is not the published file (SHA-256 is {found}, wanted is {wanted}): it was deleted"
    )]
    Checksum { url: String, found: String, wanted: String },
}

/// What to fetch.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    pub url: &'a str,
    /// Lower-case hexadecimal.
    pub sha256: &'a str,
    pub size: Option<u64>,
}

/// Fetches a model of the catalogue, showing progress; does nothing where it is there already.
pub fn fetch_named(name: &str) -> Result<(), Box<dyn std::error::Error>> {
    let unknown = || Error::Unknown { name: name.into(), known: catalogue::names() };
    let entry = catalogue::find(name).ok_or_else(unknown)?;
    let (Some(url), Some(sha256)) = (&entry.url, &entry.sha256) else {
        say!("{} is built in", entry.name)?;
        return Ok(());
    };
    let path = entry.path().ok_or(Error::NoFolder)?;
    if path.is_file() {
        say!("{} is there already: {}", entry.name, path.display())?;
        return Ok(());
    }
    let bar = ProgressBar::new(entry.size.unwrap_or(0));
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {eta}")
    {
        bar.set_style(style);
    }
    bar.set_message(entry.name.clone());
    fetch(Source { url, sha256, size: entry.size }, &path, &mut |done, total| {
        if let Some(total) = total {
            bar.set_length(total);
        }
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    say!("{} is fetched: {}", entry.name, path.display())?;
    Ok(())
}

/// Fetches `source` to `target`. What has come so far lies in `target` with `.part` behind its
/// name, from which the next try goes on. `progress` gets bytes done and, where known, in all.
///
/// # Errors
/// See [`Error`]; `target` then is not touched.
pub fn fetch(
    source: Source<'_>,
    target: &Path,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<(), Error> {
    let mut part = target.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let broken = |source| Error::File { path: part.clone(), source };
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder).map_err(broken)?;
    }
    let mut options = File::options();
    let mut file =
        options.read(true).write(true).create(true).truncate(false).open(&part).map_err(broken)?;
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => Error::Busy { path: target.into() },
        TryLockError::Error(error) => broken(error),
    })?;
    let mut hash = Sha256::new();
    let mut have = io::copy(&mut file, &mut hash).map_err(broken)?;
    let whole = |hash: &Sha256| hex(hash.clone()) == source.sha256;
    if have == 0 || !whole(&hash) {
        if source.size.is_some_and(|size| have >= size) {
            (have, hash) = restart(&mut file).map_err(broken)?;
        }
        let mut response = answered(source.url, have)?;
        // The server does not go on from there: then from the start.
        if response.status() == 416 || (have > 0 && !continues(&response, have)) {
            (have, hash) = restart(&mut file).map_err(broken)?;
            if response.status() != 200 {
                response = answered(source.url, 0)?;
            }
        }
        let coming = header(&response, "content-length").and_then(|text| text.parse::<u64>().ok());
        let total = source.size.or(coming.and_then(|coming| have.checked_add(coming)));
        let limit = source.size.unwrap_or(LONGEST);
        let mut reader = response.body_mut().as_reader();
        let mut buffer = vec![0; 1 << 16];
        let (mut ended, mut broken_off) = (false, false);
        while !ended && have <= limit {
            let count = reader.read(&mut buffer).unwrap_or_else(|_| {
                broken_off = true;
                0
            });
            let bytes = buffer.get(..count).unwrap_or_default();
            ended = bytes.is_empty();
            file.write_all(bytes).map_err(broken)?;
            hash.update(bytes);
            have += count as u64;
            progress(have, total);
        }
        if broken_off || total.is_some_and(|total| have < total) {
            return Err(Error::Short { url: source.url.into(), have });
        }
    }
    if !whole(&hash) {
        fs::remove_file(&part).map_err(broken)?;
        return Err(Error::Checksum {
            url: source.url.into(),
            found: hex(hash),
            wanted: source.sha256.into(),
        });
    }
    file.sync_all().map_err(broken)?;
    fs::rename(&part, target).map_err(broken)
}

fn restart(file: &mut File) -> io::Result<(u64, Sha256)> {
    file.set_len(0)?;
    file.rewind()?;
    Ok((0, Sha256::new()))
}

type Response = ureq::http::Response<ureq::Body>;

fn get(url: &str, from: u64) -> Result<Response, Error> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(Duration::from_secs(30)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .timeout_per_read(Some(Duration::from_secs(60)))
        .build()
        .into();
    let mut request = agent.get(url);
    if from > 0 {
        request = request.header("Range", format!("bytes={from}-"));
    }
    request.call().map_err(|error| Error::Http { url: url.into(), why: error.to_string() })
}

/// [`get`], with any answer but the file, a part of it, or "no such part" as an error.
fn answered(url: &str, from: u64) -> Result<Response, Error> {
    let response = get(url, from)?;
    match response.status().as_u16() {
        200 | 206 => Ok(response),
        416 if from > 0 => Ok(response),
        _ => {
            let why = format!("the server answered {}", response.status());
            Err(Error::Http { url: url.into(), why })
        }
    }
}

/// Whether the answer goes on from byte `from`.
fn continues(response: &Response, from: u64) -> bool {
    response.status() == 206
        && header(response, "content-range")
            .is_some_and(|range| range.starts_with(&format!("bytes {from}-")))
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[path = "fetch_tests.rs"]
mod tests;
