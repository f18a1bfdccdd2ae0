//! A purse tap through a real pcscd and a virtual reader: what the whole stack adds where card and radio take no time.

use std::{
    cell::Cell,
    env,
    ffi::CString,
    io::{self, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    rc::Rc,
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use benches::{
    Failure,
    bus::{Bus, MORNING, memory_folder},
};
use card_crypto::{Lost, Transport};
use reader::{Field, ReaderEvent};
use virtual_card::{
    CardInField,
    pcscd::{PrivatePcscd, SOCKET_VARIABLE},
    vpcd::Holder,
};

use crate::{figure::Figure, tools};

const TAPS: u32 = 25;
const EXCHANGE_DEADLINE: Duration = Duration::from_secs(5);
const EVENT_DEADLINE: Duration = Duration::from_secs(10);

/// The taps run in a child: a process looks up the service's socket once, in its environment.
pub(crate) fn measure(output: &Path) -> Result<Figure, Failure> {
    let shim = build_poll_shim(output)?;
    // The path of a Unix socket is short, that of a target directory may not be.
    let folder = tempfile::tempdir()?;
    let service = PrivatePcscd::start(folder.path(), Some(&shim))?;
    let [reader, _] = service.reader_names();
    let mut command = Command::new(env::current_exe()?);
    command.env(SOCKET_VARIABLE, service.socket());
    command.args(["stack", "--count", &TAPS.to_string(), "--reader", &reader]);
    command.args(["--address", &service.address(0).to_string()]);
    let child = tools::run(&mut command, "pcscd")?;
    let mut taps_ms: Vec<f64> = serde_json::from_slice(&child.stdout)?;
    taps_ms.sort_by(f64::total_cmp);
    let median_ms = taps_ms.get(taps_ms.len() / 2).ok_or("no tap went through pcscd")?;
    Ok(Figure::unbounded("stack_overhead_ms_p50", *median_ms))
}

/// From the moment when a card is laid on the reader to the end of the tap's last exchange, `count` times.
pub(crate) fn tap_through(count: u32, reader: &str, address: SocketAddr) -> Result<(), Failure> {
    let folder = memory_folder()?;
    let mut bus = Bus::new(folder.path())?;
    let (sender, events) = channel();
    reader::spawn(CString::new(reader)?, EXCHANGE_DEADLINE, sender, |event| event);
    await_event(&events, |event| matches!(event, ReaderEvent::Ready).then_some(()))?;
    let mut taps_ms = Vec::new();
    for _ in 0..count {
        let card = CardInField::new(bus.card("adult")?);
        let laid_down = Instant::now();
        let holder = Holder::present(TcpStream::connect(address)?, card, |_| {})?;
        let (uid, field) = await_event(&events, |event| match event {
            ReaderEvent::Present { uid, field, .. } => Some((uid, field)),
            ReaderEvent::Ready
            | ReaderEvent::Gone { .. }
            | ReaderEvent::Mute
            | ReaderEvent::Unstuck
            | ReaderEvent::Alive
            | ReaderEvent::Removed => None,
        })?;
        let last_answer = Rc::new(Cell::new(laid_down));
        let timed = Timed { field, last_answer: Rc::clone(&last_answer) };
        let answer = bus.accept(timed, &uid, MORNING)?;
        taps_ms.push(last_answer.get().duration_since(laid_down).as_secs_f64() * 1e3);
        drop(answer);
        holder.remove()?;
        await_event(&events, |event| matches!(event, ReaderEvent::Removed).then_some(()))?;
    }
    writeln!(io::stdout(), "{}", serde_json::to_string(&taps_ms)?)?;
    Ok(())
}

/// A card on the reader that notes when its last answer came.
struct Timed {
    field: Field,
    last_answer: Rc<Cell<Instant>>,
}

impl Transport for Timed {
    fn exchange(&mut self, command: &[u8]) -> Result<Vec<u8>, Lost> {
        let answer = self.field.exchange(command);
        self.last_answer.set(Instant::now());
        answer
    }
}

fn await_event<T>(events: &Receiver<ReaderEvent>, wanted: impl Fn(ReaderEvent) -> Option<T>) -> Result<T, Failure> {
    loop {
        let event = events.recv_timeout(EVENT_DEADLINE).map_err(|_| "the reader tells nothing")?;
        if let ReaderEvent::Gone { why } = &event {
            return Err(format!("the reader is gone: {why}").into());
        }
        if let Some(found) = wanted(event) {
            return Ok(found);
        }
    }
}

fn build_poll_shim(output: &Path) -> Result<PathBuf, Failure> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("poll-shim/nanosleep.c");
    let shim = output.join("poll-shim.so");
    tools::run(Command::new("cc").args(["-shared", "-fPIC", "-O2", "-o"]).arg(&shim).arg(source), "gcc")?;
    // It is loaded from another working directory.
    Ok(shim.canonicalize()?)
}
