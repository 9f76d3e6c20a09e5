//! Requests in JSON: this parser against serde_json into a struct with `Vec<f32>`, and responses against serde_json's writer.
//!
//!     cargo bench -p open-inference --bench json
//!
//! Prints microseconds (the fastest of several rounds), MB of JSON a second, and how many times as fast this crate is.

use bytes::Bytes;
use open_inference::{DataType, InferRequest, InferResponse, Limits, Tensor, http};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use serde::{Deserialize, Serialize};
use std::{
    fmt::Write as _,
    hint::black_box,
    io::{self, Write as _},
    time::Instant,
};

const LIMITS: Limits = Limits { tensors: 16, dimensions: 8, elements: 1 << 24 };

/// Rounds of each measurement, and elements of a round.
const ROUNDS: usize = 40;
const ELEMENTS: usize = 400_000;

#[derive(Serialize, Deserialize)]
struct Body<T> {
    #[serde(alias = "outputs")]
    inputs: Vec<Input<T>>,
}

#[derive(Serialize, Deserialize)]
struct Input<T> {
    name: String,
    shape: Vec<usize>,
    datatype: String,
    data: Vec<T>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = io::stdout().lock();
    writeln!(out, "{:<42} {:>9} {:>8} {:>11} {:>7}", "", "µs", "MB/s", "serde_json", "ratio")?;
    let mut random = ChaCha8Rng::seed_from_u64(0);
    for (name, shape) in [("8", vec![1, 8]), ("3 × 32 × 32", vec![1, 3, 32, 32])] {
        let elements: usize = shape.iter().product();
        let values: Vec<f32> =
            (0..elements).map(|_| (random.next_u32() >> 8) as f32 / (1 << 24) as f32 * 4.0 - 2.0).collect();
        let texts = [
            ("FP32, shortest", "FP32", text(&values, |value| value.to_string())),
            ("FP32, as doubles", "FP32", text(&values, |value| f64::from(*value).to_string())),
            ("FP32, \", \" between", "FP32", text(&values, |value| format!(" {}", f64::from(*value)))),
            ("FP32, two decimals", "FP32", text(&values, |value| format!("{value:.2}"))),
            ("FP64, shortest", "FP64", text(&values, |value| (f64::from(*value) / 3.0).to_string())),
            ("UINT8", "UINT8", text(&values, |value| (value.to_bits() & 0xFF).to_string())),
            ("INT64, long", "INT64", text(&values, |value| (i64::from(value.to_bits()) << 31).to_string())),
        ];
        for (label, datatype, data) in texts {
            let json =
                format!(r#"{{"inputs":[{{"name":"x","shape":{shape:?},"datatype":"{datatype}","data":[{data}]}}]}}"#);
            let body = Bytes::from(json);
            let ours = microseconds(elements, || http::parse_request(&body, None, &LIMITS).map(drop))?;
            let theirs = match datatype {
                "FP32" => microseconds(elements, || serde_json::from_slice::<Body<f32>>(&body).map(drop))?,
                "FP64" => microseconds(elements, || serde_json::from_slice::<Body<f64>>(&body).map(drop))?,
                "UINT8" => microseconds(elements, || serde_json::from_slice::<Body<u8>>(&body).map(drop))?,
                _ => microseconds(elements, || serde_json::from_slice::<Body<i64>>(&body).map(drop))?,
            };
            line(&mut out, &format!("read {name}, {label}"), body.len(), ours, theirs)?;
        }
        let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let tensor = Tensor::new("y".to_owned(), DataType::Fp32, shape.clone(), data.into())?;
        let response = InferResponse {
            model_name: "m".to_owned(),
            model_version: "1".to_owned(),
            id: None,
            outputs: vec![tensor],
        };
        let request = InferRequest::default();
        let bytes = http::write_response(&response, &request)?.bytes.len();
        let ours = microseconds(elements, || http::write_response(&response, &request).map(drop))?;
        let input = Input { name: "y".to_owned(), shape, datatype: "FP32".to_owned(), data: values };
        let body = Body { inputs: vec![input] };
        let theirs = microseconds(elements, || serde_json::to_vec(&body).map(drop))?;
        line(&mut out, &format!("write {name}, FP32"), bytes, ours, theirs)?;
    }
    Ok(())
}

fn text<T>(values: &[T], element: impl Fn(&T) -> String) -> String {
    values.iter().map(element).fold(String::new(), |mut all, one| {
        let comma = if all.is_empty() { "" } else { "," };
        let _ = write!(all, "{comma}{one}");
        all
    })
}

/// The fastest round's microseconds a call.
fn microseconds<E>(elements: usize, mut call: impl FnMut() -> Result<(), E>) -> Result<f64, E> {
    let calls = (ELEMENTS / elements).min(20_000);
    let mut fastest = f64::INFINITY;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        for _ in 0..calls {
            black_box(call())?;
        }
        fastest = fastest.min(began.elapsed().as_secs_f64() * 1e6 / calls as f64);
    }
    Ok(fastest)
}

fn line(out: &mut impl io::Write, name: &str, bytes: usize, ours: f64, theirs: f64) -> io::Result<()> {
    let speed = bytes as f64 / ours;
    writeln!(out, "{name:<42} {ours:>9.3} {speed:>8.0} {theirs:>11.3} {:>6.1}×", theirs / ours)
}
