//! The templates: files of `templates/`, which are part of the program.

use anyhow::bail;
use std::fmt;

/// A kind of project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Template {
    /// A column of a CSV file is predicted.
    Table,
    /// The class of an image is predicted.
    Images,
    /// The entropy of generated rows is predicted.
    Entropy,
}

/// The files of a template: path in the project, text.
type Files = &'static [(&'static str, &'static str)];

macro_rules! files {
    ($template:literal) => {
        &[
            ("README.md", include_str!(concat!("../../templates/", $template, "/README.md"))),
            ("configs/job.yaml", include_str!(concat!("../../templates/", $template, "/job.yaml"))),
            ("dvc.yaml", include_str!(concat!("../../templates/", $template, "/dvc.yaml"))),
            ("params.yaml", include_str!(concat!("../../templates/", $template, "/params.yaml"))),
        ]
    };
}

/// Files of every template. They have no dot here: git and DVC would heed them.
const SHARED: Files = &[
    (".dvcignore", include_str!("../../templates/shared/dvcignore")),
    (".gitignore", include_str!("../../templates/shared/gitignore")),
    ("Makefile", include_str!("../../templates/shared/Makefile")),
];

/// The part of `README.md` that all templates share, behind [`COMMANDS`].
pub const COMMANDS_TEXT: &str = include_str!("../../templates/shared/commands.md");

impl Template {
    const ALL: [Self; 3] = [Self::Table, Self::Images, Self::Entropy];

    /// The template of this name.
    ///
    /// # Errors
    /// One line with the names, or the one that is probably meant.
    pub fn named(name: Option<&str>) -> anyhow::Result<Self> {
        let names = Self::ALL.map(Self::name);
        let Some(name) = name else { bail!("init: choose a template: --template {}", names.join("|")) };
        match Self::ALL.into_iter().find(|template| template.name() == name) {
            Some(template) => Ok(template),
            None => match config::did_you_mean(name, names) {
                near if near.is_empty() => bail!("init: no template {name:?}; there is {}", names.join(", ")),
                near => bail!("init: no template {name:?}{near}"),
            },
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Images => "images",
            Self::Entropy => "entropy",
        }
    }

    /// A setting that is quick to try, `key=value`.
    pub fn experiment(self) -> &'static str {
        match self {
            Self::Table => "optimizer.learning_rate=0.003",
            Self::Images | Self::Entropy => "trainer.max_epochs=5",
        }
    }

    /// Its files.
    pub fn files(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let own: Files = match self {
            Self::Table => files!("table"),
            Self::Images => files!("images"),
            Self::Entropy => files!("entropy"),
        };
        SHARED.iter().chain(own).copied()
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::Path};

    #[test]
    fn every_file_of_the_templates_is_part_of_the_program() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
        for template in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            let name = template.file_name().expect("a name").to_str().expect("text");
            let texts: Vec<&str> = match Template::ALL.into_iter().find(|template| template.name() == name) {
                Some(template) => template.files().map(|(_, text)| text).collect(),
                None => SHARED.iter().map(|(_, text)| *text).chain([COMMANDS_TEXT]).collect(),
            };
            for file in fs::read_dir(template).expect("a folder").map(|entry| entry.expect("an entry").path()) {
                let text = fs::read_to_string(&file).expect("text");
                assert!(texts.contains(&text.as_str()), "{}", file.display());
            }
        }
    }
}
