//! What may stand next on a command line, in a small tree of configs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use config::Sources;
use std::{fs, path::Path};

const FILES: [(&str, &str); 9] = [
    ("job.yaml", "# The job.\ndefaults:\n  - db: mysql\n  - db@backup: mysql\n  - net: big\n  - _self_\nbackup: {}\n"),
    ("db/mysql.yaml", "# Over the network.\nport: 3306 # where it listens\nhost: here\nsafe: true\n"),
    (
        "db/sqlite.yaml",
        "file: a.db # on this disk\nmode: wal # delete|wal|off: how it keeps a journal\nuse: '${db.mode}'\n",
    ),
    ("net/big.yaml", "layers: [3, 4]\nact: {name: relu, slope: 1e-2}\nsecret: ???\nhello: 'a, b'\nnumber: '1'\n"),
    ("net/act/small.yaml", "x: 1\n"),
    ("extra/one.yaml", "# @package _global_\n# Another way.\nnet: {more: 1}\n"),
    ("deep/er/one.yaml", "x: 1\n"),
    ("broken.yaml", "defaults:\n  - db: mysql\n  - net: worse\n"),
    ("net/worse.yaml", "layers: [3, 4\n"),
];

fn tree() -> testkit::Folder {
    let folder = testkit::Folder::new();
    for (name, text) in FILES {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn sources(folder: &Path, primary: &str) -> Sources {
    Sources { config_path: Some(folder.to_owned()), config_name: Some(primary.into()), ..Sources::default() }
}

/// The candidates for the last of `line`, after the others.
fn words(own: Option<&[&str]>, sources: &Sources, line: &[&str]) -> Vec<String> {
    let (word, others) = line.split_last().unwrap();
    let others: Vec<String> = others.iter().map(ToString::to_string).collect();
    config::candidates(own, sources, &others, word).into_iter().map(|one| one.word).collect()
}

const TWO: Option<&[&str]> = Some(&["db", "net"]);
const ONE: Option<&[&str]> = Some(&["db"]);

#[test]
fn a_group_offers_its_name_its_options_and_its_keys() {
    let folder = tree();
    let job = sources(&folder, "job");
    let cases: &[(&str, &[&str])] = &[
        ("", &["db=", "net=", "db.", "net."]),
        ("n", &["net=", "net."]),
        ("db=", &["db=mysql", "db=sqlite"]),
        ("db=s", &["db=sqlite"]),
        ("db=mysql,", &["db=mysql,sqlite"]),
        ("db=mysql,sqlite,", &[]),
        ("net.layers=3,", &[]),
        ("db.", &["db.port=", "db.host=", "db.safe="]),
        ("net.", &["net.layers=", "net.act.", "net.secret=", "net.hello=", "net.number="]),
        ("net.act.s", &["net.act.slope="]),
        ("net.layers.", &["net.layers.0=", "net.layers.1="]),
        ("other", &[]),
        ("db.port.x.", &[]),
    ];
    for (word, expected) in cases {
        assert_eq!(words(TWO, &job, &[word]), *expected, "{word}");
    }
}

#[test]
fn values_are_those_that_can_be_known() {
    let folder = tree();
    let job = sources(&folder, "job");
    let cases: &[(&str, &[&str])] = &[
        ("db.port=", &["db.port=3306"]),
        ("db.safe=", &["db.safe=true", "db.safe=false"]),
        ("db.safe=f", &["db.safe=false"]),
        ("db.safe=true,", &["db.safe=true,false"]),
        ("~db.safe=", &["~db.safe=true"]),
        ("net.layers=", &["net.layers=[3,4]"]),
        ("net.act.slope=", &["net.act.slope=0.01"]),
        // To be given, or in need of quotes.
        ("net.secret=", &[]),
        ("net.hello=", &[]),
        ("net.number=", &[]),
        ("net.act=", &[]),
    ];
    for (word, expected) in cases {
        assert_eq!(words(TWO, &job, &[word]), *expected, "{word}");
    }
}

#[test]
fn values_are_those_that_a_comment_names() {
    let folder = tree();
    let job = sources(&folder, "job");
    let all = ["db.mode=wal", "db.mode=delete", "db.mode=off"];
    assert_eq!(words(TWO, &job, &["db=sqlite", "db.mode="]), all);
    assert_eq!(words(TWO, &job, &["db=sqlite", "db.mode=o"]), all[2..]);
    assert_eq!(words(TWO, &job, &["db=sqlite", "db.mode=wal,"]), ["db.mode=wal,delete", "db.mode=wal,off"]);
    assert_eq!(words(TWO, &job, &["db=sqlite", "++db.mode=d"]), ["++db.mode=delete"]);
    assert_eq!(words(TWO, &job, &["db=sqlite", "~db.mode="]), ["~db.mode=wal"]);
}

#[test]
fn earlier_settings_count_and_wrong_ones_do_not_spoil_the_answer() {
    let folder = tree();
    let job = sources(&folder, "job");
    assert_eq!(words(TWO, &job, &["db=sqlite", "db."]), ["db.file=", "db.mode=", "db.use="]);
    assert_eq!(words(TWO, &job, &["db.file=x", "db=sqlite", "net=nope", "=", "[", "db.f"]), ["db.file="]);
    assert_eq!(words(TWO, &job, &["db.port=1", "db.port="]), ["db.port=1"]);
}

#[test]
fn signs_add_force_and_take_away() {
    let folder = tree();
    let job = sources(&folder, "job");
    let has = |word: &str, expected: &[&str]| {
        let found = words(TWO, &job, &[word]);
        expected.iter().for_each(|one| assert!(found.iter().any(|word| word == one), "{one}: {found:?}"));
        found
    };
    // `db` and `net` are chosen already; the others include those of the embedded copy.
    let added = has("+", &["+extra=", "+deep/", "+relu="]);
    assert!(!added.iter().any(|word| ["+db=", "+net=", "+deep="].contains(&word.as_str())), "{added:?}");
    assert_eq!(words(TWO, &job, &["+net/"]), ["+net/act="]);
    assert_eq!(words(TWO, &job, &["+deep/er="]), ["+deep/er=one"]);
    assert_eq!(words(TWO, &job, &["++db.p"]), ["++db.port="]);
    assert_eq!(words(TWO, &job, &["~n"]), ["~net", "~net."]);
    assert_eq!(words(TWO, &job, &["~net.a"]), ["~net.act", "~net.act."]);
    assert_eq!(words(TWO, &job, &["~db="]), ["~db=mysql"]);
    assert_eq!(words(TWO, &job, &["+extra=one", "net.m"]), ["net.more="]);
}

#[test]
fn a_tool_with_one_group_takes_its_keys_bare() {
    let folder = tree();
    let job = sources(&folder, "job");
    assert_eq!(words(ONE, &job, &[""]), ["db=", "port=", "host=", "safe="]);
    assert_eq!(words(ONE, &job, &["db=sqlite", "f"]), ["file="]);
    assert_eq!(words(ONE, &job, &["db=sqlite", "db.file="]), ["db.file=a.db"]);
    assert_eq!(words(ONE, &job, &["safe="]), ["safe=true", "safe=false"]);
    assert_eq!(words(ONE, &job, &["net="]), [""; 0]);
    assert_eq!(words(ONE, &job, &["+ex"]), [""; 0]);
}

#[test]
fn the_whole_job_has_every_group_and_package() {
    let folder = tree();
    let job = sources(&folder, "job");
    assert_eq!(words(None, &job, &["db"]), ["db=", "db@backup=", "db."]);
    assert_eq!(words(None, &job, &["db@backup=s"]), ["db@backup=sqlite"]);
    assert_eq!(words(None, &job, &["backup."]), ["backup.port=", "backup.host=", "backup.safe="]);
}

#[test]
fn a_group_at_the_root_is_the_tools_own_and_one_at_another_package_is_not() {
    let folder = tree();
    let text = "defaults:\n  - db@_global_: mysql\n  - db@elsewhere: mysql\n  - _self_\n";
    folder.write("job.yaml", text);
    assert_eq!(words(TWO, &sources(&folder, "job"), &["db@"]), ["db@_global_="]);
}

#[test]
fn broken_configs_still_offer_the_options_that_are_there() {
    let folder = tree();
    let broken = sources(&folder, "broken");
    assert_eq!(words(TWO, &broken, &["net="]), ["net=big", "net=worse"]);
    assert_eq!(words(TWO, &broken, &["net=big", "net.act.n"]), ["net.act.name="]);
    assert_eq!(words(TWO, &sources(&folder, "absent"), &["d"]), ["db="]);
    assert_eq!(words(TWO, &sources(Path::new("/no/such/folder"), "job"), &["d"]), [""; 0]);
}

#[test]
fn a_resolved_document_offers_its_keys_and_no_options() {
    let folder = tree();
    let file = folder.join("params.yaml");
    fs::write(&file, "db: {port: 1, safe: false}\nnet: {layers: []}\n").unwrap();
    let resolved = Sources { file: Some(file), ..Sources::default() };
    assert_eq!(words(TWO, &resolved, &["d"]), ["db."]);
    assert_eq!(words(TWO, &resolved, &["db.safe="]), ["db.safe=false", "db.safe=true"]);
    assert_eq!(words(TWO, &resolved, &["db="]), [""; 0]);
    let absent = Sources { file: Some("/no/such.yaml".into()), ..Sources::default() };
    assert_eq!(words(TWO, &absent, &[""]), [""; 0]);
}

#[test]
fn comments_say_what_a_candidate_is() {
    let folder = tree();
    let job = sources(&folder, "job");
    let about = |word: &str| config::candidates(TWO, &job, &[], word).swap_remove(0).about;
    assert_eq!(about("db.port"), "where it listens");
    assert_eq!(about("db=m"), "Over the network.");
    assert_eq!(about("db="), "Over the network.");
    assert_eq!(about("d"), "now mysql");
    let container = config::candidates(TWO, &job, &[], "d").pop().unwrap();
    assert_eq!(container, config::Candidate::new("db.", ""));
    assert_eq!(about("+extra="), "Another way.");
    let primaries = config::primaries(&job);
    assert!(primaries.contains(&config::Candidate::new("job", "The job.")), "{primaries:?}");
    assert!(primaries.contains(&config::Candidate::new("broken", "")), "{primaries:?}");
}
