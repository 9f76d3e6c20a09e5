//! Elements of every type against values worked by hand, and arrays against NumPy's bytes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use files::{Input, Output};
use records::{Batch, DType, Encoding, Field, ReadOptions, Reader, Schema, Values, Writer};
use std::{io::Cursor, path::Path, sync::Arc};
use testkit::Folder;

fn schema(fields: &[(&str, DType, &[usize])]) -> Arc<Schema> {
    let fields = fields.iter().map(|(name, dtype, shape)| Field::new(*name, *dtype, shape)).collect();
    Arc::new(Schema::new(fields).unwrap())
}

/// Two rows of one field.
fn pair(dtype: DType, packed: &[u8]) -> Batch {
    Batch::from_packed("made", &schema(&[("x", dtype, &[])]), 10, packed.to_vec()).unwrap()
}

fn f64s(batch: &Batch, name: &str) -> Vec<f64> {
    let mut values = vec![7.0; 3];
    batch.column_f64(name, &mut values).unwrap();
    values
}

fn f32s(batch: &Batch, name: &str) -> Vec<f32> {
    let mut values = vec![7.0; 3];
    batch.column_f32(name, &mut values).unwrap();
    values
}

fn write(output: Output, batches: &[Batch], total: Option<u64>) {
    let mut writer = Writer::new(output, Encoding::Npy, total);
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
}

/// Element type, the bytes of two values, the values as `f64` and as `f32`.
type Pair = (DType, &'static [u8], [f64; 2], [f32; 2]);

const PAIRS: [Pair; 12] = [
    (DType::I1, &[0x80, 0x7f], [-128.0, 127.0], [-128.0, 127.0]),
    (DType::I2, &[0x00, 0x80, 0x39, 0x30], [-32768.0, 12345.0], [-32768.0, 12345.0]),
    // 2^24 + 1, which f32 rounds to even.
    (DType::I4, &[0xff, 0xff, 0xff, 0xff, 1, 0, 0, 1], [-1.0, 16_777_217.0], [-1.0, 16_777_216.0]),
    (
        DType::I8,
        &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0x20, 0],
        [-2.0, 9_007_199_254_740_992.0],
        [-2.0, 9_007_199_254_740_992.0],
    ),
    (DType::U1, &[0xff, 3], [255.0, 3.0], [255.0, 3.0]),
    (DType::U2, &[0xff, 0xff, 1, 0], [65535.0, 1.0], [65535.0, 1.0]),
    (DType::U4, &[0xff, 0xff, 0xff, 0xff, 7, 0, 0, 0], [4_294_967_295.0, 7.0], [4_294_967_296.0, 7.0]),
    (
        DType::U8,
        &[0, 0, 0, 0, 0, 0, 0, 0x80, 5, 0, 0, 0, 0, 0, 0, 0],
        [9_223_372_036_854_775_808.0, 5.0],
        [9_223_372_036_854_775_808.0, 5.0],
    ),
    // 1 + 2^-10, and -2.
    (DType::F2, &[0x01, 0x3c, 0x00, 0xc0], [1.0 + 1.0 / 1024.0, -2.0], [1.0 + 1.0 / 1024.0, -2.0]),
    // 0.1 in f32 is 13421773 · 2^-27.
    (DType::F4, &[0xcd, 0xcc, 0xcc, 0x3d, 0, 0, 0xc0, 0xbf], [13_421_773.0 / 134_217_728.0, -1.5], [0.1, -1.5]),
    (
        DType::F8,
        &[0x9a, 0x99, 0x99, 0x99, 0x99, 0x99, 0xb9, 0x3f, 0, 0, 0, 0, 0, 0, 0xf8, 0xbf],
        [0.1, -1.5],
        [0.1, -1.5],
    ),
    // Any byte but 0 is true.
    (DType::B1, &[2, 0], [1.0, 0.0], [1.0, 0.0]),
];

