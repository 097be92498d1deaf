//! The key ratchet of a session and the traffic messages under it (chapters 7.4 and 7.5).
//!
//! Shared keys are computed when first needed. A step of the ratchet needs a fresh key pair, which
//! the control half puts in ahead of time ([`Opener::refill`]); without one the step waits, which
//! the protocol allows.

use planetary_secretbox::{Cipher, TAG_LEN};
use thiserror::Error;

use super::{Handshake, SESSION_TRAFFIC};
use crate::{
    crypto::{ExchangeKey, ExchangeSecret},
    limits::RATCHET_GAP,
    time::Instant,
    wire::{Reader, number_len, put_number_before},
};

const NEXT_KEY_LEN: usize = 32;
/// Shortest traffic message: type, three numbers, tag and next key.
const TRAFFIC_LEN_MIN: usize = 1 + 3 + TAG_LEN + NEXT_KEY_LEN;
/// Bytes that sealing puts before the data, at most.
pub const SEAL_OVERHEAD_MAX: usize = 1 + 3 * 10 + TAG_LEN + NEXT_KEY_LEN;

/// Why a message was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    /// It does not decode or is too short.
    #[error("session message is malformed")]
    Malformed,
    /// Its number was seen before, or a later one was.
    #[error("session message is a replay or out of order")]
    Replay,
    /// The far end uses keys that this end does not have; it should be greeted.
    #[error("session message is under unknown keys")]
    UnknownKeys,
    /// It does not decrypt; the far end should be greeted.
    #[error("session message does not decrypt")]
    Forged,
}

impl OpenError {
    /// Whether the far end should be sent an Init.
    #[must_use]
    pub const fn wants_greeting(self) -> bool {
        matches!(self, Self::UnknownKeys | Self::Forged)
    }
}

/// An opened message.
#[derive(Debug)]
pub struct Opened {
    /// Where the data begins in the message; it ends with it.
    pub data: usize,
    /// New keys for the [`Sealer`], when the ratchet made a step.
    pub rekey: Option<SealerKeys>,
}

/// What the [`Sealer`] needs to know after keys changed.
pub struct SealerKeys {
    local_seq: u64,
    remote_seq: u64,
    secret: ExchangeSecret,
    theirs: ExchangeKey,
    next: ExchangeKey,
    /// The ratchet starts numbers anew; an update goes on counting.
    restart: bool,
}

/// One of the keys that messages may arrive under, and the highest number seen.
#[derive(Default)]
struct Window {
    cipher: Option<Cipher>,
    nonce: u64,
}

/// The receiving half of a session and authority on its keys.
pub struct Opener {
    recv: ExchangeSecret,
    send: ExchangeSecret,
    next: ExchangeSecret,
    /// The pair that the next step will take.
    spare: Option<ExchangeSecret>,
    local_seq: u64,
    remote_seq: u64,
    theirs: ExchangeKey,
    theirs_next: ExchangeKey,
    recv_window: Window,
    next_send_window: Window,
    next_recv_window: Window,
    /// What remains of `next_recv_window` after a step that a message under it caused; the next
    /// keys have no such remainder.
    ///
    /// When two greetings cross, both ends begin under that key, and each makes a step at the first
    /// message of the other, while more of them may be on the way. The reference loses those.
    former_window: Window,
    rotated: Option<Instant>,
}

/// The sending half of a session.
pub struct Sealer {
    keys: SealerKeys,
    cipher: Option<Cipher>,
    nonce: u64,
}

impl Opener {
    /// A session with a node that sent `remote`, before that message is applied with
    /// [`Self::update`].
    pub(crate) fn new(
        remote: &Handshake,
        recv: ExchangeSecret,
        send: ExchangeSecret,
        next: ExchangeSecret,
    ) -> (Self, Sealer) {
        let opener = Self {
            recv,
            send,
            next,
            spare: None,
            local_seq: 0,
            remote_seq: 0,
            theirs: remote.current,
            theirs_next: remote.next,
            recv_window: Window::default(),
            next_send_window: Window::default(),
            next_recv_window: Window::default(),
            former_window: Window::default(),
            rotated: None,
        };
        let sealer = Sealer { keys: opener.sealer_keys(true), cipher: None, nonce: 0 };
        (opener, sealer)
    }

