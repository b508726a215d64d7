//! "Did you mean …": the nearest known name.

/// Most characters of a name that is compared: ARNs and host names have fewer. What is longer is a text, and the distance of two
/// of a megabyte would take 10^12 steps, and as many words of memory.
pub const LONGEST: usize = 256;

/// The known name that `wrong` most probably stands for, if any is near enough to be worth saying. Names of more than [`LONGEST`]
/// characters are near nothing.
///
/// Damerau-Levenshtein distance, letter case ignored; near enough is a third of the longer name's length, because a
/// suggestion that shares less than that is noise.
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong_name = Name::of(wrong)?;
    let wrong = wrong.to_lowercase();
    let mut best: Option<(usize, &str)> = None;
    for name in known {
        let Some(other) = Name::of(name) else { continue };
        let near = wrong_name.length.max(other.length).div_ceil(3);
        // Of two that are as near the first is taken.
        let most = match best {
            Some((0, _)) => break,
            Some((distance, _)) => near.min(distance - 1),
            None => near,
        };
        if wrong_name.least_distance(&other) <= most {
            let distance = strsim::damerau_levenshtein(&wrong, &name.to_lowercase());
            best = (distance <= most).then_some((distance, name)).or(best);
        }
    }
    best.map(|(_, name)| name)
}

/// Letters are counted by their numbers modulo so many: those of ASCII each alone.
const COUNTS: usize = 128;

/// How long a name is, and how many it has of which letters.
struct Name {
    length: usize,
    counts: [i16; COUNTS],
}

impl Name {
    /// Nothing where it is too long to be one.
    fn of(name: &str) -> Option<Self> {
        let length = name.chars().take(LONGEST + 1).count();
        let mut counts = [0; COUNTS];
        if length > LONGEST {
            return None;
        }
        for letter in name.chars().flat_map(char::to_lowercase) {
            counts[letter as usize % COUNTS] += 1;
        }
        Some(Self { length, counts })
    }

    /// A distance that two names have at least, found without comparing them: a step takes away at most one letter that the other
    /// has not, and adds at most one.
    fn least_distance(&self, other: &Self) -> usize {
        let (mut more, mut less) = (0, 0);
        for (own, others) in self.counts.iter().zip(&other.counts) {
            let difference = usize::from(own.abs_diff(*others));
            *(if own > others { &mut more } else { &mut less }) += difference;
        }
        usize::max(more, less)
    }
}

/// Whether two names are one but for a slip of the pen: at most two letters differ, case ignored. Where names that nobody
/// listed may be right, [`nearest`] would call too many of them wrong. Of a text of more than [`LONGEST`] bytes it is never one.
#[must_use]
pub fn is_slip(wrong: &str, known: &str) -> bool {
    if wrong.len().max(known.len()) > LONGEST {
        return false;
    }
    let distance = strsim::damerau_levenshtein(&wrong.to_lowercase(), &known.to_lowercase());
    (1..=2).contains(&distance)
}

#[cfg(test)]
mod tests {
    use super::{is_slip, nearest};

    #[test]
    fn a_slip_is_a_letter_or_two() {
        assert!(is_slip("StopInstance", "StopInstances") && is_slip("SendComand", "SendCommand"));
        assert!(!is_slip("InvokeFunction", "Invoke") && !is_slip("stopinstances", "StopInstances"));
    }

    #[test]
    fn finds_a_slip_and_keeps_quiet_about_strangers() {
        let known = ["selectionMode", "resourceTags", "resourceArns"];
        assert_eq!(nearest("selectonMode", known), Some("selectionMode"));
        assert_eq!(nearest("SelectionMode", known), Some("selectionMode"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("x", []), None);
    }

    #[test]
    fn what_is_left_out_without_comparing_is_never_the_nearest() {
        let known = [
            "stop-instances",
            "start-instances",
            "Stop",
            "reboot",
            "日本",
            "日本語",
            "İstanbul",
            "",
            "aab",
            "aba",
            "xy",
        ];
        let compared = |wrong: &str| {
            let wrong = wrong.to_lowercase();
            let distances = known.map(|name| (strsim::damerau_levenshtein(&wrong, &name.to_lowercase()), name));
            let near = |(distance, name): &(usize, &str)| {
                *distance <= name.chars().count().max(wrong.chars().count()).div_ceil(3)
            };
            distances.into_iter().filter(near).min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
        };
        for wrong in [
            "stp-instance",
            "strat-instances",
            "STOP",
            "tsop",
            "reboots",
            "日木",
            "baa",
            "ab",
            "yx",
            "",
            "z",
            "istanbul",
        ] {
            assert_eq!(nearest(wrong, known), compared(wrong), "{wrong}");
        }
    }

    #[test]
    fn texts_of_megabytes_are_near_nothing() {
        let (wrong, known) = ("a".repeat(4_000_000), "b".repeat(4_000_000));
        assert_eq!(nearest(&wrong, [known.as_str(), "x"]), None);
        assert_eq!(nearest("x", [known.as_str()]), None);
        assert!(!is_slip(&wrong, &known));
    }
}
