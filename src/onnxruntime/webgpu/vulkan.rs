//! The GPUs that have a Vulkan driver. Vulkan is loaded at run time; without it there are none.

use std::{
    ffi::{CStr, c_char, c_void},
    mem::MaybeUninit,
    ptr,
};

use libloading::Library;

/// A GPU, or a driver that runs on the CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Adapter {
    /// The driver's name for it.
    pub name: String,
    /// It is not a driver that runs on the CPU.
    pub is_gpu: bool,
}

type Handle = *mut c_void;

/// `VkInstanceCreateInfo`.
#[repr(C)]
struct InstanceInfo {
    kind: i32,
    next: *const c_void,
    flags: u32,
    application: *const c_void,
    layers: u32,
    layer_names: *const *const c_char,
    extensions: u32,
    extension_names: *const *const c_char,
}

/// `VkPhysicalDeviceProperties`, whose limits are not used here.
#[repr(C, align(8))]
struct Properties {
    versions_and_ids: [u32; 4],
    /// `VkPhysicalDeviceType`: 1 integrated, 2 discrete, 3 virtual GPU; 4 the CPU.
    kind: u32,
    name: [c_char; 256],
    rest: [u8; 768],
}

const SUCCESS: i32 = 0;
/// `VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO`.
const INSTANCE_INFO: i32 = 1;

/// All adapters, in the order of the drivers.
pub(super) fn adapters() -> Vec<Adapter> {
    // SAFETY: it runs the loader's initializers, as in every program that uses Vulkan.
    let Ok(library) = (unsafe { Library::new("libvulkan.so.1") }) else { return Vec::new() };
    list(&library).unwrap_or_default()
}

fn list(library: &Library) -> Option<Vec<Adapter>> {
    type Create = unsafe extern "C" fn(*const InstanceInfo, *const c_void, *mut Handle) -> i32;
    type Enumerate = unsafe extern "C" fn(Handle, *mut u32, *mut Handle) -> i32;
    type GetProperties = unsafe extern "C" fn(Handle, *mut Properties);
    type Destroy = unsafe extern "C" fn(Handle, *const c_void);
    // SAFETY: functions of Vulkan 1.0 with the types of its headers.
    unsafe {
        let create = library.get::<Create>(b"vkCreateInstance").ok()?;
        let enumerate = library.get::<Enumerate>(b"vkEnumeratePhysicalDevices").ok()?;
        let properties = library.get::<GetProperties>(b"vkGetPhysicalDeviceProperties").ok()?;
        let destroy = library.get::<Destroy>(b"vkDestroyInstance").ok()?;
        let info = InstanceInfo {
            kind: INSTANCE_INFO,
            next: ptr::null(),
            flags: 0,
            application: ptr::null(),
            layers: 0,
            layer_names: ptr::null(),
            extensions: 0,
            extension_names: ptr::null(),
        };
        let mut instance = ptr::null_mut();
        if create(&info, ptr::null(), &mut instance) != SUCCESS {
            return None;
        }
        let mut devices = [ptr::null_mut(); 16];
        let mut count = devices.len() as u32;
        // More devices than fit are left out (`VK_INCOMPLETE`).
        let listed = enumerate(instance, &mut count, devices.as_mut_ptr()) >= SUCCESS;
        let found = devices.iter().take(if listed { count as usize } else { 0 });
        let adapters = found
            .map(|&device| {
                let mut found = MaybeUninit::<Properties>::zeroed();
                properties(device, found.as_mut_ptr());
                let Properties { kind, name, .. } = found.assume_init();
                let name = CStr::from_ptr(name.as_ptr()).to_string_lossy().into_owned();
                Adapter { name, is_gpu: matches!(kind, 1..=3) }
            })
            .collect();
        destroy(instance, ptr::null());
        Some(adapters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_properties_are_as_large_as_vulkans() {
        // 824 bytes in vulkan_core.h.
        assert!(size_of::<Properties>() >= 824);
        assert_eq!(std::mem::offset_of!(Properties, name), 20);
    }

    #[test]
    fn a_library_without_vulkan_has_no_adapters() {
        // SAFETY: the C library is loaded already.
        let library = unsafe { Library::new("libc.so.6") }.unwrap();
        assert_eq!(list(&library), None);
    }
}
