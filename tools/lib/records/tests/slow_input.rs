//! Input that arrives in parts, as from a pipe whose writer is slow.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use files::Input;
use records::{Batch, ReadOptions, Reader};
use std::{
    collections::VecDeque,
    io::{self, Cursor, Read},
};

/// Returns at most one part a call.
struct Parts(VecDeque<Cursor<Vec<u8>>>);

impl Parts {
    fn new(parts: &[&str]) -> Self {
        Self(parts.iter().map(|part| Cursor::new(part.as_bytes().to_vec())).collect())
    }
}

impl Read for Parts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(part) = self.0.front_mut() else { return Ok(0) };
        let count = part.read(buffer)?;
        if part.position() == part.get_ref().len() as u64 {
            self.0.pop_front();
        }
        Ok(count)
    }
}

/// The values of field `x`, batch by batch.
fn batches(parts: &[&str]) -> Vec<Vec<f64>> {
    let mut reader = Reader::open(Input::new("stdin", Parts::new(parts)), &ReadOptions::floats(&[])).unwrap();
    let (mut batch, mut all) = (Batch::new(), Vec::new());
    while reader.read(&mut batch).unwrap() {
        let mut values = Vec::new();
        batch.column_f64("x", &mut values).unwrap();
        all.push(values);
    }
    all
}

#[test]
fn types_are_inferred_from_the_same_rows_however_they_arrive() {
    for parts in [["{\"x\":1}\n", "{\"x\":1.5}\n"], ["x\n1\n", "1.5\n"], ["{\"x\"", ":1}\n{\"x\":1.5}\n"]] {
        assert_eq!(batches(&parts).concat(), [1.0, 1.5], "{parts:?}");
    }
}

#[test]
fn a_row_of_csv_is_passed_on_before_the_next_one_arrives() {
    let rows = 300_000;
    let first = format!("x\n{}", "1\n".repeat(rows));
    let batches = batches(&[&first, "2\n", "3\n"]);
    assert_eq!(batches.concat().len(), rows + 2);
    assert_eq!(batches[batches.len() - 2..], [[2.0], [3.0]]);
}
