//! The wire, both encodings: what comes in goes out, and what is broken is named.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use files::{Input, Output};
use records::{Batch, DType, Encoding, Field, ReadOptions, Reader, Schema, Writer};
use std::{io::Read, sync::Arc};

/// Reads `bytes` whole; `wanted` are the fields that the tool needs.
fn read(bytes: &[u8], wanted: &[&str], all_fields: bool) -> Result<Vec<Batch>, String> {
    let options = ReadOptions { all_fields, ..ReadOptions::floats(wanted) };
    read_with(bytes, &options)
}

fn read_with(bytes: &[u8], options: &ReadOptions<'_>) -> Result<Vec<Batch>, String> {
    let input = Input::new("stdin", std::io::Cursor::new(bytes.to_vec()));
    let mut reader = Reader::open(input, options).map_err(|e| e.to_string())?;
    let mut batches = Vec::new();
    loop {
        let mut batch = Batch::new();
        if !reader.read(&mut batch).map_err(|e| e.to_string())? {
            return Ok(batches);
        }
        batches.push(batch);
    }
}

fn write(batches: &[Batch], encoding: Encoding) -> Vec<u8> {
    let folder = testkit::Folder::new();
    let path = folder.join("rows");
    let mut writer = Writer::new(Output::create(Some(&path)).unwrap(), encoding, None);
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    std::fs::read(path).unwrap()
}

fn f64s(batches: &[Batch], name: &str) -> Vec<f64> {
    let mut all = Vec::new();
    for batch in batches {
        let mut values = Vec::new();
        batch.column_f64(name, &mut values).unwrap();
        all.extend(values);
    }
    all
}

