//! Published and recorded vectors, and every back end against two independent implementations.

use super::*;
use crypto_secretbox::aead::AeadInPlace;
use crypto_secretbox::{KeyInit, XSalsa20Poly1305};
use proptest::prelude::*;

#[cfg(target_arch = "aarch64")]
use crate::lanes::neon::Neon as FourLanes;
#[cfg(target_arch = "x86_64")]
use crate::lanes::sse2::Sse2 as FourLanes;

// Source: "Cryptography in NaCl", sections 8 to 10, which derive firstkey from the shared secret of
// Alice and Bob.
const SHARED_SECRET: &str = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
const FIRST_KEY: &str = "1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389";
const NONCE_PREFIX: &str = "69696ee955b62b73cd62bda875fc73d6";
const NONCE_SUFFIX: &str = "8219e0036b7a0b37";
const MESSAGE: &str = "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffc\
    e5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f41db66cce314adb310e3be8250c46f06dceea3a7fa134805\
    7e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd4924ca1c60902e52f0a089bc76897040e082f937763848\
    645e0705";
const CIPHERTEXT: &str = "8e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1186a\
    c0dfc17c98dce87b4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526a\
    e90224368517acfeabd6bb3732bc0e9da99832b61ca01b6de56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a\
    74e355a5";
const TAG: &str = "f3ffc7703f9400e52a7dfb4b3d3305d9";

#[test]
fn hsalsa20_derives_the_published_box_key() {
    let derived = hsalsa20(&bytes(SHARED_SECRET), &[0; 16]);

    assert_eq!(derived, bytes(FIRST_KEY));
}

#[test]
fn the_published_box_seals_and_opens() {
    let subkey = hsalsa20(&bytes(FIRST_KEY), &bytes(NONCE_PREFIX));
    let nonce = u64::from_be_bytes(bytes(NONCE_SUFFIX));
    for (name, backend) in Backend::all() {
        let cipher = Cipher { subkey: salsa20::words(&subkey), backend };
        let mut data = hex::decode(MESSAGE).unwrap();

        let tag = cipher.seal_in_place(nonce, &mut data);

        assert_eq!(hex::encode(&data), CIPHERTEXT, "{name}");
        assert_eq!(hex::encode(tag), TAG, "{name}");
        cipher.open_in_place(nonce, &tag, &mut data).unwrap();
        assert_eq!(hex::encode(&data), MESSAGE, "{name}");
    }
}

// Protocol chapter 7.4: the four bytes before the box are the type and the three numbers, of which
// the last is the nonce.
#[test]
fn recorded_traffic_opens_and_seals_again() {
    for (name, backend) in Backend::all() {
        for (shared, packet, next_public, text) in TRAFFIC {
            let cipher = Cipher::with_backend(&bytes(shared), backend);
            let packet = hex::decode(packet).unwrap();
            let nonce = u64::from(packet[3]);
            let (tag, ciphertext) = packet[4..].split_first_chunk().unwrap();
            let mut data = ciphertext.to_vec();

            cipher.open_in_place(nonce, tag, &mut data).unwrap();

            assert_eq!(hex::encode(&data[..32]), next_public, "{name}");
            assert_eq!(&data[32..], text.as_bytes(), "{name}");
            assert_eq!(cipher.seal_in_place(nonce, &mut data), *tag, "{name}");
            assert_eq!(data, ciphertext, "{name}");
        }
    }
}

// Protocol chapter 7.3: after the type and the one-time key comes a box under nonce 0; it begins
// with the signature.
#[test]
fn a_recorded_init_opens() {
    for (name, backend) in Backend::all() {
        let cipher = Cipher::with_backend(&bytes(INIT_SHARED), backend);
        let mut boxed: [u8; 160] = bytes(INIT_BOX);
        let (tag, data) = boxed.split_first_chunk_mut::<TAG_LEN>().unwrap();

        cipher.open_in_place(0, tag, data).unwrap();

        assert_eq!(hex::encode(&data[..64]), INIT_SIGNATURE, "{name}");
    }
}

