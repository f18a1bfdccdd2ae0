//! A PC/SC service of one's own, with two virtual readers: no privileged socket, no shared daemon.
//!
//! pcscd takes its socket from the caller the way systemd hands it one (LISTEN_FDS), its readers from a private
//! configuration folder, and each reader listens on a port of its own. Programs find it by the environment variable
//! [`SOCKET_VARIABLE`].

use std::{
    fs::{self, File},
    io::{self, Read},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::{fd::OwnedFd, unix::net::UnixListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Where a PC/SC client library finds the service's socket.
pub const SOCKET_VARIABLE: &str = "PCSCLITE_CSOCK_NAME";

const PCSCD: &str = "/usr/sbin/pcscd";
const DRIVER: &str = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so";
const START_DEADLINE: Duration = Duration::from_secs(10);
const ATTEMPTS: u32 = 5;

/// A running service; it ends with this value.
#[derive(Debug)]
pub struct PrivatePcscd {
    child: Child,
    socket: PathBuf,
    preload: Option<PathBuf>,
    name: String,
    port: u16,
}

impl PrivatePcscd {
    /// Starts a service whose files lie in `folder`, which it makes. `preload` is a library for the service alone,
    /// such as one that shortens its polling.
    ///
    /// # Errors
    /// pcscd or its vpcd driver is not installed, or does not start; the error says which package or which log to
    /// look at.
    pub fn start(folder: &Path, preload: Option<&Path>) -> io::Result<Self> {
        for (file, package) in [(PCSCD, "pcscd"), (DRIVER, "vsmartcard-vpcd")] {
            if !Path::new(file).exists() {
                return Err(io::Error::new(
                    io::ErrorKind::NotFound,
                    format!("{file} is missing: install the Debian package {package}"),
                ));
            }
        }
        let configuration = folder.join("reader.conf.d");
        fs::create_dir_all(&configuration)?;
        let configuration = configuration.canonicalize()?;
        let log = folder.join("pcscd.log");
        for _ in 0..ATTEMPTS {
            let port = two_free_ports()?;
            let name = format!("Cham Virtual Reader {port}");
            // The driver opens two slots: this port and the next.
            let reader =
                format!("FRIENDLYNAME \"{name}\"\nDEVICENAME /dev/null:{port}\nLIBPATH {DRIVER}\nCHANNELID {port}\n");
            fs::write(configuration.join("vpcd"), reader)?;
            let socket = folder.canonicalize()?.join("pcscd.sock");
            let child = spawn(&configuration, &socket, &log, preload)?;
            let mut service = Self { child, socket, preload: preload.map(Path::to_owned), name, port };
            // Another program may have taken a port in between: then pcscd runs on without the reader.
            if service.has_readers(&log)? {
                return Ok(service);
            }
        }
        Err(io::Error::other(format!("pcscd did not open its virtual readers; see {}", log.display())))
    }

    /// The socket, for [`SOCKET_VARIABLE`] of the programs that are to use this service.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The exact PC/SC names of the two readers.
    #[must_use]
    pub fn reader_names(&self) -> [String; 2] {
        [format!("{} 00 00", self.name), format!("{} 00 01", self.name)]
    }

    /// Where a card is laid on reader 0 or 1.
    #[must_use]
    pub fn address(&self, reader: u16) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port + reader).into()
    }

    /// The process, for whoever wants to see it die.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Starts the service anew on the same socket and the same ports after it died or was stopped.
    ///
    /// # Errors
    /// It does not start.
    pub fn restart(&mut self) -> io::Result<()> {
        self.stop();
        let folder = self.socket.parent().unwrap_or(Path::new("/"));
        let (configuration, log) = (folder.join("reader.conf.d"), folder.join("pcscd.log"));
        self.child = spawn(&configuration, &self.socket, &log, self.preload.as_deref())?;
        if self.has_readers(&log)? { Ok(()) } else { Err(io::Error::other("pcscd did not open its readers again")) }
    }

    /// Stops the service.
    pub fn stop(&mut self) {
        // SIGKILL: a service that is about to go has nothing to save, and this cannot fail to end it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn has_readers(&mut self, log: &Path) -> io::Result<bool> {
        let started = Instant::now();
        while started.elapsed() < START_DEADLINE {
            if self.child.try_wait()?.is_some() {
                return Ok(false);
            }
            // The driver listens on both ports when the readers are there; a look from outside would be a card.
            if listens(self.port)? && listens(self.port + 1)? {
                return Ok(true);
            }
            if fs::read_to_string(log).is_ok_and(|log| log.contains("Address already in use")) {
                return Ok(false);
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(false)
    }
}

impl Drop for PrivatePcscd {
    fn drop(&mut self) {
        self.stop();
    }
}

fn spawn(configuration: &Path, socket: &Path, log: &Path, preload: Option<&Path>) -> io::Result<Child> {
    if socket.exists() {
        fs::remove_file(socket)?;
    }
    let listener = UnixListener::bind(socket)?;
    let log = File::create(log)?;
    // The listener comes in as standard input and becomes descriptor 3; `exec` keeps the process, so $$ is right.
    let script = "exec 3<&0 0</dev/null; export LISTEN_PID=$$ LISTEN_FDS=1; \
                  if [ -n \"$2\" ]; then export LD_PRELOAD=\"$2\"; fi; \
                  exec /usr/sbin/pcscd --foreground --info --auto-exit --config \"$1\" $3";
    // Newer builds ask polkit for every client; a private service has nobody to ask.
    let version = Command::new(PCSCD).arg("--version").output()?;
    let no_polkit = if String::from_utf8_lossy(&version.stdout).contains("polkit") { "--disable-polkit" } else { "" };
    Command::new("/bin/sh")
        .args(["-c", script, "pcscd"])
        .arg(configuration)
        .arg(preload.unwrap_or(Path::new("")))
        .arg(no_polkit)
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
}

/// A port that is free together with the one after it.
fn two_free_ports() -> io::Result<u16> {
    for _ in 0..100 {
        let first = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        let port = first.local_addr()?.port();
        if let Some(next) = port.checked_add(1)
            && TcpListener::bind((Ipv4Addr::UNSPECIFIED, next)).is_ok()
        {
            return Ok(port);
        }
    }
    Err(io::Error::other("no two neighbouring TCP ports are free"))
}

/// Whether somebody listens on the port, by the system's own table.
fn listens(port: u16) -> io::Result<bool> {
    const LISTENING: &str = "0A";
    let mut table = String::new();
    File::open("/proc/net/tcp")?.read_to_string(&mut table)?;
    Ok(table.lines().skip(1).any(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let local = fields.next().and_then(|address| address.rsplit_once(':')).map(|(_, port)| port.to_owned());
        let state = fields.nth(1);
        local.and_then(|hex| u16::from_str_radix(&hex, 16).ok()) == Some(port) && state == Some(LISTENING)
    }))
}
