//! The real binary: which files it writes from what, and what it says of bad input.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use std::{fs, path::Path};
use testkit::{Done, Folder, log as events, system, tool};

fn plot(folder: &Path, args: &[&str], stdin: &str) -> Done {
    tool!("plot").within(folder).args(args).stdin(stdin).run()
}

/// A run of three epochs of ten steps, with everything that an event may hold.
fn log(name: &str) -> String {
    let mut log = start(name, "null");
    for (epoch, loss) in [(1, 0.5), (2, 0.05), (3, 0.01)] {
        let step = epoch * 10;
        log += &events::lines(&[
            events::step(epoch, step - 5, json!({"train_loss_step": loss, "learning_rate": 0.001})),
            events::validation(epoch, step, json!({"val_loss": loss, "val_mae": loss})),
            events::epoch(epoch, step, json!({"train_loss": loss, "learning_rate": 0.001})),
        ]);
    }
    let test = events::test(3, 30, json!({"test_loss": 0.01, "test_mae": 0.1}));
    log + &events::lines(&[test, json!({"event": "confetti"}), events::end("FINISHED", "")])
}

/// The start of a run; `name` as between quotes in JSON, and what it resumes from in JSON.
fn start(name: &str, resumed: &str) -> String {
    let json = |text: &str| -> Value { serde_json::from_str(text).unwrap() };
    let mut event = events::start("r");
    (event["name"], event["run_dir"], event["resumed"]) = (json(&format!("\"{name}\"")), json!("r"), json(resumed));
    events::lines(&[event])
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
    let folder = Folder::new();
    let done = plot(&folder, &[], &log("a"));
    assert_eq!((done.status, done.error.as_str()), (0, ""));
    assert_eq!(done.out, "plots/loss.svg\nplots/mae.svg\nplots/learning_rate.svg\n");
    let svg = folder.text("plots/loss.svg");
    for text in [">loss of a<", ">train<", ">validation<", ">test<", ">batch<", ">step<"] {
        assert!(svg.contains(text), "{text}");
    }
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let folder = Folder::with(&[("a/events.ndjson", &log("a")), ("b/events.ndjson", &log("b"))]);
    for out in ["1", "2"] {
        let done = plot(&folder, &["a", "b", "--format", "both", "-o", out, "smoothing=0.5"], "");
        assert_eq!((done.status, done.out.lines().count()), (0, 6), "{}", done.error);
    }
    for name in ["loss.svg", "loss.png", "mae.png"] {
        let read = |out| fs::read(folder.join(out).join(name)).unwrap();
        assert!(read("1") == read("2"), "{name}");
    }
}

#[test]
fn runs_are_named_by_what_tells_them_apart() {
    let runs =
        Folder::with(&[("runs/a/x/events.ndjson", &log("n")), ("runs/b/x/history.csv", "epoch,val_loss\n1,2\n2,1\n")]);
    let done = plot(&runs, &["runs/a/x", "runs/b/x", "-o", "-"], "");
    assert_eq!(done.status, 0, "{}", done.error);
    // The table has no steps: both are drawn over epochs.
    for text in [">loss of 2 runs<", ">a<", ">b<", ">epoch<"] {
        assert!(done.out.contains(text), "{text}");
    }
    assert_eq!(points(&done.out, "b val_loss").len(), 1);
}

#[test]
fn a_run_without_a_path_of_its_own_has_its_name_from_the_log() {
    let folder = Folder::with(&[("events.ndjson", &log("mine"))]);
    assert!(plot(&folder, &[".", "-o", "-"], "").out.contains(">loss of mine<"));
    let two = plot(&folder, &["-o", "-"], &(log("mine") + &log("other"))).out;
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
    let folder = Folder::new();
    let (once, twice) = (plot(&folder, &["-o", "-"], &once), plot(&folder, &["-o", "-"], &twice));
    assert_eq!((once.status, &once.out), (0, &twice.out));
}

