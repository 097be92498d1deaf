//! On which interfaces nodes are looked for: a pure function of what an interface is plugged into,
//! what the configuration says, and what a person has said of the network.

use std::collections::BTreeMap;

use regex_lite::{Regex, RegexBuilder};
use thiserror::Error;

use crate::surroundings::attachments::Attachment;

/// Most patterns of interfaces.
pub const PATTERNS_MAX: usize = 32;

/// Longest pattern, in bytes.
const PATTERN_LEN_MAX: usize = 256;

/// Memory that a compiled pattern may take. A name of an interface needs a few hundred bytes; what
/// takes more is a mistake.
const PATTERN_SIZE_MAX: usize = 64 * 1024;

/// What the radios between two Apple devices are called.
const BETWEEN_TWO: [&str; 2] = ["awdl", "llw"];

/// A regular expression that is looked for anywhere in the name of an interface.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

/// Why something is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PatternError {
    /// Longer than any name of an interface needs.
    #[error("a pattern has at most {PATTERN_LEN_MAX} bytes")]
    TooLong,
    /// Not a regular expression, or one that takes too much memory.
    #[error("not a regular expression that can be used here")]
    Unusable,
}

/// What is done on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nodes are looked for.
    Active,
    /// Nothing is done: it is Wi-Fi or a public network, and nobody said what to do there.
    Unknown,
    /// Nothing is done: a person said no.
    Refused,
    /// Nothing is done: no pattern names the interface.
    Excluded,
    /// The system refused.
    Failed,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// [`PatternError`].
    pub fn new(text: &str) -> Result<Self, PatternError> {
        if text.len() > PATTERN_LEN_MAX {
            return Err(PatternError::TooLong);
        }
        let compiled = RegexBuilder::new(text).size_limit(PATTERN_SIZE_MAX).build();
        compiled.map(Self).map_err(|_| PatternError::Unusable)
    }

    /// Whether it names an interface. Radios between two devices are taken by name alone: whoever
    /// takes all does not mean them, and they cost the Wi-Fi beside them dearly.
    fn names(&self, interface: &str) -> bool {
        let is_between_two = BETWEEN_TWO.iter().any(|radio| interface.starts_with(radio));
        self.0.is_match(interface) && (self.is_specific() || !is_between_two)
    }

    /// Whether it names interfaces, and does not just take all.
    fn is_specific(&self) -> bool {
        !matches!(self.0.as_str(), "" | ".*" | "^.*" | ".*$" | "^.*$" | ".+" | "^.+$")
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

/// What a person has said of networks, by their names.
pub type Trust = BTreeMap<String, bool>;

/// What is to be done on an interface. A person's word on the network counts more than the
/// configuration's on the interface; a wire with private addresses needs neither.
pub(super) fn standing(
    attachment: &Attachment,
    patterns: &[Pattern],
    everywhere: bool,
    trust: &Trust,
) -> Standing {
    let names = |pattern: &&Pattern| pattern.names(&attachment.name);
    let Some(pattern) = patterns.iter().find(names) else { return Standing::Excluded };
    let said = attachment.network.as_ref().and_then(|network| trust.get(network));
    let is_private = !attachment.wireless && !attachment.public;
    match said {
        Some(false) => Standing::Refused,
        Some(true) => Standing::Active,
        None if is_private || everywhere || pattern.is_specific() => Standing::Active,
        None => Standing::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attachment(name: &str, wireless: bool, public: bool) -> Attachment {
        let network = Some("home".to_owned());
        let name = name.to_owned();
        Attachment {
            name,
            index: 1,
            wireless,
            public,
            link_local: Vec::new(),
            network,
            label: None,
        }
    }

    fn patterns(texts: &[&str]) -> Vec<Pattern> {
        texts.iter().map(|text| Pattern::new(text).unwrap()).collect()
    }

    #[test]
    fn private_wires_need_no_word_and_the_rest_does() {
        let all = patterns(&[".*"]);
        let of = |wireless, public, everywhere| {
            standing(&attachment("x0", wireless, public), &all, everywhere, &Trust::new())
        };
        assert_eq!(of(false, false, false), Standing::Active);
        for (wireless, public) in [(true, false), (false, true), (true, true)] {
            assert_eq!(of(wireless, public, false), Standing::Unknown);
            assert_eq!(of(wireless, public, true), Standing::Active);
        }
    }

    #[test]
    fn a_word_on_the_network_counts_more_than_everything() {
        let [yes, no] = [true, false].map(|said| Trust::from([("home".to_owned(), said)]));
        let named = patterns(&["wlan"]);
        let wifi = attachment("wlan0", true, false);
        assert_eq!(standing(&wifi, &named, false, &Trust::new()), Standing::Active);
        assert_eq!(standing(&wifi, &named, true, &no), Standing::Refused);
        assert_eq!(standing(&wifi, &patterns(&[".*"]), false, &yes), Standing::Active);
        assert_eq!(standing(&attachment("eth0", false, false), &named, true, &yes), {
            Standing::Excluded
        });
        let nowhere = Attachment { network: None, ..attachment("x", true, false) };
        assert_eq!(standing(&nowhere, &patterns(&[".*"]), false, &yes), Standing::Unknown);
    }

    #[test]
    fn patterns_match_anywhere_and_are_tried_in_order() {
        let wifi = attachment("wlp3s0", true, false);
        let of = |texts: &[&str]| standing(&wifi, &patterns(texts), false, &Trust::new());
        assert_eq!(of(&["p3"]), Standing::Active);
        assert_eq!(of(&["^p3"]), Standing::Excluded);
        assert_eq!(of(&[".*", "wlp"]), Standing::Unknown);
        assert_eq!(of(&["wlp", ".*"]), Standing::Active);
    }

    #[test]
    fn radios_between_two_devices_are_taken_by_name_alone() {
        let radio = attachment("awdl0", false, false);
        let of = |text| standing(&radio, &patterns(&[text]), true, &Trust::new());
        assert_eq!(of(".*"), Standing::Excluded);
        assert_eq!(of("^awdl"), Standing::Active);
    }

    #[test]
    fn patterns_are_bounded() {
        assert_eq!(Pattern::new(&"x".repeat(257)), Err(PatternError::TooLong));
        assert_eq!(Pattern::new("("), Err(PatternError::Unusable));
        assert_eq!(Pattern::new("(((x{99}){99}){99})"), Err(PatternError::Unusable));
    }
}
