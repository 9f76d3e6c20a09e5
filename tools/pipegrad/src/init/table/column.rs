//! A column of a table: what its cells are, and whether it numbers or names the rows.

use records::DType;
use std::collections::HashMap;

/// Last words of the names of columns that tell rows apart.
const ID_WORDS: [&str; 7] = ["id", "nr", "no", "key", "uuid", "guid", "index"];
/// Of so many cells of an id, at most one is there a second time.
const CELLS_PER_REPETITION: usize = 20;

pub struct Column {
    pub name: String,
    pub kind: Kind,
    pub missing: usize,
    /// Number of different cells.
    pub distinct: usize,
    /// Rows of the cell that the fewest rows have.
    pub rarest: usize,
    /// Whether its cells are text only because they have a comma in place of the decimal point.
    pub has_decimal_commas: bool,
    /// Whether all values are whole numbers.
    is_whole: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// From the least to the largest.
    Number(f64, f64),
    Boolean,
    Text,
}

impl Column {
    pub fn new(name: String, cells: &[String]) -> Self {
        let number = |cell: &String| cell.trim().parse::<f64>().ok().filter(|value| !value.is_nan());
        let is_boolean = |cell: &String| ["true", "false"].iter().any(|word| cell.trim().eq_ignore_ascii_case(word));
        let mut rows_of: HashMap<&str, usize> = HashMap::new();
        cells.iter().for_each(|cell| *rows_of.entry(cell).or_default() += 1);
        let (distinct, rarest) = (rows_of.len(), rows_of.into_values().min().unwrap_or_default());
        let (kind, missing) = match records::dtype_of_texts(cells.iter().map(String::as_str)) {
            DType::Text => (Kind::Text, cells.iter().filter(|cell| cell.is_empty()).count()),
            _ if cells.iter().any(is_boolean) => (Kind::Boolean, cells.iter().filter(|cell| !is_boolean(cell)).count()),
            _ => {
                let values = || cells.iter().filter_map(number);
                let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
                (Kind::Number(low, high), cells.len() - values().count())
            }
        };
        let is_whole = cells.iter().filter_map(number).all(|value| value.fract() == 0.0);
        let has_decimal_commas = kind == Kind::Text && cells.iter().all(|cell| is_number_with_comma(cell));
        Self { name, kind, missing, distinct, rarest, has_decimal_commas, is_whole }
    }

    /// Whether its name is that of an id, and its cells are: whole numbers or texts of which nearly every row, of `rows`, has
    /// another.
    pub fn is_id(&self, rows: usize) -> bool {
        let is_telling = match self.kind {
            Kind::Number(..) => self.is_whole,
            Kind::Text => true,
            Kind::Boolean => false,
        };
        // Cells that are missing are one of the different ones.
        let (cells, distinct) = (rows - self.missing, self.distinct - usize::from(self.missing > 0));
        is_telling && is_name_of_id(&self.name) && cells.saturating_sub(distinct) <= cells / CELLS_PER_REPETITION
    }

    /// For a comment.
    pub fn describe(&self) -> String {
        let missing = if self.missing > 0 { format!(", {} missing", self.missing) } else { String::new() };
        let empty = usize::from(self.missing > 0 && self.kind == Kind::Text);
        match self.kind {
            Kind::Number(low, high) => format!("a number from {} to {}{missing}", short(low), short(high)),
            Kind::Boolean => format!("true or false{missing}"),
            Kind::Text => format!("one of {} texts{missing}", self.distinct - empty),
        }
    }
}

/// Whether the last word is one of [`ID_WORDS`]: `id`, `customer_id`, `PassengerId`, `Kunde Nr`, `orderID`, `ORDER-KEY`. A column
/// without a name is pandas' index.
fn is_name_of_id(name: &str) -> bool {
    let words = words(name);
    words.is_empty() || words.last().is_some_and(|last| ID_WORDS.iter().any(|word| last.eq_ignore_ascii_case(word)))
}

