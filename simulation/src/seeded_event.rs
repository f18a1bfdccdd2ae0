//! What happens in a city from a seed, as data: made up front, and ordered by time and number.

use serde::{Deserialize, Serialize};

/// Everything that a run needs; two runs of one plan do the same to the byte.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What it was made from.
    pub seed: u64,
    /// When it begins, in Unix seconds.
    pub begins_at: u32,
    /// When faults have stopped, in Unix seconds.
    pub faults_stop_at: u32,
    /// When everything is over, in Unix seconds.
    pub ends_at: u32,
    /// The validators.
    pub gates: Vec<GatePlan>,
    /// The cards, each with its rider.
    pub cards: Vec<CardPlan>,
    /// What happens, in order of time and number.
    pub events: Vec<Event>,
}

/// A validator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatePlan {
    /// Its number.
    pub device: u32,
    /// Whose it is.
    pub operator: u16,
    /// At which stop of line 1 it stands, or the terminus that its bus begins at.
    pub stop: u16,
    /// By how much its clock is ahead of the true time, in seconds.
    pub clock_ahead_s: i64,
}

/// A card, as it is issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardPlan {
    /// Its identifier, in hexadecimal digits.
    pub uid: String,
    /// What is on it, in dong.
    pub purse: i32,
    /// What its rider is.
    pub profile: Profile,
    /// Until which service day the profile counts, in days since 2000-01-01.
    pub profile_until: u16,
    /// A pass for line 1: its first and its last service day, in days since 2000-01-01.
    pub pass: Option<(u16, u16)>,
}

/// What a rider is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Pays.
    Ordinary,
    /// Pays less for a pass, and the whole of a ride.
    Student,
    /// Rides free.
    SixtyPlus,
}

/// Something that happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The true time, in Unix seconds.
    pub at: u32,
    /// Its number: of two at one time the lower comes first.
    pub number: u32,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happens. Validators and cards are named by their places in the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// A card is presented.
    Tap(Presentation),
    /// A rider comes to the desk.
    Desk(DeskVisit),
    /// The desk sends what it did and asks for an allowance.
    DeskSync {
        /// What it sends arrives.
        arrives: bool,
        /// What is answered arrives.
        returns: bool,
    },
    /// The desk's process ends and another one takes its place.
    DeskRestart,
    /// A validator looks whether it has something to upload.
    Upload {
        /// The validator.
        gate: usize,
        /// How the upload travels.
        request: Passage,
        /// How its answer travels.
        answer: Passage,
        /// The chance that shortens the wait after a failure.
        chance: u32,
    },
    /// A validator uploads over a good link until nothing is left.
    UploadAll {
        /// The validator.
        gate: usize,
    },
    /// A validator's processes end and others take their place.
    Restart {
        /// The validator.
        gate: usize,
        /// The file with the place that uploads had come to is lost.
        cursor_lost: bool,
    },
    /// A validator's clock jumps.
    ClockJump {
        /// The validator.
        gate: usize,
        /// By how much, in seconds.
        by_s: i64,
    },
    /// A validator's clock is set to the true time.
    ClockSet {
        /// The validator.
        gate: usize,
    },
    /// A validator's disk refuses a write.
    DiskFault {
        /// The validator.
        gate: usize,
        /// Which write.
        write: LogWrite,
        /// So many more taps are written before.
        after_taps: u32,
        /// It refuses from there on, as a full disk does, and not only once.
        lasts: bool,
    },
    /// A validator's disk takes writes again.
    DiskRepair {
        /// The validator.
        gate: usize,
    },
    /// The clearing house dies in the midst of an upload.
    ClearingHouseDies {
        /// At an insert into this table.
        table: BooksTable,
        /// So many more rows are inserted there before.
        after_rows: u32,
    },
    /// The clearing house ends between uploads and starts again.
    ClearingHouseRestart,
    /// A card is put on the list of denied cards.
    Deny {
        /// The card.
        card: usize,
    },
    /// A validator gets the newest list of denied cards.
    ConfigPush {
        /// The validator.
        gate: usize,
    },
    /// A service day is closed and settled.
    Settle {
        /// The day, in days since 2000-01-01.
        day: u16,
    },
}

/// A card before a validator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Presentation {
    /// The card.
    pub card: usize,
    /// The validator.
    pub gate: usize,
    /// What goes wrong.
    pub mishap: Option<Mishap>,
    /// No other card comes at once, so that the validator writes everything to the disk.
    pub idle_after: bool,
    /// What the rider does when the answer is to present the card again, or none.
    pub again: Vec<Again>,
}

/// A card at the desk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeskVisit {
    /// The card.
    pub card: usize,
    /// What to load, in dong, where the purse holds less than `if_below`; what is open from before is settled first.
    pub amount: u32,
    /// In dong.
    pub if_below: i64,
    /// What goes wrong.
    pub mishap: Option<Mishap>,
    /// What goes wrong each time that the rider is asked to lay the card down again; then the rider leaves.
    pub again: Vec<Option<Mishap>>,
}

/// The rider tries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Again {
    /// So many seconds later.
    pub after_s: u32,
    /// At this validator.
    pub gate: usize,
    /// With this going wrong.
    pub mishap: Option<Mishap>,
}

/// What goes wrong while a card is before a validator. Exchanges count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mishap", rename_all = "snake_case")]
pub enum Mishap {
    /// The field is lost before the card acts.
    LostBefore {
        /// On this exchange.
        exchange: u32,
    },
    /// The field is lost after the card acted.
    LostAfter {
        /// On this exchange.
        exchange: u32,
    },
    /// The field is lost within an answer.
    LostInAnswer {
        /// Of this exchange.
        exchange: u32,
        /// So many bytes of it arrive.
        arrived: usize,
    },
    /// An answer never comes.
    Silent {
        /// To this exchange.
        exchange: u32,
    },
    /// An answer is changed on its way.
    Distorted {
        /// Of this exchange.
        exchange: u32,
        /// In which way.
        seed: u64,
    },
    /// The validator's process dies before it can write what came of the tap.
    ProcessDies {
        /// On this exchange; on none where the card has answered everything.
        exchange: Option<u32>,
        /// The card acts on it before.
        card_acts: bool,
    },
    /// The power goes after the answer, and takes with it what no fsync has covered.
    PowerLost,
}

/// A write to a tap log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogWrite {
    /// An intent.
    Intent,
    /// A sealed tap.
    Tap,
    /// What the clearing house said.
    Acknowledgement,
    /// How far everything is on the disk.
    Durable,
}

/// A table of the clearing house's books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BooksTable {
    /// Sealed taps.
    Tap,
    /// Entries of the ledger.
    Entry,
    /// Their postings.
    Posting,
    /// What cards prove.
    Evidence,
    /// Acknowledgements.
    Receipt,
}

/// How a message travels: each copy that arrives, by how many seconds it takes. None: it is dropped. Two: it is
/// doubled. Copies of different messages overtake each other where their times say so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Passage(pub Vec<u32>);

impl LogWrite {
    /// The table that it goes to, and the operation.
    pub(crate) fn operation(self) -> &'static str {
        match self {
            Self::Intent => "INSERT ON intent",
            Self::Tap => "INSERT ON tap",
            Self::Acknowledgement => "INSERT ON acknowledgement",
            Self::Durable => "UPDATE ON log",
        }
    }
}

impl BooksTable {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tap => "tap",
            Self::Entry => "entry",
            Self::Posting => "posting",
            Self::Evidence => "evidence",
            Self::Receipt => "receipt",
        }
    }
}
