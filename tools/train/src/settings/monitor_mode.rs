//! Direction of a monitored metric: minimize or maximize.

use anyhow::bail;
use metrics::{Direction, Mode as MonitorMode, direction_of};

/// # Errors
/// When `who.mode` is auto, and `who.monitor` a metric without a direction.
pub fn check(who: &str, mode: MonitorMode, monitor: Option<&str>) -> anyhow::Result<()> {
    match monitor {
        Some(name) if mode == MonitorMode::Auto && direction_of(name).is_none() => {
            bail!("{who}.mode: auto, but {name} is better neither low nor high; choose min or max")
        }
        _ => Ok(()),
    }
}

/// A warning where the mode is against the metric's own direction.
pub fn warning(who: &str, mode: MonitorMode, monitor: Option<&str>) -> Option<String> {
    let name = monitor.unwrap_or("the loss");
    let own = monitor.map_or(Some(Direction::Minimize), direction_of)?;
    let (mode, better) = match (mode.of(monitor), own) {
        (Direction::Minimize, Direction::Maximize) => ("min", "high"),
        (Direction::Maximize, Direction::Minimize) => ("max", "low"),
        _ => return None,
    };
    Some(format!("{who}.mode: {mode}, but {name} is better when it is {better}; mode=auto follows the metric"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_follows_the_metric() {
        for (monitor, expected) in [
            (None, Direction::Minimize),
            (Some("train_loss"), Direction::Minimize),
            (Some("val_mae"), Direction::Minimize),
            (Some("val_r2"), Direction::Maximize),
            (Some("val_accuracy"), Direction::Maximize),
            (Some("val_average_precision"), Direction::Maximize),
        ] {
            assert_eq!(MonitorMode::Auto.of(monitor), expected, "{monitor:?}");
            assert_eq!(warning("x", MonitorMode::Auto, monitor), None);
        }
        assert_eq!(MonitorMode::Min.of(Some("val_r2")), Direction::Minimize);
        assert!(warning("x", MonitorMode::Min, Some("val_r2")).is_some());
        assert!(warning("x", MonitorMode::Max, None).is_some());
        assert!(check("x", MonitorMode::Auto, Some("learning_rate")).is_err());
        assert!(check("x", MonitorMode::Max, Some("learning_rate")).is_ok());
    }
}
