//! `config.pbtxt`: what an engine asks of it, its JSON, and what is refused. `google.rs` compares with Google's parser.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use open_inference::{
    DataType,
    model_config::{
        ConfigError, TimeoutAction, Versions, WarmupData, WarmupInput, from_json, parse, to_json, unsupported,
    },
};
use serde_json::json;

/// Every field that an engine asks for.
const FULL: &str = r#"
# A comment.
name: "mlp"
backend: "onnxruntime"
max_batch_size: 8
input [
  { name: "x" data_type: TYPE_FP32 dims: [ 16 ] },
  { name: "mask", data_type: TYPE_BOOL, dims: [ -1, 2 ] }
]
output [ { name: "y" data_type: TYPE_FP32 dims: [ 3 ] label_filename: "labels.txt" } ]
instance_group [ { count: 2 kind: KIND_CPU }, { kind: KIND_CPU } ]
dynamic_batching {
  preferred_batch_size: [ 8, 4 ]
  max_queue_delay_microseconds: 100
  preserve_ordering: true
  priority_levels: 3
  default_priority_level: 2
  default_queue_policy { timeout_action: DELAY default_timeout_microseconds: 2000 allow_timeout_override: true }
  priority_queue_policy { key: 1 value: { max_queue_size: 10 } }
}
version_policy: { specific { versions: [ 1, 3 ] } }
model_warmup [ {
  name: "one row"
  batch_size: 4
  count: 2
  inputs { key: "x" value: { data_type: TYPE_FP32 dims: 16 random_data: true } }
  inputs { key: "mask" value: { data_type: TYPE_BOOL dims: [ 5, 2 ] input_data_file: "mask.bin" } }
} ]
parameters { key: "intra_op_thread_count" value: { string_value: "2" } }
"#;

fn refusal(text: &str) -> String {
    parse(text, "config.pbtxt").unwrap_err().to_string()
}

#[test]
fn every_field() {
    let config = parse(FULL, "config.pbtxt").unwrap();
    assert_eq!((config.name.as_str(), config.batch_limit()), ("mlp", 8));
    assert_eq!(config.input[1].dims, [-1, 2]);
    assert_eq!(config.input[1].data_type().element_type(), Some(DataType::Bool));
    assert_eq!(config.output[0].label_filename, "labels.txt");
    assert_eq!(config.instances(), Some(3));
    assert_eq!(config.versions(), Versions::Specific(vec![1, 3]));
    assert_eq!(config.parameters["intra_op_thread_count"].string_value, "2");

    let batching = config.dynamic_batching().unwrap();
    assert_eq!(batching.preferred_sizes(), [4, 8]);
    assert_eq!((batching.max_queue_delay_microseconds, batching.preserve_ordering), (100, true));
    assert_eq!([0, 1, 3, 4].map(|priority| batching.priority_level(priority)), [2, 1, 3, 2]);
    assert_eq!(batching.queue_policy(1).unwrap().max_queue_size, 10);
    let policy = batching.queue_policy(2).unwrap();
    assert_eq!(policy.timeout_action(), TimeoutAction::Delay);
    assert_eq!((policy.default_timeout_microseconds, policy.allow_timeout_override), (2000, true));

    let warmup = &config.model_warmup[0];
    assert_eq!((warmup.rows(), warmup.repetitions()), (4, 2));
    let mask = WarmupInput {
        name: "mask".into(),
        data_type: DataType::Bool,
        dims: vec![5, 2],
        data: WarmupData::File("mask.bin".into()),
    };
    let x = WarmupInput { name: "x".into(), data_type: DataType::Fp32, dims: vec![16], data: WarmupData::Random };
    assert_eq!(warmup.warmup_inputs(), [mask, x]);
    assert_eq!(unsupported(&config), Default::default());
}

#[test]
fn defaults_are_those_of_triton() {
    let config = parse("", "config.pbtxt").unwrap();
    assert_eq!((config.batch_limit(), config.instances()), (0, None));
    assert_eq!(config.versions(), Versions::Latest(1));
    assert!(config.dynamic_batching().is_none());
    let config =
        parse("dynamic_batching { }\ninstance_group { }\nversion_policy: { all { } }", "config.pbtxt").unwrap();
    assert_eq!(config.instances(), Some(1));
    assert_eq!(config.versions(), Versions::All);
    let batching = config.dynamic_batching().unwrap();
    assert_eq!((batching.preferred_sizes(), batching.priority_level(7)), (vec![], 0));
    assert!(batching.queue_policy(0).is_none());
    let config = parse("version_policy: { latest: { num_versions: 2 } }", "config.pbtxt").unwrap();
    assert_eq!(config.versions(), Versions::Latest(2));
}

