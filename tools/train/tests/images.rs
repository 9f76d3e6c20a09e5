//! Images: kept as bytes, augmented, validated on files of their own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use events::{Event, RowCounts};
use std::{fs, path::Path};
use testkit::{Folder, npy, tool};

const SIZE: [usize; 3] = [3, 16, 16];

/// Images of two classes, bright on the left or on the right, under noise that is drawn from `seed`; as NumPy saves them.
fn images(path: &Path, count: usize, seed: u32, [channels, height, width]: [usize; 3]) {
    let shape = format!("({channels}, {height}, {width})");
    let descr = format!("[('image', '|u1', {shape}), ('label', '|u1')]");
    let (mut bytes, mut state) = (Vec::new(), seed);
    for i in 0..count {
        for pixel in 0..channels * height * width {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let left = pixel % width < width / 2;
            bytes.push((state >> 25) as u8 + if left == (i % 2 == 0) { 100 } else { 0 });
        }
        bytes.push((i % 2) as u8);
    }
    fs::write(path, npy::file(&descr, count, &bytes)).unwrap();
}

const SETTINGS: [&str; 7] = [
    "trainer.input_field=image",
    "trainer.target_field=label",
    "trainer.loss=cross_entropy",
    "trainer.batch_size=128",
    "trainer.max_epochs=3",
    "model.input_scaling=standard",
    "model.hidden=[8]",
];
const AUGMENTED: [&str; 3] = ["augmentation=cifar10", "augmentation.flip=alternating", "augmentation.cutout=5"];

fn train(folder: &Path, args: &[&str]) -> (i32, String, String) {
    tool!("train").within(folder).args(["--quiet"]).args(SETTINGS).args(args).run().parts()
}

fn trained(folder: &Path, args: &[&str]) -> Vec<Event> {
    let (status, out, error) = train(folder, args);
    assert_eq!((status, error.as_str()), (0, ""), "{args:?}");
    out.lines().map(|line| Event::from_line(line).unwrap().unwrap()).collect()
}

fn assert_same(folder: &Path, a: &str, b: &str) {
    for file in ["model.safetensors", "metrics.json", "history.csv", "test.npy"] {
        let read = |run: &str| fs::read(folder.join(run).join(file)).unwrap();
        assert!(read(a) == read(b), "{file} of {a} and {b}");
    }
}

#[test]
fn any_number_of_threads_augments_alike() {
    let folder = &Folder::new();
    images(&folder.join("rows.npy"), 700, 0, SIZE);
    // Batches are large enough for threads to share one.
    for (run, threads) in [("one", "1"), ("two", "2"), ("three", "3")] {
        let args = ["rows.npy", "-o", run, "--threads", threads, "trainer.batch_size=512"];
        trained(folder, &[&args, &AUGMENTED[..]].concat());
    }
    assert_same(folder, "one", "two");
    assert_same(folder, "one", "three");
    trained(folder, &["rows.npy", "-o", "plain", "trainer.batch_size=512"]);
    let model = |run: &str| fs::read(folder.join(run).join("model.safetensors")).unwrap();
    assert!(model("one") != model("plain"), "augmentation does something");
}

#[test]
fn a_run_that_goes_on_augments_as_if_it_had_never_stopped() {
    let folder = &Folder::new();
    images(&folder.join("rows.npy"), 700, 0, SIZE);
    let run = |out: &str, more: &[&str]| {
        let args = [&["rows.npy", "-o", out, "trainer.batch_size=16"], &AUGMENTED[..], more].concat();
        trained(folder, &args)
    };
    run("whole", &[]);
    // 560 rows: 35 steps an epoch.
    for steps in ["34", "35", "47"] {
        run(steps, &[&format!("trainer.max_steps={steps}")]);
        run(steps, &["trainer.resume=last"]);
        assert_same(folder, "whole", steps);
    }
    let (status, _, error) =
        train(folder, &["rows.npy", "-o", "34", "trainer.batch_size=16", "trainer.resume=last", "augmentation.pad=1"]);
    assert!(status == 2 && error.contains("augmentation is {") && error.lines().count() == 1, "{error}");
}

#[test]
fn rows_of_files_of_their_own_take_the_place_of_shares() {
    let folder = &Folder::new();
    images(&folder.join("rows.npy"), 500, 0, SIZE);
    images(&folder.join("val.npy"), 70, 1, SIZE);
    images(&folder.join("test.npy"), 30, 2, SIZE);
    let rows = |args: &[&str]| {
        let events = trained(folder, &[&["rows.npy", "-o", "run", "trainer.max_epochs=1"], args].concat());
        let Event::Start(start) = &events[0] else { panic!("{events:?}") };
        (start.rows, start.data_sha256.clone())
    };
    let (counts, input) = rows(&[]);
    assert_eq!(counts, RowCounts { train: 400, val: 50, test: 50 });
    let (counts, with_val) = rows(&["trainer.val_input=val.npy"]);
    assert_eq!(counts, RowCounts { train: 450, val: 70, test: 50 });
    let (counts, with_test) = rows(&["trainer.test_input=val.npy"]);
    assert_eq!(counts, RowCounts { train: 450, val: 50, test: 70 });
    let both = ["trainer.val_input=val.npy", "trainer.test_input=test.npy"];
    let (counts, with_both) = rows(&both);
    assert_eq!(counts, RowCounts { train: 500, val: 70, test: 30 });
    let digests = [&input, &with_val, &with_test, &with_both];
    assert!((0..4).all(|i| !digests[..i].contains(&digests[i])), "{digests:?}");
    // What was held out for the test is left in the run folder as it was; labels become f4.
    let read = |path: &str| fs::read(folder.join(path)).unwrap();
    let (given, left) = (read("test.npy"), read("run/test.npy"));
    let width = SIZE.iter().product::<usize>();
    let first = |file: &[u8], row: usize| file[file.len() - 30 * row..][..width].to_vec();
    assert_eq!(first(&given, width + 1), first(&left, width + 4));

    // A run goes on with the files that it began with.
    images(&folder.join("val.npy"), 70, 3, SIZE);
    let resumed = ["rows.npy", "-o", "run", "trainer.max_epochs=2", "trainer.resume=last"];
    let (status, _, error) = train(folder, &[&resumed, &both[..]].concat());
    assert!(status == 2 && error.contains("data_sha256 is"), "{error}");
    images(&folder.join("val.npy"), 70, 1, SIZE);
    trained(folder, &[&resumed, &both[..]].concat());
}

