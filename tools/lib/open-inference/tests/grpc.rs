//! gRPC messages as requests and responses: each type, typed and raw, and what is refused.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use open_inference::{
    DataType, InferResponse, Limits, RequestedOutput, Tensor,
    grpc::{
        from_response,
        proto::{
            InferParameter, InferTensorContents, ModelInferRequest,
            infer_parameter::ParameterChoice,
            model_infer_request::{InferInputTensor, InferRequestedOutputTensor},
        },
        to_request,
    },
};

const LIMITS: Limits = Limits { tensors: 2, dimensions: 3, elements: 6 };

fn input(datatype: &str, shape: &[i64]) -> InferInputTensor {
    InferInputTensor { name: "x".into(), datatype: datatype.into(), shape: shape.to_vec(), ..Default::default() }
}

/// A request of one input with typed data.
fn typed(datatype: &str, shape: &[i64], contents: InferTensorContents) -> ModelInferRequest {
    let input = InferInputTensor { contents: Some(contents), ..input(datatype, shape) };
    ModelInferRequest { inputs: vec![input], ..Default::default() }
}

/// A request of one input with raw data.
fn raw(datatype: &str, shape: &[i64], data: &[u8]) -> ModelInferRequest {
    let raw_input_contents = vec![Bytes::copy_from_slice(data)];
    ModelInferRequest { inputs: vec![input(datatype, shape)], raw_input_contents, ..Default::default() }
}

fn parameter(choice: ParameterChoice) -> InferParameter {
    InferParameter { parameter_choice: Some(choice) }
}

fn refusal(message: ModelInferRequest) -> String {
    to_request(message, &LIMITS).unwrap_err().to_string()
}

#[test]
fn typed_contents_of_each_type() {
    let signed = || InferTensorContents { int_contents: vec![-2, 3], ..Default::default() };
    let unsigned = || InferTensorContents { uint_contents: vec![2, 255], ..Default::default() };
    let cases: [(&str, InferTensorContents, &[u8]); 12] = [
        ("BOOL", InferTensorContents { bool_contents: vec![true, false], ..Default::default() }, &[1, 0]),
        ("INT8", signed(), &[254, 3]),
        ("INT16", signed(), &[254, 255, 3, 0]),
        ("INT32", signed(), &[254, 255, 255, 255, 3, 0, 0, 0]),
        (
            "INT64",
            InferTensorContents { int64_contents: vec![-1, 1 << 40], ..Default::default() },
            &[255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 1, 0, 0],
        ),
        ("UINT8", unsigned(), &[2, 255]),
        ("UINT16", unsigned(), &[2, 0, 255, 0]),
        ("UINT32", unsigned(), &[2, 0, 0, 0, 255, 0, 0, 0]),
        (
            "UINT64",
            InferTensorContents { uint64_contents: vec![u64::MAX, 1], ..Default::default() },
            &[255, 255, 255, 255, 255, 255, 255, 255, 1, 0, 0, 0, 0, 0, 0, 0],
        ),
        (
            "FP32",
            InferTensorContents { fp32_contents: vec![1.0, -2.0], ..Default::default() },
            &[0, 0, 128, 63, 0, 0, 0, 192],
        ),
        (
            "FP64",
            InferTensorContents { fp64_contents: vec![1.0, -2.0], ..Default::default() },
            &[0, 0, 0, 0, 0, 0, 240, 63, 0, 0, 0, 0, 0, 0, 0, 192],
        ),
        (
            "BYTES",
            InferTensorContents { bytes_contents: vec!["é".into(), "".into()], ..Default::default() },
            &[2, 0, 0, 0, 0xc3, 0xa9, 0, 0, 0, 0],
        ),
    ];
    for (datatype, contents, data) in cases {
        let request = to_request(typed(datatype, &[1, 2], contents), &LIMITS).unwrap();
        let expected =
            Tensor::new("x".into(), DataType::from_name(datatype).unwrap(), vec![1, 2], Bytes::copy_from_slice(data));
        assert_eq!(request.inputs, [expected.unwrap()], "{datatype}");
    }
}

