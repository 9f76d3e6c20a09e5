//! The real binary: its jobs, its errors, and how it ends.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};
use testkit::{Folder, tool};

/// Runs the tool in `folder` with `stdin`; returns status, standard output and standard error.
fn run(folder: &Path, args: &[&str], stdin: &str) -> (i32, String, String) {
    tool!("sweep").within(folder).args(args).stdin(stdin).run().parts()
}

fn jobs(args: &[&str], stdin: &str) -> String {
    let (status, out, error) = run(&Folder::new(), args, stdin);
    assert_eq!((status, error.as_str()), (0, ""), "{args:?}");
    out
}

fn error(args: &[&str], stdin: &str) -> String {
    let (status, out, error) = run(&Folder::new(), args, stdin);
    assert_eq!((status, out.as_str(), error.lines().count()), (2, "", 1), "{args:?}: {error}");
    error
}

#[test]
fn each_job_is_a_line_of_quoted_words() {
    let out = jobs(&["model.hidden=[64],[32,32]", "trainer.seed=range(0,2)", "trainer.input_field='a b'"], "");
    let lines = [
        r#"'model.hidden=[64]' trainer.seed=0 "trainer.input_field='a b'""#,
        r#"'model.hidden=[64]' trainer.seed=1 "trainer.input_field='a b'""#,
        r#"'model.hidden=[32,32]' trainer.seed=0 "trainer.input_field='a b'""#,
        r#"'model.hidden=[32,32]' trainer.seed=1 "trainer.input_field='a b'""#,
    ];
    assert_eq!(out, lines.map(|line| format!("{line}\n")).concat());
}

#[test]
fn the_forms_of_a_job() {
    let args = ["--no-check", "a=x,'two\nlines'", "b=1"];
    assert_eq!(jobs(&[&["--null"], &args[..]].concat(), ""), "a=x b=1\0\"a='two\nlines'\" b=1\0");
    let json = "{\"job\":0,\"overrides\":[\"a=x\",\"b=1\"]}\n{\"job\":1,\"overrides\":[\"a='two\\nlines'\",\"b=1\"]}\n";
    assert_eq!(jobs(&[&["--json"], &args[..]].concat(), ""), json);
    let message = error(&args, "");
    assert!(error(&["--null", "--no-check", "-"], "\"a='x\0y'\"\n").contains("--json takes any value"));
    assert!(message.starts_with("sweep: job 1: ") && message.contains("--null one with a newline"), "{message}");
}

#[test]
fn jobs_of_a_file_are_multiplied() {
    let file = "trainer.seed=1\n# a comment\n\n'optimizer.learning_rate=1e-3' trainer.seed=2,3\n";
    let expected = "\
trainer.seed=1 trainer.max_epochs=1
trainer.seed=1 trainer.max_epochs=2
optimizer.learning_rate=0.001 trainer.seed=2 trainer.max_epochs=1
optimizer.learning_rate=0.001 trainer.seed=2 trainer.max_epochs=2
optimizer.learning_rate=0.001 trainer.seed=3 trainer.max_epochs=1
optimizer.learning_rate=0.001 trainer.seed=3 trainer.max_epochs=2
";
    assert_eq!(jobs(&["-", "trainer.max_epochs=1,2"], file), expected);
    let folder = Folder::new();
    folder.write("jobs.txt", file);
    assert_eq!(run(&folder, &["jobs.txt", "trainer.max_epochs=1,2"], "").1, expected);
    assert_eq!(run(&folder, &["jobs.txt", "trainer.seed=7"], "").1.matches("trainer.seed=7").count(), 2);
    assert_eq!(jobs(&["-"], ""), "");
}

#[test]
fn standard_input_is_read_only_where_it_is_named() {
    assert_eq!(jobs(&["trainer.seed=1,2"], "not a job\n"), "trainer.seed=1\ntrainer.seed=2\n");
}

