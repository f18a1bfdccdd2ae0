//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use key_store::{Custody, KeyRole};
use transit::card::Profile;
use transit::id::{CardToken, LineNumber, TapId};
use transit::time::{Month, ServiceDay};

use crate::words::Language;

/// The desk: make cards, load them, sell passes, look at cards, pay out, block and replace cards, keep the keys.
///
/// A command that needs a card asks for it on standard error and waits.
///
/// What it has done goes to standard output, for people, or with --json as one JSON object.
///
/// A card that was torn away is finished or undone by the next command that settles what is open with it.
#[derive(Debug, Parser)]
#[command(name = "counter", version, after_help = EXIT_CODES)]
pub struct Arguments {
    /// The configuration file (see counter/counter.example.toml).
    #[arg(long, short, global = true, default_value = "/etc/cham/counter.toml", value_name = "FILE")]
    pub config: PathBuf,
    /// Answer with one JSON object for a machine.
    #[arg(long, global = true)]
    pub json: bool,
    /// The language of the answer, instead of the configuration's.
    #[arg(long, global = true, value_name = "LANGUAGE")]
    pub language: Option<Language>,
    /// Read the passphrase of the key file from this open file descriptor, such as 3, instead of asking for it.
    #[arg(long, global = true, value_name = "NUMBER")]
    pub passphrase_fd: Option<i32>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program ends with, for scripts.
const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  refused; the message says what to do; what was open with the card and settled first stays settled
  2  the command line, the configuration, the keys or the journal are wrong
  3  no usable card, or no reader
  4  the card left at the wrong moment: lay the same card down again
  5  the clearing house cannot be reached, or is not believed

Manual: docs/counter.md";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a card of this system out of a blank one.
    ///
    /// Refuses a chip that is not genuine. Writes keys, files and the first record, reads everything back and refuses
    /// what is weak. A card that was torn away half-way is finished when it is laid down again.
    Issue(Issue),
    /// Take cash and load it onto a card; or give back what was paid and not loaded.
    ///
    /// What is open with the card is settled first; where that was a top-up, no more cash is taken.
    #[command(name = "top-up")]
    TopUp(TopUp),
    /// Take cash and put a monthly pass onto a card.
    ///
    /// What is open with the card is settled first; where that was a sale, no more cash is taken.
    Sell(Sell),
    /// Show what a card holds: balance, passes, last taps, and whether it would be let in.
    ///
    /// What is open with the card is settled first, which may write on it: what was paid and is not on the card is loaded
    /// now. A card without open actions is only read.
    Inspect,
    /// Read every setting of a card back and name what is weak.
    Lint,
    /// Take value off a card and give it out in cash.
    ///
    /// What is open with the card is settled first; where that was a refund, its cash is owed and nothing more is taken.
    Refund(Refund),
    /// Block a card: no validator lets it in once the deny list has reached it.
    Block(Block),
    /// Put the value of a lost, registered card onto a new one.
    ///
    /// What is open with the card is settled first.
    Transfer(Transfer),
    /// Move value and passes from an old card in one hand to a new one in the other.
    ///
    /// The old card is laid down first and emptied, then the new one; what is open with the card is settled first. An
    /// exchange that was interrupted in between goes on when its old card is laid down again, or by its name with
    /// --finish. Where a new card was torn away and does not come back, the clearing house is asked whether it has
    /// everything; if it has nothing, another new card takes it.
    Exchange(Exchange),
    /// Make, share, hand out and renew keys.
    Keys(Keys),
    /// Send actions to the clearing house, note what it says, and refill the allowance.
    Sync,
    /// Tell what the journal holds: open actions, cash, allowance.
    Status,
}

/// Who serves.
#[derive(Debug, Clone, Copy, Args)]
pub struct Staffed {
    /// The number of the clerk who is responsible.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub staff: u32,
}

/// `counter issue`.
#[derive(Debug, Args)]
pub struct Issue {
    /// Who serves.
    #[command(flatten)]
    pub by: Staffed,
    /// Who will ride with it.
    #[arg(long, default_value = "ordinary", value_parser = profile)]
    pub profile: Profile,
    /// The last service day on which the profile counts, such as 2027-08-31; needed for every profile but `ordinary`.
    #[arg(long, value_name = "DATE")]
    pub profile_until: Option<ServiceDay>,
    /// Register the card to this holder, by the number of the operator's own register, so that its value can be moved
    /// when it is lost.
    #[arg(long, value_name = "NUMBER")]
    pub holder: Option<std::num::NonZeroU64>,
}

/// `counter top-up`.
#[derive(Debug, Args)]
pub struct TopUp {
    /// Who serves.
    #[command(flatten)]
    pub by: Staffed,
    /// What was paid, in minor units of the currency (dong).
    #[arg(required_unless_present = "refund", value_parser = clap::value_parser!(u32).range(1..=0x00FF_FFFF))]
    pub amount: Option<u32>,
    /// Give back the cash of this top-up, which never reached its card; the action is written 900-1-12.
    #[arg(long, value_name = "ACTION", conflicts_with = "amount")]
    pub refund: Option<TapId>,
}

