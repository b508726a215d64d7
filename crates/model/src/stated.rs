//! Figures that somebody else computed, to be checked.

use serde::Serialize;

/// A figure as somebody wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Stated {
    /// The figure.
    pub value: f64,
    /// How far the exact value may lie from it: half of the last digit that was written.
    pub rounding: f64,
}

impl Stated {
    /// Whether it is this value, as exactly as it was written.
    #[must_use]
    pub fn is(self, value: f64) -> bool {
        // What a binary fraction cannot hold of a decimal one is no mistake of the writer.
        (value - self.value).abs() <= self.rounding + 1e-12 * value.abs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_as_exact_as_it_was_written() {
        let stated = Stated { value: 0.9985, rounding: 0.000_05 };
        assert!(stated.is(0.998_495) && stated.is(0.998_45) && !stated.is(0.998_6));
        assert!(Stated { value: 0.3, rounding: 0.0 }.is(0.1 + 0.2));
    }
}
