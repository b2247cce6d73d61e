//! Opening GPUs, memory, and copies.

use gstupscale::cuda::{Buffer, CudaVersion, Device, Error, Pinned, Rows};

use crate::common::emulator::{Count, Emulator};

#[test]
fn a_gpu_is_opened_and_nothing_is_left_of_it() {
    let Some(emulator) = Emulator::get() else { return };
    let device = Device::open(0).unwrap();
    assert_eq!((device.id(), device.name()), (0, "Emulated GPU"));
    assert_eq!(device.cuda_version(), CudaVersion(12040));
    assert_eq!(device.cuda_version().to_string(), "12.4");
    assert_eq!(device.capability(), (8, 6));
    assert!(!device.compute().raw().is_null());
    drop(device);
    emulator.assert_clean();
}

#[test]
fn elements_of_one_process_share_the_primary_context() {
    let Some(emulator) = Emulator::get() else { return };
    let devices = [Device::open(0).unwrap(), Device::open(0).unwrap()];
    assert_ne!(devices[0].compute().raw(), devices[1].compute().raw());
    drop(devices);
    emulator.assert_clean();
}

#[test]
fn a_driver_without_a_gpu_is_a_clean_error() {
    let Some(emulator) = Emulator::get() else { return };
    emulator.set_devices(0);
    let error = Device::open(0).unwrap_err();
    assert_eq!(error, Error::NoDevice);
    assert!(error.is_absence());
    emulator.assert_clean();
}

#[test]
fn device_id_chooses_the_gpu_and_one_that_is_not_there_is_named() {
    let Some(emulator) = Emulator::get() else { return };
    emulator.set_devices(2);
    assert_eq!(Device::open(1).unwrap().id(), 1);
    for id in [2, u32::MAX] {
        let error = Device::open(id).unwrap_err();
        assert_eq!(error, Error::NoSuchDevice { id, count: 2 });
        assert!(!error.is_absence());
    }
    emulator.assert_clean();
}

#[test]
fn a_driver_or_a_gpu_too_old_for_the_kernels_is_told() {
    let Some(emulator) = Emulator::get() else { return };
    emulator.set_version(11080);
    let have = CudaVersion(11080);
    assert_eq!(Device::open(0).unwrap_err(), Error::DriverTooOld { have });
    emulator.set_version(12000);
    emulator.set_capability(61);
    assert!(matches!(Device::open(0), Err(Error::DeviceTooOld { capability: (6, 1), .. })));
    emulator.assert_clean();
}

#[test]
fn memory_that_is_not_there_is_an_error_and_what_there_is_stays_usable() {
    let Some(emulator) = Emulator::get() else { return };
    emulator.set_memory(1 << 20);
    let device = Device::open(0).unwrap();
    let held = Buffer::new(&device, 1 << 19).unwrap();
    let error = Buffer::new(&device, 1 << 20).err();
    assert_eq!(error, Some(Error::OutOfMemory { bytes: 1 << 20 }));
    assert_eq!(device.memory().unwrap(), (1 << 19, 1 << 20));
    drop(held);
    drop(Buffer::new(&device, 1 << 20).unwrap());
    drop(device);
    emulator.assert_clean();
}

#[test]
fn bytes_come_back_whole_and_by_rows() {
    let Some(emulator) = Emulator::get() else { return };
    let device = Device::open(0).unwrap();
    let (mut there, mut back) =
        (Pinned::new(&device, 100).unwrap(), Pinned::new(&device, 100).unwrap());
    let buffer = Buffer::new(&device, 100).unwrap();
    // SAFETY: nothing has been copied yet.
    unsafe { there.bytes_mut() }.iter_mut().zip(0..).for_each(|(byte, at)| *byte = at);
    device.upload().upload(&there, &buffer, 100).unwrap();
    let uploaded = device.event().unwrap();
    device.upload().record(&uploaded).unwrap();
    device.download().wait(&uploaded).unwrap();
    device.download().download(&buffer, &back, 10).unwrap();
    let rows = Rows { offset: 23, pitch: 20, width: 4, height: 3 };
    device.download().download_rows(&buffer, &back, rows).unwrap();
    let beyond = Rows { height: 5, ..rows };
    device.download().download_rows(&buffer, &back, beyond).unwrap();
    device.download().synchronize().unwrap();
    // SAFETY: the stream has been waited for.
    for (at, byte) in unsafe { back.bytes_mut() }.iter().enumerate() {
        let copied = at < 10 || [23, 43, 63].iter().any(|start| (*start..start + 4).contains(&at));
        assert_eq!(*byte, if copied { at as u8 } else { 0 });
    }
    drop((there, back, buffer, uploaded, device));
    emulator.assert_clean();
}

#[test]
fn memory_is_not_freed_while_a_stream_works_on_it() {
    let Some(emulator) = Emulator::get() else { return };
    let device = Device::open(0).unwrap();
    let host = Pinned::new(&device, 1000).unwrap();
    let buffer = Buffer::new(&device, 1000).unwrap();
    device.upload().upload(&host, &buffer, 1000).unwrap();
    drop(buffer);
    drop(host);
    assert_eq!(emulator.count(Count::Faults), 0);
    assert_eq!(emulator.count(Count::Uploaded), 1000);
}

#[test]
fn a_lost_gpu_is_an_error_everywhere_and_no_wait_hangs() {
    let Some(emulator) = Emulator::get() else { return };
    let device = Device::open(0).unwrap();
    let (host, buffer) = (Pinned::new(&device, 10).unwrap(), Buffer::new(&device, 10).unwrap());
    device.upload().upload(&host, &buffer, 10).unwrap();
    let event = device.event().unwrap();
    device.upload().record(&event).unwrap();
    emulator.lose_after(0);
    let lost = |error: Error| matches!(error, Error::Lost { .. });
    assert!(lost(event.synchronize().unwrap_err()));
    assert!(lost(device.upload().synchronize().unwrap_err()));
    assert!(lost(Buffer::new(&device, 10).err().unwrap()));
    assert!(lost(Device::open(0).unwrap_err()));
    drop((host, buffer, event, device));
    emulator.assert_clean();
}
