//! Links that invite to a circle, and the words of a key on paper.
//!
//! Asserted: what is read prints and reads the same; a link is bounded, suggests few peers, and
//! shows nothing invisible; a refusal repeats neither a token nor a password nor anything
//! invisible; words that were read are those of their key.

use planetary_ipc::{JoinLink, RecoveryKey, limits};

/// A link without its token, and the token.
const LINK: &str = "planetary:join?c=rcpivwm2jypimduwspwuebdyjvmwyl6ydd2xqyd2iuq2m6xy4oiq&\
    k=aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4a&e=1800000000&n=Family";
const TOKEN: &str = "aaaqeayeaudaocajbifqydiob4";
const PASSWORD: &str = "hVq3Zk8sT1";

/// See the module.
pub fn join_link(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // What the input itself holds may be repeated.
    let secret = (!text.contains(TOKEN) && !text.contains(PASSWORD)).then_some([TOKEN, PASSWORD]);
    check(text, None);
    check(&format!("planetary:join?{text}"), None);
    check(&format!("{LINK}&t={TOKEN}{text}"), secret);
    check(&format!("{LINK}{text}&t={TOKEN}"), secret);
    check(&format!("{LINK}&t={TOKEN}&p=tls://a.example:1%3Fpassword={PASSWORD}{text}"), secret);

    if let Ok(key) = RecoveryKey::from_words(text) {
        let again = RecoveryKey::from_words(&key.words().join(" ")).map(|key| key.key());
        assert_eq!(again, Ok(key.key()));
        let _ = key.sign(text);
    }
}

fn check(text: &str, secrets: Option<[&str; 2]>) {
    match text.parse::<JoinLink>() {
        Ok(link) => {
            assert!(JoinLink::is_meant(text));
            assert!(text.trim().len() <= limits::LINK_LEN_MAX);
            assert!(link.peers.len() <= limits::LINK_PEERS_MAX);
            assert_eq!(format!("{link:?}"), "JoinLink(…)");
            let shown = link.to_string();
            assert!(shown.bytes().all(|byte| byte.is_ascii_graphic()), "{shown:?}");
            let fitting = link.clone().fitting();
            assert_eq!((fitting.circle, &fitting.token), (link.circle, &link.token));
            assert_eq!(fitting.to_string().parse(), Ok(fitting));
        }
        Err(error) => {
            let shown = format!("{error} {error:?}");
            for secret in secrets.into_iter().flatten() {
                assert!(!shown.contains(secret), "a secret is shown: {shown}");
            }
            assert!(!error.to_string().contains(char::is_control), "{shown:?}");
        }
    }
}
