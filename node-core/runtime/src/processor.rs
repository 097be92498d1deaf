//! What this machine's processor does fast.

use planetary_proto::session::Suites;

/// The ciphers of fast sessions that are fast here.
pub(crate) fn fast_suites() -> Suites {
    Suites::fast_with(has_aes_instructions())
}

/// Instructions for AES and for the carry-less multiplication that GCM needs.
#[cfg(target_arch = "x86_64")]
fn has_aes_instructions() -> bool {
    std::arch::is_x86_feature_detected!("aes") && std::arch::is_x86_feature_detected!("pclmulqdq")
}

/// Instructions for AES and for the carry-less multiplication that GCM needs.
#[cfg(target_arch = "aarch64")]
fn has_aes_instructions() -> bool {
    std::arch::is_aarch64_feature_detected!("aes")
        && std::arch::is_aarch64_feature_detected!("pmull")
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn has_aes_instructions() -> bool {
    false
}
