//! Optimizer steps on a GPU: [`optim::Optimizer`] and clipping, all parameters in one launch.

#![allow(unsafe_code, reason = "calls of kernels")]

use crate::{Error, Gpu, Result, source, staging::Staged};
use cuda::source::Grid;
use cudarc::driver::{CudaSlice, DeviceRepr, ValidAsZeroBits};
use optim::{Algorithm, CLIP_EPS, ParamGroup, Update, pairwise::Summand};
use std::{cell::RefCell, iter, ops::Range, rc::Rc, sync::Arc};

/// Elements of a tile, which a block updates: enough that reading its coefficients costs little.
const TILE: usize = 4096;
/// Threads of a block.
const THREADS: usize = 256;
/// SQUARES of optimizer.cu: gradients of a block's sum of squares.
const SQUARES: usize = 8192;
/// COEFFICIENTS of optimizer.cu: numbers of a group's coefficients.
const COEFFICIENTS: usize = 8;
/// NO_GROUP of optimizer.cu: a tile that is only averaged.
const NO_GROUP: u32 = u32::MAX;
/// Elements of a thread of `add_gradients`.
const ADDED: usize = 4;

/// An algorithm with its state on the GPU, for one flat buffer of parameters there: the bits of [`optim::Optimizer`].
pub struct Optimizer {
    gpu: Arc<Gpu>,
    algorithm: Algorithm,
    groups: Vec<ParamGroup>,
    len: usize,
    /// As [`optim::Optimizer::state`]'s.
    state: Vec<CudaSlice<f32>>,
    steps: u64,
    /// Those of the groups; then those of elements outside them that are averaged.
    tiles: CudaSlice<Tile>,
    tile_count: usize,
    coefficients: Staged<f32>,
    partial_sums: CudaSlice<f64>,
    /// `[2]`: of the last step, and of [`Optimizer::clipped_norm`].
    outcome: CudaSlice<StepState>,
    last: Options,
}

/// What happens to the gradients of a step before the update.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Factor on them: 1 / the batches whose sum they are.
    pub mean: f32,
    /// As [`optim::clip_grad_norm`].
    pub clip_norm: Option<f64>,
    /// As [`optim::clip_grad_value`].
    pub clip_value: Option<f64>,
}

impl Default for Options {
    /// Nothing.
    fn default() -> Self {
        Self { mean: 1.0, clip_norm: None, clip_value: None }
    }
}

impl Options {
    fn limit(self) -> f32 {
        self.clip_value.map_or(f32::INFINITY, |limit| limit as f32)
    }
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// L2 norm of the mean gradients, before clipping.
    pub norm: f64,
    /// Whether they and the losses were finite; otherwise nothing was updated.
    pub finite: bool,
}

/// Neighbouring elements of a group. `Tile` of optimizer.cu.
#[repr(C, align(16))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tile {
    start: u64,
    count: u32,
    group: u32,
}

/// `StepState` of optimizer.cu.
#[repr(C, align(16))]
#[derive(Debug, Clone, Copy)]
struct StepState {
    norm: f64,
    scale: f32,
    finite: u32,
}

// SAFETY: numbers without padding between them.
unsafe impl DeviceRepr for Tile {}
// SAFETY: as above.
unsafe impl DeviceRepr for StepState {}
// SAFETY: any bits are numbers.
unsafe impl ValidAsZeroBits for Tile {}
// SAFETY: any bits are numbers.
unsafe impl ValidAsZeroBits for StepState {}

