//! What is at a path while it is written, and afterwards.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use files::Output;
use std::path::Path;

#[test]
fn a_file_appears_whole_or_not_at_all() {
    let folder = testkit::Folder::new();
    let path = folder.join("x.npy");
    std::fs::write(&path, "old").unwrap();
    let mut output = Output::create(Some(&path)).unwrap();
    output.write_all(b"new").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
    output.finish().unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"new");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    assert!(Output::create(Some(Path::new("/nowhere/x"))).is_err());
    assert!(Output::create(Some(&folder)).is_err(), "a folder");
}
