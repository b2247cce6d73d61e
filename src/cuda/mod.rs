//! The GPU: finding it, its memory, its streams, launching kernels. Nothing of video is known
//! here.
//!
//! A [`Device`] is one user's share of a GPU: three [`Stream`]s of its own and the kernels of
//! [`kernels`](crate::kernels), in the GPU's primary context, which all users in the process (and
//! ONNX Runtime) share. [`Buffer`] is memory of the GPU, [`Pinned`] memory of the host that the
//! GPU copies from and to by itself; both wait for the streams before they are freed. An
//! [`Event`] orders streams among each other.
//!
//! libcuda is loaded when the first [`Device`] is asked for. Where there is none, that is
//! [`Error::NoDriver`] and nothing else happens. Driver API:
//! <https://docs.nvidia.com/cuda/cuda-driver-api/>.

mod context;
mod device;
mod error;
mod launch;
mod memory;
mod stream;

pub use device::{CudaVersion, Device};
pub use error::Error;
pub use launch::{Kernel, Work};
pub use memory::{Buffer, Pinned, Rows};
pub use stream::{Event, Stream};
