//! A window with no display: real pixels of the software renderer, and a clock that stands still.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use i_slint_backend_testing::{TestingBackend, TestingBackendOptions};
use slint::{ComponentHandle as _, PhysicalSize, Rgba8Pixel, SharedPixelBuffer};
use ui::show::View;
use ui::window::{self, AppWindow};

pub(crate) struct Panel {
    pub(crate) window: AppWindow,
}

impl Panel {
    /// A panel of `size` pixels. One per test: the platform belongs to the thread.
    pub(crate) fn new(size: (u32, u32)) -> Self {
        let options =
            TestingBackendOptions { mock_time: true, threading: false, renderer_name: Some("software".into()) };
        slint::platform::set_platform(Box::new(TestingBackend::new(options))).unwrap();
        let window = AppWindow::new().unwrap();
        window.window().set_size(PhysicalSize::new(size.0, size.1));
        window.show().unwrap();
        Self { window }
    }

    pub(crate) fn show(&self, view: &View) -> SharedPixelBuffer<Rgba8Pixel> {
        window::apply(&self.window, view);
        slint::platform::update_timers_and_animations();
        self.window.window().take_snapshot().unwrap()
    }
}

pub(crate) fn read_png(path: &Path) -> Option<SharedPixelBuffer<Rgba8Pixel>> {
    let mut reader = png::Decoder::new(BufReader::new(File::open(path).ok()?)).read_info().unwrap();
    let (width, height) = reader.info().size();
    let mut picture = SharedPixelBuffer::new(width, height);
    reader.next_frame(picture.make_mut_bytes()).unwrap();
    Some(picture)
}
