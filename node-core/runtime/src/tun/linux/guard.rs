//! Keeps the overlay's addresses to the TUN: nothing from or to them crosses any other interface.
//!
//! Linux takes a packet for one of its addresses on whatever interface it comes in (the weak host
//! model), so without this a neighbour on the LAN could send to the overlay address over the cable
//! and pass by sessions and packet filter. Outwards the same holds: a packet between overlay
//! addresses must not leave in clear when the TUN is gone.
//!
//! ```text
//!   table ip6 planetary_planetary0 {
//!     chain in  { hook prerouting,  priority raw: not from the TUN or lo, 200::/7 -> drop }
//!     chain out { hook postrouting, priority raw: not to the TUN or lo,   200::/7 -> drop }
//!   }
//! ```
//!
//! The table belongs to the netlink socket that made it, so it goes away with this value, and with
//! the process whatever ends it. Kernels before 5.12 do not know such tables; there it is removed
//! when this value is dropped, and one that a crash left is replaced at the next start.
//!
//! Source: linux/netfilter/nf_tables.h, linux/netfilter/nfnetlink.h.

use std::{io, os::fd::OwnedFd, time::Duration};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, sendto,
        socket_with, sockopt,
    },
};

use super::{
    super::TunSettings,
    netlink::{HEADER_LEN, Request},
};

/// How long the kernel may take to answer. It answers before `sendto` returns.
const ANSWER_TIME: Duration = Duration::from_secs(1);

/// Index of the loopback interface, in every network namespace.
const LOOPBACK: u32 = 1;

/// Where the addresses stand in an IPv6 header.
const ADDRESSES_AT: [u32; 2] = [8, 24];

/// `NFT_TABLE_F_OWNER`: the table lives and dies with the socket.
const TABLE_OWNED: u32 = 2;

/// The guard of one TUN, for as long as it lives.
#[derive(Debug)]
pub(super) struct Guard {
    socket: OwnedFd,
    table: String,
    /// The kernel does not remove the table by itself.
    removes: bool,
}

impl Guard {
    /// Guards the overlay of `settings` for the TUN `name`, which has this index.
    ///
    /// # Errors
    /// What the kernel answers: `EPERM` without CAP_NET_ADMIN, others where it has no nf_tables.
    pub(super) fn set(name: &str, index: u32, settings: &TunSettings) -> io::Result<Self> {
        let netfilter = netlink::NETFILTER;
        let family = AddressFamily::NETLINK;
        let socket = socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC, Some(netfilter))?;
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(ANSWER_TIME))?;
        let table = format!("planetary_{name}");
        let removes = match send(&socket, &rules(&table, TABLE_OWNED, index, settings)) {
            Ok(()) => false,
            Err(Errno::INVAL | Errno::OPNOTSUPP) => {
                send(&socket, &rules(&table, 0, index, settings))?;
                true
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Self { socket, table, removes })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.removes {
            // Without the TUN it keeps out what nobody would take in.
            let _ = send(&self.socket, &[delete_table(&self.table)]);
        }
    }
}

/// Everything that makes the table, one that is there already replaced.
fn rules(table: &str, flags: u32, index: u32, settings: &TunSettings) -> Vec<Request> {
    let mut batch = vec![new_table(table, 0), delete_table(table), new_table(table, flags)];
    for chain in [Chain::IN, Chain::OUT] {
        batch.push(chain.create(table));
        batch.extend(ADDRESSES_AT.map(|at| chain.drops(table, at, index, settings)));
    }
    batch
}

/// A base chain.
struct Chain {
    name: &'static str,
    /// `NF_INET_PRE_ROUTING` or `NF_INET_POST_ROUTING`.
    hook: u32,
    /// `NFT_META_IIF` or `NFT_META_OIF`.
    interface: u32,
}

impl Chain {
    const IN: Self = Self { name: "in", hook: 0, interface: 4 };
    const OUT: Self = Self { name: "out", hook: 4, interface: 5 };
    /// Before connection tracking: what is dropped leaves no trace there.
    const PRIORITY_RAW: i32 = -300;

