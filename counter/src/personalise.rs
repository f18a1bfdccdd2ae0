//! Issue: a blank card becomes one of this system.
//!
//! ```text
//! check      GetVersion, Read_Sig: a chip that is not genuine is not issued
//! record     the issue is in the journal               durable: from here on this desk may undo what it began
//! card       master key DES → AES, diversified; nobody lists or makes applications without it
//! undo       what an earlier try of this desk left of our application (FormatPICC gives its memory back)
//! make       application with key sets, its files
//! keys       1, 2, 3, then 0: from zeros to diversified ones
//! write      issuer file and first record, one transaction, sealed and intended like any other
//! lint       everything is read back; a weak card is not handed out
//! ```
//!
//! Torn anywhere, the same card laid down again is finished: its own keys say how far it came (the new master key is tried
//! first, then the factory's), and until the last commit it holds nothing, so the application is simply made anew. Only a
//! card whose issue this desk recorded is undone.

use card_crypto::auth::MemoryKey;
use card_crypto::originality::is_genuine;
use card_crypto::{
    Aid, ApplicationSettings, AuthenticationError, Card, DataFile, DesKey, Error, Ev1, Ev2, Idle, Key, KeyNumber,
    KeySets, KeySettings, NewKey, RecordFile, Status, Transport, ValueFile,
};
use key_store::{KeyRole, KeySetError, KeyStore, KeyStoreError};
use transit::action::{Action, ActionKind, Step};
use transit::card::{
    APPLICATION, APPLICATION_ID, DeskWrite, FileKind, Issuer, PRODUCTS, Product, Profile, record_of_issue,
};
use transit::id::{CardToken, HolderReference};
use transit::money::Amount;
use transit::time::ServiceDay;

use crate::desk::{Desk, Serving};
use crate::lint::{Finding, KEYS_OF_APPLICATION, access_rights, communication_mode, file_number, lint};
use crate::open_action::{OpenAction, OpenState, open_actions};
use crate::refusal::{DeskError, Refusal};
use crate::report::{Issued, Report};
use crate::session::{
    Also, CardError, Changes, Chip, Generation, Opening, Random, Session, VALIDATE, identify, open, stage,
};

/// Who will ride with a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Person {
    /// The profile.
    pub profile: Profile,
    /// The last service day on which it counts; needed for every profile but the ordinary one.
    pub profile_valid_until: Option<ServiceDay>,
    /// Who the card is registered to, so that its value can be moved when it is lost.
    pub holder: Option<HolderReference>,
}

/// The chip on the reader, and who serves.
struct Case {
    uid: [u8; 7],
    token: CardToken,
    chip: Chip,
    issuer: Issuer,
    holder: Option<HolderReference>,
    serving: Serving,
}

/// The master key of a card and the keys of an application as the factory and CreateApplication leave them.
static ZERO_KEY: Key = Key::new([0; 16]);

/// The key of the layout that rolls key sets.
const ROLL_KEY: KeyNumber = KeyNumber::new(APPLICATION.roll_key).expect("the layout names a key of a card");

fn number_of_keys() -> u8 {
    u8::try_from(APPLICATION.keys.len()).expect("as many as KEYS_OF_APPLICATION, which the layout is held to")
}

impl<K: KeyStore> Desk<K> {
    /// Makes a card of a blank one, or finishes one that was torn away.
    ///
    /// # Errors
    /// [`DeskError`]. After `Card(Lost)`, `NotWritten` and `Unknown` the same card, presented again, is finished.
    pub fn issue<T: Transport>(
        &mut self,
        transport: &mut T,
        uid: &[u8],
        person: Person,
        serving: Serving,
        random: Random<'_>,
    ) -> Result<Report, DeskError> {
        let (uid, token) = self.token(uid)?;
        let issuer = self.issuer_of(person, serving)?;
        let chip = identify(transport, Aid::PICC)?;
        let signature = Card::new(&mut *transport, chip.frame_size).read_signature().map_err(CardError::not_ours);
        let signature = match signature {
            Ok(signature) => signature,
            Err(lost @ CardError::Lost(_)) => return Err(lost.into()),
            Err(_) => return Err(Refusal::NotGenuine.into()),
        };
        if !is_genuine(&uid, &signature, &self.rules.originality_keys) {
            return Err(Refusal::NotGenuine.into());
        }
        // A desk without the issuer's keys finds out before it touches the card.
        for role in KeyRole::ALL {
            newest(&self.keys, role)?;
        }
        self.check_load_key()?;

        let case = Case { uid, token, chip, issuer, holder: person.holder, serving };
        let steps = self.journal.of_card(token)?;
        let begun = open_actions(&steps);
        let begun = begun.into_iter().find(|open| open.first.kind == ActionKind::Issue && open.first.card == token);
        let written = || steps.iter().rfind(|step| step.kind == ActionKind::Issue && step.step == Step::Written);
        let last = match &begun {
            Some(OpenAction { state: OpenState::Unknown(step), .. }) => Some(&**step),
            Some(_) => None,
            None => written(),
        };
        if let Some(step) = last
            && let Some(report) = self.found_issued(transport, &case, step, random)?
        {
            return Ok(report);
        }
        match chip.generation {
            Generation::Ev1 => self.personalise::<_, Ev1>(transport, &case, begun, random),
            Generation::Ev2 | Generation::Ev3 => self.personalise::<_, Ev2>(transport, &case, begun, random),
        }
    }