#[test]
fn an_error_names_the_override_and_the_line() {
    let folder = Folder::new();
    folder.write("jobs.txt", "trainer.seed=1\ntrainer.sed=1\n");
    let (status, out, message) = run(&folder, &["jobs.txt"], "");
    assert_eq!((status, out.as_str()), (2, ""));
    assert!(message.starts_with("sweep: jobs.txt:2: override \"trainer.sed=1\": "), "{message}");
    assert!(message.contains("did you mean trainer.seed=1?"), "{message}");
    assert!(error(&["-"], "a='b\n").starts_with("sweep: stdin:1: a quote is not closed"));
    assert!(error(&["-"], "\n--flag\n").starts_with("sweep: stdin:2: override \"--flag\": no value"));
    assert!(error(&["model=mlp,mlq"], "").contains("mlq"));
    assert!(error(&["none.txt"], "").starts_with("sweep: none.txt: "));
    assert!(error(&["."], "").contains("directory"));
}

#[test]
fn usage_that_makes_no_sense_is_refused() {
    assert!(error(&[], "").contains("nothing to sweep over"));
    assert!(error(&["--cfg", "trainer.seed=1"], "").contains("compose prints"));
    assert!(error(&["--json", "--null", "trainer.seed=1"], "").contains("not both"));
    assert!(error(&["--run-dir", "a", "--skip-done", "b", "trainer.seed=1"], "").contains("--skip-done"));
    assert!(error(&["--no-check", "--skip-done", "b", "trainer.seed=1"], "").contains("--no-check"));
}

#[test]
fn too_many_jobs_are_refused_before_they_are_made() {
    assert!(error(&["trainer.seed=range(0,1e12)"], "").contains("more than 100000 values"));
    let product = ["trainer.seed=range(0,400)", "trainer.max_epochs=range(1,400)"];
    assert!(error(&product, "").contains("more than 100000 jobs; --max-jobs"));
    let wide: Vec<String> = (0..40).map(|key| format!("k{key}=range(0,1000)")).collect();
    assert!(error(&wide.iter().map(String::as_str).collect::<Vec<_>>(), "").contains("more than 100000 jobs"));
    assert!(error(&["-", "--max-jobs", "2"], "a=1\na=2\na=3\n").contains("more than 2 jobs"));
    assert_eq!(jobs(&["--max-jobs", "2", "trainer.seed=1,2"], "").lines().count(), 2);
}

#[test]
fn no_file_is_left_by_an_error() {
    let folder = Folder::new();
    assert_eq!(run(&folder, &["trainer.sed=1,2", "-o", "jobs.txt"], "").0, 2);
    assert!(!folder.join("jobs.txt").exists());
    assert_eq!(run(&folder, &["trainer.seed=1,2", "-o", "jobs.txt"], "").0, 0);
    assert_eq!(folder.text("jobs.txt"), "trainer.seed=1\ntrainer.seed=2\n");
}

#[test]
fn a_line_of_a_file_is_bounded() {
    let long = format!("a=1\na={}\n", "x".repeat(1 << 20));
    assert_eq!(error(&["--no-check", "-"], &long), "sweep: stdin:2: longer than 1048576 bytes, which is no job\n");
    let long = format!("\na={}\n", "x".repeat((1 << 20) - 3));
    assert_eq!(jobs(&["--no-check", "-"], &long), long.trim_start());
    assert_eq!(jobs(&["--no-check", "-"], "a=1\r\n\n#b\nb=2"), "a=1\nb=2\n");
}

#[test]
fn what_composing_warns_of_is_told_once() {
    let args = ["hydra.searchpath=[nowhere]", "trainer.seed=0,1"];
    let (status, out, warnings) = run(Path::new("."), &args, "");
    assert_eq!((status, out.lines().count()), (0, 2));
    let expected = "sweep: job 0: override \"hydra.searchpath=[nowhere]\": hydra.searchpath: nowhere: no such folder\n";
    assert_eq!(warnings, expected);
}

#[test]
fn a_seed_gives_one_order() {
    let shuffled = |seed| jobs(&["--seed", seed, "trainer.seed=shuffle(range(0,50))"], "");
    assert_eq!(shuffled("0"), jobs(&["trainer.seed=shuffle(range(0,50))"], ""));
    assert_ne!(shuffled("0"), shuffled("1"));
}

