//! `<split>/<class>/<image>`, in a folder or an archive.

use super::{
    BYTE_CLASSES, Dataset, LABEL, Split, TEST, TRAIN, check_names, checksums,
    decode::Target,
    images::{EXTENSIONS, Images, folder_name, is_ignored, is_image, is_note, list, prefix, target},
    schema,
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
        prefixes.iter().any(|prefix| path.starts_with(prefix.as_str())) && !is_ignored(path)
    })?;
    let members = Rc::new(members);
    let train = Folder::read(&members, &settings.train)?;
    let test = settings.test.as_ref().map(|folder| Folder::read(&members, folder)).transpose()?;
    let names = match &settings.classes {
        Some(names) => names.clone(),
        None => train.classes().into_iter().map(str::to_owned).collect(),
    };
    check_names("dataset.classes", &names)?;
    train.warn_of_empty_classes(&names, report);
    test.iter().for_each(|test| test.warn_of_empty_classes(&names, report));
    let target = target(settings.pixels(), &members, train.images.first().map(|image| image.path.as_str()))?;
    let classes = IndexMap::from([(LABEL.to_owned(), names)]);
    let schema = schema([target.channels as usize, target.size[0], target.size[1]], &classes)?;
    let mut splits = vec![Split { name: TRAIN, rows: Box::new(train.rows(&classes[LABEL], target)?) }];
    if let Some(test) = test {
        splits.push(Split { name: TEST, rows: Box::new(test.rows(&classes[LABEL], target)?) });
    }
    Ok(Dataset { schema, classes, splits, paths: None, files: checksums([("archive", archive)]) })
}

/// The folder of a split.
struct Folder {
    members: Rc<Members>,
    /// Name for messages.
    name: String,
    /// Sorted by class, then by path.
    images: Vec<Image>,
    /// Names of the class folders without images.
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
        let (name, empty) = (folder_name(members, folder), empty.collect());
        Ok(Self { members: members.clone(), name, images, empty })
    }

    /// The classes with images.
    fn classes(&self) -> BTreeSet<&str> {
        self.images.iter().map(|image| image.class.as_str()).collect()
    }

    /// Warns of classes in `names`, and of class folders not in `names`, that have no images. (torchvision refuses them.)
    fn warn_of_empty_classes(&self, names: &[String], report: &Report) {
        let (classes, known) = (self.classes(), names.iter().map(String::as_str).collect::<HashSet<_>>());
        let missing: Vec<&str> = names.iter().map(String::as_str).filter(|name| !classes.contains(name)).collect();
        let empty: Vec<&str> = self.empty.iter().map(String::as_str).filter(|name| !known.contains(name)).collect();
        if !missing.is_empty() {
            let (name, missing) = (&self.name, list(missing));
            report.note(&format!("{name}: classes without images: {missing}"));
        }
        if !empty.is_empty() {
            let (name, empty) = (&self.name, list(empty));
            report.note(&format!("{name}: folders without images, ignored: {empty}"));
        }
    }

    fn rows(self, classes: &[String], target: Target) -> anyhow::Result<Images> {
        let labels: IndexMap<&String, usize> = classes.iter().enumerate().map(|(label, name)| (name, label)).collect();
        let label = |image: Image| match labels.get(&image.class) {
            Some(label) => Ok((image.path, i32::try_from(*label)?)),
            None => {
                let known = list(classes.iter().map(String::as_str));
                bail!("{}: class {:?} is not one of {known}", self.members.describe(&image.path), image.class)
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
            Some(_) if is_note(path) => {}
            Some(_) => {
                bail!("{}: not an image: its name does not end in {}", members.describe(path), EXTENSIONS.join(", "))
            }
            None if is_image(path) => {
                bail!("{}: an image without a class; expected {prefix}<class>/<image>", members.describe(path))
            }
            // Other files beside the class folders, such as a README, are ignored.
            None => {}
        }
    }
    ensure!(
        !images.is_empty(),
        "{}: no images like {prefix}<class>/<image>.jpg; set the folders with dataset.train and dataset.test",
        members.name()
    );
    images.sort_by(|a, b| (&a.class, &a.path).cmp(&(&b.class, &b.path)));
    Ok(images)
}
