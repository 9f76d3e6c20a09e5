//! Sweeps: overrides of several values, multiplied into jobs of one value each, as Hydra's
//! `--multirun` does it.

use crate::{
    compose::{self, Sources},
    error::{Error, Result, list},
    overrides::{Choice, Override, Range, Shuffler, Sweep, Value, fnmatch},
    searchpath,
};
use indexmap::IndexMap;
use std::sync::Arc;

/// Turns overrides into grids: the state of `--seed` and the limit of `--max-jobs`.
///
/// ```
/// let overrides = ["model=mlp".to_owned(), "trainer.seed=range(0,2)".to_owned()];
/// let sources = config::Sources::default();
/// let grid = config::Sweeper::new(&sources, 0, 100).grid(&overrides)?;
/// assert_eq!(grid.jobs(), 2);
/// assert_eq!(grid.job(1), ["model=mlp", "trainer.seed=1"]);
/// # Ok::<(), config::Error>(())
/// ```
#[derive(Debug)]
pub struct Sweeper<'s> {
    sources: &'s Sources,
    shuffler: Shuffler,
    most: usize,
}

/// A grid of jobs: the Cartesian product of the values of each override.
#[derive(Debug, Clone, Default)]
pub struct Grid {
    /// For each key (with its sign and package), one override for each value.
    axes: IndexMap<String, Arc<[String]>>,
}

impl<'s> Sweeper<'s> {
    /// `glob()` finds options as `sources` say, `shuffle()` draws from `seed`, and no override may
    /// stand for more than `most` values.
    pub fn new(sources: &'s Sources, seed: u64, most: usize) -> Self {
        Self { sources, shuffler: Shuffler::new(seed), most }
    }

    /// The grid of `overrides`. Of two with the same key the later counts, in the place of the earlier.
    ///
    /// # Errors
    /// Names the override that is outside the grammar, has no value, too many, or none that can be
    /// listed (`interval`).
    pub fn grid(&mut self, overrides: &[String]) -> Result<Grid> {
        let parsed = overrides.iter().map(|text| Override::parse_shuffled(text, &mut self.shuffler));
        let overrides = parsed.collect::<Result<Vec<_>>>()?;
        let mut grid = Grid::default();
        for one in &overrides {
            let values = match &one.value {
                None => vec![Value::Null],
                Some(Value::Sweep(sweep)) => self.values(one, sweep, &overrides)?,
                Some(value) => vec![value.clone()],
            };
            grid.axes.insert(one.key_element(), texts(one, &values)?);
        }
        Ok(grid)
    }

    fn values(&mut self, one: &Override, sweep: &Sweep, all: &[Override]) -> Result<Vec<Value>> {
        let fail = |message: String| Error::at(&one.origin(), message);
        let (mut values, shuffle) = match sweep {
            Sweep::Choice(Choice { values, shuffle, .. }) => (values.clone(), *shuffle),
            Sweep::Range(range @ Range { shuffle, .. }) => {
                // One too many is enough to see that there are.
                let values =
                    range.values().map_err(|error| Error::at(&one.origin(), error))?.take(self.most.saturating_add(1));
                (values.collect(), *shuffle)
            }
            Sweep::Glob { include, exclude } => (self.options(one, include, exclude, all)?, false),
            Sweep::Interval(..) => {
                let message =
                    "interval() needs an optimizer to draw values from it; list them with range() or choice()";
                return Err(fail(message.into()));
            }
        };
        if values.is_empty() {
            return Err(fail("a sweep without a value makes no job".into()));
        }
        if values.len() > self.most {
            return Err(fail(format!("has more than {} values; --max-jobs sets the limit", self.most)));
        }
        if shuffle {
            self.shuffler.shuffle(&mut values);
        }
        Ok(values)
    }

    /// The options of the group that match.
    fn options(&self, one: &Override, include: &[String], exclude: &[String], all: &[Override]) -> Result<Vec<Value>> {
        let given = all.iter().find(|one| searchpath::is_override(one));
        let search = compose::repository(self.sources, given)?.0.search;
        if !search.has_group(&one.key) {
            return Err(Error::at(
                &one.origin(),
                format!("there is no group {} whose options glob() could match", one.key),
            ));
        }
        let options = search.options(&one.key);
        let matches = |option: &str, patterns: &[String]| patterns.iter().any(|p| fnmatch::matches(option, p));
        let chosen = options.iter().filter(|option| matches(option, include) && !matches(option, exclude));
        let chosen: Vec<Value> = chosen.map(|option| Value::Str(option.clone())).collect();
        if chosen.is_empty() {
            let known = list(options.iter().map(String::as_str));
            return Err(Error::at(&one.origin(), format!("matches no option of {}; there is {known}", one.key)));
        }
        Ok(chosen)
    }
}

