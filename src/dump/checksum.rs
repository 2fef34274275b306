//! A checksum of many documents that takes the same memory for any number of them.

use ring::digest::{Context, SHA256, digest};

use super::write::hex;

/// The checksum of the documents so far.
pub(super) enum Checksum {
    /// Of documents whose order counts.
    Ordered(Context),
    /// Of documents in any order: the number of them, and the sum of their own checksums as numbers of 256 bits, whose carry out of
    /// the last is dropped. A document that is there twice counts twice.
    Unordered { count: u64, sum: [u64; 4] },
}

impl Checksum {
    pub(super) fn new(in_order: bool) -> Self {
        if in_order { Self::Ordered(Context::new(&SHA256)) } else { Self::Unordered { count: 0, sum: [0; 4] } }
    }

    pub(super) fn add(&mut self, document: &[u8]) {
        match self {
            // A document begins with its length, so that it is clear where each begins.
            Self::Ordered(context) => context.update(document),
            Self::Unordered { count, sum } => {
                *count += 1;
                let own = digest(&SHA256, document);
                let words = own.as_ref().chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().expect("8 bytes")));
                let mut carry = false;
                for (sum, word) in sum.iter_mut().zip(words) {
                    let (partly, first) = sum.overflowing_add(word);
                    let (all, second) = partly.overflowing_add(u64::from(carry));
                    (*sum, carry) = (all, first || second);
                }
            }
        }
    }

    /// Returns it as a text that can be compared.
    pub(super) fn finish(self) -> String {
        match self {
            Self::Ordered(context) => hex(context.finish().as_ref()),
            Self::Unordered { count, sum } => {
                sum.iter().fold(format!("{count} "), |text, word| format!("{text}{word:016x}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(in_order: bool, documents: &[&[u8]]) -> String {
        let mut checksum = Checksum::new(in_order);
        documents.iter().for_each(|document| checksum.add(document));
        checksum.finish()
    }

    #[test]
    fn every_difference_counts_and_the_order_if_it_is_to() {
        let some: [&[u8]; 3] = [b"\x02a", b"\x02b", b"\x03cc"];
        for in_order in [true, false] {
            let original = of(in_order, &some);
            assert_eq!(of(in_order, &some), original);
            assert_eq!(of(in_order, &[some[1], some[2], some[0]]) == original, !in_order);
            for other in [&[some[0], some[1]][..], &[some[0], some[0], some[2]], &[some[0], some[1], some[2], some[2]], &[]]
            {
                assert_ne!(of(in_order, other), original, "{other:?}");
            }
        }
    }

    #[test]
    fn a_sum_carries_over() {
        let mut full = Checksum::Unordered { count: 0, sum: [u64::MAX; 4] };
        full.add(b"x");
        let mut word = [0_u64; 4];
        for (word, bytes) in word.iter_mut().zip(digest(&SHA256, b"x").as_ref().chunks_exact(8)) {
            *word = u64::from_le_bytes(bytes.try_into().unwrap());
        }
        // One less than the document's own, since the sum before was the largest.
        let Checksum::Unordered { sum, .. } = full else { unreachable!() };
        assert_eq!(sum, [word[0].wrapping_sub(1), word[1], word[2], word[3]]);
    }
}
