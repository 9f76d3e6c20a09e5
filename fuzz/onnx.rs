// What must hold of an ONNX file, whatever its bytes: it is a model or an error; its types are inferred or refused; nothing
// panics. What was read is written and reads as the same.

use onnx::Model;
use std::collections::BTreeMap;

pub fn model(bytes: &[u8]) {
    let Ok(model) = Model::from_bytes("fuzz.onnx", bytes) else { return };
    for bindings in [BTreeMap::new(), BTreeMap::from([("n".to_owned(), 1 << 20)])] {
        let _ = onnx::shape::infer(&model, &bindings);
    }
    let written = model.to_bytes();
    let again = Model::from_bytes("fuzz.onnx", &written).expect("what was written is read");
    assert_eq!(again.to_bytes(), written);
}