    fn create(&self, table: &str) -> Request {
        let mut request = message(attr::NEW_CHAIN, libc::NLM_F_CREATE);
        request.text(attr::CHAIN_TABLE, table);
        request.text(attr::CHAIN_NAME, self.name);
        request.nested(attr::CHAIN_HOOK, |hook| {
            hook.number(attr::HOOK_NUMBER, self.hook);
            hook.number(attr::HOOK_PRIORITY, Self::PRIORITY_RAW as u32);
        });
        request.text(attr::CHAIN_TYPE, "filter");
        request
    }

    /// Drops packets with an overlay address at `at`, unless they cross the TUN or the loopback.
    fn drops(&self, table: &str, at: u32, index: u32, settings: &TunSettings) -> Request {
        let mask = u128::MAX.checked_shl(128 - u32::from(settings.prefix_len)).unwrap_or(0);
        let prefix = (settings.address.to_bits() & mask).to_be_bytes();
        let mask = mask.to_be_bytes();
        let len = usize::from(settings.prefix_len).div_ceil(8).min(prefix.len());
        let mut request = message(attr::NEW_RULE, libc::NLM_F_CREATE | libc::NLM_F_APPEND);
        request.text(attr::RULE_TABLE, table);
        request.text(attr::RULE_CHAIN, self.name);
        request.nested(attr::RULE_EXPRESSIONS, |rule| {
            rule.expression("meta", |meta| {
                meta.number(1, attr::REGISTER);
                meta.number(2, self.interface);
            });
            for other in [index, LOOPBACK] {
                rule.compare(attr::NOT_EQUAL, &other.to_ne_bytes());
            }
            rule.expression("payload", |payload| {
                payload.number(1, attr::REGISTER);
                payload.number(2, attr::NETWORK_HEADER);
                payload.number(3, at);
                payload.number(4, len as u32);
            });
            rule.expression("bitwise", |bitwise| {
                bitwise.number(1, attr::REGISTER);
                bitwise.number(2, attr::REGISTER);
                bitwise.number(3, len as u32);
                bitwise.nested(4, |data| data.attribute(1, &mask[..len]));
                bitwise.nested(5, |data| data.attribute(1, &[0; 16][..len]));
            });
            rule.compare(attr::EQUAL, &prefix[..len]);
            rule.expression("counter", |_| {});
            rule.expression("immediate", |immediate| {
                immediate.number(1, attr::REGISTER_VERDICT);
                immediate.nested(2, |data| {
                    data.nested(2, |verdict| verdict.number(1, attr::DROP));
                });
            });
        });
        request
    }
}

impl Request {
    fn text(&mut self, kind: u16, text: &str) {
        self.nested(kind, |request| {
            request.bytes.extend_from_slice(text.as_bytes());
            request.bytes.push(0);
        });
    }

    fn number(&mut self, kind: u16, number: u32) {
        self.attribute(kind, &number.to_be_bytes());
    }

    fn expression(&mut self, name: &str, fill: impl FnOnce(&mut Self)) {
        self.nested(attr::LIST_ELEMENT, |element| {
            element.text(1, name);
            element.nested(2, fill);
        });
    }

    fn compare(&mut self, operator: u32, value: &[u8]) {
        self.expression("cmp", |cmp| {
            cmp.number(1, attr::REGISTER);
            cmp.number(2, operator);
            cmp.nested(3, |data| data.attribute(1, value));
        });
    }
}

fn new_table(table: &str, flags: u32) -> Request {
    let mut request = message(attr::NEW_TABLE, libc::NLM_F_CREATE);
    request.text(attr::TABLE_NAME, table);
    request.number(attr::TABLE_FLAGS, flags);
    request
}

fn delete_table(table: &str) -> Request {
    let mut request = message(attr::DELETE_TABLE, 0);
    request.text(attr::TABLE_NAME, table);
    request
}

