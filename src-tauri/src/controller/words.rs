//! The few texts of the shell's own, in the language of the person: tray, notifications, dialogs.
//!
//! They are in the catalogue of the pages, a file a language, in the same syntax. Of that syntax
//! this knows `{name}` and nothing else; a test keeps the texts that simple.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

/// A language of the app.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// English, the source.
    #[default]
    En,
    /// German.
    De,
    /// French.
    Fr,
    /// Spanish.
    Es,
    /// Russian.
    Ru,
}

type Catalogue = BTreeMap<String, String>;

macro_rules! catalogues {
    ($($language:ident = $tag:literal;)+) => {
        const TAGS: &[(Language, &str)] = &[$((Language::$language, $tag),)+];

        impl Language {
            fn catalogue(self) -> &'static Catalogue {
                match self {
                    $(Self::$language => {
                        static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
                            let path = concat!("../../../ui/src/lib/i18n/", $tag, "/shell.json");
                            read(path, include_str!(
                                concat!("../../../ui/src/lib/i18n/", $tag, "/shell.json")
                            ))
                        });
                        &CATALOGUE
                    })+
                }
            }
        }
    };
}

catalogues! { En = "en"; De = "de"; Fr = "fr"; Es = "es"; Ru = "ru"; }

/// A file that does not parse is found by the tests; then there are no words at all.
fn read(path: &str, text: &str) -> Catalogue {
    serde_json::from_str(text).unwrap_or_else(|error| {
        tracing::error!(%path, %error, "no catalogue");
        Catalogue::new()
    })
}

impl Language {
    /// The language of a locale such as `de_AT.UTF-8` or `fr-CA`; English for one that is unknown.
    pub fn of_locale(locale: &str) -> Self {
        let primary = locale.split(['-', '_', '.', '@']).next().unwrap_or_default();
        let known = TAGS.iter().find(|(_, tag)| primary.eq_ignore_ascii_case(tag));
        known.map_or(Self::En, |(language, _)| *language)
    }

    /// The text of `key`, in English where this language lacks it.
    pub fn text(self, key: &str) -> &'static str {
        let own = self.catalogue().get(key);
        own.or_else(|| Self::En.catalogue().get(key)).map_or("", String::as_str)
    }

    /// The same with values in the places of `{name}`. What a value holds is no place for another.
    pub fn text_with(self, key: &str, values: &[(&str, &str)]) -> String {
        let mut parts = self.text(key).split('{');
        let mut whole = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}').unwrap_or((part, ""));
            let value = values.iter().find(|(known, _)| *known == name);
            whole.push_str(value.map_or("", |(_, value)| value));
            whole.push_str(rest);
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_every_text_with_the_same_arguments() {
        let arguments = |text: &str| -> Vec<String> {
            let mut found: Vec<String> = text
                .split('{')
                .skip(1)
                .map(|rest| rest.split('}').next().unwrap_or_default().to_owned())
                .collect();
            found.sort();
            found
        };
        let english = Language::En.catalogue();
        assert!(english.len() > 20);
        for (language, tag) in TAGS {
            let catalogue = language.catalogue();
            let keys = |catalogue: &Catalogue| catalogue.keys().cloned().collect::<Vec<_>>();
            assert_eq!(keys(catalogue), keys(english), "{tag}");
            for (key, text) in catalogue {
                assert_eq!(arguments(text), arguments(&english[key]), "{tag} {key}");
                let plain = arguments(text).iter().all(|name| !name.contains([',', '\'']));
                assert!(plain && !text.is_empty(), "{tag} {key}");
            }
        }
    }

    #[test]
    fn locales_are_matched_by_their_language() {
        for (locale, language) in [
            ("de_AT.UTF-8", Language::De),
            ("fr-CA", Language::Fr),
            ("RU", Language::Ru),
            ("es@euro", Language::Es),
            ("C", Language::En),
            ("", Language::En),
            ("deutsch", Language::En),
        ] {
            assert_eq!(Language::of_locale(locale), language, "{locale}");
        }
    }

    #[test]
    fn values_take_the_places_of_their_names() {
        assert_eq!(Language::En.text_with("tray.peers", &[("count", "3")]), "Peers: 3");
        assert_eq!(Language::De.text("no such key"), "");
        let values = [("who", "{circle}"), ("circle", "Hikers")];
        let text = Language::En.text_with("notify.guest", &values);
        assert_eq!(text, "{circle} wants to join Hikers");
    }
}
