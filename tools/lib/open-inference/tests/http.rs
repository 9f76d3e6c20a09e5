//! Bodies of requests and responses, by hand.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use open_inference::{
    DataType, InferRequest, InferResponse, Limits, RequestedOutput, Tensor,
    http::{self, Problem, RequestError, SyntaxError},
};

const LIMITS: Limits = Limits { tensors: 4, dimensions: 4, elements: 100 };

fn parse(json: &str) -> Result<InferRequest, RequestError> {
    http::parse_request(&Bytes::copy_from_slice(json.as_bytes()), None, &LIMITS)
}

/// A request of one input; `fields` are those beside its name.
fn input(fields: &str) -> Result<Tensor, RequestError> {
    let request = parse(&format!(r#"{{"inputs":[{{"name":"x",{fields}}}]}}"#))?;
    Ok(request.inputs.into_iter().next().unwrap())
}

fn message(result: Result<impl std::fmt::Debug, RequestError>) -> String {
    result.unwrap_err().to_string()
}

fn le<const N: usize>(values: impl IntoIterator<Item = [u8; N]>) -> Vec<u8> {
    values.into_iter().flatten().collect()
}

fn floats(values: &[f32]) -> Vec<u8> {
    le(values.iter().map(|value| value.to_le_bytes()))
}

fn tensor(name: &str, data_type: DataType, shape: &[usize], data: Vec<u8>) -> Tensor {
    Tensor::new(name.to_owned(), data_type, shape.to_vec(), data.into()).unwrap()
}

#[test]
fn a_whole_request() {
    let request = parse(
        r#" {"id": "a\u00e9\n", "model_name": [1, {"any": null}],
             "parameters": {"binary_data_output": true, "timeout": 5000, "priority": 2, "mine": "x", "sequence_id": 0,
                            "sequence_start": false},
             "inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, -2.5e0, 3.0]},
                        {"name": "s", "shape": [2], "datatype": "BYTES", "data": ["", "\ud83d\ude00\"\\\/"]}],
             "outputs": [{"name": "y", "parameters": {"binary_data": true}},
                         {"name": "z", "parameters": {"classification": 3, "binary_data": false}},
                         {"name": "w", "parameters": {"classification": 0}}]} "#,
    )
    .unwrap();
    let strings = [&[0, 0, 0, 0, 7, 0, 0, 0][..], "😀\"\\/".as_bytes()].concat();
    let output = |name: &str, binary, classes| RequestedOutput { name: name.to_owned(), binary, classes };
    assert_eq!(
        request,
        InferRequest {
            id: Some("aé\n".to_owned()),
            inputs: vec![
                tensor("x", DataType::Fp32, &[1, 3], floats(&[1.0, -2.5, 3.0])),
                tensor("s", DataType::Bytes, &[2], strings),
            ],
            outputs: vec![output("y", true, None), output("z", false, Some(3)), output("w", false, None)],
            binary_output: true,
            timeout_us: Some(5000),
            priority: 2,
        }
    );
}

