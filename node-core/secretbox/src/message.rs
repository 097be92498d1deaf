//! The walk over one message, for any vector type.
//!
//! The message is cut where the passes of the key stream end; the first pass begins with the
//! Poly1305 key and leaves 32 bytes less. Between the steps that make the key stream of one pass,
//! the ciphertext of the pass before is taken into the tag.
//!
//! Opening decrypts each part but the last once it is in the tag, and then knows whether the tag is
//! right. If it is not, the same key stream is laid over those parts again, so the caller finds the
//! ciphertext as it was; nobody else can see the buffer in between. A message of one pass is not
//! touched before that.

use crate::lanes::Lanes;
use crate::poly1305::{Authenticator, OneTimeKey, Sum};
use crate::salsa20::{Idle, SideWork, Stream};
use crate::{OpenError, TAG_LEN};
use std::marker::PhantomData;
use std::slice;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// Whether one pass makes the whole key stream for `data`.
#[inline(always)]
pub(crate) fn is_one_pass<V: Lanes>(data: &[u8]) -> bool {
    data.len() <= pass_len::<V>() - KEY_LEN
}

/// Encrypts `data` and returns its tag.
#[inline(always)]
pub(crate) fn seal<V: Lanes, A: Authenticator<STEP>, const STEP: usize>(
    stream: Stream<'_>,
    data: &mut [u8],
) -> [u8; TAG_LEN] {
    let mut keystream = V::keystream();
    let key = first_pass::<V>(stream, &mut keystream);
    let (mut part, mut rest) = split(data, pass_len::<V>() - KEY_LEN);
    xor(part, &keystream.as_ref()[KEY_LEN..]);
    if part.len() < A::LEN_MIN {
        return key.tag(Sum::default(), part);
    }
    let mut authenticator = A::new(key, &part[..A::LEAD_LEN]);
    let mut taken = A::LEAD_LEN;
    let mut pass = 0;
    while !rest.is_empty() {
        pass += 1;
        later_pass::<V, A, STEP>(stream, pass, &mut keystream, &mut authenticator, &part[taken..]);
        (part, rest) = split(rest, pass_len::<V>());
        xor(part, keystream.as_ref());
        taken = 0;
    }
    authenticator.tag(&part[taken..])
}

/// Decrypts `data` if `tag` is right, else leaves it as it was.
#[inline(always)]
pub(crate) fn open<V: Lanes, A: Authenticator<STEP>, const STEP: usize>(
    stream: Stream<'_>,
    tag: &[u8; TAG_LEN],
    data: &mut [u8],
) -> Result<(), OpenError> {
    let (mut even_passes, mut odd_passes);
    even_passes = V::keystream();
    let mut keystream = &mut even_passes;
    let key = first_pass::<V>(stream, keystream);
    let (mut part, mut rest) = split(data, pass_len::<V>() - KEY_LEN);
    let mut offset = KEY_LEN;
    let computed = if part.len() < A::LEN_MIN {
        key.tag(Sum::default(), part)
    } else {
        let mut authenticator = A::new(key, &part[..A::LEAD_LEN]);
        let mut taken = A::LEAD_LEN;
        odd_passes = V::keystream();
        let mut next_keystream = &mut odd_passes;
        let mut pass = 0;
        while !rest.is_empty() {
            pass += 1;
            let ready = &part[taken..];
            later_pass::<V, A, STEP>(stream, pass, next_keystream, &mut authenticator, ready);
            xor(part, &keystream.as_ref()[offset..]);
            (keystream, next_keystream) = (next_keystream, keystream);
            (part, rest) = split(rest, pass_len::<V>());
            (taken, offset) = (0, 0);
        }
        authenticator.tag(&part[taken..])
    };
    let last_len = part.len();
    if !equal(computed, *tag) {
        let decrypted_len = data.len() - last_len;
        apply::<V>(stream, &mut data[..decrypted_len]);
        return Err(OpenError);
    }
    xor(part, &keystream.as_ref()[offset..]);
    Ok(())
}

