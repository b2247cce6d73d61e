//! A check of a protobuf message before it is decoded. A file of a few megabytes may contain
//! millions of empty messages, each of which takes hundreds of bytes when decoded.

use crate::model::fault::Reason;

/// Why a protobuf message is not decoded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LimitError {
    #[error("the graphs are nested too deeply")]
    TooDeep,
    #[error("the model has too many nodes")]
    TooMany,
    #[error("the file ends within a field")]
    Truncated,
    #[error("a number has more than ten bytes")]
    LongNumber,
    #[error("a field has the unknown wire type {0}")]
    WireType(u64),
}

impl Reason for LimitError {
    fn is_damage(&self) -> bool {
        true
    }
}

/// The maximum number of fields of one model. The largest published upscalers have a tenth of this.
const MAX_FIELDS: u64 = 1 << 20;

/// The deepest nesting of messages.
const MAX_DEPTH: u32 = 32;

/// The messages whose fields are checked.
#[derive(Clone, Copy)]
enum Kind {
    Model,
    Graph,
    Function,
    Node,
    Attribute,
    Tensor,
    Sparse,
}

enum Field {
    Message(Kind),
    /// Numbers or bytes, which decode to about their own size.
    Payload,
    /// Anything else: its size counts towards the limit.
    Other,
}

fn field(kind: Kind, number: u64) -> Field {
    match (kind, number) {
        (Kind::Model, 7) | (Kind::Attribute, 6 | 11) => Field::Message(Kind::Graph),
        (Kind::Model, 25) => Field::Message(Kind::Function),
        (Kind::Graph, 1) | (Kind::Function, 7) => Field::Message(Kind::Node),
        (Kind::Graph, 5) | (Kind::Attribute, 5 | 10) | (Kind::Sparse, 1 | 2) => {
            Field::Message(Kind::Tensor)
        }
        (Kind::Graph, 15) | (Kind::Attribute, 22 | 23) => Field::Message(Kind::Sparse),
        (Kind::Function, 11) | (Kind::Node, 5) => Field::Message(Kind::Attribute),
        (Kind::Tensor, 4 | 5 | 9 | 10 | 11) | (Kind::Attribute, 4 | 7) => Field::Payload,
        _ => Field::Other,
    }
}

/// Checks that `bytes` are a well-formed ONNX message within the limits.
///
/// # Errors
/// See [`LimitError`].
pub(super) fn check(bytes: &[u8]) -> Result<(), LimitError> {
    let mut budget = MAX_FIELDS;
    walk(bytes, Kind::Model, MAX_DEPTH, &mut budget)
}

fn walk(mut bytes: &[u8], kind: Kind, depth: u32, budget: &mut u64) -> Result<(), LimitError> {
    let depth = depth.checked_sub(1).ok_or(LimitError::TooDeep)?;
    let mut spend = |cost: u64| {
        *budget = budget.checked_sub(cost).ok_or(LimitError::TooMany)?;
        Ok::<_, LimitError>(())
    };
    let mut nested = Vec::new();
    while !bytes.is_empty() {
        spend(1)?;
        let tag = varint(&mut bytes)?;
        match tag & 7 {
            0 => drop(varint(&mut bytes)?),
            1 => drop(take(&mut bytes, 8)?),
            5 => drop(take(&mut bytes, 4)?),
            2 => {
                let length = varint(&mut bytes)?;
                let content = take(&mut bytes, length)?;
                match field(kind, tag >> 3) {
                    Field::Message(kind) => nested.push((kind, content)),
                    Field::Payload => {}
                    Field::Other => spend(length / 8)?,
                }
            }
            wire => return Err(LimitError::WireType(wire)),
        }
    }
    nested.into_iter().try_for_each(|(kind, content)| walk(content, kind, depth, budget))
}

fn take<'a>(bytes: &mut &'a [u8], length: u64) -> Result<&'a [u8], LimitError> {
    let split = usize::try_from(length).ok().and_then(|length| bytes.split_at_checked(length));
    let (head, tail) = split.ok_or(LimitError::Truncated)?;
    *bytes = tail;
    Ok(head)
}

fn varint(bytes: &mut &[u8]) -> Result<u64, LimitError> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = bytes.split_first().ok_or(LimitError::Truncated)?;
        *bytes = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(LimitError::LongNumber)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn millions_of_empty_nodes_are_rejected() {
        let nodes = [0x0a, 0x00].repeat(2_000_000);
        let mut bytes = vec![0x3a];
        let mut length = nodes.len();
        while length >= 0x80 {
            bytes.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        bytes.push(length as u8);
        bytes.extend(nodes);
        assert_eq!(check(&bytes), Err(LimitError::TooMany));
    }

    #[test]
    fn truncated_fields_are_rejected() {
        assert_eq!(check(&[0x3a, 0x05, 0x0a]), Err(LimitError::Truncated));
        assert_eq!(check(&[0x80; 20]), Err(LimitError::LongNumber));
        assert!(check(&[0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]).is_err());
    }
}
