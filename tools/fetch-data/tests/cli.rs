//! The real binary on files of this machine: what comes out, and what is refused.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Folder, JPEG, PIXELS, cifar, counting_png, exif, gzip, jpeg_with, png, sha256, source, tar, zip};
use serde_json::json;
use std::fs;
use testkit::{system, tool};

/// As strings that a command takes.
fn args<'a>(settings: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    settings.iter().map(String::as_str).chain(more.iter().copied()).collect()
}

const FOLDER: &str = "dataset=image_folder";

#[test]
fn cifar_becomes_rows_in_the_order_of_its_batches() {
    let (folder, data) = (Folder::new(), cifar(7));
    let archive = folder.write("data/my cifar.tar.gz", &data.archive);
    let url = format!("'file://{}'", archive.display().to_string().replace(' ', "%20"));
    let said = folder.works(&args(&source(&[&url], &data.archive), &["dataset=cifar10"]));
    assert_eq!(said, "out: 35 rows for training, 7 for testing\n");
    assert!(folder.rows("train") == data.train && folder.rows("test") == data.test);
    let description = folder.description();
    assert_eq!(description["fields"]["image"], json!({"dtype": "u1", "shape": [3, 32, 32]}));
    assert_eq!(description["fields"]["label"], json!({"dtype": "u1", "shape": []}));
    assert_eq!(description["classes"]["label"][9], "truck");
    assert_eq!(description["train"]["rows"], 35);
    assert_eq!(description["test"], json!({"rows": 7}));
    assert_eq!(description["files"]["archive"], json!({"sha256": sha256(&data.archive), "bytes": data.archive.len()}));
    assert_eq!(fs::read_dir(folder.join("out")).unwrap().count(), 3, "nothing else is left");
    assert_eq!(folder.cached(), [""; 0], "what is here is not copied");
}

#[test]
fn cifar_100_has_two_labels() {
    let folder = Folder::new();
    let row = |coarse, fine, level| [vec![coarse, fine], vec![level; PIXELS]].concat();
    let archive = tar(&[
        ("cifar-100-binary/coarse_label_names.txt", b"fish\ntrees\n"),
        ("cifar-100-binary/fine_label_names.txt", b"bass\noak\npine\n"),
        ("cifar-100-binary/test.bin", &row(0, 0, 9)),
        ("cifar-100-binary/train.bin", &[row(1, 2, 50), row(1, 1, 60)].concat()),
    ]);
    folder.write("c.tar", &archive);
    folder.works(&args(&source(&["c.tar"], &archive), &["dataset=cifar100"]));
    let expected = [vec![50; PIXELS], vec![1, 2], vec![60; PIXELS], vec![1, 1]].concat();
    assert!(folder.rows("train") == expected);
    let description = folder.description();
    assert_eq!(description["classes"], json!({"coarse_label": ["fish", "trees"], "label": ["bass", "oak", "pine"]}));
    // 50 and 60 of 255, in equal parts.
    for channel in 0..3 {
        let close =
            |key: &str, expected: f64| (description["train"][key][channel].as_f64().unwrap() - expected).abs() < 1e-12;
        assert!(close("mean", 55.0 / 255.0) && close("std", 5.0 / 255.0), "{description}");
    }
}

#[test]
fn a_damaged_cifar_is_refused() {
    let folder = Folder::new();
    let meta: (&str, &[u8]) = ("cifar-10-batches-bin/batches.meta.txt", b"cat\ndog\n");
    let batch = |label: u8, cut: usize| [vec![label], vec![0; PIXELS - cut]].concat();
    let archive = |label, cut| tar(&[meta, ("train", &batch(0, 0)), ("test", &batch(label, cut))]);
    let refused = |archive: &[u8]| {
        folder.write("c.tar", archive);
        folder.fails(&args(&source(&["c.tar"], archive), &["dataset.train=[train]", "dataset.test=[test]"]))
    };
    let message = refused(&archive(2, 0));
    assert!(message.contains("c.tar: test: row 0: label 2, but there are 2 classes"), "{message}");
    let message = refused(&archive(0, 1));
    assert!(message.contains("c.tar: test: 3072 bytes, not a multiple of the 3073 of a row"), "{message}");
    let message = refused(&tar(&[meta, ("train", &batch(0, 0))]));
    assert!(message.contains("c.tar: no file \"test\" in it"), "{message}");
    let message = refused(&tar(&[("train", &batch(0, 0)), ("test", &batch(0, 0))]));
    assert!(message.contains("no file \"cifar-10-batches-bin/batches.meta.txt\""), "{message}");
}

/// A header of big-endian numbers, then bytes.
fn idx(sizes: &[u32], bytes: &[u8]) -> Vec<u8> {
    let header = [vec![0, 0, 8, sizes.len() as u8], sizes.iter().flat_map(|size| size.to_be_bytes()).collect()];
    [header.concat(), bytes.to_vec()].concat()
}