impl Optimizer {
    /// An optimizer of `len` parameters before its first step: all state is 0. Parameters outside `groups`, which do not
    /// overlap, are not updated; where a moving average is kept, it is of the first `averaged` parameters, in groups or not.
    ///
    /// # Errors
    /// If the GPU's memory has no room for the state.
    ///
    /// # Panics
    /// If a group is not within the parameters; or some are averaged, and a group is not among them.
    pub fn new(
        gpu: &Arc<Gpu>,
        algorithm: Algorithm,
        groups: Vec<ParamGroup>,
        len: usize,
        averaged: usize,
    ) -> Result<Self> {
        let end = groups.iter().map(|group| group.range.end).max().unwrap_or(0);
        assert!(end.max(averaged) <= len && (averaged == 0 || averaged >= end), "groups of {len} parameters");
        let state = algorithm.state_names().iter().map(|_| gpu.zeros("optimizer state", len));
        let tiles = tiles(&groups, averaged);
        Ok(Self {
            algorithm,
            len,
            state: state.collect::<Result<_>>()?,
            steps: 0,
            tile_count: tiles.len(),
            tiles: if tiles.is_empty() { gpu.zeros("tiles", 1)? } else { gpu.upload("tiles", &tiles)? },
            coefficients: Staged::new(gpu, "coefficients"),
            partial_sums: gpu.zeros("partial sums", len.div_ceil(SQUARES))?,
            outcome: gpu.zeros("norms", 2)?,
            last: Options::default(),
            groups,
            gpu: gpu.clone(),
        })
    }

    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The arrays of state by name, each as long as the parameters, from the GPU.
    ///
    /// # Errors
    /// If the driver refuses.
    pub fn state(&self) -> Result<Vec<(&'static str, Vec<f32>)>> {
        let download = |(name, values)| Ok((name, self.gpu.download(values, self.len)?));
        self.algorithm.state_names().iter().copied().zip(&self.state).map(download).collect()
    }

    /// As [`optim::Optimizer::restore`].
    ///
    /// # Errors
    /// When an array is missing or has another length, or the driver refuses.
    pub fn restore(&mut self, steps: u64, mut find: impl FnMut(&str) -> Option<Vec<f32>>) -> Result<()> {
        for (&name, state) in self.algorithm.state_names().iter().zip(&mut self.state) {
            let found = find(name).ok_or(optim::Error::MissingState { name })?;
            if found.len() != self.len {
                return Err(optim::Error::StateLength { name, found: found.len(), expected: self.len }.into());
            }
            self.gpu.stream().memcpy_htod(&found, state)?;
        }
        // What was copied is freed.
        self.gpu.stream().synchronize()?;
        self.steps = steps;
        Ok(())
    }

    /// One step, of `gradients` of the parameters' length: their norm, clipping, the update, and `average`, the moving average
    /// with its decay rate. Where a gradient or one of the first `batches` `losses` is not finite, nothing is updated. Does not
    /// wait for the GPU: [`Optimizer::outcome`] says what became of it.
    ///
    /// # Errors
    /// If the driver refuses.
    ///
    /// # Panics
    /// If a buffer is too short.
    pub fn step(
        &mut self,
        learning_rate: f64,
        options: Options,
        (losses, batches): (&CudaSlice<f64>, usize),
        parameters: &mut CudaSlice<f32>,
        gradients: &CudaSlice<f32>,
        average: Option<(&mut CudaSlice<f32>, f64)>,
    ) -> Result<()> {
        let fits = |values: &CudaSlice<f32>| values.len() >= self.len;
        assert!(fits(parameters) && fits(gradients) && losses.len() >= batches, "buffers of a step");
        assert!(average.as_ref().is_none_or(|(average, _)| fits(average)), "a moving average of the parameters");
        self.norm_of(gradients, options, None, (losses, batches))?;
        self.steps += 1;
        self.last = options;
        let (name, coefficients) = self.coefficients(learning_rate);
        let coefficients = self.coefficients.upload(&coefficients)?;
        let address = |values: &CudaSlice<f32>| self.gpu.address(values);
        let (is_averaged, decay) = average.as_ref().map_or((false, 0.0), |(_, decay)| (true, *decay as f32));
        let arguments = [
            self.gpu.address(&self.tiles).into(),
            coefficients.into(),
            self.gpu.address(&self.outcome).into(),
            options.mean.into(),
            options.limit().into(),
            address(parameters).into(),
            address(gradients).into(),
            self.state.first().map_or(0, address).into(),
            self.state.get(1).map_or(0, address).into(),
            u32::from(is_averaged).into(),
            decay.into(),
            average.map_or(0, |(average, _)| address(average)).into(),
        ];
        // SAFETY: the arguments are those of optimizer.cu; the tiles are within the parameters, which all arrays are as long as.
        unsafe { self.gpu.launch(name, Grid::new(self.tile_count, THREADS, 0), &arguments) }
    }

