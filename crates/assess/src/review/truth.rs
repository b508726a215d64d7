//! Boolean functions of a few variables as tables of all their values, 64 of them in a word.

/// The values of a function for every set of its variables. Sets are numbers: bit `n` says whether variable `n` is true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    words: Vec<u64>,
    /// How many variables there are.
    size: usize,
}

/// Where variables 0 to 5 are true within a word.
const WITHIN: [u64; 6] = [
    0xAAAA_AAAA_AAAA_AAAA,
    0xCCCC_CCCC_CCCC_CCCC,
    0xF0F0_F0F0_F0F0_F0F0,
    0xFF00_FF00_FF00_FF00,
    0xFFFF_0000_FFFF_0000,
    0xFFFF_FFFF_0000_0000,
];

impl Table {
    /// True for no set.
    pub(super) fn never(size: usize) -> Self {
        Self { words: vec![0; 1 << size.saturating_sub(WITHIN.len())], size }
    }

    /// True where variable `n` is.
    pub(super) fn variable(n: usize, size: usize) -> Self {
        let mut table = Self::never(size);
        for (at, word) in table.words.iter_mut().enumerate() {
            *word = match WITHIN.get(n) {
                Some(within) => *within,
                None if at >> (n - WITHIN.len()) & 1 == 1 => u64::MAX,
                None => 0,
            };
        }
        table.trimmed()
    }

    pub(super) fn and(&self, other: &Self) -> Self {
        self.with(other, |a, b| a & b)
    }

    pub(super) fn or(&self, other: &Self) -> Self {
        self.with(other, |a, b| a | b)
    }

    pub(super) fn not(&self) -> Self {
        Self { words: self.words.iter().map(|word| !word).collect(), size: self.size }.trimmed()
    }

    /// True where the value changes with variable `n`.
    pub(super) fn differs(&self, n: usize) -> Self {
        let flipped = |at: usize| match WITHIN.get(n) {
            Some(within) => {
                let word = self.words[at];
                (word & within) >> (1 << n) | (word & !within) << (1 << n)
            }
            None => self.words[at ^ 1 << (n - WITHIN.len())],
        };
        let words = self.words.iter().enumerate().map(|(at, word)| word ^ flipped(at)).collect();
        Self { words, size: self.size }.trimmed()
    }

    pub(super) fn is_never(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// The smallest set for which it is true.
    pub(super) fn first(&self) -> Option<usize> {
        let at = self.words.iter().position(|word| *word != 0)?;
        Some(at * 64 + self.words[at].trailing_zeros() as usize)
    }

    fn with(&self, other: &Self, each: impl Fn(u64, u64) -> u64) -> Self {
        Self { words: self.words.iter().zip(&other.words).map(|(a, b)| each(*a, *b)).collect(), size: self.size }
    }

    /// With fewer than six variables a word has bits that stand for no set.
    fn trimmed(mut self) -> Self {
        if self.size < WITHIN.len() {
            self.words[0] &= (1 << (1 << self.size)) - 1;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_true_where_their_bit_is_for_small_and_large_tables() {
        for size in [1, 3, 6, 8] {
            for n in 0..size {
                let variable = Table::variable(n, size);
                for set in 0..1_usize << size {
                    let value = variable.words[set / 64] >> (set % 64) & 1 == 1;
                    assert_eq!(value, set >> n & 1 == 1, "{size} {n} {set}");
                }
                assert!(variable.and(&variable.not()).is_never());
                // It changes with itself everywhere, and with no other.
                for other in 0..size {
                    assert_eq!(
                        variable.differs(other),
                        if other == n { Table::never(size).not() } else { Table::never(size) }
                    );
                }
                assert_eq!(variable.first(), Some(1 << n));
            }
        }
    }
}
