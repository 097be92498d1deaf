//! The choice of vector instructions, made once per key, and the doors to the code compiled for
//! them.

#[cfg(target_arch = "aarch64")]
use crate::lanes::neon::Neon;
#[cfg(target_arch = "x86_64")]
use crate::lanes::sse2::Sse2;
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
}

impl Backend {
    /// The fastest that this processor has. The answer is remembered, so asking again costs a few
    /// loads.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn fastest() -> Self {
        Self(if has_avx512() {
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
        }
        all.into_iter()
            .map(|instructions| (format!("{instructions:?}"), Self(instructions)))
            .collect()
    }

    #[inline]
    pub(crate) fn seal(self, stream: Stream<'_>, data: &mut [u8]) -> [u8; TAG_LEN] {
        match self.0 {
            Instructions::Scalar => message::seal::<u32>(stream, data),
            #[cfg(target_arch = "aarch64")]
            Instructions::Neon => message::seal::<Neon>(stream, data),
            #[cfg(target_arch = "x86_64")]
            Instructions::Sse2 => message::seal::<Sse2>(stream, data),
            // SAFETY: a backend with this value is made only where the processor has the
            // instructions.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => unsafe { x86_64::seal_avx2(stream, data) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => unsafe { x86_64::seal_avx512(stream, data) },
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
            Instructions::Scalar => message::open::<u32>(stream, tag, data),
            #[cfg(target_arch = "aarch64")]
            Instructions::Neon => message::open::<Neon>(stream, tag, data),
            #[cfg(target_arch = "x86_64")]
            Instructions::Sse2 => message::open::<Sse2>(stream, tag, data),
            // SAFETY: a backend with this value is made only where the processor has the
            // instructions.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => unsafe { x86_64::open_avx2(stream, tag, data) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => unsafe { x86_64::open_avx512(stream, tag, data) },
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

/// The same code once for each instruction set: what is inlined here is compiled for it.
#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::{OpenError, Stream, TAG_LEN, message};
    use crate::lanes::avx2::Avx2;
    use crate::lanes::avx512::Avx512;

    #[target_feature(enable = "avx2,bmi2")]
    pub(super) fn seal_avx2(stream: Stream<'_>, data: &mut [u8]) -> [u8; TAG_LEN] {
        message::seal::<Avx2>(stream, data)
    }

    #[target_feature(enable = "avx2,bmi2")]
    pub(super) fn open_avx2(
        stream: Stream<'_>,
        tag: &[u8; TAG_LEN],
        data: &mut [u8],
    ) -> Result<(), OpenError> {
        message::open::<Avx2>(stream, tag, data)
    }

    #[target_feature(enable = "avx512f,bmi2")]
    pub(super) fn seal_avx512(stream: Stream<'_>, data: &mut [u8]) -> [u8; TAG_LEN] {
        message::seal::<Avx512>(stream, data)
    }

    #[target_feature(enable = "avx512f,bmi2")]
    pub(super) fn open_avx512(
        stream: Stream<'_>,
        tag: &[u8; TAG_LEN],
        data: &mut [u8],
    ) -> Result<(), OpenError> {
        message::open::<Avx512>(stream, tag, data)
    }
}
