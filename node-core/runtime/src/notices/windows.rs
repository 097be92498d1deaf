//! Windows: the system calls back, on threads of its own, when the network changes and when the
//! computer wakes up.

use std::{ffi::c_void, io, ptr, sync::Arc, time::SystemTime};

use tokio::sync::Notify;
use windows_sys::Win32::{
    Foundation::{HANDLE, NO_ERROR, WIN32_ERROR},
    NetworkManagement::IpHelper::{
        CancelMibChangeNotify2, MIB_IPFORWARD_ROW2, MIB_IPINTERFACE_ROW, MIB_NOTIFICATION_TYPE,
        MIB_UNICASTIPADDRESS_ROW, NotifyIpInterfaceChange, NotifyRouteChange2,
        NotifyUnicastIpAddressChange,
    },
    Networking::WinSock::AF_UNSPEC,
    System::Power::{
        DEVICE_NOTIFY_SUBSCRIBE_PARAMETERS, HPOWERNOTIFY, PowerRegisterSuspendResumeNotification,
        PowerUnregisterSuspendResumeNotification,
    },
    UI::WindowsAndMessaging::{
        DEVICE_NOTIFY_CALLBACK, PBT_APMRESUMEAUTOMATIC, PBT_APMRESUMESUSPEND,
    },
};

/// See [`super::Notices`].
pub(super) struct Source {
    /// Stand first, so that these are cancelled before what the callbacks point to goes.
    registrations: Vec<Registration>,
    power: Option<PowerRegistration>,
    /// What the callbacks tell.
    _arrived: Arc<Notify>,
}

/// A callback that the system makes until it is dropped.
struct Registration(HANDLE);

// SAFETY: the handle stands for a registration, which any thread may cancel.
unsafe impl Send for Registration {}
// SAFETY: nothing can be done with a shared one.
unsafe impl Sync for Registration {}

/// The same for power.
struct PowerRegistration(HPOWERNOTIFY);

/// The list of name servers is no file here; it changes along with addresses.
pub(super) const fn resolver_written_at() -> Option<SystemTime> {
    None
}

impl Source {
    pub(super) fn open(arrived: &Arc<Notify>) -> io::Result<Self> {
        let mut source =
            Self { registrations: Vec::new(), power: None, _arrived: Arc::clone(arrived) };
        let context = Arc::as_ptr(arrived).cast::<c_void>();
        // SAFETY: `context` points to the `Notify` that the source keeps until each of the
        // registrations is cancelled, which waits for callbacks under way, and the handle is a
        // valid place to write to. The same holds for the next two.
        source.register(|handle| unsafe {
            NotifyIpInterfaceChange(AF_UNSPEC, Some(interface_changed), context, false, handle)
        })?;
        // SAFETY: as above.
        source.register(|handle| unsafe {
            NotifyUnicastIpAddressChange(AF_UNSPEC, Some(address_changed), context, false, handle)
        })?;
        // SAFETY: as above.
        source.register(|handle| unsafe {
            NotifyRouteChange2(AF_UNSPEC, Some(route_changed), context, false, handle)
        })?;
        // Without it, sleep is seen by the clock, a little later.
        source.power = register_power(context)
            .inspect_err(|error| tracing::debug!(%error, "the system does not tell when it wakes"))
            .ok();
        Ok(source)
    }

    fn register(&mut self, ask: impl FnOnce(*mut HANDLE) -> WIN32_ERROR) -> io::Result<()> {
        let mut handle = ptr::null_mut();
        match ask(&raw mut handle) {
            NO_ERROR => {
                self.registrations.push(Registration(handle));
                Ok(())
            }
            error => Err(io::Error::from_raw_os_error(error.cast_signed())),
        }
    }
}

fn register_power(context: *const c_void) -> io::Result<PowerRegistration> {
    let mut subscription = DEVICE_NOTIFY_SUBSCRIBE_PARAMETERS {
        Callback: Some(power_changed),
        Context: context.cast_mut(),
    };
    let mut handle = ptr::null_mut();
    // SAFETY: what the context points to is kept until the registration is cancelled, as for the
    // others; the system copies the structure, and the place of the handle is ours.
    let done = unsafe {
        PowerRegisterSuspendResumeNotification(
            DEVICE_NOTIFY_CALLBACK,
            (&raw mut subscription).cast(),
            &raw mut handle,
        )
    };
    match done {
        NO_ERROR => Ok(PowerRegistration(handle as HPOWERNOTIFY)),
        error => Err(io::Error::from_raw_os_error(error.cast_signed())),
    }
}

impl Drop for PowerRegistration {
    fn drop(&mut self) {
        // SAFETY: the handle came from a successful registration and is given back once.
        unsafe { PowerUnregisterSuspendResumeNotification(self.0) };
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: the handle came from a successful registration and is cancelled once, on no
        // thread of a callback.
        unsafe { CancelMibChangeNotify2(self.0) };
    }
}

unsafe extern "system" fn interface_changed(
    context: *const c_void,
    _: *const MIB_IPINTERFACE_ROW,
    _: MIB_NOTIFICATION_TYPE,
) {
    // SAFETY: the context is that of the registration.
    unsafe { tell(context) };
}

unsafe extern "system" fn address_changed(
    context: *const c_void,
    _: *const MIB_UNICASTIPADDRESS_ROW,
    _: MIB_NOTIFICATION_TYPE,
) {
    // SAFETY: the context is that of the registration.
    unsafe { tell(context) };
}

unsafe extern "system" fn route_changed(
    context: *const c_void,
    _: *const MIB_IPFORWARD_ROW2,
    _: MIB_NOTIFICATION_TYPE,
) {
    // SAFETY: the context is that of the registration.
    unsafe { tell(context) };
}

/// Answers the system, which takes zero for "heard".
unsafe extern "system" fn power_changed(
    context: *const c_void,
    event: u32,
    _: *const c_void,
) -> u32 {
    if matches!(event, PBT_APMRESUMEAUTOMATIC | PBT_APMRESUMESUSPEND) {
        // SAFETY: the context is that of the registration.
        unsafe { tell(context) };
    }
    NO_ERROR
}

/// # Safety
/// `context` points to a [`Notify`] that outlives the call.
unsafe fn tell(context: *const c_void) {
    // SAFETY: as required of the caller.
    let arrived = unsafe { &*context.cast::<Notify>() };
    arrived.notify_one();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_wake_is_told_and_not_the_way_into_sleep() {
        use windows_sys::Win32::UI::WindowsAndMessaging::PBT_APMSUSPEND;

        let told = |event| {
            let arrived = Notify::new();
            // SAFETY: the context outlives the call.
            unsafe { power_changed((&raw const arrived).cast(), event, ptr::null()) };
            let waiting = std::pin::pin!(arrived.notified());
            let mut nobody = std::task::Context::from_waker(std::task::Waker::noop());
            waiting.poll(&mut nobody).is_ready()
        };
        assert!(told(PBT_APMRESUMEAUTOMATIC) && told(PBT_APMRESUMESUSPEND));
        assert!(!told(PBT_APMSUSPEND));
    }
}