    /// Waits for the last step. One that updated nothing is not counted.
    ///
    /// # Errors
    /// If the GPU or the driver failed.
    pub fn outcome(&mut self) -> Result<Outcome> {
        let outcome = self.download_outcome(0)?;
        if !outcome.finite {
            self.steps = self.steps.saturating_sub(1);
        }
        Ok(outcome)
    }

    /// L2 norm of the last step's `gradients` after clipping. Waits for the GPU.
    ///
    /// # Errors
    /// If the GPU or the driver failed.
    ///
    /// # Panics
    /// If there are fewer gradients than parameters.
    pub fn clipped_norm(&mut self, gradients: &CudaSlice<f32>) -> Result<f64> {
        assert!(gradients.len() >= self.len, "gradients of the parameters");
        let no_losses = self.gpu.zeros("losses", 1)?;
        self.norm_of(gradients, self.last, Some(self.last.limit()), (&no_losses, 0))?;
        Ok(self.download_outcome(1)?.norm)
    }

    fn download_outcome(&self, index: usize) -> Result<Outcome> {
        let states = self.gpu.download(&self.outcome, 2)?;
        let StepState { norm, finite, .. } = states[index];
        Ok(Outcome { norm, finite: finite != 0 })
    }

    /// Leaves the norm of the mean gradients in the first outcome; or, with the limit of their values, that of the clipped ones
    /// in the second.
    fn norm_of(
        &mut self,
        gradients: &CudaSlice<f32>,
        options: Options,
        clipped: Option<f32>,
        (losses, batches): (&CudaSlice<f64>, usize),
    ) -> Result<()> {
        let outcome = self.gpu.address(&self.outcome);
        let second = outcome + size_of::<StepState>() as u64;
        let (blocks, sums) = (self.len.div_ceil(SQUARES), self.gpu.address(&self.partial_sums));
        let squares = [
            self.gpu.address(gradients).into(),
            (self.len as u64).into(),
            options.mean.into(),
            u32::from(clipped.is_some()).into(),
            clipped.unwrap_or(f32::INFINITY).into(),
            outcome.into(),
            sums.into(),
        ];
        let finish = [
            sums.into(),
            (blocks as u64).into(),
            self.gpu.address(losses).into(),
            (batches as u32).into(),
            options.clip_norm.unwrap_or(f64::INFINITY).into(),
            CLIP_EPS.into(),
            if clipped.is_some() { second } else { outcome }.into(),
        ];
        let shared = THREADS * size_of::<f64>();
        // SAFETY: the arguments are those of optimizer.cu: as many gradients as parameters, a partial sum for each block, losses
        // as the caller has checked, and two outcomes.
        unsafe {
            self.gpu.launch("gradient_squares", Grid::new(blocks, THREADS, shared), &squares)?;
            self.gpu.launch("gradient_finish", Grid::new(1, THREADS, shared), &finish)
        }
    }

    /// The kernel of the algorithm, and the groups' coefficients for this step, in the order that it has them.
    fn coefficients(&self, learning_rate: f64) -> (&'static str, Vec<f32>) {
        let mut all = vec![0.0; self.groups.len() * COEFFICIENTS];
        let name = match self.algorithm {
            Algorithm::Sgd { .. } => "update_sgd",
            Algorithm::Adam { .. } | Algorithm::AdamW { .. } => "update_adam",
            Algorithm::RmsProp { .. } => "update_rms_prop",
        };
        for (group, all) in self.groups.iter().zip(all.chunks_exact_mut(COEFFICIENTS)) {
            let values: &[f32] = match self.algorithm.update(learning_rate, group, self.steps) {
                Update::Sgd(o) => &[o.learning_rate, o.momentum, o.weight_decay, f32::from(u8::from(o.nesterov))],
                Update::Adam(o) => {
                    let [beta1, beta2] = o.betas;
                    &[o.step_size, beta1, beta2, o.eps, o.root_scale, o.weight_decay, o.shrink]
                }
                Update::RmsProp(o) => &[o.learning_rate, o.alpha, o.eps, o.momentum, o.weight_decay],
            };
            all[..values.len()].copy_from_slice(values);
        }
        (name, all)
    }
}

