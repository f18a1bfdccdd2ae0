//! A validator under fire: `core` and `sync` as built, behind one reader of a private pcscd.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::{Duration, Instant};

use transit::screen::{OutOfServiceReason, Screen, State};
use transit::tap::SealedTap;
use validator::status::Status;
use virtual_card::pcscd::SOCKET_VARIABLE;

use crate::Failed;
use crate::city::write;
use crate::panel::Panel;
use crate::process::Program;
use crate::soak_shim::{FailingCall, Reached};
use crate::soak_site::{Site, core_config, sync_config};

/// How long anything may take before it counts as hanging.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// A validator with a log of its own.
#[derive(Debug)]
pub struct Gate {
    pub(crate) site: Site,
    folder: PathBuf,
    /// Its number.
    pub device: u32,
    core: Option<Program>,
    pub(crate) panel: Option<Panel>,
    sync: Option<Program>,
}

/// A fault of one process.
#[derive(Debug, Clone, Copy)]
pub enum Fire {
    /// None.
    None,
    /// A call fails, counted from the start.
    FromStart(FailingCall),
    /// A call fails, counted from [`Gate::arm`].
    WhenArmed(FailingCall),
}

impl Gate {
    /// A new validator in `folder`, with nothing in it yet.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn new(site: &Site, folder: &Path, device: u32) -> Result<Self, Failed> {
        let state = folder.join("state");
        fs::create_dir_all(&state).map_err(Failed::system(format!("making {}", state.display())))?;
        write(&folder.join("core.toml"), &core_config(site, device))?;
        write(&folder.join("sync.toml"), &sync_config(site.clearing_house))?;
        let (site, folder) = (site.clone(), folder.to_owned());
        Ok(Self { site, folder, device, core: None, panel: None, sync: None })
    }

    /// Starts the core, under fire or not, and waits until it says whether it takes cards; how long that took, or `None`
    /// where it died.
    ///
    /// # Errors
    /// It cannot be started, or hangs.
    pub fn start_core(&mut self, fire: Fire) -> Result<Option<Duration>, Failed> {
        self.disarm()?;
        let mut command = self.command("core");
        command.env(SOCKET_VARIABLE, &self.site.pcscd_socket);
        self.put_under_fire(&mut command, fire);
        let began = Instant::now();
        let mut core = Program::start("core", &self.core_log_path(), &mut command)?;
        let socket = self.folder.join("panel.sock");
        while UnixStream::connect(&socket).is_err() {
            if ended(&mut core)? {
                return Ok(None);
            }
            if began.elapsed() > PATIENCE {
                return Err(self.hangs("core does not listen"));
            }
            thread::sleep(Duration::from_millis(1));
        }
        self.panel = Some(Panel::connect("core", &socket)?);
        self.core = Some(core);
        while began.elapsed() < PATIENCE {
            let screen = match self.next_screen(Duration::from_millis(20)) {
                Ok(screen) => screen,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            };
            match screen.state {
                State::Idle => return Ok(Some(began.elapsed())),
                State::OutOfService { reason: OutOfServiceReason::Storage } => {
                    return Ok(Some(began.elapsed()));
                }
                State::OutOfService { .. }
                | State::Accepted { .. }
                | State::Attention { .. }
                | State::Declined { .. }
                | State::PresentAgain => {}
            }
        }
        Err(self.hangs("core shows nothing"))
    }

    /// Starts `sync`, under fire or not.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_sync(&mut self, fire: Fire) -> Result<(), Failed> {
        let mut command = self.command("sync");
        self.put_under_fire(&mut command, fire);
        self.sync = Some(Program::start("sync", &self.sync_log_path(), &mut command)?);
        Ok(())
    }

    /// From now on calls are counted.
    ///
    /// # Errors
    /// The mark cannot be made.
    pub fn arm(&self) -> Result<(), Failed> {
        write(&self.armed_path(), "")
    }

    /// Whether the core takes cards, as far as the screen says.
    pub fn is_in_service(&mut self) -> bool {
        let screen = self.panel.as_mut().and_then(Panel::current);
        screen.is_some_and(|screen| !matches!(screen.state, State::OutOfService { .. }))
    }

    /// Waits for a screen within `patience`.
    pub fn wait_for(&mut self, patience: Duration, is_it: impl Fn(&State) -> bool) -> bool {
        let deadline = Instant::now() + patience;
        if self.panel.as_mut().and_then(Panel::current).is_some_and(|screen| is_it(&screen.state)) {
            return true;
        }
        while let Ok(screen) = self.next_screen(deadline.saturating_duration_since(Instant::now())) {
            if is_it(&screen.state) {
                return true;
            }
        }
        false
    }

    /// SIGKILL to the core.
    ///
    /// # Errors
    /// The system refuses.
    pub fn kill_core(&mut self) -> Result<(), Failed> {
        self.core.take().map_or(Ok(()), Program::kill)
    }

    /// SIGKILL to `sync`.
    ///
    /// # Errors
    /// The system refuses.
    pub fn kill_sync(&mut self) -> Result<(), Failed> {
        self.sync.take().map_or(Ok(()), Program::kill)
    }

    /// SIGTERM to the core, SIGKILL to `sync`, which may have nothing yet that hears another: the core must end well.
    ///
    /// # Errors
    /// It does not.
    pub fn end(&mut self) -> Result<(), Failed> {
        self.panel = None;
        self.kill_sync()?;
        self.core.take().map_or(Ok(()), Program::terminate)
    }

    /// Whether the core has ended by itself, or by a call that kills.
    ///
    /// # Errors
    /// The system refuses.
    pub fn core_is_dead(&mut self) -> Result<bool, Failed> {
        self.core.as_mut().map_or(Ok(true), ended)
    }

    /// Whether `sync` has ended.
    ///
    /// # Errors
    /// The system refuses.
    pub fn sync_is_dead(&mut self) -> Result<bool, Failed> {
        self.sync.as_mut().map_or(Ok(true), ended)
    }

    /// Waits until every tap of the log is acknowledged.
    ///
    /// # Errors
    /// It is not within [`PATIENCE`]; the error says what the log holds.
    pub fn wait_until_acknowledged(&self) -> Result<Status, Failed> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.status()?;
            if status.unacknowledged == 0 && status.durable == status.taps && !status.intent {
                return Ok(status);
            }
            if Instant::now() > deadline {
                return Err(Failed::Unexpected(format!("not everything is acknowledged: {status:?}")));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// What the log holds.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn status(&self) -> Result<Status, Failed> {
        Status::read(&self.log_path()).map_err(|error| Failed::Unexpected(format!("reading the tap log: {error}")))
    }

    /// The sealed taps of the log, in order.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn taps(&self) -> Result<Vec<SealedTap>, Failed> {
        crate::soak_taps::read_taps(&self.log_path())
            .map_err(|error| Failed::Unexpected(format!("reading the tap log: {error}")))
    }

    /// The call of a process under fire that failed, where it got so far.
    #[must_use]
    pub fn reached(&self) -> Option<Reached> {
        [self.core_log_path(), self.sync_log_path()].iter().find_map(|log| Reached::find(&read_lossy(log)))
    }

    /// Lines of both processes that tell of a panic.
    #[must_use]
    pub fn panics(&self) -> Vec<String> {
        self.said().lines().filter(|line| line.contains("panicked")).map(str::to_owned).collect()
    }

    /// What core and sync have said since [`Gate::forget_said`].
    #[must_use]
    pub fn said(&self) -> String {
        [read_lossy(&self.core_log_path()), read_lossy(&self.sync_log_path())].concat()
    }

    /// Forgets what they have said.
    ///
    /// # Errors
    /// The system refuses.
    pub fn forget_said(&self) -> Result<(), Failed> {
        for log in [self.core_log_path(), self.sync_log_path()] {
            write(&log, "")?;
        }
        Ok(())
    }

    /// Where its log and the cursor of its `sync` lie.
    #[must_use]
    pub fn state_path(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// What its core is told.
    #[must_use]
    pub fn core_config_path(&self) -> PathBuf {
        self.folder.join("core.toml")
    }

    /// Where its log lies.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.folder.join("state/tap-log.db")
    }

    pub(crate) fn next_screen(&mut self, within: Duration) -> Result<Screen, RecvTimeoutError> {
        self.panel.as_mut().map_or(Err(RecvTimeoutError::Disconnected), |panel| panel.next(within))
    }

    fn put_under_fire(&self, command: &mut Command, fire: Fire) {
        let state = self.state_path();
        match fire {
            Fire::None => {}
            Fire::FromStart(call) => self.site.shim.preload(command, &state, call),
            Fire::WhenArmed(call) => self.site.shim.preload_unarmed(command, &state, call, &self.armed_path()),
        }
    }

    fn disarm(&self) -> Result<(), Failed> {
        match fs::remove_file(self.armed_path()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Failed::system("taking the mark away that counts calls")(error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn command(&self, process: &str) -> Command {
        let mut command = Command::new(self.site.programs.join("validator"));
        command.arg(process).arg("--config").arg(self.folder.join(process).with_extension("toml"));
        command.env("RUST_LOG", "warn,refinery_core=error");
        if let Some(clock) = &self.site.clock {
            clock.preload(&mut command);
        }
        command
    }

    fn hangs(&self, what: &str) -> Failed {
        Failed::Unexpected(format!("{what}; see {}", self.core_log_path().display()))
    }

    fn armed_path(&self) -> PathBuf {
        self.folder.join("armed")
    }

    fn core_log_path(&self) -> PathBuf {
        self.folder.join("core.log")
    }

    fn sync_log_path(&self) -> PathBuf {
        self.folder.join("sync.log")
    }
}

fn ended(program: &mut Program) -> Result<bool, Failed> {
    let ended = program.child().try_wait().map_err(Failed::system("looking after a process"))?;
    Ok(ended.is_some())
}

fn read_lossy(path: &Path) -> String {
    fs::read(path).map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}
