//! The kernels as machine code, so that the driver need not compile them.

use std::io::{Cursor, Read as _};

use zip::ZipArchive;

/// A file for each architecture. `make kernels` generates it from [`PTX`](super::PTX).
const CUBINS: &[u8] = include_bytes!("../../kernels/cubins.zip");

/// The machine code for GPUs of this compute capability, major and minor. `None` if there is none;
/// then the driver has to compile [`PTX`](super::PTX).
#[must_use]
pub fn cubin((major, minor): (u32, u32)) -> Option<Vec<u8>> {
    let mut archive = ZipArchive::new(Cursor::new(CUBINS)).ok()?;
    // A GPU runs code for earlier minor versions of its major version.
    let index = (0..=minor)
        .rev()
        .find_map(|minor| archive.index_for_name(&format!("sm_{major}{minor}.cubin")))?;
    let mut code = Vec::new();
    archive.by_index(index).ok()?.read_to_end(&mut code).ok()?;
    Some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_since_turing_have_machine_code_and_later_ones_the_ptx() {
        let known =
            [(7, 5), (8, 0), (8, 6), (8, 7), (8, 9), (9, 0), (10, 0), (10, 3), (12, 0), (12, 1)];
        for capability in known {
            let code = cubin(capability).unwrap_or_default();
            assert!(code.starts_with(b"\x7fELF"), "{capability:?}");
        }
        assert_eq!(cubin((8, 9)), cubin((8, 6)));
        for unknown in [(7, 0), (11, 0), (13, 0)] {
            assert_eq!(cubin(unknown), None);
        }
    }
}
