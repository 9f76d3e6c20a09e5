// What must hold of an ONNX file, whatever its bytes: it is a model or an error; its types are inferred or refused, its cost is
// counted; passes rewrite it or refuse it; nothing panics. What was read or rewritten is written and reads as the same.

use onnx::{
    Model, cost, fp16, fuse,
    quantize::{self, Ranges, Target},
    shape, simplify,
};
use std::collections::BTreeMap;

pub fn model(bytes: &[u8]) {
    let Ok(model) = Model::from_bytes("fuzz.onnx", bytes) else { return };
    for bindings in [BTreeMap::new(), BTreeMap::from([("n".to_owned(), 1 << 20)])] {
        let Ok(types) = shape::infer(&model, &bindings) else { continue };
        if let Ok(costs) = cost::cost(&model, &types) {
            cost::layer_costs(&model, &types, &costs, &fuse(&model.graph));
        }
    }
    reads_as_the_same(&model);
    rewritten(&model, |model| simplify::fold_batch_norms(&mut model.graph).is_ok());
    rewritten(&model, |model| {
        let options = simplify::Options { fold_bytes: 0 };
        simplify::simplify(model, &options, &mut |_| Err("no evaluator".into())).is_ok()
    });
    rewritten(&model, |model| {
        fp16::convert(model, &fp16::Options { keep_ops: &[], keep_nodes: &[], keep_io: true }).is_ok()
    });
    for target in [Target::OnnxRuntime, Target::TensorRt] {
        rewritten(&model, |model| {
            let options = quantize::Options::new(target);
            let Ok(values) = quantize::observed(model, &options) else { return false };
            let ranges: Ranges = values.into_iter().map(|value| (value, (-1.0, 2.0))).collect();
            quantize::quantize(model, &ranges, &options).is_ok()
        });
    }
}

/// Applies a pass, which says whether it succeeded.
fn rewritten(model: &Model, pass: impl FnOnce(&mut Model) -> bool) {
    let mut model = model.clone();
    if pass(&mut model) {
        reads_as_the_same(&model);
    }
}

fn reads_as_the_same(model: &Model) {
    let written = model.to_bytes();
    let again = Model::from_bytes("fuzz.onnx", &written).expect("what was written is read");
    assert_eq!(again.to_bytes(), written);
}