#[test]
fn every_length_agrees_with_both_oracles() {
    for len in 0..=2100 {
        agrees_with_oracles(
            &[len as u8; KEY_LEN],
            0x0123_4567_89ab_cdef ^ (len as u64) << 40,
            &pattern(len),
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_key_nonce_and_length_agrees_with_both_oracles(
        key: [u8; KEY_LEN], nonce: u64, len in 0usize..=70_000,
    ) {
        agrees_with_oracles(&key, nonce, &pattern(len));
    }
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[test]
fn the_block_counter_crosses_into_its_high_word() {
    let key = std::array::from_fn(|i| i as u32);
    let stream = Stream::new(&key, 7);
    let mut expected = Vec::new();
    for block in (1 << 32) - 16..(1u64 << 32) + 16 {
        let mut keystream = [0; 64];
        stream.generate::<u32>(block, &mut keystream, &mut salsa20::Idle);
        expected.extend_from_slice(&keystream);
    }

    let mut actual = Vec::new();
    for pass in (1 << 30) - 4..(1u64 << 30) + 4 {
        let mut keystream = [0; 256];
        stream.generate::<FourLanes>(pass, &mut keystream, &mut salsa20::Idle);
        actual.extend_from_slice(&keystream);
    }

    assert!(actual == expected);
}

#[test]
fn any_flipped_bit_is_refused_and_changes_nothing() {
    // Within one pass, around the end of each back end's first pass, and several passes with a last
    // piece.
    for len in [0, 1, 100, 223, 224, 225, 480, 481, 992, 993, 1100, 2017] {
        for (name, backend) in Backend::all() {
            let cipher = Cipher::with_backend(&[9; KEY_LEN], backend);
            let mut sealed = pattern(len);
            let tag = cipher.seal_in_place(3, &mut sealed);
            for bit in 0..8 * (TAG_LEN + len) {
                let (mut tag, mut forged) = (tag, sealed.clone());
                match bit.checked_sub(8 * TAG_LEN) {
                    None => tag[bit / 8] ^= 1 << (bit % 8),
                    Some(bit) => forged[bit / 8] ^= 1 << (bit % 8),
                }
                let before = forged.clone();

                let result = cipher.open_in_place(3, &tag, &mut forged);

                assert_eq!(result, Err(OpenError), "{name}, length {len}, bit {bit}");
                assert!(forged == before, "{name}, length {len}, bit {bit}");
            }
        }
    }
}

#[test]
fn another_key_or_number_is_refused_and_changes_nothing() {
    for (name, backend) in Backend::all() {
        let mut sealed = pattern(70_000);
        let tag = Cipher::with_backend(&[1; KEY_LEN], backend).seal_in_place(5, &mut sealed);
        let before = sealed.clone();
        for (key, nonce) in [([1; KEY_LEN], 4), ([1; KEY_LEN], 5 << 56), ([2; KEY_LEN], 5)] {
            let cipher = Cipher::with_backend(&key, backend);

            assert_eq!(cipher.open_in_place(nonce, &tag, &mut sealed), Err(OpenError), "{name}");

            assert!(sealed == before, "{name}");
        }
    }
}

/// Seals with the oracles and with every back end, compares, and opens again.
fn agrees_with_oracles(key: &[u8; KEY_LEN], nonce: u64, message: &[u8]) {
    let mut long_nonce = [0; 24];
    long_nonce[16..].copy_from_slice(&nonce.to_be_bytes());
    let mut expected = message.to_vec();
    let expected_tag: [u8; TAG_LEN] = XSalsa20Poly1305::new(key.into())
        .encrypt_in_place_detached(&long_nonce.into(), b"", &mut expected)
        .unwrap()
        .into();
    #[cfg(target_os = "linux")]
    assert!(
        sodium::seal(key, &long_nonce, message) == (expected.clone(), expected_tag),
        "the oracles disagree",
    );

    for (name, backend) in Backend::all() {
        let cipher = Cipher::with_backend(key, backend);
        let mut data = message.to_vec();

        let tag = cipher.seal_in_place(nonce, &mut data);

        assert!(data == expected, "{name} seals {} bytes wrongly", message.len());
        assert_eq!(tag, expected_tag, "{name}, {} bytes", message.len());
        cipher.open_in_place(nonce, &tag, &mut data).unwrap();
        assert!(data == message, "{name} opens {} bytes wrongly", message.len());
    }
}

/// Bytes without an obvious period.
fn pattern(len: usize) -> Vec<u8> {
    (0..len as u32).map(|i| (i.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect()
}

fn bytes<const LEN: usize>(hex: &str) -> [u8; LEN] {
    hex::decode(hex).unwrap().try_into().unwrap()
}

/// libsodium as an oracle, where it builds.
#[cfg(target_os = "linux")]
mod sodium {
    use super::*;
    use libsodium_sys as ffi;

    proptest! {
        // All-ones words carry furthest through the authenticator's sums.
        #[test]
        fn extreme_one_time_keys_and_blocks_agree(
            key in extreme_bytes(32), message in extreme_bytes(80), len in 0usize..=80,
        ) {
            let key: [u8; 32] = key.try_into().unwrap();
            let message = &message[..len];

            let tag = poly1305::OneTimeKey::new(&key).tag(poly1305::Sum::default(), message);

            prop_assert_eq!(tag, one_time_tag(&key, message));
        }

        #[cfg(target_arch = "x86_64")]
        #[test]
        fn extreme_one_time_keys_and_blocks_agree_eight_at_a_time(
            key in extreme_bytes(32), message in extreme_bytes(600), len in 256usize..=600,
        ) {
            let Some(tag_of) = backend::ifma_tag() else { return Ok(()) };
            let key: [u8; 32] = key.try_into().unwrap();
            let message = &message[..len];

            prop_assert_eq!(tag_of(&key, message), one_time_tag(&key, message));
        }
    }

    /// Bytes of which many are all ones or all zeros.
    fn extreme_bytes(len: usize) -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop_oneof![4 => Just(0xff), 1 => Just(0), 1 => any::<u8>()], len)
    }

    pub(super) fn seal(
        key: &[u8; KEY_LEN],
        nonce: &[u8; 24],
        message: &[u8],
    ) -> (Vec<u8>, [u8; TAG_LEN]) {
        let (mut data, mut tag) = (message.to_vec(), [0; TAG_LEN]);
        // SAFETY: the pointers are to buffers of the lengths that the function documents; it may
        // work in place.
        unsafe {
            ffi::sodium_init();
            ffi::crypto_secretbox_detached(
                data.as_mut_ptr(),
                tag.as_mut_ptr(),
                data.as_ptr(),
                data.len() as u64,
                nonce.as_ptr(),
                key.as_ptr(),
            );
        }
        (data, tag)
    }

    fn one_time_tag(key: &[u8; 32], message: &[u8]) -> [u8; TAG_LEN] {
        let mut tag = [0; TAG_LEN];
        // SAFETY: the pointers are to buffers of the lengths that the function documents.
        unsafe {
            ffi::sodium_init();
            ffi::crypto_onetimeauth(
                tag.as_mut_ptr(),
                message.as_ptr(),
                message.len() as u64,
                key.as_ptr(),
            );
        }
        tag
    }
}

/// Shared key, packet, and what is in it: the sender's next public key and a text.
const TRAFFIC: [(&str, &str, &str, &str); 3] = [
    (
        "f75a94ddf771fd480154c2b2947f9ab66b12a6fcd390ab4544689d5ed8b9ae93",
        "030101010f25405884d8d34e0b8ffc4b1c45c8699873e200f8bba5b711b1d4c26e0e8d9805b733a1\
            e70ea6d04c0c836507f68a5fb8ccd89f5c",
        "ff2ee45601ec1b67310c7790404585ae697331eee1c1f8cf2419731c1fff3e6b",
        "\u{1}ping",
    ),
    (
        "67f7b99e303e70c871963f4dd77b6a7cae60f5737d049de16f6040fac644e94d",
        "030201011975ff35e73867e69372a4e5bdf0719673affac2d06ee5b50fe9950259e64ee52e1b9b06\
            38d70076cf455b01b89d723d316edb6e22",
        "219e4d800da968d2a5fcb009c784f4746c7138edb9ee4844b739e830b05cf424",
        "\u{1}pong",
    ),
    (
        "37c277c478c96ddcff1325c4734fbc0eadaf785bb6565ed237d3a1684d065f95",
        "03020201b2af6bb38afce82e1add63ffc8c5c812e5abc2f505deca678d7246dda9778564f85be5ef\
            5f76d56ee9da47e0bfe7b3afa5198ec45d2f",
        "a28a7c44ede257d664fbf156affa7da8abb3ae74b9fee8d7a2078543504e1a75",
        "\u{1}ping2",
    ),
];

const INIT_BOX: &str = "\
    cfd9c4b829bf0a96c5f680b517d98c523c5b030e72d386c51657092e61ea91cfc0002d138cdb58a3\
    a2b6d39002062cfaba80d770834967908d2bd5e95e968990f8e4bd1db89d5e345d8ed4e0d5979de8\
    7a6978149e22afd1b4aa74867dae310e1cb0ff343e228ad581208bb6113079dea5308ba84668f879\
    aa73ab29a42da0e20786d4e28b21f3fd08a90603194408beff6eb3fa2ce088bbd01c637955b8141d";
const INIT_SHARED: &str = "cd9f2c51dc20177b44c5d6694f3ed013ba01a78fce7cad3ecfb8663451245ff5";
const INIT_SIGNATURE: &str = "\
    70c1b6833a03ffb8cea955411040d8c0d6c06966201bac91e6307939415af5131fd30bab5b39602b\
    b11649edc4b7911c9b6f151214039c3737e401fcf25d7e0e";
