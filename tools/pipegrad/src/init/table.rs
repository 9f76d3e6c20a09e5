//! The project of a table: which columns are read, which is predicted, and what follows from their types.

mod column;

use super::{
    Args, Content, example, next,
    render::{Text, yaml},
    with_slashes,
    write::{Target, plain_name},
};
use anyhow::{Context, bail, ensure};
use cli::Delimiter;
use column::{Column, Kind};
use files::Input;
use records::{Batch, Encoding, Error, ReadOptions, Reader, delimiter_flag, other_delimiter};
use std::{
    io::Cursor,
    path::{Path, PathBuf},
};

/// The file and the target of the example.
const EXAMPLE: (&str, &str) = ("data/houses.csv", "price");
/// Bytes of the table that types are told by, as `train` does.
const BYTES: usize = 16 << 20;
/// As the setting `features.max_categories`: a column with more texts holds ids, or free text.
const MAX_CATEGORIES: usize = 100;
/// What a name in settings would be read as a reference for.
const INTERPOLATION: &str = "${";
/// With fewer rows of a category, the training rows may well have none: 1 in 400 000 of 8, with a share of 0.8.
const RARE_ROWS: usize = 8;
/// With fewer, a split of 0.8, 0.1 and 0.1 has an empty part.
const LEAST_ROWS: usize = 5;
/// With fewer rows, a different text in each of them says nothing.
const FEW_ROWS: usize = 20;
/// Rows up to which a table is small or medium-sized, with epochs and batch size.
const SIZES: [(usize, u32, u32); 2] = [(2000, 100, 32), (50_000, 30, 128)];
/// Epochs and batch size of a larger one.
const LARGE: (u32, u32) = (10, 256);

type Data = Vec<(PathBuf, Content)>;

/// What is filled into the template, the file of the table where it becomes part of the project, and notes.
pub fn project(args: &Args, target: &Target) -> anyhow::Result<(Text, Data, Vec<String>)> {
    let delimiter = args.delimiter.map(|Delimiter(delimiter)| delimiter);
    let Some(file) = &args.data else {
        let (path, predicted) = EXAMPLE;
        let bytes = example::houses();
        let table = Table::read(Input::new(path, Cursor::new(bytes.clone())), None)?;
        let (text, notes) = table.fill_in(predicted, path, None)?;
        return Ok((text, vec![(path.into(), Content::Bytes(bytes))], notes));
    };
    let table = Table::read(Input::open(Some(file)).context("init")?, delimiter)?;
    let Some(predicted) = &args.target else {
        bail!("init: {}: which column is to be predicted? --target with one of {}", file.display(), table.names());
    };
    let (path, data) = place(file, target)?;
    let (text, notes) = table.fill_in(predicted, &path, delimiter)?;
    Ok((text, data, notes))
}

/// Where the table is in the project: where it is, if that is in the project's folder, otherwise a copy in `data/`.
fn place(file: &Path, target: &Target) -> anyhow::Result<(String, Data)> {
    let at = || format!("init: {}", file.display());
    let within = target.relative(file).with_context(at)?;
    if within.starts_with("..") {
        let path = PathBuf::from("data").join(plain_name(file));
        return Ok((with_slashes(&path), vec![(path, Content::CopyOf(file.to_owned()))]));
    }
    let path = with_slashes(&within);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
    ensure!(
        path.chars().all(is_plain) && !path.starts_with('-'),
        "{}: rename it first, to letters, digits, _, . and -",
        at()
    );
    Ok((path, Vec::new()))
}

/// The columns of a table, or of its first rows.
struct Table {
    source: String,
    columns: Vec<Column>,
    rows: usize,
    /// Whether all rows were read.
    is_whole: bool,
}

/// The error of opening a table; of a compressed one, how to unpack it.
fn unpacking(error: Error) -> anyhow::Error {
    if let Error::At { location, error } = &error
        && let Error::OtherFormat { format, remedy } = error.as_ref()
        && let Some(command) = remedy.strip_suffix(" | ...")
    {
        let packed = PathBuf::from(location.to_string());
        let table = next::quoted(&packed.with_extension(""));
        let command = command.replace("FILE", &next::quoted(&packed));
        return anyhow::anyhow!("init: {}: {format}; unpack it first: {command} > {table}", packed.display());
    }
    anyhow::Error::from(error).context("init")
}

