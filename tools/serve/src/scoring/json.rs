//! Bodies of JSON.

use super::{
    BODY, Error, Result,
    columns::{Columns, Data, begins},
    plan::Plan,
};
use crate::model::Model;
use open_inference::{
    Limits, Tensor,
    http::{Cursor, Nested},
};

const FORMATS: [&str; 4] = ["dataframe_split", "dataframe_records", "instances", "inputs"];

/// The data of a body, which has exactly one of [`FORMATS`]. Other keys are ignored, as MLflow does; `params`, too, of which
/// an ONNX model has none.
///
/// # Errors
/// When it is not JSON as Python reads it, or not data of the model's.
pub fn parse(model: &Model, body: &[u8], limits: Limits) -> Result<Data> {
    let parser = Parser { model, limits };
    let mut cursor = Cursor::of_python(body);
    let (mut data, mut found) = (None, Vec::new());
    if cursor.peek() == Some(b'[') {
        return Err(Error::Malformed(format!("{}. Received a list.", required())));
    }
    let mut more = begins(&mut cursor, b'{').map_err(|_| not_json(&mut cursor))?;
    while more {
        let key = cursor.key()?;
        let format = FORMATS.into_iter().find(|format| *format == key);
        match format.filter(|_| data.is_none()) {
            Some(format) => data = Some(parser.data(&mut cursor, format)?),
            None => cursor.skip_value()?,
        }
        found.extend(format);
        more = cursor.more(b'}', "',' or '}'")?;
    }
    if cursor.peek().is_some() {
        return Err(Error::Malformed("expected the end of the JSON".into()));
    }
    match (data, found.as_slice()) {
        (Some(data), [_]) => Ok(data),
        (_, found) => {
            let found = super::plan::list(found.iter().copied());
            Err(Error::Malformed(format!("{}. Received dictionary with input fields: [{found}]", required())))
        }
    }
}

fn required() -> String {
    let formats = super::plan::list(FORMATS.into_iter());
    format!("The input must be a JSON dictionary with exactly one of the input fields {{{formats}}}")
}

fn not_json(cursor: &mut Cursor<'_>) -> Error {
    match cursor.skip_value() {
        Ok(()) => Error::Malformed(required()),
        Err(error) => error.into(),
    }
}

struct Parser<'m> {
    model: &'m Model,
    limits: Limits,
}

