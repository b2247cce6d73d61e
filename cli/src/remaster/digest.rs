//! Digests in hexadecimal.

use sha2::{Digest as _, Sha256};

/// The digest of what was hashed.
pub fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 of `data`.
pub fn sha256(data: &[u8]) -> String {
    hex(Sha256::new_with_prefix(data))
}
