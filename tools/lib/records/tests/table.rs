//! Tables of text: CSV beside NDJSON and NPY, with one meaning.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use files::{Input, Output};
use records::{Batch, DType, Encoding, Field, ReadOptions, Reader, Schema, Writer};

const CSV: Encoding = Encoding::Csv { delimiter: b',' };

fn read(bytes: impl AsRef<[u8]>, options: &ReadOptions<'_>) -> Result<Vec<Batch>, String> {
    read_named("stdin", bytes, options)
}

fn read_named(name: &str, bytes: impl AsRef<[u8]>, options: &ReadOptions<'_>) -> Result<Vec<Batch>, String> {
    let input = Input::new(name, std::io::Cursor::new(bytes.as_ref().to_vec()));
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

fn refusal(bytes: impl AsRef<[u8]>, options: &ReadOptions<'_>) -> String {
    let shown = String::from_utf8_lossy(bytes.as_ref()).chars().take(200).collect::<String>();
    read(bytes, options).map(drop).expect_err(&shown)
}

fn write(batches: &[Batch], encoding: Encoding) -> Result<String, String> {
    let folder = testkit::Folder::new();
    let path = folder.join("rows");
    let mut writer = Writer::new(Output::create(Some(&path)).unwrap(), encoding, None);
    batches.iter().try_for_each(|batch| writer.write(batch)).map_err(|e| e.to_string())?;
    writer.finish().unwrap();
    Ok(String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned())
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

fn texts(batches: &[Batch], name: &str) -> Vec<String> {
    batches.iter().flat_map(|batch| batch.texts(name).unwrap()).map(str::to_owned).collect()
}

/// Every field as it looks, missing values among them.
fn all() -> ReadOptions<'static> {
    ReadOptions { missing: true, ..ReadOptions::floats(&[]) }
}

const HOUSES: &str = "\u{feff}sqft,beds,city,new,note\r\n2100,3,M\u{fc}nchen,true,\r\n1600.5,2,\"Paris, 20e\",False,\"a \"\"b\"\"\nc\"\r\n";

#[test]
fn columns_have_types_and_other_cells_pass_through() {
    let mut batches = read(HOUSES, &ReadOptions::floats(&["sqft"])).unwrap();
    assert_eq!(f64s(&batches, "sqft"), [2100.0, 1600.5]);
    batches[0].set_column("price", &[], &[1.5f64, f64::NAN]).unwrap();
    assert_eq!(
        write(&batches, CSV).unwrap(),
        "sqft,beds,city,new,note,price\n2100,3,M\u{fc}nchen,true,,1.5\n1600.5,2,\"Paris, 20e\",False,\"a \"\"b\"\"\nc\",\n"
    );
    let batches = read(HOUSES, &all()).unwrap();
    let fields = vec![
        Field::new("sqft", DType::F8, &[]),
        Field::new("beds", DType::I8, &[]),
        Field::new("city", DType::Text, &[]),
        Field::new("new", DType::B1, &[]),
        Field::new("note", DType::Text, &[]),
    ];
    assert_eq!(**batches[0].schema(), Schema::new(fields).unwrap());
    assert_eq!(texts(&batches, "city"), ["M\u{fc}nchen", "Paris, 20e"]);
}

#[test]
fn a_table_is_the_same_rows_in_ndjson_and_back() {
    let json = write(&read(HOUSES, &all()).unwrap(), Encoding::Ndjson).unwrap();
    assert_eq!(
        json,
        "{\"sqft\":2100,\"beds\":3,\"city\":\"M\u{fc}nchen\",\"new\":true,\"note\":null}\n\
         {\"sqft\":1600.5,\"beds\":2,\"city\":\"Paris, 20e\",\"new\":false,\"note\":\"a \\\"b\\\"\\nc\"}\n"
    );
    let csv = write(&read(&json, &all()).unwrap(), CSV).unwrap();
    assert_eq!(csv, HOUSES[3..].replace("\r\n", "\n").replace("False", "false"));
    // A number that is missing is null, and NaN.
    let batches = read("a,b\n1,x\n,y\n", &all()).unwrap();
    assert_eq!(write(&batches, Encoding::Ndjson).unwrap(), "{\"a\":1,\"b\":\"x\"}\n{\"a\":null,\"b\":\"y\"}\n");
    let batches = read("{\"a\":null,\"b\":null}\n{\"a\":2,\"b\":\"y\"}\n", &all()).unwrap();
    assert_eq!(write(&batches, CSV).unwrap(), "a,b\n,\n2,y\n");
    assert!(write(&batches, Encoding::Npy).unwrap_err().contains("field \"b\" holds text, which NPY cannot carry"));
    let batches = read("a,b\n1,2\n,4\n", &all()).unwrap();
    let npy = write(&batches, Encoding::Npy).unwrap();
    assert!(npy.contains("[('a', '<f8'), ('b', '<i8')]"), "{npy}");
}

#[test]
fn booleans_mean_one_thing_in_every_encoding() {
    let header = "{'descr': [('x', '|b1')], 'fortran_order': False, 'shape': (2,), }\n";
    let mut npy = b"\x93NUMPY\x01\0".to_vec();
    npy.extend((header.len() as u16).to_le_bytes());
    npy.extend(header.as_bytes());
    npy.extend([1, 0]);
    for bytes in [npy, b"{\"x\":true}\n{\"x\":false}\n".to_vec(), b"x\nTrue\nFALSE\n".to_vec()] {
        for options in [ReadOptions::floats(&["x"]), ReadOptions::any(&["x"])] {
            let batches = read(&bytes, &options).unwrap();
            assert_eq!(batches[0].field("x").unwrap().dtype, DType::B1);
            assert_eq!(f64s(&batches, "x"), [1.0, 0.0]);
        }
        let missing = ReadOptions { missing: true, ..ReadOptions::any(&["x"]) };
        assert_eq!(f64s(&read(&bytes, &missing).unwrap(), "x"), [1.0, 0.0]);
    }
    for mixed in ["{\"x\":true}\n{\"x\":1}\n", "{\"x\":1}\n{\"x\":true}\n", "x\ntrue\n2\n"] {
        assert!(read(mixed, &ReadOptions::floats(&["x"])).is_err(), "{mixed}");
    }
}

#[test]
fn missing_values_are_taken_where_they_may_be() {
    let options = ReadOptions { missing: true, ..ReadOptions::any(&["x", "c"]) };
    for text in ["x,c\n1,a\n,\nNA,b\n", "{\"x\":1,\"c\":\"a\"}\n{\"x\":null,\"c\":null}\n{\"c\":\"b\",\"x\":null}\n"] {
        let batches = read(text, &options).unwrap();
        let x = f64s(&batches, "x");
        assert!(x[0] == 1.0 && x[1].is_nan() && x[2].is_nan(), "{x:?}");
        assert_eq!(texts(&batches, "c"), ["a", "", "b"]);
    }
    // The first line need not have the value that says the type.
    let batches = read("{\"x\":null,\"c\":null}\n{\"x\":[1,null],\"c\":\"b\"}\n", &options);
    assert!(batches.is_ok_and(|batches| batches[0].field("x").unwrap().shape == [2]));
    let batches = read("{\"x\":[null,2],\"c\":\"b\"}\n", &options).unwrap();
    assert!(f64s(&batches, "x")[0].is_nan());
    let strict = ReadOptions::any(&["x"]);
    assert_eq!(refusal("x,c\n1,a\n,b\n", &strict), "stdin:3: column \"x\" is empty; a value is needed in every row");
    assert_eq!(
        refusal("{\"x\":1}\n{\"x\":null}\n", &strict),
        "stdin:2: field \"x\" is null; records have a value in every field"
    );
}

#[test]
fn bad_tables_are_named_with_line_and_column() {
    let wide = (0..10_000).map(|i| format!("c{i}")).collect::<Vec<_>>().join(",") + "\n1,2\n";
    let late = "x,y\n".to_owned() + &"1,2\n".repeat(200_000) + "1,two\n";
    let text_late = "x,y\n".to_owned() + &"1,a\n".repeat(200_000) + "oops,a\n";
    for (bytes, expected) in [
        (b"x,y\n1,2\n3\n".to_vec(), "stdin:3: 1 cells, and the header has 2: column \"y\" is missing"),
        (b"x,y\n1,2\n\n3,4,5\n".to_vec(), "stdin:4: 3 cells, and the header has 2: nothing names column 3"),
        (b"x,y\r\n1,2\r\n3\r\n".to_vec(), "stdin:3: 1 cells, and the header has 2: column \"y\" is missing"),
        (b"x,y\n1,\"2\n3,4\n".to_vec(), "stdin:2: column 2: a quote is opened here and never closed"),
        (b"x,y\n1,\"2\n3,4\n5,\"6\"\n".to_vec(), "stdin:2: "),
        (b"x,y,x\n1,2,3\n".to_vec(), "stdin:1: columns 1 and 3 are both called \"x\""),
        (
            b",x,y\n0,1,2\n".to_vec(),
            "stdin:1: column 1 has no name (pandas writes its index so: to_csv(..., index=False))",
        ),
        (b"x,,y\n0,1,2\n".to_vec(), "stdin:1: column 2 has no name"),
        (b"x,y\n".to_vec(), "stdin:1: no rows under the header"),
        (
            b"1.5,2\n3,4\n".to_vec(),
            "stdin:1: numbers where the names of the columns are expected: the first line is the header",
        ),
        (b"x;y\n1;2\n".to_vec(), "stdin:1: no field \"x\" (there is x;y; --delimiter ';'?)"),
        (b"x\ty\n1\t2\n".to_vec(), "stdin:1: no field \"x\" (there is x\ty; --delimiter tab?)"),
        (wide.into_bytes(), "stdin:1: no field \"x\" (there is c0, c1, c2,"),
        (
            b"x,y\n\"1,234\",2\n".to_vec(),
            "stdin:2: column \"x\": \"1,234\" is no number (write it without separators of thousands, and with a decimal point)",
        ),
        (
            b"x,y\n$5,2\n".to_vec(),
            "stdin:2: column \"x\": \"$5\" is no number (write the number alone, without its unit)",
        ),
        (
            b"x,y\n1,M\xfcnchen\n".to_vec(),
            "stdin:2: column \"y\": not UTF-8 (iconv -f WINDOWS-1252 -t UTF-8, if that is what it is)",
        ),
        (b"\xffx,y\n1,2\n".to_vec(), "stdin:1: column 1: not UTF-8"),
        (b"xx\0,y\n1,2\n".to_vec(), "stdin:1: column 1: its name has control characters"),
        (text_late.into_bytes(), "stdin:200002: column \"x\": \"oops\" is no number"),
    ] {
        let error = refusal(&bytes, &ReadOptions::floats(&["x"]));
        assert!(error.starts_with(expected), "{error}\n{expected}");
        assert!(error.len() < 400, "{error}");
    }
    let error = refusal(late, &all());
    assert_eq!(
        error,
        "stdin:200002: column \"y\": \"two\" is no integer, as the rows before have; write the integers as 1.0"
    );
    let long = format!("x\n{}\n", "q".repeat(1 << 20));
    assert!(refusal(long, &ReadOptions::floats(&["x"])).len() < 200);
}

#[test]
fn delimiters_and_odd_tables_are_read() {
    let x = || ReadOptions::floats(&["x"]);
    let of = |name: &str, text: &str, options: &ReadOptions<'_>| f64s(&read_named(name, text, options).unwrap(), "x");
    assert_eq!(of("rows.tsv", "x\ty\n1\ta,b\n", &x()), [1.0]);
    assert_eq!(of("rows.csv", "x;y\n1;2\n", &ReadOptions { delimiter: Some(b';'), ..x() }), [1.0]);
    // Blanks beside numbers and names, blank lines, no newline at the end, one column.
    assert_eq!(of("rows.csv", "\n\n x , y\n 1 , 2\n\n 3,4", &x()), [1.0, 3.0]);
    assert_eq!(of("rows.csv", "x\n1\n2", &x()), [1.0, 2.0]);
    let wide = (0..10_000).map(|i| format!("c{i}")).collect::<Vec<_>>().join(",");
    let text = format!("x,{wide}\n1{}\n", ",2".repeat(10_000));
    assert_eq!(of("rows.csv", &text, &x()), [1.0]);
    assert_eq!(read(&text, &all()).unwrap()[0].schema().fields().len(), 10_001);
}

#[test]
fn other_formats_are_named_with_a_remedy() {
    for (bytes, expected) in [
        (&b"PAR1\x15\x04"[..], "a Parquet file"),
        (b"PK\x03\x04....", "a zip archive"),
        (b"[{\"x\":1}]", "a JSON array"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "compressed with gzip"),
        (b"\xff\xfe{\0", "UTF-16"),
        (b"\xfe\xff\0{", "UTF-16"),
        (b"<!DOCTYPE html>", "HTML"),
        (b"\x89PNG\r\n\x1a\n", "a PNG image"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (b"\x80\x04\x95abc", "a Python pickle"),
    ] {
        let error = refusal(bytes, &ReadOptions::floats(&["x"]));
        assert!(error.starts_with("stdin: ") && error.contains(expected) && error.contains('('), "{error}");
    }
    // A byte order mark says nothing.
    assert_eq!(f64s(&read(b"\xef\xbb\xbf{\"x\":1}\n", &ReadOptions::floats(&["x"])).unwrap(), "x"), [1.0]);
    assert_eq!(refusal(b"\xef\xbb\xbf", &all()), "stdin: no rows: the input is empty");
}

#[test]
fn a_column_that_is_set_is_written_where_it_stands() {
    let mut batches = read("a,x,b\nk,-1,2\nl,3,4\n", &ReadOptions::floats(&["x"])).unwrap();
    batches[0].set_column("x", &[], &[0.0f64, 3.0]).unwrap();
    batches[0].add_texts("label", ["no", "yes, it is"]).unwrap();
    batches[0].set_column("v", &[2], &[0.0f32; 4]).unwrap();
    assert_eq!(write(&batches, CSV).unwrap(), "a,x,b,label\nk,0.0,2,no\nl,3.0,4,\"yes, it is\"\n");
}

#[test]
fn integers_that_no_float_holds_are_refused_and_text_is_no_number() {
    let schema = std::sync::Arc::new(Schema::new(vec![Field::new("n", DType::U8, &[])]).unwrap());
    let packed = [1u64.to_le_bytes(), ((1u64 << 53) + 1).to_le_bytes()].concat();
    let batch = Batch::from_packed("made", &schema, 0, packed).unwrap();
    let error = batch.column_f64("n", &mut Vec::new()).unwrap_err().to_string();
    assert_eq!(error, "made: row 1: field \"n\" has 9007199254740993, which no f8 holds exactly (beyond 2^53)");
    let batches = read("c\na\n", &ReadOptions::any(&["c"])).unwrap();
    let error = batches[0].column_f32("c", &mut Vec::new()).unwrap_err().to_string();
    assert_eq!(error, "stdin: field \"c\" holds text, expected numbers");
}

/// Gives its bytes one at a time.
struct Dribble(std::io::Cursor<Vec<u8>>);

impl std::io::Read for Dribble {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = buffer.len().min(1);
        self.0.read(&mut buffer[..n])
    }
}

#[test]
fn how_the_bytes_arrive_does_not_matter() {
    let text = "x,c\r\n1,\"a\r\nb\"\r\n2,\"c,\"\"d\"\"\"\r\n3,e";
    let whole = read(text, &all()).unwrap();
    let input = Input::new("stdin", Dribble(std::io::Cursor::new(text.as_bytes().to_vec())));
    let options = ReadOptions { any: vec!["x", "c"], ..all() };
    let mut reader = Reader::open(input, &options).unwrap();
    let (mut batches, mut lines) = (Vec::new(), Vec::new());
    loop {
        let mut batch = Batch::new();
        if !reader.read(&mut batch).unwrap() {
            break;
        }
        lines.extend((0..batch.rows()).map(|row| batch.location(row).to_string()));
        batches.push(batch);
    }
    assert_eq!(texts(&batches, "c"), texts(&whole, "c"));
    assert_eq!(f64s(&batches, "x"), [1.0, 2.0, 3.0]);
    assert_eq!(lines, ["stdin:2", "stdin:4", "stdin:5"]);
}

#[test]
fn a_field_to_be_added_is_known_however_it_is_spelled() {
    let options = ReadOptions { adds: vec![("y", "--out-field")], ..ReadOptions::floats(&["x"]) };
    for text in ["x,y\n1,2\n", "{\"x\":1,\"\\u0079\":2}\n"] {
        assert!(
            refusal(text, &options).ends_with("field \"y\" is already there; choose another name with --out-field")
        );
    }
}

#[test]
fn literals_are_text_as_it_is_written() {
    let options =
        ReadOptions { texts: vec!["zip"], others_as_text: true, missing: true, ..ReadOptions::floats(&["x"]) };
    let json = "{\"x\":1,\"zip\":\"02134\",\"id\":12345678901234567890,\"ok\":true,\"deep\":{\"a\":1}}\n\
                {\"zip\":7.50,\"x\":2,\"new\":1,\"id\":[1]}\n";
    let csv = "x,zip,id,ok\n1,02134,12345678901234567890,true\n2,7.50,,\n";
    for text in [json, csv] {
        let batches = read(text, &options).unwrap();
        assert_eq!(texts(&batches, "zip"), ["02134", "7.50"]);
        assert_eq!(texts(&batches, "id"), ["12345678901234567890", ""]);
        assert_eq!(texts(&batches, "ok"), ["true", ""]);
        // A field that only a later line has is a field as well.
        assert_eq!(batches[0].schema().fields().len(), if text == json { 5 } else { 4 });
    }
    assert!(refusal("{\"x\":1,\"zip\":[1]}\n", &options).contains("expected text or a number"));
    assert!(refusal("{\"x\":1}\n", &options).contains("no field \"zip\""));
}
