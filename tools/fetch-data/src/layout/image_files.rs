//! Images without classes, for inference, in a folder or an archive; rows are sorted by path.

use super::{
    Dataset, IMAGES, Split, checksums,
    images::{EXTENSIONS, Images, folder_name, is_ignored, is_image, list, prefix, target},
    schema,
};
use crate::{archive::Members, fetch::Fetched, settings::ImageFiles};
use anyhow::ensure;
use cli::Report;
use indexmap::IndexMap;
use std::{path::Path, rc::Rc};

/// Opens a fetched folder or archive.
pub fn open(
    settings: &ImageFiles,
    archive: Fetched,
    unpacked_bytes: u64,
    scratch: &Path,
    report: &Report,
) -> anyhow::Result<Dataset> {
    let prefix = prefix(&settings.folder);
    let wanted = |path: &str| path.starts_with(&prefix) && !is_ignored(path);
    let members = Rc::new(Members::open(&archive, unpacked_bytes, scratch, wanted)?);
    let (images, others): (Vec<&str>, Vec<&str>) = members.paths().partition(|path| is_image(path));
    let (name, extensions) = (folder_name(&members, &settings.folder), EXTENSIONS.join(", "));
    if !others.is_empty() {
        let (count, others) = (others.len(), list(others));
        report.note(&format!("{name}: skipped files that are not images ({extensions}): {count} ({others})"));
    }
    ensure!(!images.is_empty(), "{name}: no images; expected files whose names end in {extensions}");
    let target = target(settings.pixels(), &members, images.first().copied())?;
    let schema = schema([target.channels as usize, target.size[0], target.size[1]], &IndexMap::new())?;
    let paths = images.iter().map(|path| path[prefix.len()..].to_owned()).collect();
    let images = images.into_iter().map(|path| (path.to_owned(), 0)).collect();
    let splits = vec![Split { name: IMAGES, rows: Box::new(Images::new(members.clone(), images, 0, target)) }];
    let files = checksums([("archive", archive)]);
    Ok(Dataset { schema, classes: IndexMap::new(), splits, paths: Some(paths), files })
}
