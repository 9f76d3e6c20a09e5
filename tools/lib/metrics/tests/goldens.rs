//! The metrics against scikit-learn. `fixtures/scikit_learn.py` made the numbers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use metrics::{Confusion, MultiClass, MultiLabel, Ranking, Regression, macro_means};
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

fn ranking_is_near(ours: Option<Ranking>, case: &Value) {
    let Ranking { auc, average_precision } = ours.unwrap();
    near(auc, case, "auc");
    near(average_precision, case, "average_precision");
}

fn means_are_near(ours: [f64; 3], case: &Value) {
    for (i, (ours, expected)) in ours.into_iter().zip(numbers(&case["macro"])).enumerate() {
        assert!((ours - expected).abs() <= 1e-12, "mean {i}: {ours}, expected {expected}");
    }
}

/// The counts of each actual class, by the predicted one.
fn matrix(confusion: &Confusion) -> Vec<Vec<u64>> {
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
        let mut metrics = MultiLabel::new(1, ALL);
        for (truth, score) in numbers(&case["truth"]).into_iter().zip(numbers(&case["scores"])) {
            metrics.add_probabilities(&[truth == 1.0], &[score], f64::EPSILON);
        }
        near(metrics.accuracy(), case, "accuracy");
        near(metrics.subset_accuracy(), case, "accuracy");
        near(metrics.cross_entropy(), case, "cross_entropy");
        let [score] = metrics.class_scores()[..] else { panic!("one label") };
        near(score.precision.unwrap_or(0.0), case, "precision");
        near(score.recall.unwrap(), case, "recall");
        near(score.f1.unwrap(), case, "f1");
        assert_eq!(json!(matrix(&metrics.confusion(0))), case["confusion"]);
        ranking_is_near(Ranking::mean(&metrics.rankings().unwrap()), case);
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
    near(metrics.accuracy(), &case, "accuracy");
    near(metrics.subset_accuracy(), &case, "subset_accuracy");
    near(metrics.cross_entropy(), &case, "cross_entropy");
    means_are_near(macro_means(metrics.class_scores().iter()), &case);
    ranking_is_near(Ranking::mean(&metrics.rankings().unwrap()), &case);
}

#[test]
fn multi_class_classification_is_scikit_learns() {
    for case in golden("multi_class").as_array().unwrap() {
        let (labels, probabilities) = (numbers(&case["labels"]), rows(&case["probabilities"]));
        let mut by_probabilities = MultiClass::new(probabilities[0].len(), ALL);
        for (label, probabilities) in labels.iter().zip(&probabilities) {
            by_probabilities.add_probabilities(*label as usize, probabilities, f64::EPSILON);
        }
        multi_class_is_near(&by_probabilities, case);
        if case["logits"].is_array() {
            let logits = rows(&case["logits"]);
            let mut by_logits = MultiClass::new(logits[0].len(), ALL);
            for (label, logits) in labels.iter().zip(&logits) {
                by_logits.add_logits(*label as usize, logits);
            }
            multi_class_is_near(&by_logits, case);
        }
    }
}

fn multi_class_is_near(metrics: &MultiClass, case: &Value) {
    let confusion: &Confusion = metrics.confusion();
    assert_eq!(json!(matrix(confusion)), case["confusion"]);
    near(confusion.accuracy(), case, "accuracy");
    near(metrics.cross_entropy(), case, "cross_entropy");
    means_are_near(macro_means(metrics.class_scores().iter().filter(|score| score.occurs())), case);
    ranking_is_near(Ranking::of_classes(&metrics.rankings().unwrap()), case);
}
