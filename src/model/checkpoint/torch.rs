//! What PyTorch puts into a pickle: storages and views of them.

use bytes::Bytes;
use half::{bf16, f16};

use super::{
    budget::Budget,
    pickle::{Id, Object, text},
};
use crate::model::{Element, Tensor, fault::Fault};

/// The element type of a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    F32,
    F16,
    Bf16,
    F64,
    /// Integers and the like, of so many bytes: counters, not weights.
    Other(u64),
}

impl Kind {
    pub fn bytes(self) -> u64 {
        match self {
            Kind::F16 | Kind::Bf16 => 2,
            Kind::F32 => 4,
            Kind::F64 => 8,
            Kind::Other(bytes) => bytes,
        }
    }

    /// Appends the float32 of one element; nothing for [`Kind::Other`].
    pub fn append(self, element: &[u8], to: &mut Vec<u8>) {
        let value = match (self, element) {
            (Kind::F32, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]),
            (Kind::F16, &[a, b]) => f16::from_le_bytes([a, b]).to_f32(),
            (Kind::Bf16, &[a, b]) => bf16::from_le_bytes([a, b]).to_f32(),
            (Kind::F64, &[a, b, c, d, e, f, g, h]) => {
                f64::from_le_bytes([a, b, c, d, e, f, g, h]) as f32
            }
            _ => return,
        };
        to.extend(value.to_le_bytes());
    }
}

/// A global that pickles of tensors may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    OrderedDict,
    /// `torch._utils._rebuild_tensor` and its second version: a view of a storage.
    Tensor,
    /// Gives back its first argument.
    First,
    Storage(Kind),
    /// Harmless, and of no use here.
    Nothing,
}

impl Global {
    /// # Errors
    /// Names the global where it is not on the list.
    pub fn find(module: &[u8], name: &[u8]) -> Result<Self, Fault> {
        Ok(match (module, name) {
            (b"collections" | b"typing", b"OrderedDict") => Global::OrderedDict,
            (b"torch._utils", b"_rebuild_tensor" | b"_rebuild_tensor_v2") => Global::Tensor,
            (b"torch._utils", b"_rebuild_parameter" | b"_rebuild_parameter_with_state")
            | (b"torch", b"Size") => Global::First,
            (b"torch" | b"torch.cuda", name) if name.ends_with(b"Storage") => {
                Global::Storage(match name {
                    b"FloatStorage" => Kind::F32,
                    b"HalfStorage" => Kind::F16,
                    b"BFloat16Storage" => Kind::Bf16,
                    b"DoubleStorage" => Kind::F64,
                    b"LongStorage" => Kind::Other(8),
                    b"IntStorage" => Kind::Other(4),
                    b"ShortStorage" => Kind::Other(2),
                    b"CharStorage" | b"ByteStorage" | b"BoolStorage" => Kind::Other(1),
                    _ => return Err(refused(module, name)),
                })
            }
            (
                b"torch",
                b"device" | b"float32" | b"float16" | b"bfloat16" | b"float64" | b"int64",
            )
            | (b"numpy", b"dtype" | b"ndarray" | b"float32" | b"float64" | b"int64")
            | (b"numpy.core.multiarray" | b"numpy._core.multiarray", b"scalar" | b"_reconstruct")
            | (b"_codecs", b"encode") => Global::Nothing,
            _ => return Err(refused(module, name)),
        })
    }
}

fn refused(module: &[u8], name: &[u8]) -> Fault {
    let global = [module, b".", name].concat();
    let global: String = String::from_utf8_lossy(&global).chars().take(120).collect();
    Fault::unsuitable(format!(
        "it wants {global:?} run, and files here are only read: save the network's state_dict() alone"
    ))
}

/// Of a storage's name: PyTorch's have up to 20 digits.
const LONGEST_KEY: usize = 64;

/// Memory that views lie in. On which device it was (`cuda:0`) does not matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Storage {
    pub kind: Kind,
    /// Its name in the file.
    pub key: Bytes,
    /// Elements before it, where it is itself a part of the storage called `key`.
    start: u64,
    /// Elements.
    count: u64,
}

impl Storage {
    /// From `("storage", type, key, device, count)`, in old files also `(view's key, start,
    /// count)` or `None` (`torch/serialization.py`).
    pub fn from_persistent_id(objects: &[Object], id: Id) -> Result<Self, Fault> {
        let damaged = || Fault::damaged("its pickle has a storage that is none");
        let Some(Object::Sequence(parts)) = objects.get(id) else { return Err(damaged()) };
        let part = |index: usize| parts.get(index).and_then(|&id| objects.get(id));
        let (Some(tag), Some(&Object::Global(Global::Storage(kind))), Some(Object::Text(key))) =
            (part(0).and_then(text), part(1), part(2))
        else {
            return Err(damaged());
        };
        let sound = tag == "storage" && key.len() <= LONGEST_KEY;
        let count = part(4).and_then(size).filter(|_| sound).ok_or_else(damaged)?;
        let storage = Self { kind, key: key.clone(), start: 0, count };
        match part(5) {
            Some(Object::Sequence(view)) => {
                let number = |index: usize| view.get(index).and_then(|&id| size(objects.get(id)?));
                match (number(1), number(2)) {
                    (Some(start), Some(count)) => Ok(Self { start, count, ..storage }),
                    _ => Err(damaged()),
                }
            }
            _ => Ok(storage),
        }
    }

    pub fn name(&self) -> &str {
        str::from_utf8(&self.key).unwrap_or("?")
    }
}

