//! Windows: one call of the system.

use windows_sys::Win32::System::Power::{GetSystemPowerStatus, SYSTEM_POWER_STATUS};

/// The values of `ACLineStatus`: not plugged in, plugged in; 255 is unknown.
const OFFLINE: u8 = 0;
const ONLINE: u8 = 1;

pub(super) fn on_battery() -> Option<bool> {
    let mut status = SYSTEM_POWER_STATUS::default();
    // SAFETY: the pointer is that of a structure that lives until the call returns.
    let done = unsafe { GetSystemPowerStatus(&raw mut status) };
    match status.ACLineStatus {
        _ if done == 0 => None,
        OFFLINE => Some(true),
        ONLINE => Some(false),
        _ => None,
    }
}

/// Told to programs of a session alone.
pub(super) async fn is_metered() -> Option<bool> {
    std::future::ready(None).await
}
