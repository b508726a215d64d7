//! "Did you mean …": the nearest known name.

/// The known name that `wrong` most probably stands for, if any is near enough to be worth saying.
///
/// Damerau-Levenshtein distance, letter case ignored; near enough is a third of the longer name's length, because a
/// suggestion that shares less than that is noise.
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = wrong.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&wrong, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= name.chars().count().max(wrong.chars().count()).div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds_a_slip_and_keeps_quiet_about_strangers() {
        let known = ["selectionMode", "resourceTags", "resourceArns"];
        assert_eq!(nearest("selectonMode", known), Some("selectionMode"));
        assert_eq!(nearest("SelectionMode", known), Some("selectionMode"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("x", []), None);
    }
}