impl Parser<'_> {
    fn data(&self, cursor: &mut Cursor<'_>, format: &str) -> Result<Data> {
        match format {
            "dataframe_split" => self.split(cursor),
            "dataframe_records" => self.records(cursor, true),
            _ => self.tensors(cursor),
        }
        .map_err(|error| match error {
            Error::Malformed(problem) => Error::Malformed(format!("{format}: {problem}")),
            other => other,
        })
    }

    /// `inputs` and `instances`: a tensor, tensors by name, or a list of objects.
    fn tensors(&self, cursor: &mut Cursor<'_>) -> Result<Data> {
        match cursor.peek() {
            Some(b'{') => self.by_name(cursor),
            Some(b'[') => {
                let mut inside = cursor.clone();
                inside.take(b'[');
                if inside.peek() == Some(b'{') { self.records(cursor, false) } else { self.tensor(cursor) }
            }
            _ => Err(Error::Malformed("expected a list or a dictionary".into())),
        }
    }

    /// The model's only input.
    fn tensor(&self, cursor: &mut Cursor<'_>) -> Result<Data> {
        let [input] = self.model.spec.inputs.as_slice() else {
            let names = super::plan::list(self.model.spec.inputs.iter().map(|input| input.name.as_str()));
            return Err(Error::Misfit(format!("Model '{}' has inputs [{names}]: name them", self.model.name)));
        };
        let mut nested = Nested::new(input.data_type, self.limits)?;
        nested.push(cursor)?;
        let (shape, data) = nested.finish();
        let tensor =
            Tensor::new(input.name.clone(), input.data_type, shape, data).map_err(crate::error::Error::from)?;
        Ok(Data::Tensors(vec![tensor]))
    }

    /// `{"name": values, …}`; the first name says what they are.
    fn by_name(&self, cursor: &mut Cursor<'_>) -> Result<Data> {
        let mut columns: Option<(Columns, Vec<bool>)> = None;
        let (mut names, mut more) = (Vec::new(), begins(cursor, b'{')?);
        while more {
            let name = cursor.key()?.into_owned();
            if columns.is_none() && self.is_known(&name) {
                let plan = if self.is_input(&name) { Plan::Tensors } else { Plan::Rows };
                let new = Columns::new(self.model, plan, self.limits)?;
                let seen = vec![false; new.len()];
                columns = Some((new, seen));
            }
            let found = columns
                .as_mut()
                .and_then(|(columns, seen)| Some((columns.position(&name, names.len())?, columns, seen)));
            match found {
                Some((at, _, seen)) if seen[at] => return Err(twice(&name)),
                Some((at, columns, seen)) => {
                    columns.push_all(at, cursor)?;
                    seen[at] = true;
                }
                None => cursor.skip_value()?,
            }
            names.push(name);
            more = cursor.more(b'}', "',' or '}'")?;
        }
        let Some((columns, seen)) = columns else {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            Plan::of(self.model, &names, false)?;
            return Err(Error::Misfit("there are no inputs".into()));
        };
        columns.check_all(self.model, |at| seen[at])?;
        columns.finish_whole()
    }

    fn is_input(&self, name: &str) -> bool {
        self.model.spec.inputs.iter().any(|input| input.name == name)
    }

    fn is_known(&self, name: &str) -> bool {
        let is_field = |features: &dataset::Features| features.inputs.iter().any(|field| field.name() == name);
        self.is_input(name) || self.model.features.as_ref().is_some_and(is_field)
    }

    /// `[{"name": value, …}, …]`; the keys of the first row say what they are.
    fn records(&self, cursor: &mut Cursor<'_>, is_frame: bool) -> Result<Data> {
        let mut first = cursor.clone();
        if !begins(&mut first, b'[')? {
            return Err(Error::Misfit("there are no rows".into()));
        }
        let names = keys(&mut first)?;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let plan = match Plan::of(self.model, &names, is_frame)? {
            Plan::Matrix => return self.matrix(cursor, &names),
            plan => plan,
        };
        let mut columns = Columns::new(self.model, plan, self.limits)?;
        let (mut seen, mut ever) = (vec![false; columns.len()], vec![false; columns.len()]);
        let mut more = begins(cursor, b'[')?;
        while more {
            seen.fill(false);
            let (mut more_keys, mut next) = (begins(cursor, b'{')?, 0);
            while more_keys {
                let key = cursor.key()?;
                match columns.position(&key, next) {
                    Some(at) if std::mem::replace(&mut seen[at], true) => return Err(twice(&key)),
                    Some(at) => {
                        columns.push(at, cursor)?;
                        next = at + 1;
                    }
                    None => cursor.skip_value()?,
                }
                more_keys = cursor.more(b'}', "',' or '}'")?;
            }
            for at in 0..seen.len() {
                ever[at] |= seen[at];
                if !seen[at] {
                    columns.push_missing(at)?;
                }
            }
            more = cursor.more(b']', "',' or ']'")?;
        }
        columns.check_all(self.model, |at| ever[at])?;
        columns.finish()
    }

    /// Rows of objects as rows of the model's only input, in the order of the first row's keys.
    fn matrix(&self, cursor: &mut Cursor<'_>, names: &[&str]) -> Result<Data> {
        let input = &self.model.spec.inputs[0];
        let mut cells = Nested::new(input.data_type, self.limits)?;
        let (mut rows, mut more) = (0, begins(cursor, b'[')?);
        while more {
            let (mut more_keys, mut count) = (begins(cursor, b'{')?, 0);
            while more_keys {
                let key = cursor.key()?;
                if names.get(count) != Some(&&*key) {
                    return Err(Error::Malformed(format!(
                        "{BODY}: row {rows}: expected the keys of row 0, in their order"
                    )));
                }
                cells.push(cursor)?;
                count += 1;
                more_keys = cursor.more(b'}', "',' or '}'")?;
            }
            if count != names.len() {
                return Err(Error::Malformed(format!(
                    "{BODY}: row {rows}: expected the keys of row 0, in their order"
                )));
            }
            rows += 1;
            more = cursor.more(b']', "',' or ']'")?;
        }
        let (shape, data) = cells.finish();
        let shape = [rows, names.len()].into_iter().chain(shape).collect();
        let tensor =
            Tensor::new(input.name.clone(), input.data_type, shape, data).map_err(crate::error::Error::from)?;
        Ok(Data::Tensors(vec![tensor]))
    }

    /// `{"columns": names, "index": …, "data": rows of cells}`.
    fn split(&self, cursor: &mut Cursor<'_>) -> Result<Data> {
        let (mut columns, mut data, mut parsed) = (None, None, None);
        let mut more = begins(cursor, b'{')?;
        while more {
            match &*cursor.key()? {
                "columns" => columns = names(cursor)?,
                "data" if columns.is_some() => parsed = Some(self.cells(cursor, columns.as_deref())?),
                "data" => {
                    data = Some(cursor.clone());
                    cursor.skip_value()?;
                }
                "index" => cursor.skip_value()?,
                other => return Err(bad_split(Some(other))),
            }
            more = cursor.more(b'}', "',' or '}'")?;
        }
        match (parsed, data) {
            (Some(parsed), _) => Ok(parsed),
            (None, Some(mut data)) => self.cells(&mut data, columns.as_deref()),
            (None, None) => Err(bad_split(None)),
        }
    }

    fn cells(&self, cursor: &mut Cursor<'_>, names: Option<&[String]>) -> Result<Data> {
        let Some(names) = names else { return self.tensor(cursor) };
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let plan = match Plan::of(self.model, &names, true)? {
            Plan::Matrix => return self.tensor(cursor).and_then(|data| check_width(data, names.len())),
            plan => plan,
        };
        let mut columns = Columns::new(self.model, plan, self.limits)?;
        let places: Vec<Option<usize>> = names.iter().map(|name| columns.position(name, 0)).collect();
        for (at, place) in places.iter().enumerate() {
            if place.is_some() && places[..at].contains(place) {
                return Err(twice(names[at]));
            }
        }
        columns.check_all(self.model, |at| places.contains(&Some(at)))?;
        let (mut rows, mut more) = (0, begins(cursor, b'[')?);
        while more {
            let (mut more_cells, mut cell) = (begins(cursor, b'[')?, 0);
            while more_cells {
                match places.get(cell) {
                    Some(Some(place)) => columns.push(*place, cursor)?,
                    Some(None) => cursor.skip_value()?,
                    None => break,
                }
                cell += 1;
                more_cells = cursor.more(b']', "',' or ']'")?;
            }
            if more_cells || cell != places.len() {
                let expected = places.len();
                return Err(Error::Malformed(format!(
                    "{BODY}: row {rows}: {expected} columns, and another number of cells"
                )));
            }
            rows += 1;
            more = cursor.more(b']', "',' or ']'")?;
        }
        columns.finish()
    }
}

