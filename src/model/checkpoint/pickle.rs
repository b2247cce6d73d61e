//! Python's pickle format, read as data: a fixed list of globals, nothing is ever executed.
//!
//! Objects lie in one list and refer to each other by place, so sharing, cycles and depth cost
//! nothing and need no recursion. Opcodes: CPython's `Lib/pickletools.py`.

use std::collections::HashMap;

use bytes::Bytes;

use super::torch::{self, Global, Storage, View};
use crate::model::fault::Fault;

/// Opcodes in one pickle; published checkpoints have less than 100 000.
const MOST_OPCODES: usize = 1 << 21;

/// An object's place in [`Pickle`].
pub(super) type Id = usize;

/// What a pickle is made of.
#[derive(Clone, Debug)]
pub(super) enum Object {
    /// `None`, floats, dtypes: whatever is of no use here.
    Nothing,
    /// An integer or a truth.
    Int(i128),
    /// A text or bytes.
    Text(Bytes),
    /// A tuple, a list or a set.
    Sequence(Vec<Id>),
    /// A dict, in the order of insertion.
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Storage(Storage),
    Tensor(Box<View>),
}

/// A pickle's objects.
#[derive(Debug)]
pub(super) struct Pickle {
    objects: Vec<Object>,
    pub root: Id,
}

impl Pickle {
    /// Reads one pickle from the start of `bytes`; gives also how long it is.
    ///
    /// # Errors
    /// [`Fault::Unsuitable`], naming it, for a global that is not known; else
    /// [`Fault::Damaged`].
    pub fn read(bytes: &Bytes) -> Result<(Self, usize), Fault> {
        let mut machine = Machine {
            bytes,
            at: 0,
            objects: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        };
        for _ in 0..MOST_OPCODES {
            if let Some(root) = machine.step()? {
                return Ok((Self { objects: machine.objects, root }, machine.at));
            }
        }
        Err(Fault::damaged(format!("its pickle has more than {MOST_OPCODES} steps")))
    }

    pub fn get(&self, id: Id) -> &Object {
        self.objects.get(id).unwrap_or(&Object::Nothing)
    }

    /// All objects, in the order in which they were made.
    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// The pairs of a dict whose keys are texts; `None` where `id` is no dict.
    pub fn dict(&self, id: Id) -> Option<impl Iterator<Item = (&str, Id)>> {
        let Object::Dict(pairs) = self.get(id) else { return None };
        Some(pairs.iter().filter_map(|&(key, value)| Some((text(self.get(key))?, value))))
    }
}

/// The text that an object is.
pub(super) fn text(object: &Object) -> Option<&str> {
    match object {
        Object::Text(bytes) => str::from_utf8(bytes).ok(),
        _ => None,
    }
}

/// Pickle's stack machine.
struct Machine<'a> {
    bytes: &'a Bytes,
    at: usize,
    objects: Vec<Object>,
    stack: Vec<Id>,
    /// Lengths that the stack had when a mark was set.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

