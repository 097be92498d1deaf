//! Fast sessions by the document (`docs/fast-session.md`): a second implementation of the key
//! schedule and of packets, written from the document alone, against the vectors, and the vectors
//! against this crate.

use core::convert::Infallible;

use ml_kem::{
    kem::{Decapsulate, KeyExport},
    ml_kem_768::{Ciphertext, DecapsulationKey},
};
use planetary_proto::{
    NodeKey,
    session::{FAST_HEAD_LEN, FastKeys, Offered, Parties, Suites, answer_offer},
};
use rand_core::{TryCryptoRng, TryRng};
use ring::aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha512};
use x25519_dalek::{PublicKey, StaticSecret};

const PLAIN: &[u8] = b"\x01an IPv6 packet would stand here";
const SUITES: [(&str, bool); 2] = [("aes-256-gcm", true), ("chacha20-poly1305", false)];

fn path() -> String {
    format!("{}/tests/fast-session-vectors.json", env!("CARGO_MANIFEST_DIR"))
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("a text");
    let digit = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(digit).collect()
}

/// Bytes that count on from the first one.
fn counting<const LEN: usize>(from: u8) -> [u8; LEN] {
    core::array::from_fn(|at| from.wrapping_add(at as u8))
}

// ---- this crate ----

/// Gives the bytes that it was given.
struct Script(Vec<u8>);

impl TryRng for Script {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("only bytes are drawn")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("only bytes are drawn")
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        let rest = self.0.split_off(bytes.len());
        bytes.copy_from_slice(&self.0);
        self.0 = rest;
        Ok(())
    }
}

impl TryCryptoRng for Script {}

fn seal(keys: &FastKeys) -> Vec<u8> {
    let mut buffer = [&[0; FAST_HEAD_LEN], PLAIN].concat();
    assert_eq!(keys.sealer.seal(&mut buffer, FAST_HEAD_LEN), Some(0));
    buffer
}

/// The vector of one suite, as this crate computes it.
fn vector(name: &str, has_aes: bool) -> Value {
    let (offerer, answerer) = (counting::<32>(0x10), counting::<32>(0x50));
    let parties =
        Parties { offerer: NodeKey::from_bytes(offerer), answerer: NodeKey::from_bytes(answerer) };
    let (offerer_x25519, kem_seed) = (counting::<32>(0x80), counting::<64>(0xa0));
    let (answerer_x25519, kem_message) = (counting::<32>(0xc0), counting::<32>(0xe0));
    let script = [&offerer_x25519[..], &kem_seed].concat();
    let offered = Offered::new(7, Suites::fast_with(has_aes), &mut Script(script));
    let script = [&answerer_x25519[..], &kem_message].concat();
    let (answer, far) = answer_offer(offered.message(), &parties, Suites::ALL, &mut Script(script))
        .expect("an honest offer");
    let own = offered.accept(&answer[..], &parties).expect("an honest answer");
    json!({
        "suite": name,
        "offerer_key": hex(offerer),
        "answerer_key": hex(answerer),
        "offerer_x25519_secret": hex(offerer_x25519),
        "offerer_kem_seed": hex(kem_seed),
        "answerer_x25519_secret": hex(answerer_x25519),
        "answerer_kem_message": hex(kem_message),
        "offer": hex(offered.message()),
        "answer": hex(&answer[..]),
        "plain": hex(PLAIN),
        "offerer_packets": [hex(seal(&own)), hex(seal(&own))],
        "answerer_packets": [hex(seal(&far))],
    })
}

#[test]
fn the_vectors_are_what_this_crate_computes() {
    let vectors: Vec<Value> = SUITES.iter().map(|(name, aes)| vector(name, *aes)).collect();
    if std::env::var_os("PLANETARY_UPDATE_DOCS").is_some() {
        let text = serde_json::to_string_pretty(&vectors).unwrap();
        std::fs::write(path(), text + "\n").unwrap();
    }
    let text = std::fs::read_to_string(path()).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), Value::Array(vectors));
}

// ---- the document ----

