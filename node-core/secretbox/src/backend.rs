//! The choice of vector instructions, made once per key, and the doors to the code compiled for them.

#[cfg(target_arch = "aarch64")]
use crate::lanes::neon::Neon;
use crate::lanes::portable::Portable;
use crate::salsa20::Stream;
use crate::{OpenError, TAG_LEN, message};

/// Vector instructions that this processor was found to have.
#[derive(Clone, Copy)]
pub(crate) struct Backend(Instructions);

/// Private, so that a [`Backend`] is made only by this module, after asking the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Instructions {
    #[cfg(test)]
    Scalar,
    #[cfg_attr(
        all(target_arch = "aarch64", not(test)),
        expect(dead_code, reason = "only tests go without NEON")
    )]
    Portable,
    #[cfg(target_arch = "aarch64")]
    Neon,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Backend {
    /// The fastest that this processor has. The answer is remembered, so asking again costs a few loads.
    pub(crate) fn fastest() -> Self {
        #[cfg(target_arch = "aarch64")]
        return Self(Instructions::Neon);
        #[cfg(target_arch = "x86_64")]
        if has_avx512() {
            return Self(Instructions::Avx512);
        } else if has_avx2() {
            return Self(Instructions::Avx2);
        }
        #[cfg(not(target_arch = "aarch64"))]
        Self(Instructions::Portable)
    }

    /// All that this processor can run, the slow ones too, each with its name.
    #[cfg(test)]
    pub(crate) fn all() -> Vec<(String, Self)> {
        let mut all = vec![Instructions::Scalar, Instructions::Portable];
        #[cfg(target_arch = "aarch64")]
        all.push(Instructions::Neon);
        #[cfg(target_arch = "x86_64")]
        {
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
            #[cfg(test)]
            Instructions::Scalar => message::seal::<u32>(stream, data),
            Instructions::Portable => message::seal::<Portable>(stream, data),
            #[cfg(target_arch = "aarch64")]
            Instructions::Neon => message::seal::<Neon>(stream, data),
            // SAFETY: a backend with this value is made only where the processor has the instructions.
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
            #[cfg(test)]
            Instructions::Scalar => message::open::<u32>(stream, tag, data),
            Instructions::Portable => message::open::<Portable>(stream, tag, data),
            #[cfg(target_arch = "aarch64")]
            Instructions::Neon => message::open::<Neon>(stream, tag, data),
            // SAFETY: a backend with this value is made only where the processor has the instructions.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => unsafe { x86_64::open_avx2(stream, tag, data) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => unsafe { x86_64::open_avx512(stream, tag, data) },
        }
    }
}

// BMI2 came with AVX2; it has the multiplication that the authenticator wants.
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
