//! A card laid on the reader of a validator under fire, and what the screen says to it.

use std::net::TcpStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use transit::screen::{Screen, State, TapFigures};
use virtual_card::vpcd::{Event, Holder};
use virtual_card::{CardInField, Fault};

use crate::Failed;
use crate::panel::Panel;
use crate::soak_cards::Rider;
use crate::soak_gate::{Gate, PATIENCE};

/// Two looks of a pcscd that looks every 5 ms, with room for a busy machine: a card that is away for less may be taken
/// for the one before it.
const HAND_BACK: Duration = Duration::from_millis(40);
/// A reader that was not looking when the last card left takes the next one for it: like anybody, try again.
const NOTHING_HAPPENS: Duration = Duration::from_millis(1_500);
const PRESENTATIONS: u32 = 4;
const OUT_OF_SERVICE: Duration = Duration::from_millis(100);

/// A card on the reader.
#[derive(Debug)]
pub struct Laid {
    holder: Holder,
    events: Receiver<Event>,
    /// What the screen said to whoever was there before: it may say so again when the network comes or goes.
    figures_before: Option<TapFigures>,
}

/// What came of a card on the reader.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The screen answered.
    Screen(Box<Screen>),
    /// The screen says that no cards are taken.
    OutOfService,
    /// The core has ended.
    Dead,
    /// Nothing.
    Nothing,
}

impl Gate {
    /// Lays a card on the reader until the core talks to it; `None` where it does not.
    ///
    /// # Errors
    /// pcscd is gone.
    pub fn lay_down(&mut self, rider: &mut Rider, fault: Option<Fault>) -> Result<Option<Laid>, Failed> {
        for _ in 0..PRESENTATIONS {
            let Some(card) = rider.card.take() else { return Ok(None) };
            // Looked at before the card is there: what is said to the card is for `answer`.
            let patience = if self.is_in_service() { NOTHING_HAPPENS } else { OUT_OF_SERVICE };
            let figures_before = self.panel.as_mut().and_then(Panel::current).and_then(|screen| screen.tap.clone());
            let (sender, events) = channel();
            let field = CardInField::new(card);
            let field = match fault {
                Some(fault) => field.with_fault(fault),
                None => field,
            };
            let stream = TcpStream::connect(self.site.reader).map_err(Failed::system("laying a card on a reader"))?;
            let holder = Holder::present(stream, field, move |event| {
                // Nobody listens any more where the card was taken away.
                let _ = sender.send(event);
            });
            let holder = holder.map_err(Failed::system("laying a card on a reader"))?;
            let laid = Laid { holder, events, figures_before };
            let deadline = Instant::now() + patience;
            while Instant::now() < deadline {
                match laid.events.recv_timeout(Duration::from_millis(10)) {
                    Ok(_) => return Ok(Some(laid)),
                    Err(RecvTimeoutError::Timeout) if self.core_is_dead()? => break,
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            if laid.events.try_recv().is_ok() {
                return Ok(Some(laid));
            }
            take_away(laid, rider)?;
            if self.core_is_dead()? || !self.is_in_service() {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// Waits for the answer to a card.
    ///
    /// # Errors
    /// The system refuses.
    pub fn answer(&mut self, laid: &Laid) -> Result<Answer, Failed> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            match self.next_screen(Duration::from_millis(20)) {
                Ok(screen) if matches!(screen.state, State::OutOfService { .. }) => return Ok(Answer::OutOfService),
                Ok(screen) if screen.tap.is_some() && screen.tap != laid.figures_before => {
                    return Ok(Answer::Screen(Box::new(screen)));
                }
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                // What a core said before it died has been heard by now.
                Err(RecvTimeoutError::Disconnected) => return Ok(Answer::Dead),
            }
        }
        Ok(Answer::Nothing)
    }

    /// Lays a card down, waits for the answer, notes what it says, and takes the card away.
    ///
    /// # Errors
    /// pcscd is gone.
    pub fn tap(&mut self, rider: &mut Rider) -> Result<Answer, Failed> {
        let Some(laid) = self.lay_down(rider, None)? else {
            let answer = if self.core_is_dead()? { Answer::Dead } else { Answer::OutOfService };
            return Ok(if self.is_in_service() && answer != Answer::Dead { Answer::Nothing } else { answer });
        };
        let answer = self.answer(&laid)?;
        note(&answer, rider);
        take_away(laid, rider)?;
        Ok(answer)
    }
}

impl Laid {
    /// Waits until the card holds its answer back; whether it does.
    #[must_use]
    pub fn wait_until_holding(&self) -> bool {
        loop {
            match self.events.recv_timeout(PATIENCE) {
                Ok(Event::Holding { .. }) => return true,
                Ok(Event::Exchange { .. }) => {}
                Ok(Event::Lost | Event::Removed(_)) | Err(_) => return false,
            }
        }
    }

    /// Lets the answer go.
    pub fn release(&self) {
        self.holder.release();
    }
}

/// Takes the card away, for long enough that the reader notices.
///
/// # Errors
/// The card's thread panicked.
pub fn take_away(laid: Laid, rider: &mut Rider) -> Result<(), Failed> {
    let card = laid.holder.remove().map_err(Failed::system("taking a card from a reader"))?;
    rider.card = Some(card.remove());
    thread::sleep(HAND_BACK);
    Ok(())
}

/// Notes what the screen said to a rider.
pub fn note(answer: &Answer, rider: &mut Rider) {
    let Answer::Screen(screen) = answer else { return };
    let tap = screen.tap.as_ref().and_then(|figures| figures.tap.clone());
    if let Some(tap) = tap.clone()
        && matches!(screen.state, State::Accepted { .. })
    {
        rider.greens.push(tap);
    }
    rider.some_tap = tap.or(rider.some_tap.take());
}
