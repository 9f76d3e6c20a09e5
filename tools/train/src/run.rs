//! What a run leaves: events while it goes, files when it is done.

use crate::{
    data::{Rows, Split, Table},
    settings::Settings,
    trainer::Trained,
};
use anyhow::Context;
use events::{End, Event, Status};
use records::{Batch, DType, Encoding, Field, Output, Schema, Writer, write_file};
use serde_json::json;
use std::{fs, path::Path, sync::Arc};

/// Events, to standard output as they come and to the run folder at the end.
pub struct Log {
    lines: String,
    stdout: Option<Output>,
}

impl Log {
    pub fn new() -> Self {
        Self { lines: String::new(), stdout: None }
    }

    /// Tells an event.
    pub fn add(&mut self, event: &Event) -> anyhow::Result<()> {
        let line = event.to_line();
        if self.stdout.is_none() {
            self.stdout = Some(Output::create(None)?);
        }
        if let Some(stdout) = &mut self.stdout {
            stdout.write_all(line.as_bytes())?;
        }
        self.lines.push_str(&line);
        Ok(())
    }

    /// Tells how the run ended.
    pub fn end(&mut self, status: Status, reason: &str) -> anyhow::Result<()> {
        self.add(&Event::End(End { status, reason: reason.to_owned(), time: events::now() }))
    }
}

/// Writes the run folder, each file whole or not at all, `metrics.json` last.
pub fn write_folder(
    settings: &Settings,
    table: &Table,
    split: &Split,
    trained: &Trained,
    mut log: Log,
) -> anyhow::Result<()> {
    let folder = Path::new(&settings.trainer.run_dir);
    fs::create_dir_all(folder).with_context(|| format!("{}: trainer.run_dir", folder.display()))?;
    write_file(&folder.join("model.safetensors"), &trained.model.to_safetensors()?)?;
    write_file(&folder.join("config.yaml"), settings.yaml.as_bytes())?;
    write_file(&folder.join("history.csv"), history(trained).as_bytes())?;
    if trained.test.is_some() {
        write_rows(&folder.join("test.npy"), settings, table, &split.test)?;
    }
    log.end(Status::Finished, "max_epochs reached")?;
    write_file(&folder.join("events.ndjson"), log.lines.as_bytes())?;
    write_file(&folder.join("metrics.json"), metrics(trained)?.as_bytes())?;
    Ok(())
}

/// One line an epoch, as DVC plots read it.
fn history(trained: &Trained) -> String {
    let mut csv = String::from("epoch,train_loss,val_loss\n");
    for epoch in &trained.history {
        let val_loss = epoch.val_loss.map_or(String::new(), |loss| loss.to_string());
        csv.push_str(&format!("{},{},{val_loss}\n", epoch.epoch, epoch.train_loss));
    }
    csv
}

/// What a run is judged by, as DVC metrics read it.
fn metrics(trained: &Trained) -> anyhow::Result<String> {
    let mut metrics = json!({});
    if let Some(last) = trained.history.last() {
        metrics["train"] = json!({ "loss": last.train_loss });
    }
    let best = trained.history.iter().filter_map(|epoch| epoch.val_loss).reduce(f64::min);
    if let Some(best) = best {
        metrics["val"] = json!({ "loss": best });
    }
    if let Some(test) = &trained.test {
        let get = |name| test.metrics.get(name);
        let (mse, mae, r2) = (get("test_mse"), get("test_mae"), get("test_r2"));
        metrics["test"] = json!({ "epoch": test.epoch, "mse": mse, "mae": mae, "r2": r2 });
    }
    Ok(serde_json::to_string_pretty(&metrics)? + "\n")
}

/// Rows as records, raw: what the exported model takes.
fn write_rows(path: &Path, settings: &Settings, table: &Table, rows: &Rows) -> anyhow::Result<()> {
    let inputs = Field::new(&settings.trainer.input_field, DType::F4, &table.input_shape);
    let schema = Schema::new(vec![inputs]).map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))?;
    let packed = bytemuck::cast_slice(&rows.inputs).to_vec();
    let mut batch = Batch::from_packed("test rows", &Arc::new(schema), 0, packed)?;
    batch.set_column(&settings.trainer.target_field, &table.target_shape, &rows.targets)?;
    let mut writer = Writer::new(Output::create(Some(path))?, Encoding::Npy, Some(batch.rows() as u64));
    writer.write(&batch)?;
    Ok(writer.finish()?)
}
