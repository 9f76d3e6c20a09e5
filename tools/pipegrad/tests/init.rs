//! `pipegrad init`: what is written, and what is refused. `peer_init.py` runs what is written.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, path::Path};
use testkit::{Done, Folder, contents, tool};

fn init(folder: &Folder, args: &[&str]) -> Done {
    tool!("pipegrad").within(folder).args(["init"]).args(args).run()
}

/// The message of arguments that are refused. Nothing is printed or written then.
fn refused(folder: &Folder, args: &[&str]) -> String {
    let before = contents(folder);
    let (status, out, error) = init(folder, args).parts();
    assert_eq!((status, out.as_str(), error.lines().count()), (2, "", 1), "{args:?}: {error}");
    assert_eq!(contents(folder), before, "{args:?}");
    error.trim_end().to_owned()
}

/// The files of a project in which nothing is filled in.
const FILES: [&str; 7] =
    [".dvcignore", ".gitignore", "Makefile", "README.md", "configs/job.yaml", "dvc.yaml", "params.yaml"];

#[test]
fn the_same_files_are_written_each_time() {
    for template in ["table", "images", "entropy"] {
        let (one, other) = (Folder::new(), Folder::new());
        let project = |folder: &Folder| -> BTreeMap<String, Vec<u8>> {
            let done = init(folder, &["a/project", "--template", template]);
            assert_eq!(done.status, 0, "{}", done.error);
            assert!(done.out.starts_with("cd a/project\n"), "{}", done.out);
            contents(&folder.join("a/project"))
        };
        let files = project(&one);
        assert_eq!(files, project(&other), "{template}");
        assert!(FILES.iter().all(|path| files.contains_key(*path)), "{template}: {:?}", files.keys());
        for (path, bytes) in files.iter().filter(|(path, _)| FILES.contains(&path.as_str())) {
            let text = String::from_utf8(bytes.clone()).unwrap();
            assert!(text.ends_with('\n') && !text.contains(one.to_str().unwrap()), "{template}: {path}");
        }
    }
}

#[test]
fn the_commands_are_for_what_is_there() {
    let folder = Folder::new();
    let commands = |name: &str, path: &str| {
        let run = tool!("pipegrad").within(&folder).env("PATH", path).without_env(["VIRTUAL_ENV", "ORT_DYLIB_PATH"]);
        run.args(["init", name, "--template", "entropy"]).run().out
    };
    let programs = Path::new(env!("CARGO_BIN_EXE_pipegrad")).parent().unwrap().to_str().unwrap().to_owned();
    let out = commands("it's", "/nowhere");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[..2], [r"cd 'it'\''s'", &format!("export PATH={programs}:\"$PATH\"")]);
    let pip = "python3 -m venv .venv && .venv/bin/pip install 'dvc>=3.67,<4' && . .venv/bin/activate";
    assert_eq!(lines[2], pip, "without make");
    assert_eq!(
        lines[3..],
        ["dvc init -q --no-scm", "dvc repro", "dvc metrics show"],
        "without git there are no experiments"
    );
    assert!(!commands("b", &programs).contains("export PATH="));
    // In a virtual environment, there is one.
    let run = tool!("pipegrad").within(&folder).env("PATH", "/nowhere").env("VIRTUAL_ENV", folder.join("venv"));
    let out = run.without_env(["ORT_DYLIB_PATH"]).args(["init", "c", "--template", "entropy"]).run().out;
    assert!(out.contains("\npip install 'dvc>=3.67,<4'\n") && !out.contains("python3 -m venv"), "{out}");
}

#[cfg(unix)]
#[test]
fn nothing_is_written_where_nobody_receives_the_commands() {
    let folder = Folder::new();
    let run = tool!("pipegrad").within(&folder).args(["init", "p", "--template", "entropy"]);
    let (status, _, error) = run.shell("exec \"$0\" \"$@\" >&-").run().parts();
    assert_eq!((status, error.as_str()), (2, "pipegrad: stdout: standard output is closed\n"));
    assert!(contents(&folder).is_empty());
}

