//! Python's pickle format, read as data: nothing is executed.
//!
//! Objects are in one list and refer to each other by index, so that sharing, cycles and nesting
//! need no recursion. What globals, calls and persistent ids mean is up to an [`Extension`].
//! Opcodes: CPython's `Lib/pickletools.py`.

use std::collections::HashMap;

use bytes::Bytes;

use crate::model::fault::Reason;

/// The maximum number of opcodes of one pickle; published checkpoints have less than 100 000.
const MAX_OPCODES: usize = 1 << 21;

/// The index of an object in [`Pickle`].
pub(super) type Id = usize;

/// Why a pickle cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PickleError {
    #[error("invalid pickle: more than {MAX_OPCODES} opcodes")]
    TooLong,
    #[error("invalid pickle: unexpected end")]
    UnexpectedEnd,
    #[error("invalid pickle: stack underflow")]
    StackUnderflow,
    #[error("invalid pickle: unsupported opcode {opcode:#04x} at byte {position}")]
    Opcode { opcode: u8, position: usize },
    #[error("invalid pickle: items are added to an object that is not a {0}")]
    NotAContainer(&'static str),
    #[error("invalid pickle: a key without a value")]
    OddPairs,
    #[error("invalid pickle: the name of a global is not a string")]
    GlobalName,
    #[error("invalid pickle: the memo has no such entry")]
    Memo,
    #[error("invalid pickle: a call of an object that is not a function")]
    NotAFunction,
    #[error("invalid pickle: invalid arguments for a {0}")]
    Arguments(&'static str),
}

impl Reason for PickleError {
    fn is_damage(&self) -> bool {
        true
    }
}

/// The meaning of globals, calls and persistent ids, and the objects that they produce.
pub(super) trait Extension: Sized {
    /// The global `module.name`, which may be one that is not known.
    fn global(module: &[u8], name: &[u8]) -> Self;

    /// The result of `function(*arguments)`.
    fn call(
        function: &Self,
        objects: &[Object<Self>],
        arguments: &[Id],
    ) -> Result<Called<Self>, PickleError>;

    /// The object outside of the pickle that the object `id` refers to.
    fn persistent(objects: &[Object<Self>], id: Id) -> Result<Self, PickleError>;
}

/// The result of a call.
pub(super) enum Called<E> {
    /// One of its arguments.
    Argument(Id),
    New(Object<E>),
}

/// An object of a pickle.
#[derive(Clone, Debug)]
pub(super) enum Object<E> {
    /// `None`, and anything that no reader needs, such as floats.
    Nothing,
    /// An integer or a boolean.
    Int(i128),
    /// A string or bytes.
    Text(Bytes),
    /// A tuple, a list or a set.
    Sequence(Vec<Id>),
    /// A dict, in insertion order.
    Dict(Vec<(Id, Id)>),
    /// An object of the extension.
    Extension(E),
}

impl<E> Object<E> {
    /// The string that this is; `None` for other objects.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Object::Text(bytes) => str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// The integer, at least 0, that this is; `None` for other objects.
    pub(crate) fn unsigned(&self) -> Option<u64> {
        match self {
            Object::Int(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }
}

/// The objects of a pickle.
#[derive(Debug)]
pub(super) struct Pickle<E> {
    objects: Vec<Object<E>>,
    pub root: Id,
}

impl<E: Extension> Pickle<E> {
    /// Reads one pickle from the start of `bytes`; returns it and its length in bytes.
    ///
    /// # Errors
    /// See [`PickleError`].
    pub(crate) fn read(bytes: &Bytes) -> Result<(Self, usize), PickleError> {
        let mut machine = Machine {
            bytes,
            position: 0,
            objects: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        };
        for _ in 0..MAX_OPCODES {
            if let Some(root) = machine.step()? {
                return Ok((Self { objects: machine.objects, root }, machine.position));
            }
        }
        Err(PickleError::TooLong)
    }

    /// The object `id`.
    pub(crate) fn get(&self, id: Id) -> &Object<E> {
        self.objects.get(id).unwrap_or(&Object::Nothing)
    }

    /// All objects, in the order of their creation.
    pub(crate) fn objects(&self) -> &[Object<E>] {
        &self.objects
    }

    /// The pairs of a dict whose keys are strings; `None` if `id` is not a dict.
    pub(crate) fn dict(&self, id: Id) -> Option<impl Iterator<Item = (&str, Id)>> {
        let Object::Dict(pairs) = self.get(id) else { return None };
        Some(pairs.iter().filter_map(|&(key, value)| Some((self.get(key).text()?, value))))
    }
}

/// The stack machine that runs a pickle.
struct Machine<'a, E> {
    bytes: &'a Bytes,
    position: usize,
    objects: Vec<Object<E>>,
    stack: Vec<Id>,
    /// The lengths of the stack at its marks.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

impl<E: Extension> Machine<'_, E> {
    /// Executes one opcode; returns the result if it was the last.
    fn step(&mut self) -> Result<Option<Id>, PickleError> {
        match self.byte()? {
            b'.' => return self.pop().map(Some),
            // PROTO and FRAME carry nothing that is needed.
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_mark()?),
            b'2' => self.stack.push(self.top()?),

            b'N' => self.push(Object::Nothing),
            0x88 => self.push(Object::Int(1)),
            0x89 => self.push(Object::Int(0)),
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(Object::Int(value.into()));
            }
            b'K' => self.number::<1>()?,
            b'M' => self.number::<2>()?,
            0x8a => self.long::<1>()?,
            0x8b => self.long::<4>()?,
            b'G' => {
                self.take(8)?;
                self.push(Object::Nothing);
            }
            // BINSTRING, BINUNICODE, BINBYTES; their short forms; their 8-byte forms.
            b'T' | b'X' | b'B' => self.text::<4>()?,
            b'U' | 0x8c | b'C' => self.text::<1>()?,
            0x8d | 0x8e | 0x96 => self.text::<8>()?,

            b')' | b']' | 0x8f => self.push(Object::Sequence(Vec::new())),
            b'}' => self.push(Object::Dict(Vec::new())),
            // TUPLE, LIST, FROZENSET
            b't' | b'l' | 0x91 => {
                let items = self.pop_mark()?;
                self.push(Object::Sequence(items));
            }
            count @ 0x85..=0x87 => {
                let start = self.stack.len().checked_sub(usize::from(count - 0x84));
                let items = self.split(start.ok_or(PickleError::StackUnderflow)?)?;
                self.push(Object::Sequence(items));
            }
            b'd' => {
                let items = self.pop_mark()?;
                self.push(Object::Dict(pairs(&items)?));
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            // APPENDS, ADDITEMS
            b'e' | 0x90 => {
                let items = self.pop_mark()?;
                self.append(items)?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.insert(&[key, value])?;
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.insert(&items)?;
            }

            b'q' => self.put::<1>()?,
            b'r' => self.put::<4>()?,
            0x94 => {
                let top = self.top()?;
                self.memo.insert(self.memo.len() as u64, top);
            }
            b'h' => self.recall::<1>()?,
            b'j' => self.recall::<4>()?,

            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Object::Extension(E::global(&module, &name)));
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let text = |id: Id| match self.objects.get(id) {
                    Some(Object::Text(bytes)) => Ok(bytes.clone()),
                    _ => Err(PickleError::GlobalName),
                };
                let (module, name) = (text(module)?, text(name)?);
                self.push(Object::Extension(E::global(&module, &name)));
            }
            // REDUCE, NEWOBJ
            b'R' | 0x81 => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                self.call(function, arguments)?;
            }
            // NEWOBJ_EX: with keyword arguments
            0x92 => {
                let (_, arguments, function) = (self.pop()?, self.pop()?, self.pop()?);
                self.call(function, arguments)?;
            }
            // BUILD: further state of an object, such as the versions of a network's parts.
            b'b' => drop(self.pop()?),
            b'Q' => {
                let id = self.pop()?;
                let object = E::persistent(&self.objects, id)?;
                self.push(Object::Extension(object));
            }
            opcode => {
                return Err(PickleError::Opcode { opcode, position: self.position - 1 });
            }
        }
        Ok(None)
    }

    fn take(&mut self, count: usize) -> Result<Bytes, PickleError> {
        let end = self.position.checked_add(count).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or(PickleError::UnexpectedEnd)?;
        let taken = self.bytes.slice(self.position..end);
        self.position = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        let mut array = [0; N];
        array.copy_from_slice(&self.take(N)?);
        Ok(array)
    }

    fn byte(&mut self) -> Result<u8, PickleError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// An unsigned number of `N` ≤ 8 bytes.
    fn unsigned<const N: usize>(&mut self) -> Result<u64, PickleError> {
        let bytes = self.array::<N>()?;
        Ok(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn length<const N: usize>(&mut self) -> Result<usize, PickleError> {
        usize::try_from(self.unsigned::<N>()?).map_err(|_| PickleError::UnexpectedEnd)
    }

    /// The rest of the line, without its end.
    fn line(&mut self) -> Result<Bytes, PickleError> {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        let length = rest.iter().position(|&byte| byte == b'\n');
        let line = self.take(length.ok_or(PickleError::UnexpectedEnd)?)?;
        self.take(1)?;
        Ok(line)
    }

    fn push(&mut self, object: Object<E>) {
        self.stack.push(self.objects.len());
        self.objects.push(object);
    }

    fn number<const N: usize>(&mut self) -> Result<(), PickleError> {
        let number = self.unsigned::<N>()?;
        self.push(Object::Int(number.into()));
        Ok(())
    }

    /// A signed number of any length; larger ones than 16 bytes become [`Object::Nothing`].
    fn long<const N: usize>(&mut self) -> Result<(), PickleError> {
        let length = self.length::<N>()?;
        let bytes = self.take(length)?;
        let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
        let mut number = [if negative { 0xff } else { 0 }; 16];
        let object = match number.get_mut(..bytes.len()) {
            Some(low) => {
                low.copy_from_slice(&bytes);
                Object::Int(i128::from_le_bytes(number))
            }
            None => Object::Nothing,
        };
        self.push(object);
        Ok(())
    }

    fn text<const N: usize>(&mut self) -> Result<(), PickleError> {
        let length = self.length::<N>()?;
        let text = self.take(length)?;
        self.push(Object::Text(text));
        Ok(())
    }

    fn top(&self) -> Result<Id, PickleError> {
        // Objects below the last mark are not accessible.
        let accessible = self.stack.get(self.marks.last().copied().unwrap_or(0)..);
        accessible.and_then(<[Id]>::last).copied().ok_or(PickleError::StackUnderflow)
    }

    fn pop(&mut self) -> Result<Id, PickleError> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// The objects above the last mark.
    fn pop_mark(&mut self) -> Result<Vec<Id>, PickleError> {
        let start = self.marks.pop().ok_or(PickleError::StackUnderflow)?;
        self.split(start)
    }

    fn split(&mut self, start: usize) -> Result<Vec<Id>, PickleError> {
        if start > self.stack.len() || self.marks.last().is_some_and(|&mark| start < mark) {
            return Err(PickleError::StackUnderflow);
        }
        Ok(self.stack.split_off(start))
    }

    fn append(&mut self, items: Vec<Id>) -> Result<(), PickleError> {
        let list = self.top()?;
        match self.objects.get_mut(list) {
            Some(Object::Sequence(list)) => list.extend(items),
            // The content of an object that is not read does not matter.
            Some(Object::Extension(_)) => {}
            _ => return Err(PickleError::NotAContainer("list")),
        }
        Ok(())
    }

    fn insert(&mut self, items: &[Id]) -> Result<(), PickleError> {
        let dict = self.top()?;
        match self.objects.get_mut(dict) {
            Some(Object::Dict(dict)) => dict.extend(pairs(items)?),
            Some(Object::Extension(_)) => drop(pairs(items)?),
            _ => return Err(PickleError::NotAContainer("dict")),
        }
        Ok(())
    }

    fn put<const N: usize>(&mut self) -> Result<(), PickleError> {
        let key = self.unsigned::<N>()?;
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall<const N: usize>(&mut self) -> Result<(), PickleError> {
        let key = self.unsigned::<N>()?;
        let object = self.memo.get(&key).copied();
        self.stack.push(object.ok_or(PickleError::Memo)?);
        Ok(())
    }

    fn call(&mut self, function: Id, arguments: Id) -> Result<(), PickleError> {
        let (Some(Object::Extension(function)), Some(Object::Sequence(arguments))) =
            (self.objects.get(function), self.objects.get(arguments))
        else {
            return Err(PickleError::NotAFunction);
        };
        match E::call(function, &self.objects, arguments)? {
            Called::Argument(id) => self.stack.push(id),
            Called::New(object) => self.push(object),
        }
        Ok(())
    }
}

/// Splits key, value, key, value … into pairs.
fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>, PickleError> {
    match items.as_chunks() {
        (pairs, []) => Ok(pairs.iter().map(|&[key, value]| (key, value)).collect()),
        _ => Err(PickleError::OddPairs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An extension whose globals all return their first argument.
    #[derive(Debug)]
    struct First;

    impl Extension for First {
        fn global(_: &[u8], _: &[u8]) -> Self {
            Self
        }

        fn call(
            _: &Self,
            _: &[Object<Self>],
            arguments: &[Id],
        ) -> Result<Called<Self>, PickleError> {
            let first = arguments.first().ok_or(PickleError::Arguments("call of first"))?;
            Ok(Called::Argument(*first))
        }

        fn persistent(_: &[Object<Self>], _: Id) -> Result<Self, PickleError> {
            Ok(Self)
        }
    }

    fn read(pickle: &'static [u8]) -> Result<Option<u64>, PickleError> {
        let (pickle, _) = Pickle::<First>::read(&Bytes::from_static(pickle))?;
        Ok(pickle.get(pickle.root).unsigned())
    }

    #[test]
    fn calls_go_to_the_extension() {
        assert_eq!(read(b"ctest\nfirst\n(K\x07K\x08tR."), Ok(Some(7)));
        assert_eq!(read(b"ctest\nfirst\n)R."), Err(PickleError::Arguments("call of first")));
    }

    #[test]
    fn invalid_pickles_are_rejected() {
        assert_eq!(read(b""), Err(PickleError::UnexpectedEnd));
        assert_eq!(read(b"."), Err(PickleError::StackUnderflow));
        assert_eq!(read(b"K\x01(1."), Ok(Some(1)));
        assert_eq!(read(b"K\x01(0."), Err(PickleError::StackUnderflow));
        assert_eq!(read(b"}(K\x01u."), Err(PickleError::OddPairs));
        assert_eq!(read(b"K\x01K\x02a."), Err(PickleError::NotAContainer("list")));
        assert_eq!(read(b"h\x00."), Err(PickleError::Memo));
        assert_eq!(read(b"K\x01)R."), Err(PickleError::NotAFunction));
        let opcode = PickleError::Opcode { opcode: b'i', position: 0 };
        assert_eq!(read(b"i"), Err(opcode));
    }
}
