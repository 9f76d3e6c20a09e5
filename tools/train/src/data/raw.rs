//! The rows of one file as read, before features are fitted.

use super::{checks::check_target_values, file_inputs::FileInputs, passthrough::Passthrough};
use crate::settings::{Settings, TrainerSettings};
use anyhow::{Context, ensure};
use dataset::{Column, Missing, Source, Texts};
use files::Input;
use records::{Batch, DType, Field, ReadOptions, Reader, RowFile};
use std::collections::BTreeMap;

/// How a file's rows are read.
#[derive(Clone, Copy, Default)]
pub struct Reading<'a> {
    /// Fields to read as text, because they are text in the training file.
    pub texts: &'a [&'a str],
    /// `--expect-rows`: fail unless exactly this many rows are read.
    pub expect_rows: Option<u64>,
    /// Delimiter of CSV cells; None is by the file's name.
    pub delimiter: Option<u8>,
}

/// Bytes of rows from which column types are inferred: all rows are held in memory anyway.
const FIRST_BLOCK: usize = 16 << 20;
/// Largest spacing of f4 values, as a share of a column's range, that is not worth a note.
const COARSE: f64 = 1e-4;

/// The columns of a file.
pub struct RawDataset {
    /// The file, for messages.
    pub name: String,
    pub inputs: RawInputs,
    pub target: Source,
    /// `[rows]`: weights in the loss; empty without `trainer.weight_field`.
    pub weights: Vec<f32>,
    pub passthrough: Passthrough,
    /// Minimum and maximum of each numeric field that f4 may not hold exactly.
    ranges: BTreeMap<String, (f64, f64)>,
    /// Line number of each row; empty for NPY.
    lines: Vec<u64>,
    pub count: usize,
}

/// Input columns.
pub enum RawInputs {
    /// One `u1` field, unconverted: images are large, and f32 would take four times the memory.
    Bytes {
        field: Field,
        bytes: Vec<u8>,
    },
    Columns(Vec<Source>),
    /// In a file that is larger than `trainer.memory_bytes`: checked, and not kept.
    InFile {
        inputs: Box<FileInputs>,
        /// One for each field.
        missing: Vec<MissingRows>,
    },
}

/// Rows that lack a field.
#[derive(Clone, Copy, Default)]
pub struct MissingRows {
    pub count: usize,
    pub first: Option<usize>,
}

impl RawDataset {
    /// Reads all rows: `u1` as it is, other numbers as f32, text as text. A missing number is NaN, a missing text empty.
    pub fn read(mut input: Input, reading: Reading<'_>, settings: &Settings) -> anyhow::Result<Self> {
        let name = input.name().to_owned();
        let options = read_options(reading, settings);
        let mut in_file = rows_in_file(&mut input, &options.texts, settings)?;
        let mut reader = Reader::open(input, &options)?;
        let (mut batch, mut table) = (Batch::new(), None);
        while reader.read(&mut batch)? {
            let table = match &mut table {
                Some(table) => table,
                None => table.insert(Self::like(&batch, &name, in_file.take(), &options.texts, settings)?),
            };
            table.extend(&batch, &settings.trainer)?;
        }
        let mut table = table.ok_or_else(|| anyhow::anyhow!("{name}: no rows"))?;
        if let RawInputs::InFile { inputs, .. } = &table.inputs {
            inputs.check_rows(table.count).with_context(|| name.clone())?;
        }
        table.check_target_column(&settings.trainer)?;
        if let RawInputs::Columns(sources) = &mut table.inputs {
            let forced = sources.iter_mut().filter(|source| options.texts.contains(&source.name.as_str()));
            forced.for_each(|source| {
                if let Column::Texts(texts) = &mut source.column {
                    *texts = std::mem::take(texts).canonical();
                }
            });
        }
        Ok(table)
    }

    /// No rows yet, with the columns of a batch's schema.
    fn like(
        batch: &Batch,
        name: &str,
        in_file: Option<RowFile>,
        texts: &[&str],
        settings: &Settings,
    ) -> anyhow::Result<Self> {
        let trainer = &settings.trainer;
        let source = |name: &str| -> anyhow::Result<Source> {
            let Field { name, dtype, shape } = batch.field(name)?.clone();
            let column = match dtype {
                DType::Text => Column::Texts(Texts::default()),
                // A number in NPY, text in the training file.
                _ if texts.contains(&name.as_str()) => Column::Texts(Texts::default()),
                _ => Column::numbers(Vec::new(), shape.iter().product()),
            };
            Ok(Source { name, shape, column })
        };
        let names = trainer.input_field.names();
        let inputs = match (in_file, names) {
            (Some(rows), names) => RawInputs::InFile {
                inputs: Box::new(FileInputs::new(rows, names)?),
                missing: vec![MissingRows::default(); names.len()],
            },
            (None, [one]) if batch.field(one)?.dtype == DType::U1 && !texts.contains(&one.as_str()) => {
                RawInputs::Bytes { field: batch.field(one)?.clone(), bytes: Vec::new() }
            }
            (None, names) => RawInputs::Columns(names.iter().map(|name| source(name)).collect::<anyhow::Result<_>>()?),
        };
        let target = source(&trainer.target_field)?;
        let passthrough = match &inputs {
            RawInputs::InFile { .. } => Passthrough::in_file(batch, &trainer.fields()),
            _ => Passthrough::like(batch, &trainer.fields()),
        };
        Ok(Self {
            name: name.to_owned(),
            inputs,
            target,
            weights: Vec::new(),
            passthrough,
            ranges: BTreeMap::new(),
            lines: Vec::new(),
            count: 0,
        })
    }

