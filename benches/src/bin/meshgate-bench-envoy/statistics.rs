//! Minimum and median.

/// The smallest number; NaN without any.
pub(crate) fn minimum(numbers: impl IntoIterator<Item = f64>) -> f64 {
    numbers.into_iter().fold(f64::NAN, f64::min)
}

/// The largest number; NaN without any.
pub(crate) fn maximum(numbers: impl IntoIterator<Item = f64>) -> f64 {
    numbers.into_iter().fold(f64::NAN, f64::max)
}

/// The number in the middle, or between the two in the middle; NaN without any.
pub(crate) fn median(numbers: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = numbers.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match (sorted.get(half.wrapping_sub(1)), sorted.get(half)) {
        (Some(below), Some(above)) if sorted.len().is_multiple_of(2) => {
            f64::midpoint(*below, *above)
        }
        (_, Some(middle)) => *middle,
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_even_odd_and_no_numbers() {
        assert_eq!(minimum([3.0, 1.0, 2.0]), 1.0);
        assert_eq!(maximum([3.0, 1.0, 2.0]), 3.0);
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median([5.0]), 5.0);
        for nothing in [minimum([]), maximum([]), median([])] {
            assert!(nothing.is_nan());
        }
    }
}
