//! Runs one command: opens what it needs, asks for the card, does it, answers.

use std::fs;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use counter::arguments::{Arguments, Block, Class, Command, KeysCommand, Pass, Sell, Transfer};
use counter::ceremony::{self, CeremonyError};
use counter::config::DeskConfig;
use counter::desk::{Desk, Rules, Serving};
use counter::journal::{Journal, JournalError};
use counter::keys::{self, NoKeys};
use counter::lint::lint;
use counter::open_action::{OpenState, open_actions};
use counter::personalise::Person;
use counter::prompt::{self, Prompt};
use counter::refusal::{DeskError, Refusal};
use counter::report::{Answer, KeyList, Open, Report, Speaker, Status};
use counter::sale::Wanted;
use counter::session::{CardError, Random};
use counter::settle::{Resumed, ResumedOutcome};
use counter::uplink::{Uplink, UplinkError};
use counter::words::Language;
use key_store::Keys;
use reader::{NoCard, Presented};
use ring::rand::{SecureRandom, SystemRandom};
use transit::action::ActionKind;
use transit::card::ProductKind;
use transit::config::{ConfigError, KeysClass};
use transit::desk::Lost;
use transit::id::{HolderReference, LineNumber, TapId};
use transit::money::Amount;
use transit::time::Moment;

use crate::{Failed, NO_CARD, NO_CLEARING_HOUSE, PRESENT_AGAIN, REFUSED, WRONG_SETUP};

/// Runs one command and prints its answer.
pub(crate) fn run(arguments: Arguments) -> Result<(), Failed> {
    let mut prompt = Prompt::new(arguments.passphrase_fd).map_err(|error| Failed::new(WRONG_SETUP, error))?;
    if let Command::Keys(keys) = &arguments.command
        && !matches!(keys.command, KeysCommand::Load)
    {
        return ceremony_of(&keys.command, arguments.json, &mut prompt);
    }
    let at_desk = AtDesk::open(&arguments, &mut prompt)?;
    at_desk.run(arguments)
}

/// A desk with its reader and its way to the clearing house.
struct AtDesk {
    config: DeskConfig,
    desk: Desk<Keys>,
    reader: Option<reader::Desk>,
    language: Language,
    is_json: bool,
}

impl AtDesk {
    fn open(arguments: &Arguments, prompt: &mut Prompt) -> Result<Self, Failed> {
        let path = &arguments.config;
        let config = DeskConfig::load(path)?;
        let tariffs = config.tariffs()?;
        let originality_keys = keys::originality_keys(path, &config)?;
        let (keys, signer) = keys::load(path, &config, prompt)?;
        let (journal, adopted) = Journal::open(&config.journal, config.device, config.epoch, signer)?;
        if let Some(step) = adopted {
            prompt::tell(&format!(
                "The program died while it wrote {}: whether the card has it is not known. Lay that card down to know.",
                step.names.unwrap_or(step.id)
            ));
        }
        let rules = Rules {
            operator: config.operator,
            tariffs,
            clearing_house_public_key: config.clearing_house_public_key,
            originality_keys,
            deny_list: config.deny_list()?,
        };
        let language = arguments.language.unwrap_or(config.language);
        let desk = Desk { rules, keys, journal };
        Ok(Self { config, desk, reader: None, language, is_json: arguments.json })
    }

    fn run(mut self, arguments: Arguments) -> Result<(), Failed> {
        let mut resumed = Vec::new();
        match self.obey(arguments.command, now(), &mut resumed) {
            Ok(report) => self.print(&Answer { resumed, report }),
            // What was settled stays settled, and cash may have to be paid out for it: it is told all the same.
            Err(failed) => {
                if !self.is_json && !resumed.is_empty() {
                    self.print(&Answer { resumed: resumed.clone(), report: Report::Resumed })?;
                }
                Err(Failed { resumed, ..failed })
            }
        }
    }