#[test]
fn json_has_the_fields_of_the_proto_and_their_defaults() {
    let text = "max_batch_size: 8 dynamic_batching { max_queue_delay_microseconds: 18446744073709551615 }
                input { name: 'x' data_type: TYPE_FP32 dims: [ -1 ] }
                parameters { key: 'b' value { string_value: '2' } } parameters { key: 'a' }";
    let config = parse(text, "config.pbtxt").unwrap();
    let expected = json!({
        "name": "", "platform": "", "backend": "", "runtime": "",
        "max_batch_size": 8,
        "input": [{
            "name": "x", "data_type": "TYPE_FP32", "format": "FORMAT_NONE", "dims": [-1], "is_shape_tensor": false,
            "allow_ragged_batch": false, "optional": false, "is_non_linear_format_io": false,
        }],
        "output": [], "batch_input": [], "batch_output": [],
        "dynamic_batching": {
            "preferred_batch_size": [], "max_queue_delay_microseconds": u64::MAX, "preserve_ordering": false,
            "priority_levels": 0, "default_priority_level": 0, "priority_queue_policy": {},
        },
        "instance_group": [], "default_model_filename": "", "cc_model_filenames": {}, "metric_tags": {},
        "parameters": {"a": {"string_value": ""}, "b": {"string_value": "2"}},
        "model_warmup": [],
    });
    assert_eq!(to_json(&config), expected);
    // The order is the proto's, and of maps the keys'.
    assert_eq!(to_json(&config).to_string(), expected.to_string());
}

