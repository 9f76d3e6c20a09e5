//! Optimizer steps over param groups.

use crate::{Algorithm, Error, Update};
use kernels::{Isa, update};
use std::ops::Range;

/// Neighbouring parameters with the same hyper-parameters: PyTorch's `param_groups` entry.
#[derive(Debug, Clone, PartialEq)]
pub struct ParamGroup {
    /// Where they are in the flat buffer.
    pub range: Range<usize>,
    /// Weight decay; 0 for none.
    pub weight_decay: f64,
    /// Multiplies the learning rate of a step.
    pub learning_rate_factor: f64,
}

/// An algorithm with its state, for one flat buffer of parameters.
#[derive(Debug, Clone)]
pub struct Optimizer {
    algorithm: Algorithm,
    groups: Vec<ParamGroup>,
    /// The arrays that [`Algorithm::state_names`] names, each as long as the parameters.
    state: Vec<Vec<f32>>,
    steps: u64,
    isa: Isa,
}

impl Optimizer {
    /// An optimizer of `len` parameters before its first step: all state is 0. Parameters outside `groups` are frozen.
    pub fn new(algorithm: Algorithm, groups: Vec<ParamGroup>, len: usize, isa: Isa) -> Self {
        let state = algorithm.state_names().iter().map(|_| vec![0.0; len]).collect();
        Self { algorithm, groups, state, steps: 0, isa }
    }

    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The arrays of state by name, each as long as the parameters.
    pub fn state(&self) -> impl Iterator<Item = (&'static str, &[f32])> {
        self.algorithm.state_names().iter().zip(&self.state).map(|(name, values)| (*name, values.as_slice()))
    }

    /// Replaces the state by that of another optimizer of the same algorithm after `steps` steps; `find` returns an
    /// array by its name. Training resumes bit for bit.
    ///
    /// # Errors
    /// When an array is missing or has another length.
    pub fn restore(&mut self, steps: u64, mut find: impl FnMut(&str) -> Option<Vec<f32>>) -> Result<(), Error> {
        for (&name, state) in self.algorithm.state_names().iter().zip(&mut self.state) {
            let found = find(name).ok_or(Error::MissingState { name })?;
            if found.len() != state.len() {
                return Err(Error::StateLength { name, found: found.len(), expected: state.len() });
            }
            *state = found;
        }
        self.steps = steps;
        Ok(())
    }

    /// One step. `parameters` and `gradients` have the length and layout given to [`Optimizer::new`]; a group's
    /// learning rate is `learning_rate` times its factor.
    pub fn step(&mut self, learning_rate: f64, parameters: &mut [f32], gradients: &[f32]) {
        self.steps += 1;
        for group in &self.groups {
            let (parameters, gradients) = (&mut parameters[group.range.clone()], &gradients[group.range.clone()]);
            let mut state = self.state.iter_mut().map(|state| &mut state[group.range.clone()]);
            let mut next = || state.next().unwrap_or_default();
            match self.algorithm.update(learning_rate, group, self.steps) {
                Update::Sgd(o) => update::sgd(self.isa, o, parameters, gradients, next()),
                Update::Adam(o) => update::adam(self.isa, o, parameters, gradients, next(), next()),
                Update::RmsProp(o) => update::rms_prop(self.isa, o, parameters, gradients, next(), next()),
            }
        }
    }
}
