//! A folder to run `fetch-data` in, and small datasets made on the spot.

#![allow(dead_code, reason = "each test file uses some of it")]

use flate2::{Compression, write::GzEncoder};
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use sha2::{Digest, Sha256};
use std::{fs, io::Write, ops::Deref};
use tar::EntryType;
use testkit::{Done, npy, tool};

pub struct Folder(testkit::Folder);

impl Deref for Folder {
    type Target = testkit::Folder;

    fn deref(&self) -> &testkit::Folder {
        &self.0
    }
}

impl Folder {
    pub fn new() -> Self {
        Self(testkit::Folder::new())
    }

    /// Runs the tool with these arguments, into the folder `out`, with a cache of its own.
    pub fn run(&self, args: &[&str]) -> Done {
        let tool =
            tool!("fetch-data").within(&self.0).without_env(["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]);
        tool.args(["-o", "out", "download.cache=cache", "download.backoff=1ms"]).args(args).run()
    }

    /// As [`Folder::run`]; returns standard error.
    pub fn works(&self, args: &[&str]) -> String {
        let (status, out, error) = self.run(args).parts();
        assert_eq!((status, out.as_str()), (0, ""), "{args:?}: {error}");
        error
    }

    /// As [`Folder::run`], of what fails for good: returns the last line, after all else that was said. There must be no
    /// result, not even its folder.
    pub fn fails(&self, args: &[&str]) -> String {
        self.fails_with(2, args)
    }

    /// The same, with this exit status.
    pub fn fails_with(&self, expected: i32, args: &[&str]) -> String {
        let (status, _, error) = self.run(args).parts();
        assert_eq!(status, expected, "{args:?}: {error}");
        assert!(!self.join("out").exists(), "{args:?} left a result: {error}");
        let last = error.lines().last().unwrap_or_default().to_owned();
        assert!(last.starts_with("fetch-data: "), "{args:?}: {error}");
        last
    }

    /// The bytes of the rows of `out/<split>.npy`, behind NumPy's header.
    pub fn rows(&self, split: &str) -> Vec<u8> {
        npy::data(&self.bytes(format!("out/{split}.npy"))).to_vec()
    }

    pub fn description(&self) -> serde_json::Value {
        self.json("out/dataset.json")
    }

    /// The names in the cache, without those of locks.
    pub fn cached(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.join("cache/sha256")) else { return Vec::new() };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| !name.ends_with(".lock")).collect()
    }
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Paths that end in `/` are those of folders.
pub fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_entry_type(if path.ends_with('/') { EntryType::Directory } else { EntryType::Regular });
        // As it stands: the tar crate itself refuses to write a path such as `../x`.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        builder.append(&header, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

/// As [`tar`].
pub fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (path, bytes) in members {
        if path.ends_with('/') {
            writer.add_directory(*path, zip::write::SimpleFileOptions::default()).unwrap();
            continue;
        }
        writer.start_file(*path, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Bytes that look like noise, and are the same every time.
pub fn noise(count: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut next = || {
        // Marsaglia's xorshift.
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    (0..count).map(|_| next()).collect()
}

/// CIFAR-10 with a few rows a batch, as its archive, and with the rows as they must come out.
pub struct Cifar {
    pub archive: Vec<u8>,
    pub train: Vec<u8>,
    pub test: Vec<u8>,
}

pub const PIXELS: usize = 3 * 32 * 32;
const CLASSES: &str = "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n";

/// `rows` in each of the five batches for training, and in the one for testing.
pub fn cifar(rows: usize) -> Cifar {
    let (mut train, mut test, mut files) = (Vec::new(), Vec::new(), Vec::new());
    for batch in 1..=6u8 {
        let mut file = Vec::new();
        for row in 0..rows {
            let (label, pixels) = ((row % 10) as u8, noise(PIXELS, u32::from(batch) * 1000 + row as u32));
            file.push(label);
            file.extend(&pixels);
            let split = if batch == 6 { &mut test } else { &mut train };
            split.extend(&pixels);
            split.push(label);
        }
        files.push(file);
    }
    let path = |name: &str| format!("cifar-10-batches-bin/{name}");
    let names: Vec<String> = (1..=5).map(|batch| path(&format!("data_batch_{batch}.bin"))).collect();
    let (meta, test_name, readme) = (path("batches.meta.txt"), path("test_batch.bin"), path("readme.html"));
    // Not in order, as in the author's archive, and with a file that nobody asked for.
    let archive = tar(&[
        (&names[4], &files[4]),
        (&readme, b"<html>"),
        (&names[0], &files[0]),
        (&test_name, &files[5]),
        (&names[3], &files[3]),
        (&meta, CLASSES.as_bytes()),
        (&names[2], &files[2]),
        (&names[1], &files[1]),
    ]);
    Cifar { archive: gzip(&archive), train, test }
}

/// The settings that name a file, its checksum and its size.
pub fn source(urls: &[&str], bytes: &[u8]) -> [String; 3] {
    [
        format!("dataset.files.archive.urls=[{}]", urls.join(",")),
        format!("dataset.files.archive.sha256={}", sha256(bytes)),
        format!("dataset.files.archive.bytes={}", bytes.len()),
    ]
}

/// An image of 2 x 3 pixels as PNG, all of one color, and its planes.
pub fn png(red: u8, green: u8, blue: u8) -> (Vec<u8>, Vec<u8>) {
    let image = image::RgbImage::from_pixel(3, 2, image::Rgb([red, green, blue]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    (bytes.into_inner(), [red, green, blue].into_iter().flat_map(|level| [level; 6]).collect())
}

/// A gray image of 2 x 3 pixels, 1 to 6 row by row, as PNG with this Exif block.
pub fn counting_png(exif: Vec<u8>) -> Vec<u8> {
    let (mut bytes, pixels) = (Vec::new(), [1, 2, 3, 4, 5, 6]);
    let mut encoder = PngEncoder::new(&mut bytes);
    encoder.set_exif_metadata(exif).unwrap();
    encoder.write_image(&pixels, 3, 2, ExtendedColorType::L8).unwrap();
    bytes
}

/// A JPEG with this Exif block behind its first marker.
pub fn jpeg_with(exif: &[u8]) -> Vec<u8> {
    let length = u16::try_from(2 + 6 + exif.len()).unwrap().to_be_bytes();
    [&JPEG[..2], b"\xff\xe1", &length, b"Exif\0\0", exif, &JPEG[2..]].concat()
}

/// An Exif block that holds an orientation alone (TIFF 6.0: header, one directory of one entry, no next one).
pub fn exif(orientation: u16) -> Vec<u8> {
    let entry = [0x0112u16.to_le_bytes(), 3u16.to_le_bytes(), [1, 0], [0, 0], orientation.to_le_bytes(), [0, 0]];
    [b"II*\0\x08\0\0\0\x01\0", entry.as_flattened(), &[0; 4]].concat()
}

pub const JPEG: &[u8] = include_bytes!("../fixtures/gradient.jpg");
