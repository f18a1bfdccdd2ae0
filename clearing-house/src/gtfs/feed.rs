//! The files of a feed, in a folder or a zip archive, and their rows.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use csv::{ByteRecord, ReaderBuilder};
use zip::ZipArchive;

use super::remark::{Place, Remarks};

/// The most bytes of one file that are read: an archive may claim to hold anything.
const FILE_LEN_MAX: u64 = 8 << 30;

/// A GTFS feed.
#[derive(Debug)]
pub(super) struct Feed {
    source: Source,
}

#[derive(Debug)]
enum Source {
    Folder(PathBuf),
    /// With the folder inside the archive that the files are in: many feeds have one against the reference.
    Zip(Box<ZipArchive<BufReader<File>>>, String),
}

/// A feed that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The folder or the archive cannot be opened.
    #[error("{} cannot be read: it should be a folder or a zip archive with the files of a GTFS feed", path.display())]
    Open {
        /// What was named.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of it is there and cannot be read.
    #[error("{file} of the feed cannot be read")]
    File {
        /// The file.
        file: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A file is longer than any feed's.
    #[error("{file} of the feed has more than {FILE_LEN_MAX} bytes")]
    TooLong {
        /// The file.
        file: &'static str,
    },
    /// A file is missing without which nothing can be imported.
    #[error("the feed has no {file} with rows and a `{field}`: nothing can be imported from it")]
    Missing {
        /// The file.
        file: &'static str,
        /// The field that names its rows.
        field: &'static str,
    },
}

/// One row of a file: the values of the fields that were asked for, without the spaces around them; empty where the
/// file or the row lacks one.
pub(super) struct Row<'a, const N: usize> {
    pub(super) file: &'static str,
    pub(super) line: u64,
    pub(super) values: [&'a str; N],
}

impl<const N: usize> Row<'_, N> {
    pub(super) fn place(&self, field: &'static str) -> Place {
        Place { file: self.file, line: self.line, field }
    }
}

impl Feed {
    /// Opens a folder or a zip archive.
    pub(super) fn open(path: &Path, remarks: &mut Remarks) -> Result<Self, FeedError> {
        let cannot = |source| FeedError::Open { path: path.to_owned(), source };
        if fs::metadata(path).map_err(cannot)?.is_dir() {
            return Ok(Self { source: Source::Folder(path.to_owned()) });
        }
        let file = BufReader::new(File::open(path).map_err(cannot)?);
        let archive = ZipArchive::new(file).map_err(|error| cannot(error.into()))?;
        let names = archive.file_names().filter_map(Result::ok);
        let folders = names.filter_map(|name| name.strip_suffix("routes.txt").map(str::to_owned));
        let inside = folders.filter(|folder| folder.is_empty() || folder.ends_with('/')).min_by_key(String::len);
        let inside = inside.unwrap_or_default();
        if !inside.is_empty() {
            let detail = || format!("it is in the folder {inside} of the archive, not at its top");
            remarks.defect(Place::of("routes.txt"), detail);
        }
        Ok(Self { source: Source::Zip(Box::new(archive), inside) })
    }

    /// How many bytes the files of these names have, for a progress bar.
    pub(super) fn len(&mut self, names: &[&str]) -> u64 {
        let lengths = names.iter().map(|name| match &mut self.source {
            Source::Folder(folder) => fs::metadata(folder.join(name)).map(|metadata| metadata.len()).unwrap_or(0),
            Source::Zip(archive, inside) => {
                archive.by_name(&format!("{inside}{name}")).map(|file| file.size()).unwrap_or(0)
            }
        });
        lengths.fold(0, u64::saturating_add)
    }

