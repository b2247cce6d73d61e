//! Opening GPUs, memory, and copies.

use gstupscale::cuda::{Buffer, Code, CudaVersion, Device, Error, Pinned, Rows};

use crate::common::emulator::{Count, Emulator};

#[test]
fn an_opened_gpu_is_released_completely() {
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
fn device_id_chooses_the_gpu_and_an_invalid_one_is_an_error_that_names_it() {
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
fn a_driver_or_gpu_that_is_too_old_is_an_error() {
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
fn the_driver_compiles_nothing_for_known_gpus_and_the_ptx_for_others() {
    let Some(emulator) = Emulator::get() else { return };
    for (capability, compilations) in [(75, 0), (89, 0), (90, 0), (103, 0), (121, 0), (130, 1)] {
        emulator.set_capability(capability);
        let before = emulator.count(Count::Compilations);
        drop(Device::open(0).unwrap());
        assert_eq!(emulator.count(Count::Compilations) - before, compilations, "{capability}");
    }
    emulator.assert_clean();
}

#[test]
fn if_the_driver_refuses_the_machine_code_it_compiles_the_ptx() {
    let Some(emulator) = Emulator::get() else { return };
    emulator.set_cubin_status(200);
    drop(Device::open(0).unwrap());
    assert_eq!(emulator.count(Count::Compilations), 1);
    // A container without the driver's compiler.
    emulator.set_ptx_status(221);
    let error = Device::open(0).unwrap_err();
    assert!(error.to_string().contains("libnvidia-ptxjitcompiler.so.1"), "{error}");
    emulator.assert_clean();
}

#[test]
fn the_device_stays_usable_after_running_out_of_memory() {
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
fn bytes_are_downloaded_whole_and_by_rows() {
    let Some(emulator) = Emulator::get() else { return };
    let device = Device::open(0).unwrap();
    let (mut there, mut back) =
        (Pinned::new(&device, 100).unwrap(), Pinned::new(&device, 100).unwrap());
    let buffer = Buffer::new(&device, 100).unwrap();
    there.bytes_mut().unwrap().iter_mut().zip(0..).for_each(|(byte, at)| *byte = at);
    device.upload().upload(&there, &buffer, 100).unwrap();
    let uploaded = device.event().unwrap();
    device.upload().record(&uploaded).unwrap();
    device.download().wait(&uploaded).unwrap();
    device.download().download(&buffer, &mut back, 10).unwrap();
    let rows = Rows { offset: 23, pitch: 20, width: 4, height: 3 };
    device.download().download_rows(&buffer, &mut back, [rows]).unwrap();
    let beyond = Rows { height: 5, ..rows };
    let error = device.download().download_rows(&buffer, &mut back, [beyond]).unwrap_err();
    assert!(matches!(error, Error::InvalidArguments { .. }), "{error}");
    // Access waits for the copies.
    for (at, byte) in back.bytes().unwrap().iter().enumerate() {
        let copied = at < 10 || [23, 43, 63].iter().any(|start| (*start..start + 4).contains(&at));
        assert_eq!(*byte, if copied { at as u8 } else { 0 });
    }
    drop((there, back, buffer, uploaded, device));
    emulator.assert_clean();
}

#[test]
fn bytes_are_copied_to_and_from_addresses_inside_of_a_buffer_and_nowhere_else() {
    let Some(emulator) = Emulator::get() else { return };
    let device = Device::open(0).unwrap();
    let buffer = Buffer::new(&device, 100).unwrap();
    let mut host = Pinned::new(&device, 60).unwrap();
    host.bytes_mut().unwrap().fill(7);
    let (stream, inside) = (device.compute(), buffer.address() + 40);
    stream.upload_to(&host, inside, 60).unwrap();
    host.bytes_mut().unwrap().fill(0);
    stream.download_from(inside, &mut host, 60).unwrap();
    assert!(host.bytes().unwrap().iter().all(|byte| *byte == 7));
    let refused = |result: Result<(), Error>| {
        assert!(matches!(result, Err(Error::InvalidArguments { .. })), "{result:?}");
    };
    for outside in [0, buffer.address() - 1, inside + 1, u64::MAX] {
        refused(stream.upload_to(&host, outside, 60));
        refused(stream.download_from(outside, &mut host, 60));
    }
    drop(buffer);
    refused(stream.upload_to(&host, inside, 60));
    drop((host, device));
    emulator.assert_clean();
}

#[test]
fn memory_of_another_device_is_refused() {
    let Some(emulator) = Emulator::get() else { return };
    let [device, other] = [Device::open(0).unwrap(), Device::open(0).unwrap()];
    let (mut host, buffer) = (Pinned::new(&other, 10).unwrap(), Buffer::new(&other, 10).unwrap());
    let own = Buffer::new(&device, 10).unwrap();
    for result in [
        device.upload().upload(&host, &own, 10),
        device.upload().fill(&buffer, 0),
        device.download().download(&buffer, &mut host, 10),
        device.upload().upload_to(&host, buffer.address(), 10),
    ] {
        assert!(matches!(result, Err(Error::InvalidArguments { .. })), "{result:?}");
    }
    drop((host, buffer, own, device, other));
    emulator.assert_clean();
}

#[test]
fn memory_is_not_freed_while_a_stream_uses_it() {
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
fn every_call_on_a_lost_gpu_fails_and_no_wait_hangs() {
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

#[test]
fn statuses_that_only_newer_drivers_know_are_errors_with_their_number() {
    let Some(emulator) = Emulator::get() else { return };
    let device = Device::open(0).unwrap();
    emulator.lose_after(0);
    // CUDA_ERROR_CONTAINED destroys the context; 12345 is not a known status.
    emulator.set_lost_status(226);
    let error = device.upload().synchronize().unwrap_err();
    assert!(matches!(error, Error::Lost { code: Code(226), .. }), "{error:?}");
    emulator.set_lost_status(12_345);
    let error = device.upload().synchronize().unwrap_err();
    assert!(matches!(error, Error::Driver { code: Code(12_345), .. }), "{error:?}");
    assert!(error.to_string().contains("12345"), "{error}");
    drop(device);
    emulator.assert_clean();
}
