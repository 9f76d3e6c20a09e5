// What must hold of a model's configuration and of a gRPC request, whatever the bytes are: a message or an error, and
// nothing panics.

use open_inference::{
    InferResponse, Limits,
    grpc::{
        from_response,
        proto::{ModelInferRequest, model_infer_request::InferInputTensor},
        to_request,
    },
    model_config::{from_json, parse, to_json, unsupported},
};
use prost::Message;

/// A `config.pbtxt`: one that is read is the same after its JSON.
pub fn config_pbtxt(text: &str) {
    let Ok(config) = parse(text, "fuzz.pbtxt").inspect_err(|error| assert!(!error.to_string().contains('\n'))) else {
        return;
    };
    let json = to_json(&config).to_string();
    let again = from_json(&json, "fuzz.json").expect("what was written is read");
    assert_eq!(to_json(&again).to_string(), json);
    let _ = (unsupported(&config), config.versions(), config.instances(), config.batch_limit());
    for warmup in &config.model_warmup {
        assert_eq!(warmup.warmup_inputs().len(), warmup.inputs.len());
    }
}

/// A request: what is accepted is the same when it comes back as raw data.
pub fn grpc_request(bytes: &[u8]) {
    let limits = Limits { tensors: 8, dimensions: 8, elements: 1 << 16 };
    let Ok(message) = ModelInferRequest::decode(bytes) else { return };
    let Ok(request) = to_request(message, &limits) else { return };
    let response = InferResponse {
        model_name: String::new(),
        model_version: String::new(),
        id: request.id.clone(),
        outputs: request.inputs.clone(),
    };
    let message = from_response(response);
    let inputs = message.outputs.into_iter().map(|output| InferInputTensor {
        name: output.name,
        datatype: output.datatype,
        shape: output.shape,
        ..Default::default()
    });
    let message = ModelInferRequest {
        id: message.id,
        inputs: inputs.collect(),
        raw_input_contents: message.raw_output_contents,
        ..Default::default()
    };
    let again = to_request(message, &limits).expect("a tensor is accepted again");
    assert_eq!((again.id, again.inputs), (request.id, request.inputs));
}