#[test]
fn idx_files_come_plain_or_zipped() {
    let folder = Folder::new();
    let write = |key: &str, bytes: Vec<u8>| {
        folder.write(key, &bytes);
        [
            format!("dataset.files.{key}.urls=[{key}]"),
            format!("dataset.files.{key}.sha256=null"),
            format!("dataset.files.{key}.bytes=null"),
        ]
    };
    let settings = |test_labels: Vec<u8>| {
        [
            write("train_images", gzip(&idx(&[3, 2, 2], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]))),
            write("train_labels", idx(&[3], &[2, 0, 9])),
            write("test_images", idx(&[1, 2, 2], &[5, 6, 7, 8])),
            write("test_labels", test_labels),
        ]
        .concat()
    };
    let mut good = settings(gzip(&idx(&[1], &[4])));
    good.push("dataset=mnist".into());
    folder.works(&args(&good, &[]));
    assert_eq!(folder.rows("train"), [1, 2, 3, 4, 2, 5, 6, 7, 8, 0, 9, 10, 11, 12, 9]);
    assert_eq!(folder.rows("test"), [5, 6, 7, 8, 4]);
    assert_eq!(folder.description()["fields"]["image"]["shape"], json!([1, 2, 2]));
    fs::remove_dir_all(folder.join("out")).unwrap();

    let zipped = gzip(&idx(&[1], &[4]));
    let cases: &[(Vec<u8>, &str)] = &[
        (idx(&[1], &[10]), "test_labels: row 0: label 10, but there are 10 classes"),
        (idx(&[2], &[4, 4]), "test_labels: 2 labels, but test_images has 1 images"),
        (idx(&[1], &[4, 4]), "test_labels: bytes after the last row"),
        (idx(&[1], &[]), "test_labels: damaged or truncated"),
        (zipped[..zipped.len() - 3].to_vec(), "test_labels: damaged or truncated"),
        (idx(&[1, 1], &[4]), "test_labels: not an IDX file of 1 dimensions"),
        (Vec::new(), "test_labels: damaged or truncated"),
    ];
    for (labels, expected) in cases {
        let mut bad = settings(labels.clone());
        bad.push("dataset=mnist".into());
        let message = folder.fails(&args(&bad, &[]));
        assert!(message.contains(expected), "{message}\n{expected}");
    }
    settings(zipped);
    let message = folder.fails(&args(&good, &["dataset.unpacked_bytes=20"]));
    assert!(message.contains("unpacks to more than dataset.unpacked_bytes, 20"), "{message}");
}

