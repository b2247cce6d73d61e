//! The safetensors format.

use std::collections::BTreeMap;

use bytes::Bytes;
use safetensors::{Dtype, SafeTensors};

use super::{budget::Budget, name::check_name, torch::Kind};
use crate::model::{Element, Tensor, fault::Fault};

/// Whether a file that starts with `head` has this format: a length of 8 bytes, then JSON.
pub(super) fn matches(head: &[u8]) -> bool {
    let Some((length, json)) = head.split_first_chunk() else { return false };
    (2..=100_000_000).contains(&u64::from_le_bytes(*length)) && json.starts_with(b"{\"")
}

/// What a file says about itself; nothing if its header is damaged.
pub(super) fn metadata(bytes: &Bytes) -> BTreeMap<String, String> {
    let header = SafeTensors::read_metadata(bytes).ok();
    let metadata = header.and_then(|(_, header)| header.metadata().clone());
    metadata.unwrap_or_default().into_iter().collect()
}

/// The float tensors of a file, in float32.
///
/// # Errors
/// [`Fault::Damaged`].
pub(super) fn read(bytes: &Bytes, budget: &mut Budget) -> Result<BTreeMap<String, Tensor>, Fault> {
    let damaged = |error| Fault::damaged(format!("invalid safetensors header: {error}"));
    let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
    let mut tensors = BTreeMap::new();
    for (name, view) in file.iter() {
        check_name(name)?;
        let kind = match view.dtype() {
            Dtype::F32 => Kind::F32,
            Dtype::F16 => Kind::F16,
            Dtype::BF16 => Kind::Bf16,
            Dtype::F64 => Kind::F64,
            _ => continue,
        };
        let dims = view.shape().iter().map(|&dim| dim as u64).collect();
        let data = match kind {
            Kind::F32 => bytes.slice_ref(view.data()),
            _ => {
                let size = kind.bytes() as usize;
                let count = view.data().len() / size;
                budget
                    .spend(count as u64 * 4)
                    .map_err(|error| Fault::damaged(error.to_string()))?;
                let mut data = Vec::with_capacity(count * 4);
                view.data().chunks_exact(size).for_each(|element| kind.append(element, &mut data));
                data.into()
            }
        };
        tensors.insert(name.to_owned(), Tensor { element: Element::F32, dims, data });
    }
    Ok(tensors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_read_and_a_damaged_header_has_none() {
        let header = br#"{"__metadata__":{"license":"MIT"}}"#;
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend_from_slice(header);
        let expected = BTreeMap::from([("license".to_owned(), "MIT".to_owned())]);
        assert_eq!(metadata(&file.clone().into()), expected);
        file.pop();
        assert_eq!(metadata(&file.into()), BTreeMap::new());
    }
}