    fn extend(&mut self, batch: &Batch, trainer: &TrainerSettings) -> anyhow::Result<()> {
        match &mut self.inputs {
            RawInputs::Bytes { field, bytes } => batch.append_packed(&field.name, bytes)?,
            RawInputs::Columns(sources) => {
                for source in sources {
                    extend(source, batch, &mut self.ranges)?;
                }
            }
            RawInputs::InFile { inputs, missing } => {
                // Bytes are numbers whatever they are.
                let checked = if inputs.bytes_field().is_some() { &[] } else { inputs.fields() };
                for (field, missing) in checked.iter().zip(missing) {
                    let values = numbers(&field.name, field.elements(), batch, &mut self.ranges)?;
                    missing.add(self.count, &values, field.elements());
                }
                inputs.add_to_digest(batch)?;
            }
        }
        let before = self.count;
        extend(&mut self.target, batch, &mut self.ranges)?;
        if let Column::Numbers { values, width } = &self.target.column {
            check_target_values(batch, trainer, *width, &values[before * width..])?;
        }
        if let Some(field) = &trainer.weight_field {
            read_weights(batch, field, &mut self.weights)?;
        }
        self.passthrough.extend(batch)?;
        self.lines.extend((0..batch.rows()).map_while(|row| batch.line(row)));
        self.count += batch.rows();
        Ok(())
    }

    /// Names of the text columns.
    pub fn text_fields(&self) -> Vec<&str> {
        let inputs = match &self.inputs {
            RawInputs::Bytes { .. } | RawInputs::InFile { .. } => &[],
            RawInputs::Columns(sources) => sources.as_slice(),
        };
        let texts = inputs.iter().chain([&self.target]).filter(|source| matches!(source.column, Column::Texts(_)));
        texts.map(Source::name).collect()
    }

    /// A note for each column whose values are too close together for f4, in which networks compute.
    pub fn precision_notes(&self) -> impl Iterator<Item = String> {
        self.ranges.iter().filter_map(|(name, &(min, max))| {
            let size = min.abs().max(max.abs()) as f32;
            let step = f64::from(size.next_up()) - f64::from(size);
            let range = max - min;
            (range > 0.0 && step > COARSE * range).then(|| {
                format!(
                    "field {name:?} is from {min} to {max}, where f4 has steps of {step}: subtract {min} from it first"
                )
            })
        })
    }

    /// The location of a row, for messages.
    pub fn location(&self, row: usize) -> String {
        match self.lines.get(row) {
            Some(line) => format!("{}:{line}", self.name),
            None => format!("{}: row {row}", self.name),
        }
    }

    /// # Errors
    /// When columns differ in name, type or shape from those of `other`.
    pub fn check_like(&self, other: &Self) -> anyhow::Result<()> {
        let pairs = self.fields().into_iter().zip(other.fields());
        for ((name, found), (_, expected)) in pairs {
            ensure!(found == expected, "{}: field {name} is {found}; it is {expected} in {}", self.name, other.name);
        }
        Ok(())
    }

    /// Name, and type and shape in words, of each input and of the target.
    fn fields(&self) -> Vec<(&str, String)> {
        let describe = |source: &Source| match &source.column {
            Column::Texts(_) => "text".to_owned(),
            Column::Numbers { .. } => format!("numbers {:?}", source.shape),
        };
        let of = |source| (Source::name(source), describe(source));
        let bytes = |field: &Field| format!("bytes {:?}", field.shape);
        let mut fields = match &self.inputs {
            RawInputs::Bytes { field, .. } => vec![(field.name.as_str(), bytes(field))],
            RawInputs::Columns(sources) => sources.iter().map(of).collect(),
            RawInputs::InFile { inputs, .. } => match inputs.bytes_field() {
                Some(field) => vec![(field.name.as_str(), bytes(field))],
                None => {
                    let of = |field: &Field| format!("numbers {:?}", field.shape);
                    inputs.fields().iter().map(|field| (field.name.as_str(), of(field))).collect()
                }
            },
        };
        fields.push(of(&self.target));
        fields
    }
}

