//! Numbers of JSON tensors against the standard library's parser, which rounds correctly, and against serde_json.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use open_inference::{
    DataType, InferRequest, InferResponse, Limits, Tensor,
    http::{self, RequestError},
};
use proptest::prelude::*;

const LIMITS: Limits = Limits { tensors: 8, dimensions: 4, elements: 1 << 20 };

/// The bytes of a tensor with these texts as elements.
fn parse(data_type: &str, texts: &[String]) -> Result<Bytes, RequestError> {
    let json = format!(
        r#"{{"inputs":[{{"name":"x","datatype":"{data_type}","shape":[{}],"data":[{}]}}]}}"#,
        texts.len(),
        texts.join(",")
    );
    Ok(http::parse_request(&Bytes::from(json), None, &LIMITS)?.inputs[0].data().clone())
}

/// The text in every position that matters to a parser that reads ahead: with a long text behind it, and with little.
fn alone_and_among(text: &str) -> Vec<String> {
    vec![text.to_owned(), "0".to_owned(), text.to_owned(), "1.5".to_owned(), text.to_owned()]
}

/// As [`alone_and_among`], for integers.
fn integers_among(text: &str) -> Vec<String> {
    vec![text.to_owned(), "0".to_owned(), text.to_owned(), text.to_owned()]
}

fn check_f32(text: &str) {
    let texts = alone_and_among(text);
    let expected: Vec<f32> = texts.iter().map(|text| text.parse().unwrap()).collect();
    match parse("FP32", &texts) {
        Ok(data) => {
            let found: Vec<u32> = data.as_chunks().0.iter().map(|chunk| u32::from_le_bytes(*chunk)).collect();
            assert_eq!(found, expected.iter().map(|value| value.to_bits()).collect::<Vec<_>>(), "{text}");
        }
        Err(error) => assert!(expected[0].is_infinite(), "{text}: {error}"),
    }
}

fn check_f64(text: &str) {
    let texts = alone_and_among(text);
    let expected: Vec<f64> = texts.iter().map(|text| text.parse().unwrap()).collect();
    match parse("FP64", &texts) {
        Ok(data) => {
            let found: Vec<u64> = data.as_chunks().0.iter().map(|chunk| u64::from_le_bytes(*chunk)).collect();
            assert_eq!(found, expected.iter().map(|value| value.to_bits()).collect::<Vec<_>>(), "{text}");
        }
        Err(error) => assert!(expected[0].is_infinite(), "{text}: {error}"),
    }
}

fn check_floats(text: &str) {
    check_f32(text);
    check_f64(text);
}

