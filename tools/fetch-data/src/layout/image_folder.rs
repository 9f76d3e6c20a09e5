//! `<split>/<class>/<image>`, in a folder or an archive.

use super::{
    BYTE_CLASSES, Dataset, LABEL, Rows, check_names, chunk_rows,
    decode::{self, Target},
    schema, sums,
};
use crate::{archive::Members, fetch::Fetched, settings::ImageFolder};
use anyhow::{Context, bail, ensure};
use indexmap::IndexMap;
use rayon::prelude::*;
use std::{collections::BTreeSet, path::Path, rc::Rc};

/// Endings of the files that are images, in small letters.
const ENDINGS: [&str; 3] = [".jpg", ".jpeg", ".png"];
/// Bytes of files read at a time: photographs are larger than the rows that they become.
const FILE_BYTES: usize = 64 << 20;
/// Most bytes of a pixel in a file (PNG: four channels of 16 bits), and of what else it holds: profiles, thumbnails.
/// A file is in memory as a whole, so that one that is no image must not be of any size.
const PIXEL_BYTES: u64 = 8;
const EXTRA_BYTES: u64 = 64 << 20;
/// Classes that a message names at most.
const NAMED_CLASSES: usize = 10;
/// What macOS adds to archives.
const MAC_FOLDER: &str = "__MACOSX";

/// Opens a fetched folder or archive.
pub fn open(settings: &ImageFolder, archive: Fetched, unpacked_bytes: u64, scratch: &Path) -> anyhow::Result<Dataset> {
    let prefixes: Vec<String> =
        [Some(&settings.train), settings.test.as_ref()].into_iter().flatten().map(prefix).collect();
    let members = Members::open(&archive, unpacked_bytes, scratch, |path| {
        prefixes.iter().any(|prefix| path.starts_with(prefix.as_str())) && !is_hidden(path)
    })?;
    let members = Rc::new(members);
    let train = images(&members, &settings.train)?;
    let test = settings.test.as_ref().map(|folder| images(&members, folder)).transpose()?;
    let names = match &settings.classes {
        Some(names) => names.clone(),
        None => train.iter().map(|image| image.class.clone()).collect::<BTreeSet<_>>().into_iter().collect(),
    };
    check_names("dataset.classes", &names)?;
    let target = target(settings, &members, &train)?;
    let classes = IndexMap::from([(LABEL.to_owned(), names)]);
    let schema = schema([target.channels as usize, target.size[0], target.size[1]], &classes)?;
    let part = |images: Vec<Image>| Part::new(&members, images, &classes[LABEL], target);
    let (train, test) = (part(train)?, test.map(part).transpose()?);
    let test = test.map(|test| Box::new(test) as Box<dyn Rows>);
    Ok(Dataset { schema, classes, train: Box::new(train), test, files: sums([("archive", archive)]) })
}

/// What every image becomes; the first one of the training set says its size where the settings do not.
fn target(settings: &ImageFolder, members: &Members, train: &[Image]) -> anyhow::Result<Target> {
    let size = match (settings.size, train.first()) {
        (Some(size), _) => size,
        (None, Some(first)) => {
            let file = read(members, &first.path, settings.image_pixels)?;
            decode::size(&file).with_context(|| members.describe(&first.path))?
        }
        (None, None) => bail!("{}: no images", members.name()),
    };
    let ImageFolder { channels, resize, image_pixels, .. } = *settings;
    Ok(Target { channels, size, resize, image_pixels })
}

struct Image {
    path: String,
    class: String,
}

/// The images below a folder, sorted by class, then by path.
fn images(members: &Members, folder: &str) -> anyhow::Result<Vec<Image>> {
    let prefix = prefix(folder);
    let mut images = Vec::new();
    for path in members.paths().filter(|path| path.starts_with(&prefix)) {
        let lower = path.to_ascii_lowercase();
        let is_image = ENDINGS.iter().any(|ending| lower.ends_with(ending));
        match path[prefix.len()..].split_once('/') {
            Some((class, _)) if is_image => images.push(Image { path: path.to_owned(), class: class.to_owned() }),
            Some(_) => bail!("{}: no image: its name does not end in {}", members.describe(path), ENDINGS.join(", ")),
            None if is_image => {
                bail!("{}: an image of no class; expected {prefix}<class>/<image>", members.describe(path))
            }
            // A file beside the class folders, say a README, is none of theirs.
            None => {}
        }
    }
    ensure!(
        !images.is_empty(),
        "{}: no images like {prefix}<class>/<image>.jpg; name the folders by dataset.train and dataset.test",
        members.name()
    );
    images.sort_by(|a, b| (&a.class, &a.path).cmp(&(&b.class, &b.path)));
    Ok(images)
}

/// The file of an image that has at most so many pixels.
fn read(members: &Members, path: &str, image_pixels: u64) -> anyhow::Result<Vec<u8>> {
    let (bytes, most) = (members.bytes(path)?, image_pixels.saturating_mul(PIXEL_BYTES).saturating_add(EXTRA_BYTES));
    let place = members.describe(path);
    ensure!(bytes <= most, "{place}: {bytes} bytes, too many for an image of dataset.image_pixels, {image_pixels}");
    members.read(path)
}

/// What paths in a folder begin with.
fn prefix(folder: impl AsRef<str>) -> String {
    let parts: Vec<&str> = folder.as_ref().split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.is_empty() { String::new() } else { parts.join("/") + "/" }
}

fn is_hidden(path: &str) -> bool {
    path.split('/').any(|part| part.starts_with('.') || part == MAC_FOLDER)
}

/// Images that are decoded as they are asked for.
struct Part {
    members: Rc<Members>,
    /// Path and label.
    images: Vec<(String, i32)>,
    /// Bytes of a label.
    label_bytes: usize,
    target: Target,
    next: usize,
}

impl Part {
    fn new(members: &Rc<Members>, images: Vec<Image>, classes: &[String], target: Target) -> anyhow::Result<Self> {
        let labels: IndexMap<&String, usize> = classes.iter().enumerate().map(|(label, name)| (name, label)).collect();
        let label = |image: Image| match labels.get(&image.class) {
            Some(label) => Ok((image.path, i32::try_from(*label)?)),
            None => {
                let known = classes.iter().take(NAMED_CLASSES).map(String::as_str).collect::<Vec<_>>().join(", ");
                let more = if classes.len() > NAMED_CLASSES { ", ..." } else { "" };
                bail!("{}: class {:?} is none of {known}{more}", members.describe(&image.path), image.class)
            }
        };
        let images = images.into_iter().map(label).collect::<anyhow::Result<_>>()?;
        let label_bytes = if classes.len() <= BYTE_CLASSES { 1 } else { size_of::<i32>() };
        Ok(Self { members: members.clone(), images, label_bytes, target, next: 0 })
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

impl Rows for Part {
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
