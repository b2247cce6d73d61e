//! The `.bin` file of an ncnn model: the weights, in the order of the layers.

use bytes::{Buf, Bytes};
use half::f16;

use crate::model::fault::Fault;

const TAG_FLOAT32: u32 = 0;
/// Also float32; ncnn writes it if int8 scales follow.
const TAG_FLOAT32_SCALED: u32 = 0x0002_C056;
const TAG_FLOAT16: u32 = 0x0130_6B47;
const TAG_INT8: u32 = 0x000D_4B38;

/// Reads weights from front to back.
pub(super) struct Weights {
    rest: Bytes,
}

impl Weights {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self { rest: bytes }
    }

    /// `count` weights after a tag with their type, such as kernels.
    pub(crate) fn tagged(&mut self, count: usize) -> Result<Vec<f32>, Fault> {
        let tag = self.take(1, 4)?.get_u32_le();
        match tag {
            TAG_FLOAT32 | TAG_FLOAT32_SCALED => self.untagged(count),
            TAG_FLOAT16 => {
                let halves = self.take(count, 2)?;
                // The next weights start at a multiple of 4 bytes.
                self.take(count % 2, 2)?;
                let (pairs, _) = halves.as_chunks();
                Ok(pairs.iter().map(|&pair| f16::from_le_bytes(pair).to_f32()).collect())
            }
            TAG_INT8 => Err(Fault::unsuitable(
                "int8 weights are not supported; use the fp16 or fp32 file of the same model",
            )),
            other => Err(Fault::damaged(format!(
                "the .bin has the unknown weight type {other:#010x}; check that it belongs to this .param"
            ))),
        }
    }

    /// `count` float32 weights without a tag, such as biases.
    pub(crate) fn untagged(&mut self, count: usize) -> Result<Vec<f32>, Fault> {
        let bytes = self.take(count, 4)?;
        let (words, _) = bytes.as_chunks();
        Ok(words.iter().map(|&word| f32::from_le_bytes(word)).collect())
    }

    /// Checks that all weights have been read.
    ///
    /// # Errors
    /// [`Fault::Damaged`] if bytes are left.
    pub(crate) fn finish(self) -> Result<(), Fault> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(Fault::damaged(format!(
            "the .bin has {} bytes more than the layers need; check that it belongs to this .param",
            self.rest.len()
        )))
    }

    fn take(&mut self, count: usize, size: usize) -> Result<Bytes, Fault> {
        match count.checked_mul(size) {
            Some(length) if length <= self.rest.len() => Ok(self.rest.split_to(length)),
            _ => Err(Fault::damaged(format!(
                "the .bin has only {} bytes left for {count} weights; it is truncated, or does not belong to this .param",
                self.rest.len()
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_of_all_types_are_read_in_order() {
        let mut bytes = TAG_FLOAT16.to_le_bytes().to_vec();
        // 1, −2 and 0.5 as IEEE halves, then padding.
        bytes.extend([0x00, 0x3c, 0x00, 0xc0, 0x00, 0x38, 0xff, 0xff]);
        bytes.extend(7.0f32.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(8.0f32.to_le_bytes());
        let mut weights = Weights::new(bytes.into());
        assert_eq!(weights.tagged(3), Ok(vec![1.0, -2.0, 0.5]));
        assert_eq!(weights.untagged(1), Ok(vec![7.0]));
        assert_eq!(weights.tagged(1), Ok(vec![8.0]));
        assert_eq!(weights.finish(), Ok(()));
    }

    #[test]
    fn wrong_lengths_and_types_are_rejected() {
        let read = |bytes: &[u8], count| Weights::new(Bytes::copy_from_slice(bytes)).tagged(count);
        assert!(matches!(read(&[0; 3], 1), Err(Fault::Damaged(_))));
        assert!(matches!(read(&[0; 8], 2), Err(Fault::Damaged(_))));
        assert!(matches!(read(&[0; 8], usize::MAX), Err(Fault::Damaged(_))));
        assert!(matches!(read(&TAG_INT8.to_le_bytes(), 1), Err(Fault::Unsuitable(_))));
        assert!(matches!(read(&[1; 8], 1), Err(Fault::Damaged(_))));
        assert!(Weights::new(Bytes::from_static(&[0])).finish().is_err());
    }
}
