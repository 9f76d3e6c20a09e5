//! Pictures as files in `plot.out`, or one on standard output.

use crate::{
    charts, gallery_picture,
    inputs::Inputs,
    line_picture, matrix_picture, names, png, roofline_picture,
    scene::Scene,
    settings::{Format, Settings},
    svg,
};
use anyhow::{Context, ensure};
use std::{fs, path::Path};

/// Limit on a file's name in characters, each of up to four bytes.
const MAX_NAME: usize = 60;

/// Draws everything that was read into the folder of the settings, and prints the paths; or one chart to standard
/// output.
///
/// # Errors
/// When there is nothing to draw or a file cannot be written; a file is there whole or not at all.
pub fn write(inputs: &Inputs, settings: &Settings) -> anyhow::Result<()> {
    let to_stdout = settings.out == Path::new("-");
    let scenes = scenes(inputs, settings, if to_stdout { 1 } else { usize::MAX })?;
    if to_stdout {
        return write_to_stdout(&scenes, settings);
    }
    fs::create_dir_all(&settings.out).with_context(|| format!("{}: plot.out", settings.out.display()))?;
    let mut written = String::new();
    for (name, scene) in &scenes {
        let mut save = |extension: &str, bytes: &[u8]| -> anyhow::Result<()> {
            let path = settings.out.join(format!("{name}.{extension}"));
            files::write_file(&path, bytes)?;
            written.push_str(&format!("{}\n", path.display()));
            Ok(())
        };
        if settings.format != Format::Png {
            save("svg", svg::to_svg(scene)?.as_bytes())?;
        }
        if settings.format != Format::Svg {
            save("png", &png::to_png(scene)?)?;
        }
    }
    cli::print(&written)
}

fn write_to_stdout(scenes: &[(String, Scene)], settings: &Settings) -> anyhow::Result<()> {
    let one = settings.charts.as_ref().is_none_or(|charts| charts.len() == 1);
    ensure!(one, "plot.out: standard output takes one chart; plot.charts names several");
    let Some((_, scene)) = scenes.first() else { return Ok(()) };
    let bytes = match settings.format {
        Format::Svg => svg::to_svg(scene)?.into_bytes(),
        Format::Png => png::to_png(scene)?,
        Format::Both => anyhow::bail!("plot.format: standard output takes svg or png, not both"),
    };
    let mut output = files::Output::create(None)?;
    output.write_all(&bytes)?;
    Ok(output.finish()?)
}

/// Every picture, with the name of its file; of the charts, at most `max_charts`.
fn scenes(inputs: &Inputs, settings: &Settings, max_charts: usize) -> anyhow::Result<Vec<(String, Scene)>> {
    let mut scenes = Vec::new();
    if !inputs.runs.is_empty() || !inputs.finders.is_empty() {
        for chart in charts::charts(&inputs.runs, &inputs.finders, settings, max_charts)? {
            scenes.push((file_name(&chart.name), line_picture::scene(&chart, settings)));
        }
    }
    for (name, confusion) in inputs.named_confusions()? {
        let file = if inputs.confusions.len() == 1 { "confusion".into() } else { format!("confusion_{name}") };
        scenes.push((file_name(&file), matrix_picture::scene(&confusion, &name, settings)));
    }
    for (name, gallery) in inputs.named_galleries() {
        let file = if inputs.galleries.len() == 1 { "misclassified".into() } else { format!("misclassified_{name}") };
        scenes.push((file_name(&file), gallery_picture::scene(gallery, &name, settings)?));
    }
    for (name, roofline) in inputs.named_rooflines() {
        let (file, name) = match inputs.rooflines.len() {
            1 => ("roofline".into(), String::new()),
            _ => (format!("roofline_{name}"), name),
        };
        scenes.push((file_name(&file), roofline_picture::scene(roofline, &name, settings)));
    }
    let (files, scenes): (Vec<_>, Vec<_>) = scenes.into_iter().unzip();
    Ok(names::numbered(files).into_iter().zip(scenes).collect())
}

/// A name that is safe in any folder.
fn file_name(name: &str) -> String {
    let safe = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    // File systems take 255 bytes; what is cut off alike is numbered.
    let name: String = name.chars().map(safe).take(MAX_NAME).collect();
    let name = name.trim_start_matches('.');
    if name.is_empty() { "metric".into() } else { name.into() }
}
