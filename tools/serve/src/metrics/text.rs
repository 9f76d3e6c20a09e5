//! Prometheus' text format, version 0.0.4.
//!
//! The crate prometheus-client writes OpenMetrics, in which the name of every counter ends in `_total`: Triton's do not.

use std::fmt::{Display, Write};

/// Metrics of one name.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    pub name: &'static str,
    pub help: &'static str,
    pub kind: Kind,
}

#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Label and value.
pub type Label<'a> = (&'a str, &'a str);

/// The text, family by family.
#[derive(Debug, Default)]
pub struct Text(String);

/// Writes the samples of a family.
pub struct Samples<'t> {
    text: &'t mut String,
    name: &'static str,
}

impl Text {
    /// Begins a family.
    pub fn family(&mut self, family: Family) -> Samples<'_> {
        let Family { name, help, kind } = family;
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Writing to a string does not fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        Samples { text: &mut self.0, name }
    }

    pub fn into_string(self) -> String {
        self.0
    }
}

impl Samples<'_> {
    /// The value for these labels.
    pub fn sample(&mut self, labels: &[Label<'_>], value: impl Display) {
        self.write("", labels.iter().copied(), value);
    }

    /// A histogram: the number of events up to each bound, and without a bound, and the sum of their values.
    pub fn histogram(&mut self, labels: &[Label<'_>], buckets: &[(Option<u64>, u64)], sum: u64) {
        let mut count = 0;
        for (bound, events) in buckets {
            count += events;
            let bound = bound.map_or("+Inf".into(), |bound| bound.to_string());
            self.write("_bucket", labels.iter().copied().chain([("le", bound.as_str())]), count);
        }
        self.write("_sum", labels.iter().copied(), sum);
        self.write("_count", labels.iter().copied(), count);
    }

    fn write<'l>(&mut self, suffix: &str, labels: impl Iterator<Item = Label<'l>>, value: impl Display) {
        let _ = write!(self.text, "{}{suffix}", self.name);
        let mut opening = '{';
        for (label, value) in labels {
            let _ = write!(self.text, "{opening}{label}=\"{}\"", escaped(value));
            opening = ',';
        }
        let closing = if opening == ',' { "}" } else { "" };
        let _ = writeln!(self.text, "{closing} {value}");
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_labels_are_escaped_and_buckets_add_up() {
        let mut text = Text::default();
        text.family(Family { name: "a", help: "b", kind: Kind::Gauge }).sample(&[], 0.5);
        let mut family = text.family(Family { name: "h", help: "x", kind: Kind::Histogram });
        family.histogram(&[("m", "q\"\\\n")], &[(Some(1), 2), (None, 3)], 9);
        let expected = concat!(
            "# HELP a b\n# TYPE a gauge\na 0.5\n# HELP h x\n# TYPE h histogram\n",
            "h_bucket{m=\"q\\\"\\\\\\n\",le=\"1\"} 2\nh_bucket{m=\"q\\\"\\\\\\n\",le=\"+Inf\"} 5\n",
            "h_sum{m=\"q\\\"\\\\\\n\"} 9\nh_count{m=\"q\\\"\\\\\\n\"} 5\n"
        );
        assert_eq!(text.into_string(), expected);
    }
}
