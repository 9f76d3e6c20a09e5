//! Whether input and target are standardised, from the training rows.

use crate::{
    data::{Inputs, Part},
    report::short,
    settings::{ModelSettings, ScalingMode},
};
use anyhow::ensure;
use dataset::{Features, Statistics};
use nets::{Loss, Scaling, TargetScaling};

/// Statistics of the rows of a part.
pub struct RowStatistics {
    /// A feature of the input each, or a channel of an image.
    pub input: Vec<Statistics>,
    /// An element of the target each.
    pub target: Vec<Statistics>,
}

impl RowStatistics {
    pub fn of(part: Part<'_>, features: &Features) -> Self {
        let Part { table, rows } = part;
        let target_width = table.target_width();
        let targets = rows.iter().map(|row| &table.targets[row * target_width..(row + 1) * target_width]);
        let mut input = input(part);
        // Categories and indicators are 0 and 1, and stay so: as if they were in scale already.
        let is_number = features.is_number();
        if input.len() == is_number.len() {
            let others = input.iter_mut().zip(&is_number).filter(|(_, is_number)| !**is_number);
            others.for_each(|(one, _)| *one = Statistics { mean: 0.0, variance: 1.0 });
        }
        Self { input, target: Statistics::of(targets, &[target_width]) }
    }
}

/// Statistics of a part's input: a feature each, or a channel of an image.
fn input(Part { table, rows }: Part<'_>) -> Vec<Statistics> {
    let (width, shape) = (table.input_width(), table.input.shape.as_slice());
    let places = rows.iter().map(|row| row * width..(row + 1) * width);
    match &table.inputs {
        Inputs::Bytes(bytes) => Statistics::of_bytes(places.map(|place| &bytes[place]), shape),
        Inputs::Real(values) => Statistics::of(places.map(|place| &values[place]), shape),
    }
}

/// The scaling that gives the input of a part mean 0 and standard deviation 1.
pub fn standard(part: Part<'_>) -> Scaling {
    Scaling::standard(&input(part))
}

/// What the settings ask for, the input's and the target's; `remarks` is told what auto changes.
///
/// # Errors
/// When classes would be scaled.
pub fn choose(
    settings: &ModelSettings,
    loss: Loss,
    part: Part<'_>,
    statistics: &RowStatistics,
    features: &Features,
    remarks: &mut Vec<String>,
) -> anyhow::Result<(Option<Scaling>, Option<TargetScaling>)> {
    let (input, target) = (&part.table.input, &part.table.target);
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
            remarks.extend(far.iter().map(|why| format!("{why}: standardised (model.{key}=none leaves it as it is)")));
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

/// The first feature, channel or element that is far from unit scale, if one is.
fn far_from_unit_scale(name: &dyn Fn(usize) -> String, statistics: &[Statistics]) -> Option<String> {
    let first = statistics.iter().position(Statistics::is_far_from_unit_scale)?;
    let one = &statistics[first];
    let (mean, deviation, name) = (short(one.mean), short(one.standard_deviation()), name(first));
    Some(format!("{name} has mean {mean} and standard deviation {deviation}, far from unit scale"))
}