#[test]
fn raw_contents_are_not_copied() {
    let message = raw("FP16", &[2], &[0, 60, 0, 192]);
    let address = message.raw_input_contents[0].as_ptr();
    let request = to_request(message, &LIMITS).unwrap();
    assert_eq!(request.inputs[0].data_type(), DataType::Fp16);
    assert_eq!(request.inputs[0].data().as_ptr(), address);

    let outputs = request.inputs;
    let response = InferResponse { model_name: "m".into(), model_version: "2".into(), id: Some("7".into()), outputs };
    let message = from_response(response);
    assert_eq!((message.model_name.as_str(), message.model_version.as_str(), message.id.as_str()), ("m", "2", "7"));
    assert_eq!((message.outputs[0].name.as_str(), message.outputs[0].datatype.as_str()), ("x", "FP16"));
    assert_eq!(message.outputs[0].shape, [2]);
    assert_eq!(message.raw_output_contents[0].as_ptr(), address);
}

#[test]
fn parameters_and_outputs() {
    let mut message = raw("BOOL", &[1], &[1]);
    message.id = "a".into();
    message.parameters.insert("timeout".into(), parameter(ParameterChoice::Int64Param(500)));
    message.parameters.insert("priority".into(), parameter(ParameterChoice::Uint64Param(2)));
    message.parameters.insert("content_type".into(), parameter(ParameterChoice::StringParam("np".into())));
    let classes = [("classification".to_owned(), parameter(ParameterChoice::Int64Param(3)))];
    message.outputs = vec![
        InferRequestedOutputTensor { name: "y".into(), parameters: classes.into() },
        InferRequestedOutputTensor { name: "z".into(), ..Default::default() },
    ];
    let request = to_request(message, &LIMITS).unwrap();
    assert_eq!((request.id.as_deref(), request.timeout_us, request.priority), (Some("a"), Some(500), 2));
    let output = |name: &str, classes| RequestedOutput { name: name.into(), binary: true, classes };
    assert_eq!(request.outputs, [output("y", Some(3)), output("z", None)]);

    let request = to_request(raw("BOOL", &[1], &[1]), &LIMITS).unwrap();
    assert_eq!((request.id, request.timeout_us, request.priority), (None, None, 0));
}

#[test]
fn zero_elements_need_no_data() {
    for datatype in ["FP32", "FP16", "BYTES"] {
        let message = ModelInferRequest { inputs: vec![input(datatype, &[0, 3])], ..Default::default() };
        assert_eq!(to_request(message, &LIMITS).unwrap().inputs[0].elements(), 0);
        assert!(to_request(raw(datatype, &[3, 0], &[]), &LIMITS).is_ok());
    }
}

