//! A migration file's name: its stem, and its number, digits of any length compared by value.

use std::cmp::Ordering;

/// The name without what follows its last dot; migopy's `001_test.py` and our `001_test.rs` share theirs.
#[cfg(feature = "manager")]
pub(crate) fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// Whether the text is a number: ASCII digits, at least one.
pub(crate) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The digits that a name starts with, or `0` if it starts with none.
#[cfg(feature = "manager")]
pub(crate) fn leading_number(name: &str) -> &str {
    let end = name.find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len());
    if end == 0 { "0" } else { &name[..end] }
}

/// By value, however long and with however many zeros ahead.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_of_any_length_compare_by_value() {
        assert_eq!(compare("9", "10"), Ordering::Less);
        assert_eq!(compare("0010", "9"), Ordering::Greater);
        assert_eq!(compare("007", "7"), Ordering::Equal);
        assert_eq!(compare("0", "000"), Ordering::Equal);
        assert_eq!(compare(&"9".repeat(40), &format!("1{}", "0".repeat(40))), Ordering::Less);
    }

    #[test]
    #[cfg(feature = "manager")]
    fn the_stem_ends_at_the_last_dot() {
        assert_eq!(stem("001_test.py"), "001_test");
        assert_eq!(stem("001_test"), "001_test");
    }

    proptest! {
        #[test]
        fn as_integers_do(a in any::<u64>(), b in any::<u64>(), zeros in 0_usize..4) {
            prop_assert_eq!(compare(&format!("{}{a}", "0".repeat(zeros)), &b.to_string()), a.cmp(&b));
        }
    }
}
