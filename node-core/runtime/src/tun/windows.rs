//! TUN on Windows: a Wintun adapter, configured through the IP Helper API.
//!
//! The driver's library is loaded from the folder of this program and from nowhere else, by its
//! full path, so that no folder that somebody else can write to decides what a privileged service
//! runs. `wintun-bindings` is used directly, because the `tun` crate hides the session, without
//! which a waiting reader cannot be woken.

use std::{
    env,
    io::{self, IoSlice},
    mem,
    net::Ipv6Addr,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use windows_sys::Win32::{
    Foundation::{
        ERROR_ACCESS_DENIED, ERROR_FILE_NOT_FOUND, ERROR_HANDLE_EOF, ERROR_NOT_FOUND,
        ERROR_OBJECT_ALREADY_EXISTS, NO_ERROR, WIN32_ERROR,
    },
    NetworkManagement::{
        IpHelper::{
            CreateUnicastIpAddressEntry, GetIpInterfaceEntry, InitializeIpInterfaceEntry,
            InitializeUnicastIpAddressEntry, MIB_IPINTERFACE_ROW, MIB_UNICASTIPADDRESS_ROW,
            SetIpInterfaceEntry,
        },
        Ndis::NET_LUID_LH,
    },
    Networking::WinSock::{
        AF_INET6, IN6_ADDR, IN6_ADDR_0, IpDadStatePreferred, RouterDiscoveryDisabled, SOCKADDR_IN6,
    },
};
use wintun_bindings::{Adapter, Error, MAX_RING_CAPACITY, Session, Wintun, load_from_path};

use super::{TunError, TunFeatures, TunSettings, Unguarded};
use crate::offload::Offload;

/// What `"auto"` becomes.
const AUTO_NAME: &str = "planetary0";

/// The kind of adapter, shown in the system's list of devices.
const TUNNEL_TYPE: &str = "Planetary Network";

/// Longest name of an adapter in UTF-16 units.
const NAME_LEN_MAX: usize = 127;

/// What the interface costs, so that the system never prefers it where a program asks for no
/// interface, as for multicast: it would, because the driver says that it is fast. Other interfaces
/// have less than a hundred.
const METRIC: u32 = 1_000;

/// How long the IPv6 side of a new adapter may take to appear.
const INTERFACE_TIME_MAX: Duration = Duration::from_secs(5);
const INTERFACE_PAUSE: Duration = Duration::from_millis(20);

/// An open device.
pub(super) struct Device {
    session: Arc<Session>,
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device").finish_non_exhaustive()
    }
}

impl Device {
    /// Opens and configures the device that `settings` ask for; also returns its name.
    ///
    /// The driver has one queue, of finished packets.
    pub(super) fn open(
        settings: &TunSettings,
        _features: TunFeatures,
    ) -> Result<(Self, String), TunError> {
        let name = match settings.name.as_str() {
            "auto" => AUTO_NAME,
            name => name,
        };
        check_name(name)?;
        let library = load()?;
        let adapter = Adapter::create(&library, name, TUNNEL_TYPE, Some(guid(name)))
            .map_err(|error| refusal("creating the Wintun adapter", error))?;
        let luid = adapter.get_luid();
        set_interface(luid, settings.mtu)?;
        set_address(luid, settings.address, settings.prefix_len)?;
        let session = adapter
            .start_session(MAX_RING_CAPACITY)
            .map_err(|error| refusal("starting the Wintun session", error))?;
        // The system changes a name that is taken.
        let name = adapter.get_name().unwrap_or_else(|_| name.to_owned());
        Ok((Self { session }, name))
    }

    #[expect(clippy::unused_self, reason = "other systems have more")]
    pub(super) const fn queues(&self) -> usize {
        1
    }

    #[expect(clippy::unused_self, reason = "other systems can")]
    pub(super) const fn offloads(&self) -> bool {
        false
    }

    pub(super) fn recv(&self, queue: usize, packet: &mut [u8]) -> io::Result<(usize, Offload)> {
        if queue != 0 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        match self.session.receive_blocking() {
            Err(Error::ShuttingDown) => Ok((0, Offload::None)),
            received => Ok((copy(received?.bytes(), packet), Offload::None)),
        }
    }

