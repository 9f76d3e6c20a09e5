//! The layer against its definition in f64, on every instruction set and on several threads.

use super::*;
use random::Random;

/// `[rows, inputs, outputs]`: one element; remainders of rows, lines and tiles; several blocks; tasks on several threads.
const SHAPES: [[usize; 3]; 7] =
    [[1, 1, 1], [5, 3, 2], [64, 64, 64], [67, 130, 11], [130, 17, 150], [64, 784, 200], [300, 333, 270]];

struct Case {
    weight: Vec<f32>,
    bias: Vec<f32>,
    input: Vec<f32>,
    grad_output: Vec<f32>,
}

/// Output, gradients of the input, of the weight and of the bias.
type Results = [Vec<f32>; 4];

impl Case {
    fn new([rows, inputs, outputs]: [usize; 3]) -> Self {
        let mut random = Random::new(3, 0);
        let mut draw = |len: usize| (0..len).map(|_| random.normal() as f32).collect();
        Self {
            weight: draw(outputs * inputs),
            bias: draw(outputs),
            input: draw(rows * inputs),
            grad_output: draw(rows * outputs),
        }
    }

    fn run(&self, [rows, inputs, outputs]: [usize; 3], isa: Isa) -> Results {
        let linear = Linear { isa, ..Linear::new(inputs, outputs) };
        // What an earlier batch left must not matter.
        let [mut input, mut output, mut grad_output, mut grad_input] = [(); 4].map(|()| {
            let mut blocked = Blocked::default();
            blocked.pack(&vec![f32::NAN; 100 * 90], 100, 90);
            blocked
        });
        input.pack(&self.input, rows, inputs);
        grad_output.pack(&self.grad_output, rows, outputs);
        let mut results = [rows * outputs, rows * inputs, outputs * inputs, outputs].map(|len| vec![f32::NAN; len]);
        linear.forward(&self.weight, &self.bias, &input, &mut output, Activation::Relu);
        linear.grad_input(&self.weight, &grad_output, &input, &mut grad_input, Activation::Tanh);
        let [all, by_row, grad_weight, grad_bias] = &mut results;
        output.unpack(all);
        grad_input.unpack(by_row);
        linear.grad_weight(&grad_output, &input, grad_weight, grad_bias);
        results
    }

    /// The definitions; a ReLU follows the layer, and the hyperbolic tangent comes before it.
    fn reference(&self, [rows, inputs, outputs]: [usize; 3]) -> [Vec<f64>; 4] {
        let at = |values: &[f32], i: usize| f64::from(values[i]);
        let weight = |o: usize, i: usize| at(&self.weight, o * inputs + i);
        let input = |r: usize, i: usize| at(&self.input, r * inputs + i);
        let grad = |r: usize, o: usize| at(&self.grad_output, r * outputs + o);
        let table = |m: usize, n: usize, f: &dyn Fn(usize, usize) -> f64| (0..m * n).map(|i| f(i / n, i % n)).collect();
        [
            table(rows, outputs, &|r, o| {
                (at(&self.bias, o) + (0..inputs).map(|i| input(r, i) * weight(o, i)).sum::<f64>()).max(0.0)
            }),
            table(rows, inputs, &|r, i| {
                (1.0 - input(r, i).powi(2)) * (0..outputs).map(|o| grad(r, o) * weight(o, i)).sum::<f64>()
            }),
            table(outputs, inputs, &|o, i| (0..rows).map(|r| grad(r, o) * input(r, i)).sum()),
            table(1, outputs, &|_, o| (0..rows).map(|r| grad(r, o)).sum()),
        ]
    }
}

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads")
}

fn bits(results: Results) -> Vec<u32> {
    results.concat().into_iter().map(f32::to_bits).collect()
}

#[test]
fn agrees_with_the_definition_on_every_instruction_set() {
    for shape in SHAPES {
        let case = Case::new(shape);
        let expected = case.reference(shape);
        for isa in Isa::supported() {
            for (what, (ours, expected)) in case.run(shape, isa).iter().zip(&expected).enumerate() {
                assert_eq!(ours.len(), expected.len());
                let largest = expected.iter().fold(1.0f64, |largest, x| largest.max(x.abs()));
                for (i, (&x, y)) in ours.iter().zip(expected).enumerate() {
                    assert!(
                        (f64::from(x) - y).abs() <= 2e-6 * largest,
                        "{shape:?}, {isa}, result {what}, {i}: {x} and {y}"
                    );
                }
            }
        }
    }
}

#[test]
fn every_instruction_set_and_any_number_of_threads_give_the_same_bits() {
    for shape in SHAPES {
        let case = Case::new(shape);
        let run = |isa: Isa, threads: usize| bits(pool(threads).install(|| case.run(shape, isa)));
        let expected = run(Isa::detect(), 1);
        for threads in 2..=4 {
            assert!(run(Isa::detect(), threads) == expected, "{shape:?} on {threads} threads");
        }
        for isa in Isa::supported() {
            assert!(run(isa, 1) == expected, "{shape:?}, {isa}");
        }
    }
}

#[test]
fn a_batch_survives_its_blocks() {
    for [rows, features, _] in SHAPES {
        let values: Vec<f32> = (0..rows * features).map(|i| i as f32).collect();
        let (mut blocked, mut back) = (Blocked::default(), vec![f32::NAN; values.len()]);
        blocked.pack(&values, rows, features);
        blocked.unpack(&mut back);
        assert_eq!(back, values);
    }
}
