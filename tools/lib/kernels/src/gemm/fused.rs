//! Fully connected layers of inference: weights packed once; bias, residual and activation as the product's epilogue.
//!
//! An element starts from its bias; the terms follow in ascending k, each by a fused multiply-add. So a row has the same bits
//! in batches of any size and on every instruction set.

use super::{
    Matrix,
    tile::{PANEL, Tiles, add_products, each_tile, read, write},
};
use crate::{
    epilogue::Epilogue,
    isa::Isa,
    vector::{LANES, Line, Vector, dispatch_vector},
};
use parallel::parallel_for;
use std::ops::Range;

/// Multiply-adds of a task, some tens of microseconds: handing one over must cost little of it.
const TASK: usize = 1 << 20;
/// Terms of a block: with the columns of a panel 32 KiB, which stay in the L1 cache while all rows pass.
const DEPTH: usize = 128;
/// A multiple of the rows of every tile.
const TILE_ROWS: usize = 24;

/// `output = activation(input · weight + bias + residual)` with a constant weight.
#[derive(Debug)]
pub struct FusedLinear {
    isa: Isa,
    inputs: usize,
    outputs: usize,
    /// `[panel, inputs, columns of the panel]`; panels have 64 columns, the last one as many lines as it needs.
    packed: Vec<f32>,
    /// `[outputs]`, and zeros up to a whole number of lines.
    bias: Vec<f32>,
}

impl FusedLinear {
    /// Packs a weight `[inputs, outputs]`; an empty bias is one of zeros.
    ///
    /// # Panics
    /// If the bias has another length.
    pub fn new(weight: Matrix<'_>, bias: &[f32]) -> Self {
        Self::on(Isa::chosen(), weight, bias)
    }

    /// As [`Self::new`], for a given instruction set: for tests and benchmarks.
    ///
    /// # Panics
    /// As [`Self::new`].
    pub fn on(isa: Isa, weight: Matrix<'_>, bias: &[f32]) -> Self {
        let (inputs, outputs) = (weight.rows, weight.columns);
        assert!(bias.is_empty() || bias.len() == outputs, "a bias of {} for {outputs} outputs", bias.len());
        let mut packed = Vec::with_capacity(inputs * Epilogue::padded_len(outputs));
        for first in (0..outputs).step_by(PANEL) {
            let columns = first..outputs.min(first + PANEL);
            for k in 0..inputs {
                packed.extend(columns.clone().map(|column| weight.at(k, column)));
                packed.resize(packed.len().next_multiple_of(LANES), 0.0);
            }
        }
        let mut bias = bias.to_vec();
        bias.resize(Epilogue::padded_len(outputs), 0.0);
        Self { isa, inputs, outputs, packed, bias }
    }

    /// Elements of a row of the input.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Elements of a row of the output.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Elements of the packed weight and bias.
    pub fn packed_len(&self) -> usize {
        self.packed.len() + self.bias.len()
    }

    /// Overwrites `output` `[rows, outputs]`; `input` is `[rows, inputs]`. The epilogue's bias is not read: it is that of
    /// [`Self::new`].
    ///
    /// # Panics
    /// If the lengths do not match.
    pub fn run(&self, input: &[f32], epilogue: Epilogue<'_>, output: &mut [f32]) {
        let rows = output.len() / self.outputs.max(1);
        assert_eq!((input.len(), output.len()), (rows * self.inputs, rows * self.outputs), "elements of {rows} rows");
        let residual = epilogue.residual.len();
        assert!(residual == 0 || residual == output.len(), "elements of the residual");
        let row_cost = (self.inputs * self.outputs).max(1);
        if rows * row_cost <= 2 * TASK {
            return self.task(input, 0..self.panels(), epilogue, output);
        }
        if rows == 1 {
            let panels = (TASK / (self.inputs * PANEL).max(1)).max(1);
            let tasks = output.chunks_mut(panels * PANEL).enumerate();
            parallel_for(tasks, |(i, output)| {
                let first = i * panels * PANEL;
                let epilogue = epilogue.part(first..first + output.len());
                self.task(input, i * panels..self.panels().min((i + 1) * panels), epilogue, output);
            });
            return;
        }
        let rows = (TASK / row_cost).max(1).next_multiple_of(TILE_ROWS);
        let tasks = input.chunks(rows * self.inputs.max(1)).zip(output.chunks_mut(rows * self.outputs)).enumerate();
        parallel_for(tasks, |(i, (input, output))| {
            let first = i * rows * self.outputs;
            let epilogue = epilogue.part(first..first + output.len());
            self.task(input, 0..self.panels(), epilogue, output);
        });
    }

