//! Currency amounts as feeds and tables have them, in minor units.

/// `text`, such as `2.75` or `-7000`, in the minor units of a currency with so many digits after the point; `None` where
/// it is no such number, or more precise than the currency. `7000.00` is 7000 dong.
pub(crate) fn minor_units(text: &str, minor_digits: usize) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let decimals = decimals.trim_end_matches('0');
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(decimals) || decimals.len() > minor_digits {
        return None;
    }
    let minor: i64 = format!("{whole}{decimals:0<minor_digits$}").parse().ok()?;
    Some(sign * minor)
}

#[cfg(test)]
mod tests {
    use super::minor_units;

    #[test]
    fn amounts_are_whole_minor_units_or_nothing() {
        let table = [
            ("2.75", 2, Some(275)),
            ("2.5", 2, Some(250)),
            ("2", 2, Some(200)),
            ("-0.50", 2, Some(-50)),
            ("7000", 0, Some(7_000)),
            ("7000.00", 0, Some(7_000)),
            ("7000.5", 0, None),
            ("1.234", 2, None),
            ("1.230", 2, Some(123)),
            ("", 2, None),
            (".5", 2, None),
            ("1,50", 2, None),
            ("1e3", 2, None),
            ("+1", 2, None),
            ("--1", 2, None),
            ("99999999999999999999", 0, None),
        ];
        for (text, digits, minor) in table {
            assert_eq!(minor_units(text, digits), minor, "{text} with {digits} digits");
        }
    }
}
