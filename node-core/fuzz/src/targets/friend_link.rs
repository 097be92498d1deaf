//! Links that make friends, and what people write about friends: names, services.
//!
//! Asserted: what is read prints and reads the same; a link is bounded, suggests few peers, and
//! shows nothing invisible; a refusal repeats no password and nothing invisible; a service that was
//! read and a name that was read mean themselves.

use planetary_ipc::friends::{FriendName, LocalService};
use planetary_ipc::{FriendLink, limits};

const PASSWORD: &str = "hVq3Zk8sT1";

/// See the module.
pub fn friend_link(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    check(text);
    check(&format!("planetary:friend?{text}"));
    check(&format!("{text}&p=tls://host.example:1%3Fpassword={PASSWORD}"));

    if let Ok(name) = text.parse::<FriendName>() {
        assert!((1..=limits::FRIEND_NAME_CHARS_MAX).contains(&name.as_str().chars().count()));
        assert!(!name.as_str().contains(char::is_control));
        assert_eq!(name.to_string().parse(), Ok(name));
    }
    if let Ok(service) = text.parse::<LocalService>() {
        assert_eq!(service.to_string().parse(), Ok(service));
    }
}

fn check(text: &str) {
    match text.parse::<FriendLink>() {
        Ok(link) => {
            assert!(FriendLink::is_meant(text));
            assert!(text.trim().len() <= limits::LINK_LEN_MAX);
            assert!(link.peers.len() <= limits::LINK_PEERS_MAX);
            let shown = link.to_string();
            assert!(shown.bytes().all(|byte| byte.is_ascii_graphic()), "{shown:?}");
            let fitting = link.clone().fitting();
            assert_eq!((fitting.key, &fitting.name), (link.key, &link.name));
            assert_eq!(fitting.to_string().parse(), Ok(fitting));
        }
        Err(error) => {
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains(PASSWORD), "the password is shown: {shown}");
            assert!(!error.to_string().contains(char::is_control), "{shown:?}");
        }
    }
}
