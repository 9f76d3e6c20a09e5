//! "Did you mean": the setting that a wrong key was probably meant as, by the names that Lightning, Keras,
//! scikit-learn and others have for it, or by edit distance.

use crate::error::list;

/// The words of Lightning, Keras, scikit-learn, PyTorch and Hugging Face for settings that are called otherwise here,
/// without `_` and in lower case. Of several settings those count that the tool has.
const SYNONYMS: &[(&[&str], &[&str])] = &[
    (&["lr", "eta", "eta0", "alpha0", "learningrateinit", "baselr", "maxlr", "stepsize"], &["optimizer.learning_rate"]),
    (
        &["epochs", "epoch", "numepochs", "nepochs", "maxepoch", "maxiter", "numtrainepochs", "nepoch"],
        &["trainer.max_epochs"],
    ),
    (&["steps", "numsteps", "nsteps", "maxstep", "iterations", "iters"], &["trainer.max_steps"]),
    (
        &["batch", "bs", "batchsize", "trainbatchsize", "perdevicetrainbatchsize", "minibatch", "minibatchsize"],
        &["trainer.batch_size", "infer.batch_size"],
    ),
    (&["wd", "decay", "weightdecay", "l2", "l2reg"], &["optimizer.weight_decay"]),
    (&["epsilon", "adamepsilon"], &["optimizer.eps"]),
    (&["solver", "optim", "opt"], &["optimizer"]),
    (&["lrscheduler", "schedule", "sched", "lrschedule"], &["scheduler"]),
    (&["net", "network", "arch", "architecture"], &["model"]),
    (&["warmupsteps", "warmupepochs"], &["scheduler.warmup"]),
    (&["etamin", "minlr", "lrmin"], &["scheduler.min_learning_rate"]),
    (&["tmax", "t0"], &["scheduler.period"]),
    (&["tmult"], &["scheduler.period_factor"]),
    (&["pctstart"], &["scheduler.rise"]),
    (&["annealstrategy"], &["scheduler.anneal"]),
    (&["randomstate", "randomseed", "rngseed", "manualseed"], &["trainer.seed", "data.seed"]),
    (&["criterion", "lossfn", "lossfunction", "objective"], &["trainer.loss"]),
    (&["hiddenlayersizes", "hiddensize", "hiddensizes", "hiddendim", "hiddenlayers", "layersizes"], &["model.hidden"]),
    (&["nonlinearity", "act", "actfn"], &["model.activation"]),
    (&["x", "inputs", "xcol", "featurecolumns"], &["trainer.input_field"]),
    (
        &["y", "target", "label", "labels", "targets", "ycol", "labelcolumn"],
        &["trainer.target_field", "score.target_field"],
    ),
    (&["valdata", "valfile", "validationdata", "evalset", "validation"], &["trainer.val_input"]),
    (&["testdata", "testfile"], &["trainer.test_input"]),
    (&["valsplit", "validationsplit", "validationfraction", "testsize", "valsize", "trainsize"], &["trainer.split"]),
    (&["gradientclipval", "gradclip", "clipgrad", "maxgradnorm", "clipgradnorm", "clipnorm"], &["trainer.clip_norm"]),
    (
        &["accumulategradbatches", "gradientaccumulationsteps", "gradaccum", "accumsteps"],
        &["trainer.accumulate_batches"],
    ),
    (&["checkvaleverynepoch", "evalevery"], &["trainer.val_every_epochs"]),
    (&["valcheckinterval"], &["trainer.val_every_steps"]),
    (&["logeverynsteps", "loggingsteps"], &["trainer.log_every_steps"]),
    (&["ema", "emarate"], &["trainer.ema_decay"]),
    (&["classweight", "posweight"], &["trainer.class_weights"]),
    (&["sampleweight"], &["trainer.weight_field"]),
    (&["numclasses", "nclasses"], &["trainer.classes", "data.classes"]),
    (&["patience", "earlystopping", "niternochange", "earlystoppingpatience"], &["callbacks.early_stopping.patience"]),
    (&["tol", "mindelta"], &["callbacks.early_stopping.min_delta", "export.tolerance", "score.tolerance"]),
    (&["savetopk"], &["callbacks.checkpoint.save_top_k"]),
    (&["ckptpath", "resumefromcheckpoint", "checkpoint", "resumefrom"], &["trainer.resume"]),
    (
        &["outputdir", "defaultrootdir", "logdir", "savedir", "rundir", "outdir", "workdir"],
        &["trainer.run_dir", "plot.out"],
    ),
    (&["workers", "numworkers", "njobs", "nthreads", "numthreads", "threads"], &["infer.threads"]),
    (&["n", "nsamples", "numrows", "nrows", "size", "count"], &["data.rows"]),
    (&["std", "sigma", "scale"], &["data.noise", "data.scale"]),
    (&["opsetversion"], &["export.opset"]),
    (&["atol", "rtol"], &["export.tolerance", "score.tolerance"]),
    (&["trackinguri", "mlflowtrackinguri", "url", "server", "address"], &["tracking.uri"]),
    (&["experimentname", "project"], &["tracking.experiment"]),
    (&["name", "runname"], &["tracking.run_name"]),
];