/// A hand-made array: magic, version, header text as NumPy pads it, data.
fn npy(version: u8, header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY".to_vec();
    bytes.extend([version, 0]);
    match version {
        1 => bytes.extend((header.len() as u16).to_le_bytes()),
        _ => bytes.extend((header.len() as u32).to_le_bytes()),
    }
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

#[test]
fn blank_lines_in_front_are_passed_over_and_counted() {
    for blank in ["\n", "\n\n", " \n\t\n"] {
        let bytes = format!("{blank}{{\"x\":1.5}}\n\n{{\"x\":2}}\n");
        let batches = read(bytes.as_bytes(), &["x"], false).unwrap();
        assert_eq!(f64s(&batches, "x"), [1.5, 2.0], "{blank:?}");
    }
    let error = read(b"\n\n{\"y\":1}\n", &["x"], false).err().unwrap();
    assert!(error.starts_with("stdin:3: "), "{error}");
    assert!(read(b"\n\n ", &["x"], false).err().unwrap().contains("no rows"));
}

#[test]
fn ndjson_passes_what_nobody_asked_for_byte_for_byte() {
    let text = "{\"id\": \"a\\u00e9 \\\"x\\\"\", \"x\":[1,2.50] ,\"deep\":{\"k\":[1,{}]}}\r\n\n  {\"x\":[-0.0,1e3],\"id\":null}\n";
    let mut batches = read(text.as_bytes(), &["x"], false).unwrap();
    assert_eq!(f64s(&batches, "x"), [1.0, 2.5, -0.0, 1000.0]);
    batches[0].set_column("y", &[], &[0.1f64, -3.0]).unwrap();
    let expected = "{\"id\": \"a\\u00e9 \\\"x\\\"\", \"x\":[1,2.50] ,\"deep\":{\"k\":[1,{}]},\"y\":0.1}\r\n  {\"x\":[-0.0,1e3],\"id\":null,\"y\":-3.0}\n";
    assert_eq!(String::from_utf8(write(&batches, Encoding::Ndjson)).unwrap(), expected);
}

#[test]
fn ndjson_values_are_replaced_where_they_stand() {
    let text = "{\"x\": -1.0, \"n\": 007.5}".replace("007.5", "7.5") + "\n{\"n\":1,\"x\":-2}\n";
    let mut batches = read(text.as_bytes(), &["x"], false).unwrap();
    batches[0].set_column("x", &[], &[0.5f64, 2.0]).unwrap();
    let out = String::from_utf8(write(&batches, Encoding::Ndjson)).unwrap();
    assert_eq!(out, "{\"x\": 0.5, \"n\": 7.5}\n{\"n\":1,\"x\":2.0}\n");
}

#[test]
fn ndjson_types_are_read_off_the_first_batch() {
    let text =
        "{\"a\":1,\"b\":true,\"c\":[[1,2],[3,4]],\"d\":2}\n{\"a\":-2,\"b\":false,\"c\":[[5,6],[7,8]],\"d\":0.5}\n";
    let batches = read(text.as_bytes(), &[], true).unwrap();
    let fields = vec![
        Field::new("a", DType::I8, &[]),
        Field::new("b", DType::B1, &[]),
        Field::new("c", DType::I8, &[2, 2]),
        Field::new("d", DType::F8, &[]),
    ];
    assert_eq!(**batches[0].schema(), Schema::new(fields).unwrap());
    assert_eq!(f64s(&batches, "d"), [2.0, 0.5]);
    assert_eq!(f64s(&batches, "c"), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    let npy = write(&batches, Encoding::Npy);
    let again = write(&read(&npy, &[], true).unwrap(), Encoding::Ndjson);
    assert_eq!(String::from_utf8(again).unwrap(), text.replace("\"d\":2}", "\"d\":2.0}"));
}

#[test]
fn npy_arrays_follow_each_other_until_end_of_file() {
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n";
    let one = npy(1, header, bytemuck::cast_slice(&[1.5f32, 2.5]));
    let two = npy(3, header, bytemuck::cast_slice(&[3.5f32, 4.5]));
    let empty = npy(2, &header.replace("(2,)", "(0,)"), &[]);
    let batches = read(&[one, empty, two].concat(), &["x"], false).unwrap();
    assert_eq!(f64s(&batches, "x"), [1.5, 2.5, 3.5, 4.5]);
    // In a file they become one array.
    let merged = write(&batches, Encoding::Npy);
    assert_eq!(merged.windows(6).filter(|w| w == b"\x93NUMPY").count(), 1);
    assert_eq!(f64s(&read(&merged, &["x"], false).unwrap(), "x"), [1.5, 2.5, 3.5, 4.5]);
}

#[test]
fn big_endian_input_is_read_right() {
    let header =
        "{'descr': [('a', '>f8', (2,)), ('b', '>i4'), ('c', '|u1')], 'fortran_order': False, 'shape': (1,), }\n";
    let mut data = Vec::new();
    data.extend(1.5f64.to_be_bytes());
    data.extend((-2.0f64).to_be_bytes());
    data.extend(7i32.to_be_bytes());
    data.push(9);
    let batches = read(&npy(1, header, &data), &["a"], false).unwrap();
    assert_eq!(f64s(&batches, "a"), [1.5, -2.0]);
    assert_eq!((f64s(&batches, "b"), f64s(&batches, "c")), (vec![7.0], vec![9.0]));
}

#[test]
fn a_plain_array_by_another_library_is_one_field() {
    use ndarray_npy::WriteNpyExt;
    let mut bytes = Vec::new();
    ndarray::array![[1.0f64, 2.0, 3.0], [4.0, 5.0, 6.0]].write_npy(&mut bytes).unwrap();
    let batches = read(&bytes, &["x"], false).unwrap();
    assert_eq!(batches[0].field("x").unwrap(), &Field::new("x", DType::F8, &[3]));
    assert_eq!(f64s(&batches, "x"), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
}

#[test]
fn the_last_line_may_lack_its_newline() {
    let batches = read(b"{\"x\":1}\n{\"x\":2}", &["x"], false).unwrap();
    assert_eq!(f64s(&batches, "x"), [1.0, 2.0]);
    assert_eq!(write(&batches, Encoding::Ndjson), b"{\"x\":1}\n{\"x\":2}\n");
}

#[test]
fn columns_are_added_and_replaced_by_name() {
    let schema = Arc::new(Schema::new(vec![Field::new("x", DType::F4, &[2])]).unwrap());
    let packed: Vec<u8> = bytemuck::cast_slice(&[1f32, 2.0, 3.0, 4.0]).to_vec();
    let mut batch = Batch::from_packed("test", &schema, 0, packed).unwrap();
    batch.set_column("y", &[], &[10i32, 20]).unwrap();
    batch.set_column("x", &[2], &[5f32, 6.0, 7.0, 8.0]).unwrap();
    let batches = read(&write(&[batch], Encoding::Npy), &["x"], false).unwrap();
    assert_eq!((f64s(&batches, "x"), f64s(&batches, "y")), (vec![5.0, 6.0, 7.0, 8.0], vec![10.0, 20.0]));
    let mut batch = batches.into_iter().next().unwrap();
    assert!(batch.set_column("x", &[], &[1f32, 2.0]).is_err(), "another shape");
    assert!(batch.set_column("x", &[2], &[1f64; 4]).is_err(), "another dtype");
    assert!(batch.set_column("z", &[], &[1f64; 3]).is_err(), "another number of rows");
}

#[test]
fn nothing_that_is_broken_goes_unnamed() {
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }\n";
    let other = "{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }\n";
    let whole = npy(1, header, &[0; 16]);
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (b"".to_vec(), "stdin: no rows: the input is empty"),
        (b"\n \n".to_vec(), "stdin: no rows"),
        (b"garbage".to_vec(), "stdin:1: no field \"x\" (there is garbage)"),
        (b"\x93NUMQY".to_vec(), "stdin:1: column 1: not UTF-8 (iconv -f WINDOWS-1252 -t UTF-8, if that is what it is)"),
        (b"\x93NUM".to_vec(), "stdin: the data ends within an NPY header (truncated)"),
        (whole[..9].to_vec(), "stdin: the data ends within an NPY header (truncated)"),
        (whole[..40].to_vec(), "stdin: the data ends within an NPY header (truncated)"),
        (
            whole[..whole.len() - 5].to_vec(),
            "stdin: row 2: the data is truncated: the header promises 4 rows, 2 are whole",
        ),
        (npy(9, header, &[]), "stdin: NPY version 9 is not known; 1, 2 and 3 are"),
        (npy(1, &header.replace("(4,)", "(0,)"), &[]), "stdin: no rows"),
        (
            [whole.clone(), b"x".to_vec()].concat(),
            "stdin: row 4: after the last row come bytes that are no NPY array (damaged, or two encodings mixed)",
        ),
        (
            [whole.clone(), npy(1, other, &[0; 8])].concat(),
            "stdin: row 4: an array with other fields follows: expected x f4, found x f8",
        ),
        (b"{\"x\":1}\n{\"x\":\xff}\n".to_vec(), "stdin:2: not UTF-8 (column 6)"),
        (b"{\"x\":1}\n\n[1]\n".to_vec(), "stdin:3: expected '{', found '[' (column 1)"),
        (b"{\"x\":1}\n{\"x\":1".to_vec(), "stdin:2: the line ends where ',' or '}' is expected"),
        (b"{\"x\":1}\n{\"x\":1} x\n".to_vec(), "stdin:2: expected the end of the line, found 'x' (column 9)"),
        (b"{\"x\":1}\n{\"y\":1}\n".to_vec(), "stdin:2: no field \"x\""),
        (b"{\"y\":1,\"z\":2}\n".to_vec(), "stdin:1: no field \"x\" (there is y, z)"),
        (b"{\"x\":1,\"x\":2}\n".to_vec(), "stdin:1: field \"x\" appears twice"),
        (b"{\"x\":NaN}\n".to_vec(), "stdin:1: NaN and Infinity are not JSON (column 6); NPY carries them"),
        (b"{\"x\":1e999}\n".to_vec(), "stdin:1: field \"x\": 1e999 is out of range"),
        (b"{\"x\":01}\n".to_vec(), "stdin:1: expected a number, found '0' (column 6)"),
        (b"{\"x\":\"1\"}\n".to_vec(), "stdin:1: field \"x\" holds text, expected numbers"),
        (b"{\"x\":null}\n".to_vec(), "stdin:1: field \"x\" is null; records have a value in every field"),
        (b"{\"x\":[]}\n".to_vec(), "stdin:1: field \"x\" is empty"),
        (b"{\"x\":[1,2]}\n{\"x\":[1]}\n".to_vec(), "stdin:2: field \"x\" has 1 values, expected 2"),
        (b"{\"x\":[1,2]}\n{\"x\":[1,2,3,4]}\n".to_vec(), "stdin:2: field \"x\" has 4 values, expected 2"),
        (b"{\"x\":[1,2]}\n{\"x\":3}\n".to_vec(), "stdin:2: field \"x\": expected '[', found '3' (column 6)"),
    ];
    for (bytes, expected) in cases {
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        let error = read(&bytes, &["x"], false).map(drop).expect_err(&shown);
        // The reader wants the plain array's field under the tool's name.
        assert_eq!(error, expected, "{shown}");
    }
}

#[test]
fn every_truncation_of_either_encoding_is_an_error_or_whole_rows() {
    let schema = Arc::new(Schema::new(vec![Field::new("x", DType::F4, &[2])]).unwrap());
    let packed: Vec<u8> = bytemuck::cast_slice(&[1f32, 2.0, 3.0, 4.0]).to_vec();
    let batch = Batch::from_packed("test", &schema, 0, packed).unwrap();
    let bytes = write(&[batch], Encoding::Npy);
    for length in 0..bytes.len() {
        assert!(read(&bytes[..length], &["x"], false).is_err(), "NPY cut at {length}");
    }
    let text = b"{\"x\":[1.0,2.0]}\n{\"x\":[3.0,4.0]}";
    for length in 17..text.len() {
        assert!(read(&text[..length], &["x"], false).is_err(), "NDJSON cut at {length}");
    }
}

#[test]
fn the_expected_number_of_rows_is_checked_both_ways() {
    let text = b"{\"x\":1}\n{\"x\":2}\n";
    for (expected, problem) in [(1, "found more than 1"), (3, "found 2")] {
        let options = ReadOptions { expect_rows: Some(expected), ..ReadOptions::floats(&["x"]) };
        let error = read_with(text, &options).map(drop).unwrap_err();
        assert_eq!(error, format!("stdin: expected {expected} rows, {problem}"));
    }
    let options = ReadOptions { expect_rows: Some(2), ..ReadOptions::floats(&["x"]) };
    assert!(read_with(text, &options).is_ok());
}

#[test]
fn a_field_to_be_added_must_not_be_there() {
    let options = ReadOptions { adds: vec![("y", "--out-field")], ..ReadOptions::floats(&["x"]) };
    let header = "{'descr': [('x', '<f4'), ('y', '<f4')], 'fortran_order': False, 'shape': (1,), }\n";
    for (bytes, place) in [(b"{\"x\":1,\"y\":2}\n".to_vec(), "stdin:1"), (npy(1, header, &[0; 8]), "stdin")] {
        let error = read_with(&bytes, &options).map(drop).unwrap_err();
        assert_eq!(error, format!("{place}: field \"y\" is already there; choose another name with --out-field"));
    }
}

#[test]
fn json_has_no_number_for_nan() {
    let schema = Arc::new(Schema::new(vec![Field::new("x", DType::F4, &[])]).unwrap());
    let packed = [1f32.to_le_bytes(), f32::NAN.to_le_bytes()].concat();
    let batch = Batch::from_packed("made", &schema, 10, packed).unwrap();
    let folder = testkit::Folder::new();
    let path = folder.join("rows");
    let mut writer = Writer::new(Output::create(Some(&path)).unwrap(), Encoding::Ndjson, None);
    let error = writer.write(&batch).unwrap_err().to_string();
    assert_eq!(error, "made: row 11: field \"x\" is NaN or infinite, which JSON cannot say (use --to npy or csv)");
    drop(writer);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "nothing is left behind");
}

