//! What `--help` and `--cfg` say of settings is what the configs say.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::{TRAIN, strings};
use config::{Comments, Sources, reference};

#[test]
fn groups_have_their_options_and_settings() {
    let groups = reference(Some(&TRAIN));
    assert_eq!(groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(), TRAIN);
    let optimizer = &groups[1];
    assert_eq!(optimizer.default.as_ref().unwrap().0, "adam");
    assert_eq!(optimizer.options, ["adam", "adamw", "rmsprop", "sgd", "sgd_nesterov"]);
    let rate = optimizer.settings.iter().find(|setting| setting.key == "optimizer.learning_rate").unwrap();
    assert_eq!((rate.value.as_str(), rate.comment.as_str()), ("1e-3", "step size"));
    let engine = groups[6].settings.iter().find(|setting| setting.key == "trainer.engine").unwrap();
    assert_eq!((engine.value.as_str(), engine.choices.as_slice()), ("fused", &strings(&["fused", "autograd"])[..]));
    let finder = groups[6].settings.iter().find(|setting| setting.key == "trainer.finder.min").unwrap();
    assert_eq!(finder.value, "1e-7");
}

#[test]
fn every_setting_and_default_is_the_composed_one() {
    for own in [&TRAIN[..], &["score"], &["plot"], &["tracking"], &["export"], &["relu"], &["dataset", "download"]] {
        let document = config::compose_for(own, &Sources::default(), &[]).unwrap();
        for setting in reference(Some(own)).into_iter().flat_map(|group| group.settings) {
            let node = document.get(&setting.key).unwrap_or_else(|| panic!("{}", setting.key));
            let is_plain = !["", "[...]"].contains(&setting.value.as_str()) && !setting.value.contains(['{', '~']);
            if is_plain && node.as_map().is_none() {
                let given = strings(&[&format!("{}={}", setting.key, setting.value.replace(['"'], "'"))]);
                let again = config::compose_for(own, &Sources::default(), &given).unwrap();
                assert_eq!(again.get(&setting.key), Some(node), "{}={}", setting.key, setting.value);
            }
        }
    }
}

#[test]
fn the_whole_job_has_all_groups() {
    let names: Vec<String> = reference(None).into_iter().map(|group| group.name).collect();
    assert!(["data", "trainer", "plot", "score"].iter().all(|name| names.iter().any(|other| other == name)));
}

#[test]
fn settings_are_printed_with_their_comments() {
    let overrides = strings(&["trainer.max_epochs=3", "optimizer=sgd"]);
    let document = config::compose_for(&TRAIN, &Sources::default(), &overrides).unwrap();
    let comments = Comments::new(Some(&TRAIN), &Sources::default(), &overrides).unwrap();
    let yaml = document.to_commented_yaml(&comments);
    for line in [
        "  max_epochs: 3 # passes over the training rows; null is no limit",
        "  momentum: 0.9 # factor on the velocity; 0 is plain gradient descent",
        "  finder: # learning rates that --find-learning-rate tries",
        "    steps: 100 # how many, evenly on a logarithmic scale",
    ] {
        assert!(yaml.lines().any(|other| other == line), "{line}\n{yaml}");
    }
    let plain = config::Document::from_yaml("a", &yaml).unwrap();
    assert_eq!(plain.to_yaml(), document.to_yaml());
}