impl Table {
    fn read(input: Input, delimiter: Option<u8>) -> anyhow::Result<Self> {
        let options = ReadOptions { others_as_text: true, all_fields: false, delimiter, ..ReadOptions::any(&[]) };
        let mut reader = Reader::open(input, &options).map_err(unpacking)?;
        let source = reader.source().to_string();
        let Encoding::Csv { delimiter } = reader.encoding() else {
            bail!("init: {source}: expected a CSV file; of NDJSON and NPY, train reads the fields by name");
        };
        let names: Vec<String> = reader.schema().fields().iter().map(|field| field.name.clone()).collect();
        if let [only] = names.as_slice()
            && let Some(other) = other_delimiter(only, delimiter)
        {
            bail!("init: {source}: one column, {only:?}; name what separates the cells: {}", delimiter_flag(other));
        }
        let mut cells: Vec<Vec<String>> = vec![Vec::new(); names.len()];
        let (mut batch, mut bytes, mut is_whole) = (Batch::new(), 0, true);
        while reader.read(&mut batch).context("init")? {
            if bytes > BYTES {
                is_whole = false;
                break;
            }
            for (name, column) in names.iter().zip(&mut cells) {
                let texts = batch.texts(name).context("init")?;
                bytes += texts.iter().map(|text| text.len()).sum::<usize>();
                column.extend(texts.into_iter().map(str::to_owned));
            }
        }
        let rows = cells.first().map_or(0, Vec::len);
        let columns = names.into_iter().zip(&cells).map(|(name, cells)| Column::new(name, cells)).collect();
        Ok(Self { source, columns, rows, is_whole })
    }

    /// The names of the columns, for a message.
    fn names(&self) -> String {
        self.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    fn predicted(&self, name: &str) -> anyhow::Result<&Column> {
        let known = || self.columns.iter().map(|column| column.name.as_str());
        match self.columns.iter().find(|column| column.name == name) {
            Some(column) => Ok(column),
            None => match config::did_you_mean(name, known()) {
                near if near.is_empty() => {
                    bail!("init: {}: no column {name:?}; there is {}", self.source, self.names())
                }
                near => bail!("init: {}: no column {name:?}{near}", self.source),
            },
        }
    }

    /// The values of the template for a table at `path`, in which the column `predicted` is predicted, and notes.
    fn fill_in(&self, predicted: &str, path: &str, delimiter: Option<u8>) -> anyhow::Result<(Text, Vec<String>)> {
        let predicted = self.predicted(predicted)?;
        let task = self.task(predicted)?;
        let others = || self.columns.iter().filter(|column| column.name != predicted.name);
        let inputs: Vec<&Column> = others().filter(|column| self.left_out(column).is_none()).collect();
        ensure!(
            !inputs.is_empty(),
            "init: {}: no column to predict {:?} from: {}",
            self.source,
            predicted.name,
            self.reasons(others())
        );
        ensure!(
            self.rows >= LEAST_ROWS,
            "init: {}: {} rows; at least {LEAST_ROWS} are needed, so that one is left for validation and one for the test",
            self.source,
            self.rows
        );
        let (epochs, batch) = self.length();
        let missing = if inputs.iter().any(|column| column.missing > 0) { "median" } else { "error" };
        let is_rare = |column: &&Column| column.kind == Kind::Text && column.rarest < RARE_ROWS;
        let unseen = if inputs.iter().any(is_rare) { "zero" } else { "error" };
        // `train` writes the test rows as CSV where a column is text.
        let test = if self.columns.iter().any(|column| column.kind == Kind::Text) { "test.csv" } else { "test.npy" };
        let delimiter = delimiter.map(|delimiter| format!("{} ", delimiter_flag(delimiter)));
        let text = Text::new()
            .set("data", path)
            .set("delimiter", delimiter.unwrap_or_default())
            .set("inputs", self.list(others()))
            .set("target", yaml(&predicted.name))
            .set("target_text", format!("`{}`", predicted.name.replace(['`', '\n', '\r'], " ")))
            .set("target_kind", predicted.describe())
            .set("test", test)
            .set("epochs", epochs.to_string())
            .set("batch", batch.to_string())
            .set("missing", missing)
            .set("unseen", unseen);
        let notes = match self.reasons(others()) {
            reasons if reasons.is_empty() => Vec::new(),
            reasons => {
                vec![format!("params.yaml leaves out {reasons}; to keep a column, remove the # before it there")]
            }
        };
        Ok((task.fill_in(text), notes))
    }

    fn task(&self, predicted: &Column) -> anyhow::Result<Task> {
        let (source, name) = (&self.source, &predicted.name);
        ensure!(!name.contains(INTERPOLATION), "init: {source}: {name:?} cannot be a setting; rename the column");
        ensure!(
            predicted.missing == 0,
            "init: {source}: {} of {} rows have no {name:?}, which is to be predicted; leave them out first",
            predicted.missing,
            self.rows
        );
        ensure!(
            predicted.distinct > 1,
            "init: {source}: {name:?} is the same in every row; name another with --target"
        );
        ensure!(
            !predicted.has_decimal_commas,
            "init: {source}: {name:?} has decimal commas, and is text so; write decimal points first"
        );
        Ok(match predicted.kind {
            Kind::Text if self.rows > FEW_ROWS && predicted.distinct == self.rows => {
                bail!("init: {source}: {name:?} is another text in each row, and no class; name another with --target")
            }
            Kind::Text => Task::Classes,
            Kind::Boolean => Task::ZeroOrOne,
            Kind::Number(low, high) if predicted.distinct == 2 && (low, high) == (0.0, 1.0) => Task::ZeroOrOne,
            Kind::Number(..) => Task::Number,
        })
    }

    /// Why a column is not read, if it is not.
    fn left_out(&self, column: &Column) -> Option<&'static str> {
        match column.kind {
            _ if column.missing == self.rows => Some("empty"),
            _ if column.name.contains(INTERPOLATION) => Some("a name that cannot be a setting"),
            _ if column.is_id(self.rows) => Some("an id"),
            _ if column.has_decimal_commas => Some("decimal commas; write points"),
            Kind::Text if column.distinct > MAX_CATEGORIES => Some("too many different texts"),
            Kind::Text if self.rows > FEW_ROWS && column.distinct == self.rows => Some("another text in each row"),
            _ => None,
        }
    }