    fn issuer_of(&self, person: Person, serving: Serving) -> Result<Issuer, DeskError> {
        let today = self.rules.tariffs.calendar().service_day(serving.at);
        let profile_valid_until = match (person.profile, person.profile_valid_until) {
            (Profile::Ordinary, None) => ServiceDay(0),
            (_, Some(until)) if until >= today => until,
            (_, Some(_) | None) => return Err(Refusal::ProfileWithoutEnd.into()),
        };
        Ok(Issuer { profile: person.profile, profile_valid_until, products: [Product::NONE; PRODUCTS] })
    }

    /// The last transaction of an earlier try is not known to have come through, or what it made was never read back:
    /// the card says. `None` where it is not there.
    fn found_issued<T: Transport>(
        &mut self,
        transport: &mut T,
        case: &Case,
        step: &Action,
        random: Random<'_>,
    ) -> Result<Option<Report>, DeskError> {
        let read = match open(transport, &case.uid, Also::Nothing, &mut self.keys, random) {
            Ok(Opening::Ev1(opened)) => Some((opened.record_bytes, opened.record)),
            Ok(Opening::Ev2(opened)) => Some((opened.record_bytes, opened.record)),
            // No application, or one without a record: the transaction did not come through.
            Err(
                CardError::NotOurs(Error::Refused { status: Status::ApplicationNotFound, .. })
                | CardError::Refused(Error::Refused { status: Status::Boundary, .. }),
            ) => None,
            Err(error) => return Err(error.into()),
        };
        // Only this transaction can have made the first record, whatever was written after it.
        let unknown = step.step == Step::Unknown;
        let found = read.filter(|(_, record)| unknown || record.tap == Some(step.id));
        if unknown {
            let resolves = step.id;
            let outcome = if found.is_some() { Step::Confirmed { resolves } } else { Step::Voided { resolves } };
            let resolution = Action {
                names: step.names,
                record_read: read.map(|(bytes, _)| bytes),
                ..self.step(ActionKind::Issue, outcome, step.card, step.amount, case.serving)?
            };
            self.journal.append(&resolution)?;
        }
        let Some((_, record)) = found else { return Ok(None) };
        refuse_weak(lint(transport, &case.uid, &mut self.keys, random)?)?;
        Ok(Some(issued(step, case.chip, record.profile)))
    }

    fn personalise<T: Transport, S: Session>(
        &mut self,
        transport: &mut T,
        case: &Case,
        begun: Option<OpenAction>,
        random: Random<'_>,
    ) -> Result<Report, DeskError> {
        let state = self.look_at_blank::<_, S>(transport, case, random)?;
        match (state, &begun) {
            (Blank::Foreign, _) => return Err(Refusal::NotBlank("it has an application of another system").into()),
            (Blank::HasOurs, None) => {
                return Err(Refusal::NotBlank("it was issued, or its issue was begun at another desk").into());
            }
            (Blank::Empty | Blank::HasOurs, _) => {}
        }
        let first = match begun {
            Some(open) => open.first,
            None => self.begin(case)?,
        };
        let cannot = |source: CardError| DeskError::NotWritten { action: first.id, source };
        let has_ours = state == Blank::HasOurs;
        self.make_application::<_, S>(transport, case, has_ours, random).map_err(cannot)?;
        self.write_first_record::<_, S>(transport, case, &first, random)?;
        refuse_weak(lint(transport, &case.uid, &mut self.keys, random)?)?;
        Ok(issued(&first, case.chip, case.issuer.profile))
    }

    fn begin(&mut self, case: &Case) -> Result<Action, DeskError> {
        let first = Action {
            holder: case.holder,
            ..self.step(ActionKind::Issue, Step::Paid, case.token, Amount::ZERO, case.serving)?
        };
        self.journal.append(&first)?;
        Ok(first)
    }

