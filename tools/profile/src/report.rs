//! The cost of a model in rows: its layers or its nodes, with what a device needs for each at least.

use crate::{
    device::{Device, Floor, Peak},
    input::Input,
    settings::Settings,
};
use onnx::{
    DataType, Layer, Node, TensorType,
    cost::{self, LayerCost, Traffic, Unknown, Work},
    fuse,
    shape::Types,
};

/// What rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Fused layers: what lies between their nodes is not written.
    Layers,
    /// Nodes, each on its own.
    Nodes,
}

impl Level {
    pub fn name(self) -> &'static str {
        match self {
            Self::Layers => "layer",
            Self::Nodes => "node",
        }
    }
}

/// A model's cost.
pub struct Report {
    pub model: String,
    pub level: Level,
    pub nodes: usize,
    pub opset: i64,
    pub batch_size: usize,
    /// In an order in which they can run.
    pub rows: Vec<Row>,
}

/// A layer or a node.
pub struct Row {
    pub name: String,
    /// Names of its nodes and of their outputs.
    pub nodes: Vec<String>,
    /// Of its nodes, in order; those over constants are left out.
    pub operators: Vec<String>,
    /// Shapes of the anchor's inputs, and of the last node's outputs.
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    pub dtype: DataType,
    pub parameters: u64,
    pub work: Result<Work, Unknown>,
    pub traffic: Result<Traffic, Unknown>,
    pub peak: Peak,
    /// None if work or traffic is not known.
    pub floor: Option<Floor>,
}

/// Sums over rows, of what is known.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Total {
    pub parameters: u64,
    pub work: Work,
    pub traffic: Traffic,
    /// Seconds, one layer after the other.
    pub floor: f64,
    /// Seconds of the rows that are compute-bound.
    pub compute_bound: f64,
    /// Rows whose work or traffic is not known.
    pub unknown: usize,
}

impl Report {
    /// The cost of a model.
    ///
    /// # Errors
    /// When an attribute of a node has another type than its operator says.
    pub fn new(input: &Input, level: Level, device: &Device, settings: &Settings) -> anyhow::Result<Self> {
        let Input { name, model, types, batch_size } = input;
        let nodes = cost::cost(model, types).map_err(|problem| problem.of(name))?;
        let fused = fuse(&model.graph);
        let (layers, costs): (Vec<Layer>, Vec<LayerCost>) = match level {
            Level::Layers => (fused.clone(), cost::layer_costs(model, types, &nodes, &fused)),
            Level::Nodes => {
                let layer = |(index, cost): (usize, cost::NodeCost)| {
                    let cost::NodeCost { dtype, parameters, work, traffic, .. } = cost;
                    (Layer { nodes: vec![index], anchor: index }, LayerCost { dtype, parameters, work, traffic })
                };
                nodes.iter().cloned().enumerate().map(layer).unzip()
            }
        };
        let row = |(layer, cost): (Layer, LayerCost)| {
            let is_run = |index: &usize| !nodes.get(*index).is_some_and(|node| node.is_constant);
            let of = |index: usize| model.graph.nodes.get(index);
            let members: Vec<&Node> = layer.nodes.iter().copied().filter(is_run).filter_map(of).collect();
            Row::new(of(layer.anchor)?, &members, cost, types, device, settings)
        };
        let rows = layers.into_iter().zip(costs).filter_map(row).collect();
        let (nodes, opset) = (model.graph.nodes.len(), model.opset());
        Ok(Self { model: name.clone(), level, nodes, opset, batch_size: *batch_size, rows })
    }

    pub fn total(&self) -> Total {
        Total::of(&self.rows.iter().collect::<Vec<_>>())
    }

    /// A line for each reason why a cost is not known.
    pub fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = Vec::new();
        for row in &self.rows {
            let reason = row.work.as_ref().err().or(row.traffic.as_ref().err());
            notes
                .extend(reason.map(|reason| format!("{}: {} {:?}: {reason}", self.model, self.level.name(), row.name)));
        }
        notes
    }
}

impl Row {
    fn new(
        anchor: &Node,
        members: &[&Node],
        cost: LayerCost,
        types: &Types,
        device: &Device,
        settings: &Settings,
    ) -> Option<Self> {
        // What reads constants alone does not run; its parameters are told all the same.
        let last = members.last().copied().or_else(|| (cost.parameters > 0).then_some(anchor))?;
        let shapes = |names: &[String]| names.iter().filter_map(|name| types.get(name)).map(shape_text).collect();
        let peak = device.peak(cost.dtype, settings.tf32);
        let known = cost.work.as_ref().ok().zip(cost.traffic.as_ref().ok());
        Some(Self {
            name: label(anchor),
            nodes: members.iter().flat_map(|node| node.outputs.iter().chain([&node.name])).cloned().collect(),
            operators: members.iter().map(|node| node.op_type.clone()).collect(),
            inputs: shapes(&anchor.inputs),
            outputs: shapes(&last.outputs),
            dtype: cost.dtype,
            parameters: cost.parameters,
            floor: known.map(|(work, traffic)| device.floor(peak, work.flops, traffic.total())),
            work: cost.work,
            traffic: cost.traffic,
            peak,
        })
    }

    /// FLOPs a byte; None if either is not known, or nothing is moved.
    pub fn intensity(&self) -> Option<f64> {
        let (work, traffic) = (self.work.as_ref().ok()?, self.traffic.as_ref().ok()?);
        (traffic.total() > 0).then(|| work.flops as f64 / traffic.total() as f64)
    }

    /// Seconds; 0 if they are not known.
    pub fn seconds(&self) -> f64 {
        self.floor.map_or(0.0, |floor| floor.seconds)
    }
}

impl Total {
    pub fn of(rows: &[&Row]) -> Self {
        let mut total = Self::default();
        for row in rows {
            total.parameters = total.parameters.saturating_add(row.parameters);
            if let Ok(work) = row.work {
                total.work = total.work + work;
            }
            if let Ok(traffic) = row.traffic {
                total.traffic = total.traffic + traffic;
            }
            match row.floor {
                Some(floor) => {
                    total.floor += floor.seconds;
                    total.compute_bound +=
                        if floor.bound == crate::device::Bound::Compute { floor.seconds } else { 0.0 };
                }
                None => total.unknown += 1,
            }
        }
        total
    }

    pub fn intensity(&self) -> Option<f64> {
        let bytes = self.traffic.total();
        (bytes > 0).then(|| self.work.flops as f64 / bytes as f64)
    }
}

/// A node's name, or its output's.
fn label(node: &Node) -> String {
    let name = if node.name.is_empty() { node.output(0).unwrap_or_default() } else { &node.name };
    cli::printable(name)
}

/// `float32[1,64,56,56]`, with a question mark for what is not known.
fn shape_text(ty: &TensorType) -> String {
    let dim = |dim: &onnx::Dim| match dim {
        onnx::Dim::Known(size) => size.to_string(),
        onnx::Dim::Symbol(_) | onnx::Dim::Unknown => "?".into(),
    };
    let dims = ty.shape.as_ref().map_or("?".into(), |dims| dims.iter().map(dim).collect::<Vec<_>>().join(","));
    format!("{}[{dims}]", onnx::type_name(ty.dtype))
}
