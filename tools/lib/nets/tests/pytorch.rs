//! Optimizers, schedules, losses and clipping against what PyTorch gives (fixtures/pytorch.py).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use nets::{
    Activation, Anneal, Batch, Graph, Groups, LearningRateFactors, Loss, Mode, Optimizer, ParameterKind, Perceptron,
    Plateau, PlateauOptions, Rule, Schedule, gradients,
};
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("fixtures/pytorch.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn floats(value: &Value) -> Vec<f32> {
    numbers(value).iter().map(|&x| x as f32).collect()
}

fn assert_close(ours: &[f64], theirs: &[f64], tolerance: f64, what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (i, (x, y)) in ours.iter().zip(theirs).enumerate() {
        assert!((x - y).abs() <= tolerance * y.abs().max(tolerance), "{what}: {i}: {x}, PyTorch {y}");
    }
}

#[test]
fn optimizers_go_pytorchs_way() {
    let golden = &golden()["optimizers"];
    let (start, all) = (floats(&golden["start"]), floats(&golden["gradients"]));
    // A weight of three numbers and a bias of one.
    let perceptron = Perceptron { inputs: 3, hidden: vec![], outputs: 1, activation: Activation::Relu };
    let layout = Graph::new((&perceptron).into()).unwrap().layout;
    let (betas, eps) = ([0.9, 0.999], 1e-8);
    let rules = [
        ("sgd", Rule::Sgd { momentum: 0.0, nesterov: false }),
        ("sgd_momentum", Rule::Sgd { momentum: 0.9, nesterov: false }),
        ("sgd_nesterov", Rule::Sgd { momentum: 0.9, nesterov: true }),
        ("adam", Rule::Adam { betas, eps }),
        ("adamw", Rule::AdamW { betas, eps }),
        ("rmsprop", Rule::RmsProp { alpha: 0.99, eps, momentum: 0.0 }),
        ("rmsprop_momentum", Rule::RmsProp { alpha: 0.9, eps, momentum: 0.9 }),
    ];
    let no_decay = Groups { weight_decay: 0.1, no_decay: vec![ParameterKind::Bias], ..Groups::default() };
    let learning_rate_factors = LearningRateFactors { weight: 0.5, bias: 2.0, norm: f64::NAN };
    let learning_rates = Groups { weight_decay: 0.1, no_decay: vec![], learning_rate_factors };
    // Rounding grows with the learning rate.
    let cases = [("no_decay", no_decay, 5e-6), ("learning_rates", learning_rates, 1e-5)];
    for ((case, groups, tolerance), (name, rule)) in cases.iter().flat_map(|case| rules.map(|rule| (case, rule))) {
        let isa = kernels::isa().unwrap();
        let mut optimizer = Optimizer::new(rule, &layout, groups, isa);
        let mut parameters = start.clone();
        for (step, gradients) in all.chunks(4).enumerate() {
            optimizer.step(0.05, &mut parameters, gradients);
            if step == 9 {
                // Half-way, another optimizer takes over from what this one remembers.
                let memory: Vec<_> = optimizer.memory().map(|(name, m)| (name, m.to_vec())).collect();
                let find = |wanted: &str| memory.iter().find(|(name, _)| *name == wanted).map(|(_, m)| m.clone());
                let mut next = Optimizer::new(rule, &layout, groups, isa);
                next.restore(optimizer.steps(), find).unwrap();
                optimizer = next;
            }
        }
        let ours: Vec<f64> = parameters.iter().map(|&x| f64::from(x)).collect();
        assert_close(&ours, &numbers(&golden[*case][name]), *tolerance, &format!("{name}, {case}"));
    }
}

#[test]
fn schedules_are_pytorchs() {
    let golden = &golden()["schedules"];
    let schedules = [
        ("constant", Schedule::Constant),
        ("step", Schedule::Step { step_size: 3, gamma: 0.5 }),
        ("multi_step", Schedule::MultiStep { milestones: vec![2, 5, 6], gamma: 0.1 }),
        ("cosine", Schedule::Cosine { period: 4, period_factor: 1, min_learning_rate: 0.01 }),
        ("cosine_doubling", Schedule::Cosine { period: 3, period_factor: 2, min_learning_rate: 0.0 }),
        (
            "one_cycle",
            Schedule::OneCycle {
                total: 20,
                rise: 0.3,
                div_factor: 25.0,
                final_div_factor: 1e4,
                anneal: Anneal::Cosine,
            },
        ),
        (
            "one_cycle_linear",
            Schedule::OneCycle {
                total: 20,
                rise: 0.23,
                div_factor: 5.0,
                final_div_factor: 20.0 / 7.0,
                anneal: Anneal::Linear,
            },
        ),
    ];
    for (name, schedule) in schedules {
        let theirs = numbers(&golden[name]);
        let ours: Vec<f64> = (0..theirs.len()).map(|t| schedule.learning_rate(0.1, t as u64)).collect();
        assert_close(&ours, &theirs, 1e-9, name);
    }
}

#[test]
fn a_plateau_is_pytorchs() {
    let golden = &golden()["schedules"];
    let options = PlateauOptions {
        mode: Mode::Min,
        factor: 0.5,
        patience: 2,
        threshold: 1e-4,
        cooldown: 1,
        min_learning_rate: 0.02,
    };
    let mut plateau = Plateau::new(Mode::Min, 0.1);
    let mut ours = Vec::new();
    for value in numbers(&golden["metric"]) {
        ours.push(plateau.learning_rate);
        plateau.measure(value, &options);
    }
    assert_close(&ours, &numbers(&golden["plateau"]), 1e-12, "plateau");
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
        let mut gradient = Vec::new();
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
        let mut gradient = Vec::new();
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
            loss.add(&outputs, batch, width, total, &mut Vec::new())
        };
        assert_close(&[half(0..2) + half(2..6)], &[value], 1e-12, name);
    }
}

#[test]
fn a_batch_that_weighs_nothing_has_no_loss_and_no_gradient() {
    for loss in [Loss::Mse, Loss::CrossEntropy { label_smoothing: 0.1 }, Loss::BinaryCrossEntropy] {
        let targets = if loss.is_categorical() { &[1.0, 0.0][..] } else { &[1.0, 0.0, 0.0, 1.0] };
        let batch = Batch { weights: &[0.0, 0.0], ..Batch::new(&[], targets) };
        let mut gradient = Vec::new();
        let value = loss.add(&[3.0, -1.0, 0.5, 9.0], batch, 2, loss.total_weight(batch, 2), &mut gradient);
        assert_eq!((value, gradient), (0.0, vec![0.0; 4]), "{loss:?}");
    }
}

#[test]
fn clipping_is_pytorchs() {
    let golden = &golden()["clipping"];
    let start = floats(&golden["gradients"]);
    let (mut by_norm, mut by_value) = (start.clone(), start);
    assert_eq!(gradients::clip_norm(&mut by_norm, 2.0), 13.009_611_831_257_688);
    gradients::clip_value(&mut by_value, 2.0);
    for (ours, name) in [(by_norm, "norm"), (by_value, "value")] {
        let ours: Vec<f64> = ours.iter().map(|&x| f64::from(x)).collect();
        assert_close(&ours, &numbers(&golden[name]), 1e-6, name);
    }
}