#[test]
fn every_numeric_type_is_widened_to_the_nearest_float() {
    assert_eq!(PAIRS.map(|(dtype, ..)| dtype), DType::NUMERIC);
    for (dtype, packed, doubles, singles) in PAIRS {
        let batch = pair(dtype, packed);
        assert_eq!((batch.rows(), packed.len()), (2, 2 * dtype.size()), "{dtype}");
        assert_eq!(f64s(&batch, "x"), doubles, "{dtype}");
        assert_eq!(f32s(&batch, "x"), singles, "{dtype}");
    }
}

#[test]
fn every_numeric_type_has_numpys_names() {
    // numpy.dtype(...).str, .name and .itemsize.
    let names = [
        ("|i1", "int8", 1),
        ("<i2", "int16", 2),
        ("<i4", "int32", 4),
        ("<i8", "int64", 8),
        ("|u1", "uint8", 1),
        ("<u2", "uint16", 2),
        ("<u4", "uint32", 4),
        ("<u8", "uint64", 8),
        ("<f2", "float16", 2),
        ("<f4", "float32", 4),
        ("<f8", "float64", 8),
        ("|b1", "bool", 1),
    ];
    for (dtype, (descr, long_name, size)) in DType::NUMERIC.into_iter().zip(names) {
        assert_eq!((dtype.descr(), dtype.long_name(), dtype.size()), (descr, long_name, size));
        assert_eq!(dtype.name(), &descr[1..]);
        assert_eq!(descr[1..].parse::<DType>().expect("a dtype"), dtype);
        assert_eq!(dtype.is_float(), long_name.starts_with("float"), "{dtype}");
    }
    assert!("f16".parse::<DType>().unwrap_err().to_string().contains("i1, i2, i4, i8, u1, u2, u4, u8, f2, f4, f8, b1"));
    assert!("text".parse::<DType>().is_err());
}

#[test]
fn integers_beyond_two_to_the_53_are_named_in_both_signs() {
    let limit = 1i64 << 53;
    for bad in [limit + 1, -limit - 1] {
        let packed = [limit.to_le_bytes(), bad.to_le_bytes()].concat();
        let error = pair(DType::I8, &packed).column_f64("x", &mut Vec::new()).unwrap_err().to_string();
        assert_eq!(error, format!("made: row 11: field \"x\" has {bad}, which no f8 holds exactly (beyond 2^53)"));
    }
    let packed = [u64::MAX.to_le_bytes(), 0u64.to_le_bytes()].concat();
    let error = pair(DType::U8, &packed).column_f64("x", &mut Vec::new()).unwrap_err().to_string();
    assert!(error.starts_with("made: row 10: field \"x\" has 18446744073709551615, "), "{error}");
}

#[test]
fn bytes_are_whole_numbers_from_0_to_255() {
    let of = |values: [f32; 4]| {
        let batch =
            Batch::from_packed("made", &schema(&[("x", DType::F4, &[2])]), 0, bytemuck::cast_slice(&values).to_vec());
        let mut bytes = vec![9; 7];
        batch.unwrap().column_u8("x", &mut bytes).map(|()| bytes).map_err(|error| error.to_string())
    };
    assert_eq!(of([0.0, 255.0, 1.0, 128.0]), Ok(vec![0, 255, 1, 128]));
    for (bad, shown) in [(256.0, "256"), (-1.0, "-1"), (0.5, "0.5"), (f32::NAN, "NaN")] {
        let expected = format!("made: row 1: field \"x\" has {shown}; expected whole numbers from 0 to 255");
        assert_eq!(of([0.0, 1.0, 2.0, bad]), Err(expected));
    }
}