    fn panels(&self) -> usize {
        self.outputs.div_ceil(PANEL)
    }

    /// All rows of some panels: `output` and the residual have the columns of those panels.
    fn task(&self, input: &[f32], panels: Range<usize>, epilogue: Epilogue<'_>, output: &mut [f32]) {
        let epilogue = Epilogue { bias: &self.bias, ..epilogue };
        let first = panels.start * PANEL;
        rows(self.isa, self, input, panels, first, &epilogue, output);
        epilogue.finish(self.isa, output);
    }
}

dispatch_vector! {
    fn rows(linear: &FusedLinear, input: &[f32], panels: Range<usize>, first: usize, epilogue: &Epilogue<'_>, output: &mut [f32]) => rows_kernel
}

/// A block of one panel: which terms, and where the sums go.
#[derive(Clone, Copy)]
struct Block<'a> {
    input: &'a [f32],
    /// Elements of a row of the input.
    inputs: usize,
    /// Terms of the block.
    terms: [usize; 2],
    /// The panel's rows of these terms, `lines` each.
    panel: &'a [Line],
    lines: usize,
    /// The panel's bias.
    bias: &'a [Line],
    residual: &'a [f32],
    bounds: [f32; 2],
    /// Elements of a row of the output, and the panel's first in it.
    step: usize,
    column: usize,
    /// Columns of the panel.
    width: usize,
}

#[inline(always)]
fn rows_kernel<V: Vector, const M: usize>(
    zero: V,
    linear: &FusedLinear,
    input: &[f32],
    panels: Range<usize>,
    first: usize,
    epilogue: &Epilogue<'_>,
    output: &mut [f32],
) {
    let inputs = linear.inputs;
    let step = linear.outputs.min(panels.end * PANEL) - first;
    let rows = output.len() / step;
    let packed = linear.packed.as_chunks::<LANES>().0;
    let bias = linear.bias.as_chunks::<LANES>().0;
    for panel in panels {
        let column = panel * PANEL;
        let width = PANEL.min(linear.outputs - column);
        let lines = width.div_ceil(LANES);
        let values = &packed[column / LANES * inputs..][..lines * inputs];
        // Without terms the sums are the bias.
        let mut from = 0;
        loop {
            let to = inputs.min(from + DEPTH);
            let block = Block {
                input,
                inputs,
                terms: [from, to],
                panel: &values[from * lines..to * lines],
                lines,
                bias: &bias[column / LANES..][..lines],
                residual: if to == inputs { epilogue.residual } else { &[] },
                bounds: if to == inputs { epilogue.bounds() } else { [f32::NEG_INFINITY, f32::INFINITY] },
                step,
                column: column - first,
                width,
            };
            each_tile::<V, M>(zero, rows, width, &mut Product { block, output });
            from = to;
            if from == inputs {
                break;
            }
        }
    }
}

/// A block with its output.
struct Product<'a, 'o> {
    block: Block<'a>,
    output: &'o mut [f32],
}

