//! Durations as text: a number and `s`, `m`, `h` or `d`.

use core::time::Duration;

use crate::limits::TIMEOUT_SECONDS_MAX;

/// `30s`, `5m`, `2h`, `5d`: at least a second, at most a year.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    let seconds = number.parse::<u64>().ok()?.checked_mul(seconds)?;
    (1..=TIMEOUT_SECONDS_MAX).contains(&seconds).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unit_and_both_bounds() {
        let cases = [("1s", 1), ("5m", 300), ("2h", 7200), ("365d", TIMEOUT_SECONDS_MAX)];
        for (text, seconds) in cases {
            assert_eq!(parse(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        let bad =
            ["", "s", "0s", "366d", "30", "30 s", "-1s", "1.5h", "30S", "99999999999999999999d"];
        for text in bad {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