fn twice(name: &str) -> Error {
    Error::Malformed(format!("column '{name}' is given twice"))
}

fn bad_split(other: Option<&str>) -> Error {
    let got = other.map_or(String::new(), |other| format!("; got '{other}'"));
    Error::Malformed(format!(
        "Dataframe split format must have 'data' field and optionally 'columns' and 'index' fields{got}"
    ))
}

/// A matrix of as many columns as names.
fn check_width(data: Data, width: usize) -> Result<Data> {
    match &data {
        Data::Tensors(tensors) if tensors.iter().any(|tensor| tensor.shape().get(1) != Some(&width)) => {
            Err(Error::Malformed(format!("{width} columns, and rows of another number of cells")))
        }
        _ => Ok(data),
    }
}

/// The keys of an object.
fn keys(cursor: &mut Cursor<'_>) -> Result<Vec<String>> {
    let (mut keys, mut more) = (Vec::new(), begins(cursor, b'{')?);
    while more {
        keys.push(cursor.key()?.into_owned());
        cursor.skip_value()?;
        more = cursor.more(b'}', "',' or '}'")?;
    }
    Ok(keys)
}

/// The names of columns: texts, or numbers. None for null.
fn names(cursor: &mut Cursor<'_>) -> Result<Option<Vec<String>>> {
    if cursor.null()? {
        return Ok(None);
    }
    let (mut names, mut more) = (Vec::new(), begins(cursor, b'[')?);
    while more {
        names.push(match cursor.peek() {
            Some(b'"') => cursor.string()?.into_owned(),
            _ => cursor.number()?.text.to_owned(),
        });
        more = cursor.more(b']', "',' or ']'")?;
    }
    Ok(Some(names))
}
