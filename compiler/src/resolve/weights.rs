//! Shares of 100 for the destinations of a route.

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resource::WeightedDestination;
use crate::source::Span;

/// What all shares add up to.
const WHOLE: u32 = 100;

/// A share for each destination, together 100. `None` if there are more destinations than shares.
///
/// One destination gets everything. Weights that are all zero or absent mean an even split. Other weights are
/// relative: they are scaled to 100, by largest remainder, but never down to nothing.
pub(super) fn shares(
    destinations: &[WeightedDestination],
    span: Span,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<u32>> {
    let weights: Vec<u64> = destinations
        .iter()
        .map(|d| {
            d.weight
                .as_ref()
                .map_or(0, |weight| u64::from(weight.value))
        })
        .collect();
    let total: u64 = weights.iter().sum();
    let used = if total == 0 {
        weights.len()
    } else {
        weights.iter().filter(|&&weight| weight > 0).count()
    };
    if used > WHOLE as usize {
        diagnostics.push(
            Diagnostic::at(
                Code::TooManyDestinations,
                span,
                format!("{used} destinations share the traffic; weights are in percent, so {WHOLE} is the most"),
            )
            .help("put destinations of one kind behind one VirtualDestination or Service"),
        );
        return None;
    }
    if total == 0 {
        if let Some(zero) = destinations
            .iter()
            .find_map(|destination| destination.weight.as_ref())
        {
            diagnostics.push(
                Diagnostic::at(Code::ZeroWeights, zero.span, "the weights add up to zero")
                    .help("leave the weights out for an even split, which is what happens now"),
            );
        }
        return Some(scale(&vec![1; weights.len()]));
    }
    let shares = scale(&weights);
    if total != u64::from(WHOLE) && weights.len() > 1 {
        let list: Vec<String> = shares.iter().map(u32::to_string).collect();
        diagnostics.push(
            Diagnostic::at(
                Code::NormalisedWeights,
                span,
                format!(
                    "the weights add up to {total}, not {WHOLE}; they are scaled to {}",
                    list.join(", ")
                ),
            )
            .help(format!("write weights that add up to {WHOLE}")),
        );
    }
    Some(shares)
}

/// Scales weights, of which at most 100 are not zero and at least one is, to a sum of 100.
fn scale(weights: &[u64]) -> Vec<u32> {
    let total: u128 = weights.iter().map(|&weight| u128::from(weight)).sum();
    let whole = u128::from(WHOLE);
    let mut shares: Vec<u32> = weights
        .iter()
        .map(|&weight| (u128::from(weight) * whole / total) as u32)
        .collect();
    let remainder = |at: usize| u128::from(weights[at]) * whole % total;
    let mut by_remainder: Vec<usize> = (0..weights.len()).collect();
    by_remainder.sort_by_key(|&at| std::cmp::Reverse(remainder(at)));
    let missing = WHOLE - shares.iter().sum::<u32>();
    for &at in by_remainder.iter().take(missing as usize) {
        shares[at] += 1;
    }
    for at in 0..shares.len() {
        if shares[at] == 0 && weights[at] > 0 {
            let Some(largest) = (0..shares.len()).rev().max_by_key(|&other| shares[other]) else {
                continue;
            };
            shares[largest] -= 1;
            shares[at] = 1;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::scale;

    #[test]
    fn scaling() {
        assert_eq!(scale(&[30, 30, 40]), [30, 30, 40]);
        assert_eq!(scale(&[2000, 3000, 5000]), [20, 30, 50]);
        assert_eq!(scale(&[1, 1, 1]), [34, 33, 33]);
        assert_eq!(scale(&[1, 1, 4]), [17, 17, 66]);
        assert_eq!(scale(&[100, 0]), [100, 0]);
        assert_eq!(scale(&[1, 999_999]), [1, 99]);
        assert_eq!(scale(&[u64::from(u32::MAX), u64::from(u32::MAX)]), [50, 50]);
        assert_eq!(scale(&vec![1; 100]), vec![1; 100]);
    }
}
