//! Rows that name the row before them: who changes one must change all that follow.

use ring::digest::{Context, Digest, SHA256};

/// The link that the first row of a chain names.
pub(crate) const START: [u8; 32] = [0; 32];

/// SHA-256 over the link before and the fields of a row, each with its length before it.
pub(crate) fn link(previous: &[u8; 32], fields: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(previous);
    for field in fields {
        context.update(&field.len().to_be_bytes());
        context.update(field);
    }
    to_array(&context.finish())
}

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    to_array(&ring::digest::digest(&SHA256, bytes))
}

fn to_array(digest: &Digest) -> [u8; 32] {
    let mut array = [0; 32];
    array.copy_from_slice(digest.as_ref());
    array
}
