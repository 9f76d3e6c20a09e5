// What must hold of the body of an HTTP request, whatever the bytes are: a request or an error of one line, and nothing
// panics; a body that is accepted is JSON, and its tensors are the same when they come back.

use open_inference::{
    InferRequest, InferResponse, Limits,
    http::{parse_request, write_response},
};
use serde_json::value::RawValue;

const LIMITS: Limits = Limits { tensors: 8, dimensions: 8, elements: 1 << 12 };

/// A body: as JSON alone, and as JSON up to its last brace with binary data after it.
pub fn infer_request(bytes: &[u8]) {
    let brace = bytes.iter().rposition(|byte| *byte == b'}').map_or(0, |at| at + 1);
    for header_length in [None, Some(brace)] {
        let request = match parse_request(&bytes.to_vec().into(), header_length, &LIMITS) {
            Ok(request) => request,
            Err(error) => {
                assert!(!error.to_string().contains('\n'), "{error}");
                continue;
            }
        };
        let json = &bytes[..header_length.unwrap_or(bytes.len())];
        assert!(serde_json::from_slice::<Box<RawValue>>(json).is_ok(), "what is accepted is JSON");
        assert!(request.inputs.len() <= LIMITS.tensors && request.outputs.len() <= LIMITS.tensors);
        assert!(request.inputs.iter().map(|input| input.elements()).sum::<usize>() <= LIMITS.elements);
        for binary_output in [false, true] {
            again(&request, binary_output);
        }
    }
}

/// The inputs as a response's outputs, which have the same form, read as inputs again.
fn again(request: &InferRequest, binary_output: bool) {
    let response = InferResponse {
        model_name: "\"outputs\":[".into(),
        model_version: String::new(),
        id: request.id.clone(),
        outputs: request.inputs.clone(),
    };
    let format = InferRequest { binary_output, ..InferRequest::default() };
    let Ok(body) = write_response(&response, &format) else {
        assert!(!binary_output, "binary data is never refused");
        return;
    };
    let outputs = b",\"outputs\":[";
    let at = body.bytes.windows(outputs.len()).position(|window| window == outputs).expect("a response has outputs");
    let mut bytes = body.bytes.to_vec();
    bytes[at..at + outputs.len()].copy_from_slice(b",\"inputs\": [");
    let again = parse_request(&bytes.into(), body.header_length, &LIMITS).expect("what was written is read");
    assert_eq!(again.inputs, request.inputs);
    assert_eq!(again.id, request.id.clone().filter(|id| !id.is_empty()));
}