#[test]
fn what_is_not_finite_is_a_gap_and_one_point_is_a_dot() {
    let metrics = ["1", "2", "null", "4", "null"].map(|value| format!("{{\"train_loss\":{value}}}"));
    let log: String = metrics.iter().enumerate().map(|(i, metrics)| epoch(i + 1, metrics)).collect();
    let svg = plot(&Folder::new(), &["-o", "-"], &log).out;
    assert_eq!(points(&svg, "train_loss").len(), 1);
    assert_eq!(points(&svg, "train_loss")[0].split(' ').count(), 2);
    assert_eq!(svg.matches("<circle class=\"curve\" data-name=\"train_loss\"").count(), 1);
    let one = plot(&Folder::new(), &["-o", "-"], &epoch(1, r#"{"train_loss":2}"#)).out;
    assert_eq!(one.matches("<circle class=\"curve\"").count(), 1);
}

#[test]
fn a_damaged_log_is_drawn_up_to_there_with_a_note() {
    let whole = start("a", "null") + &epoch(1, r#"{"train_loss":2}"#) + &epoch(2, r#"{"train_loss":1}"#);
    let folder = Folder::new();
    let cut = plot(&folder, &["-o", "-"], &whole);
    assert!(cut.error.starts_with("plot: stdin: no end event"), "{}", cut.error);
    for damage in ["{\"event\":\"epo", "not json\n", "{\"event\":\"end\"}\n"] {
        let done = plot(&folder, &["-o", "-"], &format!("{whole}{damage}"));
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
    let folder = Folder::with(&[
        ("plots/metrics/train_loss.tsv", "step\ttrain_loss\n0\t2.0\n1\t1.0\n"),
        ("plots/metrics/val_loss.tsv", "step\tval_loss\n0\t2.5\n1\tnan\n2\t1.5\n"),
    ]);
    let files = ["plots/metrics/train_loss.tsv", "plots/metrics/val_loss.tsv", "-o", "-"];
    let svg = plot(&folder, &files, "").out;
    assert!(svg.contains(">loss of metrics<") && svg.contains(">validation<"), "{svg}");
}

#[test]
fn empty_cells_and_columns_of_text_are_passed_over() {
    // As Lightning's CSVLogger writes it.
    let csv = "epoch,step,train_loss,val_loss,stage\n0,49,0.5,,fit\n0,99,,0.4,fit\n1,149,0.3,,fit\n1,199,,0.2,fit\n";
    let svg = plot(&Folder::new(), &["-o", "-"], csv).out;
    for name in ["train_loss", "val_loss"] {
        assert_eq!(points(&svg, name)[0].split(' ').count(), 2, "{svg}");
    }
    assert!(!svg.contains("stage"));
    // As Keras's CSVLogger does: the metric's bare name is that of training.
    let svg = plot(&Folder::new(), &["-o", "-"], "epoch,loss,val_loss\n0,2,3\n1,1,2\n").out;
    assert!(
        svg.contains("class=\"legend\"") && svg.contains(">loss</text>") && svg.contains(">validation</text>"),
        "{svg}"
    );
}

#[test]
fn a_confusion_matrix_comes_from_score_or_from_pairs() {
    let folder = Folder::with(&[
        ("metrics.json", "{\n  \"rows\": 10,\n  \"accuracy\": 0.9,\n  \"confusion_matrix\": [[6, 1], [0, 3]]\n}\n"),
        ("pairs.csv", "actual,predicted\ncat,cat\ncat,dog\ndog,dog\n"),
    ]);
    let done = plot(&folder, &["metrics.json", "labels=[a,b]"], "");
    assert_eq!((done.out.as_str(), done.error.as_str()), ("plots/confusion.svg\n", ""));
    let svg = folder.text("plots/confusion.svg");
    for text in ["accuracy 0.9000<", ">6<", ">1<", ">3<", ">a<", ">b<", ">actual<", ">predicted<"] {
        assert!(svg.contains(text), "{text}");
    }
    let done = plot(&folder, &["pairs.csv", "metrics.json"], "");
    assert_eq!(done.out, "plots/confusion_pairs.svg\nplots/confusion_metrics.svg\n");
    let text = plot(&folder, &["pairs.csv", "--terminal"], "").out;
    assert_eq!(
        text,
        "confusion of pairs: accuracy 0.6667\nrows are actual, columns predicted\n     cat dog\ncat    1   1\ndog    0   1\n"
    );
}

#[test]
fn names_are_safe_in_files_and_pictures() {
    let csv = "step,\"val_../a<b>&\"\n1,1\n2,2\n";
    let folder = Folder::new();
    let done = plot(&folder, &[], csv);
    assert_eq!(done.out, "plots/_a_b__.svg\n");
    assert!(folder.text("plots/_a_b__.svg").contains("../a&lt;b&gt;&amp;"));
    let text = plot(&folder, &["--terminal"], &log("\\u001b[31mred")).out;
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

#[test]
fn a_million_points_make_a_small_picture() {
    let mut csv = String::from("step,val_loss\n");
    for i in 0..1_000_000u32 {
        csv.push_str(&format!("{i},{}\n", i.wrapping_mul(2_654_435_761) % 1000 + 1));
    }
    let svg = plot(&Folder::new(), &["-o", "-"], &csv).out;
    assert!(svg.contains("class=\"curve\"") && svg.len() < 100_000, "{}", svg.len());
}

#[test]
fn a_chart_in_the_terminal_has_its_size_and_no_escapes() {
    let done = plot(&Folder::new(), &["--terminal"], &log("a"));
    assert_eq!((done.status, done.out.lines().count()), (0, 20), "{}", done.out);
    assert!(done.out.lines().all(|line| line.chars().count() <= 80) && !done.out.contains('\u{1b}'));
    assert!(done.out.starts_with("loss of a by step\n* train  o validation  + test\n"), "{}", done.out);
    let braille = |c: char| ('\u{2801}'..='\u{28ff}').contains(&c);
    let args = ["--terminal", "charts=[learning_rate]", "terminal_width=40", "terminal_height=12"];
    let rate = plot(&Folder::new(), &args, &log("a")).out;
    assert!(rate.chars().any(braille) && rate.lines().count() == 12, "{rate}");
    assert!(rate.lines().all(|line| line.chars().count() <= 40), "{rate}");
}

/// A run that diverges in its first epoch has no metrics.
#[test]
fn a_run_in_which_nothing_was_measured_is_told_and_the_others_are_drawn() {
    let end = "{\"event\":\"end\",\"status\":\"FAILED\",\"reason\":\"diverged\",\"time\":0}\n";
    let nothing = start("d", "null") + end;
    let finder = "learning_rate,loss\n0.1,2\n0.2,1\n0.4,3\n";
    let folder = Folder::with(&[
        ("s/a/events.ndjson", &log("a")),
        ("s/b/events.ndjson", &log("b")),
        ("s/div/events.ndjson", &nothing),
        ("s/div2/events.ndjson", &nothing),
        ("f/finder.csv", finder),
        ("matrix.json", "{\"matrix\":[[1,0],[0,1]]}"),
    ]);
    let cases: &[(&[&str], &str)] = &[
        (&["s/div", "s/a", "s/b"], "plots/loss.svg\nplots/mae.svg\nplots/learning_rate.svg\n"),
        (&["s/a", "s/div"], "plots/loss.svg\nplots/mae.svg\nplots/learning_rate.svg\n"),
        (&["f", "s/div"], "plots/finder.svg\n"),
        (&["matrix.json", "s/div"], "plots/confusion.svg\n"),
    ];
    for (args, pictures) in cases {
        let done = plot(&folder, args, "");
        assert_eq!((done.status, done.out.as_str()), (0, *pictures), "{args:?}: {}", done.error);
        let told = done.error.contains("nothing was measured at a step or epoch; drawn without it");
        assert!(told && done.error.lines().count() == 1, "{args:?}: {}", done.error);
    }
    let done = plot(&folder, &["s/a", "s/div", "s/b", "--terminal"], "");
    assert!(done.status == 0 && done.error.contains("plot: div"), "{}", done.error);
    assert!(done.out.contains('a') && !done.out.contains("div"), "{}", done.out);
    // One log may hold both.
    let done = plot(&folder, &["-o", "-"], &(log("a") + &nothing));
    assert!(done.status == 0 && done.error.contains("d ("), "{}", done.error);
    for args in [&["s/div", "s/div2"][..], &["s/div"]] {
        let done = plot(&folder, args, "");
        assert_eq!((done.status, done.out.as_str()), (2, ""), "{args:?}");
        assert!(done.error.contains("nothing was measured yet"), "{args:?}: {}", done.error);
    }
}

#[test]
fn a_folder_of_run_folders_is_told_how_to_draw_them() {
    let folder = Folder::new();
    let make = |path: &str| {
        let path = folder.join(path);
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("events.ndjson"), log("a")).unwrap();
        fs::write(path.join("config.yaml"), "a: 1\n").unwrap();
    };
    ["runs/s/1", "runs/s/2", "deep/x/1", "deep/y/2", "mixed/1", "my runs/1"].iter().for_each(|path| make(path));
    folder.write("mixed/notes.txt", "x");
    for (given, pattern) in [
        ("runs/s", "runs/s/*"),
        ("runs/s/", "runs/s/*"),
        ("deep", "deep/*/*/events.ndjson"),
        ("mixed", "mixed/*/events.ndjson"),
        ("my runs", "'my runs'/*"),
    ] {
        let done = plot(&folder, &[given], "");
        let hint = format!("; it holds run folders, which plot {pattern} draws together\n");
        assert!(done.status == 2 && done.error.ends_with(&hint), "{}", done.error);
        // As the shell does it.
        let done = tool!("plot").within(&folder).shell(&format!("exec \"$0\" {pattern}")).run();
        assert_eq!(done.status, 0, "{pattern}: {}", done.error);
    }
}

#[test]
fn bad_input_is_one_line_and_status_2() {
    let folder = Folder::with(&[
        ("empty/x", ""),
        ("a.csv", "step,loss\n1,2\n"),
        ("b.csv", "epoch,loss\n1,2\n"),
        ("ragged.csv", "step,loss\n1,2\n3\n"),
        ("text.csv", "step,loss\n1,2\n2,high\n"),
        ("binary", "\u{0}\u{1}\n"),
        ("two.json", "{\"classes\":{\"label\":[\"a\",\"b\"]}}"),
    ]);
    folder.write("latin", b"\xff\xfe\n");
    let good = log("a");
    let cases: &[(&[&str], &str, &str)] = &[
        (&[], "", "stdin: empty; expected run events"),
        (&[], "\n\n", "stdin: empty"),
        (
            &[],
            "a,b\n1,2\n",
            "stdin:1: no run events, and no column step or epoch, nor actual and predicted, nor learning_rate and loss; there is a, b",
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
        (
            &["empty"],
            "",
            "empty: no run folder: there is no events.ndjson and no history.csv and no finder.csv; train -o empty makes one",
        ),
        (&["a.csv", "b.csv"], "", "b has no steps and a no epochs: there is no axis for both"),
        (&["ragged.csv"], "", "ragged.csv:3: 1 cells; the header has 2"),
        (&["text.csv"], "", "text.csv:3: column \"loss\": \"high\" is no number"),
        (&["latin"], "", "latin:1: not text"),
        (&["binary"], "", "binary: not text"),
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
        let done = plot(&folder, args, stdin);
        let error = done.error.lines().find(|line| line.contains(expected));
        assert_eq!((done.status, done.out.as_str()), (2, ""), "{args:?}: {}", done.error);
        assert!(error.is_some_and(|error| error.starts_with("plot: ")), "{args:?}: {}", done.error);
        assert!(!folder.join("plots").exists(), "{args:?}");
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
    let folder = Folder::with(&[("data/cats.ndjson", &rows), ("data/dogs.ndjson", &rows)]);
    let done = plot(&folder, &["data/cats.ndjson", "labels=[cat,'<dog>']"], "");
    assert_eq!((done.status, done.out.as_str(), done.error.as_str()), (0, "plots/misclassified.svg\n", ""));
    let svg = folder.text("plots/misclassified.svg");
    assert_eq!(shown(&svg), ["row 3", "row 0", "row 4", "row 1"]);
    for text in
        [">misclassified in cats: 4 of 5 rows, all shown<", ">&lt;dog&gt; → cat<", ">cat → &lt;dog&gt;<", ">0.700<"]
    {
        assert!(svg.contains(text), "{text}");
    }
    let two = plot(&folder, &["-o", "-", "gallery_rows=1", "gallery_columns=2"], &rows).out;
    assert_eq!(shown(&two), ["row 3", "row 0"]);
    assert!(
        two.contains(">misclassified: 4 of 5 rows, the 2 most confident shown<") && two.contains(">0 → 1<"),
        "{two}"
    );
    let done = plot(&folder, &["data/cats.ndjson", "data/dogs.ndjson", "--format", "both"], "");
    assert_eq!(done.out.lines().count(), 4, "{}", done.error);
    assert!(done.out.starts_with("plots/misclassified_cats.svg\nplots/misclassified_cats.png\n"), "{}", done.out);
    for name in ["cats", "dogs"] {
        let bytes = |extension| fs::read(folder.join(format!("plots/misclassified_{name}.{extension}"))).unwrap();
        let again = |format| plot(&folder, &["-o", "-", "--format", format, &format!("data/{name}.ndjson")], "");
        assert_eq!(String::from_utf8(bytes("svg")).unwrap(), again("svg").out);
        assert!(bytes("png").starts_with(b"\x89PNG"));
    }
}

#[test]
fn a_classifier_without_mistakes_has_a_picture_that_says_so() {
    let folder = Folder::new();
    let title = ">misclassified: 0 of 2 rows, none to show<";
    let wrong = record("0", "[0.1,0.9]") + &record("1", "[0.1,0.9]");
    let right = record("0", "[0.9,0.1]") + &record("1", "[0.1,0.9]");
    assert!(plot(&folder, &["-o", "-"], &right).out.contains(title));
    // It takes the place of one with mistakes.
    for (rows, perfect) in [(wrong, false), (right, true)] {
        let done = plot(&folder, &["--format", "both"], &rows);
        assert_eq!((done.status, done.error.as_str()), (0, ""));
        assert_eq!(done.out, "plots/misclassified.svg\nplots/misclassified.png\n");
        let svg = folder.text("plots/misclassified.svg");
        assert_eq!((svg.contains(title), svg.contains("<image")), (perfect, !perfect));
    }
}

#[test]
fn records_that_cannot_be_shown_are_refused_with_their_place() {
    let folder = Folder::with(&[("names.json", "{\"classes\":{\"label\":[\"a\",\"b\",\"c\"]}}")]);
    let good = record("0", "[0.4,0.6]");
    let fields = |text: &str| format!("{text}\n");
    let cases: &[(&[&str], String, &str)] = &[
        (&[], fields("{\"label\":0,\"prediction\":[0.4,0.6]}"), "stdin:1: no field \"image\""),
        (&[], fields("{\"image\":[[[1]]],\"prediction\":[0.4,0.6]}"), "no field \"label\""),
        (&[], fields("{\"image\":[[[1]]],\"label\":0}"), "no field \"prediction\""),
        (&["target_field=class"], good.clone(), "; choose another with plot.target_field=NAME"),
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
        let done = plot(&folder, args, stdin);
        assert_eq!((done.status, done.out.as_str()), (2, ""), "{args:?}: {}", done.error);
        assert!(done.error.starts_with("plot: ") && done.error.contains(expected), "{args:?}: {}", done.error);
        assert_eq!(done.error.lines().count(), 1, "{}", done.error);
        assert!(!folder.join("plots").exists(), "{args:?}");
    }
}

#[test]
fn the_run_folders_of_a_sweep_are_inputs_and_no_settings() {
    let (adam, sgd) = ("runs/optimizer=adam,trainer.seed=0", "runs/optimizer=sgd,trainer.seed=0");
    let file = |folder: &str| format!("{folder}/events.ndjson");
    let folder = Folder::with(&[(&file(adam), &log("adam")), (&file(sgd), &log("sgd"))]);
    let done = plot(&folder, &[adam, sgd, "charts=[loss]"], "");
    assert_eq!((done.status, done.out.as_str()), (0, "plots/loss.svg\n"), "{}", done.error);
    // In place they look like settings, and a setting that is nowhere is no path.
    for arg in ["optimizer=adam,trainer.seed=0", "runs/optimizer=rmsprop,trainer.seed=0"] {
        assert_eq!(plot(&folder.join("runs"), &[arg], "").status, 2);
    }
}

/// A folder of a run: its settings, and a log of three epochs that ended as `end` says: a status, and a reason.
fn run_of(folder: &Path, path: &str, settings: &str, loss: [&str; 3], end: &str) {
    let folder = folder.join(path);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("config.yaml"), settings).unwrap();
    let mut log = start(path, "null");
    for (i, loss) in loss.iter().enumerate() {
        let step = (i + 1) * 10;
        log.push_str(&format!(
            "{{\"event\":\"validation\",\"epoch\":{0},\"step\":{step},\"metrics\":{{\"val_loss\":{loss}}},\"time\":0}}\n",
            i + 1
        ));
        log.push_str(&epoch(i + 1, &format!("{{\"train_loss\":{loss},\"rows_per_second\":9}}")));
    }
    if let Some((status, reason)) = end.split_once(' ').or((!end.is_empty()).then_some((end, ""))) {
        log += &events::lines(&[events::end(status, reason)]);
    }
    fs::write(folder.join("events.ndjson"), log).unwrap();
}

/// The runs of a sweep, in folders that are only numbered.
fn sweep(folder: &Path, runs: usize) -> Vec<String> {
    let path = |i| format!("runs/{i:02}");
    for i in 0..runs {
        let (optimizer, seed) = (["adam", "sgd", "adamw", "rmsprop"][i % 4], i / 4);
        let settings = format!(
            "model: {{name: mlp, hidden: [64, 64]}}\noptimizer: {{name: {optimizer}}}\ntrainer: {{seed: {seed}, run_dir: {}}}\n",
            path(i)
        );
        let loss = [1, 2, 3].map(|epoch| (1.0 + i as f64 / 10.0 - f64::from(epoch) / 4.0).to_string());
        run_of(folder, &path(i), &settings, [&loss[0], &loss[1], &loss[2]], "FINISHED");
    }
    (0..runs).map(path).collect()
}

fn labels_of_sweep(runs: usize) -> Vec<String> {
    let label = |i| format!("optimizer={}, seed={}", ["adam", "sgd", "adamw", "rmsprop"][i % 4], i / 4);
    (0..runs).map(label).collect()
}

/// The texts of a class in an SVG.
fn texts(svg: &str, class: &str) -> Vec<String> {
    let marker = format!("<text class=\"{class}\"");
    let elements = svg.split(&marker).skip(1);
    elements.map(|rest| rest.split_once('>').unwrap().1.split('<').next().unwrap().to_owned()).collect()
}

/// An attribute of each element of a class and a name.
fn attributes(svg: &str, class: &str, name: &str, attribute: &str) -> Vec<String> {
    let marker = format!("class=\"{class}\" data-name=\"{name}\"");
    let value = |line: &str| {
        let rest = line.split_once(&format!(" {attribute}=\"")).map_or("", |(_, rest)| rest);
        rest.split('"').next().unwrap_or("").to_owned()
    };
    svg.lines().filter(|line| line.contains(&marker)).map(value).collect()
}

#[test]
fn runs_are_named_by_the_settings_that_differ() {
    let folder = Folder::new();
    for count in [2, 6, 16] {
        let runs = sweep(&folder, count);
        let inputs: Vec<&str> = runs.iter().map(String::as_str).collect();
        let svg = plot(&folder, &[&inputs[..], &["-o", "-"]].concat(), "").out;
        let expected = match count {
            2 => vec!["optimizer=adam".to_owned(), "optimizer=sgd".into()],
            count => labels_of_sweep(count),
        };
        let legend = texts(&svg, "legend");
        assert!(legend.starts_with(&["train".into(), "validation".into()]), "{legend:?}");
        let mut shown = legend[2..].to_vec();
        shown.sort();
        let mut sorted = expected.clone();
        sorted.sort();
        assert_eq!(shown, sorted);
        // No two runs look alike.
        let look = |label: &String| {
            let of = |attribute| attributes(&svg, "curve", &format!("{label} val_loss"), attribute).concat();
            (of("stroke"), of("stroke-dasharray"))
        };
        let mut looks: Vec<_> = expected.iter().map(look).collect();
        assert!(looks.iter().all(|look| !look.0.is_empty()), "{looks:?}");
        looks.sort();
        looks.dedup();
        assert_eq!(looks.len(), count);
    }
}

#[test]
fn a_log_on_a_pipe_names_its_runs_by_the_settings_that_it_holds() {
    let run =
        |seed: &str| log("same").replace("\"config\":{}", &format!("\"config\":{{\"trainer\":{{\"seed\":{seed}}}}}"));
    let svg = plot(&Folder::new(), &["-o", "-"], &(run("3") + &run("4"))).out;
    let legend = texts(&svg, "legend");
    assert!(legend.ends_with(&["seed=3".into(), "seed=4".into()]), "{legend:?}");
}

#[test]
fn a_terminal_of_any_width_shows_every_label_whole() {
    let folder = Folder::new();
    let runs = sweep(&folder, 16);
    let inputs: Vec<&str> = runs.iter().map(String::as_str).collect();
    for width in [20, 60, 80, 120] {
        let size = format!("terminal_width={width}");
        let done = plot(&folder, &[&inputs[..], &["--terminal", &size]].concat(), "");
        assert!(done.out.lines().all(|line| line.chars().count() <= width), "{}", done.out);
        let head = done.out.split('│').next().unwrap();
        // Names that were broken into lines are put together again.
        let head = head.replace('\n', " ").split_whitespace().collect::<Vec<_>>().join(" ");
        for label in labels_of_sweep(16) {
            assert!(head.contains(&label), "{width}: {label}: {head}");
        }
        let markers = |c: char| done.out.matches(&format!("{c} optimizer=")).count();
        assert!(['*', 'o', '&', 'A', 'H'].into_iter().all(|c| markers(c) == 1), "{}", done.out);
        assert!(done.out.lines().filter(|line| line.contains(['│', '┤'])).count() >= 10, "{}", done.out);
    }
}

#[test]
fn a_run_without_values_or_without_an_end_is_marked_among_others() {
    let folder = Folder::new();
    let settings = |seed| format!("trainer: {{seed: {seed}}}\n");
    run_of(&folder, "a", &settings(0), ["3", "2", "1"], "FINISHED");
    run_of(&folder, "b", &settings(1), ["3", "2", "1"], "");
    run_of(&folder, "c", &settings(2), ["3", "null", "null"], "FAILED the loss is not finite");
    run_of(&folder, "d", &settings(3), ["null", "null", "null"], "FAILED");
    let svg = plot(&folder, &["a", "b", "c", "d", "-o", "-"], "").out;
    let expected = ["seed=0", "seed=1 (unfinished)", "seed=2 (diverged)", "seed=3 (no finite value)"];
    assert_eq!(texts(&svg, "legend")[2..], expected);
    // Where none is finished, it says nothing.
    let svg = plot(&folder, &["b", "c", "-o", "-"], "").out;
    assert_eq!(texts(&svg, "legend")[2..], ["seed=1", "seed=2"]);
}

#[test]
fn a_metric_that_is_the_loss_is_drawn_once() {
    let both = |mse: f64| {
        let twice = format!("{{\"val_loss\":0.3,\"val_mse\":{mse},\"val_mae\":0.5}}");
        start("a", "null") + &epoch(1, &twice) + &epoch(2, &twice)
    };
    let folder = Folder::new();
    // Summed in another order, the mean differs in its last digit.
    let done = plot(&folder, &[], &both(0.300_000_000_000_000_04));
    assert_eq!(done.out, "plots/loss.svg\nplots/mae.svg\n", "{}", done.error);
    let svg = folder.text("plots/loss.svg");
    assert_eq!(texts(&svg, "y-label"), ["loss = mse"]);
    assert_eq!(plot(&folder, &["charts=[mse]"], &both(0.3)).out, "plots/mse.svg\n");
    assert_eq!(plot(&folder, &[], &both(0.31)).out, "plots/loss.svg\nplots/mse.svg\nplots/mae.svg\n");
}

#[test]
fn throughput_is_drawn_where_it_is_asked_for() {
    let folder = Folder::new();
    run_of(&folder, "a", "{}\n", ["3", "2", "1"], "FINISHED");
    let out = |args: &[&str]| plot(&folder, &[&["a"], args].concat(), "").out;
    assert_eq!(out(&[]), "plots/loss.svg\n");
    assert_eq!(out(&["charts=[rows_per_second]"]), "plots/rows_per_second.svg\n");
    assert_eq!(out(&["hidden_charts=[]"]), "plots/loss.svg\nplots/rows_per_second.svg\n");
    assert_eq!(out(&["hidden_charts=[loss]"]), "plots/rows_per_second.svg\n");
}

#[test]
fn a_smoothed_curve_is_the_line_and_its_values_are_the_shade_behind_all_lines() {
    let folder = Folder::new();
    let runs = sweep(&folder, 2);
    let svg = plot(&folder, &[&runs[0], &runs[1], "-o", "-", "smoothing=0.6"], "").out;
    let at = |class: &str| svg.match_indices(&format!("class=\"{class}\"")).map(|(at, _)| at).collect::<Vec<_>>();
    assert_eq!((at("raw").len(), at("curve").len()), (4, 4));
    assert!(at("raw").iter().max() < at("curve").iter().min());
    for run in ["optimizer=adam", "optimizer=sgd"] {
        let of = |class, attribute| attributes(&svg, class, &format!("{run} val_loss"), attribute).concat();
        assert_eq!(of("raw", "stroke"), of("curve", "stroke"));
        assert_eq!((of("raw", "stroke-opacity"), of("curve", "stroke-opacity")), ("0.35".into(), String::new()));
        assert!(of("raw", "stroke-width").parse::<f64>().unwrap() < of("curve", "stroke-width").parse().unwrap());
    }
}

#[test]
fn the_vertical_axis_ends_where_ylim_says() {
    let folder = Folder::new();
    let log = start("a", "null")
        + &[1.0, 9.0, 3.0, 2.0]
            .iter()
            .enumerate()
            .map(|(i, v)| epoch(i + 1, &format!("{{\"loss\":{v},\"acc\":{v}}}")))
            .collect::<String>();
    let svg = |args: &[&str]| plot(&folder, &[&["-o", "-"], args].concat(), &log).out;
    for setting in ["ylim=[0,4]", "ylim={loss:[0,4]}", "plot.ylim=[0,4]"] {
        let svg = svg(&[setting]);
        let ticks = texts(&svg, "y-tick");
        assert_eq!([ticks[0].as_str(), &ticks[ticks.len() - 1]], ["0", "4.0"], "{setting}");
        // Up to 9 and down again it is outside.
        let curves = points(&svg, "loss").into_iter().chain(points(&svg, "a loss")).collect::<Vec<_>>();
        assert_eq!(curves.len(), 2, "{svg}");
    }
    assert_eq!(texts(&svg(&["ylim=[null,4]", "y_scale=log"]), "y-tick").last().unwrap(), "4");
    assert!(texts(&svg(&["ylim=[0,null]"]), "y-tick").contains(&"8".to_owned()));
    // The other chart keeps its own.
    let done = plot(&folder, &["ylim={acc:[0,4]}"], &log);
    let loss = folder.text("plots/loss.svg");
    assert!(done.status == 0 && texts(&loss, "y-tick").contains(&"8".to_owned()));
    let terminal = plot(&folder, &["--terminal", "ylim=[0,4]"], &log).out;
    assert!(terminal.lines().any(|line| line.trim_start().starts_with("4┤")), "{terminal}");
    for (args, expected) in [
        (&["ylim=[4,0]"][..], "plot.ylim: [4, 0]; expected [lowest, highest]"),
        (&["ylim=[1,1]"], "plot.ylim: [1, 1]; expected [lowest, highest]"),
        (&["ylim=[10,20]"], "plot.ylim: [10, 20]; the values of loss are all beyond"),
        (&["ylim=[0,4]", "y_scale=log"], "plot.ylim: [0, 4]; a log scale needs a lower end above 0"),
        (&["ylim={mae:[0,1]}"], "plot.ylim: no chart \"mae\"; there is loss, acc"),
        (&["ylim=3"], "expected [lowest, highest], such as [0, 1]"),
        (&["ylim=[1]"], "expected [lowest, highest], such as [0, 1]"),
    ] {
        let done = plot(&folder, args, &log);
        assert_eq!((done.status, done.out.as_str()), (2, ""), "{args:?}");
        assert!(
            done.error.contains(expected) && done.error.lines().filter(|l| l.contains("ylim")).count() == 1,
            "{}",
            done.error
        );
    }
}

#[test]
fn a_chart_without_a_finite_value_is_an_error() {
    let folder = Folder::with(&[("nan.csv", "step,val_loss\n1,nan\n2,nan\n"), ("empty.csv", "step,val_loss\n1,\n")]);
    let log = |value: &str| start("a", "null") + &epoch(1, &format!("{{\"train_loss\":{value},\"mae\":1}}"));
    let alone = start("a", "null") + &epoch(1, "{\"train_loss\":null}");
    let negative = start("a", "null") + &epoch(1, "{\"train_loss\":-1}");
    let cases: &[(&[&str], &str, &str)] = &[
        (&[], &alone, "loss: nothing to draw: of 1 values, none is a finite number\n"),
        (&["--terminal"], &alone, "loss: nothing to draw"),
        (&["-o", "-"], &alone, "loss: nothing to draw"),
        (&[], &log("null"), "none is a finite number; charts=[mae] leaves it out\n"),
        (&["charts=[loss]"], &log("null"), "none is a finite number\n"),
        (&["nan.csv"], "", "loss: nothing to draw: of 2 values, none"),
        (&["empty.csv"], "", "no column with numbers"),
        (&["y_scale=log"], &negative, "no value is above 0; y_scale=linear draws it"),
        (&[], "{\"matrix\":[[0,0],[0,0]]}", "nothing to draw: the confusion matrix counts no rows"),
        (&[], "learning_rate,loss\n", "finder: nothing to draw: of 0 values"),
        (&[], "learning_rate,loss\n0,1\n-1,1\n", "finder: nothing to draw"),
        (&["hidden_charts=[loss,mae]"], &log("1"), "charts=[loss,mae] draws it"),
        (&["max_charts=1"], &log("1"), "2 metrics make 2 charts, and plot.max_charts allows 1"),
    ];
    for (args, stdin, expected) in cases {
        let done = plot(&folder, args, stdin);
        assert_eq!((done.status, done.out.as_str()), (2, ""), "{args:?}: {}", done.error);
        assert!(done.error.contains(expected), "{args:?}: {}", done.error);
        assert!(!folder.join("plots").exists(), "{args:?}");
    }
    // What the message says works.
    assert_eq!(plot(&folder, &["charts=[mae]"], &log("null")).out, "plots/mae.svg\n");
}

#[test]
fn the_curve_of_a_learning_rate_finder_has_a_log_axis_and_the_suggestion() {
    // Flat, then a fall that is steepest at 1e-2, as in the test of the suggestion.
    let loss = |i: i32| 1.0 / (1.0 + f64::from(i - 20).exp());
    let table: String = (0..40).map(|i| format!("{:e},{}\n", 10f64.powf(f64::from(i) / 5.0 - 6.0), loss(i))).collect();
    let table = format!("learning_rate,loss\n{table}");
    let folder = Folder::with(&[
        ("a/finder.csv", &table),
        ("a/config.yaml", "optimizer: {name: adam}\n"),
        ("b/finder.csv", &table),
        ("b/config.yaml", "optimizer: {name: sgd}\n"),
    ]);
    let done = plot(&folder, &["a"], "");
    assert_eq!((done.out.as_str(), done.error.as_str()), ("plots/finder.svg\n", ""));
    let svg = folder.text("plots/finder.svg");
    assert_eq!(texts(&svg, "title"), ["learning-rate finder of a: 1.000e-2 suggested"]);
    assert_eq!(texts(&svg, "x-label"), ["learning rate"]);
    assert_eq!(
        texts(&svg, "x-tick"),
        ["1e-6", "1e-5", "1e-4", "1e-3", "1e-2", "1e-1", "1e0", "1e1"][..texts(&svg, "x-tick").len()]
    );
    let marks: Vec<&str> = svg.lines().filter(|line| line.contains("class=\"suggestion\"")).collect();
    assert_eq!(marks.len(), 2, "{marks:?}");
    let two = plot(&folder, &["a/finder.csv", "b/finder.csv", "-o", "-"], "").out;
    assert_eq!(texts(&two, "legend"), ["optimizer=adam: 1.000e-2 suggested", "optimizer=sgd: 1.000e-2 suggested"]);
    let terminal = plot(&folder, &["a", "--terminal"], "").out;
    assert!(terminal.starts_with("learning-rate finder of a: 1.000e-2 suggested by learning rate\n"), "{terminal}");
    assert_eq!(terminal.matches('◆').count(), 1, "{terminal}");
    // Too few points suggest nothing.
    let few = plot(&folder, &["-o", "-"], "learning_rate,loss\n1e-3,2\n1e-2,1\n").out;
    assert!(!few.contains("suggest") && few.contains("class=\"curve\""), "{few}");
}

#[cfg(unix)]
#[test]
fn files_of_a_run_that_are_no_files_are_refused() {
    use std::os::unix::fs::symlink;
    let folder = Folder::with(&[
        ("good/events.ndjson", &log("a")),
        ("c/events.ndjson", &log("a")),
        ("d/history.csv", "step,l\n1,1\n"),
    ]);
    let path = |name: &str| folder.join(name);
    for name in ["a", "b"] {
        fs::create_dir_all(path(name)).unwrap();
    }
    symlink("/dev/zero", path("a/events.ndjson")).unwrap();
    system::fifo(path("b/events.ndjson"));
    symlink("/dev/zero", path("c/config.yaml")).unwrap();
    system::fifo(path("d/config.yaml"));
    for (inputs, expected) in [
        (&["a"][..], "a/events.ndjson: not a regular file"),
        (&["good", "b"], "b/events.ndjson: not a regular file"),
        (&["good", "c"], "c/config.yaml: not a regular file"),
        (&["d"], "d/config.yaml: not a regular file"),
        (&["/dev/zero"], "/dev/zero: not text"),
    ] {
        let done = plot(&folder, inputs, "");
        assert_eq!((done.status, done.out.as_str()), (2, ""), "{inputs:?}: {}", done.error);
        assert!(done.error.starts_with(&format!("plot: {expected}")), "{inputs:?}: {}", done.error);
        assert_eq!(done.error.lines().count(), 1);
    }
}

#[test]
fn control_characters_of_names_reach_no_terminal_and_no_picture() {
    let folder = Folder::new();
    for (i, evil) in ["\\e[31mred", "\\e[32mgreen", "\\u202Eabc", "\\u009b2J"].iter().enumerate() {
        let settings = format!("model: {{tag: \"{evil}\"}}\ntrainer: {{seed: 0}}\n");
        run_of(&folder, &format!("r{i}"), &settings, ["3", "2", "1"], "");
    }
    let inputs = ["r0", "r1", "r2", "r3"];
    let metric = start("x\\u001b[31m", "null")
        + &epoch(1, "{\"train_a\\u001b]0;b\\u0007\":1}")
        + "{\"event\":\"epoch\",\"x\u{1b}[31m";
    let matrix = "{\"matrix\":[[1,0],[0,1]],\"labels\":[\"a\\u001b[31m\",\"b\\u202e\"]}";
    for terminal in [true, false] {
        let to: &[&str] = if terminal { &["--terminal"] } else { &["-o", "-"] };
        for (inputs, stdin) in [(&inputs[..], ""), (&[], &metric), (&[], matrix)] {
            let done = plot(&folder, &[inputs, to].concat(), stdin);
            assert_eq!(done.status, 0, "{}", done.error);
            let bad = |text: &str| text.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}');
            assert!(!bad(&done.out) && !bad(&done.error), "{:?} {:?}", done.out, done.error);
        }
    }
    let done = plot(&folder, &["charts=[x]"], &metric);
    assert!(done.status == 2 && !done.error.contains('\u{1b}'), "{:?}", done.error);
}

#[test]
fn what_a_log_or_a_table_holds_at_once_is_bounded() {
    let folder = Folder::new();
    let whole = start("a", "null") + &epoch(1, r#"{"train_loss":2}"#);
    let long = format!(
        "{whole}{{\"event\":\"confetti\",\"x\":\"{}\"}}\n{}",
        "x".repeat(5 << 20),
        epoch(2, r#"{"train_loss":1}"#)
    );
    let done = plot(&folder, &["-o", "-"], &long);
    assert_eq!(done.status, 0);
    assert_eq!(done.error, "plot: stdin:3: the line is longer than 4 MiB; drawn up to there\n");
    let name = "x".repeat(3 << 20);
    let cases = [
        (
            start("a", "null") + &epoch(1, &format!("{{\"{name}\":1}}")),
            "has a name of 3145728 bytes; expected at most 200",
        ),
        (format!("step,{name}\n1,1\n"), "has a name of 3145728 bytes; expected at most 200"),
        (format!("step,loss\n1,1\n2,{name}\n"), "xxx…\" is no number"),
        (format!("step,loss\n1,\"{}", "1\n".repeat(3 << 20)), "a row is longer than 4 MiB"),
    ];
    for (stdin, expected) in cases {
        let done = plot(&folder, &[], &stdin);
        assert_eq!((done.status, done.out.as_str()), (2, ""), "{expected}");
        assert!(
            done.error.contains(expected) && done.error.len() < 1000,
            "{}",
            &done.error[..done.error.len().min(2000)]
        );
    }
    // A name that a picture has room for makes no file name that is too long.
    let done = plot(&folder, &[], &(start("a", "null") + &epoch(1, &format!("{{\"{}\":1}}", "é".repeat(100)))));
    assert_eq!((done.status, done.out), (0, format!("plots/{}.svg\n", "é".repeat(60))), "{}", done.error);
}

#[test]
fn a_confusion_matrix_in_a_terminal_tells_its_classes_apart() {
    let matrix = |labels: &[&str]| {
        let row = |i: usize| {
            format!("[{}]", (0..labels.len()).map(|j| if i == j { "981" } else { "12" }).collect::<Vec<_>>().join(","))
        };
        let rows: Vec<String> = (0..labels.len()).map(row).collect();
        format!("{{\"labels\":{labels:?},\"matrix\":[{}]}}", rows.join(","))
    };
    let cifar = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
    let long = ["a_long_name_of_class_one", "a_long_name_of_class_two", "a_long_name_of_class_three"];
    for (labels, width) in [(&cifar[..], 60), (&cifar, 80), (&cifar, 120), (&long, 60), (&long, 30)] {
        let args = ["--terminal", &format!("terminal_width={width}")];
        let text = plot(&Folder::new(), &args, &matrix(labels)).out;
        assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
        let lines: Vec<&str> = text.lines().collect();
        let table = &lines[lines.len() - labels.len() - 1..];
        let header: Vec<&str> = table[0].split_whitespace().collect();
        let unique: std::collections::HashSet<_> = header.iter().collect();
        assert_eq!((header.len(), unique.len()), (labels.len(), labels.len()), "{text}");
        let rows: std::collections::HashSet<_> =
            table[1..].iter().map(|line| line.trim_start().split("  ").next()).collect();
        assert_eq!(rows.len(), labels.len(), "{text}");
    }
}

/// What `profile --to json` writes of a model with these layers: name, FLOPs a byte, seconds.
fn profile(model: &str, layers: &[(&str, f64, f64)]) -> Value {
    let layer = |(name, intensity, seconds): &(&str, f64, f64)| {
        let flops = (1e11 * intensity).min(8e12) * seconds;
        json!({"name": name, "flops": flops, "intensity": intensity, "arithmetic": "float32", "floor_seconds": seconds})
    };
    json!({"model": model, "layers": layers.iter().map(layer).collect::<Vec<_>>()})
}

#[test]
fn a_roofline_has_the_layers_of_models_under_the_roofs_of_a_device() {
    let peaks = json!({"float32": 8, "int8": 100});
    let device = json!({"name": "GPU", "source": "s", "peak_tflops": peaks, "bandwidth_gbs": 100});
    let layers = [("stem", 120.0, 3e-3), ("head", 2.0, 1e-4), ("tiny", 0.25, 1e-9)];
    let one = json!({"device": device, "models": [profile("net.onnx", &layers)]});
    let folder = Folder::new();
    let done = plot(&folder, &["--format", "both"], &format!("{one:#}"));
    assert_eq!(done.parts(), (0, "plots/roofline.svg\nplots/roofline.png\n".into(), String::new()));
    let svg = folder.text("plots/roofline.svg");
    // Int8 is not what a layer computes in.
    for text in [">roofline of net.onnx on GPU<", ">float32 8 TFLOP/s<", ">100 GB/s<", ">stem<", ">head<"] {
        assert!(svg.contains(text), "{text}\n{svg}");
    }
    assert_eq!((svg.matches("class=\"roof\"").count(), svg.matches("class=\"layer\"").count()), (1, 3));
    assert!(!svg.contains("NaN") && !svg.contains("inf") && !svg.contains(">tiny<"), "{svg}");
    let two = json!({"device": device, "models": [profile("a", &layers), profile("b", &layers)]});
    let svg = plot(&folder, &["-o", "-"], &two.to_string()).out;
    assert!(svg.contains(">roofline of 2 models on GPU<") && svg.contains(">b</text>"), "{svg}");
    let none = json!({"device": device, "models": [profile("a", &[])]});
    assert!(plot(&folder, &[], &none.to_string()).error.contains("expected numbers above 0"));
    assert!(plot(&folder, &["--terminal"], &one.to_string()).error.contains("--terminal draws no roofline"));
}