/// Other programs' names of settings that no tool has, and what to use instead.
const ELSEWHERE: &[(&[&str], &str)] = &[
    (&["workers", "numworkers", "njobs", "numthreads", "nthreads", "threads"], "train --threads N sets the threads"),
    (&["strategy"], "several processes train as one under mpirun, srun or torchrun"),
    (&["shuffle"], "training rows are shuffled each epoch, by trainer.seed"),
    (&["verbose", "enableprogressbar", "progressbar"], "train --quiet says nothing"),
    (&["minepochs", "minsteps"], "training has no least length; callbacks.early_stopping.patience puts its end off"),
    (&["precision", "dtype", "amp", "fp16", "bf16"], "training computes in f4"),
];

/// Most keys that a hint names.
const MOST: usize = 3;

/// `word` in lower case and without `_` and `-`, as in the tables.
fn plain(word: &str) -> String {
    word.chars().filter(|c| !"_-".contains(*c)).flat_map(char::to_lowercase).collect()
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

fn parent(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(parent, _)| parent)
}

/// The settings that another program calls `word`; `_target_` and the like are Hydra's.
fn synonyms(word: &str) -> impl Iterator<Item = &'static str> {
    let word = if word.starts_with('_') { String::new() } else { plain(word) };
    let rows = SYNONYMS.iter().filter(move |(words, _)| words.contains(&word.as_str()));
    rows.flat_map(|(_, keys)| keys.iter().copied())
}

/// Whether another program calls the setting `path` as `wrong`, which has the same group or none.
pub(crate) fn is_synonym(wrong: &str, path: &str) -> bool {
    let above = parent(wrong);
    (above.is_empty() || above == parent(path)) && synonyms(last(wrong)).any(|key| key == path)
}

/// As [`synonyms`], of which there may be none.
pub(crate) fn synonyms_of(word: &str) -> Vec<&'static str> {
    synonyms(word).collect()
}

/// What to use instead of the setting `word`, which no tool has.
pub(crate) fn note(word: &str) -> Option<&'static str> {
    let word = plain(last(word));
    ELSEWHERE.iter().find(|(words, _)| words.contains(&word.as_str())).map(|(_, note)| *note)
}

/// The `known` keys, whole paths, that `wrong` was probably meant as; the likeliest first, and only the equally likely.
pub(crate) fn meant<'k>(wrong: &str, known: &[&'k str]) -> Vec<&'k str> {
    let (above, word) = (parent(wrong), last(wrong));
    let beside: Vec<&str> = known.iter().copied().filter(|key| parent(key) == above).collect();
    let is_within = !above.is_empty() && !beside.is_empty();
    let same = |key: &str| plain(last(key)) == plain(word);
    let near = |keys: &[&'k str]| {
        let name = nearest(word, keys.iter().map(|key| last(key)));
        keys.iter().copied().filter(|key| Some(last(key)) == name).collect::<Vec<_>>()
    };
    let called = |keys: &[&'k str]| {
        let found = synonyms(word).filter_map(|key| keys.iter().copied().find(|known| *known == key));
        found.collect::<Vec<_>>()
    };
    let stages: [&dyn Fn() -> Vec<&'k str>; 7] = [
        &|| if is_within { beside.iter().copied().filter(|key| same(key)).collect() } else { Vec::new() },
        &|| if is_within { called(&beside) } else { Vec::new() },
        &|| if is_within { near(&beside) } else { Vec::new() },
        &|| known.iter().copied().filter(|key| same(key)).collect(),
        &|| called(known),
        &|| near_path(wrong, known).into_iter().collect(),
        &|| near(known),
    ];
    let found = stages.iter().map(|stage| stage()).find(|found| !found.is_empty());
    // What is there already is not what is meant.
    let mut found: Vec<&str> = found.unwrap_or_default().into_iter().filter(|key| *key != wrong).collect();
    found.truncate(MOST);
    found
}