    pub(super) fn try_recv(
        &self,
        queue: usize,
        packet: &mut [u8],
    ) -> io::Result<Option<(usize, Offload)>> {
        if queue != 0 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        match self.session.try_receive() {
            // The session is told to end.
            Err(_)
                if io::Error::last_os_error().raw_os_error() == Some(ERROR_HANDLE_EOF as i32) =>
            {
                Ok(None)
            }
            received => {
                Ok(received?.map(|received| (copy(received.bytes(), packet), Offload::None)))
            }
        }
    }

    pub(super) fn send(
        &self,
        queue: usize,
        parts: &[IoSlice<'_>],
        offload: Offload,
    ) -> io::Result<()> {
        if queue != 0 || offload != Offload::None {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let len = u16::try_from(len).ok().filter(|len| *len > 0);
        let len = len.ok_or(io::ErrorKind::InvalidInput)?;
        let mut packet = self.session.allocate_send_packet(len)?;
        let mut rest = packet.bytes_mut();
        for part in parts {
            // The parts are together as long as the packet.
            let (place, behind) = rest.split_at_mut(part.len());
            place.copy_from_slice(part);
            rest = behind;
        }
        self.session.send_packet(packet);
        Ok(())
    }

    /// This system takes a packet only on the interface that has its address.
    #[expect(clippy::unused_self, reason = "other systems have something to tell")]
    pub(super) const fn unguarded(&self) -> Option<&Unguarded> {
        None
    }

    pub(super) fn close(&self) {
        if let Err(error) = self.session.shutdown() {
            tracing::warn!(%error, "the Wintun session could not be told to end");
        }
    }
}

/// Copies as much of `from` as there is room for.
fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let len = from.len().min(to.len());
    to[..len].copy_from_slice(&from[..len]);
    len
}

/// Loads the driver's library from beside this program, once. It works on threads of the system,
/// which may come back to it after the last of its functions has returned, so it stays until the
/// process ends.
fn load() -> Result<Wintun, TunError> {
    static LOADED: Mutex<Option<Wintun>> = Mutex::new(None);
    let mut loaded = LOADED.lock();
    if let Some(library) = &*loaded {
        return Ok(Arc::clone(library));
    }
    let missing = "there is no wintun.dll beside this program";
    let path = library_path().ok_or(TunError::NoDriver(missing))?;
    // SAFETY: the file lies beside the running program, so whoever could replace it could replace
    // the program too.
    let library =
        unsafe { load_from_path(path) }.map_err(|error| refusal("loading wintun.dll", error))?;
    *loaded = Some(Arc::clone(&library));
    Ok(library)
}

fn library_path() -> Option<PathBuf> {
    let program = env::current_exe().ok()?;
    let path = program.parent()?.join("wintun.dll");
    (path.is_absolute() && path.is_file()).then_some(path)
}

fn check_name(name: &str) -> Result<(), TunError> {
    let units = name.encode_utf16().count();
    let usable = (1..=NAME_LEN_MAX).contains(&units)
        && !name.chars().any(|c| c.is_control() || "\\/:*?\"<>|".contains(c))
        && name.trim() == name;
    if usable {
        return Ok(());
    }
    let rule =
        "a name has 1 to 127 characters, none of them a control character or one of \\/:*?\"<>|";
    Err(TunError::BadName { name: name.to_owned(), rule })
}

/// A number for the adapter that follows from its name (FNV-1a), so that the system recognises it
/// after a restart instead of asking about a new network each time.
fn guid(name: &str) -> u128 {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let seen = TUNNEL_TYPE.bytes().chain([0]).chain(name.bytes());
    seen.fold(OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME))
}

