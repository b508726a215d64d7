//! One of many, each with its own weight, at the cost of one random number: Walker's alias method, with the table made as
//! M. D. Vose does (IEEE Transactions on Software Engineering 17, 1991).

/// A table to draw from.
#[derive(Debug)]
pub(super) struct Alias(Vec<Column>);

/// A share of the whole that two have between them; all columns are equally wide.
#[derive(Debug, Clone, Copy)]
struct Column {
    /// What part of it is the first's, of 2^64.
    keep: u64,
    first: u32,
    second: u32,
}

impl Alias {
    /// Of things by number, and their weights, which are above 0. There is at least one, or nothing is ever drawn.
    pub(super) fn new(weights: &[(u32, f64)]) -> Self {
        let mean = weights.iter().map(|(_, weight)| weight).sum::<f64>() / weights.len() as f64;
        let mut columns: Vec<Column> =
            weights.iter().map(|(thing, _)| Column { keep: u64::MAX, first: *thing, second: *thing }).collect();
        // Filled from what weighs more than a column is wide.
        let mut left: Vec<f64> = weights.iter().map(|(_, weight)| weight / mean).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..left.len()).partition(|at| left[*at] < 1.0);
        while let (Some(low), Some(high)) = (small.pop(), large.last().copied()) {
            columns[low] = Column { keep: of_two_to_64(left[low]), second: weights[high].0, ..columns[low] };
            left[high] -= 1.0 - left[low];
            if left[high] < 1.0 {
                large.pop();
                small.push(high);
            }
        }
        Self(columns)
    }

    /// The thing for 64 random bits: which column, and which of its two.
    pub(super) fn draw(&self, bits: u64) -> Option<u32> {
        let place = u128::from(bits) * self.0.len() as u128;
        let column = self.0.get(usize::try_from(place >> 64).ok()?)?;
        let within = place & u128::from(u64::MAX);
        Some(if within < u128::from(column.keep) { column.first } else { column.second })
    }
}

const TWO_TO_64: f64 = 2.0 * (1_u64 << 63) as f64;

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "of a share; casts stop at the ends")]
fn of_two_to_64(share: f64) -> u64 {
    (share * TWO_TO_64) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What part of all random numbers draws a thing.
    fn share(alias: &Alias, thing: u32) -> f64 {
        let part = |column: &Column| {
            let keep = column.keep as f64 / TWO_TO_64;
            let first = if column.first == thing { keep } else { 0.0 };
            first + if column.second == thing { 1.0 - keep } else { 0.0 }
        };
        alias.0.iter().map(part).sum::<f64>() / alias.0.len() as f64
    }

    proptest! {
        #[test]
        fn each_is_drawn_as_often_as_it_weighs(weights in prop::collection::vec(1e-9..1.0_f64, 1..50)) {
            let all: f64 = weights.iter().sum();
            let weights: Vec<(u32, f64)> = (0..).zip(weights).collect();
            let alias = Alias::new(&weights);
            for (thing, weight) in weights {
                prop_assert!((share(&alias, thing) - weight / all).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn the_first_and_the_last_number_draw_something_and_of_nothing_nothing_is_drawn() {
        let alias = Alias::new(&[(7, 1.0), (9, 3.0)]);
        assert!(alias.draw(0).is_some() && alias.draw(u64::MAX).is_some());
        assert_eq!(Alias::new(&[]).draw(1), None);
    }
}
