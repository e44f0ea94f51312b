//! Exact comparison of JSON numbers, however they are written.

use std::borrow::Cow;
use std::cmp::Ordering;

/// A number as its sign, its significant digits and where the point goes: ±0.digits × 10^exponent.
/// Zero has no digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decimal<'a> {
    is_negative: bool,
    digits: Cow<'a, str>,
    exponent: i64,
}

impl<'a> Decimal<'a> {
    /// Reads a valid JSON number.
    pub(super) fn read(text: &'a str) -> Self {
        let (is_negative, unsigned) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, power) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let whole = whole.trim_start_matches('0');
        let digits = if fraction.trim_end_matches('0').is_empty() {
            Cow::Borrowed(whole.trim_end_matches('0'))
        } else if whole.is_empty() {
            Cow::Borrowed(fraction.trim_matches('0'))
        } else {
            Cow::Owned(format!("{whole}{}", fraction.trim_end_matches('0')))
        };
        if digits.is_empty() {
            return Self { is_negative: false, digits, exponent: 0 };
        }
        let point = if whole.is_empty() {
            let leading = fraction.len() - fraction.trim_start_matches('0').len();
            -length(leading)
        } else {
            length(whole.len())
        };
        Self { is_negative, digits, exponent: saturating(power).saturating_add(point) }
    }

    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        match (self.sign(), other.sign()) {
            (1, 1) => self.compare_magnitude(other),
            (-1, -1) => other.compare_magnitude(self),
            (own, others) => own.cmp(&others),
        }
    }

    pub(crate) fn into_owned(self) -> Decimal<'static> {
        let Self { is_negative, digits, exponent } = self;
        Decimal { is_negative, digits: Cow::Owned(digits.into_owned()), exponent }
    }

    fn sign(&self) -> i8 {
        match (self.digits.is_empty(), self.is_negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }

    /// Digits without leading zeros compare as text does.
    fn compare_magnitude(&self, other: &Self) -> Ordering {
        self.exponent.cmp(&other.exponent).then_with(|| self.digits.cmp(&other.digits))
    }
}

fn length(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// A power of ten; one that no 64 bits hold is as good as the largest.
fn saturating(power: &str) -> i64 {
    power.parse().unwrap_or(if power.starts_with('-') { i64::MIN / 2 } else { i64::MAX / 2 })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("1", "1.0", Ordering::Equal)]
    #[case("1", "10e-1", Ordering::Equal)]
    #[case("100", "1E+2", Ordering::Equal)]
    #[case("-0", "0.000e99", Ordering::Equal)]
    #[case("0.05", "0.049999999999999999999", Ordering::Greater)]
    #[case("12345678901234567890", "12345678901234567891", Ordering::Less)]
    #[case("-2", "-10", Ordering::Greater)]
    #[case("-1", "0", Ordering::Less)]
    #[case("0", "1e-400", Ordering::Less)]
    #[case("1e400", "1e401", Ordering::Less)]
    #[case("9", "10", Ordering::Less)]
    #[case("0.9", "0.10", Ordering::Greater)]
    #[case("1e99999999999999999999", "5", Ordering::Greater)]
    #[case("1e-99999999999999999999", "5", Ordering::Less)]
    fn compares_exactly(#[case] one: &str, #[case] other: &str, #[case] expected: Ordering) {
        let (one, other) = (Decimal::read(one), Decimal::read(other));
        assert_eq!(one.compare(&other), expected);
        assert_eq!(other.compare(&one), expected.reverse());
    }

    proptest::proptest! {
        #[test]
        fn agrees_with_doubles(one in -1e9..1e9_f64, other in -1e9..1e9_f64, power in -5..5_i32) {
            let one = one * 10_f64.powi(power);
            let (left, right) = (format!("{one:e}"), format!("{other}"));
            let compared = Decimal::read(&left).compare(&Decimal::read(&right));
            proptest::prop_assert_eq!(Some(compared), one.partial_cmp(&other));
        }
    }
}
