//! One run of a model for one or several requests: their inputs joined, the outputs split.

use crate::{
    error::{Error, Result},
    model::Job,
    statistics::RunTimes,
};
use bytes::{BufMut, Bytes, BytesMut};
use open_inference::{DataType, Tensor};
use runtime::{Data, Model, Outputs, Value};
use std::{borrow::Cow, time::Instant};

/// The outputs of a job, in the order in which it asks for them.
pub type Answer = Result<Vec<Tensor>>;

/// Whether rows of the two can be in one run: all dimensions but the first agree.
pub fn fit_together(one: &Job, other: &Job) -> bool {
    one.inputs.iter().zip(&other.inputs).all(|(one, other)| one.shape().get(1..) == other.shape().get(1..))
}

/// Runs the jobs together; they fit together, and their rows are at most what the model takes.
pub fn run(model: &mut Model, names: &[(String, DataType)], jobs: &[&Job]) -> (Vec<Answer>, RunTimes) {
    let mut times = RunTimes::default();
    let all = |error: Error| jobs.iter().map(|_| Err(error.clone())).collect();
    let begin = Instant::now();
    let joined = join(jobs);
    let values: Vec<Value<'_>> = joined.iter().map(Joined::value).collect();
    let ready = Instant::now();
    times.input = ready - begin;
    let outputs = match model.run(&values) {
        Ok(outputs) => outputs,
        Err(error) => return (all(error.into()), times),
    };
    let computed = Instant::now();
    times.infer = computed - ready;
    let answers = match split(&outputs, names, jobs) {
        Ok(answers) => answers.into_iter().map(Ok).collect(),
        Err(error) => all(error),
    };
    times.output = computed.elapsed();
    (answers, times)
}

/// An input of a run.
struct Joined<'j> {
    shape: Cow<'j, [usize]>,
    data: JoinedData<'j>,
}

enum JoinedData<'j> {
    /// Of one request, where it came from the network.
    Borrowed(&'j [u8]),
    Bytes(Vec<u8>),
    Strings(Vec<String>),
}

impl Joined<'_> {
    fn value(&self) -> Value<'_> {
        let data = match &self.data {
            JoinedData::Borrowed(bytes) => Data::Bytes(bytes),
            JoinedData::Bytes(bytes) => Data::Bytes(bytes),
            JoinedData::Strings(strings) => Data::Strings(Cow::Borrowed(strings)),
        };
        Value { shape: Cow::Borrowed(&self.shape), data }
    }
}

fn join<'j>(jobs: &[&'j Job]) -> Vec<Joined<'j>> {
    let Some(first) = jobs.first() else { return Vec::new() };
    let rows: usize = jobs.iter().map(|job| job.rows).sum();
    let inputs = first.inputs.iter().enumerate();
    let joined = inputs.map(|(at, input)| {
        let parts = jobs.iter().filter_map(|job| job.inputs.get(at));
        let shape = match jobs {
            [_] => Cow::Borrowed(input.shape()),
            _ => std::iter::once(rows).chain(input.shape().iter().skip(1).copied()).collect(),
        };
        let data = match (input.data_type(), jobs) {
            (DataType::Bytes, _) => JoinedData::Strings(
                parts.flat_map(Tensor::strings).map(|it| String::from_utf8_lossy(it).into()).collect(),
            ),
            (_, [_]) => JoinedData::Borrowed(input.data()),
            _ => JoinedData::Bytes(parts.map(|part| &**part.data()).collect::<Vec<_>>().concat()),
        };
        Joined { shape, data }
    });
    joined.collect()
}

/// The outputs of each job.
fn split(outputs: &Outputs<'_>, names: &[(String, DataType)], jobs: &[&Job]) -> Result<Vec<Vec<Tensor>>> {
    let rows: usize = jobs.iter().map(|job| job.rows).sum();
    let mut answers: Vec<Vec<Option<Tensor>>> = jobs.iter().map(|job| vec![None; job.outputs.len()]).collect();
    for (at, (name, data_type)) in names.iter().enumerate() {
        let wants = |job: &&Job| job.outputs.iter().any(|(wanted, _)| *wanted == at);
        if !jobs.iter().any(wants) {
            continue;
        }
        let output = outputs.get(at)?;
        let mut first_row = 0;
        for (job, answer) in jobs.iter().zip(&mut answers) {
            let part = if jobs.len() == 1 { None } else { Some((first_row, job.rows, rows)) };
            first_row += job.rows;
            if let Some(slot) = job.outputs.iter().position(|(wanted, _)| *wanted == at) {
                answer[slot] = Some(tensor(name, *data_type, &output, part)?);
            }
        }
    }
    Ok(answers.into_iter().map(|answer| answer.into_iter().flatten().collect()).collect())
}

/// The tensor of an output, or of `(first row, rows, rows of all)` of it.
fn tensor(name: &str, data_type: DataType, output: &Value<'_>, part: Option<(usize, usize, usize)>) -> Result<Tensor> {
    let mut shape = output.shape.to_vec();
    let range = |elements: usize| match part {
        Some((first, count, all)) => first * (elements / all)..(first + count) * (elements / all),
        None => 0..elements,
    };
    if let Some((_, count, all)) = part {
        if shape.first() != Some(&all) {
            return Err(Error::Internal(format!("output '{name}' has shape {shape:?} for {all} rows")));
        }
        shape[0] = count;
    }
    let data = match &output.data {
        Data::Bytes(bytes) => Bytes::copy_from_slice(&bytes[range(bytes.len())]),
        Data::Strings(strings) => encode(&strings[range(strings.len())]),
    };
    Ok(Tensor::new(name.to_owned(), data_type, shape, data)?)
}

/// The data of a `BYTES` tensor.
fn encode(strings: &[String]) -> Bytes {
    let mut data = BytesMut::new();
    for string in strings {
        data.put_u32_le(u32::try_from(string.len()).unwrap_or(u32::MAX));
        data.extend_from_slice(string.as_bytes());
    }
    data.freeze()
}
