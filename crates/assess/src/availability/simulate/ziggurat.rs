//! Exponential times without a logarithm: the ziggurat method (G. Marsaglia, W. W. Tsang: *The Ziggurat Method for Generating Random
//! Variables*, Journal of Statistical Software 5, 2000).
//!
//! The area under e^-x is covered with layers of equal area, from a wide flat one at the bottom to a narrow one at the top. A point
//! drawn in a layer is nearly always under the curve, where its layer is no wider than the curve; only at the
//! edges the curve itself has to be asked.

use std::sync::LazyLock;

use super::random::unit;

/// As many as a byte counts.
const LAYERS: usize = 256;
/// Where the tail begins, and the area of each layer, for 256 layers: from the paper.
const TAIL: f64 = 7.697_117_470_131_05;
const AREA: f64 = 3.949_659_822_581_557e-3;

/// How wide each layer is, from the bottom up, and how high the curve is there.
#[derive(Debug)]
pub(super) struct Ziggurat {
    widths: [f64; LAYERS + 1],
    heights: [f64; LAYERS + 1],
}

static ZIGGURAT: LazyLock<Ziggurat> = LazyLock::new(Ziggurat::new);

impl Ziggurat {
    pub(super) fn get() -> &'static Self {
        &ZIGGURAT
    }

    fn new() -> Self {
        // The tail belongs to the layer at the bottom, which is so much wider than it looks.
        let mut widths = [AREA / (-TAIL).exp(); LAYERS + 1];
        widths[1] = TAIL;
        for layer in 2..LAYERS {
            widths[layer] = -(AREA / widths[layer - 1] + (-widths[layer - 1]).exp()).ln();
        }
        widths[LAYERS] = 0.0;
        Self { widths, heights: widths.map(|width| (-width).exp()) }
    }

    /// A time of mean 1, from as many random numbers as it takes: nearly always one.
    #[inline]
    pub(super) fn draw(&self, mut bits: impl FnMut() -> u64) -> f64 {
        loop {
            let drawn = bits();
            // The lowest byte is not among the bits of the number.
            let layer = usize::from(drawn.to_le_bytes()[0]);
            let time = unit(drawn) * self.widths[layer];
            if time < self.widths[layer + 1] {
                return time;
            }
            if let Some(time) = self.at_the_edge(layer, time, unit(bits())) {
                return time;
            }
        }
    }

    /// Of a point that may be above the curve, its time if it is not.
    #[cold]
    fn at_the_edge(&self, layer: usize, time: f64, unit: f64) -> Option<f64> {
        if layer == 0 {
            // From any time on it is as from the beginning.
            return Some(TAIL - unit.ln());
        }
        let (low, high) = (self.heights[layer], self.heights[layer + 1]);
        (low + (high - low) * unit < (-time).exp()).then_some(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_layers_are_of_one_area_and_the_last_ends_at_the_top_of_the_curve() {
        let Ziggurat { widths, heights } = Ziggurat::get();
        for layer in 1..LAYERS {
            let area = widths[layer] * (heights[layer + 1] - heights[layer]);
            assert!((area / AREA - 1.0).abs() < 1e-9, "layer {layer} has {area}");
        }
        // The bottom: the tail, and what is left of it.
        let bottom = TAIL * heights[1] + (-TAIL).exp();
        assert!((bottom / AREA - 1.0).abs() < 1e-9, "{bottom}");
    }
}
