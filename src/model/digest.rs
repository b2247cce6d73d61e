//! The SHA-256 digests that name cache entries.

use sha2::{Digest, Sha256};

/// Lower-case hexadecimal SHA-256 of the concatenation of `parts`.
pub(crate) fn sha256_hex<T: AsRef<[u8]>>(parts: impl IntoIterator<Item = T>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_the_concatenation() {
        // FIPS 180-4's example "abc".
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_hex([b"abc".as_slice()]), expected);
        assert_eq!(sha256_hex([b"a".as_slice(), b"bc"]), expected);
    }
}
