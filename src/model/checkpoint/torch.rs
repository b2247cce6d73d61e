//! PyTorch's objects in a pickle: storages, and tensors as views of them.

use std::sync::Arc;

use bytes::Bytes;
use half::{bf16, f16};

use super::{
    budget::{Budget, OverBudget},
    pickle::{self, Called, Extension, Id, PickleError},
};
use crate::model::{Element, Tensor};

/// An object of one of PyTorch's pickles.
pub(super) type Object = pickle::Object<TorchObject>;

/// One of PyTorch's pickles.
pub(super) type Pickle = pickle::Pickle<TorchObject>;

/// What PyTorch adds to the objects of a pickle.
#[derive(Clone, Debug)]
pub(super) enum TorchObject {
    Global(Global),
    Storage(Storage),
    Tensor(Box<View>),
    /// A class or function that is not on the list, by its name, or anything made of it. It is
    /// neither executed nor read.
    Foreign(Arc<str>),
}

/// The element type of a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    F32,
    F16,
    Bf16,
    F64,
    /// Integers and booleans of this many bytes: counters, not weights.
    Other(u64),
}

impl Kind {
    /// The size of an element in bytes.
    pub(crate) fn bytes(self) -> u64 {
        match self {
            Kind::F16 | Kind::Bf16 => 2,
            Kind::F32 => 4,
            Kind::F64 => 8,
            Kind::Other(bytes) => bytes,
        }
    }

    /// Appends one element as float32; nothing for [`Kind::Other`].
    pub(crate) fn append(self, element: &[u8], to: &mut Vec<u8>) {
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

/// A global that a pickle of tensors may refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    OrderedDict,
    /// `collections.defaultdict`, whose argument is not its content.
    DefaultDict,
    /// `torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`: a view of a storage.
    Tensor,
    /// A function that returns its first argument.
    First,
    /// The type of a storage.
    StorageType(Kind),
    /// Harmless, and not needed for weights.
    Ignored,
}

impl Global {
    /// The global `module.name`; `None` for one that is not on the list.
    fn find(module: &[u8], name: &[u8]) -> Option<Self> {
        Some(match (module, name) {
            (b"collections" | b"typing", b"OrderedDict") => Global::OrderedDict,
            (b"collections", b"defaultdict") => Global::DefaultDict,
            (b"torch._utils", b"_rebuild_tensor" | b"_rebuild_tensor_v2") => Global::Tensor,
            (b"torch._utils", b"_rebuild_parameter" | b"_rebuild_parameter_with_state")
            | (b"torch", b"Size") => Global::First,
            (b"torch" | b"torch.cuda", name) if name.ends_with(b"Storage") => {
                Global::StorageType(match name {
                    b"FloatStorage" => Kind::F32,
                    b"HalfStorage" => Kind::F16,
                    b"BFloat16Storage" => Kind::Bf16,
                    b"DoubleStorage" => Kind::F64,
                    b"LongStorage" => Kind::Other(8),
                    b"IntStorage" => Kind::Other(4),
                    b"ShortStorage" => Kind::Other(2),
                    b"CharStorage" | b"ByteStorage" | b"BoolStorage" => Kind::Other(1),
                    _ => return None,
                })
            }
            (
                b"torch",
                b"device" | b"float32" | b"float16" | b"bfloat16" | b"float64" | b"int64",
            )
            | (b"numpy", b"dtype" | b"ndarray" | b"float32" | b"float64" | b"int64")
            | (b"numpy.core.multiarray" | b"numpy._core.multiarray", b"scalar" | b"_reconstruct")
            | (b"_codecs", b"encode") => Global::Ignored,
            _ => return None,
        })
    }
}

/// The longest part of a global's name that messages quote.
const MAX_QUOTED_NAME: usize = 120;

/// The longest name of a storage; PyTorch's have up to 20 digits.
const MAX_KEY: usize = 64;

/// The maximum number of dimensions of a tensor.
const MAX_RANK: usize = 8;

/// Memory that holds tensors. The device that it was on (`cuda:0`) does not matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Storage {
    pub kind: Kind,
    /// The name in the file.
    pub key: Bytes,
    /// The first element, if this is a part of the storage named `key`.
    start: u64,
    /// The number of elements.
    count: u64,
}