/// A source that gives its bytes in small pieces, as a slow pipe does.
struct Dribble(std::io::Cursor<Vec<u8>>, usize);

impl Read for Dribble {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = buffer.len().min(self.1);
        self.0.read(&mut buffer[..n])
    }
}

#[test]
fn how_the_bytes_arrive_does_not_matter() {
    let text: String = (0..100).map(|i| format!("{{\"x\":[{i},{}.5]}}\n", i * i)).collect();
    let npy = write(&read(text.as_bytes(), &["x"], true).unwrap(), Encoding::Npy);
    let expected: Vec<f64> = (0..100).flat_map(|i| [f64::from(i), f64::from(i * i) + 0.5]).collect();
    for bytes in [text.into_bytes(), npy] {
        for step in [1, 7, 64] {
            let input = Input::new("stdin", Dribble(std::io::Cursor::new(bytes.clone()), step));
            let mut reader = Reader::open(input, &ReadOptions::floats(&["x"])).unwrap();
            let (mut batch, mut all) = (Batch::new(), Vec::new());
            while reader.read(&mut batch).unwrap() {
                let mut values = Vec::new();
                batch.column_f64("x", &mut values).unwrap();
                all.extend(values);
            }
            assert_eq!(all, expected);
        }
    }
}

#[test]
fn a_row_longer_than_the_limit_is_refused_before_it_is_held() {
    let options = ReadOptions { max_row_bytes: Some(1 << 20), ..ReadOptions::floats(&["x"]) };
    let long = "1".repeat(3 << 20);
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (9, 1000000), }\n";
    for (bytes, expected) in [
        (format!("{{\"x\":1}}\n{{\"x\":{long}"), "stdin:2: a line longer than 1 MiB"),
        (format!("x\n1\n\"{long}"), "stdin:3: a row longer than 1 MiB (is a quote left open?)"),
        (format!("x\n{}", ",".repeat(1 << 20)), "stdin:2: a row longer than 1 MiB (is a quote left open?)"),
    ] {
        assert_eq!(read_with(bytes.as_bytes(), &options).err().unwrap(), expected);
    }
    let error = read_with(&npy(1, header, &[]), &options).err().unwrap();
    assert_eq!(error, "stdin: a row longer than 1 MiB");
    let odd = ReadOptions { max_row_bytes: Some(1_000_000), ..options };
    let error = read_with(format!("{{\"x\":{long}").as_bytes(), &odd).err().unwrap();
    assert_eq!(error, "stdin:1: a line longer than 1000000 bytes");
}

#[test]
fn rows_are_written_to_any_writer() {
    #[derive(Clone, Default)]
    struct Shared(Arc<std::sync::Mutex<Vec<u8>>>);
    impl std::io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let shared = Shared::default();
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n";
    let array = npy(1, header, bytemuck::cast_slice(&[1.5f32, 2.5]));
    for (encoding, expected) in [
        (Encoding::Ndjson, b"{\"x\":1.5}\n{\"x\":2.5}\n".as_slice()),
        (Encoding::Csv { delimiter: b',' }, b"x\n1.5\n2.5\n"),
    ] {
        let mut writer = Writer::new(Output::new("memory", shared.clone()), encoding, None);
        read(&array, &["x"], false).unwrap().iter().for_each(|batch| writer.write(batch).unwrap());
        writer.finish().unwrap();
        assert_eq!(std::mem::take(&mut *shared.0.lock().unwrap()), expected);
    }
    assert!(!Output::new("memory", shared).can_patch());
}