/// Lays the message's key stream over its first part, `data`.
#[inline(always)]
fn apply<V: Lanes>(stream: Stream<'_>, data: &mut [u8]) {
    if data.is_empty() {
        return;
    }
    let mut keystream = V::keystream();
    let _ = first_pass::<V>(stream, &mut keystream);
    let (part, rest) = split(data, pass_len::<V>() - KEY_LEN);
    xor(part, &keystream.as_ref()[KEY_LEN..]);
    for (part, pass) in rest.chunks_mut(pass_len::<V>()).zip(1..) {
        stream.generate::<V>(pass, &mut keystream, &mut Idle);
        xor(part, keystream.as_ref());
    }
}

/// Makes the key stream of the first pass and takes the one-time key from its head, which is wiped
/// there.
#[inline(always)]
fn first_pass<V: Lanes>(stream: Stream<'_>, keystream: &mut V::Keystream) -> OneTimeKey {
    stream.generate::<V>(0, keystream, &mut Idle);
    let (chunks, _) = keystream.as_mut().as_chunks_mut::<KEY_LEN>();
    let key = OneTimeKey::new(&chunks[0]);
    chunks[0].zeroize();
    key
}

/// Makes the key stream of a later pass and takes `ready`, ciphertext of the pass before, into the
/// tag.
#[inline(always)]
fn later_pass<V: Lanes, A: Authenticator<STEP>, const STEP: usize>(
    stream: Stream<'_>,
    pass: u64,
    keystream: &mut V::Keystream,
    authenticator: &mut A,
    ready: &[u8],
) {
    let (steps, _) = ready.as_chunks();
    let mut absorbing =
        Absorbing::<'_, V, A, STEP> { authenticator, steps: steps.iter(), lanes: PhantomData };
    stream.generate::<V>(pass, keystream, &mut absorbing);
    for step in absorbing.steps {
        absorbing.authenticator.absorb(step);
    }
}

/// A part of the message on its way into the tag.
struct Absorbing<'a, V, A, const STEP: usize> {
    authenticator: &'a mut A,
    steps: slice::Iter<'a, [u8; STEP]>,
    lanes: PhantomData<V>,
}

impl<V: Lanes, A: Authenticator<STEP>, const STEP: usize> SideWork for Absorbing<'_, V, A, STEP> {
    /// Takes one step of the tag after every so many of the cipher.
    ///
    /// A pass has 64 bytes for each lane and eighty steps, so eight lanes are done with 16 bytes
    /// after every second one. A single lane has too few to bother: they are taken when the pass is
    /// over.
    #[inline(always)]
    fn after_step(&mut self, step: usize) {
        let stride = const { STEP.div_ceil(V::BLOCKS) };
        if step % stride == stride - 1
            && let Some(bytes) = self.steps.next()
        {
            self.authenticator.absorb(bytes);
        }
    }
}

/// Compares in constant time; word by word, as byte by byte takes a tenth of the time of a small
/// packet.
#[inline(always)]
fn equal(tag: [u8; TAG_LEN], other: [u8; TAG_LEN]) -> bool {
    let difference = u128::from_le_bytes(tag) ^ u128::from_le_bytes(other);
    (difference as u64 | (difference >> 64) as u64).ct_eq(&0).into()
}

/// Splits at `len`, or at the end if that comes first.
#[inline(always)]
fn split(data: &mut [u8], len: usize) -> (&mut [u8], &mut [u8]) {
    data.split_at_mut(data.len().min(len))
}

/// Lays `keystream` over `data`, which is no longer.
#[inline(always)]
fn xor(data: &mut [u8], keystream: &[u8]) {
    for (byte, key) in data.iter_mut().zip(keystream) {
        *byte ^= key;
    }
}

/// Bytes of key stream that one pass makes.
#[inline(always)]
const fn pass_len<V: Lanes>() -> usize {
    64 * V::BLOCKS
}

/// Bytes at the head of the key stream that make the Poly1305 key; the message's part begins after
/// them.
const KEY_LEN: usize = 32;
