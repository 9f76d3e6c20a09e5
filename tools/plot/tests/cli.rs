//! The real binary: which files it writes from what, and what it says of bad input.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use assert_cmd::cargo::cargo_bin_cmd;
use std::{fs, path::Path};
use tempfile::TempDir;

struct Done {
    status: i32,
    out: String,
    error: String,
}

fn plot(folder: &Path, args: &[&str], stdin: &str) -> Done {
    let output = cargo_bin_cmd!("plot").current_dir(folder).args(args).write_stdin(stdin).output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Done { status: output.status.code().unwrap(), out: text(&output.stdout), error: text(&output.stderr) }
}

fn folder_with(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// A run of three epochs of ten steps, with everything that an event may hold.
fn log(name: &str) -> String {
    let mut log = start(name, "null");
    for (epoch, loss) in [(1, 0.5), (2, 0.05), (3, 0.01)] {
        let step = epoch * 10;
        log.push_str(&format!(
            "{{\"event\":\"step\",\"epoch\":{epoch},\"step\":{},\"metrics\":{{\"train_loss_step\":{loss},\"learning_rate\":0.001}},\"time\":0}}\n\
             {{\"event\":\"validation\",\"epoch\":{epoch},\"step\":{step},\"metrics\":{{\"val_loss\":{loss},\"val_mae\":{loss}}},\"time\":0}}\n\
             {{\"event\":\"epoch\",\"epoch\":{epoch},\"step\":{step},\"metrics\":{{\"train_loss\":{loss},\"learning_rate\":0.001}},\"seconds\":0,\"time\":0}}\n",
            step - 5
        ));
    }
    log.push_str(
        "{\"event\":\"test\",\"epoch\":3,\"step\":30,\"metrics\":{\"test_loss\":0.01,\"test_mae\":0.1},\"time\":0}\n",
    );
    log.push_str("{\"event\":\"confetti\"}\n");
    log.push_str("{\"event\":\"end\",\"status\":\"FINISHED\",\"reason\":\"\",\"time\":0}\n");
    log
}

fn start(name: &str, resumed: &str) -> String {
    format!(
        "{{\"event\":\"start\",\"name\":\"{name}\",\"run_dir\":\"r\",\"config\":{{}},\"seed\":0,\"device\":\"cpu\",\
         \"threads\":1,\"rows\":{{\"train\":1,\"val\":1,\"test\":1}},\"data_sha256\":\"\",\"parameters\":1,\"git\":null,\
         \"resumed\":{resumed},\"version\":\"0\",\"time\":0}}\n"
    )
}

fn epoch(number: usize, metrics: &str) -> String {
    let step = number * 10;
    format!(
        "{{\"event\":\"epoch\",\"epoch\":{number},\"step\":{step},\"metrics\":{metrics},\"seconds\":0,\"time\":0}}\n"
    )
}

/// The points of the curve of a name.
fn points(svg: &str, name: &str) -> Vec<String> {
    let marker = format!("class=\"curve\" data-name=\"{name}\" points=\"");
    let curves = svg.split(&marker).skip(1).map(|rest| rest.split('"').next().unwrap());
    curves.map(str::to_owned).collect()
}

#[test]
fn a_run_makes_a_picture_for_each_metric() {
    let folder = folder_with(&[]);
    let done = plot(folder.path(), &[], &log("a"));
    assert_eq!((done.status, done.error.as_str()), (0, ""));
    assert_eq!(done.out, "plots/loss.svg\nplots/mae.svg\nplots/learning_rate.svg\n");
    let svg = fs::read_to_string(folder.path().join("plots/loss.svg")).unwrap();
    for text in [">loss of a<", ">train<", ">validation<", ">test<", ">batch<", ">step<"] {
        assert!(svg.contains(text), "{text}");
    }
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let folder = folder_with(&[("a/events.ndjson", &log("a")), ("b/events.ndjson", &log("b"))]);
    for out in ["1", "2"] {
        let done = plot(folder.path(), &["a", "b", "--format", "both", "-o", out, "smoothing=0.5"], "");
        assert_eq!((done.status, done.out.lines().count()), (0, 6), "{}", done.error);
    }
    for name in ["loss.svg", "loss.png", "mae.png"] {
        let read = |out| fs::read(folder.path().join(out).join(name)).unwrap();
        assert!(read("1") == read("2"), "{name}");
    }
}

#[test]
fn runs_are_named_by_what_tells_them_apart() {
    let runs =
        folder_with(&[("runs/a/x/events.ndjson", &log("n")), ("runs/b/x/history.csv", "epoch,val_loss\n1,2\n2,1\n")]);
    let done = plot(runs.path(), &["runs/a/x", "runs/b/x", "-o", "-"], "");
    assert_eq!(done.status, 0, "{}", done.error);
    // The table has no steps: both are drawn over epochs.
    for text in [">loss of 2 runs<", ">a<", ">b<", ">epoch<"] {
        assert!(done.out.contains(text), "{text}");
    }
    assert_eq!(points(&done.out, "b val_loss").len(), 1);
}

#[test]
fn a_run_without_a_path_of_its_own_has_its_name_from_the_log() {
    let folder = folder_with(&[("events.ndjson", &log("mine"))]);
    assert!(plot(folder.path(), &[".", "-o", "-"], "").out.contains(">loss of mine<"));
    let two = plot(folder.path(), &["-o", "-"], &(log("mine") + &log("other"))).out;
    assert!(two.contains(">loss of 2 runs<") && two.contains(">mine<") && two.contains(">other<"));
}

#[test]
fn going_on_voids_what_came_after_the_checkpoint() {
    let once = start("a", "null") + &epoch(1, r#"{"train_loss":3}"#) + &epoch(2, r#"{"train_loss":1}"#);
    let twice = start("a", "null")
        + &epoch(1, r#"{"train_loss":3}"#)
        + &epoch(2, r#"{"train_loss":99}"#)
        + &start("a", r#"{"path":"last","step":10}"#)
        + &epoch(2, r#"{"train_loss":1}"#);
    let folder = folder_with(&[]);
    let (once, twice) = (plot(folder.path(), &["-o", "-"], &once), plot(folder.path(), &["-o", "-"], &twice));
    assert_eq!((once.status, &once.out), (0, &twice.out));
}

#[test]
fn what_is_not_finite_is_a_gap_and_one_point_is_a_dot() {
    let metrics = ["1", "2", "null", "4", "null"].map(|value| format!("{{\"train_loss\":{value}}}"));
    let log: String = metrics.iter().enumerate().map(|(i, metrics)| epoch(i + 1, metrics)).collect();
    let svg = plot(folder_with(&[]).path(), &["-o", "-"], &log).out;
    assert_eq!(points(&svg, "train_loss").len(), 1);
    assert_eq!(points(&svg, "train_loss")[0].split(' ').count(), 2);
    assert_eq!(svg.matches("<circle class=\"curve\" data-name=\"train_loss\"").count(), 1);
    let one = plot(folder_with(&[]).path(), &["-o", "-"], &epoch(1, r#"{"train_loss":2}"#)).out;
    assert_eq!(one.matches("<circle class=\"curve\"").count(), 1);
}

#[test]
fn a_damaged_log_is_drawn_up_to_there_with_a_note() {
    let whole = start("a", "null") + &epoch(1, r#"{"train_loss":2}"#) + &epoch(2, r#"{"train_loss":1}"#);
    let folder = folder_with(&[]);
    let cut = plot(folder.path(), &["-o", "-"], &whole);
    assert!(cut.error.starts_with("plot: stdin: no end event"), "{}", cut.error);
    for damage in ["{\"event\":\"epo", "not json\n", "{\"event\":\"end\"}\n"] {
        let done = plot(folder.path(), &["-o", "-"], &format!("{whole}{damage}"));
        assert_eq!((done.status, &done.out), (0, &cut.out));
        assert!(
            done.error.starts_with("plot: stdin:4: ") && done.error.ends_with("; drawn up to there\n"),
            "{}",
            done.error
        );
        assert_eq!(done.error.lines().count(), 1);
    }
}

#[test]
fn tables_of_dvclive_in_one_folder_are_one_run() {
    let folder = folder_with(&[
        ("plots/metrics/train_loss.tsv", "step\ttrain_loss\n0\t2.0\n1\t1.0\n"),
        ("plots/metrics/val_loss.tsv", "step\tval_loss\n0\t2.5\n1\tnan\n2\t1.5\n"),
    ]);
    let files = ["plots/metrics/train_loss.tsv", "plots/metrics/val_loss.tsv", "-o", "-"];
    let svg = plot(folder.path(), &files, "").out;
    assert!(svg.contains(">loss of metrics<") && svg.contains(">validation<"), "{svg}");
}

#[test]
fn empty_cells_and_columns_of_text_are_passed_over() {
    // As Lightning's CSVLogger writes it.
    let csv = "epoch,step,train_loss,val_loss,stage\n0,49,0.5,,fit\n0,99,,0.4,fit\n1,149,0.3,,fit\n1,199,,0.2,fit\n";
    let svg = plot(folder_with(&[]).path(), &["-o", "-"], csv).out;
    for name in ["train_loss", "val_loss"] {
        assert_eq!(points(&svg, name)[0].split(' ').count(), 2, "{svg}");
    }
    assert!(!svg.contains("stage"));
    // As Keras's CSVLogger does: the metric's bare name is that of training.
    let svg = plot(folder_with(&[]).path(), &["-o", "-"], "epoch,loss,val_loss\n0,2,3\n1,1,2\n").out;
    assert!(
        svg.contains("class=\"legend\"") && svg.contains(">loss</text>") && svg.contains(">validation</text>"),
        "{svg}"
    );
}

#[test]
fn a_confusion_matrix_comes_from_score_or_from_pairs() {
    let folder = folder_with(&[
        ("metrics.json", "{\n  \"rows\": 10,\n  \"accuracy\": 0.9,\n  \"confusion_matrix\": [[6, 1], [0, 3]]\n}\n"),
        ("pairs.csv", "actual,predicted\ncat,cat\ncat,dog\ndog,dog\n"),
    ]);
    let done = plot(folder.path(), &["metrics.json", "labels=[a,b]"], "");
    assert_eq!((done.out.as_str(), done.error.as_str()), ("plots/confusion.svg\n", ""));
    let svg = fs::read_to_string(folder.path().join("plots/confusion.svg")).unwrap();
    for text in ["accuracy 0.9000<", ">6<", ">1<", ">3<", ">a<", ">b<", ">actual<", ">predicted<"] {
        assert!(svg.contains(text), "{text}");
    }
    let done = plot(folder.path(), &["pairs.csv", "metrics.json"], "");
    assert_eq!(done.out, "plots/confusion_pairs.svg\nplots/confusion_metrics.svg\n");
    let text = plot(folder.path(), &["pairs.csv", "--terminal"], "").out;
    assert_eq!(
        text,
        "confusion of pairs: accuracy 0.6667\nrows are actual, columns predicted\n     cat dog\ncat    1   1\ndog    0   1\n"
    );
}

#[test]
fn names_are_safe_in_files_and_pictures() {
    let csv = "step,\"val_../a<b>&\"\n1,1\n2,2\n";
    let folder = folder_with(&[]);
    let done = plot(folder.path(), &[], csv);
    assert_eq!(done.out, "plots/_a_b__.svg\n");
    assert!(fs::read_to_string(folder.path().join("plots/_a_b__.svg")).unwrap().contains("../a&lt;b&gt;&amp;"));
    let text = plot(folder.path(), &["--terminal"], &log("\\u001b[31mred")).out;
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

#[test]
fn a_million_points_make_a_small_picture() {
    let mut csv = String::from("step,val_loss\n");
    for i in 0..1_000_000u32 {
        csv.push_str(&format!("{i},{}\n", i.wrapping_mul(2_654_435_761) % 1000 + 1));
    }
    let svg = plot(folder_with(&[]).path(), &["-o", "-"], &csv).out;
    assert!(svg.contains("class=\"curve\"") && svg.len() < 100_000, "{}", svg.len());
}

#[test]
fn a_chart_in_the_terminal_has_its_size_and_no_escapes() {
    let done = plot(folder_with(&[]).path(), &["--terminal"], &log("a"));
    assert_eq!((done.status, done.out.lines().count()), (0, 20), "{}", done.out);
    assert!(done.out.lines().all(|line| line.chars().count() <= 80) && !done.out.contains('\u{1b}'));
    assert!(done.out.starts_with("loss of a by step\n* train  o validation  + test\n"), "{}", done.out);
    let braille = |c: char| ('\u{2801}'..='\u{28ff}').contains(&c);
    let args = ["--terminal", "charts=[learning_rate]", "terminal_width=40", "terminal_height=12"];
    let rate = plot(folder_with(&[]).path(), &args, &log("a")).out;
    assert!(rate.chars().any(braille) && rate.lines().count() == 12, "{rate}");
    assert!(rate.lines().all(|line| line.chars().count() <= 40), "{rate}");
}

#[test]
fn bad_input_is_one_line_and_status_2() {
    let folder = folder_with(&[
        ("empty/x", ""),
        ("a.csv", "step,loss\n1,2\n"),
        ("b.csv", "epoch,loss\n1,2\n"),
        ("ragged.csv", "step,loss\n1,2\n3\n"),
        ("text.csv", "step,loss\n1,2\n2,high\n"),
        ("binary", "\u{0}\u{1}\n"),
        ("two.json", "{\"classes\":{\"label\":[\"a\",\"b\"]}}"),
    ]);
    fs::write(folder.path().join("latin"), b"\xff\xfe\n").unwrap();
    let good = log("a");
    let cases: &[(&[&str], &str, &str)] = &[
        (&[], "", "stdin: empty; expected run events"),
        (&[], "\n\n", "stdin: empty"),
        (
            &[],
            "a,b\n1,2\n",
            "stdin:1: no run events, and no column step or epoch, nor actual and predicted; there is a, b",
        ),
        (&[], "step\n1\n", "stdin: no column with numbers beside step and epoch"),
        (
            &[],
            "{\"mse\":1}",
            "stdin: neither run events nor records of images, nor a JSON object with a confusion matrix",
        ),
        (&[], "{\"event\":\"end\"}\n", "stdin:1: event \"end\": missing field"),
        (&[], &start("a", "null"), "a: nothing was measured yet"),
        (&["none"], "", "none: No such file"),
        (&["empty"], "", "empty: no run folder: there is no events.ndjson and no history.csv"),
        (&["a.csv", "b.csv"], "", "b has no steps and a no epochs: there is no axis for both"),
        (&["ragged.csv"], "", "ragged.csv:3: 1 cells; the header has 2"),
        (&["text.csv"], "", "text.csv:3: column \"loss\": \"high\" is no number"),
        (&["latin"], "", "latin:1: not text"),
        (&["binary"], "", "binary:1: no run events"),
        (&["charts=[nope]"], &good, "no chart \"nope\"; there is loss, mae, learning_rate"),
        (&["charts=[]"], &good, "plot.charts: no chart is named"),
        (&["-o", "-", "charts=[loss,mae]"], &good, "standard output takes one chart"),
        (&["-o", "-", "--format", "both"], &good, "standard output takes svg or png"),
        (&["--terminal", "-o", "x"], &good, "--terminal writes no files"),
        (&["--format", "gif"], &good, "\"gif\" is not one of svg, png, both"),
        (&["smoothing=1"], &good, "plot.smoothing: 1; expected 0 (off) to below 1"),
        (&["width=1000000"], &good, "plot.width: 1000000; expected 100 to 10000"),
        (&["colors=[red]"], &good, "no color \"red\""),
        (&["colors=[]"], &good, "plot.colors: expected at least one"),
        (&["heigth=3"], &good, "height"),
        (
            &["--terminal", "terminal_width=10"],
            "{\"matrix\":[[1,0,0],[0,99,0],[0,0,1]]}",
            "takes 11 columns and there are 10",
        ),
        (&["labels=[a]"], "{\"matrix\":[[1,0],[0,1]]}", "plot.labels: 1 labels for 2 classes"),
        (
            &["--classes", "two.json"],
            "{\"matrix\":[[1,0,0],[0,1,0],[0,0,1]]}",
            "--classes: 2 names, and none for class 2",
        ),
        (&["--classes", "none.json"], &good, "--classes: none.json: No such file"),
        (&["--classes", "a.csv"], &good, "--classes: a.csv: expected the dataset.json that fetch-data writes"),
        (&["gallery_columns=0"], &good, "plot.gallery_columns: 0; expected 1 to 100"),
        (&["gallery_tile=5000"], &good, "plot.gallery_tile: 5000; expected 8 to 1000"),
    ];
    for (args, stdin, expected) in cases {
        let done = plot(folder.path(), args, stdin);
        let error = done.error.lines().find(|line| line.contains(expected));
        assert_eq!((done.status, done.out.as_str()), (2, ""), "{args:?}: {}", done.error);
        assert!(error.is_some_and(|error| error.starts_with("plot: ")), "{args:?}: {}", done.error);
        assert!(!folder.path().join("plots").exists(), "{args:?}");
    }
}

/// A record of a gray image of two pixels.
fn record(label: &str, prediction: &str) -> String {
    format!("{{\"id\":\"x\",\"image\":[[[0,255]]],\"label\":{label},\"prediction\":{prediction}}}\n")
}

/// The rows whose images an SVG shows.
fn shown(svg: &str) -> Vec<String> {
    let images = svg.split("<image class=\"tile\" data-name=\"").skip(1);
    images.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

#[test]
fn misclassified_images_are_shown_the_surest_first_and_of_equals_the_earlier() {
    let rows = record("0", "[0.4,0.6]") // wrong
        + &record("1", "[0.5,0.5]") // wrong: the first of equals counts
        + &record("1", "[0.1,0.9]")
        + &record("1", "[0.7,0.3]") // wrong
        + &record("0", "[0.4,0.6]"); // wrong, as the first
    let folder = folder_with(&[("data/cats.ndjson", &rows), ("data/dogs.ndjson", &rows)]);
    let done = plot(folder.path(), &["data/cats.ndjson", "labels=[cat,'<dog>']"], "");
    assert_eq!((done.status, done.out.as_str(), done.error.as_str()), (0, "plots/misclassified.svg\n", ""));
    let svg = fs::read_to_string(folder.path().join("plots/misclassified.svg")).unwrap();
    assert_eq!(shown(&svg), ["row 3", "row 0", "row 4", "row 1"]);
    for text in
        [">misclassified in cats: 4 of 5 rows, all shown<", ">&lt;dog&gt; → cat<", ">cat → &lt;dog&gt;<", ">0.700<"]
    {
        assert!(svg.contains(text), "{text}");
    }
    let two = plot(folder.path(), &["-o", "-", "gallery_rows=1", "gallery_columns=2"], &rows).out;
    assert_eq!(shown(&two), ["row 3", "row 0"]);
    assert!(
        two.contains(">misclassified: 4 of 5 rows, the 2 most confident shown<") && two.contains(">0 → 1<"),
        "{two}"
    );
    let done = plot(folder.path(), &["data/cats.ndjson", "data/dogs.ndjson", "--format", "both"], "");
    assert_eq!(done.out.lines().count(), 4, "{}", done.error);
    assert!(done.out.starts_with("plots/misclassified_cats.svg\nplots/misclassified_cats.png\n"), "{}", done.out);
    for name in ["cats", "dogs"] {
        let bytes =
            |extension| fs::read(folder.path().join(format!("plots/misclassified_{name}.{extension}"))).unwrap();
        let again = |format| plot(folder.path(), &["-o", "-", "--format", format, &format!("data/{name}.ndjson")], "");
        assert_eq!(String::from_utf8(bytes("svg")).unwrap(), again("svg").out);
        assert!(bytes("png").starts_with(b"\x89PNG"));
    }
}

#[test]
fn a_classifier_without_mistakes_has_a_picture_that_says_so() {
    let folder = folder_with(&[]);
    let title = ">misclassified: 0 of 2 rows, none to show<";
    let wrong = record("0", "[0.1,0.9]") + &record("1", "[0.1,0.9]");
    let right = record("0", "[0.9,0.1]") + &record("1", "[0.1,0.9]");
    assert!(plot(folder.path(), &["-o", "-"], &right).out.contains(title));
    // It takes the place of one with mistakes.
    for (rows, perfect) in [(wrong, false), (right, true)] {
        let done = plot(folder.path(), &["--format", "both"], &rows);
        assert_eq!((done.status, done.error.as_str()), (0, ""));
        assert_eq!(done.out, "plots/misclassified.svg\nplots/misclassified.png\n");
        let svg = fs::read_to_string(folder.path().join("plots/misclassified.svg")).unwrap();
        assert_eq!((svg.contains(title), svg.contains("<image")), (perfect, !perfect));
    }
}

#[test]
fn records_that_cannot_be_shown_are_refused_with_their_place() {
    let folder = folder_with(&[("names.json", "{\"classes\":{\"label\":[\"a\",\"b\",\"c\"]}}")]);
    let good = record("0", "[0.4,0.6]");
    let fields = |text: &str| format!("{text}\n");
    let cases: &[(&[&str], String, &str)] = &[
        (&[], fields("{\"label\":0,\"prediction\":[0.4,0.6]}"), "stdin:1: no field \"image\""),
        (&[], fields("{\"image\":[[[1]]],\"prediction\":[0.4,0.6]}"), "no field \"label\""),
        (&[], fields("{\"image\":[[[1]]],\"label\":0}"), "no field \"prediction\""),
        (&["target_field=class"], good.clone(), "no field \"class\""),
        (&["labels=[a]"], good.clone(), "a probability for each of the 1 classes of plot.labels"),
        (&["--classes", "names.json"], good.clone(), "stdin: field prediction f8[2] has the wrong shape"),
        (&[], good.clone() + &record("2", "[0.4,0.6]"), "stdin:2: target 2 is no class from 0 to 1"),
        (&[], good.clone() + "\n" + &record("0", "[-1,2]"), "stdin:3: class 0 has probability -1; expected 0 to 1"),
        (&[], good.clone() + &record("0", "[0.5,1.5]"), "stdin:2: class 1 has probability 1.5"),
        (&[], good.clone() + "\n" + &record("0", "[0.5,NaN]"), "stdin:3: "),
        (&[], good.replace("255", "256"), "stdin:1: field \"image\" has 256; expected whole numbers from 0 to 255"),
        (&[], good.replace("255", "0.5"), "stdin:1: field \"image\" has 0.5"),
        (&[], good.replace("[[[0,255]]]", "[0,255]"), "expected [channels,height,width] with 1 or 3 channels"),
        (&[], good.replace("[[[0,255]]]", "[[[0]],[[1]]]"), "field image f8[2,1,1] has the wrong shape"),
        (&[], record("[0,1]", "[0.4,0.6]"), "expected one class index"),
        (&[], record("0", "[1.0]"), "at least two classes"),
        (&["--terminal"], good.clone(), "--terminal shows no images"),
        (
            &["gallery_tile=1000", "gallery_columns=10", "font_size=100", "labels=[aaaaaaaaaaaa,b]"],
            good.repeat(40),
            "at most 10000 are drawn",
        ),
    ];
    for (args, stdin, expected) in cases {
        let done = plot(folder.path(), args, stdin);
        assert_eq!((done.status, done.out.as_str()), (2, ""), "{args:?}: {}", done.error);
        assert!(done.error.starts_with("plot: ") && done.error.contains(expected), "{args:?}: {}", done.error);
        assert_eq!(done.error.lines().count(), 1, "{}", done.error);
        assert!(!folder.path().join("plots").exists(), "{args:?}");
    }
}

#[test]
fn the_run_folders_of_a_sweep_are_inputs_and_no_settings() {
    let (adam, sgd) = ("runs/optimizer=adam,trainer.seed=0", "runs/optimizer=sgd,trainer.seed=0");
    let file = |folder: &str| format!("{folder}/events.ndjson");
    let folder = folder_with(&[(&file(adam), &log("adam")), (&file(sgd), &log("sgd"))]);
    let done = plot(folder.path(), &[adam, sgd, "charts=[loss]"], "");
    assert_eq!((done.status, done.out.as_str()), (0, "plots/loss.svg\n"), "{}", done.error);
    // In place they look like settings, and a setting that is nowhere is no path.
    for arg in ["optimizer=adam,trainer.seed=0", "runs/optimizer=rmsprop,trainer.seed=0"] {
        assert_eq!(plot(&folder.path().join("runs"), &[arg], "").status, 2);
    }
}
