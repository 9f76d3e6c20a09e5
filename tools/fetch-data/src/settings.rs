//! Config groups `dataset` and `download`, read and checked.

use anyhow::ensure;
use indexmap::IndexMap;
use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny},
};
use std::{path::PathBuf, time::Duration};

/// Everything `fetch-data` is told.
pub struct Settings {
    pub name: String,
    /// Most bytes that an archive may unpack to.
    pub unpacked_bytes: u64,
    pub layout: Layout,
    pub download: Download,
}

/// Where a file comes from, and how it is known for the right one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// `http:`, `https:` and `file:` URLs, or paths; tried in order.
    pub urls: Vec<String>,
    #[serde(deserialize_with = "sha256")]
    pub sha256: Option<String>,
    pub bytes: Option<u64>,
}

/// The keys that every dataset has.
#[derive(Deserialize)]
struct Shared {
    name: String,
    layout: LayoutName,
    unpacked_bytes: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum LayoutName {
    Cifar,
    Idx,
    ImageFolder,
    ImageFiles,
}

/// How a dataset's files are laid out.
pub enum Layout {
    Cifar(Cifar),
    Idx(Idx),
    ImageFolder(ImageFolder),
    ImageFiles(ImageFiles),
}

/// One struct for each layout, so that a key of another layout is an unknown key. The shared keys are
/// named again, to be known, and read by [`Shared`].
macro_rules! layout {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        #[allow(dead_code, reason = "the shared keys are only named here")]
        pub struct $name {
            name: IgnoredAny,
            layout: IgnoredAny,
            unpacked_bytes: IgnoredAny,
            $($(#[$field_doc])* pub $field: $type),*
        }
    };
}

layout!(
    /// Label bytes and planes of pixels, back to back in members of an archive.
    Cifar {
        files: Archive,
        /// The members with the training rows, in order.
        train: Vec<String>,
        test: Vec<String>,
        /// For each label byte in front of the pixels: the field's name, and the member that names its classes.
        labels: IndexMap<String, String>,
    }
);

layout!(
    /// The IDX files of MNIST and its relatives.
    Idx {
        files: IdxFiles,
        /// Names of the classes, label 0 on.
        classes: Vec<String>,
    }
);

layout!(
    /// `<split>/<class>/<image>`, in a folder or an archive.
    ImageFolder {
        files: Archive,
        /// Folder of the training images; `.` is the whole.
        train: String,
        test: Option<String>,
        /// Names of the folders in the order of their labels; none is the folders there are, sorted.
        classes: Option<Vec<String>>,
        channels: Channels,
        /// Height and width; none is those of the first image.
        size: Option<[usize; 2]>,
        resize: bool,
        /// Most pixels that an image may have before it is decoded.
        image_pixels: u64,
    }
);

layout!(
    /// Images without classes, in a folder or an archive, at any depth.
    ImageFiles {
        files: Archive,
        /// Folder of the images; `.` is the whole.
        folder: String,
        channels: Channels,
        /// Height and width; none is those of the first image.
        size: Option<[usize; 2]>,
        resize: bool,
        /// Most pixels that an image may have before it is decoded.
        image_pixels: u64,
    }
);

/// What the settings of images in files of their own say of their pixels.
#[derive(Clone, Copy)]
pub struct Pixels {
    pub channels: Channels,
    pub size: Option<[usize; 2]>,
    pub resize: bool,
    pub image_pixels: u64,
}

impl ImageFolder {
    pub fn pixels(&self) -> Pixels {
        let &Self { channels, size, resize, image_pixels, .. } = self;
        Pixels { channels, size, resize, image_pixels }
    }
}

impl ImageFiles {
    pub fn pixels(&self) -> Pixels {
        let &Self { channels, size, resize, image_pixels, .. } = self;
        Pixels { channels, size, resize, image_pixels }
    }
}

impl Pixels {
    fn check(self) -> anyhow::Result<()> {
        ensure!(self.size.is_none_or(|size| !size.contains(&0)), "dataset.size: 0 pixels; write it as [32,32]");
        ensure!(!self.resize || self.size.is_some(), "dataset.resize: needs dataset.size, for instance [32,32]");
        Ok(())
    }
}

/// The one file of a dataset that is an archive.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    pub archive: Source,
}

/// The four files of a dataset in IDX.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdxFiles {
    pub train_images: Source,
    pub train_labels: Source,
    pub test_images: Source,
    pub test_labels: Source,
}

/// What a pixel holds.
#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(try_from = "u64")]
pub enum Channels {
    Gray = 1,
    Rgb = 3,
}

impl TryFrom<u64> for Channels {
    type Error = String;

    fn try_from(channels: u64) -> Result<Self, String> {
        match channels {
            1 => Ok(Self::Gray),
            3 => Ok(Self::Rgb),
            _ => Err(format!("{channels}; expected 1 (gray) or 3 (red, green and blue)")),
        }
    }
}

/// Config group `download`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Download {
    /// None is the user's cache folder.
    pub cache: Option<PathBuf>,
    #[serde(deserialize_with = "duration")]
    pub connect_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    pub read_timeout: Duration,
    /// Times that a mirror is tried again without getting further.
    pub retries: u32,
    #[serde(deserialize_with = "duration")]
    pub backoff: Duration,
    #[serde(deserialize_with = "duration")]
    pub max_backoff: Duration,
    /// Largest file whose size is not known ahead.
    pub max_bytes: u64,
}

impl Settings {
    /// Reads and checks the settings.
    pub fn read(document: &config::Document) -> anyhow::Result<Self> {
        let Shared { name, layout, unpacked_bytes } = document.section("dataset")?;
        let layout = match layout {
            LayoutName::Cifar => Layout::Cifar(document.section("dataset")?),
            LayoutName::Idx => Layout::Idx(document.section("dataset")?),
            LayoutName::ImageFolder => Layout::ImageFolder(document.section("dataset")?),
            LayoutName::ImageFiles => Layout::ImageFiles(document.section("dataset")?),
        };
        layout.check()?;
        Ok(Self { name, unpacked_bytes, layout, download: document.section("download")? })
    }
}

impl Layout {
    fn check(&self) -> anyhow::Result<()> {
        match self {
            Self::Cifar(cifar) => {
                ensure!(!cifar.train.is_empty(), "dataset.train: empty; name the members with the training rows");
                ensure!(!cifar.test.is_empty(), "dataset.test: empty; name the members with the test rows");
                ensure!(!cifar.labels.is_empty(), "dataset.labels: empty; a row begins with at least one label");
            }
            Self::Idx(idx) => ensure!(!idx.classes.is_empty(), "dataset.classes: empty; name at least one class"),
            Self::ImageFolder(folder) => {
                let classes = folder.classes.as_deref();
                ensure!(
                    classes.is_none_or(|it| !it.is_empty()),
                    "dataset.classes: empty; null takes the folders' names"
                );
                folder.pixels().check()?;
            }
            Self::ImageFiles(files) => files.pixels().check()?,
        }
        Ok(())
    }
}

/// 64 hexadecimal digits, in small letters.
fn sha256<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(Some(text.to_ascii_lowercase()));
    }
    Err(D::Error::custom(format!("{text:?}; expected 64 hexadecimal digits, as sha256sum prints them")))
}

/// As people write one: `10s`, `1m 30s`.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map_err(|e| D::Error::custom(format!("{text:?}: {e}; write it as 10s or 1m 30s")))
}
