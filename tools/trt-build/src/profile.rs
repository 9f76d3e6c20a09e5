//! The optimization profile: for each input with dynamic dimensions its smallest, usual and largest shape.

use crate::{
    settings::Settings,
    shapes::{self, Shapes},
};
use anyhow::{Context, bail, ensure};
use onnx::{Dim, Model, TensorType, Value};
use trt_protocol::InputProfile;

/// The shapes that the user gives.
struct Given {
    min: Shapes,
    opt: Shapes,
    max: Shapes,
}

/// The profile of the model's inputs; empty if all shapes are fixed.
///
/// # Errors
/// When shapes are missing, or do not fit the inputs or each other.
pub fn of(model: &Model, settings: &Settings) -> anyhow::Result<Vec<InputProfile>> {
    let given = Given::read(settings)?;
    let inputs = &model.graph.inputs;
    for (name, _) in given.min.iter().chain(&given.opt).chain(&given.max) {
        let known: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
        ensure!(
            known.contains(&name.as_str()),
            "{}: no input {name:?}; its inputs are {}",
            model.name,
            known.join(", ")
        );
    }
    let profiles = inputs.iter().map(|input| input_profile(input, &given, settings));
    let profiles = profiles.collect::<anyhow::Result<Vec<_>>>().with_context(|| model.name.clone())?;
    Ok(profiles.into_iter().flatten().collect())
}

impl Given {
    fn read(settings: &Settings) -> anyhow::Result<Self> {
        let read = |text: &Option<String>, setting| {
            text.as_deref().map_or_else(|| Ok(Shapes::new()), |text| shapes::parse(text, setting))
        };
        if settings.shapes.is_some() {
            let fixed = read(&settings.shapes, "trt.shapes")?;
            return Ok(Self { min: fixed.clone(), opt: fixed.clone(), max: fixed });
        }
        Ok(Self {
            min: read(&settings.min_shapes, "trt.min_shapes")?,
            opt: read(&settings.opt_shapes, "trt.opt_shapes")?,
            max: read(&settings.max_shapes, "trt.max_shapes")?,
        })
    }

    /// The shapes of an input; as with trtexec, those that are missing are the usual one.
    fn of(&self, name: &str) -> Option<[&[i64]; 3]> {
        let find = |shapes: &'_ Shapes| shapes.iter().position(|(input, _)| input == name);
        let [min, opt, max] = [&self.min, &self.opt, &self.max].map(|shapes| Some(shapes[find(shapes)?].1.as_slice()));
        let usual = opt.or(max).or(min)?;
        Some([min.unwrap_or(usual), usual, max.unwrap_or(usual)])
    }
}

/// None for an input whose shape is fixed.
fn input_profile(input: &Value, given: &Given, settings: &Settings) -> anyhow::Result<Option<InputProfile>> {
    let name = &input.name;
    let ty = input.tensor_type().with_context(|| format!("input {name:?} is no tensor"))?;
    let dims = ty.shape.as_deref().with_context(|| format!("input {name:?} has no rank"))?;
    let dynamic: Vec<usize> = (0..dims.len()).filter(|&axis| !matches!(dims[axis], Dim::Known(_))).collect();
    let shapes = match given.of(name) {
        Some(shapes) => {
            check(name, dims, shapes)?;
            shapes.map(<[i64]>::to_vec)
        }
        None => match dynamic.as_slice() {
            [] | [0] => {
                let batch = settings.batch;
                [batch.min, batch.opt, batch.max].map(|size| with_batch(dims, size))
            }
            _ => bail!("{}", shapes_needed(name, dims)),
        },
    };
    check_volume(name, &ty, &shapes[2])?;
    let [min, opt, max] = shapes;
    Ok((!dynamic.is_empty()).then(|| InputProfile { input: name.clone(), min, opt, max }))
}

/// The shape with `size` for its dynamic axis.
fn with_batch(dims: &[Dim], size: i64) -> Vec<i64> {
    dims.iter().map(|dim| if let Dim::Known(known) = dim { known_size(*known) } else { size }).collect()
}

