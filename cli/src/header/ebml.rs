//! Elements of EBML (RFC 8794), the format below Matroska: reading and writing trees of them.
//!
//! Elements that are not changed keep their bytes, whether they are known or not.

/// The identifier of an element, with its marker bits.
pub type Id = u32;

/// An element and its data, without the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    pub id: Id,
    pub data: Vec<u8>,
}

/// The header of an element: identifier, size of the data (`None`: unknown), and its own length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub id: Id,
    pub size: Option<u64>,
    pub length: usize,
}

/// The longest header: 4 bytes of identifier and 8 of size.
pub const MAX_HEAD: usize = 12;

impl Head {
    /// Parses a header at the start of `bytes`.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let id_length = bytes.first()?.leading_zeros() as usize + 1;
        let id = bytes.get(..id_length).filter(|_| id_length <= 4)?;
        let id = id.iter().fold(0, |id, byte| id << 8 | Id::from(*byte));
        let rest = bytes.get(id_length..)?;
        let first = *rest.first()?;
        let size_length = first.leading_zeros() as usize + 1;
        let bytes = rest.get(..size_length).filter(|_| size_length <= 8)?;
        let all = bytes.iter().fold(0_u64, |size, byte| size << 8 | u64::from(*byte));
        let mask = (1_u64 << (7 * size_length)) - 1;
        let size = Some(all & mask).filter(|size| *size != mask);
        Some(Self { id, size, length: id_length + size_length })
    }
}

impl Element {
    pub fn new(id: Id, data: impl Into<Vec<u8>>) -> Self {
        Self { id, data: data.into() }
    }

    pub fn text(id: Id, text: &str) -> Self {
        Self::new(id, text.as_bytes())
    }

    /// An unsigned integer, in as few bytes as possible.
    pub fn unsigned(id: Id, number: u64) -> Self {
        let bytes = number.to_be_bytes();
        let zeros = (number.leading_zeros() / 8).min(7) as usize;
        Self::new(id, bytes.get(zeros..).unwrap_or_default())
    }

    pub fn float(id: Id, number: f64) -> Self {
        Self::new(id, number.to_be_bytes())
    }

    /// An element that contains others.
    pub fn parent(id: Id, children: &[Self]) -> Self {
        let mut data = Vec::new();
        children.iter().for_each(|child| child.write(&mut data));
        Self { id, data }
    }

    /// `length` bytes that readers skip. `None` for less than 2 bytes, which is impossible.
    pub fn void(length: usize) -> Option<Vec<u8>> {
        const VOID: u8 = 0xec;
        let mut bytes = match length {
            0..2 => return None,
            2..10 => vec![VOID, 0x80 | u8::try_from(length - 2).ok()?],
            _ => {
                let size = (length as u64 - 9) | 1 << 56;
                [&[VOID][..], &size.to_be_bytes()].concat()
            }
        };
        bytes.resize(length, 0);
        Some(bytes)
    }

    /// The elements in this one. What cannot be parsed ends the list.
    pub fn children(&self) -> Vec<Self> {
        let mut children = Vec::new();
        let mut rest = self.data.as_slice();
        while let Some(head) = Head::parse(rest) {
            let size = head.size.and_then(|size| usize::try_from(size).ok());
            let end = size.and_then(|size| head.length.checked_add(size));
            let Some(data) = end.and_then(|end| rest.get(head.length..end)) else { break };
            children.push(Self::new(head.id, data));
            rest = rest.get(head.length + data.len()..).unwrap_or_default();
        }
        children
    }

    /// The first element of this identifier in this one.
    pub fn child(&self, id: Id) -> Option<Self> {
        self.children().into_iter().find(|child| child.id == id)
    }

    /// The data as an unsigned integer.
    pub fn to_unsigned(&self) -> Option<u64> {
        let fits = self.data.len() <= 8;
        fits.then(|| self.data.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// The data as text, up to the first zero.
    pub fn to_text(&self) -> String {
        let text = self.data.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(text).into_owned()
    }

    /// The element with other ones in it. The elements of these identifiers are removed.
    pub fn with(&self, removed: &[Id], added: &[Self]) -> Self {
        let mut children = self.children();
        children.retain(|child| !removed.contains(&child.id));
        children.extend_from_slice(added);
        Self::parent(self.id, &children)
    }

    /// Appends header and data.
    pub fn write(&self, to: &mut Vec<u8>) {
        let id = self.id.to_be_bytes();
        let zeros = (self.id.leading_zeros() / 8) as usize;
        to.extend_from_slice(id.get(zeros..).unwrap_or_default());
        // 8 bytes for the size are always allowed; small elements take one.
        let size = self.data.len() as u64;
        match u8::try_from(size).ok().filter(|size| *size < 0x7f) {
            Some(size) => to.push(0x80 | size),
            None => to.extend((size | 1 << 56).to_be_bytes()),
        }
        to.extend_from_slice(&self.data);
    }

    /// Header and data.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.data.len() + MAX_HEAD);
        self.write(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for size in [0, 1, 0x7e, 0x7f, 300, 70_000] {
            let element = Element::new(0x1654_ae6b, vec![7; size]);
            let bytes = element.to_bytes();
            let head = Head::parse(&bytes).unwrap();
            assert_eq!((head.id, head.size), (0x1654_ae6b, Some(size as u64)));
            assert_eq!(Element::new(0x18, bytes).children(), [element]);
        }
        for number in [0, 1, 255, 256, u64::MAX] {
            assert_eq!(Element::unsigned(0x83, number).to_unsigned(), Some(number));
        }
        assert_eq!(Element::text(0x86, "é").to_text(), "é");
    }

    #[test]
    fn a_void_has_any_length_but_one() {
        for length in [2, 3, 9, 10, 11, 300, 100_000] {
            let void = Element::void(length).unwrap();
            assert_eq!(void.len(), length);
            let head = Head::parse(&void).unwrap();
            assert_eq!(head.length as u64 + head.size.unwrap(), length as u64);
        }
        assert_eq!(Element::void(1), None);
    }

    #[test]
    fn a_size_of_all_ones_is_unknown() {
        let head = Head::parse(&[0x1f, 0x43, 0xb6, 0x75, 0xff]).unwrap();
        assert_eq!(head, Head { id: 0x1f43_b675, size: None, length: 5 });
        assert_eq!(Head::parse(&[0x00, 0x80]), None);
        assert_eq!(Head::parse(&[0x1f, 0x43]), None);
    }

    #[test]
    fn damaged_children_end_the_list() {
        let mut element = Element::parent(0xae, &[Element::unsigned(0xd7, 1)]);
        element.data.extend([0x83, 0x88, 0x01]);
        assert_eq!(element.children().len(), 1);
    }
}
