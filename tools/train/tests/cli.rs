//! The real binary: what it learns, what it leaves, and what it refuses.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use events::{Epoch, Event, RowCounts, Status};
use std::{fs, path::Path};
use testkit::{Folder, rows::linear as rows, tool};

/// Runs the tool in `folder`; returns status, standard output and standard error.
fn train(folder: &Path, args: &[&str], stdin: &str) -> (i32, String, String) {
    tool!("train").within(folder).args(args).stdin(stdin).run().parts()
}

fn trained(folder: &Path, args: &[&str], stdin: &str) -> String {
    let (status, out, error) = train(folder, &[args, &["--quiet"]].concat(), stdin);
    assert_eq!((status, error.as_str()), (0, ""), "{args:?}");
    out
}

/// The files that must be the same for the same run: all but the log, which holds times.
const FILES: [&str; 5] = ["model.safetensors", "config.yaml", "metrics.json", "history.csv", "test.npy"];

fn same(folder: &Path, a: &str, b: &str, file: &str) -> bool {
    fs::read(folder.join(a).join(file)).unwrap() == fs::read(folder.join(b).join(file)).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_bytes_whatever_the_encoding() {
    let folder = Folder::new();
    let (folder, text) = (&folder, rows(2000));
    let args = |out: &str, extra: &[&str]| -> Vec<String> {
        [&["-o", out, "trainer.max_epochs=2", "trainer.run_dir=ignored"], extra]
            .concat()
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    let run = |out: &str, extra: &[&str]| {
        let args = args(out, extra);
        trained(folder, &args.iter().map(String::as_str).collect::<Vec<_>>(), &text);
    };
    run("a", &[]);
    run("b", &["--expect-rows", "2000"]);
    run("c", &["trainer.seed=1"]);
    for file in FILES.iter().filter(|file| **file != "config.yaml") {
        assert!(same(folder, "a", "b", file), "{file}");
    }
    assert!(!same(folder, "a", "c", "model.safetensors"), "another seed");
    assert!(!same(folder, "a", "c", "test.npy"), "another split");
}

#[test]
fn the_network_learns_and_the_log_tells_how() {
    let folder = Folder::new();
    let args = ["model.hidden=[16]", "optimizer.learning_rate=1e-2", "trainer.batch_size=32", "-o", "run"];
    let out = trained(&folder, &args, &rows(3000));
    let events: Vec<Event> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let Event::Start(start) = &events[0] else { panic!("{out}") };
    let rows = RowCounts { train: 2400, val: 300, test: 300 };
    assert_eq!((start.rows, start.parameters), (rows, 2 * 16 + 16 + 16 + 1));
    let epochs: Vec<_> = events.iter().filter_map(|e| if let Event::Epoch(e) = e { Some(e) } else { None }).collect();
    assert_eq!((epochs.len(), epochs[0].step), (10, 75));
    let loss = |epoch: &Epoch| epoch.metrics.get("train_loss").unwrap();
    assert!(loss(epochs[9]) < 0.1 * loss(epochs[0]), "{out}");
    let count = events.len();
    let Event::Test(test) = &events[count - 2] else { panic!("{out}") };
    assert!(test.metrics.get("test_r2").unwrap() > 0.99, "{out}");
    assert!(matches!(&events[count - 1], Event::End(end) if end.status == Status::Finished));
    let log = folder.text("run/events.ndjson");
    assert_eq!(log, out);
    let config = folder.text("run/config.yaml");
    let groups: Vec<_> = config.lines().filter(|line| !line.starts_with([' ', '-'])).collect();
    let expected = ["model:", "optimizer:", "scheduler:", "callbacks:", "augmentation:", "features:", "trainer:"];
    assert_eq!(groups, expected, "{config}");
    let history = folder.text("run/history.csv");
    let columns = "epoch,step,train_loss,learning_rate,val_loss,val_mse,val_mae,val_r2";
    assert_eq!((history.lines().next(), history.lines().count()), (Some(columns), 11));
}

#[test]
fn the_fused_engine_goes_the_way_of_autograd() {
    let folder = Folder::new();
    let losses = |engine: &str| -> Vec<f64> {
        let args = [&format!("trainer.engine={engine}"), "-o", engine, "trainer.max_epochs=3"];
        let out = trained(&folder, &args, &rows(1000));
        let events = out.lines().map(|line| serde_json::from_str(line).unwrap());
        events
            .filter_map(|event| if let Event::Validation(event) = event { event.metrics.get("val_loss") } else { None })
            .collect()
    };
    for (fused, autograd) in losses("fused").iter().zip(losses("autograd")) {
        assert!((fused - autograd).abs() < 1e-3 * autograd, "{fused} {autograd}");
    }
}

#[test]
fn shares_may_be_zero() {
    let folder = Folder::new();
    let out = trained(&folder, &["trainer.split=[1,0,0]", "trainer.max_epochs=1", "-o", "run"], &rows(100));
    assert!(
        out.contains(r#""rows":{"train":100,"val":0,"test":0}"#)
            && !out.contains("val_loss")
            && !out.contains(r#""event":"test""#),
        "{out}"
    );
    assert!(!folder.join("run/test.npy").exists());
}

#[test]
fn what_cannot_be_trained_is_one_line_and_leaves_nothing() {
    let good = rows(100);
    let cases: &[(&[&str], &str, &str)] = &[
        (&[], "", "stdin: no rows"),
        (
            &[],
            "{\"probs\":[1]}\n",
            "stdin:1: no field \"entropy\" (there is probs); choose another with trainer.target_field=NAME",
        ),
        (&[], "{\"probs\":[1e300],\"entropy\":1}\n", "stdin:1: field \"probs\" is inf as f32"),
        (&["--expect-rows", "101"], &good, "stdin: expected 101 rows, found 100"),
        (&["missing.npy"], "", "missing.npy"),
        (&["missing.npy", "data.pull=true"], "", "missing.npy: missing, and"),
        (
            &["trainer.split=[0.5,0.1,0.1]"],
            &good,
            "trainer.split: [0.5, 0.1, 0.1]; expected three shares that sum to 1",
        ),
        (&["trainer.split=[0,0.5,0.5]"], &good, "no row of 100 is left for training"),
        (&["trainer.batch_size=0"], &good, "trainer.batch_size: 0"),
        (
            // No driver, or no such GPU.
            &["trainer.device=cuda:99"],
            &good,
            "trainer.device=cuda:99: no ",
        ),
        (&["trainer.precision=bf16"], &good, "trainer.precision=bf16: on a GPU only; use trainer.precision=f32"),
        (&["trainer.max_epochs=0"], &good, "trainer.max_epochs: 0"),
        (&["trainer.max_epochs=null"], &good, "the run would never end"),
        (
            &["trainer.max_time=soon"],
            &good,
            "trainer.max_time: expected a time, for instance 90s, 15m or 1h 30m, found",
        ),
        (&["trainer.max_time=-1s"], &good, "1h 30m, found \"-1s\"\n"),
        (&["trainer.max_time=5"], &good, "override \"trainer.max_time=5\": trainer.max_time: 5 has no unit; write 5s"),
        (
            &["trainer.limit_val_batches=x"],
            &good,
            "trainer.limit_val_batches: expected a number of batches, or a share",
        ),
        (&["optimizer.betas=[0.9]"], &good, "override \"optimizer.betas=[0.9]\": optimizer.betas: expected a list of"),
        (&["optimizer.name=sgd"], &good, "override \"optimizer.name=sgd\": optimizer.name: the other settings are not"),
        (
            &["scheduler=step", "scheduler.warmup=-1"],
            &good,
            "override \"scheduler.warmup=-1\": scheduler.warmup: expected",
        ),
        (
            &["scheduler=multi_step", "scheduler.milestones=[5,3]"],
            &good,
            "scheduler.milestones: [5, 3]; expected ascending times",
        ),
        (
            &["scheduler.eta_min=1e-5"],
            &good,
            "but scheduler=cosine: write scheduler=cosine scheduler.min_learning_rate=1e-5",
        ),
        (&["scheduler=cosine", "scheduler.T_max=50"], &good, "unknown key; did you mean scheduler.period=50?"),
        (&["optimizer.learning_rate=nan"], &good, "optimizer.learning_rate: expected a finite number"),
        (
            &["callbacks.checkpoint.monitor=val_los"],
            &good,
            "checkpoint.monitor: val_los is no metric of this run; did you mean",
        ),
        (&["scheduler=reduce_on_plateau", "scheduler.monitor=loss"], &good, "scheduler.monitor: loss is no metric"),
        (&["callbacks.early_stopping.monitor=val_loss", "trainer.split=[1,0,0]"], &good, "val_loss is no metric"),
        (&["callbacks.checkpoint.filename='{val_los}'"], &good, "\"val_los\" is neither epoch, step, monitor nor"),
        (
            &["callbacks.checkpoint.filename=e-{epoch}"],
            &good,
            "for a text, write \"callbacks.checkpoint.filename='e-{epoch}'\"",
        ),
        (&["trainer.limit_val_batches=0"], &good, "trainer.limit_val_batches: 0; at least 1"),
        (&["trainer.limit_val_batches=1.5"], &good, "trainer.limit_val_batches: 1.5; expected"),
        (&["trainer.limit_val_batches=1e9"], &good, "1000000000.0; expected a share above 0 and up to 1.0, or a whole"),
        (&["trainer.ema_decay=1"], &good, "trainer.ema_decay: 1; expected"),
        (&["trainer.resume=none.safetensors"], &good, "none.safetensors: trainer.resume: no such checkpoint"),
        (&["trainer.loss=cross_entropy"], &good, "the loss expects a class"),
        (
            &["trainer.loss=cross_entropy", "trainer.classes=2"],
            "{\"probs\":[0.1,0.9],\"entropy\":5}\n",
            "stdin:1: field \"entropy\" is 5; the loss expects a class, from 0 to 1 by trainer.classes",
        ),
        (
            &["trainer.loss=cross_entropy"],
            "{\"probs\":[0.1],\"entropy\":5000000}\n",
            "stdin:1: field \"entropy\" is 5000000; the loss expects a class, a whole number from 0 to 1048575 (the limit)",
        ),
        (&["trainer.loss=bce"], &good, "the loss expects a probability"),
        (
            &["callbacks.checkpoint.monitor=learning_rate"],
            &good,
            "callbacks.checkpoint.mode: auto, but learning_rate is better neither low nor high",
        ),
        (&["callbacks.checkpoint.mode=lowest"], &good, "callbacks.checkpoint.mode"),
        (&["model.target_scaling=standrad"], &good, "model.target_scaling"),
        (
            &["trainer.weight_field=w"],
            &good,
            "stdin:1: no field \"w\" (there is probs, entropy); choose another with trainer.weight_field=NAME",
        ),
        (&["trainer.weight_field=entropy"], &good, "\"entropy\" is also an input or the target field"),
        (
            &["trainer.class_weights=[1,-1]"],
            &good,
            "trainer.class_weights: [1.0, -1.0]; expected numbers of at least 0",
        ),
        (&["trainer.class_weights=[0,0]"], &good, "trainer.class_weights: [0.0, 0.0]; expected numbers of at least 0"),
        (&["trainer.class_weights=balance"], &good, "trainer.class_weights: expected balanced, or a list of weights"),
        (&["optimizer=sgd", "optimizer.nesterov=true", "optimizer.momentum=0"], &good, "optimizer.nesterov"),
        (&["optimizer=adam", "+optimizer.momentum=0"], &good, "unknown key"),
        (&["scheduler=step", "scheduler.step_size=0"], &good, "scheduler.step_size: 0"),
        (&["scheduler=one_cycle", "trainer.max_epochs=null", "trainer.max_time=1s"], &good, "scheduler: its length"),
        (&["callbacks.checkpoint.save_top_k=-2"], &good, "callbacks.checkpoint.save_top_k: -2"),
        (&["callbacks.checkpoint.filename=a/b"], &good, "callbacks.checkpoint.filename"),
        (&["--threads", "0"], &good, "--threads 0"),
        (&["trainer.loss=mea"], &good, "trainer.loss"),
        (&["trainer.learning_rate=1"], &good, "learning_rate"),
        (&["trainer.target_field=probs"], &good, "is also an input field"),
        (&["optimizer.learning_rate=0"], &good, "optimizer.learning_rate: 0; expected a positive number"),
        (
            &["optimizer.learning_rate_factors.norm=-1"],
            &good,
            "optimizer.learning_rate_factors.norm: -1; expected a number of at least 0",
        ),
        (&["optimizer.learning_rate_factors.norms=2"], &good, "norms"),
        (&["scheduler=one_cycle", "scheduler.anneal=line"], &good, "scheduler.anneal"),
        (&["model=small_cnn", "model.layers=[{conv: {channels: 2, init: dirc}}]"], &good, "dirc"),
        (&["model.hidden=[0]"], &good, "model.hidden: [0]; expected widths from 1"),
        (&["model.hidden=[1000000,1000000]"], &good, "over a billion elements"),
        (&["model.activation=relux"], &good, "relux"),
        (&["trainer.run_dir=/dev/null/run"], &good, "/dev/null/run"),
    ];
    for (args, stdin, expected) in cases {
        let folder = Folder::new();
        let (status, _, error) = train(&folder, args, stdin);
        assert_eq!(status, 2, "{args:?}: {error}");
        assert!(error.starts_with("train: ") && error.contains(expected), "{args:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{args:?}: {error}");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "{args:?}");
    }
}

#[test]
fn a_run_that_diverges_says_so_and_keeps_the_last_good_weights() {
    let folder = Folder::new();
    let args = ["optimizer=sgd", "optimizer.learning_rate=1e20", "-o", "run", "--quiet"];
    let (status, out, error) = train(&folder, &args, &rows(1000));
    assert_eq!((status, error.lines().count()), (1, 1), "{error}");
    assert!(
        error.starts_with("train: the loss, a gradient or a running statistic is not finite in epoch 1, step "),
        "{error}"
    );
    let last = out.lines().last().unwrap();
    assert!(
        last.contains(r#""status":"FAILED","reason":"the loss, a gradient or a running statistic is not finite"#),
        "{last}"
    );
    assert!(!folder.join("run/metrics.json").exists());

    // A good run, resumed with a learning rate that is too high, still has its checkpoint.
    trained(&folder, &["-o", "good", "trainer.max_epochs=1"], &rows(1000));
    let before = folder.bytes("good/checkpoints/last.safetensors");
    let args = ["-o", "good", "trainer.resume=last", "optimizer.learning_rate=1e30", "--quiet"];
    let (status, _, error) = train(&folder, &args, &rows(1000));
    assert_eq!(status, 1, "{error}");
    assert_eq!(folder.bytes("good/checkpoints/last.safetensors"), before);
}

/// Normalized by an infinite variance all is 0, and so finite.
#[test]
fn a_variance_that_overflows_ends_the_run() {
    let folder = Folder::new();
    let rows: String = (0..40).map(|i| format!("{{\"x\":[{}e20,{}],\"y\":{}}}\n", i % 7, i % 5, i % 3)).collect();
    let model = ["model.name=layers", "~model.hidden", "~model.activation", "+model.layers=[{norm:{}},{linear:{}}]"];
    let fields =
        ["trainer.input_field=x", "trainer.target_field=y", "model.input_scaling=none", "-o", "run", "--quiet"];
    let (status, _, error) = train(&folder, &[&model[..], &fields].concat(), &rows);
    assert_eq!(status, 1, "{error}");
    assert!(error.contains("a running statistic is not finite in epoch 1, step 1;"), "{error}");
}

#[test]
fn a_line_an_epoch_is_told_where_there_is_no_terminal() {
    let folder = Folder::new();
    let (status, _, error) = train(&folder, &["trainer.max_epochs=3", "-o", "run"], &rows(500));
    assert_eq!((status, error.lines().count()), (0, 3), "{error}");
    assert!(error.starts_with("epoch 1/3 train_loss "), "{error}");
}

/// The events of a run that must go well.
fn events(folder: &Path, args: &[&str], rows: &str) -> Vec<Event> {
    let out = trained(folder, args, rows);
    out.lines().map(|line| Event::from_line(line).unwrap().unwrap()).collect()
}

fn end(events: &[Event]) -> &str {
    let Some(Event::End(end)) = events.last() else { panic!("{events:?}") };
    assert_eq!(end.status, Status::Finished);
    &end.reason
}

fn count(events: &[Event], kind: fn(&Event) -> bool) -> usize {
    events.iter().filter(|event| kind(event)).count()
}

#[test]
fn a_fast_dev_run_leaves_no_files() {
    let folder = Folder::new();
    let events = events(&folder, &["trainer.fast_dev_run=true", "trainer.log_every_steps=1"], &rows(1000));
    assert_eq!(end(&events), "max_epochs reached");
    assert_eq!(count(&events, |e| matches!(e, Event::Step(_))), 1);
    assert_eq!(count(&events, |e| matches!(e, Event::Validation(_) | Event::Test(_))), 2);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn limits_end_a_run_where_they_say() {
    let folder = Folder::new();
    let rows = rows(1000); // 800 for training: 25 batches of 32
    let run = |args: &[&str]| {
        let common = ["-o", "run", "trainer.batch_size=32", "trainer.log_every_steps=1"];
        events(&folder, &[&common, args].concat(), &rows)
    };
    let steps = |events: &[Event]| count(events, |e| matches!(e, Event::Step(_)));
    let epochs = |events: &[Event]| count(events, |e| matches!(e, Event::Epoch(_)));

    let ended = run(&["trainer.max_epochs=2"]);
    assert_eq!((steps(&ended), epochs(&ended), end(&ended)), (50, 2, "max_epochs reached"));
    let ended = run(&["trainer.max_steps=30"]);
    assert_eq!((steps(&ended), epochs(&ended), end(&ended)), (30, 2, "max_steps reached"));
    let ended = run(&["trainer.max_epochs=null", "trainer.max_time=1ms"]);
    assert_eq!(end(&ended), "max_time reached");
    let ended = run(&["trainer.max_epochs=1", "trainer.limit_train_batches=3"]);
    assert_eq!((steps(&ended), epochs(&ended)), (3, 1));
    let ended = run(&["trainer.max_epochs=1", "trainer.limit_train_batches=0.2"]);
    assert_eq!(steps(&ended), 5);
    let ended = run(&["trainer.max_epochs=2", "trainer.accumulate_batches=4"]);
    assert_eq!(steps(&ended), 2 * 7, "the last step of an epoch has one batch");
    let ended = run(&["trainer.max_epochs=2", "trainer.val_every_steps=10"]);
    assert_eq!(count(&ended, |e| matches!(e, Event::Validation(_))), 5);
    let ended = run(&["trainer.max_epochs=4", "trainer.val_every_epochs=2"]);
    assert_eq!(count(&ended, |e| matches!(e, Event::Validation(_))), 2);
}

#[test]
fn one_batch_can_be_learned_by_heart() {
    let folder = Folder::new();
    let args = ["-o", "run", "trainer.overfit_batches=1", "trainer.batch_size=8", "trainer.max_epochs=400"];
    let events = events(&folder, &[&args[..], &["optimizer.learning_rate=1e-2"]].concat(), &rows(1000));
    let losses: Vec<_> = events
        .iter()
        .filter_map(|event| if let Event::Validation(val) = event { val.metrics.get("val_loss") } else { None })
        .collect();
    // Validation is on the same 8 rows.
    assert!(losses[399] < 1e-3 * losses[0], "{} {}", losses[0], losses[399]);
}

#[test]
fn a_run_stops_early_when_it_no_longer_gets_better() {
    let folder = Folder::new();
    let early = "callbacks.early_stopping";
    let patience = format!("{early}.patience=3");
    let delta = format!("{early}.min_delta=100");
    let events = events(&folder, &["-o", "run", &patience, &delta, "trainer.max_epochs=50"], &rows(500));
    // The first validation counts as better than nothing; then come three that are not.
    assert_eq!(count(&events, |e| matches!(e, Event::Epoch(_))), 4);
    assert!(end(&events).starts_with("early stopping: val_loss has not come below "), "{}", end(&events));
    let monitor = format!("{early}.monitor=val_acuracy");
    let (status, _, error) = train(&folder, &["-o", "x", "--quiet", &patience, &monitor], &rows(500));
    assert_eq!(status, 2);
    assert!(error.contains("val_acuracy is no metric of this run; there are train_loss, "), "{error}");
}

/// Rows of two classes.
fn labelled(count: usize) -> String {
    (0..count).map(|i| format!("{{\"probs\":[{}],\"entropy\":{}}}\n", (i as f64 * 0.618_034).fract(), i % 2)).collect()
}

#[test]
fn what_may_be_watched_is_what_a_run_measures() {
    for loss in ["mse", "mae", "huber", "cross_entropy", "bce"] {
        let folder = Folder::new();
        let loss = format!("trainer.loss={loss}");
        trained(&folder, &[&loss, "-o", "run", "trainer.max_epochs=1"], &labelled(100));
        let history = folder.text("run/history.csv");
        let measured = history.lines().next().unwrap().strip_prefix("epoch,step,").unwrap().replace(',', ", ");
        let (status, _, error) = train(&folder, &[&loss, "callbacks.checkpoint.monitor=xyzzy"], &labelled(100));
        let expected =
            format!("train: callbacks.checkpoint.monitor: xyzzy is no metric of this run; there are {measured}\n");
        assert_eq!((status, error), (2, expected));
    }
}

#[test]
fn settings_of_no_effect_are_told_unless_all_is_to_be_quiet() {
    let early = |setting: &str| format!("callbacks.early_stopping.{setting}");
    let cases: &[(&[&str], &str)] = &[
        (&[&early("patience=3")], "3; a run of 3 measurements never stops early"),
        (&[&early("patience=2"), "trainer.val_every_epochs=5"], "2; a run of 0 measurements never stops early"),
        (&[&early("patience=2"), "trainer.val_every_epochs=5", &early("monitor=train_loss")], ""),
        (&[&early("patience=2")], ""),
        (&[&early("patience=9"), "trainer.val_every_steps=1"], ""),
        (&[&early("monitor=val_loss")], "of no effect without callbacks.early_stopping.patience"),
        (&["scheduler.warmup=3"], "scheduler.warmup: 3 epochs; the run has 3, all of them warm-up"),
        (&["scheduler.warmup=2"], ""),
        (&["scheduler=cosine", "scheduler.warmup=99"], "scheduler.warmup: 99 steps; the run has 6, all of"),
        (&["scheduler=cosine", "scheduler.warmup=5"], ""),
        (&["scheduler=cosine", "scheduler.warmup=5", "trainer.max_steps=5"], "5 steps; the run has 5"),
        (&["callbacks.checkpoint.every_n_steps=3", "callbacks.checkpoint.save_last=false"], "of no effect with"),
        (&["trainer.classes=2"], "trainer.classes: of no effect"),
        (&["trainer.val_input=rows.ndjson", "trainer.overfit_batches=1"], "trainer.val_input: of no effect with"),
        (&["trainer.label_smoothing=0.1"], "trainer.label_smoothing: of no effect"),
    ];
    for (args, expected) in cases {
        let folder = Folder::new();
        folder.write("rows.ndjson", rows(10));
        let run = |more: &[&str]| {
            let args = [&["-o", "run", "trainer.max_epochs=3", "trainer.batch_size=50"], *args, more].concat();
            let (status, _, error) = train(&folder, &args, &rows(120));
            assert_eq!(status, 0, "{args:?}: {error}");
            error
        };
        let said = run(&[]);
        let warnings: Vec<&str> = said.lines().filter(|line| line.starts_with("train: ")).collect();
        assert_eq!(warnings.len(), usize::from(!expected.is_empty()), "{args:?}: {said}");
        assert!(warnings.iter().all(|warning| warning.contains(expected)), "{args:?}: {said}");
        assert_eq!(run(&["--quiet"]), "");
    }
}

#[test]
fn the_best_checkpoints_are_kept_under_their_names() {
    let folder = Folder::new();
    let keep = ["callbacks.checkpoint.save_top_k=2", "callbacks.checkpoint.filename='e{epoch}_s{step}_{val_mae:.3f}'"];
    let args = [&["-o", "run", "trainer.max_epochs=5"], &keep[..]].concat();
    let events = events(&folder, &args, &rows(1000));
    let mut losses: Vec<(f64, usize, f64)> = events
        .iter()
        .filter_map(|event| match event {
            Event::Validation(val) => {
                Some((val.metrics.get("val_loss").unwrap(), val.epoch, val.metrics.get("val_mae").unwrap()))
            }
            _ => None,
        })
        .collect();
    losses.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut expected: Vec<String> = losses[..2]
        .iter()
        .map(|(_, epoch, mae)| format!("e{epoch}_s{}_{mae:.3}.safetensors", epoch * 7))
        .chain(["last.safetensors".to_owned()])
        .collect();
    expected.sort();
    let entries = fs::read_dir(folder.join("run/checkpoints")).unwrap();
    let mut found: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    found.sort();
    assert_eq!(found, expected);
    // A fresh run in the same folder does not leave another's checkpoints behind, nor what was made of its model.
    folder.write("run/model.onnx", "another's");
    trained(&folder, &["-o", "run", "trainer.max_epochs=1", "callbacks.checkpoint.save_top_k=0"], &rows(1000));
    assert_eq!(fs::read_dir(folder.join("run/checkpoints")).unwrap().count(), 1);
    assert!(!folder.join("run/model.onnx").exists());
}

#[test]
fn any_number_of_threads_gives_the_same_files() {
    let folder = Folder::new();
    for (out, threads) in [("one", "1"), ("two", "2"), ("three", "3")] {
        let args = ["-o", out, "--threads", threads, "trainer.batch_size=1024", "trainer.max_epochs=3"];
        trained(&folder, &args, &rows(4000));
    }
    for file in FILES.iter().filter(|file| **file != "config.yaml") {
        assert!(same(&folder, "one", "two", file) && same(&folder, "one", "three", file), "{file}");
    }
}

#[test]
fn the_summary_counts_what_a_hand_would() {
    let folder = Folder::new();
    let summary = trained(&folder, &["--summary", "model.hidden=[3]"], &rows(10));
    // 2·3 + 3 and 3·1 + 1 parameters; 2·2·3 + 3, 3 of the ReLU and 2·3·1 + 1 operations, of which the backward
    // pass does twice as many, but for the gradient of the input: 2·2·3.
    let expected = "13 parameters, 52 B of f32; 25 FLOP a row, 63 in a training step";
    assert_eq!(summary.lines().last(), Some(expected), "{summary}");
    assert_eq!(summary.lines().next(), Some("input: probs [batch, 2]"));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn a_found_learning_rate_is_a_setting() {
    let folder = Folder::new();
    let setting = trained(&folder, &["--find-learning-rate", "-o", "run"], &rows(2000));
    let (key, value) = setting.trim_end().split_once('=').unwrap();
    assert_eq!(key, "optimizer.learning_rate");
    assert!((1e-6..1.0).contains(&value.parse::<f64>().unwrap()), "{setting}");
    let curve = folder.text("run/finder.csv");
    assert!(curve.starts_with("learning_rate,loss\n1e-7,") || curve.starts_with("learning_rate,loss\n0.0000001,"));
    trained(&folder, &["-o", "run", "trainer.max_epochs=1", setting.trim_end()], &rows(2000));
}

#[test]
fn throughput_is_told_by_batch_size() {
    let folder = Folder::new();
    let table = trained(&folder, &["--throughput", "model.hidden=[4]"], &rows(50));
    let sizes: Vec<_> = table.lines().skip(1).map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(sizes, ["16", "32"], "{table}");
    let (status, _, error) = train(&folder, &["--throughput", "--quiet"], &rows(10));
    assert_eq!((status, error.contains("8 rows are too few")), (2, true), "{error}");
}