struct Images {
    members: Vec<(&'static str, Vec<u8>)>,
    /// The rows that they are.
    train: Vec<u8>,
    test: Vec<u8>,
}

impl Images {
    fn members(&self) -> Vec<(&str, &[u8])> {
        self.members.iter().map(|(path, bytes)| (*path, bytes.as_slice())).collect()
    }
}

/// Two classes; the images of a class and the classes come sorted, whatever the order in the archive.
fn images() -> Images {
    let [(a, a_planes), (b, b_planes), (c, c_planes)] = [png(1, 2, 3), png(40, 50, 60), png(255, 0, 7)];
    let members = vec![
        ("train/dog/1.png", c.clone()),
        ("train/README", b"not an image".to_vec()),
        ("train/cat/2.PNG", b),
        ("./train/cat/10.png", a.clone()),
        ("train/cat/._10.png", b"what a Mac adds".to_vec()),
        ("__MACOSX/train/cat/10.png", b"and here".to_vec()),
        ("test/dog/deeper/3.png", a),
    ];
    let train = [a_planes.clone(), vec![0], b_planes, vec![0], c_planes, vec![1]].concat();
    Images { members, train, test: [a_planes, vec![1]].concat() }
}

#[test]
fn a_folder_a_tar_a_tar_gz_and_a_zip_of_images_give_the_same_rows() {
    let images = images();
    let members = images.members();
    let folder = Folder::new();
    for (path, bytes) in &members {
        folder.write(format!("images/{path}"), bytes);
    }
    let tar = tar(&members);
    folder.write("images.tar", &tar);
    folder.write("images.tgz", gzip(&tar));
    folder.write("images.zip", zip(&members));
    for (from, threads) in [("images", "1"), ("images.tar", "2"), ("images.tgz", "3"), ("images.zip", "4")] {
        let url = format!("dataset.files.archive.urls=[{from}]");
        folder.works(&[FOLDER, &url, "--threads", threads]);
        assert!(folder.rows("train") == images.train && folder.rows("test") == images.test, "{from}");
        let description = folder.description();
        assert_eq!(description["classes"], json!({"label": ["cat", "dog"]}), "{from}");
        assert_eq!(description["fields"]["image"]["shape"], json!([3, 2, 3]), "{from}");
    }
}

#[test]
fn named_classes_fix_the_labels() {
    let images = images();
    let members = images.members();
    let folder = Folder::new();
    folder.write("i.zip", zip(&members));
    let url = "dataset.files.archive.urls=[i.zip]";
    folder.works(&[FOLDER, url, "dataset.classes=[dog,bird,cat]", "dataset.test=null"]);
    let labels: Vec<u8> = folder.rows("train").chunks_exact(19).map(|row| row[18]).collect();
    assert_eq!(labels, [2, 2, 0]);
    assert!(!folder.join("out/test.npy").exists());
    fs::remove_dir_all(folder.join("out")).unwrap();
    // The whole as one set, in which the README would be an image.
    let message = folder.fails(&[FOLDER, url, "dataset.train=.", "dataset.test=null"]);
    assert!(message.contains("i.zip: train/README: not an image"), "{message}");
    let without: Vec<_> = members.into_iter().filter(|(path, _)| !path.ends_with("README")).collect();
    folder.write("i.zip", zip(&without));
    let message = folder.fails(&[FOLDER, url, "dataset.test=."]);
    assert!(message.contains("class \"test\" is not one of cat, dog"), "{message}");
    folder.works(&[FOLDER, url, "dataset.train=.", "dataset.test=null"]);
    assert_eq!(folder.description()["classes"]["label"], json!(["test", "train"]));
    fs::remove_dir_all(folder.join("out")).unwrap();
    let message = folder.fails(&[FOLDER, url, "dataset.train=trian"]);
    assert!(message.contains("i.zip: no images like trian/<class>/<image>.jpg"), "{message}");
    let message = folder.fails(&[FOLDER, url, "dataset.classes=[cat,bird]"]);
    assert!(message.contains("i.zip: train/dog/1.png: class \"dog\" is not one of cat, bird"), "{message}");
}

/// Of a tool's standard error, the warnings.
fn warnings(stderr: &str) -> Vec<&str> {
    stderr.lines().filter_map(|line| line.strip_prefix("fetch-data: ")).collect()
}

#[test]
fn class_folders_without_an_image_are_told_and_are_no_classes() {
    let folder = Folder::new();
    let (image, _) = png(1, 2, 3);
    let files = ["i/train/cat/1.png", "i/train/dog/1.png", "i/test/cat/1.png"];
    files.iter().for_each(|path| drop(folder.write(path, &image)));
    for path in ["i/train/zebra", "i/train/elk/deeper", "i/train/.cache", "i/test/yak"] {
        fs::create_dir_all(folder.join(path)).unwrap();
    }
    folder.write("i/train/gnu/Thumbs.db", b"no data");
    // In archives, a folder is a member of its own or only in the paths of others.
    let folders = ["train/", "train/elk/", "train/elk/deeper/", "train/.cache/", "test/yak/"];
    let litter: [(&str, &[u8]); 2] = [("train/gnu/Thumbs.db", b""), ("train/zebra/.DS_Store", b"")];
    let mut members: Vec<(&str, &[u8])> = files.iter().map(|path| (&path[2..], image.as_slice())).collect();
    members.extend(folders.iter().map(|path| (*path, &b""[..])).chain(litter));
    folder.write("i.tar", tar(&members));
    folder.write("i.zip", zip(&members));
    for from in ["i", "i.tar", "i.zip"] {
        let url = format!("dataset.files.archive.urls=[{from}]");
        let stderr = folder.works(&[FOLDER, &url]);
        let expected = [
            format!("{from}: train: folders without images, ignored: elk, gnu, zebra"),
            format!("{from}: test: classes without images: dog"),
            format!("{from}: test: folders without images, ignored: yak"),
        ];
        assert_eq!(warnings(&stderr), expected);
        assert_eq!(folder.description()["classes"]["label"], json!(["cat", "dog"]), "{from}");
        assert_eq!(folder.works(&[FOLDER, &url, "--quiet"]), "");
    }
    // A folder that is named as a class is one.
    let classes = "dataset.classes=[cat,dog,elk,fox]";
    let stderr = folder.works(&[FOLDER, "dataset.files.archive.urls=[i]", "dataset.test=null", classes]);
    let expected =
        ["i: train: classes without images: elk, fox", "i: train: folders without images, ignored: gnu, zebra"];
    assert_eq!(warnings(&stderr), expected);
}

#[test]
fn ten_empty_classes_are_named_and_no_name_speaks_to_the_terminal() {
    let folder = Folder::new();
    folder.write("i/a/1.png", &png(1, 2, 3).0);
    (10..21).for_each(|number| fs::create_dir_all(folder.join(format!("i/empty{number}"))).unwrap());
    let args = [FOLDER, "dataset.files.archive.urls=[i]", "dataset.train=.", "dataset.test=null"];
    let stderr = folder.works(&args);
    let names: Vec<String> = (10..20).map(|number| format!("empty{number}")).collect();
    let expected = format!("i: folders without images, ignored: {}, ...", names.join(", "));
    assert_eq!(warnings(&stderr), [expected]);
    fs::remove_dir(folder.join("i/empty20")).unwrap();
    assert!(warnings(&folder.works(&args))[0].ends_with(", empty19"));

    folder.write("i.tar", tar(&[("\u{1b}[2J/", b""), ("a/1.png", &png(1, 2, 3).0)]));
    let stderr = folder.works(&[FOLDER, "dataset.files.archive.urls=[i.tar]", "dataset.train=.", "dataset.test=null"]);
    assert!(warnings(&stderr)[0].ends_with(r": \u{1b}[2J"), "{stderr:?}");
}

/// What file managers leave among images.
const LITTER: [&str; 11] = [
    "Thumbs.db",
    "THUMBS.DB",
    "ehthumbs.db",
    "Desktop.ini",
    ".DS_Store",
    "._1.png",
    "Icon\r",
    "__MACOSX/1.png",
    "__macosx/._1.png",
    "@eaDir/1.jpg",
    "$RECYCLE.BIN/2.png",
];

#[test]
fn what_file_managers_add_is_passed_over() {
    let folder = Folder::new();
    let (image, planes) = png(1, 2, 3);
    let paths: Vec<String> = ["train/a/1.png".to_owned()]
        .into_iter()
        .chain(["", "train/", "train/a/"].into_iter().flat_map(|at| LITTER.map(|name| format!("{at}{name}"))))
        .collect();
    let members: Vec<(&str, &[u8])> = paths
        .iter()
        .map(|path| (path.as_str(), if path == "train/a/1.png" { image.as_slice() } else { b"" }))
        .collect();
    for (path, bytes) in &members {
        folder.write(format!("i/{path}"), bytes);
    }
    folder.write("i.zip", zip(&members));
    for from in ["i", "i.zip"] {
        let url = format!("dataset.files.archive.urls=[{from}]");
        let stderr = folder.works(&[FOLDER, &url, "dataset.test=null"]);
        assert_eq!(stderr, "out: 1 rows for training\n");
        assert!(folder.rows("train") == [&planes[..], &[0]].concat());
    }
}

#[test]
fn images_of_another_size_are_refused_or_scaled() {
    let folder = Folder::new();
    folder.write("i/train/a/1.png", &png(9, 9, 9).0);
    folder.write("i/train/a/2.jpg", JPEG);
    let options = [FOLDER, "dataset.files.archive.urls=[i]", "dataset.test=null"];
    let run = |more: &[&'static str]| folder.fails(&[&options, more].concat());
    let message = run(&[]);
    assert!(
        message.contains("i: train/a/2.jpg: 8x8 pixels, expected 2x3 (dataset.resize=true dataset.size=[2,3] scales)"),
        "{message}"
    );
    let message = run(&["dataset.resize=true"]);
    assert!(message.contains("dataset.resize: needs dataset.size"), "{message}");
    let message = run(&["dataset.resize=true", "dataset.size=[4,4]", "dataset.image_pixels=63"]);
    assert!(message.contains("2.jpg: 8x8 pixels, more than dataset.image_pixels, 63"), "{message}");
    let message = run(&["dataset.size=[0,4]"]);
    assert!(message.contains("dataset.size: 0 pixels"), "{message}");
    let message = run(&["dataset.channels=2"]);
    assert!(message.contains("expected 1 (gray) or 3"), "{message}");
    folder.works(&[&options[..], &["dataset.resize=true", "dataset.size=[4,4]", "dataset.channels=1"]].concat());
    let rows = folder.rows("train");
    assert_eq!(rows.len(), 2 * 17);
    assert_eq!(rows[..17], [vec![9; 16], vec![0]].concat(), "one color stays one color");
}

#[test]
fn an_image_stored_turned_is_written_upright() {
    let folder = Folder::new();
    let upright = [
        [1, 2, 3, 4, 5, 6],
        [3, 2, 1, 6, 5, 4],
        [6, 5, 4, 3, 2, 1],
        [4, 5, 6, 1, 2, 3],
        [1, 4, 2, 5, 3, 6],
        [4, 1, 5, 2, 6, 3],
        [6, 3, 5, 2, 4, 1],
        [3, 6, 2, 5, 1, 4],
    ];
    for (orientation, pixels) in (1..).zip(upright) {
        folder.write("i/train/a/1.png", counting_png(exif(orientation)));
        folder.works(&[FOLDER, "dataset.files.archive.urls=[i]", "dataset.test=null", "dataset.channels=1"]);
        assert_eq!(folder.rows("train"), [&pixels[..], &[0]].concat(), "orientation {orientation}");
        let shape = if orientation < 5 { json!([1, 2, 3]) } else { json!([1, 3, 2]) };
        assert_eq!(folder.description()["fields"]["image"]["shape"], shape, "orientation {orientation}");
    }
    fs::remove_dir_all(folder.join("out")).unwrap();
    // The size that counts is that of the image as it is shown.
    let sized = [FOLDER, "dataset.files.archive.urls=[i]", "dataset.test=null", "dataset.size=[2,3]"];
    let message = folder.fails(&sized);
    assert!(message.contains("i: train/a/1.png: 3x2 pixels, expected 2x3"), "{message}");
    folder.works(&[&sized[..3], &["dataset.size=[3,2]"]].concat());
}

#[test]
fn a_jpeg_is_turned_and_a_broken_exif_block_turns_nothing() {
    let folder = Folder::new();
    folder.write("i/train/a/0.jpg", JPEG);
    folder.write("i/train/a/1.jpg", jpeg_with(&exif(6)));
    let broken =
        [&[][..], b"II", b"what", &exif(6)[..17], &exif(0), &exif(9), &exif(u16::MAX), b"MM\0*\xff\xff\xff\xff"];
    for (number, block) in (2..).zip(broken) {
        folder.write(format!("i/train/a/{number}.jpg"), jpeg_with(block));
    }
    folder.works(&[FOLDER, "dataset.files.archive.urls=[i]", "dataset.test=null", "dataset.channels=1"]);
    let rows = folder.rows("train");
    let rows: Vec<&[u8]> = rows.chunks_exact(65).collect();
    assert_eq!(rows.len(), 2 + broken.len());
    let turned: Vec<u8> = (0..64).map(|at| rows[0][8 * (7 - at % 8) + at / 8]).collect();
    assert!(rows[1][..64] == turned && turned != rows[0][..64], "a quarter turn clockwise");
    assert!(rows[2..].iter().all(|row| row == &rows[0]), "as without a block");

    folder.write("p/train/a/1.png", counting_png(b"what".to_vec()));
    folder.works(&[FOLDER, "dataset.files.archive.urls=[p]", "dataset.test=null", "dataset.channels=1"]);
    assert_eq!(folder.rows("train"), [1, 2, 3, 4, 5, 6, 0]);
}

#[test]
fn a_damaged_image_is_named() {
    let (good, _) = png(1, 2, 3);
    // One byte of the pixels: PNG has a checksum.
    let mut flipped = good.clone();
    let data = flipped.windows(4).position(|bytes| bytes == b"IDAT").unwrap() + 6;
    flipped[data] ^= 1;
    let cases: [(&str, &[u8], &str); 7] = [
        ("b.jpg", &JPEG[..JPEG.len() - 10], ""),
        ("b.jpg", &JPEG[..JPEG.len() / 2], ""),
        ("b.jpg", b"", "neither a JPEG nor a PNG"),
        ("b.jpg", b"<html>404</html>", "neither a JPEG nor a PNG"),
        ("b.png", &good[..good.len() / 2], ""),
        ("b.png", &flipped, ""),
        ("b.webp", b"RIFF", "not an image: its name does not end in .jpg, .jpeg, .png"),
    ];
    for (name, bytes, expected) in cases {
        let folder = Folder::new();
        folder.write("i/train/x/a.jpg", JPEG);
        folder.write("i/train/x/a.png", &good);
        folder.write(format!("i/train/x/{name}"), bytes);
        let size = if name == "b.jpg" { "dataset.size=[8,8]" } else { "dataset.size=[2,3]" };
        fs::remove_file(folder.join(if name == "b.jpg" { "i/train/x/a.png" } else { "i/train/x/a.jpg" })).unwrap();
        let message = folder.fails(&[FOLDER, "dataset.files.archive.urls=[i]", "dataset.test=null", size]);
        assert!(message.contains(&format!("i: train/x/{name}: ")) && message.contains(expected), "{message}");
    }
}

const FILES: &str = "dataset=image_files";

#[test]
fn images_without_classes_keep_their_paths() {
    let folder = Folder::new();
    let [(a, a_planes), (b, b_planes), (c, c_planes)] = [png(1, 2, 3), png(40, 50, 60), png(255, 0, 7)];
    let members: [(&str, &[u8]); 5] = [
        ("new/z.png", &b),
        ("new/b/10.PNG", &a),
        ("new/a, \"b\".png", &c),
        ("new/Thumbs.db", b"no data"),
        ("readme.txt", b"outside"),
    ];
    members.iter().for_each(|(path, bytes)| drop(folder.write(format!("i/{path}"), bytes)));
    folder.write("i.tar.gz", gzip(&tar(&members)));
    folder.write("i.zip", zip(&members));
    for (from, threads) in [("i", "1"), ("i.tar.gz", "2"), ("i.zip", "3")] {
        let url = format!("dataset.files.archive.urls=[{from}]");
        let stderr = folder.works(&[FILES, &url, "dataset.folder=./new/", "--threads", threads]);
        assert_eq!(stderr, "out: 3 images\n", "{from}");
        assert!(folder.rows("images") == [c_planes.as_slice(), &a_planes, &b_planes].concat(), "{from}");
        let description = folder.description();
        assert_eq!(description["fields"], json!({"image": {"dtype": "u1", "shape": [3, 2, 3]}}));
        assert_eq!(description["paths"], json!(["a, \"b\".png", "b/10.PNG", "z.png"]));
        assert_eq!(description["images"]["rows"], 3);
        let table = fs::read_to_string(folder.join("out/paths.csv")).unwrap();
        assert_eq!(table, "row,path\n0,\"a, \"\"b\"\".png\"\n1,b/10.PNG\n2,z.png\n");
        assert_eq!(fs::read_dir(folder.join("out")).unwrap().count(), 3);
    }
    // The whole: paths begin at the archive's root, and the readme is told.
    let stderr = folder.works(&[FILES, "dataset.files.archive.urls=[i.zip]"]);
    let expected = "i.zip: skipped files that are not images (.jpg, .jpeg, .png): 1 (readme.txt)";
    assert_eq!(warnings(&stderr), [expected]);
    assert_eq!(folder.description()["paths"], json!(["new/a, \"b\".png", "new/b/10.PNG", "new/z.png"]));
}

#[test]
fn images_without_classes_have_one_size_and_are_sound() {
    let folder = Folder::new();
    folder.write("i/1.png", &png(9, 9, 9).0);
    folder.write("i/b/2.jpg", JPEG);
    let args = [FILES, "dataset.files.archive.urls=[i]"];
    let run = |more: &[&'static str]| folder.fails(&[&args, more].concat());
    let message = run(&[]);
    assert!(
        message.contains("i: b/2.jpg: 8x8 pixels, expected 2x3 (dataset.resize=true dataset.size=[2,3] scales)"),
        "{message}"
    );
    assert!(run(&["dataset.resize=true"]).contains("dataset.resize: needs dataset.size"));
    assert!(run(&["dataset.size=[0,0]", "dataset.resize=true"]).contains("dataset.size: 0 pixels"));
    assert!(run(&["dataset.train=x"]).contains("train"), "a key of another layout");
    folder.works(&[&args[..], &["dataset.resize=true", "dataset.size=[4,4]", "dataset.channels=1"]].concat());
    assert_eq!(folder.rows("images").len(), 2 * 16);
    fs::remove_dir_all(folder.join("out")).unwrap();
    folder.write("i/b/2.jpg", &JPEG[..JPEG.len() / 2]);
    let message = run(&["dataset.resize=true", "dataset.size=[4,4]"]);
    assert!(message.contains("i: b/2.jpg: damaged or truncated"), "{message}");
}

#[test]
fn a_folder_without_images_is_refused() {
    let folder = Folder::new();
    fs::create_dir_all(folder.join("empty")).unwrap();
    LITTER.iter().for_each(|name| drop(folder.write(format!("litter/{name}"), b"")));
    folder.write("other/photo.heic", b"");
    folder.write("i/a/1.png", &png(1, 2, 3).0);
    let cases = [("empty", "."), ("litter", "."), ("other", "."), ("i", "b")];
    for (from, inner) in cases {
        let url = format!("dataset.files.archive.urls=[{from}]");
        let message = folder.fails(&[FILES, &url, &format!("dataset.folder={inner}")]);
        let place = if inner == "." { from.to_owned() } else { format!("{from}: {inner}") };
        let expected = format!("fetch-data: {place}: no images; expected files whose names end in .jpg, .jpeg, .png");
        assert_eq!(message, expected);
    }
    let message = folder.fails(&[FOLDER, "dataset.files.archive.urls=[litter]", "dataset.train=."]);
    assert!(message.contains("litter: no images like <class>/<image>.jpg"), "{message}");
}

#[test]
fn datasets_of_two_kinds_do_not_share_a_folder() {
    let folder = Folder::new();
    folder.write("i/a/1.png", &png(1, 2, 3).0);
    let url = "dataset.files.archive.urls=[i]";
    let (files, classes) = ([FILES, url], [FOLDER, url, "dataset.train=.", "dataset.test=null"]);
    for (first, second, file) in [(&files[..], &classes[..], "images"), (&classes, &files, "train")] {
        folder.works(first);
        let (status, _, stderr) = folder.run(second).parts();
        assert_eq!(status, 2, "{stderr}");
        assert_eq!(
            stderr,
            format!(
                "fetch-data: out/{file}.npy: belongs to another dataset; choose another folder with -o
"
            )
        );
        folder.works(first);
        fs::remove_dir_all(folder.join("out")).unwrap();
    }
}

#[test]
fn an_image_without_a_class_is_refused_and_a_readme_is_none() {
    let folder = Folder::new();
    for path in ["train/x/a.png", "train/readme.txt", "train/x/README.md", "train/x/Thumbs.db", "train/x/.DS_Store"] {
        folder.write(format!("i/{path}"), &png(1, 2, 3).0);
    }
    let args = [FOLDER, "dataset.files.archive.urls=[i]", "dataset.test=null"];
    folder.works(&args);
    fs::remove_dir_all(folder.join("out")).unwrap();
    folder.write("i/train/b.PNG", &png(1, 2, 3).0);
    let message = folder.fails(&args);
    assert!(message.contains("i: train/b.PNG: an image without a class; expected train/<class>/<image>"), "{message}");
}

#[test]
fn a_file_too_large_for_an_image_is_not_read() {
    let folder = Folder::new();
    let file = folder.write("i/train/x/a.png", &png(1, 2, 3).0);
    // A hole, which takes no room on the disk, but would in memory.
    fs::File::options().write(true).open(file).unwrap().set_len(1 << 40).unwrap();
    for size in ["dataset.size=null", "dataset.size=[2,3]"] {
        let message = folder.fails(&[FOLDER, "dataset.files.archive.urls=[i]", "dataset.test=null", size]);
        assert!(message.contains("i: train/x/a.png: 1099511627776 bytes, too many for an image"), "{message}");
    }
}

#[test]
fn a_name_cannot_speak_to_the_terminal() {
    let folder = Folder::new();
    folder.write("i.tar", tar(&[("train/x/\u{1b}[2J\u{9b}31m\r.gif", b"")]));
    let message = folder.fails(&[FOLDER, "dataset.files.archive.urls=[i.tar]", "dataset.test=null"]);
    assert!(message.contains(r"train/x/\u{1b}[2J\u{9b}31m\u{d}.gif: not an image"), "{message:?}");
}

#[test]
fn an_archive_that_would_escape_is_refused() {
    let (image, _) = png(1, 2, 3);
    let good: (&str, &[u8]) = ("train/a/1.png", &image);
    let link = |kind: tar::EntryType, path: &str, target: &str| {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(0);
        builder.append_link(&mut header, path, target).unwrap();
        builder.into_inner().unwrap()
    };
    let mut zip_link = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip_link.add_symlink("train/a/2.png", "/etc/passwd", zip::write::SimpleFileOptions::default()).unwrap();
    let cases: [(Vec<u8>, &str); 9] = [
        (tar(&[good, ("../evil.png", &image)]), "member \"../evil.png\": its path leads out of the archive"),
        (tar(&[good, ("train/a/../../../evil.png", &image)]), "leads out of the archive"),
        (tar(&[good, ("/tmp/evil.png", &image)]), "leads out of the archive"),
        (gzip(&tar(&[good, ("..\\evil.png", &image)])), "leads out of the archive"),
        (zip(&[good, ("../evil.png", &image)]), "member \"../evil.png\": its path leads out of the archive"),
        (link(tar::EntryType::Symlink, "train/a/2.png", "/etc/passwd"), "\"train/a/2.png\" is a link"),
        (link(tar::EntryType::Link, "train/a/2.png", "train/a/1.png"), "\"train/a/2.png\" is a link"),
        (zip_link.finish().unwrap().into_inner(), "\"train/a/2.png\" is a link"),
        (tar(&[good, good]), "member \"train/a/1.png\" occurs twice"),
    ];
    for (archive, expected) in cases {
        let folder = Folder::new();
        folder.write("inner/i.archive", &archive);
        let message = folder.fails(&[FOLDER, "dataset.files.archive.urls=[inner/i.archive]"]);
        assert!(message.starts_with("fetch-data: i.archive: ") && message.contains(expected), "{message}");
        assert!(!folder.join("evil.png").exists() && !folder.join("inner/evil.png").exists());
    }
}

#[test]
fn members_of_a_zip_that_are_odd_are_refused() {
    let (image, _) = png(1, 2, 3);
    let good: (&str, &[u8]) = ("train/a/1.png", &image);
    // The writer refuses a name that is there, so that the name is changed where it stands.
    let mut twice = zip(&[good, ("train/a/2.png", &image)]);
    for at in 0..twice.len() - 5 {
        if twice[at..].starts_with(b"2.png") {
            twice[at] = b'1';
        }
    }
    let mut pipe = zip(&[good]);
    let entry = pipe.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
    pipe[entry + 5] = 3; // made on Unix,
    pipe[entry + 38..entry + 42].copy_from_slice(&(0o010_644_u32 << 16).to_le_bytes()); // a named pipe
    for (archive, expected) in [(twice, "a member occurs twice"), (pipe, "\"train/a/1.png\" is neither a file nor")] {
        let folder = Folder::new();
        folder.write("i.zip", &archive);
        let message = folder.fails(&[FOLDER, "dataset.files.archive.urls=[i.zip]", "dataset.test=null"]);
        assert!(message.starts_with("fetch-data: i.zip: ") && message.contains(expected), "{message}");
    }
}

#[test]
fn a_name_without_end_is_refused_before_it_fills_the_memory() {
    for kind in [tar::EntryType::GNULongName, tar::EntryType::GNULongLink, tar::EntryType::XHeader] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(1 << 33);
        header.set_cksum();
        // More than may come, and far less than the header says.
        let archive = [header.as_bytes().as_slice(), &vec![b'a'; 2 << 20]].concat();
        let folder = Folder::new();
        folder.write("i.tar.gz", gzip(&archive));
        let message = folder.fails(&[FOLDER, "dataset.files.archive.urls=[i.tar.gz]"]);
        assert!(message.contains("a name or attribute of more than 1 MiB"), "{message}");
    }
    // A long name is no reason, nor is much of a member that is not wanted.
    let (image, planes) = png(1, 2, 3);
    let long = format!("train/a/{}/1.png", "x/".repeat(2000));
    let mut builder = tar::Builder::new(Vec::new());
    for (path, bytes) in [("elsewhere", vec![0; 3 << 20]), (long.as_str(), image)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, path, bytes.as_slice()).unwrap();
    }
    let folder = Folder::new();
    folder.write("i.tar", builder.into_inner().unwrap());
    folder.works(&[FOLDER, "dataset.files.archive.urls=[i.tar]", "dataset.test=null"]);
    assert!(folder.rows("train") == [planes, vec![0]].concat());
}

#[test]
fn an_archive_that_unpacks_to_too_much_is_refused() {
    // 20 MB of zeros, in 20 kB.
    let bomb = vec![0; 20_000_000];
    let members: [(&str, &[u8]); 1] = [("train/a/1.png", &bomb)];
    let unwanted: [(&str, &[u8]); 1] = [("elsewhere", &bomb)];
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer.start_file("train/a/1.png", zip::write::SimpleFileOptions::default()).unwrap();
    std::io::Write::write_all(&mut writer, &bomb).unwrap();
    for archive in [gzip(&tar(&members)), gzip(&tar(&unwanted)), writer.finish().unwrap().into_inner()] {
        let folder = Folder::new();
        folder.write("bomb", &archive);
        let limit = "dataset.unpacked_bytes=10000000";
        let message = folder.fails(&[FOLDER, "dataset.files.archive.urls=[bomb]", limit]);
        assert!(message.contains("bomb: ") && message.contains("unpacks to more than"), "{message}");
        assert!(message.contains("dataset.unpacked_bytes, 10000000"), "{message}");
    }
}

#[test]
fn a_damaged_archive_is_refused() {
    let images = images();
    let members = images.members();
    let (tar, zip) = (tar(&members), zip(&members));
    let tgz = gzip(&tar);
    let mut wrong_sum = tgz.clone();
    let end = wrong_sum.len();
    // gzip's checksum, which stands behind the last member.
    wrong_sum[end - 6] ^= 1;
    // All members are there, but perhaps there were more.
    let between = tar.len() - 1024;
    for archive in [
        &tar[..700],
        &tar[..between],
        &tgz[..end / 2],
        &tgz[..end - 4],
        &wrong_sum,
        &zip[..zip.len() / 2],
        b"text",
        b"",
    ] {
        let folder = Folder::new();
        folder.write("broken", archive);
        let message = folder.fails(&[FOLDER, "dataset.files.archive.urls=[broken]"]);
        assert!(message.starts_with("fetch-data: broken: "), "{message}");
    }
}

#[test]
fn a_file_of_another_size_or_content_is_refused() {
    let (folder, data) = (Folder::new(), cifar(1));
    let [_, sha256_setting, bytes] = source(&[], &data.archive);
    let mut other = data.archive.clone();
    other[100] ^= 1;
    folder.write("other", &other);
    folder.write("short", &data.archive[1..]);
    let url = "dataset.files.archive.urls=[missing,other,short]";
    let (status, _, stderr) = folder.run(&[url, &sha256_setting, &bytes]).parts();
    assert_eq!(status, 2, "{stderr}");
    let last = stderr.lines().last().unwrap();
    let expected = format!("other: its sha256 is {}, expected {}", sha256(&other), sha256(&data.archive));
    assert!(last.contains("missing: No such file") && last.contains(&expected), "{last}");
    let expected = format!("short: {} bytes, expected {}", data.archive.len() - 1, data.archive.len());
    assert!(last.contains(&expected), "{last}");
    assert!(!folder.join("out").exists());
}

#[test]
fn an_error_leaves_an_older_result_as_it_was() {
    let (folder, data) = (Folder::new(), cifar(2));
    folder.write("c", &data.archive);
    folder.works(&args(&source(&["c"], &data.archive), &[]));
    folder.write("out/mine.txt", b"kept");
    let before = (folder.rows("train"), folder.description());
    folder.write("c", tar(&[("x", b"")]));
    let bad = folder.run(&["dataset.files.archive={urls: [c], sha256: null, bytes: null}"]);
    assert_eq!(bad.status, 2);
    assert_eq!((folder.rows("train"), folder.description()), before);
    assert_eq!(fs::read_dir(folder.join("out")).unwrap().count(), 4, "no temporary files");
    folder.write("c", &cifar(3).archive);
    folder.works(&["dataset.files.archive={urls: [c], sha256: null, bytes: null}", "--quiet"]);
    assert_eq!(folder.description()["train"]["rows"], 15);
    assert_eq!(folder.bytes("out/mine.txt"), b"kept");
}

/// How a run ends to which a signal comes after its first rows, long before its last: the images are large.
#[cfg(unix)]
fn interrupted(folder: &Folder, signal: &str) -> std::process::ExitStatus {
    let image = folder.write("i/train/a/0.png", b"");
    image::RgbImage::new(2000, 2000).save(&image).unwrap();
    for copy in 1..100 {
        fs::copy(&image, folder.join(format!("i/train/a/{copy}.png"))).unwrap();
    }
    let command = tool!("fetch-data").heeding_signals().within(&**folder);
    let mut running = command
        .args(["-o", "out", "--quiet", FOLDER, "dataset.files.archive.urls=[i]", "dataset.test=null"])
        .args(["dataset.size=[1000,1000]", "dataset.resize=true"])
        .spawn();
    let begun = || unfinished(folder).iter().any(|file| fs::metadata(file).is_ok_and(|meta| meta.len() > 0));
    while !begun() && !running.has_ended() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    running.signal(signal);
    running.wait()
}

#[cfg(unix)]
fn unfinished(folder: &Folder) -> Vec<std::path::PathBuf> {
    let Ok(entries) = fs::read_dir(folder.join("out")) else { return Vec::new() };
    let files = entries.map(|entry| entry.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|it| it == "tmp")).collect()
}