    fn obey(&mut self, command: Command, at: Moment, resumed: &mut Vec<Resumed>) -> Result<Report, Failed> {
        let report = match command {
            Command::Status => self.status()?,
            Command::Sync => Report::Synced(self.uplink()?.sync(&mut self.desk.journal, at)?),
            Command::Keys(_) => {
                let mut card = self.card("thẻ", "the card")?;
                self.desk.load_key_set(&mut card.field, &card.uid, &mut random)?
            }
            Command::Lint => {
                let mut card = self.card("thẻ", "the card")?;
                let (uid, _) = self.desk.token(&card.uid)?;
                Report::Linted { findings: lint(&mut card.field, &uid, &mut self.desk.keys, &mut random)? }
            }
            Command::Inspect => {
                let mut card = self.card("thẻ", "the card")?;
                let serving = Serving { staff: 0, at };
                self.desk.settle(&mut card.field, &card.uid, serving, &mut random, resumed)?;
                self.desk.inspect(&mut card.field, &card.uid, at, &mut random)?
            }
            Command::Issue(issue) => {
                let serving = self.serving(issue.by.staff, at)?;
                let person = Person {
                    profile: issue.profile,
                    profile_valid_until: issue.profile_until,
                    holder: issue.holder.map(HolderReference),
                };
                let mut card = self.card("thẻ trắng", "a blank card")?;
                self.desk.issue(&mut card.field, &card.uid, person, serving, &mut random)?
            }
            Command::TopUp(top_up) => {
                let serving = self.serving(top_up.by.staff, at)?;
                match (top_up.refund, top_up.amount) {
                    (Some(action), _) => self.give_back(action, serving)?,
                    (None, amount) => {
                        let amount = Amount::from(amount.unwrap_or_default());
                        self.on_card(ActionKind::TopUp, serving, resumed, |desk, card, random| {
                            desk.top_up(&mut card.field, &card.uid, amount, serving, random)
                        })?
                    }
                }
            }
            Command::Sell(sell) => {
                let serving = self.serving(sell.by.staff, at)?;
                let wanted = wanted(&sell);
                self.on_card(ActionKind::Sale, serving, resumed, |desk, card, random| {
                    desk.sell(&mut card.field, &card.uid, wanted, serving, random)
                })?
            }
            Command::Refund(refund) => {
                let serving = self.serving(refund.by.staff, at)?;
                let amount = refund.amount.map(Amount::from);
                self.on_card(ActionKind::Refund, serving, resumed, |desk, card, random| {
                    desk.refund(&mut card.field, &card.uid, amount, serving, random)
                })?
            }
            Command::Block(Block { by, card }) => {
                let serving = self.serving(by.staff, at)?;
                let card = match card {
                    Some(card) => card,
                    None => {
                        let presented = self.card("thẻ cần khóa", "the card to be blocked")?;
                        self.desk.token(&presented.uid)?.1
                    }
                };
                self.desk.block(card, serving)?
            }
            Command::Transfer(transfer) => self.transfer(&transfer, at, resumed)?,
            Command::Exchange(exchange) => {
                let serving = self.serving(exchange.by.staff, at)?;
                self.exchange(exchange.finish, serving, resumed)?
            }
        };
        Ok(report)
    }

