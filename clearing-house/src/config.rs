//! The configuration file, the key file and the tariff file: read once at start, refused whole where anything is wrong.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};

use key_store::{Custody, KeyFiles, KeySource};
use serde::Deserialize;
use transit::config::{ConfigError, KeysClass, parse};
use transit::id::{DeviceId, OperatorId};
use transit::money::Amount;
use transit::tariff::{TariffPaths, Tariffs};

use crate::deny_list::DenyList;
use crate::signer::Signer;
use crate::silence::SilenceRule;
use crate::suspense::UNKNOWN_DEADLINE_DAYS;
use crate::vault::Vault;

/// Everything that a clearing house is told from outside.
#[derive(Debug)]
pub struct Config {
    /// Where uploads are taken.
    pub listen: SocketAddr,
    /// The SQLite file of the books.
    pub database: PathBuf,
    /// The prices, each version from its day on.
    pub tariffs: Tariffs,
    /// The card keys.
    pub vault: Vault,
    /// The key under acknowledgements.
    pub signer: Signer,
    /// What becomes of a completed tap that its card does not prove.
    pub transaction_mac_policy: TransactionMacPolicy,
    /// What one operator is paid, in one day, for rides without a Transaction MAC where it is enforced: cards on EV1
    /// chips have none. 0: nothing.
    pub unproven_daily_limit: Amount,
    /// After how many days an unknown tap that nothing has decided counts as unresolved.
    pub unknown_deadline_days: NonZeroU16,
    /// When a validator counts as silent.
    pub silence: SilenceRule,
    /// Who may be owed money.
    pub operators: BTreeMap<OperatorId, String>,
    /// Whose each validator is.
    pub devices: BTreeMap<DeviceId, OperatorId>,
    /// The desks.
    pub desks: BTreeMap<DeviceId, Desk>,
    /// Cards that are denied for reasons outside of the books.
    pub deny_list: DenyList,
}

/// A desk that may upload and ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desk {
    /// Whose it is.
    pub operator: OperatorId,
    /// The Ed25519 key that it signs with.
    pub public_key: [u8; 32],
    /// By how much its allowance may grow in a service day, and the most that it may ever be ahead of the books.
    pub daily_load_limit: Amount,
    /// What it is believed, in one day, that cards without a Transaction MAC gave up where it is enforced: refunds and
    /// the old cards of exchanges. 0: nothing.
    pub unproven_daily_limit: Amount,
}

/// What becomes of a completed tap whose Transaction MAC is missing or wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransactionMacPolicy {
    /// Booked; a finding says so.
    Observe,
    /// Booked; a finding, the log and the acknowledgement say so.
    Warn,
    /// Kept aside: nobody is paid for it.
    Enforce,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    listen: SocketAddr,
    database: PathBuf,
    tariff: TariffPaths,
    keys: KeySource,
    keys_class: KeysClass,
    transaction_mac_policy: TransactionMacPolicy,
    #[serde(default)]
    unproven_daily_limit_minor: Amount,
    #[serde(default = "unknown_deadline_days")]
    unknown_deadline_days: NonZeroU16,
    #[serde(default)]
    silence: SilenceRule,
    #[serde(rename = "operator", default)]
    operators: Vec<OperatorEntry>,
    #[serde(rename = "device", default)]
    devices: Vec<DeviceEntry>,
    #[serde(rename = "desk", default)]
    desks: Vec<DeskEntry>,
    deny_list: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OperatorEntry {
    number: OperatorId,
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviceEntry {
    number: DeviceId,
    operator: OperatorId,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeskEntry {
    number: DeviceId,
    operator: OperatorId,
    public_key: String,
    daily_load_limit_minor: Amount,
    #[serde(default)]
    unproven_daily_limit_minor: Amount,
}

impl Config {
    /// Reads the configuration at `path` and the files that it names, relative to it; `credentials` is the folder of the
    /// unit's credentials, where the program runs in one.
    ///
    /// # Errors
    /// [`ConfigError`] names the file, the line where one is to blame, and what would be right.
    pub fn read(path: &Path, credentials: Option<&Path>) -> Result<Self, ConfigError> {
        let file: ConfigFile = parse(path, &read(path)?)?;
        let refuse = |message: String| ConfigError::whole_file(path, message);
        let beside = |named: &Path| path.parent().unwrap_or(Path::new("")).join(named);

        let mut operators = BTreeMap::new();
        for operator in file.operators {
            if operators.insert(operator.number, operator.name).is_some() {
                return Err(refuse(format!("operator {} is there twice", operator.number.0)));
            }
        }
        let mut devices = BTreeMap::new();
        for device in file.devices {
            if !operators.contains_key(&device.operator) {
                return Err(refuse(format!(
                    "device {} belongs to operator {}, which has no [[operator]] entry",
                    device.number, device.operator.0
                )));
            }
            if devices.insert(device.number, device.operator).is_some() {
                return Err(refuse(format!("device {} is there twice", device.number)));
            }
        }
        let mut desks = BTreeMap::new();
        for desk in file.desks {
            let number = desk.number;
            if !operators.contains_key(&desk.operator) {
                return Err(refuse(format!(
                    "desk {number} belongs to operator {}, which has no [[operator]] entry",
                    desk.operator.0
                )));
            }
            let mut public_key = [0; 32];
            hex::decode_to_slice(&desk.public_key, &mut public_key)
                .map_err(|_| refuse(format!("the `public_key` of desk {number} must be 64 hexadecimal digits")))?;
            let desk = Desk {
                operator: desk.operator,
                public_key,
                daily_load_limit: desk.daily_load_limit_minor,
                unproven_daily_limit: desk.unproven_daily_limit_minor,
            };
            if devices.contains_key(&number) || desks.insert(number, desk).is_some() {
                return Err(refuse(format!(
                    "device {number} is there twice; desks and validators share their numbers"
                )));
            }
        }
        let deny_list = match &file.deny_list {
            Some(named) => parse(&beside(named), &read(&beside(named))?)?,
            None => DenyList::default(),
        };
        let tariffs = file.tariff.within(&beside(Path::new(""))).read(read)?;
        let (vault, signer) = read_keys(path, &file.keys, credentials, file.keys_class)?;
        Ok(Self {
            listen: file.listen,
            database: beside(&file.database),
            tariffs,
            vault,
            signer,
            transaction_mac_policy: file.transaction_mac_policy,
            unproven_daily_limit: file.unproven_daily_limit_minor,
            unknown_deadline_days: file.unknown_deadline_days,
            silence: file.silence,
            operators,
            devices,
            desks,
            deny_list,
        })
    }
}

fn unknown_deadline_days() -> NonZeroU16 {
    UNKNOWN_DEADLINE_DAYS
}

fn read_keys(
    path: &Path,
    source: &KeySource,
    credentials: Option<&Path>,
    class: KeysClass,
) -> Result<(Vault, Signer), ConfigError> {
    let files = KeyFiles { configuration: path, credentials, read: &|path| std::fs::read_to_string(path) };
    let refuse = |message| ConfigError::whole_file(path, message);
    let keys = source.read(&files, class, Custody::Vault)?.ok_or_else(|| {
        refuse("`keys`: the vault checks Transaction MACs itself, with keys in a file or a credential, not in a SAM")
    })?;
    let signer = keys.signing_seed().and_then(Signer::from_seed);
    let signer = signer.ok_or_else(|| refuse("`keys`: they lack `signing_seed`, 64 hexadecimal digits"))?;
    Ok((Vault::new(keys), signer))
}

pub(crate) fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| ConfigError::whole_file(path, format!("cannot be read: {error}")))
}
