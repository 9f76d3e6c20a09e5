//! A stream of rows: read, run, written.

use super::{
    body::{Chunks, RequestReader, ResponseWriter},
    input, run,
};
use crate::{
    error::{Error, Result},
    http::Encoding as Compression,
    log::{self, Level},
    model::Model,
};
use axum::body::Body;
use files::{Input, Output};
use prediction::{Encoder, Outputs, Rows};
use records::{Batch, DType, Encoding, ReadOptions, Reader, Writer};
use serde_json::json;
use std::{
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
    time::Duration,
};
use tokio::{runtime::Handle, sync::oneshot};

/// Batches between the thread that reads and the one that runs the model.
const BATCHES: usize = 2;
/// How long the first rows wait for more or for the end.
const SECOND_BATCH: Duration = Duration::from_millis(50);
/// What errors call the input.
const NAME: &str = "request";

/// How a stream is read and written.
pub struct Options {
    pub outputs: Outputs,
    /// Encoding of the response; None for that of the request.
    pub to: Option<Encoding>,
    /// Type of numbers in text.
    pub float: DType,
    /// Delimiter of CSV.
    pub delimiter: Option<u8>,
    pub expect_rows: Option<u64>,
    /// How the request is compressed.
    pub compression: Option<Compression>,
    /// Most bytes of a row, and of an array in Fortran order.
    pub max_row_bytes: usize,
    pub blocks: run::Blocks,
}

/// A stream whose first rows have been answered.
pub struct Started {
    pub encoding: Encoding,
    pub chunks: Chunks,
}

/// Streams that run.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// One stream of those that may run at a time.
pub struct Permit(());

impl Permit {
    /// # Errors
    /// When `most` streams run.
    pub fn acquire(most: usize) -> Result<Self> {
        let more = |running| (running < most).then_some(running + 1);
        let refused =
            |_| Error::Unavailable(format!("{most} streams of records run already (the setting serve.max_streams)"));
        RUNNING.fetch_update(Relaxed, Relaxed, more).map(|_| Self(())).map_err(refused)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Relaxed);
    }
}

/// Begins to answer; returns with the first rows.
///
/// # Errors
/// When the model takes no rows, or anything is wrong up to the end of the first rows.
pub async fn start(model: Arc<Model>, options: Options, body: Body, permit: Permit) -> Result<Started> {
    let encoder = input::encoder(&model)?;
    let request = RequestReader::new(body);
    let (writer, chunks) = ResponseWriter::new();
    let (begun, begins) = oneshot::channel();
    let handle = Handle::current();
    tokio::task::spawn_blocking(move || {
        let mut answer =
            Answer { begun: Some(begun), has_failed: false, abort: writer.aborter(), model: model.name.clone() };
        let result = transfer(&handle, &model, encoder, &options, request, writer, &mut answer);
        if let Err(error) = result {
            answer.fail(error);
        }
        drop(permit);
    });
    let lost = |_| Error::Internal("the stream ended without an answer".into());
    let encoding = begins.await.map_err(lost)??;
    Ok(Started { encoding, chunks })
}

/// Where the outcome of a stream goes: its status before the first rows, the end of its body after them.
struct Answer {
    /// None once the client has its status.
    begun: Option<oneshot::Sender<Result<Encoding>>>,
    has_failed: bool,
    abort: tokio::sync::mpsc::Sender<io::Result<bytes::Bytes>>,
    model: String,
}

impl Answer {
    fn begin(&mut self, encoding: Encoding) {
        if let Some(begun) = self.begun.take() {
            // Who has gone needs no answer.
            let _ = begun.send(Ok(encoding));
        }
    }

    /// Only the first error counts: others follow from it.
    fn fail(&mut self, error: Error) {
        if std::mem::replace(&mut self.has_failed, true) {
            return;
        }
        match self.begun.take() {
            Some(begun) => drop(begun.send(Err(error))),
            // The client has gone.
            None if self.abort.is_closed() => {}
            None => {
                // The body ends without its last chunk: the client sees that rows are missing.
                log::write(Level::Warn, "records_failed", json!({ "model": self.model, "error": error.to_string() }));
                let _ = self.abort.blocking_send(Err(io::Error::other(error.to_string())));
            }
        }
    }
}

/// A batch and its rows, encoded.
type Encoded = (Batch, Rows);

