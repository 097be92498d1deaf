//! Where this computer's power comes from, and whether its network is paid by volume.
//!
//! A node that carries for others costs the person battery and money there, so it carries less
//! while either is short. What a system does not tell is `None`, and nothing is saved for it.
//!
//! | system | battery | paid by volume |
//! | --- | --- | --- |
//! | Linux | the kernel | NetworkManager, if that runs |
//! | macOS | `pmset` | not told |
//! | Windows | `GetSystemPowerStatus` | not told |
//!
//! NetworkManager is asked for the network that leads out, and a guess of it counts as its word:
//! it guesses from what a telephone says that shares its network. macOS and Windows tell it to
//! programs of a session, through frameworks that a service without one cannot use.

use planetary_ipc::Saving;
use tokio::time::timeout;

use super::SYSTEM_PATIENCE;
use super::errand::Errand;

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod system;
#[cfg(target_os = "macos")]
#[path = "macos.rs"]
mod system;
#[cfg(windows)]
#[path = "windows.rs"]
mod system;

/// What the system says of power and network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Supply {
    /// Whether the network is paid by volume.
    pub metered: Option<bool>,
    /// Whether the computer runs on its battery.
    pub battery: Option<bool>,
}

impl Supply {
    /// Asks the system. Takes no longer than [`SYSTEM_PATIENCE`]; what it does not answer by then
    /// is not told.
    pub(super) async fn look(errand: &Errand) -> Self {
        let battery = errand.run_if(true, SYSTEM_PATIENCE, || Ok(system::on_battery()));
        let (battery, metered) =
            tokio::join!(battery, timeout(SYSTEM_PATIENCE, system::is_metered()));
        Self { metered: metered.ok().flatten(), battery: battery.known().copied().flatten() }
    }

    /// What there is to save, of that for which saving is wished. The network comes first: a
    /// battery is charged again for little.
    #[must_use]
    pub fn saving(self, on_metered: bool, on_battery: bool) -> Option<Saving> {
        if on_metered && self.metered == Some(true) {
            return Some(Saving::Metered);
        }
        (on_battery && self.battery == Some(true)).then_some(Saving::Battery)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_said_and_wished_is_saved() {
        let supply = |metered, battery| Supply { metered, battery };
        for (supply, on_metered, on_battery, saving) in [
            (supply(None, None), true, true, None),
            (supply(Some(false), Some(false)), true, true, None),
            (supply(Some(true), Some(true)), true, true, Some(Saving::Metered)),
            (supply(Some(true), Some(true)), false, true, Some(Saving::Battery)),
            (supply(Some(true), Some(true)), false, false, None),
            (supply(None, Some(true)), true, true, Some(Saving::Battery)),
        ] {
            assert_eq!(supply.saving(on_metered, on_battery), saving, "{supply:?}");
        }
    }
}
