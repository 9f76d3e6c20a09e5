//! Optimizers, schedules and clipping against PyTorch (fixtures/pytorch.py).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use metrics::Direction;
use optim::{
    Algorithm, Anneal, Error, Optimizer, ParamGroup, Plateau, PlateauOptions, Schedule, clip_grad_norm, clip_grad_value,
};
use serde_json::Value;
use testkit::reference::{assert_close, floats, numbers};

fn golden() -> Value {
    serde_json::from_str(include_str!("fixtures/pytorch.json")).unwrap()
}

#[test]
fn optimizers_go_pytorchs_way() {
    let golden = &golden()["optimizers"];
    let (start, all) = (floats(&golden["start"]), floats(&golden["gradients"]));
    let (betas, eps) = ([0.9, 0.999], 1e-8);
    let algorithms = [
        ("sgd", Algorithm::Sgd { momentum: 0.0, nesterov: false }),
        ("sgd_momentum", Algorithm::Sgd { momentum: 0.9, nesterov: false }),
        ("sgd_nesterov", Algorithm::Sgd { momentum: 0.9, nesterov: true }),
        ("adam", Algorithm::Adam { betas, eps }),
        ("adamw", Algorithm::AdamW { betas, eps }),
        ("rmsprop", Algorithm::RmsProp { alpha: 0.99, eps, momentum: 0.0 }),
        ("rmsprop_momentum", Algorithm::RmsProp { alpha: 0.9, eps, momentum: 0.9 }),
    ];
    // A weight of three elements and a bias of one.
    let groups = |[weight, bias]: [(f64, f64); 2]| {
        let group =
            |range, (weight_decay, learning_rate_factor)| ParamGroup { range, weight_decay, learning_rate_factor };
        vec![group(0..3, weight), group(3..4, bias)]
    };
    let (no_decay, learning_rates) = (groups([(0.1, 1.0), (0.0, 1.0)]), groups([(0.1, 0.5), (0.1, 2.0)]));
    // Rounding grows with the learning rate.
    let cases = [("no_decay", no_decay, 5e-6), ("learning_rates", learning_rates, 1e-5)];
    for ((case, groups, tolerance), (name, algorithm)) in
        cases.iter().flat_map(|case| algorithms.map(|algorithm| (case, algorithm)))
    {
        let isa = kernels::isa().unwrap();
        let mut optimizer = Optimizer::new(algorithm, groups.clone(), 4, isa);
        let mut parameters = start.clone();
        for (step, gradients) in all.chunks(4).enumerate() {
            optimizer.step(0.05, &mut parameters, gradients);
            if step == 9 {
                // Half-way, another optimizer resumes from this one's state.
                let state: Vec<_> = optimizer.state().map(|(name, values)| (name, values.to_vec())).collect();
                let find =
                    |wanted: &str| state.iter().find(|(name, _)| *name == wanted).map(|(_, values)| values.clone());
                let mut next = Optimizer::new(algorithm, groups.clone(), 4, isa);
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
        direction: Direction::Minimize,
        factor: 0.5,
        patience: 2,
        threshold: 1e-4,
        cooldown: 1,
        min_learning_rate: 0.02,
    };
    let mut plateau = Plateau::new(Direction::Minimize, 0.1);
    let mut ours = Vec::new();
    for value in numbers(&golden["metric"]) {
        ours.push(plateau.learning_rate);
        plateau.step(value, &options);
    }
    assert_close(&ours, &numbers(&golden["plateau"]), 1e-12, "plateau");
}

#[test]
fn clipping_is_pytorchs() {
    let golden = &golden()["clipping"];
    let start = floats(&golden["gradients"]);
    let (mut by_norm, mut by_value) = (start.clone(), start);
    assert_eq!(clip_grad_norm(&mut by_norm, 2.0), 13.009_611_831_257_688);
    clip_grad_value(&mut by_value, 2.0);
    for (ours, name) in [(by_norm, "norm"), (by_value, "value")] {
        let ours: Vec<f64> = ours.iter().map(|&x| f64::from(x)).collect();
        assert_close(&ours, &numbers(&golden[name]), 1e-6, name);
    }
}

#[test]
fn state_that_does_not_fit_is_refused() {
    let mut optimizer =
        Optimizer::new(Algorithm::Adam { betas: [0.9, 0.999], eps: 1e-8 }, vec![], 4, kernels::isa().unwrap());
    let first_only = |name: &str| (name == "first_moment").then(|| vec![0.0; 4]);
    assert_eq!(optimizer.restore(1, first_only), Err(Error::MissingState { name: "second_moment" }));
    let short = |_: &str| Some(vec![0.0; 3]);
    assert_eq!(optimizer.restore(1, short), Err(Error::StateLength { name: "first_moment", found: 3, expected: 4 }));
    assert_eq!(optimizer.steps(), 0);
}

#[test]
fn parameters_outside_all_groups_are_frozen() {
    for algorithm in [
        Algorithm::Sgd { momentum: 0.9, nesterov: true },
        Algorithm::AdamW { betas: [0.9, 0.999], eps: 1e-8 },
        Algorithm::RmsProp { alpha: 0.99, eps: 1e-8, momentum: 0.9 },
    ] {
        let group = ParamGroup { range: 1..3, weight_decay: 0.1, learning_rate_factor: 1.0 };
        let mut optimizer = Optimizer::new(algorithm, vec![group], 4, kernels::isa().unwrap());
        let mut parameters = [1.0; 4];
        optimizer.step(0.1, &mut parameters, &[1.0; 4]);
        assert_eq!((parameters[0], parameters[3]), (1.0, 1.0), "{algorithm:?}");
        assert!(parameters[1..3].iter().all(|&x| x < 1.0), "{algorithm:?}");
        for (name, state) in optimizer.state() {
            assert_eq!((state.len(), state[0], state[3]), (4, 0.0, 0.0), "{name}");
        }
    }
}

#[test]
fn one_cycle_may_rise_in_no_time_and_stays_at_its_end() {
    // PyTorch divides by 0 where the rise has no length.
    let cycle =
        Schedule::OneCycle { total: 10, rise: 0.1, div_factor: 4.0, final_div_factor: 8.0, anneal: Anneal::Linear };
    assert_eq!(cycle.learning_rate(0.5, 0), 0.5);
    let end = 0.5 / 4.0 / 8.0;
    for time in [9, 10, 1_000_000] {
        assert_close(&[cycle.learning_rate(0.5, time)], &[end], 1e-12, &format!("after {time}"));
    }
    assert_close(&[cycle.learning_rate(0.5, 3)], &[0.5 + (end - 0.5) / 3.0], 1e-12, "a third of the fall");
}

#[test]
fn small_gradients_are_not_clipped() {
    let start = [0.3, -0.4];
    let (mut by_norm, mut by_value) = (start, start);
    assert!((clip_grad_norm(&mut by_norm, 1.0) - 0.5).abs() < 1e-7);
    clip_grad_value(&mut by_value, 0.4);
    assert_eq!((by_norm, by_value), (start, start));
}

#[test]
fn a_plateau_of_a_metric_to_maximize_has_a_lower_bound_and_a_cooldown() {
    let options = PlateauOptions {
        direction: Direction::Maximize,
        factor: 0.1,
        patience: 1,
        threshold: 0.1,
        cooldown: 2,
        min_learning_rate: 0.005,
    };
    let mut plateau = Plateau::new(Direction::Maximize, 0.1);
    let mut rates = Vec::new();
    // 1.05 is no improvement on 1 by a tenth; after each reduction two measurements do not count.
    for value in [1.0, 1.05, 1.05, 1.05, 1.05, 1.05, 1.05, 1.05, 1.05, 1.05, 1.05, 1.2] {
        plateau.step(value, &options);
        rates.push(plateau.learning_rate);
    }
    let expected = [0.1, 0.1, 0.01, 0.01, 0.01, 0.01, 0.005, 0.005, 0.005, 0.005, 0.005, 0.005];
    assert_close(&rates, &expected, 1e-12, "plateau");
    assert_eq!((plateau.best, plateau.num_bad_epochs), (1.2, 0));
}

#[test]
fn steps_are_counted_and_restored() {
    let algorithm = Algorithm::Adam { betas: [0.9, 0.999], eps: 1e-8 };
    let new = || Optimizer::new(algorithm, vec![], 1, kernels::isa().unwrap());
    let mut optimizer = new();
    (0..3).for_each(|_| optimizer.step(0.1, &mut [1.0], &[1.0]));
    assert_eq!(optimizer.steps(), 3);
    let mut other = new();
    other.restore(3, |_| Some(vec![0.5])).unwrap();
    assert_eq!(other.steps(), 3);
    assert!(other.state().all(|(_, values)| values == [0.5]));
    assert_eq!(other.state().map(|(name, _)| name).collect::<Vec<_>>(), ["first_moment", "second_moment"]);
}