    /// A command on a card, whose open actions are settled first. Where one of the same kind was open, that was what the
    /// rider paid for: nothing more is taken.
    fn on_card(
        &mut self,
        kind: ActionKind,
        serving: Serving,
        resumed: &mut Vec<Resumed>,
        work: impl FnOnce(&mut Desk<Keys>, &mut Presented, Random<'_>) -> Result<Report, DeskError>,
    ) -> Result<Report, Failed> {
        let mut card = self.card("thẻ", "the card")?;
        self.desk.settle(&mut card.field, &card.uid, serving, &mut random, resumed)?;
        let is_it = |resumed: &&Resumed| {
            resumed.kind == kind && matches!(resumed.outcome, ResumedOutcome::Found | ResumedOutcome::Finished)
        };
        if resumed.iter().find(is_it).is_some() {
            return Ok(Report::Resumed);
        }
        Ok(work(&mut self.desk, &mut card, &mut random)?)
    }

    fn give_back(&mut self, action: TapId, serving: Serving) -> Result<Report, Failed> {
        let unknown =
            open_actions(&self.desk.journal.of_action(action)?).into_iter().find_map(|open| match open.state {
                OpenState::Unknown(step) => Some(step.id),
                OpenState::Paid | OpenState::HalfMoved(_) => None,
            });
        let mut written = None;
        if let Some(step) = unknown {
            written = self.ask_of(step, serving.at)?;
        }
        Ok(self.desk.give_back(action, |_| written, serving)?)
    }

    /// What the clearing house knows of an unknown step, which it must have before it can say anything of it.
    fn ask_of(&mut self, step: TapId, at: Moment) -> Result<Option<bool>, Failed> {
        let uplink = self.uplink()?;
        let word =
            uplink.sync(&mut self.desk.journal, at).and_then(|_| uplink.is_written(&self.desk.journal, step, at));
        word.map_err(|error| {
            let Failed { exit_code, error, .. } = error.into();
            Failed::new(exit_code, NoWord { step, source: error })
        })
    }

    fn transfer(&mut self, transfer: &Transfer, at: Moment, resumed: &mut Vec<Resumed>) -> Result<Report, Failed> {
        let serving = self.serving(transfer.by.staff, at)?;
        let lost = match (transfer.lost, transfer.holder) {
            (Some(lost), _) => Lost::Card(lost),
            (None, Some(holder)) => Lost::Holder(HolderReference(holder)),
            (None, None) => return Err(Failed::new(WRONG_SETUP, "name the lost card with --lost or --holder")),
        };
        let mut card = self.card("thẻ mới", "the new card")?;
        self.desk.settle(&mut card.field, &card.uid, serving, &mut random, resumed)?;
        let (_, token) = self.desk.token(&card.uid)?;
        let grant = match self.desk.kept_grant(lost, token)? {
            Some(grant) => grant,
            None => {
                let uplink = self.uplink()?;
                uplink.sync(&mut self.desk.journal, at)?;
                uplink.grant(&mut self.desk.journal, lost, token, at)?
            }
        };
        Ok(self.desk.transfer(&mut card.field, &card.uid, &grant, serving, &mut random)?)
    }

    fn exchange(
        &mut self,
        finish: Option<TapId>,
        serving: Serving,
        resumed: &mut Vec<Resumed>,
    ) -> Result<Report, Failed> {
        let exchange = match finish {
            Some(named) => self.desk.waiting_exchange(named)?,
            None => {
                for waiting in self.desk.waiting_exchanges()? {
                    prompt::tell(&match self.language {
                        Language::Vi => format!("Đổi thẻ {0} đang chờ thẻ mới: --finish {0}", waiting.id),
                        Language::En => format!("Exchange {0} waits for its new card: --finish {0}", waiting.id),
                    });
                }
                // Whoever stands here now need not be whose exchange waits: the old card says.
                let mut old = self.card("thẻ cũ", "the old card")?;
                self.desk.settle(&mut old.field, &old.uid, serving, &mut random, resumed)?;
                match self.desk.waiting_exchange_of(&old.uid)? {
                    Some(found) => found,
                    None => self.desk.empty_old_card(&mut old.field, &old.uid, serving, &mut random)?,
                }
            }
        };
        let mut new = self.card("thẻ mới", "the new card")?;
        self.desk.settle(&mut new.field, &new.uid, serving, &mut random, resumed)?;
        // Another new card was torn and is not the one that lies here: its records may have come in elsewhere.
        if let Some(torn) = self.desk.torn_new_card(&exchange)? {
            let written = self.ask_of(torn.id, serving.at)?;
            resumed.push(self.desk.resolve_new_card(&exchange, &torn, written, serving)?);
        }
        if !self.desk.is_open(exchange.id)? {
            return Ok(Report::Resumed);
        }
        Ok(self.desk.load_new_card(&mut new.field, &new.uid, &exchange, serving, &mut random)?)
    }

    fn status(&self) -> Result<Report, Failed> {
        let journal = &self.desk.journal;
        journal.verify()?;
        let (steps, unsent) = journal.counts()?;
        let open = open_actions(&journal.of_open_actions()?).into_iter().map(|open| Open {
            action: open.first.id,
            kind: open.first.kind,
            state: open.state.name(),
            card: open.first.card,
            amount_minor: open.first.amount,
        });
        Ok(Report::Status(Status {
            desk: journal.device().number(),
            epoch: journal.epoch(),
            steps,
            unsent,
            open: open.collect(),
            allowance: journal.allowance(&self.config.clearing_house_public_key)?,
            taken_minor: journal.taken()?,
            signing_public_key: hex::encode(journal.signer().public_key()),
        }))
    }

    fn serving(&self, staff: u32, at: Moment) -> Result<Serving, Failed> {
        if !self.config.staff.is_empty() && self.config.clerk(staff).is_none() {
            let why =
                format!("no clerk has the number {staff}: the configuration's [staff] names those who serve here");
            return Err(Failed::new(WRONG_SETUP, why));
        }
        Ok(Serving { staff, at })
    }

    fn uplink(&self) -> Result<Uplink, Failed> {
        let deadline = Duration::from_millis(self.config.limits.request_deadline_ms);
        Uplink::new(&self.config.clearing_house, self.config.clearing_house_public_key, deadline)
            .map_err(|error| Failed::new(WRONG_SETUP, error))
    }

    /// Asks for a card and waits for it.
    fn card(&mut self, vi: &str, en: &str) -> Result<Presented, Failed> {
        let deadline = Duration::from_millis(self.config.limits.exchange_deadline_ms);
        if self.reader.is_none() {
            self.reader = Some(reader::Desk::open(&self.config.reader, deadline)?);
        }
        prompt::tell(&match self.language {
            Language::Vi => format!("Đặt {vi} lên đầu đọc"),
            Language::En => format!("Lay {en} on the reader"),
        });
        match &self.reader {
            Some(reader) => Ok(reader.next_card(Duration::from_secs(self.config.limits.card_wait_s))?),
            None => Err(Failed::new(NO_CARD, "the reader is gone")),
        }
    }

    fn print(&self, answer: &Answer) -> Result<(), Failed> {
        if self.is_json {
            return print_line(&serde_json::to_string(answer).map_err(|error| Failed::new(WRONG_SETUP, error))?);
        }
        let speaker = Speaker { language: self.language, tariffs: &self.desk.rules.tariffs };
        print_line(speaker.say(answer).trim_end())
    }
}

/// A step of a key ceremony: no desk, no card.
fn ceremony_of(command: &KeysCommand, is_json: bool, prompt: &mut Prompt) -> Result<(), Failed> {
    let (keys, public_key) = match command {
        KeysCommand::Generate { out, class } => {
            (ceremony::generate(out, class_of(*class), prompt, &mut random_fill)?, None)
        }
        KeysCommand::Split { keys, shares, needed } => {
            let sheets = ceremony::split_keys(keys, (*needed, *shares), prompt, &mut random_fill)?;
            return sheets.iter().try_for_each(|sheet| print_secret(sheet));
        }
        KeysCommand::Combine { out } => {
            (ceremony::combine_keys(&mut io::stdin().lock(), out, prompt, &mut random_fill)?, None)
        }
        KeysCommand::Export { keys, to, out } => ceremony::export(keys, *to, out, prompt, &mut random_fill)?,
        KeysCommand::Roll { keys, key } => (ceremony::roll(keys, *key, prompt, &mut random_fill)?, None),
        KeysCommand::Retire { keys, key, version } => {
            (ceremony::retire(keys, *key, *version, prompt, &mut random_fill)?, None)
        }
        KeysCommand::Show { keys } => (ceremony::show(keys, prompt)?, None),
        KeysCommand::Load => return Ok(()),
    };
    let list = KeyList {
        keys: keys.iter().map(ToString::to_string).collect(),
        signing_public_key: public_key.map(hex::encode),
    };
    if is_json {
        return print_line(&serde_json::to_string(&list).map_err(|error| Failed::new(WRONG_SETUP, error))?);
    }
    list.keys.iter().try_for_each(|key| print_line(key))?;
    list.signing_public_key.iter().try_for_each(|key| print_line(&format!("signing key, public half: {key}")))
}

fn print_line(text: &str) -> Result<(), Failed> {
    writeln!(io::stdout(), "{text}").map_err(|error| Failed::new(WRONG_SETUP, error))
}

/// Prints what must not stay in this process's memory: past the buffer of standard output, which nothing wipes.
fn print_secret(text: &str) -> Result<(), Failed> {
    let failed = |error: io::Error| Failed::new(WRONG_SETUP, CeremonyError::Terminal(error));
    let mut out = fs::File::from(io::stdout().as_fd().try_clone_to_owned().map_err(failed)?);
    out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).map_err(failed)
}

