// What must hold of records, whatever the bytes are: a reader gives rows or an error, and never panics; rows that were
// read can be written and read again.

use files::{Input, Output};
use records::{Batch, DType, Encoding, ReadOptions, Reader, Writer};
use std::{io::Cursor, path::Path};

/// The first bytes of an array: without them nothing is taken for one.
const NPY: &[u8] = b"\x93NUMPY";

/// Rows of NPY; `folder` is for files.
pub fn npy(bytes: &[u8], folder: &Path) {
    let bytes = if bytes.starts_with(NPY) { bytes.to_vec() } else { [NPY, bytes].concat() };
    any(&bytes, folder);
}

/// Rows of NDJSON.
pub fn ndjson(bytes: &[u8], folder: &Path) {
    any(bytes, folder);
}

/// Rows of CSV.
pub fn csv(bytes: &[u8], folder: &Path) {
    any(bytes, folder);
}

fn any(bytes: &[u8], folder: &Path) {
    let all = ReadOptions::floats(&[]);
    for options in [
        all.clone(),
        ReadOptions { float: DType::F4, adds: vec![("y", "--out-field")], ..ReadOptions::floats(&["x"]) },
        ReadOptions { missing: true, others_as_text: true, texts: vec!["t"], ..ReadOptions::any(&["x"]) },
        ReadOptions { to: Some(Encoding::Npy), fortran_bytes: 1 << 10, ..ReadOptions::floats(&["x"]) },
    ] {
        let _ = copy(Input::new("fuzz", Cursor::new(bytes.to_vec())), &options, None);
    }
    for (name, encoding) in
        [("npy", Encoding::Npy), ("ndjson", Encoding::Ndjson), ("csv", Encoding::Csv { delimiter: b',' })]
    {
        let path = folder.join(name);
        let options = ReadOptions { to: Some(encoding), ..all.clone() };
        let Ok(rows) = copy(Input::new("fuzz", Cursor::new(bytes.to_vec())), &options, Some((&path, encoding))) else {
            continue;
        };
        // CSV has scalars alone, and rows without one are no rows.
        let again = Input::open(Some(&path)).map_err(records::Error::from).and_then(|input| copy(input, &all, None));
        match again {
            Ok(again) => assert_eq!(again, rows, "{name}"),
            Err(error) => assert!(encoding != Encoding::Npy, "{name}: {error}"),
        }
    }
}

/// Reads all rows, each field of them, and writes them where asked; their number.
fn copy(input: Input, options: &ReadOptions<'_>, to: Option<(&Path, Encoding)>) -> records::Result<usize> {
    let mut reader = Reader::open(input, options)?;
    let mut writer = match to {
        Some((path, encoding)) => Some(Writer::new(Output::create(Some(path))?, encoding, None)),
        None => None,
    };
    let (mut batch, mut rows) = (Batch::new(), 0);
    while reader.read(&mut batch)? {
        rows += batch.rows();
        let names: Vec<String> = batch.schema().fields().iter().map(|field| field.name.clone()).collect();
        for name in names {
            let (mut singles, mut doubles, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
            let _ = (batch.column_f32(&name, &mut singles), batch.column_f64(&name, &mut doubles));
            let _ = (batch.column_u8(&name, &mut bytes), batch.texts(&name).map(|texts| texts.len()));
        }
        let _ = (0..batch.rows().min(3)).map(|row| batch.location(row).to_string()).collect::<Vec<_>>();
        if let Some(writer) = &mut writer {
            writer.write(&batch)?;
        }
    }
    writer.map(Writer::finish).transpose()?;
    Ok(rows)
}