#[test]
fn packed_rows_are_whole_and_hold_no_text() {
    let two = schema(&[("a", DType::F4, &[]), ("b", DType::U1, &[])]);
    let error =
        |schema, length| Batch::from_packed("made", schema, 0, vec![0; length]).map(drop).unwrap_err().to_string();
    assert_eq!(error(&two, 9), "made: packed bytes are not a whole number of rows");
    let text = schema(&[("c", DType::Text, &[])]);
    assert_eq!(error(&text, 8), "made: packed bytes hold no text, and field c text is one");
    let batch = Batch::from_packed("made", &two, 5, vec![0; 10]).unwrap();
    assert_eq!((batch.rows(), batch.first_row(), batch.line(0)), (2, 5, None));
    assert_eq!(batch.location(1).to_string(), "made: row 6");
}

#[test]
fn columns_become_rows_in_their_order() {
    let numbers: &[u8] = bytemuck::cast_slice(&[1i16, 2, 3, 4]);
    let columns = |numbers: &'static [u8], texts: Vec<&'static str>| {
        let pairs = (Field::new("n", DType::I2, &[2]), Values::Packed(numbers));
        Batch::from_columns("made", 20, 2, &[pairs, (Field::new("t", DType::Text, &[]), Values::Texts(texts))])
    };
    let numbers: &'static [u8] = numbers.to_vec().leak();
    let batch = columns(numbers, vec!["a", "é"]).unwrap();
    assert_eq!((batch.rows(), batch.first_row()), (2, 20));
    assert_eq!((f64s(&batch, "n"), batch.texts("t").unwrap()), (vec![1.0, 2.0, 3.0, 4.0], vec!["a", "é"]));
    for (numbers, texts) in [(&numbers[..6], vec!["a", "b"]), (numbers, vec!["a"])] {
        assert!(columns(numbers, texts).is_err());
    }
    let wrong = [(Field::new("n", DType::F4, &[]), Values::Texts(vec!["a", "b"]))];
    let error = Batch::from_columns("made", 0, 2, &wrong).map(drop).unwrap_err().to_string();
    assert_eq!(error, "made: field n f4 has values of another number or type");
}

#[test]
fn a_replaced_column_keeps_its_neighbours() {
    let fields = schema(&[("a", DType::U1, &[]), ("x", DType::F4, &[2]), ("b", DType::U1, &[])]);
    let mut packed = Vec::new();
    for row in [[1u8, 0, 0, 0, 0, 0, 0, 0, 0, 2], [3, 0, 0, 0, 0, 0, 0, 0, 0, 4]] {
        packed.extend(row);
    }
    let mut batch = Batch::from_packed("made", &fields, 0, packed).unwrap();
    batch.replace_column("x", &[], &[0.5f64, -0.5]).unwrap();
    let expected = schema(&[("a", DType::U1, &[]), ("x", DType::F8, &[]), ("b", DType::U1, &[])]);
    assert_eq!(batch.schema(), &expected);
    assert_eq!(
        (f64s(&batch, "a"), f64s(&batch, "x"), f64s(&batch, "b")),
        (vec![1.0, 3.0], vec![0.5, -0.5], vec![2.0, 4.0])
    );
    let error = batch.replace_column("x", &[], &[0f32; 3]).unwrap_err().to_string();
    assert_eq!(error, "made: 3 values for field \"x\" of 2 rows");
    assert!(batch.replace_column("y", &[], &[0f32; 2]).is_err(), "no such field");
    let mut bytes = vec![9];
    batch.append_packed("b", &mut bytes).unwrap();
    assert_eq!(bytes, [9, 2, 4]);
}

/// The bytes of `numpy.save` of zeros, of NumPy 2.
fn numpy_header(version: u8, header_bytes: usize, text: &str) -> Vec<u8> {
    let prefix = if version == 1 { 10 } else { 12 };
    let text: Vec<u8> = match version {
        1 => text.chars().map(|c| c as u8).collect(),
        _ => text.bytes().collect(),
    };
    let length = header_bytes - prefix;
    let mut bytes = [b"\x93NUMPY", &[version, 0][..], &(length as u32).to_le_bytes()[..prefix - 8], &text].concat();
    bytes.resize(header_bytes - 1, b' ');
    bytes.push(b'\n');
    bytes
}