/// RFC 2104 over SHA-512.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 64] {
    let mut block = [0; 128];
    if key.len() > block.len() {
        block[..64].copy_from_slice(&Sha512::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha512::digest([&block.map(|byte| byte ^ 0x36)[..], message].concat());
    Sha512::digest([&block.map(|byte| byte ^ 0x5c)[..], &inner].concat()).into()
}

/// RFC 5869, for at most one block of output.
fn expand(extracted: &[u8], label: &str, len: usize) -> Vec<u8> {
    hmac(extracted, &[label.as_bytes(), &[1]].concat())[..len].to_vec()
}

fn open(suite: &str, material: &[u8], packet: &[u8]) -> Vec<u8> {
    let (key, iv) = material.split_at(32);
    let algorithm = if suite == "aes-256-gcm" { &AES_256_GCM } else { &CHACHA20_POLY1305 };
    let key = LessSafeKey::new(UnboundKey::new(algorithm, key).expect("32 bytes"));
    let mut nonce: [u8; 12] = iv.try_into().expect("12 bytes");
    for (at, byte) in packet[2..8].iter().enumerate() {
        nonce[6 + at] ^= byte;
    }
    // This library wants the tag behind the text.
    let mut text = [&packet[24..], &packet[8..24]].concat();
    let aad = Aad::from(&packet[..8]);
    let nonce = Nonce::assume_unique_for_key(nonce);
    key.open_in_place(nonce, aad, &mut text).expect("the packet is authentic").to_vec()
}

#[test]
fn a_second_implementation_comes_to_the_same_keys_and_packets() {
    let text = std::fs::read_to_string(path()).unwrap();
    let vectors: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(vectors.len(), SUITES.len());
    for (vector, (suite, has_aes)) in vectors.iter().zip(SUITES) {
        let get = |name: &str| unhex(&vector[name]);
        let (offer, answer) = (get("offer"), get("answer"));
        assert_eq!((offer.len(), answer.len()), (1220, 1156));

        // Offer: version, generation, suites, fast, X25519, ML-KEM-768.
        assert_eq!(offer[..4], [1, 7, 3, if has_aes { 3 } else { 2 }]);
        let secret = |name: &str| {
            let bytes: [u8; 32] = get(name).try_into().unwrap();
            StaticSecret::from(bytes)
        };
        let own = secret("offerer_x25519_secret");
        assert_eq!(offer[4..36], PublicKey::from(&own).to_bytes());
        let seed: [u8; 64] = get("offerer_kem_seed").try_into().unwrap();
        let kem = DecapsulationKey::from_seed(seed.into());
        assert_eq!(offer[36..], kem.encapsulation_key().to_bytes()[..]);

        // Answer: version, generation, suite, zero, X25519, ciphertext, confirmation.
        assert_eq!(answer[..4], [1, 7, if has_aes { 1 } else { 2 }, 0]);
        let far = PublicKey::from(&secret("answerer_x25519_secret"));
        assert_eq!(answer[4..36], far.to_bytes());
        let ciphertext = Ciphertext::try_from(&answer[36..1124]).unwrap();

        let agreed = own.diffie_hellman(&far);
        let encapsulated = kem.decapsulate(&ciphertext);
        let transcript = [
            b"planetary fast session 1",
            &get("offerer_key")[..],
            &get("answerer_key"),
            &offer,
            &answer[..1124],
        ]
        .concat();
        let salt = Sha512::digest(transcript);
        let extracted = hmac(&salt, &[&agreed.as_bytes()[..], &encapsulated[..]].concat());
        assert_eq!(expand(&extracted, "confirmation", 32), answer[1124..]);

        for (who, packets) in [("offerer", "offerer_packets"), ("answerer", "answerer_packets")] {
            let material = expand(&extracted, who, 44);
            for (number, packet) in (1u64..).zip(vector[packets].as_array().unwrap()) {
                let packet = unhex(packet);
                let head = 0x50 << 56 | 7 << 48 | number;
                assert_eq!(packet[..8], u64::to_be_bytes(head));
                assert_eq!(hex(open(suite, &material, &packet)), vector["plain"]);
            }
        }
    }
}
