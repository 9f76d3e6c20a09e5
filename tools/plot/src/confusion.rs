//! LabelledMatrix matrices: how often rows of one class were taken for another.

use anyhow::{Context, ensure};
use cli::printable;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Counts, or shares, as `[actual][predicted]`, square, with the names of the classes.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledMatrix {
    /// The components of its path, from which its name is taken.
    pub path: Vec<String>,
    pub labels: Vec<String>,
    pub counts: Vec<Vec<f64>>,
}

/// What `score` writes, or `{"labels": ..., "matrix": ...}`; other keys are ignored.
#[derive(Deserialize)]
struct Json {
    #[serde(alias = "matrix")]
    confusion_matrix: Vec<Vec<f64>>,
    labels: Option<Vec<serde_json::Value>>,
}

impl LabelledMatrix {
    /// Reads a JSON object with a matrix.
    ///
    /// # Errors
    /// When there is none, or it is not square, or has other numbers than counts.
    pub fn from_json(name: &str, text: &str) -> anyhow::Result<Self> {
        let json: Json = serde_json::from_str(text).with_context(|| {
            format!("{name}: neither run events nor records of images, nor a JSON object with a confusion matrix")
        })?;
        let classes = json.confusion_matrix.len();
        ensure!(classes > 0, "{name}: the confusion matrix is empty");
        for (row, counts) in json.confusion_matrix.iter().enumerate() {
            let cells = counts.len();
            ensure!(cells == classes, "{name}: confusion matrix: row {row} has {cells} numbers; expected {classes}");
            let odd = counts.iter().find(|count| **count < 0.0);
            ensure!(odd.is_none(), "{name}: confusion matrix: row {row} has a number below 0; expected counts");
        }
        ensure!(
            json.confusion_matrix.iter().flatten().any(|count| *count > 0.0),
            "{name}: nothing to draw: the confusion matrix counts no rows"
        );
        let labels = json.labels.unwrap_or_else(|| (0..classes).map(Into::into).collect());
        let labels = labels.iter().map(|label| label.as_str().map_or_else(|| label.to_string(), str::to_owned));
        Self { path: Vec::new(), labels: labels.collect(), counts: json.confusion_matrix }.checked(name)
    }

    /// With other names of the classes.
    ///
    /// # Errors
    /// When there are more or fewer than classes.
    pub fn with_labels(mut self, labels: &[String]) -> anyhow::Result<Self> {
        self.labels = labels.to_vec();
        self.checked("plot.labels")
    }

    /// Replaces labels that are class indices by names; labels that are names already stay.
    ///
    /// # Errors
    /// When a label is neither a name nor the index of one.
    pub fn with_names(mut self, names: &[String]) -> anyhow::Result<Self> {
        if !self.labels.iter().all(|label| names.contains(label)) {
            let count = names.len();
            for label in &mut self.labels {
                let name = label.parse().ok().and_then(|class: usize| names.get(class));
                *label = name.with_context(|| format!("--classes: {count} names, and none for class {label}"))?.clone();
            }
        }
        Ok(self)
    }

    /// The labels as `cut` shortens them; where two would look alike, with the index of the class in front.
    pub fn short_labels(&self, cut: impl Fn(&str) -> String) -> Vec<String> {
        if self.look_alike(&cut) { self.indexed_labels(cut) } else { self.cut_labels(cut) }
    }

    /// Whether two labels are the same when `cut` has shortened them.
    pub fn look_alike(&self, cut: impl Fn(&str) -> String) -> bool {
        let mut labels = self.cut_labels(cut);
        labels.sort();
        labels.windows(2).any(|pair| pair[0] == pair[1])
    }

    /// The labels as `cut` shortens them.
    pub fn cut_labels(&self, cut: impl Fn(&str) -> String) -> Vec<String> {
        self.labels.iter().map(|label| cut(&printable(label))).collect()
    }

    /// The index of each class, and as much of its label as `cut` leaves of both.
    pub fn indexed_labels(&self, cut: impl Fn(&str) -> String) -> Vec<String> {
        let label = |(class, label): (usize, &String)| cut_behind(&format!("{class} "), &printable(label), &cut);
        self.labels.iter().enumerate().map(label).collect()
    }

    fn checked(self, name: &str) -> anyhow::Result<Self> {
        let (labels, classes) = (self.labels.len(), self.counts.len());
        ensure!(labels == classes, "{name}: {labels} labels for {classes} classes");
        Ok(self)
    }

    /// The sum of the diagonal over that of the matrix, which need not be counts; NaN where that is 0.
    pub fn accuracy(&self) -> f64 {
        let hits: f64 = self.counts.iter().enumerate().map(|(class, row)| row[class]).sum();
        hits / self.counts.iter().flatten().sum::<f64>()
    }

