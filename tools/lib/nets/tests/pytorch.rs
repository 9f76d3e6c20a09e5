//! Losses and their gradients against PyTorch (fixtures/pytorch.py).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use nets::{Batch, Loss};
use serde_json::Value;
use testkit::reference::{assert_close, floats, numbers};

fn golden() -> Value {
    serde_json::from_str(include_str!("fixtures/pytorch.json")).unwrap()
}

#[test]
fn losses_and_their_gradients_are_pytorchs() {
    let golden = &golden()["losses"];
    let outputs = floats(&golden["outputs"]);
    let losses = [
        ("mse", Loss::Mse),
        ("mae", Loss::Mae),
        ("huber", Loss::Huber { delta: 0.7 }),
        ("cross_entropy", Loss::CrossEntropy { label_smoothing: 0.0 }),
        ("cross_entropy_smooth", Loss::CrossEntropy { label_smoothing: 0.1 }),
        ("cross_entropy_soft", Loss::CrossEntropy { label_smoothing: 0.1 }),
        ("bce", Loss::BinaryCrossEntropy),
    ];
    for (name, loss) in losses {
        let case = &golden["cases"][name];
        let mut gradient = vec![0.0; outputs.len()];
        let targets = floats(&case["targets"]);
        let value = loss.add(&outputs, Batch::new(&[], &targets), 4, 6.0, &mut gradient);
        assert_close(&[value], &[case["loss"].as_f64().unwrap()], 1e-6, name);
        let gradient: Vec<f64> = gradient.iter().map(|&x| f64::from(x)).collect();
        // PyTorch's own are f32: near 0 they have lost digits that ours have.
        assert_close(&gradient, &numbers(&case["gradient"]), 2e-5, name);
    }
}

#[test]
fn weighted_losses_and_their_gradients_are_pytorchs() {
    let golden: Value = serde_json::from_str(include_str!("fixtures/weighted.json")).unwrap();
    let losses = [
        ("cross_entropy", Loss::CrossEntropy { label_smoothing: 0.0 }),
        ("cross_entropy_smooth", Loss::CrossEntropy { label_smoothing: 0.1 }),
        ("cross_entropy_soft", Loss::CrossEntropy { label_smoothing: 0.1 }),
        ("bce", Loss::BinaryCrossEntropy),
        ("bce_classes", Loss::BinaryCrossEntropy),
        ("mse", Loss::Mse),
        ("mae", Loss::Mae),
        ("huber", Loss::Huber { delta: 0.7 }),
    ];
    for (name, loss) in losses {
        let case = &golden[name];
        let [outputs, targets, weights, class_weights] =
            ["outputs", "targets", "weights", "class_weights"].map(|key| floats(&case[key]));
        let (inputs, width) = (&[][..], case["width"].as_u64().unwrap() as usize);
        let batch = Batch { inputs, targets: &targets, weights: &weights, class_weights: &class_weights };
        let total = loss.total_weight(batch, 6);
        let mut gradient = vec![0.0; outputs.len()];
        let value = loss.add(&outputs, batch, width, total, &mut gradient);
        assert_close(&[value], &[case["loss"].as_f64().unwrap()], 1e-6, name);
        let gradient: Vec<f64> = gradient.iter().map(|&x| f64::from(x)).collect();
        // The reference is a quotient of differences.
        assert_close(&gradient, &numbers(&case["gradient"]), 2e-5, name);
        // A part of a batch adds its share.
        let half = |rows: std::ops::Range<usize>| {
            let of = |values: &'_ [f32], a_row: usize| values[rows.start * a_row..rows.end * a_row].to_vec();
            let (outputs, targets) = (of(&outputs, width), of(&targets, targets.len() / 6));
            let weights = if weights.is_empty() { vec![] } else { of(&weights, 1) };
            let batch = Batch { inputs, targets: &targets, weights: &weights, class_weights: &class_weights };
            loss.add(&outputs, batch, width, total, &mut vec![0.0; outputs.len()])
        };
        assert_close(&[half(0..2) + half(2..6)], &[value], 1e-12, name);
    }
}

#[test]
fn a_batch_that_weighs_nothing_has_no_loss_and_no_gradient() {
    for loss in [Loss::Mse, Loss::CrossEntropy { label_smoothing: 0.1 }, Loss::BinaryCrossEntropy] {
        let targets = if loss.is_categorical() { &[1.0, 0.0][..] } else { &[1.0, 0.0, 0.0, 1.0] };
        let batch = Batch { weights: &[0.0, 0.0], ..Batch::new(&[], targets) };
        let mut gradient = vec![1.0; 4];
        let value = loss.add(&[3.0, -1.0, 0.5, 9.0], batch, 2, loss.total_weight(batch, 2), &mut gradient);
        assert_eq!((value, gradient), (0.0, vec![0.0; 4]), "{loss:?}");
    }
}
