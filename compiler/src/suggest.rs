//! "did you mean": the known name that a mistyped one is closest to.

/// The closest of the candidates, if it is close enough to be what was meant.
pub(crate) fn closest<'c>(
    wanted: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let limit = (wanted.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(wanted, candidate), candidate))
        .filter(|&(distance, _)| distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn close_names_only() {
        let names = ["reviews.bookinfo", "ratings.bookinfo"];
        assert_eq!(closest("ratngs.bookinfo", names), Some("ratings.bookinfo"));
        assert_eq!(closest("frontend.shop", names), None);
        assert_eq!(closest("a", ["b"]), Some("b"));
        assert_eq!(closest("a", []), None);
    }
}
