//! Receives a file, bounded in size and time.

use std::{io, pin::pin, time::Duration};

use axum::body::Body;
use futures_util::StreamExt as _;
use tokio::{
    fs::File,
    io::AsyncWriteExt as _,
    time::{Instant, timeout, timeout_at},
};

use crate::part_file::PartFile;

/// Bounds of an upload.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub bytes: u64,
    /// From the first byte to the last one.
    pub time: Duration,
    pub pace: Pace,
}

/// Bytes that must arrive in each period of this length, unless the upload ends in it.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub bytes: u64,
    pub time: Duration,
}

/// Bytes at the start that are returned for a look at them.
const HEAD: usize = 1 << 16;

/// Why a file was not received.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the file is too large; at most {0} bytes are accepted (--max-upload)")]
    TooLarge(u64),
    #[error("the upload took too long; at most {} minutes are allowed (--max-upload-time)", .0.as_secs() / 60)]
    TooSlow(Duration),
    #[error("the upload was too slow; at least {} bytes in {} seconds are required", .0.bytes, .0.time.as_secs())]
    TooFewBytes(Pace),
    #[error("the upload was interrupted")]
    Interrupted,
    #[error("the file is empty")]
    Empty,
    #[error("the file could not be stored: {}", .0.kind())]
    Store(#[from] io::Error),
}

/// Writes the body of a request to a part file. Returns its first bytes.
///
/// # Errors
/// See [`Error`].
pub async fn receive(body: Body, part: &PartFile, limits: Limits) -> Result<Vec<u8>, Error> {
    let received = timeout(limits.time, write(body, part, limits)).await;
    received.unwrap_or(Err(Error::TooSlow(limits.time)))
}

async fn write(body: Body, part: &PartFile, limits: Limits) -> Result<Vec<u8>, Error> {
    let Limits { bytes: limit, pace, .. } = limits;
    let mut file = File::from_std(part.file().try_clone()?);
    let mut chunks = pin!(body.into_data_stream());
    let (mut bytes, mut head) = (0, Vec::new());
    let (mut period_end, mut period_start) = (Instant::now() + pace.time, 0);
    loop {
        let chunk = match timeout_at(period_end, chunks.next()).await {
            Ok(chunk) => chunk,
            Err(_) if bytes - period_start < pace.bytes => return Err(Error::TooFewBytes(pace)),
            Err(_) => {
                (period_end, period_start) = (Instant::now() + pace.time, bytes);
                continue;
            }
        };
        let Some(chunk) = chunk else { break };
        let chunk = chunk.map_err(|_| Error::Interrupted)?;
        bytes += chunk.len() as u64;
        if bytes > limit {
            return Err(Error::TooLarge(limit));
        }
        head.extend(chunk.iter().take(HEAD - head.len()));
        file.write_all(&chunk).await?;
    }
    if bytes == 0 {
        return Err(Error::Empty);
    }
    file.flush().await?;
    file.sync_all().await?;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use futures_util::stream;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const LIMITS: Limits = Limits { bytes: 100, time: HOUR, pace: Pace { bytes: 1, time: HOUR } };

    fn received(body: Body, limits: Limits) -> (Result<Vec<u8>, Error>, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("input");
        let part = PartFile::create(&output).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let result = runtime.block_on(receive(body, &part, limits));
        part.finish(crate::part_file::IfExists::Fail).unwrap();
        (result, fs::read(output).unwrap())
    }

    fn chunks(count: usize) -> Body {
        Body::from_stream(stream::iter((0..count).map(|_| Ok::<_, io::Error>("0123456789"))))
    }

    #[test]
    fn a_body_is_stored_whole() {
        let (head, stored) = received(chunks(10), LIMITS);
        assert_eq!((head.unwrap(), stored.len()), (stored.clone(), 100));
    }

    #[test]
    fn a_body_beyond_the_limits_is_refused() {
        assert!(matches!(received(chunks(11), LIMITS).0, Err(Error::TooLarge(100))));
        assert!(matches!(received(Body::empty(), LIMITS).0, Err(Error::Empty)));
        let limits = Limits { time: Duration::from_millis(1), ..LIMITS };
        let silent = Body::from_stream(stream::pending::<io::Result<&str>>());
        assert!(matches!(received(silent, limits).0, Err(Error::TooSlow(_))));
        let pace = Pace { bytes: 11, time: Duration::from_millis(1) };
        let limits = Limits { pace, ..LIMITS };
        let ten = stream::iter([Ok::<_, io::Error>("0123456789")]);
        let slow = Body::from_stream(ten.chain(stream::pending()));
        assert!(matches!(received(slow, limits).0, Err(Error::TooFewBytes(_))));
        let broken = Err::<&str, _>(io::Error::from(io::ErrorKind::ConnectionReset));
        let broken = Body::from_stream(stream::iter([broken]));
        assert!(matches!(received(broken, LIMITS).0, Err(Error::Interrupted)));
    }
}