    fn file(&mut self, name: &'static str) -> Result<Option<Box<dyn Read + '_>>, FeedError> {
        let cannot = |source| FeedError::File { file: name, source };
        match &mut self.source {
            Source::Folder(folder) => match File::open(folder.join(name)) {
                Ok(file) => Ok(Some(Box::new(file))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(cannot(error)),
            },
            Source::Zip(archive, inside) => match archive.by_name(&format!("{inside}{name}")) {
                Ok(file) => Ok(Some(Box::new(file))),
                Err(zip::result::ZipError::FileNotFound) => Ok(None),
                Err(error) => Err(cannot(error.into())),
            },
        }
    }

    /// Hands every row of a file to `each`, with the values of `fields`, the first `required` of which the file must
    /// have. Says which fields the file has; `None` where there is no such file, or no use in it.
    pub(super) fn rows<const N: usize>(
        &mut self,
        name: &'static str,
        required: usize,
        fields: [&'static str; N],
        remarks: &mut Remarks,
        progress: &dyn Fn(u64),
        mut each: impl FnMut(Row<'_, N>, &mut Remarks),
    ) -> Result<Option<[bool; N]>, FeedError> {
        let Some(file) = self.file(name)? else { return Ok(None) };
        let counted = Counted { inner: file.take(FILE_LEN_MAX + 1), progress };
        let mut reader =
            ReaderBuilder::new().has_headers(false).flexible(true).buffer_capacity(1 << 16).from_reader(counted);
        let cannot = |error: csv::Error| FeedError::File { file: name, source: io::Error::other(error) };
        let mut record = ByteRecord::new();
        if !reader.read_byte_record(&mut record).map_err(cannot)? {
            remarks.defect(Place::of(name), || "the file is empty".to_owned());
            return Ok(None);
        }
        let columns = columns(name, &record, fields, remarks);
        let mut missing = fields.iter().zip(columns).take(required).filter(|(_, column)| column.is_none());
        if let Some((field, _)) = missing.next() {
            remarks.defect(Place { file: name, line: 1, field }, || {
                "the file has no such field: nothing of it is used".to_owned()
            });
            return Ok(None);
        }
        let width = record.len();
        while reader.read_byte_record(&mut record).map_err(cannot)? {
            let line = record.position().map_or(0, csv::Position::line);
            if record.len() != width {
                let detail = || format!("the line has {} fields, the first one of the file {width}", record.len());
                remarks.defect(Place { file: name, line, field: "" }, detail);
            }
            let bytes = columns.map(|column| column.and_then(|column| record.get(column)).unwrap_or_default());
            if let Some(index) = bytes.iter().position(|bytes| std::str::from_utf8(bytes).is_err()) {
                let place = Place { file: name, line, field: fields[index] };
                remarks.defect(place, || "it is no UTF-8; what is not is replaced by \u{fffd}".to_owned());
                let texts = bytes.map(String::from_utf8_lossy);
                each(Row { file: name, line, values: texts.each_ref().map(|text| text.trim()) }, remarks);
            } else {
                let values = bytes.map(|bytes| std::str::from_utf8(bytes).unwrap_or_default().trim());
                each(Row { file: name, line, values }, remarks);
            }
        }
        if reader.get_ref().inner.limit() == 0 {
            return Err(FeedError::TooLong { file: name });
        }
        Ok(Some(columns.map(|column| column.is_some())))
    }
}

/// In which column each of `fields` is.
fn columns<const N: usize>(
    file: &'static str,
    header: &ByteRecord,
    fields: [&'static str; N],
    remarks: &mut Remarks,
) -> [Option<usize>; N] {
    let names: Vec<String> = header
        .iter()
        .map(|name| String::from_utf8_lossy(name).trim_start_matches('\u{feff}').trim().to_owned())
        .collect();
    fields.map(|field| {
        let mut found = names.iter().enumerate().filter(|(_, name)| name.eq_ignore_ascii_case(field));
        let first = found.next().map(|(column, _)| column);
        if found.next().is_some() {
            let place = Place { file, line: 1, field };
            remarks.defect(place, || "the file has this field twice; the first is taken".to_owned());
        }
        first
    })
}

/// Tells how many bytes were read.
struct Counted<'a, R> {
    inner: R,
    progress: &'a dyn Fn(u64),
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        (self.progress)(read as u64);
        Ok(read)
    }
}
