//! Requests as Triton's own client writes them, with the data that NumPy holds (`fixtures/bodies.py`).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use open_inference::{InferRequest, Limits, RequestedOutput, http};

#[derive(serde::Deserialize)]
struct Case {
    /// None where all of the body is JSON.
    header: Option<usize>,
    body: String,
    inputs: Vec<Input>,
}

#[derive(serde::Deserialize)]
struct Input {
    name: String,
    datatype: String,
    shape: Vec<usize>,
    data: String,
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    text.as_bytes().as_chunks().0.iter().map(digits).collect()
}

#[test]
fn requests_of_tritonclient() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("fixtures/bodies.json")).unwrap();
    let limits = Limits { tensors: 16, dimensions: 4, elements: 1000 };
    let requests: Vec<InferRequest> = cases
        .iter()
        .map(|case| http::parse_request(&from_hex(&case.body).into(), case.header, &limits).unwrap())
        .collect();
    for (request, case) in requests.iter().zip(&cases) {
        assert_eq!(request.inputs.len(), case.inputs.len());
        for (found, expected) in request.inputs.iter().zip(&case.inputs) {
            assert_eq!((found.name(), found.data_type().name()), (expected.name.as_str(), expected.datatype.as_str()));
            assert_eq!(found.shape(), expected.shape);
            assert_eq!(found.data(), &from_hex(&expected.data), "{}", expected.datatype);
        }
    }
    let [json, binary, mixed] = requests.as_slice() else { panic!("{} cases", requests.len()) };
    // Without outputs, the client asks for all of them as binary data.
    for request in [json, binary] {
        let rest = InferRequest { inputs: Vec::new(), ..request.clone() };
        assert_eq!(rest, InferRequest { binary_output: true, ..InferRequest::default() });
    }
    let output = |name: &str, binary, classes| RequestedOutput { name: name.to_owned(), binary, classes };
    let expected = InferRequest {
        id: Some("é\"".to_owned()),
        inputs: Vec::new(),
        outputs: vec![output("y", true, None), output("z", false, Some(3))],
        binary_output: false,
        timeout_us: Some(7),
        priority: 3,
    };
    assert_eq!(InferRequest { inputs: Vec::new(), ..mixed.clone() }, expected);
}
