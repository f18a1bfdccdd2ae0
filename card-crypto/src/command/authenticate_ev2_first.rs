//! AuthenticateEV2First (71): the two frames of the mutual authentication; the arithmetic is in [`crate::auth`].
//!
//! Source: NXP AN12343, AuthenticateEV2First, table 16.

use crate::{
    apdu::{exchange_frame, wrap},
    auth::{Ev2First, Opened},
    command::Command,
    error::{Error, Misbehaviour},
    key::{Key, KeyNumber},
    transport::Transport,
    wire::exactly,
};

/// LenCap: the reader states no capabilities.
const NO_CAPABILITIES: u8 = 0x00;

pub(crate) fn authenticate_ev2_first<T: Transport>(
    transport: &mut T,
    number: KeyNumber,
    key: &Key,
    rnd_a: [u8; 16],
) -> Result<Opened, Error> {
    let command = Command::AuthenticateEv2First;
    let mut apdu = Vec::with_capacity(48);

    wrap(&mut apdu, command, &[number.get(), NO_CAPABILITIES]);
    let challenge = exchange_frame(transport, command, &apdu)?;
    if !challenge.more {
        return Err(Misbehaviour::UnexpectedFrame.into());
    }

    let handshake = Ev2First::respond(key, rnd_a, &exactly(&challenge.data)?);
    wrap(&mut apdu, Command::AdditionalFrame, handshake.cryptogram());
    let proof = exchange_frame(transport, command, &apdu)?;
    if proof.more {
        return Err(Misbehaviour::UnexpectedFrame.into());
    }
    Ok(handshake.open(&exactly(&proof.data)?, &[])?)
}
