//! Ranks that `mpirun` has started, in a build with the feature `mpi`: `make test-mpi`.

#![cfg(feature = "mpi")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};
use testkit::{Done, Folder, Tool, rows, system, tool};

const SETTINGS: [&str; 9] = [
    "rows.ndjson",
    "--quiet",
    "optimizer=adamw",
    "trainer.max_epochs=3",
    "trainer.batch_size=8",
    "trainer.accumulate_batches=4",
    "trainer.clip_norm=0.5",
    "trainer.val_every_steps=7",
    "callbacks.checkpoint.every_n_steps=3",
];

fn train(folder: &Path, args: &[&str]) -> Tool {
    tool!("train").within(folder).args(SETTINGS).args(args)
}

/// `train` under `mpirun`, of Open MPI, with more ranks than there may be cores.
fn ranks(folder: &Path, ranks: &str, args: &[&str]) -> Done {
    let runner = ["mpirun", "--oversubscribe", "-n", ranks];
    let root = [("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")];
    let tool = train(folder, &[&["--threads", "1"], args].concat()).under(&runner);
    root.into_iter().fold(tool, |tool, (name, value)| tool.env(name, value)).run()
}

#[test]
fn any_number_of_ranks_has_the_same_bytes() {
    if !system::has("mpirun") {
        return;
    }
    let folder = &Folder::new();
    fs::write(folder.join("rows.ndjson"), rows::linear(411)).unwrap();
    train(folder, &["-o", "one"]).works();
    for (count, run) in [("1", "run1"), ("2", "run2"), ("4", "run4")] {
        let done = ranks(folder, count, &["-o", run]);
        assert_eq!((done.status, done.error.as_str()), (0, ""), "{count} ranks");
        // Open MPI gives ranks a terminal, on which rank 0 prints its closing line.
        assert_eq!(done.out.lines().count(), 1, "{}", done.out);
        for file in ["model.safetensors", "metrics.json", "history.csv", "checkpoints/last.safetensors"] {
            assert!(
                folder.bytes(format!("one/{file}")) == folder.bytes(format!("{run}/{file}")),
                "{file}, {count} ranks"
            );
        }
    }
}

#[test]
fn the_error_of_a_rank_ends_the_job() {
    if !system::has("mpirun") {
        return;
    }
    let folder = &Folder::new();
    fs::write(folder.join("rows.ndjson"), rows::linear(400)).unwrap();
    fs::write(folder.join("a-file"), "").unwrap();
    // Rank 0 alone writes there, after the others have begun to wait for it.
    let done = ranks(folder, "2", &["-o", "a-file/run"]);
    assert_ne!(done.status, 0);
    assert!(done.error.contains("train: a-file/run: trainer.run_dir"), "{}", done.error);
    let done = ranks(folder, "3", &["-o", "run"]);
    assert!(done.error.contains("3 does not divide 4"), "{}", done.error);
}

#[test]
fn a_killed_rank_ends_the_job_and_the_run_resumes() {
    if !system::has("mpirun") {
        return;
    }
    let folder = &Folder::new();
    fs::write(folder.join("rows.ndjson"), rows::linear(411)).unwrap();
    let steps = ["trainer.max_epochs=null", "trainer.max_steps=400"];
    train(folder, &[&["-o", "whole"], &steps[..]].concat()).works();
    // Rank 1 kills itself once there is a checkpoint.
    let script = r#"if test "$OMPI_COMM_WORLD_RANK" = 1; then
        (until test -e run/checkpoints/last.safetensors; do sleep 0.01; done; kill -9 $$) &
    fi; exec "$0" "$@""#;
    let settings = [&["-o", "run", "trainer.log_every_steps=1", "callbacks.checkpoint.max_overhead=null"], &steps[..]];
    let args = settings.concat();
    let runner = ["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", "2"];
    let done = train(folder, &args).shell(script).under(&runner).output();
    let killed = !done.status.success();
    let again = ranks(folder, "4", &[&["-o", "run", "trainer.resume=last"], &steps[..]].concat());
    assert_eq!(again.status, 0, "{}", again.error);
    assert!(folder.bytes("whole/model.safetensors") == folder.bytes("run/model.safetensors"), "killed: {killed}");
    assert!(killed, "the job ended before the rank was killed");
}