impl Machine<'_> {
    /// One opcode; the result where it was the last.
    fn step(&mut self) -> Result<Option<Id>, Fault> {
        match self.byte()? {
            b'.' => return self.pop().map(Some),
            // PROTO, FRAME: what they tell is not needed.
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
                let items = self.split(start.ok_or_else(short_stack)?)?;
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
                self.global(&module, &name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let text = |id: Id| match self.objects.get(id) {
                    Some(Object::Text(bytes)) => Ok(bytes.clone()),
                    _ => Err(Fault::damaged("its pickle names a global by no text")),
                };
                let (module, name) = (text(module)?, text(name)?);
                self.global(&module, &name)?;
            }
            // REDUCE, NEWOBJ
            b'R' | 0x81 => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                self.call(function, arguments)?;
            }
            // An object's further state, such as the versions of a network's parts.
            b'b' => drop(self.pop()?),
            b'Q' => {
                let id = self.pop()?;
                let storage = Storage::from_persistent_id(&self.objects, id)?;
                self.push(Object::Storage(storage));
            }
            opcode => {
                return Err(Fault::damaged(format!(
                    "its pickle has the opcode {opcode:#04x} at byte {}, which no tensor needs",
                    self.at - 1
                )));
            }
        }
        Ok(None)
    }

    fn take(&mut self, count: usize) -> Result<Bytes, Fault> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or_else(|| Fault::damaged("its pickle ends early"))?;
        let taken = self.bytes.slice(self.at..end);
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut array = [0; N];
        array.copy_from_slice(&self.take(N)?);
        Ok(array)
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// An unsigned number of `N` ≤ 8 bytes.
    fn unsigned<const N: usize>(&mut self) -> Result<u64, Fault> {
        let bytes = self.array::<N>()?;
        Ok(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn length<const N: usize>(&mut self) -> Result<usize, Fault> {
        usize::try_from(self.unsigned::<N>()?).map_err(|_| Fault::damaged("its pickle ends early"))
    }

    /// Up to the end of a line, which is left out.
    fn line(&mut self) -> Result<Bytes, Fault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|&byte| byte == b'\n');
        let line = self.take(length.ok_or_else(|| Fault::damaged("its pickle ends early"))?)?;
        self.take(1)?;
        Ok(line)
    }

    fn push(&mut self, object: Object) {
        self.stack.push(self.objects.len());
        self.objects.push(object);
    }

    fn number<const N: usize>(&mut self) -> Result<(), Fault> {
        let number = self.unsigned::<N>()?;
        self.push(Object::Int(number.into()));
        Ok(())
    }

    /// A signed number of any length; what 16 bytes cannot hold is of no use here.
    fn long<const N: usize>(&mut self) -> Result<(), Fault> {
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

    fn text<const N: usize>(&mut self) -> Result<(), Fault> {
        let length = self.length::<N>()?;
        let text = self.take(length)?;
        self.push(Object::Text(text));
        Ok(())
    }

    fn top(&self) -> Result<Id, Fault> {
        // What lies below a mark is out of reach.
        let reach = self.stack.get(self.marks.last().copied().unwrap_or(0)..);
        reach.and_then(|reach| reach.last()).copied().ok_or_else(short_stack)
    }

    fn pop(&mut self) -> Result<Id, Fault> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// Everything above the last mark.
    fn pop_mark(&mut self) -> Result<Vec<Id>, Fault> {
        let start = self.marks.pop().ok_or_else(short_stack)?;
        self.split(start)
    }

    fn split(&mut self, start: usize) -> Result<Vec<Id>, Fault> {
        if start > self.stack.len() || self.marks.last().is_some_and(|&mark| start < mark) {
            return Err(short_stack());
        }
        Ok(self.stack.split_off(start))
    }

    fn append(&mut self, items: Vec<Id>) -> Result<(), Fault> {
        let list = self.top()?;
        match self.objects.get_mut(list) {
            Some(Object::Sequence(list)) => list.extend(items),
            _ => return Err(Fault::damaged("its pickle appends to what is no list")),
        }
        Ok(())
    }

    fn insert(&mut self, items: &[Id]) -> Result<(), Fault> {
        let dict = self.top()?;
        match self.objects.get_mut(dict) {
            Some(Object::Dict(dict)) => dict.extend(pairs(items)?),
            _ => return Err(Fault::damaged("its pickle inserts into what is no dict")),
        }
        Ok(())
    }

    fn put<const N: usize>(&mut self) -> Result<(), Fault> {
        let place = self.unsigned::<N>()?;
        let top = self.top()?;
        self.memo.insert(place, top);
        Ok(())
    }

    fn recall<const N: usize>(&mut self) -> Result<(), Fault> {
        let place = self.unsigned::<N>()?;
        let object = self.memo.get(&place).copied();
        self.stack.push(object.ok_or_else(|| Fault::damaged("its pickle recalls nothing"))?);
        Ok(())
    }

    fn global(&mut self, module: &[u8], name: &[u8]) -> Result<(), Fault> {
        let global = Global::find(module, name)?;
        self.push(Object::Global(global));
        Ok(())
    }

    fn call(&mut self, function: Id, arguments: Id) -> Result<(), Fault> {
        let (Some(&Object::Global(function)), Some(Object::Sequence(arguments))) =
            (self.objects.get(function), self.objects.get(arguments))
        else {
            return Err(Fault::damaged("its pickle calls what is no function"));
        };
        match torch::call(function, &self.objects, arguments)? {
            torch::Called::Same(id) => self.stack.push(id),
            torch::Called::New(object) => self.push(object),
        }
        Ok(())
    }
}

/// Key, value, key, value …
fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>, Fault> {
    match items.as_chunks() {
        (pairs, []) => Ok(pairs.iter().map(|&[key, value]| (key, value)).collect()),
        _ => Err(Fault::damaged("its pickle has a key without a value")),
    }
}

fn short_stack() -> Fault {
    Fault::damaged("its pickle takes more than it put down")
}
