//! From TensorRT's log to one line that says what is wrong with a model, and where.

/// What the driver's absence adds to any error on a machine without a GPU; it is never the reason.
const NOISE: [&str; 2] = ["Cuda Runtime (", "CUDA initialization failure"];

/// Where the parser was when it failed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Node {
    op_type: String,
    name: String,
    output: String,
}

/// Why the ONNX parser failed: the node and the reason.
pub(crate) fn of_parser(errors: &[String]) -> String {
    let node = node(errors);
    let report = errors.iter().rev().find_map(|text| text.split_once(" In function ").map(|(_, rest)| rest));
    let (code, reason) = match report.and_then(|report| report.split_once('\n')) {
        Some((_, rest)) => code(rest.trim()),
        None => (None, errors.last().map_or("TensorRT gives no reason", String::as_str)),
    };
    let reason = explain(code, reason, &node);
    match node {
        Some(node) => format!("node {}: {reason}", node.describe()),
        None => reason,
    }
}

/// Why the builder failed.
pub(crate) fn of_builder(errors: &[String]) -> String {
    let mut reasons: Vec<String> = Vec::new();
    for reason in errors.iter().filter(|text| !is_noise(text)).map(|text| clean(text)) {
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    match reasons.as_slice() {
        [] => "TensorRT gives no reason".into(),
        reasons => reasons.join("; "),
    }
}

/// `While parsing node number 1 [Unique -> "y"]:` and `Node name: second`.
fn node(errors: &[String]) -> Option<Node> {
    let position = errors.iter().position(|text| text.contains("While parsing node number "))?;
    let (_, rest) = errors[position].split_once('[')?;
    let (op_type, rest) = rest.split_once(" -> \"")?;
    let output = rest.rsplit_once("\"]").map_or("", |(output, _)| output);
    let name = errors[position..].iter().find_map(|text| text.split_once("Node name: "));
    let name = name.map_or("", |(_, name)| name.lines().next().unwrap_or_default());
    Some(Node { op_type: op_type.into(), name: name.trim().into(), output: output.into() })
}

impl Node {
    /// `"second" (Unique)`, named after its output if it has no name.
    fn describe(&self) -> String {
        let name = if self.name.is_empty() { &self.output } else { &self.name };
        format!("{name:?} ({})", self.op_type)
    }
}

/// The parser's error code, and the text behind it: `[8] false`.
fn code(text: &str) -> (Option<u32>, &str) {
    let parts = text.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    match parts.and_then(|(code, rest)| Some((code.parse().ok()?, rest))) {
        Some((code, rest)) => (Some(code), rest),
        None => (None, text),
    }
}

/// Codes of `nvonnxparser::ErrorCode` (NvOnnxParser.h) whose name says more than their text.
const CODES: [(u32, &str); 6] = [
    (9, "an unsupported attribute"),
    (10, "an unsupported input"),
    (11, "an unsupported data type"),
    (12, "unsupported with dynamic shapes"),
    (13, "an unsupported shape"),
    (2, "out of memory"),
];

fn explain(code: Option<u32>, text: &str, node: &Option<Node>) -> String {
    let is_missing = text.contains("Plugin not found") || text.trim() == "false";
    if let (true, Some(node)) = (is_missing, node) {
        return format!("TensorRT has no operator {}, or not in this form", node.op_type);
    }
    let lines: Vec<&str> = text.lines().filter(|line| !is_noise(line)).collect();
    // `Invalid Node - name` repeats the node; what follows is the reason.
    let lines = match lines.as_slice() {
        [first, rest @ ..] if first.starts_with("Invalid Node - ") && !rest.is_empty() => rest.to_vec(),
        lines => lines.to_vec(),
    };
    let reason = lines.into_iter().map(clean).collect::<Vec<_>>().join("; ");
    match CODES.iter().find(|(known, _)| code == Some(*known)) {
        Some((_, meaning)) => format!("{meaning}: {reason}"),
        None => reason,
    }
}

fn is_noise(text: &str) -> bool {
    NOISE.iter().any(|noise| text.contains(noise))
}

/// The sentence in a message, without the function, file and line of TensorRT's source around it.
fn clean(text: &str) -> String {
    let text = text.trim();
    // `IBuilder::buildSerializedNetwork: Error Code 4: API Usage Error (reason In validate at /_src/….cpp:4023)`.
    let inner = text.split_once("Error Code ").and_then(|(_, rest)| rest.split_once(" ("));
    let text = inner.map_or(text, |(_, inner)| inner.strip_suffix(')').unwrap_or(inner));
    let text = match text.rsplit_once(" at /_src/") {
        Some((before, _)) => before.rsplit_once(" In ").map_or(before, |(reason, _)| reason),
        None => text,
    };
    // `[pass.cpp:337: check_turing_op_compatibility] reason`.
    let text = match text.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((source, reason)) if source.contains(".cpp:") => reason,
        _ => text,
    };
    // `Assertion failed: condition && "reason"` and `Assertion failed: condition: reason`.
    let text = match text.strip_prefix("Assertion failed: ") {
        Some(rest) => match rest.rsplit_once("&& \"") {
            Some((_, reason)) => reason.trim_end_matches('"'),
            None => rest.rsplit_once(": ").map_or(rest, |(_, reason)| reason),
        },
        None => text,
    };
    text.trim_end_matches('.').replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As TensorRT-RTX 1.7.1 logs them.
    fn parser(op: &str, name: &str, report: &str) -> Vec<String> {
        vec![
            format!("ModelImporter.cpp:140: While parsing node number 1 [{op} -> \"y\"]:"),
            format!("ModelImporter.cpp:142: --- Begin node ---\nNode name: {name}"),
            "ModelImporter.cpp:143: --- End node ---".into(),
            format!("ModelImporter.cpp:151: ERROR: {report}"),
        ]
    }

    #[test]
    fn an_unsupported_operator_is_named_with_its_node() {
        let errors = parser("Unique", "second", "onnxOpCheckers.cpp:1258 In function checkUnique:\n[8] false");
        assert_eq!(
            of_parser(&errors),
            "node \"second\" (Unique): TensorRT has no operator Unique, or not in this form"
        );
        let report = "onnxOpCheckers.cpp:998 In function checkFallbackPluginImporter:\n[6] creator && \"Plugin not found, are \
                      the plugin name, version, and namespace correct?\"";
        let errors = parser("Frob", "", report);
        assert_eq!(of_parser(&errors), "node \"y\" (Frob): TensorRT has no operator Frob, or not in this form");
    }

    #[test]
    fn shapes_that_do_not_fit_are_told_without_the_drivers_absence() {
        let report = "ModelImporter.cpp:489 In function parseNode:\n[6] Invalid Node - mm\nITensor::getDimensions: Error Code \
                      4: API Usage Error (mm: last dimension of input0 = 8 and second to last dimension of input1 = 7 but \
                      must match. In validate at /_src/optimizer/api/layers/matrixMultiplyLayer.cpp:192)\n\
                      [checkMacros.cpp::catchCudaError::250] Error Code 1: Cuda Runtime (In catchCudaError at \
                      /_src/common/dispatch/checkMacros.cpp:250 (cudaError 35: CUDA driver version is insufficient for \
                      CUDA runtime version))";
        let expected = "node \"mm\" (MatMul): mm: last dimension of input0 = 8 and second to last dimension of input1 = 7 \
                        but must match";
        assert_eq!(of_parser(&parser("MatMul", "mm", report)), expected);
    }

    #[test]
    fn a_fault_of_the_graph_has_no_node() {
        let report = "ModelImporter.cpp:151: ERROR: x:999 In function importInput:\n[7] Assertion failed: convertOnnxDims(a, \
                      b) && \"Failed to convert ONNX dimensions to TensorRT dimensions.\"";
        assert_eq!(of_parser(&[report.to_owned()]), "Failed to convert ONNX dimensions to TensorRT dimensions");
        assert_eq!(of_parser(&[]), "TensorRT gives no reason");
        let failed = "(deserializeOnnxModel): MODEL_DESERIALIZE_FAILED: Assertion failed";
        assert_eq!(of_parser(&[failed.to_owned()]), failed);
    }

    #[test]
    fn a_failed_build_is_told_once_and_without_source_files() {
        let errors = [
            "IBuilder::buildSerializedNetwork: Error Code 1: Myelin ([pass.cpp:337: check_turing_op_compatibility] Cannot \
             compile operation 'gemm1' for Turing (SM75): FP32 GEMM is not supported. In compileGraph at \
             /_src/optimizer/myelin/codeGenerator.cpp:2012)"
                .to_owned(),
            "[checkMacros.cpp::catchCudaError::250] Error Code 1: Cuda Runtime (In catchCudaError at /_src/x.cpp:250 \
             (cudaError 35: CUDA driver version is insufficient for CUDA runtime version))"
                .to_owned(),
        ];
        let expected = "Cannot compile operation 'gemm1' for Turing (SM75): FP32 GEMM is not supported";
        assert_eq!(of_builder(&errors), expected);
        assert_eq!(of_builder(&[errors[0].clone(), errors[0].clone()]), expected);
        assert_eq!(of_builder(&errors[1..]), "TensorRT gives no reason");
    }
}