/// The groups' elements in tiles; then, below `averaged`, those outside all groups.
fn tiles(groups: &[ParamGroup], averaged: usize) -> Vec<Tile> {
    let mut tiles = Vec::new();
    for (i, group) in groups.iter().enumerate() {
        push_tiles(&mut tiles, group.range.clone(), i as u32);
    }
    let mut ranges: Vec<_> = groups.iter().map(|group| group.range.clone()).collect();
    ranges.sort_by_key(|range| range.start);
    let mut start = 0;
    for range in ranges.into_iter().chain(iter::once(averaged..averaged)) {
        push_tiles(&mut tiles, start..range.start.min(averaged), NO_GROUP);
        start = start.max(range.end);
    }
    tiles
}

/// Tiles of a range; all but the first begin at whole lines of 16 bytes.
fn push_tiles(tiles: &mut Vec<Tile>, range: Range<usize>, group: u32) {
    let mut start = range.start;
    while start < range.end {
        let end = ((start / TILE + 1) * TILE).min(range.end);
        tiles.push(Tile { start: start as u64, count: (end - start) as u32, group });
        start = end;
    }
}

/// Gradients of a batch on a GPU, for [`optim::pairwise::PairwiseSum`].
pub struct BatchGradients {
    gpu: Arc<Gpu>,
    /// As long as the parameters.
    pub values: CudaSlice<f32>,
    /// Why a sum failed: of all buffers that are summed.
    failed: Failure,
}

/// The first failure of sums, which [`Summand::add`] does not return.
pub type Failure = Rc<RefCell<Option<Error>>>;

impl BatchGradients {
    /// Gradients of `len` parameters, all 0.
    ///
    /// # Errors
    /// If the GPU's memory has no room for them.
    pub fn new(gpu: &Arc<Gpu>, len: usize, failed: &Failure) -> Result<Self> {
        Ok(Self { gpu: gpu.clone(), values: gpu.zeros("gradients", len)?, failed: failed.clone() })
    }
}

impl Summand for BatchGradients {
    fn add(&mut self, other: &Self) {
        let count = self.values.len().min(other.values.len());
        let addresses = (self.gpu.address(&self.values), self.gpu.address(&other.values));
        let arguments = [addresses.0.into(), addresses.1.into(), (count as u64).into()];
        // SAFETY: the arguments are those of optimizer.cu; both have so many elements, and are not the same.
        if let Err(error) = unsafe { self.gpu.launch("add_gradients", source::grid(count, ADDED), &arguments) } {
            self.failed.borrow_mut().get_or_insert(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_the_groups_and_what_is_averaged_once() {
        let group = |range| ParamGroup { range, weight_decay: 0.0, learning_rate_factor: 1.0 };
        let groups = [group(9000..9001), group(5..8999)];
        for averaged in [0, 9001, 9010, 20_000] {
            let mut owners = vec![None; 20_000];
            for Tile { start, count, group } in tiles(&groups, averaged) {
                assert!(count as usize <= TILE && count > 0);
                for owner in &mut owners[start as usize..][..count as usize] {
                    assert_eq!(owner.replace(group), None);
                }
            }
            for (i, owner) in owners.into_iter().enumerate() {
                let expected = match i {
                    9000 => Some(0),
                    5..=8998 => Some(1),
                    _ => (i < averaged).then_some(NO_GROUP),
                };
                assert_eq!(owner, expected, "{i}, {averaged}");
            }
        }
    }
}
