//! The walk over one message, for any vector type.
//!
//! The message is cut where the passes of the key stream end; the first pass begins with the Poly1305 key
//! and leaves 32 bytes less. While the vectors make the key stream of one pass, the scalar units take the
//! ciphertext of the pass before into the tag; either job alone would leave half of the processor idle.
//!
//! Opening decrypts each part once it is in the tag, and knows only at the end whether the tag is right. If
//! it is not, the same key stream is laid over the data again, so the caller finds the ciphertext
//! untouched; nobody else can see the buffer in between.

use crate::lanes::Lanes;
use crate::poly1305::{Accumulator, BLOCK_LEN, OneTimeKey};
use crate::salsa20::{DOUBLE_ROUNDS, Stream};
use crate::{OpenError, TAG_LEN};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// Encrypts `data` and returns its tag.
#[inline(always)]
pub(crate) fn seal<V: Lanes>(stream: Stream<'_>, data: &mut [u8]) -> [u8; TAG_LEN] {
    let mut keystream = V::keystream();
    let key = first_pass::<V>(stream, &mut keystream);
    let mut tag = Accumulator::default();
    let (mut part, mut rest) = split(data, pass_len::<V>() - KEY_LEN);
    xor(part, &keystream.as_ref()[KEY_LEN..]);
    let mut pass = 0;
    while !rest.is_empty() {
        pass += 1;
        tag = generate_and_absorb::<V>(stream, pass, &mut keystream, &key, tag, part);
        (part, rest) = split(rest, pass_len::<V>());
        xor(part, keystream.as_ref());
    }
    key.tag(tag, part)
}

/// Decrypts `data` if `tag` is right, else leaves it as it was.
#[inline(always)]
pub(crate) fn open<V: Lanes>(
    stream: Stream<'_>,
    expected: &[u8; TAG_LEN],
    data: &mut [u8],
) -> Result<(), OpenError> {
    let mut keystream = V::keystream();
    let mut next = V::keystream();
    let key = first_pass::<V>(stream, &mut keystream);
    let mut offset = KEY_LEN;
    let mut tag = Accumulator::default();
    let (mut part, mut rest) = split(data, pass_len::<V>() - KEY_LEN);
    let mut pass = 0;
    while !rest.is_empty() {
        pass += 1;
        tag = generate_and_absorb::<V>(stream, pass, &mut next, &key, tag, part);
        xor(part, &keystream.as_ref()[offset..]);
        (part, rest) = split(rest, pass_len::<V>());
        (keystream, next) = (next, keystream);
        offset = 0;
    }
    let genuine = bool::from(key.tag(tag, part).ct_eq(expected));
    xor(part, &keystream.as_ref()[offset..]);
    if !genuine {
        apply::<V>(stream, data);
        return Err(OpenError);
    }
    Ok(())
}

/// Lays the message's key stream over `data`.
#[inline(always)]
fn apply<V: Lanes>(stream: Stream<'_>, data: &mut [u8]) {
    let mut keystream = V::keystream();
    let _ = first_pass::<V>(stream, &mut keystream);
    let (part, rest) = split(data, pass_len::<V>() - KEY_LEN);
    xor(part, &keystream.as_ref()[KEY_LEN..]);
    for (part, pass) in rest.chunks_mut(pass_len::<V>()).zip(1..) {
        stream.generate::<V>(pass, &mut keystream, |_| {});
        xor(part, keystream.as_ref());
    }
}

/// Makes the key stream of the first pass and takes the one-time key from its head, which is wiped there.
#[inline(always)]
fn first_pass<V: Lanes>(stream: Stream<'_>, keystream: &mut V::Keystream) -> OneTimeKey {
    stream.generate::<V>(0, keystream, |_| {});
    let (words, _) = keystream.as_mut().as_chunks_mut::<KEY_LEN>();
    let key = OneTimeKey::new(&words[0]);
    words[0].zeroize();
    key
}

/// Makes the key stream of a later pass while taking `part`, which is a whole pass of ciphertext, into the tag.
#[inline(always)]
fn generate_and_absorb<V: Lanes>(
    stream: Stream<'_>,
    pass: u64,
    keystream: &mut V::Keystream,
    key: &OneTimeKey,
    mut tag: Accumulator,
    part: &[u8],
) -> Accumulator {
    let (blocks, _) = part.as_chunks::<BLOCK_LEN>();
    stream.generate::<V>(pass, keystream, |round| {
        let from = blocks.len() * round / DOUBLE_ROUNDS;
        let to = blocks.len() * (round + 1) / DOUBLE_ROUNDS;
        tag = key.absorb(tag, &blocks[from..to]);
    });
    tag
}

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

#[inline(always)]
const fn pass_len<V: Lanes>() -> usize {
    64 * V::BLOCKS
}

/// Bytes at the head of the key stream that make the Poly1305 key; the message's part begins after them.
const KEY_LEN: usize = 32;
