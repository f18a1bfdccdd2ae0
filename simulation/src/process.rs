//! Programs of this workspace as child processes that end with the run.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use crate::Failed;

/// A program that runs beside the others; its standard error goes to a file. It is killed when this value goes.
#[derive(Debug)]
pub struct Program {
    name: String,
    log: PathBuf,
    child: Child,
}

impl Program {
    /// Starts a program. `log` takes its standard error, anew each time.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(name: &str, log: &Path, command: &mut Command) -> Result<Self, Failed> {
        let doing = || format!("starting {name} (log: {})", log.display());
        let file = File::options().create(true).append(true).open(log).map_err(Failed::system(doing()))?;
        let child = command.stderr(Stdio::from(file)).spawn().map_err(Failed::system(doing()))?;
        Ok(Self { name: name.to_owned(), log: log.to_owned(), child })
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of its process.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Its process.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// SIGKILL, as when the power goes.
    ///
    /// # Errors
    /// The system refuses.
    pub fn kill(mut self) -> Result<(), Failed> {
        self.child.kill().and_then(|()| self.child.wait()).map_err(Failed::system(format!("killing {}", self.name)))?;
        Ok(())
    }

    /// SIGABRT, as when a bug ends it; its name, and how it ended.
    ///
    /// # Errors
    /// The system refuses.
    pub fn abort(mut self) -> Result<(String, ExitStatus), Failed> {
        let status = signal("ABRT", &mut self.child).map_err(Failed::system(format!("aborting {}", self.name)))?;
        Ok((std::mem::take(&mut self.name), status))
    }

    /// SIGTERM; the program must end by itself with status 0.
    ///
    /// # Errors
    /// It does not end well.
    pub fn terminate(mut self) -> Result<(), Failed> {
        let status = signal("TERM", &mut self.child).map_err(Failed::system(format!("ending {}", self.name)))?;
        if status.success() {
            return Ok(());
        }
        Err(Failed::Unexpected(format!("{} ended with {status}; see {}", self.name, self.log.display())))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // A program that has ended already cannot be killed, and need not be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn signal(name: &str, child: &mut Child) -> io::Result<ExitStatus> {
    Command::new("kill").arg("-s").arg(name).arg(child.id().to_string()).status()?;
    child.wait()
}

/// A command of the clearing house whose configuration is in `folder`.
pub(crate) fn clearing_house(program: &Path, subcommand: &str, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg(subcommand).arg("--config").arg(folder.join("clearing-house.toml")).env("RUST_LOG", "error");
    command
}

/// Runs a program to its end.
///
/// # Errors
/// It does not start, or fails; the error holds what it says.
pub fn output_of(name: &str, command: &mut Command) -> Result<Output, Failed> {
    let output = command.output().map_err(Failed::system(format!("running {name}")))?;
    if output.status.success() {
        return Ok(output);
    }
    let said = [output.stdout, output.stderr].concat();
    Err(Failed::Unexpected(format!("{name}: {}: {}", output.status, String::from_utf8_lossy(&said))))
}

/// The folder of the built programs: that of the running one, or the one above for a test.
///
/// # Errors
/// The running program has no path, or a `needed` program is not beside it: build the workspace first.
pub fn programs(needed: &[&str]) -> Result<PathBuf, Failed> {
    let own = std::env::current_exe().map_err(Failed::system("finding the built programs"))?;
    let mut folder = own.parent().unwrap_or(Path::new("/"));
    if folder.file_name().is_some_and(|name| name == "deps") {
        folder = folder.parent().unwrap_or(folder);
    }
    for name in needed {
        if !folder.join(name).exists() {
            let message = format!("{name} is not in {}: run `cargo build --workspace --bins` first", folder.display());
            return Err(Failed::Unexpected(message));
        }
    }
    Ok(folder.to_owned())
}