/// The `known` keys that end in `word`, or that other programs call so.
pub(crate) fn called<'k>(word: &str, known: &[&'k str]) -> Vec<&'k str> {
    // `_target_` and the like are Hydra's.
    if word.starts_with('_') {
        return Vec::new();
    }
    let mut found: Vec<&str> = known.iter().copied().filter(|key| plain(last(key)) == plain(word)).collect();
    if found.is_empty() {
        found = synonyms(word).filter_map(|key| known.iter().copied().find(|known| *known == key)).collect();
    }
    found.truncate(MOST);
    found
}

/// Words for a share of the rows that is held out, or trained on.
const SHARES: [(&[&str], Share); 3] = [
    (&["valsplit", "validationsplit", "validationfraction", "valsize", "valfraction"], Share::Val),
    (&["testsize", "testsplit", "testfraction"], Share::Test),
    (&["trainsize", "trainsplit", "trainfraction"], Share::Train),
];
/// The setting that holds the shares of training, validation and test.
const SPLIT: &str = "trainer.split";
/// Words for where training computes.
const DEVICES: [&str; 5] = ["devices", "accelerator", "gpus", "gpu", "cuda"];
/// The setting that chooses it.
const DEVICE: &str = "trainer.device";
/// Decimal digits of a share in a hint.
const SHARE_DIGITS: i32 = 6;

#[derive(Clone, Copy)]
enum Share {
    Train,
    Val,
    Test,
}

/// A hint at a setting that takes another value than the one given to `wrong`. None if it is not among the `known` ones.
pub(crate) fn hint_by_value(wrong: &str, value: &str, known: &[&str]) -> Option<String> {
    let word = plain(last(wrong));
    if word == "valcheckinterval" && known.contains(&"trainer.val_every_steps") {
        return Some(match value.parse::<u64>() {
            Ok(steps) if steps >= 1 => ask([format!("trainer.val_every_steps={steps}")]),
            _ => "; trainer.val_every_steps is a whole number of steps, trainer.val_every_epochs of epochs".to_owned(),
        });
    }
    if DEVICES.contains(&word.as_str()) && known.contains(&DEVICE) {
        let device = if ["auto", "cpu"].contains(&value) { value } else { "cuda:0" };
        return Some(ask([format!("{DEVICE}={device}")]));
    }
    let (_, share) = SHARES.iter().find(|(words, _)| words.contains(&word.as_str()))?;
    known.contains(&SPLIT).then(|| {
        let shares = value.parse().ok().filter(|one| *one > 0.0 && *one < 1.0).map(|one| split(*share, one));
        let [train, val, test] = shares.unwrap_or([0.8, 0.1, 0.1]);
        format!("{} (the shares of training, validation and test)", ask([format!("{SPLIT}=[{train},{val},{test}]")]))
    })
}

/// The shares of training, validation and test, of which one is given.
fn split(share: Share, one: f64) -> [f64; 3] {
    let scale = 10f64.powi(SHARE_DIGITS);
    let one = (one * scale).round() / scale;
    let rest = ((1.0 - one) * scale).round() / scale;
    match share {
        Share::Train => [one, rest, 0.0],
        Share::Val => [rest, one, 0.0],
        Share::Test => [rest, 0.0, one],
    }
}

/// `; did you mean A or B?`, or nothing; each key is followed by `value`.
pub(crate) fn hint(wrong: &str, known: &[&str], value: &str) -> String {
    ask(meant(wrong, known).into_iter().map(|key| format!("{key}{value}")))
}

/// `; did you mean A or B?`, or nothing where there are none.
pub(crate) fn ask(found: impl IntoIterator<Item = String>) -> String {
    let found: Vec<String> = found.into_iter().map(|word| shell_word(&word)).collect();
    match found.split_last() {
        None => String::new(),
        Some((only, [])) => format!("; did you mean {only}?"),
        Some((last, first)) => format!("; did you mean {} or {last}?", list(first.iter().map(String::as_str))),
    }
}

/// `word` quoted for a shell.
pub(crate) fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_@%+=:,./-".contains(c);
    if word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// `; did you mean X?`, or nothing where no name is near.
pub fn did_you_mean<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(wrong, known).map_or_else(String::new, |near| format!("; did you mean {near}?"))
}

/// The known name that `wrong` is most likely a misspelling of.
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.into_iter().filter_map(|name| Some((distance(wrong, name)?, name)));
    near.min().map(|(_, name)| name)
}

