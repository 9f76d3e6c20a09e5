// What must hold of a safetensors file, whatever its header says: it is a model or an error, nothing panics, and no
// memory is taken that the file itself does not have.

use nets::Model;
use serde_json::{Map, Value};

/// Most bytes of the zeros that a header can ask for here.
const DATA: u64 = 1 << 20;

/// A file of a header and zeros. The text is the model's metadata, in its first line, and the tensors, in the others.
pub fn safetensors(text: &str) {
    let (metadata, tensors) = text.split_once('\n').unwrap_or((text, "{}"));
    let file = match serde_json::from_str::<Map<String, Value>>(tensors) {
        Ok(mut header) => {
            let data = header.values().filter_map(end).filter(|end| *end <= DATA).max().unwrap_or(0);
            header.insert("__metadata__".into(), serde_json::json!({ "pipegrad": metadata }));
            file(&Value::from(header).to_string(), data)
        }
        Err(_) => file(tensors, 0),
    };
    for bytes in [file.as_slice(), text.as_bytes()] {
        if let Ok(model) = Model::from_safetensors(bytes) {
            let again = model.to_safetensors().expect("a model that was read is written");
            let again = Model::from_safetensors(&again).expect("and read again");
            assert_eq!(again.graph, model.graph);
        }
    }
}

fn end(tensor: &Value) -> Option<u64> {
    tensor.get("data_offsets")?.get(1)?.as_u64()
}

fn file(header: &str, data: u64) -> Vec<u8> {
    let length = (header.len() as u64).to_le_bytes();
    [length.as_slice(), header.as_bytes(), &vec![0; data as usize]].concat()
}