impl MissingRows {
    /// Adds rows `[rows, width]`, the first of which is row `before`.
    fn add(&mut self, before: usize, values: &[f32], width: usize) {
        let rows = values.chunks_exact(width).enumerate();
        for (row, _) in rows.filter(|(_, values)| values.iter().any(|x| x.is_nan())) {
            self.count += 1;
            self.first.get_or_insert(before + row);
        }
    }
}

/// The rows of a file that is too large for memory; None where all rows are held in memory: up to `trainer.memory_bytes`, and
/// where fields are read as text, missing values are filled, or the file is not NPY in C order.
fn rows_in_file(input: &mut Input, texts: &[&str], settings: &Settings) -> anyhow::Result<Option<RowFile>> {
    let trainer = &settings.trainer;
    let names = trainer.input_field.names();
    let is_large = input.random_access()?.is_some_and(|file| file.bytes() > trainer.memory_bytes);
    let is_numbers = !names.iter().any(|name| texts.contains(&name.as_str()));
    if !is_large || !is_numbers || settings.features.missing != Missing::Error {
        return Ok(None);
    }
    Ok(RowFile::open(input, &names[0])?)
}

/// Reads the fields of the settings, and every other scalar of NDJSON and CSV as text, to pass it through.
fn read_options<'a>(reading: Reading<'a>, settings: &'a Settings) -> ReadOptions<'a> {
    let trainer = &settings.trainer;
    let names = trainer.input_field.names();
    let is_text = |name: &&str| {
        reading.texts.contains(name) || settings.features.categorical.iter().any(|category| category == name)
    };
    let used = names.iter().chain([&trainer.target_field]).map(String::as_str);
    let (texts, any): (Vec<&str>, Vec<&str>) = used.partition(is_text);
    ReadOptions {
        floats: trainer.weight_field.as_deref().into_iter().collect(),
        texts,
        any,
        remedies: remedies(trainer),
        missing: true,
        others_as_text: true,
        plain_name: &names[0],
        first_block: FIRST_BLOCK,
        expect_rows: reading.expect_rows,
        delimiter: reading.delimiter,
        fortran_bytes: trainer.fortran_bytes,
        ..ReadOptions::any(&[""])
    }
}

/// For the error of a missing field: the setting that names it.
fn remedies(trainer: &TrainerSettings) -> Vec<(&str, String)> {
    let inputs = trainer.input_field.names().iter().map(|name| (name, "trainer.input_field=NAME"));
    let weight = trainer.weight_field.iter().map(|name| (name, "trainer.weight_field=NAME"));
    let named = inputs.chain([(&trainer.target_field, "trainer.target_field=NAME")]).chain(weight);
    named.map(|(name, key)| (name.as_str(), records::chosen_by(key))).collect()
}

/// Appends a column of a batch.
fn extend(source: &mut Source, batch: &Batch, ranges: &mut BTreeMap<String, (f64, f64)>) -> anyhow::Result<()> {
    let name = &source.name;
    match &mut source.column {
        Column::Texts(texts) => dataset::texts(name, batch)?.iter().for_each(|text| texts.push(text)),
        Column::Numbers { values, width } => values.extend_from_slice(&numbers(name, *width, batch, ranges)?),
    }
    Ok(())
}

/// A numeric column of a batch, `[rows, width]`.
fn numbers(
    name: &str,
    width: usize,
    batch: &Batch,
    ranges: &mut BTreeMap<String, (f64, f64)>,
) -> anyhow::Result<Vec<f32>> {
    let mut values = Vec::new();
    batch.column_f32(name, &mut values)?;
    if matches!(batch.field(name)?.dtype, DType::F8 | DType::I4 | DType::I8 | DType::U4 | DType::U8) {
        let mut exact = Vec::new();
        batch.column_f64(name, &mut exact)?;
        let range = ranges.entry(name.to_owned()).or_insert((f64::INFINITY, f64::NEG_INFINITY));
        exact.iter().for_each(|&x| *range = (range.0.min(x), range.1.max(x)));
    }
    if let Some(bad) = values.iter().position(|value| value.is_infinite()) {
        let problem = format!("field {name:?} is {} as f32; expected a finite number", values[bad]);
        return Err(batch.location(bad / width).error(problem).into());
    }
    Ok(values)
}

/// Appends a batch's weights.
fn read_weights(batch: &Batch, name: &str, all: &mut Vec<f32>) -> anyhow::Result<()> {
    let field = batch.field(name)?;
    if !field.shape.is_empty() {
        return Err(batch.wrong_shape(field, "a number by trainer.weight_field").into());
    }
    let mut weights = Vec::new();
    batch.column_f32(name, &mut weights)?;
    if let Some(row) = weights.iter().position(|weight| !(*weight >= 0.0 && weight.is_finite())) {
        let problem = format!("field {name:?} is {}; a weight is a finite number of at least 0", weights[row]);
        return Err(batch.location(row).error(problem).into());
    }
    all.extend_from_slice(&weights);
    Ok(())
}
