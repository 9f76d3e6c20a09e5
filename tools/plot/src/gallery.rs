//! Misclassified images, the most confident mistakes first.

use crate::{scene::Pixels, settings::Settings};
use dataset::classes;
use files::Input;
use metrics::argmax;
use records::{Batch, DType, Field, ReadOptions, Reader};
use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
};
use thiserror::Error;

/// Limit on probabilities, for the rounding of half precision. Logits exceed it.
const MAX_PROBABILITY: f64 = 1.001;

/// The misclassified rows of an input.
pub struct Gallery {
    /// The components of its path, from which its name is taken.
    pub path: Vec<String>,
    pub rows: u64,
    pub wrong: u64,
    /// As many as a picture has room for: the highest probability first, of equal ones the earlier row.
    pub mistakes: Vec<Mistake>,
}

/// A row whose predicted class, that of the highest probability, is not the actual one.
pub struct Mistake {
    /// Counted from 0.
    pub row: u64,
    pub actual: String,
    pub predicted: String,
    /// Of the predicted class.
    pub probability: f64,
    pub pixels: Pixels,
}

/// Names of classes, index 0 on, and the setting or flag that gave them.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    pub names: &'a [String],
    pub from: &'static str,
}

/// A mistake, ordered by confidence; of equal ones, the earlier row is larger.
struct Ranked(Mistake);

impl Gallery {
    /// Reads records and keeps the mistakes that a picture has room for.
    ///
    /// # Errors
    /// One line: where, what. A field is not there, or has another shape; a label is no class, a probability none.
    pub fn read(input: Input, settings: &Settings, names: Option<Names>) -> anyhow::Result<Self> {
        let fields = [&settings.image_field, &settings.target_field, &settings.prediction_field].map(String::as_str);
        let [image, target, prediction] = fields;
        let remedies = [
            (image, "plot.image_field=NAME"),
            (target, "plot.target_field=NAME"),
            (prediction, "plot.prediction_field=NAME"),
        ]
        .map(|(field, key)| (field, records::chosen_by(key)));
        let options =
            ReadOptions { any: vec![target], remedies: remedies.into(), ..ReadOptions::floats(&[image, prediction]) };
        let mut reader = Reader::open(input, &options)?;
        let room = settings.gallery_rows * settings.gallery_columns;
        let mut kept: BinaryHeap<Reverse<Ranked>> = BinaryHeap::new();
        let (mut rows, mut wrong) = (0, 0);
        let (mut batch, mut columns) = (Batch::new(), Columns::default());
        while reader.read(&mut batch)? {
            columns.fill(&batch, fields, names)?;
            for index in 0..batch.rows() {
                let guess = columns.guess(index).map_err(|error| batch.location(index).error(error.to_string()))?;
                rows += 1;
                wrong += u64::from(guess.actual != guess.predicted);
                // Rows come in order: of equally confident mistakes, the earlier are kept.
                let full = kept.len() == room
                    && kept.peek().is_some_and(|Reverse(last)| guess.probability <= last.0.probability);
                if guess.actual == guess.predicted || full {
                    continue;
                }
                let name = |class| classes::name(names.map(|names| names.names), class);
                kept.push(Reverse(Ranked(Mistake {
                    row: batch.first_row() + index as u64,
                    actual: name(guess.actual),
                    predicted: name(guess.predicted),
                    probability: guess.probability,
                    pixels: columns.pixels(index),
                })));
                if kept.len() > room {
                    kept.pop();
                }
            }
        }
        let mistakes = kept.into_sorted_vec().into_iter().map(|Reverse(Ranked(mistake))| mistake).collect();
        Ok(Self { path: Vec::new(), rows, wrong, mistakes })
    }
}

/// The columns of a batch.
#[derive(Default)]
struct Columns {
    /// `[rows × channels × height × width]`
    images: Vec<u8>,
    labels: Vec<f64>,
    /// `[rows × classes]`
    probabilities: Vec<f64>,
    /// Of an image: channels, height, width.
    shape: [usize; 3],
    classes: usize,
}

