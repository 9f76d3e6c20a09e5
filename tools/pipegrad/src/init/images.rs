//! The project of images: where they are, and how their folders are laid out.

use super::{
    Content, example,
    render::{Text, yaml},
    with_slashes,
    write::Target,
};
use anyhow::{Context, bail, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The folder of the example.
const EXAMPLE: &str = "images";
/// The folder that the stages write the rows to.
const ROWS: &str = "data";
/// Names of the folders of training and test images, where there are two.
const SPLITS: [&str; 2] = ["train", "test"];
/// Side in pixels that images of one's own are scaled to.
const SIDE: u32 = 64;
/// Images from which on a training has fewer epochs of larger batches.
const MANY: usize = 2000;

type Data = Vec<(PathBuf, Content)>;

/// What is filled into the template, the images where they become part of the project, and notes.
pub fn project(folder: Option<&Path>, target: &Target) -> anyhow::Result<(Text, Data, Vec<String>)> {
    let Some(folder) = folder else {
        let images = example::shapes()?;
        let layout = Layout { has_splits: false, has_test: false, images: images.len() };
        let images = images.into_iter().map(|(path, bytes)| (Path::new(EXAMPLE).join(path), Content::Bytes(bytes)));
        return Ok((layout.fill_in(EXAMPLE, example::SIDE), images.collect(), Vec::new()));
    };
    let layout = Layout::of(folder)?;
    let path = target.relative(folder).with_context(|| format!("init: {}", folder.display()))?;
    let is_outside = path.starts_with("..");
    ensure!(
        !path.starts_with(ROWS) && path != Path::new("."),
        "init: {}: the stages write {ROWS}/; move the images to a folder of another name",
        folder.display()
    );
    let path = with_slashes(&path);
    let note = format!("the images stay in {path}, outside the project; move them into it to share it");
    Ok((layout.fill_in(&path, SIDE), Vec::new(), is_outside.then_some(note).into_iter().collect()))
}

/// How images are in folders.
struct Layout {
    /// Whether class folders are in `train`, not right in the folder.
    has_splits: bool,
    /// Whether there are some in `test` too.
    has_test: bool,
    /// Number of files for training.
    images: usize,
}

impl Layout {
    fn of(folder: &Path) -> anyhow::Result<Self> {
        let at = || format!("init: {}", folder.display());
        if folder.is_file() {
            bail!("{}: a file; expected a folder with a folder of images for each class", at());
        }
        let [train, test] = SPLITS.map(|name| folder.join(name));
        let inner = |path: &Path| if path.is_dir() { folders(path) } else { Ok(Vec::new()) };
        let has_splits = inner(&train).with_context(at)?.len() > 1;
        let classes = if has_splits { folders(&train) } else { folders(folder) }.with_context(at)?;
        ensure!(
            classes.len() > 1,
            "{}: {} in it; expected a folder of images for each of two classes or more, or these in train/ and test/",
            at(),
            match classes.len() {
                0 => "no folder",
                _ => "one folder",
            }
        );
        let has_test = has_splits && !inner(&test).with_context(at)?.is_empty();
        let images = classes.iter().map(|class| Ok(fs::read_dir(class)?.count())).sum::<std::io::Result<usize>>();
        Ok(Self { has_splits, has_test, images: images.with_context(at)? })
    }

    /// The values of the template for images at `path`, scaled to a side of `side` pixels.
    fn fill_in(&self, path: &str, side: u32) -> Text {
        let (epochs, batch) = if self.images < MANY { (10, 16) } else { (20, 128) };
        let [train, test] = SPLITS;
        let layout = match (self.has_splits, self.has_test) {
            (false, _) => "a folder of JPEG and PNG files for each class",
            (true, false) => "a folder of JPEG and PNG files for each class in `train`",
            (true, true) => "a folder of JPEG and PNG files for each class in `train`, and likewise in `test`",
        };
        Text::new()
            .set("images", yaml(path))
            .set("images_text", path.replace('`', " "))
            .set("layout", layout)
            .set("train", if self.has_splits { train } else { "." })
            .set("test_folder", if self.has_test { test } else { "null" })
            .set("test_input", if self.has_test { "data/test.npy" } else { "null" })
            .set("split", if self.has_test { "[0.9, 0.1, 0.0]" } else { "[0.8, 0.1, 0.1]" })
            .set("size", format!("[{side}, {side}]"))
            .set("epochs", epochs.to_string())
            .set("batch", batch.to_string())
            .set("learning_rate", "0.003")
            .set("outputs", "/classes.tsv\n/confusion.csv\n/data/\n/predictions.npy")
    }
}

/// The folders in a folder, without hidden ones, sorted.
fn folders(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.path().is_dir() && !entry.file_name().to_string_lossy().starts_with('.') {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}