/// The words of a name: between other characters than letters and digits, and from a small letter or a digit to a capital one.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && (before.is_lowercase() || before.is_numeric())) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.push(c);
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// `1,5`, `-0,25`, `3`, or nothing.
fn is_number_with_comma(cell: &str) -> bool {
    cell.is_empty() || (cell.matches(',').count() <= 1 && cell.trim().replace(',', ".").parse::<f64>().is_ok())
}

/// A number with four digits at least, and the whole part.
fn short(value: f64) -> f64 {
    const DIGITS: f64 = 4.0;
    let places = (DIGITS - value.abs().log10().ceil()).clamp(0.0, 100.0);
    let scale = 10f64.powf(places);
    if scale.is_finite() && (value * scale).is_finite() { (value * scale).round() / scale } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, cells: &[&str]) -> Column {
        let cells: Vec<String> = cells.iter().map(ToString::to_string).collect();
        Column::new(name.into(), &cells)
    }

    #[test]
    fn columns_are_what_train_takes_them_for() {
        let column = |cells: &[&str]| {
            let column = column("x", cells);
            (column.kind, column.missing)
        };
        assert_eq!(column(&["1", "2.5", "-3"]), (Kind::Number(-3.0, 2.5), 0));
        assert_eq!(column(&["1", "NA", "", "4"]), (Kind::Number(1.0, 4.0), 2));
        assert_eq!(column(&["true", "False"]), (Kind::Boolean, 0));
        assert_eq!(column(&["true", ""]), (Kind::Boolean, 1));
        assert_eq!(column(&["007", "010"]), (Kind::Text, 0));
        assert_eq!(column(&["a", ""]), (Kind::Text, 1));
    }

    #[test]
    fn decimal_commas_are_known() {
        let has = |cells: &[&str]| column("x", cells).has_decimal_commas;
        assert!(has(&["1,5", "-0,25", "3", ""]) && has(&["1,5"]));
        assert!(!has(&["1,2,3", "4,5"]) && !has(&["1.5", "2"]) && !has(&["a,b"]) && !has(&["1,5", "x"]));
    }

    #[test]
    fn ids_have_the_name_and_the_cells_of_ids() {
        for name in [
            "id",
            "ID",
            "customer_id",
            "PassengerId",
            "customerId",
            "orderID",
            "Kunde Nr",
            "Kunde-Nr.",
            "KundenNr",
            "Order No",
            "row key",
            "uuid",
            "deviceUUID",
            "",
            "index",
            "2ndId",
            "Größe.ID",
        ] {
            assert!(is_name_of_id(name), "{name}");
        }
        for name in ["paid", "grid", "solid", "ids of x", "keyboard", "width", "Idaho", "monkey", "nrg", "Id3 tag"] {
            assert!(!is_name_of_id(name), "{name}");
        }
        let is_id = |name, cells: &[&str]| column(name, cells).is_id(cells.len());
        assert!(
            is_id("RowId", &["1", "2", "3"]) && is_id("RowId", &["a7", "b2", "c3"]) && is_id("RowId", &["1", "", "3"])
        );
        assert!(
            !is_id("RowId", &["1.5", "2", "3"]) && !is_id("RowId", &["1", "1", "3"]) && !is_id("x", &["1", "2", "3"])
        );
        // One repetition among 20, and two.
        let mut cells: Vec<String> = (0..20).map(|i| i.to_string()).collect();
        cells[1] = "0".into();
        assert!(Column::new("Id".into(), &cells).is_id(20));
        cells[2] = "0".into();
        assert!(!Column::new("Id".into(), &cells).is_id(20));
    }

    #[test]
    fn numbers_in_comments_are_short() {
        let short = [0.0, 0.013_203_753_5, -0.5, 123_456.7, 99.999_99, 1e300, -1e-9].map(super::short);
        assert_eq!(short, [0.0, 0.0132, -0.5, 123_457.0, 100.0, 1e300, -1e-9]);
    }
}
