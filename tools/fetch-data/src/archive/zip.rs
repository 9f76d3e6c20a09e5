//! Zip archives.

use super::{path, unpacked::Unpacked};
use anyhow::{Context, bail, ensure};
use std::io::{Read, Seek};
use zip::ZipArchive;

/// The bits of a Unix mode with the file type, and two file types (POSIX, `sys/stat.h`).
const KIND: u32 = 0o170_000;
const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;

/// Unpacks the wanted files of a zip archive.
pub fn unpack(zip: impl Read + Seek, unpacked: &mut Unpacked, wanted: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    let mut archive = ZipArchive::new(zip).context("a damaged zip archive")?;
    // Of several members with one name, `zip` reads only the last.
    ensure!(!archive.has_duplicate_names(), "a member occurs twice");
    for index in 0..archive.len() {
        let member = archive.by_index(index).with_context(|| format!("member {index} of the zip archive"))?;
        let path = path::of_member(member.name_raw())?;
        if member.is_symlink() {
            bail!("member {path:?} is a link; no dataset needs one");
        }
        let kind = member.unix_mode().map_or(0, |mode| mode & KIND);
        ensure!([0, FOLDER, FILE].contains(&kind), "member {path:?} is neither a file nor a folder");
        if member.is_dir() {
            unpacked.folders.add(&path, &wanted);
            continue;
        }
        unpacked.folders.add_parent(&path, &wanted);
        if wanted(&path) {
            unpacked.add(path, member)?;
        }
    }
    Ok(())
}
