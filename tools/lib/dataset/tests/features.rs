//! Rows to model inputs, against values worked by hand; and the files that describe a dataset.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use dataset::{
    Column, FeatureSettings, Features, Input, Missing, Source, Target, Texts, Unseen, classes, raw_rows, read_options,
    texts,
};
use records::{Batch, DType, Field, Values};
use testkit::Folder;

const GAP: f32 = f32::NAN;

fn numbers(name: &str, shape: &[usize], values: &[f32]) -> Source {
    let column = Column::numbers(values.to_vec(), shape.iter().product());
    Source { name: name.into(), shape: shape.to_vec(), column }
}

fn words<'t>(name: &str, texts: impl IntoIterator<Item = &'t str>) -> Source {
    Source { name: name.into(), shape: vec![], column: Column::Texts(texts.into_iter().collect()) }
}

fn fit(sources: &[Source], settings: &FeatureSettings) -> Features {
    let rows: Vec<usize> = (0..sources[0].column.rows()).collect();
    Features::fit(sources, &rows, settings).unwrap()
}

/// A scalar with a gap, a text with one, and a vector with one in its second element.
fn sources() -> [Source; 3] {
    [
        numbers("age", &[], &[10.0, GAP, 30.0, 80.0]),
        words("city", ["b", "a", "", "b"]),
        numbers("xy", &[2], &[1.0, 5.0, 2.0, GAP, 3.0, 7.0, 4.0, 30.0]),
    ]
}

fn filled(missing: Missing) -> FeatureSettings {
    FeatureSettings { missing, indicator: true, ..FeatureSettings::default() }
}

#[test]
fn a_row_is_numbers_one_hot_texts_and_indicators() {
    let sources = sources();
    let features = fit(&sources, &filled(Missing::Mean));
    // Raw: age, city=a, city=b, city is missing, x, y. Behind: age is missing, x is missing, y is missing.
    assert_eq!((features.raw_width(), features.complete_width()), (6, 9));
    assert_eq!(features.indicated(), [0, 4, 5]);
    let described: Vec<_> = (0..10).map(|index| features.describe(index)).collect();
    let names = ["age", "city=a", "city=b", "city is missing", "xy[0]", "xy[1]"];
    assert_eq!(described[..6], names);
    assert_eq!(described[6..], ["age is missing", "xy[0] is missing", "xy[1] is missing", "9"]);
    assert_eq!(features.is_number(), [true, false, false, false, true, true, false, false, false]);
    let raw = features.encode(sources.iter().map(|source| &source.column)).unwrap();
    assert!(raw[6].is_nan() && raw[11].is_nan());
    assert_eq!((&raw[..6], &raw[7..11]), (&[10.0, 0.0, 1.0, 0.0, 1.0, 5.0][..], &[1.0, 0.0, 0.0, 2.0][..]));
    // Means of 10, 30, 80 and of 5, 7, 30; the most frequent city is b.
    let complete = features.complete(&raw);
    assert_eq!(complete[9..18], [40.0, 1.0, 0.0, 0.0, 2.0, 14.0, 1.0, 0.0, 1.0]);
    assert_eq!(complete[18..27], [30.0, 0.0, 1.0, 1.0, 3.0, 7.0, 0.0, 0.0, 0.0]);
    let fills = features.fills().unwrap();
    assert_eq!((fills[0], &fills[4..]), (40.0, &[2.5, 14.0][..]));
    assert!(fills[1..4].iter().all(|fill| fill.is_nan()));
}

#[test]
fn a_median_of_an_even_number_is_the_mean_of_the_middle_two() {
    let median = |values: &[f32]| fit(&[numbers("x", &[], values)], &filled(Missing::Median)).fills().unwrap();
    assert_eq!(median(&[4.0, GAP, 1.0, 100.0, 2.0]), [3.0]);
    assert_eq!(median(&[4.0, GAP, 1.0, 100.0]), [4.0]);
}