/// Whether an integer type takes `text`, and as which bytes.
fn check_integers(text: &str) {
    macro_rules! check {
        ($($number:ty: $name:literal),+) => {$(
            let expected = text.parse::<i128>().ok().and_then(|value| <$number>::try_from(value).ok());
            match (parse($name, &integers_among(text)), expected) {
                (Ok(data), Some(value)) => {
                    let all: Vec<u8> = [value, 0, value, value].iter().flat_map(|value| value.to_le_bytes()).collect();
                    assert_eq!(data, all, "{text} {}", $name);
                }
                (Err(_), None) => {}
                (found, expected) => panic!("{text} {}: {found:?}, expected {expected:?}", $name),
            }
        )+};
    }
    check!(u8: "UINT8", u16: "UINT16", u32: "UINT32", u64: "UINT64", i8: "INT8", i16: "INT16", i32: "INT32", i64: "INT64");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn numbers_as_they_may_be_spelled(text in r"-?(0|[1-9][0-9]{0,3})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?") {
        check_floats(&text);
    }

    #[test]
    fn numbers_of_many_digits(text in r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,60})?([eE][+-]?[0-9]{1,3})?") {
        check_floats(&text);
    }

    #[test]
    fn numbers_of_many_zeros(text in r"-?0\.0{0,60}[0-9]{1,20}(e[0-9]{1,2})?|[1-9]0{0,60}(\.0{1,40})?(e-[0-9]{1,2})?") {
        check_floats(&text);
    }

    #[test]
    fn every_float(bits in any::<u32>()) {
        let value = f32::from_bits(bits);
        prop_assume!(value.is_finite());
        for text in [format!("{value:?}"), format!("{value}"), format!("{value:e}"), format!("{:?}", f64::from(value))] {
            check_floats(&text);
        }
    }

    #[test]
    fn every_double(bits in any::<u64>()) {
        let value = f64::from_bits(bits);
        prop_assume!(value.is_finite());
        for text in [format!("{value:?}"), format!("{value:e}"), format!("{value:.17e}")] {
            check_floats(&text);
        }
    }

    /// Midpoints between floats, where a rounding to a double first goes wrong, and what is next to them.
    #[test]
    fn midpoints_between_floats(bits in 0x3000_0000_u32..0x5000_0000, digit in 1..9_u8) {
        let (low, high) = (f32::from_bits(bits), f32::from_bits(bits + 1));
        let middle = (f64::from(low) + f64::from(high)) / 2.0;
        for near in [middle, middle.next_up(), middle.next_down(), middle.next_up().next_up()] {
            let exact = format!("{near}");
            check_f32(&exact);
            let point = if exact.contains('.') { "" } else { "." };
            check_f32(&format!("{exact}{point}0000000000000000000000000000{digit}"));
            check_f32(&format!("{near:.16e}"));
        }
    }

    #[test]
    fn integers(text in r"-?(0|[1-9][0-9]{0,21})") {
        check_integers(&text);
    }

    #[test]
    fn integers_at_the_limits(bits in 3_u32..66, distance in -2_i128..=2, negative in any::<bool>()) {
        let value = (1_i128 << bits) + distance;
        check_integers(&(if negative { -value } else { value }).to_string());
    }

    /// What serde_json takes as an array of numbers, and only that.
    #[test]
    fn texts_that_are_almost_numbers(text in r"[-+0-9.eE \t,]{1,9}") {
        let text = text.as_str();
        let reference = serde_json::from_str::<Vec<f64>>(&format!("[1,{text}]"));
        let elements = reference.as_ref().map_or(2, Vec::len);
        let texts = ["1".to_owned(), text.to_owned()];
        for among in [texts.join(","), format!("{},1,2,3,4,5,6,7,8,9,10", texts.join(","))] {
            let extra = among.len() - texts.join(",").len();
            let elements = if extra > 0 { elements + 10 } else { elements };
            let json = format!(r#"{{"inputs":[{{"name":"x","datatype":"FP64","shape":[{elements}],"data":[{among}]}}]}}"#);
            let found = http::parse_request(&Bytes::from(json), None, &LIMITS);
            prop_assert_eq!(found.is_ok(), reference.is_ok(), "{}: {:?}", among, found);
        }
    }
}

#[test]
fn hand_picked_numbers() {
    for text in [
        "0",
        "-0",
        "0.0",
        "-0.0",
        "0e0",
        "-0e-5",
        "0e99999999999999999999",
        "1e-99999999999999999999",
        "1E5",
        "1e+5",
        "16777217",
        "16777219",
        "33554434",
        "33554438",
        "9007199254740993",
        "9007199254740993.0",
        "18446744073709551615",
        "18446744073709551616",
        "9223372036854775807",
        "9223372036854775808",
        "3.4028234663852886e38",
        "3.4028235677973366e38",
        "3.4028235677973365e38",
        "340282356779733661637539395458142568447",
        "1.1754943508222875e-38",
        "1.4012984643248171e-45",
        "7.006492321624085e-46",
        "7.006492321624086e-46",
        "7.00649232162408535461864791644958065640130970938257885878534141944895541342930300743319094181060791015625e-46",
        "2.2250738585072011e-308",
        "2.2250738585072014e-308",
        "4.9e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "8.5899345920000005e9",
        "1.00000005960464477539062500",
        "1.000000059604644775390625000000000000000000001",
        "1.000000178813934326171875",
        "0.1234567812345678",
        "0.12345678123456781",
        "123456781234567812345678",
        "1.17549429e-38",
        "123456789012345678.1234567890123456",
        "0.00000000000000000000000000000000000000000000000000000000000000000000000001e74",
    ] {
        check_floats(text);
        check_floats(&format!("-{}", text.trim_start_matches('-')));
    }
}

