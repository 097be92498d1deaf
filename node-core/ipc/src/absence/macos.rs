//! macOS: launchd.

use std::path::Path;

pub(super) const INSTALL: &str = "sudo planetaryd install";
pub(super) const START: &str =
    "sudo launchctl kickstart system/net.planetary.PlanetaryNetwork.planetaryd";
pub(super) const RESTART: &str =
    "sudo launchctl kickstart -k system/net.planetary.PlanetaryNetwork.planetaryd";
pub(super) const JOIN: &str = "sudo dseditgroup -o edit -a YOUR-NAME -t user planetary";

pub(super) const HOW_TO_INSTALL: &str =
    "install it with `sudo planetaryd install`, or start your own with `planetaryd run`";
pub(super) const HOW_TO_RESTART: &str =
    "restart the service `planetaryd`; if it is your own, end the process and start it again";
pub(super) const HOW_TO_JOIN: &str = "run `sudo dseditgroup -o edit -a YOUR-NAME -t user \
                                      planetary` and sign in again, or use sudo";
pub(super) const SEE_WHY: &str = "see why in its log, then start it again";

const ENTRY: &str = "/Library/LaunchDaemons/net.planetary.PlanetaryNetwork.planetaryd.plist";

pub(super) fn installed() -> Option<bool> {
    Some(Path::new(ENTRY).exists())
}

/// What launchd prints is for people and changes with its release.
pub(super) fn manager() -> Option<String> {
    None
}