impl Storage {
    /// From `("storage", type, key, device, count)`, in old files followed by `(view key, start,
    /// count)` or `None` (`torch/serialization.py`). `None` for anything else.
    fn from_persistent_id(objects: &[Object], id: Id) -> Option<Self> {
        let Object::Sequence(parts) = objects.get(id)? else { return None };
        let part = |index: usize| objects.get(*parts.get(index)?);
        let Object::Extension(TorchObject::Global(Global::StorageType(kind))) = part(1)? else {
            return None;
        };
        let Object::Text(key) = part(2)? else { return None };
        if part(0)?.text() != Some("storage") || key.len() > MAX_KEY {
            return None;
        }
        let count = part(4)?.unsigned()?;
        let storage = Self { kind: *kind, key: key.clone(), start: 0, count };
        match part(5) {
            Some(Object::Sequence(view)) => {
                let number = |index: usize| objects.get(*view.get(index)?)?.unsigned();
                Some(Self { start: number(1)?, count: number(2)?, ..storage })
            }
            _ => Some(storage),
        }
    }

    /// The name in the file, for messages.
    pub(crate) fn name(&self) -> &str {
        str::from_utf8(&self.key).unwrap_or("?")
    }
}

/// Why a tensor cannot be read from its storage.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ViewError {
    #[error("the shape is too large")]
    ShapeTooLarge,
    #[error("the tensor extends past the end of its storage")]
    PastEnd,
    #[error("the shape does not match the storage")]
    ShapeMismatch,
    #[error(transparent)]
    OverBudget(#[from] OverBudget),
}

/// A tensor as a view of a storage; offset and strides are in elements.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub storage: Storage,
    offset: u64,
    sizes: Vec<u64>,
    strides: Vec<u64>,
}

impl View {
    /// The tensor in float32, from the bytes of its storage; `None` for integers. Shares the memory
    /// of the storage if that is contiguous float32.
    pub(crate) fn tensor(
        &self,
        bytes: &Bytes,
        budget: &mut Budget,
    ) -> Result<Option<Tensor>, ViewError> {
        let kind = self.storage.kind;
        if matches!(kind, Kind::Other(_)) {
            return Ok(None);
        }
        let count = self.sizes.iter().try_fold(1u64, |all, &size| all.checked_mul(size));
        let count = count.ok_or(ViewError::ShapeTooLarge)?;
        let (first, end) = self.extent().ok_or(ViewError::PastEnd)?;
        // A stride of 0 repeats elements without limit; weights never need that.
        if first > end || end > bytes.len() as u64 || count > bytes.len() as u64 / kind.bytes() {
            return Err(ViewError::PastEnd);
        }
        let source = bytes.slice(first as usize..end as usize);
        let data = if self.is_contiguous() && kind == Kind::F32 {
            source
        } else {
            budget.spend(count.saturating_mul(4))?;
            let mut data = Vec::with_capacity(count as usize * 4);
            self.copy_elements(&source, &mut data);
            data.into()
        };
        let tensor = Tensor { element: Element::F32, dims: self.sizes.clone(), data };
        if tensor.is_whole() { Ok(Some(tensor)) } else { Err(ViewError::ShapeMismatch) }
    }

    /// The range of bytes of the file's storage that the tensor is in; `None` if it extends past
    /// the end of its own storage.
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

