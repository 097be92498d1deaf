//! What is set right in the environment before anything else runs.
//!
//! Two traps, both of Linux, both with the same end: a window that stays white.
//!
//! * With a locale such as `C` or `C.UTF-8`, which containers and some desktops have, WebKitGTK
//!   tells pages the language `C`, and JavaScript's own formatters refuse that.
//! * With NVIDIA's own driver WebKitGTK's way to pass pictures on by DMA-BUF often shows nothing.

/// What the locale should have been, were it a language.
#[cfg(any(target_os = "linux", test))]
const PLAIN: &str = "en_US.UTF-8";

/// The language of the system, as it was before anything was set.
pub(crate) fn prepare() -> Option<String> {
    let locale = sys_locale::get_locale();
    #[cfg(target_os = "linux")]
    set_right();
    locale
}

#[cfg(target_os = "linux")]
fn set_right() {
    use std::env::{set_var, var, var_os};

    let value = |name| var(name).unwrap_or_default();
    if is_no_language(["LC_ALL", "LC_MESSAGES", "LANG"].map(value)) {
        // SAFETY: the first lines of the program: no other thread is there.
        unsafe {
            set_var("LC_ALL", "");
            set_var("LC_MESSAGES", "");
            set_var("LANG", PLAIN);
        }
    }
    let nvidia = std::path::Path::new("/proc/driver/nvidia/version").exists();
    if nvidia && var_os("WEBKIT_DISABLE_DMABUF_RENDERER").is_none() {
        // SAFETY: as above.
        unsafe { set_var("WEBKIT_DISABLE_DMABUF_RENDERER", "1") };
    }
}

/// Whether the locale that counts, the first that is set, names no language.
#[cfg(any(target_os = "linux", test))]
fn is_no_language(values: [String; 3]) -> bool {
    let counts = values.into_iter().find(|value| !value.is_empty()).unwrap_or_default();
    let language = counts.split(['.', '@']).next().unwrap_or_default();
    matches!(language, "" | "C" | "POSIX")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locales_without_a_language_are_told_from_others() {
        let plain = |values: [&str; 3]| is_no_language(values.map(str::to_owned));
        for values in [
            ["", "", ""],
            ["", "", "C"],
            ["", "", "C.UTF-8"],
            ["POSIX", "", "de_DE.UTF-8"],
            ["", "C", "de_DE.UTF-8"],
        ] {
            assert!(plain(values), "{values:?}");
        }
        for values in [
            ["", "", PLAIN],
            ["de_DE", "C", "C"],
            ["", "fr_CA.UTF-8", "C"],
            ["", "", "ca@valencia"],
        ] {
            assert!(!plain(values), "{values:?}");
        }
    }
}
