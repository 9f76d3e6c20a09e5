//! The columns of the file, in order of first occurrence and in alphabetical order.

use super::{super::is_final, rows::Cells};
use std::{
    collections::HashMap,
    io::{self, Write},
};

/// Columns by id: the index in order of first occurrence.
#[derive(Default)]
pub struct Columns {
    names: Vec<String>,
    ids: HashMap<String, usize>,
    /// Ids in the order of the file.
    order: Vec<usize>,
    /// For each id, its index in the file.
    positions: Vec<usize>,
}

impl Columns {
    pub fn len(&self) -> usize {
        self.names.len()
    }

    pub fn get(&self, name: &str) -> Option<usize> {
        self.ids.get(name).copied()
    }

    /// The id of a column, which is added if it is new.
    pub fn add(&mut self, name: &str) -> usize {
        if let Some(id) = self.get(name) {
            return id;
        }
        self.names.push(name.to_owned());
        self.ids.insert(name.to_owned(), self.names.len() - 1);
        self.names.len() - 1
    }

    /// Whether a row stays when the run is resumed from `step`: later rows do not, nor do rows of metrics that are
    /// measured at the end of a run.
    pub fn keeps(&self, cells: &Cells, step: usize) -> bool {
        let name = |id: usize| self.names.get(id).map_or("", String::as_str);
        let mut metrics = cells.keys().map(|id| name(*id)).filter(|name| !matches!(*name, "epoch" | "step"));
        let at = self.get("step").and_then(|id| cells.get(&id)?.parse::<usize>().ok());
        let is_end = !cells.is_empty() && metrics.clone().next().is_some() && metrics.all(is_final);
        at.is_some_and(|at| at <= step) && !is_end
    }

    /// Determines the order of the columns in the file. Required after [`Self::add`] and before writing.
    pub fn sort(&mut self) {
        self.order = (0..self.names.len()).collect();
        self.order.sort_by(|a, b| self.names[*a].cmp(&self.names[*b]));
        self.positions = vec![0; self.names.len()];
        for (position, id) in self.order.iter().enumerate() {
            self.positions[*id] = position;
        }
    }

    pub fn write_header(&self, to: impl Write) -> io::Result<()> {
        let mut header = csv::Writer::from_writer(to);
        header.write_record(self.order.iter().map(|id| &self.names[*id]))?;
        header.flush()
    }

    /// Writes a row. The empty cells of rows with many columns are written in blocks: `csv` needs some 20 ns for each, this
    /// 2 ns.
    pub fn write_row(&self, to: &mut impl Write, cells: &Cells) -> io::Result<()> {
        let mut cells: Vec<_> = cells.iter().map(|(id, text)| (self.positions[*id], text)).collect();
        cells.sort_unstable();
        let mut position = 0;
        for (at, text) in cells {
            write_commas(to, at - position)?;
            position = at;
            to.write_all(text.as_bytes())?;
        }
        write_commas(to, self.order.len() - 1 - position)?;
        to.write_all(b"\n")
    }
}

fn write_commas(to: &mut impl Write, mut count: usize) -> io::Result<()> {
    const BLOCK: [u8; 1 << 14] = [b','; 1 << 14];
    while count > 0 {
        let length = count.min(BLOCK.len());
        to.write_all(&BLOCK[..length])?;
        count -= length;
    }
    Ok(())
}