fn wanted(sell: &Sell) -> Wanted {
    let kind = match sell.pass {
        Pass::OneLine => ProductKind::OneRoutePass,
        Pass::AllLines => ProductKind::AllRoutePass,
    };
    Wanted { kind, line: sell.line.unwrap_or(LineNumber(0)), month: sell.month }
}

const fn class_of(class: Class) -> KeysClass {
    match class {
        Class::Test => KeysClass::Test,
        Class::Production => KeysClass::Production,
    }
}

fn now() -> Moment {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    Moment(u32::try_from(seconds).unwrap_or(u32::MAX))
}

fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    random_fill(&mut bytes);
    bytes
}

fn random_fill(bytes: &mut [u8]) {
    // Without randomness no card can be authenticated safely and no key drawn: better no desk than a predictable one.
    SystemRandom::new().fill(bytes).expect("the operating system gives random bytes");
}

impl From<ConfigError> for Failed {
    fn from(error: ConfigError) -> Self {
        Self::new(WRONG_SETUP, error)
    }
}

impl From<NoKeys> for Failed {
    fn from(error: NoKeys) -> Self {
        Self::new(WRONG_SETUP, error)
    }
}

impl From<CeremonyError> for Failed {
    fn from(error: CeremonyError) -> Self {
        Self::new(WRONG_SETUP, error)
    }
}