#[test]
fn a_file_is_byte_for_byte_what_numpy_saves() {
    let cases = [
        (
            schema(&[("x", DType::F4, &[]), ("v", DType::F8, &[3]), ("m", DType::U1, &[2, 2])]),
            2,
            numpy_header(
                1,
                192,
                "{'descr': [('x', '<f4'), ('v', '<f8', (3,)), ('m', '|u1', (2, 2))], 'fortran_order': False, 'shape': (2,), }",
            ),
        ),
        (
            schema(&[("it's", DType::I8, &[]), ("\"q\"", DType::B1, &[])]),
            1000,
            numpy_header(
                1,
                128,
                "{'descr': [(\"it's\", '<i8'), ('\"q\"', '|b1')], 'fortran_order': False, 'shape': (1000,), }",
            ),
        ),
        (
            schema(&[("é", DType::F2, &[]), ("a\\b", DType::U4, &[])]),
            1,
            numpy_header(
                1,
                128,
                "{'descr': [('é', '<f2'), ('a\\\\b', '<u4')], 'fortran_order': False, 'shape': (1,), }",
            ),
        ),
        (
            schema(&[("日", DType::F4, &[])]),
            1,
            numpy_header(3, 128, "{'descr': [('日', '<f4')], 'fortran_order': False, 'shape': (1,), }"),
        ),
    ];
    let folder = Folder::new();
    for (schema, rows, header) in cases {
        let data = vec![0; rows * schema.row_bytes()];
        let batch = Batch::from_packed("made", &schema, 0, data.clone()).unwrap();
        write(Output::create(Some(&folder.join("x.npy"))).unwrap(), &[batch], None);
        assert_eq!(folder.bytes("x.npy"), [header, data].concat(), "{schema}");
    }
}

fn read(input: Input, options: &ReadOptions<'_>) -> Result<Vec<f64>, String> {
    let mut reader = Reader::open(input, options).map_err(|error| error.to_string())?;
    let (mut batch, mut all) = (Batch::new(), Vec::new());
    while reader.read(&mut batch).map_err(|error| error.to_string())? {
        all.extend(f64s(&batch, "x"));
    }
    Ok(all)
}

/// `[[1, 10], [2, 20], [3, 30]]` in Fortran order: its columns are contiguous.
fn fortran() -> Vec<u8> {
    let header = "{'descr': '<i2', 'fortran_order': True, 'shape': (3, 2), }\n";
    let data: Vec<u8> = [1i16, 2, 3, 10, 20, 30].into_iter().flat_map(i16::to_le_bytes).collect();
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), &data].concat()
}

#[test]
fn arrays_in_fortran_order_are_read_by_rows() {
    let expected = [1.0, 10.0, 2.0, 20.0, 3.0, 30.0];
    let folder = Folder::new();
    let path = folder.write("x.npy", [fortran(), fortran()].concat());
    let twice = [expected, expected].concat();
    let options = |fortran_bytes| ReadOptions { fortran_bytes, ..ReadOptions::floats(&["x"]) };
    // From a file nothing is held in memory.
    assert_eq!(read(Input::open(Some(&path)).unwrap(), &options(0)), Ok(twice.clone()));
    let pipe = |bytes: Vec<u8>| Input::new("stdin", Cursor::new(bytes));
    assert_eq!(read(pipe([fortran(), fortran()].concat()), &options(12)), Ok(twice));
    let error = read(pipe(fortran()), &options(11)).unwrap_err();
    assert!(
        error.starts_with("stdin: an array in Fortran order of 3 rows of 4 bytes; from a pipe at most 11"),
        "{error}"
    );
    let cut = "row 2: the data is truncated: the header promises 3 rows, 2 are whole";
    let half = &fortran()[..fortran().len() - 1];
    assert_eq!(read(pipe(half.to_vec()), &options(12)), Err(format!("stdin: {cut}")));
    let path = folder.write("half.npy", half);
    assert_eq!(read(Input::open(Some(&path)).unwrap(), &options(0)), Err(format!("{}: {cut}", path.display())));
}