#[test]
fn the_configs_compose() {
    for (template, key) in [("table", "target_field: price"), ("images", "- images"), ("entropy", "max_epochs: 10")] {
        let folder = Folder::new();
        init(&folder, &[".", "--template", template]);
        let sources = config::Sources {
            config_path: Some(folder.join("configs")),
            config_dirs: vec![folder.to_path_buf()],
            config_name: Some("job".into()),
            ..config::Sources::default()
        };
        let document = config::compose(&sources, &[]).unwrap().to_yaml();
        assert!(document.contains(key) && document.contains("run_dir: runs/model"), "{template}: {document}");
    }
}

#[test]
fn files_in_the_way_are_named_and_stay() {
    let folder = Folder::with(&[("p/dvc.yaml", "mine"), ("p/README.md", "mine"), ("p/other", "mine")]);
    let error = refused(&folder, &["p", "--template", "entropy"]);
    assert_eq!(
        error,
        "pipegrad: init: p: in the way: README.md, dvc.yaml; nothing was written; name another folder, or move them"
    );
    // What the stages write, or composing reads, is in the way too.
    let folder = Folder::with(&[("configs/model/mine.yaml", ""), ("dvc.lock", ""), ("images/rows/00.png", "")]);
    assert!(refused(&folder, &[".", "--template", "images"]).contains(": configs, dvc.lock, images/rows/00.png;"));
    let many = Folder::new();
    init(&many, &[".", "--template", "entropy"]);
    assert!(
        refused(&many, &[".", "--template", "entropy"])
            .contains(".dvcignore, .gitignore, Makefile, README.md and 4 more;")
    );
    let file = Folder::with(&[("x", "")]);
    assert!(refused(&file, &["x", "--template", "table"]).ends_with("init: x: not a folder; name another"));
}