    /// A count as a share of its row, from 0 to 1.
    pub fn share(&self, actual: usize, predicted: usize) -> f64 {
        let rows: f64 = self.counts[actual].iter().sum();
        if rows > 0.0 { self.counts[actual][predicted] / rows } else { 0.0 }
    }
}

/// `front`, and as much of the label as `cut` leaves of both.
fn cut_behind(front: &str, label: &str, cut: impl Fn(&str) -> String) -> String {
    let short = |kept: usize| -> String {
        let end = label.char_indices().nth(kept).map_or(label.len(), |(end, _)| end);
        format!("{front}{}{}", &label[..end], if end < label.len() { "…" } else { "" })
    };
    let fits = |text: &String| cut(text) == *text;
    let most = label.chars().count();
    (0..=most).rev().map(short).find(fits).unwrap_or_else(|| front.trim_end().to_owned())
}

/// PairCounts of an actual and a predicted class, counted.
#[derive(Debug, Default)]
pub struct PairCounts {
    counts: BTreeMap<(Label, Label), f64>,
}

/// Indices in numeric order, then names in alphabetical order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    Index(i64),
    Name(String),
}

impl PairCounts {
    pub fn add(&mut self, actual: &str, predicted: &str) {
        let label = |text: &str| text.parse().map_or_else(|_| Label::Name(text.to_owned()), Label::Index);
        *self.counts.entry((label(actual), label(predicted))).or_default() += 1.0;
    }

    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    pub fn confusion(self) -> LabelledMatrix {
        let mut labels: Vec<&Label> = self.counts.keys().flat_map(|(actual, predicted)| [actual, predicted]).collect();
        labels.sort();
        labels.dedup();
        let mut counts = vec![vec![0.0; labels.len()]; labels.len()];
        for ((actual, predicted), count) in &self.counts {
            let index = |label| labels.binary_search(&label).expect("every label was collected above");
            counts[index(actual)][index(predicted)] = *count;
        }
        let text = |label: &&Label| match label {
            Label::Index(index) => index.to_string(),
            Label::Name(name) => name.clone(),
        };
        LabelledMatrix { path: Vec::new(), labels: labels.iter().map(text).collect(), counts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_counted_with_labels_in_order() {
        let mut pairs = PairCounts::default();
        for (actual, predicted) in [("10", "2"), ("2", "2"), ("10", "2"), ("cat", "10")] {
            pairs.add(actual, predicted);
        }
        let confusion = pairs.confusion();
        assert_eq!(confusion.labels, ["2", "10", "cat"]);
        assert_eq!(confusion.counts, [[1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 1.0, 0.0]]);
        assert_eq!((confusion.accuracy(), confusion.share(1, 0)), (0.25, 1.0));
    }

    #[test]
    fn labels_that_would_look_alike_have_their_index_in_front() {
        let labels = |labels: [&str; 2], room: usize| {
            let labels: Vec<_> = labels.into_iter().map(str::to_owned).collect();
            let confusion = LabelledMatrix { path: vec![], labels, counts: vec![vec![1.0, 0.0], vec![0.0, 1.0]] };
            confusion.short_labels(|label| match label.chars().count() > room {
                true => label.chars().take(room - 1).chain(['…']).collect(),
                false => label.to_owned(),
            })
        };
        assert_eq!(labels(["cat", "horse"], 4), ["cat", "hor…"]);
        assert_eq!(labels(["class one", "class two"], 6), ["0 cla…", "1 cla…"]);
        assert_eq!(labels(["class one", "class two"], 1), ["0", "1"]);
        assert_eq!(labels(["a\u{1b}", "b"], 9), ["a\\u{1b}", "b"]);
    }

    #[test]
    fn a_matrix_that_is_none_is_refused() {
        for (text, expected) in [
            (r#"{"mse":1}"#, "confusion"),
            (r#"{"matrix":[]}"#, "empty"),
            (r#"{"matrix":[[1,2]]}"#, "row 0 has 2 numbers; expected 1"),
            (r#"{"matrix":[[1,2],[3,-4]]}"#, "row 1 has a number below 0"),
            (r#"{"matrix":[[0,0],[0,0]]}"#, "nothing to draw: the confusion matrix counts no rows"),
            (r#"{"matrix":[[1]],"labels":["a","b"]}"#, "2 labels for 1 classes"),
        ] {
            let error = format!("{:#}", LabelledMatrix::from_json("m.json", text).expect_err(text));
            assert!(error.starts_with("m.json: ") && error.contains(expected), "{error}");
        }
    }
}