/// The row counts of the headers in these bytes, in order.
fn headers(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    text.split("'shape': (").skip(1).map(|rest| rest.split(',').next().unwrap().to_owned()).collect()
}

#[cfg(unix)]
#[test]
fn a_pipe_gets_the_arrays_that_came_and_a_file_gets_one() {
    let rows =
        |first: u64, count: usize| Batch::from_packed("made", &schema(&[("x", DType::U1, &[])]), first, vec![1; count]);
    let batches = || [rows(0, 3).unwrap(), rows(3, 2).unwrap()];
    let folder = Folder::new();
    testkit::system::fifo(folder.join("pipe"));
    let piped = |batches: &[Batch], total| {
        let path = folder.join("pipe");
        let reader = std::thread::spawn(move || std::fs::read(path).unwrap());
        write(Output::create(Some(&folder.join("pipe"))).unwrap(), batches, total);
        reader.join().unwrap()
    };
    assert_eq!(headers(&piped(&batches(), None)), ["3", "2"], "nobody knows how many come");
    assert_eq!(headers(&piped(&batches(), Some(5))), ["5"]);
    let path = folder.join("x.npy");
    for total in [None, Some(5)] {
        write(Output::create(Some(&path)).unwrap(), &batches(), total);
        assert_eq!(headers(&folder.bytes("x.npy")), ["5"]);
    }
    // What was announced comes in several batches: 600 000 rows of one byte are more than one batch.
    let array = |rows: usize| testkit::npy::file("[('x', '|u1')]", rows, &vec![1; rows]);
    let input = Input::new("stdin", Cursor::new([array(600_000), array(2)].concat()));
    let mut reader = Reader::open(input, &ReadOptions::floats(&["x"])).unwrap();
    let mut all = Vec::new();
    loop {
        let mut batch = Batch::new();
        if !reader.read(&mut batch).unwrap() {
            break;
        }
        all.push(batch);
    }
    assert_eq!(all.iter().map(Batch::first_row).collect::<Vec<_>>(), [0, 524_288, 600_000]);
    assert_eq!(headers(&piped(&all, None)), ["600000", "2"]);
}

#[test]
fn input_that_is_no_file_is_named() {
    let folder = Folder::new();
    let error = Input::open(Some(&folder)).map(drop).unwrap_err().to_string();
    assert!(error.starts_with(&folder.display().to_string()) && error.contains("directory"), "{error}");
    assert!(Input::open(Some(Path::new("/nowhere/x.npy"))).is_err());
}

#[test]
fn a_value_has_at_most_16_dimensions() {
    let nested = |depth: usize| format!("{{\"x\":{}1{}}}\n", "[".repeat(depth), "]".repeat(depth));
    let shape = |depth: usize| {
        let input = Input::new("stdin", Cursor::new(nested(depth)));
        Reader::open(input, &ReadOptions::floats(&["x"])).map(|reader| reader.schema().fields()[0].shape.clone())
    };
    assert_eq!(shape(16).unwrap(), [1; 16]);
    let error = shape(17).unwrap_err().to_string();
    assert_eq!(error, "stdin:1: field \"x\" has more than 16 dimensions");
}

#[test]
fn a_reader_of_csv_knows_its_delimiter() {
    for (delimiter, text) in [(b',', "x,y\n1,2\n"), (b';', "x;y\n1;2\n"), (b'\t', "x\ty\n1\t2\n")] {
        let options = ReadOptions { delimiter: Some(delimiter), ..ReadOptions::floats(&[]) };
        let reader = Reader::open(Input::new("stdin", Cursor::new(text)), &options).unwrap();
        assert_eq!(reader.encoding(), Encoding::Csv { delimiter });
    }
}
