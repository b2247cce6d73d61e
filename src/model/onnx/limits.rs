//! A look over a protobuf before it is decoded: a file of a few megabytes may hold millions of
//! empty messages, each of which takes hundreds of bytes once decoded.

/// Messages, texts and such that one model may hold. The largest networks published for
/// enlarging have a tenth of this.
const BUDGET: u64 = 1 << 20;
const DEPTH: u32 = 32;

/// The messages whose fields are looked into.
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
    /// Numbers or bytes that decode to about their own size.
    Payload,
    /// Anything else: small, so its bytes count.
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

/// Checks that `bytes` are a well-formed ONNX protobuf of bearable size.
///
/// # Errors
/// What is wrong, as the end of a sentence.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    let mut budget = BUDGET;
    walk(bytes, Kind::Model, DEPTH, &mut budget)
}

fn walk(mut bytes: &[u8], kind: Kind, depth: u32, budget: &mut u64) -> Result<(), String> {
    let depth = depth.checked_sub(1).ok_or("its graphs are nested too deeply")?;
    let mut spend = |cost: u64| {
        *budget = budget.checked_sub(cost).ok_or("it has more nodes than any network needs")?;
        Ok::<_, String>(())
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
            wire => return Err(format!("a field of the unknown wire type {wire}")),
        }
    }
    nested.into_iter().try_for_each(|(kind, content)| walk(content, kind, depth, budget))
}

fn take<'a>(bytes: &mut &'a [u8], length: u64) -> Result<&'a [u8], String> {
    let split = usize::try_from(length).ok().and_then(|length| bytes.split_at_checked(length));
    let (head, tail) = split.ok_or("it ends in the middle of a field")?;
    *bytes = tail;
    Ok(head)
}

fn varint(bytes: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = bytes.split_first().ok_or("it ends in the middle of a number")?;
        *bytes = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err("a number of more than ten bytes".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_empty_nodes_is_refused() {
        let nodes = [0x0a, 0x00].repeat(2_000_000);
        let mut bytes = vec![0x3a];
        let mut length = nodes.len();
        while length >= 0x80 {
            bytes.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        bytes.push(length as u8);
        bytes.extend(nodes);
        assert!(check(&bytes).is_err_and(|why| why.contains("nodes")));
    }

    #[test]
    fn cut_fields_are_refused() {
        assert!(check(&[0x3a, 0x05, 0x0a]).is_err());
        assert!(check(&[0x80; 20]).is_err());
        assert!(check(&[0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]).is_err());
    }
}