#[test]
#[cfg(unix)]
fn what_a_killed_run_left_is_removed_by_the_next() {
    use std::os::unix::process::ExitStatusExt;
    let folder = Folder::new();
    assert_eq!(interrupted(&folder, "KILL").signal(), Some(9));
    assert_eq!(unfinished(&folder).len(), 1);
    folder.write("out/.train.npy.tmp", b"another's");
    let data = cifar(2);
    folder.write("c", &data.archive);
    folder.works(&args(&source(&["c"], &data.archive), &[]));
    assert_eq!(unfinished(&folder), [folder.join("out/.train.npy.tmp")]);
}

#[test]
#[cfg(unix)]
fn a_signal_leaves_nothing_behind() {
    for (signal, status) in [("INT", 130), ("TERM", 143)] {
        let folder = Folder::new();
        assert_eq!(interrupted(&folder, signal).code(), Some(status));
        assert!(!folder.join("out").exists());
    }
}

#[test]
#[cfg(unix)]
fn a_pipe_is_no_file() {
    let folder = Folder::new();
    system::fifo(folder.join("pipe"));
    let message = folder.fails(&[FOLDER, "dataset.files.archive.urls=[pipe]"]);
    assert!(message.contains("pipe: neither a file nor a folder"), "{message}");
}

