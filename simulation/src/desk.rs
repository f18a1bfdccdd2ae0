//! The desk of a small city: `counter`, with a reader of its own.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use virtual_card::pcscd::{PrivatePcscd, SOCKET_VARIABLE};

use crate::Failed;
use crate::city::write;
use crate::process::{Program, output_of};

/// A desk that makes cards, loads them and sells passes; its clerk is number 7.
#[derive(Debug)]
pub struct Desk {
    counter: PathBuf,
    folder: PathBuf,
    pcscd: PrivatePcscd,
}

/// The table of the clearing house's configuration that lets this desk in.
pub const REGISTRATION: &str = r#"
[[desk]]
number = 900
operator = 1
public_key = "989a5ea12227c0b1f6ca22e46ecfa859ecf764e66887b45bddcaf473b4c0eece"
daily_load_limit_minor = 20000000
"#;

/// Who made the chips of the virtual cards; its secret half is in `fixtures/keys/test-originality-key.toml`.
const MAKER: &str = "04305FEEC2CEA01829A392D4F7254D6882F999C23CAC4CD66CFCADC0F89A82F3F2E6708FACD8D6E30C6F20EF08BFA5EF8C31A1F6F344D41272";

impl Desk {
    /// A desk in `folder`, which is made. `counter` is the program.
    ///
    /// # Errors
    /// Its reader does not start, or its configuration cannot be written.
    pub fn open(
        counter: PathBuf,
        folder: PathBuf,
        fixtures: &Path,
        clearing_house: SocketAddr,
        clearing_house_key: &str,
    ) -> Result<Self, Failed> {
        fs::create_dir_all(&folder).map_err(Failed::system(format!("making {}", folder.display())))?;
        let pcscd =
            PrivatePcscd::start(&folder.join("pcscd"), None).map_err(Failed::system("starting the desk's pcscd"))?;
        let config = folder.join("counter.toml");
        let (reader, fixtures) = (&pcscd.reader_names()[0], fixtures.display());
        let text = format!(
            r#"device = 900
operator = 1
reader = "{reader}"
language = "en"
tariff = "{fixtures}/hanoi/tariff.toml"
deny_list = "{fixtures}/hanoi/deny-list.toml"
keys = "{fixtures}/keys/test-issuer-keys.toml"
keys_class = "test"
test_originality_key = "{MAKER}"
journal = "journal.db"
epoch = 1
clearing_house = "http://{clearing_house}"
clearing_house_public_key = "{clearing_house_key}"

[staff]
7 = "Nguyễn Thị Hoa"

# A shared machine may stall for longer than a desk would put up with.
[limits]
exchange_deadline_ms = 10000
"#
        );
        write(&config, &text)?;
        Ok(Self { counter, folder, pcscd })
    }

    /// Where a card is laid on its reader.
    #[must_use]
    pub fn reader(&self) -> SocketAddr {
        self.pcscd.address(0)
    }

    /// Runs a command of `counter` to its end and gives its JSON answer.
    ///
    /// # Errors
    /// It fails; the error holds what it says.
    pub fn run(&self, arguments: &str) -> Result<Value, Failed> {
        let doing = format!("counter {arguments}");
        let Output { stdout, stderr, .. } = output_of(&doing, &mut self.command(arguments))?;
        fs::write(self.folder.join("counter.log"), &stderr).map_err(Failed::system("keeping what counter says"))?;
        serde_json::from_slice(&stdout).map_err(|error| Failed::Unexpected(format!("{doing} printed no JSON: {error}")))
    }

    /// Starts a command of `counter` and leaves it at work.
    ///
    /// # Errors
    /// It does not start.
    pub fn begin(&self, arguments: &str) -> Result<Program, Failed> {
        Program::start("counter", &self.folder.join("counter.log"), self.command(arguments).stdout(Stdio::null()))
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(&self.counter);
        command.arg("--config").arg(self.folder.join("counter.toml")).arg("--json").args(arguments.split(' '));
        // Where a core image would be written, had it one.
        command.current_dir(&self.folder).env(SOCKET_VARIABLE, self.pcscd.socket());
        command
    }
}
