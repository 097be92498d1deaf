//! macOS: the system's own program, since its frameworks are not linked.

use std::process::{Command, Stdio};

pub(super) fn on_battery() -> Option<bool> {
    let mut command = Command::new("/usr/bin/pmset");
    command.args(["-g", "ps"]).env_clear().stdin(Stdio::null()).stderr(Stdio::null());
    let output = command.output().ok()?;
    drawn_from(&String::from_utf8_lossy(&output.stdout))
}

/// The first line is `Now drawing from 'Battery Power'`, or `'AC Power'`, or `'UPS Power'`.
fn drawn_from(text: &str) -> Option<bool> {
    let (source, _) = text.strip_prefix("Now drawing from '")?.split_once('\'')?;
    Some(source != "AC Power")
}

/// Told to programs of a session alone.
pub(super) async fn is_metered() -> Option<bool> {
    std::future::ready(None).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_is_named_in_the_first_line() {
        let battery = "Now drawing from 'Battery Power'\n -InternalBattery-0 (id=1)\t80%; 5:00\n";
        assert_eq!(drawn_from(battery), Some(true));
        assert_eq!(drawn_from("Now drawing from 'AC Power'\n"), Some(false));
        assert_eq!(drawn_from("Nothing of the kind"), None);
    }
}
