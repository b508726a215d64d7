//! What all calls together may retry.

use std::time::Duration;

use crate::{
    clock::Moment,
    error::InvalidOption,
    sync::{AtomicU64, Ordering},
};

/// A limit on retries in proportion to calls, so that an outage adds a tenth to the load instead of multiplying it.
///
/// The token bucket of [gRPC A6, *throttling retry attempts*][grpc] and of [Finagle's `RetryBudget`][finagle]: every call
/// pays in `ratio` tokens, time pays in `min_per_second`, a retry takes out one, and no more than `burst` are kept. So in any
/// time *t* with *n* calls there are at most `burst + ratio × n + min_per_second × t` retries.
///
/// [grpc]: https://github.com/grpc/proposal/blob/master/A6-client-retries.md#throttling-retry-attempts-and-hedged-rpcs
/// [finagle]: https://twitter.github.io/finagle/guide/Clients.html#retry-budget
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Tokens for each call, in thousandths: 100 lets a tenth of all calls be retried. At most 10,000.
    pub ratio_permille: u32,
    /// Tokens for each second, so that a client with few calls can retry at all. At most 1,000,000.
    pub min_per_second: u32,
    /// The most tokens kept, and what there is in the beginning. 1 to 1,000,000.
    pub burst: u32,
}

impl Budget {
    /// A tenth of the calls (*Site Reliability Engineering*, chapter 21), one more per second, ten kept (gRPC's
    /// `maxTokens` in the examples of A6).
    #[must_use]
    pub const fn standard() -> Self {
        Self { ratio_permille: 100, min_per_second: 1, burst: 10 }
    }

    pub(crate) fn validate(&self) -> Result<(), InvalidOption> {
        if self.burst == 0 || self.burst > 1_000_000 {
            return Err(InvalidOption::new("retry.budget.burst", self.burst, "between 1 and 1000000"));
        }
        if self.ratio_permille > 10_000 {
            return Err(InvalidOption::new("retry.budget.ratio", self.ratio_permille, "at most 10 (10000 ‰)"));
        }
        if self.min_per_second > 1_000_000 {
            return Err(InvalidOption::new("retry.budget.min_per_second", self.min_per_second, "at most 1000000"));
        }
        Ok(())
    }
}

/// The tokens of one [`Budget`], shared by all calls of a pipeline (or of several). Lock-free, and while nothing is
/// retried only read.
#[derive(Debug)]
pub struct Bank(AtomicU64);

/// What the bank holds: thousandths of a token, and when that was so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Account {
    millitokens: u32,
    /// Milliseconds of the clock, the lower 32 bits. After 49 days without a call, some of the seconds are not paid in.
    at: u32,
}

impl Bank {
    /// A full bank.
    #[must_use]
    pub fn full(budget: &Budget, now: Moment) -> Self {
        let account = Account { millitokens: budget.burst * 1000, at: millis(now) };
        Self(AtomicU64::new(account.pack()))
    }

    /// Pays in for one call.
    pub fn deposit(&self, budget: &Budget, now: Moment) {
        self.update(|account| {
            let most = budget.burst * 1000;
            // A full bank stays as it is: in good times nobody writes.
            (account.millitokens < most).then(|| {
                let account = account.at_time(budget, now);
                Account { millitokens: account.millitokens.saturating_add(budget.ratio_permille).min(most), ..account }
            })
        });
    }

    /// Takes out a token for one retry, if there is one.
    #[must_use]
    pub fn withdraw(&self, budget: &Budget, now: Moment) -> bool {
        self.update(|account| {
            let account = account.at_time(budget, now);
            let millitokens = account.millitokens.checked_sub(1000)?;
            Some(Account { millitokens, ..account })
        })
    }

    /// Whole tokens now in the bank.
    #[must_use]
    pub fn tokens(&self, budget: &Budget, now: Moment) -> u32 {
        Account::unpack(self.0.load(Ordering::Relaxed)).at_time(budget, now).millitokens / 1000
    }

    /// When the next token will be there if no call pays in; `None` when never.
    #[must_use]
    pub fn next_token(&self, budget: &Budget, now: Moment) -> Option<Duration> {
        let account = Account::unpack(self.0.load(Ordering::Relaxed)).at_time(budget, now);
        let missing = 1000_u32.saturating_sub(account.millitokens);
        if missing == 0 {
            return Some(Duration::ZERO);
        }
        (budget.min_per_second > 0).then(|| Duration::from_millis(u64::from(missing.div_ceil(budget.min_per_second))))
    }