    /// What the card carries. Its master key is the factory's or ours; with another it is not blank.
    fn look_at_blank<T: Transport, S: Session>(
        &mut self,
        transport: &mut T,
        case: &Case,
        random: Random<'_>,
    ) -> Result<Blank, DeskError> {
        let Case { uid, chip, .. } = case;
        let picc = |transport: &mut T| -> Result<(), CardError> {
            Card::new(transport, chip.frame_size).select_application(Aid::PICC).map_err(CardError::not_ours)
        };
        for version in self.keys.versions(KeyRole::CardMaster) {
            picc(transport)?;
            let holder = self.keys.holder(KeyRole::CardMaster, version, uid, random())?;
            let card = Card::new(&mut *transport, chip.frame_size);
            match S::authenticate(card, KeyNumber::MASTER, holder) {
                Ok(mut card) => return Ok(carried(&card.get_application_ids().map_err(CardError::of_session)?)),
                Err(AuthenticationError::Card(Error::Refused { .. })) => {}
                Err(error) => return Err(CardError::of_authentication(error).into()),
            }
        }
        picc(transport)?;
        let card = Card::new(&mut *transport, chip.frame_size);
        match card.authenticate_iso(&DesKey::FACTORY, des_challenge(random)) {
            Ok(mut card) => Ok(carried(&card.get_application_ids().map_err(CardError::of_session)?)),
            Err(Error::Refused { .. }) => {
                Err(Refusal::NotBlank("its master key is neither the factory's nor one of ours").into())
            }
            Err(error) => Err(CardError::of_session(error).into()),
        }
    }

    /// Takes the card's own key to ours where it is not there yet, undoes what is to be undone, and makes application,
    /// files and keys.
    fn make_application<T: Transport, S: Session>(
        &mut self,
        transport: &mut T,
        case: &Case,
        has_ours: bool,
        random: Random<'_>,
    ) -> Result<(), CardError> {
        let Case { uid, chip, .. } = case;
        let of_session = CardError::of_session;
        let mut card = self.card_under_our_master::<_, S>(transport, case, random)?;
        card.change_key_settings(KeySettings::CLOSED).map_err(of_session)?;
        if has_ours {
            card.format_picc().map_err(of_session)?;
        }
        let key_sets = KeySets {
            count: APPLICATION.key_sets,
            active_version: newest(&self.keys, KeyRole::Validate)?,
            roll_key: ROLL_KEY,
        };
        let settings = ApplicationSettings {
            key_settings: KeySettings::from_byte(APPLICATION.key_settings),
            number_of_keys: number_of_keys(),
            key_sets: (chip.generation != Generation::Ev1).then_some(key_sets),
            iso_name: None,
            iso_file_ids: false,
        };
        card.create_application(Aid(APPLICATION_ID), &settings).map_err(of_session)?;

        let card = card.select_application(Aid(APPLICATION_ID)).map_err(of_session)?;
        let mut card = under_zeros::<_, S>(card, random)?;
        for file in APPLICATION.files {
            let (mode, rights) = (communication_mode(file.mode), access_rights(file.rights));
            let number = file_number(file);
            match file.kind {
                FileKind::BackupData { length } => {
                    card.create_backup_data_file(number, &DataFile { mode, rights, length, iso_file_id: None })
                }
                FileKind::Value { lower_limit, upper_limit, limited_credit, free_value } => {
                    let value = ValueFile {
                        mode,
                        rights,
                        lower_limit,
                        upper_limit,
                        value: 0,
                        limited_credit,
                        free_get_value: free_value,
                    };
                    card.create_value_file(number, &value)
                }
                FileKind::CyclicRecords { record_length, slots } => {
                    let records = RecordFile { mode, rights, record_length, records_max: slots, iso_file_id: None };
                    card.create_cyclic_record_file(number, &records)
                }
                FileKind::TransactionMac => {
                    let version = newest(&self.keys, KeyRole::TransactionMac)?;
                    let key = self.keys.card_key(KeyRole::TransactionMac, version, uid)?;
                    S::create_transaction_mac_file(&mut card, number, mode, rights, NewKey { key: &key, version })
                }
            }
            .map_err(of_session)?;
        }
        for (role, number) in KEYS_OF_APPLICATION.into_iter().skip(1) {
            let version = newest(&self.keys, role)?;
            let key = self.keys.card_key(role, version, uid)?;
            card.change_key(number, &ZERO_KEY, NewKey { key: &key, version }).map_err(of_session)?;
        }
        let version = newest(&self.keys, KeyRole::ApplicationMaster)?;
        let key = self.keys.card_key(KeyRole::ApplicationMaster, version, uid)?;
        card.change_own_key(NewKey { key: &key, version }).map_err(of_session)?;
        Ok(())
    }