proptest! {
    /// What is written reads back bit for bit: a response's outputs are of the form of a request's inputs.
    #[test]
    fn a_response_reads_back_as_a_request(
        singles in prop::collection::vec(any::<f32>().prop_filter("finite", |value| value.is_finite()), 0..40),
        doubles in prop::collection::vec(any::<f64>().prop_filter("finite", |value| value.is_finite()), 0..40),
        integers in prop::collection::vec(any::<i64>(), 0..40),
        bytes in prop::collection::vec(any::<u8>(), 0..40),
        booleans in prop::collection::vec(any::<bool>(), 0..10),
        strings in prop::collection::vec(any::<String>(), 0..10),
        id in any::<String>(),
        binary in any::<bool>(),
    ) {
        let tensor = |name: &str, data_type, elements, data: Vec<u8>| {
            Tensor::new(format!("{name}{id}"), data_type, vec![elements], data.into()).unwrap()
        };
        let outputs = vec![
            tensor("f", DataType::Fp32, singles.len(), singles.iter().flat_map(|value| value.to_le_bytes()).collect()),
            tensor("d", DataType::Fp64, doubles.len(), doubles.iter().flat_map(|value| value.to_le_bytes()).collect()),
            tensor("i", DataType::Int64, integers.len(), integers.iter().flat_map(|value| value.to_le_bytes()).collect()),
            tensor("u", DataType::Uint8, bytes.len(), bytes.clone()),
            tensor("t", DataType::Bool, booleans.len(), booleans.iter().map(|value| (*value).into()).collect()),
            tensor("s", DataType::Bytes, strings.len(), strings.iter().flat_map(|text| {
                [&(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
            }).collect()),
        ];
        let response = InferResponse {
            model_name: id.clone(), model_version: "1".to_owned(), id: Some(id.clone()), outputs: outputs.clone(),
        };
        let request = InferRequest { binary_output: binary, ..InferRequest::default() };
        let body = http::write_response(&response, &request).unwrap();
        prop_assert_eq!(body.header_length.is_some(), binary);
        let json = &body.bytes[..body.header_length.unwrap_or(body.bytes.len())];
        let document: serde_json::Value = serde_json::from_slice(json).unwrap();
        prop_assert_eq!(document["model_name"].as_str(), Some(id.as_str()));
        // As a request: of the same length, so that the header still holds.
        let at = body.bytes.windows(12).position(|window| window == b",\"outputs\":[").unwrap();
        let mut changed = body.bytes.to_vec();
        changed[at..at + 12].copy_from_slice(b",\"inputs\": [");
        let found = http::parse_request(&changed.into(), body.header_length, &LIMITS).unwrap();
        prop_assert_eq!(found.inputs, outputs);
        prop_assert_eq!(found.id, Some(id).filter(|id| !id.is_empty()));
    }

    /// Strings as serde_json reads them.
    #[test]
    fn strings(text in r#"[\\"/bfnrtu0-9a-fA-FdD8 é😀]{0,14}"#) {
        let json = format!(r#"{{"id":"{text}","inputs":[]}}"#);
        let reference = serde_json::from_str::<serde_json::Value>(&json).ok().map(|value| value["id"].as_str().unwrap_or("").to_owned());
        let found = http::parse_request(&Bytes::from(json), None, &LIMITS).ok().and_then(|request| request.id);
        prop_assert_eq!(found, reference);
    }

    /// Fields that are skipped are checked as serde_json checks them.
    #[test]
    fn values_that_are_skipped(text in r#"[\[\]{}:,"\\0-9.eE+\-u tfn]{0,12}"#) {
        let json = format!(r#"{{"unknown":{text},"inputs":[]}}"#);
        let reference = serde_json::from_str::<serde_json::Value>(&json).is_ok();
        let found = http::parse_request(&Bytes::from(json), None, &LIMITS);
        // An infinite number is none that serde_json holds, and a second "inputs" could be in the text.
        prop_assert!(found.is_ok() == reference || text.contains(['e', 'E']), "{}: {:?}", text, found);
    }
}
