//! Linux: the kernel's list of supplies, and NetworkManager over the system's bus.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use zbus::{Connection, OwnedVariant};

/// What the kernel knows of power (Documentation/ABI/testing/sysfs-class-power).
const SUPPLIES: &str = "/sys/class/power_supply";

/// Most supplies that are looked at: batteries, chargers, and those of mice and keyboards.
const SUPPLIES_MAX: usize = 64;

/// Longest word in a file of the kernel's.
const WORD_LEN_MAX: u64 = 64;

const BUS: &str = "org.freedesktop.DBus";
const BUS_PATH: &str = "/org/freedesktop/DBus";
const MANAGER: &str = "org.freedesktop.NetworkManager";
const MANAGER_PATH: &str = "/org/freedesktop/NetworkManager";

pub(super) fn on_battery() -> Option<bool> {
    battery_in(Path::new(SUPPLIES))
}

/// Whether the computer runs on a battery. A supply from outside that is there has the last word: a
/// battery may go down beside a weak one.
fn battery_in(folder: &Path) -> Option<bool> {
    let mut discharging = false;
    for entry in fs::read_dir(folder).ok()?.take(SUPPLIES_MAX) {
        let supply = entry.ok()?.path();
        let word = |name: &str| word_in(&supply.join(name)).unwrap_or_default();
        // The battery of a mouse does not drive the computer.
        if word("scope") == "Device" {
            continue;
        }
        match word("type").as_str() {
            "Battery" | "UPS" => discharging |= word("status") == "Discharging",
            _ if word("online") == "1" => return Some(false),
            _ => {}
        }
    }
    Some(discharging)
}

fn word_in(path: &Path) -> Option<String> {
    let mut word = String::new();
    File::open(path).ok()?.take(WORD_LEN_MAX).read_to_string(&mut word).ok()?;
    Some(word.trim().to_owned())
}

pub(super) async fn is_metered() -> Option<bool> {
    match metered_by_manager().await {
        Ok(said) => said.and_then(meaning),
        Err(error) => {
            tracing::debug!(%error, "nobody says whether the network is paid by volume");
            None
        }
    }
}

/// The property `Metered` of NetworkManager; `None` where that does not run.
async fn metered_by_manager() -> zbus::Result<Option<u32>> {
    let bus = Connection::system().await?;
    let body = (MANAGER,);
    let call = bus.call_method(Some(BUS), BUS_PATH, Some(BUS), "NameHasOwner", &body);
    // The bus would start it otherwise, which is not ours to decide.
    if !call.await?.body().deserialize::<bool>()? {
        return Ok(None);
    }
    let (properties, body) = ("org.freedesktop.DBus.Properties", (MANAGER, "Metered"));
    let call = bus.call_method(Some(MANAGER), MANAGER_PATH, Some(properties), "Get", &body);
    let value: OwnedVariant = call.await?.body().deserialize()?;
    Ok(Some(value.try_into()?))
}

/// What `NMMetered` means: 1 yes, 2 no, 3 and 4 the same by a guess, all else unknown.
fn meaning(metered: u32) -> Option<bool> {
    match metered {
        1 | 3 => Some(true),
        2 | 4 => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder as the kernel would show it: each supply with its files.
    fn supplies(list: &[(&str, &[(&str, &str)])]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (supply, files) in list {
            fs::create_dir(root.path().join(supply)).unwrap();
            for (name, text) in *files {
                fs::write(root.path().join(supply).join(name), format!("{text}\n")).unwrap();
            }
        }
        root
    }

    #[test]
    fn a_computer_is_on_its_battery_when_that_goes_down_and_nothing_else_is_there() {
        let down = &[("type", "Battery"), ("scope", "System"), ("status", "Discharging")][..];
        let full = &[("type", "Battery"), ("status", "Full")][..];
        let mouse = &[("type", "Battery"), ("scope", "Device"), ("status", "Discharging")][..];
        let plugged = &[("type", "Mains"), ("online", "1")][..];
        let unplugged = &[("type", "Mains"), ("online", "0")][..];
        let usb = &[("type", "USB"), ("online", "1")][..];
        for (list, on_battery) in [
            (vec![("BAT0", down), ("AC", unplugged)], true),
            (vec![("BAT0", full), ("BAT1", down)], true),
            (vec![("BAT0", down), ("AC", plugged)], false),
            (vec![("BAT0", down), ("ucsi", usb)], false),
            (vec![("BAT0", full), ("AC", unplugged)], false),
            (vec![("hidpp0", mouse)], false),
            (vec![("broken", &[][..])], false),
            (vec![], false),
        ] {
            let root = supplies(&list);
            assert_eq!(battery_in(root.path()), Some(on_battery), "{list:?}");
        }
        assert_eq!(battery_in(Path::new("/nowhere/at/all")), None);
    }

    #[test]
    fn a_file_that_is_none_of_the_kernels_does_no_harm() {
        let long = "x".repeat(100_000);
        let root = supplies(&[("BAT0", &[("type", "Battery"), ("status", &long)])]);
        fs::write(root.path().join("BAT0/scope"), [0xff; 9]).unwrap();
        assert_eq!(battery_in(root.path()), Some(false));
        fs::write(root.path().join("a file"), "no folder").unwrap();
        assert_eq!(battery_in(root.path()), Some(false));
    }

    #[test]
    fn a_guess_of_the_manager_counts() {
        let said = [0, 1, 2, 3, 4, 5].map(meaning);
        assert_eq!(said, [None, Some(true), Some(false), Some(true), Some(false), None]);
    }
}