    /// The card under our master key, which takes the place of the factory's or of our older one.
    fn card_under_our_master<'a, T: Transport, S: Session>(
        &mut self,
        transport: &'a mut T,
        case: &Case,
        random: Random<'_>,
    ) -> Result<Card<&'a mut T, card_crypto::Authenticated<S>>, CardError> {
        let Case { uid, chip, .. } = case;
        let version = newest(&self.keys, KeyRole::CardMaster)?;
        let key = self.keys.card_key(KeyRole::CardMaster, version, uid)?;
        let new = NewKey { key: &key, version };
        let mut is_ours = false;
        for live in self.keys.versions(KeyRole::CardMaster) {
            let mut card = Card::new(&mut *transport, chip.frame_size);
            card.select_application(Aid::PICC).map_err(CardError::not_ours)?;
            let holder = self.keys.holder(KeyRole::CardMaster, live, uid, random())?;
            match S::authenticate(card, KeyNumber::MASTER, holder) {
                Ok(card) => {
                    if live != version {
                        card.change_picc_master_key(new).map_err(CardError::of_session)?;
                    }
                    is_ours = true;
                    break;
                }
                Err(AuthenticationError::Card(Error::Refused { .. })) => {}
                Err(error) => return Err(CardError::of_authentication(error)),
            }
        }
        let mut card = Card::new(transport, chip.frame_size);
        card.select_application(Aid::PICC).map_err(CardError::not_ours)?;
        if !is_ours {
            let factory =
                card.authenticate_iso(&DesKey::FACTORY, des_challenge(random)).map_err(CardError::of_session)?;
            card = factory.change_picc_master_key(new).map_err(CardError::of_session)?;
        }
        let holder = self.keys.holder(KeyRole::CardMaster, version, uid, random())?;
        S::authenticate(card, KeyNumber::MASTER, holder).map_err(CardError::of_authentication)
    }

    fn write_first_record<T: Transport, S: Session>(
        &mut self,
        transport: &mut T,
        case: &Case,
        first: &Action,
        random: Random<'_>,
    ) -> Result<(), DeskError> {
        let Case { uid, chip, issuer, serving, .. } = case;
        let template = Action {
            names: Some(first.id),
            holder: first.holder,
            ..self.step(ActionKind::Issue, Step::Unknown, first.card, first.amount, *serving)?
        };
        let write = DeskWrite { action: template.id, at: serving.at, amount: first.amount };
        let record = record_of_issue(issuer, write).and_then(|record| Ok(record.encode()?)).map_err(Refusal::from)?;
        let changes = Changes { credit_minor: 0, debit_minor: 0, issuer: Some(issuer.encode()), record };
        let versions = (newest(&self.keys, KeyRole::Validate)?, self.keys.versions(KeyRole::Load).first().copied());
        self.attempt(template, &changes, |keys| {
            let mut card = Card::new(transport, chip.frame_size);
            card.select_application(Aid(APPLICATION_ID)).map_err(CardError::not_ours)?;
            let holder = keys.holder(KeyRole::Validate, versions.0, uid, random())?;
            let card = S::authenticate(card, VALIDATE, holder).map_err(CardError::of_authentication)?;
            stage(card.stage(), uid, versions, &changes, keys, random)
        })?;
        Ok(())
    }
}

/// What a card that is to be issued carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blank {
    /// Nothing.
    Empty,
    /// Our application and no other.
    HasOurs,
    /// An application of somebody else.
    Foreign,
}

fn carried(applications: &[Aid]) -> Blank {
    match applications {
        [] => Blank::Empty,
        [Aid(APPLICATION_ID)] => Blank::HasOurs,
        _ => Blank::Foreign,
    }
}

/// A new application's key 0 is zeros.
fn under_zeros<T: Transport, S: Session>(
    card: Card<T, Idle>,
    random: Random<'_>,
) -> Result<Card<T, card_crypto::Authenticated<S>>, CardError> {
    let holder = MemoryKey::new(&ZERO_KEY, random());
    S::authenticate(card, KeyNumber::MASTER, holder).map_err(|error| match error {
        AuthenticationError::Card(error) => CardError::of_session(error),
        AuthenticationError::Holder(never) => match never {},
    })
}

fn des_challenge(random: Random<'_>) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = random();
    [a, b, c, d, e, f, g, h]
}

fn newest<K: KeyStore>(keys: &K, role: KeyRole) -> Result<u8, CardError> {
    let newest = keys.versions(role).first().copied();
    newest.ok_or(CardError::Keys(KeyStoreError::Keys(KeySetError::NoKey(role))))
}

fn refuse_weak(findings: Vec<Finding>) -> Result<(), Refusal> {
    if findings.is_empty() { Ok(()) } else { Err(Refusal::Weak(findings)) }
}

fn issued(step: &Action, chip: Chip, profile: Profile) -> Report {
    Report::Issued(Issued {
        action: step.names.unwrap_or(step.id),
        card: step.card,
        chip: chip.generation.name(),
        profile,
    })
}
