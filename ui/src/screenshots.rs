//! Pictures of what the window showed, for whoever was not there.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use slint::{Rgba8Pixel, SharedPixelBuffer};

/// A directory that gets one PNG per state shown: `01-idle.png`, `02-accepted.png`.
#[derive(Debug)]
pub struct Screenshots {
    directory: PathBuf,
    taken: u32,
}

impl Screenshots {
    /// Pictures into `directory`, made if needed, counted from 1.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn new(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        Ok(Self { directory: directory.to_owned(), taken: 0 })
    }

    /// Writes the next picture, of the state called `name`, and returns its path. Under its final name a picture is
    /// always whole.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&mut self, name: &str, picture: &SharedPixelBuffer<Rgba8Pixel>) -> io::Result<PathBuf> {
        self.taken += 1;
        let path = self.directory.join(format!("{:02}-{name}.png", self.taken));
        let unfinished = path.with_extension("unfinished");
        write_png(&unfinished, picture)?;
        fs::rename(&unfinished, &path)?;
        Ok(path)
    }
}

/// Writes `picture` as a PNG to `path`.
///
/// # Errors
/// The file cannot be written.
pub fn write_png(path: &Path, picture: &SharedPixelBuffer<Rgba8Pixel>) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let mut encoder = png::Encoder::new(&mut file, picture.width(), picture.height());
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Balanced);
    // Flat colours repeat; a filter would hide it from the compression.
    encoder.set_filter(png::Filter::NoFilter);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(picture.as_bytes())?;
    writer.finish()?;
    file.flush()
}