#[test]
fn only_rows_of_training_decide() {
    let features = Features::fit(&sources(), &[0, 3], &filled(Missing::Mean)).unwrap();
    // No training row lacks a value, so that there is no indicator.
    assert_eq!((features.raw_width(), features.complete_width(), features.indicated()), (4, 4, vec![]));
    assert_eq!(features.fills().unwrap()[0], 45.0);
    assert!(matches!(&features.inputs[1], Input::Category { categories, fill: Some(fill), .. }
        if categories == &["b"] && fill == "b"));
    let no_indicator = FeatureSettings { indicator: false, ..filled(Missing::Mean) };
    assert_eq!(fit(&sources(), &no_indicator).complete_width(), 5);
    let constant = FeatureSettings { fill_number: -1.0, fill_text: "none".into(), ..filled(Missing::Constant) };
    let features = fit(&sources(), &constant);
    assert_eq!(features.fills().unwrap()[0], -1.0);
    assert!(matches!(&features.inputs[1], Input::Category { categories, .. } if categories == &["a", "b", "none"]));
}

#[test]
fn without_a_fill_a_missing_value_names_its_row() {
    let whole = [numbers("x", &[2], &[1.0, 2.0, 3.0, 4.0]), words("c", ["a", "b"])];
    let features = fit(&whole, &FeatureSettings::default());
    assert_eq!((features.fills(), features.indicated()), (None, vec![]));
    assert!(matches!(&features.inputs[0], Input::Number { fill: None, .. }));
    let encode = |x: &[f32], c: [&str; 2]| {
        let [x, c] = [numbers("x", &[2], x), words("c", c)];
        features.encode([&x.column, &c.column]).map_err(|error| (error.row, error.to_string()))
    };
    let raw = encode(&[1.0, 2.0, 3.0, 4.0], ["b", "a"]).unwrap();
    assert_eq!(raw, [1.0, 2.0, 0.0, 1.0, 3.0, 4.0, 1.0, 0.0]);
    assert_eq!(features.complete(&raw), raw);
    let (row, error) = encode(&[1.0, 2.0, 3.0, GAP], ["a", "b"]).unwrap_err();
    assert!(row == 1 && error.contains("\"x\""), "{error}");
    let (row, error) = encode(&[1.0, 2.0, 3.0, 4.0], ["a", ""]).unwrap_err();
    assert!(row == 1 && error.contains("\"c\""), "{error}");
    let swapped = features.encode([&whole[1].column, &whole[0].column]).unwrap_err();
    assert!(swapped.to_string().contains("\"x\""), "{swapped}");
    let error = Features::fit(&sources(), &[0], &FeatureSettings::default()).unwrap_err().to_string();
    assert!(
        error.starts_with("1 of 4 rows lack \"age\", 1 of 4 rows lack \"city\", 1 of 4 rows lack \"xy\""),
        "{error}"
    );
}

#[test]
fn a_text_that_no_training_row_has_is_shown_in_part() {
    let cities = ["a", "b", "c", "d", "e", "f", "g"];
    let features = fit(&[words("city", cities)], &FeatureSettings::default());
    let long = "z".repeat(100);
    let error = features.encode([&words("city", ["a", long.as_str()]).column]).unwrap_err();
    assert_eq!(error.row, 1);
    let expected =
        format!("field \"city\" is \"{}\", which no training row has: a, b, c, d, e and 2 more", "z".repeat(40));
    assert!(error.to_string().starts_with(&expected), "{error}");
    let zero = FeatureSettings { unseen: Unseen::Zero, ..FeatureSettings::default() };
    let raw = fit(&[words("city", ["a", "b"])], &zero).encode([&words("city", ["z", "b"]).column]).unwrap();
    assert_eq!(raw, [0.0, 0.0, 0.0, 1.0]);
}

#[test]
fn categories_that_are_numbers_are_known_in_every_way_of_writing() {
    let features = fit(&[words("beds", ["2", "10"])], &FeatureSettings::default());
    let encode = |text: &str| features.encode([&words("beds", [text]).column]);
    assert!(matches!(&features.inputs[0], Input::Category { categories, .. } if categories == &["10", "2"]));
    for text in ["2", "2.0", "2e0"] {
        assert_eq!(encode(text).unwrap(), [0.0, 1.0], "{text}");
    }
    assert!(encode("3").is_err() && encode("two").is_err());
    let mixed = fit(&[words("beds", ["2", "many"])], &FeatureSettings::default());
    assert!(mixed.encode([&words("beds", ["2.0"]).column]).is_err(), "one category is no number");
    let canonical: Texts = ["2.0", "", "1e1"].into_iter().collect();
    assert_eq!(canonical.canonical().iter().collect::<Vec<_>>(), ["2", "", "10"]);
    let words: Texts = ["2.0", "x"].into_iter().collect();
    assert_eq!(words.clone().canonical(), words);
    assert_eq!((words.len(), words.is_empty(), Texts::default().is_empty()), (2, false, true));
}

