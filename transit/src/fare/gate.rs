//! Where a validator stands between outside and inside.

use serde::{Deserialize, Serialize};

/// What a validator lets riders do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Gate {
    /// Its way.
    pub kind: GateKind,
    /// Something has happened at this place, such as an evacuation: nobody pays a penalty here.
    pub incident: bool,
}

/// The way of a validator. On lines where a boarding has its price alone every one is an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateKind {
    /// In.
    #[default]
    Entry,
    /// Out.
    Exit,
    /// Out for a card with an open journey that can end here, in for any other.
    Both,
}

const INCIDENT: u8 = 4;

impl Gate {
    /// A way in, where nothing has happened.
    pub const ENTRY: Self = Self { kind: GateKind::Entry, incident: false };

    /// As a sealed tap has it.
    pub(crate) fn code(self) -> u8 {
        self.kind as u8 | if self.incident { INCIDENT } else { 0 }
    }

    /// The gate of this code.
    pub(crate) fn of(code: u8) -> Option<Self> {
        let kind = match code & !INCIDENT {
            0 => GateKind::Entry,
            1 => GateKind::Exit,
            2 => GateKind::Both,
            _ => return None,
        };
        Some(Self { kind, incident: code & INCIDENT != 0 })
    }
}