    /// Whether an Init or Ack says nothing but what the last one said.
    ///
    /// A greeting is repeated when its answer is late. To advance for each copy would leave the far
    /// end behind, because it ignores all but the first answer of a second.
    pub(crate) fn is_repetition(&self, remote: &Handshake) -> bool {
        (self.theirs, self.theirs_next, self.remote_seq)
            == (remote.current, remote.next, remote.key_seq)
    }

    /// Whether an Init or Ack comes from the session that is known here: it says what the last one
    /// said, or is one step of the ratchet ahead of that. Else the far end has most likely begun
    /// anew, and knows nothing of what was agreed on with it before.
    pub(crate) fn is_continued_by(&self, remote: &Handshake) -> bool {
        let is_next = remote.current == self.theirs_next
            && Some(remote.key_seq) == self.remote_seq.checked_add(1);
        is_next || self.is_repetition(remote)
    }

    /// Applies an Init or Ack. `fresh` becomes the own next pair.
    pub(crate) fn update(&mut self, remote: &Handshake, fresh: ExchangeSecret) -> SealerKeys {
        self.theirs = remote.current;
        self.theirs_next = remote.next;
        self.remote_seq = remote.key_seq;
        self.advance(fresh);
        self.recv_window = Window::default();
        self.sealer_keys(false)
    }

    /// What an Init or Ack of this session says, composed at UNIX time `seq`.
    pub(crate) const fn offer(&self, seq: u64) -> Handshake {
        Handshake {
            current: self.send.public(),
            next: self.next.public(),
            key_seq: self.local_seq,
            seq,
        }
    }

    /// Whether [`Self::refill`] is due.
    #[must_use]
    pub const fn needs_refill(&self) -> bool {
        self.spare.is_none()
    }

    /// Puts in the pair for the next step of the ratchet.
    pub(crate) fn refill(&mut self, spare: ExchangeSecret) {
        self.spare = Some(spare);
    }

    /// Opens a traffic message in place: `message` begins with its type byte. On failure the
    /// ciphertext is unchanged.
    ///
    /// # Errors
    /// See [`OpenError`]; messages that are [`OpenError::Malformed`] or [`OpenError::Replay`] are
    /// to be ignored.
    pub fn open(&mut self, message: &mut [u8], now: Instant) -> Result<Opened, OpenError> {
        if message.len() < TRAFFIC_LEN_MIN || message[0] != SESSION_TRAFFIC {
            return Err(OpenError::Malformed);
        }
        let mut reader = Reader::new(&message[1..]);
        let mut number = || reader.number().map_err(|_| OpenError::Malformed);
        let (sender_seq, receiver_seq, nonce) = (number()?, number()?, number()?);
        let boxed = message.len() - reader.remaining();

        let same = sender_seq == self.remote_seq;
        let ahead = Some(sender_seq) == self.remote_seq.checked_add(1);
        let behind = receiver_seq.checked_add(1) == Some(self.local_seq);
        let former = same && receiver_seq.checked_add(2) == Some(self.local_seq);
        let (window, local, theirs) = if same && behind {
            (&mut self.recv_window, &self.recv, &self.theirs)
        } else if ahead && receiver_seq == self.local_seq {
            (&mut self.next_send_window, &self.send, &self.theirs_next)
        } else if ahead && behind {
            (&mut self.next_recv_window, &self.recv, &self.theirs_next)
        } else if former && self.former_window.cipher.is_some() {
            // Its cipher is there, so the pairs are not looked at.
            (&mut self.former_window, &self.recv, &self.theirs)
        } else {
            return Err(OpenError::UnknownKeys);
        };
        if nonce <= window.nonce {
            return Err(OpenError::Replay);
        }
        let cipher = window.cipher.get_or_insert_with(|| local.shared(theirs).cipher());
        // Long forms of the numbers may leave less than a tag and a key.
        let (tag, sealed) = message[boxed..]
            .split_first_chunk_mut::<TAG_LEN>()
            .filter(|(_, sealed)| sealed.len() >= NEXT_KEY_LEN)
            .ok_or(OpenError::Malformed)?;
        cipher.open_in_place(nonce, tag, sealed).map_err(|_| OpenError::Forged)?;
        window.nonce = nonce;

        let rekey = if ahead {
            let mut next = [0; NEXT_KEY_LEN];
            next.copy_from_slice(&sealed[..NEXT_KEY_LEN]);
            self.ratchet(ExchangeKey::from_bytes(next), nonce, now)
        } else {
            None
        };
        Ok(Opened { data: boxed + TAG_LEN + NEXT_KEY_LEN, rekey })
    }

