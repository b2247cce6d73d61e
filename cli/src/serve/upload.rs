//! Receives a file, bounded in size and time.

use std::{io, pin::pin, time::Duration};

use axum::body::Body;
use futures_util::StreamExt as _;
use tokio::{fs::File, io::AsyncWriteExt as _, time::timeout};

use crate::part_file::PartFile;

/// Bounds of an upload.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub bytes: u64,
    /// From the first byte to the last one.
    pub time: Duration,
}

/// How long the sender may be silent.
const SILENCE: Duration = Duration::from_secs(60);

/// Bytes at the start that are returned for a look at them.
const HEAD: usize = 1 << 16;

/// Why a file was not received.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the file is too large; at most {0} bytes are accepted (--max-upload)")]
    TooLarge(u64),
    #[error("the upload took too long; at most {} minutes are allowed (--max-upload-time)", .0.as_secs() / 60)]
    TooSlow(Duration),
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
    let received = timeout(limits.time, write(body, part, limits.bytes)).await;
    received.unwrap_or(Err(Error::TooSlow(limits.time)))
}

async fn write(body: Body, part: &PartFile, limit: u64) -> Result<Vec<u8>, Error> {
    let mut file = File::from_std(part.file().try_clone()?);
    let mut chunks = pin!(body.into_data_stream());
    let (mut bytes, mut head) = (0, Vec::new());
    loop {
        let chunk = timeout(SILENCE, chunks.next()).await.map_err(|_| Error::Interrupted)?;
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

    const LIMITS: Limits = Limits { bytes: 100, time: Duration::from_secs(3600) };

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
        let broken = Err::<&str, _>(io::Error::from(io::ErrorKind::ConnectionReset));
        let broken = Body::from_stream(stream::iter([broken]));
        assert!(matches!(received(broken, LIMITS).0, Err(Error::Interrupted)));
    }
}
