//! Standardization of input and target, fitted on the training split.

use crate::{
    console::short,
    data::{Inputs, Split},
    settings::{ModelSettings, ScalingMode},
};
use anyhow::ensure;
use dataset::{Features, Statistics};
use nets::{Loss, Scaling, TargetScaling};

/// Statistics of the rows of a split.
pub struct SplitStatistics {
    /// Per feature of the input, or per channel of an image.
    pub input: Vec<Statistics>,
    /// Per element of the target.
    pub target: Vec<Statistics>,
}

impl SplitStatistics {
    /// # Errors
    /// When rows are in a file, and cannot be read.
    pub fn of(split: Split<'_>, features: &Features) -> anyhow::Result<Self> {
        let Split { dataset, rows } = split;
        let target_width = dataset.target_width();
        let targets = rows.iter().map(|row| &dataset.targets[row * target_width..(row + 1) * target_width]);
        let mut input = input(split)?;
        // Categories and indicators are 0 and 1, and are never scaled.
        let is_number = features.is_number();
        if input.len() == is_number.len() {
            let others = input.iter_mut().zip(&is_number).filter(|(_, is_number)| !**is_number);
            others.for_each(|(one, _)| *one = Statistics { mean: 0.0, variance: 1.0 });
        }
        Ok(Self { input, target: Statistics::of(targets, &[target_width]) })
    }
}

/// Statistics per feature of the input, or per channel of an image.
fn input(Split { dataset, rows }: Split<'_>) -> anyhow::Result<Vec<Statistics>> {
    let (width, shape) = (dataset.input_width(), dataset.input.shape.as_slice());
    let ranges = rows.iter().map(|row| row * width..(row + 1) * width);
    Ok(match &dataset.inputs {
        Inputs::Bytes(bytes) => Statistics::of_bytes(ranges.map(|range| &bytes[range]), shape),
        Inputs::Real(values) => Statistics::of(ranges.map(|range| &values[range]), shape),
        Inputs::InFile(inputs) => inputs.statistics(rows, shape)?,
    })
}

/// The scaling of a split's input to mean 0 and standard deviation 1.
///
/// # Errors
/// When rows are in a file, and cannot be read.
pub fn standard(split: Split<'_>) -> anyhow::Result<Scaling> {
    Ok(Scaling::standard(&input(split)?))
}

/// Input and target scaling by `model.input_scaling` and `model.target_scaling`; `notes` gets what `auto` decided.
///
/// # Errors
/// When class targets would be scaled.
pub fn choose(
    settings: &ModelSettings,
    loss: Loss,
    split: Split<'_>,
    statistics: &SplitStatistics,
    features: &Features,
    notes: &mut Vec<String>,
) -> anyhow::Result<(Option<Scaling>, Option<TargetScaling>)> {
    let (input, target) = (&split.dataset.input, &split.dataset.target);
    let feature = |index: usize| match input.shape.len() {
        3 => format!("field {:?}: channel {index}", input.name),
        _ if features.inputs.len() > 1 || input.elements() == 1 => format!("field {:?}", features.describe(index)),
        _ => format!("field {:?}: feature {index}", input.name),
    };
    let element = |index: usize| match target.elements() {
        1 => format!("field {:?}", target.name),
        _ => format!("field {:?}: element {index}", target.name),
    };
    let mut choose = |key: &str, mode, name: &dyn Fn(usize) -> String, statistics: &[Statistics]| match mode {
        ScalingMode::Standard => true,
        ScalingMode::None => false,
        ScalingMode::Auto => {
            let far = far_from_unit_scale(name, statistics);
            notes.extend(far.iter().map(|why| format!("{why}: standardized (model.{key}=none leaves it as it is)")));
            far.is_some()
        }
    };
    let scales_input = choose("input_scaling", settings.input_scaling, &feature, &statistics.input);
    let is_of_classes = matches!(loss, Loss::CrossEntropy { .. } | Loss::BinaryCrossEntropy);
    ensure!(
        !(is_of_classes && settings.target_scaling == ScalingMode::Standard),
        "model.target_scaling: standard has no meaning for classes; cross_entropy and bce go with auto or none"
    );
    let mode = if is_of_classes { ScalingMode::None } else { settings.target_scaling };
    let scales_target = choose("target_scaling", mode, &element, &statistics.target);
    Ok((
        scales_input.then(|| Scaling::standard(&statistics.input)),
        scales_target.then(|| TargetScaling::standard(&statistics.target)),
    ))
}

/// Describes the first feature, channel or element that is far from unit scale.
fn far_from_unit_scale(name: &dyn Fn(usize) -> String, statistics: &[Statistics]) -> Option<String> {
    let first = statistics.iter().position(Statistics::is_far_from_unit_scale)?;
    let one = &statistics[first];
    let (mean, deviation, name) = (short(one.mean), short(one.standard_deviation()), name(first));
    Some(format!("{name} has mean {mean} and standard deviation {deviation}, far from unit scale"))
}