    /// The far end has moved to its next keys: follows it, unless the last step is too recent or no
    /// pair is at hand.
    fn ratchet(&mut self, next: ExchangeKey, nonce: u64, now: Instant) -> Option<SealerKeys> {
        if self.rotated.is_some_and(|at| now.since(at) <= RATCHET_GAP) {
            return None;
        }
        let fresh = self.spare.take()?;
        self.theirs = self.theirs_next;
        self.theirs_next = next;
        self.remote_seq = self.remote_seq.checked_add(1)?;
        // The key between the far end's former next and our former current pair is what messages
        // arrive under from here on.
        let cipher = self.next_send_window.cipher.take();
        let former = core::mem::take(&mut self.next_recv_window);
        self.advance(fresh);
        self.recv_window = Window { cipher, nonce };
        self.former_window = former;
        self.rotated = Some(now);
        Some(self.sealer_keys(true))
    }

    fn advance(&mut self, fresh: ExchangeSecret) {
        let next = core::mem::replace(&mut self.next, fresh);
        self.recv = core::mem::replace(&mut self.send, next);
        self.local_seq = self.local_seq.wrapping_add(1);
        self.next_send_window = Window::default();
        self.next_recv_window = Window::default();
        self.former_window = Window::default();
    }

    fn sealer_keys(&self, restart: bool) -> SealerKeys {
        SealerKeys {
            local_seq: self.local_seq,
            remote_seq: self.remote_seq,
            secret: self.send.clone(),
            theirs: self.theirs,
            next: self.next.public(),
            restart,
        }
    }
}

impl Sealer {
    /// Takes over keys from the [`Opener`].
    pub fn install(&mut self, keys: SealerKeys) {
        if keys.restart {
            self.nonce = 0;
        }
        self.keys = keys;
        self.cipher = None;
    }

    /// Seals `buffer[data..]` in place and puts the rest of the message before it. Returns where
    /// the message begins, or `None` when less than [`SEAL_OVERHEAD_MAX`] bytes are free before the
    /// data, or all numbers are used up.
    pub fn seal(&mut self, buffer: &mut [u8], data: usize) -> Option<usize> {
        if data < SEAL_OVERHEAD_MAX {
            return None;
        }
        let nonce = self.nonce.checked_add(1)?;
        self.nonce = nonce;
        let keys = &self.keys;
        let cipher = self.cipher.get_or_insert_with(|| keys.secret.shared(&keys.theirs).cipher());
        let sealed = data - NEXT_KEY_LEN;
        buffer[sealed..data].copy_from_slice(keys.next.as_bytes());
        let tag = cipher.seal_in_place(nonce, &mut buffer[sealed..]);
        let mut start = sealed - TAG_LEN;
        buffer[start..sealed].copy_from_slice(&tag);
        for number in [nonce, keys.remote_seq, keys.local_seq] {
            start = put_number_before(&mut buffer[..start], number);
        }
        start -= 1;
        buffer[start] = SESSION_TRAFFIC;
        Some(start)
    }