    fn reasons<'c>(&self, columns: impl Iterator<Item = &'c Column>) -> String {
        let reasons = columns.filter_map(|column| Some(format!("{:?} ({})", column.name, self.left_out(column)?)));
        reasons.collect::<Vec<_>>().join(", ")
    }

    /// The columns as items of a list in YAML; those that are not read as comments.
    fn list<'c>(&self, columns: impl Iterator<Item = &'c Column>) -> String {
        let item = |column: &Column| match self.left_out(column) {
            None => format!("- {} # {}", yaml(&column.name), column.describe()),
            Some(why) => format!("# - {} # {why}", yaml(&column.name)),
        };
        columns.map(item).collect::<Vec<_>>().join("\n    ")
    }

    /// Epochs and batch size.
    fn length(&self) -> (u32, u32) {
        let fits = SIZES.iter().find(|(rows, ..)| self.is_whole && self.rows <= *rows);
        fits.map_or(LARGE, |(_, epochs, batch)| (*epochs, *batch))
    }
}

/// What kind of target is predicted.
#[derive(Debug, Clone, Copy)]
enum Task {
    Number,
    /// Classes with names.
    Classes,
    /// Classes without names.
    ZeroOrOne,
}

impl Task {
    fn fill_in(self, text: Text) -> Text {
        let text = match self {
            Self::Number => text
                .set("task", "regression # of a number")
                .set("loss", "mse # mse|mae|huber: mae and huber weigh outliers less")
                .set("loss_label", "mean squared error, of the scaled target")
                .set("encoding", "csv")
                .set("score_flags", "")
                .set("outputs", "/predictions.csv"),
            Self::Classes | Self::ZeroOrOne => text
                .set("task", "classification # of a class")
                .set("loss", "cross_entropy # the target is a class")
                .set("loss_label", "cross-entropy")
                .set("encoding", "ndjson")
                .set("outputs", "/classes.tsv\n/confusion.csv\n/predictions.ndjson")
                .with("classification"),
        };
        let tables = "--confusion confusion.csv --per-class classes.tsv ";
        match self {
            Self::Number => text,
            Self::ZeroOrOne => text.set("score_flags", tables),
            Self::Classes => {
                text.set("score_flags", format!("--classes runs/model/features.json {tables}")).with("named")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        Table::read(Input::new("t.csv", Cursor::new(text.as_bytes().to_vec())), None).expect("a table")
    }

    #[test]
    fn the_task_is_told_by_the_target() {
        let table = table("n,b,t,z\n1,true,x,0\n2,false,y,1\n3,true,x,1\n");
        let task = |name: &str| {
            let column = table.predicted(name).expect("a column");
            format!("{:?}", table.task(column).expect("a task"))
        };
        assert_eq!(["n", "b", "t", "z"].map(task), ["Number", "ZeroOrOne", "Classes", "ZeroOrOne"]);
    }

    #[test]
    fn a_rare_category_may_be_missing_from_the_training_rows() {
        let rows: String = (0..100).map(|i| format!("{},{i}\n", ["a", "b"][i % 2])).collect();
        let unseen = |rows: String| {
            let (text, _) = table(&format!("t,y\n{rows}")).fill_in("y", "data/t.csv", None).expect("values");
            text.render("$unseen$")
        };
        assert_eq!(unseen(rows.clone()), "error\n");
        assert_eq!(unseen(rows + "c,1\n"), "zero\n");
    }

    #[test]
    fn ids_are_left_out_and_named() {
        let rows: String = (0..200).map(|i| format!("{i},t{i},{},{}\n", i % 7, i % 3)).collect();
        let table = table(&format!("id,name,x,y\n{rows}"));
        let (text, notes) = table.fill_in("y", "data/t.csv", None).expect("values");
        assert_eq!(
            text.render("    $inputs$"),
            "    # - id # an id\n    # - name # too many different texts\n    - x # a number from 0 to 6\n"
        );
        let expected = "params.yaml leaves out \"id\" (an id), \"name\" (too many different texts); to keep a column, \
                        remove the # before it there";
        assert_eq!(notes, [expected]);
    }
}
