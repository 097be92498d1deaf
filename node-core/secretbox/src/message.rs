//! The walk over one message, for any vector type.
//!
//! The message is cut where the passes of the key stream end; the first pass begins with the
//! Poly1305 key and leaves 32 bytes less. While the vectors make the key stream of one pass, the
//! scalar half of the processor takes the ciphertext of the pass before into the tag.
//!
//! Opening decrypts each part but the last once it is in the tag, and then knows whether the tag is
//! right. If it is not, the same key stream is laid over those parts again, so the caller finds the
//! ciphertext as it was; nobody else can see the buffer in between. A message of one pass is not
//! touched before that.

use crate::lanes::Lanes;
use crate::poly1305::{BLOCK_LEN, OneTimeKey, Sum};
use crate::salsa20::{Idle, SideWork, Stream};
use crate::{OpenError, TAG_LEN};
use std::marker::PhantomData;
use std::slice;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// Encrypts `data` and returns its tag.
#[inline(always)]
pub(crate) fn seal<V: Lanes>(stream: Stream<'_>, data: &mut [u8]) -> [u8; TAG_LEN] {
    let mut keystream = V::keystream();
    let key = first_pass::<V>(stream, &mut keystream);
    let (mut part, mut rest) = split(data, pass_len::<V>() - KEY_LEN);
    xor(part, &keystream.as_ref()[KEY_LEN..]);
    let mut sum = Sum::default();
    let mut pass = 0;
    while !rest.is_empty() {
        pass += 1;
        sum = later_pass::<V>(stream, pass, &mut keystream, &key, sum, part);
        (part, rest) = split(rest, pass_len::<V>());
        xor(part, keystream.as_ref());
    }
    key.tag(sum, part)
}

/// Decrypts `data` if `tag` is right, else leaves it as it was.
#[inline(always)]
pub(crate) fn open<V: Lanes>(
    stream: Stream<'_>,
    tag: &[u8; TAG_LEN],
    data: &mut [u8],
) -> Result<(), OpenError> {
    let [keystream, next_keystream] = &mut [V::keystream(), V::keystream()];
    let (mut keystream, mut next_keystream) = (keystream, next_keystream);
    let key = first_pass::<V>(stream, keystream);
    let (mut part, mut rest) = split(data, pass_len::<V>() - KEY_LEN);
    let mut offset = KEY_LEN;
    let mut sum = Sum::default();
    let mut pass = 0;
    while !rest.is_empty() {
        pass += 1;
        sum = later_pass::<V>(stream, pass, next_keystream, &key, sum, part);
        xor(part, &keystream.as_ref()[offset..]);
        (keystream, next_keystream) = (next_keystream, keystream);
        (part, rest) = split(rest, pass_len::<V>());
        offset = 0;
    }
    let genuine = bool::from(key.tag(sum, part).ct_eq(tag));
    let last_len = part.len();
    if !genuine {
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

/// Makes the key stream of a later pass and takes `part`, the ciphertext of the whole pass before,
/// into the sum.
#[inline(always)]
fn later_pass<V: Lanes>(
    stream: Stream<'_>,
    pass: u64,
    keystream: &mut V::Keystream,
    key: &OneTimeKey,
    sum: Sum,
    part: &[u8],
) -> Sum {
    let (blocks, _) = part.as_chunks();
    let mut absorbing = Absorbing::<'_, V> { key, sum, blocks: blocks.iter(), lanes: PhantomData };
    stream.generate::<V>(pass, keystream, &mut absorbing);
    absorbing.blocks.fold(absorbing.sum, |sum, block| key.absorb(sum, block))
}

/// A part of the message on its way into the tag.
struct Absorbing<'a, V> {
    key: &'a OneTimeKey,
    sum: Sum,
    blocks: slice::Iter<'a, [u8; BLOCK_LEN]>,
    lanes: PhantomData<V>,
}

impl<V: Lanes> SideWork for Absorbing<'_, V> {
    /// Takes one block after every step, or after fewer where lanes are fewer.
    ///
    /// A pass has four blocks for each lane and eighty steps, so eight lanes are done with every
    /// second one. A single lane has too few to bother: they are taken when the pass is over.
    #[inline(always)]
    fn after_step(&mut self, step: usize) {
        let stride = const { 16usize.div_ceil(V::BLOCKS) };
        if step % stride == stride - 1
            && let Some(block) = self.blocks.next()
        {
            self.sum = self.key.absorb(self.sum, block);
        }
    }
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