#[test]
fn bad_usage_is_one_line_and_status_2() {
    let cases: &[(&[&str], &str)] = &[
        (&["dataset=cifar11"], "cifar11"),
        (&["dataset.layuot=idx"], "layout"),
        (&["dataset.layout=parquet"], "parquet"),
        (&["dataset.files.archive.sha256=abc"], "expected 64 hexadecimal digits"),
        (&["dataset.files.archive.urls=[]"], "dataset.files.archive.urls: empty"),
        (&["dataset.files.archive.urls=['ftp://x/y']"], "ftp://x/y: unsupported scheme ftp:"),
        (&["dataset.files.archive.urls=['file://elsewhere/y']"], "not a file of this machine"),
        (&["dataset.files.archive.urls=['']"], "an empty URL"),
        (&["dataset.files.archive.urls=['http://']"], "http://"),
        (&["dataset.train=[]"], "dataset.train: empty"),
        (&["~dataset.labels.label"], "dataset.labels: empty"),
        (&["dataset=mnist", "dataset.classes=[]"], "dataset.classes: empty"),
        (&["dataset=image_folder"], "dataset.files.archive.urls"),
        (&["download.backoff=soon"], "download.backoff"),
        (&["download.retries=-1"], "download.retries"),
        (&["rows=3"], "rows"),
        (&["--threads", "0"], "at least one thread"),
        (&["input.tar"], "this tool reads no input"),
    ];
    for (args, expected) in cases {
        let folder = Folder::new();
        let message = folder.fails(args);
        assert!(message.contains(expected), "{args:?}: {message}");
    }
    for (args, expected) in [
        (&[][..], "name a folder"),
        (&["-o", ""], "name a folder"),
        (&["-o", "-"], "--out -: expected the name of a folder; standard output is none"),
    ] {
        let (status, _, error) = tool!("fetch-data").args(args).run().parts();
        assert!(status == 2 && error.contains(expected), "{error}");
    }
}