/// Answers every row.
fn transfer(
    handle: &Handle,
    model: &Model,
    encoder: Encoder,
    options: &Options,
    request: RequestReader,
    writer: ResponseWriter,
    answer: &mut Answer,
) -> Result<()> {
    let (sender, encoded) = mpsc::sync_channel::<Encoded>(BATCHES);
    let (give_back, used) = mpsc::channel::<Batch>();
    let (opened, opens) = mpsc::sync_channel(1);
    std::thread::scope(|scope| {
        let read = || read(request, &encoder, options, opened, sender, used);
        let reading = std::thread::Builder::new().name("records".into()).spawn_scoped(scope, read);
        let reading = reading.map_err(|e| Error::Unavailable(format!("no thread can be had: {e}")))?;
        let written = match opens.recv() {
            Ok(from) => write(handle, model, options, from, writer, (encoded, give_back), answer).map(Some),
            // The reader failed, and says why.
            Err(_) => Ok(None),
        };
        let writer = written.unwrap_or_else(|error| {
            // At once: the reader may wait for its client.
            answer.fail(error);
            None
        });
        let read = reading.join().unwrap_or_else(|_| Err(Error::Internal("the stream ended early".into())));
        read?;
        // Only now: an end that is whole says that every row was read.
        let Some((writer, to)) = writer else { return Ok(()) };
        answer.begin(to);
        writer.finish().map_err(invalid)
    })
}

/// Reads and encodes until the end, or until nobody takes the rows.
fn read(
    request: RequestReader,
    encoder: &Encoder,
    options: &Options,
    opened: mpsc::SyncSender<Encoding>,
    encoded: mpsc::SyncSender<Encoded>,
    used: mpsc::Receiver<Batch>,
) -> Result<()> {
    let mut reader = open(request, encoder, options)?;
    let _ = opened.send(reader.encoding());
    loop {
        let mut batch = used.try_recv().unwrap_or_default();
        if !reader.read(&mut batch).map_err(invalid)? {
            return Ok(());
        }
        let rows = encoder.encode(&batch).map_err(invalid)?;
        if encoded.send((batch, rows)).is_err() {
            return Ok(());
        }
    }
}

fn invalid(error: impl std::fmt::Display) -> Error {
    Error::Invalid(error.to_string())
}

fn open(request: RequestReader, encoder: &Encoder, options: &Options) -> Result<Reader> {
    let request: Box<dyn Read + Send> = match options.compression {
        None => Box::new(request),
        // It reads already here.
        Some(compression) => compression.reader(request),
    };
    let options = ReadOptions {
        adds: options.outputs.fields(),
        to: options.to,
        float: options.float,
        delimiter: options.delimiter,
        delimiter_option: |delimiter| format!("?delimiter=%{delimiter:02X}"),
        expect_rows: options.expect_rows,
        fortran_bytes: options.max_row_bytes as u64,
        max_row_bytes: Some(options.max_row_bytes),
        ..encoder.read_options()
    };
    Reader::open(Input::new(NAME, request), &options).map_err(invalid)
}

/// Runs and writes every batch that comes; returns the writer, to be finished, and its encoding. The answer begins with the
/// second batch, or where that is long in coming: a request of one batch is known to be whole before.
fn write(
    handle: &Handle,
    model: &Model,
    options: &Options,
    from: Encoding,
    writer: ResponseWriter,
    (encoded, give_back): (mpsc::Receiver<Encoded>, mpsc::Sender<Batch>),
    answer: &mut Answer,
) -> Result<(Writer, Encoding)> {
    let to = match (options.to.unwrap_or(from), options.delimiter) {
        (Encoding::Csv { .. }, Some(delimiter)) => Encoding::Csv { delimiter },
        (to, _) => to,
    };
    let mut writer = Writer::new(Output::new("response", writer), to, None);
    let mut next = encoded.recv().ok();
    while let Some((mut batch, rows)) = next {
        let count = batch.rows();
        let (row_shape, predictions) = handle.block_on(run::predict(model, rows, count, options.blocks))?;
        options.outputs.add(&mut batch, &row_shape, &predictions).map_err(invalid)?;
        writer.write(&batch).map_err(invalid)?;
        // The reader may have ended.
        let _ = give_back.send(batch);
        if answer.begun.is_some() {
            match encoded.recv_timeout(SECOND_BATCH) {
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Ok(batch) => {
                    answer.begin(to);
                    next = Some(batch);
                    continue;
                }
            }
            answer.begin(to);
        }
        next = encoded.recv().ok();
    }
    Ok((writer, to))
}
