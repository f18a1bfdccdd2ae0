//! The signature under everything that is answered.

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use transit::desk::answer_signed_bytes;
use transit::sync::signed_bytes;

/// The clearing house's Ed25519 key.
pub struct Signer(Ed25519KeyPair);

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer(..)")
    }
}

impl Signer {
    /// The key of this seed; `None` where the seed is unusable.
    pub fn from_seed(seed: &[u8; 32]) -> Option<Self> {
        Ed25519KeyPair::from_seed_unchecked(seed).ok().map(Self)
    }

    /// The public key: what a validator checks acknowledgements with.
    pub fn public_key(&self) -> [u8; 32] {
        let mut key = [0; 32];
        key.copy_from_slice(self.0.public_key().as_ref());
        key
    }

    /// The signature of the acknowledgement of this text.
    pub fn sign(&self, acknowledgement: &str) -> [u8; 64] {
        self.sign_bytes(&signed_bytes(acknowledgement))
    }

    /// The signature of the answer of this text to a desk.
    pub fn sign_answer(&self, answer: &str) -> [u8; 64] {
        self.sign_bytes(&answer_signed_bytes(answer))
    }

    fn sign_bytes(&self, bytes: &[u8]) -> [u8; 64] {
        let mut signature = [0; 64];
        signature.copy_from_slice(self.0.sign(bytes).as_ref());
        signature
    }

    /// Whether this key signed the acknowledgement of this text.
    pub fn signed(&self, acknowledgement: &str, signature: &[u8]) -> bool {
        self.signed_these(&signed_bytes(acknowledgement), signature)
    }

    /// Whether this key signed the answer of this text to a desk.
    pub fn signed_answer(&self, answer: &str, signature: &[u8]) -> bool {
        self.signed_these(&answer_signed_bytes(answer), signature)
    }

    fn signed_these(&self, bytes: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0.public_key()).verify(bytes, signature).is_ok()
    }
}
