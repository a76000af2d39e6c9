//! The known word nearest to an unknown one, for "did you mean".

/// The nearest of `known` by edit distance, if it is near enough to be meant.
pub(crate) fn nearest<'n>(word: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let length = word.chars().count();
    let allowed = length / 3;
    let near = known.filter(|name| name.chars().count().abs_diff(length) <= allowed);
    let measured = near.map(|name| (distance(word, name), name));
    measured.filter(|&(edits, _)| edits <= allowed).min().map(|(_, name)| name)
}

/// Edits (insert, delete, replace, swap of neighbours) from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().flat_map(char::to_lowercase).collect();
    let b: Vec<char> = b.chars().flat_map(char::to_lowercase).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for row in 1..=a.len() {
        let mut current = vec![row; b.len() + 1];
        for column in 1..=b.len() {
            let same = a[row - 1] == b[column - 1];
            let replace = above[column - 1] + usize::from(!same);
            let best = replace.min(above[column] + 1).min(current[column - 1] + 1);
            let swap =
                row > 1 && column > 1 && a[row - 1] == b[column - 2] && a[row - 2] == b[column - 1];
            current[column] = if swap { best.min(before[column - 2] + 1) } else { best };
        }
        before = core::mem::replace(&mut above, current);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_single_edits() {
        let cases = [("", "", 0), ("a", "", 1), ("turst", "trust", 1), ("web", "wbe", 1)];
        for (a, b, edits) in cases {
            assert_eq!(distance(a, b), edits, "{a} {b}");
        }
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn only_a_near_word_is_meant() {
        let known = ["trust", "untrust", "dmz"];
        assert_eq!(nearest("turst", known.into_iter()), Some("trust"));
        assert_eq!(nearest("guests", known.into_iter()), None);
        assert_eq!(nearest("Trust", known.into_iter()), Some("trust"));
    }
}
