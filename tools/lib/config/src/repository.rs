//! Config files, read and parsed once each.

use crate::{
    defaults::{Entry, parse_list},
    error::{Error, Origin, Result},
    header,
    node::{Node, Value},
    search::SearchPath,
    yaml,
};
use std::{cell::RefCell, collections::HashMap, path::PathBuf, rc::Rc, sync::Arc};

/// A config file, taken apart.
#[derive(Debug)]
pub(crate) struct Config {
    /// The package its header declares.
    pub header: Option<String>,
    /// Its defaults list.
    pub defaults: Vec<Entry>,
    /// The rest.
    pub body: Node,
    /// The file, if it shadows a built-in one of other content.
    pub shadows: Option<Arc<str>>,
}

/// The search path with a cache in front.
#[derive(Debug)]
pub(crate) struct Repository {
    pub search: SearchPath,
    cache: RefCell<HashMap<String, Option<Rc<Config>>>>,
}

impl Repository {
    pub fn new(search: SearchPath) -> Self {
        Self { search, cache: RefCell::default() }
    }

    /// Adds a folder to the search path, if it is one; what was looked for in vain may be there.
    pub fn extend(&mut self, folder: PathBuf, provider: &'static str) -> bool {
        self.cache.get_mut().retain(|_, config| config.is_some());
        self.search.push(folder, provider)
    }

    /// The config at `path`, or None where there is none.
    pub fn load(&self, path: &str) -> Result<Option<Rc<Config>>> {
        if let Some(known) = self.cache.borrow().get(path) {
            return Ok(known.clone());
        }
        let config = self.read(path)?.map(Rc::new);
        self.cache.borrow_mut().insert(path.to_owned(), config.clone());
        Ok(config)
    }

    /// The package that the header of `path` declares, without parsing the file.
    pub fn header(&self, path: &str) -> Result<Option<String>> {
        let Some(source) = self.search.read(path)? else { return Ok(None) };
        header::package(&source.text).map_err(|error| Error::at(&Origin::start(&source.name), error))
    }

    fn read(&self, path: &str) -> Result<Option<Config>> {
        let Some(source) = self.search.read(path)? else { return Ok(None) };
        let start = Origin::start(&source.name);
        let header = header::package(&source.text).map_err(|error| Error::at(&start, error))?;
        let mut body = yaml::parse(&source.name, &source.text)?;
        if body.value == Value::Null {
            body = Node::map(&start);
        }
        let Value::Map(map) = &mut body.value else {
            return Err(Error::at(&body.origin, format!("a config is a mapping, not {}", body.describe())));
        };
        let defaults = match map.shift_remove("defaults") {
            Some(list) => parse_list(&list)?,
            None => Vec::new(),
        };
        let builtin = SearchPath::read_builtin(path);
        let shadows = builtin.filter(|builtin| builtin.text != source.text).map(|_| Arc::clone(&source.name));
        Ok(Some(Config { header, defaults, body, shadows }))
    }
}
