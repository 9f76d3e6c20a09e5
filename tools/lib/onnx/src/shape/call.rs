//! One node as a rule sees it: what is known of its inputs, its attributes, checked.

pub(super) use super::fact::shape_of;
use super::{
    expression::{MAX_RANK, MAX_VALUES, Symbols, known},
    fact::Fact,
};
use crate::{DataType, Node, Problem, Tensor};
use rten_shape_inference::{InferShapes, InferShapesContext, InferShapesError, SymExpr, SymTensor};

/// What a rule finds: a tensor for each output, or for as many as it knows.
pub(super) type Outcome = Result<Vec<SymTensor>, Problem>;

/// A call of an operator.
pub(super) struct Call<'a> {
    /// The node.
    pub node: &'a Node,
    /// Version of the operator set of the node's domain.
    pub opset: i64,
    /// The inputs in order; None where one is left out.
    pub inputs: Vec<Option<Fact>>,
    /// The inputs that are constant tensors.
    pub constants: Vec<Option<&'a Tensor>>,
    /// The model's symbols.
    pub symbols: &'a Symbols<'a>,
}

impl Call<'_> {
    /// An error of this node, with the shapes that it was given.
    pub fn fault(&self, reason: impl AsRef<str>) -> Problem {
        let shape = |input: &Option<Fact>| input.as_ref().map_or("-".into(), |fact| format!("[{}]", fact.describe()));
        let shapes: Vec<_> = self.inputs.iter().take(8).map(shape).collect();
        Problem::node(self.node, format!("{}; inputs {}", reason.as_ref(), shapes.join(" ")))
    }

    /// Whether the input at `index` is given.
    pub fn has(&self, index: usize) -> bool {
        self.fact(index).is_some()
    }

    fn fact(&self, index: usize) -> Option<&Fact> {
        self.inputs.get(index)?.as_ref()
    }

    /// A required input.
    pub fn tensor(&self, index: usize) -> Result<&SymTensor, Problem> {
        match self.fact(index) {
            Some(fact) => Ok(&fact.tensor),
            None => Err(self.fault(format!("input {index} is missing"))),
        }
    }

    /// Element type of an input; undefined if it is left out.
    pub fn dtype(&self, index: usize) -> DataType {
        self.fact(index).map_or(DataType::Undefined, |fact| fact.dtype)
    }

    /// The constant that an input reads, if it is one.
    pub fn constant(&self, index: usize) -> Option<&Tensor> {
        *self.constants.get(index)?
    }

    /// Dimensions of a required input; None if its rank is not known.
    pub fn dims(&self, index: usize) -> Result<Option<Vec<SymExpr>>, Problem> {
        Ok(self.tensor(index)?.shape().map(Iterator::collect))
    }

    /// Known elements of an input that is a scalar or vector of integers.
    pub fn values(&self, index: usize) -> Option<Vec<i64>> {
        match self.constant(index) {
            Some(tensor) if tensor.len() <= MAX_VALUES => tensor.to_i64(),
            _ => self.fact(index)?.values(),
        }
    }

    /// An axis counted from the front; a negative one counts from the end of `rank` axes.
    pub fn axis(&self, axis: i64, rank: usize) -> Result<usize, Problem> {
        let from_front = if axis < 0 { axis.checked_add_unsigned(rank as u64) } else { Some(axis) };
        let index = from_front.and_then(|index| usize::try_from(index).ok()).filter(|&index| index < rank);
        index.ok_or_else(|| self.fault(format!("axis {axis} is outside of the rank {rank}")))
    }

    /// Distinct axes, as [`Call::axis`] counts them.
    pub fn axes(&self, axes: &[i64], rank: usize) -> Result<Vec<usize>, Problem> {
        let mut found = Vec::with_capacity(axes.len().min(MAX_RANK));
        for &axis in axes {
            let index = self.axis(axis, rank)?;
            if found.contains(&index) {
                return Err(self.fault(format!("axis {axis} is named twice")));
            }
            found.push(index);
        }
        Ok(found)
    }

    /// An integer attribute within `i32`.
    pub fn int(&self, name: &str, default: i32) -> Result<i32, Problem> {
        let value = self.node.int(name, default.into())?;
        i32::try_from(value).map_err(|_| self.fault(format!("attribute {name} is {value}: too large")))
    }

    /// An attribute of `count` integers, at least `least`; all `default` if it is absent.
    pub fn sizes(&self, name: &str, count: usize, least: i64, default: i64) -> Result<Vec<i64>, Problem> {
        let Some(values) = self.node.ints(name)? else { return Ok(vec![default; count]) };
        if values.len() != count {
            return Err(self.fault(format!("attribute {name} has {} elements, expected {count}", values.len())));
        }
        match values.iter().find(|&&value| value < least) {
            Some(value) => Err(self.fault(format!("attribute {name} has {value}, expected at least {least}"))),
            None => Ok(values.to_vec()),
        }
    }

    /// Applies a rule of `rten-shape-inference` to the inputs.
    pub fn rten(&self, rule: &dyn InferShapes) -> Outcome {
        let inputs = self.inputs.iter().map(|input| input.as_ref().map(|fact| fact.tensor.clone()));
        let context = InferShapesContext::from(inputs.collect::<Vec<_>>());
        match self.symbols.with(|fresh| rule.infer_shapes(context, fresh)) {
            Ok(outputs) => Ok(outputs),
            Err(InferShapesError::UnknownOutputCount) => Ok(Vec::new()),
            Err(error) => Err(self.fault(error.to_string())),
        }
    }

    /// The size in its simplest form.
    pub fn settle(&self, size: &SymExpr) -> SymExpr {
        self.symbols.settle_size(size)
    }

    /// A shape of unknown dimensions.
    pub fn of_rank(&self, rank: usize) -> SymTensor {
        if rank > MAX_RANK {
            return unknown();
        }
        SymTensor::from_shape((0..rank).map(|_| self.symbols.unknown()).collect())
    }

    /// A tensor whose shape is a vector of unknown elements: as many dimensions as the vector has elements.
    pub fn ranked_by(&self, shape: &SymTensor) -> SymTensor {
        length(shape).map_or_else(unknown, |rank| self.of_rank(rank))
    }

    /// The size that two dimensions must share.
    ///
    /// # Errors
    /// When they are known and differ.
    pub fn same(&self, a: &SymExpr, b: &SymExpr, what: &str) -> Result<SymExpr, Problem> {
        match (known(a), known(b)) {
            (Some(x), Some(y)) if x != y => Err(self.fault(format!("{what} differ: {x} and {y}"))),
            (Some(_), _) => Ok(a.clone()),
            (_, Some(_)) => Ok(b.clone()),
            _ if matches!(a, SymExpr::Var(symbol) if symbol.synthetic) => Ok(b.clone()),
            _ => Ok(a.clone()),
        }
    }

    /// The shape that two shapes broadcast to.
    ///
    /// # Errors
    /// When two sizes are known, differ, and neither is 1.
    pub fn broadcast(&self, a: &[SymExpr], b: &[SymExpr]) -> Result<Vec<SymExpr>, Problem> {
        let (rank, one) = (a.len().max(b.len()), SymExpr::Value(1));
        let size = |axis: usize| {
            let of = |dims: &[SymExpr]| (axis + dims.len()).checked_sub(rank).map_or(one.clone(), |i| dims[i].clone());
            let (a, b) = (of(a), of(b));
            match (known(&a), known(&b)) {
                (Some(x), Some(y)) if x != y && x != 1 && y != 1 => {
                    Err(self.fault(format!("the sizes {x} and {y} do not broadcast to each other")))
                }
                _ if a == b => Ok(a),
                _ => Ok(self.settle(&a.broadcast(&b))),
            }
        };
        (0..rank).map(size).collect()
    }
}

/// A tensor of which nothing is known.
pub(super) fn unknown() -> SymTensor {
    SymTensor::unknown("")
}

/// Number of elements of a vector, if that is known.
pub(super) fn length(vector: &SymTensor) -> Option<usize> {
    usize::try_from(known(&vector.size(0)?)?).ok()
}

/// One output of this shape.
pub(super) fn shaped(dims: Vec<SymExpr>) -> Outcome {
    Ok(vec![SymTensor::from_shape(dims)])
}