#[test]
fn null_is_as_absent() {
    let request = parse(r#"{"id":null,"parameters":null,"outputs":null,"inputs":[]}"#).unwrap();
    assert_eq!(request, InferRequest::default());
}

#[test]
fn fields_in_any_order() {
    for fields in [
        r#""data":[[1,2],[3,4]],"shape":[2,2],"datatype":"INT16""#,
        r#""shape":[2,2],"data":[[1,2],[3,4]],"datatype":"INT16""#,
        r#""datatype":"INT16","data":[1,2,3,4],"parameters":{},"shape":[2,2]"#,
        r#""datatype":"INT16","sh\u0061pe":[2,2],"data": [ 1 , 2 , 3 ,4 ] "#,
    ] {
        let expected = tensor("x", DataType::Int16, &[2, 2], le([1_i16, 2, 3, 4].map(i16::to_le_bytes)));
        assert_eq!(input(fields).unwrap(), expected, "{fields}");
    }
}

#[test]
fn every_type_at_its_limits() {
    let cases: &[(&str, &str, Vec<u8>)] = &[
        ("BOOL", "true,false,1,0", vec![1, 0, 1, 0]),
        ("UINT8", "0,255", vec![0, 255]),
        ("UINT16", "0,65535", le([0, u16::MAX].map(u16::to_le_bytes))),
        ("UINT32", "0,4294967295", le([0, u32::MAX].map(u32::to_le_bytes))),
        ("UINT64", "0,18446744073709551615", le([0, u64::MAX].map(u64::to_le_bytes))),
        ("INT8", "-128,127,-0", le([i8::MIN, i8::MAX, 0].map(i8::to_le_bytes))),
        ("INT16", "-32768,32767", le([i16::MIN, i16::MAX].map(i16::to_le_bytes))),
        ("INT32", "-2147483648,2147483647", le([i32::MIN, i32::MAX].map(i32::to_le_bytes))),
        ("INT64", "-9223372036854775808,9223372036854775807", le([i64::MIN, i64::MAX].map(i64::to_le_bytes))),
        ("FP32", "3.4028235e38,-0,1e-45", floats(&[f32::MAX, -0.0, f32::from_bits(1)])),
        ("FP64", "1.7976931348623157e308,5e-324,0.1", le([f64::MAX, f64::from_bits(1), 0.1].map(f64::to_le_bytes))),
    ];
    for (name, data, expected) in cases {
        let elements = data.split(',').count();
        let found = input(&format!(r#""datatype":"{name}","shape":[{elements}],"data":[{data}]"#)).unwrap();
        assert_eq!(found.data(), expected, "{name}");
        assert_eq!(found.data_type().name(), *name);
        if let Some(size) = found.data_type().size() {
            assert_eq!(found.data().as_ptr() as usize % size, 0, "{name} is aligned");
        }
    }
}

#[test]
fn numbers_that_a_type_does_not_hold() {
    for (name, number, expected) in [
        ("BOOL", "2", "inputs[0].data[1]: 2 is out of range for BOOL"),
        ("BOOL", "-1", "inputs[0].data[1]: -1 is out of range for BOOL"),
        ("UINT8", "256", "inputs[0].data[1]: 256 is out of range for UINT8"),
        ("UINT8", "-1", "inputs[0].data[1]: -1 is out of range for UINT8"),
        ("INT8", "128", "inputs[0].data[1]: 128 is out of range for INT8"),
        ("INT32", "1.0", "inputs[0].data[1]: expected an integer, found 1.0"),
        ("INT32", "1e0", "inputs[0].data[1]: expected an integer, found 1e0"),
        ("UINT64", "18446744073709551616", "inputs[0].data[1]: 18446744073709551616 is out of range for UINT64"),
        ("INT64", "9223372036854775808", "inputs[0].data[1]: 9223372036854775808 is out of range for INT64"),
        ("FP32", "1e40", "inputs[0].data[1]: 1e40 is out of range for FP32"),
        ("FP32", "3.4028236e38", "inputs[0].data[1]: 3.4028236e38 is out of range for FP32"),
        ("FP64", "-1e309", "inputs[0].data[1]: -1e309 is out of range for FP64"),
        ("FP32", "\"1\"", "inputs[0].data[1]: expected a number, found a string"),
        ("FP32", "null", "inputs[0].data[1]: expected a number, found null"),
        ("FP32", "true", "inputs[0].data[1]: expected a number, found a boolean"),
        ("FP32", "{}", "inputs[0].data[1]: expected a number, found an object"),
        ("FP32", "[1]", "inputs[0].data[1]: expected a number, found an array"),
        ("BYTES", "1", "inputs[0].data[1]: expected a string, found a number"),
        ("BOOL", "\"true\"", "inputs[0].data[1]: expected true or false, found a string"),
    ] {
        let first = if name == "BYTES" { "\"\"" } else { "1" };
        let fields = format!(r#""datatype":"{name}","shape":[2],"data":[{first},{number}]"#);
        assert_eq!(message(input(&fields)), expected);
        // As well if the type comes after the data.
        let fields = format!(r#""shape":[2],"data":[{first},{number}],"datatype":"{name}""#);
        assert_eq!(message(input(&fields)), expected);
    }
}

#[test]
fn half_precision_is_binary_only() {
    for name in ["FP16", "BF16"] {
        let fields = format!(r#""datatype":"{name}","shape":[1],"data":[1]"#);
        let expected =
            format!("inputs[0].data: {name} has no JSON form; send it as binary data (parameter binary_data_size)");
        assert_eq!(message(input(&fields)), expected);
    }
}

#[test]
fn nested_arrays_follow_the_shape() {
    let parse = |shape: &str, data: &str| input(&format!(r#""datatype":"UINT8","shape":{shape},"data":{data}"#));
    for (shape, data) in [
        ("[2,3]", "[1,2,3,4,5,6]"),
        ("[2,3]", "[[1,2,3],[4,5,6]]"),
        ("[1,2,3]", "[[1,2,3],[4,5,6]]"),
        ("[1,2,3]", "[[[1,2,3],[4,5,6]]]"),
        ("[2,1,3]", "[[1,2,3],[4,5,6]]"),
        ("[3,2,1]", "[[1,2],[3,4],[5,6]]"),
        ("[1]", "[1]"),
        ("[]", "[1]"),
        ("[0]", "[]"),
        ("[2,0]", "[]"),
        ("[2,0]", "[[],[]]"),
        ("[0,3]", "[]"),
    ] {
        let found = parse(shape, data).unwrap();
        assert!(found.data().iter().copied().eq(1..=found.elements() as u8), "{shape} {data}");
    }
    let ragged = "inputs[0].data: arrays of unequal length or depth";
    for (shape, data, expected) in [
        ("[2,3]", "[[1,2],[3,4],[5,6]]", "inputs[0].data: nested arrays of shape [3, 2] do not match shape [2, 3]"),
        ("[2,0]", "[[],[],[]]", "inputs[0].data: nested arrays of shape [3, 0] do not match shape [2, 0]"),
        ("[2,3]", "[[1,2,3],[4,5,6,7]]", "inputs[0].data: shape [2, 3] has 6 elements, the data has more than 6"),
        ("[2,3]", "[[1,2,3],[4,5]]", ragged),
        ("[4]", "[1,2,3]", "inputs[0].data: shape [4] has 4 elements, the data has 3"),
        ("[4]", "[]", "inputs[0].data: shape [4] has 4 elements, the data has 0"),
        ("[0]", "[1]", "inputs[0].data: shape [0] has 0 elements, the data has more than 0"),
        ("[4,1]", "[[1,2],3,4]", ragged),
        ("[4,1,1]", "[[[]],[]]", ragged),
        ("[4]", "[[1,2,3,4]]", "inputs[0].data: arrays are nested deeper than shape [4]"),
        ("[]", "[[1]]", "inputs[0].data: arrays are nested deeper than shape []"),
        ("[]", "1", "inputs[0].data: expected an array, found a number"),
    ] {
        assert_eq!(message(parse(shape, data)), expected, "{shape} {data}");
    }
}

#[test]
fn shapes_that_cannot_be() {
    let parse = |shape: &str| message(input(&format!(r#""datatype":"UINT8","shape":{shape},"data":[1]"#)));
    for (shape, expected) in [
        ("[-1]", "inputs[0].shape[0]: expected an integer of at least 0, found -1"),
        ("[1,1.5]", "inputs[0].shape[1]: expected an integer of at least 0, found 1.5"),
        ("[1e2]", "inputs[0].shape[0]: expected an integer of at least 0, found 1e2"),
        ("[18446744073709551616]", "inputs[0].shape[0]: expected an integer of at least 0, found 18446744073709551616"),
        ("[\"1\"]", "inputs[0].shape[0]: expected a number, found a string"),
        ("3", "inputs[0].shape: expected an array, found a number"),
        ("[1,1,1,1,1]", "inputs[0].shape: 5 dimensions, at most 4 are allowed (serve.max_dimensions)"),
        ("[10,11]", "inputs[0].shape: 110 elements, at most 100 are allowed (serve.max_elements)"),
        (
            "[4294967296,4294967296,4294967296]",
            "inputs[0].shape: 18446744073709551615 elements, at most 100 are allowed (serve.max_elements)",
        ),
        (
            "[9223372036854775807,0]",
            "inputs[0].data: shape [9223372036854775807, 0] has 0 elements, the data has more than 0",
        ),
    ] {
        assert_eq!(parse(shape), expected);
    }
    // Two inputs share the limit.
    let input = r#"{"name":"NAME","datatype":"UINT8","shape":[60],"parameters":{"binary_data_size":60}}"#;
    let (a, b) = (input.replace("NAME", "a"), input.replace("NAME", "b"));
    let body = format!(r#"{{"inputs":[{a},{b}]}}"#);
    let header = body.len();
    let body = Bytes::from([body.as_bytes(), &[0; 120]].concat());
    assert_eq!(
        message(http::parse_request(&body, Some(header), &LIMITS)),
        "inputs[1].shape: 120 elements, at most 100 are allowed (serve.max_elements)"
    );
    http::parse_request(&body, Some(header), &Limits { elements: 120, ..LIMITS }).unwrap();
}

#[test]
fn requests_that_lack_or_repeat_something() {
    let whole = r#""name":"x","datatype":"UINT8","shape":[1]"#;
    for (json, expected) in [
        ("{}", "field \"inputs\" is missing"),
        ("[]", "expected an object, found an array"),
        ("{\"inputs\":{}}", "inputs: expected an array, found an object"),
        ("{\"inputs\":null}", "inputs: expected an array, found null"),
        ("{\"inputs\":[1]}", "inputs[0]: expected an object, found a number"),
        ("{\"inputs\":[],\"inputs\":[]}", "field \"inputs\" is given twice"),
        ("{\"id\":1,\"inputs\":[]}", "id: expected a string, found a number"),
        ("{\"id\":\"\",\"id\":null,\"inputs\":[]}", "field \"id\" is given twice"),
        ("{\"inputs\":[{}]}", "inputs[0]: field \"name\" is missing"),
        ("{\"inputs\":[{\"name\":\"x\"}]}", "inputs[0]: field \"datatype\" is missing"),
        ("{\"inputs\":[{\"name\":\"x\",\"datatype\":\"INT8\"}]}", "inputs[0]: field \"shape\" is missing"),
        ("{\"inputs\":[{\"name\":\"x\",\"name\":\"x\"}]}", "inputs[0]: field \"name\" is given twice"),
        ("{\"inputs\":[{\"name\":1}]}", "inputs[0].name: expected a string, found a number"),
        ("{\"parameters\":[],\"inputs\":[]}", "parameters: expected an object, found an array"),
        (
            "{\"parameters\":{\"timeout\":-5},\"inputs\":[]}",
            "parameters.timeout: expected an integer of at least 0, found -5",
        ),
        (
            "{\"parameters\":{\"binary_data_output\":1},\"inputs\":[]}",
            "parameters.binary_data_output: expected true or false, found a number",
        ),
        ("{\"outputs\":[{}],\"inputs\":[]}", "outputs[0]: field \"name\" is missing"),
        ("{\"outputs\":[{\"name\":\"y\"},{\"name\":\"y\"}],\"inputs\":[]}", "outputs: \"y\" is named twice"),
        (
            "{\"outputs\":[{\"name\":\"y\",\"parameters\":{\"classification\":-1}}],\"inputs\":[]}",
            "outputs[0].parameters.classification: expected an integer of at least 0, found -1",
        ),
    ] {
        assert_eq!(message(parse(json)), expected, "{json}");
    }
    for (fields, expected) in [
        (String::new(), "inputs[0]: the input has neither \"data\" nor the parameter binary_data_size"),
        (",\"data\":[1],\"data\":[1]".to_owned(), "inputs[0]: field \"data\" is given twice"),
        (
            ",\"data\":[1],\"parameters\":{\"binary_data_size\":1}".to_owned(),
            "inputs[0]: the input has both \"data\" and the parameter binary_data_size",
        ),
        (format!(",\"data\":[1]}},{{{whole},\"data\":[1]"), "inputs: \"x\" is named twice"),
    ] {
        assert_eq!(message(parse(&format!("{{\"inputs\":[{{{whole}{fields}}}]}}"))), expected, "{fields}");
    }
    let expected = "inputs[0].datatype: datatype \"FP33\" is unknown; known are BOOL, UINT8, UINT16, UINT32, UINT64, INT8, \
                    INT16, INT32, INT64, FP16, BF16, FP32, FP64, BYTES";
    assert_eq!(message(input("\"datatype\":\"FP33\"")), expected);
    let many = r#"{"name":"y"},"#.repeat(5);
    assert_eq!(
        message(parse(&format!("{{\"outputs\":[{}]}}", many.trim_end_matches(',')))),
        "outputs: 5 tensors, at most 4 are allowed (serve.max_tensors)"
    );
}

#[test]
fn what_is_not_supported_is_said() {
    let sequence = "parameters: sequences are not supported; leave out sequence_id, sequence_start and sequence_end";
    for parameters in
        [r#""sequence_id":7"#, r#""sequence_id":"a""#, r#""sequence_start":true"#, r#""sequence_end":true"#]
    {
        assert_eq!(message(parse(&format!(r#"{{"parameters":{{{parameters}}},"inputs":[]}}"#))), sequence);
    }
    let memory = "parameters: shared memory is not supported; send the tensor as JSON or as binary data";
    let region = r#""parameters":{"shared_memory_region":"r","shared_memory_byte_size":4}"#;
    assert_eq!(message(input(region)), format!("inputs[0].{memory}"));
    let outputs = format!(r#"{{"outputs":[{{"name":"y",{region}}}],"inputs":[]}}"#);
    assert_eq!(message(parse(&outputs)), format!("outputs[0].{memory}"));
}

#[test]
fn what_is_not_json_is_a_syntax_error() {
    let number =
        |text: &str| format!(r#"{{"inputs":[{{"name":"x","datatype":"FP32","shape":[2],"data":[1,{text}]}}]}}"#);
    let mut cases: Vec<String> = [
        "",
        " ",
        "nul",
        "{",
        "{\"",
        "{\"a",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "{a:1}",
        "{\"a\":1,}",
        "{\"a\" 1}",
    ]
    .map(str::to_owned)
    .into();
    cases.extend(
        [
            "{\"inputs\":[]}x",
            "{\"inputs\":[]}{}",
            "{\"inputs\":[,]}",
            "{\"inputs\":[]",
            "{\"id\":\"\u{1}\"}",
            "{\"id\":\"\\x\"}",
        ]
        .map(str::to_owned),
    );
    cases.extend(
        [
            "{\"id\":\"\\ud800\"}",
            "{\"id\":\"\\ud800\\u0041\"}",
            "{\"id\":\"\\udc00\"}",
            "{\"id\":\"\\u12g4\"}",
            "{\"id\":\"\\u12",
        ]
        .map(str::to_owned),
    );
    for text in [
        "01",
        "1.",
        ".5",
        "+1",
        "1e",
        "1e+",
        "-",
        "--1",
        "1.e5",
        "0x10",
        "NaN",
        "Infinity",
        "-Infinity",
        "nan",
        "1 2",
        "1_0",
        "1;",
        "",
        "tru",
        "-.5",
        "00",
    ] {
        cases.push(number(text));
        // Beyond the end of the text there is nothing to read.
        cases.push(number(text).split("]}").next().unwrap().to_owned());
    }
    cases.push(format!("{{\"a\":{}}}", "[".repeat(200)));
    cases.push(format!("{{\"a\":{}", "{\"a\":".repeat(200)));
    cases.push("[".repeat(1_000_000));
    for json in cases {
        let error = parse(&json).unwrap_err();
        if json.starts_with("[") {
            assert_eq!(error.to_string(), "expected an object, found an array");
            continue;
        }
        assert!(matches!(error, RequestError::Syntax(_)), "{json}: {error}");
    }
    let bytes = Bytes::from_static(b"{\"id\":\"\xff\"}");
    let error = http::parse_request(&bytes, None, &LIMITS).unwrap_err();
    assert_eq!(error, RequestError::Syntax(SyntaxError::Utf8(7)));
    for (text, expected) in [
        ("NaN", "the request is not JSON: NaN and Infinity are not JSON, send them as binary data (byte 63)"),
        ("-Infinity", "the request is not JSON: NaN and Infinity are not JSON, send them as binary data (byte 63)"),
        ("+1", "the request is not JSON: expected a number, found '+' at byte 63"),
    ] {
        assert_eq!(message(parse(&number(text))), expected);
    }
    assert_eq!(message(parse("{")), "the request is not JSON: it ends where a key in quotes is expected");
}

/// JSON, binary data after it, and the length of the JSON.
fn binary(json: &str, data: &[u8]) -> Result<InferRequest, RequestError> {
    http::parse_request(&Bytes::from([json.as_bytes(), data].concat()), Some(json.len()), &LIMITS)
}

#[test]
fn binary_data_is_taken_in_order_and_not_copied() {
    let json = r#"{"inputs":[{"name":"a","shape":[2],"datatype":"FP16","parameters":{"binary_data_size":4}},
                             {"name":"b","shape":[1],"datatype":"INT32","data":[7]},
                             {"name":"e","shape":[0],"datatype":"INT32","parameters":{"binary_data_size":0}},
                             {"parameters":{"binary_data_size":6},"name":"c","shape":[1],"datatype":"BYTES"}]}"#;
    let data = [1, 2, 3, 4, 2, 0, 0, 0, 0xFF, 0];
    let body = Bytes::from([json.as_bytes(), &data].concat());
    let request = http::parse_request(&body, Some(json.len()), &LIMITS).unwrap();
    assert_eq!(
        request.inputs,
        [
            tensor("a", DataType::Fp16, &[2], vec![1, 2, 3, 4]),
            tensor("b", DataType::Int32, &[1], vec![7, 0, 0, 0]),
            tensor("e", DataType::Int32, &[0], vec![]),
            tensor("c", DataType::Bytes, &[1], vec![2, 0, 0, 0, 0xFF, 0]),
        ]
    );
    assert_eq!(request.inputs[0].data().as_ptr(), body[json.len()..].as_ptr());
}

#[test]
fn binary_data_that_does_not_fit() {
    let json = |size: &str| {
        format!(
            r#"{{"inputs":[{{"name":"a","shape":[2],"datatype":"INT16","parameters":{{"binary_data_size":{size}}}}}]}}"#
        )
    };
    for (size, data, expected) in [
        ("4", &[0; 3][..], "inputs[0].parameters: binary_data_size is 4, but 3 bytes are left after the JSON"),
        ("4", &[0; 5], "1 bytes are left over after the binary data of the last input"),
        ("3", &[0; 3], "inputs[0]: tensor \"a\": 3 bytes of data, expected 4 for INT16 [2]"),
        (
            "18446744073709551615",
            &[0; 4],
            "inputs[0].parameters: binary_data_size is 18446744073709551615, but 4 bytes are left after the JSON",
        ),
        ("-1", &[], "inputs[0].parameters.binary_data_size: expected an integer of at least 0, found -1"),
        ("4.0", &[], "inputs[0].parameters.binary_data_size: expected an integer of at least 0, found 4.0"),
        ("\"4\"", &[], "inputs[0].parameters.binary_data_size: expected a number, found a string"),
    ] {
        assert_eq!(message(binary(&json(size), data)), expected, "{size}");
    }
    let no_header = parse(&json("4"));
    assert_eq!(
        message(no_header),
        "inputs[0].parameters: binary_data_size is 4, but 0 bytes are left after the JSON \
         (Inference-Header-Content-Length says where the JSON ends)"
    );
    let body = Bytes::from_static(b"{}");
    assert_eq!(
        http::parse_request(&body, Some(3), &LIMITS),
        Err(RequestError::Invalid { at: String::new(), problem: Problem::HeaderLength { header: 3, body: 2 } })
    );
    // A header in the middle of the JSON: what is left of it is no binary data.
    let json = json("2");
    for length in 0..json.len() {
        let error = http::parse_request(&Bytes::from(json.clone()), Some(length), &LIMITS).unwrap_err();
        assert_eq!(matches!(error, RequestError::Syntax(_)), length < json.len() - 2, "{error}");
    }
    let wrong = r#"{"inputs":[{"name":"a","shape":[1],"datatype":"BOOL","parameters":{"binary_data_size":1}}]}"#;
    assert_eq!(message(binary(wrong, &[2])), "inputs[0]: tensor \"a\": BOOL element 0 is 2, expected 0 or 1");
}

fn response(outputs: Vec<Tensor>) -> InferResponse {
    InferResponse { model_name: "m".to_owned(), model_version: "1".to_owned(), id: None, outputs }
}

#[test]
fn a_response_is_json() {
    let outputs = vec![
        tensor("f", DataType::Fp32, &[1, 4], floats(&[0.1, -0.0, 16_777_216.0, 1e-45])),
        tensor("d", DataType::Fp64, &[1], 0.1_f64.to_le_bytes().to_vec()),
        tensor("i", DataType::Int8, &[2], vec![0x80, 1]),
        tensor("b", DataType::Bool, &[2], vec![1, 0]),
        tensor("s", DataType::Bytes, &[1], b"\x06\0\0\0\"\\\n\x01\xc3\xa9".to_vec()),
        tensor("e", DataType::Int64, &[0, 2], vec![]),
    ];
    let response = InferResponse { id: Some("a\"b".to_owned()), ..response(outputs) };
    let body = http::write_response(&response, &InferRequest::default()).unwrap();
    let expected = r#"{"id":"a\"b","model_name":"m","model_version":"1","outputs":[{"name":"f","datatype":"FP32","shape":[1,4],"data":[0.1,-0.0,16777216.0,1e-45]},{"name":"d","datatype":"FP64","shape":[1],"data":[0.1]},{"name":"i","datatype":"INT8","shape":[2],"data":[-128,1]},{"name":"b","datatype":"BOOL","shape":[2],"data":[true,false]},{"name":"s","datatype":"BYTES","shape":[1],"data":["\"\\\n\u0001é"]},{"name":"e","datatype":"INT64","shape":[0,2],"data":[]}]}"#;
    assert_eq!(std::str::from_utf8(&body.bytes).unwrap(), expected);
    assert_eq!(body.header_length, None);
}

#[test]
fn outputs_are_binary_where_they_are_asked_for() {
    let outputs =
        || vec![tensor("h", DataType::Fp16, &[1], vec![1, 2]), tensor("i", DataType::Uint8, &[2], vec![3, 4])];
    let json = r#"{"model_name":"m","model_version":"1","outputs":[{"name":"h","datatype":"FP16","shape":[1],"parameters":{"binary_data_size":2}},"#;
    let all = InferRequest { binary_output: true, ..InferRequest::default() };
    let body = http::write_response(&response(outputs()), &all).unwrap();
    let header =
        format!(r#"{json}{{"name":"i","datatype":"UINT8","shape":[2],"parameters":{{"binary_data_size":2}}}}]}}"#);
    assert_eq!(body.header_length, Some(header.len()));
    assert_eq!(body.bytes, [header.as_bytes(), &[1, 2, 3, 4]].concat());
    // A named output is as its own parameter says.
    let named = |name: &str, binary| RequestedOutput { name: name.to_owned(), binary, classes: None };
    let one = InferRequest { outputs: vec![named("h", true), named("i", false)], ..all };
    let body = http::write_response(&response(outputs()), &one).unwrap();
    let header = format!(r#"{json}{{"name":"i","datatype":"UINT8","shape":[2],"data":[3,4]}}]}}"#);
    assert_eq!(body.header_length, Some(header.len()));
    assert_eq!(body.bytes, [header.as_bytes(), &[1, 2]].concat());
}

#[test]
fn outputs_without_a_json_form() {
    for (output, expected) in [
        (
            tensor("y", DataType::Fp16, &[1], vec![0, 0]),
            "output \"y\": FP16 has no JSON form; ask for binary data (parameter binary_data)",
        ),
        (
            tensor("y", DataType::Fp32, &[2], floats(&[1.0, f32::NAN])),
            "output \"y\": element 1 is NaN, which JSON does not have; ask for binary data (parameter binary_data)",
        ),
        (
            tensor("y", DataType::Fp64, &[1], f64::NEG_INFINITY.to_le_bytes().to_vec()),
            "output \"y\": element 0 is -inf, which JSON does not have; ask for binary data (parameter binary_data)",
        ),
        (
            tensor("y", DataType::Bytes, &[2], vec![0, 0, 0, 0, 1, 0, 0, 0, 0xFF]),
            "output \"y\": element 1 is not UTF-8; ask for binary data (parameter binary_data)",
        ),
    ] {
        let result = http::write_response(&response(vec![output.clone()]), &InferRequest::default());
        assert_eq!(result.unwrap_err().to_string(), expected);
        let binary = InferRequest { binary_output: true, ..InferRequest::default() };
        http::write_response(&response(vec![output]), &binary).unwrap();
    }
}

#[test]
fn an_error_is_escaped() {
    assert_eq!(&http::write_error("no \"x\"\n\u{1f}é")[..], r#"{"error":"no \"x\"\n\u001fé"}"#.as_bytes());
}
