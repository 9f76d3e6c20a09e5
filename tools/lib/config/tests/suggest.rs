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
    assert!(error("trainer.strategy=ddp").ends_with("; several processes train as one under mpirun, srun or torchrun"));
    assert!(error("qqqq=1").contains("; its groups are model, optimizer"));
}

#[test]
fn a_device_is_named_by_its_setting() {
    let folder = Folder::new(&[]);
    for (wrong, meant) in [
        ("trainer.devices=1", "trainer.device=cuda:0"),
        ("trainer.accelerator=gpu", "trainer.device=cuda:0"),
        ("accelerator=cpu", "trainer.device=cpu"),
    ] {
        let error = folder.tool(&TRAIN, &config::Sources::default(), &[wrong]).unwrap_err();
        assert_eq!(hinted(&error), [meant], "{error}");
        folder.tool(&TRAIN, &config::Sources::default(), &[meant]).unwrap();
    }
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

/// What `train` says of a wrong setting.
fn wrong(text: &str) -> String {
    Folder::new(&[]).tool(&TRAIN, &config::Sources::default(), &[text]).unwrap_err()
}

#[test]
fn a_name_of_the_opposite_is_no_slip() {
    for text in ["trainer.min_epochs=1", "min_epochs=1", "trainer.min_steps=5", "trainer.finder.min_=1e-3"] {
        assert!(!wrong(text).contains("max"), "{}", wrong(text));
    }
    assert_eq!(hinted(&wrong("trainer.mx_epochs=1")), ["trainer.max_epochs=1"]);
}

#[test]
fn a_value_that_means_something_else_here_is_not_passed_on() {
    let cases = [
        ("trainer.val_check_interval=100", "trainer.val_every_steps=100"),
        ("val_check_interval=1", "trainer.val_every_steps=1"),
        ("val_split=0.2", "trainer.split=[0.8,0.2,0]"),
        ("trainer.validation_fraction=0.15", "trainer.split=[0.85,0.15,0]"),
        ("trainer.test_size=0.2", "trainer.split=[0.8,0,0.2]"),
        ("train_size=0.7", "trainer.split=[0.7,0.3,0]"),
        ("test_size=500", "trainer.split=[0.8,0.1,0.1]"),
    ];
    for (text, right) in cases {
        assert_eq!(hinted(&wrong(text)), [right], "{text}");
        Folder::new(&[]).tool(&TRAIN, &config::Sources::default(), &[right]).unwrap();
    }
    assert!(wrong("val_split=0.2").ends_with("(the shares of training, validation and test)"));
    for text in ["trainer.val_check_interval=0.25", "val_check_interval=1.0", "val_check_interval=0"] {
        assert!(!wrong(text).contains("did you mean"), "{}", wrong(text));
    }
}

#[test]
fn no_group_is_given_what_is_no_option_of_it() {
    for text in ["dat=rows.npy", "callback=x", "callbacks.early_stoping=3", "modle=foo", "optim=sgdd", "net=lenet"] {
        let error = wrong(text);
        assert!(!error.contains("did you mean") && !error.contains("write "), "{error}");
    }
    assert!(wrong("modle=foo").contains("; the group model has the options mlp, resnet18"));
    assert_eq!(hinted(&wrong("modle=mlp")), ["model=mlp"]);
}

#[test]
fn no_group_is_added_that_the_tool_does_not_read() {
    for text in ["dataset=mnist", "score=classification", "plot=default", "tracking=mlflow"] {
        assert!(!wrong(text).contains('+'), "{}", wrong(text));
    }
}

#[test]
fn an_option_whose_key_is_of_another_kind_is_not_meant() {
    let error = wrong("model.layers=3");
    assert!(error.contains("model.layers: unknown key") && !error.contains("resnet"), "{error}");
    let error = wrong("optimizer._target_=torch.optim.Adam");
    assert!(!error.contains("target_field") && !error.contains("did you mean"), "{error}");
}