impl<V: Vector> Tiles<V> for Product<'_, '_> {
    /// Arrays are filled and read by index: what iterators or closures borrow is kept in memory instead of registers.
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "an array that an iterator borrows is kept in memory")]
    fn tile<const M: usize, const N: usize, const PART: bool>(&mut self, zero: V, row: usize, line: usize) {
        let Self { block, ref mut output } = *self;
        let [from, to] = block.terms;
        let first = row * block.step + block.column + line * LANES;
        let part = block.width % LANES;
        let mut sums = [[zero; N]; M];
        if from == 0 {
            let Some(bias) = block.bias[line..].first_chunk::<N>() else { return };
            for n in 0..N {
                let bias = zero.load(&bias[n]);
                for m in 0..M {
                    sums[m][n] = bias;
                }
            }
        } else {
            for m in 0..M {
                for n in 0..N {
                    sums[m][n] = read::<V, PART>(zero, &output[first + m * block.step + n * LANES..], part);
                }
            }
        }
        let input = (&block.input[row * block.inputs + from..], [block.inputs, 1]);
        let panel = (block.panel.get(line..).unwrap_or_default().as_flattened(), [block.lines * LANES, LANES]);
        sums = add_products(zero, sums, input, panel, to - from);
        if !block.residual.is_empty() {
            for m in 0..M {
                for n in 0..N {
                    let residual = &block.residual[first + m * block.step + n * LANES..];
                    sums[m][n] = sums[m][n].add(read::<V, PART>(zero, residual, part));
                }
            }
        }
        let [low, high] = [zero.splat(block.bounds[0]), zero.splat(block.bounds[1])];
        for m in 0..M {
            for n in 0..N {
                let output = &mut output[first + m * block.step + n * LANES..];
                write::<V, PART>(sums[m][n].clamp(low, high), output, part);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Activation;

    fn draw(seed: u64, len: usize) -> Vec<f32> {
        let mut random = random::Random::new(seed, 0);
        (0..len).map(|_| random.normal() as f32).collect()
    }

    /// Bits equal those of the plain loop, on every instruction set.
    fn check(rows: usize, inputs: usize, outputs: usize) {
        let (input, weight) = (draw(1, rows * inputs), draw(2, inputs * outputs));
        let (bias, residual) = (draw(3, outputs), draw(4, rows * outputs));
        for activation in [Activation::Identity, Activation::Relu, Activation::LeakyRelu(0.1)] {
            for residual in [&[][..], &residual] {
                let element = |i: usize| {
                    let (row, column) = (i / outputs, i % outputs);
                    let terms = (0..inputs).map(|k| (input[row * inputs + k], weight[k * outputs + column]));
                    let sum = terms.fold(bias[column], |sum, (x, w)| x.mul_add(w, sum));
                    if residual.is_empty() { sum } else { sum + residual[i] }
                };
                let mut expected: Vec<f32> = (0..rows * outputs).map(element).collect();
                activation.apply(&mut expected);
                let transposed: Vec<f32> =
                    (0..weight.len()).map(|i| weight[i % inputs.max(1) * outputs + i / inputs.max(1)]).collect();
                for isa in Isa::supported() {
                    let direct = Matrix::new(&weight, inputs, outputs);
                    for weight in [direct, Matrix::new(&transposed, outputs, inputs).transposed()] {
                        let mut output = vec![f32::NAN; rows * outputs];
                        let linear = FusedLinear::on(isa, weight, &bias);
                        linear.run(&input, Epilogue { bias: &[], residual, activation }, &mut output);
                        assert!(output == expected, "{rows} × {inputs} → {outputs}, {isa}, {activation:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn gives_the_bits_of_the_plain_loop() {
        for rows in [1, 2, 5, 6, 7, 13, 30] {
            for [inputs, outputs] in [[8, 64], [64, 64], [64, 1], [3, 17], [5, 70], [600, 33], [0, 3], [1, 130]] {
                check(rows, inputs, outputs);
            }
        }
    }

    /// Several tasks, of rows and of panels.
    #[test]
    fn tasks_do_not_matter() {
        check(300, 100, 100);
        check(1, 1500, 1600);
    }
}
