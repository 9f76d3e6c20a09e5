//! Images in files of their own: selecting the files of a folder or an archive, and decoding them as rows.

use super::{
    Rows, chunk_rows,
    decode::{self, Target},
};
use crate::{archive::Members, settings::Pixels};
use anyhow::{Context, bail, ensure};
use rayon::prelude::*;
use std::rc::Rc;

/// File name extensions of images, in lower case.
pub const EXTENSIONS: [&str; 3] = [".jpg", ".jpeg", ".png"];
/// Files and folders that file managers of Windows, macOS and Synology add, in lower case, without hidden ones.
const IGNORED: [&str; 10] = [
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
/// Extensions of notes on images, in lower case: a README, a licence.
const NOTES: [&str; 2] = [".txt", ".md"];
/// Most names in a message.
const MAX_NAMES: usize = 10;
/// Bytes of files that are read at a time; photographs are larger than their rows.
const FILE_BYTES: usize = 64 << 20;
/// Bounds on the size of a file, which is read into memory: bytes for each pixel (PNG: four channels of 16 bits), and bytes
/// of metadata such as profiles and thumbnails.
const PIXEL_BYTES: u64 = 8;
const EXTRA_BYTES: u64 = 64 << 20;

/// Whether a file has the extension of an image.
pub fn is_image(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    EXTENSIONS.iter().any(|extension| lower.ends_with(extension))
}

/// Whether a file is a note on images, and no image.
pub fn is_note(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    NOTES.iter().any(|extension| lower.ends_with(extension))
}

/// Whether a path has a component that is hidden or a file manager's.
pub fn is_ignored(path: &str) -> bool {
    path.split('/').any(|name| name.starts_with('.') || IGNORED.contains(&name.to_ascii_lowercase().as_str()))
}

/// The prefix of the paths of all files in a folder; empty for `.`, the root.
pub fn prefix(folder: &str) -> String {
    let names: Vec<&str> = folder.split('/').filter(|name| !name.is_empty() && *name != ".").collect();
    if names.is_empty() { String::new() } else { names.join("/") + "/" }
}

/// The name of a folder for messages.
pub fn folder_name(members: &Members, folder: &str) -> String {
    match prefix(folder).strip_suffix('/') {
        Some(folder) => members.describe(folder),
        None => members.name().to_owned(),
    }
}

/// The first [`MAX_NAMES`] names, for a message.
pub fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names = names.into_iter();
    let named = names.by_ref().take(MAX_NAMES).collect::<Vec<_>>().join(", ");
    if names.next().is_some() { named + ", ..." } else { named }
}

/// The form that images are converted to. If the settings have no size, it is that of the image at the path `first`.
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

/// Reads the file of an image of at most `image_pixels` pixels.
fn read(members: &Members, path: &str, image_pixels: u64) -> anyhow::Result<Vec<u8>> {
    let (bytes, limit) = (members.bytes(path)?, image_pixels.saturating_mul(PIXEL_BYTES).saturating_add(EXTRA_BYTES));
    let name = members.describe(path);
    ensure!(bytes <= limit, "{name}: {bytes} bytes, too many for an image of dataset.image_pixels, {image_pixels}");
    members.read(path)
}

/// Rows of an image and, unless `label_bytes` is 0, its label. Images are decoded in parallel, one chunk at a time.
pub struct Images {
    members: Rc<Members>,
    /// Path and label.
    images: Vec<(String, i32)>,
    /// Bytes of a label; 0 for images without classes.
    label_bytes: usize,
    target: Target,
    /// Index of the next image.
    next: usize,
}

impl Images {
    pub fn new(members: Rc<Members>, images: Vec<(String, i32)>, label_bytes: usize, target: Target) -> Self {
        Self { members, images, label_bytes, target, next: 0 }
    }

    /// Reads the files of the next chunk of rows, but not many more than [`FILE_BYTES`] bytes.
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
        // In order, so that the first damaged image is the one in the message, whatever the threads.
        for (row, (path, _)) in rows.into_iter().zip(images) {
            packed.extend(row.with_context(|| self.members.describe(path))?);
        }
        self.next += images.len();
        Ok(Some(packed))
    }
}
