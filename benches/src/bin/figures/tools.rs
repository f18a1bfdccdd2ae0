//! Programs of the system that the measurements need.

use std::{
    io,
    process::{Command, Output},
};

use benches::Failure;

/// Runs a program to its end; `package` is the Debian package to install where it is missing.
pub(crate) fn run(command: &mut Command, package: &str) -> Result<Output, Failure> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            format!("{program} is missing: install the Debian package {package}")
        } else {
            format!("{program} does not start: {error}")
        }
    })?;
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} failed ({}): {}", output.status, said.trim()).into())
}