#[test]
fn data_that_does_not_fit_is_refused() {
    let floats = || InferTensorContents { fp32_contents: vec![1.0, 2.0], ..Default::default() };
    let mut both = typed("FP32", &[2], floats());
    both.raw_input_contents = vec![Bytes::from_static(&[0; 8])];
    let mut fields = floats();
    fields.bool_contents = vec![true];
    let integers = |value| InferTensorContents { int_contents: vec![0, value], ..Default::default() };
    let cases = [
        (raw("FP8", &[2], &[]), "input \"x\": no data type \"FP8\", expected one such as FP32"),
        (raw("FP32", &[-1], &[0; 4]), "input \"x\": dimension -1, expected 0 or more"),
        (raw("FP32", &[2], &[0; 7]), "tensor \"x\": 7 bytes of data, expected 8 for FP32 [2]"),
        (raw("FP32", &[i64::MAX, 3], &[]), "18446744073709551615 elements of inputs, at most 6 are accepted"),
        (raw("INT8", &[7], &[0; 7]), "7 elements of inputs, at most 6 are accepted"),
        (raw("INT8", &[1, 1, 1, 1], &[0]), "4 dimensions, at most 3 are accepted"),
        (
            raw("BYTES", &[1], &[255, 255, 255, 255, 1]),
            "tensor \"x\": 1 BYTES elements expected, element 0 is cut off or bytes are left over",
        ),
        (raw("BOOL", &[1], &[2]), "tensor \"x\": BOOL element 0 is 2, expected 0 or 1"),
        (both, "input \"x\": contents and raw_input_contents in one request"),
        (typed("FP32", &[2], fields), "input \"x\": FP32 values are expected in contents.fp32_contents alone"),
        (typed("FP64", &[2], floats()), "input \"x\": FP64 values are expected in contents.fp64_contents alone"),
        (typed("FP32", &[3], floats()), "input \"x\": 2 values in contents, expected 3 for shape [3]"),
        (typed("FP32", &[1], floats()), "input \"x\": 2 values in contents, expected 1 for shape [1]"),
        (typed("BF16", &[2], floats()), "input \"x\": BF16 needs raw_input_contents"),
        (typed("INT8", &[2], integers(-129)), "input \"x\": contents[1] is -129, which is no INT8"),
        (typed("INT16", &[2], integers(1 << 15)), "input \"x\": contents[1] is 32768, which is no INT16"),
        (
            ModelInferRequest { inputs: vec![input("FP32", &[1])], ..Default::default() },
            "input \"x\": 0 values in contents, expected 1 for shape [1]",
        ),
        (
            ModelInferRequest { raw_input_contents: vec![Bytes::new(); 2], ..raw("FP32", &[0], &[]) },
            "2 raw_input_contents for 1 inputs",
        ),
        (
            ModelInferRequest { inputs: vec![input("FP32", &[1]); 3], ..Default::default() },
            "3 inputs, at most 2 are accepted",
        ),
    ];
    for (message, expected) in cases {
        assert_eq!(refusal(message), expected);
    }
}

#[test]
fn elements_are_counted_over_all_inputs() {
    let mut message = raw("INT8", &[4], &[0; 4]);
    message.inputs.push(input("INT8", &[3]));
    message.raw_input_contents.push(Bytes::from_static(&[0; 3]));
    assert_eq!(refusal(message), "7 elements of inputs, at most 6 are accepted");
}

#[test]
fn extensions_that_are_not_there_are_refused() {
    let region = [("shared_memory_region".to_owned(), parameter(ParameterChoice::StringParam("r".into())))];
    let mut shared_input = raw("BOOL", &[1], &[1]);
    shared_input.inputs[0].parameters = region.clone().into();
    let mut shared_output = raw("BOOL", &[1], &[1]);
    shared_output.outputs = vec![InferRequestedOutputTensor { name: "y".into(), parameters: region.into() }];
    for message in [shared_input, shared_output] {
        assert_eq!(refusal(message), "parameter \"shared_memory_region\": shared memory is not supported");
    }
    let mut sequence = raw("BOOL", &[1], &[1]);
    sequence.parameters.insert("sequence_id".into(), parameter(ParameterChoice::Int64Param(1)));
    assert_eq!(refusal(sequence), "parameter \"sequence_id\": a sequence of requests is not supported");
    let mut reserved = raw("BOOL", &[1], &[1]);
    let yes = || parameter(ParameterChoice::BoolParam(true));
    reserved.parameters.insert("triton_enable_empty_final_response".into(), yes());
    assert!(to_request(reserved.clone(), &LIMITS).is_ok());
    reserved.parameters.insert("triton_other".into(), yes());
    assert_eq!(
        refusal(reserved),
        "parameter \"triton_other\": no extension has it, and names that start with \"triton_\" are reserved"
    );
    let mut no_class = raw("BOOL", &[1], &[1]);
    let none = [("classification".to_owned(), parameter(ParameterChoice::Int64Param(0)))];
    no_class.outputs = vec![InferRequestedOutputTensor { name: "y".into(), parameters: none.into() }];
    assert_eq!(refusal(no_class), "parameter \"classification\": expected an integer from 1");
    for choice in [ParameterChoice::Int64Param(-1), ParameterChoice::StringParam("5".into())] {
        let mut message = raw("BOOL", &[1], &[1]);
        message.parameters.insert("timeout".into(), parameter(choice));
        assert_eq!(refusal(message), "parameter \"timeout\": expected an integer from 0");
    }
}
