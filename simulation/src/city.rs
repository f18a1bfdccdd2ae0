//! The processes of a small city: one clearing house, two validators on BRT 01, each with its upload and its screen, a
//! desk, and somebody with cards.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use validator::status::Status;
use virtual_card::pcscd::{PrivatePcscd, SOCKET_VARIABLE};

use crate::Failed;
use crate::desk::{self, Desk};
use crate::panel::{PATIENCE, Panel};
use crate::process::{Program, output_of, programs};
use crate::rider::Rider;

/// The system under one roof.
#[derive(Debug)]
pub struct City {
    folder: PathBuf,
    programs: PathBuf,
    clearing_house_address: SocketAddr,
    clearing_house: Option<Program>,
    display: Option<Display>,
    /// The validators.
    pub gates: Vec<Gate>,
    /// Where cards are made and loaded.
    pub desk: Desk,
    /// Who stands before them.
    pub rider: Rider,
    pcscd: PrivatePcscd,
}

/// A validator at a stop.
#[derive(Debug)]
pub struct Gate {
    /// What its processes are called.
    pub name: String,
    folder: PathBuf,
    core: Option<Program>,
    sync: Option<Program>,
    screen: Option<Program>,
    /// What it shows.
    pub panel: Panel,
}

/// Where a validator stands.
#[derive(Debug, Clone, Copy)]
pub struct Site {
    /// Its number.
    pub device: u32,
    /// Whose it is.
    pub operator: u16,
    /// At which stop of line 1.
    pub stop: u16,
}

/// The two validators of the demonstration: Kim Mã and Khuất Duy Tiến.
pub const SITES: [Site; 2] = [Site { device: 101, operator: 1, stop: 23 }, Site { device: 102, operator: 2, stop: 16 }];

const OPERATORS: [&str; 4] = ["Transerco BRT", "Xí nghiệp xe buýt 10-10", "Hanoi Metro", "TRAMOC"];

/// The desk's reader, to a rider: after those of the validators.
pub const DESK_READER: usize = SITES.len();

/// What the clearing house of `fixtures/keys` signs with.
pub(crate) const CLEARING_HOUSE_KEY: &str = "a2574cfc93f0ff6d0fcd292e060580ef92554b9122befa620f476862ab939454";