/// A message to nf_tables about IPv6.
fn message(kind: u16, flags: i32) -> Request {
    let mut request = Request::new(attr::NF_TABLES << 8 | kind, flags | libc::NLM_F_ACK);
    // nfgenmsg: family, version, resource.
    request.bytes.extend([attr::FAMILY_IPV6, 0, 0, 0]);
    request
}

/// The first or the last message of a batch.
fn bracket(kind: u16) -> Request {
    let mut request = Request::new(kind, 0);
    let [high, low] = attr::NF_TABLES.to_be_bytes();
    request.bytes.extend([libc::AF_UNSPEC as u8, 0, high, low]);
    request
}

/// Sends messages that hold together or not at all, and waits until each is acknowledged.
fn send(socket: &OwnedFd, messages: &[Request]) -> Result<(), Errno> {
    let mut batch = bracket(attr::BATCH_BEGIN).finish();
    for message in messages {
        batch.extend(message.clone().finish());
    }
    batch.extend(bracket(attr::BATCH_END).finish());
    let kernel = netlink::SocketAddrNetlink::new(0, 0);
    sendto(socket, &batch, SendFlags::empty(), &kernel)?;
    let mut verdicts = 0;
    let mut buffer = vec![0; 8192];
    while verdicts < messages.len() {
        let (len, _) = match recv(socket, &mut buffer[..], RecvFlags::empty()) {
            Err(Errno::INTR) => continue,
            done => done?,
        };
        let mut rest = &buffer[..len];
        while let Some(header) = rest.first_chunk::<HEADER_LEN>() {
            let [a, b, c, d, kind_low, kind_high, ..] = *header;
            let message_len = u32::from_ne_bytes([a, b, c, d]) as usize;
            let kind = u16::from_ne_bytes([kind_low, kind_high]);
            let message = rest.get(..message_len).ok_or(Errno::PROTO)?;
            if kind == libc::NLMSG_ERROR as u16 {
                let code = message.get(HEADER_LEN..).and_then(<[u8]>::first_chunk);
                match i32::from_ne_bytes(*code.ok_or(Errno::PROTO)?) {
                    0 => verdicts += 1,
                    code => return Err(Errno::from_raw_os_error(code.saturating_neg())),
                }
            }
            rest = rest.get(message_len.next_multiple_of(4).max(HEADER_LEN)..).unwrap_or_default();
        }
    }
    Ok(())
}

/// Numbers of the kernel's interface. Attributes of expressions, which have few, are written where
/// they are used.
mod attr {
    pub(super) const NF_TABLES: u16 = 10;
    pub(super) const FAMILY_IPV6: u8 = 10;
    pub(super) const BATCH_BEGIN: u16 = 0x10;
    pub(super) const BATCH_END: u16 = 0x11;

    pub(super) const NEW_TABLE: u16 = 0;
    pub(super) const DELETE_TABLE: u16 = 2;
    pub(super) const NEW_CHAIN: u16 = 3;
    pub(super) const NEW_RULE: u16 = 6;

    pub(super) const TABLE_NAME: u16 = 1;
    pub(super) const TABLE_FLAGS: u16 = 2;
    pub(super) const CHAIN_TABLE: u16 = 1;
    pub(super) const CHAIN_NAME: u16 = 3;
    pub(super) const CHAIN_HOOK: u16 = 4;
    pub(super) const CHAIN_TYPE: u16 = 7;
    pub(super) const HOOK_NUMBER: u16 = 1;
    pub(super) const HOOK_PRIORITY: u16 = 2;
    pub(super) const RULE_TABLE: u16 = 1;
    pub(super) const RULE_CHAIN: u16 = 2;
    pub(super) const RULE_EXPRESSIONS: u16 = 4;
    pub(super) const LIST_ELEMENT: u16 = 1;

    /// The first register of 16 bytes, and the one that holds a verdict.
    pub(super) const REGISTER: u32 = 1;
    pub(super) const REGISTER_VERDICT: u32 = 0;
    pub(super) const EQUAL: u32 = 0;
    pub(super) const NOT_EQUAL: u32 = 1;
    pub(super) const NETWORK_HEADER: u32 = 1;
    pub(super) const DROP: u32 = 0;
}