#[test]
fn what_is_not_in_the_way_stays() {
    let folder = Folder::with(&[("p/notes.txt", "mine"), ("p/data/old.csv", "x\n1\n")]);
    assert_eq!(init(&folder, &["p", "--template", "table"]).status, 0);
    assert_eq!((folder.text("p/notes.txt"), folder.text("p/data/old.csv")), ("mine".into(), "x\n1\n".into()));
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_written_stays_as_it_is() {
    use std::{fs, os::unix::fs::PermissionsExt};
    let folder = Folder::with(&[("p/configs-are-not-here", "")]);
    fs::set_permissions(folder.join("p"), fs::Permissions::from_mode(0o555)).unwrap();
    let may_write_anyway = fs::write(folder.join("p/probe"), "").is_ok(); // as root
    if !may_write_anyway {
        assert!(refused(&folder, &["p", "--template", "entropy"]).starts_with("pipegrad: "));
    }
    fs::set_permissions(folder.join("p"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn bad_usage_is_one_line_that_says_what_to_do() {
    let folder = Folder::with(&[
        ("t.csv", "a,b\n1,2\n2,3\n"),
        ("semicolons.csv", "a;b\n1;2\n"),
        ("same.csv", "a,b\n1,2\n2,2\n"),
        ("gaps.csv", "a,b,${c}\n1,2,3\n2,NA,4\n"),
        ("rows.ndjson", "{\"a\":1}\n"),
        ("decimal.csv", "a;b\n1,5;2\n2,5;3\n"),
        ("four.csv", "a,b\n1,2\n2,3\n3,4\n4,5\n"),
        ("photos/one/x.png", ""),
        ("empty/readme", ""),
    ]);
    let ids: String = (0..30).map(|i| format!("name {i},{i}\n")).collect();
    folder.write("ids.csv", format!("name,id\n{ids}"));
    folder.write("t.csv.gz", b"\x1f\x8b\x08\0\0\0\0\0");
    let table = |more: &[&'static str]| [&["p", "--template", "table"], more].concat();
    let cases: [(Vec<&str>, &str); 27] = [
        (vec![], "init: name the folder to write, for instance: pipegrad init houses --template table"),
        (vec!["", "--template", "table"], "init: the name of the folder is empty; . is this folder"),
        (vec!["p"], "init: choose a template: --template table|images|entropy"),
        (vec!["p", "--template", "tabel"], "init: no template \"tabel\"; did you mean table?"),
        (vec!["p", "--template", "xyz"], "init: no template \"xyz\"; there is table, images, entropy"),
        (vec!["p", "q", "--template", "table"], "q: at most one argument, besides flags"),
        (
            vec!["p", "--tempalte", "table"],
            "Unrecognized argument: --tempalte; did you mean --template? (see pipegrad init --help)",
        ),
        (
            vec!["p", "--template", "entropy", "--data", "t.csv"],
            "init: --data has no effect with --template entropy; leave it out",
        ),
        (
            vec!["p", "--template", "images", "--target", "a"],
            "init: --target has no effect with --template images; leave it out",
        ),
        (table(&["--target", "a"]), "init: --target is of a table of your own; name it: --data FILE"),
        (table(&["--data", "t.csv"]), "init: t.csv: which column is to be predicted? --target with one of a, b"),
        (table(&["--data", "t.csv", "--target", "B"]), "init: t.csv: no column \"B\"; did you mean b?"),
        (table(&["--data", "t.csv", "--target", "price"]), "init: t.csv: no column \"price\"; there is a, b"),
        (table(&["--data", "none.csv", "--target", "b"]), "init: none.csv: No such file or directory (os error 2)"),
        (
            table(&["--data", "semicolons.csv", "--target", "b"]),
            "init: semicolons.csv: one column, \"a;b\"; name what separates the cells: --delimiter ';'",
        ),
        (
            table(&["--data", "decimal.csv", "--target", "b"]),
            "init: decimal.csv:2: 2 cells, and the header has 1: nothing names column 2; --delimiter ';'?",
        ),
        (
            table(&["--data", "decimal.csv", "--target", "a", "--delimiter", ";"]),
            "init: decimal.csv: \"a\" has decimal commas, and is text so; write decimal points first",
        ),
        (
            table(&["--data", "four.csv", "--target", "b"]),
            "init: four.csv: 4 rows; at least 5 are needed, so that one is left for validation and one for the test",
        ),
        (
            table(&["--data", "t.csv.gz", "--target", "b"]),
            "init: t.csv.gz: compressed with gzip; unpack it first: gunzip -c t.csv.gz > t.csv",
        ),
        (
            table(&["--data", "same.csv", "--target", "b"]),
            "init: same.csv: \"b\" is the same in every row; name another with --target",
        ),
        (
            table(&["--data", "gaps.csv", "--target", "b"]),
            "init: gaps.csv: 1 of 2 rows have no \"b\", which is to be predicted; leave them out first",
        ),
        (
            table(&["--data", "gaps.csv", "--target", "${c}"]),
            "init: gaps.csv: \"${c}\" cannot be a setting; rename the column",
        ),
        (
            table(&["--data", "ids.csv", "--target", "name"]),
            "init: ids.csv: \"name\" is another text in each row, and no class; name another with --target",
        ),
        (
            table(&["--data", "ids.csv", "--target", "id"]),
            "init: ids.csv: no column to predict \"id\" from: \"name\" (another text in each row)",
        ),
        (
            table(&["--data", "rows.ndjson", "--target", "a"]),
            "init: rows.ndjson: expected a CSV file; of NDJSON and NPY, train reads the fields by name",
        ),
        (
            vec!["p", "--template", "images", "--data", "photos"],
            "init: photos: one folder in it; expected a folder of images for each of two classes or more, or these in train/ and test/",
        ),
        (
            vec!["p", "--template", "images", "--data", "empty"],
            "init: empty: no folder in it; expected a folder of images for each of two classes or more, or these in train/ and test/",
        ),
    ];
    for (args, expected) in cases {
        assert_eq!(refused(&folder, &args), format!("pipegrad: {expected}"), "{args:?}");
    }
}

#[test]
fn help_has_an_example_and_completion_the_flags() {
    let help = tool!("pipegrad").args(["init", "--help"]).run().out;
    assert!(help.contains("pipegrad init houses --template table") && !help.contains("--config"), "{help}");
    let answer = |line: &str| tool!("pipegrad").args(["--complete", line]).run().out;
    assert!(answer("pipegrad i").contains("\ninit\t") && answer("pipegrad i").contains("\ninfer\t"));
    assert_eq!(answer("pipegrad init x --template "), "words\t\ntable\t\nimages\t\nentropy\t\n");
    assert!(answer("pipegrad init --d").starts_with("words\t\n--data\t"));
    assert_eq!(answer("pipegrad init "), "folders\t\n");
}
