//! `fetch-data`: downloads, verifies and unpacks a dataset of images, and converts it to records.

mod archive;
mod fetch;
mod layout;
mod settings;
mod write;

use anyhow::Context;
use cli::{Common, Outcome, Report};
use fetch::Fetcher;
use settings::Settings;
use std::{path::PathBuf, process::ExitCode};

cli::arguments! {
    groups: ["dataset", "download"],
    input: None,
    /// Fetches a dataset of images and writes it as records: train.npy, test.npy and dataset.json.
    #[argh(
        example = "{command_name} --cfg dataset=mnist",
        note = "fetch-data dataset=cifar10 -o data/cifar10 downloads 170 MB. The settings are those of config groups \
                dataset and download; choose a dataset with dataset=cifar10, cifar100, mnist, fashion_mnist, \
                cifar10_images, image_folder, or image_files for images without classes. Downloads are verified by \
                their SHA-256 and kept in a cache; an interrupted download is resumed. HTTP_PROXY, HTTPS_PROXY and \
                NO_PROXY are honored."
    )]
    struct Args {
        /// output folder; created if it does not exist
        #[argh(option, short = 'o', arg_name = "folder")]
        out: Option<PathBuf>,
        /// number of threads that decode images (default: all cores)
        #[argh(option)]
        threads: Option<usize>,
        /// print errors only
        #[argh(switch)]
        quiet: bool,
    }
}

/// The tool, from the command line to the exit status.
pub fn main() -> ExitCode {
    cli::run("fetch-data", work)
}

fn work(args: Args, common: Common) -> anyhow::Result<Outcome> {
    cli::use_threads(args.threads)?;
    let document = common.settings([])?;
    let settings = Settings::read(&document)?;
    cli::no_dash("--out", args.out.as_deref())?;
    let named = args.out.filter(|out| !out.as_os_str().is_empty());
    let out = named.context("name a folder for the output, for instance -o data/cifar10")?;
    let report = Report::new(args.quiet);
    let folder = write::OutputFolder::open(&out, &report)?;
    let fetcher = Fetcher::new(&settings.download, &report);
    let dataset = layout::open(&settings, &fetcher, folder.path(), &report)?;
    write::write(&folder, &settings.name, dataset, &report)
}
