//! The GPU: the driver, memory, streams, and launching the [`kernels`](crate::kernels).
//!
//! | file | contents |
//! |---|---|
//! | `driver`, `context`, `error` | the driver's functions, the primary context, what their errors mean |
//! | `device`, `stream` | [`Device`], its three [`Stream`]s, and the [`Event`]s that order them |
//! | `memory` | [`Buffer`]: GPU memory; [`Pinned`]: host memory that the GPU copies from and to |
//! | `frame`, `picture`, `list` | what the kernels work on, in GPU memory |
//! | `launch`, `stages` | launching; one safe function per kernel, a method of [`Device`] |
//!
//! All users of a GPU in the process, and ONNX Runtime, share its primary context; each
//! [`Device`] has streams of its own. Memory waits for the streams of its device before it is
//! freed, and [`Pinned`] memory waits for its copies before it can be accessed: so everything
//! outside of this module is safe code.
//!
//! libcuda is loaded when the first [`Device`] is opened. Without it, that fails with
//! [`Error::NoDriver`]. Driver API: <https://docs.nvidia.com/cuda/cuda-driver-api/>.

mod context;
mod device;
mod driver;
mod error;
mod frame;
mod launch;
mod list;
mod memory;
mod picture;
mod stages;
mod stream;

pub use device::{CudaVersion, Device};
pub use error::{Code, Error};
pub use frame::{DeviceFrame, FrameLayout};
pub use launch::MAX_LAYERS;
pub use list::{DeviceList, DeviceSlice};
pub use memory::{Buffer, Pinned, Rows};
pub use picture::{DevicePicture, DeviceResampler};
pub use stages::{DeviceChanges, Finish, FramePictures};
pub use stream::{Event, Stream};
