//! `<split>/<class>/<image>`, in a folder or an archive.

use super::{
    BYTE_CLASSES, Dataset, LABEL, Split, TEST, TRAIN, check_names,
    decode::Target,
    images::{ENDINGS, Images, is_image, is_litter, list, place, prefix, target},
    schema, sums,
};
use crate::{archive::Members, fetch::Fetched, settings::ImageFolder};
use anyhow::{bail, ensure};
use cli::Report;
use indexmap::IndexMap;
use std::{
    collections::{BTreeSet, HashSet},
    path::Path,
    rc::Rc,
};

/// Opens a fetched folder or archive.
pub fn open(
    settings: &ImageFolder,
    archive: Fetched,
    unpacked_bytes: u64,
    scratch: &Path,
    report: &Report,
) -> anyhow::Result<Dataset> {
    let prefixes: Vec<String> =
        [Some(&settings.train), settings.test.as_ref()].into_iter().flatten().map(|folder| prefix(folder)).collect();
    let members = Members::open(&archive, unpacked_bytes, scratch, |path| {
        prefixes.iter().any(|prefix| path.starts_with(prefix.as_str())) && !is_litter(path)
    })?;
    let members = Rc::new(members);
    let train = Folder::read(&members, &settings.train)?;
    let test = settings.test.as_ref().map(|folder| Folder::read(&members, folder)).transpose()?;
    let names = match &settings.classes {
        Some(names) => names.clone(),
        None => train.classes().into_iter().map(str::to_owned).collect(),
    };
    check_names("dataset.classes", &names)?;
    train.tell_gaps(&names, "learned", report);
    test.iter().for_each(|test| test.tell_gaps(&names, "tested", report));
    let target = target(settings.pixels(), &members, train.images.first().map(|image| image.path.as_str()))?;
    let classes = IndexMap::from([(LABEL.to_owned(), names)]);
    let schema = schema([target.channels as usize, target.size[0], target.size[1]], &classes)?;
    let mut splits = vec![Split { name: TRAIN, rows: Box::new(train.rows(&classes[LABEL], target)?) }];
    if let Some(test) = test {
        splits.push(Split { name: TEST, rows: Box::new(test.rows(&classes[LABEL], target)?) });
    }
    Ok(Dataset { schema, classes, splits, paths: None, files: sums([("archive", archive)]) })
}

/// The folder of a split.
struct Folder {
    members: Rc<Members>,
    /// What messages call it.
    place: String,
    /// Sorted by class, then by path.
    images: Vec<Image>,
    /// The folders of classes without an image.
    empty: BTreeSet<String>,
}

struct Image {
    path: String,
    class: String,
}

impl Folder {
    fn read(members: &Rc<Members>, folder: &str) -> anyhow::Result<Self> {
        let images = images(members, folder)?;
        let classes: HashSet<&str> = images.iter().map(|image| image.class.as_str()).collect();
        let prefix = prefix(folder);
        let folders = members.folders().filter_map(|path| path.strip_prefix(&prefix)?.split('/').next());
        let empty = folders.filter(|folder| !folder.is_empty() && !classes.contains(folder)).map(str::to_owned);
        let (place, empty) = (place(members, folder), empty.collect());
        Ok(Self { members: members.clone(), place, images, empty })
    }

    /// The classes that have images.
    fn classes(&self) -> BTreeSet<&str> {
        self.images.iter().map(|image| image.class.as_str()).collect()
    }

    /// Tells which classes, and which folders that look like classes, have no image. torchvision refuses those; people
    /// make them ahead, or lose what was in them.
    fn tell_gaps(&self, names: &[String], purpose: &str, report: &Report) {
        let (classes, known) = (self.classes(), names.iter().map(String::as_str).collect::<HashSet<_>>());
        let missing: Vec<&str> = names.iter().map(String::as_str).filter(|name| !classes.contains(name)).collect();
        let empty: Vec<&str> = self.empty.iter().map(String::as_str).filter(|name| !known.contains(name)).collect();
        if !missing.is_empty() {
            let (place, missing) = (&self.place, list(missing));
            report.note(&format!("{place}: classes without an image, which cannot be {purpose}: {missing}"));
        }
        if !empty.is_empty() {
            let (place, empty) = (&self.place, list(empty));
            report.note(&format!("{place}: folders without an image, which are no classes: {empty}"));
        }
    }

    fn rows(self, classes: &[String], target: Target) -> anyhow::Result<Images> {
        let labels: IndexMap<&String, usize> = classes.iter().enumerate().map(|(label, name)| (name, label)).collect();
        let label = |image: Image| match labels.get(&image.class) {
            Some(label) => Ok((image.path, i32::try_from(*label)?)),
            None => {
                let known = list(classes.iter().map(String::as_str));
                bail!("{}: class {:?} is none of {known}", self.members.describe(&image.path), image.class)
            }
        };
        let images = self.images.into_iter().map(label).collect::<anyhow::Result<_>>()?;
        let label_bytes = if classes.len() <= BYTE_CLASSES { 1 } else { size_of::<i32>() };
        Ok(Images::new(self.members, images, label_bytes, target))
    }
}

/// The images below a folder, sorted by class, then by path.
fn images(members: &Members, folder: &str) -> anyhow::Result<Vec<Image>> {
    let prefix = prefix(folder);
    let mut images = Vec::new();
    for path in members.paths().filter(|path| path.starts_with(&prefix)) {
        match path[prefix.len()..].split_once('/') {
            Some((class, _)) if is_image(path) => images.push(Image { path: path.to_owned(), class: class.to_owned() }),
            Some(_) => bail!("{}: no image: its name does not end in {}", members.describe(path), ENDINGS.join(", ")),
            None if is_image(path) => {
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
