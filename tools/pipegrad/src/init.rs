//! `pipegrad init`: a small DVC project that runs at once, from a template in the program.

mod example;
mod images;
mod next;
mod render;
mod table;
mod template;
mod write;

use anyhow::{Context, bail, ensure};
use cli::{Common, Delimiter, Input, Outcome};
use files::Output;
use render::Text;
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};
use template::Template;

/// The name of the command.
pub const COMMAND: &str = "init";
/// What it does.
pub const ABOUT: &str = "writes a DVC project: a table, images or generated data";

cli::arguments! {
    settings: none,
    input: Input::Folder,
    as "folder" "folder of the project; created if it does not exist",
    /// Writes a small DVC project from data to a scored ONNX model, and prints the commands that run it.
    #[argh(
        example = "{command_name} houses --template table\n\
                   {command_name} flowers --template images\n\
                   {command_name} entropy --template entropy",
        note = "table predicts a column of a CSV file, images the class of an image, entropy the entropy of generated rows. \
                Without --data, table and images come with a small example. With it, params.yaml has the columns of the \
                table, or the folder of the images. Files that are there already are not replaced: the folder then stays as \
                it is."
    )]
    struct Args {
        /// what the project is about: table, images or entropy
        #[argh(option, arg_name = "table|images|entropy")]
        template: Option<String>,
        /// your data (default: an example): of table a CSV file, which is copied to data/; of images a folder with a folder of
        /// images for each class, which stays where it is
        #[argh(option, arg_name = "file")]
        data: Option<PathBuf>,
        /// of table: the column to predict
        #[argh(option, arg_name = "column")]
        target: Option<String>,
        /// of table: what separates the cells: one character, or tab (default: a comma; a tab for .tsv files)
        #[argh(option, arg_name = "character")]
        delimiter: Option<Delimiter>,
    }
}

/// Runs the command with the arguments behind its name.
pub fn run(args: impl Iterator<Item = OsString>) -> anyhow::Result<Outcome> {
    cli::run_command("pipegrad init", args, work)
}

fn work(args: Args, common: Common) -> anyhow::Result<Outcome> {
    let folder =
        common.input.context("init: name the folder to write, for instance: pipegrad init houses --template table")?;
    ensure!(!folder.as_os_str().is_empty(), "init: the name of the folder is empty; . is this folder");
    let template = Template::named(args.template.as_deref())?;
    args.refuse_what_has_no_effect(template)?;
    let target = write::Target::new(&folder)?;
    let project = args.project(template, &target)?;
    // Where nobody receives the commands, nothing is written.
    let mut output = Output::create(None)?;
    target.write(&project.files)?;
    project.notes.iter().for_each(|note| cli::note(note));
    output.write_all(next::commands(&folder, target.path(), project.experiment).as_bytes())?;
    Ok(Outcome::Done)
}

/// What is written.
struct Project {
    /// Paths within the folder.
    files: Vec<(PathBuf, Content)>,
    /// What the user should know besides.
    notes: Vec<String>,
    /// A setting to try in an experiment, `key=value`.
    experiment: &'static str,
}

/// A file's content.
enum Content {
    Bytes(Vec<u8>),
    /// That of another file.
    CopyOf(PathBuf),
}

impl Args {
    fn refuse_what_has_no_effect(&self, template: Template) -> anyhow::Result<()> {
        let flags = [
            ("--data", self.data.is_some(), template != Template::Entropy),
            ("--target", self.target.is_some(), template == Template::Table),
            ("--delimiter", self.delimiter.is_some(), template == Template::Table),
        ];
        for (flag, is_given, has_effect) in flags {
            ensure!(!is_given || has_effect, "init: {flag} has no effect with --template {template}; leave it out");
        }
        if self.data.is_none() {
            let flag = [("--target", self.target.is_some()), ("--delimiter", self.delimiter.is_some())];
            if let Some((flag, _)) = flag.into_iter().find(|(_, is_given)| *is_given) {
                bail!("init: {flag} is of a table of your own; name it: --data FILE");
            }
        }
        Ok(())
    }

    fn project(&self, template: Template, target: &write::Target) -> anyhow::Result<Project> {
        let (text, data, notes) = match template {
            Template::Table => table::project(self, target)?,
            Template::Images => images::project(self.data.as_deref(), target)?,
            Template::Entropy => (Text::new().set("outputs", "/predictions.npy\n/rows.npy"), Vec::new(), Vec::new()),
        };
        let experiment = template.experiment();
        let text = text.set("name", target.name()).set("example", experiment);
        let files =
            template.files().map(|(path, file)| (PathBuf::from(path), Content::Bytes(text.render(file).into_bytes())));
        Ok(Project { files: files.chain(data).collect(), notes, experiment })
    }
}

/// A path as the files of a project write it, with `/`.
fn with_slashes(path: &Path) -> String {
    path.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}
