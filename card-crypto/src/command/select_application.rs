//! SelectApplication (5A): always in clear; ends the session and the transaction. Source: NXP AN12343.

use crate::{
    apdu::{FrameSize, exchange_command},
    command::{Command, nothing},
    error::Error,
    file::Aid,
    transport::Transport,
};

pub(crate) fn select_application<T: Transport>(
    transport: &mut T,
    frame_size: FrameSize,
    Aid(aid): Aid,
) -> Result<(), Error> {
    let answer = exchange_command(transport, frame_size, Command::SelectApplication, &aid, 0)?;
    Ok(nothing(&answer)?)
}