/// `counter sell`.
#[derive(Debug, Args)]
pub struct Sell {
    /// Who serves.
    #[command(flatten)]
    pub by: Staffed,
    /// Which pass.
    #[arg(long, value_enum)]
    pub pass: Pass,
    /// The line of a pass for one line.
    #[arg(long, value_name = "NUMBER", value_parser = line)]
    pub line: Option<LineNumber>,
    /// The month, such as 2026-12: this one or the next. Left out, it is the first month that the card lacks.
    #[arg(long, value_name = "MONTH")]
    pub month: Option<Month>,
}

/// The passes that are sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Pass {
    /// For one line.
    OneLine,
    /// For every line.
    AllLines,
}

/// `counter refund`.
#[derive(Debug, Args)]
pub struct Refund {
    /// Who serves.
    #[command(flatten)]
    pub by: Staffed,
    /// How much, in minor units; left out, everything that the purse holds.
    #[arg(value_parser = clap::value_parser!(u32).range(1..=0x00FF_FFFF))]
    pub amount: Option<u32>,
}

/// `counter block`.
#[derive(Debug, Args)]
pub struct Block {
    /// Who serves.
    #[command(flatten)]
    pub by: Staffed,
    /// The card, by its token as a statement or `inspect` shows it; left out, the card on the reader.
    #[arg(long, value_name = "TOKEN")]
    pub card: Option<CardToken>,
}

/// `counter transfer`.
#[derive(Debug, Args)]
pub struct Transfer {
    /// Who serves.
    #[command(flatten)]
    pub by: Staffed,
    /// The lost card, by its token; it must have been issued to a holder.
    #[arg(long, value_name = "TOKEN", required_unless_present = "holder", conflicts_with = "holder")]
    pub lost: Option<CardToken>,
    /// The holder that the lost card is registered to, by the number of the operator's own register.
    #[arg(long, value_name = "NUMBER")]
    pub holder: Option<std::num::NonZeroU64>,
}

/// `counter exchange`.
#[derive(Debug, Args)]
pub struct Exchange {
    /// Who serves.
    #[command(flatten)]
    pub by: Staffed,
    /// Go on with this interrupted exchange and its new card; the old card is not asked for.
    #[arg(long, value_name = "ACTION")]
    pub finish: Option<TapId>,
}

/// `counter keys`.
#[derive(Debug, Args)]
pub struct Keys {
    /// What to do with the keys.
    #[command(subcommand)]
    pub command: KeysCommand,
}

/// What to do with the keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Draw a new key of every role and seal them with a passphrase into a new file.
    Generate {
        /// The new file.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Whether the keys are for trying things out or guard money.
        #[arg(long, value_enum)]
        class: Class,
    },
    /// Print the keys as paper shares, of which any `--needed` bring them back.
    Split {
        /// The sealed key file.
        #[arg(long, value_name = "FILE")]
        keys: PathBuf,
        /// How many shares are printed, 2 to 16.
        #[arg(long, value_name = "NUMBER")]
        shares: u8,
        /// How many of them are needed to bring the keys back.
        #[arg(long, value_name = "NUMBER")]
        needed: u8,
    },
    /// Bring the keys back from paper shares, which are typed in (or piped, one after the other), into a new sealed file.
    Combine {
        /// The new file.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Seal the part of the keys that one place may hold into a new file.
    ///
    /// A file for a desk, an issuer or the vault gets a signing key of its own; its public half is printed, for whoever
    /// checks what it signs.
    Export {
        /// The sealed key file.
        #[arg(long, value_name = "FILE")]
        keys: PathBuf,
        /// Who will hold it: issuer, desk, validator, inspector or vault.
        #[arg(long, value_name = "PLACE")]
        to: Custody,
        /// The new file.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Add a new version of a key to a sealed file; the version before it stays in use.
    Roll {
        /// The sealed key file.
        #[arg(long, value_name = "FILE")]
        keys: PathBuf,
        /// Which key: card_master, application_master, inspect, validate, load, transaction_mac or token.
        #[arg(long, value_name = "KEY")]
        key: KeyRole,
    },
    /// Remove an older version of a key from a sealed file, once no card needs it any more.
    Retire {
        /// The sealed key file.
        #[arg(long, value_name = "FILE")]
        keys: PathBuf,
        /// Which key.
        #[arg(long, value_name = "KEY")]
        key: KeyRole,
        /// Which version of it; never the newest.
        #[arg(long, value_name = "NUMBER")]
        version: u8,
    },
    /// Show which keys a file holds, by check values that two people can read to each other.
    Show {
        /// The key file.
        #[arg(long, value_name = "FILE")]
        keys: PathBuf,
    },
    /// Lay the newest key versions in the spare key set of the card on the reader, for a tap to roll them into force.
    Load,
}

/// Whether keys are for trying things out or guard money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Class {
    /// For virtual cards and test cards.
    Test,
    /// For cards that hold money.
    Production,
}

fn line(text: &str) -> Result<LineNumber, String> {
    text.parse().map(LineNumber).map_err(|_| "a line is a number of the tariff, such as 1".to_owned())
}

/// A profile by the name that tariffs use.
fn profile(text: &str) -> Result<Profile, String> {
    let value = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(text);
    serde::Deserialize::deserialize(value).map_err(|_| {
        "a profile is ordinary, student, industrial_zone_worker, sixty_plus, under_six, merit, poor_household or disabled"
            .to_owned()
    })
}
