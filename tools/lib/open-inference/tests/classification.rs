//! Classes of highest value, by hand; the texts of floats are those of C's `printf("%f")`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use open_inference::{DataType, Tensor, classification};

fn floats(shape: &[usize], values: &[f32]) -> Tensor {
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Tensor::new("y".to_owned(), DataType::Fp32, shape.to_vec(), data.into()).unwrap()
}

fn bytes(data_type: DataType, data: &[u8]) -> Tensor {
    let shape = vec![data.len() / data_type.size().unwrap()];
    Tensor::new("y".to_owned(), data_type, shape, data.to_vec().into()).unwrap()
}

/// Shape and strings of the classes.
fn top(tensor: &Tensor, k: usize, labels: &[&str], batched: bool) -> (Vec<usize>, Vec<String>) {
    let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
    let found = classification::top(tensor, k, Some(&labels), batched).unwrap();
    assert_eq!((found.name(), found.data_type()), ("y", DataType::Bytes));
    let strings = found.strings().map(|string| String::from_utf8(string.to_vec()).unwrap()).collect();
    (found.shape().to_vec(), strings)
}

fn is(found: (Vec<usize>, Vec<String>), shape: &[usize], strings: &[&str]) {
    assert_eq!((found.0.as_slice(), found.1.iter().map(String::as_str).collect::<Vec<_>>()), (shape, strings.to_vec()));
}

#[test]
fn of_each_entry_of_a_batch() {
    let tensor = floats(&[2, 3], &[0.1, 0.7, 0.2, 5.0, -1.0, 1e-7]);
    is(
        top(&tensor, 2, &["cat", "", "dog"], true),
        &[2, 2],
        &["0.700000:1", "0.200000:2:dog", "5.000000:0:cat", "0.000000:2:dog"],
    );
    is(top(&tensor, 2, &[], false), &[2], &["5.000000:3", "0.700000:1"]);
}

#[test]
fn ties_nan_and_infinity() {
    let tensor = floats(&[7], &[f32::NAN, 1.0, f32::INFINITY, -0.0, 0.0, f32::NEG_INFINITY, 1.0]);
    is(
        top(&tensor, 10, &[], false),
        &[7],
        &["inf:2", "1.000000:1", "1.000000:6", "-0.000000:3", "0.000000:4", "-inf:5", "nan:0"],
    );
    is(top(&tensor, 2, &[], false), &[2], &["inf:2", "1.000000:1"]);
}

#[test]
fn of_every_type_with_an_order() {
    let all = [0x01, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
    for (data_type, expected) in [
        (DataType::Uint8, "255:8"),
        (DataType::Uint16, "65535:4"),
        (DataType::Uint32, "4294967295:2"),
        (DataType::Uint64, "18446744073709551615:1"),
        (DataType::Int8, "1:0"),
        (DataType::Int16, "1:0"),
        (DataType::Int32, "1:0"),
        (DataType::Int64, "1:0"),
        (DataType::Fp64, "0.000000:0"),
    ] {
        is(top(&bytes(data_type, &all), 1, &[], false), &[1], &[expected]);
    }
    for data_type in [DataType::Bool, DataType::Fp16, DataType::Bf16] {
        let error = classification::top(&bytes(data_type, &[0, 0]), 1, None, false).unwrap_err();
        assert_eq!(error.to_string(), format!("output \"y\": no classification of {data_type}"));
    }
}

#[test]
fn as_many_as_there_are() {
    let tensor = floats(&[1, 2, 2], &[1.0, 2.0, 3.0, 4.0]);
    is(top(&tensor, 9, &["a"], true), &[1, 4], &["4.000000:3", "3.000000:2", "2.000000:1", "1.000000:0:a"]);
    is(top(&tensor, 0, &[], true), &[1, 0], &[]);
    is(top(&floats(&[0, 3], &[]), 2, &[], true), &[0, 2], &[]);
    is(top(&floats(&[3, 0], &[]), 2, &[], true), &[3, 0], &[]);
    is(top(&floats(&[], &[1.5]), 1, &[], true), &[1], &["1.500000:0"]);
}