/// The overrides of one value that `one` stands for.
fn texts(one: &Override, values: &[Value]) -> Result<Arc<[String]>> {
    let key = one.key_element();
    let text = |value: &Value| {
        let text = value.to_text().ok_or_else(|| Error::at(&one.origin(), "a sweep cannot be part of a value"))?;
        Ok(format!("{key}={text}"))
    };
    values.iter().map(text).collect()
}

impl Grid {
    /// This grid with each job of `inner`, whose overrides count where both have a key.
    pub fn with(&self, inner: &Self) -> Self {
        let mut axes = self.axes.clone();
        axes.extend(inner.axes.iter().map(|(key, values)| (key.clone(), Arc::clone(values))));
        Self { axes }
    }

    /// The number of jobs; `usize::MAX` stands for more as well.
    pub fn jobs(&self) -> usize {
        self.axes.values().fold(1, |jobs, values| jobs.saturating_mul(values.len()))
    }

    /// The overrides of job `index`, in the order given; the last one varies fastest. An index beyond the
    /// last job wraps around.
    pub fn job(&self, mut index: usize) -> Vec<&str> {
        let mut job: Vec<&str> = Vec::with_capacity(self.axes.len());
        for values in self.axes.values().rev() {
            job.push(&values[index % values.len()]);
            index /= values.len();
        }
        job.reverse();
        job
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(overrides: &[&str]) -> Result<Grid> {
        let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
        Sweeper::new(&Sources::default(), 0, 1000).grid(&overrides)
    }

    fn jobs(overrides: &[&str]) -> Vec<String> {
        let grid = grid(overrides).expect("valid");
        (0..grid.jobs()).map(|index| grid.job(index).join(" ")).collect()
    }

    fn error(overrides: &[&str]) -> String {
        grid(overrides).expect_err("must be refused").to_string()
    }

    #[test]
    fn the_last_override_varies_fastest() {
        assert_eq!(
            jobs(&["a=1,2", "b=x", "c=range(0,2)"]),
            ["a=1 b=x c=0", "a=1 b=x c=1", "a=2 b=x c=0", "a=2 b=x c=1"]
        );
        assert_eq!(jobs(&["a=1,2", "b=3", "a=4"]), ["a=4 b=3"]);
        assert_eq!(jobs(&["~a", "+b@p=x,y"]), ["~a=null +b@p=x", "~a=null +b@p=y"]);
        assert_eq!(jobs(&[]), [""]);
    }

    #[test]
    fn globs_are_over_the_options_of_a_group() {
        assert_eq!(jobs(&["score=glob(*)"]), ["score=classification", "score=regression"]);
        assert_eq!(jobs(&["score=glob(*,exclude=reg*)"]), ["score=classification"]);
        assert_eq!(jobs(&["score@x=glob([r*,'c*'])"]), ["score@x=classification", "score@x=regression"]);
        assert!(error(&["score=glob(zzz)"]).contains("there is classification, regression"));
        assert!(error(&["scores=glob(*)"]).contains("no group scores"));
    }

    #[test]
    fn what_has_no_list_of_values_is_refused() {
        assert!(error(&["a=interval(0,1)"]).contains("needs an optimizer"));
        assert!(error(&["a=range(3,1)"]).contains("without a value"));
        assert!(error(&["a=range(0,1e12)"]).contains("more than 1000 values"));
        assert!(error(&["a=range(0,10,0)"]).contains("never ends"));
        assert!(error(&["a=[choice(1,2)]"]).contains("part of a value"));
        assert!(error(&["a=1,choice(1,2)"]).contains("one value of another"));
    }

    #[test]
    fn a_seed_gives_one_order_and_keys_have_their_own() {
        let shuffled = |seed| {
            let overrides = ["a=shuffle(range(0,20))".to_owned(), "b=shuffle(range(0,20))".to_owned()];
            let grid = Sweeper::new(&Sources::default(), seed, 100).grid(&overrides).expect("valid");
            [0, 1].map(|axis| grid.axes[axis].iter().map(|text| text[2..].to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(shuffled(0), shuffled(0));
        let [a, b] = shuffled(0);
        assert!(a != b && shuffled(1)[0] != a);
        let mut numbers: Vec<u32> = a.iter().map(|text| text.parse().expect("a number")).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn a_grid_within_a_grid_counts_where_both_have_a_key() {
        let both = grid(&["a=1,2", "b=0"]).expect("valid").with(&grid(&["b=5,6"]).expect("valid"));
        assert_eq!((both.jobs(), both.job(3)), (4, vec!["a=2", "b=6"]));
    }
}
