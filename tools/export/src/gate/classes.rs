//! Predicted classes of two graphs.

use crate::{engine::Output, rows::Label};
use metrics::{argmax, predicted_class};
use serde::{Serialize, Serializer, ser::SerializeMap};

/// What the output of scores says of classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Classes {
    /// Nothing: its values are estimates.
    None,
    /// Values `[rows, classes]` are scores, and of one value a row the probability of class 1.
    Scores,
    /// Values `[rows, n]`, n above 1, are scores, as far as one knows; one value a row is an estimate.
    Guess,
}

/// How often two graphs predict the same class, and how often each is right.
#[derive(Debug, Clone, Copy, Default)]
pub struct TopOne {
    rows: u64,
    same: u64,
    labelled: u64,
    reference_right: u64,
    candidate_right: u64,
}

impl TopOne {
    /// Adds rows of both graphs.
    ///
    /// # Errors
    /// When a label is none of the classes.
    pub fn add(
        &mut self,
        classes: Classes,
        reference: &Output,
        candidate: &Output,
        labels: Option<&[Label]>,
    ) -> anyhow::Result<()> {
        let Some(width) = width(classes, reference) else { return Ok(()) };
        let rows = reference.values.chunks_exact(width).zip(candidate.values.chunks_exact(width));
        for (row, (expected, actual)) in rows.enumerate() {
            let predict = |values: &[f64]| match reference.is_real {
                true => predicted_class(values),
                false => values[0] as usize,
            };
            let (ours, theirs) = (predict(actual), predict(expected));
            self.rows += 1;
            self.same += u64::from(ours == theirs || is_tie(expected, actual));
            if let Some(label) = labels.and_then(|labels| labels.get(row)) {
                let label = label.class(reference.is_real.then_some(width.max(2)))?;
                self.labelled += 1;
                self.reference_right += u64::from(theirs == label);
                self.candidate_right += u64::from(ours == label);
            }
        }
        Ok(())
    }

    /// Percentage of rows of which both predict the same class, ties aside; None of no rows.
    pub fn agreement(&self) -> Option<f64> {
        (self.rows > 0).then(|| 100.0 * self.same as f64 / self.rows as f64)
    }

    /// Percentages of rows of which the reference and the candidate predict the right class; None without labels.
    pub fn accuracy(&self) -> Option<(f64, f64)> {
        let percent = |right: u64| 100.0 * right as f64 / self.labelled as f64;
        (self.labelled > 0).then(|| (percent(self.reference_right), percent(self.candidate_right)))
    }
}

/// Values a row, where they say something of classes. Integers `[rows]` are classes themselves.
fn width(classes: Classes, output: &Output) -> Option<usize> {
    match (classes, &output.shape[..]) {
        (Classes::None, _) => None,
        (_, [_]) if !output.is_real => Some(1),
        _ if !output.is_real => None,
        (Classes::Scores, [_] | [_, 1]) => Some(1),
        (Classes::Scores | Classes::Guess, [_, width]) if *width > 1 => Some(*width),
        _ => None,
    }
}

/// Whether different classes are predicted of equal scores: either is right.
fn is_tie(expected: &[f64], actual: &[f64]) -> bool {
    let (ours, theirs) = (argmax(actual), argmax(expected));
    expected.len() > 1 && (actual[ours] == actual[theirs] || expected[ours] == expected[theirs])
}

impl Serialize for TopOne {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        if let Some(agreement) = self.agreement() {
            fields.serialize_entry("top1_agreement", &agreement)?;
        }
        if let Some((reference, candidate)) = self.accuracy() {
            fields.serialize_entry("accuracy", &candidate)?;
            fields.serialize_entry("fp32_accuracy", &reference)?;
        }
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(shape: &[usize], values: &[f64]) -> Output {
        Output { name: "y".into(), shape: shape.into(), is_real: true, values: values.into() }
    }

    #[test]
    fn rows_agree_unless_the_first_of_equals_tells_them_apart() {
        let reference = output(&[4, 2], &[0.1, 0.9, 0.6, 0.4, 0.5, 0.5, 0.2, 0.8]);
        let candidate = output(&[4, 2], &[0.2, 0.8, 0.4, 0.6, 0.4, 0.6, 0.3, 0.7]);
        let mut top = TopOne::default();
        let labels = |values: &[f64]| -> Vec<Label> {
            values.iter().enumerate().map(|(row, &value)| Label::of_row(row as u64, value)).collect()
        };
        top.add(Classes::Guess, &reference, &candidate, Some(&labels(&[1.0, 0.0, 1.0, 0.0]))).expect("labels");
        assert_eq!(top.agreement(), Some(75.0));
        assert_eq!(top.accuracy(), Some((50.0, 50.0)));
        let error =
            top.add(Classes::Guess, &reference, &candidate, Some(&labels(&[1.0, 2.0]))).expect_err("two classes");
        assert_eq!(error.to_string(), "rows: row 1: label 2 is no class of the model, which has 0 to 1");
    }

    #[test]
    fn one_value_a_row_is_a_probability_a_class_or_an_estimate() {
        let agreement = |classes, is_real| {
            let output = |values| Output { is_real, ..output(&[2], values) };
            let mut top = TopOne::default();
            top.add(classes, &output(&[0.4, 2.0]), &output(&[0.6, 2.0]), None).expect("no labels");
            top.agreement()
        };
        assert_eq!(agreement(Classes::Scores, true), Some(50.0));
        assert_eq!(agreement(Classes::Guess, false), Some(100.0), "classes 0 and 2 of both");
        assert_eq!((agreement(Classes::Guess, true), agreement(Classes::None, true)), (None, None));
    }
}
