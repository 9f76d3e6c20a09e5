//! Images in files of their own: which files of a folder or an archive they are, and the rows that they become.

use super::{
    Rows, chunk_rows,
    decode::{self, Target},
};
use crate::{archive::Members, settings::Pixels};
use anyhow::{Context, bail, ensure};
use rayon::prelude::*;
use std::rc::Rc;

/// Endings of the files that are images, in small letters.
pub const ENDINGS: [&str; 3] = [".jpg", ".jpeg", ".png"];
/// Files and folders that file managers add to those of a user, in small letters: of Windows, macOS and Synology.
/// Those whose names begin with a dot need no mention.
const LITTER: [&str; 10] = [
    "thumbs.db",
    "thumbs.db:encryptable",
    "ehthumbs.db",
    "ehthumbs_vista.db",
    "desktop.ini",
    "$recycle.bin",
    "system volume information",
    "icon\r",
    "__macosx",
    "@eadir",
];
/// Names in a message at most.
const NAMED: usize = 10;
/// Bytes of files read at a time: photographs are larger than the rows that they become.
const FILE_BYTES: usize = 64 << 20;
/// Most bytes of a pixel in a file (PNG: four channels of 16 bits), and of what else it holds: profiles, thumbnails.
/// A file is in memory as a whole, so that one that is no image must not be of any size.
const PIXEL_BYTES: u64 = 8;
const EXTRA_BYTES: u64 = 64 << 20;

/// Whether a file's name is that of an image.
pub fn is_image(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    ENDINGS.iter().any(|ending| lower.ends_with(ending))
}

/// Whether nobody put a file there as data: it is hidden, or a file manager's own, or in such a folder.
pub fn is_litter(path: &str) -> bool {
    path.split('/').any(|part| part.starts_with('.') || LITTER.contains(&part.to_ascii_lowercase().as_str()))
}

/// What the paths of the files in a folder begin with; nothing for `.`, the whole.
pub fn prefix(folder: &str) -> String {
    let parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.is_empty() { String::new() } else { parts.join("/") + "/" }
}

/// What messages call a folder.
pub fn place(members: &Members, folder: &str) -> String {
    match prefix(folder).strip_suffix('/') {
        Some(folder) => members.describe(folder),
        None => members.name().to_owned(),
    }
}

/// Names for a message, the first few.
pub fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names = names.into_iter();
    let named = names.by_ref().take(NAMED).collect::<Vec<_>>().join(", ");
    if names.next().is_some() { named + ", ..." } else { named }
}

/// What every image becomes; the first one says its size where the settings do not.
pub fn target(pixels: Pixels, members: &Members, first: Option<&str>) -> anyhow::Result<Target> {
    let Pixels { channels, size, resize, image_pixels } = pixels;
    let size = match (size, first) {
        (Some(size), _) => size,
        (None, Some(path)) => {
            let file = read(members, path, image_pixels)?;
            decode::size(&file).with_context(|| members.describe(path))?
        }
        (None, None) => bail!("{}: no images", members.name()),
    };
    Ok(Target { channels, size, resize, image_pixels })
}

/// The file of an image that has at most so many pixels.
fn read(members: &Members, path: &str, image_pixels: u64) -> anyhow::Result<Vec<u8>> {
    let (bytes, most) = (members.bytes(path)?, image_pixels.saturating_mul(PIXEL_BYTES).saturating_add(EXTRA_BYTES));
    let place = members.describe(path);
    ensure!(bytes <= most, "{place}: {bytes} bytes, too many for an image of dataset.image_pixels, {image_pixels}");
    members.read(path)
}

/// Images that are decoded as they are asked for, each with its label behind it, if there are labels.
pub struct Images {
    members: Rc<Members>,
    /// Path and label.
    images: Vec<(String, i32)>,
    /// Bytes of a label; 0 where there are none.
    label_bytes: usize,
    target: Target,
    next: usize,
}

impl Images {
    pub fn new(members: Rc<Members>, images: Vec<(String, i32)>, label_bytes: usize, target: Target) -> Self {
        Self { members, images, label_bytes, target, next: 0 }
    }

    /// The files of the next images: as many as make a chunk of rows, or less where they are large.
    fn read_chunk(&self) -> anyhow::Result<Vec<Vec<u8>>> {
        let row_bytes = self.target.channels as usize * self.target.size[0] * self.target.size[1] + self.label_bytes;
        let (mut files, mut bytes) = (Vec::new(), 0);
        for (path, _) in self.images[self.next..].iter().take(chunk_rows(row_bytes)) {
            let file = read(&self.members, path, self.target.image_pixels)?;
            bytes += file.len();
            files.push(file);
            if bytes >= FILE_BYTES {
                break;
            }
        }
        Ok(files)
    }
}

impl Rows for Images {
    fn count(&self) -> u64 {
        self.images.len() as u64
    }

    fn next(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        let files = self.read_chunk()?;
        let images = &self.images[self.next..self.next + files.len()];
        if images.is_empty() {
            return Ok(None);
        }
        let (target, label_bytes) = (self.target, self.label_bytes);
        let rows: Vec<anyhow::Result<Vec<u8>>> = files
            .into_par_iter()
            .zip(images)
            .map(|(file, (_, label))| {
                let mut row = Vec::new();
                decode::planes(&file, &target, &mut row)?;
                row.extend_from_slice(&label.to_le_bytes()[..label_bytes]);
                Ok(row)
            })
            .collect();
        let mut packed = Vec::new();
        // In order, so that of several damaged images the same one is named every time.
        for (row, (path, _)) in rows.into_iter().zip(images) {
            packed.extend(row.with_context(|| self.members.describe(path))?);
        }
        self.next += images.len();
        Ok(Some(packed))
    }
}
