//! A machine without an NVIDIA driver.

use gstupscale::cuda::{Device, Error};

#[test]
fn without_a_driver_there_is_an_error_and_no_panic() {
    // Where there is one, this is another machine's test.
    match Device::open(u32::MAX) {
        Err(Error::NoDriver) => {}
        Err(Error::NoDevice | Error::NoSuchDevice { .. } | Error::DriverTooOld { .. }) => {}
        other => panic!("{other:?}"),
    }
}
