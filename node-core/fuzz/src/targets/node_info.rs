//! Messages between nodes, out of an opened session.
//!
//! Asserted: only what was asked is reported, each question once, texts and lists are no longer
//! than the message; and any number of questions leaves the node within its bounds. What is shown
//! of an answer is short and has no control character.

use std::time::Duration;

use planetary_proto::{
    LinkId,
    identity::KEY_LEN,
    limits::NODE_INFO_MAX,
    upper::{InbandAnswer, InbandKind},
};
use planetary_service::explore::read;

use crate::{
    host::{Host, IDENTITIES, key, now_at},
    input::Input,
};

const KINDS: [InbandKind; 4] =
    [InbandKind::NodeInfo, InbandKind::GetSelf, InbandKind::GetPeers, InbandKind::GetTree];

/// See the module. Each message is a choice of what is asked first, and its bytes.
pub fn node_info(data: &[u8]) {
    let mut input = Input::new(data);
    let mut passed = Duration::ZERO;
    let mut host = Host::new(0, 0, now_at(passed));
    host.link_up(LinkId(1), key(1), 0);
    let mut awaited = Vec::new();
    while !input.is_empty() {
        let far = key(input.below(IDENTITIES));
        let choice = input.below(16);
        let kind = KINDS[choice % 4];
        match choice {
            // The node itself answers at once.
            0..4 if far != key(0) => {
                host.change(|node, now| node.ask(far, kind, now));
                if !awaited.contains(&(far, kind)) {
                    awaited.push((far, kind));
                }
            }
            4 => {
                passed += Duration::from_millis(u64::from(input.byte()) * 40);
                host.advance(now_at(passed));
            }
            _ => {}
        }
        let message = input.block();
        host.change(|node, now| node.handle_inband(far, message, now));
        for (source, outcome) in std::mem::take(&mut host.answers) {
            let kind = match &outcome {
                Ok(answer) => answer.kind(),
                Err(kind) => *kind,
            };
            let place = awaited.iter().position(|question| *question == (source, kind));
            awaited.swap_remove(place.expect("nobody asked"));
            match outcome {
                Ok(InbandAnswer::NodeInfo(text)) => {
                    assert!(text.len() <= NODE_INFO_MAX && text.len() < message.len());
                    shown(&text);
                }
                Ok(InbandAnswer::GetSelf(text)) => {
                    assert!(text.len() < message.len());
                    let _ = read::routing_entries(&text);
                }
                Ok(InbandAnswer::GetPeers(keys) | InbandAnswer::GetTree(keys)) => {
                    assert!(keys.len() * KEY_LEN < message.len());
                    let taken = read::keys(&source, &keys, 3);
                    assert!(taken.len() <= 3 && !taken.contains(&source));
                }
                Err(_) => {}
            }
        }
        host.out.clear();
    }
    host.advance(now_at(passed + Duration::from_secs(10)));
    assert_eq!(host.answers.len(), awaited.len(), "every question ends");
}

fn shown(text: &[u8]) {
    let read::NodeInfo { name, program, system } = read::node_info(text);
    for text in [name, program, system].into_iter().flatten() {
        assert!(!text.contains(char::is_control), "{text:?}");
        assert!((1..=read::NAME_CHARS_MAX + 1).contains(&text.chars().count()), "{text:?}");
    }
}
