//! Config groups `dataset` and `download`, read and checked.

use anyhow::ensure;
use indexmap::IndexMap;
use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny},
};
use std::{path::PathBuf, time::Duration};

/// The settings `dataset.*` and `download.*`.
pub struct Settings {
    pub name: String,
    /// Largest total size of the unpacked files, in bytes.
    pub unpacked_bytes: u64,
    pub layout: Layout,
    pub download: Download,
}

/// A file of a dataset.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// `http:`, `https:` and `file:` URLs, or paths; tried in order.
    pub urls: Vec<String>,
    /// Expected SHA-256, 64 lower-case hexadecimal digits.
    #[serde(deserialize_with = "sha256")]
    pub sha256: Option<String>,
    /// Expected size.
    pub bytes: Option<u64>,
}

/// The keys of every dataset.
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

/// The layout of a dataset's files, with its settings.
pub enum Layout {
    Cifar(Cifar),
    Idx(Idx),
    ImageFolder(ImageFolder),
    ImageFiles(ImageFiles),
}

/// Defines the settings of a layout. Keys of other layouts are unknown keys. The shared keys are declared, but their values
/// are read by [`Shared`].
macro_rules! layout {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        #[allow(dead_code, reason = "the shared keys are only declared here")]
        pub struct $name {
            name: IgnoredAny,
            layout: IgnoredAny,
            unpacked_bytes: IgnoredAny,
            $($(#[$field_doc])* pub $field: $type),*
        }
    };
}

layout!(
    /// Members of an archive with rows of label bytes and planes of pixels.
    Cifar {
        files: Archive,
        /// Members with the training rows, in order.
        train: Vec<String>,
        /// Members with the test rows, in order.
        test: Vec<String>,
        /// For each label byte before the pixels: name of the field, and the member with the names of its classes.
        labels: IndexMap<String, String>,
    }
);

layout!(
    /// The IDX files of MNIST and its relatives.
    Idx {
        files: IdxFiles,
        /// Names of the classes, from label 0.
        classes: Vec<String>,
    }
);

layout!(
    /// `<split>/<class>/<image>`, in a folder or an archive.
    ImageFolder {
        files: Archive,
        /// Folder of the training images; `.` is the root.
        train: String,
        /// Folder of the test images.
        test: Option<String>,
        /// Names of the class folders, from label 0; None is all class folders, sorted.
        classes: Option<Vec<String>>,
        channels: Channels,
        /// Height and width; None is the size of the first image.
        size: Option<[usize; 2]>,
        /// Whether images of another size are scaled; else they are an error.
        resize: bool,
        /// Most pixels of an image.
        image_pixels: u64,
    }
);

layout!(
    /// Images without classes, in a folder or an archive, at any depth.
    ImageFiles {
        files: Archive,
        /// Folder of the images; `.` is the root.
        folder: String,
        channels: Channels,
        /// Height and width; None is the size of the first image.
        size: Option<[usize; 2]>,
        /// Whether images of another size are scaled; else they are an error.
        resize: bool,
        /// Most pixels of an image.
        image_pixels: u64,
    }
);

/// The settings for decoding images.
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

/// The file of a dataset with one archive.
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

/// The channels of a pixel.
#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(try_from = "u64")]
pub enum Channels {
    Gray = 1,
    Rgb = 3,
}

impl TryFrom<u64> for Channels {
    type Error = UnknownChannels;

    fn try_from(channels: u64) -> Result<Self, UnknownChannels> {
        match channels {
            1 => Ok(Self::Gray),
            3 => Ok(Self::Rgb),
            _ => Err(UnknownChannels(channels)),
        }
    }
}

/// A number of channels that is not supported.
#[derive(Debug, thiserror::Error)]
#[error("{0}; expected 1 (gray) or 3 (red, green and blue)")]
pub struct UnknownChannels(u64);

/// Config group `download`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Download {
    /// Cache of downloads; None is `pipegrad` in the user's cache folder.
    pub cache: Option<PathBuf>,
    #[serde(deserialize_with = "duration")]
    pub connect_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    pub read_timeout: Duration,
    /// Number of consecutive retries of a mirror that add nothing to the file.
    pub retries: u32,
    #[serde(deserialize_with = "duration")]
    pub backoff: Duration,
    #[serde(deserialize_with = "duration")]
    pub max_backoff: Duration,
    /// Largest file, in bytes, if the dataset has no size for it.
    pub max_bytes: u64,
}

impl Settings {
    /// Reads and checks the settings.
    ///
    /// # Errors
    /// If a key is missing, unknown or not valid: one line that begins with the key.
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
                ensure!(!cifar.labels.is_empty(), "dataset.labels: empty; a row has at least one label");
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

/// Parses 64 hexadecimal digits, and converts them to lower case.
fn sha256<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(Some(text.to_ascii_lowercase()));
    }
    Err(D::Error::custom(format!("{text:?}; expected 64 hexadecimal digits, as sha256sum prints them")))
}

/// Parses a duration such as `10s` or `1m 30s`.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map_err(|e| D::Error::custom(format!("{text:?}: {e}; write it as 10s or 1m 30s")))
}