#[test]
fn a_run_folder_is_named_by_the_job_alone() {
    let small = jobs(&["--run-dir", "runs/lr", "trainer.seed=0", "optimizer.learning_rate=1e-3,3e-4"], "");
    let first = "trainer.seed=0 optimizer.learning_rate=0.001 \
                 \"trainer.run_dir='runs/lr/optimizer.learning_rate=0.001,trainer.seed=0'\"\n";
    assert!(small.starts_with(first), "{small}");
    let large = jobs(&["--run-dir", "runs/lr", "trainer.seed=0,1", "optimizer.learning_rate=1e-3,1e-4,3e-4"], "");
    assert!(small.lines().all(|line| large.contains(line)));
    let again = jobs(&["--run-dir", "elsewhere", "-"], &small);
    assert_eq!(again, small);
    for shared in [["--run-dir=runs", "trainer.seed=1,1"], ["trainer.run_dir=runs", "trainer.seed=1,2"]] {
        assert!(error(&shared, "").contains("jobs 0 and 1 share a run folder"));
    }
    assert!(error(&["-", "trainer.max_epochs=1,2"], &small).contains("share a run folder"));
}

#[test]
fn a_finished_run_of_the_same_settings_is_left_out() {
    let folder = Folder::new();
    let run_dir = folder.join("runs/trainer.seed=1");
    fs::create_dir_all(&run_dir).unwrap();
    let left = || run(&folder, &["--skip-done", "runs", "--json", "trainer.seed=0,1,2"], "").1.lines().count();
    let write = |file: &str, text: &str| fs::write(run_dir.join(file), text).unwrap();
    let end = r#"{"event":"end","status":"FINISHED","reason":"max_epochs","time":1.0}"#;

    let settings = ["trainer.seed=1", "trainer.run_dir='runs/trainer.seed=1'"].map(str::to_owned);
    let document = config::compose_for(&["trainer"], &config::Sources::default(), &settings).unwrap();
    write("config.yaml", &document.to_yaml());
    assert_eq!(left(), 3);
    write("events.ndjson", &format!("{}\n", end.replace("FINISHED", "FAILED")));
    assert_eq!(left(), 3);
    write("events.ndjson", &format!("{end}\n"));
    assert_eq!(left(), 2);
    write("config.yaml", &document.to_yaml().replace("seed: 1", "seed: 5"));
    assert_eq!(left(), 3);
    write("config.yaml", &(document.to_yaml() + "other: {a: 1}\n"));
    assert_eq!(left(), 3);
    write("config.yaml", "trainer: [\n");
    let (status, _, message) = run(&folder, &["--skip-done", "runs", "trainer.seed=1"], "");
    assert_eq!(status, 2);
    assert!(message.contains("config.yaml:"), "{message}");
    fs::remove_file(run_dir.join("config.yaml")).unwrap();
    assert_eq!(left(), 3);
}

#[test]
fn a_folder_of_ones_own_has_the_groups_that_it_lacks() {
    let folder = Folder::new();
    let configs = folder.join("configs");
    fs::create_dir(&configs).unwrap();
    fs::write(configs.join("entropy.yaml"), "trainer: {max_epochs: 2}\noptimizer: {name: sgd, learning_rate: 0.5}\n")
        .unwrap();
    let sweep = |args: &[&str]| run(&folder, args, "");
    assert_eq!(sweep(&["trainer.seed=0,1"]), (0, "trainer.seed=0\ntrainer.seed=1\n".into(), String::new()));
    for flag in ["--run-dir", "--skip-done"] {
        let (status, out, error) = sweep(&[flag, "runs", "optimizer.momentum=0.1,0.2"]);
        assert_eq!((status, error.as_str()), (0, ""), "{flag}");
        assert!(out.contains("trainer.run_dir='runs/optimizer.momentum=0.1'"), "{out}");
    }
    let (status, _, error) = sweep(&["trainer.sede=0,1"]);
    assert_eq!(status, 2);
    // A tool takes no setting with a plus that it does not know.
    assert!(error.ends_with("trainer.sede: unknown key; did you mean trainer.seed=0?\n"), "{error}");
}