/// The actual and the predicted class of a row, and the probability of the latter.
struct Guess {
    actual: usize,
    predicted: usize,
    probability: f64,
}

/// What is wrong with the label or the prediction of a row.
#[derive(Debug, Error)]
enum GuessError {
    #[error(transparent)]
    Label(#[from] dataset::Error),
    #[error("class {class} has probability {found}; expected 0 to 1 (logits are not drawn)")]
    NotAProbability { class: usize, found: f64 },
}

impl Columns {
    /// Takes the image, the label and the prediction of each row.
    fn fill(&mut self, batch: &Batch, fields: [&str; 3], names: Option<Names>) -> records::Result<()> {
        let [image, target, prediction] = fields;
        self.shape = image_shape(batch, batch.field(image)?)?;
        let label = batch.field(target)?;
        if label.elements() != 1 {
            return Err(batch.wrong_shape(label, "one class index"));
        }
        let field = batch.field(prediction)?;
        self.classes = field.elements();
        if self.classes < 2 {
            return Err(batch.wrong_shape(field, "a probability for each of at least two classes"));
        }
        if let Some(Names { names, from }) = names.filter(|names| names.names.len() != self.classes) {
            let expected = format!("a probability for each of the {} classes of {from}", names.len());
            return Err(batch.wrong_shape(field, &expected));
        }
        batch.column_u8(image, &mut self.images)?;
        match label.dtype {
            DType::Text => self.labels = named_labels(batch, target, names)?,
            _ => batch.column_f64(target, &mut self.labels)?,
        }
        batch.column_f64(prediction, &mut self.probabilities)
    }

    fn guess(&self, row: usize) -> Result<Guess, GuessError> {
        let actual = classes::of_label(self.labels[row], self.classes)?;
        let probabilities = &self.probabilities[row * self.classes..][..self.classes];
        if let Some(bad) = probabilities.iter().position(|share| !(0.0..=MAX_PROBABILITY).contains(share)) {
            return Err(GuessError::NotAProbability { class: bad, found: probabilities[bad] });
        }
        let predicted = argmax(probabilities);
        Ok(Guess { actual, predicted, probability: probabilities[predicted] })
    }

    /// A row's image: planes of channels become pixels, and gray becomes as much red as green and blue.
    fn pixels(&self, row: usize) -> Pixels {
        let [channels, height, width] = self.shape;
        let area = height * width;
        let planes = &self.images[row * channels * area..][..channels * area];
        let rgb = (0..area).flat_map(|i| [0, 1, 2].map(|color| planes[color.min(channels - 1) * area + i])).collect();
        // A row has at most 256 MiB.
        Pixels { width: width as u32, height: height as u32, rgb }
    }
}

/// The class index of each text.
fn named_labels(batch: &Batch, target: &str, names: Option<Names>) -> records::Result<Vec<f64>> {
    let Some(Names { names, from }) = names else {
        return Err(
            batch.error(format!("field {target:?} holds text: --classes features.json names the classes in order"))
        );
    };
    let class = |(row, text): (usize, &str)| match names.iter().position(|name| name == text) {
        Some(class) => Ok(class as f64),
        None => Err(batch.location(row).error(format!("class {text:?} is none of {from}"))),
    };
    batch.texts(target)?.into_iter().enumerate().map(class).collect()
}

fn image_shape(batch: &Batch, field: &Field) -> records::Result<[usize; 3]> {
    match field.shape[..] {
        [channels @ (1 | 3), height, width] => Ok([channels, height, width]),
        _ => Err(batch.wrong_shape(field, "[channels,height,width] with 1 or 3 channels")),
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        let (mine, other) = (&self.0, &other.0);
        mine.probability.total_cmp(&other.probability).then(other.row.cmp(&mine.row))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}
