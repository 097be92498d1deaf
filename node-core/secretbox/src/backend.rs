//! The choice of vector instructions, made once per key, and the doors to the code compiled for
//! them.

#[cfg(target_arch = "aarch64")]
use crate::lanes::neon::Neon;
#[cfg(target_arch = "x86_64")]
use crate::lanes::sse2::Sse2;
use crate::poly1305::Serial;
use crate::salsa20::Stream;
use crate::{OpenError, TAG_LEN, message};

/// Vector instructions that this processor was found to have.
#[derive(Clone, Copy)]
pub(crate) struct Backend(Instructions);

/// Private, so that a [`Backend`] is made only by this module, after asking the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Instructions {
    #[cfg_attr(
        all(any(target_arch = "x86_64", target_arch = "aarch64"), not(test)),
        expect(dead_code, reason = "only tests choose it where every processor has vectors")
    )]
    Scalar,
    #[cfg(target_arch = "aarch64")]
    Neon,
    #[cfg(target_arch = "x86_64")]
    Sse2,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx512Ifma,
}

impl Backend {
    /// The fastest that this processor has. The answer is remembered, so asking again costs a few
    /// loads.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn fastest() -> Self {
        Self(if has_avx512_ifma() {
            Instructions::Avx512Ifma
        } else if has_avx512() {
            Instructions::Avx512
        } else if has_avx2() {
            Instructions::Avx2
        } else {
            Instructions::Sse2
        })
    }

    /// The fastest that this processor has.
    #[cfg(target_arch = "aarch64")]
    pub(crate) fn fastest() -> Self {
        Self(Instructions::Neon)
    }

    /// The fastest that this processor has.
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    pub(crate) fn fastest() -> Self {
        Self(Instructions::Scalar)
    }

    /// All that this processor can run, the slow ones too, each with its name.
    #[cfg(test)]
    pub(crate) fn all() -> Vec<(String, Self)> {
        let mut all = vec![Instructions::Scalar];
        #[cfg(target_arch = "aarch64")]
        all.push(Instructions::Neon);
        #[cfg(target_arch = "x86_64")]
        {
            all.push(Instructions::Sse2);
            all.extend(has_avx2().then_some(Instructions::Avx2));
            all.extend(has_avx512().then_some(Instructions::Avx512));
            all.extend(has_avx512_ifma().then_some(Instructions::Avx512Ifma));
        }
        all.into_iter()
            .map(|instructions| (format!("{instructions:?}"), Self(instructions)))
            .collect()
    }

    #[inline]
    pub(crate) fn seal(self, stream: Stream<'_>, data: &mut [u8]) -> [u8; TAG_LEN] {
        match self.0 {
            Instructions::Scalar => message::seal::<u32, Serial, _>(stream, data),
            #[cfg(target_arch = "aarch64")]
            Instructions::Neon => message::seal::<Neon, Serial, _>(stream, data),
            #[cfg(target_arch = "x86_64")]
            Instructions::Sse2 => message::seal::<Sse2, Serial, _>(stream, data),
            // SAFETY: a backend with this value is made only where the processor has the
            // instructions.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => unsafe { x86_64::avx2::seal(stream, data) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => unsafe { x86_64::avx512::seal(stream, data) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512Ifma => unsafe { x86_64::avx512_ifma::seal(stream, data) },
        }
    }

    #[inline]
    pub(crate) fn open(
        self,
        stream: Stream<'_>,
        tag: &[u8; TAG_LEN],
        data: &mut [u8],
    ) -> Result<(), OpenError> {
        match self.0 {
            Instructions::Scalar => message::open::<u32, Serial, _>(stream, tag, data),
            #[cfg(target_arch = "aarch64")]
            Instructions::Neon => message::open::<Neon, Serial, _>(stream, tag, data),
            #[cfg(target_arch = "x86_64")]
            Instructions::Sse2 => message::open::<Sse2, Serial, _>(stream, tag, data),
            // SAFETY: a backend with this value is made only where the processor has the
            // instructions.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => unsafe { x86_64::avx2::open(stream, tag, data) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => unsafe { x86_64::avx512::open(stream, tag, data) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512Ifma => unsafe { x86_64::avx512_ifma::open(stream, tag, data) },
        }
    }
}

// Every processor with AVX2 has BMI2 too; it holds the multiplication that the authenticator wants.
#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi2")
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("bmi2")
}

#[cfg(target_arch = "x86_64")]
fn has_avx512_ifma() -> bool {
    has_avx512() && is_x86_feature_detected!("avx512ifma")
}

/// The tag under a one-time key as `Ifma` makes it, where the processor can. For the comparison
/// with libsodium, so only where that builds.
#[cfg(all(test, target_arch = "x86_64", target_os = "linux"))]
pub(crate) fn ifma_tag() -> Option<impl Fn(&[u8; 32], &[u8]) -> [u8; TAG_LEN]> {
    use crate::poly1305::{Authenticator, OneTimeKey, ifma::Ifma};

    #[target_feature(enable = "avx512f,avx512ifma,bmi2")]
    fn tag(key: &[u8; 32], message: &[u8]) -> [u8; TAG_LEN] {
        let (lead, rest) = message.split_at(Ifma::LEAD_LEN);
        Ifma::new(OneTimeKey::new(key), lead).tag(rest)
    }

    has_avx512_ifma().then_some(|key: &[u8; 32], message: &[u8]| {
        // SAFETY: the processor was found to have the instructions.
        unsafe { tag(key, message) }
    })
}

/// The same code once for each instruction set: what is inlined here is compiled for it.
#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::{OpenError, Serial, Stream, TAG_LEN, message};
    use crate::lanes::avx2::Avx2;
    use crate::lanes::avx512::{Avx512, Avx512Pair};
    use crate::poly1305::ifma::Ifma;

    macro_rules! doors {
        (
            $name:ident, $features:literal, $authenticator:ty, $lanes:ty $(, one_pass: $short:ty)?
        ) => {
            pub(super) mod $name {
                use super::*;

                #[target_feature(enable = $features)]
                pub(crate) fn seal(stream: Stream<'_>, data: &mut [u8]) -> [u8; TAG_LEN] {
                    $(if message::is_one_pass::<$short>(data) {
                        return message::seal::<$short, $authenticator, _>(stream, data);
                    })?
                    message::seal::<$lanes, $authenticator, _>(stream, data)
                }

                #[target_feature(enable = $features)]
                pub(crate) fn open(
                    stream: Stream<'_>,
                    tag: &[u8; TAG_LEN],
                    data: &mut [u8],
                ) -> Result<(), OpenError> {
                    $(if message::is_one_pass::<$short>(data) {
                        return message::open::<$short, $authenticator, _>(stream, tag, data);
                    })?
                    message::open::<$lanes, $authenticator, _>(stream, tag, data)
                }
            }
        };
    }

    doors!(avx2, "avx2,bmi2", Serial, Avx2);
    doors!(avx512, "avx512f,bmi2", Serial, Avx512);
    doors!(avx512_ifma, "avx512f,avx512ifma,bmi2", Ifma, Avx512Pair, one_pass: Avx512);
}
