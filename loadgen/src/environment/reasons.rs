//! Why a figure is null.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One sentence for each figure that is null, by the figure's name. In run.json: `null_reasons`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reasons(pub BTreeMap<String, String>);

impl Reasons {
    /// Whether every figure is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Says why a figure is null.
    pub fn add(&mut self, figure: &str, sentence: String) {
        self.0.insert(figure.to_owned(), sentence);
    }

    /// The figure, or `None` with its reason taken down.
    pub fn keep<T>(&mut self, figure: &str, result: Result<T, String>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(sentence) => {
                self.add(figure, sentence);
                None
            }
        }
    }

    /// The reason of one figure.
    #[must_use]
    pub fn of(&self, figure: &str) -> Option<&str> {
        self.0.get(figure).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_or_its_reason() {
        let mut reasons = Reasons::default();
        assert_eq!(reasons.keep("steal_pct", Ok(1.5)), Some(1.5));
        assert!(reasons.is_empty());
        assert_eq!(reasons.keep::<f64>("psi", Err("no /proc/pressure".to_owned())), None);
        assert_eq!(reasons.of("psi"), Some("no /proc/pressure"));
        let json = serde_json::to_string(&reasons).unwrap();
        assert_eq!(json, r#"{"psi":"no /proc/pressure"}"#);
    }
}
