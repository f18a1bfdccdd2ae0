//! Where a validator under fire stands, and its two configuration files.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use virtual_card::pcscd::PrivatePcscd;

use crate::city::CLEARING_HOUSE_KEY;
use crate::soak_clock::JumpingClock;
use crate::soak_shim::Shim;

/// Where a validator stands and what it is told.
#[derive(Debug, Clone)]
pub struct Site {
    /// The built programs.
    pub programs: PathBuf,
    /// The cards, keys and tariff.
    pub fixtures: PathBuf,
    /// The service's socket.
    pub pcscd_socket: PathBuf,
    /// The exact name of its reader.
    pub reader_name: String,
    /// Where cards are laid on it.
    pub reader: SocketAddr,
    /// Where `sync` uploads to.
    pub clearing_house: SocketAddr,
    /// The library that makes calls fail.
    pub shim: Shim,
    /// Whether it puts up with a machine that stalls, for longer than the limits of the product.
    pub patient: bool,
    /// The wall clock of both processes, where it is not the machine's.
    pub clock: Option<JumpingClock>,
}

impl Site {
    /// At one of the two readers of a service.
    #[must_use]
    pub fn at(
        pcscd: &PrivatePcscd,
        reader: u16,
        programs: &Path,
        fixtures: &Path,
        clearing_house: SocketAddr,
        shim: &Shim,
    ) -> Self {
        Self {
            programs: programs.to_owned(),
            fixtures: fixtures.to_owned(),
            pcscd_socket: pcscd.socket().to_owned(),
            reader_name: pcscd.reader_names()[usize::from(reader)].clone(),
            reader: pcscd.address(reader),
            clearing_house,
            shim: shim.clone(),
            patient: true,
            clock: None,
        }
    }
}

pub(crate) fn core_config(site: &Site, device: u32) -> String {
    let fixtures = site.fixtures.display();
    let patience = if site.patient {
        "exchange_deadline_ms = 5000\nintent_deadline_ms = 5000\ncard_path_silent_ms = 10000\n"
    } else {
        ""
    };
    format!(
        r#"device = {device}
operator = 1
line = 1
stop = 23
reader = "{}"
tariff = "{fixtures}/hanoi/tariff.toml"
keys = "{fixtures}/keys/test-validator-keys.toml"
keys_class = "test"
log = "state/tap-log.db"
panel_socket = "panel.sock"
link_socket = "link.sock"
clearing_house_public_key = "{CLEARING_HOUSE_KEY}"

[limits]
answer_shown_ms = 60000
flush_after_idle_ms = 50
{patience}"#,
        site.reader_name
    )
}

pub(crate) fn sync_config(clearing_house: SocketAddr) -> String {
    format!(
        r#"log = "state/tap-log.db"
link_socket = "link.sock"
cursor = "state/sync-cursor.json"
clearing_house = "http://{clearing_house}"
retry_ms = [10, 50]
probe_interval_ms = 20
request_deadline_ms = 500
"#
    )
}
