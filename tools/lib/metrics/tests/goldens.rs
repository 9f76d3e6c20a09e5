//! The metrics against scikit-learn. `fixtures/scikit_learn.py` made the numbers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use metrics::{Binary, ClassificationReport, ConfusionMatrix, Metric, MultiClass, MultiLabel, Regression};
use serde_json::{Value, json};

const ALL: usize = usize::MAX;

fn golden(kind: &str) -> Value {
    let all: Value = serde_json::from_str(include_str!("fixtures/scikit_learn.json")).unwrap();
    all[kind].clone()
}

fn numbers(values: &Value) -> Vec<f64> {
    values.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

fn rows(table: &Value) -> Vec<Vec<f64>> {
    table.as_array().unwrap().iter().map(numbers).collect()
}

fn near(ours: f64, case: &Value, metric: &str) {
    let expected = case[metric].as_f64().unwrap();
    assert!((ours - expected).abs() <= 1e-12 * expected.abs().max(1.0), "{metric}: {ours}, expected {expected}");
}

/// Every metric of the report against the expected value of its name; what scikit-learn defines and a report does not is
/// 0 there.
fn report_is_near(report: &ClassificationReport, case: &Value) {
    for (metric, value) in &report.metrics {
        near(value.unwrap_or(0.0), case, metric.name());
    }
    assert!(report.metrics.iter().all(|(metric, value)| *metric == Metric::Precision || value.is_some()));
    if let Some(confusion) = &report.confusion {
        assert_eq!(json!(matrix(confusion)), case["confusion"]);
        assert_eq!(confusion.rows(), report.rows);
    }
}

/// `[actual][predicted]`
fn matrix(confusion: &ConfusionMatrix) -> Vec<Vec<u64>> {
    confusion.matrix().expect("few classes").collect()
}

#[test]
fn regression_is_scikit_learns() {
    for case in golden("regression").as_array().unwrap() {
        let (targets, predictions) = (rows(&case["targets"]), rows(&case["predictions"]));
        let mut metrics = Regression::new(targets[0].len());
        targets.iter().zip(&predictions).for_each(|(targets, predictions)| metrics.add(targets, predictions));
        near(metrics.mse(), case, "mse");
        near(metrics.mae(), case, "mae");
        near(metrics.r2().unwrap(), case, "r2");
        for (ours, expected) in metrics.r2_per_target().into_iter().zip(numbers(&case["r2_per_target"])) {
            assert!((ours.unwrap() - expected).abs() <= 1e-12 * expected.abs().max(1.0));
        }
    }
}

#[test]
fn binary_classification_is_scikit_learns() {
    for case in golden("binary").as_array().unwrap() {
        let mut metrics = Binary::new(ALL);
        for (truth, score) in numbers(&case["truth"]).into_iter().zip(numbers(&case["scores"])) {
            assert_eq!(metrics.add_probability(truth == 1.0, score, f64::EPSILON), score > 0.5);
        }
        let report = metrics.report();
        report_is_near(&report, case);
        // Two classes mirror each other: AUC is the same of both.
        let [negative, positive] = report.rankings.as_ref().unwrap()[..] else { panic!("two classes") };
        assert!((negative.unwrap().auc - positive.unwrap().auc).abs() < 1e-15);
        assert_eq!(report.class_scores.iter().map(|score| score.support).sum::<u64>(), report.rows);
    }
}

#[test]
fn multi_label_classification_is_scikit_learns() {
    let case = golden("multi_label");
    let mut metrics = MultiLabel::new(3, ALL);
    for (truth, logits) in rows(&case["truth"]).into_iter().zip(rows(&case["logits"])) {
        let truth: Vec<bool> = truth.into_iter().map(|truth| truth == 1.0).collect();
        metrics.add_logits(&truth, &logits);
    }
    report_is_near(&metrics.report(), &case);
}

#[test]
fn multi_class_classification_is_scikit_learns() {
    for case in golden("multi_class").as_array().unwrap() {
        let (labels, probabilities) = (numbers(&case["labels"]), rows(&case["probabilities"]));
        let mut by_probabilities = MultiClass::new(probabilities[0].len(), ALL);
        for (label, probabilities) in labels.iter().zip(&probabilities) {
            by_probabilities.add_probabilities(*label as usize, probabilities, f64::EPSILON);
        }
        report_is_near(&by_probabilities.report(), case);
        if case["logits"].is_array() {
            let logits = rows(&case["logits"]);
            let mut by_logits = MultiClass::new(logits[0].len(), ALL);
            for (label, logits) in labels.iter().zip(&logits) {
                by_logits.add_logits(*label as usize, logits);
            }
            report_is_near(&by_logits.report(), case);
        }
    }
}

#[test]
fn binary_logits_and_probabilities_say_the_same() {
    let (mut by_logits, mut by_probabilities) = (Binary::new(ALL), Binary::new(ALL));
    for (actual, logit) in [(true, 2.0), (false, -1.5), (true, -0.5), (false, 0.25)] {
        let predicted = by_logits.add_logit(actual, logit);
        assert_eq!(by_probabilities.add_probability(actual, 1.0 / (1.0 + f64::exp(-logit)), f64::EPSILON), predicted);
    }
    for ((metric, ours), (_, theirs)) in by_logits.report().metrics.iter().zip(&by_probabilities.report().metrics) {
        assert!((ours.unwrap() - theirs.unwrap()).abs() < 1e-14, "{metric:?}");
    }
}

#[test]
fn without_room_for_scores_there_is_no_ranking() {
    let (mut classes, mut labels, mut binary) = (MultiClass::new(2, 3), MultiLabel::new(2, 3), Binary::new(1));
    for actual in [0, 1] {
        classes.add_logits(actual, &[0.5, 0.25]);
        labels.add_logits(&[actual == 0, actual == 1], &[0.5, 0.25]);
        binary.add_logit(actual == 1, 0.5);
    }
    for report in [classes.report(), labels.report(), binary.report()] {
        assert!(report.rankings.is_none() && report.get(Metric::Auc).is_none());
        assert!(report.get(Metric::Accuracy).is_some());
    }
}