    /// Length of the next message around `data_len` bytes.
    #[must_use]
    pub fn sealed_len(&self, data_len: usize) -> usize {
        let numbers = [self.nonce.saturating_add(1), self.keys.remote_seq, self.keys.local_seq];
        1 + numbers.map(number_len).iter().sum::<usize>() + TAG_LEN + NEXT_KEY_LEN + data_len
    }
}

impl core::fmt::Debug for SealerKeys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SealerKeys").field("local_seq", &self.local_seq).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_micros(1);

    fn pair(byte: u8) -> ExchangeSecret {
        ExchangeSecret::from_bytes(&[byte; 32])
    }

    /// A session as it is after the handshake: who opens, and who seals at the far end.
    fn session() -> (Opener, Sealer) {
        let init =
            Handshake { current: pair(1).public(), next: pair(2).public(), key_seq: 0, seq: 1 };
        let (mut opener, _) = Opener::new(&init, pair(3), pair(4), pair(5));
        opener.update(&init, pair(6));
        let ack = opener.offer(1);
        let (mut far, mut sealer) = Opener::new(&ack, pair(7), pair(1), pair(2));
        sealer.install(far.update(&ack, pair(8)));
        (opener, sealer)
    }

    /// An authentic message around `plain`, its numbers as long as numbers can be.
    fn long_message(sealer: &Sealer, plain: &[u8]) -> Vec<u8> {
        let keys = &sealer.keys;
        let mut message = vec![SESSION_TRAFFIC];
        for number in [keys.local_seq, keys.remote_seq, 1] {
            message.push(number as u8 | 0x80);
            message.extend([0x80; 8]);
            message.push(0);
        }
        let mut sealed = plain.to_vec();
        let cipher = keys.secret.shared(&keys.theirs).cipher();
        message.extend(cipher.seal_in_place(1, &mut sealed));
        message.extend(sealed);
        message
    }

    #[test]
    fn an_authentic_message_too_short_for_a_next_key_is_malformed() {
        let (mut opener, sealer) = session();
        for len in 0..NEXT_KEY_LEN {
            let mut message = long_message(&sealer, &vec![9; len]);
            assert!(message.len() + NEXT_KEY_LEN > TRAFFIC_LEN_MIN);
            assert_eq!(opener.open(&mut message, NOW).unwrap_err(), OpenError::Malformed);
        }
        let mut message = long_message(&sealer, &[9; NEXT_KEY_LEN]);
        assert_eq!(opener.open(&mut message, NOW).unwrap().data, message.len());
    }

    #[test]
    fn messages_cut_short_and_numbers_without_an_end_are_malformed() {
        let (mut opener, sealer) = session();
        let message = long_message(&sealer, &[9; 64]);
        for number in 0..3 {
            let last = 1 + 10 * number + 9;
            let mut overlong = message.clone();
            overlong[last] = 2;
            assert_eq!(opener.open(&mut overlong, NOW).unwrap_err(), OpenError::Malformed);
            let mut endless = message.clone();
            endless[last] = 0x80;
            assert_eq!(opener.open(&mut endless, NOW).unwrap_err(), OpenError::Malformed);
        }
        for len in 0..TRAFFIC_LEN_MIN {
            let mut short = message[..len].to_vec();
            assert_eq!(opener.open(&mut short, NOW).unwrap_err(), OpenError::Malformed);
        }
        let mut other = message.clone();
        other[0] = SESSION_TRAFFIC + 1;
        assert_eq!(opener.open(&mut other, NOW).unwrap_err(), OpenError::Malformed);
        assert!(opener.open(&mut message.clone(), NOW).is_ok());
    }
}
