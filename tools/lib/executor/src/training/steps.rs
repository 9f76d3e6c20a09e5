//! Runs the steps of a fusion plan, forward and backward, over the whole batch.

use super::{
    Error, LossFn,
    buffer::Buffer,
    fusion::FusionPlan,
    operation::{Values, Workspace},
    plan::{Buffers, Plan},
    row_shape::RowShape,
};
use std::mem::take;

/// Plans in the cache, one a batch size: a whole batch and the last of an epoch, in training and in validation.
const MAX_PLANS: usize = 4;

/// The plans of the batch sizes that a network ran with last, and the buffers that they share.
pub(super) struct Steps {
    fusion: FusionPlan,
    input: RowShape,
    /// The network's input in NHWC.
    input_nhwc: Buffer,
    /// The most recently used last.
    plans: Vec<Plan>,
    buffers: Buffers,
    workspace: Workspace,
}

impl Steps {
    /// # Errors
    /// When an operation has no kernel.
    pub fn new(fusion: FusionPlan) -> Result<Self, Error> {
        // What can be planned for one row can be planned for any number.
        Plan::new(&fusion, 1)?;
        Ok(Self {
            input: RowShape::of(&fusion.input_shape)?,
            input_nhwc: Buffer::default(),
            fusion,
            plans: Vec::new(),
            buffers: Buffers::default(),
            workspace: Workspace::default(),
        })
    }

    /// As [`TrainingExecutor::gradients`](super::TrainingExecutor::gradients), for `rows` rows.
    pub fn gradients(
        &mut self,
        parameters: &mut [f32],
        inputs: &[f32],
        rows: usize,
        loss: &LossFn<'_>,
        gradients: &mut [f32],
    ) -> Result<f64, Error> {
        let mut input_nhwc = take(&mut self.input_nhwc);
        let input = self.input.as_nhwc(inputs, &mut input_nhwc);
        self.forward(input, rows, Values::Training(parameters))?;
        let Self { plans, buffers, workspace, .. } = self;
        let Some(plan) = plans.last_mut() else { return Ok(0.0) };
        let loss = plan.loss(buffers, loss);
        for i in (0..plan.operations.len()).rev() {
            plan.backward(i, input, buffers, parameters, gradients, workspace);
        }
        self.input_nhwc = input_nhwc;
        Ok(loss)
    }

    /// Appends the outputs `[rows, outputs]`, with running statistics.
    pub fn predict(
        &mut self,
        parameters: &[f32],
        inputs: &[f32],
        rows: usize,
        outputs: &mut Vec<f32>,
    ) -> Result<(), Error> {
        let mut input_nhwc = take(&mut self.input_nhwc);
        self.forward(self.input.as_nhwc(inputs, &mut input_nhwc), rows, Values::Evaluation(parameters))?;
        self.input_nhwc = input_nhwc;
        outputs.extend(self.plans.last().iter().flat_map(|plan| plan.result(&self.buffers)));
        Ok(())
    }

    /// Forward pass over `input`, NHWC; the outputs of all steps stay in `buffers`.
    fn forward(&mut self, input: &[f32], rows: usize, mut values: Values<'_>) -> Result<(), Error> {
        self.plan(rows)?;
        let Self { plans, buffers, workspace, .. } = self;
        let Some(plan) = plans.last_mut() else { return Ok(()) };
        buffers.fit(&self.fusion, rows);
        for i in 0..plan.operations.len() {
            plan.forward(i, input, buffers, &mut values, workspace);
        }
        Ok(())
    }

    /// Moves or adds the plan for `rows` rows to the end of the cache.
    fn plan(&mut self, rows: usize) -> Result<(), Error> {
        if let Some(known) = self.plans.iter().position(|plan| plan.rows == rows) {
            let plan = self.plans.remove(known);
            self.plans.push(plan);
            return Ok(());
        }
        if self.plans.len() == MAX_PLANS {
            self.plans.remove(0);
        }
        self.plans.push(Plan::new(&self.fusion, rows)?);
        Ok(())
    }
}