#[test]
fn what_a_model_takes_is_named_by_its_one_field_or_features() {
    let one = Features::of_field("image", &[3, 8, 8], "label", &[10]);
    assert_eq!(
        (one.input_name(), one.raw_shape(), one.raw_width(), one.has_text()),
        ("image", vec![3, 8, 8], 192, false)
    );
    assert_eq!((one.target.name.as_str(), &one.target.shape), ("label", &vec![10]));
    let text = fit(&[words("c", ["a", "b"])], &FeatureSettings::default());
    assert_eq!((text.input_name(), text.raw_shape(), text.has_text()), ("features", vec![2], true));
    let classes = Some(vec!["no".to_owned(), "yes".into()]);
    let named = Features { target: Target { name: "y".into(), shape: vec![], classes }, ..one.clone() };
    assert!(named.has_text());
    for features in [one, text, named] {
        assert_eq!(Features::from_json(&features.to_json()).unwrap(), features);
        assert_eq!(Features::from_json(&features.to_json_pretty()).unwrap(), features);
    }
}

#[test]
fn contradictions_are_refused() {
    let number = |name: &str, shape: &[usize], fill: Option<Vec<f32>>| Input::Number {
        name: name.into(),
        shape: shape.to_vec(),
        fill,
        indicator: false,
    };
    let category = |categories: &[&str], fill: Option<&str>| Input::Category {
        name: "c".into(),
        categories: categories.iter().map(ToString::to_string).collect(),
        unseen: Unseen::Error,
        fill: fill.map(str::to_owned),
        indicator: false,
    };
    let of = |inputs: Vec<Input>| Features { inputs, ..Features::of_field("x", &[], "y", &[]) }.checked();
    let huge = usize::MAX / 2 + 1;
    for bad in [
        vec![],
        vec![number("x", &[0], None)],
        vec![number("x", &[huge, 2], None)],
        vec![number("x", &[huge], None), number("z", &[huge], None)],
        vec![number("x", &[2], Some(vec![1.0]))],
        vec![number("x", &[1], Some(vec![f32::INFINITY]))],
        vec![number("x", &[], None), number("x", &[], None)],
        vec![category(&[], None)],
        vec![category(&["a", "a"], None)],
        vec![category(&["a"], Some("b"))],
    ] {
        let shown = format!("{bad:?}");
        assert!(of(bad).is_err(), "{shown}");
    }
    for good in [
        vec![number("x", &[2], Some(vec![1.0, 2.0])), category(&["a", "b"], Some("b"))],
        vec![category(&["a"], None), number("x", &[], None)],
    ] {
        assert!(of(good).is_ok());
    }
}

/// Two rows: `n` a pair of f8, `c` a text, `k` an integer, `b` a boolean.
fn batch(pair: [f64; 4]) -> Batch {
    let field = |name: &str, dtype, shape: &[usize]| Field::new(name, dtype, shape);
    let packed: Vec<u8> = pair.into_iter().flat_map(f64::to_le_bytes).collect();
    let integers: Vec<u8> = [3i32, -4].into_iter().flat_map(i32::to_le_bytes).collect();
    let columns = [
        (field("n", DType::F8, &[2]), Values::Packed(&packed)),
        (field("c", DType::Text, &[]), Values::Texts(vec!["red", "2.0"])),
        (field("k", DType::I4, &[]), Values::Packed(&integers)),
        (field("b", DType::B1, &[]), Values::Packed(&[1, 0])),
    ];
    Batch::from_columns("made", 7, 2, &columns).unwrap()
}