/// ONNX writes sizes as int64.
fn known_size(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn shapes_needed(name: &str, dims: &[Dim]) -> String {
    let axes = dims.iter().enumerate().filter_map(|(axis, dim)| match dim {
        Dim::Known(_) => None,
        Dim::Symbol(symbol) => Some(format!("{axis} ({symbol})")),
        Dim::Unknown => Some(axis.to_string()),
    });
    let axes = axes.collect::<Vec<_>>().join(", ");
    let example = dims.iter().map(|dim| if let Dim::Known(size) = dim { known_size(*size) } else { 8 });
    let example = shapes::write(&example.collect::<Vec<_>>());
    format!(
        "input {name:?}: axes {axes} are dynamic, not the batch axis alone; give --min-shapes, --opt-shapes and --max-shapes, \
         for instance {name}:{example}"
    )
}

/// Whether min ≤ opt ≤ max, and all have the sizes that the graph fixes.
fn check(name: &str, dims: &[Dim], shapes: [&[i64]; 3]) -> anyhow::Result<()> {
    for shape in shapes {
        let fits = |(dim, size): (&Dim, &i64)| !matches!(dim, Dim::Known(known) if known_size(*known) != *size);
        ensure!(
            shape.len() == dims.len() && dims.iter().zip(shape).all(fits),
            "input {name:?}: shape {}, and the graph has {}",
            shapes::write(shape),
            describe(dims)
        );
    }
    let [min, opt, max] = shapes;
    let is_ordered = min.iter().zip(opt).zip(max).all(|((min, opt), max)| min <= opt && opt <= max);
    let [min, opt, max] = shapes.map(shapes::write);
    ensure!(is_ordered, "input {name:?}: shapes {min}, {opt}, {max}; expected min <= opt <= max on each axis");
    Ok(())
}

fn describe(dims: &[Dim]) -> String {
    let dims = dims.iter().map(|dim| match dim {
        Dim::Known(size) => size.to_string(),
        Dim::Symbol(symbol) => symbol.clone(),
        Dim::Unknown => "?".into(),
    });
    dims.collect::<Vec<_>>().join("x")
}

/// TensorRT computes sizes in int64 and does not see that they overflow.
fn check_volume(name: &str, ty: &TensorType, shape: &[i64]) -> anyhow::Result<()> {
    let bits = onnx::bits(ty.dtype).with_context(|| {
        format!("input {name:?} has elements of type {}, which TensorRT does not take", onnx::type_name(ty.dtype))
    })?;
    let elements = shape.iter().try_fold(1i64, |product, dim| product.checked_mul(*dim));
    let bits = elements.and_then(|elements| elements.checked_mul(i64::try_from(bits).ok()?));
    ensure!(bits.is_some(), "input {name:?}: shape {} is larger than any memory", shapes::write(shape));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(sizes: &[usize]) -> Vec<Dim> {
        sizes.iter().map(|&size| if size == 0 { Dim::Symbol("n".into()) } else { Dim::Known(size) }).collect()
    }

    #[test]
    fn shapes_must_fit_the_graph_and_each_other() {
        let check = |shapes: [&[i64]; 3]| check("x", &known(&[0, 8]), shapes).map_err(|e| e.to_string());
        assert_eq!(check([&[1, 8], &[4, 8], &[9, 8]]), Ok(()));
        assert_eq!(check([&[1, 8], &[4, 7], &[9, 8]]), Err("input \"x\": shape 4x7, and the graph has nx8".into()));
        assert_eq!(check([&[1], &[4, 8], &[9, 8]]), Err("input \"x\": shape 1, and the graph has nx8".into()));
        let expected = "input \"x\": shapes 5x8, 4x8, 9x8; expected min <= opt <= max on each axis";
        assert_eq!(check([&[5, 8], &[4, 8], &[9, 8]]), Err(expected.into()));
    }

    #[test]
    fn what_is_missing_is_the_usual_shape() {
        let shapes = |dims: &[i64]| vec![("x".to_owned(), dims.to_vec())];
        let given = Given { min: shapes(&[1]), opt: vec![], max: shapes(&[9]) };
        assert_eq!(given.of("x"), Some([&[1][..], &[9], &[9]]));
        assert_eq!(given.of("y"), None);
    }

    #[test]
    fn a_hint_names_the_axes() {
        let hint = shapes_needed("x", &[Dim::Symbol("n".into()), Dim::Known(3), Dim::Unknown]);
        assert!(hint.starts_with("input \"x\": axes 0 (n), 2 are dynamic"), "{hint}");
        assert!(hint.ends_with("for instance x:8x3x8"), "{hint}");
    }

    #[test]
    fn a_volume_that_overflows_is_refused() {
        let float = TensorType { dtype: onnx::DataType::Float, shape: None };
        assert!(check_volume("x", &float, &[1 << 29, 1 << 29]).is_err());
        assert!(check_volume("x", &float, &[1 << 20, 1 << 20]).is_ok());
    }
}