/// A tensor: a walk over a storage, in elements.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub storage: Storage,
    offset: u64,
    sizes: Vec<u64>,
    strides: Vec<u64>,
}

impl View {
    /// The tensor in float32, from the bytes of its storage; `None` for integers.
    pub fn tensor(&self, bytes: &Bytes, budget: &mut Budget) -> Result<Option<Tensor>, String> {
        let kind = self.storage.kind;
        if matches!(kind, Kind::Other(_)) {
            return Ok(None);
        }
        let count = self.sizes.iter().try_fold(1u64, |all, &size| all.checked_mul(size));
        let count = count.ok_or("its shape is too large")?;
        let (first, end) = self.extent().ok_or("it reaches out of its storage")?;
        // A stride of 0 repeats samples: no weights need that, and it has no end.
        if end > bytes.len() as u64 || count > bytes.len() as u64 / kind.bytes() {
            return Err(format!("it reaches out of its storage of {} bytes", bytes.len()));
        }
        let whole = bytes.slice(first as usize..end as usize);
        let data = match (self.is_contiguous(), kind) {
            (true, Kind::F32) => whole,
            _ => {
                budget.spend(count.saturating_mul(4))?;
                let mut data = Vec::with_capacity(count as usize * 4);
                self.walk(&whole, &mut data);
                data.into()
            }
        };
        let tensor = Tensor { element: Element::F32, dims: self.sizes.clone(), data };
        match tensor.is_whole() {
            true => Ok(Some(tensor)),
            false => Err("its shape does not fit its storage".into()),
        }
    }

    /// Bytes of the file's storage that it lies in: its first and the one behind its last.
    fn extent(&self) -> Option<(u64, u64)> {
        let mut last = self.offset;
        let mut empty = false;
        for (&size, &stride) in self.sizes.iter().zip(&self.strides) {
            empty |= size == 0;
            last = last.checked_add(size.saturating_sub(1).checked_mul(stride)?)?;
        }
        let end = if empty { self.offset } else { last.checked_add(1)? };
        if end > self.storage.count {
            return None;
        }
        let byte = |element: u64| {
            self.storage.start.checked_add(element)?.checked_mul(self.storage.kind.bytes())
        };
        Some((byte(self.offset)?, byte(end)?))
    }

    fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.sizes.iter().zip(&self.strides).rev().all(|(&size, &stride)| {
            let fits = size == 1 || stride == expected;
            expected = expected.saturating_mul(size);
            fits
        })
    }

    /// Appends every element, row-major. `bytes` holds what [`View::extent`] tells.
    fn walk(&self, bytes: &[u8], to: &mut Vec<u8>) {
        if self.sizes.contains(&0) {
            return;
        }
        let size = self.storage.kind.bytes() as usize;
        let mut place = vec![0u64; self.sizes.len()];
        loop {
            let element: u64 = place.iter().zip(&self.strides).map(|(at, step)| at * step).sum();
            let start = element as usize * size;
            self.storage.kind.append(bytes.get(start..start + size).unwrap_or_default(), to);
            // The next place, the last dimension fastest.
            let mut axes = place.iter_mut().zip(&self.sizes).rev();
            let more = axes.any(|(at, &size)| {
                *at += 1;
                if *at == size {
                    *at = 0;
                }
                *at != 0
            });
            if !more {
                return;
            }
        }
    }
}

/// What a call gives.
pub(super) enum Called {
    /// One of its arguments.
    Same(Id),
    New(Object),
}

/// What `function(*arguments)` would give.
pub(super) fn call(
    function: Global,
    objects: &[Object],
    arguments: &[Id],
) -> Result<Called, Fault> {
    let argument = |index: usize| arguments.get(index).and_then(|&id| objects.get(id));
    let damaged =
        |what: &str| Fault::damaged(format!("its pickle builds {what} from what makes none"));
    match function {
        Global::OrderedDict => {
            let mut pairs = Vec::new();
            if let Some(Object::Sequence(items)) = argument(0) {
                for &item in items {
                    match objects.get(item) {
                        Some(Object::Sequence(pair)) if pair.len() == 2 => {
                            pairs.push((pair[0], pair[1]));
                        }
                        _ => return Err(damaged("a dict")),
                    }
                }
            }
            Ok(Called::New(Object::Dict(pairs)))
        }
        Global::Tensor => {
            let (Some(Object::Storage(storage)), Some(offset)) =
                (argument(0), argument(1).and_then(size))
            else {
                return Err(damaged("a tensor"));
            };
            let sizes = |index: usize| match argument(index)? {
                Object::Sequence(ids) if ids.len() <= 8 => {
                    ids.iter().map(|&id| size(objects.get(id)?)).collect::<Option<Vec<u64>>>()
                }
                _ => None,
            };
            let (Some(sizes), Some(strides)) = (sizes(2), sizes(3)) else {
                return Err(damaged("a tensor"));
            };
            if sizes.len() != strides.len() {
                return Err(damaged("a tensor"));
            }
            let view = View { storage: storage.clone(), offset, sizes, strides };
            Ok(Called::New(Object::Tensor(Box::new(view))))
        }
        Global::First => match arguments.first() {
            Some(&first) => Ok(Called::Same(first)),
            None => Err(damaged("a parameter")),
        },
        Global::Nothing => Ok(Called::New(Object::Nothing)),
        Global::Storage(_) => Err(Fault::damaged("its pickle calls a storage's type")),
    }
}

/// A number that is no less than 0.
fn size(object: &Object) -> Option<u64> {
    match object {
        Object::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}
