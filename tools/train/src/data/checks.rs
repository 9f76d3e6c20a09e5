//! Checks of targets and text columns, with the location of the first bad row.

use super::raw::{RawDataset, RawInputs};
use crate::settings::TrainerSettings;
use dataset::{Column, FeatureSettings, Source, Texts};
use nets::Loss;
use records::Batch;
use std::collections::HashSet;

/// Maximum characters of a text in a message.
const SHOWN_CHARS: usize = 40;

impl RawDataset {
    /// # Errors
    /// When a target is missing, or is text without a loss for classes.
    pub fn check_target_column(&self, trainer: &TrainerSettings) -> anyhow::Result<()> {
        let mut missing = (0..self.count).filter(|&row| self.target.column.is_missing(row));
        if let (Column::Texts(texts), false) = (&self.target.column, trainer.loss().has_classes()) {
            let field = &trainer.target_field;
            let (row, text) = self.odd_text(texts).unwrap_or((0, texts.get(0)));
            if let Some(numbers) = mostly_numbers(texts) {
                anyhow::bail!(
                    "{}: field {field:?} is {:?}, and a number in {numbers} of {} rows; correct it, or drop the row",
                    self.location(row),
                    shown(text),
                    self.count
                );
            }
            anyhow::bail!(
                "{}: field {field:?} is {:?}: a text target is class names; use trainer.loss=cross_entropy",
                self.location(row),
                shown(text)
            );
        }
        let Some(first) = missing.next() else { return Ok(()) };
        let (count, rows, field) = (1 + missing.count(), self.count, &trainer.target_field);
        anyhow::bail!("{}: {count} of {rows} rows lack {field:?}, the target; drop them", self.location(first))
    }

    /// # Errors
    /// When an input column is text only because of a few values among numbers, and is not in `features.categorical`.
    pub fn check_odd_texts(&self, settings: &FeatureSettings) -> anyhow::Result<()> {
        let FeatureSettings { categorical, max_categories, .. } = settings;
        let max_categories = *max_categories;
        let RawInputs::Columns(sources) = &self.inputs else { return Ok(()) };
        for Source { name, column, .. } in sources.iter().filter(|source| !categorical.contains(&source.name)) {
            let Column::Texts(texts) = column else { continue };
            let (Some(numbers), Some((row, text))) = (mostly_numbers(texts), self.odd_text(texts)) else { continue };
            let different = texts.iter().collect::<HashSet<_>>().len();
            let categories =
                if different <= max_categories { ", or name the field in features.categorical" } else { "" };
            anyhow::bail!(
                "{}: field {name:?} is {:?}, and a number in {numbers} of {} rows; leave a missing value empty{categories}",
                self.location(row),
                shown(text),
                self.count
            );
        }
        Ok(())
    }

    /// Row and text of the first value that is not a number.
    fn odd_text<'t>(&self, texts: &'t Texts) -> Option<(usize, &'t str)> {
        texts.iter().enumerate().find(|(_, text)| !text.is_empty() && records::canonical_number(text).is_none())
    }
}

/// How many texts are numbers, if at least nine in ten of those that are present are.
fn mostly_numbers(texts: &Texts) -> Option<usize> {
    let numbers = texts.iter().filter(|text| records::canonical_number(text).is_some()).count();
    let present = texts.iter().filter(|text| !text.is_empty()).count();
    (numbers > 0 && numbers * 10 >= present * 9).then_some(numbers)
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS).collect()
}

/// Checks that targets are class indices or probabilities, as the loss requires; missing ones are for `check_target_column`.
pub fn check_target_values(
    batch: &Batch,
    trainer: &TrainerSettings,
    width: usize,
    targets: &[f32],
) -> anyhow::Result<()> {
    let is_class = |target: f32| target >= 0.0 && target.fract() == 0.0 && target < trainer.max_classes() as f32;
    let (is_good, expected): (&dyn Fn(f32) -> bool, String) = match trainer.loss() {
        Loss::CrossEntropy { .. } if width == 1 => {
            let expected = match trainer.classes {
                Some(classes) => format!("a class, from 0 to {} by trainer.classes", classes - 1),
                None => format!("a class, a whole number from 0 to {} (the limit)", trainer.max_classes() - 1),
            };
            (&is_class, expected)
        }
        Loss::CrossEntropy { .. } | Loss::BinaryCrossEntropy => {
            (&|target| (0.0..=1.0).contains(&target), "a probability, from 0 to 1".into())
        }
        Loss::Mse | Loss::Mae | Loss::Huber { .. } => return Ok(()),
    };
    match targets.iter().position(|&target| !(target.is_nan() || is_good(target))) {
        None => Ok(()),
        Some(bad) => {
            let problem = format!("field {:?} is {}; the loss expects {expected}", trainer.target_field, targets[bad]);
            Err(batch.location(bad / width).error(problem).into())
        }
    }
}