#[test]
fn validation_can_be_watched_where_the_split_holds_nothing_out() {
    let folder = &Folder::new();
    images(&folder.join("rows.npy"), 300, 0, SIZE);
    images(&folder.join("val.npy"), 70, 1, SIZE);
    let watch = ["callbacks.checkpoint.monitor=val_accuracy", "callbacks.checkpoint.mode=max"];
    let files = ["rows.npy", "-o", "run", "trainer.split=[1,0,0]", "trainer.val_input=val.npy"];
    trained(folder, &[&files, &watch[..]].concat());
    let metrics = fs::read_to_string(folder.join("run/metrics.json")).unwrap();
    assert!(metrics.contains("\"accuracy\": 1.0"), "bright on one side is easily told: {metrics}");
}

#[test]
fn what_does_not_fit_is_one_line_and_leaves_nothing() {
    let folder = &Folder::new();
    images(&folder.join("rows.npy"), 100, 0, SIZE);
    images(&folder.join("small.npy"), 10, 0, [3, 8, 8]);
    let row = |label: &str| format!("{{\"image\":[{}],\"label\":{label}}}\n", ["0.5"; 4].join(","));
    fs::write(folder.join("vectors.ndjson"), row("0") + &row("1")).unwrap();
    let image =
        vec![vec![vec!["1"; 16].join(","); 16].iter().map(|r| format!("[{r}]")).collect::<Vec<_>>().join(","); 3];
    let image = image.iter().map(|plane| format!("[{plane}]")).collect::<Vec<_>>().join(",");
    fs::write(folder.join("reals.ndjson"), format!("{{\"image\":[{image}],\"label\":0}}\n")).unwrap();
    fs::write(folder.join("half.ndjson"), format!("{{\"image\":[{image}],\"label\":0.5}}\n")).unwrap();
    fs::write(folder.join("empty.npy"), "").unwrap();
    let files = fs::read_dir(folder).unwrap().count();
    let cases: &[(&[&str], &str)] = &[
        (&["rows.npy", "trainer.val_input=nope.npy"], "trainer.val_input: nope.npy: No such file"),
        (&["rows.npy", "trainer.test_input=empty.npy"], "trainer.test_input: empty.npy: no rows"),
        (
            &["rows.npy", "trainer.test_input=small.npy"],
            "trainer.test_input: small.npy: field image is bytes [3, 8, 8]; it is bytes [3, 16, 16] in rows.npy",
        ),
        (
            &["rows.npy", "trainer.val_input=reals.ndjson"],
            "field image is numbers [3, 16, 16]; it is bytes [3, 16, 16] in rows.npy",
        ),
        (&["rows.npy", "trainer.val_input=half.ndjson"], "half.ndjson:1: field \"label\" is 0.5; the loss expects"),
        (&["rows.npy", "trainer.val_input=nope.npy", "data.pull=true"], "nope.npy: missing, and"),
        (&["vectors.ndjson", "augmentation=cifar10"], "augmentation: is for images [channels, height, width]; rows of"),
        (&["vectors.ndjson", "trainer.test_flip=true"], "trainer.test_flip: is for images [channels, height, width]"),
        (
            &["rows.npy", "augmentation=cifar10", "augmentation.pad=16"],
            "augmentation.pad: 16; at most 15 with images of 16",
        ),
        (&["rows.npy", "augmentation.cutout=17"], "augmentation.cutout: 17; at most 16"),
        (&["rows.npy", "augmentation.flip=always"], "augmentation.flip: \"always\" is not one of random, alternating"),
        (&["rows.npy", "augmentation.pad=-1"], "augmentation.pad: expected a non-negative integer"),
        (&["rows.npy", "augmentation=cifar"], "cifar"),
        (&["rows.npy", "augmentation.pads=1"], "did you mean augmentation.pad=1?"),
    ];
    for (args, expected) in cases {
        let (status, _, error) = train(folder, args);
        assert_eq!(status, 2, "{args:?}: {error}");
        assert!(error.starts_with("train: ") && error.contains(expected), "{args:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{args:?}: {error}");
        assert_eq!(fs::read_dir(folder).unwrap().count(), files, "{args:?}");
    }
}