#[test]
fn json_reads_back() {
    let config = parse(FULL, "config.pbtxt").unwrap();
    assert_eq!(from_json(&to_json(&config).to_string(), "config").unwrap(), config);
    let text = "sequence_batching { direct { minimum_slot_utilization: 0.1 } }";
    let config = parse(text, "config.pbtxt").unwrap();
    assert_eq!(to_json(&config)["sequence_batching"]["direct"]["minimum_slot_utilization"].to_string(), "0.1");
    assert_eq!(from_json(&to_json(&config).to_string(), "config").unwrap(), config);
    assert!(matches!(from_json("{\n\"nme\": 1}", "config"), Err(ConfigError::Syntax { line: 2, .. })));
    assert!(from_json("{} {}", "config").is_err());
    assert!(from_json(r#"{"max_batch_size": -1}"#, "config").is_err());
}

#[test]
fn an_error_names_its_line_and_column() {
    let cases = [
        (
            "name: \"a\"\n  max_batch: 3",
            "config.pbtxt:2:3: field 'max_batch' not found for message 'inference.ModelConfig'",
        ),
        (
            "input { data_type: TYPE_FP31 }",
            "config.pbtxt:1:20: value 'TYPE_FP31' was not found for enum 'inference.DataType'",
        ),
        (
            "# naïve\nname: \"é\" max_batch_size: 4294967296",
            "config.pbtxt:2:27: expected value to be a signed 32-bit integer, but the value 4294967296 is out of range",
        ),
        ("name: 'a'\nname: 'b'", "config.pbtxt:2:7: 'name' is already set"),
        ("input [", "config.pbtxt:1:7: expected ':' or a message value, but found '['"),
        (
            "input [{ name: '[' }] output [ # [\n{ nme: 'y' } ]",
            "config.pbtxt:2:3: field 'nme' not found for message 'inference.ModelOutput'",
        ),
        ("input { name: 'x' dims [ 1 ] }", "config.pbtxt:1:24: expected ':' or a message value, but found '['"),
        ("name: 'a", "config.pbtxt:1:9: expected string terminator, but reached end of input"),
    ];
    for (text, message) in cases {
        assert_eq!(refusal(text), message);
    }
    let message = refusal(&" ".repeat((1 << 20) + 1));
    assert_eq!(message, "config.pbtxt: 1048577 bytes, a model's configuration may have 1048576");
}

#[test]
fn values_that_no_model_can_have_are_refused() {
    let cases = [
        ("max_batch_size: -1", "max_batch_size: -1, expected 0 or more"),
        ("instance_group { count: -2 }", "instance_group[0].count: -2, expected 0 or more"),
        ("version_policy { latest { num_versions: 0 } }", "version_policy.latest.num_versions: 0, expected 1 or more"),
        ("version_policy { specific { } }", "version_policy.specific.versions: no version, expected at least one"),
        (
            "version_policy { specific { versions: -1 } }",
            "version_policy.specific.versions: a negative number, expected 0 or more",
        ),
        ("input { data_type: TYPE_FP32 dims: 1 }", "input[0].name: \"\", expected a name that no other input has"),
        ("output { name: 'y' dims: 1 }", "output[0].data_type: no type, expected one such as TYPE_FP32"),
        (
            "output { name: 'y' data_type: TYPE_FP32 dims: [ 1, 0 ] }",
            "output[0].dims: 0, expected 1 or more, or -1 for any",
        ),
        ("output { name: 'y' data_type: 99 dims: 1 }", "output[0].data_type: no type, expected one such as TYPE_FP32"),
        (
            "max_batch_size: 4 dynamic_batching { preferred_batch_size: 8 }",
            "dynamic_batching.preferred_batch_size: 8, expected 1 to 4 (max_batch_size)",
        ),
        (
            "dynamic_batching { priority_levels: 2 }",
            "dynamic_batching.default_priority_level: 0, expected 1 to 2 (priority_levels), or 0 for both",
        ),
        (
            "dynamic_batching { priority_queue_policy { key: 1 } }",
            "dynamic_batching.priority_queue_policy: level 1, expected 1 to 0 (priority_levels)",
        ),
        ("model_warmup { }", "model_warmup[0].inputs: no input, expected those of the model"),
        (
            "model_warmup { inputs { key: 'x' value { data_type: TYPE_FP32 dims: -1 zero_data: true } } }",
            "model_warmup[0].inputs[\"x\"].dims: -1, expected 1 or more",
        ),
        (
            "model_warmup { inputs { key: 'x' value { data_type: TYPE_FP32 } } }",
            "model_warmup[0].inputs[\"x\"].zero_data: no data, expected zero_data, random_data or input_data_file",
        ),
        (
            "default_model_filename: '../secret'",
            "default_model_filename: \"../secret\", expected a file in the model's folder",
        ),
        (
            "output { name: 'y' data_type: TYPE_FP32 label_filename: '/etc/passwd' }",
            "output[0].label_filename: \"/etc/passwd\", expected a file in the model's folder",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(refusal(text), format!("config.pbtxt: {message}"));
    }
}

#[test]
fn what_is_not_supported_is_named() {
    let text = "backend: 'python' platform: 'tensorrt_plan' sequence_batching { }
                model_transaction_policy { decoupled: true } model_operations { }
                input { name: 'x' data_type: TYPE_FP32 reshape { shape: 1 } allow_ragged_batch: true }";
    let names = |texts: Vec<String>| -> Vec<String> {
        texts.iter().map(|text| text.split([':', ' ']).next().unwrap().to_owned()).collect()
    };
    let found = unsupported(&parse(text, "config.pbtxt").unwrap());
    let expected = [
        "backend",
        "platform",
        "sequence_batching",
        "model_transaction_policy",
        "model_operations",
        "input[0].reshape",
        "input[0].allow_ragged_batch",
    ];
    assert_eq!((names(found.refused), found.ignored), (expected.map(str::to_owned).to_vec(), vec![]));

    let text = "platform: 'onnxruntime_onnx' response_cache { enable: true } dynamic_batching { }
                instance_group { kind: KIND_GPU gpus: [ 0 ] } optimization { graph { level: 1 } cuda { } }";
    let found = unsupported(&parse(text, "config.pbtxt").unwrap());
    let expected = [
        "response_cache",
        "optimization.graph",
        "optimization.cuda",
        "instance_group[0].kind",
        "instance_group[0].gpus",
    ];
    assert_eq!((found.refused, names(found.ignored)), (vec![], expected.map(str::to_owned).to_vec()));
}