#[test]
fn rows_of_a_batch_become_the_matrix_of_the_model() {
    let sources = [numbers("n", &[2], &[0.0; 4]), words("c", ["red", "2.0"])];
    let features = fit(&sources, &FeatureSettings::default());
    assert_eq!(raw_rows(&features, &batch([1.0, 2.0, 3.0, 4.0])).unwrap(), [1.0, 2.0, 0.0, 1.0, 3.0, 4.0, 1.0, 0.0]);
    let error = raw_rows(&features, &batch([1.0, 2.0, 3.0, 1e300])).unwrap_err().to_string();
    assert!(error.starts_with("made: row 8: field \"n\" is inf as f32"), "{error}");
    let error = raw_rows(&features, &batch([1.0, f64::NAN, 3.0, 4.0])).unwrap_err().to_string();
    assert!(error.starts_with("made: row 7: "), "{error}");
    let other = Features::of_field("n", &[3], "y", &[]);
    let error = raw_rows(&other, &batch([0.0; 4])).unwrap_err().to_string();
    assert!(error.contains("n f8[2]") && error.contains("[3] by the model"), "{error}");
    assert!(raw_rows(&Features::of_field("none", &[], "y", &[]), &batch([0.0; 4])).is_err());
    let options = read_options(&features);
    assert_eq!((options.floats, options.texts, options.plain_name), (vec!["n"], vec!["c"], "n"));
    assert!(options.missing && !options.all_fields);
    let text_only = fit(&[words("c", ["a"])], &FeatureSettings::default());
    assert_eq!(read_options(&text_only).plain_name, "c");
}

#[test]
fn numbers_are_texts_in_the_one_way_of_writing_them() {
    let batch = batch([0.0; 4]);
    let of = |name: &str| texts(name, &batch).map(|texts| texts.iter().map(str::to_owned).collect::<Vec<_>>());
    assert_eq!(of("c").unwrap(), ["red", "2.0"]);
    assert_eq!(of("k").unwrap(), ["3", "-4"]);
    assert_eq!(of("b").unwrap(), ["true", "false"]);
    assert!(of("n").unwrap_err().to_string().contains("expected one text or number"));
    assert!(of("none").is_err());
    let packed: Vec<u8> = [f32::NAN, 0.5].into_iter().flat_map(f32::to_le_bytes).collect();
    let gaps = [(Field::new("x", DType::F4, &[]), Values::Packed(&packed))];
    let gaps = Batch::from_columns("made", 0, 2, &gaps).unwrap();
    assert_eq!(texts("x", &gaps).unwrap().iter().collect::<Vec<_>>(), ["", "0.5"]);
}

#[test]
fn names_of_classes_come_from_the_data_set_or_the_run() {
    let folder = Folder::with(&[("dataset.json", r#"{"classes":{"label":["cat","dog"],"coarse":["pet"]}}"#)]);
    let read = |name: &str, field: &str| classes::Names::read(&folder.join(name), field);
    let of_data = read("dataset.json", "label").unwrap();
    assert_eq!((of_data.names, of_data.of_text), (vec!["cat".to_owned(), "dog".into()], false));
    let classes = Some(vec!["no".to_owned(), "yes".into()]);
    let features = Features {
        target: Target { name: "y".into(), shape: vec![], classes },
        ..Features::of_field("x", &[], "y", &[])
    };
    folder.write("features.json", features.to_json());
    let of_run = read("features.json", "y").unwrap();
    assert_eq!((of_run.names, of_run.of_text), (vec!["no".to_owned(), "yes".into()], true));
    let error = read("features.json", "label").unwrap_err().to_string();
    assert!(error.contains("there are those of y (the setting target_field)"), "{error}");
    assert!(read("dataset.json", "fine").unwrap_err().to_string().contains("there are those of label, coarse"));
    folder.write("latin.json", b"{\"classes\":{\"label\":[\"caf\xe9\"]}}");
    let error = read("latin.json", "label").unwrap_err().to_string();
    assert!(error.starts_with(&folder.join("latin.json").display().to_string()), "{error}");
    assert!(read("none.json", "label").is_err());
    let names = ["a".to_owned()];
    let name = |names, class| dataset::classes::name(names, class);
    assert_eq!(
        (name(Some(&names[..]), 0), name(Some(&names[..]), 1), name(None, 2)),
        ("a".into(), "1".into(), "2".into())
    );
}
