//! `ui`: the passenger screen. See `ui --help`.

#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::error::Error;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use clap::Parser;
use slint::ComponentHandle as _;
use ui::screenshots::Screenshots;
use ui::show::{self, View};
use ui::window::{self, AppWindow};
use ui::{feed, fonts};

/// The passenger screen of a validator.
///
/// Shows what the validator core publishes on its Unix socket, in Vietnamese and English. While the core is not there it
/// shows "out of service" and keeps trying. Needs an X11 display; SIGTERM ends it.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The Unix socket on which the validator core publishes its screens
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// Width of the window in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 800, value_parser = clap::value_parser!(u32).range(320..=7680))]
    width: u32,
    /// Height of the window in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 480, value_parser = clap::value_parser!(u32).range(240..=4320))]
    height: u32,
    /// Fill the display, whatever its size
    #[arg(long)]
    fullscreen: bool,
    /// Write a picture of each state shown into this directory: 01-idle.png, 02-accepted.png
    #[arg(long, value_name = "DIRECTORY")]
    screenshots: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Err(error) = fonts::provide() {
        eprintln!("ui: the fonts cannot be unpacked, going on with the machine's own: {error}");
    }
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ui: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let screenshots = match &arguments.screenshots {
        Some(directory) => Some(
            Screenshots::new(directory).map_err(|error| format!("--screenshots {}: {error}", directory.display()))?,
        ),
        None => None,
    };
    let window = AppWindow::new()?;
    window.window().set_size(slint::PhysicalSize::new(arguments.width, arguments.height));
    window.window().set_fullscreen(arguments.fullscreen);
    window::apply(&window, &show::no_validator());

    SHOWN.with_borrow_mut(|shown| shown.screenshots = screenshots);
    let handle = window.as_weak();
    thread::Builder::new().name("feed".to_owned()).spawn(move || {
        let post = |view: View| match handle.upgrade_in_event_loop(move |window| show_on(&window, view)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_event_loop_ended) => ControlFlow::Break(()),
        };
        feed::follow(&arguments.socket, post, thread::sleep);
    })?;
    Ok(window.run()?)
}

/// What the event loop's thread remembers between two screens.
struct Shown {
    latest: Option<View>,
    screenshots: Option<Screenshots>,
}

thread_local! {
    static SHOWN: RefCell<Shown> = const { RefCell::new(Shown { latest: None, screenshots: None }) };
}

fn show_on(window: &AppWindow, view: View) {
    SHOWN.with_borrow_mut(|shown| {
        if shown.latest.as_ref() == Some(&view) {
            return;
        }
        window::apply(window, &view);
        if let Some(screenshots) = &mut shown.screenshots {
            let written = window
                .window()
                .take_snapshot()
                .map_err(|error| error.to_string())
                .and_then(|picture| screenshots.write(view.name, &picture).map_err(|error| error.to_string()));
            if let Err(error) = written {
                eprintln!("ui: no picture of {}: {error}", view.name);
            }
        }
        shown.latest = Some(view);
    });
}
