//! Zip archives.

use super::{path, spool::Spool};
use anyhow::{Context, bail};
use std::io::{Read, Seek};
use zip::ZipArchive;

/// Takes the wanted files of a zip archive into `spool`.
pub fn unpack(zip: impl Read + Seek, spool: &mut Spool, wanted: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    let mut archive = ZipArchive::new(zip).context("a damaged zip archive")?;
    for index in 0..archive.len() {
        let member = archive.by_index(index).with_context(|| format!("member {index} of the zip archive"))?;
        let path = path::of_member(member.name_raw())?;
        if member.is_symlink() {
            bail!("member {path:?} is a link; no dataset needs one");
        }
        if member.is_file() && wanted(&path) {
            spool.add(path, member)?;
        }
    }
    Ok(())
}