/// The known path that `wrong` may be a misspelling of, in its group, its last word or both.
fn near_path<'a>(wrong: &str, known: &[&'a str]) -> Option<&'a str> {
    let both = |key: &str| Some(distance(parent(wrong), parent(key))? + distance(last(wrong), last(key))?);
    let near = known.iter().filter_map(|key| Some((both(key)?, *key)));
    near.min().map(|(_, key)| key)
}

/// Pairs of words with different meanings: a name with one is no misspelling of a name with the other.
const OPPOSITES: [[&str; 2]; 3] = [["min", "max"], ["train", "val"], ["first", "last"]];

/// Whether `wrong` and `name` differ in one of [`OPPOSITES`].
fn are_opposite(wrong: &str, name: &str) -> bool {
    let has = |text: &str, part: &str| text.split(['_', '-', '.']).any(|one| one.eq_ignore_ascii_case(part));
    let differ = |one, other| has(wrong, one) && has(name, other) && !has(wrong, other) && !has(name, one);
    OPPOSITES.iter().any(|[one, other]| differ(one, other) || differ(other, one))
}

/// The edit distance, if `wrong` can be a misspelling of `name`.
fn distance(wrong: &str, name: &str) -> Option<usize> {
    if are_opposite(wrong, name) {
        return None;
    }
    // A third of the letters may be wrong: "learning_rte" is misspelled, "lr" is another word.
    let limit = (wrong.chars().count() / 3).max(1);
    let distance = strsim::damerau_levenshtein(&wrong.to_lowercase(), &name.to_lowercase());
    (wrong == name || (distance <= limit && distance < name.chars().count())).then_some(distance)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRAIN: [&str; 12] = [
        "model",
        "model.hidden",
        "optimizer",
        "optimizer.learning_rate",
        "optimizer.weight_decay",
        "scheduler.interval",
        "callbacks.checkpoint.monitor",
        "callbacks.early_stopping.monitor",
        "trainer.max_epochs",
        "trainer.batch_size",
        "trainer.input_field",
        "trainer.seed",
    ];

    #[test]
    fn words_of_other_programs_name_the_whole_key() {
        let cases = [
            ("lr", "optimizer.learning_rate"),
            ("optimizer.lr", "optimizer.learning_rate"),
            ("trainer.lr", "optimizer.learning_rate"),
            ("learning-rate", "optimizer.learning_rate"),
            ("LearningRate", "optimizer.learning_rate"),
            ("learning_rte", "optimizer.learning_rate"),
            ("epochs", "trainer.max_epochs"),
            ("n_epochs", "trainer.max_epochs"),
            ("trainer.epochs", "trainer.max_epochs"),
            ("bs", "trainer.batch_size"),
            ("wd", "optimizer.weight_decay"),
            ("random_state", "trainer.seed"),
            ("input_field", "trainer.input_field"),
            ("trainer.sed", "trainer.seed"),
            ("trianer.seed", "trainer.seed"),
            ("hidden_layer_sizes", "model.hidden"),
        ];
        for (wrong, right) in cases {
            assert_eq!(meant(wrong, &TRAIN), [right], "{wrong}");
        }
        assert_eq!(meant("zzz", &TRAIN), [""; 0]);
    }

    #[test]
    fn keys_that_are_equally_likely_are_all_named() {
        let asked = hint("monitor", &TRAIN, "=x");
        assert_eq!(asked, "; did you mean callbacks.checkpoint.monitor=x or callbacks.early_stopping.monitor=x?");
    }

    #[test]
    fn a_hint_can_be_pasted_into_a_shell() {
        assert_eq!(hint("hiden", &TRAIN, "=[8, 8]"), "; did you mean 'model.hidden=[8, 8]'?");
        assert_eq!(shell_word("a='b'"), r"'a='\''b'\'''");
    }

    #[test]
    fn words_of_the_tables_are_written_as_they_are_looked_up() {
        let words = SYNONYMS.iter().map(|(words, _)| *words).chain(ELSEWHERE.iter().map(|(words, _)| *words));
        for word in words.flatten() {
            assert_eq!(plain(word), *word);
        }
    }

    #[test]
    fn short_words_are_no_slips_of_each_other() {
        assert_eq!(nearest("x", ["y"]), None);
        assert_eq!(nearest("AdamW", ["adam", "adamw"]), Some("adamw"));
        assert_eq!(nearest("trian", ["train", "track"]), Some("train"));
    }
}
