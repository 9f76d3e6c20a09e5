//! Models of the command line or of standard input, with the sizes of their dimensions.

use crate::settings::Settings;
use anyhow::{bail, ensure};
use files::Limit;
use indexmap::IndexMap;
use onnx::{
    Dim, Model, TensorType, Value,
    shape::{self, Types},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// A model with all that is known of its values.
pub struct Input {
    /// The file's path, or `stdin`.
    pub name: String,
    pub model: Model,
    pub types: Types,
    /// Rows: what the settings say, unless the model or `--dim` fixes the first axis of every input.
    pub batch_size: usize,
}

/// Reads models; None is standard input. `has_others`: there are models of another kind, whose dimensions are not known here.
///
/// # Errors
/// When one cannot be read, or is no model, or the size of a dimension of an input is not known; and when none has a
/// dimension that the settings name.
pub fn read(paths: &[Option<PathBuf>], has_others: bool, settings: &Settings) -> anyhow::Result<Vec<Input>> {
    let mut known = Vec::new();
    let inputs = paths.iter().map(|path| read_one(path.as_deref(), settings, &mut known)).collect::<Result<_, _>>()?;
    if !has_others {
        check_used(settings, &known)?;
    }
    Ok(inputs)
}

/// Reads a model, and adds the names of its dimensions to `known`.
fn read_one(path: Option<&Path>, settings: &Settings, known: &mut Vec<String>) -> anyhow::Result<Input> {
    let limit = Limit { bytes: settings.model_bytes, setting: Some("profile.model_bytes") };
    let mut model = match path {
        Some(path) => Model::open(path, limit)?,
        None => Model::from_bytes("stdin", &stdin(limit)?)?,
    };
    let name = model.name.clone();
    let mut dims = Dims { settings, bindings: BTreeMap::new(), known, rows: Rows::default() };
    for input in &mut model.graph.inputs {
        dims.bind(&name, input)?;
    }
    let types = shape::infer(&model, &dims.bindings).map_err(|problem| problem.of(&name))?;
    let batch_size = dims.rows.batch_size(settings);
    if dims.rows.is_fixed_by_model() && batch_size != settings.batch_size {
        cli::note(&format!("{name}: the batch size is fixed: {batch_size}; profile.batch_size has no effect"));
    }
    Ok(Input { name, model, types, batch_size })
}

fn stdin(limit: Limit) -> anyhow::Result<Vec<u8>> {
    let bytes = cli::open(None, "an ONNX model")?.read_all(limit)?;
    ensure!(!bytes.is_empty(), "stdin: empty; expected an ONNX model");
    Ok(bytes)
}

/// Refuses sizes that no model has a dimension for.
fn check_used(settings: &Settings, known: &[String]) -> anyhow::Result<()> {
    let Some(name) = settings.dims.iter().flat_map(IndexMap::keys).find(|name| !known.contains(name)) else {
        return Ok(());
    };
    let near = config::did_you_mean(name, known.iter().map(String::as_str));
    match known {
        [] => bail!("--dim {name}: the model has no symbolic dimension"),
        known => bail!("--dim {name}: the model has no such dimension{near}; there is {}", known.join(", ")),
    }
}

/// Sizes of the symbolic dimensions of a model.
struct Dims<'a> {
    settings: &'a Settings,
    bindings: BTreeMap<String, usize>,
    /// Names that a size could be given by: of symbols, or of input and axis: `x.2`.
    known: &'a mut Vec<String>,
    rows: Rows,
}

/// What the first axes of a model's inputs say of its batch size.
#[derive(Default)]
struct Rows {
    /// The first one that the model fixes; a vector's axis is none.
    fixed: Option<usize>,
    /// The first one that is given by name.
    given: Option<usize>,
    /// Whether one has the size of the settings.
    is_free: bool,
}

impl Rows {
    fn is_fixed_by_model(&self) -> bool {
        !self.is_free && self.given.is_none()
    }

    fn batch_size(&self, settings: &Settings) -> usize {
        match self {
            Self { is_free: true, .. } => settings.batch_size,
            Self { fixed, given, .. } => given.or(*fixed).unwrap_or(1),
        }
    }
}

impl Dims<'_> {
    /// Gives every dimension of an input its size.
    fn bind(&mut self, model: &str, input: &mut Value) -> anyhow::Result<()> {
        let Some(TensorType { dtype, shape: Some(shape) }) = input.tensor_type() else {
            bail!("{model}: input {:?} is no tensor of known rank, whose cost could be told", input.name);
        };
        let rank = shape.len();
        let mut dims = Vec::with_capacity(rank);
        for (axis, dim) in shape.into_iter().enumerate() {
            dims.push(self.size(model, &input.name, axis, rank, dim)?);
        }
        *input = Value {
            name: input.name.clone(),
            doc: input.doc.clone(),
            ..Value::tensor("", &TensorType { dtype, shape: Some(dims) })
        };
        Ok(())
    }

    fn size(&mut self, model: &str, input: &str, axis: usize, rank: usize, dim: Dim) -> anyhow::Result<Dim> {
        let name = match dim {
            Dim::Known(size) => {
                if axis == 0 && rank > 1 {
                    self.rows.fixed.get_or_insert(size);
                }
                return Ok(Dim::Known(size));
            }
            Dim::Symbol(ref symbol) => symbol.clone(),
            Dim::Unknown => format!("{input}.{axis}"),
        };
        if !self.known.contains(&name) {
            self.known.push(name.clone());
        }
        let given = self.settings.dims.as_ref().and_then(|dims| dims.get(&name).copied());
        if axis == 0 {
            match given {
                Some(size) => _ = self.rows.given.get_or_insert(size),
                None => self.rows.is_free = true,
            }
        }
        let size = match (given, self.bindings.get(&name)) {
            (Some(size), _) => size,
            (None, Some(size)) => *size,
            (None, None) if axis == 0 => self.settings.batch_size,
            (None, None) => bail!(
                "{model}: input {input:?}: the size of dimension {axis} is not known; give it: --dim '{name}=224'"
            ),
        };
        if let Dim::Symbol(symbol) = dim {
            self.bindings.insert(symbol, size);
        }
        Ok(Dim::Known(size))
    }
}
