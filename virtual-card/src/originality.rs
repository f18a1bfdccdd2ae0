//! The maker's signature over a chip's identifier.

use p224::ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner};

/// r ‖ s over the seven bytes of the identifier as a number, unhashed (AN12343 section 11), with the nonce of RFC 6979:
/// the same chip always has the same signature. Empty when `key` is no number of the curve.
pub(crate) fn signature(key: &[u8; 28], uid: [u8; 7]) -> Vec<u8> {
    let mut number = [0; 28];
    number[21..].copy_from_slice(&uid);
    let signed =
        SigningKey::from_bytes(key.into()).and_then(|key| PrehashSigner::<Signature>::sign_prehash(&key, &number));
    signed.map(|signature| signature.to_bytes().to_vec()).unwrap_or_default()
}