    /// Whether the elements are in row-major order without gaps.
    fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.sizes.iter().zip(&self.strides).rev().all(|(&size, &stride)| {
            let fits = size == 1 || stride == expected;
            expected = expected.saturating_mul(size);
            fits
        })
    }

    /// Appends every element, row-major. `bytes` is the range of [`View::extent`].
    fn copy_elements(&self, bytes: &[u8], to: &mut Vec<u8>) {
        if self.sizes.contains(&0) {
            return;
        }
        let size = self.storage.kind.bytes() as usize;
        let mut position = vec![0u64; self.sizes.len()];
        loop {
            let element: u64 = position.iter().zip(&self.strides).map(|(at, step)| at * step).sum();
            let start = element as usize * size;
            self.storage.kind.append(bytes.get(start..start + size).unwrap_or_default(), to);
            // The next position; the last dimension changes fastest.
            let mut axes = position.iter_mut().zip(&self.sizes).rev();
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

impl Extension for TorchObject {
    fn global(module: &[u8], name: &[u8]) -> Self {
        Global::find(module, name).map_or_else(
            || {
                let global = [module, b".", name].concat();
                let global = String::from_utf8_lossy(&global);
                Self::Foreign(global.chars().take(MAX_QUOTED_NAME).collect::<String>().into())
            },
            Self::Global,
        )
    }

    fn call(
        function: &Self,
        objects: &[Object],
        arguments: &[Id],
    ) -> Result<Called<Self>, PickleError> {
        let function = match function {
            Self::Global(function) => function,
            Self::Foreign(name) => {
                return Ok(Called::New(Object::Extension(Self::Foreign(name.clone()))));
            }
            Self::Storage(_) | Self::Tensor(_) => return Err(PickleError::NotAFunction),
        };
        match function {
            Global::DefaultDict => Ok(Called::New(Object::Dict(Vec::new()))),
            Global::OrderedDict => {
                let dict = ordered_dict(objects, arguments);
                dict.map(Called::New).ok_or(PickleError::Arguments("dict"))
            }
            Global::Tensor => {
                let storage = arguments.first().and_then(|&id| objects.get(id));
                if let Some(Object::Extension(Self::Foreign(name))) = storage {
                    return Ok(Called::New(Object::Extension(Self::Foreign(name.clone()))));
                }
                let view = view(objects, arguments).ok_or(PickleError::Arguments("tensor"))?;
                Ok(Called::New(Object::Extension(Self::Tensor(Box::new(view)))))
            }
            Global::First => {
                let first = arguments.first().ok_or(PickleError::Arguments("parameter"))?;
                Ok(Called::Argument(*first))
            }
            Global::Ignored => Ok(Called::New(Object::Nothing)),
            Global::StorageType(_) => Err(PickleError::NotAFunction),
        }
    }

    fn persistent(objects: &[Object], id: Id) -> Result<Self, PickleError> {
        if let Some(name) = foreign_type(objects, id) {
            return Ok(Self::Foreign(name));
        }
        let storage = Storage::from_persistent_id(objects, id);
        storage.map(Self::Storage).ok_or(PickleError::Arguments("storage"))
    }
}

/// The type of a persistent id's storage, if it is not one that this module reads.
fn foreign_type(objects: &[Object], id: Id) -> Option<Arc<str>> {
    let Object::Sequence(parts) = objects.get(id)? else { return None };
    match objects.get(*parts.get(1)?)? {
        Object::Extension(TorchObject::Foreign(name)) => Some(name.clone()),
        _ => None,
    }
}

/// `OrderedDict()`, or `OrderedDict([(key, value), …])`.
fn ordered_dict(objects: &[Object], arguments: &[Id]) -> Option<Object> {
    let items = arguments.first().and_then(|&id| objects.get(id));
    let Some(Object::Sequence(items)) = items else { return Some(Object::Dict(Vec::new())) };
    let pairs = items.iter().map(|&item| match objects.get(item)? {
        Object::Sequence(pair) => match pair[..] {
            [key, value] => Some((key, value)),
            _ => None,
        },
        _ => None,
    });
    pairs.collect::<Option<_>>().map(Object::Dict)
}

/// `_rebuild_tensor(storage, offset, sizes, strides, …)`.
fn view(objects: &[Object], arguments: &[Id]) -> Option<View> {
    let argument = |index: usize| objects.get(*arguments.get(index)?);
    let Object::Extension(TorchObject::Storage(storage)) = argument(0)? else { return None };
    let list = |index: usize| match argument(index)? {
        Object::Sequence(ids) if ids.len() <= MAX_RANK => {
            ids.iter().map(|&id| objects.get(id)?.unsigned()).collect::<Option<Vec<u64>>>()
        }
        _ => None,
    };
    let (offset, sizes, strides) = (argument(1)?.unsigned()?, list(2)?, list(3)?);
    (sizes.len() == strides.len()).then(|| View {
        storage: storage.clone(),
        offset,
        sizes,
        strides,
    })
}