    fn update(&self, change: impl Fn(Account) -> Option<Account>) -> bool {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| change(Account::unpack(word)).map(Account::pack))
            .is_ok()
    }
}

impl Account {
    fn pack(self) -> u64 {
        u64::from(self.millitokens) << 32 | u64::from(self.at)
    }

    #[expect(clippy::cast_possible_truncation, reason = "takes the two halves apart")]
    const fn unpack(word: u64) -> Self {
        Self { millitokens: (word >> 32) as u32, at: word as u32 }
    }

    /// The account with what time has paid in since.
    fn at_time(self, budget: &Budget, now: Moment) -> Self {
        let at = millis(now);
        // Two threads may come here with moments in the other order; then a moment of "the future" counts as none.
        let elapsed = at.wrapping_sub(self.at);
        let elapsed = if elapsed > u32::MAX / 2 { return self } else { elapsed };
        // One token per second is one thousandth per millisecond.
        let millitokens = self.millitokens.saturating_add(elapsed.saturating_mul(budget.min_per_second));
        Self { millitokens: millitokens.min(budget.burst * 1000), at }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is meant, see Account::at")]
const fn millis(moment: Moment) -> u32 {
    moment.as_millis() as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TENTH: Budget = Budget { ratio_permille: 100, min_per_second: 0, burst: 2 };

    #[test]
    fn ten_calls_pay_for_one_retry() {
        let now = Moment::ZERO;
        let bank = Bank::full(&TENTH, now);
        assert!(bank.withdraw(&TENTH, now) && bank.withdraw(&TENTH, now) && !bank.withdraw(&TENTH, now));
        (0..9).for_each(|_| bank.deposit(&TENTH, now));
        assert!(!bank.withdraw(&TENTH, now));
        bank.deposit(&TENTH, now);
        assert!(bank.withdraw(&TENTH, now));
        assert!(!bank.withdraw(&TENTH, now));
        assert_eq!(bank.next_token(&TENTH, now), None);
    }

    #[test]
    fn time_pays_in_too() {
        let budget = Budget { ratio_permille: 0, min_per_second: 2, burst: 1 };
        let bank = Bank::full(&budget, Moment::ZERO);
        assert!(bank.withdraw(&budget, Moment::ZERO));
        assert_eq!(bank.next_token(&budget, Moment::ZERO), Some(Duration::from_millis(500)));
        assert!(!bank.withdraw(&budget, Moment::from_millis(499)));
        assert!(bank.withdraw(&budget, Moment::from_millis(500)));
    }

    #[test]
    fn a_bank_keeps_no_more_than_its_burst_and_starts_its_clock_anew_when_used() {
        let budget = Budget { ratio_permille: 1000, min_per_second: 1, burst: 2 };
        let bank = Bank::full(&budget, Moment::ZERO);
        let late = Moment::from_millis(100_000);
        (0..50).for_each(|_| bank.deposit(&budget, late));
        assert_eq!(bank.tokens(&budget, late), 2);
        assert!(bank.withdraw(&budget, late) && bank.withdraw(&budget, late));
        // The hundred seconds before the first withdrawal are not paid in afterwards.
        assert!(!bank.withdraw(&budget, late));
    }

    #[test]
    fn the_clock_of_32_bits_may_turn_over() {
        let budget = Budget { ratio_permille: 0, min_per_second: 1, burst: 5 };
        let before = Moment::from_millis(u64::from(u32::MAX) - 10);
        let bank = Bank::full(&budget, before);
        while bank.withdraw(&budget, before) {}
        assert!(bank.withdraw(&budget, before + Duration::from_secs(1)));
    }

    proptest! {
        #[test]
        fn retries_stay_within_the_promise(
            (ratio_permille, min_per_second, burst) in (0_u32..2000, 0_u32..20, 1_u32..30),
            steps in prop::collection::vec((any::<bool>(), 0_u64..2000), 1..300),
        ) {
            let budget = Budget { ratio_permille, min_per_second, burst };
            let bank = Bank::full(&budget, Moment::ZERO);
            let (mut now, mut calls, mut retries) = (Moment::ZERO, 0_u64, 0_u64);
            for (call, pause) in steps {
                now = now + Duration::from_millis(pause);
                if call {
                    calls += 1;
                    bank.deposit(&budget, now);
                } else {
                    retries += u64::from(bank.withdraw(&budget, now));
                }
                let promised = u64::from(burst) * 1000
                    + calls * u64::from(ratio_permille)
                    + now.as_millis() * u64::from(min_per_second);
                prop_assert!(retries * 1000 <= promised);
            }
        }
    }
}