/// Sets MTU and metric and switches off what an interface without neighbours has no use for.
fn set_interface(luid: NET_LUID_LH, mtu: u16) -> Result<(), TunError> {
    let deadline = Instant::now() + INTERFACE_TIME_MAX;
    let mut row = loop {
        let mut row = MIB_IPINTERFACE_ROW::default();
        // SAFETY: the row is a valid place to write to.
        unsafe { InitializeIpInterfaceEntry(&raw mut row) };
        row.Family = AF_INET6;
        row.InterfaceLuid = luid;
        // SAFETY: the row is valid, and family and interface are set.
        match unsafe { GetIpInterfaceEntry(&raw mut row) } {
            NO_ERROR => break row,
            // The IPv6 side of an adapter appears a little after the adapter, or never if IPv6 is
            // switched off.
            ERROR_NOT_FOUND | ERROR_FILE_NOT_FOUND if Instant::now() < deadline => {
                thread::sleep(INTERFACE_PAUSE);
            }
            ERROR_NOT_FOUND | ERROR_FILE_NOT_FOUND => return Err(TunError::NoIpv6),
            error => return Err(failure("finding the interface", error)),
        }
    };
    row.NlMtu = u32::from(mtu);
    row.UseAutomaticMetric = false;
    row.Metric = METRIC;
    row.RouterDiscoveryBehavior = RouterDiscoveryDisabled;
    row.DadTransmits = 0;
    // The system refuses the value that it reports here.
    row.SitePrefixLength = 0;
    // SAFETY: the row is the one that the system filled in.
    match unsafe { SetIpInterfaceEntry(&raw mut row) } {
        NO_ERROR => Ok(()),
        error => Err(failure("setting MTU and metric", error)),
    }
}

/// Gives the interface its address, which also routes the prefix to it.
fn set_address(luid: NET_LUID_LH, address: Ipv6Addr, prefix_len: u8) -> Result<(), TunError> {
    let mut row = MIB_UNICASTIPADDRESS_ROW::default();
    // SAFETY: the row is a valid place to write to.
    unsafe { InitializeUnicastIpAddressEntry(&raw mut row) };
    row.InterfaceLuid = luid;
    row.Address.Ipv6 = SOCKADDR_IN6 {
        sin6_family: AF_INET6,
        sin6_addr: IN6_ADDR { u: IN6_ADDR_0 { Byte: address.octets() } },
        // SAFETY: the rest is plain numbers, for which zero means none.
        ..unsafe { mem::zeroed() }
    };
    row.OnLinkPrefixLength = prefix_len;
    // The address is a public key's, there is nobody to ask whether it is taken.
    row.DadState = IpDadStatePreferred;
    // SAFETY: the row is initialised, with interface and address set.
    match unsafe { CreateUnicastIpAddressEntry(&raw const row) } {
        NO_ERROR | ERROR_OBJECT_ALREADY_EXISTS => Ok(()),
        error => Err(failure("setting the IPv6 address", error)),
    }
}

fn failure(step: &'static str, error: WIN32_ERROR) -> TunError {
    match error {
        ERROR_ACCESS_DENIED => TunError::NoPermission,
        // System error numbers are small and positive.
        other => TunError::System { step, source: io::Error::from_raw_os_error(other as i32) },
    }
}

/// Says why a call of the driver's library failed. The library tells it in words only, but leaves
/// the system's error behind.
fn refusal(step: &'static str, error: Error) -> TunError {
    if io::Error::last_os_error().raw_os_error() == Some(ERROR_ACCESS_DENIED as i32) {
        return TunError::NoPermission;
    }
    TunError::System { step, source: error.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_the_system_would_change_or_refuse_are_refused() {
        for name in ["planetary0", "My network", "π"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", " a", "a ", "a\\b", "a/b", "a:b", "a\"b", "a\nb", &"x".repeat(128)] {
            assert!(matches!(check_name(name), Err(TunError::BadName { .. })), "{name}");
        }
        assert!(check_name(&"x".repeat(127)).is_ok());
    }

    #[test]
    fn an_adapter_is_known_by_its_name() {
        assert_eq!(guid("planetary0"), guid("planetary0"));
        assert_ne!(guid("planetary0"), guid("planetary1"));
    }

    #[test]
    fn a_missing_driver_is_told() {
        let address = "200::1".parse().unwrap();
        let settings = TunSettings { name: "auto".into(), mtu: 1280, address, prefix_len: 7 };
        let opened = super::super::Tun::open(&settings, TunFeatures::PLAIN);
        assert!(matches!(opened, Err(TunError::NoDriver(_))), "{opened:?}");
    }

    #[test]
    fn a_packet_is_cut_to_its_place() {
        let mut place = [0; 3];
        assert_eq!((copy(&[1, 2, 3, 4], &mut place), place), (3, [1, 2, 3]));
        assert_eq!((copy(&[9], &mut place), place), (1, [9, 2, 3]));
    }
}
