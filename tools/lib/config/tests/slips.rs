//! Hints at what a wrong key was meant as work when they are followed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::{Folder, TRAIN};

/// What a hint says to write.
fn hinted(error: &str) -> Vec<String> {
    let start = error.find("did you mean ").map(|at| at + "did you mean ".len());
    let words = match (start, error.find("write ")) {
        (Some(start), _) => error[start..].split('?').next().unwrap(),
        (None, Some(at)) => &error[at + "write ".len()..],
        (None, None) => panic!("{error}"),
    };
    words.split(' ').map(|word| word.trim_matches('\'').to_owned()).collect()
}

#[test]
fn the_hint_works_when_it_is_followed() {
    let folder = Folder::new(&[]);
    let builtin = config::Sources::default();
    let cases = [
        ("lr=0.1", "optimizer.learning_rate=0.1"),
        ("learning_rate=0.1", "optimizer.learning_rate=0.1"),
        ("learning-rate=0.1", "optimizer.learning_rate=0.1"),
        ("optimizer.lr=0.1", "optimizer.learning_rate=0.1"),
        ("trainer.lr=0.1", "optimizer.learning_rate=0.1"),
        ("model.lr=0.1", "optimizer.learning_rate=0.1"),
        ("epochs=3", "trainer.max_epochs=3"),
        ("num_epochs=3", "trainer.max_epochs=3"),
        ("trainer.epochs=3", "trainer.max_epochs=3"),
        ("max_epochs=3", "trainer.max_epochs=3"),
        ("trainer.max_epoch=3", "trainer.max_epochs=3"),
        ("loss=mse", "trainer.loss=mse"),
        ("input_field=x", "trainer.input_field=x"),
        ("target=y", "trainer.target_field=y"),
        ("batch_size=32", "trainer.batch_size=32"),
        ("bs=32", "trainer.batch_size=32"),
        ("wd=0.1", "optimizer.weight_decay=0.1"),
        ("seed=1", "trainer.seed=1"),
        ("random_state=1", "trainer.seed=1"),
        ("hidden=64", "model.hidden=[64]"),
        ("hidden_layer_sizes=[64,64]", "model.hidden=[64,64]"),
        ("patience=3", "callbacks.early_stopping.patience=3"),
        ("gradient_clip_val=1", "trainer.clip_norm=1"),
        ("modl.hidden=[3]", "model.hidden=[3]"),
        ("optimiser=adamw", "optimizer=adamw"),
        ("solver=adamw", "optimizer=adamw"),
        ("lr_scheduler=cosine", "scheduler=cosine"),
        ("experiment=speednet", "+experiment=speednet"),
        ("~trainer.val_inptu", "~trainer.val_input"),
        ("trainer={sed: 1}", "trainer.seed"),
    ];
    for (wrong, right) in cases {
        let error = folder.tool(&TRAIN, &builtin, &[wrong]).unwrap_err();
        let hinted = hinted(&error);
        assert_eq!(hinted, [right], "{wrong}: {error}");
        if right.contains('=') {
            folder.tool(&TRAIN, &builtin, &[right]).unwrap();
        }
    }
}

#[test]
fn a_setting_of_another_option_names_it() {
    let folder = Folder::new(&[]);
    let builtin = config::Sources::default();
    for wrong in ["momentum=0.9", "optimizer.momentum=0.9"] {
        let error = folder.tool(&TRAIN, &builtin, &[wrong]).unwrap_err();
        assert!(error.contains("optimizer=adam has no such key, but optimizer=sgd"), "{error}");
        let hinted = hinted(&error);
        assert_eq!(hinted, ["optimizer=sgd", "optimizer.momentum=0.9"]);
        let words: Vec<&str> = hinted.iter().map(String::as_str).collect();
        folder.tool(&TRAIN, &builtin, &words).unwrap();
    }
}

#[test]
fn what_there_is_no_setting_for_is_said() {
    let folder = Folder::new(&[]);
    let error = |wrong: &str| folder.tool(&TRAIN, &config::Sources::default(), &[wrong]).unwrap_err();
    assert!(error("num_workers=4").ends_with("; train --threads N sets the threads"));
    assert!(error("trainer.devices=1").ends_with("; training runs on the CPU"));
    assert!(error("qqqq=1").contains("; its groups are model, optimizer"));
}

#[test]
fn a_tool_names_settings_of_its_own_only() {
    let folder = Folder::new(&[]);
    let tool = |own: &[&str], wrong: &str| folder.tool(own, &config::Sources::default(), &[wrong]).unwrap_err();
    assert!(tool(&["infer", "data"], "batch=8").ends_with("did you mean infer.batch_size=8?"));
    assert!(tool(&["data"], "random_state=8").ends_with("did you mean data.seed=8?"));
    assert!(tool(&["data"], "n_samples=8").ends_with("did you mean data.rows=8?"));
    assert!(!tool(&["score"], "lr=8").contains("optimizer"));
}

#[test]
fn keys_that_are_equally_likely_are_all_named() {
    let folder = Folder::new(&[]);
    let error = folder.tool(&TRAIN, &config::Sources::default(), &["monitor=val_loss"]).unwrap_err();
    for group in ["checkpoint", "early_stopping"] {
        assert!(error.contains(&format!("callbacks.{group}.monitor=val_loss")), "{error}");
    }
}