impl From<JournalError> for Failed {
    fn from(error: JournalError) -> Self {
        Self::new(WRONG_SETUP, error)
    }
}

impl From<NoCard> for Failed {
    fn from(error: NoCard) -> Self {
        Self::new(NO_CARD, error)
    }
}

impl From<CardError> for Failed {
    fn from(error: CardError) -> Self {
        let exit_code = match error {
            CardError::Lost(_) => PRESENT_AGAIN,
            CardError::Keys(_) | CardError::KeyVersion { .. } => WRONG_SETUP,
            CardError::ForeignIdentifier
            | CardError::NotOurs(_)
            | CardError::NotGenuine(_)
            | CardError::Refused(_)
            | CardError::Content(_) => NO_CARD,
        };
        Self::new(exit_code, error)
    }
}

impl From<DeskError> for Failed {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Card(error) => error.into(),
            DeskError::Refused(refusal) => Self::new(REFUSED, refusal),
            DeskError::Journal(error) => error.into(),
            DeskError::NotWritten { source: CardError::Keys(_), .. } => Self::new(WRONG_SETUP, error),
            DeskError::NotWritten { .. } | DeskError::Unknown { .. } => Self::new(PRESENT_AGAIN, error),
        }
    }
}

/// The clearing house said nothing of a step that may be on a card.
#[derive(Debug, thiserror::Error)]
#[error(
    "whether a card has what {step} wrote is not known: lay that card down, which tells it by itself, or try again later"
)]
struct NoWord {
    step: TapId,
    source: Box<dyn std::error::Error>,
}

impl From<UplinkError> for Failed {
    fn from(error: UplinkError) -> Self {
        match error {
            UplinkError::Journal(error) => error.into(),
            UplinkError::Refused(why) => Self::new(REFUSED, Refusal::ClearingHouse(why)),
            UplinkError::Network(_) | UplinkError::Answer { .. } | UplinkError::NotBelieved(_) => {
                Self::new(NO_CLEARING_HOUSE, error)
            }
        }
    }
}