impl City {
    /// Starts everything in `folder`, which is emptied first. With `screens`, a window for each validator on the
    /// display that `DISPLAY` names, else on a hidden one.
    ///
    /// # Errors
    /// Something is not installed, not built, or does not start; the error names it.
    pub fn start(folder: &Path, fixtures: &Path, screens: bool) -> Result<Self, Failed> {
        let needed = ["validator", "clearing-house", "virtual-card", "counter", "ui"];
        let programs = programs(if screens { &needed } else { &needed[..4] })?;
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Failed::system(format!("emptying {}", folder.display()))(error));
            }
            Ok(()) | Err(_) => {}
        }
        let making = || Failed::system(format!("making {}", folder.display()));
        fs::create_dir_all(folder).map_err(making())?;
        let folder = folder.canonicalize().map_err(making())?;
        let fixtures = fixtures.canonicalize().map_err(Failed::system(format!("finding {}", fixtures.display())))?;
        let pcscd =
            PrivatePcscd::start(&folder.join("pcscd"), None).map_err(Failed::system("starting a private pcscd"))?;
        let display = if screens { Some(Display::find(&folder)?) } else { None };

        let clearing_house_address = free_address()?;
        let operators = (1..).zip(OPERATORS.map(str::to_owned));
        let validators = SITES.map(|Site { device, operator, .. }| (device, operator));
        let listen = clearing_house_address.to_string();
        let config = clearing_house_config((&listen, "clearing-house.sqlite"), &fixtures, operators, validators);
        write(&folder.join("clearing-house.toml"), &(config + desk::REGISTRATION))?;
        let desk = Desk::open(
            programs.join("counter"),
            folder.join("desk"),
            &fixtures,
            clearing_house_address,
            CLEARING_HOUSE_KEY,
        )?;
        let readers = [pcscd.address(0), pcscd.address(1), desk.reader()];
        let rider = Rider::start(&programs.join("virtual-card"), &readers, &fixtures, &folder.join("card.log"))?;
        let mut city = Self {
            folder,
            programs,
            clearing_house_address,
            clearing_house: None,
            display,
            gates: Vec::new(),
            desk,
            rider,
            pcscd,
        };
        city.connect_network()?;
        for (reader, site) in (0..).zip(SITES) {
            let gate = city.start_gate(reader, site, &fixtures)?;
            city.gates.push(gate);
        }
        Ok(city)
    }

    /// The network is there: the clearing house runs.
    ///
    /// # Errors
    /// It does not start.
    pub fn connect_network(&mut self) -> Result<(), Failed> {
        let mut command = Command::new(self.programs.join("clearing-house"));
        command.arg("serve").arg("--config").arg(self.folder.join("clearing-house.toml")).stdout(Stdio::null());
        let log = self.folder.join("clearing-house.log");
        self.clearing_house = Some(Program::start("clearing-house", &log, &mut command)?);
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(self.clearing_house_address).is_err() {
            if Instant::now() > deadline {
                return Err(Failed::Unexpected(format!("the clearing house does not listen; see {}", log.display())));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// The network is cut: nobody answers at the clearing house's address.
    ///
    /// # Errors
    /// It does not end well.
    pub fn cut_network(&mut self) -> Result<(), Failed> {
        self.clearing_house.take().map_or(Ok(()), Program::terminate)
    }

    /// Waits until every tap of every validator is acknowledged.
    ///
    /// # Errors
    /// They are not within [`PATIENCE`].
    pub fn wait_until_synced(&self) -> Result<(), Failed> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let waiting = self.unacknowledged()?;
            if waiting == 0 {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Failed::Unexpected(format!("{waiting} taps are not acknowledged")));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Taps of all validators that the clearing house has not acknowledged.
    ///
    /// # Errors
    /// A log cannot be read.
    pub fn unacknowledged(&self) -> Result<u32, Failed> {
        self.gates.iter().map(|gate| gate.status().map(|status| status.unacknowledged)).sum()
    }

    /// Runs a command of the clearing house, such as `settle`, and gives what it prints.
    ///
    /// # Errors
    /// It fails; the error holds what it says.
    pub fn clearing_house(&self, arguments: &[&str]) -> Result<String, Failed> {
        let mut command = Command::new(self.programs.join("clearing-house"));
        command.args(arguments).arg("--config").arg(self.folder.join("clearing-house.toml"));
        let output = output_of(&format!("clearing-house {arguments:?}"), &mut command)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Kills a validator's core, as when its power goes, and starts it anew.
    ///
    /// # Errors
    /// It cannot be killed.
    pub fn kill_core(&mut self, gate: usize) -> Result<(), Failed> {
        self.gates[gate].core.take().map_or(Ok(()), Program::kill)
    }

    /// Starts a validator's core and waits until it takes cards.
    ///
    /// # Errors
    /// It does not.
    pub fn start_core(&mut self, gate: usize) -> Result<(), Failed> {
        let program = self.core(&self.gates[gate].name, &self.gates[gate].folder)?;
        let gate = &mut self.gates[gate];
        gate.core = Some(program);
        gate.panel = Panel::connect(&gate.name, &gate.folder.join("panel.sock"))?;
        gate.panel.wait_until_idle()
    }

    /// The programs that a city would run, by name, each with its process: without who holds the cards, and pcscd.
    #[must_use]
    pub fn processes(&self) -> Vec<(&str, u32)> {
        let gates = self.gates.iter().flat_map(|gate| [&gate.core, &gate.sync, &gate.screen]);
        let programs = gates.chain([&self.clearing_house]).flatten();
        programs.map(|program| (program.name(), program.process_id())).collect()
    }

    /// Ends every program; each must end well.
    ///
    /// # Errors
    /// One does not.
    pub fn end(self) -> Result<(), Failed> {
        self.rider.end()?;
        for gate in self.gates {
            drop(gate.screen);
            for program in [gate.sync, gate.core].into_iter().flatten() {
                program.terminate()?;
            }
        }
        self.clearing_house.map_or(Ok(()), Program::terminate)
    }

    /// Aborts every program that a city would run, as a bug would, and tells how each ended.
    ///
    /// # Errors
    /// One cannot be aborted.
    pub fn abort(self) -> Result<Vec<(String, ExitStatus)>, Failed> {
        let gates = self.gates.into_iter().flat_map(|gate| [gate.core, gate.sync, gate.screen]);
        gates.chain([self.clearing_house]).flatten().map(Program::abort).collect()
    }

    fn start_gate(&self, reader: usize, site: Site, fixtures: &Path) -> Result<Gate, Failed> {
        let name = format!("validator-{}", site.device);
        let folder = self.folder.join(&name);
        fs::create_dir_all(&folder).map_err(Failed::system(format!("making {}", folder.display())))?;
        let reader_name = &self.pcscd.reader_names()[reader];
        write(&folder.join("core.toml"), &core_config(site, reader_name, fixtures))?;
        write(&folder.join("sync.toml"), &sync_config(self.clearing_house_address))?;

        let core = self.core(&name, &folder)?;
        let mut panel = Panel::connect(&name, &folder.join("panel.sock"))?;
        let screen = self.display.as_ref().map(|display| self.screen(&name, &folder, display)).transpose()?;
        let mut command = Command::new(self.programs.join("validator"));
        command.arg("sync").arg("--config").arg(folder.join("sync.toml"));
        let sync = Program::start(&format!("{name} sync"), &folder.join("sync.log"), &mut command)?;
        panel.wait_until_idle()?;
        panel.wait_until_offline_is(false)?;
        Ok(Gate { name, folder, core: Some(core), sync: Some(sync), screen, panel })
    }

    fn core(&self, name: &str, folder: &Path) -> Result<Program, Failed> {
        let mut command = Command::new(self.programs.join("validator"));
        command.arg("core").arg("--config").arg(folder.join("core.toml"));
        command.env(SOCKET_VARIABLE, self.pcscd.socket());
        Program::start(&format!("{name} core"), &folder.join("core.log"), &mut command)
    }

    fn screen(&self, name: &str, folder: &Path, display: &Display) -> Result<Program, Failed> {
        let mut command = Command::new(self.programs.join("ui"));
        command.arg("--socket").arg(folder.join("panel.sock"));
        command.arg("--screenshots").arg(self.folder.join("screens").join(name));
        command.env("DISPLAY", &display.name).env("SLINT_BACKEND", "winit-software");
        Program::start(&format!("{name} screen"), &folder.join("screen.log"), &mut command)
    }
}

impl Gate {
    /// What its tap log holds.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn status(&self) -> Result<Status, Failed> {
        let log = self.folder.join("tap-log.db");
        Status::read(&log).map_err(|error| Failed::Unexpected(format!("{} cannot be read: {error}", log.display())))
    }
}

/// Where windows open.
#[derive(Debug)]
struct Display {
    name: String,
    /// The hidden display's server, which ends with it.
    _server: Option<Program>,
}

impl Display {
    /// The display that `DISPLAY` names, else a hidden one of our own (Xvfb).
    fn find(folder: &Path) -> Result<Self, Failed> {
        if let Ok(name) = std::env::var("DISPLAY")
            && !name.is_empty()
        {
            return Ok(Self { name, _server: None });
        }
        // The server chooses a free number and writes it down.
        let mut command = Command::new("Xvfb");
        command.args(["-displayfd", "1", "-screen", "0", "1280x1024x24", "-nolisten", "tcp"]).stdout(Stdio::piped());
        let mut server = Program::start("Xvfb", &folder.join("xvfb.log"), &mut command)?;
        let mut number = String::new();
        if let Some(output) = server.child().stdout.take() {
            std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut number)
                .map_err(Failed::system("starting Xvfb"))?;
        }
        match number.trim() {
            "" => Err(Failed::Unexpected("Xvfb does not start: install the Debian package xvfb".to_owned())),
            number => Ok(Self { name: format!(":{number}"), _server: Some(server) }),
        }
    }
}

pub(crate) fn free_address() -> Result<SocketAddr, Failed> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map_err(Failed::system("finding a free port"))
}

pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failed> {
    fs::write(path, text).map_err(Failed::system(format!("writing {}", path.display())))
}

fn core_config(site: Site, reader: &str, fixtures: &Path) -> String {
    let Site { device, operator, stop } = site;
    let fixtures = fixtures.display();
    format!(
        r#"device = {device}
operator = {operator}
line = 1
stop = {stop}
reader = "{reader}"
tariff = "{fixtures}/hanoi/tariff.toml"
deny_list = "{fixtures}/hanoi/deny-list.toml"
keys = "{fixtures}/keys/test-validator-keys.toml"
keys_class = "test"
log = "tap-log.db"
panel_socket = "panel.sock"
link_socket = "link.sock"
clearing_house_public_key = "{CLEARING_HOUSE_KEY}"

# A shared machine may stall for longer than a validator would put up with.
[limits]
exchange_deadline_ms = 2000
intent_deadline_ms = 5000
card_path_silent_ms = 10000
"#
    )
}

fn sync_config(clearing_house: SocketAddr) -> String {
    format!(
        r#"log = "tap-log.db"
link_socket = "link.sock"
cursor = "sync-cursor.json"
clearing_house = "http://{clearing_house}"
retry_ms = [250, 1000]
probe_interval_ms = 500
"#
    )
}

/// The configuration of a clearing house that keeps its books in `database` and enforces Transaction MACs, for these
/// operators, by number and name, and their validators.
pub(crate) fn clearing_house_config(
    (listen, database): (&str, &str),
    fixtures: &Path,
    operators: impl IntoIterator<Item = (u16, String)>,
    validators: impl IntoIterator<Item = (u32, u16)>,
) -> String {
    let fixtures = fixtures.display();
    let mut config = format!(
        r#"listen = "{listen}"
database = "{database}"
tariff = "{fixtures}/hanoi/tariff.toml"
keys = "{fixtures}/keys/test-clearing-house-keys.toml"
keys_class = "test"
transaction_mac_policy = "enforce"
"#
    );
    for (number, name) in operators {
        config += &format!("\n[[operator]]\nnumber = {number}\nname = \"{name}\"\n");
    }
    for (device, operator) in validators {
        config += &format!("\n[[device]]\nnumber = {device}\noperator = {operator}\n");
    }
    config
}
